//! C10 on a simulated path: clients dial, the path heals, and all of them come back.

use super::*;
use crate::rfc6724::{PolicyTable, Rank, Source, order};

/// One address of the simulated host; without a round trip its path swallows everything.
#[derive(Clone, Copy, Debug)]
struct Road {
    address: IpAddr,
    round_trip: Option<u64>,
}

fn road(address: &str, round_trip: Option<u64>) -> Road {
    Road {
        address: ip(address),
        round_trip,
    }
}

/// A client that dials the way the race does: RFC 6724 with the memory, then one start per attempt delay.
struct Client {
    history: History,
}

impl Client {
    fn new(seed: u64) -> Self {
        Self {
            history: History::new(Settings::default(), seed),
        }
    }

    /// Dials, learns, and tells who won after how long.
    fn dial(&mut self, roads: &[Road], now: Instant) -> (IpAddr, Duration) {
        let known = self.history.recall(HERE, "h", 443, now);
        let policy = PolicyTable::rfc6724();
        let ranks: Vec<Rank> = roads
            .iter()
            .map(|road| {
                let source = match Family::of(road.address) {
                    Family::V6 => Source::new(ip("2001:db8:ffff::1")),
                    Family::V4 => Source::new(ip("198.51.100.1")),
                };
                Rank::new(
                    road.address,
                    Some(&source),
                    known.memory(road.address),
                    &policy,
                )
            })
            .collect();
        let mut start = Duration::ZERO;
        let mut starts = vec![];
        for index in order(&ranks) {
            starts.push((start, roads[index]));
            start += known.attempt_delay(roads[index].address, BOUNDS);
        }
        let (elapsed, winner) = starts
            .iter()
            .filter_map(|(start, road)| {
                Some((*start + Duration::from_millis(road.round_trip?), *road))
            })
            .min_by_key(|(end, _)| *end)
            .expect("one road is open");
        let endings: Vec<Ending> = starts
            .iter()
            .filter(|(start, _)| *start < elapsed)
            .map(|(start, road)| {
                let outcome = if road.address == winner.address {
                    let round_trip = road.round_trip.map(Duration::from_millis);
                    Outcome::Connected { round_trip }
                } else {
                    Outcome::Silent {
                        waited: elapsed.saturating_sub(*start),
                    }
                };
                Ending {
                    address: road.address,
                    outcome,
                }
            })
            .collect();
        self.history
            .learn(HERE, "h", 443, known.era(), &endings, now + elapsed);
        (winner.address, elapsed)
    }
}

fn dual_stack(v6: Option<u64>) -> Vec<Road> {
    vec![road("2001:db8::1", v6), road("192.0.2.1", Some(20))]
}

#[test]
fn c10_dead_path_is_skipped_by_the_second_dial() {
    let mut client = Client::new(1);
    let (winner, first) = client.dial(&dual_stack(None), seconds(0));
    assert_eq!(
        (winner, first),
        (ip("192.0.2.1"), Duration::from_millis(270))
    );
    let (winner, second) = client.dial(&dual_stack(None), seconds(1));
    assert_eq!(
        (winner, second),
        (ip("192.0.2.1"), Duration::from_millis(20))
    );
}

#[test]
fn c10_seven_dead_addresses_cost_one_round_trip_the_second_time() {
    let mut roads: Vec<Road> = (1..=7)
        .map(|n| road(&format!("2001:db8::{n}"), None))
        .collect();
    roads.push(road("192.0.2.1", Some(20)));
    let mut client = Client::new(1);
    assert_eq!(
        client.dial(&roads, seconds(0)).1,
        Duration::from_millis(7 * 250 + 20)
    );
    assert_eq!(client.dial(&roads, seconds(1)).1, Duration::from_millis(20));
    // The eighth may be of the same family, too.
    roads[7] = road("2001:db8::8", Some(20));
    let mut client = Client::new(1);
    client.dial(&roads, seconds(0));
    assert_eq!(client.dial(&roads, seconds(1)).1, Duration::from_millis(20));
}

#[test]
fn c10_broken_path_costs_little_over_an_hour() {
    let mut client = Client::new(3);
    let mut slow = 0;
    for second in 0..3600 {
        let (_, elapsed) = client.dial(&dual_stack(None), seconds(second));
        slow += u32::from(elapsed > Duration::from_millis(20));
    }
    // Each ten minutes: the first time, and probes after 1-2, then 2-4 more, then 4-8 more minutes.
    assert!(
        (6..=6 * 4).contains(&slow),
        "{slow} of 3600 dials paid for a probe"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever has a memory of a dead path uses it again at the latest ten minutes after it healed.
    #[test]
    fn c10_every_client_comes_back_within_ten_minutes_of_healing(
        seed in any::<u64>(),
        broken_for in 0_u64..2_000,
        gaps in prop::collection::vec(1_u64..30, 400),
    ) {
        let mut client = Client::new(seed);
        let mut now = 0;
        let mut healed_at = None;
        for gap in gaps {
            let broken = now < broken_for;
            if !broken && healed_at.is_none() {
                healed_at = Some(now);
            }
            let v6 = (!broken).then_some(30);
            let (winner, _) = client.dial(&dual_stack(v6), seconds(now));
            if healed_at.is_some_and(|healed| now >= healed + 600) {
                prop_assert_eq!(winner, ip("2001:db8::1"), "{} s after healing", now - healed_at.unwrap());
            }
            now += gap;
        }
    }

    /// Two clients with different pasts use the same address ten minutes later, and go on doing so.
    #[test]
    fn c10_clients_with_different_pasts_converge(
        seeds in any::<(u64, u64)>(),
        pasts in prop::array::uniform2(prop::collection::vec(
            (prop::array::uniform4(prop::option::weighted(0.5, 5_u64..200)), 1_u64..60),
            0..40,
        )),
        present in prop::array::uniform4(5_u64..90),
        gap in 5_u64..40,
    ) {
        let addresses = ["2001:db8::1", "2001:db8::2", "2001:db8:1::1", "192.0.2.1"];
        let mut clients = [Client::new(seeds.0), Client::new(seeds.1)];
        let mut ends = [0, 0];
        for ((client, past), end) in clients.iter_mut().zip(pasts).zip(&mut ends) {
            for (times, wait) in past {
                let mut roads: Vec<Road> =
                    addresses.iter().zip(times).map(|(address, time)| road(address, time)).collect();
                roads.push(road("192.0.2.2", Some(50)));
                client.dial(&roads, seconds(*end));
                *end += wait;
            }
        }
        let start = ends[0].max(ends[1]);
        let mut roads: Vec<Road> = addresses
            .iter()
            .zip(present)
            .map(|(address, time)| road(address, Some(time)))
            .collect();
        roads.push(road("192.0.2.2", Some(50)));
        let mut now = start;
        while now < start + 1800 {
            let [one, two] = &mut clients;
            let winners = (one.dial(&roads, seconds(now)).0, two.dial(&roads, seconds(now)).0);
            if now >= start + 600 {
                prop_assert_eq!(winners.0, winners.1, "{} s later", now - start);
            }
            now += gap;
        }
    }
}
