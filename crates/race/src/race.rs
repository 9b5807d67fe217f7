//! The machine.

use crate::answer::{Answer, AnswerData, Purpose, QueryId, QueryType};
use crate::config::{ATTEMPT_FLOOR, Config, ConfigError};
use crate::endpoint::Endpoint;
use crate::events::{Event, What};
use crate::input::{AttemptId, Ignored, Input};
use crate::network::{Family, Network, Routes};
use crate::order::{Order, Place};
use crate::output::{CancelReason, Cause, Failure, FailureReason, Outcome, Output};
use crate::target::{Host, Target};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// A race to one target.
pub struct Race {
    target: Target,
    config: Config,
    routes: Option<Box<dyn Routes + Send>>,
    queries: Vec<(QueryType, Option<Vec<IpAddr>>)>,
    attempts: Vec<(SocketAddr, bool)>,
    first_address: Option<Instant>,
    next_start: Option<(Instant, Cause)>,
    last_start: Option<Instant>,
    outcome: Option<Outcome>,
    outbox: VecDeque<Output>,
    events: Vec<Event>,
}

impl Race {
    /// A race that starts now. `seed` feeds every chance in it (C4): the same seed and the same inputs give the same race.
    pub fn new(
        target: Target,
        config: Config,
        network: Network,
        _seed: u64,
        _now: Instant,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        if target.offers.is_empty() {
            return Err(ConfigError::NoProtocol);
        }
        let mut race = Self {
            target,
            config,
            routes: None,
            queries: Vec::new(),
            attempts: Vec::new(),
            first_address: None,
            next_start: None,
            last_start: None,
            outcome: None,
            outbox: VecDeque::new(),
            events: Vec::new(),
        };
        if let Host::Name(name) = &race.target.host {
            for (kind, family) in [(QueryType::Aaaa, Family::V6), (QueryType::A, Family::V4)] {
                if network.has(family) {
                    let id = QueryId(u32::try_from(race.queries.len()).unwrap_or(u32::MAX) + 1);
                    race.queries.push((kind, None));
                    let name = name.clone();
                    race.outbox.push_back(Output::Query {
                        id,
                        name,
                        kind,
                        purpose: Purpose::First,
                    });
                }
            }
        }
        Ok(race)
    }

    /// With the host's routing table, which RFC 6724 needs to sort (C6). Without it, a family that the network has is
    /// taken to have a global source address.
    #[must_use]
    pub fn with_routes(mut self, routes: impl Routes + Send + 'static) -> Self {
        self.routes = Some(Box::new(routes));
        self
    }

    /// Tells what happened.
    pub fn input(&mut self, input: Input, now: Instant) -> Result<(), Ignored> {
        match &input {
            Input::Answer { query, answer } => self.answered(*query, answer, now)?,
            Input::Succeeded { attempt } => {
                self.running(*attempt)?;
                self.finish(Outcome::Connected { attempt: *attempt }, now);
            }
            Input::Failed { attempt, .. } => {
                let index = self.running(*attempt)?;
                self.attempts[index].1 = false;
                let at = self
                    .last_start
                    .map_or(now, |last| now.max(last + ATTEMPT_FLOOR));
                self.next_start = Some((at, Cause::Failure { attempt: *attempt }));
            }
            _ => {}
        }
        self.events.push(Event {
            at: now,
            what: What::In(input),
        });
        Ok(())
    }

    /// What to do. Ask until there is nothing more; then wait for [`Race::deadline`] or the next input.
    #[must_use = "an output that is not acted upon stalls the race"]
    pub fn next(&mut self, now: Instant) -> Option<Output> {
        if self.outbox.is_empty() && self.outcome.is_none() {
            self.advance(now);
        }
        let output = self.outbox.pop_front()?;
        self.events.push(Event {
            at: now,
            what: What::Out(output.clone()),
        });
        Some(output)
    }

    /// When to call [`Race::next`] if nothing happens before. `None`: only an input can change anything.
    pub fn deadline(&self) -> Option<Instant> {
        if self.outcome.is_some() {
            return None;
        }
        match (self.last_start, self.first_address) {
            (None, Some(first)) => Some(first + self.config.resolution_delay),
            (Some(_), _) => self
                .next_start
                .map(|(at, _)| at)
                .filter(|_| self.untried().is_some()),
            (None, None) => None,
        }
    }

    /// Everything that came in and went out so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    fn answered(&mut self, id: QueryId, answer: &Answer, now: Instant) -> Result<(), Ignored> {
        let query = (id.0 as usize)
            .checked_sub(1)
            .and_then(|index| self.queries.get_mut(index))
            .ok_or(Ignored::UnknownQuery(id))?;
        if query.1.is_some() {
            return Err(Ignored::AlreadyAnswered(id));
        }
        let addresses = match &answer.data {
            AnswerData::Addresses(addresses) => addresses.to_vec(),
            AnswerData::NoData | AnswerData::NxDomain => Vec::new(),
            AnswerData::Services(_) => return Err(Ignored::WrongType(id)),
        };
        if !addresses.is_empty() && self.first_address.is_none() {
            self.first_address = Some(now);
        }
        query.1 = Some(addresses);
        Ok(())
    }

    fn running(&self, id: AttemptId) -> Result<usize, Ignored> {
        let index = (id.0 as usize).wrapping_sub(1);
        match self.attempts.get(index) {
            None => Err(Ignored::UnknownAttempt(id)),
            Some((_, true)) => Ok(index),
            Some((_, false)) => Err(Ignored::AlreadyEnded(id)),
        }
    }

    fn untried(&self) -> Option<SocketAddr> {
        let of = |kind| {
            let addresses = self
                .queries
                .iter()
                .filter(move |query| query.0 == kind)
                .filter_map(|q| q.1.as_ref());
            addresses.flatten().copied()
        };
        let (mut v6, mut v4) = (of(QueryType::Aaaa), of(QueryType::A));
        loop {
            let (six, four) = (v6.next(), v4.next());
            if six.is_none() && four.is_none() {
                return None;
            }
            for address in six.into_iter().chain(four) {
                let address = SocketAddr::new(address, self.target.port);
                if !self.attempts.iter().any(|attempt| attempt.0 == address) {
                    return Some(address);
                }
            }
        }
    }

    fn advance(&mut self, now: Instant) {
        let pending = self.queries.iter().any(|query| query.1.is_none());
        let Some(address) = self.untried() else {
            if !pending && !self.attempts.iter().any(|attempt| attempt.1) {
                let failure = Failure {
                    reason: FailureReason::AllFailed,
                    queries: Vec::new(),
                    attempts: Vec::new(),
                };
                self.finish(Outcome::Failed(Arc::new(failure)), now);
            }
            return;
        };
        let cause = if self.last_start.is_some() {
            match self.next_start {
                Some((at, cause)) if now >= at => cause,
                _ => return,
            }
        } else {
            let preferred = self.queries.first().is_some_and(|query| query.1.is_some());
            let first = self.first_address.unwrap_or(now);
            if preferred {
                Cause::First
            } else if now >= first + self.config.resolution_delay {
                Cause::ResolutionDelay
            } else {
                return;
            }
        };
        self.start(address, cause, now);
    }

    fn start(&mut self, address: SocketAddr, cause: Cause, now: Instant) {
        self.attempts.push((address, true));
        self.last_start = Some(now);
        let after = self.config.attempt_delay;
        self.next_start = Some((now + after, Cause::Delay { after }));
        let offer = &self.target.offers[0];
        let endpoint = Endpoint {
            address,
            translated: None,
            protocol: offer.protocol,
            alpn: offer.alpn.clone(),
            ech: None,
            name: None,
        };
        let id = AttemptId(u32::try_from(self.attempts.len()).unwrap_or(u32::MAX));
        let order = Order {
            position: id.0,
            priority: None,
            place: Place::Only,
        };
        self.outbox.push_back(Output::Attempt {
            id,
            endpoint,
            cause,
            order,
        });
    }

    fn finish(&mut self, outcome: Outcome, _now: Instant) {
        if let Outcome::Connected { attempt } = outcome {
            for (index, other) in self.attempts.iter_mut().enumerate() {
                let id = AttemptId(u32::try_from(index).unwrap_or(u32::MAX) + 1);
                if other.1 && id != attempt {
                    let why = CancelReason::Lost { to: attempt };
                    self.outbox.push_back(Output::CancelAttempt { id, why });
                }
                other.1 = false;
            }
        }
        self.outbox.push_back(Output::Finished(outcome.clone()));
        self.outcome = Some(outcome);
    }
}

impl fmt::Debug for Race {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Race")
            .field("target", &self.target)
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}
