//! Every vector under `vectors/`, run by the machine. A failure names the file and the line.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot read its vectors has failed"
)]

use std::fs;
use std::path::Path;
use twinstack_race::text::{Clock, Recording, Said, parse, print};

fn vectors() -> Vec<(String, Vec<Recording>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap();
        let recordings = parse(&text).unwrap_or_else(|error| panic!("vectors/{file}:{error}"));
        (file, recordings)
    };
    files.iter().map(read).collect()
}

#[test]
fn every_vector_runs_as_it_says() {
    let mut failures = Vec::new();
    for (file, recordings) in vectors() {
        for recording in recordings {
            if let Err(error) = recording.replay(Clock::Exact) {
                failures.push(format!("vectors/{file}:{error} (in `{}`)", recording.name));
            }
        }
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

#[test]
fn every_vector_has_a_name_and_expects_something() {
    let mut names = Vec::new();
    for (file, recordings) in vectors() {
        assert!(!recordings.is_empty(), "vectors/{file} is empty");
        for recording in recordings {
            let place = format!("vectors/{file}:{}", recording.line);
            assert!(!recording.name.is_empty(), "{place} has no name");
            assert!(
                !names.contains(&recording.name),
                "{place}: `{}` twice",
                recording.name
            );
            let attempts = |said: &Said| match said {
                Said::Out(text) => text.starts_with("attempt") || text.starts_with("finished"),
                Said::In(_) => false,
            };
            assert!(
                recording.lines.iter().any(|line| attempts(&line.what)),
                "{place}"
            );
            names.push(recording.name);
        }
    }
    // Thirty-odd cases of others and the draft's own: a folder that is not found must not pass.
    assert!(names.len() >= 60, "only {} vectors", names.len());
}

#[test]
fn a_vector_that_was_run_prints_a_recording_that_runs_to_the_same_text() {
    for (file, recordings) in vectors() {
        for recording in recordings {
            let place = format!("vectors/{file}:{} ({})", recording.line, recording.name);
            let race = recording
                .replay(Clock::Exact)
                .unwrap_or_else(|e| panic!("{place}: {e}"));
            let text = print(&race);
            let again = parse(&text).unwrap_or_else(|error| panic!("{place}: {error}\n{text}"));
            let [again] = &again[..] else {
                panic!("{place}")
            };
            let second = again.replay(Clock::AsRecorded).unwrap_or_else(|error| {
                panic!("{place}: {error}\n{text}");
            });
            assert_eq!(print(&second), text, "{place}");
            assert_eq!(second.events(), race.events(), "{place}");
        }
    }
}
