//! TCP sockets of this host, from the kernel's `sock_diag`: unlike `/proc/net/tcp6` it says whether an IPv6 listener takes
//! IPv4 too, and filters by state before it copies.

#![warn(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects
)]

use super::netlink;
use crate::path::wire::array;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `NETLINK_SOCK_DIAG`, `SOCK_DIAG_BY_FAMILY`, `INET_DIAG_SKV6ONLY` of the kernel's headers.
const PROTOCOL: i32 = 4;
const BY_FAMILY: u16 = 20;
const V6_ONLY: u16 = 11;

/// TCP states, as numbers of `tcp_states.h`.
const LISTEN: u8 = 10;
const SYN_RECV: u8 = 3;
/// ESTABLISHED, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE_WAIT, LAST_ACK, CLOSING.
const COMPLETED: [u8; 7] = [1, 4, 5, 6, 8, 9, 11];

/// Length of `struct inet_diag_msg`; attributes follow it.
const MESSAGE: usize = 72;

/// A listening TCP socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::path) struct Listener {
    /// May be unspecified.
    pub(in crate::path) address: IpAddr,
    pub(in crate::path) port: u16,
    /// Whether an IPv6 socket leaves IPv4 alone.
    pub(in crate::path) v6_only: bool,
}

/// A connection that somebody opened, or is opening, to this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Visit {
    pub(super) peer: IpAddr,
    pub(super) peer_port: u16,
    pub(super) port: u16,
    /// Our SYN-ACK is not confirmed yet.
    pub(super) half_open: bool,
    /// How often it was repeated.
    pub(super) retransmits: u8,
}

/// All listeners of both families.
pub(super) fn listeners() -> io::Result<Vec<Listener>> {
    Ok(entries(&[LISTEN])?
        .into_iter()
        .map(Entry::listener)
        .collect())
}

/// All connections of both families.
pub(super) fn visits() -> io::Result<Vec<Visit>> {
    let mut states = COMPLETED.to_vec();
    states.push(SYN_RECV);
    Ok(entries(&states)?.into_iter().map(Entry::visit).collect())
}

fn entries(states: &[u8]) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        let answers = netlink::dump(PROTOCOL, BY_FAMILY, &request(family, states))?;
        entries.extend(answers.iter().filter_map(|(_, payload)| entry(payload)));
    }
    Ok(entries)
}

/// `struct inet_diag_req_v2`.
fn request(family: i32, states: &[u8]) -> Vec<u8> {
    let mask = states.iter().fold(0_u32, |mask, state| {
        mask | 1_u32.checked_shl(u32::from(*state)).unwrap_or(0)
    });
    let tcp = u8::try_from(libc::IPPROTO_TCP).unwrap_or(6);
    let mut body = vec![u8::try_from(family).unwrap_or(0), tcp, 0, 0];
    body.extend(mask.to_ne_bytes());
    // No filter by address, port or cookie.
    body.resize(56, 0);
    body
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    state: u8,
    retransmits: u8,
    address: IpAddr,
    port: u16,
    peer: IpAddr,
    peer_port: u16,
    v6_only: bool,
}

impl Entry {
    const fn listener(self) -> Listener {
        Listener {
            address: self.address,
            port: self.port,
            v6_only: self.v6_only,
        }
    }

    const fn visit(self) -> Visit {
        Visit {
            peer: self.peer,
            peer_port: self.peer_port,
            port: self.port,
            half_open: self.state == SYN_RECV,
            retransmits: self.retransmits,
        }
    }
}

/// `struct inet_diag_msg` and its attributes.
fn entry(payload: &[u8]) -> Option<Entry> {
    let v6 = i32::from(*payload.first()?) == libc::AF_INET6;
    let address = |at| -> Option<IpAddr> {
        if v6 {
            // An IPv4 visitor of an IPv6 socket is still an IPv4 visitor.
            Some(Ipv6Addr::from(array::<16>(payload, at)?).to_canonical())
        } else {
            Some(Ipv4Addr::from(array::<4>(payload, at)?).into())
        }
    };
    let attributes = netlink::attributes(payload.get(MESSAGE..)?);
    Some(Entry {
        state: *payload.get(1)?,
        retransmits: *payload.get(3)?,
        port: u16::from_be_bytes(array(payload, 4)?),
        peer_port: u16::from_be_bytes(array(payload, 6)?),
        address: address(8)?,
        peer: address(24)?,
        v6_only: netlink::attribute(&attributes, V6_ONLY)
            .is_some_and(|value| value.first() == Some(&1)),
    })
}

/// Reads any bytes as a socket.
pub(super) fn fuzz(payload: &[u8]) {
    if let Some(entry) = entry(payload) {
        assert!(payload.len() >= MESSAGE);
        assert_eq!(entry.visit().half_open, entry.state == SYN_RECV);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn own_listeners_are_seen_with_their_v6only_flag() {
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        let v6 = TcpListener::bind("[::1]:0").unwrap();
        let found = listeners().unwrap();
        let check = |listener: &TcpListener| {
            let wanted = listener.local_addr().unwrap();
            assert!(
                found
                    .iter()
                    .any(|found| found.address == wanted.ip() && found.port == wanted.port())
            );
        };
        check(&v4);
        check(&v6);
        let dual =
            socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
        dual.set_only_v6(true).unwrap();
        dual.bind(&std::net::SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into())
            .unwrap();
        dual.listen(1).unwrap();
        let port = dual.local_addr().unwrap().as_socket().unwrap().port();
        let only: Vec<bool> = listeners()
            .unwrap()
            .iter()
            .filter(|found| found.port == port)
            .map(|found| found.v6_only)
            .collect();
        assert_eq!(only, [true]);
    }

    #[test]
    fn own_connection_is_a_completed_visit() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let port = listener.local_addr().unwrap().port();
        let from = client.local_addr().unwrap();
        let visit = visits()
            .unwrap()
            .into_iter()
            .find(|visit| visit.port == port && visit.peer_port == from.port());
        let visit = visit.unwrap();
        assert_eq!((visit.peer, visit.half_open), (from.ip(), false));
    }

    #[test]
    fn cut_messages_are_no_sockets() {
        for length in 0..MESSAGE {
            assert_eq!(entry(&vec![10; length]), None);
        }
    }
}
