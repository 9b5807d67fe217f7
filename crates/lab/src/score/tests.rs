//! A made-up client with known delays, order and limits writes the packets of a whole sweep; the score has to find
//! every one of them again, exactly.

mod client;

use super::*;
use crate::world::model::Family;
use client::{Client, sweep};
use proptest::prelude::*;
use std::time::Duration;

fn verdict(score: &Score, id: &str) -> Verdict {
    let judged = score.checklist.iter().find(|it| it.item.id == id);
    judged.unwrap().verdict
}

fn millis(duration: u64) -> Duration {
    Duration::from_millis(duration)
}

/// What the draft recommends.
fn exemplary() -> Client {
    Client {
        resolution_delay: Some(millis(50)),
        attempt_delay: millis(250),
        multiplier: 1.0,
        first: Family::V6,
        first_count: 1,
        cap: None,
        asks: vec!["HTTPS", "AAAA", "A"],
        keeps_running: true,
        after_refusal: millis(10),
        tls_decides: true,
    }
}

#[test]
fn every_item_is_judged_once_and_in_order() {
    let score = score(&sweep(&exemplary(), 443));
    let ids: Vec<&str> = score.checklist.iter().map(|it| it.item.id).collect();
    let expected: Vec<&str> = CHECKLIST.iter().map(|item| item.id).collect();
    assert_eq!(ids, expected);
    for judged in &score.checklist {
        assert!(!judged.evidence.is_empty(), "{}", judged.item.id);
    }
}

#[test]
fn a_client_by_the_book_fails_nothing_that_the_draft_asks_for() {
    let score = score(&sweep(&exemplary(), 443));
    let failed: Vec<_> = score
        .checklist
        .iter()
        .filter(|it| it.verdict == Verdict::Fail && it.item.level <= Level::Should)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    assert!(!score.has_problems());
    for id in [
        "B1", "B2", "B3", "B4", "C11", "D1", "D2", "D3", "D5", "D6", "E1", "G1",
    ] {
        assert_eq!(verdict(&score, id), Verdict::Pass, "{id}");
    }
}

#[test]
fn each_deviation_is_found_by_its_own_item() {
    let check = |id: &str, change: &dyn Fn(&mut Client)| {
        let mut client = exemplary();
        change(&mut client);
        let score = score(&sweep(&client, 443));
        assert_eq!(
            verdict(&score, id),
            Verdict::Fail,
            "{id}: {:#?}",
            score.measured
        );
        assert!(score.has_problems() || id == "D6" || id == "D11", "{id}");
    };
    check("A1", &|it| it.asks = vec!["HTTPS", "A"]);
    check("A2", &|it| it.asks = vec!["HTTPS", "AAAA"]);
    check("A4", &|it| it.asks = vec!["AAAA", "A"]);
    check("A5", &|it| it.asks = vec!["HTTPS", "A", "AAAA"]);
    check("B1", &|it| it.resolution_delay = None);
    check("B2", &|it| it.resolution_delay = None);
    check("B3", &|it| it.resolution_delay = None);
    check("B4", &|it| it.first = Family::V4);
    check("C11", &|it| it.first_count = 99);
    check("D1", &|it| it.keeps_running = false);
    check("D2", &|it| it.attempt_delay = millis(300));
    check("D3", &|it| it.after_refusal = millis(1));
    check("D4", &|it| it.attempt_delay = millis(50));
    check("D5", &|it| it.attempt_delay = millis(2500));
    check("D6", &|it| it.after_refusal = millis(1));
    check("E1", &|it| it.tls_decides = false);
}

#[test]
fn what_was_not_run_is_not_judged() {
    let score = score(&[]);
    for judged in &score.checklist {
        assert_eq!(judged.verdict, Verdict::NotVisible, "{judged:?}");
    }
    assert_eq!(score.measured, Measured::default());
}

#[test]
fn a_client_that_knows_one_way_only_is_told_so() {
    let client = Client {
        attempt_delay: Duration::from_secs(100),
        ..exemplary()
    };
    let score = score(&sweep(&client, 80));
    assert_eq!(score.measured.attempt_delay, None);
    assert_eq!(verdict(&score, "D2"), Verdict::Fail);
    assert_eq!(verdict(&score, "D5"), Verdict::Fail);
}

fn clients() -> impl Strategy<Value = Client> {
    (
        10_u64..200,
        100_u64..400,
        prop::sample::select(vec![1.0, 1.5, 2.0]),
        any::<bool>(),
        1_usize..4,
        prop::option::of(2_usize..7),
        10_u64..40,
    )
        .prop_map(
            |(resolution, attempt, multiplier, v6_first, first_count, cap, after_refusal)| Client {
                resolution_delay: Some(millis(resolution)),
                attempt_delay: millis(attempt),
                multiplier,
                first: if v6_first { Family::V6 } else { Family::V4 },
                first_count,
                cap,
                after_refusal: millis(after_refusal),
                ..exemplary()
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_parameter_of_a_client_is_found_again(client in clients()) {
        let measured = score(&sweep(&client, 443)).measured;
        prop_assert_eq!(measured.preferred, Some(client.first));
        let attempt = measured.attempt_delay.unwrap();
        prop_assert_eq!(attempt.median, client.attempt_delay);
        // Only a client that prefers IPv6 has to make do without it.
        if client.first == Family::V6 {
            let resolution = measured.resolution_delay.unwrap();
            prop_assert_eq!(Some(resolution.least), client.resolution_delay);
            prop_assert_eq!(Some(resolution.most), client.resolution_delay);
        }
        let reached = client.starts_within(client::ALL_DEAD_LIMIT);
        let attempts = reached.min(client.cap.unwrap_or(20));
        prop_assert_eq!(measured.order.len(), attempts);
        if attempts > client.first_count + 1 {
            prop_assert_eq!(measured.first_family_count, Some(client.first_count));
            prop_assert_eq!(measured.interlaced, Some(true));
        }
        if let Some(cap) = client.cap.filter(|cap| *cap + 2 <= reached) {
            prop_assert_eq!(measured.stops_at, Some(cap));
            prop_assert_eq!(measured.at_once.unwrap().at_least, cap);
        }
        if attempts > 3 {
            prop_assert_eq!(measured.multiplier, Some(client.multiplier));
        }
        prop_assert_eq!(measured.after_refusal.unwrap().median, client.after_refusal);
        prop_assert_eq!(measured.waits_for_aaaa, Some(false));
    }
}
