//! The networks' routers and the core between them.
//!
//! A router's filters look at what it forwards, not at what it says itself; of its own messages they see only Packet Too
//! Big, so that "swallow" holds wherever the narrow line is. Whatever a router cannot deliver it complains about at once.

use super::{Packet, Place, Reason, Switchboard};
use crate::emulator::GATEWAY_MAC;
use crate::emulator::build::{self, Complaint};
use crate::emulator::filter::Verdict;
use crate::emulator::nat64::gather::Gatherer;
use crate::emulator::packet::{is_routable_destination, is_routable_source, protocol};
use crate::world::model::{FilterAction, FilterDirection, NetworkId};
use std::net::IpAddr;
use std::time::Duration;

/// What every IPv6 line carries (RFC 8200 5).
const LEAST_MTU: u16 = 1280;

impl Switchboard {
    /// A host gave its router a packet.
    pub(super) fn route_from_host(
        &mut self,
        network: NetworkId,
        mut packet: Packet,
        now: Duration,
    ) {
        let destination = packet.headers.destination;
        let segment = &self.segments[network.0];
        if segment.is_router(destination) {
            return self.receive_at_router(network, packet, now);
        }
        if !is_routable_source(packet.headers.source) || !is_routable_destination(destination) {
            return self.discard(packet.frame, Reason::Unroutable, Place::Router(network));
        }
        let target = self.network_of(destination);
        if target.is_none() && !segment.translates(destination) {
            return self.complain(network, packet, Complaint::NoRoute, now);
        }
        if packet.hops() <= 1 {
            return self.complain(network, packet, Complaint::TimeExceeded, now);
        }
        packet.count_hop();
        if target == Some(network) {
            return self.hand_over(network, packet, now);
        }
        self.filter_out(network, packet, now);
    }

    fn filter_out(&mut self, network: NetworkId, packet: Packet, now: Duration) {
        match self.segments[network.0]
            .filters
            .judge(&packet, FilterDirection::Out)
        {
            Verdict::Pass => self.send_out(network, packet, now),
            Verdict::Cut => self.cut(packet, |board, segment| {
                board.filter_out(network, segment, now);
            }),
            Verdict::Take(index, action) => self.obey(network, packet, index, action, now),
        }
    }

    /// Sends a packet to the core, as IPv4 if it is for translation.
    fn send_out(&mut self, network: NetworkId, mut packet: Packet, now: Duration) {
        if !self.segments[network.0].translates(packet.headers.destination) {
            return self.enter(self.segments[network.0].up, packet, now);
        }
        let was_fragmented = packet.headers.fragment.is_some();
        if Gatherer::wants(&packet) {
            let Some(whole) = self.gatherer.gather(&mut self.pool, packet) else {
                return;
            };
            packet = whole;
        }
        let Some(translator) = &mut self.segments[network.0].nat64 else {
            return;
        };
        match translator.outward(packet, was_fragmented, now) {
            Ok(packet) => match self.network_of(packet.headers.destination) {
                None => self.complain(network, packet, Complaint::NoRoute, now),
                Some(target) if target == network => self.hand_over(network, packet, now),
                Some(_) => self.enter(self.segments[network.0].up, packet, now),
            },
            Err(frame) => {
                self.discard(frame, Reason::Untranslatable, Place::Router(network));
            }
        }
    }

    /// A packet for the translator's address becomes packets for the host behind it.
    fn bring_in(
        &mut self,
        network: NetworkId,
        mut packet: Packet,
        now: Duration,
        then: fn(&mut Self, NetworkId, Packet, Duration),
    ) {
        if Gatherer::wants(&packet) {
            let Some(whole) = self.gatherer.gather(&mut self.pool, packet) else {
                return;
            };
            packet = whole;
        }
        let may_fragment = !packet.dont_fragment();
        let Some(translator) = &mut self.segments[network.0].nat64 else {
            return;
        };
        let packet = match translator.inward(packet, now) {
            Ok(packet) => packet,
            Err(frame) => {
                return self.discard(frame, Reason::Untranslatable, Place::Router(network));
            }
        };
        if !may_fragment || packet.headers.size <= usize::from(LEAST_MTU) {
            return then(self, network, packet, now);
        }
        // RFC 7915 4: IPv6 routers do not fragment, so the translator does, to what every IPv6 line carries.
        let each = |board: &mut Self, packet: Packet| {
            board.fragment_id = board.fragment_id.wrapping_add(1);
            board.fragment(packet, LEAST_MTU, board.fragment_id, |board, fragment| {
                then(board, network, fragment, now);
            });
        };
        if packet.is_super_frame() {
            self.cut(packet, each);
        } else {
            each(self, packet);
        }
    }

    /// A packet reached the core.
    pub(super) fn cross_core(&mut self, packet: Packet, now: Duration) {
        match self.network_of(packet.headers.destination) {
            Some(network) => self.enter(self.segments[network.0].down, packet, now),
            None => self.discard(packet.frame, Reason::NoRoute, Place::Core),
        }
    }

    /// A packet reached a network's router from the core.
    pub(super) fn route_from_core(
        &mut self,
        network: NetworkId,
        mut packet: Packet,
        now: Duration,
    ) {
        if self.segments[network.0].is_router(packet.headers.destination) {
            return self.receive_at_router(network, packet, now);
        }
        if packet.hops() <= 1 {
            return self.complain(network, packet, Complaint::TimeExceeded, now);
        }
        packet.count_hop();
        if self.segments[network.0].is_translator(packet.headers.destination) {
            return self.bring_in(network, packet, now, Self::filter_in);
        }
        self.filter_in(network, packet, now);
    }

    fn filter_in(&mut self, network: NetworkId, packet: Packet, now: Duration) {
        match self.segments[network.0]
            .filters
            .judge(&packet, FilterDirection::In)
        {
            Verdict::Pass => self.hand_over(network, packet, now),
            Verdict::Cut => self.cut(packet, |board, segment| {
                board.filter_in(network, segment, now);
            }),
            Verdict::Take(index, action) => self.obey(network, packet, index, action, now),
        }
    }

    /// Sends a packet to the host of this network that has its destination.
    fn hand_over(&mut self, network: NetworkId, mut packet: Packet, now: Duration) {
        if self.segments[network.0].is_translator(packet.headers.destination) {
            return self.bring_in(network, packet, now, Self::hand_over);
        }
        let Some(port) = self.segments[network.0]
            .owners
            .get(&packet.headers.destination)
        else {
            return self.complain(network, packet, Complaint::AddressUnreachable, now);
        };
        let port = &self.ports[port.0];
        packet.address_frame(GATEWAY_MAC, port.mac);
        self.enter(port.down, packet, now);
    }

    /// A filter takes a packet.
    fn obey(
        &mut self,
        network: NetworkId,
        packet: Packet,
        index: usize,
        action: FilterAction,
        now: Duration,
    ) {
        let place = Place::Router(network);
        let reason = Reason::Filter(index);
        if matches!(
            action,
            FilterAction::Drop | FilterAction::SwallowPacketTooBig
        ) {
            return self.discard(packet.frame, reason, place);
        }
        if packet.is_super_frame() {
            return self.cut(packet, |board, segment| {
                board.obey(network, segment, index, action, now);
            });
        }
        let why = match action {
            FilterAction::Prohibit => Complaint::Prohibited,
            FilterAction::NoRoute => Complaint::NoRoute,
            _ if packet.headers.protocol == protocol::TCP => {
                if let Some(reset) = build::reset(&mut self.pool, &packet) {
                    self.originate(network, reset, now);
                }
                return self.discard(packet.frame, reason, place);
            }
            _ => Complaint::PortUnreachable,
        };
        self.complain_because(network, packet, why, reason, false, now);
    }

    /// A packet for the router itself.
    fn receive_at_router(&mut self, network: NetworkId, mut packet: Packet, now: Duration) {
        if packet.is_super_frame() {
            return self.cut(packet, |board, segment| {
                board.receive_at_router(network, segment, now);
            });
        }
        let reply = match packet.headers.protocol {
            protocol::UDP => {
                return self.complain(network, packet, Complaint::PortUnreachable, now);
            }
            protocol::TCP => build::reset(&mut self.pool, &packet),
            _ => build::echo_reply(&mut self.pool, &mut packet),
        };
        self.pool.recycle(packet.frame.data);
        if let Some(reply) = reply {
            self.originate(network, reply, now);
        }
    }

    /// A network's router drops a packet and says why.
    pub(super) fn complain(
        &mut self,
        network: NetworkId,
        packet: Packet,
        why: Complaint,
        now: Duration,
    ) {
        self.complain_because(network, packet, why, why.into(), false, now);
    }

    /// The same at the core's end of the network's uplink, which counts as that router's too.
    pub(super) fn complain_at_core(
        &mut self,
        network: NetworkId,
        packet: Packet,
        why: Complaint,
        now: Duration,
    ) {
        self.complain_because(network, packet, why, why.into(), true, now);
    }

    fn complain_because(
        &mut self,
        network: NetworkId,
        mut packet: Packet,
        why: Complaint,
        reason: Reason,
        at_core: bool,
        now: Duration,
    ) {
        if packet.is_super_frame() {
            return self.cut(packet, |board, segment| {
                board.complain_because(network, segment, why, reason, at_core, now);
            });
        }
        if build::may_complain(&packet) {
            let router = &self.segments[network.0].network;
            let from = match packet.headers.source {
                // In a network without IPv4 the translator's address is the only one that the router has.
                IpAddr::V4(_) => router
                    .gateway_v4
                    .or_else(|| router.nat64.map(|nat64| nat64.address))
                    .map(IpAddr::V4),
                IpAddr::V6(_) => router.gateway_v6.map(IpAddr::V6),
            };
            let message =
                from.and_then(|from| build::complaint(&mut self.pool, &mut packet, why, from));
            if let Some(message) = message {
                if at_core {
                    self.originate_at_core(network, message, now);
                } else {
                    self.originate(network, message, now);
                }
            }
        }
        self.discard(packet.frame, reason, Place::Router(network));
    }

    /// Sends a router's own packet on its way.
    fn originate(&mut self, network: NetworkId, packet: Packet, now: Duration) {
        if self.network_of(packet.headers.destination) == Some(network) {
            if let Some(packet) = self.unless_swallowed(network, packet, FilterDirection::In) {
                self.hand_over(network, packet, now);
            }
        } else if let Some(packet) = self.unless_swallowed(network, packet, FilterDirection::Out) {
            self.send_out(network, packet, now);
        }
    }

    /// The same from the far end of the router's uplink.
    fn originate_at_core(&mut self, network: NetworkId, packet: Packet, now: Duration) {
        if let Some(packet) = self.unless_swallowed(network, packet, FilterDirection::Out) {
            self.cross_core(packet, now);
        }
    }

    fn unless_swallowed(
        &mut self,
        network: NetworkId,
        packet: Packet,
        way: FilterDirection,
    ) -> Option<Packet> {
        match self.segments[network.0].filters.swallows_own(&packet, way) {
            None => Some(packet),
            Some(index) => {
                self.discard(packet.frame, Reason::Filter(index), Place::Router(network));
                None
            }
        }
    }

    /// The network that an address belongs to.
    fn network_of(&self, address: IpAddr) -> Option<NetworkId> {
        let mut segments = self.segments.iter();
        // A translator's address may lie in another network's prefix.
        let translator = segments.position(|segment| segment.is_translator(address));
        let holder = || {
            self.segments
                .iter()
                .position(|segment| segment.holds(address))
        };
        translator.or_else(holder).map(NetworkId)
    }
}

impl From<Complaint> for Reason {
    fn from(why: Complaint) -> Self {
        match why {
            Complaint::NoRoute => Self::NoRoute,
            Complaint::AddressUnreachable => Self::AddressUnreachable,
            // Without a filter: a datagram for a router's own address.
            Complaint::PortUnreachable | Complaint::Prohibited => Self::RouterPort,
            Complaint::TimeExceeded => Self::TimeExceeded,
            Complaint::TooBig { .. } => Self::TooBig,
        }
    }
}
