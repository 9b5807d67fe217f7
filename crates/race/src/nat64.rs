//! NAT64: IPv4 destinations on a network that carries only IPv6 (RFC 6052, RFC 7050, section N of the checklist).
//!
//! [`Prefix64`] puts an IPv4 address into an IPv6 address and takes it out again. [`Nat64`] is what is known of one
//! network: it decides whether to synthesize at all, and turns synthesized answers back. It belongs to one network
//! context and is dropped with it (N6); nothing here is global.
//!
//! Not here: asking for `ipv4only.arpa` or listening to router advertisements. The caller does, and hands in the result.

mod discovery;
mod prefix;
#[cfg(test)]
mod tests;

pub use discovery::{DISCOVERY_NAME, WELL_KNOWN_ADDRESSES, discover};
pub use prefix::{Prefix64, Prefix64Error};

use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How many prefixes of one network are kept; a network with more than a few is broken or hostile.
pub const MAX_PREFIXES: usize = 8;

/// What is known of NAT64 on one network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nat64 {
    prefixes: Vec<Prefix64>,
    clat: bool,
}

impl Nat64 {
    /// A network with these prefixes, in the order of preference; duplicates and those beyond [`MAX_PREFIXES`] are left out.
    ///
    /// Prefixes of router advertisements (RFC 8781) go before those found by [`discover`] (N1).
    pub fn new(prefixes: impl IntoIterator<Item = Prefix64>) -> Self {
        let mut kept = Vec::new();
        for prefix in prefixes {
            if kept.len() == MAX_PREFIXES {
                break;
            }
            if !kept.contains(&prefix) {
                kept.push(prefix);
            }
        }
        Self {
            prefixes: kept,
            clat: false,
        }
    }

    /// Says that the host has a CLAT (464XLAT): IPv4 works by itself, and nothing is synthesized (N7).
    #[must_use]
    pub const fn with_clat(mut self, clat: bool) -> Self {
        self.clat = clat;
        self
    }

    /// The host has a CLAT.
    pub const fn has_clat(&self) -> bool {
        self.clat
    }

    /// The prefixes, preferred first.
    pub fn prefixes(&self) -> &[Prefix64] {
        &self.prefixes
    }

    /// A prefix is known: A queries are sent even without IPv4 (A3, N2).
    pub const fn is_known(&self) -> bool {
        !self.prefixes.is_empty()
    }

    /// The IPv4 address inside an AAAA answer that was synthesized with one of the prefixes (N3).
    ///
    /// The most specific prefix decides, so that a short prefix that covers a longer one does not misread its addresses.
    /// An address that nothing would have synthesized (a private one in the well-known prefix, say) is not taken out.
    pub fn desynthesize(&self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let prefix = self
            .prefixes
            .iter()
            .filter(|prefix| prefix.contains(address))
            .max_by_key(|prefix| prefix.length())?;
        let inside = prefix.extract(address)?;
        excluded(inside, *prefix).is_none().then_some(inside)
    }

    /// An address as the race treats it: a synthesized one is the IPv4 address that it stands for (N3).
    pub fn canonical(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V6(v6) => self.desynthesize(v6).map_or(address, IpAddr::V4),
            IpAddr::V4(_) => address,
        }
    }

    /// The address to connect to for the IPv4 destination `address`, from an A record, a hint, an answer that was turned
    /// back, or a literal (N4).
    ///
    /// `ipv4_route` says whether the host has an IPv4 route to it by itself (a CLAT is one).
    pub fn connect_to(&self, address: Ipv4Addr, ipv4_route: bool) -> Result<IpAddr, Unreachable> {
        if ipv4_route || self.clat {
            return Ok(IpAddr::V4(address));
        }
        let mut refused = Unreachable::NoPrefix;
        for prefix in &self.prefixes {
            match excluded(address, *prefix) {
                None => return Ok(IpAddr::V6(prefix.synthesize(address))),
                Some(why) => refused = why,
            }
        }
        Err(refused)
    }
}

/// Why there is no way to an IPv4 destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unreachable {
    /// No IPv4 route, and no NAT64 prefix is known.
    NoPrefix,
    /// The address means this host, this link or every host of it: no translator can forward to it (N5).
    NeverForwarded {
        /// The address.
        address: Ipv4Addr,
    },
    /// A private address, and the only prefix is 64:ff9b::/96, which stands for public addresses alone (N5).
    PrivateThroughWellKnown {
        /// The address.
        address: Ipv4Addr,
    },
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPrefix => f.write_str("no route for IPv4 and no NAT64 prefix"),
            Self::NeverForwarded { address } => {
                write!(f, "`{address}` is not an address that NAT64 can forward to")
            }
            Self::PrivateThroughWellKnown { address } => {
                write!(
                    f,
                    "`{address}` is private, and 64:ff9b::/96 stands for public addresses only"
                )
            }
        }
    }
}

impl core::error::Error for Unreachable {}

/// N5: which addresses are not synthesized, and why.
const fn excluded(address: Ipv4Addr, prefix: Prefix64) -> Option<Unreachable> {
    let [first, second, ..] = address.octets();
    if first == 0
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
    {
        return Some(Unreachable::NeverForwarded { address });
    }
    // RFC 6052, section 3.1, with the shared space of RFC 6598. Documentation addresses are let through, although not
    // global: laboratories use them, and nobody else has them.
    let shared = first == 100 && second & 0xc0 == 64;
    if prefix.is_well_known() && (address.is_private() || shared) {
        return Some(Unreachable::PrivateThroughWellKnown { address });
    }
    None
}
