//! What a frame is: one walk over its headers, with every length checked.
//!
//! After [`read`] succeeded, the offsets in [`Headers`] lie inside the frame, and the frame ends where its IP packet ends.

use super::bytes::{put, put_u16, u8_at, u16_at, v4_at, v6_at};
use super::checksum;
use super::frame::{ETHERNET, Frame, SegmentKind};
use crate::world::model::Family;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IP protocol numbers.
pub(crate) mod protocol {
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const ICMPV6: u8 = 58;
    pub(crate) const HOP_BY_HOP: u8 = 0;
    pub(crate) const ROUTING: u8 = 43;
    pub(crate) const FRAGMENT: u8 = 44;
    pub(crate) const AUTHENTICATION: u8 = 51;
    pub(crate) const DESTINATION: u8 = 60;
}

/// Ethernet types.
pub(crate) mod ethertype {
    pub(crate) const IPV4: u16 = 0x0800;
    pub(crate) const ARP: u16 = 0x0806;
    pub(crate) const IPV6: u16 = 0x86dd;
}

/// Length of an IPv4 header without options.
pub(crate) const IPV4: usize = 20;
/// Length of an IPv6 header.
pub(crate) const IPV6: usize = 40;
/// Offset of the IPv4 flags and fragment offset.
const V4_FRAGMENT: usize = ETHERNET + 6;
/// More extension headers than any honest packet has.
const MOST_EXTENSIONS: usize = 8;

/// An Ethernet address.
pub(crate) type Mac = [u8; 6];

/// The headers of an IP packet in an Ethernet frame; offsets count from the start of the frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Headers {
    /// IPv4 or IPv6.
    pub family: Family,
    /// Where from.
    pub source: IpAddr,
    /// Where to.
    pub destination: IpAddr,
    /// The transport protocol, behind all extension headers.
    pub protocol: u8,
    /// Where the transport header starts (in a later fragment: where its data start).
    pub transport: usize,
    /// Where the bytes behind the transport header start.
    pub payload: usize,
    /// Set in fragments.
    pub fragment: Option<Fragment>,
    /// Source and destination port of TCP and UDP.
    pub ports: Option<(u16, u16)>,
    /// Type and code of ICMP and ICMPv6.
    pub icmp: Option<(u8, u8)>,
    /// The identifier of an echo message.
    pub echo_id: Option<u16>,
    /// Size of the IP packet; of a super-frame, of its first segment.
    pub size: usize,
    /// Of a super-frame, the size of its last segment; otherwise equal to `size`.
    pub last_size: usize,
}

/// Which piece of a packet a fragment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment {
    /// Where the IPv6 fragment header starts; 0 in IPv4.
    pub header: usize,
    /// Offset in bytes.
    pub offset: u16,
    /// More follow.
    pub more: bool,
    /// Identification.
    pub id: u32,
}

/// Why a frame is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotIp {
    /// Something else, whose Ethernet type this is.
    Other(u16),
    /// Cut short, or its lengths contradict each other.
    Malformed,
}

/// An IP packet on its way.
#[derive(Debug)]
pub(crate) struct Packet {
    /// The bytes.
    pub frame: Frame,
    /// What they are.
    pub headers: Headers,
}

impl Packet {
    /// Reads a frame's headers; gives the frame back when it is no IP packet.
    pub(crate) fn new(mut frame: Frame) -> Result<Self, (NotIp, Frame)> {
        match read(&mut frame) {
            Ok(headers) => Ok(Self { frame, headers }),
            Err(reason) => Err((reason, frame)),
        }
    }

    /// Whether it stands for several packets.
    pub(crate) fn is_super_frame(&self) -> bool {
        self.frame.offload.segments.is_some()
    }

    /// The length of the headers as the virtio header wants it.
    pub(crate) fn header_length(&self) -> u16 {
        super::bytes::field(self.headers.payload)
    }

    /// TTL or hop limit.
    pub(crate) fn hops(&self) -> u8 {
        let at = match self.headers.family {
            Family::V4 => ETHERNET + 8,
            Family::V6 => ETHERNET + 7,
        };
        u8_at(&self.frame.data, at).unwrap_or(0)
    }

    /// Counts one hop down; call only when more than one is left.
    pub(crate) fn count_hop(&mut self) {
        let hops = self.hops().saturating_sub(1);
        let data = &mut *self.frame.data;
        // Both writes are inside the IP header, which `read` found complete.
        match self.headers.family {
            Family::V6 => _ = put(data, ETHERNET + 7, &[hops]),
            Family::V4 => {
                let old = u16_at(data, ETHERNET + 8).unwrap_or(0).to_be_bytes();
                let new = [hops, old[1]];
                let sum = u16_at(data, ETHERNET + 10).unwrap_or(0);
                _ = put(data, ETHERNET + 8, &new);
                _ = put_u16(data, ETHERNET + 10, checksum::adjust(sum, &old, &new));
            }
        }
    }

    /// Addresses the frame.
    pub(crate) fn address_frame(&mut self, from: Mac, to: Mac) {
        address_frame(&mut self.frame.data, from, to);
    }

    /// Whether an IPv4 packet must not be fragmented; IPv6 packets never are on their way.
    pub(crate) fn dont_fragment(&self) -> bool {
        self.headers.family == Family::V6
            || u16_at(&self.frame.data, V4_FRAGMENT).is_none_or(|word| word & 0x4000 != 0)
    }

    /// Whether it is Packet Too Big or Fragmentation Needed.
    pub(crate) fn is_packet_too_big(&self) -> bool {
        match self.headers.family {
            Family::V4 => self.headers.icmp == Some((3, 4)),
            Family::V6 => self.headers.icmp == Some((2, 0)),
        }
    }

    /// Whether it is an ICMP message that no ICMP error may answer (RFC 1122 3.2.2, RFC 4443 2.4 e).
    pub(crate) fn is_icmp_error(&self) -> bool {
        match (self.headers.family, self.headers.icmp) {
            (_, None) => false,
            (Family::V4, Some((kind, _))) => matches!(kind, 3 | 4 | 5 | 11 | 12),
            (Family::V6, Some((kind, _))) => kind < 128 || kind == 137,
        }
    }

    /// A fragment that does not hold the transport header.
    pub(crate) fn is_later_fragment(&self) -> bool {
        self.headers
            .fragment
            .is_some_and(|fragment| fragment.offset != 0)
    }
}

/// Writes an Ethernet header's addresses.
pub(crate) fn address_frame(data: &mut [u8], from: Mac, to: Mac) {
    // A frame shorter than an Ethernet header never becomes a packet.
    _ = put(data, 0, &to);
    _ = put(data, 6, &from);
}

/// Walks a frame's headers and cuts off Ethernet padding.
pub(crate) fn read(frame: &mut Frame) -> Result<Headers, NotIp> {
    let kind = u16_at(&frame.data, 12).ok_or(NotIp::Malformed)?;
    let mut headers = match kind {
        ethertype::IPV4 => walk_v4(&frame.data),
        ethertype::IPV6 => walk_v6(&frame.data),
        other => return Err(NotIp::Other(other)),
    }
    .filter(|headers| is_whole(&frame.data, headers))
    .ok_or(NotIp::Malformed)?;
    frame.data.truncate(ETHERNET + headers.size);
    read_transport(&frame.data, &mut headers).ok_or(NotIp::Malformed)?;
    read_offload(frame, &mut headers).ok_or(NotIp::Malformed)?;
    Ok(headers)
}

/// Reads the headers of the packet that an ICMP error quotes: `data` is the quote behind an Ethernet header's worth of
/// bytes, and may end early.
pub(crate) fn read_quoted(data: &[u8], family: Family) -> Option<Headers> {
    let mut headers = match family {
        Family::V4 => walk_v4(data)?,
        Family::V6 => walk_v6(data)?,
    };
    // Only the first eight bytes of the transport header are certain to be there (RFC 792).
    read_ports(data, &mut headers)?;
    Some(headers)
}

/// Whether a packet's headers lie inside it, and it inside its frame.
fn is_whole(data: &[u8], headers: &Headers) -> bool {
    let end = ETHERNET + headers.size;
    headers.transport <= end && end <= data.len()
}

fn walk_v4(data: &[u8]) -> Option<Headers> {
    let first = u8_at(data, ETHERNET)?;
    let length = usize::from(first & 15) * 4;
    if first >> 4 != 4 || length < IPV4 || data.len() < ETHERNET + length {
        return None;
    }
    let total = usize::from(u16_at(data, ETHERNET + 2)?);
    let word = u16_at(data, V4_FRAGMENT)?;
    let (offset, more) = ((word & 0x1fff) * 8, word & 0x2000 != 0);
    Some(Headers {
        family: Family::V4,
        source: v4_at(data, ETHERNET + 12)?.into(),
        destination: v4_at(data, ETHERNET + 16)?.into(),
        protocol: u8_at(data, ETHERNET + 9)?,
        transport: ETHERNET + length,
        payload: ETHERNET + length,
        fragment: (offset != 0 || more).then_some(Fragment {
            header: 0,
            offset,
            more,
            id: u16_at(data, ETHERNET + 4)?.into(),
        }),
        ports: None,
        icmp: None,
        echo_id: None,
        size: total,
        last_size: total,
    })
}

fn walk_v6(data: &[u8]) -> Option<Headers> {
    if u8_at(data, ETHERNET)? >> 4 != 6 || data.len() < ETHERNET + IPV6 {
        return None;
    }
    let total = IPV6 + usize::from(u16_at(data, ETHERNET + 4)?);
    let mut next = u8_at(data, ETHERNET + 6)?;
    let mut at = ETHERNET + IPV6;
    let mut fragment = None;
    for _ in 0..MOST_EXTENSIONS {
        let length = match next {
            protocol::HOP_BY_HOP | protocol::ROUTING | protocol::DESTINATION => {
                8 + 8 * usize::from(u8_at(data, at + 1)?)
            }
            protocol::AUTHENTICATION => 8 + 4 * usize::from(u8_at(data, at + 1)?),
            protocol::FRAGMENT => {
                let word = u16_at(data, at + 2)?;
                let (offset, more) = (word & !7, word & 1 != 0);
                // An atomic fragment (RFC 6946) is a whole packet.
                if offset != 0 || more {
                    let id = super::bytes::u32_at(data, at + 4)?;
                    fragment = Some(Fragment {
                        header: at,
                        offset,
                        more,
                        id,
                    });
                }
                8
            }
            _ => break,
        };
        next = u8_at(data, at)?;
        at += length;
        // What follows a later fragment's header is no header.
        if fragment.is_some_and(|fragment: Fragment| fragment.offset != 0) {
            break;
        }
    }
    if at > data.len() {
        return None;
    }
    Some(Headers {
        family: Family::V6,
        source: v6_at(data, ETHERNET + 8)?.into(),
        destination: v6_at(data, ETHERNET + 24)?.into(),
        protocol: next,
        transport: at,
        payload: at,
        fragment,
        ports: None,
        icmp: None,
        echo_id: None,
        size: total,
        last_size: total,
    })
}

/// Reads the ports or the ICMP type, where they can be.
fn read_ports(data: &[u8], headers: &mut Headers) -> Option<()> {
    if headers
        .fragment
        .is_some_and(|fragment| fragment.offset != 0)
    {
        return Some(());
    }
    let at = headers.transport;
    match (headers.protocol, headers.family) {
        (protocol::TCP | protocol::UDP, _) => {
            headers.ports = Some((u16_at(data, at)?, u16_at(data, at + 2)?));
        }
        (protocol::ICMP, Family::V4) | (protocol::ICMPV6, Family::V6) => {
            let kind = u8_at(data, at)?;
            headers.icmp = Some((kind, u8_at(data, at + 1)?));
            if matches!(kind, 0 | 8 | 128 | 129) {
                headers.echo_id = u16_at(data, at + 4);
            }
        }
        _ => {}
    }
    Some(())
}

fn read_transport(data: &[u8], headers: &mut Headers) -> Option<()> {
    read_ports(data, headers)?;
    let length = if headers.ports.is_some() && headers.protocol == protocol::TCP {
        let length = usize::from(u8_at(data, headers.transport + 12)? >> 4) * 4;
        if length < 20 {
            return None;
        }
        length
    } else if headers.ports.is_some() || headers.icmp.is_some() {
        8
    } else {
        0
    };
    headers.payload = headers.transport + length;
    (headers.payload <= data.len()).then_some(())
}

/// Checks that the work left to do fits the packet, and works out the sizes of the segments.
fn read_offload(frame: &mut Frame, headers: &mut Headers) -> Option<()> {
    if let Some(partial) = frame.offload.checksum {
        let expected = match headers.protocol {
            protocol::TCP => Some(16),
            protocol::UDP => Some(6),
            protocol::ICMPV6 => Some(2),
            _ => None,
        };
        let is_usual = partial.start == super::bytes::field(headers.transport)
            && Some(partial.offset) == expected
            && headers.fragment.is_none();
        // What we could not keep right from here on we finish now.
        if !is_usual {
            checksum::complete(frame)?;
        }
    }
    let Some(segments) = frame.offload.segments else {
        return Some(());
    };
    let fits = match segments.kind {
        SegmentKind::TcpV4 => headers.family == Family::V4 && headers.protocol == protocol::TCP,
        SegmentKind::TcpV6 => headers.family == Family::V6 && headers.protocol == protocol::TCP,
        SegmentKind::Udp => headers.protocol == protocol::UDP,
    };
    if !fits || headers.fragment.is_some() || headers.ports.is_none() {
        return None;
    }
    let (above, size) = (headers.payload - ETHERNET, usize::from(segments.size));
    let payload = frame.data.len() - headers.payload;
    if payload <= size {
        frame.offload.segments = None;
        return Some(());
    }
    // The kernel leaves the checksums of super-frames to whoever cuts them; one without is not the kernel's.
    frame.offload.checksum?;
    headers.size = above + size;
    headers.last_size = above + 1 + (payload - 1) % size;
    Some(())
}

/// Whether an address can be a packet's source beyond its own link.
pub(crate) fn is_routable_source(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_routable_v4(address) && !address.is_unspecified(),
        IpAddr::V6(address) => is_routable_v6(address) && !address.is_unspecified(),
    }
}

/// Whether a router forwards packets to an address.
pub(crate) fn is_routable_destination(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_routable_v4(address),
        IpAddr::V6(address) => is_routable_v6(address),
    }
}

fn is_routable_v4(address: Ipv4Addr) -> bool {
    !(address.is_multicast()
        || address.is_broadcast()
        || address.is_loopback()
        || address.is_link_local())
}

fn is_routable_v6(address: Ipv6Addr) -> bool {
    !(address.is_multicast() || address.is_loopback() || address.is_unicast_link_local())
}

#[cfg(test)]
mod tests;
