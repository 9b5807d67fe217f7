//! What the caller tells the machine.

use crate::answer::{Answer, QueryError, QueryId};
use crate::endpoint::Ech;
use crate::network::Network;
use alloc::sync::Arc;
use core::fmt;

/// Which attempt. Counted from 1 within a race, in the order of their starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u32);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// A question was answered, positively or negatively.
    Answer {
        /// Which question.
        query: QueryId,
        /// The answer.
        answer: Answer,
    },
    /// A question will not be answered.
    QueryFailed {
        /// Which question.
        query: QueryId,
        /// Why.
        error: QueryError,
    },
    /// The records of a question that was answered are other ones now (DNS push, RFC 8765).
    Changed {
        /// Which question.
        query: QueryId,
        /// What holds now.
        answer: Answer,
    },
    /// The records of a question that was answered are out of date (B10).
    Expired {
        /// Which question.
        query: QueryId,
    },
    /// An attempt came a step forward and is not through: TCP is up and TLS pending, a QUIC reply was seen (D8).
    Progress {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// An attempt is through: ready to be used, with every handshake and check that the caller asks for (E1, E2).
    Succeeded {
        /// Which attempt.
        attempt: AttemptId,
    },
    /// An attempt failed.
    Failed {
        /// Which attempt.
        attempt: AttemptId,
        /// Why.
        error: AttemptError,
    },
    /// The server refused the ECH configuration and proved that it may (E7).
    EchRejected {
        /// Which attempt.
        attempt: AttemptId,
        /// The configuration to try again with; `None` when the server has given ECH up.
        retry: Option<Ech>,
    },
    /// The network is another one now, or more is known of it.
    Network(Network),
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptError {
    /// What kind of failure.
    pub kind: AttemptErrorKind,
    /// In the words of the system or of the library that failed.
    pub text: Arc<str>,
}

/// The ways in which an attempt fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AttemptErrorKind {
    /// The peer said no: RST, or ICMP port unreachable.
    Refused,
    /// No route, or ICMP unreachable.
    Unreachable,
    /// Nothing came back in time.
    TimedOut,
    /// The connection came up and was then cut.
    Reset,
    /// TLS, or the cryptographic part of QUIC, failed.
    Handshake,
    /// The caller's own check said no (E2).
    Rejected,
    /// ECH was refused, and a retry is not allowed any more (E7).
    Ech,
    /// Nothing of the peer's or the network's: no socket, no permission.
    Local,
    /// Anything else.
    Other,
}

impl AttemptError {
    /// A failure in the system's words.
    pub fn new(kind: AttemptErrorKind, text: &str) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }
}

impl fmt::Display for AttemptErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::TimedOut => "timed-out",
            Self::Reset => "reset",
            Self::Handshake => "handshake",
            Self::Rejected => "rejected",
            Self::Ech => "ech",
            Self::Local => "local",
            Self::Other => "other",
        })
    }
}

impl fmt::Display for AttemptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            return self.kind.fmt(f);
        }
        f.write_str(&self.text)
    }
}

impl core::error::Error for AttemptError {}

/// Why an input changed nothing. Never a fault of the race; whether it is one of the caller, the caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ignored {
    /// No such question was asked.
    UnknownQuery(QueryId),
    /// The question has its answer, or has failed.
    AlreadyAnswered(QueryId),
    /// The question has no answer that could change or expire.
    NotAnswered(QueryId),
    /// The machine has given the question up ([`Output::CancelQuery`](crate::Output::CancelQuery)).
    CancelledQuery(QueryId),
    /// The answer is of another type than the question.
    WrongType(QueryId),
    /// The answer is stale, and [`Config::optimistic_dns`](crate::Config::optimistic_dns) is off.
    Stale(QueryId),
    /// No such attempt was started.
    UnknownAttempt(AttemptId),
    /// The attempt has failed or succeeded before.
    AlreadyEnded(AttemptId),
    /// The machine has given the attempt up ([`Output::CancelAttempt`](crate::Output::CancelAttempt)). When this meets a
    /// success, another attempt won first: close this one (E4).
    CancelledAttempt(AttemptId),
    /// The race is over.
    Finished,
}

impl fmt::Display for Ignored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownQuery(id) => write!(f, "question {id} was never asked"),
            Self::AlreadyAnswered(id) => write!(f, "question {id} has its answer already"),
            Self::NotAnswered(id) => write!(f, "question {id} has no answer that could change"),
            Self::CancelledQuery(id) => write!(f, "question {id} was given up"),
            Self::WrongType(id) => write!(f, "the answer to question {id} is of another type"),
            Self::Stale(id) => write!(f, "the answer to question {id} is stale"),
            Self::UnknownAttempt(id) => write!(f, "attempt {id} was never started"),
            Self::AlreadyEnded(id) => write!(f, "attempt {id} has ended already"),
            Self::CancelledAttempt(id) => write!(f, "attempt {id} was given up"),
            Self::Finished => f.write_str("the race is over"),
        }
    }
}

impl core::error::Error for Ignored {}
