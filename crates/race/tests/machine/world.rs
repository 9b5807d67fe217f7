//! A simulated world with virtual time: a resolver, paths, and the machine between them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;
use std::time::Duration;
use twinstack_race::text::{Clock, parse, print};
use twinstack_race::{
    Answer, AttemptError, AttemptErrorKind, AttemptId, Config, Input, Instant, Name, Network,
    Outcome, Output, QueryError, QueryErrorKind, QueryId, QueryType, Race, Target,
};

/// What the path to an address does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path {
    /// Connects after a round trip; TLS and QUIC after two.
    Works { round_trip: Duration },
    /// Says no after a round trip.
    Refuses { round_trip: Duration },
    /// Swallows everything.
    Drops,
    /// TCP comes up after a round trip, and that is all.
    Stalls { round_trip: Duration },
}

/// What the resolver does with a question: after how long, and what it says (`None`: it fails).
type Reply = (Duration, Option<Answer>);

/// What happens at a moment.
#[derive(Clone, Debug)]
enum Happening {
    Reply(QueryId, Option<Answer>),
    Progress(AttemptId),
    Success(AttemptId),
    Refusal(AttemptId),
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) dns: BTreeMap<(String, QueryType), Reply>,
    pub(crate) paths: BTreeMap<IpAddr, Path>,
    pub(crate) race: Race,
    /// By time, then in the order in which they were caused.
    happenings: BinaryHeap<Reverse<(Instant, usize)>>,
    what: Vec<Happening>,
}

impl World {
    pub(crate) fn new(target: Target, config: Config) -> Self {
        let race = Race::new(target, config, Network::dual_stack(), 7, Instant::ZERO).unwrap();
        Self {
            now: Instant::ZERO,
            dns: BTreeMap::new(),
            paths: BTreeMap::new(),
            race,
            happenings: BinaryHeap::new(),
            what: Vec::new(),
        }
    }

    fn later(&mut self, delay: Duration, what: Happening) {
        self.happenings
            .push(Reverse((self.now + delay, self.what.len())));
        self.what.push(what);
    }

    /// Does what the machine asks for.
    fn act(&mut self) {
        // No race has a reason to say more than this at once.
        for _ in 0..1000 {
            let Some(output) = self.race.next(self.now) else {
                // Drained: the next deadline lies ahead, or the caller would spin.
                assert!(
                    self.race
                        .deadline()
                        .is_none_or(|deadline| deadline > self.now)
                );
                return;
            };
            match output {
                Output::Query { id, name, kind, .. } => {
                    let reply = self.dns.get(&(name.as_str().to_owned(), kind)).cloned();
                    if let Some((delay, answer)) = reply {
                        self.later(delay, Happening::Reply(id, answer));
                    }
                }
                Output::Attempt { id, endpoint, .. } => {
                    let path = self.paths.get(&endpoint.address.ip()).copied();
                    match path.unwrap_or(Path::Drops) {
                        Path::Works { round_trip } if endpoint.protocol.is_secure() => {
                            self.later(round_trip, Happening::Progress(id));
                            self.later(round_trip * 2, Happening::Success(id));
                        }
                        Path::Works { round_trip } => {
                            self.later(round_trip, Happening::Success(id));
                        }
                        Path::Refuses { round_trip } => {
                            self.later(round_trip, Happening::Refusal(id));
                        }
                        Path::Stalls { round_trip } => {
                            self.later(round_trip, Happening::Progress(id));
                        }
                        Path::Drops => {}
                    }
                }
                _ => {}
            }
        }
        panic!("the machine does not come to rest at {:?}", self.now);
    }

    /// Jumps to the next thing that happens or becomes due. `false` if there is nothing.
    fn step(&mut self) -> bool {
        self.act();
        let next = self.happenings.peek().map(|Reverse((at, _))| *at);
        let deadline = self.race.deadline();
        let Some(at) = next.into_iter().chain(deadline).min() else {
            return false;
        };
        self.now = at;
        while let Some(Reverse((when, index))) = self.happenings.peek().copied()
            && when == at
        {
            self.happenings.pop();
            let input = match self.what[index].clone() {
                Happening::Reply(query, Some(answer)) => Input::Answer { query, answer },
                Happening::Reply(query, None) => {
                    let error = QueryError::new(QueryErrorKind::ServerFailure, "SERVFAIL");
                    Input::QueryFailed { query, error }
                }
                Happening::Progress(attempt) => Input::Progress { attempt },
                Happening::Success(attempt) => Input::Succeeded { attempt },
                Happening::Refusal(attempt) => {
                    let error = AttemptError::new(AttemptErrorKind::Refused, "refused");
                    Input::Failed { attempt, error }
                }
            };
            // Late news of what was given up are refused, and that is right.
            let _late = self.race.input(input, at);
        }
        true
    }

    /// Runs until nothing happens any more.
    pub(crate) fn drive(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    pub(crate) fn connected(&self) -> Option<(Duration, IpAddr)> {
        let (at, Outcome::Connected { attempt }) = self.race.outcome()? else {
            return None;
        };
        let attempt = self
            .race
            .attempts()
            .iter()
            .find(|other| other.id == *attempt)
            .unwrap();
        Some((*at - Instant::ZERO, attempt.endpoint.address.ip()))
    }
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn name() -> Name {
    Name::new("example.com").unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A world with one address of each family, 20 ms away like its resolver.
fn usual(v6: Path, v4: Path) -> World {
    let mut world = World::new(Target::tls(name(), 443, ["h2"]), Config::default());
    let (one, other) = (ip("2001:db8::1"), ip("192.0.2.1"));
    world.paths = [(one, v6), (other, v4)].into();
    let text = String::from("example.com");
    let reply = |address| (ms(20), Some(Answer::addresses([address])));
    world.dns = [
        ((text.clone(), QueryType::Aaaa), reply(one)),
        ((text, QueryType::A), reply(other)),
    ]
    .into();
    world
}

const FINE: Path = Path::Works {
    round_trip: Duration::from_millis(20),
};

#[test]
fn a_healthy_world_costs_the_answer_and_the_handshakes() {
    let mut world = usual(FINE, FINE);
    world.drive();
    assert_eq!(world.connected(), Some((ms(20 + 40), ip("2001:db8::1"))));
    assert_eq!(world.race.attempts().len(), 1);
}

#[test]
fn d2_a_world_without_ipv6_costs_one_delay_more() {
    let mut world = usual(Path::Drops, FINE);
    world.drive();
    assert_eq!(
        world.connected(),
        Some((ms(20 + 250 + 40), ip("192.0.2.1")))
    );
}

#[test]
fn d6_d3_a_refused_address_costs_its_round_trip() {
    let mut world = usual(Path::Refuses { round_trip: ms(1) }, FINE);
    world.drive();
    assert_eq!(world.connected(), Some((ms(20 + 10 + 40), ip("192.0.2.1"))));
}

#[test]
fn e1_d8_a_server_that_stalls_after_tcp_costs_one_delay() {
    let mut world = usual(Path::Stalls { round_trip: ms(20) }, FINE);
    world.drive();
    assert_eq!(
        world.connected(),
        Some((ms(20 + 250 + 40), ip("192.0.2.1")))
    );
}

#[test]
fn b3_a_lost_answer_costs_the_resolution_delay() {
    let mut world = usual(FINE, FINE);
    world.dns.remove(&("example.com".into(), QueryType::Aaaa));
    world.drive();
    assert_eq!(world.connected(), Some((ms(20 + 50 + 40), ip("192.0.2.1"))));
    let mut world = usual(FINE, FINE);
    world.dns.remove(&("example.com".into(), QueryType::A));
    world.drive();
    assert_eq!(world.connected(), Some((ms(20 + 40), ip("2001:db8::1"))));
}

#[test]
fn c7_with_a_memory_of_the_outage_the_next_dial_costs_nothing_more() {
    use twinstack_race::history::{Boundary, Era, History, Settings, endings};
    let mut history = History::new(Settings::default(), 1);
    let mut world = usual(Path::Drops, FINE);
    world.drive();
    let boundary = Boundary::default();
    let learned = endings(world.race.events());
    history.learn(
        boundary,
        "example.com",
        443,
        Era::default(),
        &learned,
        world.now,
    );

    let mut world = usual(Path::Drops, FINE);
    let memory = history.recall(boundary, "example.com", 443, world.now);
    world.race = world.race.with_memory(memory);
    world.drive();
    assert_eq!(world.connected(), Some((ms(20 + 40), ip("192.0.2.1"))));
    // What was remembered is in the record, so that the record runs without the memory.
    let text = print(&world.race);
    assert!(
        text.contains("fact 2001:db8::1") && text.contains("silent"),
        "{text}"
    );
    let again = parse(&text).unwrap()[0].replay(Clock::Exact).unwrap();
    assert_eq!(again.events(), world.race.events());
}
