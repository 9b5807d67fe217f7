//! Translates ICMP errors and the packets that they quote (RFC 7915 4.2, 4.3, 5.2, 5.3).

use super::header::{End, Renamed};
use super::{Inner, Of, Outer, Translator, port_of};
use crate::emulator::bytes::{field, put, put_u16, put_u32, u8_at, u16_at, u32_at};
use crate::emulator::checksum;
use crate::emulator::frame::{ETHERNET, Offload};
use crate::emulator::packet::{self, Headers, IPV4, IPV6, Packet, ethertype, protocol};
use crate::world::model::Family;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Every IPv6 line carries this much.
const LEAST_MTU: u32 = 1280;
/// How much longer the IPv6 header is.
const LONGER: u32 = 20;
/// Room for an ICMP error, translated: the longest has 1280 bytes.
const ROOM: usize = 1400;

/// An ICMPv6 error from inside, about a packet that came from IPv4.
pub(super) fn outward(
    translator: &mut Translator,
    packet: &mut Packet,
    source: Ipv6Addr,
    to: Ipv4Addr,
    now: Duration,
) -> Option<()> {
    checksum::complete(&mut packet.frame)?;
    let message = packet.frame.data.get(packet.headers.transport..)?;
    let start = kind_to_v4(message)?;
    let (quote, inner) = quoted(message, Family::V6)?;
    // It quotes what we translated inwards: from an embedded address to one of our hosts.
    let (IpAddr::V6(inner_source), IpAddr::V6(host)) = (inner.source, inner.destination) else {
        return None;
    };
    let inner_from = translator.extract(inner_source)?;
    let (kind, port) = port_of(&inner, Of::Destination)?;
    let inner_host = Inner {
        kind,
        address: host,
        port,
    };
    let port = translator.bindings.port_of(inner_host, now)?;
    // The router itself has no IPv4 address of its own to speak from but the translator's.
    let from = translator.extract(source).unwrap_or(translator.address);
    let mut out = [0; ROOM];
    let (at, above) = (ETHERNET + IPV4 + 8, ETHERNET + IPV4);
    let payload = quote.get(inner.transport..)?;
    let payload = payload.get(..ROOM - at - IPV4).unwrap_or(payload);
    let quoted_length = inner.size.checked_sub(inner.transport - ETHERNET)? + IPV4;
    write_v4(
        &mut out,
        at,
        inner_from,
        translator.address,
        inner.protocol,
        u8_at(&quote, ETHERNET + 7)?,
        quoted_length,
    )?;
    put(&mut out, at + IPV4, payload)?;
    let renamed = Renamed {
        before: &inner,
        source: inner_from.into(),
        destination: translator.address.into(),
        at: at + IPV4,
    };
    rename(&mut out, &renamed, port, End::Destination)?;
    put(&mut out, above, &start)?;
    let length = IPV4 + 8 + IPV4 + payload.len();
    write_v4(
        &mut out,
        ETHERNET,
        from,
        to,
        protocol::ICMP,
        packet.hops(),
        length,
    )?;
    finish(packet, &mut out, ETHERNET + length, ethertype::IPV4)
}

/// An ICMP error from IPv4, about a packet that we sent there.
pub(super) fn inward(
    translator: &mut Translator,
    packet: &mut Packet,
    from: Ipv6Addr,
    now: Duration,
) -> Option<()> {
    let message = packet.frame.data.get(packet.headers.transport..)?;
    let start = kind_to_v6(message)?;
    let (quote, inner) = quoted(message, Family::V4)?;
    let IpAddr::V4(inner_to) = inner.destination else {
        return None;
    };
    if inner.source != IpAddr::V4(translator.address) {
        return None;
    }
    let (kind, port) = port_of(&inner, Of::Source)?;
    let host = translator.bindings.host_behind(Outer { kind, port }, now)?;
    let inner_to = translator.embed(inner_to);
    let mut out = [0; ROOM];
    let (at, above) = (ETHERNET + IPV6 + 8, ETHERNET + IPV6);
    let payload = quote.get(inner.transport..)?;
    let most = usize::try_from(LEAST_MTU).ok()? - IPV6 - 8 - IPV6;
    let payload = payload.get(..most).unwrap_or(payload);
    let quoted_length = inner.size.checked_sub(inner.transport - ETHERNET)?;
    write_v6(
        &mut out,
        at,
        host.address,
        inner_to,
        inner.protocol,
        u8_at(&quote, ETHERNET + 8)?,
        quoted_length,
    )?;
    put(&mut out, at + IPV6, payload)?;
    let renamed = Renamed {
        before: &inner,
        source: host.address.into(),
        destination: inner_to.into(),
        at: at + IPV6,
    };
    rename(&mut out, &renamed, host.port, End::Source)?;
    put(&mut out, above, &start)?;
    let length = 8 + IPV6 + payload.len();
    write_v6(
        &mut out,
        ETHERNET,
        from,
        host.address,
        protocol::ICMPV6,
        packet.hops(),
        length,
    )?;
    finish(packet, &mut out, ETHERNET + IPV6 + length, ethertype::IPV6)
}

/// The quoted packet behind an Ethernet header's worth of zeros, and its headers.
fn quoted(message: &[u8], family: Family) -> Option<(Vec<u8>, Headers)> {
    let mut quote = vec![0; ETHERNET];
    quote.extend_from_slice(message.get(8..)?);
    let headers = packet::read_quoted(&quote, family)?;
    Some((quote, headers))
}

/// Puts the port or the echo's type and identifier into a quoted transport header.
fn rename(out: &mut [u8], renamed: &Renamed<'_>, port: u16, end: End) -> Option<()> {
    if renamed.before.icmp.is_none() {
        return renamed.adjust(out, port, end);
    }
    let kind = match u8_at(out, renamed.at)? {
        128 => 8,
        129 => 0,
        8 => 128,
        0 => 129,
        _ => return None,
    };
    // The checksum of a quoted echo covers bytes that need not be quoted, and nobody looks at it.
    put(out, renamed.at, &[kind])?;
    put_u16(out, renamed.at + 4, port)
}

/// Type, code, and the second word of an ICMP error for an ICMPv6 one (RFC 7915 5.2).
fn kind_to_v4(message: &[u8]) -> Option<[u8; 8]> {
    let mut start = [0; 8];
    let (kind, code) = match (u8_at(message, 0)?, u8_at(message, 1)?) {
        (1, 0 | 2 | 3) => (3, 1),
        (1, 1) => (3, 10),
        (1, 4) => (3, 3),
        (2, _) => {
            let mtu = u32_at(message, 4)?
                .saturating_sub(LONGER)
                .min(u32::from(u16::MAX));
            put_u16(&mut start, 6, u16::try_from(mtu).ok()?)?;
            (3, 4)
        }
        (3, code) => (11, code),
        (4, 1) => (3, 2),
        (4, 0) => {
            let pointer = match u32_at(message, 4)? {
                pointer @ (0 | 1) => u8::try_from(pointer).ok()?,
                4 | 5 => 2,
                6 => 9,
                7 => 8,
                8..=23 => 12,
                24..=39 => 16,
                _ => return None,
            };
            put(&mut start, 4, &[pointer])?;
            (12, 0)
        }
        _ => return None,
    };
    put(&mut start, 0, &[kind, code])?;
    Some(start)
}

/// Type, code, and the second word of an ICMPv6 error for an ICMP one (RFC 7915 4.2).
fn kind_to_v6(message: &[u8]) -> Option<[u8; 8]> {
    let mut start = [0; 8];
    let (kind, code) = match (u8_at(message, 0)?, u8_at(message, 1)?) {
        (3, 0 | 1 | 5 | 6 | 7 | 8 | 11 | 12) => (1, 0),
        (3, 2) => {
            // The field that says which protocol follows, in the IPv6 header.
            put_u32(&mut start, 4, 6)?;
            (4, 1)
        }
        (3, 3) => (1, 4),
        (3, 4) => {
            // A router that names no MTU is older than RFC 1191: the least one is always right.
            let mtu = u32::from(u16_at(message, 6)?) + LONGER;
            put_u32(&mut start, 4, mtu.max(LEAST_MTU))?;
            (2, 0)
        }
        (3, 9 | 10 | 13 | 15) => (1, 1),
        (11, code) => (3, code),
        (12, 0 | 2) => {
            let pointer = match u8_at(message, 4)? {
                pointer @ (0 | 1) => u32::from(pointer),
                2 | 3 => 4,
                8 => 7,
                9 => 6,
                12..=15 => 8,
                16..=19 => 24,
                _ => return None,
            };
            put_u32(&mut start, 4, pointer)?;
            (4, 0)
        }
        _ => return None,
    };
    put(&mut start, 0, &[kind, code])?;
    Some(start)
}

/// Writes an IPv4 header; `number` may be ICMPv6's.
fn write_v4(
    out: &mut [u8],
    at: usize,
    from: Ipv4Addr,
    to: Ipv4Addr,
    number: u8,
    hops: u8,
    total: usize,
) -> Option<()> {
    let number = if number == protocol::ICMPV6 {
        protocol::ICMP
    } else {
        number
    };
    put(out, at, &[0x45])?;
    put_u16(out, at + 2, field(total))?;
    put(out, at + 8, &[hops, number])?;
    put(out, at + 12, &from.octets())?;
    put(out, at + 16, &to.octets())?;
    checksum::write_v4_header(out, at, IPV4)
}

/// Writes an IPv6 header; `number` may be ICMP's.
fn write_v6(
    out: &mut [u8],
    at: usize,
    from: Ipv6Addr,
    to: Ipv6Addr,
    number: u8,
    hops: u8,
    length: usize,
) -> Option<()> {
    let number = if number == protocol::ICMP {
        protocol::ICMPV6
    } else {
        number
    };
    put(out, at, &[0x60])?;
    put_u16(out, at + 4, field(length))?;
    put(out, at + 6, &[number, hops])?;
    put(out, at + 8, &from.octets())?;
    put(out, at + 24, &to.octets())
}

/// Replaces a packet by the first `length` bytes of `out`.
fn finish(packet: &mut Packet, out: &mut [u8], length: usize, kind: u16) -> Option<()> {
    put_u16(out, 12, kind)?;
    let out = out.get(..length)?;
    packet.frame.data.set_len(length);
    packet.frame.data.get_mut(..length)?.copy_from_slice(out);
    packet.frame.offload = Offload::default();
    let headers = packet::read(&mut packet.frame).ok()?;
    checksum::write_transport(&mut packet.frame.data, &headers)
}
