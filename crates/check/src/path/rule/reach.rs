//! Can the addresses be reached at all? `reach.no-route`, `fw-drop`, `fw-reject`, `port-asymmetry`, `v4-unreachable`.

use super::view::{AddressView, Death, State, View};
use super::{Judgement, evidence};
use crate::codes::finding;
use crate::path::Family;
use crate::path::observation::{ConnectFailure, PortObservation};
use crate::path::words::{list, ports, quoted, span};
use std::collections::BTreeMap;
use std::net::IpAddr;
use twinstack_finding::{Evidence, Skipped};

pub(super) fn judge(view: &View<'_>, judgement: &mut Judgement) {
    dead_v6(view, judgement);
    dead_v4(view, judgement);
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
            .filter(|address| address.state == State::Dead(death))
            .collect();
        if dead.is_empty() {
            continue;
        }
        let addresses = || dead.iter().map(|address| address.seen.address);
        let (named, on) = (quoted(addresses()), ports(&view.plan.ports));
        let v4_works = view.of(Family::V4).any(AddressView::alive);
        let beside = if v4_works { ", while IPv4 works" } else { "" };
        let message = match death {
            Death::NoRoute => format!("no route leads to {named}{beside}"),
            Death::Dropped => format!(
                "connections to {named} get no answer on {on}{beside}: a firewall drops them, or the replies are lost on their way back"
            ),
            Death::Rejected => format!(
                "connections to {named} are refused on {on}{beside}: a firewall rejects them, or nothing listens on IPv6"
            ),
        };
        let hint = match death {
            Death::NoRoute => format!(
                "on the server's router announce or add the route (`ip -6 route add PREFIX via GATEWAY`); `traceroute -6 {host}` shows where it ends"
            ),
            Death::Dropped => format!(
                "allow the ports in the IPv6 firewall (`nft add rule inet filter input tcp dport {{ {} }} accept`), then check the server's default route (`ip -6 route get CLIENT`)",
                commas(&view.plan.ports)
            ),
            Death::Rejected => format!(
                "on the server run `ss -ltn` and look for `[::]:{}`; if it is there, look for the rule that rejects: `nft list ruleset`",
                view.plan.ports.first().copied().unwrap_or(443)
            ),
        };
        let mut support = attempts(view, &dead);
        support.extend(comparison(view, Family::V4));
        judgement
            .findings
            .push(finding(code, list(addresses()), message, support, hint));
    }
}

fn dead_v4(view: &View<'_>, judgement: &mut Judgement) {
    // With both families dead the service is down, which the findings about IPv6 and the verdict say already.
    if !view.of(Family::V6).any(AddressView::alive) {
        return;
    }
    let dead: Vec<_> = view
        .of(Family::V4)
        .filter(|address| matches!(address.state, State::Dead(_)))
        .collect();
    if dead.is_empty() {
        return;
    }
    let addresses = || dead.iter().map(|address| address.seen.address);
    let mut support = attempts(view, &dead);
    support.extend(comparison(view, Family::V6));
    judgement.findings.push(finding(
        "reach.v4-unreachable",
        list(addresses()),
        format!("no port of {} can be reached, while IPv6 works and hides it", quoted(addresses())),
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

/// What was tried with some addresses.
fn attempts(view: &View<'_>, addresses: &[&AddressView<'_>]) -> Vec<Evidence> {
    let ports = addresses
        .iter()
        .flat_map(|address| address.seen.ports.iter().map(move |port| (address, port)));
    ports
        .filter(|(_, port)| view.plan.ports.contains(&port.port))
        .map(|(address, port)| attempt(address, port))
        .collect()
}

/// One line that shows the other family at work.
fn comparison(view: &View<'_>, family: Family) -> Option<Evidence> {
    let address = view.of(family).find(|address| address.alive())?;
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
            format!("no answer within {took} ({} attempts)", port.attempts)
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
    fn with_both_families_dead_v4_is_not_hidden_by_v6() {
        let scene = healthy()
            .all_v4(ConnectFailure::TimedOut)
            .all_v6(ConnectFailure::TimedOut);
        assert_eq!(codes(&scene), ["reach.fw-drop"]);
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
