use super::*;
use crate::emulator::packet::Packet;
use crate::emulator::testing::{self, Protocol as Kind, address, packet, super_frame, whole};
use crate::world::model::FilterAction::{Accept, Drop, Reset, SwallowPacketTooBig};
use crate::world::model::FilterDirection::{Both, In, Out};

const V4: (&str, &str) = ("192.0.2.10", "198.51.100.80");
const V6: (&str, &str) = ("2e00:c::10", "2e00:5::80");

fn filter(change: impl FnOnce(&mut Filter)) -> Filter {
    let mut filter = testing::filter(0, Both, Drop);
    change(&mut filter);
    filter
}

fn judge(filters: &[Filter], packet: &Packet) -> Verdict {
    Filters::new(filters, |_| true).judge(packet, Out)
}

/// Whether a dropping filter takes a packet on its way out.
fn takes(
    change: impl FnOnce(&mut Filter),
    (source, destination): (&str, &str),
    kind: Kind,
) -> bool {
    let packet = whole(&packet(source, destination, kind, [40_000, 443], &[7; 100]));
    match judge(&[filter(change)], &packet) {
        Verdict::Take(0, Drop) => true,
        Verdict::Pass => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_condition_counts() {
    let prefix = |text, length| Prefix {
        address: address(text),
        length,
    };
    assert!(takes(|_| {}, V6, Kind::Tcp));
    assert!(takes(|filter| filter.direction = Out, V6, Kind::Tcp));
    assert!(!takes(|filter| filter.direction = In, V6, Kind::Tcp));
    assert!(takes(
        |filter| filter.family = Some(Family::V6),
        V6,
        Kind::Tcp
    ));
    assert!(!takes(
        |filter| filter.family = Some(Family::V6),
        V4,
        Kind::Tcp
    ));
    assert!(takes(
        |filter| filter.protocol = Some(Protocol::Udp),
        V4,
        Kind::Udp
    ));
    assert!(!takes(
        |filter| filter.protocol = Some(Protocol::Udp),
        V4,
        Kind::Tcp
    ));
    assert!(takes(
        |filter| filter.protocol = Some(Protocol::Icmp),
        V4,
        Kind::Echo
    ));
    assert!(takes(
        |filter| filter.protocol = Some(Protocol::Echo),
        V6,
        Kind::Echo
    ));
    assert!(!takes(
        |filter| filter.protocol = Some(Protocol::Echo),
        V6,
        Kind::Udp
    ));
    assert!(takes(|filter| filter.to_port = Some(443), V6, Kind::Tcp));
    assert!(takes(|filter| filter.to_port = Some(443), V6, Kind::Udp));
    assert!(!takes(|filter| filter.to_port = Some(80), V6, Kind::Tcp));
    assert!(!takes(|filter| filter.to_port = Some(443), V6, Kind::Echo));
    assert!(takes(
        |filter| filter.from_port = Some(40_000),
        V6,
        Kind::Tcp
    ));
    assert!(!takes(|filter| filter.from_port = Some(443), V6, Kind::Tcp));
    assert!(takes(
        |filter| filter.from = vec![prefix("2e00:c::", 64)],
        V6,
        Kind::Tcp
    ));
    assert!(!takes(
        |filter| filter.from = vec![prefix("2e00:5::", 64)],
        V6,
        Kind::Tcp
    ));
    assert!(takes(
        |filter| filter.to = vec![prefix("2e00:9::", 64), prefix("2e00:5::80", 128)],
        V6,
        Kind::Tcp
    ));
    assert!(!takes(
        |filter| filter.to = vec![prefix("2e00:5::81", 128)],
        V6,
        Kind::Tcp
    ));
    // 40 bytes of IP, 8 of UDP, 100 of payload.
    assert!(takes(
        |filter| filter.larger_than = Some(147),
        V6,
        Kind::Udp
    ));
    assert!(!takes(
        |filter| filter.larger_than = Some(148),
        V6,
        Kind::Udp
    ));
    assert!(!takes(|filter| filter.fragments = true, V6, Kind::Udp));
}

#[test]
fn fragments_match_without_their_ports() {
    let mut data = packet(V4.0, V4.1, Kind::Udp, [40_000, 443], &[7; 100]);
    data[21] = 9;
    let later = whole(&data);
    assert_eq!(
        judge(&[filter(|filter| filter.fragments = true)], &later),
        Verdict::Take(0, Drop)
    );
    assert_eq!(
        judge(&[filter(|filter| filter.to_port = Some(443))], &later),
        Verdict::Pass
    );
}

#[test]
fn the_first_match_decides_and_keeps_its_number() {
    let filters = [
        filter(|filter| filter.to_port = Some(25)),
        filter(|filter| {
            filter.to_port = Some(80);
            filter.action = Accept;
        }),
        filter(|filter| filter.action = Reset),
    ];
    let to = |port| whole(&packet(V6.0, V6.1, Kind::Tcp, [1, port], b""));
    assert_eq!(judge(&filters, &to(25)), Verdict::Take(0, Drop));
    assert_eq!(judge(&filters, &to(80)), Verdict::Pass);
    assert_eq!(judge(&filters, &to(443)), Verdict::Take(2, Reset));
    let elsewhere = Filters::new(&filters, |_| false);
    assert_eq!(elsewhere.judge(&to(443), Out), Verdict::Pass);
}

#[test]
fn segments_are_judged_by_their_real_sizes() {
    let data = packet(V6.0, V6.1, Kind::Tcp, [1, 443], &[7; 3000]);
    // Segments of 1500, 1500 and 180 bytes.
    let uneven = super_frame(&data, Some(1440));
    let larger_than = |most| [filter(|filter| filter.larger_than = Some(most))];
    assert_eq!(judge(&larger_than(1500), &uneven), Verdict::Pass);
    assert_eq!(judge(&larger_than(1400), &uneven), Verdict::Cut);
    assert_eq!(judge(&larger_than(100), &uneven), Verdict::Take(0, Drop));
    // Two segments of 1560 bytes.
    let even = super_frame(&data, Some(1500));
    assert_eq!(judge(&larger_than(1500), &even), Verdict::Take(0, Drop));
}

#[test]
fn swallowing_minds_only_packet_too_big_whatever_ports_it_names() {
    let mut too_big = packet(V6.0, V6.1, Kind::Echo, [1, 0], b"");
    too_big[54] = 2;
    let mut needed = packet(V4.0, V4.1, Kind::Echo, [1, 0], b"");
    (needed[34], needed[35]) = (3, 4);
    let swallow = [filter(|filter| {
        filter.action = SwallowPacketTooBig;
        filter.protocol = Some(Protocol::Tcp);
        filter.to_port = Some(443);
    })];
    for data in [&too_big, &needed] {
        assert_eq!(
            judge(&swallow, &whole(data)),
            Verdict::Take(0, SwallowPacketTooBig)
        );
    }
    needed[35] = 3;
    assert_eq!(judge(&swallow, &whole(&needed)), Verdict::Pass);
    let only_v4 = [filter(|filter| {
        filter.action = SwallowPacketTooBig;
        filter.family = Some(Family::V4);
    })];
    assert_eq!(judge(&only_v4, &whole(&too_big)), Verdict::Pass);
}

#[test]
fn of_a_routers_own_messages_only_packet_too_big_is_swallowed() {
    let mut message = packet(V6.0, V6.1, Kind::Echo, [1, 0], b"");
    message[54] = 2;
    let swallow = filter(|filter| {
        filter.action = SwallowPacketTooBig;
        filter.direction = Out;
    });
    let all = Filters::new(&[filter(|_| {}), swallow], |_| true);
    assert_eq!(all.swallows_own(&whole(&message), Out), Some(1));
    assert_eq!(all.swallows_own(&whole(&message), In), None);
    message[54] = 3;
    assert_eq!(all.swallows_own(&whole(&message), Out), None);
}
