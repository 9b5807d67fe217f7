//! The history that the dials of one dialer share.

use crate::report::RaceReport;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant as Clock;
use twinstack_race::history::{
    Boundary, Ending, Era, History, Outcome, Recollection, Settings, endings,
};
use twinstack_race::{Host, Instant, Target};

/// A history and its clock.
pub(crate) struct Memory {
    epoch: Clock,
    history: Mutex<History>,
}

impl Memory {
    pub(crate) fn new(settings: Settings, seed: u64) -> Self {
        Self {
            epoch: Clock::now(),
            history: Mutex::new(History::new(settings, seed)),
        }
    }

    pub(crate) fn recall(&self, inside: Boundary, target: &Target) -> Recollection {
        let now = self.now();
        let (host, port) = key(&target.host, target.port);
        self.lock().recall(inside, &host, port, now)
    }

    /// Takes in how a race went that was started with the facts of `era`.
    pub(crate) fn learn(&self, inside: Boundary, era: Era, report: &RaceReport) {
        let endings = endings(report.events());
        let target = report.race().target();
        self.learn_endings(inside, &target.host, target.port, era, &endings);
    }

    /// Connections that were up, or would be, and then swallow data (P1).
    pub(crate) fn stalled(&self, inside: Boundary, target: &Target, addresses: &[IpAddr]) {
        let ending = |address: &IpAddr| Ending {
            address: *address,
            outcome: Outcome::Stalled,
        };
        let endings: Vec<Ending> = addresses.iter().map(ending).collect();
        self.learn_endings(inside, &target.host, target.port, Era::default(), &endings);
    }

    fn learn_endings(
        &self,
        inside: Boundary,
        host: &Host,
        port: u16,
        era: Era,
        endings: &[Ending],
    ) {
        let now = self.now();
        let (host, port) = key(host, port);
        self.lock().learn(inside, &host, port, era, endings, now);
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
