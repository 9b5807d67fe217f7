//! Messages: queries and responses, to octets and back (RFC 1035 section 4, EDNS of RFC 6891).
//!
//! Both types are owned values. What is read was checked in full: counts, compression (pointers only ever go back,
//! and at most 255 a name), lengths, one OPT at most. Classes other than IN are refused.

mod query;
mod rcode;
mod response;

pub use query::{BadQuery, Query};
pub use rcode::{Rcode, UnknownRcode};
pub use response::Response;

use crate::name::Name;
use crate::record::RecordType;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is asked: a name and a type, in class IN.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type.
    pub rtype: RecordType,
}

impl Question {
    /// A question.
    pub const fn new(name: Name, rtype: RecordType) -> Self {
        Self { name, rtype }
    }
}

/// `www.lab.test AAAA`.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.rtype)
    }
}

/// What the OPT record says besides the extended RCODE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edns {
    /// The largest UDP payload that the sender takes; below 512 counts as 512.
    pub udp_size: u16,
    /// The DO bit: DNSSEC records are welcome.
    pub dnssec_ok: bool,
}

impl Edns {
    /// What every UDP implementation must take without EDNS (RFC 1035 section 4.2.1).
    pub const MINIMUM: u16 = 512;

    /// What fits into the smallest IPv6 packet with room to spare (the DNS flag day 2020 value).
    pub const USUAL: u16 = 1232;
}

impl Default for Edns {
    fn default() -> Self {
        Self {
            udp_size: Self::USUAL,
            dnssec_ok: false,
        }
    }
}

/// Why octets are no message that we can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Fewer octets than a header has.
    #[error("{length} octets are too few for a DNS header, which has 12")]
    Short {
        /// How many there are.
        length: usize,
    },
    /// A query where a response was expected.
    #[error("the message is a query, not a response")]
    NotAResponse,
    /// More than one question.
    #[error("the message has {count} questions; one is the rule")]
    Questions {
        /// How many.
        count: u16,
    },
    /// A class other than IN.
    #[error("a record or question has class {class}; only IN (1) is known")]
    Class {
        /// The class.
        class: u16,
    },
    /// The octets end too early, a name is broken, or data are not what their type says.
    #[error("the {section} section is malformed")]
    Malformed {
        /// Where: `question`, `answer`, `authority` or `additional`.
        section: &'static str,
    },
    /// Two OPT records.
    #[error("the message has two OPT records")]
    TwoOpt,
}

#[cfg(test)]
pub(crate) mod tests;
