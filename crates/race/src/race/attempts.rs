//! The attempts of a race: which run, and how the others ended.

use crate::endpoint::Endpoint;
use crate::input::{AttemptError, AttemptId, Ignored};
use crate::order::Order;
use crate::output::{CancelReason, Cause};
use crate::time::Instant;
use alloc::vec::Vec;
use core::time::Duration;

/// An attempt: where it goes, why it started when it did, and what has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which one.
    pub id: AttemptId,
    /// Where it goes.
    pub endpoint: Endpoint,
    /// Why it started when it did.
    pub cause: Cause,
    /// Why it was this one's turn.
    pub order: Order,
    /// When it started.
    pub started: Instant,
    /// When the first reply of any kind was seen.
    pub first_reply: Option<Instant>,
    /// When it last came a step forward.
    pub last_progress: Option<Instant>,
    /// When and how it ended; `None` while it runs.
    pub end: Option<(Instant, AttemptEnd)>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptEnd {
    /// It won.
    Won,
    /// It failed by itself.
    Failed(AttemptError),
    /// The server wanted another ECH configuration (E7).
    EchRejected,
    /// The machine gave it up.
    Cancelled(CancelReason),
}

impl Attempt {
    /// It has not ended.
    pub const fn is_running(&self) -> bool {
        self.end.is_none()
    }

    /// How long the first reply took.
    pub fn round_trip(&self) -> Option<Duration> {
        self.first_reply.map(|reply| reply - self.started)
    }

    /// Since when nothing has been heard of it.
    fn quiet_since(&self) -> Instant {
        self.last_progress.unwrap_or(self.started)
    }
}

/// All of them, in the order of their starts.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    all: Vec<Attempt>,
    /// Those before this one belong to a network that is gone.
    era: usize,
    /// Successes that were reported and not yet decided upon.
    successes: Vec<(AttemptId, Instant)>,
}

impl Attempts {
    pub(super) fn all(&self) -> &[Attempt] {
        &self.all
    }

    pub(super) fn next_id(&self) -> AttemptId {
        AttemptId(
            u32::try_from(self.all.len())
                .unwrap_or(u32::MAX)
                .saturating_add(1),
        )
    }

    pub(super) fn push(&mut self, attempt: Attempt) {
        self.all.push(attempt);
    }

    pub(super) fn get(&self, id: AttemptId) -> Option<&Attempt> {
        usize::try_from(id.0)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .and_then(|index| self.all.get(index))
    }

    /// The attempt, if it may still report anything.
    pub(super) fn find(&mut self, id: AttemptId) -> Result<&mut Attempt, Ignored> {
        if self.successes.iter().any(|(winner, _)| *winner == id) {
            return Err(Ignored::AlreadyEnded(id));
        }
        let attempt = usize::try_from(id.0)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .and_then(|index| self.all.get_mut(index))
            .ok_or(Ignored::UnknownAttempt(id))?;
        match &attempt.end {
            None => Ok(attempt),
            Some((_, AttemptEnd::Cancelled(_))) => Err(Ignored::CancelledAttempt(id)),
            Some(_) => Err(Ignored::AlreadyEnded(id)),
        }
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Attempt> {
        self.all.iter().filter(|attempt| attempt.is_running())
    }

    /// Attempts of this network: what was tried on another one may be tried again.
    pub(super) fn of_this_network(&self) -> &[Attempt] {
        self.all.get(self.era..).unwrap_or_default()
    }

    /// Everything up to now belongs to another network.
    pub(super) fn start_over(&mut self) {
        self.era = self.all.len();
        self.successes.clear();
    }

    /// An attempt is through. Who wins is decided once everything of this instant is known.
    pub(super) fn succeeded(&mut self, id: AttemptId, now: Instant) -> Result<(), Ignored> {
        let attempt = self.find(id)?;
        attempt.first_reply.get_or_insert(now);
        attempt.last_progress = Some(now);
        self.successes.push((id, now));
        Ok(())
    }

    /// The first to succeed; of several at the same instant, the one that started first.
    pub(super) fn winner(&self) -> Option<(AttemptId, Instant)> {
        self.successes
            .iter()
            .min_by_key(|(id, at)| (*at, *id))
            .copied()
    }

    /// Ends an attempt that runs. `false` if it does not.
    pub(super) fn end(&mut self, id: AttemptId, end: AttemptEnd, now: Instant) -> bool {
        let found = usize::try_from(id.0)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .and_then(|index| self.all.get_mut(index));
        match found {
            Some(attempt) if attempt.end.is_none() => {
                attempt.end = Some((now, end));
                true
            }
            _ => false,
        }
    }

    /// Ends every attempt that runs.
    pub(super) fn end_all(&mut self, now: Instant, mut end: impl FnMut(AttemptId) -> AttemptEnd) {
        for attempt in self.all.iter_mut().filter(|attempt| attempt.is_running()) {
            attempt.end = Some((now, end(attempt.id)));
        }
    }

    /// The attempt that has been quiet for longest, and since when (D12).
    pub(super) fn quietest(&self) -> Option<(AttemptId, Instant)> {
        let quiet = self
            .running()
            .map(|attempt| (attempt.quiet_since(), attempt.id));
        quiet.min().map(|(since, id)| (id, since))
    }

    /// Those that have been running for `limit` or longer.
    pub(super) fn overdue(&self, limit: Duration, now: Instant) -> Option<AttemptId> {
        self.running()
            .find(|attempt| attempt.started + limit <= now)
            .map(|attempt| attempt.id)
    }
}
