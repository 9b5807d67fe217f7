//! A recording, run again.

use super::line::said;
use super::{Line, Recording, Said};
use crate::config::ConfigError;
use crate::input::Ignored;
use crate::output::Output;
use crate::race::Race;
use crate::time::Instant;
use alloc::boxed::Box;
use core::fmt;

/// When the machine is asked what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// At its deadlines, as by a caller that is never late. For recordings written by hand.
    Exact,
    /// Only when the recording says that something happened. For what was recorded where callers are late.
    AsRecorded,
}

/// Why a recording does not run as it says.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ReplayError {
    /// The race cannot be started.
    Config(ConfigError),
    /// An input changes nothing.
    Ignored {
        /// Of the recording.
        line: usize,
        /// Why.
        why: Ignored,
    },
    /// The machine does something else.
    Mismatch(Mismatch),
}

/// Where the machine does something else than the recording says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The line of the recording, or the one before which something else happens.
    pub line: usize,
    /// What the recording says; `None` when it says nothing.
    pub wanted: Option<Box<str>>,
    /// What the machine does, and when; `None` when it does nothing.
    pub got: Option<(Instant, Box<str>)>,
}

impl Recording {
    /// A race that is started as the recording says, at [`Instant::ZERO`].
    pub fn race(&self) -> Result<Race, ConfigError> {
        let race = Race::new(
            self.target.clone(),
            self.config.clone(),
            self.network.clone(),
            self.seed,
            Instant::ZERO,
        )?;
        Ok(if self.facts.is_empty() {
            race
        } else {
            race.with_facts(self.facts.iter().copied())
        })
    }

    /// Runs the race again: feeds what came in and compares what goes out.
    ///
    /// Nothing may go out that the recording does not have, up to the time of its last line.
    pub fn replay(&self, clock: Clock) -> Result<Race, ReplayError> {
        let mut race = self.race().map_err(ReplayError::Config)?;
        let mut last = self.line;
        let mut now = Instant::ZERO;
        for line in &self.lines {
            let at = Instant::ZERO + line.at;
            if at > now {
                silence(&mut race, now, at, clock, line.number)?;
                now = at;
            }
            play(&mut race, line, now)?;
            last = line.number;
        }
        match race.next(now) {
            None => Ok(race),
            Some(output) => Err(unexpected(last, now, &output)),
        }
    }
}

/// Nothing goes out from `now` on and before `until`.
fn silence(
    race: &mut Race,
    now: Instant,
    until: Instant,
    clock: Clock,
    line: usize,
) -> Result<(), ReplayError> {
    let mut now = now;
    loop {
        if let Some(output) = race.next(now) {
            return Err(unexpected(line, now, &output));
        }
        match race.deadline() {
            Some(deadline) if clock == Clock::Exact && deadline < until && deadline > now => {
                now = deadline;
            }
            _ => return Ok(()),
        }
    }
}

fn play(race: &mut Race, line: &Line, now: Instant) -> Result<(), ReplayError> {
    match &line.what {
        Said::In(input) => race
            .input(input.clone(), now)
            .map_err(|why| ReplayError::Ignored {
                line: line.number,
                why,
            }),
        Said::Out(wanted) => {
            let got = race.next(now).map(|output| said(&output));
            if got.as_deref().is_some_and(|got| agrees(wanted, got)) {
                return Ok(());
            }
            Err(ReplayError::Mismatch(Mismatch {
                line: line.number,
                wanted: Some(wanted.clone()),
                got: got.map(|got| (now, got.into_boxed_str())),
            }))
        }
    }
}

/// What is wanted may stop early, at the end of a word (commas and colons belong to no word).
fn agrees(wanted: &str, got: &str) -> bool {
    let rest = got.strip_prefix(wanted.strip_suffix(':').unwrap_or(wanted));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', ':', ',']))
}

fn unexpected(line: usize, now: Instant, output: &Output) -> ReplayError {
    let got = Some((now, said(output).into_boxed_str()));
    ReplayError::Mismatch(Mismatch {
        line,
        wanted: None,
        got,
    })
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(error) => error.fmt(f),
            Self::Ignored { line, why } => write!(f, "{line}: ignored: {why}"),
            Self::Mismatch(Mismatch { line, wanted, got }) => {
                write!(f, "{line}: ")?;
                match wanted {
                    Some(wanted) => write!(f, "wanted `{wanted}`, ")?,
                    None => write!(f, "wanted nothing before this line, ")?,
                }
                match got {
                    Some((at, got)) => {
                        let at = super::words::Millis(*at - Instant::ZERO);
                        write!(f, "got `+{at} {got}`")
                    }
                    None => f.write_str("got nothing"),
                }
            }
        }
    }
}

impl core::error::Error for ReplayError {}
