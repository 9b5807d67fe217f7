//! The report: one line of JSON for each thing that happened, written when it is over (`schema/run-1.json`).
//!
//! Lines and not one document: a program may run for weeks, may be killed, and may leave children behind that go on.

use super::races::{Outcome, Race};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

/// The version of the format.
const SCHEMA: &str = "twinstack.run/1";

/// What passes by `run`, and is counted instead of helped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PassedBy {
    /// `io_uring_setup`: connects through such a ring are not seen.
    IoUring,
    /// A program with the setuid or setgid bit, or capabilities of its own: it ran without them.
    Setuid,
    /// A connect of a 32-bit program.
    Foreign,
    /// A program whose memory or descriptors we may not look at.
    Unreadable,
    /// A look-up whose socket could not be exchanged.
    LookUp,
}

impl PassedBy {
    /// What a user is told at the end.
    fn note(self, count: u64, program: &str) -> String {
        let times = match count {
            1 => "once".to_owned(),
            count => format!("{count} times"),
        };
        match self {
            Self::IoUring => format!(
                "`{program}` set up io_uring ({times}): connections made through it are not seen; --no-io-uring makes \
                 programs do without"
            ),
            Self::Setuid => format!(
                "`{program}` is marked to run with more privileges, and ran without them ({times}): the kernel does not \
                 grant any to a program that is watched"
            ),
            Self::Foreign => {
                format!(
                    "`{program}` is a 32-bit program: its connections were let through unwatched ({times})"
                )
            }
            Self::Unreadable => {
                format!(
                    "`{program}` does not let others look at it: its connections were let through unwatched ({times})"
                )
            }
            Self::LookUp => format!(
                "look-ups of `{program}` could not be steered ({times}): a missing answer costs it what it would without us"
            ),
        }
    }
}

/// Where lines go, and what has been counted.
#[derive(Debug, Default)]
pub(crate) struct Report {
    file: Option<File>,
    passed_by: BTreeMap<(PassedBy, String), u64>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Line<'a> {
    Race {
        process: u32,
        program: &'a str,
        name: Option<&'a str>,
        outcome: &'static str,
        winner: Option<Winner>,
        started_seconds: f64,
        elapsed_seconds: f64,
        attempts: Vec<AttemptLine>,
    },
    LookUp {
        process: u32,
        program: &'a str,
        name: &'a str,
        #[serde(rename = "type")]
        rtype: &'a str,
        outcome: &'static str,
        waited_seconds: f64,
    },
    PassedBy {
        process: u32,
        program: &'a str,
        what: PassedBy,
    },
    End {
        status: u8,
        elapsed_seconds: f64,
    },
}

#[derive(Serialize)]
struct Winner {
    address: SocketAddr,
    family: &'static str,
}

#[derive(Serialize)]
struct AttemptLine {
    address: SocketAddr,
    family: &'static str,
    started_seconds: f64,
    elapsed_seconds: f64,
    outcome: &'static str,
    error: Option<String>,
}

#[derive(Serialize)]
struct Versioned<'a> {
    schema: &'static str,
    #[serde(flatten)]
    line: Line<'a>,
}

impl Report {
    /// Writes into this file; without one it only counts.
    pub(crate) fn new(file: Option<File>) -> Self {
        Self {
            file,
            passed_by: BTreeMap::new(),
        }
    }

    /// The file's descriptor.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        self.file.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// A race is over.
    pub(crate) fn race(&mut self, race: &Race, program: &str) {
        let attempts: Vec<AttemptLine> = race.attempts.iter().map(AttemptLine::of).collect();
        let first = race.attempts.iter().map(|it| it.started).min();
        let last = race.attempts.iter().map(|it| it.ended).max();
        let (Some(first), Some(last)) = (first, last) else {
            return;
        };
        let winner = race.connected().map(|attempt| Winner {
            address: attempt.address,
            family: family(attempt.address),
        });
        self.write(Line::Race {
            process: race.process,
            program,
            name: race.name.as_deref(),
            outcome: if winner.is_some() {
                "connected"
            } else if race.fell_back() {
                "fell-back"
            } else {
                "failed"
            },
            winner,
            started_seconds: first.as_secs_f64(),
            elapsed_seconds: last.saturating_sub(first).as_secs_f64(),
            attempts,
        });
    }

    /// An answer was made up.
    pub(crate) fn look_up(
        &mut self,
        process: u32,
        program: &str,
        name: &str,
        rtype: &str,
        waited: Duration,
    ) {
        self.write(Line::LookUp {
            process,
            program,
            name,
            rtype,
            outcome: "made-up",
            waited_seconds: waited.as_secs_f64(),
        });
    }

    /// Something passes by; only the first of a kind and program is a line, all are counted.
    pub(crate) fn passes_by(&mut self, what: PassedBy, process: u32, program: &str) {
        const KEPT: usize = 256;
        let known = self.passed_by.len();
        let key = (what, program.to_owned());
        if let Some(count) = self.passed_by.get_mut(&key) {
            *count += 1;
        } else if known < KEPT {
            self.passed_by.insert(key, 1);
            self.write(Line::PassedBy {
                process,
                program,
                what,
            });
        }
    }

    /// The program has ended.
    pub(crate) fn end(&mut self, status: u8, elapsed: Duration) {
        self.write(Line::End {
            status,
            elapsed_seconds: elapsed.as_secs_f64(),
        });
    }

    /// What to tell the user at the end.
    pub(crate) fn notes(&self) -> Vec<String> {
        let note =
            |((what, program), count): (&(PassedBy, String), &u64)| what.note(*count, program);
        self.passed_by.iter().map(note).collect()
    }

    fn write(&mut self, line: Line<'_>) {
        let Some(file) = &mut self.file else {
            return;
        };
        let line = Versioned {
            schema: SCHEMA,
            line,
        };
        let mut text = serde_json::to_vec(&line).unwrap_or_default();
        text.push(b'\n');
        // A full disk must not end the connections of a program that runs.
        if file.write_all(&text).is_err() {
            self.file = None;
        }
    }
}

impl AttemptLine {
    fn of(attempt: &super::races::Attempt) -> Self {
        let (outcome, error) = match attempt.outcome {
            Outcome::Pending => ("pending", None),
            Outcome::Connected => ("connected", None),
            Outcome::GivenUp => ("given-up", None),
            Outcome::Remembered => ("remembered", None),
            Outcome::Failed(0) => ("failed", None),
            Outcome::Failed(errno) => {
                let text = nix::errno::Errno::from_raw(errno).desc();
                ("failed", Some(text.to_lowercase()))
            }
            Outcome::PassedOn => ("passed-on", None),
            Outcome::Abandoned => ("abandoned", None),
        };
        Self {
            address: attempt.address,
            family: family(attempt.address),
            started_seconds: attempt.started.as_secs_f64(),
            elapsed_seconds: attempt.ended.saturating_sub(attempt.started).as_secs_f64(),
            outcome,
            error,
        }
    }
}

fn family(address: SocketAddr) -> &'static str {
    if address.ip().to_canonical().is_ipv6() {
        "ipv6"
    } else {
        "ipv4"
    }
}

#[cfg(test)]
mod tests;
