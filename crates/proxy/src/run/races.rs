//! Attempts put together: what one program tried in turn for one name is one race.
//!
//! Pure. A race is over when an attempt got through, when the program went on to an address that we do not watch, when it
//! did nothing more for [`IDLE`], or when everything ends.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

/// A program that tries nothing more for so long has stopped trying.
const IDLE: Duration = Duration::from_secs(5);
/// No more races than these are open; the oldest is closed.
const OPEN: usize = 1024;
/// No more attempts than these in one race; a program that goes on for ever must not fill the memory.
const ATTEMPTS: usize = 256;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is being tried.
    Pending,
    /// A connection.
    Connected,
    /// Silence; the program was told that it timed out.
    GivenUp,
    /// Known to be silent: the program was told so at once.
    Remembered,
    /// An error of the kernel's, passed on; 0 if only the program saw which.
    Failed(i32),
    /// The call went through untouched; how it ended we do not know.
    PassedOn,
    /// The program went away, or stopped waiting.
    Abandoned,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attempt {
    /// To where.
    pub(crate) address: SocketAddr,
    /// When it began.
    pub(crate) started: Duration,
    /// When it ended; as long as it is pending, when it began.
    pub(crate) ended: Duration,
    /// How.
    pub(crate) outcome: Outcome,
}

/// What one program tried for one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Race {
    /// The process.
    pub(crate) process: u32,
    /// The name, if the program looked one up where we could see it.
    pub(crate) name: Option<String>,
    /// In order.
    pub(crate) attempts: Vec<Attempt>,
}

impl Race {
    /// The attempt that got through.
    pub(crate) fn connected(&self) -> Option<&Attempt> {
        let mut attempts = self.attempts.iter();
        attempts.find(|it| it.outcome == Outcome::Connected)
    }

    /// Whether the program went on to an address that we do not watch.
    pub(crate) fn fell_back(&self) -> bool {
        let mut attempts = self.attempts.iter();
        attempts.any(|it| it.outcome == Outcome::PassedOn)
    }

    /// When the program will have done nothing for too long; as long as an attempt is pending, never.
    fn idle_at(&self) -> Option<Duration> {
        let pending = self
            .attempts
            .iter()
            .any(|it| it.outcome == Outcome::Pending);
        let last = self.attempts.iter().map(|it| it.ended).max();
        last.map(|last| if pending { Duration::MAX } else { last + IDLE })
    }

    fn is_over(&self) -> bool {
        let mut attempts = self.attempts.iter();
        attempts.all(|it| it.outcome != Outcome::Pending)
            && (self.connected().is_some() || self.fell_back())
    }
}

/// An attempt of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    race: u64,
    index: usize,
}

/// The races.
#[derive(Debug, Default)]
pub(crate) struct Races {
    open: BTreeMap<u64, Race>,
    next: u64,
    over: VecDeque<Race>,
}

impl Races {
    /// A program begins an attempt.
    pub(crate) fn begin(
        &mut self,
        process: u32,
        name: Option<&str>,
        address: SocketAddr,
        now: Duration,
    ) -> Place {
        let fits = |race: &Race| {
            race.process == process
                && race.name.as_deref() == name
                && (name.is_some()
                    || race
                        .attempts
                        .iter()
                        .all(|it| it.address.port() == address.port()))
                && race
                    .attempts
                    .last()
                    .is_some_and(|it| it.outcome != Outcome::Pending)
                && race.attempts.len() < ATTEMPTS
        };
        let found = self
            .open
            .iter()
            .rev()
            .find(|(_, race)| fits(race))
            .map(|(number, _)| *number);
        let number = found.unwrap_or_else(|| {
            self.next += 1;
            let race = Race {
                process,
                name: name.map(str::to_owned),
                attempts: Vec::new(),
            };
            self.open.insert(self.next, race);
            self.next
        });
        let index = self.open.get_mut(&number).map_or(0, |race| {
            race.attempts.push(Attempt {
                address,
                started: now,
                ended: now,
                outcome: Outcome::Pending,
            });
            race.attempts.len() - 1
        });
        if self.open.len() > OPEN
            && let Some((_, oldest)) = self.open.pop_first()
        {
            self.over.push_back(oldest);
        }
        Place {
            race: number,
            index,
        }
    }

    /// It ended.
    pub(crate) fn end(&mut self, place: Place, outcome: Outcome, now: Duration) {
        let Some(race) = self.open.get_mut(&place.race) else {
            return;
        };
        if let Some(attempt) = race.attempts.get_mut(place.index) {
            attempt.ended = now;
            attempt.outcome = outcome;
        }
        if race.is_over() {
            self.over.extend(self.open.remove(&place.race));
        }
    }

    /// A call that we do not watch goes through: the fallback of an open race, perhaps.
    pub(crate) fn passed_on(
        &mut self,
        process: u32,
        name: Option<&str>,
        address: SocketAddr,
        now: Duration,
    ) {
        let continued = self.open.iter_mut().rev().find(|(_, race)| {
            race.process == process
                && race.name.as_deref() == name
                && race.attempts.len() < ATTEMPTS
                && race
                    .attempts
                    .last()
                    .is_some_and(|it| it.address.port() == address.port())
        });
        // Also while an attempt is pending: programs with a fallback of their own try the other family meanwhile.
        if let Some((number, race)) = continued {
            race.attempts.push(Attempt {
                address,
                started: now,
                ended: now,
                outcome: Outcome::PassedOn,
            });
            if race.is_over() {
                let number = *number;
                self.over.extend(self.open.remove(&number));
            }
        }
    }

    /// Whether any race is open: if not, calls that go through need not be looked at.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Closes the races in which nothing happens any more; all of them, if everything ends.
    pub(crate) fn close(&mut self, now: Duration, everything: bool) {
        let idle = |race: &Race| race.idle_at().is_none_or(|at| at <= now);
        let closing: Vec<u64> = self
            .open
            .iter()
            .filter(|(_, race)| everything || idle(race))
            .map(|(number, _)| *number)
            .collect();
        for number in closing {
            self.over.extend(self.open.remove(&number));
        }
    }

    /// When [`Self::close`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let idle = self.open.values().filter_map(Race::idle_at).min();
        idle.filter(|at| *at != Duration::MAX)
    }

    /// A race that is over; call until `None`.
    pub(crate) fn poll_over(&mut self) -> Option<Race> {
        self.over.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    const SIX: &str = "[2001:db8::1]:80";
    const SIX_TOO: &str = "[2001:db8::2]:80";
    const FOUR: &str = "192.0.2.1:80";

    fn to(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn outcomes(race: &Race) -> Vec<Outcome> {
        race.attempts.iter().map(|it| it.outcome).collect()
    }

    #[test]
    fn attempts_in_turn_are_one_race() {
        let mut races = Races::default();
        let first = races.begin(1, Some("x"), to(SIX), ms(0));
        races.end(first, Outcome::GivenUp, ms(250));
        let second = races.begin(1, Some("x"), to(SIX_TOO), ms(251));
        races.end(second, Outcome::Remembered, ms(251));
        assert_eq!(races.poll_over(), None);
        races.passed_on(1, Some("x"), to(FOUR), ms(252));
        let race = races.poll_over().unwrap();
        assert_eq!(
            outcomes(&race),
            [Outcome::GivenUp, Outcome::Remembered, Outcome::PassedOn]
        );
        assert_eq!(race.attempts[0].ended, ms(250));
        assert!(races.is_empty());
    }

    #[test]
    fn attempts_at_the_same_time_are_races_of_their_own() {
        let mut races = Races::default();
        let first = races.begin(1, Some("x"), to(SIX), ms(0));
        let second = races.begin(1, Some("x"), to(SIX), ms(1));
        races.end(second, Outcome::Connected, ms(20));
        races.end(first, Outcome::Connected, ms(21));
        assert_eq!(races.poll_over().unwrap().attempts.len(), 1);
        assert_eq!(races.poll_over().unwrap().attempts.len(), 1);
    }

    #[test]
    fn an_attempt_of_the_other_family_meanwhile_belongs_to_the_race() {
        let mut races = Races::default();
        let first = races.begin(1, Some("x"), to(SIX), ms(0));
        races.passed_on(1, Some("x"), to(FOUR), ms(200));
        assert_eq!(races.poll_over(), None, "the first is still being tried");
        races.end(first, Outcome::GivenUp, ms(250));
        let race = races.poll_over().unwrap();
        assert_eq!(outcomes(&race), [Outcome::GivenUp, Outcome::PassedOn]);
        assert!(race.fell_back() && race.connected().is_none());
    }

    #[test]
    fn an_untouched_call_alone_is_no_race() {
        let mut races = Races::default();
        races.passed_on(1, Some("x"), to(FOUR), ms(0));
        assert!(races.is_empty() && races.poll_over().is_none());
    }

    #[test]
    fn a_race_in_which_nothing_happens_is_closed() {
        let mut races = Races::default();
        let place = races.begin(1, None, to(SIX), ms(0));
        races.close(ms(60_000), false);
        assert_eq!(races.poll_over(), None, "a pending attempt keeps it open");
        races.end(place, Outcome::GivenUp, ms(60_000));
        assert_eq!(races.deadline(), Some(ms(65_000)));
        races.close(ms(64_999), false);
        assert_eq!(races.poll_over(), None);
        races.close(ms(65_000), false);
        assert!(races.poll_over().is_some());
        races.begin(1, None, to(SIX), ms(70_000));
        races.close(ms(70_001), true);
        assert!(races.poll_over().is_some(), "everything ends");
    }

    #[test]
    fn open_races_are_bounded() {
        let mut races = Races::default();
        for process in 0..2000 {
            races.begin(process, None, to(SIX), ms(0));
        }
        assert_eq!(races.open.len(), OPEN);
        assert_eq!(races.over.len(), 2000 - OPEN);
    }
}
