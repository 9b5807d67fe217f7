//! `cargo xtask bench`: the benchmarks of the crates, then what `check` itself takes in a healthy world and in a broken one.
//!
//! The goals are for a machine that does nothing else; on a shared one, look at the processor time too.

use crate::say;
use crate::tests_run::{cargo, root};
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// A world, how often `check` looks at it, the exit status that shows that it looked, and how long it may take.
const GOALS: [(&str, usize, i32, Duration); 2] = [
    // Two addresses of each family.
    ("healthy", 5, 0, Duration::from_secs(2)),
    // IPv6 is a black hole.
    ("v6-drop", 3, 1, Duration::from_secs(12)),
];

/// Says when it starts, runs `check`, says when it ends, and what processor time its children took.
const SCRIPT: &str = r#"date +%s.%N; "$0" check www.lab.test > /dev/null; status=$?; date +%s.%N; times; exit $status"#;

pub(crate) fn all() -> Result<bool> {
    let benches = cargo(&["bench", "--workspace", "--locked"])?;
    if !cargo(&[
        "build",
        "--release",
        "--locked",
        "--quiet",
        "--bin",
        "twinstack",
    ])? {
        return Ok(false);
    }
    let binary = target_directory()?.join("release").join("twinstack");
    say("== check www.lab.test (ports 80 and 443), a process of its own each time");
    for (world, times, status, goal) in GOALS {
        let mut runs = (0..times)
            .map(|_| measure(&binary, world, status))
            .collect::<Result<Vec<_>>>()?;
        runs.sort_by_key(|run| run.wall);
        if let (Some(fastest), Some(median), Some(slowest)) =
            (runs.first(), runs.get(times / 2), runs.last())
        {
            let verdict = if slowest.wall <= goal {
                "goal met"
            } else {
                "GOAL MISSED"
            };
            say(&format!(
                "world {world}: {:.2} s at the median of {times} ({:.2} to {:.2} s), processor {:.2} s; goal: under {} s ({verdict})",
                median.wall.as_secs_f64(),
                fastest.wall.as_secs_f64(),
                slowest.wall.as_secs_f64(),
                median.processor.as_secs_f64(),
                goal.as_secs(),
            ));
        }
    }
    Ok(benches)
}

/// What one run took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    wall: Duration,
    /// User and system time.
    processor: Duration,
}

fn measure(binary: &Path, world: &str, status: i32) -> Result<Run> {
    let output = Command::new(binary)
        .args(["lab", "run", world, "--", "sh", "-c", SCRIPT])
        .arg(binary)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("starting `{}`", binary.display()))?;
    ensure!(
        output.status.code() == Some(status),
        "`check` in world `{world}` ended with {}, expected was {status}",
        output.status
    );
    let text = String::from_utf8_lossy(&output.stdout);
    parse(&text).with_context(|| format!("the times of a run read `{}`", text.trim()))
}

/// Reads what [`SCRIPT`] writes: start, end, the shell's own times, its children's times.
fn parse(text: &str) -> Option<Run> {
    let mut lines = text.lines();
    let mut moment = || -> Option<Duration> {
        let (seconds, nanoseconds) = lines.next()?.split_once('.')?;
        Some(Duration::new(
            seconds.parse().ok()?,
            nanoseconds.parse().ok()?,
        ))
    };
    let (start, end) = (moment()?, moment()?);
    let processor = lines
        .nth(1)?
        .split_whitespace()
        .map(|time| {
            let (minutes, seconds) = time.strip_suffix('s')?.split_once('m')?;
            let seconds = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
            Some(Duration::from_mins(minutes.parse().ok()?) + seconds)
        })
        .sum::<Option<Duration>>()?;
    Some(Run {
        wall: end.checked_sub(start)?,
        processor,
    })
}

/// Where cargo puts what it builds.
fn target_directory() -> Result<PathBuf> {
    let root = root()?;
    Ok(std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |directory| root.join(directory)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_are_those_between_the_moments_and_of_the_children() {
        // As dash and as bash write them.
        for times in [
            "0m0.00s 0m0.01s\n0m0.25s 1m0.50s\n",
            "0m0.001s 0m0.010s\n0m0.250s 1m0.500s\n",
        ] {
            let text = format!("1700000000.900000000\n1700000002.150000000\n{times}");
            let expected = Run {
                wall: Duration::from_millis(1250),
                processor: Duration::from_millis(60_750),
            };
            assert_eq!(parse(&text), Some(expected));
        }
        assert_eq!(parse("1700000000.9\n"), None);
        assert_eq!(parse("2.0\n1.0\n0m0s 0m0s\n0m0s 0m0s\n"), None);
    }
}
