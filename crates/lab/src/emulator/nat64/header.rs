//! Translates packets in place: IP header, one port or identifier, checksums (RFC 7915 4.1, 5.1).
//!
//! Checksums are changed by the difference between the pseudo headers, so that later bytes need not be there
//! (fragments) and unfinished checksums stay unfinished.

use crate::emulator::bytes::{array_at, field, put, put_u16, put_u32, u8_at, u16_at};
use crate::emulator::checksum;
use crate::emulator::fragment::FRAGMENT_HEADER;
use crate::emulator::frame::{ETHERNET, Frame, SegmentKind};
use crate::emulator::packet::{self, Headers, IPV4, IPV6, ethertype, protocol};
use crate::emulator::segment::write_partial_checksum;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The largest IPv4 packet that may still be fragmented on its way (RFC 7915 5.1).
const FRAGMENTABLE: usize = 1260;

/// The IPv4 side of a packet that goes out.
#[derive(Clone, Copy)]
pub(super) struct Outer {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    /// Marks the packet for the case that it is fragmented.
    pub(super) id: u16,
    /// It came in fragments, so that it may be fragmented again.
    pub(super) was_fragmented: bool,
}

/// IPv6 becomes IPv4. `port` is the new source port or echo identifier.
pub(super) fn to_v4(
    frame: &mut Frame,
    headers: &Headers,
    outer: Outer,
    port: Option<u16>,
) -> Option<()> {
    let Outer {
        source: from,
        destination: to,
        ..
    } = outer;
    let class = array_at::<2>(&frame.data, ETHERNET).map(u16::from_be_bytes)? >> 4;
    let hops = u8_at(&frame.data, ETHERNET + 7)?;
    let number = match headers.protocol {
        protocol::ICMPV6 => protocol::ICMP,
        number => number,
    };
    frame
        .data
        .shrink_front(headers.transport.checked_sub(ETHERNET + IPV4)?)?;
    let total = frame.data.len() - ETHERNET;
    let is_whole_super_frame = frame.offload.segments.is_some();
    let (id, flags) = match headers.fragment {
        Some(fragment) => {
            let [.., high, low] = fragment.id.to_be_bytes();
            let more = if fragment.more { 0x2000 } else { 0 };
            (
                u16::from_be_bytes([high, low]),
                (fragment.offset / 8) | more,
            )
        }
        None if outer.was_fragmented => (outer.id, 0),
        None if is_whole_super_frame || total > FRAGMENTABLE => (outer.id, 0x4000),
        None => (outer.id, 0),
    };
    let data = &mut *frame.data;
    let [_, class] = class.to_be_bytes();
    put(data, 0, &[0; 12])?;
    put_u16(data, 12, ethertype::IPV4)?;
    put(data, ETHERNET, &[0x45, class])?;
    put_u16(data, ETHERNET + 2, u16::try_from(total).ok()?)?;
    put_u16(data, ETHERNET + 4, id)?;
    put_u16(data, ETHERNET + 6, flags)?;
    put(data, ETHERNET + 8, &[hops, number])?;
    put(data, ETHERNET + 12, &from.octets())?;
    put(data, ETHERNET + 16, &to.octets())?;
    checksum::write_v4_header(data, ETHERNET, IPV4)?;
    if let Some(segments) = &mut frame.offload.segments
        && segments.kind == SegmentKind::TcpV6
    {
        segments.kind = SegmentKind::TcpV4;
    }
    let renamed = Renamed {
        before: headers,
        source: from.into(),
        destination: to.into(),
        at: ETHERNET + IPV4,
    };
    match port {
        Some(port) => renamed.write(frame, port, End::Source),
        None => Some(()),
    }
}

/// IPv4 becomes IPv6. `port` is the new destination port or echo identifier.
pub(super) fn to_v6(
    frame: &mut Frame,
    headers: &Headers,
    from: Ipv6Addr,
    to: Ipv6Addr,
    port: Option<u16>,
) -> Option<()> {
    let [class, hops] = [
        u8_at(&frame.data, ETHERNET + 1)?,
        u8_at(&frame.data, ETHERNET + 8)?,
    ];
    let number = match headers.protocol {
        protocol::ICMP => protocol::ICMPV6,
        number => number,
    };
    let extension = if headers.fragment.is_some() {
        FRAGMENT_HEADER
    } else {
        0
    };
    let at = ETHERNET + IPV6 + extension;
    match at.checked_sub(headers.transport) {
        Some(more) => frame.data.grow_front(more)?,
        // An IPv4 header full of options is longer than that of IPv6.
        None => frame.data.shrink_front(headers.transport - at)?,
    }
    let data = &mut *frame.data;
    put(data, 0, &[0; 12])?;
    put_u16(data, 12, ethertype::IPV6)?;
    put_u32(data, ETHERNET, 0x6000_0000 | u32::from(class) << 20)?;
    let length = u16::try_from(data.len() - ETHERNET - IPV6).ok()?;
    put_u16(data, ETHERNET + 4, length)?;
    put(data, ETHERNET + 6, &[number, hops])?;
    put(data, ETHERNET + 8, &from.octets())?;
    put(data, ETHERNET + 24, &to.octets())?;
    if let Some(fragment) = headers.fragment {
        put(data, ETHERNET + 6, &[protocol::FRAGMENT])?;
        put(data, ETHERNET + IPV6, &[number, 0])?;
        put_u16(
            data,
            ETHERNET + IPV6 + 2,
            fragment.offset & !7 | u16::from(fragment.more),
        )?;
        put_u32(data, ETHERNET + IPV6 + 4, fragment.id)?;
    }
    if let Some(segments) = &mut frame.offload.segments
        && segments.kind == SegmentKind::TcpV4
    {
        segments.kind = SegmentKind::TcpV6;
    }
    let renamed = Renamed {
        before: headers,
        source: from.into(),
        destination: to.into(),
        at,
    };
    match port {
        Some(port) => renamed.write(frame, port, End::Destination),
        None => Some(()),
    }
}

/// Which port changes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Source,
    Destination,
}

/// A transport header whose packet got new addresses.
pub(super) struct Renamed<'a> {
    pub(super) before: &'a Headers,
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Where the transport header is now.
    pub(super) at: usize,
}

impl Renamed<'_> {
    /// Writes the new port or identifier and makes the checksum right.
    fn write(&self, frame: &mut Frame, port: u16, end: End) -> Option<()> {
        if self.before.icmp.is_some() {
            return self.write_echo(frame, port);
        }
        if let Some(partial) = &mut frame.offload.checksum {
            partial.start = field(self.at);
            put_u16(
                &mut frame.data,
                self.at + if end == End::Source { 0 } else { 2 },
                port,
            )?;
            let headers = Headers {
                source: self.source,
                destination: self.destination,
                transport: self.at,
                ..*self.before
            };
            return write_partial_checksum(&mut frame.data, &headers, frame.offload);
        }
        let is_udp = self.before.protocol == protocol::UDP;
        let place = self.at + if is_udp { 6 } else { 16 };
        if is_udp && u16_at(&frame.data, place)? == 0 {
            put_u16(
                &mut frame.data,
                self.at + if end == End::Source { 0 } else { 2 },
                port,
            )?;
            return self.sum_up(frame);
        }
        self.adjust(&mut frame.data, port, end)
    }

    /// Writes the new port and changes the checksum, where it is there, by the difference.
    pub(super) fn adjust(&self, data: &mut [u8], port: u16, end: End) -> Option<()> {
        let is_udp = self.before.protocol == protocol::UDP;
        let place = self.at + if is_udp { 6 } else { 16 };
        let at = self.at + if end == End::Source { 0 } else { 2 };
        let old_port: [u8; 2] = array_at(data, at)?;
        put_u16(data, at, port)?;
        let Some(sum) = u16_at(data, place).filter(|sum| !is_udp || *sum != 0) else {
            return Some(());
        };
        let sum = checksum::adjust(sum, &octets(self.before.source), &octets(self.source));
        let sum = checksum::adjust(
            sum,
            &octets(self.before.destination),
            &octets(self.destination),
        );
        let sum = checksum::adjust(sum, &old_port, &port.to_be_bytes());
        put_u16(data, place, if is_udp && sum == 0 { 0xffff } else { sum })
    }

    /// IPv6 has no datagrams without a checksum: sums up one that came without (RFC 7915 4.5). Not possible for fragments.
    fn sum_up(&self, frame: &mut Frame) -> Option<()> {
        if self.before.fragment.is_some() {
            return None;
        }
        let headers = packet::read(frame).ok()?;
        checksum::write_transport(&mut frame.data, &headers)
    }

    /// Echo request and reply have other types; ICMPv6 alone has a pseudo header.
    fn write_echo(&self, frame: &mut Frame, id: u16) -> Option<()> {
        frame.offload.checksum = None;
        let kind = match u8_at(&frame.data, self.at)? {
            128 => 8,
            129 => 0,
            8 => 128,
            0 => 129,
            _ => return None,
        };
        put(&mut frame.data, self.at, &[kind])?;
        put_u16(&mut frame.data, self.at + 4, id)?;
        let headers = packet::read(frame).ok()?;
        checksum::write_transport(&mut frame.data, &headers)
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
