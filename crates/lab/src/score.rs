//! Scoring a client of Happy Eyeballs by its packets alone, whatever program it is.
//!
//! [`Plan::scenarios`] says which worlds a sweep has, [`world()`] builds them into one lab, [`packets`] and
//! [`Visit::of`] turn the recording of a run into questions and attempts, and [`score`] derives the client's delays,
//! order and parallelism, and a verdict for each item of the checklist. Everything here is pure: who runs the client,
//! and how, is not decided here (`twinstack lab eyeballs` does it).
//!
//! What counts: a question is a DNS query for the name of the run; an attempt is a first SYN, or a first QUIC Initial
//! packet, to one of its addresses. SYNs that the kernel repeats are no attempts, but proof that one is still alive.

mod checklist;
mod measure;
mod packet;
mod scenario;
mod verdict;
mod visit;
mod world;

pub use checklist::{CHECKLIST, Item, Level};
pub use measure::{AddressesUsed, AtOnce, Closest, Measured, Questions, Speaks, Spread};
pub use packet::{Flow, Packet, Step, Transport, Watched, What, packets};
pub use scenario::{ClientHost, Fate, Kind, Plan, Reply, SLOW, Scenario, TLS_PORT};
pub use verdict::{Judged, Verdict};
pub use visit::{Attempt, Lookup, Visit};
pub use world::{LANES, text as world_text, world};

/// One run of the client in one world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The world.
    pub scenario: Scenario,
    /// What it did; `None` if it sent nothing.
    pub visit: Option<Visit>,
    /// How it ended.
    pub ending: Ending,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit status.
    Exited(i32),
    /// By a signal that was not ours.
    Signaled(i32),
    /// It reached the limit and was ended.
    Limit,
}

/// What the packets say about a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// In numbers.
    pub measured: Measured,
    /// Item by item, all of [`CHECKLIST`] in its order.
    pub checklist: Vec<Judged>,
}

impl Score {
    /// Whether something that the draft asks for (MUST or SHOULD) is not done.
    pub fn has_problems(&self) -> bool {
        self.checklist
            .iter()
            .any(|it| it.verdict == Verdict::Fail && it.item.level <= Level::Should)
    }
}

/// Judges a client by its runs.
pub fn score(runs: &[Run]) -> Score {
    let measured = measure::measure(runs);
    let checklist = verdict::checklist(runs, &measured);
    Score {
        measured,
        checklist,
    }
}

#[cfg(test)]
mod tests;
