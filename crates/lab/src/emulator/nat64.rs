//! Stateful NAT64 (RFC 6146) with the translation of RFC 7915, at a network's router.
//!
//! Which port stands for which host is in `bindings`. Fragments are translated one by one: the first makes the others'
//! way known, and whatever overtakes it is lost.

mod bindings;
pub(crate) mod gather;
mod header;
mod message;

use super::bytes::u8_at;
use super::frame::Frame;
use super::packet::{Headers, Packet, protocol};
use crate::world::model::{Family, Nat64};
use bindings::{Bindings, Inner, Kind, Outer, Sign};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Fragmented datagrams whose first fragment is remembered.
const REMEMBERED_FRAGMENTS: usize = 256;

/// A translator and its bindings.
#[derive(Debug)]
pub(crate) struct Translator {
    prefix: Ipv6Addr,
    address: Ipv4Addr,
    bindings: Bindings,
    /// Where the later fragments of a datagram from IPv4 go, by source, protocol and identification.
    fragments: VecDeque<((Ipv4Addr, u8, u32), Ipv6Addr)>,
    /// Identification of the last IPv4 packet.
    next_id: u16,
}

impl Translator {
    pub(crate) fn new(nat64: Nat64) -> Self {
        Self {
            prefix: nat64.prefix,
            address: nat64.address,
            bindings: Bindings::default(),
            fragments: VecDeque::new(),
            next_id: 0,
        }
    }

    /// Whether packets from inside to this address are for translation.
    pub(crate) fn takes(&self, destination: IpAddr) -> bool {
        matches!(destination, IpAddr::V6(destination) if self.extract(destination).is_some())
    }

    /// Whether this is the address that packets from IPv4 come back to.
    pub(crate) fn is_address(&self, destination: IpAddr) -> bool {
        destination == IpAddr::V4(self.address)
    }

    /// IPv6 from inside becomes IPv4, which routers may fragment if it is small or was fragmented before. What cannot
    /// be translated comes back, no longer whole.
    pub(crate) fn outward(
        &mut self,
        mut packet: Packet,
        was_fragmented: bool,
        now: Duration,
    ) -> Result<Packet, Frame> {
        if self.try_outward(&mut packet, was_fragmented, now).is_none() {
            return Err(packet.frame);
        }
        reread(packet)
    }

    /// IPv4 for the translator's address becomes IPv6. What cannot be translated comes back, no longer whole.
    pub(crate) fn inward(&mut self, mut packet: Packet, now: Duration) -> Result<Packet, Frame> {
        if self.try_inward(&mut packet, now).is_none() {
            return Err(packet.frame);
        }
        reread(packet)
    }

    fn try_outward(
        &mut self,
        packet: &mut Packet,
        was_fragmented: bool,
        now: Duration,
    ) -> Option<()> {
        let headers = packet.headers;
        let (IpAddr::V6(source), IpAddr::V6(destination)) = (headers.source, headers.destination)
        else {
            return None;
        };
        let to = self.extract(destination)?;
        if packet.is_icmp_error() {
            return message::outward(self, packet, source, to, now);
        }
        let port = match (port_of(&headers, Of::Source), headers.fragment) {
            (Some((kind, port)), _) => {
                let inner = Inner {
                    kind,
                    address: source,
                    port,
                };
                Some(self.bindings.outward(inner, sign(packet), now)?)
            }
            // A later fragment goes where its first one went, and has no port to change.
            (None, Some(fragment)) if fragment.offset != 0 && has_ports(headers.protocol) => None,
            (None, _) => return None,
        };
        self.next_id = self.next_id.wrapping_add(1);
        let outer = header::Outer {
            source: self.address,
            destination: to,
            id: self.next_id,
            was_fragmented,
        };
        header::to_v4(&mut packet.frame, &headers, outer, port)
    }

    fn try_inward(&mut self, packet: &mut Packet, now: Duration) -> Option<()> {
        let headers = packet.headers;
        let IpAddr::V4(source) = headers.source else {
            return None;
        };
        let from = self.embed(source);
        if packet.is_icmp_error() {
            return message::inward(self, packet, from, now);
        }
        let Some((kind, port)) = port_of(&headers, Of::Destination) else {
            let fragment = headers.fragment.filter(|fragment| fragment.offset != 0)?;
            let datagram = (source, headers.protocol, fragment.id);
            let (_, to) = self
                .fragments
                .iter()
                .rev()
                .find(|(known, _)| *known == datagram)?;
            return header::to_v6(&mut packet.frame, &headers, from, *to, None);
        };
        let inner = self
            .bindings
            .inward(Outer { kind, port }, sign(packet), now)?;
        if let Some(fragment) = headers.fragment {
            if self.fragments.len() >= REMEMBERED_FRAGMENTS {
                self.fragments.pop_front();
            }
            self.fragments
                .push_back(((source, headers.protocol, fragment.id), inner.address));
        }
        header::to_v6(
            &mut packet.frame,
            &headers,
            from,
            inner.address,
            Some(inner.port),
        )
    }

    /// The IPv4 address inside an address of the prefix (RFC 6052 2.2, /96).
    fn extract(&self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let (address, prefix) = (u128::from(address), u128::from(self.prefix));
        let low = u32::try_from(address & u128::from(u32::MAX)).ok()?;
        (address >> 32 == prefix >> 32).then(|| Ipv4Addr::from(low))
    }

    /// An IPv4 address as hosts inside see it.
    fn embed(&self, address: Ipv4Addr) -> Ipv6Addr {
        Ipv6Addr::from(u128::from(self.prefix) >> 32 << 32 | u128::from(u32::from(address)))
    }
}

/// Which end of a packet.
#[derive(Clone, Copy)]
enum Of {
    Source,
    Destination,
}

fn has_ports(number: u8) -> bool {
    matches!(number, protocol::TCP | protocol::UDP)
}

/// What a packet says about its connection (RFC 6146 section 3.5.2.2).
fn sign(packet: &Packet) -> Sign {
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    let headers = &packet.headers;
    if headers.protocol != protocol::TCP || headers.ports.is_none() {
        return Sign::Other;
    }
    match u8_at(&packet.frame.data, headers.transport + 13) {
        Some(flags) if flags & (FIN | RST) != 0 => Sign::Closing,
        Some(flags) if flags & SYN != 0 => Sign::Opening,
        _ => Sign::Other,
    }
}

/// The port of one end of a packet, or the identifier of an echo message.
fn port_of(headers: &Headers, end: Of) -> Option<(Kind, u16)> {
    if let Some((source, destination)) = headers.ports {
        let kind = if headers.protocol == protocol::TCP {
            Kind::Tcp
        } else {
            Kind::Udp
        };
        let port = match end {
            Of::Source => source,
            Of::Destination => destination,
        };
        return Some((kind, port));
    }
    let is_echo = match headers.family {
        Family::V4 => matches!(headers.icmp, Some((0 | 8, 0))),
        Family::V6 => matches!(headers.icmp, Some((128 | 129, 0))),
    };
    // Fragmented ones are gathered first.
    (is_echo && headers.fragment.is_none()).then_some((Kind::Echo, headers.echo_id?))
}

fn reread(packet: Packet) -> Result<Packet, Frame> {
    Packet::new(packet.frame).map_err(|(_, frame)| frame)
}

#[cfg(test)]
mod tests;
