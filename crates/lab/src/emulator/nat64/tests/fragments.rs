//! Fragments, and packets that are too long.

use super::*;

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
            let copy = crate::emulator::testing::whole(&first.as_ref().unwrap().frame.data);
            assert!(gatherer.gather(&mut pool, copy).is_none());
        }
    }
}
