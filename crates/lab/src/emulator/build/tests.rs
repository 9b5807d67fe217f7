use super::*;
use crate::emulator::testing::{Protocol, address, is_sound, packet, payload, super_frame, whole};

const V4: (&str, &str) = ("192.0.2.10", "198.51.100.80");
const V6: (&str, &str) = ("2e00:c::10", "2e00:5::80");

#[test]
fn every_complaint_has_its_type_and_code() {
    let check = |why, v4, v6| {
        for ((source, destination), from, expected) in
            [(V4, "192.0.2.1", v4), (V6, "2e00:c::1", v6)]
        {
            let mut about = whole(&packet(
                source,
                destination,
                Protocol::Udp,
                [1, 2],
                b"hello",
            ));
            let original = about.frame.data[ETHERNET..].to_vec();
            let mut error =
                complaint(&mut Pool::default(), &mut about, why, address(from)).unwrap();
            assert!(is_sound(&mut error));
            assert_eq!(error.headers.icmp, Some(expected), "{why:?}");
            assert_eq!(error.headers.source, address(from));
            assert_eq!(error.headers.destination, address(source));
            assert_eq!(payload(&error), original);
        }
    };
    check(Complaint::NoRoute, (3, 0), (1, 0));
    check(Complaint::AddressUnreachable, (3, 1), (1, 3));
    check(Complaint::PortUnreachable, (3, 3), (1, 4));
    check(Complaint::Prohibited, (3, 13), (1, 1));
    check(Complaint::TimeExceeded, (11, 0), (3, 0));
    check(Complaint::TooBig { mtu: 1280 }, (3, 4), (2, 0));
}

#[test]
fn too_big_says_what_would_fit_and_quotes_no_more_than_allowed() {
    for ((source, destination), from, longest) in [(V4, "192.0.2.1", 576), (V6, "2e00:c::1", 1280)]
    {
        let mut about = whole(&packet(
            source,
            destination,
            Protocol::Tcp,
            [1, 2],
            &[7; 1400],
        ));
        let why = Complaint::TooBig { mtu: 1400 };
        let error = complaint(&mut Pool::default(), &mut about, why, address(from)).unwrap();
        assert_eq!(error.headers.size, longest);
        assert_eq!(
            u32_at(&error.frame.data, error.headers.transport + 4),
            Some(1400)
        );
    }
}

#[test]
fn a_quoted_packet_has_its_checksum_finished() {
    let data = packet(V6.0, V6.1, Protocol::Tcp, [1, 2], b"hello");
    let mut about = super_frame(&data, None);
    assert_ne!(about.frame.data[ETHERNET..], data[ETHERNET..]);
    let error = complaint(
        &mut Pool::default(),
        &mut about,
        Complaint::NoRoute,
        address("2e00:c::1"),
    )
    .unwrap();
    assert_eq!(payload(&error), &data[ETHERNET..]);
}

#[test]
fn what_must_not_be_complained_about() {
    let check = |data: &[u8], expected| assert_eq!(may_complain(&whole(data)), expected);
    for (source, destination) in [V4, V6] {
        check(
            &packet(source, destination, Protocol::Udp, [1, 2], b""),
            true,
        );
        check(
            &packet(source, destination, Protocol::Echo, [1, 2], b""),
            true,
        );
        let mut group_frame = packet(source, destination, Protocol::Udp, [1, 2], b"");
        group_frame[0] |= 1;
        check(&group_frame, false);
    }
    check(
        &packet("2e00:c::10", "ff05::1", Protocol::Udp, [1, 2], b""),
        false,
    );
    check(
        &packet("::", "2e00:5::80", Protocol::Udp, [1, 2], b""),
        false,
    );
    check(
        &packet("192.0.2.10", "224.0.0.1", Protocol::Udp, [1, 2], b""),
        false,
    );
    let mut error = packet(V4.0, V4.1, Protocol::Echo, [1, 2], b"");
    error[34] = 3;
    check(&error, false);
    let mut later = packet(V4.0, V4.1, Protocol::Udp, [1, 2], b"");
    later[21] = 1;
    check(&later, false);
    let mut first = packet(V4.0, V4.1, Protocol::Udp, [1, 2], b"");
    first[20] = 0x20;
    check(&first, true);
}

#[test]
fn an_echo_comes_back_whole() {
    for ((source, destination), kind) in [(V4, (0, 0)), (V6, (129, 0))] {
        let mut request = whole(&packet(
            source,
            destination,
            Protocol::Echo,
            [77, 0],
            b"odd bytes",
        ));
        let mut reply = echo_reply(&mut Pool::default(), &mut request).unwrap();
        assert!(is_sound(&mut reply));
        assert_eq!(reply.headers.icmp, Some(kind));
        assert_eq!(reply.headers.echo_id, Some(77));
        assert_eq!(reply.headers.source, address(destination));
        assert_eq!(payload(&reply), b"odd bytes");
        assert!(echo_reply(&mut Pool::default(), &mut reply).is_none());
    }
}

#[test]
fn a_reset_of_a_first_segment_acknowledges_it() {
    for (source, destination) in [V4, V6] {
        let syn = whole(&packet(
            source,
            destination,
            Protocol::Syn,
            [4000, 443],
            b"",
        ));
        let mut reset = reset(&mut Pool::default(), &syn).unwrap();
        assert!(is_sound(&mut reset));
        let at = reset.headers.transport;
        assert_eq!(reset.headers.ports, Some((443, 4000)));
        assert_eq!(reset.headers.source, address(destination));
        assert_eq!(u32_at(&reset.frame.data, at + 4), Some(0));
        assert_eq!(u32_at(&reset.frame.data, at + 8), Some(1001));
        assert_eq!(reset.frame.data[at + 13], 0x14);
    }
}

#[test]
fn a_reset_of_a_later_segment_has_the_sequence_number_that_the_peer_expects() {
    let segment = whole(&packet(V6.0, V6.1, Protocol::Tcp, [4000, 443], b"data"));
    let answer = reset(&mut Pool::default(), &segment).unwrap();
    let at = answer.headers.transport;
    assert_eq!(u32_at(&answer.frame.data, at + 4), Some(2000));
    assert_eq!(answer.frame.data[at + 13], 0x04);
}

#[test]
fn a_reset_answers_neither_resets_nor_other_protocols() {
    let first = whole(&packet(V6.0, V6.1, Protocol::Syn, [4000, 443], b""));
    let answer = reset(&mut Pool::default(), &first).unwrap();
    assert!(reset(&mut Pool::default(), &answer).is_none());
    let datagram = whole(&packet(V6.0, V6.1, Protocol::Udp, [4000, 443], b""));
    assert!(reset(&mut Pool::default(), &datagram).is_none());
}

#[test]
fn families_do_not_mix() {
    assert!(
        start(
            &mut Pool::default(),
            address(V4.0),
            address(V6.1),
            protocol::UDP,
            8
        )
        .is_none()
    );
    let mut about = whole(&packet(V4.0, V4.1, Protocol::Udp, [1, 2], b""));
    let error = complaint(
        &mut Pool::default(),
        &mut about,
        Complaint::NoRoute,
        address(V6.0),
    );
    assert!(error.is_none());
}
