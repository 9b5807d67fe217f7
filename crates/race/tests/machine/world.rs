//! A simulated world with virtual time: a resolver, paths, and the machine between them; and what has to hold in all of
//! them.

use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::IpAddr;
use std::time::Duration;
use twinstack_race::text::{Clock, parse, print};
use twinstack_race::{
    Answer, AttemptEnd, AttemptError, AttemptErrorKind, AttemptId, Config, ConfigError, Ech, Event,
    Input, Instant, Name, Network, Outcome, Output, QueryError, QueryErrorKind, QueryId, QueryType,
    Race, ServiceRecord, Target, What,
};

/// What the path to an address does.
#[derive(Clone, Copy, Debug)]
enum Path {
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

struct World {
    now: Instant,
    dns: BTreeMap<(String, QueryType), Reply>,
    paths: BTreeMap<IpAddr, Path>,
    race: Race,
    /// By time, then in the order in which they were caused.
    happenings: BinaryHeap<Reverse<(Instant, usize)>>,
    what: Vec<Happening>,
}

impl World {
    fn new(target: Target, config: Config) -> Self {
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
    fn drive(&mut self) {
        for _ in 0..100_000 {
            if !self.step() {
                return;
            }
        }
        panic!("the world does not come to rest");
    }

    fn connected(&self) -> Option<(Duration, IpAddr)> {
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

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn name() -> Name {
    Name::new("example.com").unwrap()
}

fn ip(text: &str) -> IpAddr {
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

// ---------------------------------------------------------------------------------------------------- random worlds

/// `PROPTEST_CASES` asks for more. A failing case is printed whole; what it taught becomes a test of its own.
fn settings(cases: u32) -> ProptestConfig {
    let cases = match std::env::var("PROPTEST_CASES") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => cases,
    };
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[derive(Clone, Debug)]
struct Plan {
    https: bool,
    services: Option<Vec<u16>>,
    service_delay: Option<u64>,
    v6: Vec<Path>,
    v4: Vec<Path>,
    /// `None`: never.
    v6_delay: Option<u64>,
    v4_delay: Option<u64>,
    config: Config,
}

fn path() -> impl Strategy<Value = Path> {
    let time = (1_u64..400).prop_map(ms);
    prop_oneof![
        time.clone()
            .prop_map(|round_trip| Path::Works { round_trip }),
        time.clone()
            .prop_map(|round_trip| Path::Refuses { round_trip }),
        Just(Path::Refuses {
            round_trip: Duration::ZERO
        }),
        Just(Path::Drops),
        time.prop_map(|round_trip| Path::Stalls { round_trip }),
    ]
}

fn config() -> impl Strategy<Value = Config> {
    (
        10_u64..2000,
        1.0_f64..4.0,
        1_usize..4,
        1_usize..10,
        any::<[bool; 4]>(),
        0_u64..1500,
    )
        .prop_map(
            |(delay, multiplier, family_count, parallel, [grouped, hurry, linger, v4], replace)| {
                let usual = Config::default();
                Config {
                    delay_multiplier: multiplier,
                    preferred_family: v4.then_some(twinstack_race::Family::V4),
                    preferred_family_count: family_count,
                    parallel_attempts: parallel,
                    hurry_on_new_address: hurry,
                    protocols: if grouped {
                        twinstack_race::ProtocolOrder::Grouped
                    } else {
                        twinstack_race::ProtocolOrder::Interleaved
                    },
                    replace_after: ms(replace),
                    linger: if linger { usual.linger } else { Duration::ZERO },
                    ..usual
                }
                .with_attempt_delay(ms(delay))
            },
        )
}

fn plan() -> impl Strategy<Value = Plan> {
    let delay = || proptest::option::weighted(0.8, 0_u64..600);
    let services = proptest::option::of(proptest::collection::vec(0_u16..4, 1..4));
    let paths = || proptest::collection::vec(path(), 0..6);
    (
        any::<bool>(),
        services,
        delay(),
        paths(),
        paths(),
        delay(),
        delay(),
        config(),
    )
        .prop_map(
            |(https, services, service_delay, v6, v4, v6_delay, v4_delay, config)| Plan {
                https,
                services,
                service_delay,
                v6,
                v4,
                v6_delay,
                v4_delay,
                config,
            },
        )
}

impl Plan {
    fn world(&self) -> World {
        let target = if self.https {
            Target::https(name(), 443)
        } else {
            Target::tcp(name(), 443)
        };
        let mut world = World::new(target, self.config.clone());
        let host = String::from("example.com");
        let mut lists = [
            (QueryType::Aaaa, &self.v6, self.v6_delay),
            (QueryType::A, &self.v4, self.v4_delay),
        ];
        for (kind, paths, delay) in &mut lists {
            let mut addresses = Vec::new();
            for (index, path) in paths.iter().enumerate() {
                let address = match kind {
                    QueryType::A => ip(&format!("192.0.2.{}", index + 1)),
                    _ => ip(&format!("2001:db8::{}", index + 1)),
                };
                world.paths.insert(address, *path);
                addresses.push(address);
            }
            if let Some(delay) = *delay {
                let answer = Some(Answer::addresses(addresses));
                world.dns.insert((host.clone(), *kind), (ms(delay), answer));
            }
        }
        if let Some(delay) = self.service_delay {
            let answer = self.services.as_ref().map(|priorities| {
                Answer::services(priorities.iter().enumerate().map(|(index, priority)| {
                    let other = Name::new(&format!("alt{index}.example.net")).unwrap();
                    let mut record = ServiceRecord::new(*priority, (index > 0).then_some(other));
                    record.alpn = Some(vec!["h3".into(), "h2".into()]);
                    record.ech = (index == 1).then(|| Ech::new(&[1, 2, 3]));
                    record
                }))
            });
            world
                .dns
                .insert((host, QueryType::Https), (ms(delay), answer));
        }
        for index in 0..4 {
            let other = format!("alt{index}.example.net");
            world.dns.insert(
                (other.clone(), QueryType::Aaaa),
                (ms(10), Some(Answer::no_data())),
            );
            world.dns.insert(
                (other.clone(), QueryType::A),
                (ms(10), Some(Answer::nx_domain())),
            );
            world
                .dns
                .insert((other, QueryType::Https), (ms(10), Some(Answer::no_data())));
        }
        world
    }

    /// Whether an address that works is ever known.
    fn can_connect(&self) -> bool {
        let works = |paths: &[Path]| paths.iter().any(|path| matches!(path, Path::Works { .. }));
        (self.v6_delay.is_some() && works(&self.v6)) || (self.v4_delay.is_some() && works(&self.v4))
    }
}

fn starts(events: &[Event]) -> Vec<Instant> {
    let start = |event: &Event| match &event.what {
        What::Out(Output::Attempt { .. }) => Some(event.at),
        _ => None,
    };
    events.iter().filter_map(start).collect()
}

/// How often each attempt ended, as the caller saw it.
fn endings(events: &[Event]) -> BTreeMap<AttemptId, usize> {
    let mut ends = BTreeMap::new();
    for event in events {
        match &event.what {
            What::Out(Output::Attempt { id, .. }) => {
                assert_eq!(ends.insert(*id, 0), None, "started twice");
            }
            What::Out(
                Output::CancelAttempt { id, .. }
                | Output::Finished(Outcome::Connected { attempt: id }),
            )
            | What::In(
                Input::Failed { attempt: id, .. } | Input::EchRejected { attempt: id, .. },
            ) => {
                *ends.entry(*id).or_default() += 1;
            }
            _ => {}
        }
    }
    ends
}

proptest! {
    #![proptest_config(settings(100))]

    #[test]
    fn d3_no_two_attempts_start_within_the_floor(plan in plan()) {
        let mut world = plan.world();
        world.drive();
        for pair in starts(world.race.events()).windows(2) {
            prop_assert!(pair[1] - pair[0] >= ms(10), "{pair:?}");
        }
    }

    #[test]
    fn d4_d5_a_delay_that_runs_out_is_within_its_bounds(plan in plan()) {
        let mut world = plan.world();
        world.drive();
        for attempt in world.race.attempts() {
            if let twinstack_race::Cause::Delay { after } = attempt.cause {
                prop_assert!(after >= plan.config.minimum_attempt_delay, "{after:?}");
                prop_assert!(after <= plan.config.maximum_attempt_delay, "{after:?}");
            }
        }
    }

    #[test]
    fn e3_e4_every_attempt_that_started_ends_exactly_once(plan in plan()) {
        let mut world = plan.world();
        world.drive();
        prop_assert!(world.race.is_finished());
        for (id, ends) in endings(world.race.events()) {
            prop_assert_eq!(ends, 1, "attempt {}", id);
        }
        prop_assert!(world.race.attempts().iter().all(|attempt| attempt.end.is_some()));
    }

    #[test]
    fn d9_d12_nobody_starves(plan in plan()) {
        let mut world = plan.world();
        world.drive();
        // The only thing that may keep a working address from winning is a cap that takes its time away.
        let hasty = plan.config.replace_after < ms(800);
        if plan.can_connect() && !hasty {
            prop_assert!(world.connected().is_some(), "{}", print(&world.race));
        }
        if world.connected().is_none() {
            for (answered, kind, paths) in [
                (plan.v6_delay, QueryType::Aaaa, &plan.v6),
                (plan.v4_delay, QueryType::A, &plan.v4),
            ] {
                for index in 1..=paths.len() {
                    let address = match kind {
                        QueryType::A => ip(&format!("192.0.2.{index}")),
                        _ => ip(&format!("2001:db8::{index}")),
                    };
                    let attempts = world.race.attempts();
                    let tried = attempts.iter().any(|a| a.endpoint.address.ip() == address);
                    prop_assert_eq!(tried, answered.is_some(), "{}\n{}", address, print(&world.race));
                }
            }
        }
    }

    #[test]
    fn d12_the_number_of_starts_is_bounded(plan in plan(), limit in 1_usize..6) {
        let mut plan = plan;
        plan.config.total_attempts = limit;
        let mut world = plan.world();
        world.drive();
        prop_assert!(world.race.attempts().len() <= limit);
        let running = |at: Instant| {
            let alive = |attempt: &&twinstack_race::Attempt| {
                attempt.started <= at && attempt.end.as_ref().is_none_or(|(end, _)| *end > at)
            };
            world.race.attempts().iter().filter(alive).count()
        };
        for start in starts(world.race.events()) {
            prop_assert!(running(start) <= plan.config.parallel_attempts);
        }
    }

    #[test]
    fn nothing_is_tried_twice(plan in plan()) {
        let mut world = plan.world();
        world.drive();
        let tried: Vec<_> =
            world.race.attempts().iter().map(|a| (a.endpoint.address, a.endpoint.protocol)).collect();
        for (index, one) in tried.iter().enumerate() {
            prop_assert!(!tried[..index].contains(one), "{one:?}");
        }
    }

    #[test]
    fn a_recorded_race_runs_again_to_the_same_record(plan in plan()) {
        let mut world = plan.world();
        world.drive();
        let text = print(&world.race);
        let recordings = parse(&text).map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        // The recording was started with the seed of the world, and at time zero.
        let again = recordings[0].replay(Clock::Exact);
        let again = again.map_err(|error| TestCaseError::fail(format!("{error}\n{text}")))?;
        prop_assert_eq!(again.events(), world.race.events());
        prop_assert_eq!(print(&again), text);
    }
}

// --------------------------------------------------------------------------------------------------- arbitrary inputs

fn arbitrary_answer() -> impl Strategy<Value = Answer> {
    let address = prop_oneof![
        (1_u8..5).prop_map(|n| ip(&format!("192.0.2.{n}"))),
        (1_u8..5).prop_map(|n| ip(&format!("2001:db8::{n}"))),
        Just(ip("64:ff9b::c000:aa")),
        Just(ip("127.0.0.1")),
    ];
    let record = (0_u16..3, proptest::option::of(0_u8..3), any::<[bool; 3]>()).prop_map(
        |(priority, target, [alpn, hint, port])| {
            let target = target.map(|n| Name::new(&format!("t{n}.example")).unwrap());
            let mut record = ServiceRecord::new(priority, target);
            record.alpn = alpn.then(|| vec!["h3".into(), "h2".into()]);
            record.ipv6_hints = if hint {
                vec!["2001:db8::77".parse().unwrap()]
            } else {
                Vec::new()
            };
            record.port = port.then_some(8443);
            record
        },
    );
    let family = proptest::collection::vec(address, 0..4).prop_flat_map(|all| {
        let (v4, v6): (Vec<IpAddr>, Vec<IpAddr>) = all.into_iter().partition(IpAddr::is_ipv4);
        prop_oneof![Just(Answer::addresses(v4)), Just(Answer::addresses(v6))]
    });
    let data = prop_oneof![
        family,
        proptest::collection::vec(record, 0..4).prop_map(Answer::services),
        Just(Answer::no_data()),
        Just(Answer::nx_domain()),
    ];
    (
        data,
        proptest::option::of(0_u64..4),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(mut answer, ttl, stale, protected)| {
            answer.ttl = ttl.map(Duration::from_secs);
            answer.stale = stale;
            answer.protected = protected;
            answer
        })
}

fn arbitrary_input() -> impl Strategy<Value = Input> {
    let query = (0_u32..12).prop_map(QueryId);
    let attempt = (0_u32..10).prop_map(AttemptId);
    let refused = || AttemptError::new(AttemptErrorKind::Refused, "");
    let failed = QueryError::new(QueryErrorKind::TimedOut, "");
    let network =
        (any::<[bool; 3]>(), 0_u64..2).prop_map(|([ipv4, ipv6, protected_dns], context)| Network {
            ipv4,
            ipv6,
            nat64: None,
            protected_dns,
            context,
        });
    prop_oneof![
        6 => (query.clone(), arbitrary_answer()).prop_map(|(query, answer)| Input::Answer { query, answer }),
        1 => (query.clone(), arbitrary_answer()).prop_map(|(query, answer)| Input::Changed { query, answer }),
        1 => query.clone().prop_map(|query| Input::Expired { query }),
        1 => query.prop_map(move |query| Input::QueryFailed { query, error: failed.clone() }),
        2 => attempt.clone().prop_map(move |attempt| Input::Failed { attempt, error: refused() }),
        1 => attempt.clone().prop_map(|attempt| Input::Progress { attempt }),
        1 => attempt.clone().prop_map(|attempt| Input::Succeeded { attempt }),
        1 => attempt.prop_map(|attempt| Input::EchRejected { attempt, retry: None }),
        1 => network.prop_map(Input::Network),
    ]
}

/// A race over a random target.
fn arbitrary_race() -> impl Strategy<Value = Result<Race, ConfigError>> {
    let targets = prop_oneof![
        Just("target example.com 443 https"),
        Just("target example.com 80 tcp service=https"),
        Just("target example.com 8443 tls:h2 service=https\nconfig ech=rely"),
        Just("target 192.0.2.1 80 tcp\nnetwork ipv6"),
        Just("target example.com 80 tcp\nnetwork ipv6"),
        Just("target example.com 443 tls:h2\nconfig parallel-attempts=1 names=1 total-attempts=3"),
    ];
    (targets, any::<u64>()).prop_map(|(text, seed)| {
        let text = format!("{text}\nseed {seed}");
        parse(&text).unwrap()[0].race()
    })
}

fn drain(race: &mut Race, now: Instant) -> Vec<Output> {
    let mut outputs = Vec::new();
    while let Some(output) = race.next(now) {
        outputs.push(output);
        assert!(outputs.len() < 1000, "the machine does not come to rest");
    }
    outputs
}

/// What of the race an input is about: two inputs about the same thing in one instant contradict each other.
fn subject(input: &Input) -> Option<(u8, u32)> {
    match input {
        Input::Answer { query, .. } | Input::QueryFailed { query, .. } => Some((0, query.0)),
        Input::Progress { attempt }
        | Input::Succeeded { attempt }
        | Input::Failed { attempt, .. }
        | Input::EchRejected { attempt, .. } => Some((1, attempt.0)),
        _ => None,
    }
}

proptest! {
    #![proptest_config(settings(200))]

    #[test]
    fn no_sequence_of_inputs_panics_or_spins(
        race in arbitrary_race(),
        inputs in proptest::collection::vec((0_u64..700, arbitrary_input(), any::<bool>()), 0..40),
    ) {
        let mut race = race.unwrap();
        let mut now = Instant::ZERO;
        for (pause, input, drained) in inputs {
            // Some callers do not drain, some come late, and some have a clock that goes back.
            now = if pause == 0 { now - ms(5) } else { now + ms(pause) };
            let _refused = race.input(input, now);
            if drained {
                drain(&mut race, now);
            }
        }
        let mut last = drain(&mut race, now);
        // Left alone, it comes to an end by its own deadlines.
        for _ in 0..2000 {
            let Some(deadline) = race.deadline() else {
                prop_assert!(race.is_finished(), "{}", print(&race));
                break;
            };
            now = now.max(deadline);
            last = drain(&mut race, now);
        }
        prop_assert!(race.is_finished(), "{last:?}");
        let starts = starts(race.events());
        prop_assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= ms(10)));
        for (id, ends) in endings(race.events()) {
            prop_assert_eq!(ends, 1, "attempt {}", id);
        }
    }

    #[test]
    fn the_order_of_inputs_within_one_instant_changes_nothing(
        race in arbitrary_race(),
        seed in any::<u64>(),
        batches in proptest::collection::vec(
            (1_u64..400, proptest::collection::vec(arbitrary_input(), 1..6)),
            0..10,
        ),
    ) {
        let one = race.unwrap();
        let text = print(&one);
        let mut other = parse(&text).unwrap()[0].race().unwrap();
        let mut one = one;
        let mut now = Instant::ZERO;
        prop_assert_eq!(drain(&mut one, now), drain(&mut other, now));
        for (round, (pause, batch)) in batches.into_iter().enumerate() {
            now += ms(pause);
            let mut subjects = Vec::new();
            let mut chosen: Vec<Input> = Vec::new();
            for input in batch {
                match subject(&input) {
                    Some(subject) if !subjects.contains(&subject) => {
                        subjects.push(subject);
                        chosen.push(input);
                    }
                    _ => {}
                }
            }
            let mut shuffled = chosen.clone();
            // Any permutation will do: rotate by a number that differs from round to round, and turn around.
            let turn = usize::try_from(seed.rotate_left(u32::try_from(round).unwrap()) % 7).unwrap();
            if !shuffled.is_empty() {
                let length = shuffled.len();
                shuffled.rotate_left(turn % length);
            }
            if turn % 2 == 0 {
                shuffled.reverse();
            }
            for input in chosen {
                let _refused = one.input(input, now);
            }
            for input in shuffled {
                let _refused = other.input(input, now);
            }
            prop_assert_eq!(drain(&mut one, now), drain(&mut other, now));
            prop_assert_eq!(one.deadline(), other.deadline());
        }
        let ends = |race: &Race| -> Vec<Option<AttemptEnd>> {
            race.attempts().iter().map(|a| a.end.clone().map(|(_, end)| end)).collect()
        };
        prop_assert_eq!(ends(&one), ends(&other));
    }
}
