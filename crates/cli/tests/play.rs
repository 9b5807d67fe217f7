//! The replay, through the real binary: real namespaces, real packets, and numbers that hold.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests; a failure there is a failed test"
)]

#[path = "support/shared.rs"]
mod support;

use serde_json::Value;
use std::time::{Duration, Instant};
use support::{text, twinstack};
use twinstack_testkit::{Need, can_run};

/// How long the legacy client is willing to wait.
const GIVE_UP: f64 = 20.0;

/// Plays and returns the story.
fn play(arguments: &[&str]) -> Value {
    let all = [&["lab", "play", "so-2017", "--format", "json"], arguments].concat();
    let output = twinstack(&all).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn runs(round: &Value) -> &[Value] {
    round["runs"].as_array().unwrap()
}

/// A client's run in a round.
fn run<'a>(round: &'a Value, network: &str, client: &str) -> &'a Value {
    runs(round)
        .iter()
        .find(|run| run["network"] == network && run["client"] == client)
        .unwrap()
}

/// The network in which IPv6 is in this state.
fn network<'a>(story: &'a Value, ipv6: &str) -> &'a str {
    let networks = story["networks"].as_array().unwrap();
    networks
        .iter()
        .find(|network| network["ipv6"] == ipv6)
        .unwrap()["name"]
        .as_str()
        .unwrap()
}

fn elapsed(run: &Value) -> f64 {
    run["measured"]["elapsed_seconds"].as_f64().unwrap()
}

fn codes(round: &Value, network: &str) -> Vec<String> {
    let checks = round["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["network"] == network)
        .unwrap();
    let mut codes: Vec<String> = check["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["code"].as_str().unwrap().to_owned())
        .collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// The client's clock and the recording tell the same story.
fn agrees(run: &Value) {
    let packets = &run["from_packets"];
    assert!(packets.is_object(), "nothing recorded: {run}");
    if run["measured"]["ending"] != "answered" {
        assert!(
            packets["elapsed_seconds"].is_null(),
            "no answer, yet an answer was recorded: {run}"
        );
        return;
    }
    let (measured, seen) = (elapsed(run), packets["elapsed_seconds"].as_f64().unwrap());
    let margin = (measured / 10.0).max(0.05);
    assert!(
        (measured - seen).abs() <= margin,
        "measured {measured}, in the packets {seen}: {run}"
    );
    assert_eq!(run["measured"]["family"], packets["family"], "{run}");
}

#[test]
fn the_incident_hurts_one_client_and_the_mend_helps_it() {
    if !can_run(
        "the_incident_hurts_one_client_and_the_mend_helps_it",
        &[Need::Namespaces],
    ) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (page, trace) = (
        directory.path().join("story.html"),
        directory.path().join("story.pcapng"),
    );
    let started = Instant::now();
    let story = play(&[
        "--report",
        page.to_str().unwrap(),
        "--trace",
        trace.to_str().unwrap(),
    ]);
    assert!(
        started.elapsed() < Duration::from_mins(1),
        "{:?}",
        started.elapsed()
    );
    let (before, after) = (&story["before"], &story["after"]);

    // The legacy client in the café gives up at 20 s; everybody else is served at once.
    for run in runs(before) {
        if run["network"] == "cafe" && run["client"] == "legacy" {
            assert_eq!(run["measured"]["ending"], "gave-up", "{run}");
            assert!((elapsed(run) - GIVE_UP).abs() < 0.5, "{run}");
            let syns = run["from_packets"]["attempts"][0]["syn_seconds"]
                .as_array()
                .unwrap();
            assert!(syns.len() > 3, "the kernel repeats its SYN: {run}");
            assert!(
                syns.last().unwrap().as_f64().unwrap() > GIVE_UP / 2.0,
                "{run}"
            );
        } else {
            assert!(
                run["measured"]["status"] == 200 && elapsed(run) < 1.0,
                "{run}"
            );
        }
    }
    assert_eq!(run(before, "office", "legacy")["measured"]["family"], "v6");
    assert_eq!(
        run(before, network(&story, "absent"), "legacy")["measured"]["family"],
        "v4"
    );
    let modern = elapsed(run(before, "cafe", "modern"));
    assert!(
        (0.25..1.0).contains(&modern),
        "one step of 250 ms, not more: {modern}"
    );

    // Each change helps by itself, and all of them together help everybody.
    let mends = story["mends"].as_array().unwrap();
    let kinds: Vec<&str> = mends
        .iter()
        .map(|mend| mend["what"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["ptr", "fallback", "aaaa-limited"]);
    let fallback = &mends[1]["run"];
    assert!(
        fallback["strategy"] == "happy-eyeballs" && (0.25..1.0).contains(&elapsed(fallback)),
        "{fallback}"
    );
    let limited = &mends[2]["run"];
    assert!(
        limited["strategy"] == "sequential" && elapsed(limited) < 0.25,
        "{limited}"
    );
    for run in runs(after) {
        assert!(
            run["measured"]["status"] == 200 && elapsed(run) < 1.0,
            "{run}"
        );
    }
    assert_eq!(run(after, "cafe", "legacy")["measured"]["family"], "v4");
    assert_eq!(run(after, "office", "legacy")["measured"]["family"], "v6");

    // What `check` finds is what was broken.
    assert_eq!(codes(before, "office"), ["ptr.malformed"]);
    assert!(
        codes(before, "cafe").contains(&"reach.fw-drop".to_owned()),
        "{:?}",
        codes(before, "cafe")
    );
    assert_eq!(codes(after, "office"), [""; 0]);
    assert!(!codes(after, "cafe").contains(&"reach.fw-drop".to_owned()));

    // Every number a second time from the packets.
    for run in runs(before)
        .iter()
        .chain(runs(after))
        .chain([fallback, limited])
    {
        agrees(run);
    }
    assert!(std::fs::metadata(&trace).unwrap().len() > 10_000);
    let page = std::fs::read_to_string(&page).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(
        page.matches("<svg class=\"lane\"").count() >= runs(before).len() * 2,
        "both rounds are drawn"
    );
}

#[test]
fn without_the_fault_nobody_hangs_and_nothing_is_found() {
    if !can_run(
        "without_the_fault_nobody_hangs_and_nothing_is_found",
        &[Need::Namespaces],
    ) {
        return;
    }
    let story = play(&["--without-fault"]);
    assert_eq!(story["with_fault"], false);
    let before = &story["before"];
    for run in runs(before) {
        assert!(
            run["measured"]["status"] == 200 && elapsed(run) < 1.0,
            "{run}"
        );
        agrees(run);
    }
    assert_eq!(run(before, "cafe", "legacy")["measured"]["family"], "v6");
    assert_eq!(codes(before, "office"), [""; 0]);
    assert!(
        story["elapsed_seconds"].as_f64().unwrap() < GIVE_UP,
        "nothing to wait for: {}",
        story["elapsed_seconds"]
    );
}

#[test]
fn a_page_that_cannot_be_written_is_refused_before_anybody_waits() {
    let started = Instant::now();
    let output = twinstack(&["lab", "play", "so-2017", "--report", "/nowhere/at/all.html"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    assert!(
        text(&output.stderr).contains("/nowhere/at/all.html"),
        "{}",
        text(&output.stderr)
    );
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_incident_that_nobody_knows_is_wrong_usage() {
    let output = twinstack(&["lab", "play", "so-2018"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(
        text(&output.stderr).contains("so-2017"),
        "{}",
        text(&output.stderr)
    );
}
