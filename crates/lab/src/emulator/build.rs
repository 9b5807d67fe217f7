//! Packets that routers make themselves: ICMP errors (RFC 792, RFC 4443), echo replies, TCP resets (RFC 9293 3.10.7).

use super::bytes::{field, put, put_u16, put_u32, u8_at, u32_at};
use super::checksum;
use super::frame::{ETHERNET, Frame, Offload, Pool};
use super::packet::{self, IPV4, IPV6, Packet, ethertype, protocol};
use crate::world::model::Family;
use std::net::IpAddr;

/// Hops that a router gives its own packets.
const HOPS: u8 = 64;
/// The longest ICMPv6 error (RFC 4443 2.4 c: the minimum MTU).
const LONGEST_V6: usize = 1280;
/// The longest ICMP error (RFC 1812 4.3.2.3).
const LONGEST_V4: usize = 576;

/// What a router has to say about a packet that it did not forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Complaint {
    /// No network has the destination.
    NoRoute,
    /// A network has it, but no host there.
    AddressUnreachable,
    /// A filter refuses it.
    Prohibited,
    /// Nobody listens on the port, or a filter says so.
    PortUnreachable,
    /// The packet made too many hops.
    TimeExceeded,
    /// It does not fit the next line.
    TooBig {
        /// What would fit.
        mtu: u16,
    },
}

impl Complaint {
    fn kind_and_code(self, family: Family) -> [u8; 2] {
        let (v4, v6) = match self {
            Self::NoRoute => ([3, 0], [1, 0]),
            Self::AddressUnreachable => ([3, 1], [1, 3]),
            Self::PortUnreachable => ([3, 3], [1, 4]),
            Self::TooBig { .. } => ([3, 4], [2, 0]),
            Self::Prohibited => ([3, 13], [1, 1]),
            Self::TimeExceeded => ([11, 0], [3, 0]),
        };
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }
}

/// Whether an ICMP error may answer a packet (RFC 1122 3.2.2, RFC 4443 2.4 e).
///
/// Deviation: RFC 4443 lets errors answer later fragments of IPv6 packets; as in IPv4, none do here.
pub(crate) fn may_complain(about: &Packet) -> bool {
    let data = &about.frame.data;
    let is_group_frame = u8_at(data, 0).is_none_or(|first| first & 1 != 0);
    !(about.is_icmp_error()
        || about.is_later_fragment()
        || is_group_frame
        || !packet::is_routable_destination(about.headers.destination)
        || !packet::is_routable_source(about.headers.source))
}

/// The ICMP error about a packet (not a super-frame), from a router's address. Finishes the packet's checksum, as the
/// error quotes it.
pub(crate) fn complaint(
    pool: &mut Pool,
    about: &mut Packet,
    why: Complaint,
    from: IpAddr,
) -> Option<Packet> {
    checksum::complete(&mut about.frame)?;
    let family = about.headers.family;
    let (longest, number, header) = match family {
        Family::V4 => (LONGEST_V4, protocol::ICMP, IPV4),
        Family::V6 => (LONGEST_V6, protocol::ICMPV6, IPV6),
    };
    let original = about.frame.data.get(ETHERNET..)?;
    let quote = original.get(..longest - header - 8).unwrap_or(original);
    let (mut frame, at) = start(pool, from, about.headers.source, number, 8 + quote.len())?;
    put(&mut frame.data, at, &why.kind_and_code(family))?;
    if let Complaint::TooBig { mtu } = why {
        // The low half of ICMPv6's 32-bit MTU is where ICMP has its 16-bit one.
        put_u16(&mut frame.data, at + 6, mtu)?;
    }
    put(&mut frame.data, at + 8, quote)?;
    finish(frame)
}

/// The reply to an echo request; `None` when it is none (or a fragment of one).
pub(crate) fn echo_reply(pool: &mut Pool, request: &mut Packet) -> Option<Packet> {
    let (number, reply) = match (request.headers.family, request.headers.icmp?) {
        (Family::V4, (8, 0)) => (protocol::ICMP, 0),
        (Family::V6, (128, 0)) => (protocol::ICMPV6, 129),
        _ => return None,
    };
    if request.headers.fragment.is_some() {
        return None;
    }
    let message = request.frame.data.get(request.headers.transport..)?;
    let (mut frame, at) = start(
        pool,
        request.headers.destination,
        request.headers.source,
        number,
        message.len(),
    )?;
    put(&mut frame.data, at, message)?;
    put(&mut frame.data, at, &[reply])?;
    finish(frame)
}

/// A reset in the destination's name; `None` when the packet is no TCP segment that one may answer.
pub(crate) fn reset(pool: &mut Pool, about: &Packet) -> Option<Packet> {
    const RST: u8 = 4;
    const ACK: u8 = 16;
    let headers = &about.headers;
    if headers.protocol != protocol::TCP {
        return None;
    }
    let (source, destination) = headers.ports?;
    let segment = about.frame.data.get(headers.transport..)?;
    let flags = u8_at(segment, 13)?;
    if flags & RST != 0 {
        return None;
    }
    // RFC 9293 3.10.7.1: the sequence number that the peer expects, or an acknowledgement of all that it sent.
    let (sequence, acknowledged, flags) = if flags & ACK != 0 {
        (u32_at(segment, 8)?, 0, RST)
    } else {
        let payload = about.frame.data.len().checked_sub(headers.payload)?;
        let length = payload + usize::from(flags & 1) + usize::from(flags >> 1 & 1);
        let next = u32_at(segment, 4)?.wrapping_add(u32::try_from(length).ok()?);
        (0, next, RST | ACK)
    };
    let (mut frame, at) = start(pool, headers.destination, headers.source, protocol::TCP, 20)?;
    put_u16(&mut frame.data, at, destination)?;
    put_u16(&mut frame.data, at + 2, source)?;
    put_u32(&mut frame.data, at + 4, sequence)?;
    put_u32(&mut frame.data, at + 8, acknowledged)?;
    put(&mut frame.data, at + 12, &[5 << 4, flags])?;
    finish(frame)
}

/// A frame with its IP header written and `length` zero bytes of transport behind it, and where those start.
pub(super) fn start(
    pool: &mut Pool,
    from: IpAddr,
    to: IpAddr,
    number: u8,
    length: usize,
) -> Option<(Frame, usize)> {
    let header = if from.is_ipv4() { IPV4 } else { IPV6 };
    let at = ETHERNET + header;
    let mut data = pool.sized(at + length)?;
    data.fill(0);
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            put_u16(&mut data, 12, ethertype::IPV4)?;
            put(&mut data, ETHERNET, &[0x45])?;
            put_u16(&mut data, ETHERNET + 2, field(header + length))?;
            put(&mut data, ETHERNET + 8, &[HOPS, number])?;
            put(&mut data, ETHERNET + 12, &from.octets())?;
            put(&mut data, ETHERNET + 16, &to.octets())?;
            checksum::write_v4_header(&mut data, ETHERNET, header)?;
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            put_u16(&mut data, 12, ethertype::IPV6)?;
            put(&mut data, ETHERNET, &[0x60])?;
            put_u16(&mut data, ETHERNET + 4, field(length))?;
            put(&mut data, ETHERNET + 6, &[number, HOPS])?;
            put(&mut data, ETHERNET + 8, &from.octets())?;
            put(&mut data, ETHERNET + 24, &to.octets())?;
        }
        _ => return None,
    }
    Some((
        Frame {
            data,
            offload: Offload::default(),
        },
        at,
    ))
}

/// Sums up a frame from [`start`].
fn finish(mut frame: Frame) -> Option<Packet> {
    let headers = packet::read(&mut frame).ok()?;
    checksum::write_transport(&mut frame.data, &headers)?;
    Some(Packet { frame, headers })
}

#[cfg(test)]
mod tests;
