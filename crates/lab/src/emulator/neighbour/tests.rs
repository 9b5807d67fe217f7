use super::*;
use crate::emulator::packet::{Packet, read};
use crate::emulator::testing::{address, is_sound};
use crate::emulator::{GATEWAY_MAC, host_mac};
use crate::world::model::HostId;

const ASKER: Mac = [2, 0, 0, 0, 0, 9];

/// An ARP frame from [`ASKER`].
fn arp(operation: u16, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let mut data = vec![0xff; 6];
    data.extend(ASKER);
    data.extend([8, 6, 0, 1, 8, 0, 6, 4]);
    data.extend(operation.to_be_bytes());
    data.extend(ASKER);
    data.extend(sender);
    data.extend([0; 6]);
    data.extend(target);
    data
}

#[test]
fn arp_questions_are_told_from_probes_and_announcements() {
    let check = |data: &[u8], expected| assert_eq!(read_arp(data), expected);
    let target = address("192.0.2.1");
    let who = Question::Who {
        target,
        asker: address("192.0.2.10"),
        mac: ASKER,
    };
    check(&arp(1, [192, 0, 2, 10], [192, 0, 2, 1]), Some(who));
    check(
        &arp(1, [0; 4], [192, 0, 2, 1]),
        Some(Question::Duplicate { target }),
    );
    check(
        &arp(1, [192, 0, 2, 1], [192, 0, 2, 1]),
        Some(Question::Duplicate { target }),
    );
    check(
        &arp(2, [192, 0, 2, 10], [192, 0, 2, 1]),
        Some(Question::Other),
    );
    let whole = arp(1, [192, 0, 2, 10], [192, 0, 2, 1]);
    check(&whole[..41], None);
}

#[test]
fn an_arp_reply_says_where_the_target_is() {
    let mut pool = Pool::default();
    let (target, asker) = (address("192.0.2.1"), address("192.0.2.10"));
    let frame = answer(&mut pool, target, GATEWAY_MAC, asker, ASKER, true).unwrap();
    let data = &frame.data;
    assert_eq!(data[0..6], ASKER);
    assert_eq!(data[6..12], GATEWAY_MAC);
    assert_eq!(data[12..22], [8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
    assert_eq!(data[22..28], GATEWAY_MAC);
    assert_eq!(data[28..32], [192, 0, 2, 1]);
    assert_eq!(data[32..38], ASKER);
    assert_eq!(data[38..42], [192, 0, 2, 10]);
}

#[test]
fn an_advertisement_is_solicited_and_names_the_router() {
    let mut pool = Pool::default();
    let at = host_mac(HostId(1), 0);
    for (is_router, flags) in [(true, 0xe0), (false, 0x60)] {
        let (target, asker) = (address("fe80::1"), address("2e00:c::10"));
        let frame = answer(&mut pool, target, at, asker, ASKER, is_router).unwrap();
        let mut packet = Packet::new(frame).unwrap();
        assert!(is_sound(&mut packet));
        let data = &packet.frame.data;
        assert_eq!(packet.headers.icmp, Some((136, 0)));
        assert_eq!(
            (packet.headers.source, packet.headers.destination),
            (target, asker)
        );
        assert_eq!(packet.hops(), 255);
        assert_eq!(data[58], flags);
        assert_eq!(v6_at(data, 62).map(IpAddr::V6), Some(target));
        assert_eq!(data[78..80], [2, 1]);
        assert_eq!(data[80..86], at);
    }
}

#[test]
fn a_conflict_goes_to_all_nodes_and_answers_no_question() {
    let mut frame = conflict(&mut Pool::default(), "2e00:c::10".parse().unwrap(), ASKER).unwrap();
    let headers = read(&mut frame).unwrap();
    assert_eq!(headers.destination, address("ff02::1"));
    assert_eq!(frame.data[0..6], [0x33, 0x33, 0, 0, 0, 1]);
    assert_eq!(frame.data[58], 0x20);
    // Our own advertisement is neighbour talk, but no question.
    assert_eq!(read_discovery(&frame.data, &headers), Some(Question::Other));
}

#[test]
fn discovery_that_crossed_a_router_is_an_ordinary_packet() {
    let mut frame = conflict(&mut Pool::default(), "2e00:c::10".parse().unwrap(), ASKER).unwrap();
    frame.data[21] = 254;
    let headers = read(&mut frame).unwrap();
    assert_eq!(read_discovery(&frame.data, &headers), None);
}
