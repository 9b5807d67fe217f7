//! What became of earlier attempts: destinations that were silent or slow, and those that answer.
//!
//! Pure: the time is an argument, and so is every result. A silent or slow destination is refused at once while it is
//! remembered; the supervisor asks [`Memory::poll_probe`] which ones to try again by itself, so that no program pays
//! for finding out. A destination that nobody asked for is forgotten, and then the next attempt pays again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// A network and an address in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Destination {
    /// The kernel's cookie of the network namespace; programs may have several.
    pub(crate) network: u64,
    /// Address and port.
    pub(crate) address: SocketAddr,
}

/// The first new try begins at once: a SYN may have been lost, or the path may be slow and alive.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest time between two tries.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);
/// What nobody asked for in this time is forgotten.
const FORGET: Duration = Duration::from_mins(10);
/// No more than these; the one that was asked for longest ago goes first.
const CAPACITY: usize = 1024;
/// When there is nothing better, an attempt gets this many times what the destination took before.
const PATIENCE: u32 = 3;

/// Destinations and what is known of them.
#[derive(Debug)]
pub(crate) struct Memory {
    /// Whoever takes longer than this to answer is slow.
    usual: Duration,
    known: BTreeMap<Destination, Known>,
}

#[derive(Debug)]
struct Known {
    state: State,
    /// When a program last wanted it.
    used: Duration,
}

#[derive(Debug)]
enum State {
    /// Nothing came back, or too late.
    Silent {
        /// When to try again; `None` while that is being done.
        probe: Option<Duration>,
        /// How long to wait after that.
        pause: Duration,
        /// How long the answer took that came in the end.
        took: Option<Duration>,
    },
    /// It accepted a connection in the usual time.
    Answers,
}

impl Memory {
    /// Nothing is known yet.
    pub(crate) const fn new(usual: Duration) -> Self {
        Self {
            usual,
            known: BTreeMap::new(),
        }
    }

    /// A program wants this destination now: whether it is known to be silent or slow.
    pub(crate) fn is_silent(&mut self, destination: Destination, now: Duration) -> bool {
        match self.known.get_mut(&destination) {
            Some(known) if now.saturating_sub(known.used) < FORGET => {
                known.used = now;
                matches!(known.state, State::Silent { .. })
            }
            _ => false,
        }
    }

    /// The same without wanting it.
    pub(crate) fn looks_silent(&self, destination: Destination) -> bool {
        let known = self.known.get(&destination);
        matches!(known, Some(known) if matches!(known.state, State::Silent { .. }))
    }

    /// Whether it accepted a connection in the usual time when it was last tried.
    pub(crate) fn looks_alive(&self, destination: Destination) -> bool {
        let known = self.known.get(&destination);
        matches!(known, Some(known) if matches!(known.state, State::Answers))
    }

    /// How long to wait for one that is slow and alive, if it is one.
    pub(crate) fn patience(&self, destination: Destination) -> Option<Duration> {
        match self.known.get(&destination).map(|known| &known.state) {
            Some(State::Silent { took, .. }) => took.map(|took| took * PATIENCE),
            _ => None,
        }
    }

    /// An attempt was given up for silence; a first try by ourselves is due at once, if we can: not from another network.
    pub(crate) fn gave_up(&mut self, destination: Destination, can_probe: bool, now: Duration) {
        let silent = State::Silent {
            probe: Some(if can_probe { now } else { now + FIRST_PAUSE }),
            pause: FIRST_PAUSE,
            took: None,
        };
        self.put(destination, silent, now);
    }

    /// A try by ourselves has been silent for too long, and goes on.
    pub(crate) fn suspect(&mut self, destination: Destination, now: Duration) {
        let silent = State::Silent {
            probe: None,
            pause: FIRST_PAUSE,
            took: None,
        };
        self.put(destination, silent, now);
    }

    /// It accepted a connection after so long.
    pub(crate) fn answered(&mut self, destination: Destination, took: Duration, now: Duration) {
        let used = self.known.get(&destination).map_or(now, |known| known.used);
        let state = if took <= self.usual {
            State::Answers
        } else {
            let pause = self.pause(destination);
            State::Silent {
                probe: Some(now + pause),
                pause: LONGEST_PAUSE.min(pause * 2),
                took: Some(took),
            }
        };
        self.put(destination, state, used);
    }

    /// A try by ourselves ended in silence.
    pub(crate) fn probe_was_silent(&mut self, destination: Destination, now: Duration) {
        let pause = self.pause(destination);
        if let Some(known) = self.known.get_mut(&destination) {
            known.state = State::Silent {
                probe: Some(now + pause),
                pause: LONGEST_PAUSE.min(pause * 2),
                took: None,
            };
        }
    }

    /// It refused: neither silent nor of any use. Or nobody can try it but the next program.
    pub(crate) fn forget(&mut self, destination: Destination) {
        self.known.remove(&destination);
    }

    /// A destination to try now; call until `None`, then again at [`Self::deadline`].
    pub(crate) fn poll_probe(&mut self, now: Duration) -> Option<Destination> {
        self.known
            .retain(|_, known| now.saturating_sub(known.used) < FORGET);
        for (destination, known) in &mut self.known {
            if let State::Silent { probe, .. } = &mut known.state
                && probe.is_some_and(|at| at <= now)
            {
                *probe = None;
                return Some(*destination);
            }
        }
        None
    }

    /// When [`Self::poll_probe`] has something next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let due = |known: &Known| match known.state {
            State::Silent { probe, .. } => probe,
            State::Answers => None,
        };
        self.known.values().filter_map(due).min()
    }

    fn pause(&self, destination: Destination) -> Duration {
        match self.known.get(&destination).map(|known| &known.state) {
            Some(State::Silent { pause, .. }) => *pause,
            _ => FIRST_PAUSE,
        }
    }

    fn put(&mut self, destination: Destination, state: State, used: Duration) {
        self.known.insert(destination, Known { state, used });
        if self.known.len() > CAPACITY {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used);
            if let Some(oldest) = oldest.map(|(destination, _)| *destination) {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_millis(250);

    fn destination(last: u16) -> Destination {
        let address = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
        Destination {
            network: 1,
            address: (address, 443).into(),
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_silent_destination_is_remembered_and_tried_again_by_us() {
        let mut memory = Memory::new(USUAL);
        assert!(!memory.is_silent(destination(1), at(0)));
        memory.gave_up(destination(1), true, at(1));
        assert!(memory.is_silent(destination(1), at(1)));
        assert!(
            !memory.is_silent(destination(2), at(1)),
            "another address is another"
        );
        assert_eq!(memory.deadline(), Some(at(1)), "the first try is at once");
        assert_eq!(memory.poll_probe(at(1)), Some(destination(1)));
        assert_eq!(memory.poll_probe(at(1)), None, "one at a time");
        memory.probe_was_silent(destination(1), at(4));
        assert_eq!(memory.deadline(), Some(at(14)));
        assert_eq!(memory.poll_probe(at(13)), None);
        assert_eq!(memory.poll_probe(at(14)), Some(destination(1)));
        memory.probe_was_silent(destination(1), at(17));
        assert_eq!(memory.deadline(), Some(at(37)), "the pause doubles");
        assert!(memory.is_silent(destination(1), at(30)));
    }

    #[test]
    fn one_that_answers_again_is_no_longer_refused() {
        let mut memory = Memory::new(USUAL);
        memory.gave_up(destination(1), true, at(0));
        memory.answered(destination(1), Duration::from_millis(20), at(1));
        assert!(!memory.is_silent(destination(1), at(1)));
        assert!(memory.looks_alive(destination(1)));
        assert_eq!(memory.deadline(), None);
        memory.forget(destination(1));
        assert!(!memory.looks_alive(destination(1)));
    }

    #[test]
    fn one_that_answers_late_is_slow_and_is_tried_again_too() {
        let mut memory = Memory::new(USUAL);
        memory.gave_up(destination(1), true, at(0));
        assert_eq!(memory.patience(destination(1)), None);
        assert_eq!(memory.poll_probe(at(0)), Some(destination(1)));
        memory.answered(destination(1), Duration::from_millis(600), at(1));
        assert!(memory.is_silent(destination(1), at(1)) && !memory.looks_alive(destination(1)));
        assert_eq!(
            memory.patience(destination(1)),
            Some(Duration::from_millis(1800))
        );
        assert_eq!(memory.poll_probe(at(11)), Some(destination(1)));
        memory.probe_was_silent(destination(1), at(19));
        assert_eq!(
            memory.patience(destination(1)),
            None,
            "it has become silent"
        );
    }

    #[test]
    fn what_nobody_wants_is_forgotten() {
        let mut memory = Memory::new(USUAL);
        memory.gave_up(destination(1), true, at(0));
        assert!(memory.is_silent(destination(1), at(500)));
        assert!(
            memory.is_silent(destination(1), at(1000)),
            "it was wanted meanwhile"
        );
        assert!(!memory.is_silent(destination(1), at(1600)));
        assert_eq!(memory.poll_probe(at(1600)), None);
        assert_eq!(memory.deadline(), None);
    }

    #[test]
    fn a_suspect_is_silent_while_it_is_being_tried() {
        let mut memory = Memory::new(USUAL);
        memory.suspect(destination(1), at(0));
        assert!(memory.looks_silent(destination(1)));
        assert_eq!(memory.poll_probe(at(5)), None, "a try is under way");
        memory.probe_was_silent(destination(1), at(5));
        assert_eq!(memory.poll_probe(at(15)), Some(destination(1)));
    }

    #[test]
    fn one_in_another_network_is_left_to_the_next_program_after_a_while() {
        let mut memory = Memory::new(USUAL);
        memory.gave_up(destination(1), false, at(0));
        assert_eq!(memory.poll_probe(at(9)), None);
        assert_eq!(memory.poll_probe(at(10)), Some(destination(1)));
        memory.forget(destination(1));
        assert!(!memory.is_silent(destination(1), at(10)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut memory = Memory::new(USUAL);
        for number in 0..3000 {
            memory.gave_up(
                destination(number),
                true,
                Duration::from_millis(number.into()),
            );
        }
        assert_eq!(memory.known.len(), CAPACITY);
        assert!(memory.looks_silent(destination(2999)) && !memory.looks_silent(destination(0)));
    }
}
