//! What the client writes down while it connects. It survives the attempt: when the client gives up, everything until
//! then is on record.

use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::time::Instant;
use twinstack_lab::world::model::Family;

/// One attempt to connect; times count from the client's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// Where to.
    pub(crate) address: IpAddr,
    /// Its family.
    pub(crate) family: Family,
    /// When it began.
    pub(crate) started_seconds: f64,
    /// When it was over.
    pub(crate) ended_seconds: f64,
    /// How.
    pub(crate) outcome: AttemptOutcome,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum AttemptOutcome {
    /// The connection opened.
    Connected,
    /// Somebody said no.
    Refused,
    /// There is no way there, known at once or by ICMP.
    Unreachable,
    /// The kernel stopped trying.
    TimedOut,
    /// Still without an answer when another attempt won or the client gave up.
    Abandoned,
    /// Anything else.
    Failed,
}

impl AttemptOutcome {
    /// What an error from `connect` means.
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Refused,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable,
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Failed,
        }
    }
}

/// The journal of one visit.
#[derive(Debug)]
pub(super) struct Journal {
    started: Instant,
    entries: RefCell<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    dns_seconds: Option<f64>,
    attempts: Vec<Open>,
    winner: Option<IpAddr>,
}

#[derive(Debug)]
struct Open {
    address: IpAddr,
    started_seconds: f64,
    end: Option<(f64, AttemptOutcome)>,
}

impl Journal {
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            entries: RefCell::default(),
        }
    }

    /// Seconds since the start.
    pub(super) fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// An address is known; only the first time counts.
    pub(super) fn resolved(&self) {
        let now = self.now();
        self.entries.borrow_mut().dns_seconds.get_or_insert(now);
    }

    pub(super) fn began(&self, address: IpAddr) {
        let started_seconds = self.now();
        self.entries.borrow_mut().attempts.push(Open {
            address,
            started_seconds,
            end: None,
        });
    }

    pub(super) fn ended<T>(&self, address: IpAddr, result: &io::Result<T>) {
        let now = self.now();
        let outcome = match result {
            Ok(_) => AttemptOutcome::Connected,
            Err(error) => AttemptOutcome::of(error),
        };
        let mut entries = self.entries.borrow_mut();
        let open = entries
            .attempts
            .iter_mut()
            .rfind(|it| it.address == address && it.end.is_none());
        if let Some(open) = open {
            open.end = Some((now, outcome));
        }
    }

    /// The connection that will be used; every other attempt still open ends here.
    pub(super) fn won(&self, address: IpAddr) {
        let now = self.now();
        let mut entries = self.entries.borrow_mut();
        entries.winner = Some(address);
        for open in &mut entries.attempts {
            open.end.get_or_insert((now, AttemptOutcome::Abandoned));
        }
    }

    /// What is on record: the attempts, when an address was known, and the winner.
    pub(super) fn close(self) -> (Vec<Attempt>, Option<f64>, Option<IpAddr>) {
        let now = self.now();
        let entries = self.entries.into_inner();
        let attempts = entries
            .attempts
            .into_iter()
            .map(|open| {
                let (ended_seconds, outcome) = open.end.unwrap_or((now, AttemptOutcome::Abandoned));
                Attempt {
                    address: open.address,
                    family: Family::of(open.address),
                    started_seconds: open.started_seconds,
                    ended_seconds,
                    outcome,
                }
            })
            .collect();
        (attempts, entries.dns_seconds, entries.winner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn attempts_without_an_end_were_abandoned() {
        let journal = Journal::start();
        journal.began(address(1));
        journal.began(address(2));
        journal.ended(address(2), &Ok(()));
        journal.won(address(2));
        let (attempts, dns, winner) = journal.close();
        let outcomes: Vec<_> = attempts.iter().map(|it| it.outcome).collect();
        assert_eq!(
            outcomes,
            [AttemptOutcome::Abandoned, AttemptOutcome::Connected]
        );
        assert!(
            attempts
                .iter()
                .all(|it| it.ended_seconds >= it.started_seconds)
        );
        assert_eq!((dns, winner), (None, Some(address(2))));
    }

    #[test]
    fn errors_keep_their_kind() {
        let check = |kind: io::ErrorKind, expected| {
            assert_eq!(AttemptOutcome::of(&kind.into()), expected, "{kind:?}");
        };
        check(io::ErrorKind::ConnectionRefused, AttemptOutcome::Refused);
        check(
            io::ErrorKind::NetworkUnreachable,
            AttemptOutcome::Unreachable,
        );
        check(io::ErrorKind::HostUnreachable, AttemptOutcome::Unreachable);
        check(io::ErrorKind::TimedOut, AttemptOutcome::TimedOut);
        check(io::ErrorKind::OutOfMemory, AttemptOutcome::Failed);
    }
}
