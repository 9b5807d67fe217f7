//! What a race that is over teaches about each address.

use super::{Ending, Outcome};
use crate::endpoint::Protocol;
use crate::events::{Event, What};
use crate::input::{AttemptErrorKind, AttemptId, Input};
use crate::output::{CancelReason, Output};
use crate::time::Instant;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// An attempt that runs.
struct Running {
    id: AttemptId,
    address: IpAddr,
    protocol: Protocol,
    started: Instant,
    /// When something last came back: from then on it is silent.
    heard: Option<Instant>,
    /// The first exchange's time.
    round_trip: Option<Duration>,
}

/// How the attempts of a race ended, read from its timeline.
///
/// Attempts that say nothing of a path are left out: those that failed on this host, that were closed because the
/// network changed, or that still run.
pub fn endings(events: &[Event]) -> Vec<Ending> {
    let mut running: Vec<Running> = Vec::new();
    let mut ended = Vec::new();
    for event in events {
        let (id, end) = match &event.what {
            What::Out(Output::Attempt { id, endpoint, .. }) => {
                running.push(Running {
                    id: *id,
                    address: endpoint.address.ip(),
                    protocol: endpoint.protocol,
                    started: event.at,
                    heard: None,
                    round_trip: None,
                });
                continue;
            }
            What::In(Input::Progress { attempt }) => {
                if let Some(run) = running.iter_mut().find(|run| run.id == *attempt) {
                    run.round_trip
                        .get_or_insert_with(|| event.at.since(run.started));
                    run.heard = Some(event.at);
                }
                continue;
            }
            What::In(Input::Succeeded { attempt }) => (*attempt, End::Success),
            What::In(Input::EchRejected { attempt, .. }) => (*attempt, End::Answer),
            What::In(Input::Failed { attempt, error }) => (
                *attempt,
                match error.kind {
                    AttemptErrorKind::TimedOut => End::Silence,
                    AttemptErrorKind::Local => End::Nothing,
                    _ => End::Answer,
                },
            ),
            What::Out(Output::CancelAttempt { id, why }) => (
                *id,
                match why {
                    CancelReason::NetworkChange | CancelReason::Abandoned => End::Nothing,
                    CancelReason::Lost { .. }
                    | CancelReason::Deadline
                    | CancelReason::OverallDeadline
                    | CancelReason::Replaced => End::Silence,
                },
            ),
            _ => continue,
        };
        let Some(place) = running.iter().position(|run| run.id == id) else {
            continue;
        };
        let run = running.remove(place);
        let outcome = match end {
            End::Nothing => continue,
            End::Answer => Outcome::Failed,
            End::Silence => Outcome::Silent {
                waited: event.at.since(run.heard.unwrap_or(run.started)),
            },
            End::Success => Outcome::Connected {
                round_trip: run.measured(event.at),
            },
        };
        ended.push(Ending {
            address: run.address,
            outcome,
        });
    }
    ended
}

enum End {
    Success,
    Answer,
    Silence,
    Nothing,
}

impl Running {
    /// The round trip, when the attempt is through at `now`. TLS takes more than one, so that only progress tells it.
    fn measured(&self, now: Instant) -> Option<Duration> {
        match self.protocol {
            Protocol::Tcp | Protocol::Quic => {
                Some(self.round_trip.unwrap_or_else(|| now.since(self.started)))
            }
            Protocol::Tls => self.round_trip,
        }
    }
}
