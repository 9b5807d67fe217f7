//! Between the machine and the world: does what it asks for, tells it what happens, sleeps until its deadline.
//!
//! One future and no task: look-ups and attempts are polled from here, and dropping it closes every socket (E5).

use crate::attempt::{Complete, Stage, Step};
use crate::resolver::{Asking, Resolver};
use crate::socket::SocketOptions;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant as Clock, Sleep, sleep_until};
use twinstack_race::{
    AttemptError, AttemptErrorKind, AttemptId, Endpoint, Failure, Input, Instant, Outcome, Output,
    Purpose, QueryId, Race,
};

/// What a race needs of its surroundings.
pub(crate) struct Course<'a, C: ?Sized> {
    pub(crate) resolver: &'a Resolver,
    pub(crate) options: &'a SocketOptions,
    pub(crate) complete: &'a C,
    /// Called with every attempt that starts.
    pub(crate) attempted: &'a (dyn Fn(&Endpoint) + Sync),
    /// Asked of every address before its attempt.
    pub(crate) permit: Option<&'a (dyn Fn(IpAddr) -> Result<(), String> + Send + Sync)>,
    /// The name is the host's own.
    pub(crate) local: bool,
    /// Which link the target's literal is on.
    pub(crate) scope: u32,
}

/// How a race went.
pub(crate) struct Finish<T> {
    pub(crate) result: Result<(T, Endpoint), Arc<Failure>>,
    pub(crate) race: Race,
    /// When it was over, by the race's clock.
    pub(crate) now: Instant,
    /// Questions that still have no answer.
    pub(crate) unanswered: Vec<Asking>,
}

/// Runs a race that starts now.
pub(crate) async fn drive<C>(course: Course<'_, C>, race: Race, epoch: Clock) -> Finish<C::Output>
where
    C: Complete + ?Sized,
{
    let mut driver = Driver {
        course,
        race,
        epoch,
        begun: false,
        armed: Instant::MAX,
        asked: Vec::with_capacity(2),
        running: Vec::with_capacity(2),
        scopes: Vec::new(),
        won: Vec::new(),
    };
    let mut sleep = pin!(sleep_until(epoch));
    let (result, now) = poll_fn(|context| driver.poll(sleep.as_mut(), context)).await;
    let unanswered = driver.asked.into_iter().map(|(_, asking)| asking).collect();
    Finish {
        result,
        race: driver.race,
        now,
        unanswered,
    }
}

struct Driver<'a, C: Complete + ?Sized> {
    course: Course<'a, C>,
    race: Race,
    epoch: Clock,
    begun: bool,
    /// When the timer fires; the end of time when it is not running.
    armed: Instant,
    asked: Vec<(QueryId, Asking)>,
    running: Vec<Running<C>>,
    scopes: Vec<(Ipv6Addr, u32)>,
    /// Several may succeed in one instant; the machine chooses.
    won: Vec<(AttemptId, C::Output, Endpoint)>,
}

struct Running<C: Complete + ?Sized> {
    id: AttemptId,
    endpoint: Endpoint,
    stage: Stage<C>,
}

/// The connection and what it leads to, or why there is none.
type Outcomes<T> = Result<(T, Endpoint), Arc<Failure>>;

/// The result, and when it was there.
type Ended<T> = (Outcomes<T>, Instant);

impl<C: Complete + ?Sized> Driver<'_, C> {
    fn poll(
        &mut self,
        mut sleep: Pin<&mut Sleep>,
        context: &mut Context<'_>,
    ) -> Poll<Ended<C::Output>> {
        loop {
            let now = self.now();
            let heard = self.poll_answers(now, context) | self.poll_attempts(now, context);
            let mut acted = false;
            while let Some(output) = self.race.next(now) {
                acted = true;
                if let Output::Finished(outcome) = output {
                    if let Some(result) = self.finish(outcome) {
                        return Poll::Ready((result, now));
                    }
                } else {
                    self.act(output);
                }
            }
            // What was started has not been polled yet, and what was heard may have been only the first of several.
            if heard || acted {
                continue;
            }
            let Some(deadline) = self.race.deadline() else {
                return Poll::Pending;
            };
            // A timer that fires too early costs one look; setting it anew costs more, so it is only ever brought forward.
            if deadline < self.armed {
                self.armed = deadline;
                let due = self.epoch + Duration::from_nanos(deadline.as_nanos());
                sleep.as_mut().reset(due);
            }
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.armed = Instant::MAX;
        }
    }

    /// The race's clock. The first look is at its beginning, so that a record of it runs again to the letter.
    fn now(&mut self) -> Instant {
        if !std::mem::replace(&mut self.begun, true) {
            return Instant::ZERO;
        }
        let nanos = self.epoch.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn poll_answers(&mut self, now: Instant, context: &mut Context<'_>) -> bool {
        let mut heard = false;
        let mut index = 0;
        while let Some((id, asking)) = self.asked.get_mut(index) {
            let Poll::Ready(told) = asking.poll(context) else {
                index += 1;
                continue;
            };
            let query = *id;
            self.asked.swap_remove(index);
            self.scopes.extend(told.scopes);
            let input = match told.result {
                Ok(answer) => Input::Answer { query, answer },
                Err(error) => Input::QueryFailed { query, error },
            };
            // An answer that comes too late for the race is of no use to anybody.
            let _late = self.race.input(input, now);
            heard = true;
        }
        heard
    }

    fn poll_attempts(&mut self, now: Instant, context: &mut Context<'_>) -> bool {
        let mut heard = false;
        let mut index = 0;
        while let Some(running) = self.running.get_mut(index) {
            let complete = self.course.complete;
            let Poll::Ready(step) = running.stage.poll(complete, &running.endpoint, context) else {
                index += 1;
                continue;
            };
            heard = true;
            let attempt = running.id;
            match step {
                Step::Progress => {
                    let _late = self.race.input(Input::Progress { attempt }, now);
                    index += 1;
                }
                Step::Failed(error) => {
                    self.running.swap_remove(index);
                    let _late = self.race.input(Input::Failed { attempt, error }, now);
                }
                Step::Succeeded(output) => {
                    let running = self.running.swap_remove(index);
                    // E4: whoever comes second is ignored, and closed right here.
                    if self.race.input(Input::Succeeded { attempt }, now).is_ok() {
                        self.won.push((attempt, output, running.endpoint));
                    }
                }
            }
        }
        heard
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Query {
                id,
                name,
                kind,
                purpose,
            } => {
                let refresh = purpose == Purpose::Refresh;
                let asking = self
                    .course
                    .resolver
                    .ask(&name, kind, refresh, self.course.local);
                self.asked.push((id, asking));
            }
            Output::CancelQuery { id } => self.asked.retain(|(asked, _)| *asked != id),
            Output::Attempt {
                id, mut endpoint, ..
            } => {
                endpoint.address = self.scoped(endpoint.address);
                let stage = match self
                    .course
                    .permit
                    .map_or(Ok(()), |permit| permit(endpoint.address.ip()))
                {
                    Ok(()) => {
                        (self.course.attempted)(&endpoint);
                        Stage::start(self.course.complete, self.course.options, &endpoint)
                    }
                    Err(why) => Stage::Failed(AttemptError::new(AttemptErrorKind::Rejected, &why)),
                };
                self.running.push(Running {
                    id,
                    endpoint,
                    stage,
                });
            }
            Output::CancelAttempt { id, .. } => self.running.retain(|running| running.id != id),
            _ => {}
        }
    }

    fn finish(&mut self, outcome: Outcome) -> Option<Outcomes<C::Output>> {
        self.running.clear();
        match outcome {
            Outcome::Connected { attempt } => {
                let place = self.won.iter().position(|(id, ..)| *id == attempt)?;
                let (_, output, endpoint) = self.won.swap_remove(place);
                // E4: whoever was as fast is closed.
                self.won.clear();
                Some(Ok((output, endpoint)))
            }
            Outcome::Failed(failure) => Some(Err(failure)),
        }
    }

    /// The machine keeps addresses without their links.
    fn scoped(&self, address: SocketAddr) -> SocketAddr {
        let SocketAddr::V6(mut v6) = address else {
            return address;
        };
        if v6.scope_id() == 0 && v6.ip().is_unicast_link_local() {
            let known = self.scopes.iter().find(|(ip, _)| ip == v6.ip());
            v6.set_scope_id(known.map_or(self.course.scope, |(_, scope)| *scope));
        }
        SocketAddr::V6(v6)
    }
}
