//! Every command of the README, as typed.

use std::process::{Command, Stdio};
use twinstack_testkit::{Need, can_run};

const README: &str = include_str!("../../../README.md");

/// The lines of all shell blocks, without comments.
fn commands() -> Vec<&'static str> {
    let blocks = README.split("```").filter_map(|it| it.strip_prefix("sh\n"));
    blocks
        .flat_map(str::lines)
        .map(|line| line.split(" #").next().unwrap_or(line).trim_end())
        .filter(|line| !line.is_empty())
        .collect()
}

/// Runs a line with the tested binary in the place of `./twinstack`, and somewhere else, because it may write files.
fn shell(line: &str) -> Command {
    let directory = env!("CARGO_TARGET_TMPDIR");
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            &line.replace("./twinstack", env!("CARGO_BIN_EXE_twinstack")),
        ])
        .current_dir(directory)
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null());
    command
}

#[test]
fn every_command_is_one_of_ours() {
    for line in commands() {
        let known = [
            "./test",
            "./twinstack check ",
            "./twinstack connect ",
            "./twinstack explain",
            "./twinstack lab ",
            "./twinstack proxy ",
            "./twinstack run ",
        ];
        assert!(known.iter().any(|known| line.starts_with(known)), "{line}");
    }
    assert!(commands().len() > 10, "the blocks were not found");
}

#[test]
fn commands_that_need_the_internet_are_at_least_understood() {
    let mut tried = 0;
    for line in commands() {
        let stay = [
            "./twinstack check ",
            "./twinstack connect ",
            "./twinstack proxy ",
        ];
        if stay.iter().any(|it| line.starts_with(it)) {
            // An option that is wrong comes before this one.
            let output = shell(&format!("{line} --help")).output().unwrap();
            assert!(
                output.status.success(),
                "{line}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            tried += 1;
        }
    }
    assert_ne!(tried, 0);
}

#[test]
fn commands_that_need_only_this_machine_work() {
    let name = "commands_that_need_only_this_machine_work";
    let needs = [
        Need::Namespaces,
        Need::Program("curl"),
        Need::Program("python3"),
    ];
    if !can_run(name, &needs) {
        return;
    }
    let mut tried = 0;
    for line in commands() {
        // The tests of the replay run it often enough.
        let mine = ["./twinstack lab ", "./twinstack explain"];
        if !mine.iter().any(|mine| line.starts_with(mine)) || line.contains(" lab play ") {
            continue;
        }
        let output = shell(line).output().unwrap();
        // What `check` finds in a broken world is why one calls it.
        let expected = i32::from(line.contains(" check "));
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        tried += 1;
    }
    assert!(tried > 5, "only {tried} were tried");
}
