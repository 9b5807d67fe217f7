//! The deadline table: one absolute moment, or none, for each thing that can become due.

use crate::time::Instant;

/// What can become due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// B3: the resolution delay is over.
    ResolutionDelay,
    /// D2: the next attempt may start.
    NextAttempt,
    /// D14: an attempt has taken too long.
    AttemptDeadline,
    /// A question has been open for too long.
    QueryDeadline,
    /// B10: records expire.
    Expiry,
    /// D14: the race has taken too long.
    OverallDeadline,
    /// B12: answers are not taken any more.
    Linger,
}

const COUNT: usize = Timer::Linger as usize + 1;

/// The table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timers([Option<Instant>; COUNT]);

impl Timers {
    pub(crate) const fn set(&mut self, timer: Timer, at: Option<Instant>) {
        self.0[timer as usize] = at;
    }

    pub(crate) fn is_due(&self, timer: Timer, now: Instant) -> bool {
        self.0[timer as usize].is_some_and(|at| at <= now)
    }

    /// The next moment at which anything becomes due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_next_and_a_cleared_one_is_not() {
        let mut timers = Timers::default();
        assert_eq!(timers.next(), None);
        timers.set(Timer::Linger, Some(Instant::from_millis(5)));
        timers.set(Timer::ResolutionDelay, Some(Instant::from_millis(3)));
        assert_eq!(timers.next(), Some(Instant::from_millis(3)));
        assert!(!timers.is_due(Timer::Linger, Instant::from_millis(4)));
        assert!(timers.is_due(Timer::Linger, Instant::from_millis(5)));
        timers.set(Timer::ResolutionDelay, None);
        assert_eq!(timers.next(), Some(Instant::from_millis(5)));
    }
}
