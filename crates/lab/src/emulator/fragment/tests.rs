use super::*;
use crate::emulator::testing::{Protocol, is_sound, packet, whole, with_dont_fragment};
use proptest::prelude::*;

fn cut(whole: &Packet, mtu: u16) -> Vec<Packet> {
    let mut pool = Pool::default();
    let mut fragmenter = Fragmenter::new(mtu, 77);
    std::iter::from_fn(|| fragmenter.next(whole, &mut pool)).collect()
}

/// What the fragments share out, put together by their offsets.
fn join(fragments: &[Packet]) -> Vec<u8> {
    let mut joined = Vec::new();
    for fragment in fragments {
        let offset = usize::from(
            fragment
                .headers
                .fragment
                .map_or(0, |fragment| fragment.offset),
        );
        assert_eq!(offset, joined.len());
        joined.extend_from_slice(&fragment.frame.data[fragment.headers.transport..]);
    }
    joined
}

#[test]
fn an_mtu_that_holds_nothing_gives_no_fragments() {
    let data = packet(
        "192.0.2.10",
        "198.51.100.80",
        Protocol::Udp,
        [1, 2],
        &[7; 100],
    );
    assert!(cut(&whole(&data), 27).is_empty());
    assert!(cut(&whole(&data), 0).is_empty());
}

#[test]
fn a_fragment_of_a_fragment_keeps_its_place() {
    let data = packet(
        "192.0.2.10",
        "198.51.100.80",
        Protocol::Udp,
        [1, 2],
        &[7; 3000],
    );
    let first = cut(&whole(&with_dont_fragment(data, false)), 1500);
    assert_eq!(first.len(), 3);
    let again: Vec<_> = first
        .iter()
        .flat_map(|fragment| cut(fragment, 600))
        .collect();
    assert_eq!(join(&again), join(&first));
    let more: Vec<_> = again
        .iter()
        .map(|fragment| fragment.headers.fragment.unwrap().more)
        .collect();
    assert_eq!(more.iter().filter(|more| !**more).count(), 1);
    assert_eq!(more.last(), Some(&false));
}

proptest! {
    #[test]
    fn fragments_make_up_the_packet(beyond in 0usize..5000, mtu in 60u16..3000, is_v6: bool) {
        let (source, destination) = if is_v6 { ("2e00:c::10", "2e00:5::80") } else { ("192.0.2.10", "198.51.100.80") };
        let length = usize::from(mtu) + beyond;
        let bytes: Vec<_> = (0..=255).cycle().take(length).collect();
        let whole = whole(&packet(source, destination, Protocol::Udp, [1, 2], &bytes));
        let mut fragments = cut(&whole, mtu);
        prop_assert_eq!(&join(&fragments)[..], &whole.frame.data[whole.headers.transport..]);
        for fragment in &mut fragments {
            prop_assert!(fragment.headers.size <= usize::from(mtu));
            prop_assert!(is_sound(fragment));
            prop_assert_eq!(fragment.headers.protocol, protocol::UDP);
            prop_assert_eq!(fragment.headers.fragment.unwrap().id, if is_v6 { 77 } else { 0 });
        }
    }
}
