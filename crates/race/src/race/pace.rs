//! When the next attempt may start, and what makes it so (D2-D6, D8, D10, D11).

use super::attempts::Attempt;
use crate::config::{ATTEMPT_FLOOR, Config};
use crate::input::AttemptId;
use crate::output::Cause;
use crate::time::Instant;
use core::time::Duration;

/// The timer between attempts.
#[derive(Debug, Default)]
pub(super) struct Pace {
    started: Option<Started>,
    /// How many times the delay has run out: failures do not make it grow (D11).
    grown: u32,
    pull: Option<Pull>,
    /// The next endpoint is another one than when the last attempt started (D10).
    fresh: bool,
}

#[derive(Clone, Copy, Debug)]
struct Started {
    at: Instant,
    /// When the next one may start by itself.
    next: Instant,
}

/// Why the next attempt does not wait for the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pull {
    /// D6: an attempt failed, then.
    Failure(Instant, AttemptId),
    /// The list ran out after that: whatever comes next is late already.
    Exhausted,
}

impl Pace {
    /// An attempt starts. `remembered` is what history says of the delay after it.
    pub(super) fn start(
        &mut self,
        config: &Config,
        remembered: Option<Duration>,
        cause: Cause,
        now: Instant,
    ) {
        if matches!(cause, Cause::Delay { .. } | Cause::Hurry) {
            self.grown = self.grown.saturating_add(1);
        }
        let delay = self.delay(config, remembered.unwrap_or(config.attempt_delay));
        self.started = Some(Started {
            at: now,
            next: now + delay,
        });
        self.pull = None;
        self.fresh = false;
    }

    /// D11, D4, D5: the delay, grown and bounded.
    fn delay(&self, config: &Config, base: Duration) -> Duration {
        let mut delay = base;
        for _ in 0..self.grown {
            if delay >= config.maximum_attempt_delay {
                break;
            }
            let grown = delay.as_secs_f64() * config.delay_multiplier;
            let grown = Duration::try_from_secs_f64(grown).unwrap_or(config.maximum_attempt_delay);
            if grown == delay {
                break;
            }
            delay = grown;
        }
        delay
            .min(config.maximum_attempt_delay)
            .max(config.minimum_attempt_delay)
            .max(ATTEMPT_FLOOR)
    }

    /// D6: an attempt failed; of several in one instant, the first one counts.
    pub(super) fn failed(&mut self, attempt: AttemptId, now: Instant) {
        let pull = match self.pull {
            Some(Pull::Failure(at, other)) if (at, other) <= (now, attempt) => return,
            Some(Pull::Exhausted) => return,
            _ => Pull::Failure(now, attempt),
        };
        self.pull = Some(pull);
    }

    /// There is nothing left to start.
    pub(super) const fn exhausted(&mut self) {
        if self.pull.is_some() {
            self.pull = Some(Pull::Exhausted);
        }
    }

    /// The next endpoint is another one than before.
    pub(super) const fn refreshed(&mut self) {
        self.fresh = true;
    }

    /// D8: an attempt came forward. The next one waits until this one could be through, judged by its round trip: twice
    /// that is TLS 1.2, or TLS 1.3 with time to think. Never later than the maximum after the last start.
    pub(super) fn progressed(&mut self, config: &Config, attempt: &Attempt, now: Instant) {
        if let Some(started) = &mut self.started {
            let round_trip = attempt.round_trip().unwrap_or_default();
            let rest = round_trip
                .saturating_mul(2)
                .max(config.minimum_attempt_delay);
            let latest = started.at + config.maximum_attempt_delay;
            started.next = started.next.max((now + rest).min(latest));
        }
    }

    /// The earliest moment that D3 allows; `None` before the first attempt.
    pub(super) fn floor(&self) -> Option<Instant> {
        self.started.map(|started| started.at + ATTEMPT_FLOOR)
    }

    /// When the next attempt starts, and why then. `None` before the first.
    pub(super) fn next<'a>(
        &self,
        config: &Config,
        mut running: impl Iterator<Item = &'a Attempt>,
    ) -> Option<(Instant, Cause)> {
        let started = self.started?;
        let floor = started.at + ATTEMPT_FLOOR;
        let first = running.next();
        let next = match (self.pull, first) {
            (Some(Pull::Failure(at, attempt)), _) => (at, Cause::Failure { attempt }),
            (Some(Pull::Exhausted), _) | (None, None) => (floor, Cause::NewAddress),
            (None, Some(first)) => {
                let hurry = started.at + config.minimum_attempt_delay;
                let silent = first.first_reply.is_none()
                    && running.all(|attempt| attempt.first_reply.is_none());
                if config.hurry_on_new_address && self.fresh && silent && hurry < started.next {
                    (hurry, Cause::Hurry)
                } else {
                    (
                        started.next,
                        Cause::Delay {
                            after: started.next - started.at,
                        },
                    )
                }
            }
        };
        // D3.
        Some((next.0.max(floor), next.1))
    }

    /// Another network: what ran there says nothing here. Only the floor remains.
    pub(super) const fn start_over(&mut self) {
        self.grown = 0;
        self.pull = None;
        self.fresh = false;
    }
}
