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

/// The firewall's rules, as `nft` prints them.
async fn rules() -> Result<Ruleset, FirewallRefusal> {
    // Ordinary users often have no `sbin` in their path.
    for program in ["nft", "/usr/sbin/nft", "/sbin/nft"] {
        let run = Command::new(program)
            .args(["-j", "list", "ruleset"])
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
            return Err(
                if talk.contains("not permitted") || talk.contains("must be root") {
                    FirewallRefusal::NotAllowed
                } else {
                    FirewallRefusal::Failed(talk.lines().next().unwrap_or_default().to_owned())
                },
            );
        }
        return Ruleset::parse(&output.stdout).ok_or_else(|| {
            FirewallRefusal::Failed("it printed something else than rules".to_owned())
        });
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
