//! Help, manual, completions, and how wrong usage is refused.

use super::{Setup, run, sample, snapshot};
use std::fmt::Write as _;

const COMMANDS: &[&[&str]] = &[
    &[],
    &["check"],
    &["run"],
    &["explain"],
    &["completions"],
    &["man"],
];

#[test]
fn help_reads_well_at_every_width_with_and_without_colour() {
    for width in [40, 80, 100] {
        for (terminal, ending) in [(false, ""), (true, "-colour")] {
            let setup = Setup {
                width,
                terminal,
                ..Setup::default()
            };
            for command in COMMANDS {
                let outcome = setup.run(&[command, ["--help"].as_slice()].concat());
                assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
                let name = ["help", command.first().copied().unwrap_or("all")].join("-");
                snapshot::check(&format!("{name}-{width}{ending}.txt"), &outcome.stdout);
            }
        }
    }
}

#[test]
fn help_of_the_lab_reads_well() {
    let setup = Setup {
        width: 80,
        ..Setup::default()
    };
    for command in ["", "worlds", "run", "shell", "play"] {
        let words = ["lab", command, "--help"]
            .into_iter()
            .filter(|word| !word.is_empty());
        let outcome = setup.run(&words.collect::<Vec<_>>());
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
        snapshot::check(
            &format!(
                "help-{}-80.txt",
                ["lab", command].join("-").trim_end_matches('-')
            ),
            &outcome.stdout,
        );
    }
}

#[test]
fn the_version_is_an_answer() {
    let outcome = run(&["--version"]);
    assert_eq!(outcome.status, 0);
    assert_eq!(
        outcome.stdout,
        concat!("twinstack ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn manual_and_completions_come_from_the_same_source() {
    for (name, arguments) in [
        ("man", ["man"].as_slice()),
        ("man-check", &["man", "check"]),
    ] {
        let outcome = run(arguments);
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""));
        snapshot::check(&format!("{name}.roff"), &outcome.stdout);
        for (status, _) in crate::arguments::EXIT_STATUSES {
            let there = outcome.stdout.contains(&format!("\\fB{status}\\fR"));
            assert_eq!(
                there,
                *status != "125" || name == "man",
                "{status} in {name}"
            );
        }
    }
    assert_eq!(run(&["man", "nothing"]).status, 64);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let outcome = run(&["completions", shell]);
        assert_eq!(outcome.status, 0, "{shell}");
        assert!(outcome.stdout.contains("expect-ptr"), "{shell}");
    }
}

#[test]
fn wrong_usage_is_64_and_says_what_is_wrong() {
    let mut seen = String::new();
    for line in [
        "",
        "chek www.lab.test",
        "check",
        "check ftp://www.lab.test/",
        "check http://[::1/",
        "check www.lab.test --port 0",
        "check www.lab.test --port 65536",
        "check www.lab.test --port http",
        "check www.lab.test --timeout 0",
        "check www.lab.test --timeout 5y",
        "check www.lab.test --expect-v6 192.0.2.1",
        "check www.lab.test --expect-v6 ::1 --allow-v4-only",
        "check www.lab.test --expect-ptr https://x/",
        "check www.lab.test --dns dns.example",
        "check www.lab.test --doh http://dns.example/",
        "check www.lab.test --via=-oProxyCommand=x",
        "check www.lab.test --via-command={command}",
        "check www.lab.test --via=x --via-command=ssh",
        "check www.lab.test --client 'x",
        "check www.lab.test --profile ftp",
        "check www.lab.test --format yaml",
        "check www.lab.test --fromat json",
        "completions ksh",
    ] {
        let arguments: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let outcome = run(&arguments);
        assert_eq!(outcome.status, 64, "{line}");
        assert_eq!(outcome.stdout, "", "{line}");
        writeln!(seen, "$ twinstack {line}\n{}", outcome.stderr).unwrap();
    }
    snapshot::check("usage.txt", &seen);
}

#[test]
fn colour_is_for_terminals_unless_somebody_says_otherwise() {
    let check = |terminal, no_colour, choice: &str, expected| {
        let reports = vec![sample::healthy()];
        let setup = Setup {
            terminal,
            no_colour,
            reports,
            ..Setup::default()
        };
        let mut arguments = vec!["check", "www.lab.test"];
        arguments.extend(choice.split(' ').filter(|word| !word.is_empty()));
        let coloured = setup.run(&arguments).stdout.contains('\x1b');
        assert_eq!(
            coloured, expected,
            "terminal {terminal}, NO_COLOR {no_colour}, {choice}"
        );
    };
    check(true, false, "", true);
    check(true, true, "", false);
    check(false, false, "", false);
    check(false, true, "--color always", true);
    check(true, false, "--color never", false);
    check(true, true, "--color auto", false);
    check(true, false, "--format json", false);
}
