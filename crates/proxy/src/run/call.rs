//! What a program handed to the kernel: addresses, read from its memory as octets.

use std::ffi::OsString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::ffi::OsStringExt as _;

/// More of an address than this nobody needs (`struct sockaddr_storage`).
pub(crate) const LONGEST: usize = 128;

const AF_UNIX: u16 = 1;
const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;

/// A socket address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    /// IPv4 or IPv6.
    Internet(SocketAddr),
    /// A Unix socket in the file system.
    Path(OsString),
    /// Anything else, or too short to be anything: the kernel may judge it.
    Other,
}

/// Reads a `struct sockaddr`.
pub(crate) fn peer(octets: &[u8]) -> Peer {
    let Some((family, rest)) = octets.split_first_chunk::<2>() else {
        return Peer::Other;
    };
    match u16::from_ne_bytes(*family) {
        // The kernel wants all 16 octets of a sockaddr_in, and of a sockaddr_in6 at least 24 (RFC 2133 had no scope).
        AF_INET if octets.len() >= 16 => four(rest),
        AF_INET6 if octets.len() >= 24 => six(rest),
        AF_UNIX => {
            let path = rest.split(|octet| *octet == 0).next().unwrap_or_default();
            if path.is_empty() {
                return Peer::Other;
            }
            Peer::Path(OsString::from_vec(path.to_vec()))
        }
        _ => Peer::Other,
    }
}

fn four(rest: &[u8]) -> Peer {
    let read = || {
        let (port, rest) = rest.split_first_chunk::<2>()?;
        let address = Ipv4Addr::from(*rest.first_chunk::<4>()?);
        Some(SocketAddr::from((address, u16::from_be_bytes(*port))))
    };
    read().map_or(Peer::Other, Peer::Internet)
}

fn six(rest: &[u8]) -> Peer {
    let read = || {
        let (port, rest) = rest.split_first_chunk::<2>()?;
        let (_flow, rest) = rest.split_first_chunk::<4>()?;
        let (address, rest) = rest.split_first_chunk::<16>()?;
        let scope = rest
            .first_chunk::<4>()
            .map_or(0, |scope| u32::from_ne_bytes(*scope));
        let address = Ipv6Addr::from(*address);
        Some(SocketAddrV6::new(
            address,
            u16::from_be_bytes(*port),
            0,
            scope,
        ))
    };
    read().map_or(Peer::Other, |address| Peer::Internet(address.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internet_addresses_are_read() {
        let four = [2, 0, 0, 53, 192, 0, 2, 53, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            peer(&four),
            Peer::Internet("192.0.2.53:53".parse().unwrap())
        );
        assert_eq!(peer(&four[..15]), Peer::Other, "the kernel refuses it too");
        let mut six = vec![10, 0, 1, 187, 0, 0, 0, 0];
        six.extend(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1).octets());
        let expected: SocketAddr = "[fe80::1]:443".parse().unwrap();
        assert_eq!(peer(&six), Peer::Internet(expected));
        six.extend(3_u32.to_ne_bytes());
        assert_eq!(
            peer(&six),
            Peer::Internet("[fe80::1%3]:443".parse().unwrap())
        );
        assert_eq!(peer(&six[..23]), Peer::Other);
    }

    #[test]
    fn unix_sockets_have_a_path_or_are_let_go() {
        let mut named = vec![1, 0];
        named.extend(b"/run/x\0garbage");
        assert_eq!(peer(&named), Peer::Path("/run/x".into()));
        assert_eq!(peer(&[1, 0, 0, b'a']), Peer::Other, "abstract");
        assert_eq!(peer(&[1, 0]), Peer::Other);
        assert_eq!(peer(&[0, 0, 1, 2, 3]), Peer::Other, "AF_UNSPEC");
        assert_eq!(peer(&[9]), Peer::Other);
    }
}
