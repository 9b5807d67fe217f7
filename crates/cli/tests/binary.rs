//! The real binary where a test in-process cannot stand for it: pipes, exit statuses, the process's own terminal.

use std::io::Read as _;
use std::process::{Command, Stdio};

fn twinstack(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinstack"));
    command.args(arguments).env_remove("NO_COLOR");
    command
}

#[test]
fn exit_statuses_leave_the_process() {
    let check = |arguments: &[&str], expected| {
        let output = twinstack(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(expected), "{arguments:?}");
    };
    check(&["--help"], 0);
    check(&["--version"], 0);
    check(&["explain", "tls.stall"], 0);
    check(&["explain", "no.such"], 1);
    check(&["check", "--targets", "/nowhere"], 2);
    check(&[], 64);
    check(&["check", "www.example.com", "--port", "65536"], 64);
}

#[test]
fn a_reader_that_goes_away_ends_the_output_quietly() {
    // More than a pipe holds (64 KiB), so that the writer is still at it when the reader leaves.
    let mut child = twinstack(&["explain", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 1];
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_pipe_gets_neither_colour_nor_progress() {
    let output = twinstack(&["explain"])
        .env("TERM", "xterm")
        .output()
        .unwrap();
    assert!(!output.stdout.contains(&b'\x1b'));
    assert!(output.stderr.is_empty());
}

#[test]
fn a_full_disk_is_no_success() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = twinstack(&["explain"])
        .stdout(full)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.starts_with("error: cannot write the output: "),
        "{stderr}"
    );
}
