//! The history that the dials of one dialer share.

use crate::report::RaceReport;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as Clock};
use twinstack_race::history::{Boundary, Ending, History, Outcome, Recollection, Settings};
use twinstack_race::{AttemptId, Host, Input, Instant, Output, Target, What};

/// A history and its clock.
pub(crate) struct Memory {
    epoch: Clock,
    history: Mutex<History>,
}

impl Memory {
    pub(crate) fn new(settings: Settings, seed: u64) -> Self {
        Self { epoch: Clock::now(), history: Mutex::new(History::new(settings, seed)) }
    }

    pub(crate) fn recall(&self, inside: Boundary, target: &Target) -> Recollection {
        let now = self.now();
        let (host, port) = key(&target.host, target.port);
        self.lock().recall(inside, &host, port, now)
    }

    /// Takes in how a race went.
    pub(crate) fn learn(&self, inside: Boundary, report: &RaceReport) {
        let endings = endings(report);
        self.learn_endings(inside, report.host(), report.port(), &endings);
    }

    /// A connection that was up and then swallowed data (P1).
    pub(crate) fn stalled(&self, inside: Boundary, host: &Host, port: u16, address: IpAddr) {
        let ending = Ending { address, outcome: Outcome::Stalled };
        self.learn_endings(inside, host, port, &[ending]);
    }

    fn learn_endings(&self, inside: Boundary, host: &Host, port: u16, endings: &[Ending]) {
        let now = self.now();
        let (host, port) = key(host, port);
        self.lock().learn(inside, &host, port, endings, now);
    }

    fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(host: &Host, port: u16) -> (String, u16) {
    match host {
        Host::Name(name) => (name.bare().to_owned(), port),
        Host::Address { address, .. } => (address.to_string(), port),
    }
}

/// One attempt, as far as it has been followed.
struct Trace {
    id: AttemptId,
    address: IpAddr,
    started: Instant,
    progress: Option<Instant>,
}

fn endings(report: &RaceReport) -> Vec<Ending> {
    let mut traces: Vec<Trace> = Vec::new();
    let mut endings = Vec::new();
    for event in report.events() {
        let (id, outcome): (AttemptId, fn(&Trace, Instant) -> Outcome) = match &event.what {
            What::Out(Output::Attempt { id, endpoint, .. }) => {
                traces.push(Trace {
                    id: *id,
                    address: endpoint.address.ip(),
                    started: event.at,
                    progress: None,
                });
                continue;
            }
            What::In(Input::Progress { attempt }) => {
                if let Some(trace) = traces.iter_mut().find(|trace| trace.id == *attempt) {
                    trace.progress.get_or_insert(event.at);
                }
                continue;
            }
            What::In(Input::Succeeded { attempt }) => (*attempt, connected),
            What::In(Input::Failed { attempt, .. }) => (*attempt, |_, _| Outcome::Failed),
            What::Out(Output::CancelAttempt { id, .. }) => (*id, cancelled),
            _ => continue,
        };
        if let Some(at) = traces.iter().position(|trace| trace.id == id) {
            let trace = traces.swap_remove(at);
            endings.push(Ending { address: trace.address, outcome: outcome(&trace, event.at) });
        }
    }
    endings
}

fn connected(trace: &Trace, at: Instant) -> Outcome {
    Outcome::Connected { round_trip: Some(trace.progress.unwrap_or(at).since(trace.started)) }
}

fn cancelled(trace: &Trace, at: Instant) -> Outcome {
    match trace.progress {
        None => Outcome::Silent { waited: at.since(trace.started) },
        // TCP was up for longer than it had taken, twice over, and the handshake went unanswered.
        Some(progress) if at.since(progress) > MUTE.max(progress.since(trace.started) * 2) => Outcome::Stalled,
        Some(progress) => Outcome::Connected { round_trip: Some(progress.since(trace.started)) },
    }
}

/// How long a handshake may take on any path before its silence says something.
const MUTE: Duration = Duration::from_millis(200);
