use super::*;
use crate::emulator::testing::{Protocol, is_sound, packet, payload, super_frame};
use proptest::prelude::*;

fn cut(whole: &Packet) -> Vec<Packet> {
    let mut pool = Pool::default();
    let mut cutter = Cutter::default();
    std::iter::from_fn(|| cutter.next(whole, &mut pool)).collect()
}

fn flags(packet: &Packet) -> u8 {
    packet.frame.data[packet.headers.transport + 13]
}

fn sequence(packet: &Packet) -> u32 {
    u32_at(&packet.frame.data, packet.headers.transport + 4).unwrap()
}

#[test]
fn only_the_last_segment_ends_and_only_the_first_reduces() {
    let mut data = packet(
        "2e00:c::10",
        "2e00:5::80",
        Protocol::Tcp,
        [1, 2],
        &[7; 2500],
    );
    data[54 + 13] = 0x80 | 0x10 | 0x08 | 0x01;
    let segments = cut(&super_frame(&data, Some(1000)));
    assert_eq!(
        segments.iter().map(flags).collect::<Vec<_>>(),
        [0x90, 0x10, 0x19]
    );
    assert_eq!(
        segments.iter().map(sequence).collect::<Vec<_>>(),
        [1000, 2000, 3000]
    );
    assert_eq!(
        segments
            .iter()
            .map(|segment| segment.headers.size)
            .collect::<Vec<_>>(),
        [1060, 1060, 560]
    );
}

#[test]
fn ipv4_segments_have_identifications_of_their_own() {
    let data = packet(
        "192.0.2.10",
        "198.51.100.80",
        Protocol::Tcp,
        [1, 2],
        &[7; 2500],
    );
    let ids: Vec<_> = cut(&super_frame(&data, Some(1000)))
        .iter()
        .map(|segment| u16_at(&segment.frame.data, ETHERNET + 4).unwrap())
        .collect();
    assert_eq!(ids, [0, 1, 2]);
}

#[test]
fn a_packet_that_is_no_super_frame_has_no_segments() {
    let data = packet(
        "192.0.2.10",
        "198.51.100.80",
        Protocol::Udp,
        [1, 2],
        &[7; 100],
    );
    assert!(cut(&super_frame(&data, None)).is_empty());
}

proptest! {
    #[test]
    fn segments_make_up_the_payload_and_have_right_checksums(
        bytes in prop::collection::vec(any::<u8>(), 1..12_000),
        size in 1u16..3000,
        is_v6: bool,
        is_udp: bool,
    ) {
        prop_assume!(bytes.len() / usize::from(size) < 300);
        let (source, destination) = if is_v6 { ("2e00:c::10", "2e00:5::80") } else { ("192.0.2.10", "198.51.100.80") };
        let kind = if is_udp { Protocol::Udp } else { Protocol::Tcp };
        let whole = super_frame(&packet(source, destination, kind, [40_000, 443], &bytes), Some(size));
        prop_assume!(whole.is_super_frame());
        let mut joined = Vec::new();
        for mut segment in cut(&whole) {
            prop_assert!(is_sound(&mut segment));
            let reread = crate::emulator::testing::whole(&segment.frame.data);
            prop_assert_eq!(reread.headers.size, segment.headers.size);
            prop_assert!(segment.headers.size <= whole.headers.size);
            if !is_udp {
                prop_assert_eq!(sequence(&segment), 1000 + u32::try_from(joined.len()).unwrap());
            }
            joined.extend_from_slice(payload(&segment));
            if joined.len() == bytes.len() {
                prop_assert_eq!(segment.headers.size, whole.headers.last_size);
            }
        }
        prop_assert_eq!(joined, bytes);
    }
}
