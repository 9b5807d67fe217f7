//! Worlds at random, and what has to hold in all of them.

use crate::support::{endings, settings, start_times};
use crate::world::{Path, World, ip, ms, name};
use proptest::prelude::*;
use std::time::Duration;
use twinstack_race::text::{Clock, parse, print};
use twinstack_race::{
    Answer, Config, Ech, Instant, Name, ProtocolOrder, QueryType, ServiceRecord, Target,
};

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
                        ProtocolOrder::Grouped
                    } else {
                        ProtocolOrder::Interleaved
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

proptest! {
    #![proptest_config(settings(100))]

    #[test]
    fn d3_no_two_attempts_start_within_the_floor(plan in plan()) {
        let mut world = plan.world();
        world.drive();
        for pair in start_times(world.race.events()).windows(2) {
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
        for start in start_times(world.race.events()) {
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
