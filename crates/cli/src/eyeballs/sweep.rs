//! The runs: a program in one world after another, two at a time where milliseconds do not matter.

use super::report::Report;
use crate::environment::Environment;
use crate::recording::Recording;
use anyhow::{Context as _, anyhow, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use twinstack_lab::score::{self, Ending, Kind, LANES, Plan, Run, Scenario, Visit, Watched};
use twinstack_lab::trace::{self, Frame};
use twinstack_lab::{Lab, LabOptions, Outcome};

/// A program and the worlds that it will meet.
pub(super) struct Sweep {
    command: Vec<String>,
    plan: Plan,
    seed: u64,
    scenarios: Vec<Scenario>,
}

/// One run that is to be done.
#[derive(Clone, Copy, Debug)]
struct Errand {
    /// Which scenario.
    scenario: usize,
    /// Which of all runs of the sweep; makes the name.
    number: u64,
}

/// One that has been done.
#[derive(Clone, Debug)]
struct Done {
    errand: Errand,
    lane: usize,
    during: (Duration, Duration),
    ending: Ending,
}

/// What the program wrote when it failed; the end of a longer text is of no use.
const COMPLAINT: usize = 400;

impl Sweep {
    pub(super) fn new(command: Vec<String>, plan: Plan, seed: u64) -> Self {
        Self {
            command,
            scenarios: plan.scenarios(),
            plan,
            seed,
        }
    }

    /// Runs everything and scores it.
    pub(super) fn run(
        self,
        recording: &Recording,
        environment: &mut Environment<'_>,
    ) -> anyhow::Result<Report> {
        let started = Instant::now();
        let world = score::world(&self.scenarios, self.plan.port)
            .context("building the worlds of the sweep")?;
        let options = LabOptions {
            trace: Some(recording.path().to_owned()),
            program: None,
        };
        let bar = Bar::new(&self, environment);
        let lab = Lab::start(&world, &options)?;
        let complaint = self.warm_up(&lab)?;
        let done = self.all(&lab, &bar);
        bar.finish();
        // The recording is complete when the lab has ended.
        lab.stop();
        let done = done?;
        let file = recording.read()?;
        let frames = trace::read(&file).context("reading the recording")?;
        let mut runs: Vec<(Errand, Run)> = done
            .iter()
            .filter_map(|done| Some((done.errand, self.evaluated(done, &frames)?)))
            .collect();
        runs.sort_by_key(|(errand, _)| (errand.scenario, errand.number));
        let runs: Vec<Run> = runs.into_iter().map(|(_, run)| run).collect();
        if runs.iter().all(|run| run.visit.is_none()) {
            bail!(
                "the program asked for none of its names and connected to none of its addresses{}",
                complaint.map_or_else(String::new, |it| format!(
                    "; where everything works it {it}"
                ))
            );
        }
        Ok(Report {
            score: score::score(&runs),
            command: self.command,
            port: self.plan.port,
            seed: self.seed,
            quick: self.plan.quick,
            limit_seconds: self.plan.limit.as_secs_f64(),
            elapsed_seconds: started.elapsed().as_secs_f64(),
            complaint,
            trace: recording.kept(),
            runs,
        })
    }

    /// All runs: first, one at a time, those that measure what happens at once; then the others, in [`LANES`], the long
    /// ones first so that no lane is idle at the end.
    fn errands(&self) -> (VecDeque<Errand>, VecDeque<Errand>) {
        let mut number = 0;
        let mut errands: Vec<(u32, Errand)> = Vec::new();
        for (scenario, described) in self.scenarios.iter().enumerate() {
            for _ in 0..described.runs {
                number += 1;
                errands.push((patience(described.kind), Errand { scenario, number }));
            }
        }
        errands.sort_by_key(|(patience, errand)| (std::cmp::Reverse(*patience), errand.number));
        let (alone, together): (Vec<_>, Vec<_>) = errands
            .into_iter()
            .partition(|(patience, _)| *patience == 0);
        let only = |list: Vec<(u32, Errand)>| list.into_iter().map(|(_, errand)| errand).collect();
        (only(alone), only(together))
    }

    fn all(&self, lab: &Lab, bar: &Bar) -> anyhow::Result<Vec<Done>> {
        let (alone, together) = self.errands();
        let mut done = Vec::new();
        for errand in alone {
            done.push(self.visit(lab, errand, 0, bar)?);
        }
        let queue = Mutex::new(together);
        let next = || {
            queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front()
        };
        let lanes = thread::scope(|scope| {
            let running: Vec<_> = (0..LANES)
                .map(|lane| {
                    let next = &next;
                    scope.spawn(move || {
                        let mut done = Vec::new();
                        while let Some(errand) = next() {
                            done.push(self.visit(lab, errand, lane, bar)?);
                        }
                        Ok(done)
                    })
                })
                .collect();
            running
                .into_iter()
                .map(|lane| {
                    lane.join()
                        .unwrap_or_else(|_| Err(anyhow!("a thread of the sweep panicked")))
                })
                .collect::<anyhow::Result<Vec<_>>>()
        })?;
        done.extend(lanes.into_iter().flatten());
        Ok(done)
    }

    /// The name that a run asks for.
    fn nonce(&self, number: u64) -> String {
        let mixed = mix(self.seed.wrapping_add(number));
        format!("n{number}-{:08x}", mixed >> 32)
    }

    fn words(&self, errand: Errand) -> Option<Vec<String>> {
        let scenario = self.scenarios.get(errand.scenario)?;
        let host = scenario.target(&self.nonce(errand.number));
        let port = self.plan.port.to_string();
        let replaced = |word: &String| word.replace("{host}", &host).replace("{port}", &port);
        Some(self.command.iter().map(replaced).collect())
    }

    /// A run that does not count: it fills the caches of the machine and of the resolver, and shows whether the program
    /// is there at all. Returns what it said if it failed.
    fn warm_up(&self, lab: &Lab) -> anyhow::Result<Option<String>> {
        let errand = Errand {
            scenario: 0,
            number: 0,
        };
        let mut complaint = memory_file()?;
        let program = self.command.first().map_or("", String::as_str);
        let ending = self.execute(lab, errand, 0, Some(&complaint))?.ending;
        let ending =
            ending.with_context(|| format!("`{program}` was not found, or cannot be executed"))?;
        if matches!(ending, Ending::Exited(0) | Ending::Limit) {
            return Ok(None);
        }
        complaint
            .rewind()
            .context("reading what the program wrote")?;
        let mut bytes = Vec::new();
        complaint
            .read_to_end(&mut bytes)
            .context("reading what the program wrote")?;
        let text: String = String::from_utf8_lossy(&bytes)
            .trim()
            .chars()
            .take(COMPLAINT)
            .collect();
        let colon = if text.is_empty() { "" } else { ": " };
        Ok(Some(format!("{}{colon}{text}", words_of(ending))))
    }

    fn visit(&self, lab: &Lab, errand: Errand, lane: usize, bar: &Bar) -> anyhow::Result<Done> {
        if let Some(scenario) = self.scenarios.get(errand.scenario) {
            bar.begins(&scenario.id);
        }
        let executed = self.execute(lab, errand, lane, None)?;
        bar.ended();
        Ok(Done {
            errand,
            lane,
            during: executed.during,
            ending: executed
                .ending
                .context("the program is not there any more")?,
        })
    }

    fn execute(
        &self,
        lab: &Lab,
        errand: Errand,
        lane: usize,
        complaint: Option<&File>,
    ) -> anyhow::Result<Executed> {
        let scenario = self
            .scenarios
            .get(errand.scenario)
            .context("a run of a world that is not in the plan")?;
        let words = self.words(errand).unwrap_or_default();
        let null = File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .context("opening /dev/null")?;
        let errors = complaint.unwrap_or(&null);
        let from = since_1970();
        let running = lab.command(&scenario.host.name(lane), words).start([
            null.as_raw_fd(),
            null.as_raw_fd(),
            errors.as_raw_fd(),
        ])?;
        let Some(outcome) = running.wait_at_most(scenario.limit) else {
            let until = since_1970();
            running.signal(SIGKILL)?;
            running.wait();
            return Ok(Executed {
                during: (from, until),
                ending: Some(Ending::Limit),
            });
        };
        let ending = match outcome {
            Outcome::Exited(status) => Some(Ending::Exited(status)),
            Outcome::Signaled(signal) => Some(Ending::Signaled(signal)),
            Outcome::NotFound | Outcome::NotExecutable(_) => None,
            Outcome::NoSuchHost | Outcome::LabEnded => bail!("the lab ended during the sweep"),
        };
        Ok(Executed {
            during: (from, since_1970()),
            ending,
        })
    }

    /// What the packets of a run say.
    fn evaluated(&self, done: &Done, frames: &[Frame<'_>]) -> Option<Run> {
        let scenario = self.scenarios.get(done.errand.scenario)?.clone();
        let name = (scenario.kind != Kind::Literal)
            .then(|| scenario.name(&self.nonce(done.errand.number)));
        let watched = Watched {
            interface: format!("{}:office", scenario.host.name(done.lane)),
            name,
            targets: scenario
                .addresses
                .iter()
                .map(|(address, _)| *address)
                .collect(),
            during: done.during,
        };
        let packets = score::packets(frames, &watched);
        Some(Run {
            visit: Visit::of(&packets, done.during.1),
            ending: done.ending,
            scenario,
        })
    }
}

/// How a program that was started came to its end; no ending if it did not start.
struct Executed {
    during: (Duration, Duration),
    ending: Option<Ending>,
}

const SIGKILL: i32 = 9;

fn words_of(ending: Ending) -> String {
    match ending {
        Ending::Exited(status) => format!("ends with status {status}"),
        Ending::Signaled(signal) => format!("ends by signal {signal}"),
        Ending::Limit => "reaches the limit".to_owned(),
    }
}

/// How long a poor client may hang in it: 0 for the worlds that measure what happens at once and want the machine for
/// themselves.
const fn patience(kind: Kind) -> u32 {
    match kind {
        Kind::Healthy | Kind::DroppedIpv6 | Kind::Refused | Kind::AllRefused => 0,
        Kind::AllDead => 3,
        Kind::LostAaaa
        | Kind::LostA
        | Kind::DeadFirst
        | Kind::SevenDead
        | Kind::Slow
        | Kind::Silent
        | Kind::Unsorted
        | Kind::LateAInRace => 2,
        Kind::LateAaaa
        | Kind::LateA
        | Kind::NoAaaa
        | Kind::Hints
        | Kind::Literal
        | Kind::OnlyIpv4
        | Kind::OnlyIpv6 => 1,
    }
}

/// Sebastiano Vigna's SplitMix64: spreads neighbouring numbers.
pub(super) const fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn memory_file() -> anyhow::Result<File> {
    let flags = nix::sys::memfd::MFdFlags::MFD_CLOEXEC;
    let memory: OwnedFd = nix::sys::memfd::memfd_create("twinstack-complaint", flags)
        .context("creating a file in memory")?;
    Ok(memory.into())
}

/// The recording counts so too.
fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

/// Progress, on a terminal only.
struct Bar(ProgressBar);

impl Bar {
    fn new(sweep: &Sweep, environment: &Environment<'_>) -> Self {
        let runs = sweep.scenarios.iter().map(|it| it.runs).sum::<usize>();
        let bar = ProgressBar::with_draw_target(
            u64::try_from(runs).ok(),
            if environment.stderr.is_terminal {
                ProgressDrawTarget::stderr()
            } else {
                ProgressDrawTarget::hidden()
            },
        );
        if let Ok(style) = ProgressStyle::with_template("{pos}/{len} [{bar:30}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message("building the lab");
        Self(bar)
    }

    fn begins(&self, world: &str) {
        self.0.set_message(world.to_owned());
    }

    fn ended(&self) {
        self.0.inc(1);
    }

    fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        // After an error too, the terminal is left as it was.
        self.0.finish_and_clear();
    }
}
