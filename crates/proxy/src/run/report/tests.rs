use super::super::races::Attempt;
use super::*;
use std::io::{Read as _, Seek as _};

/// One line of each kind; `crates/cli` checks them against the schema.
const EXAMPLE: &str = include_str!("example.jsonl");

fn attempt(address: &str, from: u64, to: u64, outcome: Outcome) -> Attempt {
    Attempt {
        address: address.parse().unwrap(),
        started: Duration::from_millis(from),
        ended: Duration::from_millis(to),
        outcome,
    }
}

#[test]
fn lines_are_as_the_example_shows() {
    let mut file = tempfile::tempfile().unwrap();
    let mut report = Report::new(Some(file.try_clone().unwrap()));
    report.race(
        &Race {
            process: 4711,
            name: Some("www.example.com".into()),
            attempts: vec![
                attempt("[2001:db8::1]:443", 500, 750, Outcome::GivenUp),
                attempt("[2001:db8::2]:443", 750, 750, Outcome::Remembered),
                attempt("192.0.2.1:443", 751, 751, Outcome::PassedOn),
            ],
        },
        "git",
    );
    report.race(
        &Race {
            process: 4712,
            name: None,
            attempts: vec![
                attempt(
                    "[2001:db8::3]:80",
                    1000,
                    1020,
                    Outcome::Failed(libc::ECONNREFUSED),
                ),
                attempt("[2001:db8::4]:80", 1020, 1040, Outcome::Connected),
            ],
        },
        "python3",
    );
    report.look_up(
        4711,
        "git",
        "www.example.com",
        "AAAA",
        Duration::from_millis(60),
    );
    for _ in 0..3 {
        report.passes_by(PassedBy::IoUring, 4713, "node");
    }
    report.passes_by(PassedBy::Setuid, 4714, "sudo");
    report.end(0, Duration::from_millis(1500));
    let mut written = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut written).unwrap();
    assert_eq!(written, EXAMPLE);
    let notes = report.notes();
    assert_eq!(notes.len(), 2);
    assert!(
        notes[0].starts_with("`node` set up io_uring (3 times)"),
        "{notes:?}"
    );
    assert!(notes[1].ends_with("that is watched"), "{notes:?}");
}

#[test]
fn a_race_without_attempts_is_no_line() {
    let mut report = Report::default();
    let nothing = Race {
        process: 1,
        name: None,
        attempts: Vec::new(),
    };
    report.race(&nothing, "x");
    assert_eq!(report.notes(), Vec::<String>::new());
}
