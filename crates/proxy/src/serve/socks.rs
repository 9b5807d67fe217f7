//! SOCKS5 as bytes (RFC 1928): the greeting, the request, the replies. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The first byte of everything that a SOCKS5 client sends.
pub(crate) const VERSION: u8 = 5;

const NO_AUTHENTICATION: u8 = 0;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// The answer to a greeting that offers no authentication.
pub(crate) const WELCOME: [u8; 2] = [VERSION, NO_AUTHENTICATION];
/// The answer to one that offers only methods we do not have.
pub(crate) const NO_METHOD: [u8; 2] = [VERSION, NO_ACCEPTABLE_METHOD];

/// What a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Succeeded,
    Failed,
    NotAllowed,
    NetworkUnreachable,
    HostUnreachable,
    Refused,
    TimedOut,
    CommandNotSupported,
    AddressTypeNotSupported,
}

impl Reply {
    const fn code(self) -> u8 {
        match self {
            Self::Succeeded => 0,
            Self::Failed => 1,
            Self::NotAllowed => 2,
            Self::NetworkUnreachable => 3,
            Self::HostUnreachable => 4,
            Self::Refused => 5,
            // "TTL expired": what every client shows as a time-out.
            Self::TimedOut => 6,
            Self::CommandNotSupported => 7,
            Self::AddressTypeNotSupported => 8,
        }
    }

    /// The reply's bytes; `bound` is the proxy's own end of the new connection.
    pub(crate) fn to_bytes(self, bound: Option<SocketAddr>) -> Vec<u8> {
        let bound = bound.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let mut bytes = vec![VERSION, self.code(), 0];
        match bound.ip() {
            IpAddr::V4(address) => {
                bytes.push(IPV4);
                bytes.extend(address.octets());
            }
            IpAddr::V6(address) => {
                bytes.push(IPV6);
                bytes.extend(address.octets());
            }
        }
        bytes.extend(bound.port().to_be_bytes());
        bytes
    }
}

/// What a part of the client's bytes amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed<T> {
    /// More is needed.
    Partial,
    /// Complete, with the number of bytes that it took.
    Complete(T, usize),
    /// This cannot become anything; the reply to send, and why.
    Bad(Reply, &'static str),
}

/// Whether the client is content without authentication.
pub(crate) fn greeting(bytes: &[u8]) -> Parsed<bool> {
    let Some((&version, rest)) = bytes.split_first() else {
        return Parsed::Partial;
    };
    if version != VERSION {
        return Parsed::Bad(Reply::Failed, "it does not speak SOCKS5");
    }
    let Some((&count, rest)) = rest.split_first() else {
        return Parsed::Partial;
    };
    let count = usize::from(count);
    match rest.get(..count) {
        Some(methods) => Parsed::Complete(methods.contains(&NO_AUTHENTICATION), 2 + count),
        None => Parsed::Partial,
    }
}

/// Where the client wants to go: host and port.
pub(crate) fn request(bytes: &[u8]) -> Parsed<(String, u16)> {
    let &[version, command, _reserved, kind, ref rest @ ..] = bytes else {
        return Parsed::Partial;
    };
    if version != VERSION {
        return Parsed::Bad(Reply::Failed, "its request is not one of SOCKS5");
    }
    if command != CONNECT {
        return Parsed::Bad(
            Reply::CommandNotSupported,
            "it asks for something else than CONNECT",
        );
    }
    let (host, taken) = match kind {
        IPV4 => match rest.first_chunk::<4>() {
            Some(octets) => (Ipv4Addr::from(*octets).to_string(), 4),
            None => return Parsed::Partial,
        },
        IPV6 => match rest.first_chunk::<16>() {
            Some(octets) => (Ipv6Addr::from(*octets).to_string(), 16),
            None => return Parsed::Partial,
        },
        NAME => {
            let Some((&length, rest)) = rest.split_first() else {
                return Parsed::Partial;
            };
            let length = usize::from(length);
            let Some(name) = rest.get(..length) else {
                return Parsed::Partial;
            };
            match std::str::from_utf8(name) {
                Ok(name) if !name.is_empty() => (name.to_owned(), 1 + length),
                _ => return Parsed::Bad(Reply::Failed, "the name in its request is no text"),
            }
        }
        _ => {
            let why = "it asks for a kind of address that SOCKS5 does not have";
            return Parsed::Bad(Reply::AddressTypeNotSupported, why);
        }
    };
    match rest.get(taken..).and_then(|rest| rest.first_chunk::<2>()) {
        Some(port) => Parsed::Complete((host, u16::from_be_bytes(*port)), 4 + taken + 2),
        None => Parsed::Partial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_complete_with_its_last_method() {
        assert_eq!(greeting(&[]), Parsed::Partial);
        assert_eq!(greeting(&[5]), Parsed::Partial);
        assert_eq!(greeting(&[5, 2, 0]), Parsed::Partial);
        assert_eq!(greeting(&[5, 2, 2, 0]), Parsed::Complete(true, 4));
        assert_eq!(greeting(&[5, 1, 2, 99]), Parsed::Complete(false, 3));
        assert_eq!(greeting(&[5, 0]), Parsed::Complete(false, 2));
        assert!(matches!(greeting(&[4, 1]), Parsed::Bad(..)));
    }

    #[test]
    fn a_request_names_an_address_of_either_family_or_a_name() {
        let v4 = [5, 1, 0, 1, 192, 0, 2, 1, 1, 187];
        assert_eq!(
            request(&v4),
            Parsed::Complete(("192.0.2.1".to_owned(), 443), 10)
        );
        let mut v6 = vec![5, 1, 0, 4];
        v6.extend("2001:db8::1".parse::<Ipv6Addr>().unwrap().octets());
        v6.extend([0, 80, b'G']);
        assert_eq!(
            request(&v6),
            Parsed::Complete(("2001:db8::1".to_owned(), 80), 22)
        );
        let mut name = vec![5, 1, 0, 3, 7];
        name.extend(b"example\x00\x35");
        assert_eq!(
            request(&name),
            Parsed::Complete(("example".to_owned(), 53), 14)
        );
    }

    #[test]
    fn every_beginning_of_a_request_is_partial() {
        let whole = [5, 1, 0, 3, 2, b'a', b'b', 0, 80];
        for length in 0..whole.len() {
            assert_eq!(request(&whole[..length]), Parsed::Partial, "{length} bytes");
        }
        assert_eq!(request(&whole), Parsed::Complete(("ab".to_owned(), 80), 9));
    }

    #[test]
    fn what_is_not_supported_gets_its_own_reply() {
        let bind = [5, 2, 0, 1, 0, 0, 0, 0, 0, 0];
        assert!(matches!(
            request(&bind),
            Parsed::Bad(Reply::CommandNotSupported, _)
        ));
        let kind = [5, 1, 0, 9, 0, 0, 0, 0, 0, 0];
        assert!(matches!(
            request(&kind),
            Parsed::Bad(Reply::AddressTypeNotSupported, _)
        ));
        let empty = [5, 1, 0, 3, 0, 0, 80];
        assert!(matches!(request(&empty), Parsed::Bad(Reply::Failed, _)));
        let not_text = [5, 1, 0, 3, 1, 0xff, 0, 80];
        assert!(matches!(request(&not_text), Parsed::Bad(Reply::Failed, _)));
    }

    #[test]
    fn a_reply_carries_the_address_of_the_new_connection() {
        assert_eq!(
            Reply::Refused.to_bytes(None),
            [5, 5, 0, 1, 0, 0, 0, 0, 0, 0]
        );
        let bound = "[2001:db8::1]:258".parse().unwrap();
        let bytes = Reply::Succeeded.to_bytes(Some(bound));
        assert_eq!(bytes[..4], [5, 0, 0, 4]);
        assert_eq!(bytes[20..], [1, 2]);
    }
}
