//! How a race ends (E).

use super::{Attempt, AttemptEnd, Race};
use crate::input::{AttemptError, AttemptErrorKind, AttemptId};
use crate::network::Family;
use crate::output::{
    CancelReason, FailedAttempt, FailedQuery, Failure, FailureReason, Outcome, Output, QueryEnd,
};
use crate::resolve::without_record;
use crate::time::Instant;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Race {
    /// E3: one won; all others are closed, also one that came through a moment later (E4).
    pub(super) fn win(&mut self, winner: AttemptId, at: Instant, now: Instant) {
        self.attempts.end(winner, AttemptEnd::Won, at);
        self.cancel_running(|_| CancelReason::Lost { to: winner }, now);
        // B12: questions stay open for a while, unless that is not wanted.
        if self.config.linger.is_zero() {
            self.resolve.cancel(&mut self.outbox);
        }
        self.finish(Outcome::Connected { attempt: winner }, now);
    }

    /// Nothing won.
    pub(super) fn lose(
        &mut self,
        reason: FailureReason,
        why: impl Fn(AttemptId) -> CancelReason,
        now: Instant,
    ) {
        self.cancel_running(why, now);
        self.resolve.cancel(&mut self.outbox);
        let failure = Arc::new(self.failure(reason, now));
        self.finish(Outcome::Failed(failure), now);
    }

    fn finish(&mut self, outcome: Outcome, now: Instant) {
        self.outbox.push_back(Output::Finished(outcome.clone()));
        self.outcome = Some((now, outcome));
    }

    pub(super) fn cancel_running(&mut self, why: impl Fn(AttemptId) -> CancelReason, now: Instant) {
        let outbox = &mut self.outbox;
        self.attempts.end_all(now, |id| {
            let why = why(id);
            outbox.push_back(Output::CancelAttempt { id, why });
            AttemptEnd::Cancelled(why)
        });
    }

    /// Why there is nothing to try any more.
    pub(super) fn why_nothing(&self) -> FailureReason {
        let names = &self.resolve.names;
        let families = [Family::V6, Family::V4];
        let mut slots = names
            .iter()
            .flat_map(|entry| families.map(|family| entry.slot(family)));
        if !self.attempts.all().is_empty() {
            FailureReason::AllFailed
        } else if !self.network.ipv4 && !self.network.ipv6 {
            FailureReason::NoNetwork
        } else if names.is_empty() || slots.clone().any(|slot| !slot.addresses().is_empty()) {
            let closed = self
                .resolve
                .services
                .entries
                .iter()
                .any(|service| service.offers == 0);
            if closed || without_record(&self.target.offers) == 0 {
                FailureReason::NoCommonProtocol
            } else {
                FailureReason::NoRoute
            }
        } else if slots.any(|slot| slot.failed) {
            FailureReason::Resolution
        } else if self
            .resolve
            .queries
            .iter()
            .any(|query| query.end == QueryEnd::NxDomain)
        {
            FailureReason::NoSuchName
        } else {
            FailureReason::NoAddress
        }
    }

    /// P2: the family that should have won and went silent: another one won although an attempt of this one had been
    /// waiting for longer than the winner took, and nothing of it was ever heard.
    ///
    /// Happy Eyeballs hides such outages from users; who runs the network wants to know.
    pub fn silent_failure(&self) -> Option<Family> {
        let Some((_, Outcome::Connected { attempt })) = &self.outcome else {
            return None;
        };
        let winner = self.attempts.get(*attempt)?;
        let took = winner.end.as_ref().map(|(at, _)| *at - winner.started)?;
        let family = winner.endpoint.family().other();
        let others = || {
            self.attempts()
                .iter()
                .filter(|other| other.endpoint.family() == family)
        };
        let heard = |other: &Attempt| {
            let failed = matches!(
                &other.end,
                Some((_, AttemptEnd::Failed(error))) if error.kind != AttemptErrorKind::TimedOut
            );
            failed || other.first_reply.is_some()
        };
        let waited = |other: &Attempt| {
            let waited = other.end.as_ref().map(|(at, _)| *at - other.started);
            other.id < winner.id
                && waited
                    .is_some_and(|time| time > took && time >= self.config.minimum_attempt_delay)
        };
        (others().any(waited) && !others().any(heard)).then_some(family)
    }

    /// E6: everything that was tried, with its time and what came of it.
    fn failure(&self, reason: FailureReason, now: Instant) -> Failure {
        let queries = self
            .resolve
            .queries
            .iter()
            .filter(|query| query.end != QueryEnd::Records);
        let queries = queries.map(|query| FailedQuery {
            name: query.name.clone(),
            kind: query.kind,
            asked: query.asked,
            ended: query.ended,
            end: query.end.clone(),
        });
        let attempts = self.attempts.all().iter().map(|attempt| {
            let (ended, error) = match &attempt.end {
                Some((at, AttemptEnd::Failed(error))) => (*at, error.clone()),
                Some((at, end)) => (*at, given_up(end)),
                None => (
                    now,
                    AttemptError::new(AttemptErrorKind::TimedOut, "given up"),
                ),
            };
            FailedAttempt {
                id: attempt.id,
                address: attempt.endpoint.address,
                protocol: attempt.endpoint.protocol,
                started: attempt.started,
                ended,
                error,
            }
        });
        Failure {
            reason,
            queries: queries.collect(),
            attempts: attempts.collect::<Vec<_>>(),
        }
    }
}

/// What to say of an attempt that did not fail by itself.
fn given_up(end: &AttemptEnd) -> AttemptError {
    let (kind, text) = match end {
        AttemptEnd::EchRejected => (AttemptErrorKind::Ech, "ECH rejected"),
        AttemptEnd::Cancelled(CancelReason::Replaced) => (
            AttemptErrorKind::TimedOut,
            "no reply, given up for the next address",
        ),
        AttemptEnd::Cancelled(CancelReason::NetworkChange) => {
            (AttemptErrorKind::Local, "the network changed")
        }
        AttemptEnd::Cancelled(CancelReason::Abandoned) => (
            AttemptErrorKind::Local,
            "abandoned: no service records from protected DNS",
        ),
        _ => (
            AttemptErrorKind::TimedOut,
            "no connection before the deadline",
        ),
    };
    AttemptError::new(kind, text)
}
