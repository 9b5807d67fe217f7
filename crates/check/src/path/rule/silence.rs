//! Connections that open and then fall silent: `reach.pmtu-blackhole` and `tls.stall`.

use super::view::{AddressView, View};
use super::{Judgement, evidence};
use crate::codes::finding;
use crate::path::Family;
use crate::path::observation::{PortObservation, Talk, TalkError};
use crate::path::port::SMALL_SEGMENT;
use crate::path::words::{count, list, quoted, span};
use std::collections::{BTreeMap, BTreeSet};
use twinstack_finding::Evidence;

pub(super) fn judge(view: &View<'_>, judgement: &mut Judgement) {
    black_hole(view, judgement);
    stall(view, judgement);
}

fn black_hole(view: &View<'_>, judgement: &mut Judgement) {
    let holes: Vec<_> = view
        .addresses
        .iter()
        .filter(|address| address.alive() && address.black_hole)
        .collect();
    if holes.is_empty() {
        return;
    }
    let addresses = list(holes.iter().map(|address| address.seen.address));
    let support = holes.iter().flat_map(|address| {
        address
            .seen
            .ports
            .iter()
            .flat_map(|port| pair(address, port))
    });
    let firewalls = [
        (
            Family::V6,
            "ICMPv6 type 2 (Packet Too Big) through at every firewall (`nft add rule inet filter forward icmpv6 type packet-too-big accept`)",
        ),
        (
            Family::V4,
            "ICMP type 3 code 4 (fragmentation needed) through at every firewall (`nft add rule ip filter forward icmp type destination-unreachable accept`)",
        ),
    ];
    let through = list(firewalls.into_iter().filter_map(|(family, what)| {
        let concerned = holes.iter().any(|address| address.family == family);
        concerned.then_some(what)
    }));
    judgement.findings.push(finding(
        "reach.pmtu-blackhole",
        addresses,
        format!(
            "packets of full size to or from {} vanish: silence at the default segment size, an answer with {SMALL_SEGMENT}-byte segments", quoted(holes.iter().map(|address| address.seen.address))
        ),
        support.collect(),
        format!("let {through}; until then clamp: `nft add rule inet filter forward tcp flags syn tcp option maxseg size set {SMALL_SEGMENT}`"),
    ));
}

/// Both halves of the proof.
fn pair(address: &AddressView<'_>, port: &PortObservation) -> Vec<Evidence> {
    let halves = [
        ("an ordinary request", &port.talks, &port.small_talks),
        (
            "a request larger than one packet",
            &port.large,
            &port.small_large,
        ),
    ];
    let mut support = Vec::new();
    for (what, ordinary, small) in halves {
        let silent = ordinary.iter().find(|talk| talk.stalled().is_some());
        let complete = small.iter().find(|talk| talk.complete());
        if let (Some(silent), Some(complete), false) =
            (silent, complete, ordinary.iter().any(Talk::complete))
        {
            let to = format!("{} port {}", address.seen.label(), port.port);
            support.push(evidence(
                format!(
                    "sent {what} to {to} at the default segment size, {}",
                    count(u64::try_from(ordinary.len()).unwrap_or(u64::MAX), "time")
                ),
                format!(
                    "{} each time",
                    TalkError::Stalled {
                        received: silent.stalled().unwrap_or(0)
                    }
                ),
                silent.at,
            ));
            support.push(evidence(
                format!("sent {what} to {to} with TCP_MAXSEG {SMALL_SEGMENT}"),
                "answered in full",
                complete.at,
            ));
        }
    }
    support
}

/// Handshakes that nobody answers, over one family or both.
fn stall(view: &View<'_>, judgement: &mut Judgement) {
    let mut silent: BTreeMap<u16, Vec<&AddressView<'_>>> = BTreeMap::new();
    for address in view.addresses.iter().filter(|address| address.sound()) {
        for port in address.seen.ports.iter().filter(|port| mute(port)) {
            silent.entry(port.port).or_default().push(address);
        }
    }
    let Some(first) = silent.keys().next() else {
        return;
    };
    let mut support = Vec::new();
    let mut families = BTreeSet::new();
    for (port, addresses) in &silent {
        for address in addresses {
            families.insert(address.family);
            support.extend(
                address
                    .seen
                    .port(*port)
                    .into_iter()
                    .flat_map(|port| handshakes(address, port)),
            );
        }
        // One that was answered, on the same port, shows that it is not the port.
        let answered = view.addresses.iter().find_map(|address| {
            let seen = address.seen.port(*port)?;
            seen.tls()?;
            handshakes(address, seen).pop()
        });
        support.extend(answered);
    }
    let places = silent.iter().map(|(port, addresses)| {
        let addresses = addresses.iter().map(|address| address.seen.address);
        format!("{} on port {port}", quoted(addresses))
    });
    let places: Vec<String> = places.collect();
    let one = silent.values().map(Vec::len).sum::<usize>() == 1;
    let message = format!(
        "{} {} connections, but the TLS handshake is never answered{}: a device in between, or a dead backend behind the listener",
        list(places),
        if one { "accepts" } else { "accept" },
        if families.len() == 2 {
            ", over IPv6 and IPv4 alike"
        } else {
            ""
        },
    );
    let (capture, pool) = match (families.contains(&Family::V6), families.len()) {
        (_, 2) => ("", ""),
        (true, _) => ("ip6 and ", "IPv6 "),
        (false, _) => ("ip and ", "IPv4 "),
    };
    let hint = format!(
        "on the server look whether the handshake arrives (`tcpdump -ni any '{capture}tcp port {first}'`), then whether the balancer's {pool}pool has living backends"
    );
    let subjects = silent.iter().flat_map(|(port, addresses)| {
        addresses
            .iter()
            .map(move |address| format!("{} port {port}", address.seen.address))
    });
    judgement
        .findings
        .push(finding("tls.stall", list(subjects), message, support, hint));
}

/// Whether every handshake on this port met silence.
pub(super) fn mute(port: &PortObservation) -> bool {
    unfinished(port).is_some_and(|error| matches!(error, TalkError::Stalled { .. }))
}

/// Why no handshake on this port was finished, if one was tried and none was.
pub(super) fn unfinished(port: &PortObservation) -> Option<&TalkError> {
    if port.tls().is_some() {
        return None;
    }
    port.talk()?.tls.as_ref()?.outcome.as_ref().err()
}

pub(super) fn handshakes(address: &AddressView<'_>, port: &PortObservation) -> Vec<Evidence> {
    let talks = port.talks.iter().chain(&port.small_talks);
    let lines = talks.filter_map(|talk| {
        let step = talk.tls.as_ref()?;
        let size = talk
            .segment
            .map_or_else(String::new, |size| format!(" with TCP_MAXSEG {size}"));
        let saw = match &step.outcome {
            Ok(session) => format!("{} after {}", session.version, span(step.took)),
            Err(error) => format!("{error} after {}", span(step.took)),
        };
        Some(evidence(
            format!(
                "sent a ClientHello to {} port {}{size}",
                address.seen.label(),
                port.port
            ),
            saw,
            step.at,
        ))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use crate::path::observation::{BodyEnd, TalkError};
    use crate::path::rule::fixture::{codes, healthy, silent_body, silent_handshake, small};

    const STALLED: TalkError = TalkError::Stalled { received: 0 };

    #[test]
    fn silence_at_default_and_success_with_small_segments_is_a_black_hole() {
        for talk in [silent_body(), silent_handshake()] {
            let mut scene = healthy();
            for address in ["2e00:5::80", "2e00:5::81"] {
                let port = scene.port(address, 443);
                let small = small(port);
                port.talks = vec![talk.clone(), talk.clone(), talk.clone()];
                port.small_talks = vec![small];
            }
            assert_eq!(codes(&scene), ["reach.pmtu-blackhole"]);
        }
    }

    #[test]
    fn silence_on_large_requests_alone_is_a_black_hole_too() {
        let mut scene = healthy();
        let port = scene.port("2e00:5::80", 80);
        port.small_large = vec![small(port)];
        port.large = vec![silent_body(), silent_body()];
        assert_eq!(codes(&scene), ["reach.pmtu-blackhole"]);
    }

    #[test]
    fn a_black_hole_does_not_hide_what_the_handshake_showed() {
        let mut scene = healthy();
        for address in ["2e00:5::80", "2e00:5::81"] {
            let port = scene.port(address, 443);
            let mut small = small(port);
            if let Some(Ok(session)) = small.tls.as_mut().map(|step| &mut step.outcome) {
                session.leaf.covers = false;
            }
            port.talks = vec![silent_handshake(), silent_handshake()];
            port.small_talks = vec![small];
        }
        assert_eq!(codes(&scene), ["reach.pmtu-blackhole", "tls.cert-mismatch"]);
    }

    #[test]
    fn one_silent_connection_of_several_is_loss_not_a_black_hole() {
        let mut scene = healthy();
        let port = scene.port("2e00:5::80", 443);
        let good = port.talks[0].clone();
        port.small_talks = vec![small(port)];
        port.talks = vec![silent_body(), good];
        assert_eq!(codes(&scene), [""; 0]);
    }

    #[test]
    fn a_server_that_answers_after_three_seconds_is_no_black_hole() {
        let mut scene = healthy();
        for address in ["2e00:5::80", "2e00:5::81"] {
            let port = scene.port(address, 443);
            // Later attempts, started on suspicion, got through as well.
            port.small_talks = vec![small(port)];
            port.talks[0].answer.as_mut().unwrap().took = std::time::Duration::from_secs(3);
        }
        assert_eq!(codes(&scene), [""; 0]);
    }

    #[test]
    fn a_server_that_refuses_large_requests_is_no_black_hole() {
        let mut scene = healthy();
        let port = scene.port("2e00:5::80", 80);
        let mut refused = silent_body();
        refused.answer.as_mut().unwrap().outcome = Err(TalkError::Reset);
        port.large = vec![refused.clone(), refused];
        port.small_large = vec![small(port)];
        assert_eq!(codes(&scene), [""; 0]);
    }

    #[test]
    fn a_handshake_silent_at_every_segment_size_is_a_stall() {
        let mut scene = healthy();
        for address in ["2e00:5::80", "2e00:5::81"] {
            let port = scene.port(address, 443);
            port.talks = vec![silent_handshake(), silent_handshake()];
            port.small_talks = vec![silent_handshake()];
        }
        assert_eq!(codes(&scene), ["tls.stall"]);
    }

    #[test]
    fn a_handshake_silent_on_v4_only_is_a_stall_too() {
        let mut scene = healthy();
        for address in ["198.51.100.80", "198.51.100.81"] {
            let port = scene.port(address, 443);
            port.talks = vec![silent_handshake(), silent_handshake()];
            port.small_talks = vec![silent_handshake()];
        }
        assert_eq!(codes(&scene), ["tls.stall"]);
    }

    #[test]
    fn a_handshake_silent_over_both_families_names_both() {
        let mut scene = healthy();
        for address in ["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"] {
            let port = scene.port(address, 443);
            port.talks = vec![silent_handshake(), silent_handshake()];
            port.small_talks = vec![silent_handshake()];
        }
        assert_eq!(codes(&scene), ["tls.stall"]);
        let found = &scene.findings()[0];
        assert!(
            found.message.contains("IPv6 and IPv4 alike"),
            "{}",
            found.message
        );
        assert!(
            !found.hint.contains("IPv6") && !found.hint.contains("ip6"),
            "{}",
            found.hint
        );
    }

    #[test]
    fn a_black_hole_over_both_families_names_both_messages_that_get_lost() {
        let mut scene = healthy();
        for address in ["2e00:5::80", "198.51.100.80"] {
            let port = scene.port(address, 443);
            let small = small(port);
            port.talks = vec![silent_body(), silent_body()];
            port.small_talks = vec![small];
        }
        assert_eq!(codes(&scene), ["reach.pmtu-blackhole"]);
        let hint = &scene.findings()[0].hint;
        assert!(
            hint.contains("ICMPv6 type 2") && hint.contains("ICMP type 3"),
            "{hint}"
        );
    }

    #[test]
    fn a_response_that_breaks_off_after_the_handshake_is_no_stall() {
        let mut scene = healthy();
        let page = scene.page("2e00:5::80", 443);
        page.end = BodyEnd::Broken(STALLED);
        assert!(!codes(&scene).contains(&"tls.stall".to_owned()));
    }
}
