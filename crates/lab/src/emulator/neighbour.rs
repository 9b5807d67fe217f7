//! Answers ARP (RFC 826) and neighbour solicitations (RFC 4861 4.3, 4.4) in the hosts' and the router's name.
//!
//! Pure: a question in, an answer out. Who owns which address is the caller's knowledge.

use super::bytes::{array_at, put, put_u16, u8_at, u16_at, v4_at, v6_at};
use super::checksum;
use super::frame::{ETHERNET, Frame, Offload, Pool};
use super::packet::{Headers, IPV6, Mac, address_frame, ethertype, protocol};
use crate::world::model::Family;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a frame asks of the neighbourhood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Who has this address?
    Who {
        /// The address looked for.
        target: IpAddr,
        /// Who asks.
        asker: IpAddr,
        /// Where the answer goes.
        mac: Mac,
    },
    /// Does anybody else have this address? (Duplicate address detection: to be left unanswered.)
    Duplicate {
        /// The address that somebody wants to take.
        target: IpAddr,
    },
    /// Other neighbour talk: an advertisement, a reply, a router solicitation.
    Other,
}

/// Offsets in an ARP packet for IPv4 over Ethernet, from the start of the frame.
mod arp {
    use super::ETHERNET;

    pub(super) const OPERATION: usize = ETHERNET + 6;
    pub(super) const SENDER_MAC: usize = ETHERNET + 8;
    pub(super) const SENDER: usize = ETHERNET + 14;
    pub(super) const TARGET_MAC: usize = ETHERNET + 18;
    pub(super) const TARGET: usize = ETHERNET + 24;
    pub(super) const LENGTH: usize = ETHERNET + 28;
    /// Ethernet, IPv4, six and four bytes long.
    pub(super) const KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];
}

/// Reads an ARP frame; `None` when it is malformed.
pub(crate) fn read_arp(data: &[u8]) -> Option<Question> {
    if array_at(data, ETHERNET)? != arp::KIND {
        return None;
    }
    let asker = v4_at(data, arp::SENDER)?;
    let target = v4_at(data, arp::TARGET)?;
    let mac = array_at(data, arp::SENDER_MAC)?;
    Some(match u16_at(data, arp::OPERATION)? {
        // A probe (RFC 5227), or an announcement of one's own address.
        1 if asker.is_unspecified() || asker == target => Question::Duplicate {
            target: target.into(),
        },
        1 => Question::Who {
            target: target.into(),
            asker: asker.into(),
            mac,
        },
        _ => Question::Other,
    })
}

/// Reads an IPv6 packet that may be neighbour discovery; `None` when it is something else.
pub(crate) fn read_discovery(data: &[u8], headers: &Headers) -> Option<Question> {
    if headers.family != Family::V6 || headers.protocol != protocol::ICMPV6 {
        return None;
    }
    let (kind, _) = headers.icmp?;
    // RFC 4861 7.1.1: a hop limit below 255 means that it crossed a router, which neighbour talk never does.
    if !(133..=137).contains(&kind) || u8_at(data, ETHERNET + 7)? != 255 {
        return None;
    }
    if kind != 135 {
        return Some(Question::Other);
    }
    let target = IpAddr::V6(v6_at(data, headers.transport + 8)?);
    let IpAddr::V6(asker) = headers.source else {
        return None;
    };
    if asker.is_unspecified() {
        return Some(Question::Duplicate { target });
    }
    // The link-layer address option is in every multicast solicitation; the Ethernet source says the same.
    Some(Question::Who {
        target,
        asker: asker.into(),
        mac: array_at(data, 6)?,
    })
}

/// The answer to a [`Question::Who`]: `target` is at `at`.
pub(crate) fn answer(
    pool: &mut Pool,
    target: IpAddr,
    at: Mac,
    asker: IpAddr,
    asker_mac: Mac,
    is_router: bool,
) -> Option<Frame> {
    match (target, asker) {
        (IpAddr::V4(target), IpAddr::V4(asker)) => arp_reply(pool, target, at, asker, asker_mac),
        (IpAddr::V6(target), IpAddr::V6(asker)) => {
            // Solicited, override, and router where it is one.
            advertisement(
                pool,
                target,
                at,
                asker,
                asker_mac,
                if is_router { 0xe0 } else { 0x60 },
            )
        }
        _ => None,
    }
}

/// What somebody else who has `target` would tell a host that wants it.
pub(crate) fn conflict(pool: &mut Pool, target: Ipv6Addr, at: Mac) -> Option<Frame> {
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    advertisement(pool, target, at, all_nodes, [0x33, 0x33, 0, 0, 0, 1], 0x20)
}

fn arp_reply(
    pool: &mut Pool,
    target: Ipv4Addr,
    at: Mac,
    asker: Ipv4Addr,
    asker_mac: Mac,
) -> Option<Frame> {
    let mut data = pool.sized(arp::LENGTH)?;
    address_frame(&mut data, at, asker_mac);
    put_u16(&mut data, 12, ethertype::ARP)?;
    put(&mut data, ETHERNET, &arp::KIND)?;
    put_u16(&mut data, arp::OPERATION, 2)?;
    put(&mut data, arp::SENDER_MAC, &at)?;
    put(&mut data, arp::SENDER, &target.octets())?;
    put(&mut data, arp::TARGET_MAC, &asker_mac)?;
    put(&mut data, arp::TARGET, &asker.octets())?;
    Some(Frame {
        data,
        offload: Offload::default(),
    })
}

fn advertisement(
    pool: &mut Pool,
    target: Ipv6Addr,
    at: Mac,
    to: Ipv6Addr,
    to_mac: Mac,
    flags: u8,
) -> Option<Frame> {
    // Four bytes of ICMPv6, flags, the target, and the target link-layer address option.
    const LENGTH: usize = 8 + 16 + 8;
    let start = ETHERNET + IPV6;
    let mut data = pool.sized(start + LENGTH)?;
    data.fill(0);
    address_frame(&mut data, at, to_mac);
    put_u16(&mut data, 12, ethertype::IPV6)?;
    put(
        &mut data,
        ETHERNET,
        &[0x60, 0, 0, 0, 0, 32, protocol::ICMPV6, 255],
    )?;
    put(&mut data, ETHERNET + 8, &target.octets())?;
    put(&mut data, ETHERNET + 24, &to.octets())?;
    put(&mut data, start, &[136, 0, 0, 0, flags])?;
    put(&mut data, start + 8, &target.octets())?;
    put(&mut data, start + 24, &[2, 1])?;
    put(&mut data, start + 26, &at)?;
    let mut frame = Frame {
        data,
        offload: Offload::default(),
    };
    let headers = super::packet::read(&mut frame).ok()?;
    checksum::write_transport(&mut frame.data, &headers)?;
    Some(frame)
}

#[cfg(test)]
mod tests;
