//! What the host itself shows: the `host.*` codes, and `reach.return-path-loss`.
//!
//! These rules come first. The host knows the cause of what the network only suffers, so whatever they find is taken
//! out of the network's rules ([`Excuses`]).

mod firewall;
mod listening;

use super::view::Excuses;
use super::{Judgement, evidence};
use crate::codes::finding;
use crate::path::local::Neighbours;
use crate::path::observation::{HalfOpen, LocalObservation, PathObservation, Visits};
use crate::path::words::{list, quoted, span};
use crate::path::{Family, Plan};
use std::collections::BTreeSet;
use std::net::IpAddr;
use twinstack_finding::{Evidence, Skipped};

/// The neighbour table counts as full from this share of its limit.
const FULL: (usize, usize) = (9, 10);

/// Judges the host, and says what its findings explain.
pub(super) fn judge(plan: &Plan, seen: &PathObservation, judgement: &mut Judgement) -> Excuses {
    let mut excuses = Excuses::default();
    let Some(local) = &seen.local else {
        return excuses;
    };
    let host = Host { plan, seen, local };
    host.switched_off(judgement, &mut excuses);
    host.duplicate(judgement, &mut excuses);
    listening::judge(&host, judgement, &mut excuses);
    firewall::judge(&host, judgement, &mut excuses);
    host.neighbours(judgement);
    host.return_path(judgement, &excuses);
    excuses
}

/// What the rules about the host read.
struct Host<'a> {
    plan: &'a Plan,
    seen: &'a PathObservation,
    local: &'a LocalObservation,
}

impl Host<'_> {
    fn wants_v6(&self) -> bool {
        self.has(Family::V6) || !self.plan.allow_v4_only
    }

    fn has(&self, family: Family) -> bool {
        self.plan
            .addresses
            .iter()
            .any(|address| Family::of(*address) == family)
    }

    /// The target's addresses that this host holds, and whether that is known.
    fn own(&self, family: Family) -> Vec<IpAddr> {
        let held = self.local.addresses.as_deref().unwrap_or_default();
        let of = self
            .plan
            .addresses
            .iter()
            .copied()
            .filter(|address| Family::of(*address) == family);
        of.filter(|address| held.iter().any(|held| held.address == *address))
            .collect()
    }

    fn line(&self, did: &str, saw: impl Into<String>) -> Evidence {
        evidence(did, saw, self.local.at)
    }

    fn switched_off(&self, judgement: &mut Judgement, excuses: &mut Excuses) {
        if !self.wants_v6() {
            return;
        }
        let set = &self.local.switches;
        let held = self.local.addresses.as_deref().unwrap_or_default();
        let serving: BTreeSet<&str> = held
            .iter()
            .filter(|held| self.plan.addresses.contains(&held.address))
            .map(|held| held.interface.as_str())
            .collect();
        let off = |name: &str| set.disabled.get(name) == Some(&true);
        let switched: Vec<&str> = std::iter::once("all")
            .chain(serving)
            .filter(|name| off(name))
            .collect();
        let (subject, named, saw) = if !set.present {
            (
                "ipv6.disable".to_owned(),
                "`ipv6.disable`".to_owned(),
                "the kernel has no IPv6 at all (`ipv6.disable=1` on its command line)".to_owned(),
            )
        } else if switched.is_empty() {
            return;
        } else {
            let names: Vec<String> = switched
                .iter()
                .map(|name| format!("net.ipv6.conf.{name}.disable_ipv6"))
                .collect();
            (
                list(&names),
                quoted(&names),
                format!("{} = 1", list(&names)),
            )
        };
        excuses.families.insert(Family::V6);
        let settings: Vec<String> = switched
            .iter()
            .map(|name| format!("net.ipv6.conf.{name}.disable_ipv6=0"))
            .collect();
        judgement.findings.push(finding(
            "host.disable-ipv6-sysctl",
            subject,
            format!("IPv6 is switched off on this host by {named}"),
            vec![self.line("read /proc/sys/net/ipv6", saw)],
            format!("run `sysctl -w {}`, delete the line that set it (`grep -rn disable_ipv6 /etc/sysctl.conf /etc/sysctl.d`), and bring the addresses back", settings.join(" ")),
        ));
    }

    fn duplicate(&self, judgement: &mut Judgement, excuses: &mut Excuses) {
        let addresses = match &self.local.addresses {
            Ok(addresses) => addresses,
            Err(why) => {
                judgement.skipped.push(Skipped {
                    what: "the host's addresses".to_owned(),
                    why: why.clone(),
                });
                return;
            }
        };
        let bad: Vec<_> = addresses
            .iter()
            .filter(|address| address.dad_failed || address.tentative)
            // Link-local addresses of bridges and tunnels often stay tentative, and nobody connects to them.
            .filter(
                |address| matches!(address.address, IpAddr::V6(v6) if !v6.is_unicast_link_local()),
            )
            .collect();
        let Some(first) = bad.first() else { return };
        let names = list(bad.iter().map(|address| address.address));
        let state = if first.dad_failed {
            "another machine on the link has it too"
        } else {
            "duplicate address detection does not end"
        };
        let support = bad.iter().map(|address| {
            let flag = if address.dad_failed {
                "dadfailed"
            } else {
                "tentative"
            };
            self.line(
                "listed the addresses of the host",
                format!("{} on {}: {flag}", address.address, address.interface),
            )
        });
        judgement.findings.push(finding(
            "host.dad-failed",
            names,
            format!("the kernel does not use {}: {state}", quoted(bad.iter().map(|address| address.address))),
            support.collect(),
            format!("find the other holder (`ip -6 neigh show {0}` from another machine), remove the address there, then `ip address del {0}/64 dev {1}` and add it again", first.address, first.interface),
        ));
        excuses
            .addresses
            .extend(bad.iter().map(|address| address.address));
    }

    fn neighbours(&self, judgement: &mut Judgement) {
        let Neighbours { entries, limit } = match &self.local.neighbours {
            Ok(neighbours) => *neighbours,
            Err(why) => {
                judgement.skipped.push(Skipped {
                    what: "the neighbour table".to_owned(),
                    why: why.clone(),
                });
                return;
            }
        };
        if entries * FULL.1 < limit * FULL.0 {
            return;
        }
        judgement.findings.push(finding(
            "host.nd-cache-full",
            "net.ipv6.neigh.default.gc_thresh3",
            format!("the table of IPv6 neighbours holds {entries} entries, its limit is {limit}: new neighbours get no connection"),
            vec![self.line("counted the IPv6 neighbours", format!("{entries} entries, gc_thresh3 = {limit}"))],
            format!("raise the limits: `sysctl -w net.ipv6.neigh.default.gc_thresh2={} net.ipv6.neigh.default.gc_thresh3={}`, and look for a scan (`ip -6 neigh | wc -l`)", entries * 4, entries * 8),
        ));
    }

    fn return_path(&self, judgement: &mut Judgement, excuses: &Excuses) {
        if !self.has(Family::V6) || excuses.families.contains(&Family::V6) {
            return;
        }
        let visits = match &self.local.visits {
            Ok(visits) => visits,
            Err(why) => {
                judgement.skipped.push(Skipped {
                    what: "connections that stay half open".to_owned(),
                    why: why.clone(),
                });
                return;
            }
        };
        let repeated = |family| -> Vec<&HalfOpen> {
            let half_open = visits
                .half_open
                .iter()
                .filter(move |visit| Family::of(visit.peer) == family);
            half_open.filter(|visit| visit.retransmits > 0).collect()
        };
        let (v6, v4) = (repeated(Family::V6), repeated(Family::V4));
        // One repeated SYN-ACK is a lost packet.
        let lost = v6.len() >= 2 || v6.iter().any(|visit| visit.retransmits >= 2);
        if lost && v4.len() < v6.len() && visits.completed_v6 == 0 {
            self.report_return_path(visits, &v6, judgement);
        } else if visits.completed_v6 == 0 && v6.is_empty() {
            judgement.skipped.push(Skipped {
                what: "the way back to IPv6 clients (reach.return-path-loss)".to_owned(),
                why: format!(
                    "no IPv6 client came by within {}; let one connect meanwhile",
                    span(visits.watched)
                ),
            });
        }
    }

    fn report_return_path(&self, visits: &Visits, v6: &[&HalfOpen], judgement: &mut Judgement) {
        let peers: BTreeSet<IpAddr> = v6.iter().map(|visit| visit.peer).collect();
        let most = v6.iter().map(|visit| visit.retransmits).max().unwrap_or(0);
        let watched = format!("watched the host's sockets for {}", span(visits.watched));
        let support = vec![
            self.line(
                &watched,
                format!(
                    "{} half-open IPv6 connections from {}, SYN-ACK repeated up to {most} times",
                    v6.len(),
                    list(&peers)
                ),
            ),
            self.line(
                &watched,
                format!(
                    "{} IPv4 clients completed theirs, none over IPv6",
                    visits.completed_v4
                ),
            ),
        ];
        judgement.findings.push(finding(
            "reach.return-path-loss",
            list(self.plan.addresses.iter().filter(|address| address.is_ipv6())),
            "IPv6 clients reach this host, and its answers to them are lost: nobody confirms the SYN-ACK",
            support,
            format!("look at the way back: `ip -6 route get {}`, reverse-path filters and stateful firewalls that see only one direction", peers.first().map_or_else(String::new, ToString::to_string)),
        ));
    }
}

#[cfg(test)]
mod tests;
