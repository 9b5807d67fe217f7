//! A score as a value: text, JSON and page are renderings of this and nothing else; `schema/eyeballs-1.json` describes
//! the JSON.

use serde::Serialize;
use twinstack_lab::score::{Ending, Judged, Kind, Level, Measured, Run, Score, Verdict, Visit};

/// The version of the JSON.
pub(super) const SCHEMA: &str = "twinstack.eyeballs/1";

/// What came of a sweep.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// The program and its arguments, with their placeholders.
    pub(super) command: Vec<String>,
    /// The service's port.
    pub(super) port: u16,
    /// Made the names.
    pub(super) seed: u64,
    /// Only the essential worlds.
    pub(super) quick: bool,
    /// When runs were ended.
    pub(super) limit_seconds: f64,
    /// How long the sweep took.
    pub(super) elapsed_seconds: f64,
    /// What the program said when it failed where everything works.
    pub(super) complaint: Option<String>,
    /// The recording, if the user asked for one.
    pub(super) trace: Option<String>,
    /// The runs, in the order of the plan.
    pub(super) runs: Vec<Run>,
    /// What they amount to.
    pub(super) score: Score,
}

impl Report {
    /// The command as one line; the braces of the placeholders need no quotes to be understood.
    pub(super) fn command_line(&self) -> String {
        let words = self.command.iter().map(|word| {
            let bare = word.replace(['{', '}'], "");
            let plain = shlex::try_quote(&bare).is_ok_and(|quoted| quoted == bare.as_str());
            match shlex::try_quote(word) {
                Ok(quoted) if !plain => quoted.into_owned(),
                // A word with a zero byte cannot have been an argument.
                _ => word.clone(),
            }
        });
        words.collect::<Vec<_>>().join(" ")
    }

    /// How many items of these levels have this verdict.
    pub(super) fn count(&self, verdict: Verdict, levels: &[Level]) -> usize {
        self.score
            .checklist
            .iter()
            .filter(|it| it.verdict == verdict && levels.contains(&it.item.level))
            .count()
    }

    /// World by world: the run in the middle, and how many there are.
    pub(super) fn worlds(&self) -> Vec<(&Run, usize)> {
        self.runs
            .chunk_by(|one, next| one.scenario.id == next.scenario.id)
            .filter_map(|runs| {
                let mut sorted: Vec<&Run> = runs.iter().collect();
                sorted.sort_by_key(|run| run.visit.as_ref().map(Visit::settled));
                Some((*sorted.get(sorted.len() / 2)?, runs.len()))
            })
            .collect()
    }

    /// The form for programs.
    pub(super) fn json(&self) -> Json<'_> {
        let asked = [Level::Must, Level::Should];
        Json {
            schema: SCHEMA,
            command: &self.command,
            port: self.port,
            seed: self.seed,
            quick: self.quick,
            limit_seconds: self.limit_seconds,
            elapsed_seconds: self.elapsed_seconds,
            complaint: self.complaint.as_deref(),
            trace: self.trace.as_deref(),
            summary: Summary {
                pass: self.count(Verdict::Pass, &asked),
                fail: self.count(Verdict::Fail, &asked),
                not_visible: self.count(Verdict::NotVisible, &asked),
            },
            measured: &self.score.measured,
            checklist: self.score.checklist.iter().map(Line::of).collect(),
            runs: self.runs.iter().map(RunJson::of).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Json<'a> {
    schema: &'static str,
    command: &'a [String],
    port: u16,
    seed: u64,
    quick: bool,
    limit_seconds: f64,
    elapsed_seconds: f64,
    complaint: Option<&'a str>,
    trace: Option<&'a str>,
    summary: Summary,
    measured: &'a Measured,
    checklist: Vec<Line<'a>>,
    runs: Vec<RunJson<'a>>,
}

/// Of what the draft asks for (MUST and SHOULD).
#[derive(Debug, Serialize)]
struct Summary {
    pass: usize,
    fail: usize,
    not_visible: usize,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    id: &'static str,
    level: Level,
    requirement: &'static str,
    verdict: Verdict,
    evidence: &'a str,
}

impl<'a> Line<'a> {
    fn of(judged: &'a Judged) -> Self {
        Self {
            id: judged.item.id,
            level: judged.item.level,
            requirement: judged.item.text,
            verdict: judged.verdict,
            evidence: &judged.evidence,
        }
    }
}

#[derive(Debug, Serialize)]
struct RunJson<'a> {
    world: &'a str,
    kind: Kind,
    about: &'a str,
    ending: &'static str,
    status: Option<i32>,
    visit: Option<&'a Visit>,
}

impl<'a> RunJson<'a> {
    fn of(run: &'a Run) -> Self {
        let (ending, status) = match run.ending {
            Ending::Exited(status) => ("exited", Some(status)),
            Ending::Signaled(signal) => ("signaled", Some(signal)),
            Ending::Limit => ("limit", None),
        };
        Self {
            world: &run.scenario.id,
            kind: run.scenario.kind,
            about: &run.scenario.about,
            ending,
            status,
            visit: run.visit.as_ref(),
        }
    }
}
