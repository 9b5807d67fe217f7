//! Response codes.

use domain::base::iana::OptRcode;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A response code, the extended ones of EDNS included (12 bits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rcode(u16);

impl Rcode {
    /// Fine, with or without answers.
    pub const NOERROR: Self = Self(0);
    /// The server could not read the query.
    pub const FORMERR: Self = Self(1);
    /// The server failed.
    pub const SERVFAIL: Self = Self(2);
    /// The name does not exist, whatever the type.
    pub const NXDOMAIN: Self = Self(3);
    /// The server does not do this kind of query.
    pub const NOTIMP: Self = Self(4);
    /// The server will not answer.
    pub const REFUSED: Self = Self(5);
    /// A name exists that should not.
    pub const YXDOMAIN: Self = Self(6);
    /// A record set exists that should not.
    pub const YXRRSET: Self = Self(7);
    /// A record set that should exist does not.
    pub const NXRRSET: Self = Self(8);
    /// Not authoritative, or not authorised.
    pub const NOTAUTH: Self = Self(9);
    /// A name is not within the zone.
    pub const NOTZONE: Self = Self(10);
    /// The version of EDNS is not supported.
    pub const BADVERS: Self = Self(16);

    /// The code with this number, of which 12 bits count.
    pub const fn from_number(number: u16) -> Self {
        Self(number & 0xfff)
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The upper eight bits, which only an OPT record carries.
    pub(super) const fn is_extended(self) -> bool {
        self.0 > 0xf
    }

    /// For the codec.
    pub(super) const fn as_domain(self) -> OptRcode {
        OptRcode::masked_from_int(self.0)
    }
}

const NAMES: [(Rcode, &str); 12] = [
    (Rcode::NOERROR, "NOERROR"),
    (Rcode::FORMERR, "FORMERR"),
    (Rcode::SERVFAIL, "SERVFAIL"),
    (Rcode::NXDOMAIN, "NXDOMAIN"),
    (Rcode::NOTIMP, "NOTIMP"),
    (Rcode::REFUSED, "REFUSED"),
    (Rcode::YXDOMAIN, "YXDOMAIN"),
    (Rcode::YXRRSET, "YXRRSET"),
    (Rcode::NXRRSET, "NXRRSET"),
    (Rcode::NOTAUTH, "NOTAUTH"),
    (Rcode::NOTZONE, "NOTZONE"),
    (Rcode::BADVERS, "BADVERS"),
];

/// `NXDOMAIN`, or `RCODE23` for one without a name here.
impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(code, _)| code == self) {
            Some((_, name)) => f.pad(name),
            None => f.pad(&format!("RCODE{}", self.0)),
        }
    }
}

impl fmt::Debug for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Rcode {
    type Err = UnknownRcode;

    fn from_str(text: &str) -> Result<Self, UnknownRcode> {
        let named = NAMES
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(text))
            .map(|(code, _)| *code);
        let numbered = || {
            text.strip_prefix("RCODE")?
                .parse()
                .ok()
                .map(Self::from_number)
        };
        named
            .or_else(numbered)
            .ok_or_else(|| UnknownRcode(text.to_owned()))
    }
}

impl Serialize for Rcode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rcode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that names no response code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no response code; one looks like `NXDOMAIN` or `RCODE23`")]
pub struct UnknownRcode(pub String);
