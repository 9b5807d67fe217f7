//! Translation as hosts at both ends see it.

mod errors;
mod fragments;

use super::*;
use crate::emulator::bytes::{u16_at, u32_at};
use crate::emulator::frame::{ETHERNET, SegmentKind};
use crate::emulator::testing::{
    Net, PHONE, Protocol, WWW, address, is_sound, packet, payload, super_frame, whole,
    with_dont_fragment,
};
use crate::world::model::World;
use proptest::prelude::*;

const PHONE_ADDRESS: &str = "2e00:d::20";
/// `www` as the phone sees it: 198.51.100.80.
const WWW_INSIDE: &str = "64:ff9b::c633:6450";
const WWW_OUTSIDE: &str = "198.51.100.80";
const TRANSLATOR: &str = "203.0.113.64";

fn net() -> Net {
    Net::new(|_| {})
}

/// Opens a binding for the phone's UDP or TCP port 40000, or echo identifier.
fn open(net: &mut Net, kind: Protocol) {
    let arrival = net.exchange(
        PHONE,
        &packet(PHONE_ADDRESS, WWW_INSIDE, kind, [40_000, 443], b""),
    );
    assert_eq!(arrival.host, WWW);
}

proptest! {
    #[test]
    fn a_question_goes_out_and_its_answer_comes_back(
        kind in prop::sample::select(vec![Protocol::Tcp, Protocol::Udp, Protocol::Echo]),
        ports: [u16; 2],
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        unfinished: bool,
    ) {
        let mut net = net();
        let data = packet(PHONE_ADDRESS, WWW_INSIDE, kind, ports, &bytes);
        let unfinished = unfinished && kind != Protocol::Echo;
        let question = if unfinished { super_frame(&data, None) } else { whole(&data) };
        net.send_packet(PHONE, question);
        let mut out = net.arrival();
        prop_assert_eq!(out.packet.frame.offload.checksum.is_some(), unfinished);
        prop_assert!(is_sound(&mut out.packet));
        prop_assert_eq!(out.host, WWW);
        prop_assert_eq!(out.ends(), (TRANSLATOR.to_owned(), WWW_OUTSIDE.to_owned()));
        prop_assert_eq!(payload(&out.packet), &bytes[..]);
        let ports_back = if kind == Protocol::Echo {
            prop_assert_eq!(out.packet.headers.icmp, Some((8, 0)));
            [out.packet.headers.echo_id.unwrap(), 0]
        } else {
            let (from, to) = out.packet.headers.ports.unwrap();
            prop_assert_eq!(to, ports[1]);
            [to, from]
        };
        let data = packet(WWW_OUTSIDE, TRANSLATOR, kind, ports_back, &bytes);
        net.send_packet(WWW, if unfinished { super_frame(&data, None) } else { whole(&data) });
        let mut answer = net.arrival();
        prop_assert!(is_sound(&mut answer.packet));
        prop_assert_eq!(answer.host, PHONE);
        prop_assert_eq!(answer.ends(), (WWW_INSIDE.to_owned(), PHONE_ADDRESS.to_owned()));
        prop_assert_eq!(payload(&answer.packet), &bytes[..]);
        if kind == Protocol::Echo {
            prop_assert_eq!(answer.packet.headers.echo_id, Some(ports[0]));
        } else {
            prop_assert_eq!(answer.packet.headers.ports, Some((ports[1], ports[0])));
        }
    }
}

#[test]
fn two_hops_are_counted_and_the_path_can_be_traced() {
    let mut net = net();
    let data = packet(PHONE_ADDRESS, WWW_INSIDE, Protocol::Udp, [1, 2], b"");
    assert_eq!(net.exchange(PHONE, &data).packet.hops(), 62);
    let mut last = data.clone();
    last[21] = 2;
    let error = net.exchange(PHONE, &last);
    assert_eq!(
        (error.host, error.packet.headers.icmp),
        (PHONE, Some((3, 0)))
    );
    // 198.51.100.1, the service's router.
    assert_eq!(error.packet.headers.source, address("64:ff9b::c633:6401"));
}

#[test]
fn super_frames_pass_whole_both_ways() {
    let mut net = net();
    let data = packet(
        PHONE_ADDRESS,
        WWW_INSIDE,
        Protocol::Tcp,
        [40_000, 443],
        &vec![7; 20_000],
    );
    net.send_packet(PHONE, super_frame(&data, Some(1440)));
    let out = net.arrival();
    assert!(is_super(&out.packet, SegmentKind::TcpV4));
    assert_eq!(out.packet.headers.size, 1480);
    let port = out.packet.headers.ports.unwrap().0;
    let data = packet(
        WWW_OUTSIDE,
        TRANSLATOR,
        Protocol::Tcp,
        [443, port],
        &vec![7; 20_000],
    );
    let data = with_dont_fragment(data, true);
    net.send_packet(WWW, super_frame(&data, Some(1440)));
    let back = net.arrival();
    assert!(is_super(&back.packet, SegmentKind::TcpV6));
    assert_eq!(
        (back.packet.headers.size, payload(&back.packet).len()),
        (1500, 20_000)
    );
    assert_eq!(
        usize::from(back.packet.frame.offload.checksum.unwrap().start),
        back.packet.headers.transport
    );
}

fn is_super(packet: &Packet, kind: SegmentKind) -> bool {
    packet
        .frame
        .offload
        .segments
        .is_some_and(|segments| segments.kind == kind)
}

#[test]
fn hosts_that_use_the_same_port_get_different_ones() {
    let mut translator = Translator::new(Nat64 {
        prefix: "64:ff9b::".parse().unwrap(),
        address: TRANSLATOR.parse().unwrap(),
    });
    let mut port = |last: u16, number| {
        let source = format!("2e00:d::{last:x}");
        let packet = whole(&packet(
            &source,
            WWW_INSIDE,
            Protocol::Udp,
            [number, 53],
            b"",
        ));
        translator
            .outward(packet, false, Duration::ZERO)
            .unwrap()
            .headers
            .ports
            .unwrap()
            .0
    };
    assert_eq!(port(1, 40_000), 40_000);
    assert_eq!(port(2, 40_000), 40_001);
    assert_eq!(port(2, 40_001), 40_002);
    assert_eq!(port(1, 40_000), 40_000);
    assert_eq!(port(2, 40_000), 40_001);
    assert_eq!(port(3, 53), 1024);
    assert_eq!(port(3, 65_535), 65_535);
    assert_eq!(port(4, 65_535), 1025);
}

#[test]
fn strangers_without_a_binding_are_dropped() {
    let mut net = net();
    net.send(
        WWW,
        &packet(WWW_OUTSIDE, TRANSLATOR, Protocol::Udp, [443, 40_000], b""),
    );
    assert!(net.arrivals().is_empty());
    assert_eq!(net.board.stats().undeliverable, 1);
}

#[test]
fn a_datagram_without_a_checksum_gets_one() {
    let mut net = net();
    open(&mut net, Protocol::Udp);
    let mut data = packet(
        WWW_OUTSIDE,
        TRANSLATOR,
        Protocol::Udp,
        [443, 40_000],
        b"answer",
    );
    data[40..42].fill(0);
    let mut answer = net.exchange(WWW, &data);
    assert!(is_sound(&mut answer.packet));
    assert_ne!(
        u16_at(
            &answer.packet.frame.data,
            answer.packet.headers.transport + 6
        ),
        Some(0)
    );
}

#[test]
fn filters_see_what_the_host_sees() {
    use crate::emulator::testing::filter;
    use crate::world::model::FilterAction::Drop;
    use crate::world::model::FilterDirection::{In, Out};

    for (way, family, expected) in [
        (Out, Family::V6, 0),
        (Out, Family::V4, 1),
        (In, Family::V6, 0),
        (In, Family::V4, 1),
    ] {
        let mut net = net();
        open(&mut net, Protocol::Udp);
        let mut filter = filter(2, way, Drop);
        filter.family = Some(family);
        net.board.set_filters(&[filter]);
        if way == Out {
            net.send(
                PHONE,
                &packet(PHONE_ADDRESS, WWW_INSIDE, Protocol::Udp, [40_000, 443], b""),
            );
        } else {
            net.send(
                WWW,
                &packet(WWW_OUTSIDE, TRANSLATOR, Protocol::Udp, [443, 40_000], b""),
            );
        }
        assert_eq!(net.arrivals().len(), expected, "{way:?} {family:?}");
    }
}

#[test]
fn an_answer_that_comes_after_the_binding_ended_is_dropped() {
    let mut net = net();
    open(&mut net, Protocol::Udp);
    let answer = packet(WWW_OUTSIDE, TRANSLATOR, Protocol::Udp, [443, 40_000], b"");
    net.now += Duration::from_secs(299);
    assert_eq!(net.exchange(WWW, &answer).host, PHONE);
    net.now += Duration::from_secs(301);
    net.send(WWW, &answer);
    assert!(net.arrivals().is_empty());
    assert_eq!(net.board.stats().undeliverable, 1);
}

#[test]
fn the_signs_of_tcp_are_read() {
    for (flags, expected) in [
        (0x02, Sign::Opening),
        (0x12, Sign::Opening),
        (0x10, Sign::Other),
        (0x11, Sign::Closing),
        (0x04, Sign::Closing),
    ] {
        let mut data = packet(PHONE_ADDRESS, WWW_INSIDE, Protocol::Tcp, [1, 2], b"");
        data[ETHERNET + 40 + 13] = flags;
        assert_eq!(sign(&whole(&data)), expected, "{flags:#x}");
    }
    let udp = packet(
        PHONE_ADDRESS,
        WWW_INSIDE,
        Protocol::Udp,
        [1, 2],
        &[0xff; 20],
    );
    assert_eq!(sign(&whole(&udp)), Sign::Other);
}
