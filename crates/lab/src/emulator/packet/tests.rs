use super::*;
use crate::emulator::frame::{Offload, PartialChecksum, Pool, Segments};
use crate::emulator::testing::{Protocol, is_sound, packet, super_frame, whole};

fn read_bytes(data: &[u8]) -> Result<Headers, NotIp> {
    read(&mut Frame {
        data: Pool::default().copy(data).unwrap(),
        offload: Offload::default(),
    })
}

#[test]
fn headers_of_both_families_are_found() {
    let v6 = whole(&packet(
        "2e00:c::10",
        "2e00:5::80",
        Protocol::Tcp,
        [40_000, 443],
        b"hello",
    ));
    assert_eq!(v6.headers.family, Family::V6);
    assert_eq!(v6.headers.ports, Some((40_000, 443)));
    assert_eq!(v6.headers.transport, 54);
    assert_eq!(v6.headers.payload, 74);
    assert_eq!((v6.headers.size, v6.headers.last_size), (65, 65));
    let v4 = whole(&packet(
        "192.0.2.10",
        "198.51.100.80",
        Protocol::Echo,
        [7, 0],
        b"hello",
    ));
    assert_eq!(v4.headers.icmp, Some((8, 0)));
    assert_eq!(v4.headers.echo_id, Some(7));
    assert_eq!(v4.headers.ports, None);
    assert_eq!(v4.headers.transport, 34);
}

#[test]
fn ethernet_padding_is_cut_off() {
    let mut data = packet("192.0.2.10", "198.51.100.80", Protocol::Udp, [1, 2], b"x");
    let length = data.len();
    data.resize(60, 0xee);
    assert_eq!(whole(&data).frame.data.len(), length);
}

#[test]
fn every_truncation_is_malformed_or_shorter_but_never_a_panic() {
    for data in [
        packet("2e00:c::10", "2e00:5::80", Protocol::Tcp, [1, 2], b"hello"),
        packet(
            "192.0.2.10",
            "198.51.100.80",
            Protocol::Udp,
            [1, 2],
            b"hello",
        ),
    ] {
        for length in 0..data.len() {
            assert_eq!(
                read_bytes(&data[..length]).err(),
                Some(NotIp::Malformed),
                "{length}"
            );
        }
    }
}

#[test]
fn other_ethernet_types_are_named() {
    let mut data = packet("2e00:c::10", "2e00:5::80", Protocol::Udp, [1, 2], b"");
    put_u16(&mut data, 12, 0x88cc).unwrap();
    assert_eq!(read_bytes(&data).err(), Some(NotIp::Other(0x88cc)));
}

#[test]
fn extension_headers_are_walked() {
    let plain = packet("2e00:c::10", "2e00:5::80", Protocol::Udp, [1, 2], b"hello");
    let mut data = plain[..54].to_vec();
    // Hop-by-hop of 8 bytes, then destination options of 16.
    data.extend([60, 0, 1, 4, 0, 0, 0, 0]);
    data.extend([17, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    data.extend(&plain[54..]);
    put(&mut data, 20, &[0]).unwrap();
    let length = field_of(&data);
    put_u16(&mut data, 18, length).unwrap();
    let headers = read_bytes(&data).unwrap();
    assert_eq!((headers.protocol, headers.transport), (protocol::UDP, 78));
    assert_eq!(headers.ports, Some((1, 2)));
}

fn field_of(data: &[u8]) -> u16 {
    u16::try_from(data.len() - 54).unwrap()
}

/// A UDP packet with a fragment header of this offset word.
fn fragment(word: u16) -> Vec<u8> {
    let plain = packet(
        "2e00:c::10",
        "2e00:5::80",
        Protocol::Udp,
        [1, 2],
        b"12345678",
    );
    let mut data = plain[..54].to_vec();
    data.extend([17, 0]);
    data.extend(word.to_be_bytes());
    data.extend([0, 0, 0, 9]);
    data.extend(&plain[54..]);
    put(&mut data, 20, &[44]).unwrap();
    let length = field_of(&data);
    put_u16(&mut data, 18, length).unwrap();
    data
}

#[test]
fn fragments_are_told_from_whole_packets() {
    let first = read_bytes(&fragment(1)).unwrap();
    assert_eq!(
        first.fragment,
        Some(Fragment {
            header: 54,
            offset: 0,
            more: true,
            id: 9
        })
    );
    assert_eq!(first.ports, Some((1, 2)));
    let later = read_bytes(&fragment(16)).unwrap();
    assert_eq!(
        later.fragment,
        Some(Fragment {
            header: 54,
            offset: 16,
            more: false,
            id: 9
        })
    );
    assert_eq!(later.ports, None);
    let atomic = read_bytes(&fragment(0)).unwrap();
    assert_eq!(atomic.fragment, None);
    assert_eq!(atomic.ports, Some((1, 2)));
}

#[test]
fn hops_are_counted_with_the_checksum_right() {
    for (source, destination) in [
        ("192.0.2.10", "198.51.100.80"),
        ("2e00:c::10", "2e00:5::80"),
    ] {
        let mut packet = whole(&packet(source, destination, Protocol::Udp, [1, 2], b""));
        for left in (1..64).rev() {
            packet.count_hop();
            assert_eq!(packet.hops(), left);
            assert!(is_sound(&mut packet));
        }
    }
}

#[test]
fn segment_sizes_of_a_super_frame() {
    let data = packet(
        "2e00:c::10",
        "2e00:5::80",
        Protocol::Tcp,
        [1, 2],
        &[0; 3000],
    );
    let whole = super_frame(&data, Some(1440));
    assert_eq!((whole.headers.size, whole.headers.last_size), (1500, 180));
    let even = super_frame(&data, Some(1500));
    assert_eq!((even.headers.size, even.headers.last_size), (1560, 1560));
    let small = super_frame(&data, Some(3000));
    assert!(!small.is_super_frame());
    assert_eq!(small.headers.size, 3060);
}

#[test]
fn offload_that_contradicts_the_packet_is_refused_or_done_at_once() {
    let data = packet(
        "2e00:c::10",
        "2e00:5::80",
        Protocol::Tcp,
        [1, 2],
        &[0; 3000],
    );
    let with = |offload| {
        Packet::new(Frame {
            data: Pool::default().copy(&data).unwrap(),
            offload,
        })
    };
    let segments = |kind| Offload {
        checksum: Some(PartialChecksum {
            start: 54,
            offset: 16,
        }),
        segments: Some(Segments {
            kind,
            ecn: false,
            size: 1000,
        }),
    };
    assert!(with(segments(SegmentKind::TcpV6)).is_ok());
    assert!(with(segments(SegmentKind::TcpV4)).is_err());
    assert!(with(segments(SegmentKind::Udp)).is_err());
    let beyond = Offload {
        checksum: Some(PartialChecksum {
            start: 9000,
            offset: 16,
        }),
        segments: None,
    };
    assert!(with(beyond).is_err());
    let elsewhere = Offload {
        checksum: Some(PartialChecksum {
            start: 60,
            offset: 0,
        }),
        segments: None,
    };
    assert_eq!(with(elsewhere).unwrap().frame.offload, Offload::default());
}

#[test]
fn icmp_errors_are_told_from_questions() {
    let mut data = packet("192.0.2.10", "198.51.100.80", Protocol::Echo, [1, 0], b"");
    for (kind, is_error) in [
        (0, false),
        (3, true),
        (5, true),
        (8, false),
        (11, true),
        (12, true),
    ] {
        put(&mut data, 34, &[kind]).unwrap();
        assert_eq!(whole(&data).is_icmp_error(), is_error, "{kind}");
    }
    let mut data = packet("2e00:c::10", "2e00:5::80", Protocol::Echo, [1, 0], b"");
    for (kind, is_error) in [
        (1, true),
        (2, true),
        (4, true),
        (128, false),
        (129, false),
        (137, true),
    ] {
        put(&mut data, 54, &[kind]).unwrap();
        assert_eq!(whole(&data).is_icmp_error(), is_error, "{kind}");
        assert_eq!(whole(&data).is_packet_too_big(), kind == 2);
    }
}
