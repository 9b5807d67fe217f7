//! `cargo xtask test`: runs everything, counts it, and names what could not run here.

use crate::{conformance, say};
use anyhow::{Context as _, Result, bail};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What may be missing in continuous integration without failing it: nothing.
const MAY_BE_MISSING_IN_CI: [&str; 0] = [];

/// How one test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Passed,
    Failed,
    Ignored,
}

/// What a run of `cargo test` counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
    ignored: usize,
}

pub(crate) fn all() -> Result<bool> {
    let root = root()?;
    let list = root.join("target").join("not-run.txt");
    std::fs::create_dir_all(root.join("target")).context("creating target/")?;
    std::fs::write(&list, "").context("emptying the list of what did not run")?;

    // Rust of a Linux distribution may come without these two.
    let mut steps_not_run = Vec::new();
    let mut installed = |name: &str, tool: &str| {
        let installed = has_tool(tool);
        if !installed {
            steps_not_run.push(format!("{name}: `cargo {tool}` is not installed"));
        }
        installed
    };
    if installed("formatting", "fmt") && !step("formatting", &["fmt", "--all", "--check"])? {
        say("formatting differs: `cargo fmt --all` mends it");
        return Ok(false);
    }
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    if installed("lints", "clippy") && !step("lints", &clippy)? {
        return Ok(false);
    }
    say("== tests");
    // The command-line binary is what lab tests start as the lab's init: it has to be there, and new.
    if !cargo(&["build", "--locked", "--quiet", "--bin", "twinstack"])? {
        return Ok(false);
    }
    let (success, count, ended) = count_tests(
        &["test", "--workspace", "--locked", "--no-fail-fast"],
        &list,
    )?;
    say("== conformance");
    let conforms = conformance::judge(&root, &ended)?;

    let tests_not_run: Vec<String> = std::fs::read_to_string(&list)
        .unwrap_or_default()
        .lines()
        .map(str::to_owned)
        .collect();
    // A test that the gate turned away has passed without asking its question.
    let passed = count.passed.saturating_sub(tests_not_run.len());
    let not_run = [steps_not_run, tests_not_run].concat();
    if !not_run.is_empty() {
        say("could not run here:");
        for line in &not_run {
            say(&format!("  {line}"));
        }
    }
    let unexpected = not_run.iter().any(|line| {
        !MAY_BE_MISSING_IN_CI
            .iter()
            .any(|name| line.starts_with(name))
    });
    if unexpected && std::env::var_os("CI").is_some() {
        say("in continuous integration everything has to run");
        return Ok(false);
    }
    say(&format!(
        "{passed} passed, {} failed, {} skipped",
        count.failed,
        count.ignored + not_run.len()
    ));
    Ok(success && conforms)
}

/// Runs `cargo test` with these arguments and tells how each test ended.
pub(crate) fn run_tests(
    arguments: &[&str],
    root: &Path,
) -> Result<(bool, BTreeMap<String, Ended>)> {
    let list = root.join("target").join("not-run.txt");
    let (success, _, ended) = count_tests(arguments, &list)?;
    Ok((success, ended))
}

fn step(name: &str, arguments: &[&str]) -> Result<bool> {
    say(&format!("== {name}"));
    let start = Instant::now();
    let success = cargo(arguments)?;
    say(&format!("   {:.0} s", start.elapsed().as_secs_f64()));
    Ok(success)
}

/// Whether cargo has this command.
fn has_tool(tool: &str) -> bool {
    Command::new("cargo")
        .args([tool, "--version"])
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Runs cargo with these arguments in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Result<bool> {
    let status = Command::new("cargo")
        .args(arguments)
        .current_dir(root()?)
        .status()
        .context("starting cargo")?;
    Ok(status.success())
}

/// Runs `cargo test`, passes its output through, and adds up the closing lines of all test programs.
fn count_tests(arguments: &[&str], list: &Path) -> Result<(bool, Count, BTreeMap<String, Ended>)> {
    let mut child = Command::new("cargo")
        .args(arguments)
        .current_dir(root()?)
        .env("TWINSTACK_NOT_RUN", list)
        .stdout(Stdio::piped())
        .spawn()
        .context("starting cargo test")?;
    let output = child.stdout.take().context("cargo test has no output")?;
    let mut count = Count::default();
    let mut ended = BTreeMap::new();
    for line in BufReader::new(output).lines() {
        let line = line.context("reading the output of cargo test")?;
        if let Some(more) = parse(&line) {
            count.passed += more.passed;
            count.failed += more.failed;
            count.ignored += more.ignored;
        }
        if let Some((name, end)) = parse_test(&line) {
            // Two test programs may have a test of the same name: one that fails is not to be hidden.
            let known = ended.entry(name.to_owned()).or_insert(end);
            if end == Ended::Failed || *known == Ended::Ignored {
                *known = end;
            }
        }
        say(&line);
    }
    let status = child.wait().context("waiting for cargo test")?;
    Ok((status.success(), count, ended))
}

/// Reads `test order::tests::c6_sorts ... ok`.
fn parse_test(line: &str) -> Option<(&str, Ended)> {
    let (name, end) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let end = match end.split([',', ' ']).next()? {
        "ok" => Ended::Passed,
        "FAILED" => Ended::Failed,
        "ignored" => Ended::Ignored,
        _ => return None,
    };
    Some((name.strip_suffix(" - should panic").unwrap_or(name), end))
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
fn parse(line: &str) -> Option<Count> {
    let rest = line.strip_prefix("test result: ")?;
    let number = |word: &str| {
        let before = rest.split(word).next()?.trim_end();
        before
            .rsplit(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    };
    Some(Count {
        passed: number(" passed")?,
        failed: number(" failed")?,
        ignored: number(" ignored")?,
    })
}

/// Runs every fuzz target for some seconds.
pub(crate) fn fuzz(seconds: &str) -> Result<bool> {
    let seconds: u32 = seconds
        .parse()
        .context("SECS must be a number of seconds")?;
    let root = root()?;
    let mut targets = Vec::new();
    for entry in std::fs::read_dir(root.join("fuzz").join("fuzz_targets"))
        .context("reading fuzz/fuzz_targets")?
    {
        let path = entry?.path();
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
            targets.push(name.to_owned());
        }
    }
    if targets.is_empty() {
        bail!("there is no fuzz target");
    }
    targets.sort();
    for target in targets {
        say(&format!("== {target}"));
        let limit = format!("-max_total_time={seconds}");
        if !cargo(&["+nightly", "fuzz", "run", &target, "--", &limit])? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `bench dialers`: a workspace of its own under `bench/`, for the peers' libraries.
pub(crate) fn dialers() -> Result<bool> {
    in_bench(&["build", "--release", "--locked"])?;
    in_bench(&["run", "--release", "--locked", "--bin", "twinstack-bench"])
}

/// `bench relay`.
pub(crate) fn relay() -> Result<bool> {
    if !cargo(&["build", "--release", "--locked", "--bin", "twinstack"])? {
        return Ok(false);
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || root().map(|root| root.join("target")),
        |path| Ok(PathBuf::from(path)),
    )?;
    let twinstack = target.join("release").join("twinstack");
    let twinstack = twinstack.display().to_string();
    in_bench(&[
        "run",
        "--release",
        "--locked",
        "--bin",
        "relay",
        "--",
        &twinstack,
    ])
}

fn in_bench(arguments: &[&str]) -> Result<bool> {
    let status = Command::new("cargo")
        .args(arguments)
        .current_dir(root()?.join("bench"))
        .status()
        .context("starting cargo in bench/")?;
    Ok(status.success())
}

/// The workspace's root: this crate's parent.
pub(crate) fn root() -> Result<PathBuf> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_owned)
        .context("the workspace has no root")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_the_closing_lines() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(
            parse(line),
            Some(Count {
                passed: 12,
                failed: 3,
                ignored: 1
            })
        );
        assert_eq!(parse("test result: ok"), None);
        assert_eq!(parse("running 3 tests"), None);
    }

    #[test]
    fn reads_how_each_test_ended() {
        for (line, read) in [
            ("test a::b ... ok", Some(("a::b", Ended::Passed))),
            ("test a::b ... FAILED", Some(("a::b", Ended::Failed))),
            ("test a::b ... ignored", Some(("a::b", Ended::Ignored))),
            (
                "test a::b ... ignored, needs the lab",
                Some(("a::b", Ended::Ignored)),
            ),
            (
                "test a::b - should panic ... ok",
                Some(("a::b", Ended::Passed)),
            ),
            ("test result: ok. 3 passed", None),
            ("running 3 tests", None),
        ] {
            assert_eq!(parse_test(line), read, "{line}");
        }
    }
}
