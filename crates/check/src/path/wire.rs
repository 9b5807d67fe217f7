//! Bytes of the kernel and of ICMP, read and written without a socket.
//!
//! Everything here is pure and never panics: control messages and echo replies can be fuzzed as they are.

#![warn(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects
)]

use super::Family;
use super::observation::IcmpError;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `SO_EE_ORIGIN_ICMP` and `SO_EE_ORIGIN_ICMP6` of `linux/errqueue.h`.
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;

/// Length of `struct sock_extended_err`; the offender's address follows it.
const EXTENDED_ERROR: usize = 16;

/// The ICMP error among the control messages that `recvmsg(MSG_ERRQUEUE)` gave, if one is there.
pub(super) fn icmp_error(control: &[u8]) -> Option<IcmpError> {
    control_messages(control).find_map(|(level, kind, data)| {
        match (level, kind) {
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR) => {}
            _ => return None,
        }
        let family = match *data.get(4)? {
            ORIGIN_ICMP => Family::V4,
            ORIGIN_ICMP6 => Family::V6,
            _ => return None,
        };
        Some(IcmpError {
            family,
            kind: *data.get(5)?,
            code: *data.get(6)?,
            from: data.get(EXTENDED_ERROR..).and_then(socket_address),
        })
    })
}

/// The address of a `sockaddr_in` or `sockaddr_in6`.
fn socket_address(bytes: &[u8]) -> Option<IpAddr> {
    let family = i32::from(u16::from_ne_bytes(array(bytes, 0)?));
    match family {
        libc::AF_INET => Some(IpAddr::V4(Ipv4Addr::from(array::<4>(bytes, 4)?))),
        libc::AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(array::<16>(bytes, 8)?))),
        _ => None,
    }
}

/// Walks `struct cmsghdr` (length, level, type, data), each padded to the size of a pointer.
fn control_messages(mut rest: &[u8]) -> impl Iterator<Item = (i32, i32, &[u8])> {
    const WORD: usize = size_of::<usize>();
    const HEADER: usize = WORD + 8;
    std::iter::from_fn(move || {
        let length = usize::from_ne_bytes(array(rest, 0)?);
        let level = i32::from_ne_bytes(array(rest, WORD)?);
        let kind = i32::from_ne_bytes(array(rest, WORD.checked_add(4)?)?);
        let data = rest.get(HEADER..length)?;
        rest = rest
            .get(length.checked_next_multiple_of(WORD)?..)
            .unwrap_or_default();
        Some((level, kind, data))
    })
}

/// `N` bytes at an offset.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// An echo request: header, the token that marks it as ours, and zeros up to `payload` bytes.
pub(super) fn echo_request(
    family: Family,
    id: u16,
    sequence: u16,
    token: [u8; 8],
    payload: usize,
) -> Vec<u8> {
    // RFC 792 and RFC 4443, section 4.1: type, code, checksum, identifier, sequence number.
    let kind = match family {
        Family::V4 => 8,
        Family::V6 => 128,
    };
    let mut packet = vec![kind, 0, 0, 0];
    packet.extend_from_slice(&id.to_be_bytes());
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&token);
    packet.resize(payload.max(token.len()).saturating_add(8), 0);
    if family == Family::V4 {
        // ICMPv6's covers a pseudo header too, and the kernel always fills it in.
        let sum = checksum(&packet).to_be_bytes();
        for (place, byte) in packet.iter_mut().skip(2).zip(sum) {
            *place = byte;
        }
    }
    packet
}

/// The sequence number of an echo reply to us; `None` for anything else. A raw IPv4 socket delivers the IP header too.
pub(super) fn echo_reply(
    family: Family,
    with_ip_header: bool,
    packet: &[u8],
    token: [u8; 8],
) -> Option<u16> {
    let icmp = if with_ip_header {
        let words = usize::from(packet.first()? & 0x0f);
        packet.get(words.checked_mul(4)?..)?
    } else {
        packet
    };
    let wanted = match family {
        Family::V4 => 0,
        Family::V6 => 129,
    };
    if *icmp.first()? != wanted || array::<8>(icmp, 8)? != token {
        return None;
    }
    Some(u16::from_be_bytes(array(icmp, 6)?))
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        let high = pair.first().copied().unwrap_or(0);
        let low = pair.get(1).copied().unwrap_or(0);
        sum = sum.wrapping_add(u32::from(u16::from_be_bytes([high, low])));
    }
    let folded = (sum >> 16).wrapping_add(sum & 0xffff);
    let folded = (folded >> 16).wrapping_add(folded & 0xffff);
    !u16::try_from(folded & 0xffff).unwrap_or(u16::MAX)
}

#[cfg(test)]
#[expect(
    clippy::arithmetic_side_effects,
    reason = "no foreign numbers in tests"
)]
mod tests {
    use super::*;

    fn control_message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (data.len() + 16).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn extended_error(origin: u8, kind: u8, code: u8, offender: &[u8]) -> Vec<u8> {
        let mut bytes = 111_u32.to_ne_bytes().to_vec();
        bytes.extend([origin, kind, code, 0]);
        bytes.extend([0; 8]);
        bytes.extend(offender);
        bytes
    }

    #[test]
    fn type_code_and_sender_of_an_icmp_error_are_read() {
        let mut offender = u16::try_from(libc::AF_INET6)
            .unwrap()
            .to_ne_bytes()
            .to_vec();
        offender.extend([0; 6]);
        offender.extend("2e00:5::1".parse::<Ipv6Addr>().unwrap().octets());
        offender.extend([0; 4]);
        let mut control = control_message(libc::SOL_SOCKET, 29, &[0; 16]);
        control.extend(control_message(
            libc::IPPROTO_IPV6,
            libc::IPV6_RECVERR,
            &extended_error(ORIGIN_ICMP6, 1, 1, &offender),
        ));
        assert_eq!(
            icmp_error(&control),
            Some(IcmpError {
                family: Family::V6,
                kind: 1,
                code: 1,
                from: Some("2e00:5::1".parse().unwrap())
            })
        );
    }

    #[test]
    fn an_error_without_a_sender_still_has_its_code() {
        let control = control_message(
            libc::IPPROTO_IP,
            libc::IP_RECVERR,
            &extended_error(ORIGIN_ICMP, 3, 13, &[]),
        );
        let error = icmp_error(&control).unwrap();
        assert_eq!(
            (error.family, error.kind, error.code, error.from),
            (Family::V4, 3, 13, None)
        );
    }

    #[test]
    fn an_error_made_by_this_machine_is_no_icmp_error() {
        let control = control_message(
            libc::IPPROTO_IP,
            libc::IP_RECVERR,
            &extended_error(1, 0, 0, &[]),
        );
        assert_eq!(icmp_error(&control), None);
    }

    #[test]
    fn cut_control_messages_are_no_error_and_no_panic() {
        let whole = control_message(
            libc::IPPROTO_IPV6,
            libc::IPV6_RECVERR,
            &extended_error(ORIGIN_ICMP6, 1, 0, &[10, 0]),
        );
        for length in 0..whole.len() {
            let _: Option<IcmpError> = icmp_error(&whole[..length]);
        }
        assert_eq!(icmp_error(&[0xff; 64]), None);
        assert_eq!(icmp_error(&[0; 64]), None);
    }

    #[test]
    fn a_reply_counts_only_with_our_token() {
        let check = |family, with_ip_header, kind: u8, token: [u8; 8], expected| {
            let mut packet = if with_ip_header {
                vec![0x45; 20]
            } else {
                Vec::new()
            };
            packet.extend([kind, 0, 0, 0, 0, 7, 0x01, 0x02]);
            packet.extend(token);
            assert_eq!(
                echo_reply(family, with_ip_header, &packet, *b"twinbits"),
                expected
            );
        };
        check(Family::V4, true, 0, *b"twinbits", Some(0x0102));
        check(Family::V4, false, 0, *b"twinbits", Some(0x0102));
        check(Family::V6, false, 129, *b"twinbits", Some(0x0102));
        check(Family::V6, false, 128, *b"twinbits", None);
        check(Family::V6, false, 129, *b"someones", None);
    }

    #[test]
    fn truncated_replies_are_ignored() {
        for length in 0..16 {
            assert_eq!(
                echo_reply(Family::V6, false, &vec![129; length], [129; 8]),
                None
            );
            assert_eq!(
                echo_reply(Family::V4, true, &vec![0x4f; length], [0; 8]),
                None
            );
        }
    }

    #[test]
    fn request_has_the_asked_size_and_a_checksum_that_sums_to_zero() {
        let packet = echo_request(Family::V4, 0x1234, 9, *b"twinbits", 1992);
        assert_eq!(packet.len(), 2000);
        assert_eq!(checksum(&packet), 0);
        let packet = echo_request(Family::V6, 1, 1, *b"twinbits", 56);
        assert_eq!(
            (packet.len(), packet[0], &packet[2..4]),
            (64, 128, &[0, 0][..])
        );
    }
}
