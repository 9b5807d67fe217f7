//! The policy table: a precedence and a label per prefix (RFC 6724, section 2.1).

use super::{canonical, mapped};
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

/// One row of the table. IPv4 is written as IPv4-mapped IPv6: 10.0.0.0/8 is `::ffff:10.0.0.0/104`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The prefix; no bit beyond its length is set.
    pub prefix: Ipv6Addr,
    /// The length of the prefix, at most 128.
    pub length: u8,
    /// Rule 6 prefers the destination with the higher one.
    pub precedence: u8,
    /// Rule 5 prefers a destination whose source has the same one.
    pub label: u8,
}

impl Policy {
    const fn row(prefix: Ipv6Addr, length: u8, precedence: u8, label: u8) -> Self {
        Self {
            prefix,
            length,
            precedence,
            label,
        }
    }

    fn covers(&self, address: Ipv6Addr) -> bool {
        (self.prefix.to_bits() ^ address.to_bits()).leading_zeros() >= u32::from(self.length)
    }
}

/// A policy table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTable {
    /// Longest prefix first, so that the first row that covers an address is its row.
    rows: Cow<'static, [Policy]>,
}

impl PolicyTable {
    /// The default table of RFC 6724, section 2.1.
    pub const fn rfc6724() -> Self {
        Self {
            rows: Cow::Borrowed(&RFC6724),
        }
    }

    /// The table of draft-ietf-6man-rfc6724-update-15 (C14): unique local addresses go before IPv4, 6to4 goes last.
    pub const fn updated() -> Self {
        Self {
            rows: Cow::Borrowed(&UPDATED),
        }
    }

    /// A table of the caller's. An address that no row covers has precedence 40 and label 1, like `::/0` in the RFC.
    pub fn new(rows: Vec<Policy>) -> Result<Self, PolicyError> {
        let mut table = Self {
            rows: Cow::Borrowed(&[]),
        };
        for row in rows {
            table.insert(row)?;
        }
        Ok(table)
    }

    /// Adds a unique local prefix that is known to be local: precedence 45 and label 14, before global addresses (C14).
    ///
    /// `length` is that of the prefix as the network announced it: a route information option of /48 to /64. A prefix
    /// that was only inferred (from an address, or from an announced /64) counts as /48; give 48 for it.
    pub fn add_known_local(&mut self, prefix: Ipv6Addr, length: u8) -> Result<(), PolicyError> {
        // Shorter ones are not what RFC 4193 hands out and would cover other sites; fc00::/8 is not defined yet.
        if prefix.octets()[0] != 0xfd || !(48..=128).contains(&length) {
            return Err(PolicyError::NotKnownLocal { prefix, length });
        }
        self.insert(Policy::row(prefix, length, 45, 14))
    }

    /// The row's precedence and label for an address.
    pub fn lookup(&self, address: IpAddr) -> (u8, u8) {
        let address = mapped(canonical(address));
        self.rows
            .iter()
            .find(|row| row.covers(address))
            .map_or((40, 1), |row| (row.precedence, row.label))
    }

    /// The rows, longest prefix first.
    pub fn rows(&self) -> &[Policy] {
        &self.rows
    }

    fn insert(&mut self, row: Policy) -> Result<(), PolicyError> {
        let Policy { prefix, length, .. } = row;
        if length > 128 {
            return Err(PolicyError::Length { prefix, length });
        }
        let beyond = u128::MAX.checked_shr(u32::from(length)).unwrap_or(0);
        if prefix.to_bits() & beyond != 0 {
            return Err(PolicyError::HostBits { prefix, length });
        }
        if self
            .rows
            .iter()
            .any(|old| old.prefix == prefix && old.length == length)
        {
            return Err(PolicyError::Twice { prefix, length });
        }
        let rows = self.rows.to_mut();
        let place = rows.partition_point(|old| old.length >= length);
        rows.insert(place, row);
        Ok(())
    }
}

impl Default for PolicyTable {
    fn default() -> Self {
        Self::rfc6724()
    }
}

/// Why a row cannot be in a policy table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// Longer than an address.
    Length {
        /// The prefix.
        prefix: Ipv6Addr,
        /// Its length.
        length: u8,
    },
    /// Bits beyond the length are set.
    HostBits {
        /// The prefix.
        prefix: Ipv6Addr,
        /// Its length.
        length: u8,
    },
    /// The prefix is there already.
    Twice {
        /// The prefix.
        prefix: Ipv6Addr,
        /// Its length.
        length: u8,
    },
    /// Not a prefix of fd00::/8, or one that is shorter than 48 bits.
    NotKnownLocal {
        /// The prefix.
        prefix: Ipv6Addr,
        /// Its length.
        length: u8,
    },
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { prefix, length } => {
                write!(
                    f,
                    "`{prefix}/{length}` is longer than the 128 bits of an address"
                )
            }
            Self::HostBits { prefix, length } => {
                write!(f, "`{prefix}/{length}` has bits set beyond its length")
            }
            Self::Twice { prefix, length } => {
                write!(f, "`{prefix}/{length}` is in the policy table already")
            }
            Self::NotKnownLocal { prefix, length } => {
                write!(
                    f,
                    "`{prefix}/{length}` is not a prefix of fd00::/8 of at least 48 bits"
                )
            }
        }
    }
}

impl core::error::Error for PolicyError {}

const fn prefix(first: u16, second: u16) -> Ipv6Addr {
    Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0)
}

const MAPPED: Ipv6Addr = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0);

const RFC6724: [Policy; 9] = [
    Policy::row(Ipv6Addr::LOCALHOST, 128, 50, 0),
    Policy::row(MAPPED, 96, 35, 4),
    Policy::row(prefix(0, 0), 96, 1, 3),
    Policy::row(prefix(0x2001, 0), 32, 5, 5),
    Policy::row(prefix(0x2002, 0), 16, 30, 2),
    Policy::row(prefix(0x3ffe, 0), 16, 1, 12),
    Policy::row(prefix(0xfec0, 0), 10, 1, 11),
    Policy::row(prefix(0xfc00, 0), 7, 3, 13),
    Policy::row(prefix(0, 0), 0, 40, 1),
];

const UPDATED: [Policy; 9] = [
    Policy::row(Ipv6Addr::LOCALHOST, 128, 50, 0),
    Policy::row(MAPPED, 96, 20, 4),
    Policy::row(prefix(0, 0), 96, 1, 3),
    Policy::row(prefix(0x2001, 0), 32, 5, 5),
    Policy::row(prefix(0x2002, 0), 16, 5, 2),
    Policy::row(prefix(0x3ffe, 0), 16, 1, 12),
    Policy::row(prefix(0xfec0, 0), 10, 1, 11),
    Policy::row(prefix(0xfc00, 0), 7, 30, 13),
    Policy::row(prefix(0, 0), 0, 40, 1),
];
