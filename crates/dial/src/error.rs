//! Why there is no connection.

use crate::report::RaceReport;
use crate::target::TargetError;
use std::fmt;
use std::io;
use twinstack_race::{AttemptErrorKind, ConfigError, FailureReason};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// What to connect to is no target.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// The settings do not fit together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Nothing connected; the report has every question and every attempt with address, time and error.
    #[error(transparent)]
    Failed(Box<Failed>),
}

/// A race that nobody won.
///
/// As text it lists everything that was tried, a line each:
///
/// ```text
/// cannot connect to `www.example:443`: every attempt failed
///   0.000 s - 5.004 s  AAAA www.example: no name server answered
///   0.054 s - 0.055 s  192.0.2.1:443 tcp: Connection refused (os error 111)
/// ```
#[derive(Debug)]
pub struct Failed {
    /// In one word.
    pub reason: FailureReason,
    /// The race.
    pub report: RaceReport,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot connect to `{}`: {}",
            self.report.target(),
            sentence(self.reason)
        )?;
        for query in self.report.queries() {
            let Some(error) = &query.error else { continue };
            write!(
                f,
                "\n  {}  {} {}: {error}",
                Span(query.started_seconds, query.ended_seconds),
                query.kind,
                query.name
            )?;
        }
        for attempt in self.report.attempts() {
            let error = attempt.error.as_deref().unwrap_or("no outcome");
            write!(
                f,
                "\n  {}  {} {}: {error}",
                Span(attempt.started_seconds, attempt.ended_seconds),
                attempt.address,
                attempt.protocol
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Failed {}

struct Span(f64, Option<f64>);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(end) => write!(f, "{:.3} s - {end:.3} s", self.0),
            None => write!(f, "{:.3} s -        ", self.0),
        }
    }
}

const fn sentence(reason: FailureReason) -> &'static str {
    match reason {
        FailureReason::NoNetwork => "there is no network",
        FailureReason::NoSuchName => "the name does not exist",
        FailureReason::NoAddress => "the name has no address that this host can use",
        FailureReason::Resolution => "the name could not be resolved",
        FailureReason::NoCommonProtocol => "no service of this name takes a protocol that we speak",
        FailureReason::AllFailed => "every attempt failed",
        FailureReason::Deadline => "the time is over",
        FailureReason::ServiceUnknown => {
            "DNS is protected and the service records could not be had"
        }
        _ => "it failed",
    }
}

impl DialError {
    /// The race, if it came to one.
    pub fn report(&self) -> Option<&RaceReport> {
        match self {
            Self::Failed(failed) => Some(&failed.report),
            Self::Target(_) | Self::Config(_) => None,
        }
    }

    /// The kind that the standard library would give.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Target(_) | Self::Config(_) => io::ErrorKind::InvalidInput,
            Self::Failed(failed) => match failed.reason {
                FailureReason::NoSuchName | FailureReason::NoAddress => io::ErrorKind::NotFound,
                FailureReason::NoNetwork => io::ErrorKind::NetworkUnreachable,
                FailureReason::Deadline => io::ErrorKind::TimedOut,
                FailureReason::AllFailed => failed
                    .report
                    .common_error()
                    .map_or(io::ErrorKind::Other, kind_of),
                _ => io::ErrorKind::Other,
            },
        }
    }
}

const fn kind_of(kind: AttemptErrorKind) -> io::ErrorKind {
    match kind {
        AttemptErrorKind::Refused => io::ErrorKind::ConnectionRefused,
        AttemptErrorKind::Unreachable => io::ErrorKind::HostUnreachable,
        AttemptErrorKind::TimedOut => io::ErrorKind::TimedOut,
        AttemptErrorKind::Reset => io::ErrorKind::ConnectionReset,
        AttemptErrorKind::Handshake | AttemptErrorKind::Rejected => io::ErrorKind::InvalidData,
        _ => io::ErrorKind::Other,
    }
}

/// With the [`DialError`] inside, for code that speaks `io::Result`.
impl From<DialError> for io::Error {
    fn from(error: DialError) -> Self {
        Self::new(error.kind(), error)
    }
}
