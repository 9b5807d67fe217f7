//! Scopes: how far an address reaches (RFC 6724, section 3).

use core::net::IpAddr;

/// How far an address reaches. The numbers are those of multicast scopes; smaller reaches less far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(u8);

impl Scope {
    /// One link; loopback addresses count as this too.
    pub const LINK_LOCAL: Self = Self(0x2);
    /// The deprecated site-local unicast addresses.
    pub const SITE_LOCAL: Self = Self(0x5);
    /// Everything else: unique local addresses and private IPv4 too.
    pub const GLOBAL: Self = Self(0xe);

    /// The scope of an address. IPv4: 169.254.0.0/16 and 127.0.0.0/8 are link-local, all else is global.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) if address.is_link_local() || address.is_loopback() => {
                Self::LINK_LOCAL
            }
            IpAddr::V4(_) => Self::GLOBAL,
            IpAddr::V6(address) => {
                let [first, second, ..] = address.octets();
                match (first, second) {
                    (0xff, flags_and_scope) => Self(flags_and_scope & 0x0f),
                    (0xfe, 0x80..=0xbf) => Self::LINK_LOCAL,
                    (0xfe, 0xc0..=0xff) => Self::SITE_LOCAL,
                    _ if address.is_loopback() => Self::LINK_LOCAL,
                    _ => Self::GLOBAL,
                }
            }
        }
    }

    /// The number of the scope: 2 for a link, 5 for a site, 14 for the world.
    pub const fn number(self) -> u8 {
        self.0
    }
}
