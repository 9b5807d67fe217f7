//! The host itself (`--local`): what listens, what the kernel and the firewall are set to, which addresses work, and
//! whether somebody's connections stay half open.

mod firewall;
mod interface;
mod netlink;
mod sockets;
mod sysctl;

pub(super) use firewall::{Chance, Outcome, Ruleset, Traffic};
pub(super) use interface::{HostAddress, Neighbours};
pub(super) use sockets::Listener;
pub(super) use sysctl::Switches;

use super::observation::{FirewallRefusal, HalfOpen, LocalObservation, Visits};
use super::{Family, Plan};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

/// How long visitors are watched. The kernel repeats an unconfirmed SYN-ACK after 1 s and 3 s.
const WATCH: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(250);

/// Duplicate address detection takes about a second; an address still tentative after this long has a problem.
const DETECTION: Duration = Duration::from_millis(2500);

/// Reads any bytes as netlink dumps.
pub(super) fn fuzz(bytes: &[u8]) {
    for payload in netlink::payloads(bytes) {
        sockets::fuzz(&payload);
        interface::fuzz(&payload);
    }
    sockets::fuzz(bytes);
    interface::fuzz(bytes);
}

/// Looks at the host, if the plan says that we are on it.
pub(super) async fn collect(plan: &Plan) -> Option<LocalObservation> {
    if !plan.local {
        return None;
    }
    let at = plan.now();
    let words = |error: io::Error| error.to_string();
    let (addresses, firewall, visits) = tokio::join!(settled_addresses(), rules(), watch(plan));
    Some(LocalObservation {
        at,
        listeners: sockets::listeners().map_err(words),
        switches: sysctl::read(),
        addresses: addresses.map_err(words),
        neighbours: interface::neighbours().map_err(words),
        firewall,
        visits: visits.map_err(words),
    })
}

/// The host's addresses, once those that are still being checked have had their time.
async fn settled_addresses() -> io::Result<Vec<HostAddress>> {
    let addresses = interface::addresses()?;
    if !addresses
        .iter()
        .any(|address| address.tentative && !address.dad_failed)
    {
        return Ok(addresses);
    }
    sleep(DETECTION).await;
    interface::addresses()
}

/// The firewall's rules, those of `nft` and those of `iptables-legacy`.
async fn rules() -> Result<Ruleset, FirewallRefusal> {
    let (nft, v4, v6) = tokio::join!(
        run("nft", &["-j", "list", "ruleset"]),
        legacy_rules("ip_tables_names", "iptables-legacy-save"),
        legacy_rules("ip6_tables_names", "ip6tables-legacy-save"),
    );
    let legacy = [(Family::V4, v4), (Family::V6, v6)];
    let mut ruleset = match nft {
        Ok(json) => Ruleset::parse(&json).ok_or_else(|| {
            FirewallRefusal::Failed("it printed something else than rules".to_owned())
        })?,
        // An old host may have no other rules.
        Err(FirewallRefusal::NotInstalled)
            if legacy.iter().any(|(_, rules)| matches!(rules, Ok(Some(_)))) =>
        {
            let mut none = Ruleset::default();
            none.add_unseen(FirewallRefusal::NotInstalled.to_string());
            none
        }
        Err(refusal) => return Err(refusal),
    };
    for (family, rules) in legacy {
        match rules {
            Ok(Some(saved)) => ruleset.add_legacy(family, &saved),
            Ok(None) => {}
            Err(why) => ruleset.add_unseen(why),
        }
    }
    Ok(ruleset)
}

/// What the tables of `iptables-legacy` hold; nothing if the kernel has none in use here.
async fn legacy_rules(names: &str, program: &str) -> Result<Option<String>, String> {
    let unseen =
        |why: &dyn std::fmt::Display| format!("rules of iptables-legacy were not looked at: {why}");
    // Reading this does not load the tables, as `iptables-legacy -L` would.
    let path = format!("/proc/thread-self/net/{names}");
    match std::fs::read_to_string(&path) {
        Ok(tables) if tables.trim().is_empty() => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unseen(&format_args!("{path}: {error}"))),
    }
    match run(program, &[]).await {
        Ok(saved) => Ok(Some(String::from_utf8_lossy(&saved).into_owned())),
        Err(FirewallRefusal::NotInstalled) => {
            Err(unseen(&format_args!("`{program}` is not installed")))
        }
        Err(FirewallRefusal::NotAllowed) => {
            Err(unseen(&format_args!("no permission to run `{program}`")))
        }
        Err(FirewallRefusal::Failed(why)) => {
            Err(unseen(&format_args!("`{program}` failed: {why}")))
        }
    }
}

/// What a program that lists rules prints.
async fn run(program: &str, arguments: &[&str]) -> Result<Vec<u8>, FirewallRefusal> {
    // Ordinary users often have no `sbin` in their path.
    for folder in ["", "/usr/sbin/", "/sbin/"] {
        let run = Command::new(format!("{folder}{program}"))
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = match timeout(Duration::from_secs(5), run).await {
            Err(_) => return Err(FirewallRefusal::Failed("no answer within 5 s".to_owned())),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => continue,
            Ok(Err(error)) => return Err(FirewallRefusal::Failed(error.to_string())),
            Ok(Ok(output)) => output,
        };
        let talk = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            let denied = ["not permitted", "must be root", "Permission denied"];
            return Err(if denied.iter().any(|words| talk.contains(words)) {
                FirewallRefusal::NotAllowed
            } else {
                FirewallRefusal::Failed(talk.lines().next().unwrap_or_default().to_owned())
            });
        }
        return Ok(output.stdout);
    }
    Err(FirewallRefusal::NotInstalled)
}

/// Watches who comes in on the plan's ports, and whose connections stay half open.
async fn watch(plan: &Plan) -> io::Result<Visits> {
    let begun = Instant::now();
    let own: BTreeSet<IpAddr> = interface::addresses()?
        .iter()
        .map(|address| address.address)
        .collect();
    let mut half_open: BTreeMap<(IpAddr, u16), HalfOpen> = BTreeMap::new();
    let mut completed: BTreeSet<IpAddr> = BTreeSet::new();
    while begun.elapsed() < WATCH {
        for visit in sockets::visits()? {
            if !plan.ports.contains(&visit.port) || own.contains(&visit.peer) {
                continue;
            }
            if visit.half_open {
                let seen = half_open
                    .entry((visit.peer, visit.peer_port))
                    .or_insert(HalfOpen {
                        peer: visit.peer,
                        port: visit.port,
                        retransmits: 0,
                    });
                seen.retransmits = seen.retransmits.max(visit.retransmits);
            } else {
                completed.insert(visit.peer);
            }
        }
        sleep(LOOK).await;
    }
    let of = |family| {
        completed
            .iter()
            .filter(|peer| Family::of(**peer) == family)
            .count()
    };
    Ok(Visits {
        watched: WATCH,
        half_open: half_open.into_values().collect(),
        completed_v4: of(Family::V4),
        completed_v6: of(Family::V6),
    })
}
