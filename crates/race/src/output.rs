//! What the machine asks of the caller.

use crate::answer::{Purpose, QueryError, QueryId, QueryType};
use crate::endpoint::{Endpoint, Protocol};
use crate::input::{AttemptError, AttemptId};
use crate::name::Name;
use crate::order::Order;
use crate::time::Instant;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an output that is not acted upon stalls the race"]
#[non_exhaustive]
pub enum Output {
    /// Ask the resolver.
    Query {
        /// Quote it with the answer.
        id: QueryId,
        /// The name to ask for.
        name: Name,
        /// The record type to ask for.
        kind: QueryType,
        /// Why.
        purpose: Purpose,
    },
    /// The answer is not wanted any more. A cache may still be glad of it.
    CancelQuery {
        /// Which question.
        id: QueryId,
    },
    /// Connect.
    Attempt {
        /// Quote it with what becomes of it.
        id: AttemptId,
        /// Where to, and what to speak.
        endpoint: Endpoint,
        /// Why now.
        cause: Cause,
        /// Why this one.
        order: Order,
    },
    /// Close an attempt, whatever has become of it.
    CancelAttempt {
        /// Which attempt.
        id: AttemptId,
        /// Why.
        why: CancelReason,
    },
    /// The race is over. Questions may still be cancelled later, when [`Config::linger`](crate::Config::linger) is over.
    Finished(Outcome),
}

/// Why an attempt started when it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The first one: everything that is worth waiting for was there (B2).
    First,
    /// The first one: the resolution delay was over (B3).
    ResolutionDelay,
    /// The delay after the attempt before was over (D2).
    Delay {
        /// How long it was.
        after: Duration,
    },
    /// An attempt failed (D6).
    Failure {
        /// Which one.
        attempt: AttemptId,
    },
    /// An address came in when nothing was running any more.
    NewAddress,
    /// An address came in while nothing made progress, and the delay was cut short (D10).
    Hurry,
    /// The server gave another ECH configuration (E7).
    EchRetry {
        /// The attempt that it told so.
        attempt: AttemptId,
    },
}

/// Why an attempt is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelReason {
    /// Another attempt won (E3).
    Lost {
        /// Which one.
        to: AttemptId,
    },
    /// [`Config::attempt_deadline`](crate::Config::attempt_deadline) is over (D14).
    Deadline,
    /// [`Config::overall_deadline`](crate::Config::overall_deadline) is over (D14).
    OverallDeadline,
    /// It was the oldest of as many as may run at a time, and silent (D12).
    Replaced,
    /// The network that it was started on is gone.
    NetworkChange,
    /// The race was abandoned (F2).
    Abandoned,
}

/// How a race ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An attempt won.
    Connected {
        /// Which one.
        attempt: AttemptId,
    },
    /// Nothing won.
    Failed(Arc<Failure>),
}

/// Why nothing won, with everything that was tried (E6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// In one word.
    pub reason: FailureReason,
    /// Every question without an address in its answer.
    pub queries: Vec<FailedQuery>,
    /// Every attempt, in the order of their starts.
    pub attempts: Vec<FailedAttempt>,
}

/// Why nothing won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureReason {
    /// No network to use.
    NoNetwork,
    /// The name does not exist.
    NoSuchName,
    /// The name exists and has no address (of a family that this host can use).
    NoAddress,
    /// The resolver failed.
    Resolution,
    /// There are addresses, and no way to any of them from this host.
    NoRoute,
    /// No service of the target takes a protocol that the caller speaks (C12).
    NoCommonProtocol,
    /// Every attempt failed.
    AllFailed,
    /// [`Config::overall_deadline`](crate::Config::overall_deadline) is over.
    Deadline,
    /// DNS is protected and the service records could not be had (F2).
    ServiceUnknown,
}

/// A question that brought no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedQuery {
    /// The name asked for.
    pub name: Name,
    /// The record type asked for.
    pub kind: QueryType,
    /// When it was asked.
    pub asked: Instant,
    /// When that was known; `None` if it never was.
    pub ended: Option<Instant>,
    /// What came instead.
    pub end: QueryEnd,
}

/// What a question came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryEnd {
    /// Records.
    Records,
    /// The name exists and has no such record.
    NoData,
    /// The name does not exist.
    NxDomain,
    /// No answer.
    Failed(QueryError),
    /// Nothing yet.
    Pending,
}

/// An attempt that did not win.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedAttempt {
    /// Which one.
    pub id: AttemptId,
    /// Where it went.
    pub address: SocketAddr,
    /// What was spoken.
    pub protocol: Protocol,
    /// When it started.
    pub started: Instant,
    /// When it ended.
    pub ended: Instant,
    /// What ended it.
    pub error: AttemptError,
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNetwork => "no-network",
            Self::NoSuchName => "no-such-name",
            Self::NoAddress => "no-address",
            Self::Resolution => "resolution",
            Self::NoRoute => "no-route",
            Self::NoCommonProtocol => "no-common-protocol",
            Self::AllFailed => "all-failed",
            Self::Deadline => "deadline",
            Self::ServiceUnknown => "service-unknown",
        })
    }
}
