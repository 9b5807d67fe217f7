//! Any sequence of events, in any order and at any times: the race never panics and keeps its promises.
//!
//! Checked: the floor between two starts, that each started attempt ends exactly once, that the race ends exactly once,
//! the bounds on starts, that a failure names every attempt, that a drained race never asks to be woken at once, that it
//! always ends when left alone, and that its recording replays to the same race.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use twinstack_race::nat64::{Nat64, Prefix64};
use twinstack_race::text::{Clock, parse, print};
use twinstack_race::{
    ATTEMPT_FLOOR, Alpn, Answer, AttemptError, AttemptErrorKind, AttemptId, Config, Ech, EchUse,
    Family, Input, Instant, Name, Network, Outcome, Output, ProtocolOrder, QueryError,
    QueryErrorKind, QueryId, QueryType, Race, ServiceRecord, Target,
};

fuzz_target!(|data: &[u8]| run(data));

/// The fuzzer's bytes, as choices. After the last one every choice is 0.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte() % end.max(1)
    }

    fn yes(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Mostly short, sometimes none, sometimes very long.
    fn wait(&mut self) -> Duration {
        match self.byte() {
            0..=63 => Duration::ZERO,
            n @ 64..=191 => Duration::from_millis(u64::from(n - 63)),
            n @ 192..=250 => Duration::from_millis(u64::from(n - 191) * 50),
            _ => Duration::from_secs(30),
        }
    }
}

fn name(choices: &mut Choices<'_>) -> Name {
    let names = ["www.example", "alt.example", "cdn.example", "www.example."];
    Name::new(names[usize::from(choices.below(4))]).expect("a host name")
}

fn v6(choices: &mut Choices<'_>) -> Ipv6Addr {
    let last = u16::from(choices.below(12));
    match choices.below(4) {
        0 | 1 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last),
        2 => Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0xc000, 0x0200 + last),
        _ => Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0xc000, 0x00aa),
    }
}

fn v4(choices: &mut Choices<'_>) -> Ipv4Addr {
    let last = choices.below(12);
    if choices.below(8) == 0 {
        Ipv4Addr::new(127, 0, 0, last)
    } else {
        Ipv4Addr::new(192, 0, 2, last)
    }
}

fn network(choices: &mut Choices<'_>) -> Network {
    let mut network = Network::dual_stack();
    network.ipv4 = choices.below(4) != 0;
    network.ipv6 = choices.below(4) != 0;
    network.nat64 = match choices.below(4) {
        0 => Some(Nat64::new([Prefix64::WELL_KNOWN]).with_clat(choices.below(4) == 0)),
        1 => Some(Nat64::default()),
        _ => None,
    };
    network.protected_dns = choices.below(4) == 0;
    network.context = u64::from(choices.below(2));
    network
}

fn config(choices: &mut Choices<'_>) -> Config {
    let mut config = Config::default();
    if choices.yes() {
        let delay = Duration::from_millis(u64::from(choices.byte()) * 10);
        config = config.with_attempt_delay(delay);
    }
    config.resolution_delay = Duration::from_millis(u64::from(choices.byte()));
    config.delay_multiplier = 1.0 + f64::from(choices.below(4)) / 2.0;
    config.hurry_on_new_address = choices.yes();
    config.preferred_family = match choices.below(4) {
        0 => Some(Family::V4),
        1 => Some(Family::V6),
        _ => None,
    };
    config.preferred_family_count = usize::from(choices.below(3)) + 1;
    config.protocols = if choices.yes() {
        ProtocolOrder::Grouped
    } else {
        ProtocolOrder::Interleaved
    };
    config.ech = match choices.below(3) {
        0 => EchUse::Off,
        1 => EchUse::Opportunistic,
        _ => EchUse::Rely,
    };
    config.refuse_downgrade = choices.yes();
    config.optimistic_dns = choices.yes();
    config.parallel_attempts = usize::from(choices.below(8)) + 1;
    config.total_attempts = usize::from(choices.below(20)) + 1;
    config.names = usize::from(choices.below(6)) + 1;
    if choices.below(4) == 0 {
        config.query_deadline = None;
        config.attempt_deadline = None;
    }
    config
}

fn service(choices: &mut Choices<'_>) -> ServiceRecord {
    let target = if choices.yes() {
        Some(name(choices))
    } else {
        None
    };
    let mut record = ServiceRecord::new(u16::from(choices.below(4)), target);
    if choices.yes() {
        let alpn = ["h2", "h3", "http/1.1", "x"][usize::from(choices.below(4))];
        record.alpn = Some(vec![Alpn::from(alpn)]);
    }
    record.no_default_alpn = choices.below(4) == 0;
    record.port = (choices.below(4) == 0).then_some(8443);
    for _ in 0..choices.below(3) {
        record.ipv4_hints.push(v4(choices));
        record.ipv6_hints.push(v6(choices));
    }
    record.ech = choices.yes().then(|| Ech::new(b"ech"));
    if choices.below(8) == 0 {
        record.mandatory.push(u16::from(choices.byte()));
    }
    record
}

/// An answer that fits the question, or (rarely) not.
fn answer(choices: &mut Choices<'_>, kind: QueryType) -> Answer {
    let count = choices.below(6);
    let kind = match choices.below(16) {
        0 => QueryType::A,
        1 => QueryType::Https,
        _ => kind,
    };
    let mut answer = match (choices.below(8), kind) {
        (0, _) => Answer::no_data(),
        (1, _) => Answer::nx_domain(),
        (_, QueryType::Https | QueryType::Svcb) => {
            Answer::services((0..count).map(|_| service(choices)).collect::<Vec<_>>())
        }
        (_, QueryType::Aaaa) => Answer::addresses(
            (0..count)
                .map(|_| IpAddr::V6(v6(choices)))
                .collect::<Vec<_>>(),
        ),
        (_, QueryType::A) => Answer::addresses(
            (0..count)
                .map(|_| IpAddr::V4(v4(choices)))
                .collect::<Vec<_>>(),
        ),
    };
    if choices.yes() {
        answer = answer.with_ttl(Duration::from_secs(u64::from(choices.byte())));
    }
    if choices.below(4) == 0 {
        answer = answer.protected();
    }
    if choices.below(8) == 0 {
        answer = answer.stale();
    }
    answer
}

/// What was seen of the race from outside.
#[derive(Default)]
struct Seen {
    asked: BTreeMap<QueryId, QueryType>,
    running: BTreeSet<AttemptId>,
    ended: BTreeSet<AttemptId>,
    succeeded: Option<AttemptId>,
    last_start: Option<Instant>,
    finished: bool,
}

impl Seen {
    fn end(&mut self, id: AttemptId) {
        assert!(
            self.running.remove(&id),
            "attempt {id} ended without running"
        );
        assert!(self.ended.insert(id), "attempt {id} ended twice");
    }

    fn drain(&mut self, race: &mut Race, config: &Config, now: Instant) {
        let mut outputs = 0;
        while let Some(output) = race.next(now) {
            outputs += 1;
            assert!(outputs < 10_000, "the race does not come to rest");
            match output {
                Output::Query { id, kind, .. } => {
                    assert!(
                        self.asked.insert(id, kind).is_none(),
                        "question {id} asked twice"
                    );
                }
                Output::Attempt { id, .. } => {
                    assert!(!self.finished, "attempt {id} after the end");
                    if let Some(last) = self.last_start {
                        assert!(
                            now.since(last) >= ATTEMPT_FLOOR,
                            "attempt {id} is inside the floor"
                        );
                    }
                    self.last_start = Some(now);
                    assert!(self.running.insert(id) && !self.ended.contains(&id));
                    assert!(
                        self.running.len() <= config.parallel_attempts,
                        "too many at a time"
                    );
                    let total = self.running.len() + self.ended.len();
                    assert!(total <= config.total_attempts, "too many in all");
                }
                Output::CancelAttempt { id, .. } => self.end(id),
                Output::Finished(outcome) => {
                    assert!(!self.finished, "the race ended twice");
                    self.finished = true;
                    match outcome {
                        Outcome::Connected { attempt } => {
                            assert_eq!(Some(attempt), self.succeeded, "the winner did not succeed");
                        }
                        Outcome::Failed(failure) => {
                            let named: BTreeSet<AttemptId> =
                                failure.attempts.iter().map(|attempt| attempt.id).collect();
                            let all: BTreeSet<AttemptId> =
                                self.ended.union(&self.running).copied().collect();
                            assert_eq!(named, all, "the failure does not name every attempt");
                        }
                    }
                }
                _ => {}
            }
        }
        assert!(
            !self.finished || self.running.is_empty(),
            "attempts run after the end"
        );
        if let Some(deadline) = race.deadline() {
            assert!(deadline > now, "a drained race asks to be woken at once");
        }
    }
}

fn run(data: &[u8]) {
    let choices = &mut Choices(data);
    let host = name(choices);
    let target = match choices.below(4) {
        0 => Target::tcp(host, 25),
        1 => Target::tls(host, 443, ["h2"]),
        2 => Target::tcp(IpAddr::V4(v4(choices)), 80),
        _ => Target::https(host, 443),
    };
    let config = config(choices);
    // Whoever records has to ask what to do after each input, as all callers should.
    let eager = choices.yes();
    let seed = u64::from(choices.byte());
    let mut now = Instant::from_millis(5);
    let Ok(mut race) = Race::new(target, config.clone(), network(choices), seed, now) else {
        return;
    };
    let mut seen = Seen::default();
    seen.drain(&mut race, &config, now);

    while !choices.0.is_empty() {
        now += choices.wait();
        let query = QueryId(u32::from(choices.below(12)) + 1);
        let attempt = AttemptId(u32::from(choices.below(24)) + 1);
        let kind = seen.asked.get(&query).copied().unwrap_or(QueryType::A);
        let input = match choices.below(12) {
            0..=3 => Input::Answer {
                query,
                answer: answer(choices, kind),
            },
            4 => Input::QueryFailed {
                query,
                error: QueryError::new(QueryErrorKind::ServerFailure, "SERVFAIL"),
            },
            5 => Input::Changed {
                query,
                answer: answer(choices, kind),
            },
            6 => Input::Expired { query },
            7 => Input::Progress { attempt },
            8 => Input::Succeeded { attempt },
            9 => Input::Failed {
                attempt,
                error: AttemptError::new(AttemptErrorKind::Refused, "refused"),
            },
            10 => Input::EchRejected {
                attempt,
                retry: choices.yes().then(|| Ech::new(b"new")),
            },
            _ if choices.below(3) == 0 => Input::Network(network(choices)),
            _ => {
                seen.drain(&mut race, &config, now);
                continue;
            }
        };
        let ends = match &input {
            Input::Succeeded { attempt } | Input::Failed { attempt, .. } => Some(*attempt),
            Input::EchRejected { attempt, .. } => Some(*attempt),
            _ => None,
        };
        let succeeds = matches!(input, Input::Succeeded { .. });
        let taken = race.input(input, now).is_ok();
        if let (true, Some(id)) = (taken, ends) {
            seen.end(id);
            if succeeds {
                seen.succeeded = Some(id);
            }
        }
        if eager || choices.below(8) != 0 {
            seen.drain(&mut race, &config, now);
        }
    }

    // Left alone, it ends: by itself, or by its overall deadline.
    seen.drain(&mut race, &config, now);
    for _ in 0..10_000 {
        let Some(deadline) = race.deadline() else {
            break;
        };
        now = deadline;
        seen.drain(&mut race, &config, now);
    }
    assert!(race.deadline().is_none(), "the race never comes to rest");
    assert!(seen.finished, "the race waits for ever");
    if eager {
        replays(&race);
    }
}

/// The recording of the race is read, runs, and is the same race.
fn replays(race: &Race) {
    let text = print(race);
    let recordings = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let second = recordings[0]
        .replay(Clock::AsRecorded)
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(print(&second), text);
}
