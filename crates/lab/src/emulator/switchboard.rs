//! The emulated network as a pure machine: frames from hosts go in, frames for hosts come out, time is an argument.
//!
//! Invariants: no clock, no socket, no randomness but the world's seed; no input makes it panic; a packet that comes out
//! of a pipe goes on at the time when it was due, however late we are called, so that lateness does not add up.
//!
//! [`handle_frame`](Switchboard::handle_frame) takes a frame from a host's line, [`handle_time`](Switchboard::handle_time)
//! lets everything happen that is due, [`poll_delivery`](Switchboard::poll_delivery) gives out what a host is to get,
//! and [`next_deadline`](Switchboard::next_deadline) says when to come back. Switches are in [`switch`], routers in [`router`].

mod router;
mod switch;

use super::build::Complaint;
use super::bytes::array_at;
use super::filter::Filters;
use super::fragment::Fragmenter;
use super::frame::{Frame, Pool};
use super::nat64::Translator;
use super::nat64::gather::Gatherer;
use super::neighbour;
use super::packet::{Mac, NotIp, Packet, ethertype};
use super::pipe::{Fate, Lane, Pipe};
use super::segment::Cutter;
use super::stats::{Place, Reason, Stats};
use super::{GATEWAY_MAC, ROUTER_LINK_LOCAL, host_mac};
use crate::world::model::{Filter, HostId, Network, NetworkId, World};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// A host interface's hub end, by its place in the list that the switchboard was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PortId(pub usize);

/// A frame for a host.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Which interface gets it.
    pub port: PortId,
    /// The frame.
    pub frame: Frame,
    /// Length of all its headers, if it is a super-frame.
    pub header_length: u16,
}

/// A frame that goes no further.
#[derive(Debug)]
pub(crate) struct Dropped {
    /// The frame as it was then.
    pub frame: Frame,
    /// Why.
    pub reason: Reason,
    /// Where.
    pub place: Place,
}

/// The emulated network.
#[derive(Debug)]
pub(crate) struct Switchboard {
    ports: Vec<PortState>,
    segments: Vec<Segment>,
    pipes: Vec<(Pipe, PipeEnd)>,
    /// When the first packet of each waiting lane comes out.
    agenda: BinaryHeap<Reverse<(Duration, PipeId, Lane)>>,
    deliveries: VecDeque<Delivery>,
    /// Kept only while [`keep_dropped`](Self::keep_dropped) is set.
    dropped: VecDeque<Dropped>,
    keeps_dropped: bool,
    /// Fragments that wait for others before translation.
    gatherer: Gatherer,
    /// Identification of the last datagram that a translator fragmented.
    fragment_id: u32,
    pool: Pool,
    stats: Stats,
}

/// Index into [`Switchboard::pipes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PipeId(usize);

/// Where a pipe leads.
#[derive(Clone, Copy, Debug)]
enum PipeEnd {
    /// From a host to its network.
    Switch(PortId),
    /// From a network to a host.
    Host(PortId),
    /// From a network's router to the core.
    Core(NetworkId),
    /// From the core to a network's router.
    Router(NetworkId),
}

#[derive(Debug)]
struct PortState {
    network: NetworkId,
    mac: Mac,
    dad_failed: Vec<Ipv6Addr>,
    up: PipeId,
    down: PipeId,
}

/// A network and its router.
#[derive(Debug)]
struct Segment {
    network: Network,
    ports: Vec<PortId>,
    owners: BTreeMap<IpAddr, PortId>,
    filters: Filters,
    nat64: Option<Translator>,
    up: PipeId,
    down: PipeId,
}

impl Switchboard {
    /// A world's network, with these host interfaces attached; `None` when the world does not have them.
    pub(crate) fn new(world: &World, interfaces: &[(HostId, usize)]) -> Option<Self> {
        let mut board = Self {
            ports: Vec::new(),
            segments: Vec::new(),
            pipes: Vec::new(),
            agenda: BinaryHeap::new(),
            deliveries: VecDeque::new(),
            dropped: VecDeque::new(),
            keeps_dropped: false,
            gatherer: Gatherer::default(),
            fragment_id: 0,
            pool: Pool::default(),
            stats: Stats::default(),
        };
        let add = |board: &mut Self, direction, end| {
            let id = PipeId(board.pipes.len());
            let stream = u64::try_from(id.0).unwrap_or(u64::MAX);
            board
                .pipes
                .push((Pipe::new(direction, world.seed, stream), end));
            id
        };
        for (index, network) in world.networks.iter().enumerate() {
            let id = NetworkId(index);
            let up = add(&mut board, &network.uplink.up, PipeEnd::Core(id));
            let down = add(&mut board, &network.uplink.down, PipeEnd::Router(id));
            board.segments.push(Segment {
                network: network.clone(),
                ports: Vec::new(),
                owners: BTreeMap::new(),
                filters: Filters::default(),
                nat64: network.nat64.map(Translator::new),
                up,
                down,
            });
        }
        for (host, number) in interfaces {
            let port = PortId(board.ports.len());
            let interface = world.hosts.get(host.0)?.interfaces.get(*number)?;
            board.segments.get(interface.network.0)?;
            let up = add(&mut board, &interface.link.up, PipeEnd::Switch(port));
            let down = add(&mut board, &interface.link.down, PipeEnd::Host(port));
            let segment = &mut board.segments[interface.network.0];
            segment.ports.push(port);
            for address in &interface.addresses {
                // Nobody has an address that failed duplicate address detection.
                let failed = interface
                    .dad_failed
                    .iter()
                    .any(|failed| IpAddr::V6(*failed) == *address);
                if !failed {
                    segment.owners.insert(*address, port);
                }
            }
            board.ports.push(PortState {
                network: interface.network,
                mac: host_mac(*host, *number),
                dad_failed: interface.dad_failed.clone(),
                up,
                down,
            });
        }
        board.set_filters(&world.filters);
        Some(board)
    }

    /// Replaces the filters of all routers; packets on their way meet the new ones.
    pub(crate) fn set_filters(&mut self, filters: &[Filter]) {
        for (index, segment) in self.segments.iter_mut().enumerate() {
            segment.filters = Filters::new(filters, |filter| filter.at == NetworkId(index));
        }
    }

    /// From now on dropped frames are kept for [`poll_dropped`](Self::poll_dropped).
    pub(crate) fn keep_dropped(&mut self) {
        self.keeps_dropped = true;
    }

    /// Takes a frame that a host sent.
    pub(crate) fn handle_frame(&mut self, port: PortId, frame: Frame, now: Duration) {
        self.handle_time(now);
        self.stats.received += 1;
        let Some(PortState { network, up, .. }) = self.ports.get(port.0) else {
            return;
        };
        let (network, up) = (*network, *up);
        match Packet::new(frame) {
            Ok(packet) => match neighbour::read_discovery(&packet.frame.data, &packet.headers) {
                None => self.enter(up, packet, now),
                Some(question) => self.handle_question(port, question, packet.frame),
            },
            Err((NotIp::Other(ethertype::ARP), frame)) => match neighbour::read_arp(&frame.data) {
                Some(question) => self.handle_question(port, question, frame),
                None => self.discard(frame, Reason::Malformed, Place::Network(network)),
            },
            Err((NotIp::Other(_), frame)) => self.switch_at_once(port, frame),
            Err((NotIp::Malformed, frame)) => {
                self.discard(frame, Reason::Malformed, Place::Network(network));
            }
        }
    }

    /// Lets everything happen that is due.
    pub(crate) fn handle_time(&mut self, now: Duration) {
        while let Some(Reverse((due, pipe, lane))) = self.agenda.peek().copied() {
            if due > now {
                break;
            }
            self.agenda.pop();
            let (packet, next) = self.pipes[pipe.0].0.pop(lane);
            if let Some(next) = next {
                self.agenda.push(Reverse((next, pipe, lane)));
            }
            if let Some(packet) = packet {
                self.leave(pipe, packet, due);
            }
        }
    }

    /// The next frame that a host is to get.
    pub(crate) fn poll_delivery(&mut self) -> Option<Delivery> {
        self.deliveries.pop_front()
    }

    /// The next frame that went no further, if those are kept.
    pub(crate) fn poll_dropped(&mut self) -> Option<Dropped> {
        self.dropped.pop_front()
    }

    /// When [`handle_time`](Self::handle_time) has something to do next.
    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.agenda.peek().map(|Reverse((due, _, _))| *due)
    }

    /// The memory for frames, shared with whoever feeds them in.
    pub(crate) fn pool(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// What happened so far.
    pub(crate) fn stats(&self) -> Stats {
        self.stats
    }

    fn copy(&mut self, frame: &Frame) -> Option<Frame> {
        let data = self.pool.copy(&frame.data)?;
        Some(Frame {
            data,
            offload: frame.offload,
        })
    }

    fn deliver(&mut self, port: PortId, frame: Frame, header_length: u16) {
        self.stats.delivered += 1;
        self.deliveries.push_back(Delivery {
            port,
            frame,
            header_length,
        });
    }

    /// Sends a packet into a pipe.
    fn enter(&mut self, id: PipeId, packet: Packet, now: Duration) {
        let (pipe, end) = &mut self.pipes[id.0];
        let family = packet.headers.family;
        let mtu = pipe.mtu(family);
        let is_too_big = packet.headers.size.max(packet.headers.last_size) > usize::from(mtu);
        if packet.is_super_frame() && (is_too_big || pipe.acts_on_segments(family)) {
            return self.cut(packet, |board, segment| board.enter(id, segment, now));
        }
        if is_too_big {
            let end = *end;
            return if packet.dont_fragment() {
                self.refuse_size(end, packet, mtu, now);
            } else {
                self.fragment(packet, mtu, 0, |board, fragment| {
                    board.pass(id, fragment, now);
                });
            };
        }
        if pipe.duplicates(family)
            && let Some(frame) = self.copy(&packet.frame)
        {
            self.pass(
                id,
                Packet {
                    frame,
                    headers: packet.headers,
                },
                now,
            );
        }
        self.pass(id, packet, now);
    }

    /// The part of [`enter`](Self::enter) that each copy goes through.
    fn pass(&mut self, id: PipeId, packet: Packet, now: Duration) {
        let (pipe, end) = &mut self.pipes[id.0];
        let place = end.place();
        match pipe.decide(packet.headers.family, packet.frame.data.len(), now) {
            Fate::Leaves(exit, _) if exit <= now => self.leave(id, packet, now),
            Fate::Leaves(exit, lane) => {
                if pipe.push(lane, exit, packet) {
                    self.agenda.push(Reverse((exit, id, lane)));
                }
            }
            Fate::Lost => self.discard(packet.frame, Reason::Lost, place),
            Fate::Overflow => self.discard(packet.frame, Reason::Overflow, place),
        }
    }

    /// A packet comes out of a pipe.
    fn leave(&mut self, id: PipeId, packet: Packet, now: Duration) {
        match self.pipes[id.0].1 {
            PipeEnd::Host(port) => {
                let header_length = packet.header_length();
                self.deliver(port, packet.frame, header_length);
            }
            PipeEnd::Core(_) => self.cross_core(packet, now),
            PipeEnd::Router(network) => self.route_from_core(network, packet, now),
            PipeEnd::Switch(port) if array_at(&packet.frame.data, 0) == Some(GATEWAY_MAC) => {
                self.route_from_host(self.ports[port.0].network, packet, now);
            }
            PipeEnd::Switch(port) => {
                let headers = packet.headers;
                self.switch(port, packet.frame, |board, receiver, frame| {
                    board.enter(board.ports[receiver.0].down, Packet { frame, headers }, now);
                });
            }
        }
    }

    /// The packet does not fit the line that leads to `end`, and must not be cut: the router at that line says so.
    fn refuse_size(&mut self, end: PipeEnd, packet: Packet, mtu: u16, now: Duration) {
        let why = Complaint::TooBig { mtu };
        match end {
            PipeEnd::Switch(port) | PipeEnd::Host(port) => {
                self.complain(self.ports[port.0].network, packet, why, now);
            }
            PipeEnd::Core(network) => self.complain(network, packet, why, now),
            PipeEnd::Router(network) => self.complain_at_core(network, packet, why, now),
        }
    }

    /// Does something to each segment of a super-frame.
    fn cut(&mut self, whole: Packet, mut each: impl FnMut(&mut Self, Packet)) {
        let mut cutter = Cutter::default();
        while let Some(segment) = cutter.next(&whole, &mut self.pool) {
            each(self, segment);
        }
        self.pool.recycle(whole.frame.data);
    }

    /// Does something to each fragment of a packet.
    fn fragment(
        &mut self,
        mut whole: Packet,
        mtu: u16,
        id: u32,
        mut each: impl FnMut(&mut Self, Packet),
    ) {
        if super::checksum::complete(&mut whole.frame).is_some() {
            let mut fragmenter = Fragmenter::new(mtu, id);
            while let Some(fragment) = fragmenter.next(&whole, &mut self.pool) {
                each(self, fragment);
            }
        }
        self.pool.recycle(whole.frame.data);
    }

    fn discard(&mut self, frame: Frame, reason: Reason, place: Place) {
        self.stats.count(reason);
        if self.keeps_dropped {
            self.dropped.push_back(Dropped {
                frame,
                reason,
                place,
            });
        } else {
            self.pool.recycle(frame.data);
        }
    }
}

impl PipeEnd {
    fn place(self) -> Place {
        match self {
            Self::Switch(port) | Self::Host(port) => Place::HostLine(port),
            Self::Core(network) | Self::Router(network) => Place::Uplink(network),
        }
    }
}

impl Segment {
    /// Whether an address is the router's own.
    fn is_router(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.network.gateway_v4 == Some(address),
            IpAddr::V6(address) => {
                address == ROUTER_LINK_LOCAL || self.network.gateway_v6 == Some(address)
            }
        }
    }

    /// Whether the network's router translates packets to this address into IPv4.
    fn translates(&self, destination: IpAddr) -> bool {
        self.nat64
            .as_ref()
            .is_some_and(|nat64| nat64.takes(destination))
    }

    /// Whether this is where translated packets come back to.
    fn is_translator(&self, address: IpAddr) -> bool {
        self.nat64
            .as_ref()
            .is_some_and(|nat64| nat64.is_address(address))
    }

    /// Whether an address lies in one of the network's prefixes.
    fn holds(&self, address: IpAddr) -> bool {
        let prefix = match address {
            IpAddr::V4(_) => &self.network.v4,
            IpAddr::V6(_) => &self.network.v6,
        };
        prefix.is_some_and(|prefix| prefix.contains(address))
    }
}

#[cfg(test)]
mod tests;
