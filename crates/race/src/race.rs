//! The machine: facts come in, and [`Race::next`] decides.
//!
//! An input only writes down what happened. Decisions are made in one place, [`Race::advance`], when the caller asks what
//! to do: so the order of inputs within one instant cannot matter.

mod attempts;
mod ending;
mod gate;
mod pace;
mod start;
mod timers;

pub use attempts::{Attempt, AttemptEnd};

use crate::answer::{QueryId, QueryType};
use crate::config::{Config, ConfigError};
use crate::endpoint::Endpoint;
use crate::events::{Event, What};
use crate::history::Recollection;
use crate::input::{AttemptError, AttemptErrorKind, AttemptId, Ignored, Input};
use crate::knowledge::{Fact, Knowledge};
use crate::nat64::Nat64;
use crate::network::{Network, Routes};
use crate::order::List;
use crate::output::{CancelReason, Cause, FailureReason, Outcome, Output};
use crate::resolve::{Resolve, Scene, service_name};
use crate::target::{Host, Service, Target};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use attempts::Attempts;
use core::fmt;
use pace::Pace;
use timers::{Timer, Timers};

/// A race to one target.
pub struct Race {
    target: Target,
    config: Config,
    network: Network,
    /// As it was at the start, before anything was learned of it.
    given_network: Network,
    seed: u64,
    began: Instant,
    /// The latest moment that the caller has named. Time does not go back.
    latest: Instant,
    resolve: Resolve,
    knowledge: Knowledge,
    list: List,
    attempts: Attempts,
    /// Endpoints to be tried again with another ECH configuration (E7).
    retries: Vec<(AttemptId, Endpoint)>,
    pace: Pace,
    /// Since when there is an address to try (B9).
    first_address: Option<Instant>,
    outcome: Option<(Instant, Outcome)>,
    timers: Timers,
    /// Something came in that has not been decided upon.
    undecided: bool,
    outbox: VecDeque<Output>,
    events: Vec<Event>,
}

impl Race {
    /// A race that starts now. `seed` feeds every chance in it (C4): the same seed and the same inputs give the same race.
    pub fn new(
        target: Target,
        config: Config,
        network: Network,
        seed: u64,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        if target.offers.is_empty() {
            return Err(ConfigError::NoProtocol);
        }
        if let Host::Name(name) = &target.host
            && target.service != Service::None
            && service_name(name, &target).is_none()
        {
            return Err(ConfigError::ServiceName);
        }
        Ok(Self {
            target,
            config,
            given_network: network.clone(),
            network,
            seed,
            began: now,
            latest: now,
            resolve: Resolve {
                changed: true,
                ..Resolve::default()
            },
            knowledge: Knowledge::default(),
            list: List::default(),
            attempts: Attempts::default(),
            retries: Vec::new(),
            pace: Pace::default(),
            first_address: None,
            outcome: None,
            timers: Timers::default(),
            undecided: true,
            outbox: VecDeque::new(),
            events: Vec::new(),
        })
    }

    /// With the host's routing table, which RFC 6724 needs to sort (C6). Without it, a family that the network has is
    /// taken to have a global source address.
    #[must_use]
    pub fn with_routes(mut self, routes: impl Routes + Send + Sync + 'static) -> Self {
        self.knowledge.routes = Some(Box::new(routes));
        self
    }

    /// With what is remembered of the target's addresses (C7).
    #[must_use]
    pub fn with_memory(mut self, memory: Recollection) -> Self {
        self.knowledge.memory = Some(memory);
        self
    }

    /// With facts of a recorded race: for these addresses nobody else is asked.
    #[must_use]
    pub fn with_facts(mut self, facts: impl IntoIterator<Item = Fact>) -> Self {
        self.knowledge.give(facts);
        self
    }

    /// Tells what happened. What changes nothing is refused with the reason; the race goes on as if it had not been said.
    pub fn input(&mut self, input: Input, now: Instant) -> Result<(), Ignored> {
        self.latest = self.latest.max(now);
        let now = self.latest;
        self.take(&input, now)?;
        self.undecided = true;
        self.events.push(Event {
            at: now,
            what: What::In(input),
        });
        Ok(())
    }

    fn take(&mut self, input: &Input, now: Instant) -> Result<(), Ignored> {
        let scene = Scene {
            target: &self.target,
            config: &self.config,
            network: &self.network,
            seed: self.seed,
        };
        match input {
            // After success too: the answer is for the resolver's cache (B12).
            Input::Answer { query, answer } => {
                let learned = self.resolve.answered(scene, *query, answer, now)?;
                self.learn(learned);
            }
            Input::QueryFailed { query, error } => {
                let learned = self.resolve.failed(scene, *query, error.clone(), now)?;
                self.learn(learned);
            }
            Input::Succeeded { attempt } => self.attempts.succeeded(*attempt, now)?,
            Input::Failed { attempt, error } => {
                self.attempts.find(*attempt)?;
                self.fail(*attempt, error.clone(), now);
            }
            Input::EchRejected { attempt, retry } => {
                let found = self.attempts.find(*attempt)?;
                // E7: once. A retry to a retry is a failure.
                let again = matches!(found.cause, Cause::EchRetry { .. });
                if again || found.endpoint.ech.is_none() {
                    let error = AttemptError::new(AttemptErrorKind::Ech, "ECH rejected again");
                    self.fail(*attempt, error, now);
                } else {
                    let endpoint = Endpoint {
                        ech: retry.clone(),
                        ..found.endpoint.clone()
                    };
                    self.attempts.end(*attempt, AttemptEnd::EchRejected, now);
                    self.retries.push((*attempt, endpoint));
                }
            }
            Input::Progress { attempt } => {
                let found = self.attempts.find(*attempt)?;
                found.first_reply.get_or_insert(now);
                found.last_progress = Some(now);
                self.pace.progressed(&self.config, found, now);
            }
            Input::Changed { .. } | Input::Expired { .. } | Input::Network(_)
                if self.is_finished() =>
            {
                return Err(Ignored::Finished);
            }
            Input::Changed { query, answer } => {
                let learned = self.resolve.replaced(scene, *query, answer, now)?;
                self.learn(learned);
            }
            Input::Expired { query } => self.resolve.expired(*query, now)?,
            Input::Network(network) => self.move_to(network.clone(), now),
        }
        Ok(())
    }

    fn learn(&mut self, learned: Option<Nat64>) {
        if let Some(nat64) = learned {
            self.network.nat64 = Some(nat64);
        }
    }

    fn fail(&mut self, attempt: AttemptId, error: AttemptError, now: Instant) {
        if self.attempts.end(attempt, AttemptEnd::Failed(error), now) {
            self.pace.failed(attempt, now);
        }
    }

    /// The network is another one, or more is known of it.
    fn move_to(&mut self, network: Network, now: Instant) {
        if network.context == self.network.context {
            self.knowledge.routes_changed();
        } else {
            // Whatever ran, ran on addresses that are gone; whatever was learned is another network's (C9, N6).
            self.cancel_running(|_| CancelReason::NetworkChange, now);
            self.resolve.start_over(&mut self.outbox);
            self.knowledge.network_changed();
            self.attempts.start_over();
            self.retries.clear();
            self.pace.start_over();
            self.first_address = None;
        }
        self.network = network;
        self.resolve.changed = true;
    }

    /// What to do. Ask until there is nothing more; then wait for [`Race::deadline`] or the next input.
    #[must_use = "an output that is not acted upon stalls the race"]
    pub fn next(&mut self, now: Instant) -> Option<Output> {
        self.latest = self.latest.max(now);
        let now = self.latest;
        if self.outbox.is_empty() {
            self.advance(now);
            self.schedule();
        }
        let Some(output) = self.outbox.pop_front() else {
            self.undecided = false;
            return None;
        };
        self.events.push(Event {
            at: now,
            what: What::Out(output.clone()),
        });
        Some(output)
    }

    /// When to call [`Race::next`] if nothing happens before. `None`: only an input can change anything.
    pub fn deadline(&self) -> Option<Instant> {
        if self.undecided || !self.outbox.is_empty() {
            Some(self.latest)
        } else {
            self.timers.next()
        }
    }

    /// Decides what is to be done now. Called again without news, it does nothing.
    fn advance(&mut self, now: Instant) {
        if self.is_finished() {
            if self.timers.is_due(Timer::Linger, now) {
                self.resolve.cancel(&mut self.outbox);
            }
            return;
        }
        if let Some((winner, at)) = self.attempts.winner() {
            self.win(winner, at, now);
            return;
        }
        if self.timers.is_due(Timer::OverallDeadline, now) {
            self.lose(
                FailureReason::Deadline,
                |_| CancelReason::OverallDeadline,
                now,
            );
            return;
        }
        self.give_up_overdue(now);
        if self.must_abandon() {
            self.lose(
                FailureReason::ServiceUnknown,
                |_| CancelReason::Abandoned,
                now,
            );
            return;
        }
        self.resolve.refresh(now, &mut self.outbox);
        let scene = Scene {
            target: &self.target,
            config: &self.config,
            network: &self.network,
            seed: self.seed,
        };
        self.resolve.ask(scene, now, &mut self.outbox);
        self.list_endpoints(now);
        self.start_next(now);
        if self.next_endpoint().is_none() && self.attempts.running().next().is_none() {
            let spent = self.attempts.all().len() >= self.config.total_attempts;
            if spent || !self.resolve.is_waiting() {
                let reason = self.why_nothing();
                self.lose(reason, |_| CancelReason::Abandoned, now);
            }
        }
    }

    /// Ends the questions and attempts whose own deadline is over (D14).
    fn give_up_overdue(&mut self, now: Instant) {
        if let Some(limit) = self.config.query_deadline {
            let scene = Scene {
                target: &self.target,
                config: &self.config,
                network: &self.network,
                seed: self.seed,
            };
            let learned = self.resolve.time_out(scene, limit, now, &mut self.outbox);
            self.learn(learned);
        }
        while let Some(limit) = self.config.attempt_deadline
            && let Some(id) = self.attempts.overdue(limit, now)
        {
            let why = CancelReason::Deadline;
            self.attempts.end(id, AttemptEnd::Cancelled(why), now);
            self.outbox.push_back(Output::CancelAttempt { id, why });
            self.pace.failed(id, now);
        }
    }

    /// Fills the deadline table.
    fn schedule(&mut self) {
        let mut timers = Timers::default();
        if let Some((at, _)) = &self.outcome {
            let waits = self.resolve.has_open();
            timers.set(
                Timer::Linger,
                Some(*at + self.config.linger).filter(|_| waits),
            );
        } else {
            let started = !self.attempts.of_this_network().is_empty();
            let timer = if started {
                Timer::NextAttempt
            } else {
                Timer::ResolutionDelay
            };
            timers.set(timer, self.next_start().map(|start| start.at));
            let limit = self.config.attempt_deadline;
            let oldest = self.attempts.running().map(|attempt| attempt.started).min();
            timers.set(
                Timer::AttemptDeadline,
                limit.zip(oldest).map(|(limit, at)| at + limit),
            );
            let limit = self.config.query_deadline;
            timers.set(
                Timer::QueryDeadline,
                limit.and_then(|limit| self.resolve.next_time_out(limit)),
            );
            timers.set(Timer::Expiry, self.resolve.next_expiry());
            let limit = self.config.overall_deadline;
            timers.set(
                Timer::OverallDeadline,
                limit.map(|limit| self.began + limit),
            );
        }
        self.timers = timers;
    }

    /// Everything that came in and went out so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The attempts so far, in the order of their starts.
    pub fn attempts(&self) -> &[Attempt] {
        self.attempts.all()
    }

    /// What was known of the addresses that came up. Empty when there was neither a routing table nor a memory to ask.
    pub fn facts(&self) -> &[Fact] {
        self.knowledge.facts()
    }

    /// The target.
    pub const fn target(&self) -> &Target {
        &self.target
    }

    /// How the race is run.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The network, with what the race has learned of it (N1).
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// The network as the race was told of it at its start.
    pub(crate) const fn given_network(&self) -> &Network {
        &self.given_network
    }

    /// The type that a question asks for.
    pub fn query_type(&self, id: QueryId) -> Option<QueryType> {
        self.resolve.query_type(id)
    }

    /// The seed of the race.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// When the race began.
    pub const fn began(&self) -> Instant {
        self.began
    }

    /// When and how the race ended.
    pub const fn outcome(&self) -> Option<&(Instant, Outcome)> {
        self.outcome.as_ref()
    }

    /// Whether the race is over.
    pub const fn is_finished(&self) -> bool {
        self.outcome.is_some()
    }
}

impl fmt::Debug for Race {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Race")
            .field("target", &self.target)
            .field("attempts", &self.attempts.all())
            .field("outcome", &self.outcome)
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}
