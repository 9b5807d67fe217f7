//! What the emulator's tests share: packets by name, and a network to send them through.

use super::bytes::{put, put_u16, u16_at};
use super::checksum;
use super::frame::{ETHERNET, Frame, Offload, PartialChecksum, Pool, SegmentKind, Segments};
use super::packet::{self, Packet, protocol};
use super::sample;
use super::switchboard::{PortId, Switchboard};
use super::{GATEWAY_MAC, build, host_mac};
use crate::world::model::{
    Family, Filter, FilterAction, FilterDirection, HostId, NetworkId, World,
};
use std::net::IpAddr;
use std::time::Duration;

pub(crate) const CLIENT: usize = 0;
pub(crate) const COLLEAGUE: usize = 1;
pub(crate) const WWW: usize = 2;
pub(crate) const PHONE: usize = 3;

/// What a test packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// With ACK and PSH set, sequence number 1000, acknowledgement 2000.
    Tcp,
    /// A first segment.
    Syn,
    Udp,
    /// An echo request; the first port is its identifier.
    Echo,
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A frame for the router with a right checksum.
pub(crate) fn packet(
    source: &str,
    destination: &str,
    kind: Protocol,
    ports: [u16; 2],
    payload: &[u8],
) -> Vec<u8> {
    let (source, destination) = (address(source), address(destination));
    let header: &[u8] = match kind {
        Protocol::Tcp => &[
            0,
            0,
            0,
            0,
            0,
            0,
            3,
            232,
            0,
            0,
            7,
            208,
            5 << 4,
            0x18,
            1,
            0,
            0,
            0,
            0,
            0,
        ],
        Protocol::Syn => &[
            0,
            0,
            0,
            0,
            0,
            0,
            3,
            232,
            0,
            0,
            0,
            0,
            5 << 4,
            0x02,
            1,
            0,
            0,
            0,
            0,
            0,
        ],
        Protocol::Udp => &[0; 8],
        Protocol::Echo if source.is_ipv4() => &[8, 0, 0, 0, 0, 0, 0, 1],
        Protocol::Echo => &[128, 0, 0, 0, 0, 0, 0, 1],
    };
    let number = match kind {
        Protocol::Tcp | Protocol::Syn => protocol::TCP,
        Protocol::Udp => protocol::UDP,
        Protocol::Echo if source.is_ipv4() => protocol::ICMP,
        Protocol::Echo => protocol::ICMPV6,
    };
    let length = header.len() + payload.len();
    let (mut frame, at) =
        build::start(&mut Pool::default(), source, destination, number, length).unwrap();
    let data = &mut frame.data;
    put(data, at, header).unwrap();
    put(data, at + header.len(), payload).unwrap();
    match kind {
        Protocol::Echo => put_u16(data, at + 4, ports[0]).unwrap(),
        Protocol::Udp => {
            put_u16(data, at, ports[0]).unwrap();
            put_u16(data, at + 2, ports[1]).unwrap();
            put_u16(data, at + 4, u16::try_from(length).unwrap()).unwrap();
        }
        Protocol::Tcp | Protocol::Syn => {
            put_u16(data, at, ports[0]).unwrap();
            put_u16(data, at + 2, ports[1]).unwrap();
        }
    }
    packet::address_frame(data, host_mac(HostId(0), 0), GATEWAY_MAC);
    let headers = packet::read(&mut frame).unwrap();
    checksum::write_transport(&mut frame.data, &headers).unwrap();
    frame.data.to_vec()
}

/// A frame with Don't Fragment cleared or set.
pub(crate) fn with_dont_fragment(mut data: Vec<u8>, set: bool) -> Vec<u8> {
    let word = u16_at(&data, ETHERNET + 6).unwrap() & 0x3fff | if set { 0x4000 } else { 0 };
    put_u16(&mut data, ETHERNET + 6, word).unwrap();
    checksum::write_v4_header(&mut data, ETHERNET, packet::IPV4).unwrap();
    data
}

/// A virtio header that fits a frame; `kind` 0 leaves nothing to do, 1 a checksum, the others cutting.
pub(crate) fn super_frame_header(data: &[u8], kind: u8) -> [u8; 10] {
    let mut frame = Frame {
        data: Pool::default().copy(data).unwrap(),
        offload: Offload::default(),
    };
    let Ok(headers) = packet::read(&mut frame) else {
        return [0; 10];
    };
    offload_for(
        &headers,
        [None, None, Some(500), Some(1200), Some(1440)][usize::from(kind % 5)],
        kind != 0,
    )
    .to_wire(0)
}

fn offload_for(headers: &packet::Headers, size: Option<u16>, partial: bool) -> Offload {
    let offset = match headers.protocol {
        protocol::TCP => 16,
        protocol::UDP => 6,
        _ => return Offload::default(),
    };
    let kind = match (headers.protocol, headers.family) {
        (protocol::UDP, _) => SegmentKind::Udp,
        (_, Family::V4) => SegmentKind::TcpV4,
        (_, Family::V6) => SegmentKind::TcpV6,
    };
    Offload {
        checksum: partial.then_some(PartialChecksum {
            start: u16::try_from(headers.transport).unwrap(),
            offset,
        }),
        segments: size.map(|size| Segments {
            kind,
            ecn: false,
            size,
        }),
    }
}

/// Reads a frame without any offload.
pub(crate) fn whole(data: &[u8]) -> Packet {
    let data = Pool::default().copy(data).unwrap();
    Packet::new(Frame {
        data,
        offload: Offload::default(),
    })
    .unwrap_or_else(|(why, _)| panic!("{why:?}"))
}

/// Leaves a frame's checksum unfinished, and makes it a super-frame with segments of this size.
pub(crate) fn super_frame(data: &[u8], size: Option<u16>) -> Packet {
    let mut packet = whole(data);
    packet.frame.offload = offload_for(&packet.headers, size, true);
    super::segment::write_partial_checksum(
        &mut packet.frame.data,
        &packet.headers,
        packet.frame.offload,
    )
    .unwrap();
    Packet::new(packet.frame).unwrap_or_else(|(why, _)| panic!("{why:?}"))
}

/// The bytes behind the transport header.
pub(crate) fn payload(packet: &Packet) -> &[u8] {
    &packet.frame.data[packet.headers.payload..]
}

/// Finishes a packet's checksum and says whether all its checksums are right.
pub(crate) fn is_sound(packet: &mut Packet) -> bool {
    checksum::complete(&mut packet.frame).unwrap();
    let data = &packet.frame.data;
    let ip_sum = match packet.headers.family {
        Family::V6 => 0,
        Family::V4 => {
            let length = usize::from(data[ETHERNET] & 15) * 4;
            checksum::Sum::default()
                .bytes(&data[ETHERNET..ETHERNET + length])
                .finish()
        }
    };
    ip_sum == 0
        && (packet.headers.fragment.is_some()
            || checksum::transport_is_valid(data, &packet.headers))
}

/// A filter that matches everything at a network's router.
pub(crate) fn filter(at: usize, direction: FilterDirection, action: FilterAction) -> Filter {
    Filter {
        at: NetworkId(at),
        direction,
        family: None,
        protocol: None,
        to_port: None,
        from_port: None,
        from: Vec::new(),
        to: Vec::new(),
        larger_than: None,
        fragments: false,
        action,
    }
}

/// A packet that reached a host.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub at: Duration,
    pub host: usize,
    pub packet: Packet,
}

impl Arrival {
    /// Source and destination.
    pub(crate) fn ends(&self) -> (String, String) {
        let headers = &self.packet.headers;
        (headers.source.to_string(), headers.destination.to_string())
    }
}

/// A network under test.
pub(crate) struct Net {
    pub board: Switchboard,
    pub now: Duration,
}

impl Net {
    /// The sample world, changed.
    pub(crate) fn new(change: impl FnOnce(&mut World)) -> Self {
        let mut world = sample::world();
        change(&mut world);
        Self {
            board: Switchboard::new(&world, &sample::INTERFACES).unwrap(),
            now: Duration::ZERO,
        }
    }

    /// A host sends a packet now.
    pub(crate) fn send(&mut self, host: usize, data: &[u8]) {
        self.send_packet(host, whole(data));
    }

    pub(crate) fn send_packet(&mut self, host: usize, packet: Packet) {
        self.board
            .handle_frame(PortId(host), packet.frame, self.now);
    }

    /// Every frame that the hosts get from now on until nothing is on its way, or a minute has passed.
    pub(crate) fn frames(&mut self) -> Vec<(Duration, usize, Frame)> {
        let mut frames = Vec::new();
        let end = self.now + Duration::from_mins(1);
        loop {
            self.board.handle_time(self.now);
            while let Some(delivery) = self.board.poll_delivery() {
                frames.push((self.now, delivery.port.0, delivery.frame));
            }
            match self.board.next_deadline() {
                Some(deadline) if deadline <= end => self.now = deadline,
                _ => return frames,
            }
        }
    }

    /// The same, as packets.
    pub(crate) fn arrivals(&mut self) -> Vec<Arrival> {
        let packets = self.frames().into_iter().map(|(at, host, frame)| Arrival {
            at,
            host,
            packet: Packet::new(frame).unwrap_or_else(|(why, _)| panic!("{why:?}")),
        });
        packets.collect()
    }

    /// The only packet that arrives anywhere.
    pub(crate) fn arrival(&mut self) -> Arrival {
        let mut arrivals = self.arrivals();
        assert_eq!(arrivals.len(), 1, "{arrivals:#?}");
        arrivals.remove(0)
    }

    /// What a host gets in answer to one packet.
    pub(crate) fn exchange(&mut self, host: usize, data: &[u8]) -> Arrival {
        self.send(host, data);
        self.arrival()
    }
}
