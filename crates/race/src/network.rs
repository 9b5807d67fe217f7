//! What the machine is told about the network that it races on.

use crate::nat64::Nat64;
use crate::rfc6724::Source;
use core::fmt;
use core::net::IpAddr;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv6.
    V6,
    /// IPv4.
    V4,
}

impl Family {
    /// The family of `address`, as it stands.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::V6 => Self::V4,
            Self::V4 => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V6 => "ipv6",
            Self::V4 => "ipv4",
        })
    }
}

/// The network that a race runs on. The caller looks; the machine only reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// An IPv4 address that is neither loopback nor link-local, and a route that goes beyond the link (A2).
    pub ipv4: bool,
    /// The same for IPv6 (A1).
    pub ipv6: bool,
    /// NAT64 prefixes of this network, and whether the host has a CLAT. `None`: nobody has looked. Without IPv4 the
    /// machine then asks for `ipv4only.arpa` itself (N1).
    pub nat64: Option<Nat64>,
    /// Answers come over encrypted DNS, or are validated by DNSSEC (F1).
    pub protected_dns: bool,
    /// Which provisioning domain this is. What was learned in one is never used in another (C9).
    pub context: u64,
}

impl Network {
    /// Both families, nothing special.
    pub const fn dual_stack() -> Self {
        Self {
            ipv4: true,
            ipv6: true,
            nat64: None,
            protected_dns: false,
            context: 0,
        }
    }

    /// IPv4 alone.
    pub const fn ipv4_only() -> Self {
        Self {
            ipv4: true,
            ipv6: false,
            nat64: None,
            protected_dns: false,
            context: 0,
        }
    }

    /// IPv6 alone.
    pub const fn ipv6_only() -> Self {
        Self {
            ipv4: false,
            ipv6: true,
            nat64: None,
            protected_dns: false,
            context: 0,
        }
    }

    /// Whether `family` goes anywhere.
    pub const fn has(&self, family: Family) -> bool {
        match family {
            Family::V6 => self.ipv6,
            Family::V4 => self.ipv4,
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::dual_stack()
    }
}

/// Which source address the host would use towards a destination: RFC 6724 needs it to sort.
pub trait Routes {
    /// The source for `destination`; `None` when there is no route.
    fn source(&self, destination: IpAddr) -> Option<Source>;
}
