//! Any text as a recording of a race: reading never panics, and what was run prints a recording that runs to the same
//! text again.
//!
//! The lines of what came in are fed to the machine, whatever the text says goes out. Good seeds are
//! `crates/race/vectors/*.txt`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twinstack_race::text::{Clock, Recording, Said, parse, print};
use twinstack_race::{Instant, Race};

fuzz_target!(|text: &str| {
    let Ok(recordings) = parse(text) else {
        return;
    };
    for recording in &recordings {
        if let Some(race) = run(recording) {
            check(&race);
        }
    }
});

/// Feeds what comes in; `None` when the race cannot be started.
fn run(recording: &Recording) -> Option<Race> {
    let mut race = recording.race().ok()?;
    let mut now = Instant::ZERO;
    drain(&mut race, now);
    for line in &recording.lines {
        now = now.max(Instant::ZERO + line.at);
        drain(&mut race, now);
        if let Said::In(input) = &line.what {
            // An input that changes nothing is not recorded.
            let _ = race.input(input.clone(), now);
            drain(&mut race, now);
        }
    }
    Some(race)
}

fn drain(race: &mut Race, now: Instant) {
    while race.next(now).is_some() {}
}

fn check(race: &Race) {
    let text = print(race);
    let again = parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let [again] = &again[..] else {
        panic!("{} recordings of one race\n{text}", again.len());
    };
    let second = again
        .replay(Clock::AsRecorded)
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(print(&second), text);
    assert_eq!(second.events(), race.events());
}
