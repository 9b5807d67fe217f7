//! `cargo xtask conformance`: which tests prove which line of the checklist of Happy Eyeballs v3.
//!
//! The checklist is `crates/race/CHECKLIST.md`. A test proves a line when its name begins with the line's id
//! (`b3_moves_on_after_resolution_delay`); a vector does when its heading names it (`== DR1 (B1, B2) title`). A MUST or a
//! SHOULD needs at least one that ran and passed, and none that failed.

mod sources;

use crate::say;
use crate::tests_run::{Ended, run_tests};
use anyhow::{Context as _, Result, bail, ensure};
use sources::{Proof, proofs};
use std::collections::BTreeMap;
use std::path::Path;

/// Where tests that carry an id live.
const PACKAGES: [&str; 2] = ["twinstack-race", "twinstack-dial"];
const FOLDERS: [&str; 2] = ["crates/race", "crates/dial"];
const CHECKLIST: &str = "crates/race/CHECKLIST.md";

/// How binding a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Must,
    Should,
    May,
    Goal,
}

/// A line of the checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    id: String,
    level: Level,
}

/// What the tests say of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    /// At least one passed, none failed.
    Proved,
    /// One failed.
    Failed,
    /// There are tests, but none of them ran.
    NotRun,
    /// There is none.
    Missing,
}

/// Runs the tests of the packages concerned and judges them.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut ended = BTreeMap::new();
    let mut success = true;
    for package in PACKAGES {
        say(&format!("== tests of {package}"));
        let arguments = [
            "test",
            "--locked",
            "--no-fail-fast",
            "--all-features",
            "-p",
            package,
        ];
        let (passed, results) = run_tests(&arguments, root)?;
        success &= passed;
        ended.extend(results);
    }
    Ok(judge(root, &ended)? && success)
}

/// Judges tests that have run; `ended` knows them by their full names.
pub(crate) fn judge(root: &Path, ended: &BTreeMap<String, Ended>) -> Result<bool> {
    let text = std::fs::read_to_string(root.join(CHECKLIST))
        .with_context(|| format!("reading {CHECKLIST}"))?;
    let checklist = checklist(&text)?;
    let mut found = Vec::new();
    for folder in FOLDERS {
        found.extend(proofs(&root.join(folder))?);
    }
    let lines: Vec<(Requirement, Vec<Proof>, Status)> = checklist
        .into_iter()
        .map(|requirement| {
            let proofs: Vec<Proof> = found
                .iter()
                .filter(|proof| proof.ids.contains(&requirement.id))
                .cloned()
                .collect();
            let status = status(&proofs, ended);
            (requirement, proofs, status)
        })
        .collect();
    for line in table(&lines) {
        say(&line);
    }
    let unknown: Vec<&str> = found
        .iter()
        .flat_map(|proof| &proof.ids)
        .filter(|id| is_slip(id, &lines))
        .map(String::as_str)
        .collect();
    if !unknown.is_empty() {
        say(&format!("not in the checklist: {}", unknown.join(", ")));
    }
    Ok(unknown.is_empty() && holes(&lines) == 0)
}

/// Whether a test names a line that a section of the checklist does not have. `v6_goes_first` is of no section.
fn is_slip(id: &str, lines: &[(Requirement, Vec<Proof>, Status)]) -> bool {
    let of_section = |line: &&(Requirement, Vec<Proof>, Status)| line.0.id.get(..1) == id.get(..1);
    let mut section = lines.iter().filter(of_section).peekable();
    section.peek().is_some() && section.all(|(requirement, ..)| requirement.id != id)
}

/// How many MUST and SHOULD lines are not proved, plus lines of any level with a failing test.
fn holes(lines: &[(Requirement, Vec<Proof>, Status)]) -> usize {
    lines
        .iter()
        .filter(|(requirement, _, status)| match requirement.level {
            Level::Must | Level::Should => *status != Status::Proved,
            Level::May | Level::Goal => *status == Status::Failed,
        })
        .count()
}

fn status(proofs: &[Proof], ended: &BTreeMap<String, Ended>) -> Status {
    if proofs.is_empty() {
        return Status::Missing;
    }
    let ends: Vec<Ended> = proofs.iter().flat_map(|proof| proof.ended(ended)).collect();
    if ends.contains(&Ended::Failed) {
        Status::Failed
    } else if ends.contains(&Ended::Passed) {
        Status::Proved
    } else {
        Status::NotRun
    }
}

/// The lines of the checklist: rows of a table whose first cell is an id.
fn checklist(text: &str) -> Result<Vec<Requirement>> {
    let mut lines: Vec<Requirement> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut cells = line.split('|').map(str::trim).skip(1);
        let (Some(id), Some(level)) = (cells.next(), cells.next()) else {
            continue;
        };
        if !is_id(id) {
            continue;
        }
        let level = match level {
            "MUST" => Level::Must,
            "SHOULD" => Level::Should,
            "MAY" => Level::May,
            "goal" => Level::Goal,
            other => bail!("{CHECKLIST}:{}: `{other}` is no level", number + 1),
        };
        let twice = lines.iter().any(|known| known.id == id);
        ensure!(!twice, "{CHECKLIST}:{}: {id} is there twice", number + 1);
        lines.push(Requirement {
            id: id.to_owned(),
            level,
        });
    }
    ensure!(
        !lines.is_empty(),
        "{CHECKLIST} has no line that begins with an id"
    );
    Ok(lines)
}

/// A capital letter and a number: `B3`.
fn is_id(text: &str) -> bool {
    let Some((letter, number)) = text.split_at_checked(1) else {
        return false;
    };
    letter.bytes().all(|byte| byte.is_ascii_uppercase())
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn table(lines: &[(Requirement, Vec<Proof>, Status)]) -> Vec<String> {
    let mut out = vec!["id   level   status   tests".to_owned()];
    for (requirement, proofs, status) in lines {
        let names: Vec<&str> = proofs.iter().map(|proof| proof.name.as_str()).collect();
        let shown = match names.as_slice() {
            [] => String::new(),
            [one] => (*one).to_owned(),
            [first, .., last] => format!("{} tests: {first} .. {last}", names.len()),
        };
        let (id, level, status) = (&requirement.id, requirement.level.word(), status.word());
        out.push(
            format!("{id:<4} {level:<7} {status:<8} {shown}")
                .trim_end()
                .to_owned(),
        );
    }
    let proved = |wanted: &[Level]| {
        let of_it = lines
            .iter()
            .filter(|(requirement, ..)| wanted.contains(&requirement.level));
        let good = of_it
            .clone()
            .filter(|(.., status)| *status == Status::Proved)
            .count();
        format!("{good} of {}", of_it.count())
    };
    out.push(format!(
        "proved: MUST {}, SHOULD {}, MAY {}, goals {}",
        proved(&[Level::Must]),
        proved(&[Level::Should]),
        proved(&[Level::May]),
        proved(&[Level::Goal]),
    ));
    out
}

impl Level {
    const fn word(self) -> &'static str {
        match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
            Self::Goal => "goal",
        }
    }
}

impl Status {
    const fn word(self) -> &'static str {
        match self {
            Self::Proved => "ok",
            Self::Failed => "FAILED",
            Self::NotRun => "not run",
            Self::Missing => "missing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Title
| id | level | requirement | section |
| --- | --- | --- | --- |
| A1 | MUST | ask | 4.1 |
| B10 | SHOULD | wait | 4.2 |
| C3 | MAY | sort | 5 |
| D1 | goal | start | 6 |
";

    fn lines(proofs: &[&str], ended: &[(&str, Ended)]) -> Vec<(Requirement, Vec<Proof>, Status)> {
        let ended = ended
            .iter()
            .map(|(name, end)| ((*name).to_owned(), *end))
            .collect();
        checklist(TEXT)
            .unwrap()
            .into_iter()
            .map(|requirement| {
                let proofs: Vec<Proof> = proofs
                    .iter()
                    .map(|name| Proof::test(name))
                    .filter(|proof| proof.ids.contains(&requirement.id))
                    .collect();
                let status = status(&proofs, &ended);
                (requirement, proofs, status)
            })
            .collect()
    }

    #[test]
    fn reads_the_rows_that_begin_with_an_id() {
        let ids: Vec<String> = checklist(TEXT)
            .unwrap()
            .into_iter()
            .map(|line| line.id)
            .collect();
        assert_eq!(ids, ["A1", "B10", "C3", "D1"]);
        assert!(checklist("nothing").is_err());
        assert!(
            checklist("| A1 | PERHAPS | x |")
                .unwrap_err()
                .to_string()
                .contains("PERHAPS")
        );
        assert!(checklist("| A1 | MAY | x |\n| A1 | MAY | x |").is_err());
    }

    #[test]
    fn a_must_or_a_should_without_a_passing_test_is_a_hole() {
        let passed = [
            ("m::a1_asks", Ended::Passed),
            ("m::b10_waits", Ended::Passed),
        ];
        assert_eq!(holes(&lines(&["a1_asks", "b10_waits"], &passed)), 0);
        assert_eq!(holes(&lines(&["a1_asks"], &passed)), 1);
        assert_eq!(
            holes(&lines(&["a1_b10_both"], &[("a1_b10_both", Ended::Passed)])),
            0
        );
        // It exists and did not run, or was ignored, or failed.
        assert_eq!(holes(&lines(&["a1_asks", "b10_waits"], &passed[..1])), 1);
        for end in [Ended::Ignored, Ended::Failed] {
            let ended = [("a1_asks", Ended::Passed), ("b10_waits", end)];
            assert_eq!(holes(&lines(&["a1_asks", "b10_waits"], &ended)), 1);
        }
    }

    #[test]
    fn a_failing_test_of_any_level_is_a_hole() {
        let ended = [
            ("a1_asks", Ended::Passed),
            ("b10_waits", Ended::Passed),
            ("b10_waits_long", Ended::Failed),
            ("d1_starts", Ended::Failed),
        ];
        let names = ended.map(|(name, _)| name);
        assert_eq!(holes(&lines(&names, &ended)), 2);
    }

    #[test]
    fn an_id_that_its_section_does_not_have_is_a_slip() {
        let lines = lines(&[], &[]);
        assert!(is_slip("A2", &lines));
        assert!(!is_slip("A1", &lines));
        assert!(!is_slip("V6", &lines));
    }

    #[test]
    fn the_table_says_what_is_missing() {
        let ended = [
            ("x::a1_asks", Ended::Passed),
            ("a1_asks_again", Ended::Passed),
        ];
        let shown = table(&lines(&["a1_asks", "a1_asks_again", "c3_sorts"], &ended));
        assert_eq!(
            shown,
            [
                "id   level   status   tests",
                "A1   MUST    ok       2 tests: a1_asks .. a1_asks_again",
                "B10  SHOULD  missing",
                "C3   MAY     not run  c3_sorts",
                "D1   goal    missing",
                "proved: MUST 1 of 1, SHOULD 0 of 1, MAY 0 of 1, goals 0 of 1",
            ]
        );
    }
}
