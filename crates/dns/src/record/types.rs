//! Record types and times to live.

use domain::base::iana::Rtype;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A record type, by its number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordType(u16);

impl RecordType {
    /// IPv4 address.
    pub const A: Self = Self(1);
    /// Name server.
    pub const NS: Self = Self(2);
    /// Alias.
    pub const CNAME: Self = Self(5);
    /// Start of authority.
    pub const SOA: Self = Self(6);
    /// Name of an address.
    pub const PTR: Self = Self(12);
    /// Mail exchanger.
    pub const MX: Self = Self(15);
    /// Text.
    pub const TXT: Self = Self(16);
    /// IPv6 address.
    pub const AAAA: Self = Self(28);
    /// Server selection.
    pub const SRV: Self = Self(33);
    /// Alias of everything below.
    pub const DNAME: Self = Self(39);
    /// EDNS, only in messages.
    pub const OPT: Self = Self(41);
    /// Delegation signer.
    pub const DS: Self = Self(43);
    /// DNSSEC signature.
    pub const RRSIG: Self = Self(46);
    /// Denial of existence.
    pub const NSEC: Self = Self(47);
    /// DNSSEC key.
    pub const DNSKEY: Self = Self(48);
    /// Service binding.
    pub const SVCB: Self = Self(64);
    /// Service binding for HTTP.
    pub const HTTPS: Self = Self(65);
    /// Incremental zone transfer, only in questions.
    pub const IXFR: Self = Self(251);
    /// Zone transfer, only in questions.
    pub const AXFR: Self = Self(252);
    /// Every type, only in questions.
    pub const ANY: Self = Self(255);
    /// Certification authority authorisation.
    pub const CAA: Self = Self(257);

    /// The type with this number.
    pub const fn from_number(number: u16) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// For the codec.
    pub(crate) const fn as_domain(self) -> Rtype {
        Rtype::from_int(self.0)
    }

    /// For the codec.
    pub(crate) const fn from_domain(rtype: Rtype) -> Self {
        Self(rtype.to_int())
    }
}

/// `AAAA`, or `TYPE65280` for a type without a name (RFC 3597 section 5).
impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_domain().to_mnemonic_str() {
            Some(name) => f.pad(name),
            None => f.pad(&format!("TYPE{}", self.0)),
        }
    }
}

impl fmt::Debug for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for RecordType {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        Rtype::from_str(text)
            .map(Self::from_domain)
            .map_err(|_| UnknownType(text.to_owned()))
    }
}

impl Serialize for RecordType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RecordType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that names no record type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no record type; one looks like `AAAA` or `TYPE65280`")]
pub struct UnknownType(pub String);

/// A time to live, in whole seconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Ttl(u32);

impl Ttl {
    /// Not to be kept.
    pub const ZERO: Self = Self(0);

    /// The longest that RFC 2181 section 8 allows, 2^31 - 1 seconds.
    pub const MAX: Self = Self(0x7fff_ffff);

    /// This many seconds.
    pub const fn from_secs(seconds: u32) -> Self {
        Self(seconds)
    }

    /// The seconds.
    pub const fn as_secs(self) -> u32 {
        self.0
    }

    /// What is left after some time, in whole seconds.
    #[must_use]
    pub fn after(self, elapsed: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX)),
        )
    }
}

impl From<Ttl> for Duration {
    fn from(ttl: Ttl) -> Self {
        Self::from_secs(u64::from(ttl.0))
    }
}

/// `300 s`.
impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0)
    }
}
