//! `lab eyeballs`, through the real binary: what is known of a client has to come out of its packets.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests; a failure there is a failed test"
)]

#[path = "support/shared.rs"]
mod support;

use serde_json::Value;
use std::path::Path;
use std::process::Command;
use support::{text, twinstack};
use twinstack_testkit::{Need, can_run};

/// Scores a client; it may have problems, as long as it was scored.
fn score(options: &[&str], client: &[&str]) -> Value {
    let arguments = [
        &["lab", "eyeballs", "--format", "json"],
        options,
        &["--"],
        client,
    ]
    .concat();
    let output = twinstack(&arguments).output().unwrap();
    assert!(
        matches!(output.status.code(), Some(0 | 1)),
        "{:?}: {}",
        output.status,
        text(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

fn millis(value: &Value) -> f64 {
    value.as_f64().unwrap() * 1000.0
}

/// Whether a time is as expected; timers are never early, and late on a busy machine.
fn close(measured: &Value, expected: f64) {
    let measured = millis(measured);
    assert!(
        (expected - 2.0..expected + 10.0).contains(&measured),
        "{measured} ms instead of {expected} ms"
    );
}

fn verdict<'a>(score: &'a Value, id: &str) -> &'a str {
    let items = score["checklist"].as_array().unwrap();
    let item = items.iter().find(|item| item["id"] == id).unwrap();
    item["verdict"].as_str().unwrap()
}

#[test]
fn the_habits_of_an_unknown_client_are_found_out() {
    if !can_run(
        "the_habits_of_an_unknown_client_are_found_out",
        &[Need::Namespaces],
    ) {
        return;
    }
    let pretender = env!("CARGO_BIN_EXE_twinstack");
    for seed in ["1", "3"] {
        let described = twinstack(&["lab", "pretender", "--seed", seed, "--describe"]);
        let described = { described }.output().unwrap();
        let habits: Value = serde_json::from_slice(&described.stdout).unwrap();
        let client = [
            pretender,
            "lab",
            "pretender",
            "--seed",
            seed,
            "{host}",
            "{port}",
        ];
        let score = score(&["--quick"], &client);
        let measured = &score["measured"];
        assert_eq!(measured["preferred"], habits["first"], "{habits}");
        close(
            &measured["attempt_delay"]["median_seconds"],
            habits["attempt_delay_ms"].as_f64().unwrap(),
        );
        close(
            &measured["resolution_delay"]["median_seconds"],
            habits["resolution_delay_ms"].as_f64().unwrap(),
        );
        assert_eq!(measured["stops_at"], habits["cap"], "{measured}");
        assert_eq!(measured["at_once"]["at_least"], habits["cap"], "{measured}");
        assert_eq!(
            measured["first_family_count"], habits["first_count"],
            "{measured}"
        );
        assert_eq!(measured["interlaced"], true, "{measured}");
        assert_eq!(measured["multiplier"], 1.0, "{measured}");
    }
}

#[test]
fn curl_tries_the_other_family_after_200_ms() {
    let name = "curl_tries_the_other_family_after_200_ms";
    if !can_run(name, &[Need::Namespaces, Need::Program("curl")]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("curl.html");
    let curl = [
        "curl",
        "-q",
        "-s",
        "-o",
        "/dev/null",
        "http://{host}:{port}/",
    ];
    let score = score(&["--quick", "--report", page.to_str().unwrap()], &curl);
    close(&score["measured"]["attempt_delay"]["median_seconds"], 200.0);
    assert_eq!(score["measured"]["preferred"], "v6");
    assert_eq!(verdict(&score, "D2"), "fail");
    assert_eq!(verdict(&score, "B4"), "pass");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<code>all-dead</code>"), "{page}");
}

#[test]
fn go_tries_the_other_family_after_300_ms() {
    let name = "go_tries_the_other_family_after_300_ms";
    if !can_run(name, &[Need::Namespaces, Need::Program("go")]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("main.go");
    std::fs::write(
        &source,
        "package main\n\nimport (\n\t\"net\"\n\t\"os\"\n)\n\nfunc main() {\n\t\
         if _, err := net.Dial(\"tcp\", net.JoinHostPort(os.Args[1], os.Args[2])); err != nil {\n\t\tos.Exit(1)\n\t}\n}\n",
    )
    .unwrap();
    let client = directory.path().join("client");
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([&client, &source])
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=mod")
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", text(&built.stderr));
    let score = score(&["--quick"], &[path(&client), "{host}", "{port}"]);
    close(&score["measured"]["attempt_delay"]["median_seconds"], 300.0);
    assert_eq!(score["measured"]["waits_for_aaaa"], true);
}

#[test]
fn node_tries_the_other_family_after_250_ms() {
    let name = "node_tries_the_other_family_after_250_ms";
    if !can_run(name, &[Need::Namespaces, Need::Program("node")]) {
        return;
    }
    let script = "const s = require('net').connect({ host: process.argv[1], port: +process.argv[2], \
                  autoSelectFamily: true }); s.on('connect', () => process.exit(0)); \
                  s.on('error', () => process.exit(1));";
    let score = score(&["--quick"], &["node", "-e", script, "{host}", "{port}"]);
    close(&score["measured"]["attempt_delay"]["median_seconds"], 250.0);
    assert_eq!(score["measured"]["interlaced"], true);
}

#[test]
fn asyncio_tries_the_other_family_after_250_ms() {
    let name = "asyncio_tries_the_other_family_after_250_ms";
    if !can_run(name, &[Need::Namespaces, Need::Program("python3")]) {
        return;
    }
    let script = "import asyncio, sys\n\
                  asyncio.run(asyncio.open_connection(sys.argv[1], int(sys.argv[2]), happy_eyeballs_delay=0.25))";
    let score = score(&["--quick"], &["python3", "-c", script, "{host}", "{port}"]);
    close(&score["measured"]["attempt_delay"]["median_seconds"], 250.0);
    assert_eq!(score["measured"]["addresses_used"]["v6"], 10);
    assert_eq!(score["measured"]["stops_at"], Value::Null);
}

#[test]
fn a_command_without_a_place_for_the_host_is_wrong_usage() {
    let output = twinstack(&["lab", "eyeballs", "--", "curl", "http://www.lab.test/"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("`{host}`"), "{output:?}");
}

#[test]
fn a_program_that_is_not_there_could_not_be_looked_at() {
    let name = "a_program_that_is_not_there_could_not_be_looked_at";
    if !can_run(name, &[Need::Namespaces]) {
        return;
    }
    let output = twinstack(&[
        "lab",
        "eyeballs",
        "--",
        "no-such-program-anywhere",
        "{host}",
    ])
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("`no-such-program-anywhere` was not found"),
        "{said}"
    );
}

#[test]
fn a_program_that_connects_to_nothing_is_no_client() {
    let name = "a_program_that_connects_to_nothing_is_no_client";
    if !can_run(name, &[Need::Namespaces]) {
        return;
    }
    let command = ["sh", "-c", "echo no idea >&2; exit 3", "{host}"];
    let arguments = [&["lab", "eyeballs", "--quick", "--"], &command[..]].concat();
    let output = twinstack(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("ends with status 3: no idea"), "{said}");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
