//! The way in for fuzzers: any bytes at all are frames from hosts, and nothing may panic.

use super::bytes::{array_at, u8_at};
use super::frame::{Frame, Offload, VNET_HEADER};
use super::packet;
use super::sample;
use super::switchboard::{PortId, Switchboard};
use crate::world::model::{Filter, FilterAction, FilterDirection, NetworkId, Protocol};
use std::time::Duration;

/// Feeds `data` to a switchboard with every kind of filter and impairment, as a series of frames: one byte that says
/// from which host and how much later, two that say how long, a virtio header, and the bytes.
///
/// # Panics
///
/// When something comes out that is neither a whole packet nor one that went in.
pub fn fuzz_frame(data: &[u8]) {
    let mut world = sample::world();
    let actions = [
        FilterAction::Accept,
        FilterAction::Reset,
        FilterAction::Prohibit,
        FilterAction::NoRoute,
        FilterAction::SwallowPacketTooBig,
        FilterAction::Drop,
    ];
    for (port, action) in (80..).zip(actions) {
        world.filters.push(Filter {
            at: NetworkId(1),
            direction: FilterDirection::Both,
            family: None,
            protocol: (port % 2 == 0).then_some(Protocol::Tcp),
            to_port: Some(port),
            from_port: None,
            from: Vec::new(),
            to: Vec::new(),
            larger_than: (port > 82).then_some(1000),
            fragments: false,
            action,
        });
    }
    if let [office, service, mobile] = world.networks.as_mut_slice() {
        office.uplink.up.v6.mtu = Some(1280);
        office.uplink.up.v4.mtu = Some(600);
        office.uplink.down.v6.jitter = Duration::from_millis(3);
        service.uplink.up.rate = Some(1_000_000);
        service.uplink.down.v4.duplicate = 0.5;
        service.uplink.down.v6.reorder = 0.5;
        service.uplink.down.v6.delay = Duration::from_millis(10);
        mobile.uplink.down.v4.loss = 0.5;
        mobile.uplink.up.v4.mtu = Some(1300);
    }
    let Some(mut board) = Switchboard::new(&world, &sample::INTERFACES) else {
        return;
    };
    board.keep_dropped();
    let mut now = Duration::ZERO;
    let mut rest = data;
    while let Some(control) = u8_at(rest, 0) {
        let length = array_at(rest, 1).map_or(0, u16::from_be_bytes);
        let header = array_at::<VNET_HEADER>(rest, 3).unwrap_or_default();
        let bytes = rest.get(3 + VNET_HEADER..).unwrap_or_default();
        let bytes = bytes.get(..usize::from(length)).unwrap_or(bytes);
        rest = rest
            .get(3 + VNET_HEADER + bytes.len()..)
            .unwrap_or_default();
        now += Duration::from_micros(u64::from(control >> 2) * 200);
        if let (Some(offload), Some(data)) = (Offload::from_wire(&header), board.pool().copy(bytes))
        {
            board.handle_frame(
                PortId(usize::from(control & 3)),
                Frame { data, offload },
                now,
            );
        }
        drain(&mut board);
    }
    board.handle_time(now + Duration::from_mins(1));
    drain(&mut board);
    assert_eq!(board.next_deadline(), None, "everything has come out");
}

fn drain(board: &mut Switchboard) {
    while let Some(mut delivery) = board.poll_delivery() {
        let malformed = Err(packet::NotIp::Malformed);
        assert_ne!(
            packet::read(&mut delivery.frame).map(|_| ()),
            malformed,
            "delivered a malformed packet"
        );
        board.pool().recycle(delivery.frame.data);
    }
    while let Some(dropped) = board.poll_dropped() {
        board.pool().recycle(dropped.frame.data);
    }
}

#[cfg(test)]
mod tests {
    use super::fuzz_frame;
    use crate::emulator::testing::{self, Protocol};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn garbage_does_not_panic(data in prop::collection::vec(any::<u8>(), 0..400)) {
            fuzz_frame(&data);
        }

        #[test]
        fn damaged_packets_do_not_panic(
            packets in prop::collection::vec(
                (any::<u8>(), 0usize..8, 0usize..3000, any::<[u8; 4]>(), any::<[prop::sample::Index; 3]>(), any::<[u8; 3]>()),
                1..6,
            ),
        ) {
            let mut input = Vec::new();
            for (control, pair, length, ports, places, values) in packets {
                let kinds = [Protocol::Tcp, Protocol::Udp, Protocol::Echo];
                let kind = kinds[pair % 3];
                let source = ["2e00:c::10", "192.0.2.10", "2e00:5::80", "198.51.100.80", "2e00:d::20", "2e00:d::20", "192.0.2.10", "198.51.100.80"][pair];
                let destination = ["2e00:5::80", "198.51.100.80", "2e00:c::10", "192.0.2.10", "64:ff9b::c000:20a", "64:ff9b::c633:6450", "203.0.113.64", "203.0.113.64"][pair];
                let [a, b, c, d] = ports;
                let mut frame = testing::packet(source, destination, kind, [u16::from(a) << 8 | u16::from(b), 78 + u16::from(c % 10)], &vec![d; length]);
                for (place, value) in places.iter().zip(values) {
                    if value % 4 != 0 {
                        let at = place.index(frame.len().min(80));
                        frame[at] ^= value;
                    }
                }
                input.push(control);
                input.extend(u16::try_from(frame.len()).unwrap().to_be_bytes());
                input.extend(testing::super_frame_header(&frame, a % 5));
                input.extend(&frame);
            }
            fuzz_frame(&input);
        }
    }
}
