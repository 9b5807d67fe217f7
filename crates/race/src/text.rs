//! A race as text: recorded, read, and run again.
//!
//! A line an event, in milliseconds since the start of the race; before them what the race was started with.
//!
//! ```text
//! == the preferred family comes second
//! target example.com 443 tcp
//! +0 query 1 AAAA example.com
//! +0 query 2 A example.com
//! +20 answer 2 A 192.0.2.1
//! +30 answer 1 AAAA 2001:db8::1 ttl=300
//! +30 attempt 1 [2001:db8::1]:443 tcp because first: precedence 40 > 35
//! +45 succeeded 1
//! +45 finished connected 1
//! ```
//!
//! Lines of what came in (`answer`, `failed`, `succeeded` ...) are fed to the machine, lines of what went out (`query`,
//! `attempt`, `cancel-attempt` ...) are compared with what it does. A line of what went out may stop early, at the end of
//! any word: `attempt 1 [2001:db8::1]:443` does not say what has to be spoken there.
//!
//! [`print`] writes a race that was recorded; [`parse`] reads; [`Recording::replay`] runs.

mod head;
mod line;
mod print;
mod print_head;
mod replay;
mod scan;
mod words;

pub use print::print;
pub use replay::{Clock, Mismatch, ReplayError};
pub use scan::{ParseError, Problem};

use crate::config::Config;
use crate::input::Input;
use crate::knowledge::Fact;
use crate::network::Network;
use crate::target::Target;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;
use scan::Scan;

/// A race, as recorded or as written by hand.
#[derive(Clone, Debug)]
pub struct Recording {
    /// What stands behind `==`; empty if nothing does.
    pub name: Box<str>,
    /// Where the recording begins.
    pub line: usize,
    /// Whom the race is to reach.
    pub target: Target,
    /// How it is run.
    pub config: Config,
    /// On which network.
    pub network: Network,
    /// With which seed.
    pub seed: u64,
    /// What is known of addresses.
    pub facts: Vec<Fact>,
    /// What happens.
    pub lines: Vec<Line>,
}

/// One event of a [`Recording`].
#[derive(Clone, Debug)]
pub struct Line {
    /// Where it stands in the text.
    pub number: usize,
    /// When it happens, since the start of the race.
    pub at: Duration,
    /// What happens.
    pub what: Said,
}

/// What a line says.
#[derive(Clone, Debug)]
pub enum Said {
    /// It comes in.
    In(Input),
    /// It goes out: the words of the line, one space apart, without the time.
    Out(Box<str>),
}

/// Reads recordings: one, or several that each begin with a line `== name`.
///
/// Empty lines and lines that begin with `#` are skipped.
pub fn parse(text: &str) -> Result<Vec<Recording>, ParseError> {
    let mut recordings = Vec::new();
    let mut draft: Option<head::Draft> = None;
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        let mut scan = Scan::new(number, line);
        let Some(word) = scan.peek() else {
            continue;
        };
        if word.text.starts_with('#') {
            continue;
        }
        if word.text == "==" {
            recordings.extend(draft.take().map(head::Draft::finish).transpose()?);
            scan.word("a name")?;
            let mut fresh = head::Draft::new(number);
            fresh.name = String::from(scan.rest().trim()).into_boxed_str();
            draft = Some(fresh);
            continue;
        }
        let draft = draft.get_or_insert_with(|| head::Draft::new(number));
        if word.text.starts_with('+') {
            let line = line::parse(&mut scan, draft)?;
            draft.lines.push(line);
        } else {
            draft.head(&mut scan)?;
        }
    }
    recordings.extend(draft.map(head::Draft::finish).transpose()?);
    Ok(recordings)
}
