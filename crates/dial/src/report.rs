//! What happened in a race, for people and for programs.

#[cfg(feature = "serde")]
mod json;
mod words;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use twinstack_race::text;
use twinstack_race::{
    AnswerData, AttemptErrorKind, AttemptId, Event, Family, Input, Instant, Outcome, Output,
    QueryId, Race, What,
};

/// What happened in a race: each question, answer and attempt with its times, why it started, how it ended, who won.
///
/// It holds the race's timeline and makes everything else of it when asked, so that a report nobody reads costs
/// nothing. With the feature `serde` it serialises as `twinstack.connect/1`.
#[derive(Clone, Debug)]
pub struct RaceReport {
    race: Arc<Race>,
    elapsed: Duration,
}

/// One question to the resolver.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct QueryReport {
    /// Its number in this race.
    pub id: u32,
    /// The name asked for.
    pub name: String,
    /// The record type asked for: `AAAA`, `A`, `HTTPS`.
    pub kind: String,
    /// When it was asked, from the start of the race.
    pub started_seconds: f64,
    /// When it was answered, failed or was given up; `None` while none of this has happened.
    pub ended_seconds: Option<f64>,
    /// `records`, `no-data`, `nx-domain`, `failed`, `pending`.
    pub outcome: &'static str,
    /// The records, as text.
    pub records: Vec<String>,
    /// How long the answer holds, if the resolver tells.
    pub ttl_seconds: Option<f64>,
    /// Why there is no record.
    pub error: Option<String>,
}

/// One attempt to connect.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct AttemptReport {
    /// Its number in this race.
    pub id: u32,
    /// Where it went.
    pub address: SocketAddr,
    /// `ipv6` or `ipv4`; the latter for what NAT64 translates, too.
    pub family: &'static str,
    /// `tcp`, `tls` or `quic`.
    pub protocol: String,
    /// Why it started when it did.
    pub cause: String,
    /// Why this address and not another.
    pub order: String,
    /// When it started, from the start of the race.
    pub started_seconds: f64,
    /// When TCP was up, or the first reply of QUIC was seen; `None` if that never happened or was the end itself.
    pub progress_seconds: Option<f64>,
    /// When it ended; `None` while it has not.
    pub ended_seconds: Option<f64>,
    /// `won`, `failed`, `cancelled`, `running`.
    pub outcome: &'static str,
    /// Why it failed or was cancelled.
    pub error: Option<String>,
}

/// Who won.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Winner {
    /// The attempt.
    pub attempt: u32,
    /// Its address.
    pub address: SocketAddr,
    /// `ipv6` or `ipv4`.
    pub family: &'static str,
    /// `tcp`, `tls` or `quic`.
    pub protocol: String,
}

/// The preferred family lost without an error: nobody would notice, and its users wait for the fallback every time.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct SilentFailure {
    /// The family that was to be used: `ipv6` or `ipv4`.
    pub family: &'static str,
    /// Where the silence is: `dns` (its question was never answered), `connect` (no reply at all) or `handshake` (TCP
    /// connected, and then nothing).
    pub stage: &'static str,
    /// The addresses that were silent; none when the answer was.
    pub addresses: Vec<SocketAddr>,
    /// How long they were given.
    pub waited_seconds: f64,
}

impl RaceReport {
    pub(crate) fn new(race: Race, elapsed: Duration) -> Self {
        Self {
            race: Arc::new(race),
            elapsed,
        }
    }

    /// The machine at the end of the race: its timeline, and everything that it knew.
    pub fn race(&self) -> &Race {
        &self.race
    }

    /// Whom to reach.
    pub fn target(&self) -> String {
        words::target(self.race.target())
    }

    /// The timeline, as the machine wrote it.
    pub fn events(&self) -> &[Event] {
        self.race.events()
    }

    /// The race as text: everything that it was started with and everything that happened, to be sent with a bug report
    /// and [replayed](Self::replay).
    pub fn record(&self) -> String {
        text::print(&self.race)
    }

    /// Runs a recorded race again, without clock, network or resolver, and gives its report.
    ///
    /// An error means that the text cannot be read, or that the machine decides otherwise than it did then.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let port = listener.local_addr()?.port();
    /// use twinstack_dial::RaceReport;
    ///
    /// let report = twinstack_dial::connect(("localhost", port)).await?.report;
    /// let text = report.record();
    /// let again = RaceReport::replay(&text)?;
    /// assert_eq!(again.attempts(), report.attempts());
    /// # Ok(())
    /// # }
    /// ```
    pub fn replay(recorded: &str) -> Result<Self, ReplayError> {
        let read = text::parse(recorded).map_err(|error| ReplayError(error.to_string()))?;
        let recording = read
            .first()
            .ok_or_else(|| ReplayError("there is no race in it".to_owned()))?;
        let race = recording
            .replay(text::Clock::AsRecorded)
            .map_err(|error| ReplayError(error.to_string()))?;
        let ended = race.outcome().map_or(Instant::ZERO, |(at, _)| *at);
        Ok(Self::new(race, ended.since(Instant::ZERO)))
    }

    /// From the start of the race to its end.
    pub const fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Every question, in the order in which they were asked.
    pub fn queries(&self) -> Vec<QueryReport> {
        let mut queries: Vec<QueryReport> = Vec::new();
        for event in self.events() {
            let at = seconds(event.at);
            match &event.what {
                What::Out(Output::Query { id, name, kind, .. }) => queries.push(QueryReport {
                    id: id.0,
                    name: name.to_string(),
                    kind: kind.to_string(),
                    started_seconds: at,
                    ended_seconds: None,
                    outcome: "pending",
                    records: Vec::new(),
                    ttl_seconds: None,
                    error: Some("no answer".to_owned()),
                }),
                What::In(Input::Answer { query, answer } | Input::Changed { query, answer }) => {
                    if let Some(query) = query_of(&mut queries, *query) {
                        query.ended_seconds.get_or_insert(at);
                        words::answered(query, answer);
                    }
                }
                What::In(Input::QueryFailed { query, error }) => {
                    if let Some(query) = query_of(&mut queries, *query) {
                        query.ended_seconds = Some(at);
                        query.outcome = "failed";
                        query.error = Some(error.to_string());
                    }
                }
                What::Out(Output::CancelQuery { id }) => {
                    if let Some(query) = query_of(&mut queries, *id) {
                        query.ended_seconds = Some(at);
                    }
                }
                _ => {}
            }
        }
        queries
    }

    /// Every attempt, in the order in which they started.
    pub fn attempts(&self) -> Vec<AttemptReport> {
        let mut attempts: Vec<AttemptReport> = Vec::new();
        for event in self.events() {
            let at = seconds(event.at);
            match &event.what {
                What::Out(Output::Attempt {
                    id,
                    endpoint,
                    cause,
                    order,
                }) => {
                    attempts.push(AttemptReport {
                        id: id.0,
                        address: endpoint.address,
                        family: words::family(endpoint.family()),
                        protocol: endpoint.protocol.to_string(),
                        cause: words::cause(*cause),
                        order: order.to_string(),
                        started_seconds: at,
                        progress_seconds: None,
                        ended_seconds: None,
                        outcome: "running",
                        error: None,
                    });
                }
                What::In(input) => {
                    let (id, ending) = match input {
                        Input::Progress { attempt } => (*attempt, None),
                        Input::Succeeded { attempt } => (*attempt, Some(("won", None))),
                        Input::Failed { attempt, error } => {
                            (*attempt, Some(("failed", Some(error.to_string()))))
                        }
                        _ => continue,
                    };
                    let Some(attempt) = attempt_of(&mut attempts, id) else {
                        continue;
                    };
                    match ending {
                        None => attempt.progress_seconds = Some(at),
                        Some((outcome, error)) => {
                            (attempt.ended_seconds, attempt.outcome, attempt.error) =
                                (Some(at), outcome, error);
                        }
                    }
                }
                What::Out(Output::CancelAttempt { id, why }) => {
                    if let Some(attempt) = attempt_of(&mut attempts, *id) {
                        attempt.ended_seconds = Some(at);
                        attempt.outcome = "cancelled";
                        attempt.error = Some(words::cancelled(*why));
                    }
                }
                What::Out(_) => {}
            }
        }
        attempts
    }

    /// Who won, if anybody did.
    pub fn winner(&self) -> Option<Winner> {
        let attempt = self.attempts().into_iter().find(|it| it.outcome == "won")?;
        Some(Winner {
            attempt: attempt.id,
            address: attempt.address,
            family: attempt.family,
            protocol: attempt.protocol,
        })
    }

    /// Why nobody won, in one word: `all-failed`, `no-such-name`; `None` if somebody did.
    pub fn failure_reason(&self) -> Option<String> {
        match self.race.outcome() {
            Some((_, Outcome::Failed(failure))) => Some(failure.reason.to_string()),
            _ => None,
        }
    }

    /// The family of the winner.
    pub fn winning_family(&self) -> Option<Family> {
        let mut attempts = self.events().iter().filter_map(|event| match &event.what {
            What::Out(Output::Attempt { id, endpoint, .. }) => Some((*id, endpoint.family())),
            _ => None,
        });
        let won = self.events().iter().find_map(|event| match &event.what {
            What::In(Input::Succeeded { attempt }) => Some(*attempt),
            _ => None,
        })?;
        attempts
            .find(|(id, _)| *id == won)
            .map(|(_, family)| family)
    }

    /// Set when the preferred family lost without an error, and the other one saved the dial.
    pub fn silent_failure(&self) -> Option<SilentFailure> {
        let attempts = self.attempts();
        let winner = attempts.iter().find(|it| it.outcome == "won")?;
        let first = attempts.first()?;
        let won_at = winner.ended_seconds.unwrap_or_default();
        if first.family != winner.family {
            let lost: Vec<_> = attempts
                .iter()
                .filter(|it| it.family == first.family)
                .collect();
            if lost.iter().any(|it| it.outcome == "failed") {
                return None;
            }
            let handshake = lost.iter().any(|it| it.progress_seconds.is_some());
            return Some(SilentFailure {
                family: first.family,
                stage: if handshake { "handshake" } else { "connect" },
                addresses: lost.iter().map(|it| it.address).collect(),
                waited_seconds: won_at - first.started_seconds,
            });
        }
        // The preferred family may not even have come to an attempt: its question is still open.
        let missing = self.queries().into_iter().find(|it| {
            it.outcome == "pending"
                && it.kind == "AAAA"
                && winner.family == words::family(Family::V4)
        })?;
        Some(SilentFailure {
            family: words::family(Family::V6),
            stage: "dns",
            addresses: Vec::new(),
            waited_seconds: first.started_seconds - missing.started_seconds,
        })
    }

    /// The addresses in all answers.
    pub(crate) fn answered_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.events().iter().flat_map(|event| match &event.what {
            What::In(Input::Answer { answer, .. }) => match &answer.data {
                AnswerData::Addresses(addresses) => addresses.to_vec(),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        })
    }

    /// The kind of error that every attempt ended with, if it is one and the same.
    pub(crate) fn common_error(&self) -> Option<AttemptErrorKind> {
        let mut kinds = self.events().iter().filter_map(|event| match &event.what {
            What::In(Input::Failed { error, .. }) => Some(error.kind),
            _ => None,
        });
        let first = kinds.next()?;
        kinds.all(|kind| kind == first).then_some(first)
    }
}

/// One line: `connected to [2001:db8::1]:443 (ipv6, tcp) after 0.031 s`.
impl fmt::Display for RaceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        match self.winner() {
            Some(winner) => write!(
                f,
                "connected to {} ({}, {}) after {seconds:.3} s",
                winner.address, winner.family, winner.protocol
            ),
            None => write!(f, "not connected after {seconds:.3} s"),
        }
    }
}

/// Why a recorded race does not run again as it did: the line and the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReplayError(String);

fn query_of(queries: &mut [QueryReport], id: QueryId) -> Option<&mut QueryReport> {
    queries.iter_mut().find(|query| query.id == id.0)
}

fn attempt_of(attempts: &mut [AttemptReport], id: AttemptId) -> Option<&mut AttemptReport> {
    attempts.iter_mut().find(|attempt| attempt.id == id.0)
}

/// Seconds since the start of the race, whose epoch is 0.
fn seconds(at: Instant) -> f64 {
    at.since(Instant::ZERO).as_secs_f64()
}
