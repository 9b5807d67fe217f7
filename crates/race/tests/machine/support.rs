//! What the tests share.

use proptest::prelude::ProptestConfig;
use std::collections::BTreeMap;
use std::time::Duration;
use twinstack_race::text::{Clock, parse};
use twinstack_race::{AttemptId, Event, Input, Instant, Outcome, Output, Race, What};

/// Runs a race that is written as text, with a clock that is never late; the race as it stands after the last line.
pub(crate) fn plays(text: &str) -> Race {
    let recordings = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let [recording] = &recordings[..] else {
        panic!("not one recording: {}", recordings.len())
    };
    recording
        .replay(Clock::Exact)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The outputs of a race as text, without their times.
pub(crate) fn outputs(race: &Race) -> Vec<String> {
    let text = twinstack_race::text::print(race);
    let lines = text.lines().filter(|line| line.starts_with('+'));
    let words = ["query ", "attempt ", "cancel-", "finished "];
    let said = lines.filter_map(|line| line.split_once(' ').map(|(_, said)| said.to_owned()));
    said.filter(|said| words.iter().any(|word| said.starts_with(word)))
        .collect()
}

/// The addresses that were tried, in order.
pub(crate) fn tried(race: &Race) -> Vec<String> {
    race.attempts()
        .iter()
        .map(|attempt| attempt.endpoint.address.to_string())
        .collect()
}

/// When attempts started, in milliseconds since the race began.
pub(crate) fn starts(race: &Race) -> Vec<u128> {
    let outputs = race.events().iter().filter_map(|event| match &event.what {
        What::Out(Output::Attempt { .. }) => Some((event.at - race.began()).as_millis()),
        _ => None,
    });
    outputs.collect()
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// `PROPTEST_CASES` asks for more. A failing case is printed whole; what it taught becomes a test of its own.
pub(crate) fn settings(cases: u32) -> ProptestConfig {
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

/// When attempts started.
pub(crate) fn start_times(events: &[Event]) -> Vec<Instant> {
    let start = |event: &Event| match &event.what {
        What::Out(Output::Attempt { .. }) => Some(event.at),
        _ => None,
    };
    events.iter().filter_map(start).collect()
}

/// How often each attempt ended, as the caller saw it.
pub(crate) fn endings(events: &[Event]) -> BTreeMap<AttemptId, usize> {
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
