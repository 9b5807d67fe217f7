//! Inputs at random, sensible or not: nothing panics, nothing spins, and the order within an instant does not matter.

use crate::support::{endings, settings, start_times};
use crate::world::{ip, ms};
use proptest::prelude::*;
use std::net::IpAddr;
use std::time::Duration;
use twinstack_race::text::{parse, print};
use twinstack_race::{
    Answer, AttemptEnd, AttemptError, AttemptErrorKind, AttemptId, ConfigError, Input, Instant,
    Name, Network, Output, QueryError, QueryErrorKind, QueryId, Race, ServiceRecord,
};

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
        let starts = start_times(race.events());
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
