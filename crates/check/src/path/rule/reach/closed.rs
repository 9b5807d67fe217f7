//! Nobody gets in, over either family: `reach.closed`.
//!
//! Not about families at all, and so found only when nothing else explains it: no address takes a connection, or a port
//! that the user asked for, that an HTTPS record promises or that a page redirects to is closed wherever others are open.

use super::{Places, attempt, attempts, finding};
use crate::path::link::Link;
use crate::path::observation::{ConnectFailure, PortObservation};
use crate::path::rule::Judgement;
use crate::path::rule::view::{AddressView, Death, State, View};
use crate::path::words::{list, ports as port_words, quoted};
use crate::path::{Family, Plan};
use std::collections::BTreeSet;

/// Whether no address lives, and not for want of IPv6 alone.
pub(super) fn everywhere(view: &View<'_>) -> bool {
    !view.addresses.iter().any(AddressView::alive)
        && view
            .of(Family::V4)
            .any(|address| address.state == State::Dead)
}

/// The whole service is down, or closed off.
pub(super) fn service(view: &View<'_>, judgement: &mut Judgement) {
    let dead: Vec<_> = view
        .addresses
        .iter()
        .filter(|address| address.state == State::Dead)
        .collect();
    let deaths = [
        (Death::Dropped, "no answer from"),
        (Death::Rejected, "refused by"),
        (Death::NoRoute, "no route to"),
    ];
    let parts = deaths.into_iter().filter_map(|(death, words)| {
        let died = dead
            .iter()
            .copied()
            .filter(|address| address.deaths.contains_key(&death));
        let places = Places::of(died, Some(death)).to_string();
        (!places.is_empty()).then(|| format!("{words} {places}"))
    });
    let message = format!(
        "`{}` takes no connections over {}: {}",
        view.plan.host,
        families(&dead),
        parts.collect::<Vec<_>>().join("; ")
    );
    let on = Places::of(dead.iter().copied(), None).ports();
    judgement.findings.push(finding(
        "reach.closed",
        list(dead.iter().map(|address| address.seen.address)),
        message,
        attempts(&dead, None),
        hint(view.plan, &on),
    ));
}

/// Ports that are counted on, and that are closed on every address whose other ports are open.
pub(super) fn ports(view: &View<'_>, judgement: &mut Judgement) {
    let mut wanted = view.plan.wanted.clone();
    wanted.extend(redirected_to(view));
    for port in &wanted {
        let closed: Vec<(&AddressView<'_>, &PortObservation)> = view
            .addresses
            .iter()
            .filter(|address| address.alive())
            .filter_map(|address| Some((address, address.seen.port(*port)?)))
            .collect();
        let judged = closed.iter().all(|(address, seen)| {
            let excused = view.excuses.closed.contains(&(address.family, *port));
            let failure = seen.connect.outcome.as_ref().err().map(|error| error.kind);
            !excused && failure.is_some_and(|kind| !matches!(kind, ConnectFailure::Local(_)))
        });
        let open = view
            .addresses
            .iter()
            .filter_map(|address| address.seen.port(*port))
            .any(|seen| seen.connect.outcome.is_ok());
        if closed.is_empty() || !judged || open {
            continue;
        }
        let addresses: Vec<&AddressView<'_>> = closed.iter().map(|(address, _)| *address).collect();
        judgement.findings.push(finding(
            "reach.closed",
            format!("{} port {port}", view.plan.host),
            format!(
                "port {port} of {} is closed over {}, while other ports are open",
                quoted(addresses.iter().map(|address| address.seen.address)),
                families(&addresses)
            ),
            closed
                .iter()
                .map(|(address, seen)| attempt(address, seen))
                .collect(),
            hint(view.plan, &[*port]),
        ));
    }
}

/// Ports of this host to which its own pages send their visitors.
fn redirected_to(view: &View<'_>) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for seen in view
        .addresses
        .iter()
        .flat_map(|address| &address.seen.ports)
    {
        let Some(page) = seen.page() else { continue };
        let base = Link {
            https: false,
            host: view.plan.host.to_ascii_lowercase(),
            port: seen.port,
            path: view.plan.path.clone(),
        };
        ports.extend(
            page.locations()
                .filter_map(|target| base.join(target))
                .filter(|link| link.host == base.host)
                .map(|link| link.port),
        );
    }
    ports
}

/// `IPv6 and IPv4 alike`, or the only one.
fn families(addresses: &[&AddressView<'_>]) -> String {
    let has = |family| addresses.iter().any(|address| address.family == family);
    match Family::BOTH.map(has) {
        [true, true] => "IPv6 and IPv4 alike".to_owned(),
        [true, false] => Family::V6.as_str().to_owned(),
        _ => Family::V4.as_str().to_owned(),
    }
}

fn hint(plan: &Plan, on: &[u16]) -> String {
    let filter = on.iter().map(|port| format!("sport = :{port}"));
    format!(
        "on the server of `{}` look whether anything listens on {} (`ss -ltn '{}'`) and start it, then whether a firewall stands before it (`nft list ruleset`); if the server has moved, correct A and AAAA",
        plan.host,
        port_words(on),
        filter.collect::<Vec<_>>().join(" or ")
    )
}

#[cfg(test)]
mod tests {
    use crate::path::observation::ConnectFailure;
    use crate::path::rule::fixture::{Scene, codes, healthy};

    const ALL: [&str; 4] = ["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"];

    fn closed_on(port: u16, addresses: &[&str]) -> Scene {
        addresses.iter().fold(healthy(), |scene, address| {
            scene.connect(address, port, ConnectFailure::Refused)
        })
    }

    #[test]
    fn a_service_dead_over_both_families_is_one_fault_that_names_both() {
        for kind in [
            ConnectFailure::TimedOut,
            ConnectFailure::Refused,
            ConnectFailure::NoRoute,
        ] {
            let scene = healthy().all_v4(kind).all_v6(kind);
            assert_eq!(codes(&scene), ["reach.closed"]);
            let found = &scene.findings()[0];
            for address in ALL {
                assert!(found.message.contains(address), "{}", found.message);
            }
            assert_eq!(found.evidence.len(), 8);
        }
    }

    #[test]
    fn a_family_that_dies_otherwise_is_named_with_its_own_words() {
        let scene = healthy()
            .all_v4(ConnectFailure::Refused)
            .all_v6(ConnectFailure::TimedOut);
        let found = &scene.findings()[0];
        assert!(found.message.contains("no answer from `2e00:5::80`"));
        assert!(found.message.contains("refused by `198.51.100.80`"));
    }

    #[test]
    fn a_service_with_ipv4_alone_can_be_closed_too() {
        let scene = Scene::healthy(&["198.51.100.80"], &[80, 443]);
        assert_eq!(
            codes(&scene.all_v4(ConnectFailure::TimedOut)),
            ["reach.closed"]
        );
    }

    #[test]
    fn a_port_that_was_asked_for_must_be_open_somewhere() {
        let mut scene = closed_on(443, &ALL);
        assert_eq!(codes(&scene), [""; 0]);
        scene.plan.wanted.insert(443);
        assert_eq!(codes(&scene), ["reach.closed"]);
        let mut scene = closed_on(443, &ALL[..2]);
        scene.plan.wanted.insert(443);
        assert_eq!(codes(&scene), ["reach.port-asymmetry"]);
    }

    #[test]
    fn what_this_machine_may_not_send_says_nothing_of_the_port() {
        let mut scene = closed_on(443, &ALL);
        scene.plan.wanted.insert(443);
        for address in ALL {
            scene = scene.connect(address, 443, ConnectFailure::Local(libc::EPERM));
        }
        assert_eq!(codes(&scene), [""; 0]);
    }
}
