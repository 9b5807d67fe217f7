//! IPv6 works, but worse: `reach.icmpv6-filtered`, `fragment-or-eh-drop`, `quic-v6-blocked`, `path-gap`.

use super::view::{AddressView, View};
use super::{Judgement, evidence};
use crate::codes::finding;
use crate::path::Family;
use crate::path::observation::{QuicFailure, Series};
use crate::path::words::{list, percent, quoted, span};
use std::time::Duration;
use twinstack_finding::Evidence;

/// IPv6 may take this much longer than IPv4 before it is a gap, and it must also be more than [`FACTOR`] times.
const GAP: Duration = Duration::from_millis(50);
const FACTOR: u32 = 2;

/// Loss that counts: this share, at least this many, and this many times as much as on IPv4. Of 80 connections over a
/// path that loses 0.5 % each way, seven are lost once in 60,000 runs; at 10 % each way fewer than seven once in 200, at
/// 20 % each way once in millions.
const LOSS: f64 = 0.05;
const LOST: u32 = 7;
const TIMES: f64 = 3.0;

/// The silence of all fragmented echoes must be this unlikely to be the path's ordinary loss.
const CHANCE: f64 = 1e-4;

pub(super) fn judge(view: &View<'_>, judgement: &mut Judgement) {
    icmp_filtered(view, judgement);
    fragments(view, judgement);
    quic(view, judgement);
    gap(view, judgement);
}

fn echoes<'a>(address: &'a AddressView<'_>) -> Option<&'a Series> {
    address
        .seen
        .echo
        .as_ref()
        .ok()
        .filter(|series| series.sent > 0)
}

fn icmp_filtered(view: &View<'_>, judgement: &mut Judgement) {
    let answered =
        |address: &&AddressView<'_>| echoes(address).is_some_and(|series| series.answered() > 0);
    let Some(v4) = view.of(Family::V4).find(answered) else {
        return;
    };
    let mute: Vec<_> = view
        .of(Family::V6)
        .filter(|address| {
            address.sound() && echoes(address).is_some_and(|series| series.answered() == 0)
        })
        .collect();
    if mute.is_empty() {
        return;
    }
    let addresses = list(mute.iter().map(|address| address.seen.address));
    let support = mute
        .iter()
        .chain([&v4])
        .filter_map(|address| echo_line(address))
        .collect();
    judgement.findings.push(finding(
        "reach.icmpv6-filtered",
        addresses,
        format!("{} answers TCP but no ICMPv6 echo, while IPv4 answers ICMP: whoever filters echo often filters Packet Too Big as well", quoted(mute.iter().map(|address| address.seen.address))),
        support,
        "allow at least the types of RFC 4890: `nft add rule inet filter input icmpv6 type { echo-request, packet-too-big, destination-unreachable, time-exceeded, parameter-problem } accept`",
    ));
}

fn echo_line(address: &AddressView<'_>) -> Option<Evidence> {
    let series = echoes(address)?;
    let saw = match series.median() {
        Some(median) => format!("{} answers, median {}", series.answered(), span(median)),
        None => "no answer".to_owned(),
    };
    Some(evidence(
        format!(
            "sent {} echo requests to {}",
            series.sent,
            address.seen.label()
        ),
        saw,
        series.at,
    ))
}

fn fragments(view: &View<'_>, judgement: &mut Judgement) {
    let fragmented =
        |address: &AddressView<'_>| address.seen.fragmented.as_ref().map(Series::answered);
    let Some(v4) = view
        .of(Family::V4)
        .find(|address| fragmented(address).is_some_and(|count| count > 0))
    else {
        return;
    };
    let dropped: Vec<_> = view
        .of(Family::V6)
        .filter(|address| {
            address.sound()
                && address
                    .seen
                    .fragmented
                    .as_ref()
                    .is_some_and(|large| vanish(address, large))
        })
        .collect();
    if dropped.is_empty() {
        return;
    }
    let addresses = list(dropped.iter().map(|address| address.seen.address));
    let line = |address: &&AddressView<'_>| {
        let large = address.seen.fragmented.as_ref()?;
        let saw = if large.answered() > 0 {
            "answered"
        } else {
            "no answer"
        };
        let did = format!(
            "sent {} echo requests of 2000 bytes in fragments to {}",
            large.sent,
            address.seen.label()
        );
        Some(evidence(did, saw, large.at))
    };
    let mut support: Vec<Evidence> = dropped
        .iter()
        .filter_map(|address| echo_line(address))
        .collect();
    support.extend(dropped.iter().chain([&v4]).filter_map(line));
    judgement.findings.push(finding(
        "reach.fragment-or-eh-drop",
        addresses,
        format!("{} answers small ICMPv6 echoes and no fragmented ones, while IPv4 fragments pass: fragments or extension headers are dropped on the way", quoted(dropped.iter().map(|address| address.seen.address))),
        support,
        "allow IPv6 fragments (next header 44) at the firewall (`nft add rule inet filter forward exthdr frag exists accept`), and keep UDP answers below 1232 bytes (BIND: `max-udp-size 1232;`)",
    ));
}

/// Whether large echoes vanish more often than the path's ordinary loss can explain.
fn vanish(address: &AddressView<'_>, large: &Series) -> bool {
    let Some(small) = echoes(address).filter(|small| small.answered() > 0) else {
        return false;
    };
    // Two fragments each way: either one lost is enough.
    let passes = (1.0 - small.loss()).powi(2);
    let count = i32::try_from(large.sent).unwrap_or(i32::MAX);
    large.sent > 0 && large.answered() == 0 && (1.0 - passes).powi(count) < CHANCE
}

fn quic(view: &View<'_>, judgement: &mut Judgement) {
    if view.excuses.quic.contains(&Family::V6) {
        return;
    }
    let works = |address: &&AddressView<'_>| {
        address
            .seen
            .quic
            .as_ref()
            .is_some_and(|step| step.outcome.is_ok())
    };
    let Some(v4) = view.of(Family::V4).find(works) else {
        return;
    };
    let failed = |address: &AddressView<'_>| {
        let step = address.seen.quic.as_ref()?;
        let error = step.outcome.as_ref().err()?;
        (*error != QuicFailure::GivenUp).then(|| (step.at, step.took, error.to_string()))
    };
    let over_tcp = |address: &AddressView<'_>| {
        address
            .seen
            .port(443)
            .is_some_and(|port| port.tls().is_some())
    };
    let blocked: Vec<_> = view
        .of(Family::V6)
        .filter(|address| address.sound() && over_tcp(address))
        .filter_map(|address| Some((address, failed(address)?)))
        .collect();
    if blocked.is_empty() {
        return;
    }
    let addresses = list(blocked.iter().map(|(address, _)| address.seen.address));
    let mut support: Vec<Evidence> = blocked
        .iter()
        .map(|(address, (at, took, error))| {
            let did = format!(
                "QUIC handshake (ALPN h3) with {} port 443",
                address.seen.label()
            );
            evidence(did, format!("{error} after {}", span(*took)), *at)
        })
        .collect();
    if let Some(step) = &v4.seen.quic {
        let did = format!("QUIC handshake (ALPN h3) with {} port 443", v4.seen.label());
        support.push(evidence(
            did,
            format!("finished after {}", span(step.took)),
            step.at,
        ));
    }
    judgement.findings.push(finding(
        "reach.quic-v6-blocked",
        addresses,
        format!("QUIC works with IPv4 and not with {}, though TCP port 443 is open there", quoted(blocked.iter().map(|(address, _)| address.seen.address))),
        support,
        "allow UDP port 443 in the IPv6 firewall (`nft add rule inet filter input udp dport 443 accept`) and listen on it (`ss -6 -lun 'sport = :443'`); the path must carry 1280-byte packets",
    ));
}

fn gap(view: &View<'_>, judgement: &mut Judgement) {
    let mut subjects = Vec::new();
    let mut first = None;
    let v4: Vec<_> = view
        .of(Family::V4)
        .filter(|address| address.alive())
        .collect();
    for address in view.of(Family::V6).filter(|address| address.alive()) {
        let reason = slower(address, &v4).or_else(|| lossier(address, &v4));
        if let Some(reason) = reason {
            subjects.push(address.seen.address);
            first.get_or_insert(reason);
        }
    }
    let Some(reason) = first else { return };
    let six = view
        .of(Family::V6)
        .filter(|address| subjects.contains(&address.seen.address));
    let support = six
        .chain(v4.iter().copied())
        .flat_map(series_lines)
        .collect();
    judgement.findings.push(finding(
        "reach.path-gap",
        list(&subjects),
        format!("the IPv6 path to {} is worse than the IPv4 path: {reason}", quoted(&subjects)),
        support,
        format!("compare the paths hop by hop (`mtr -6 {0}`, `mtr -4 {0}`) and ask the provider about IPv6 transit or a tunnel on the way", view.plan.host),
    ));
}

/// The round trip to an address: of echoes, or of connections where echoes say nothing.
fn round_trip(address: &AddressView<'_>) -> Option<Duration> {
    echoes(address)
        .and_then(Series::median)
        .or_else(|| address.seen.connects.as_ref()?.median())
}

/// The quickest connection: an echo may be treated worse than what users send.
fn quickest_connect(address: &AddressView<'_>) -> Option<Duration> {
    let ports = address
        .seen
        .ports
        .iter()
        .filter(|port| port.connect.outcome.is_ok());
    let series = address
        .seen
        .connects
        .iter()
        .flat_map(|series| series.round_trips.iter().copied());
    ports.map(|port| port.connect.took).chain(series).min()
}

fn slower(address: &AddressView<'_>, v4: &[&AddressView<'_>]) -> Option<String> {
    let over = |v6: Duration, v4: Duration| v6 > v4 + GAP && v6 > v4 * FACTOR;
    let v6_trip = round_trip(address)?;
    // The slowest IPv4 address: the addresses may stand on different continents.
    let v4_trip = v4.iter().filter_map(|address| round_trip(address)).max()?;
    let v6_connect = quickest_connect(address)?;
    let v4_connect = v4
        .iter()
        .filter_map(|address| quickest_connect(address))
        .max()?;
    (over(v6_trip, v4_trip) && over(v6_connect, v4_connect))
        .then(|| format!("round trip {} instead of {}", span(v6_trip), span(v4_trip)))
}

fn lossier(address: &AddressView<'_>, v4: &[&AddressView<'_>]) -> Option<String> {
    let v6 = address.seen.connects.as_ref()?;
    let (mut sent, mut lost) = (0, 0);
    for series in v4
        .iter()
        .filter_map(|address| address.seen.connects.as_ref())
    {
        sent += series.sent;
        lost += series.lost();
    }
    if sent == 0 {
        return None;
    }
    let v4_loss = f64::from(lost) / f64::from(sent);
    let far = v6.loss() >= LOSS && v6.lost() >= LOST && v6.loss() >= TIMES * v4_loss;
    far.then(|| {
        format!(
            "{} of the connections lost a packet, on IPv4 {}",
            percent(v6.loss()),
            percent(v4_loss)
        )
    })
}

fn series_lines(address: &AddressView<'_>) -> Vec<Evidence> {
    let line = |what: &str, lost: &str, series: &Series| {
        let median = series
            .median()
            .map_or_else(String::new, |median| format!(", median {}", span(median)));
        let did = format!("{} {what} {}", series.sent, address.seen.label());
        evidence(did, format!("{} {lost}{median}", series.lost()), series.at)
    };
    let echoes = echoes(address).map(|series| line("echo requests to", "not answered", series));
    let connects = address
        .seen
        .connects
        .as_ref()
        .map(|series| line("TCP connections to", "lost a packet", series));
    echoes.into_iter().chain(connects).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::observation::EchoRefusal;
    use crate::path::rule::fixture::{Scene, codes, healthy, series};

    const V6: [&str; 2] = ["2e00:5::80", "2e00:5::81"];
    const V4: [&str; 2] = ["198.51.100.80", "198.51.100.81"];

    fn with(
        addresses: [&str; 2],
        change: impl Fn(&mut crate::path::observation::AddressObservation),
    ) -> Scene {
        let mut scene = healthy();
        for address in addresses {
            change(scene.address(address));
        }
        scene
    }

    #[test]
    fn silence_of_echo_on_v6_only_is_a_filter() {
        let scene = with(V6, |address| {
            address.echo = Ok(series(24, 24, 14));
            address.fragmented = Some(series(24, 24, 14));
        });
        assert_eq!(codes(&scene), ["reach.icmpv6-filtered"]);
    }

    #[test]
    fn echo_filtered_on_both_families_is_as_meant() {
        let mut scene = with(V6, |address| address.echo = Ok(series(24, 24, 14)));
        for address in V4 {
            scene.address(address).echo = Ok(series(24, 24, 14));
        }
        assert_eq!(codes(&scene), [""; 0]);
    }

    #[test]
    fn without_permission_for_echo_nothing_is_found_and_the_permission_is_named() {
        let mut scene = healthy();
        for address in V6.iter().chain(&V4) {
            scene.address(address).echo = Err(EchoRefusal::NotAllowed);
            scene.address(address).fragmented = None;
        }
        assert_eq!(codes(&scene), [""; 0]);
        assert!(
            scene
                .skipped()
                .iter()
                .any(|skipped| skipped.why.contains("ping_group_range"))
        );
    }

    #[test]
    fn small_echoes_without_fragmented_ones_on_v6_only_is_a_fragment_filter() {
        let scene = with(V6, |address| address.fragmented = Some(series(24, 24, 14)));
        assert_eq!(codes(&scene), ["reach.fragment-or-eh-drop"]);
    }

    #[test]
    fn fragments_filtered_on_both_families_are_no_difference() {
        let mut scene = with(V6, |address| address.fragmented = Some(series(24, 24, 14)));
        for address in V4 {
            scene.address(address).fragmented = Some(series(24, 24, 14));
        }
        assert_eq!(codes(&scene), [""; 0]);
    }

    #[test]
    fn on_a_path_that_loses_most_packets_lost_fragments_prove_nothing() {
        let scene = with(V6, |address| {
            address.echo = Ok(series(24, 16, 14));
            address.fragmented = Some(series(24, 24, 14));
        });
        assert!(!codes(&scene).contains(&"reach.fragment-or-eh-drop".to_owned()));
    }

    #[test]
    fn quic_that_works_on_v4_only_is_blocked() {
        let scene = with(V6, |address| {
            address.quic.as_mut().unwrap().outcome = Err(QuicFailure::TimedOut);
        });
        assert_eq!(codes(&scene), ["reach.quic-v6-blocked"]);
    }

    #[test]
    fn no_quic_anywhere_is_no_difference() {
        let mut scene = with(V6, |address| {
            address.quic.as_mut().unwrap().outcome = Err(QuicFailure::TimedOut);
        });
        for address in V4 {
            scene.address(address).quic.as_mut().unwrap().outcome = Err(QuicFailure::TimedOut);
        }
        assert_eq!(codes(&scene), [""; 0]);
    }

    fn slow(address: &mut crate::path::observation::AddressObservation, millis: u64) {
        address.echo = Ok(series(24, 0, millis));
        for port in &mut address.ports {
            port.connect.took = Duration::from_millis(millis);
        }
    }

    #[test]
    fn much_longer_round_trips_on_v6_are_a_gap() {
        assert_eq!(
            codes(&with(V6, |address| slow(address, 114))),
            ["reach.path-gap"]
        );
    }

    #[test]
    fn forty_milliseconds_more_or_less_than_twice_as_much_is_no_gap() {
        assert_eq!(codes(&with(V6, |address| slow(address, 54))), [""; 0]);
        let mut scene = with(V6, |address| slow(address, 260));
        for address in V4 {
            slow(scene.address(address), 150);
        }
        assert_eq!(codes(&scene), [""; 0]);
    }

    #[test]
    fn slow_echoes_beside_quick_connections_are_no_gap() {
        assert_eq!(
            codes(&with(V6, |address| address.echo = Ok(series(24, 0, 200)))),
            [""; 0]
        );
    }

    fn lossy(scene: &mut Scene, addresses: [&str; 2], lost: u32) {
        for address in addresses {
            scene.address(address).echo = Ok(series(24, 8, 14));
            scene.address(address).connects = Some(series(80, lost, 14));
        }
    }

    #[test]
    fn a_third_of_all_round_trips_lost_on_v6_only_is_a_gap() {
        let mut scene = healthy();
        lossy(&mut scene, V6, 12);
        lossy(&mut scene, V4, 0);
        assert_eq!(codes(&scene), ["reach.path-gap"]);
    }

    #[test]
    fn rare_loss_and_equal_loss_are_no_gap() {
        for (v6, v4) in [(3, 0), (6, 0), (20, 18)] {
            let mut scene = healthy();
            lossy(&mut scene, V6, v6);
            lossy(&mut scene, V4, v4);
            assert_eq!(codes(&scene), [""; 0], "{v6} {v4}");
        }
    }

    #[test]
    fn limited_echoes_without_lost_connections_are_no_gap() {
        let mut scene = with(V6, |address| address.echo = Ok(series(24, 12, 14)));
        for address in V6.iter().chain(&V4) {
            scene.address(address).connects = Some(series(80, 0, 14));
        }
        assert_eq!(codes(&scene), [""; 0]);
    }
}
