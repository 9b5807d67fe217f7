//! Which attempt starts next, and its start (C, D).

use super::Race;
use super::attempts::{Attempt, AttemptEnd};
use crate::endpoint::{Ech, Endpoint};
use crate::input::AttemptId;
use crate::order::{Known, Order, Place};
use crate::output::{CancelReason, Cause, Output};
use crate::time::Instant;

impl Race {
    /// Makes the list of endpoints anew, if what it is made of has changed (G1).
    pub(super) fn list_endpoints(&mut self, now: Instant) {
        if !self.resolve.changed {
            return;
        }
        let before = self.untried().map(|index| self.list.entries[index].address);
        self.resolve.changed = false;
        let known = Known {
            target: &self.target,
            config: &self.config,
            network: &self.network,
            resolve: &self.resolve,
            tried: self.attempts.of_this_network(),
        };
        self.list.make(known, &mut self.knowledge);
        if self.first_address.is_none() && !self.list.is_empty() {
            self.first_address = Some(now);
        }
        let after = self.untried().map(|index| self.list.entries[index].address);
        if after.is_some() && after != before {
            self.pace.refreshed();
        }
    }

    /// The first endpoint of the list that was not tried on this network.
    fn untried(&self) -> Option<usize> {
        self.list.untried(self.attempts.of_this_network())
    }

    /// What would start next.
    pub(super) fn next_endpoint(&self) -> Option<Next> {
        if self.attempts.all().len() >= self.config.total_attempts {
            return None;
        }
        let retry = self.retries.iter().map(|(rejected, _)| *rejected).min();
        retry
            .map(Next::Retry)
            .or_else(|| self.untried().map(Next::Entry))
    }

    /// When the next attempt may start, why then, and which attempt has to make room for it.
    pub(super) fn next_start(&self) -> Option<Start> {
        let what = self.next_endpoint()?;
        let (mut at, mut cause) = if self.attempts.of_this_network().is_empty() {
            self.first_start()?
        } else {
            self.pace.next(&self.config, self.attempts.running())?
        };
        if let Next::Retry(attempt) = what {
            (at, cause) = (self.pace.floor()?, Cause::EchRetry { attempt });
        }
        // D12: at the cap, the one that has been quiet for longest makes room, once it has been quiet for long enough.
        let mut replaces = None;
        if self.attempts.running().count() >= self.config.parallel_attempts {
            let (id, since) = self.attempts.quietest()?;
            at = at.max(since + self.config.replace_after);
            replaces = Some(id);
        }
        Some(Start {
            what,
            at,
            cause,
            replaces,
        })
    }

    pub(super) fn start_next(&mut self, now: Instant) {
        let Some(Start {
            what,
            at,
            cause,
            replaces,
        }) = self.next_start()
        else {
            if self.next_endpoint().is_none() {
                self.pace.exhausted();
            }
            return;
        };
        if at > now {
            return;
        }
        let Some((endpoint, order)) = self.take_endpoint(what) else {
            return;
        };
        if let Some(id) = replaces {
            let why = CancelReason::Replaced;
            self.attempts.end(id, AttemptEnd::Cancelled(why), now);
            self.outbox.push_back(Output::CancelAttempt { id, why });
        }
        let fact = self
            .knowledge
            .about(endpoint.address.ip(), &self.network, &self.config);
        self.pace
            .start(&self.config, fact.attempt_delay, cause, now);
        let id = self.attempts.next_id();
        self.attempts.push(Attempt {
            id,
            endpoint: endpoint.clone(),
            cause,
            order,
            started: now,
            first_reply: None,
            last_progress: None,
            end: None,
        });
        self.outbox.push_back(Output::Attempt {
            id,
            endpoint,
            cause,
            order,
        });
    }

    fn take_endpoint(&mut self, what: Next) -> Option<(Endpoint, Order)> {
        match what {
            Next::Retry(rejected) => {
                let at = self.retries.iter().position(|(id, _)| *id == rejected)?;
                let (_, endpoint) = self.retries.swap_remove(at);
                let before = self.attempts.get(rejected)?;
                Some((
                    endpoint,
                    Order {
                        place: Place::Retry,
                        ..before.order
                    },
                ))
            }
            Next::Entry(index) => {
                let entry = self.list.entries.get(index)?;
                let (translated, name, service) = self.list.origin(index);
                let name = name.and_then(|name| self.resolve.names.get(name));
                let service =
                    service.and_then(|service| self.resolve.services.entries.get(service));
                let offer = self.target.offers.get(entry.offer)?;
                let ech: Option<Ech> = service.and_then(|service| service.ech.clone());
                let endpoint = Endpoint {
                    address: entry.address,
                    translated,
                    protocol: entry.protocol,
                    alpn: offer.alpn.clone(),
                    ech: ech.filter(|_| entry.protocol.is_secure()),
                    name: name.map(|entry| entry.name.clone()),
                };
                Some((endpoint, self.list.order(index, &self.resolve)?))
            }
        }
    }
}

/// What would start next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// An entry of the list.
    Entry(usize),
    /// The endpoint of this attempt, with another ECH configuration.
    Retry(AttemptId),
}

/// An attempt that is to start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    what: Next,
    pub(super) at: Instant,
    cause: Cause,
    replaces: Option<AttemptId>,
}
