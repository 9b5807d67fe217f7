//! ICMP errors, and what they quote.

use super::*;

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
