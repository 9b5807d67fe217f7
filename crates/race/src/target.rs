//! Whom to reach, and what the caller can speak.

use crate::endpoint::{Alpn, Alpns, Protocol, alpns};
use crate::name::{Name, NameError};
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

/// A name or an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A name to be resolved.
    Name(Name),
    /// An address literal: no DNS (A8).
    Address {
        /// The address.
        address: IpAddr,
        /// Which link a link-local IPv6 address is on; 0 for none.
        scope: u32,
    },
}

impl Host {
    /// An address if `text` is one (IPv6 with or without brackets), else a name.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(text);
        match bare.parse() {
            Ok(address) => Ok(Self::Address { address, scope: 0 }),
            Err(_) => Name::new(text).map(Self::Name),
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Address { address, scope: 0 }
    }
}

impl From<Name> for Host {
    fn from(name: Name) -> Self {
        Self::Name(name)
    }
}

/// One protocol that the caller speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The protocol.
    pub protocol: Protocol,
    /// The ALPN ids that the caller takes over it; none for plain TCP, or for TLS without ALPN.
    pub alpn: Alpns,
    /// Only where a service record names one of these ids. True for QUIC beside TLS: whether a server speaks it has to be
    /// learned first. False when it was learned otherwise, as from Alt-Svc (C13).
    pub needs_record: bool,
}

/// Which service records belong to the target (A4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// None: addresses only.
    None,
    /// HTTPS records, at the name itself (port 443 or 80) or at `_port._https.name` (RFC 9460, section 9.1).
    Https,
    /// SVCB records at `_scheme.name`, or at `_port._scheme.name` for another port than the scheme's own
    /// (RFC 9460, section 2.3).
    Svcb {
        /// The label without its underscore, such as `dns`.
        scheme: Name,
        /// The port that the scheme uses when none is given.
        default_port: u16,
        /// The ALPN ids that a record of this scheme implies when it names none.
        default_alpn: Alpns,
    },
}

/// Whom to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host.
    pub host: Host,
    /// The port, unless a service record names another.
    pub port: u16,
    /// What the caller speaks, most wanted first.
    pub offers: Vec<Offer>,
    /// Which service records to ask for.
    pub service: Service,
}

impl Target {
    /// Plain TCP.
    pub fn tcp(host: impl Into<Host>, port: u16) -> Self {
        let offers = vec![Offer {
            protocol: Protocol::Tcp,
            alpn: alpns([]),
            needs_record: false,
        }];
        Self {
            host: host.into(),
            port,
            offers,
            service: Service::None,
        }
    }

    /// TLS over TCP with these ALPN ids (none for no ALPN).
    pub fn tls<'a>(
        host: impl Into<Host>,
        port: u16,
        alpn: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let offers = vec![Offer {
            protocol: Protocol::Tls,
            alpn: alpns(alpn),
            needs_record: false,
        }];
        Self {
            host: host.into(),
            port,
            offers,
            service: Service::None,
        }
    }

    /// What a browser does: HTTPS records, HTTP/3 over QUIC raced with HTTP/2 and HTTP/1.1 over TLS.
    pub fn https(host: impl Into<Host>, port: u16) -> Self {
        let offers = vec![
            Offer {
                protocol: Protocol::Quic,
                alpn: alpns(["h3"]),
                needs_record: true,
            },
            Offer {
                protocol: Protocol::Tls,
                alpn: alpns(["h2", "http/1.1"]),
                needs_record: false,
            },
        ];
        Self {
            host: host.into(),
            port,
            offers,
            service: Service::Https,
        }
    }

    /// The same with other service records.
    #[must_use]
    pub fn with_service(mut self, service: Service) -> Self {
        self.service = service;
        self
    }

    /// The ALPN ids that a service record implies unless it says `no-default-alpn` (RFC 9460, section 7.1).
    pub(crate) fn default_alpn(&self) -> Vec<Alpn> {
        match &self.service {
            Service::None => Vec::new(),
            Service::Https => vec![Alpn::from("http/1.1")],
            Service::Svcb { default_alpn, .. } => default_alpn.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn a8_literals_are_told_from_names() {
        let v4 = IpAddr::from(Ipv4Addr::new(192, 0, 2, 1));
        let v6 = IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
        assert_eq!(Host::parse("192.0.2.1"), Ok(v4.into()));
        assert_eq!(Host::parse("2001:db8::1"), Ok(v6.into()));
        assert_eq!(Host::parse("[2001:db8::1]"), Ok(v6.into()));
        assert_eq!(
            Host::parse("example.com"),
            Ok(Name::new("example.com").unwrap().into())
        );
    }
}
