//! Questions to the resolver and what comes back.

use crate::endpoint::{Alpn, Ech};
use crate::name::Name;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

/// Which question. Counted from 1 within a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u32);

impl fmt::Display for QueryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The record type asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueryType {
    /// HTTPS service records (RFC 9460).
    Https,
    /// SVCB service records (RFC 9460).
    Svcb,
    /// IPv6 addresses.
    Aaaa,
    /// IPv4 addresses.
    A,
}

impl QueryType {
    /// HTTPS or SVCB.
    pub const fn is_service(self) -> bool {
        matches!(self, Self::Https | Self::Svcb)
    }
}

impl fmt::Display for QueryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Https => "HTTPS",
            Self::Svcb => "SVCB",
            Self::Aaaa => "AAAA",
            Self::A => "A",
        })
    }
}

/// Why a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// It was not asked before in this race.
    First,
    /// The answer at hand is out of date (B10, B11): a cache must not answer.
    Refresh,
    /// To learn the NAT64 prefix of the network (N1, RFC 7050).
    Prefix64,
}

/// An answer, positive or negative. Not the same as no answer: that is a [`QueryError`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub data: AnswerData,
    /// How long it holds; `None` when the resolver does not say.
    pub ttl: Option<Duration>,
    /// It came over encrypted DNS or was validated by DNSSEC (F1).
    pub protected: bool,
    /// It is past its time to live (B11).
    pub stale: bool,
}

/// What an answer says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerData {
    /// Addresses of the type asked for, in the order of the answer.
    Addresses(Arc<[IpAddr]>),
    /// HTTPS or SVCB records.
    Services(Arc<[ServiceRecord]>),
    /// The name exists and has no record of this type.
    NoData,
    /// The name does not exist.
    NxDomain,
}

impl Answer {
    /// A fresh answer without a time to live, from unprotected DNS.
    pub const fn new(data: AnswerData) -> Self {
        Self {
            data,
            ttl: None,
            protected: false,
            stale: false,
        }
    }

    /// Addresses.
    pub fn addresses(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        Self::new(AnswerData::Addresses(addresses.into_iter().collect()))
    }

    /// Service records.
    pub fn services(records: impl IntoIterator<Item = ServiceRecord>) -> Self {
        Self::new(AnswerData::Services(records.into_iter().collect()))
    }

    /// The name exists and has no record of this type.
    pub const fn no_data() -> Self {
        Self::new(AnswerData::NoData)
    }

    /// The name does not exist.
    pub const fn nx_domain() -> Self {
        Self::new(AnswerData::NxDomain)
    }

    /// With a time to live.
    #[must_use]
    pub const fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// From encrypted or validated DNS.
    #[must_use]
    pub const fn protected(mut self) -> Self {
        self.protected = true;
        self
    }

    /// Past its time to live.
    #[must_use]
    pub const fn stale(mut self) -> Self {
        self.stale = true;
        self
    }

    /// B8: an empty answer is as negative as one that says so.
    pub fn is_negative(&self) -> bool {
        match &self.data {
            AnswerData::Addresses(addresses) => addresses.is_empty(),
            AnswerData::Services(records) => records.is_empty(),
            AnswerData::NoData | AnswerData::NxDomain => true,
        }
    }
}

/// An HTTPS or SVCB record (RFC 9460).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    /// SvcPriority; 0 is AliasMode.
    pub priority: u16,
    /// TargetName; `None` for `.`, the owner of the record.
    pub target: Option<Name>,
    /// `alpn`; `None` when there is no such parameter.
    pub alpn: Option<Vec<Alpn>>,
    /// `no-default-alpn`.
    pub no_default_alpn: bool,
    /// `port`.
    pub port: Option<u16>,
    /// `ipv4hint`.
    pub ipv4_hints: Vec<Ipv4Addr>,
    /// `ipv6hint`.
    pub ipv6_hints: Vec<Ipv6Addr>,
    /// `ech`.
    pub ech: Option<Ech>,
    /// `mandatory`: the keys that a client has to understand before it may use the record.
    pub mandatory: Vec<u16>,
}

impl ServiceRecord {
    /// A record of ServiceMode (or of AliasMode, if `priority` is 0) without parameters.
    pub const fn new(priority: u16, target: Option<Name>) -> Self {
        Self {
            priority,
            target,
            alpn: None,
            no_default_alpn: false,
            port: None,
            ipv4_hints: Vec::new(),
            ipv6_hints: Vec::new(),
            ech: None,
            mandatory: Vec::new(),
        }
    }

    /// AliasMode: look at another name instead.
    pub const fn is_alias(&self) -> bool {
        self.priority == 0
    }
}

/// Why no answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryError {
    /// What kind of failure.
    pub kind: QueryErrorKind,
    /// In the words of the resolver.
    pub text: Arc<str>,
}

/// The ways in which a question remains without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueryErrorKind {
    /// Nobody answered in time.
    TimedOut,
    /// SERVFAIL.
    ServerFailure,
    /// REFUSED.
    Refused,
    /// The answer could not be read, or failed validation.
    Malformed,
    /// The resolver itself could not be reached or used.
    Resolver,
    /// Anything else.
    Other,
}

impl QueryError {
    /// A failure in the resolver's words.
    pub fn new(kind: QueryErrorKind, text: &str) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }
}

impl fmt::Display for QueryErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "timed-out",
            Self::ServerFailure => "server-failure",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::Resolver => "resolver",
            Self::Other => "other",
        })
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            return self.kind.fmt(f);
        }
        f.write_str(&self.text)
    }
}

impl core::error::Error for QueryError {}
