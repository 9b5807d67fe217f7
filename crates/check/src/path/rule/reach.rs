//! Can the addresses be reached at all? `reach.no-route`, `fw-drop`, `fw-reject`, `closed`, `port-asymmetry`,
//! `v4-unreachable`.

mod closed;

use super::view::{AddressView, Death, State, View};
use super::{Judgement, evidence};
use crate::codes::finding;
use crate::path::Family;
use crate::path::observation::{ConnectFailure, PortObservation};
use crate::path::words::{count, list, ports, quoted, span};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use twinstack_finding::{Evidence, Skipped};

pub(super) fn judge(view: &View<'_>, judgement: &mut Judgement) {
    if closed::everywhere(view) {
        closed::service(view, judgement);
    } else {
        dead_v6(view, judgement);
        dead_v4(view, judgement);
    }
    closed::ports(view, judgement);
    asymmetry(view, judgement);
    unjudged(view, judgement);
}

fn dead_v6(view: &View<'_>, judgement: &mut Judgement) {
    let host = &view.plan.host;
    for (death, code) in [
        (Death::NoRoute, "reach.no-route"),
        (Death::Dropped, "reach.fw-drop"),
        (Death::Rejected, "reach.fw-reject"),
    ] {
        let dead: Vec<_> = view
            .of(Family::V6)
            .filter(|address| address.deaths.contains_key(&death))
            .collect();
        if dead.is_empty() {
            continue;
        }
        let places = Places::of(dead.iter().copied(), Some(death));
        let addresses = || dead.iter().map(|address| address.seen.address);
        let v4_works = view.of(Family::V4).any(AddressView::alive);
        let beside = if v4_works { ", while IPv4 works" } else { "" };
        let message = match death {
            Death::NoRoute => format!("no route leads to {}{beside}", quoted(addresses())),
            Death::Dropped => format!(
                "connections to {places} get no answer{beside}: a firewall drops them, or the replies are lost on their way back"
            ),
            Death::Rejected => format!(
                "connections to {places} are refused{beside}: a firewall rejects them, or nothing listens on IPv6"
            ),
        };
        let hint = match death {
            Death::NoRoute => format!(
                "on the server's router announce or add the route (`ip -6 route add PREFIX via GATEWAY`); `traceroute -6 {host}` shows where it ends"
            ),
            Death::Dropped => format!(
                "allow the ports in the IPv6 firewall (`nft add rule inet filter input tcp dport {{ {} }} accept`), then check the server's default route (`ip -6 route get CLIENT`)",
                commas(&places.ports())
            ),
            Death::Rejected => format!(
                "on the server run `ss -ltn` and look for `[::]:{}`; if it is there, look for the rule that rejects: `nft list ruleset`",
                places.ports().first().copied().unwrap_or(443)
            ),
        };
        let mut support = attempts(&dead, Some(death));
        support.extend(comparison(view, |address| address.family == Family::V4));
        judgement
            .findings
            .push(finding(code, list(addresses()), message, support, hint));
    }
}

fn dead_v4(view: &View<'_>, judgement: &mut Judgement) {
    let dead: Vec<_> = view
        .of(Family::V4)
        .filter(|address| address.state == State::Dead)
        .collect();
    let alive = |family| view.of(family).any(AddressView::alive);
    let beside = match (alive(Family::V6), alive(Family::V4)) {
        (true, _) => "while IPv6 works and hides it",
        (false, true) => "while another IPv4 address works",
        // `closed` speaks of it.
        (false, false) => return,
    };
    if dead.is_empty() {
        return;
    }
    let addresses = || dead.iter().map(|address| address.seen.address);
    let mut support = attempts(&dead, None);
    support.extend(comparison(view, |_| true));
    judgement.findings.push(finding(
        "reach.v4-unreachable",
        list(addresses()),
        format!("no port of {} can be reached, {beside}", quoted(addresses())),
        support,
        "look at the IPv4 firewall and listener (`ss -4 -ltn`, `nft list ruleset`), or withdraw the A record",
    ));
}

/// Ports open on one family only, on addresses that are otherwise alive.
fn asymmetry(view: &View<'_>, judgement: &mut Judgement) {
    let mut closed: BTreeMap<(u16, Family), Vec<IpAddr>> = BTreeMap::new();
    let mut support = Vec::new();
    for address in view.addresses.iter().filter(|address| address.alive()) {
        for port in &address.seen.ports {
            let Err(error) = &port.connect.outcome else {
                continue;
            };
            let excused = view.excuses.closed.contains(&(address.family, port.port));
            let Some(open) = view.open_elsewhere(address.family, port.port).next() else {
                continue;
            };
            if excused || matches!(error.kind, ConnectFailure::Local(_)) {
                continue;
            }
            closed
                .entry((port.port, address.family))
                .or_default()
                .push(address.seen.address);
            support.push(attempt(address, port));
            support.extend(open.seen.port(port.port).map(|port| attempt(open, port)));
        }
    }
    let Some((port, _)) = closed.keys().next() else {
        return;
    };
    let parts = closed.iter().map(|((port, family), addresses)| {
        let other = match family {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        };
        format!(
            "port {port} is open over {}, but not on {}, whose other ports are open",
            other.as_str(),
            quoted(addresses)
        )
    });
    let subjects = closed.iter().flat_map(|((port, _), addresses)| {
        addresses
            .iter()
            .map(move |address| format!("{address} port {port}"))
    });
    judgement.findings.push(finding(
        "reach.port-asymmetry",
        list(subjects),
        parts.collect::<Vec<_>>().join("; "),
        support,
        format!("allow the port for both families (`nft add rule inet filter input tcp dport {port} accept`), and let the service listen on both (`ss -ltn 'sport = :{port}'`)"),
    ));
}

fn unjudged(view: &View<'_>, judgement: &mut Judgement) {
    if view.private_source() {
        judgement.skipped.push(Skipped {
            what: "IPv6 reachability".to_owned(),
            why: "this machine has only a unique local IPv6 address, and nothing answers it"
                .to_owned(),
        });
        return;
    }
    for address in view
        .addresses
        .iter()
        .filter(|address| address.state == State::Unjudged)
    {
        let reason = address
            .seen
            .ports
            .iter()
            .find_map(|port| port.connect.outcome.as_ref().err());
        judgement.skipped.push(Skipped {
            what: format!("reachability of {}", address.seen.label()),
            why: reason.map_or_else(String::new, ToString::to_string),
        });
    }
}

/// Dead addresses with the ports that matter there, in words: those with the same ports together.
struct Places(BTreeMap<Vec<u16>, Vec<IpAddr>>);

impl Places {
    /// Those that died one way, or any way.
    fn of<'v, 'a: 'v>(
        addresses: impl Iterator<Item = &'v AddressView<'a>>,
        death: Option<Death>,
    ) -> Self {
        let mut places: BTreeMap<Vec<u16>, Vec<IpAddr>> = BTreeMap::new();
        for address in addresses {
            let ports: BTreeSet<u16> = address.dead_ports(death).collect();
            places
                .entry(ports.into_iter().collect())
                .or_default()
                .push(address.seen.address);
        }
        Self(places)
    }

    fn ports(&self) -> Vec<u16> {
        let ports: BTreeSet<u16> = self.0.keys().flatten().copied().collect();
        ports.into_iter().collect()
    }
}

impl fmt::Display for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self
            .0
            .iter()
            .map(|(on, addresses)| format!("{} on {}", quoted(addresses), ports(on)));
        f.write_str(&list(parts))
    }
}

/// What was tried with dead addresses, on the ports that died one way, or any way.
fn attempts(addresses: &[&AddressView<'_>], death: Option<Death>) -> Vec<Evidence> {
    let tried = addresses.iter().flat_map(|address| {
        let ports = address.dead_ports(death);
        ports.filter_map(|port| Some(attempt(address, address.seen.port(port)?)))
    });
    tried.collect()
}

/// One line that shows another address at work.
fn comparison(view: &View<'_>, which: fn(&AddressView<'_>) -> bool) -> Option<Evidence> {
    let address = view
        .addresses
        .iter()
        .find(|address| which(address) && address.alive())?;
    let port = address
        .seen
        .ports
        .iter()
        .find(|port| port.connect.outcome.is_ok())?;
    Some(attempt(address, port))
}

fn attempt(address: &AddressView<'_>, port: &PortObservation) -> Evidence {
    let took = span(port.connect.took);
    let saw = match &port.connect.outcome {
        Ok(()) => format!("connected after {took}"),
        Err(error) if error.kind == ConnectFailure::TimedOut => {
            format!(
                "no answer within {took} ({})",
                count(port.attempts, "attempt")
            )
        }
        Err(error) => format!("{error} after {took}"),
    };
    let did = format!(
        "TCP connection to {} port {}",
        address.seen.label(),
        port.port
    );
    evidence(did, saw, port.connect.at)
}

fn commas(ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    ports.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::path::observation::{ConnectFailure, Route};
    use crate::path::rule::fixture::{Scene, codes, healthy};

    #[test]
    fn healthy_dual_stack_raises_nothing() {
        assert_eq!(codes(&healthy()), [""; 0]);
    }

    #[test]
    fn silence_on_every_port_of_v6_is_a_drop() {
        let scene = healthy()
            .connect("2e00:5::80", 80, ConnectFailure::TimedOut)
            .connect("2e00:5::80", 443, ConnectFailure::TimedOut);
        assert_eq!(codes(&scene), ["reach.fw-drop"]);
        assert_eq!(
            codes(&healthy().all_v6(ConnectFailure::TimedOut)),
            ["reach.fw-drop"]
        );
    }

    #[test]
    fn resets_and_prohibitions_are_a_rejection() {
        for kind in [ConnectFailure::Refused, ConnectFailure::Prohibited] {
            assert_eq!(codes(&healthy().all_v6(kind)), ["reach.fw-reject"]);
        }
    }

    #[test]
    fn unreachable_is_no_route() {
        for kind in [ConnectFailure::NoRoute, ConnectFailure::HostUnreachable] {
            assert_eq!(codes(&healthy().all_v6(kind)), ["reach.no-route"]);
        }
    }

    #[test]
    fn a_port_closed_on_both_families_is_as_meant() {
        let mut scene = healthy();
        for address in ["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"] {
            scene = scene.connect(address, 80, ConnectFailure::Refused);
        }
        assert_eq!(codes(&scene), [""; 0]);
    }

    #[test]
    fn a_slow_connection_is_no_drop() {
        let mut scene = healthy();
        for port in &mut scene.address("2e00:5::80").ports {
            port.connect.took = std::time::Duration::from_secs(3);
        }
        assert_eq!(codes(&scene), [""; 0]);
    }

    #[test]
    fn one_port_dropped_on_v6_only_is_an_asymmetry() {
        let scene = healthy()
            .connect("2e00:5::80", 443, ConnectFailure::TimedOut)
            .connect("2e00:5::81", 443, ConnectFailure::TimedOut);
        assert_eq!(codes(&scene), ["reach.port-asymmetry"]);
    }

    #[test]
    fn dead_v4_behind_a_living_v6_is_found() {
        let scene = healthy().all_v4(ConnectFailure::TimedOut);
        assert_eq!(codes(&scene), ["reach.v4-unreachable"]);
    }

    #[test]
    fn dead_v4_beside_another_v4_is_found_even_while_v6_is_dead() {
        let scene = healthy()
            .all_v6(ConnectFailure::TimedOut)
            .connect("198.51.100.80", 80, ConnectFailure::Refused)
            .connect("198.51.100.80", 443, ConnectFailure::Refused);
        assert_eq!(codes(&scene), ["reach.fw-drop", "reach.v4-unreachable"]);
        let message = &scene.findings()[1].message;
        assert!(message.ends_with("another IPv4 address works"), "{message}");
    }

    #[test]
    fn a_drop_on_one_port_and_a_reset_on_another_are_two_findings_with_a_port_each() {
        let mut scene = healthy();
        for address in ["2e00:5::80", "2e00:5::81"] {
            scene = scene.connect(address, 80, ConnectFailure::Refused).connect(
                address,
                443,
                ConnectFailure::TimedOut,
            );
        }
        let findings = scene.findings();
        let said: Vec<(&str, bool, bool)> = findings
            .iter()
            .map(|finding| {
                let names = |port: &str| finding.message.contains(port);
                (finding.code.as_str(), names("port 80"), names("port 443"))
            })
            .collect();
        assert_eq!(
            said,
            [
                ("reach.fw-drop", false, true),
                ("reach.fw-reject", true, false)
            ]
        );
        for finding in &findings {
            // One attempt an address, and IPv4 at work.
            assert_eq!(finding.evidence.len(), 3, "{:?}", finding.evidence);
        }
    }

    #[test]
    fn ports_that_do_not_matter_are_not_named() {
        let mut scene = healthy().all_v6(ConnectFailure::TimedOut);
        for address in ["198.51.100.80", "198.51.100.81"] {
            scene = scene.connect(address, 80, ConnectFailure::Refused);
        }
        assert_eq!(codes(&scene), ["reach.fw-drop"]);
        let message = &scene.findings()[0].message;
        assert!(message.contains("on port 443 get"), "{message}");
    }

    #[test]
    fn silence_beside_an_error_that_there_is_no_route_is_the_same_fault() {
        let scene = healthy()
            .connect("2e00:5::80", 80, ConnectFailure::NoRoute)
            .connect("2e00:5::80", 443, ConnectFailure::TimedOut);
        assert_eq!(codes(&scene), ["reach.no-route"]);
    }

    #[test]
    fn what_this_machine_cannot_send_is_skipped_not_found() {
        let scene = healthy().all_v6(ConnectFailure::Local(libc::EPERM));
        assert_eq!(codes(&scene), [""; 0]);
        assert!(
            scene
                .skipped()
                .iter()
                .any(|skipped| skipped.why.contains("not permitted"))
        );
    }

    #[test]
    fn a_private_source_address_makes_silence_unjudged() {
        let mut scene = healthy().all_v6(ConnectFailure::TimedOut);
        scene.seen.vantage.v6 = Route::Here {
            source: "fd00::2".parse().unwrap(),
        };
        assert_eq!(codes(&scene), [""; 0]);
        assert!(
            scene
                .skipped()
                .iter()
                .any(|skipped| skipped.what == "IPv6 reachability")
        );
    }

    #[test]
    fn a_v6_only_target_is_judged_without_comparison() {
        let scene = Scene::healthy(&["2e00:5::80"], &[80, 443]);
        assert_eq!(codes(&scene), [""; 0]);
        assert_eq!(
            codes(&scene.all_v6(ConnectFailure::TimedOut)),
            ["reach.fw-drop"]
        );
    }
}
