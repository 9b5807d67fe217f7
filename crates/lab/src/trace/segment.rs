//! From a frame to what a client's story needs: who sent what to which port.
//!
//! Pure: no bytes make it panic. What is not TCP or UDP over IP, or is no first fragment, is nothing to us.

#![warn(clippy::indexing_slicing, clippy::as_conversions)]
// The tests below may add numbers of their own.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const ETHERNET: u16 = 1;
const RAW: u16 = 101;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86DD;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// One TCP segment or UDP datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// The sender.
    pub from: SocketAddr,
    /// The receiver.
    pub to: SocketAddr,
    /// What the sender says.
    pub content: Content<'a>,
}

/// What it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// A datagram.
    Udp {
        /// As much of it as was recorded.
        payload: &'a [u8],
    },
    /// A segment.
    Tcp {
        /// It asks for a connection, or (with `ack`) grants one.
        syn: bool,
        /// It confirms something.
        ack: bool,
        /// It ends or refuses a connection.
        reset: bool,
        /// How many bytes it carries, recorded or not.
        payload: usize,
    },
}

/// Reads a frame of an interface with this link type ([`Frame::link_type`](super::Frame)).
pub fn segment(link_type: u16, frame: &[u8]) -> Option<Segment<'_>> {
    match link_type {
        ETHERNET => match u16_at(frame, 12)? {
            IPV4 => ipv4(frame.get(14..)?),
            IPV6 => ipv6(frame.get(14..)?),
            _ => None,
        },
        RAW => match frame.first()? >> 4 {
            4 => ipv4(frame),
            6 => ipv6(frame),
            _ => None,
        },
        _ => None,
    }
}

fn ipv4(packet: &[u8]) -> Option<Segment<'_>> {
    let header = usize::from(packet.first()? & 0x0f).checked_mul(4)?;
    let length = usize::from(u16_at(packet, 2)?);
    if u16_at(packet, 6)? & 0x1fff != 0 {
        return None;
    }
    let from = Ipv4Addr::from(array::<4>(packet, 12)?).into();
    let to = Ipv4Addr::from(array::<4>(packet, 16)?).into();
    let body = packet.get(header..)?;
    transport(*packet.get(9)?, from, to, body, length.checked_sub(header)?)
}

fn ipv6(packet: &[u8]) -> Option<Segment<'_>> {
    let from = Ipv6Addr::from(array::<16>(packet, 8)?).into();
    let to = Ipv6Addr::from(array::<16>(packet, 24)?).into();
    let mut length = usize::from(u16_at(packet, 4)?);
    let mut next = *packet.get(6)?;
    let mut body = packet.get(40..)?;
    // RFC 8200 section 4: hop-by-hop options, routing, destination options; and the fragment header.
    while let 0 | 43 | 44 | 60 = next {
        let size = match next {
            44 if u16_at(body, 2)? & 0xfff8 != 0 => return None,
            44 => 8,
            _ => usize::from(*body.get(1)?).checked_add(1)?.checked_mul(8)?,
        };
        next = *body.first()?;
        body = body.get(size..)?;
        length = length.checked_sub(size)?;
    }
    transport(next, from, to, body, length)
}

/// `length` is what the IP header says: a frame may be cut off, or padded to the least size of Ethernet.
fn transport(
    protocol: u8,
    from: IpAddr,
    to: IpAddr,
    body: &[u8],
    length: usize,
) -> Option<Segment<'_>> {
    let from = SocketAddr::new(from, u16_at(body, 0)?);
    let to = SocketAddr::new(to, u16_at(body, 2)?);
    let content = match protocol {
        UDP => Content::Udp {
            payload: body.get(8..length.min(body.len()))?,
        },
        TCP => {
            let header = usize::from(*body.get(12)? >> 4).checked_mul(4)?;
            let flags = *body.get(13)?;
            Content::Tcp {
                syn: flags & 0x02 != 0,
                ack: flags & 0x10 != 0,
                reset: flags & 0x04 != 0,
                payload: length.checked_sub(header)?,
            }
        }
        _ => return None,
    };
    Some(Segment { from, to, content })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_be_bytes)
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinstack_testkit::recording::{PUSH, SYN, tcp, udp};

    #[test]
    fn both_families_and_both_protocols_are_read() {
        let check = |frame: &[u8], from: &str, to: &str, content| {
            let expected = Segment {
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
                content,
            };
            assert_eq!(segment(ETHERNET, frame), Some(expected));
            assert_eq!(segment(RAW, &frame[14..]), Some(expected));
        };
        let syn = Content::Tcp {
            syn: true,
            ack: false,
            reset: false,
            payload: 0,
        };
        let data = Content::Tcp {
            syn: false,
            ack: true,
            reset: false,
            payload: 3,
        };
        let (a, b) = ("192.0.2.10:40000", "198.51.100.80:80");
        check(&tcp(a, b, SYN, b""), a, b, syn);
        check(&tcp(a, b, PUSH, b"GET"), a, b, data);
        check(
            &udp(a, b, b"question"),
            a,
            b,
            Content::Udp {
                payload: b"question",
            },
        );
        let (a, b) = ("[2e00:c::10]:40000", "[2e00:5::80]:80");
        check(&tcp(a, b, SYN, b""), a, b, syn);
        check(&tcp(a, b, PUSH, b"GET"), a, b, data);
        check(
            &udp(a, b, b"question"),
            a,
            b,
            Content::Udp {
                payload: b"question",
            },
        );
    }

    #[test]
    fn padding_of_short_frames_is_no_payload() {
        let mut frame = tcp("192.0.2.10:1", "192.0.2.11:80", SYN, b"");
        frame.resize(60, 0);
        let content = segment(ETHERNET, &frame).unwrap().content;
        assert_eq!(
            content,
            Content::Tcp {
                syn: true,
                ack: false,
                reset: false,
                payload: 0
            }
        );
    }

    #[test]
    fn a_segment_whose_record_was_cut_off_keeps_its_real_size() {
        let frame = tcp("192.0.2.10:1", "192.0.2.11:80", PUSH, &[7; 1000]);
        let content = segment(ETHERNET, &frame[..96]).unwrap().content;
        assert!(
            matches!(content, Content::Tcp { payload: 1000, .. }),
            "{content:?}"
        );
    }

    #[test]
    fn extension_headers_are_walked_and_later_fragments_are_not_read() {
        let plain = tcp("[2e00:c::10]:1", "[2e00:5::80]:80", SYN, b"");
        let with = |kind: u8, header: [u8; 8]| {
            let mut frame = plain.clone();
            frame[20] = kind;
            frame[19] += 8;
            frame.splice(54..54, header);
            frame
        };
        let expected = segment(ETHERNET, &plain);
        assert_eq!(
            segment(ETHERNET, &with(60, [TCP, 0, 0, 0, 0, 0, 0, 0])),
            expected
        );
        assert_eq!(
            segment(ETHERNET, &with(44, [TCP, 0, 0, 1, 0, 0, 0, 9])),
            expected
        );
        assert_eq!(
            segment(ETHERNET, &with(44, [TCP, 0, 1, 0, 0, 0, 0, 9])),
            None
        );
    }

    #[test]
    fn no_cut_and_no_flipped_byte_panics() {
        for whole in [
            tcp("192.0.2.10:1", "192.0.2.11:80", SYN, b"abc"),
            udp("[2e00:c::10]:1", "[2e00:5::80]:53", b"abc"),
        ] {
            for at in 0..whole.len() {
                let _: Option<Segment<'_>> = segment(ETHERNET, &whole[..at]);
                for value in [0, 1, 44, 60, 0x45, 0x4f, 0xff] {
                    let mut broken = whole.clone();
                    broken[at] = value;
                    let _: Option<Segment<'_>> = segment(ETHERNET, &broken);
                    let _: Option<Segment<'_>> = segment(RAW, &broken[14..]);
                }
            }
        }
    }
}
