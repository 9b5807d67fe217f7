//! What can be connected to: an address, a port, and what to speak there.

use crate::name::Name;
use crate::network::Family;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{Ipv4Addr, SocketAddr};

/// What is spoken to an endpoint, and so what counts as connected (E1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP: connected when the TCP handshake is done.
    Tcp,
    /// TLS over TCP: connected when the TLS handshake is done.
    Tls,
    /// QUIC: connected when its handshake is done.
    Quic,
}

impl Protocol {
    /// Whether it is encrypted, so that ECH means something.
    pub const fn is_secure(self) -> bool {
        !matches!(self, Self::Tcp)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Quic => "quic",
        })
    }
}

/// An ALPN protocol id, such as `h2`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alpn(Arc<[u8]>);

impl Alpn {
    /// The id as it goes over the wire.
    pub fn new(id: &[u8]) -> Self {
        Self(id.into())
    }

    /// The bytes of the id.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&str> for Alpn {
    fn from(id: &str) -> Self {
        Self::new(id.as_bytes())
    }
}

impl fmt::Display for Alpn {
    /// Letters as they are, other bytes as `\xNN`; so too what would end a word of the text form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.as_bytes() {
            if byte.is_ascii_graphic() && !matches!(byte, b',' | b'=' | b'?' | b'|' | b'\\' | b'"')
            {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Alpn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A list of ALPN ids, most wanted first. Cheap to clone.
pub type Alpns = Arc<[Alpn]>;

/// Makes a list of ALPN ids.
pub fn alpns<'a>(ids: impl IntoIterator<Item = &'a str>) -> Alpns {
    ids.into_iter().map(Alpn::from).collect::<Vec<_>>().into()
}

/// An ECH configuration list, as it came from DNS or from the server. Opaque here. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Ech(Arc<[u8]>);

impl Ech {
    /// The `ECHConfigList` as it goes over the wire.
    pub fn new(configs: &[u8]) -> Self {
        Self(configs.into())
    }

    /// The bytes of the list.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Ech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ech({} bytes)", self.0.len())
    }
}

/// One way to reach the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where to connect to.
    pub address: SocketAddr,
    /// The IPv4 address that `address` stands for, when it was made from a NAT64 prefix (N4).
    pub translated: Option<Ipv4Addr>,
    /// What to speak.
    pub protocol: Protocol,
    /// The ALPN ids to offer: those of the caller that the service takes too.
    pub alpn: Alpns,
    /// The ECH configuration of the service.
    pub ech: Option<Ech>,
    /// The name that the address belongs to; `None` for a literal.
    ///
    /// For the record only: certificates are checked against the target's own name (RFC 9460, section 3).
    pub name: Option<Name>,
}

impl Endpoint {
    /// The family that users see: of what was dialled, or IPv4 when NAT64 is in between.
    pub const fn family(&self) -> Family {
        match (self.address, self.translated) {
            (SocketAddr::V6(_), None) => Family::V6,
            _ => Family::V4,
        }
    }
}
