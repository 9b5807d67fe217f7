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
fn when_all_ports_are_taken_the_least_used_goes() {
    let mut translator = Translator::new(Nat64 {
        prefix: "64:ff9b::".parse().unwrap(),
        address: TRANSLATOR.parse().unwrap(),
    });
    let inner = |host: u16, port| Inner {
        kind: Kind::Udp,
        address: Ipv6Addr::new(0x2e00, 0xd, 0, 0, 0, 0, 0, host),
        port,
    };
    for port in FIRST_PORT..=u16::MAX {
        let at = Duration::from_secs(if port == 5000 { 1 } else { 2 });
        assert_eq!(translator.bind(inner(1, port), at), Some(port));
    }
    assert_eq!(
        translator.bind(inner(2, 7000), Duration::from_secs(3)),
        Some(5000)
    );
    assert_eq!(translator.ports.get(&inner(1, 5000)), None);
    assert_eq!(translator.ports.len(), translator.hosts.len());
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
fn small_packets_may_be_fragmented_and_large_ones_not() {
    for (length, expected) in [(1260 - 28, false), (1261 - 28, true)] {
        let data = packet(
            PHONE_ADDRESS,
            WWW_INSIDE,
            Protocol::Udp,
            [1, 2],
            &vec![7; length],
        );
        let out = net().exchange(PHONE, &data);
        assert_eq!(out.packet.headers.size, length + 28);
        assert_eq!(out.packet.dont_fragment(), expected);
    }
}

/// The phone's question, answered by an ICMP error of this kind from a router outside.
fn error_from_outside(kind: [u8; 8]) -> Option<Packet> {
    let mut net = net();
    open(&mut net, Protocol::Udp);
    let quote = packet(
        TRANSLATOR,
        WWW_OUTSIDE,
        Protocol::Udp,
        [40_000, 443],
        b"quote",
    );
    let mut data = packet(
        WWW_OUTSIDE,
        TRANSLATOR,
        Protocol::Echo,
        [0, 0],
        &quote[ETHERNET..],
    );
    data[34..42].copy_from_slice(&kind);
    let mut error = net_error(&mut net, &data)?;
    assert!(is_sound(&mut error));
    assert_eq!(error.headers.source, address(WWW_INSIDE));
    assert_eq!(error.headers.destination, address(PHONE_ADDRESS));
    // It quotes the packet as the phone sent it.
    let mut inner = vec![0; ETHERNET];
    inner.extend_from_slice(payload(&error));
    let quoted = crate::emulator::packet::read_quoted(&inner, Family::V6)?;
    assert_eq!(
        (quoted.source, quoted.destination),
        (address(PHONE_ADDRESS), address(WWW_INSIDE))
    );
    assert_eq!(quoted.ports, Some((40_000, 443)));
    assert!(crate::emulator::checksum::transport_is_valid(
        &inner, &quoted
    ));
    Some(error)
}

fn net_error(net: &mut Net, data: &[u8]) -> Option<Packet> {
    net.send(WWW, data);
    let mut arrivals = net.arrivals();
    assert!(arrivals.len() <= 1);
    Some(arrivals.pop()?.packet)
}

#[test]
fn errors_from_ipv4_are_translated_with_what_they_quote() {
    let check = |kind, code, expected| {
        let error = error_from_outside([kind, code, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            error.and_then(|error| error.headers.icmp),
            expected,
            "{kind}/{code}"
        );
    };
    check(3, 0, Some((1, 0)));
    check(3, 1, Some((1, 0)));
    check(3, 2, Some((4, 1)));
    check(3, 3, Some((1, 4)));
    check(3, 13, Some((1, 1)));
    check(3, 14, None);
    check(4, 0, None);
    check(5, 0, None);
    check(11, 0, Some((3, 0)));
    check(11, 1, Some((3, 1)));
}

#[test]
fn fragmentation_needed_becomes_packet_too_big_with_room_for_the_longer_header() {
    let mtu = |mtu: u16| {
        let [high, low] = mtu.to_be_bytes();
        let error = error_from_outside([3, 4, 0, 0, 0, 0, high, low]).unwrap();
        assert_eq!(error.headers.icmp, Some((2, 0)));
        u32_at(&error.frame.data, error.headers.transport + 4)
    };
    assert_eq!(mtu(1400), Some(1420));
    assert_eq!(mtu(1000), Some(1280));
    assert_eq!(mtu(0), Some(1280));
}

#[test]
fn a_narrow_line_beyond_the_translator_is_reported_in_terms_of_ipv6() {
    let places: [fn(&mut World); 2] = [
        |world| world.networks[2].uplink.up.v4.mtu = Some(1380),
        |world| world.networks[1].uplink.down.v4.mtu = Some(1380),
    ];
    for change in places {
        let mut net = Net::new(change);
        let data = packet(
            PHONE_ADDRESS,
            WWW_INSIDE,
            Protocol::Tcp,
            [40_000, 443],
            &[7; 1440],
        );
        let error = net.exchange(PHONE, &data);
        assert_eq!(
            (error.host, error.packet.headers.icmp),
            (PHONE, Some((2, 0)))
        );
        let at = error.packet.headers.transport;
        assert_eq!(u32_at(&error.packet.frame.data, at + 4), Some(1400));
    }
}

#[test]
fn a_narrow_line_before_the_phone_is_reported_in_terms_of_ipv4() {
    let mut net = Net::new(|world| world.hosts[3].interfaces[0].link.down.v6.mtu = Some(1400));
    open(&mut net, Protocol::Tcp);
    let data = packet(
        WWW_OUTSIDE,
        TRANSLATOR,
        Protocol::Tcp,
        [443, 40_000],
        &[7; 1440],
    );
    let mut error = net.exchange(WWW, &with_dont_fragment(data, true));
    assert!(is_sound(&mut error.packet));
    assert_eq!((error.host, error.packet.headers.icmp), (WWW, Some((3, 4))));
    let at = error.packet.headers.transport;
    assert_eq!(u16_at(&error.packet.frame.data, at + 6), Some(1380));
    let mut quote = vec![0; ETHERNET];
    quote.extend_from_slice(payload(&error.packet));
    let quoted = crate::emulator::packet::read_quoted(&quote, Family::V4).unwrap();
    assert_eq!(
        (quoted.source, quoted.destination),
        (address(WWW_OUTSIDE), address(TRANSLATOR))
    );
    assert_eq!(quoted.ports, Some((443, 40_000)));
}

#[test]
fn a_closed_port_inside_is_reported_outside() {
    let mut net = net();
    open(&mut net, Protocol::Udp);
    let answer = net.exchange(
        WWW,
        &packet(
            WWW_OUTSIDE,
            TRANSLATOR,
            Protocol::Udp,
            [443, 40_000],
            b"late",
        ),
    );
    let mut data = packet(
        PHONE_ADDRESS,
        WWW_INSIDE,
        Protocol::Echo,
        [0, 0],
        &answer.packet.frame.data[ETHERNET..],
    );
    data[54..62].copy_from_slice(&[1, 4, 0, 0, 0, 0, 0, 0]);
    let mut error = net.exchange(PHONE, &data);
    assert!(is_sound(&mut error.packet));
    assert_eq!((error.host, error.packet.headers.icmp), (WWW, Some((3, 3))));
    assert_eq!(
        error.ends(),
        (TRANSLATOR.to_owned(), WWW_OUTSIDE.to_owned())
    );
}

#[test]
fn large_packets_that_may_be_fragmented_are() {
    let mut net = net();
    open(&mut net, Protocol::Udp);
    let data = packet(
        WWW_OUTSIDE,
        TRANSLATOR,
        Protocol::Udp,
        [443, 40_000],
        &[7; 1400],
    );
    net.send(WWW, &with_dont_fragment(data, false));
    let arrivals = net.arrivals();
    let sizes: Vec<_> = arrivals
        .iter()
        .map(|arrival| arrival.packet.headers.size)
        .collect();
    assert_eq!(sizes, [1280, 40 + 8 + 1408 - 1232]);
    assert!(
        arrivals
            .iter()
            .all(|arrival| arrival.packet.headers.fragment.is_some())
    );
}

#[test]
fn fragments_find_their_way_both_ways() {
    let mut net = Net::new(|world| world.networks[1].uplink.up.v4.mtu = Some(600));
    open(&mut net, Protocol::Udp);
    let data = packet(
        WWW_OUTSIDE,
        TRANSLATOR,
        Protocol::Udp,
        [443, 40_000],
        &[7; 1000],
    );
    net.send(WWW, &with_dont_fragment(data, false));
    let inward = net.arrivals();
    assert_eq!(inward.len(), 2);
    assert!(
        inward
            .iter()
            .all(|arrival| arrival.host == PHONE && arrival.packet.headers.fragment.is_some())
    );
    // Out again, as if the phone had sent them.
    let whole_packet = whole(&packet(
        PHONE_ADDRESS,
        WWW_INSIDE,
        Protocol::Udp,
        [40_000, 443],
        &[7; 2000],
    ));
    let mut fragmenter = crate::emulator::fragment::Fragmenter::new(1280, 99);
    let mut pool = crate::emulator::frame::Pool::default();
    while let Some(fragment) = fragmenter.next(&whole_packet, &mut pool) {
        net.send_packet(PHONE, fragment);
    }
    let outward = net.arrivals();
    assert_eq!(outward.len(), 2);
    let offsets: Vec<_> = outward
        .iter()
        .map(|arrival| arrival.packet.headers.fragment.unwrap().offset)
        .collect();
    assert_eq!(offsets, [0, 1232]);
    let joined: Vec<u8> = outward
        .iter()
        .flat_map(|arrival| arrival.packet.frame.data[arrival.packet.headers.transport..].to_vec())
        .collect();
    // All of it in one piece has a right checksum.
    let mut together = outward[0].packet.frame.data[..34].to_vec();
    together.extend(joined);
    let total = u16::try_from(together.len() - 14).unwrap();
    together[16..18].copy_from_slice(&total.to_be_bytes());
    together[20..22].fill(0);
    crate::emulator::checksum::write_v4_header(&mut together, 14, 20).unwrap();
    assert!(is_sound(&mut whole(&together)));
}

/// Sends a packet in fragments, the last one first.
fn send_in_fragments(net: &mut Net, host: usize, data: &[u8]) {
    let whole_packet = whole(data);
    let mut fragmenter = crate::emulator::fragment::Fragmenter::new(1280, 99);
    let mut pool = crate::emulator::frame::Pool::default();
    let fragments = std::iter::from_fn(|| fragmenter.next(&whole_packet, &mut pool));
    for fragment in fragments.collect::<Vec<_>>().into_iter().rev() {
        net.send_packet(host, fragment);
    }
}

#[test]
fn a_fragmented_echo_is_translated_both_ways() {
    let bytes: Vec<u8> = (0..=255).cycle().take(3000).collect();
    let mut net = net();
    send_in_fragments(
        &mut net,
        PHONE,
        &packet(PHONE_ADDRESS, WWW_INSIDE, Protocol::Echo, [77, 0], &bytes),
    );
    let gather = |net: &mut Net, host| {
        let mut gatherer = gather::Gatherer::default();
        let mut pool = crate::emulator::frame::Pool::default();
        let mut wholes = net.arrivals().into_iter().filter_map(|arrival| {
            assert_eq!(arrival.host, host);
            assert!(arrival.packet.headers.size <= 1500);
            gatherer.gather(&mut pool, arrival.packet)
        });
        let mut whole = wholes.next().unwrap();
        assert!(is_sound(&mut whole));
        assert_eq!(payload(&whole), bytes);
        assert!(wholes.next().is_none());
        whole
    };
    let out = gather(&mut net, WWW);
    assert_eq!(out.headers.icmp, Some((8, 0)));
    let mut reply = packet(
        WWW_OUTSIDE,
        TRANSLATOR,
        Protocol::Echo,
        [out.headers.echo_id.unwrap(), 0],
        &bytes,
    );
    // A reply instead of a request: the checksum changes with the type.
    reply[34] = 0;
    let sum = u16_at(&reply, 36).unwrap();
    let sum = crate::emulator::checksum::adjust(sum, &[8, 0], &[0, 0]);
    reply[36..38].copy_from_slice(&sum.to_be_bytes());
    send_in_fragments(&mut net, WWW, &with_dont_fragment(reply, false));
    let back = gather(&mut net, PHONE);
    assert_eq!(
        (back.headers.icmp, back.headers.echo_id),
        (Some((129, 0)), Some(77))
    );
}

#[test]
fn an_echo_that_never_becomes_whole_is_forgotten() {
    let mut gatherer = gather::Gatherer::default();
    let mut pool = crate::emulator::frame::Pool::default();
    for id in 0..100 {
        let whole = whole(&packet(
            PHONE_ADDRESS,
            WWW_INSIDE,
            Protocol::Echo,
            [1, 0],
            &[7; 2000],
        ));
        let first = crate::emulator::fragment::Fragmenter::new(1280, id).next(&whole, &mut pool);
        for _ in 0..3 {
            let copy = super::super::testing::whole(&first.as_ref().unwrap().frame.data);
            assert!(gatherer.gather(&mut pool, copy).is_none());
        }
    }
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
fn an_address_without_a_network_is_reported() {
    let error = net().exchange(
        PHONE,
        &packet(
            PHONE_ADDRESS,
            "64:ff9b::808:808",
            Protocol::Udp,
            [1, 2],
            b"",
        ),
    );
    assert_eq!(
        (error.host, error.packet.headers.icmp),
        (PHONE, Some((1, 0)))
    );
}
