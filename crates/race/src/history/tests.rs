mod converge;
mod lesson;

use super::*;
use crate::network::Family;
use crate::rfc6724::Memory;
use alloc::format;
use alloc::vec;
use proptest::prelude::*;

const HERE: Boundary = Boundary {
    partition: 1,
    context: 1,
};
const MILLISECOND: Duration = Duration::from_millis(1);

impl History {
    /// Learns from a dial that knew nothing.
    fn learn_all(
        &mut self,
        inside: Boundary,
        host: &str,
        port: u16,
        endings: &[Ending],
        now: Instant,
    ) {
        self.learn(inside, host, port, Era::default(), endings, now);
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn seconds(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn history() -> History {
    History::new(Settings::default(), 7)
}

fn connected(address: &str, millis: u64) -> Ending {
    let round_trip = Some(Duration::from_millis(millis));
    Ending {
        address: ip(address),
        outcome: Outcome::Connected { round_trip },
    }
}

fn silent(address: &str, millis: u64) -> Ending {
    let waited = Duration::from_millis(millis);
    Ending {
        address: ip(address),
        outcome: Outcome::Silent { waited },
    }
}

fn failed(address: &str) -> Ending {
    Ending {
        address: ip(address),
        outcome: Outcome::Failed,
    }
}

/// After one dial that ended at 0 s, what a dial at `at` knows.
fn after(endings: &[Ending], at: Instant) -> Recollection {
    let mut history = history();
    history.learn_all(HERE, "www.example", 443, endings, Instant::ZERO);
    history.recall(HERE, "www.example", 443, at)
}

const SILENT: Memory = Memory {
    silent: true,
    round_trip: None,
    used: false,
};

#[test]
fn c7_remembers_the_round_trip_and_the_use() {
    let known = after(&[connected("192.0.2.1", 20)], seconds(1));
    let memory = Memory {
        silent: false,
        round_trip: Some(Duration::from_millis(20)),
        used: true,
    };
    assert_eq!(known.memory(ip("192.0.2.1")), memory);
    assert_eq!(known.memory(ip("192.0.2.2")), Memory::default());
    let last = known.last(ip("192.0.2.1")).unwrap();
    assert_eq!(last.at, Instant::ZERO);
    assert_eq!(last.outcome, connected("192.0.2.1", 20).outcome);
    assert_eq!(known.last(ip("192.0.2.2")), None);
    assert!(!known.is_empty());
}

#[test]
fn c7_round_trip_is_smoothed_as_in_rfc_6298() {
    let first = RoundTrip::new(Duration::from_millis(80));
    assert_eq!(first.smoothed(), Duration::from_millis(80));
    assert_eq!(first.retransmit_after(), Duration::from_millis(80 + 4 * 40));
    let second = first.with(Duration::from_millis(160));
    // 7/8 * 80 + 1/8 * 160, and 3/4 * 40 + 1/4 * 80.
    assert_eq!(second.smoothed(), Duration::from_millis(90));
    assert_eq!(
        second.retransmit_after(),
        Duration::from_millis(90 + 4 * 50)
    );
    let steady = (0..200).fold(second, |time, _| time.with(Duration::from_millis(30)));
    assert!(steady.smoothed().abs_diff(Duration::from_millis(30)) < MILLISECOND);
    // The clock's grain is the least variation.
    assert!(steady.retransmit_after() >= steady.smoothed() + MILLISECOND);
    // Nothing overflows.
    let endless = RoundTrip::new(Duration::MAX).with(Duration::MAX);
    assert!(endless.retransmit_after() >= endless.smoothed());
}

#[test]
fn c7_unmeasured_success_keeps_what_was_measured() {
    let mut history = history();
    let unmeasured = Ending {
        address: ip("192.0.2.1"),
        outcome: Outcome::Connected { round_trip: None },
    };
    history.learn_all(HERE, "h", 1, &[unmeasured], seconds(0));
    let used = Memory {
        used: true,
        ..Memory::default()
    };
    assert_eq!(
        history
            .recall(HERE, "h", 1, seconds(1))
            .memory(ip("192.0.2.1")),
        used
    );
    history.learn_all(HERE, "h", 1, &[connected("192.0.2.1", 20)], seconds(1));
    history.learn_all(HERE, "h", 1, &[unmeasured], seconds(2));
    history.learn_all(HERE, "h", 1, &[connected("192.0.2.1", 100)], seconds(3));
    let time = history
        .recall(HERE, "h", 1, seconds(4))
        .round_trip(ip("192.0.2.1"))
        .unwrap();
    assert_eq!(time.smoothed(), Duration::from_millis(30));
}

// Silence.

#[test]
fn c7_silent_path_goes_last_when_another_connected() {
    let known = after(
        &[silent("2001:db8::1", 270), connected("192.0.2.1", 20)],
        seconds(1),
    );
    assert_eq!(known.memory(ip("2001:db8::1")), SILENT);
    assert!(!known.memory(ip("192.0.2.1")).silent);
    assert_eq!(known.probed(), None);
}

#[test]
fn c7_silence_blames_no_path_when_nothing_connected() {
    let known = after(
        &[silent("2001:db8::1", 9000), silent("192.0.2.1", 9000)],
        seconds(1),
    );
    assert!(!known.memory(ip("2001:db8::1")).silent);
    assert!(!known.memory(ip("192.0.2.1")).silent);
    let known = after(
        &[silent("2001:db8::1", 9000), failed("192.0.2.1")],
        seconds(1),
    );
    assert!(!known.memory(ip("2001:db8::1")).silent);
    // How it ended is known all the same.
    let last = known.last(ip("2001:db8::1")).unwrap();
    assert_eq!(last.outcome, silent("2001:db8::1", 9000).outcome);
}

#[test]
fn c7_short_silence_is_no_evidence() {
    for (waited, winner, expected) in [
        (99, 20, false),
        (100, 20, true),
        (100, 50, true),
        (101, 51, false),
        (102, 51, true),
    ] {
        let known = after(
            &[
                silent("2001:db8::1", waited),
                connected("192.0.2.1", winner),
            ],
            seconds(1),
        );
        let found = known.memory(ip("2001:db8::1")).silent;
        assert_eq!(
            found, expected,
            "waited {waited} ms, the winner's round trip {winner} ms"
        );
    }
}

#[test]
fn c7_answer_of_any_kind_ends_a_silence() {
    for answer in [connected("2001:db8::1", 20), failed("2001:db8::1")] {
        let mut history = history();
        let dial = [silent("2001:db8::1", 270), connected("192.0.2.1", 20)];
        history.learn_all(HERE, "h", 1, &dial, seconds(0));
        history.learn_all(HERE, "h", 1, &[answer], seconds(1));
        assert!(
            !history
                .recall(HERE, "h", 1, seconds(2))
                .memory(ip("2001:db8::1"))
                .silent
        );
    }
}

#[test]
fn c7_blocked_udp_is_not_a_dead_path() {
    // QUIC and TCP to one address: only the former is silent.
    for answer in [connected("2001:db8::1", 20), failed("2001:db8::1")] {
        let dial = [
            silent("2001:db8::1", 500),
            answer,
            connected("192.0.2.1", 20),
        ];
        assert!(!after(&dial, seconds(1)).memory(ip("2001:db8::1")).silent);
    }
}

#[test]
fn p1_stalled_connection_counts_without_a_winner() {
    let stalled = Ending {
        address: ip("2001:db8::1"),
        outcome: Outcome::Stalled,
    };
    let mut history = history();
    history.learn_all(HERE, "h", 1, &[connected("2001:db8::1", 20)], seconds(0));
    history.learn_all(HERE, "h", 1, &[stalled], seconds(1));
    let known = history.recall(HERE, "h", 1, seconds(2));
    let memory = known.memory(ip("2001:db8::1"));
    assert!(memory.silent);
    // What was measured before belongs to a path that no longer is.
    assert_eq!(memory.round_trip, None);
}

#[test]
fn c7_untried_address_of_a_silent_family_goes_last() {
    let dead = [silent("2001:db8::1", 270), connected("192.0.2.1", 20)];
    assert_eq!(after(&dead, seconds(1)).memory(ip("2001:db8::2")), SILENT);
    assert!(!after(&dead, seconds(1)).memory(ip("192.0.2.2")).silent);
    // The other way round.
    let dead = [silent("192.0.2.1", 270), connected("2001:db8::1", 20)];
    assert_eq!(after(&dead, seconds(1)).memory(ip("192.0.2.2")), SILENT);
    assert!(!after(&dead, seconds(1)).memory(ip("2001:db8::2")).silent);
    // One address of the family answers: then it is not the family.
    let alive = [
        silent("2001:db8::1", 270),
        connected("2001:db8::3", 20),
        connected("192.0.2.1", 20),
    ];
    assert!(!after(&alive, seconds(1)).memory(ip("2001:db8::2")).silent);
    // Nobody knows whether the other family is any better.
    let other_unknown = [silent("2001:db8::1", 270), connected("2001:db8::3", 20)];
    assert!(
        !after(&other_unknown, seconds(1))
            .memory(ip("2001:db8::2"))
            .silent
    );
    // The other family went silent too, after it had connected.
    let mut history = history();
    history.learn_all(
        HERE,
        "h",
        1,
        &[silent("2001:db8::1", 270), connected("192.0.2.1", 20)],
        seconds(0),
    );
    history.learn_all(
        HERE,
        "h",
        1,
        &[Ending {
            address: ip("192.0.2.1"),
            outcome: Outcome::Stalled,
        }],
        seconds(1),
    );
    assert!(
        !history
            .recall(HERE, "h", 1, seconds(2))
            .memory(ip("2001:db8::2"))
            .silent
    );
}

// D2: pacing.

const BOUNDS: Bounds = Bounds {
    default: Duration::from_millis(250),
    minimum: Duration::from_millis(100),
    maximum: Duration::from_secs(2),
};

#[test]
fn d2_attempt_delay_follows_the_round_trip_within_the_bounds() {
    for (round_trip, delay) in [
        (1, 100),
        (33, 100),
        (34, 102),
        (100, 300),
        (666, 1998),
        (5000, 2000),
    ] {
        let known = after(&[connected("192.0.2.1", round_trip)], seconds(1));
        let found = known.attempt_delay(ip("192.0.2.1"), BOUNDS);
        assert_eq!(found, Duration::from_millis(delay), "{round_trip} ms");
    }
    let unknown = Recollection::default();
    assert_eq!(
        unknown.attempt_delay(ip("192.0.2.1"), BOUNDS),
        BOUNDS.default
    );
}

#[test]
fn d4_d5_attempt_delay_keeps_to_the_bounds_whatever_the_default() {
    let unknown = Recollection::default();
    let odd = |millis| Bounds {
        default: Duration::from_millis(millis),
        ..BOUNDS
    };
    assert_eq!(
        unknown.attempt_delay(ip("192.0.2.1"), odd(5)),
        BOUNDS.minimum
    );
    assert_eq!(
        unknown.attempt_delay(ip("192.0.2.1"), odd(9000)),
        BOUNDS.maximum
    );
}

#[test]
fn d2_path_that_went_silent_is_given_the_minimum() {
    let known = after(
        &[silent("2001:db8::1", 270), connected("192.0.2.1", 200)],
        seconds(1),
    );
    assert!(
        !known.memory(ip("2001:db8::1")).silent,
        "270 ms are not twice 200 ms"
    );
    let known = after(
        &[silent("2001:db8::1", 470), connected("192.0.2.1", 200)],
        seconds(1),
    );
    assert_eq!(
        known.attempt_delay(ip("2001:db8::1"), BOUNDS),
        BOUNDS.minimum
    );
    assert_eq!(
        known.attempt_delay(ip("192.0.2.1"), BOUNDS),
        Duration::from_millis(600)
    );
}

// Expiry and re-probes.

#[test]
fn c10_nothing_is_older_than_ten_minutes_even_when_refreshed() {
    let mut history = history();
    for minute in 0..10 {
        history.learn_all(
            HERE,
            "h",
            1,
            &[connected("192.0.2.1", 20)],
            seconds(60 * minute),
        );
    }
    let last = Instant::from_millis(10 * 60 * 1000 - 1);
    assert!(!history.recall(HERE, "h", 1, last).is_empty());
    assert!(!history.is_empty());
    assert!(history.recall(HERE, "h", 1, seconds(600)).is_empty());
    assert!(history.is_empty());
    // What comes after starts a new life.
    history.learn_all(HERE, "h", 1, &[connected("192.0.2.1", 80)], seconds(600));
    let known = history.recall(HERE, "h", 1, seconds(1199));
    assert_eq!(
        known.round_trip(ip("192.0.2.1")),
        Some(RoundTrip::new(80 * MILLISECOND))
    );
}

#[test]
fn c10_expired_facts_do_not_return_with_the_next_lesson() {
    let mut history = history();
    let dead = [silent("2001:db8::1", 270), connected("192.0.2.1", 20)];
    history.learn_all(HERE, "h", 1, &dead, seconds(0));
    history.learn_all(HERE, "h", 1, &[connected("192.0.2.1", 20)], seconds(600));
    assert!(
        !history
            .recall(HERE, "h", 1, seconds(601))
            .memory(ip("2001:db8::1"))
            .silent
    );
    assert_eq!(history.len(), 1);
}

#[test]
fn c10_dial_by_expired_facts_teaches_nothing() {
    let mut history = history();
    history.learn_all(HERE, "h", 1, &[connected("192.0.2.1", 20)], seconds(0));
    let old = history.recall(HERE, "h", 1, seconds(599));
    // Its end comes after the facts are gone, whether somebody noticed or not.
    history.learn(
        HERE,
        "h",
        1,
        old.era(),
        &[connected("192.0.2.1", 20)],
        seconds(600),
    );
    assert!(history.recall(HERE, "h", 1, seconds(601)).is_empty());
    // Nor does it when new facts were born meanwhile.
    history.learn_all(HERE, "h", 1, &[connected("192.0.2.2", 20)], seconds(602));
    history.learn(
        HERE,
        "h",
        1,
        old.era(),
        &[connected("192.0.2.1", 20)],
        seconds(603),
    );
    let new = history.recall(HERE, "h", 1, seconds(604));
    assert_eq!(new.last(ip("192.0.2.1")), None);
    assert!(new.last(ip("192.0.2.2")).is_some());
    // A dial by the facts that hold, or by none, does.
    history.learn(
        HERE,
        "h",
        1,
        new.era(),
        &[connected("192.0.2.3", 20)],
        seconds(605),
    );
    history.learn_all(HERE, "h", 1, &[connected("192.0.2.4", 20)], seconds(606));
    let now = history.recall(HERE, "h", 1, seconds(607));
    assert!(now.last(ip("192.0.2.3")).is_some() && now.last(ip("192.0.2.4")).is_some());
    assert_eq!(now.era(), new.era());
    assert_eq!(Recollection::default().era(), Era::default());
}

/// The first second at which a dial (one a second) tries the silent path again.
fn first_probe(history: &mut History, from: u64) -> u64 {
    (from..from + 600)
        .find(|&second| {
            history
                .recall(HERE, "h", 1, seconds(second))
                .probed()
                .is_some()
        })
        .unwrap()
}

#[test]
fn c10_silent_path_is_tried_again_after_one_to_two_minutes() {
    let mut found = vec![];
    for seed in 0..50 {
        let mut history = History::new(Settings::default(), seed);
        let dead = [silent("2001:db8::1", 270), connected("192.0.2.1", 20)];
        history.learn_all(HERE, "h", 1, &dead, seconds(0));
        found.push(first_probe(&mut history, 0));
    }
    assert!(
        found.iter().all(|second| (60..=120).contains(second)),
        "{found:?}"
    );
    // The seed spreads them.
    let spread = found.iter().max().unwrap() - found.iter().min().unwrap();
    assert!(spread > 40, "{found:?}");
}

#[test]
fn c10_probe_is_one_dials_task_and_later_ones_wait() {
    let mut history = history();
    let dead = [silent("2001:db8::1", 270), connected("192.0.2.1", 20)];
    history.learn_all(HERE, "h", 1, &dead, seconds(0));
    let when = first_probe(&mut history, 0);
    for _ in 0..100 {
        let known = history.recall(HERE, "h", 1, seconds(when));
        assert_eq!(known.probed(), None);
        assert_eq!(known.memory(ip("2001:db8::1")), SILENT);
    }
    // The dial never came back with a result: the next probe is due as if the path were still silent.
    let next = first_probe(&mut history, when + 1);
    assert!((60..=120).contains(&(next - when)), "{when} {next}");
}

#[test]
fn c10_probe_ignores_what_speaks_for_the_others() {
    let mut history = history();
    let dead = [
        silent("2001:db8::1", 520),
        silent("2001:db8::2", 270),
        connected("2001:db8::3", 20),
        connected("192.0.2.1", 20),
    ];
    history.learn_all(HERE, "h", 1, &dead, seconds(0));
    let known = history.recall(HERE, "h", 1, seconds(120));
    assert_eq!(known.probed(), Some(ip("2001:db8::1")));
    for fresh in ["2001:db8::1", "2001:db8::3", "192.0.2.1"] {
        assert_eq!(known.memory(ip(fresh)), Memory::default(), "{fresh}");
    }
    // One at a time: whoever dials pays for one silence at most.
    assert_eq!(known.memory(ip("2001:db8::2")), SILENT);
    assert_eq!(
        known.attempt_delay(ip("2001:db8::1"), BOUNDS),
        BOUNDS.minimum
    );
    // Pacing may still use what was measured.
    assert_eq!(
        known.attempt_delay(ip("2001:db8::3"), BOUNDS),
        BOUNDS.minimum
    );
    assert!(known.round_trip(ip("2001:db8::3")).is_some());
    let next = history.recall(HERE, "h", 1, seconds(120));
    assert_eq!(next.probed(), Some(ip("2001:db8::2")));
}

#[test]
fn c10_probe_lifts_the_blame_from_the_family() {
    let mut history = history();
    let dead = [silent("2001:db8::1", 270), connected("192.0.2.1", 20)];
    history.learn_all(HERE, "h", 1, &dead, seconds(0));
    let known = history.recall(HERE, "h", 1, seconds(120));
    assert_eq!(known.probed(), Some(ip("2001:db8::1")));
    assert_eq!(known.memory(ip("2001:db8::9")), Memory::default());
}

#[test]
fn c10_wait_doubles_while_the_path_stays_silent() {
    let mut history = history();
    let dead = [silent("2001:db8::1", 270), connected("192.0.2.1", 20)];
    history.learn_all(HERE, "h", 1, &dead, seconds(0));
    let first = first_probe(&mut history, 0);
    history.learn_all(HERE, "h", 1, &dead, seconds(first));
    let second = first_probe(&mut history, first + 1);
    assert!((120..=240).contains(&(second - first)), "{first} {second}");
}

// Boundaries and bounds.

#[test]
fn c8_partitions_know_nothing_of_each_other() {
    let mut history = history();
    history.learn_all(HERE, "h", 1, &[connected("192.0.2.1", 20)], seconds(0));
    let other = Boundary {
        partition: 2,
        ..HERE
    };
    assert!(history.recall(other, "h", 1, seconds(1)).is_empty());
    assert!(!history.recall(HERE, "h", 1, seconds(1)).is_empty());
    history.forget(1);
    assert!(history.recall(HERE, "h", 1, seconds(1)).is_empty());
}

#[test]
fn c9_contexts_know_nothing_of_each_other() {
    let mut history = history();
    history.learn_all(HERE, "h", 1, &[connected("192.0.2.1", 20)], seconds(0));
    let other = Boundary { context: 2, ..HERE };
    assert!(history.recall(other, "h", 1, seconds(1)).is_empty());
    assert!(!history.recall(HERE, "h", 1, seconds(1)).is_empty());
}

#[test]
fn c9_change_of_the_network_forgets_unless_it_is_recognised() {
    let other = Boundary { context: 2, ..HERE };
    let mut history = history();
    history.learn_all(HERE, "h", 1, &[connected("192.0.2.1", 20)], seconds(0));
    history.learn_all(other, "h", 1, &[connected("192.0.2.1", 20)], seconds(0));
    history.network_changed(2, Resume::WhenRecognised);
    assert_eq!(history.len(), 2);
    history.network_changed(2, Resume::Never);
    assert!(history.recall(HERE, "h", 1, seconds(1)).is_empty());
    assert!(!history.recall(other, "h", 1, seconds(1)).is_empty());
    history.network_changed(3, Resume::Never);
    assert!(history.is_empty());
}

#[test]
fn c8_hosts_and_ports_are_kept_apart() {
    let mut history = history();
    history.learn_all(HERE, "h", 1, &[connected("192.0.2.1", 20)], seconds(0));
    assert!(history.recall(HERE, "h", 2, seconds(1)).is_empty());
    assert!(history.recall(HERE, "i", 1, seconds(1)).is_empty());
    // Names of the DNS have no case.
    assert!(!history.recall(HERE, "H", 1, seconds(1)).is_empty());
}

#[test]
fn c8_size_is_bounded_and_the_least_used_goes_first() {
    let settings = Settings {
        partitions: 2,
        hosts: 3,
        addresses: 2,
        ..Settings::default()
    };
    let mut history = History::new(settings, 7);
    for host in 0..5 {
        history.learn_all(
            HERE,
            &format!("h{host}"),
            1,
            &[connected("192.0.2.1", 20)],
            seconds(host),
        );
        // The first is in use all the time.
        assert!(!history.recall(HERE, "h0", 1, seconds(host)).is_empty());
    }
    assert_eq!(history.len(), 3);
    for (host, kept) in [
        ("h0", true),
        ("h1", false),
        ("h2", false),
        ("h3", true),
        ("h4", true),
    ] {
        assert_eq!(
            !history.recall(HERE, host, 1, seconds(5)).is_empty(),
            kept,
            "{host}"
        );
    }
    // Addresses.
    let dial = ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|address| connected(address, 20));
    history.learn_all(HERE, "h0", 1, &dial, seconds(6));
    let known = history.recall(HERE, "h0", 1, seconds(7));
    let kept =
        ["192.0.2.1", "192.0.2.2", "192.0.2.3"].map(|address| known.last(ip(address)).is_some());
    assert_eq!(kept, [false, true, true]);
    // Partitions.
    for partition in [2, 1, 3] {
        let inside = Boundary {
            partition,
            context: 1,
        };
        history.learn_all(inside, "h0", 1, &[connected("192.0.2.1", 20)], seconds(8));
    }
    for (partition, kept) in [(1, true), (2, false), (3, true)] {
        let inside = Boundary {
            partition,
            context: 1,
        };
        assert_eq!(
            !history.recall(inside, "h0", 1, seconds(9)).is_empty(),
            kept,
            "{partition}"
        );
    }
}

#[test]
fn c8_expired_hosts_make_room_before_live_ones() {
    let settings = Settings {
        hosts: 2,
        ..Settings::default()
    };
    let mut history = History::new(settings, 7);
    history.learn_all(HERE, "old", 1, &[connected("192.0.2.1", 20)], seconds(0));
    history.learn_all(HERE, "live", 1, &[connected("192.0.2.1", 20)], seconds(300));
    // Used last, and yet out of date.
    let _ = history.recall(HERE, "old", 1, seconds(599));
    history.learn_all(HERE, "new", 1, &[connected("192.0.2.1", 20)], seconds(601));
    assert!(!history.recall(HERE, "live", 1, seconds(602)).is_empty());
    assert!(!history.recall(HERE, "new", 1, seconds(602)).is_empty());
}

#[test]
fn c8_memory_without_room_keeps_nothing() {
    for settings in [
        Settings {
            partitions: 0,
            ..Settings::default()
        },
        Settings {
            hosts: 0,
            ..Settings::default()
        },
        Settings {
            addresses: 0,
            ..Settings::default()
        },
    ] {
        let mut history = History::new(settings, 7);
        history.learn_all(HERE, "h", 1, &[connected("192.0.2.1", 20)], seconds(0));
        assert!(history.recall(HERE, "h", 1, seconds(1)).is_empty());
    }
    let mut history = history();
    history.learn_all(HERE, "h", 1, &[], seconds(0));
    assert!(history.is_empty());
}

#[test]
fn c7_both_families_can_be_told_apart() {
    assert_eq!(Family::of(ip("192.0.2.1")), Family::V4);
    assert_eq!(Family::of(ip("2001:db8::1")), Family::V6);
}

/// What a page can do to the memory.
#[derive(Clone, Debug)]
enum Step {
    Learn {
        host: u8,
        address: u8,
        outcome: Outcome,
    },
    Recall {
        host: u8,
    },
    Wait {
        seconds: u64,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        (0_u64..300).prop_map(|millis| Outcome::Connected {
            round_trip: Some(Duration::from_millis(millis))
        }),
        Just(Outcome::Failed),
        (0_u64..900).prop_map(|millis| Outcome::Silent {
            waited: Duration::from_millis(millis)
        }),
        Just(Outcome::Stalled),
    ];
    prop_oneof![
        (0_u8..6, 0_u8..6, outcome).prop_map(|(host, address, outcome)| Step::Learn {
            host,
            address,
            outcome
        }),
        (0_u8..6).prop_map(|host| Step::Recall { host }),
        (0_u64..90).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

fn address(number: u8) -> IpAddr {
    let text = if number.is_multiple_of(2) {
        "2001:db8::"
    } else {
        "192.0.2."
    };
    ip(&format!("{text}{}", number + 1))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// No supercookie: what is recalled inside one boundary is the same whatever happens inside others.
    #[test]
    fn c8_c9_nothing_crosses_a_boundary(
        steps in prop::collection::vec((any::<bool>(), any_step()), 0..120),
        same_context in any::<bool>(),
    ) {
        let settings = Settings { hosts: 3, addresses: 3, ..Settings::default() };
        let inside = Boundary { partition: 1, context: 1 };
        let outside = if same_context {
            Boundary { partition: 2, context: 1 }
        } else {
            Boundary { partition: 2, context: 2 }
        };
        let mut alone = History::new(settings, 7);
        let mut shared = History::new(settings, 7);
        let mut now = Instant::ZERO;
        for (ours, step) in steps {
            match step {
                Step::Wait { seconds } => now += Duration::from_secs(seconds),
                Step::Recall { host } => {
                    let host = format!("h{host}");
                    if ours {
                        let one = alone.recall(inside, &host, 443, now);
                        prop_assert_eq!(one, shared.recall(inside, &host, 443, now));
                    } else {
                        let _ = shared.recall(outside, &host, 443, now);
                    }
                }
                Step::Learn { host, address: number, outcome } => {
                    let host = format!("h{host}");
                    let dial = [
                        Ending { address: address(number), outcome },
                        connected("192.0.2.99", 20),
                    ];
                    if ours {
                        alone.learn_all(inside, &host, 443, &dial, now);
                        shared.learn_all(inside, &host, 443, &dial, now);
                    } else {
                        shared.learn_all(outside, &host, 443, &dial, now);
                    }
                }
            }
        }
    }

    /// The delay is within the bounds, whatever was learned.
    #[test]
    fn d2_delay_is_always_within_the_bounds(
        steps in prop::collection::vec(any_step(), 0..60),
        number in 0_u8..6,
        host in 0_u8..6,
    ) {
        let mut history = history();
        let mut now = Instant::ZERO;
        for step in steps {
            match step {
                Step::Wait { seconds } => now += Duration::from_secs(seconds),
                Step::Recall { host } => {
                    let _ = history.recall(HERE, &format!("h{host}"), 443, now);
                }
                Step::Learn { host, address: number, outcome } => {
                    let dial = [Ending { address: address(number), outcome }];
                    history.learn_all(HERE, &format!("h{host}"), 443, &dial, now);
                }
            }
        }
        let known = history.recall(HERE, &format!("h{host}"), 443, now);
        let delay = known.attempt_delay(address(number), BOUNDS);
        prop_assert!(delay >= BOUNDS.minimum && delay <= BOUNDS.maximum);
    }
}
