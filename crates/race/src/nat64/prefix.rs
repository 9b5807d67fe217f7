//! A NAT64 prefix, and the address format of RFC 6052, section 2.2.

use core::fmt;
use core::net::{Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

/// A NAT64 prefix of one of the six lengths, with bits 64 to 71 zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix64 {
    network: Ipv6Addr,
    length: u8,
}

/// Bits 64 to 71: zero in every such address.
const RESERVED: u128 = 0xff << 56;

impl Prefix64 {
    /// 64:ff9b::/96, for public IPv4 addresses only.
    pub const WELL_KNOWN: Self = Self {
        network: Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0),
        length: 96,
    };

    /// The lengths that RFC 6052 allows, longest first: the order in which an answer is searched.
    pub const LENGTHS: [u8; 6] = [96, 64, 56, 48, 40, 32];

    /// A prefix. Bits beyond `length` must be zero, and so must bits 64 to 71.
    pub fn new(network: Ipv6Addr, length: u8) -> Result<Self, Prefix64Error> {
        if !Self::LENGTHS.contains(&length) {
            return Err(Prefix64Error::Length { length });
        }
        let bits = network.to_bits();
        if bits & beyond(length) != 0 {
            return Err(Prefix64Error::HostBits { network, length });
        }
        if bits & RESERVED != 0 {
            return Err(Prefix64Error::Reserved { network });
        }
        Ok(Self { network, length })
    }

    /// The prefix of `address` with this length, whatever follows.
    pub(super) fn of(address: Ipv6Addr, length: u8) -> Result<Self, Prefix64Error> {
        Self::new(
            Ipv6Addr::from_bits(address.to_bits() & !beyond(length)),
            length,
        )
    }

    /// The prefix, followed by zeroes.
    pub const fn network(&self) -> Ipv6Addr {
        self.network
    }

    /// 32, 40, 48, 56, 64 or 96.
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// This is 64:ff9b::/96.
    pub const fn is_well_known(&self) -> bool {
        self.length == 96 && self.network.to_bits() == Self::WELL_KNOWN.network.to_bits()
    }

    /// The address begins with this prefix.
    pub const fn contains(&self, address: Ipv6Addr) -> bool {
        (self.network.to_bits() ^ address.to_bits()) & !beyond(self.length) == 0
    }

    /// The IPv6 address that stands for an IPv4 address. Which ones to leave alone is [`super::Nat64`]'s to say.
    pub const fn synthesize(&self, address: Ipv4Addr) -> Ipv6Addr {
        let bits = address.to_bits() as u128;
        let inside = if self.length == 96 {
            bits
        } else {
            // As one run of bits behind the prefix; what reaches bit 64 moves on by the eight reserved bits.
            let run = (bits << 96) >> self.length;
            let before = run & !(u64::MAX as u128);
            let after = run & u64::MAX as u128;
            before | (after >> 8)
        };
        Ipv6Addr::from_bits(self.network.to_bits() | inside)
    }

    /// The IPv4 address inside, if `address` has this prefix and its reserved bits are zero.
    ///
    /// What follows the IPv4 address is ignored, as RFC 6052, section 2.2, wants.
    pub const fn extract(&self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let bits = address.to_bits();
        if !self.contains(address) || bits & RESERVED != 0 {
            return None;
        }
        let run = if self.length == 96 {
            bits
        } else {
            let before = bits & !(u64::MAX as u128);
            // The reserved bits are zero: they do not get in the way when the rest moves up beside the first part.
            let after = bits & u64::MAX as u128;
            (before | (after << 8)) >> (96 - self.length)
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the lowest 32 bits are the address"
        )]
        Some(Ipv4Addr::from_bits(run as u32))
    }
}

/// The bits behind a prefix of this length.
const fn beyond(length: u8) -> u128 {
    u128::MAX >> length
}

impl fmt::Display for Prefix64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

impl FromStr for Prefix64 {
    type Err = Prefix64Error;

    /// Reads `64:ff9b::/96`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (network, length) = text.split_once('/').ok_or(Prefix64Error::Text)?;
        let network = network.parse().map_err(|_| Prefix64Error::Text)?;
        let length = length.parse().map_err(|_| Prefix64Error::Text)?;
        Self::new(network, length)
    }
}

/// Why a prefix cannot be one of NAT64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prefix64Error {
    /// Not one of the six lengths.
    Length {
        /// The length given.
        length: u8,
    },
    /// Bits beyond the length are set.
    HostBits {
        /// The prefix.
        network: Ipv6Addr,
        /// Its length.
        length: u8,
    },
    /// Bits 64 to 71 are set.
    Reserved {
        /// The prefix.
        network: Ipv6Addr,
    },
    /// Not of the form `64:ff9b::/96`.
    Text,
}

impl fmt::Display for Prefix64Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { length } => write!(
                f,
                "a NAT64 prefix has 32, 40, 48, 56, 64 or 96 bits, not {length}"
            ),
            Self::HostBits { network, length } => {
                write!(f, "`{network}/{length}` has bits set beyond its length")
            }
            Self::Reserved { network } => {
                write!(
                    f,
                    "bits 64 to 71 of the NAT64 prefix `{network}` are not zero"
                )
            }
            Self::Text => f.write_str("a NAT64 prefix is written like `64:ff9b::/96`"),
        }
    }
}

impl core::error::Error for Prefix64Error {}
