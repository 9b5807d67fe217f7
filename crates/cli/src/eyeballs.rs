//! `twinstack lab eyeballs`: what kind of Happy Eyeballs a program does, found out from its packets.
//!
//! [`sweep`] lets the program meet every world and records its packets; `twinstack_lab::score` derives the numbers and
//! the verdicts; [`report`] is the value that [`text`], the JSON and [`page`] are renderings of. [`pretender`] is a
//! client of known habits, to prove all this with.

mod page;
pub(crate) mod pretender;
mod report;
#[cfg(test)]
mod sample;
mod sweep;
mod text;
mod words;

use crate::arguments::Format;
use crate::environment::Environment;
use crate::recording::Recording;
use crate::render::text::paint;
use crate::report_file::ReportFile;
use anyhow::Context as _;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use sweep::Sweep;
use twinstack_lab::score::{Plan, TLS_PORT};

/// What `lab eyeballs` can be told.
#[derive(Debug, Args)]
pub(crate) struct EyeballsArguments {
    /// The port of the service: with TLS and QUIC on 443, HTTP on any other; 443 if the command says `https://`, else 80
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Ends a run after this long: `5s`, `800ms`
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = limit)]
    limit: Duration,
    /// Only the essential worlds
    #[arg(long)]
    quick: bool,
    /// Makes the names that the program is given; printed in every report
    #[arg(long)]
    seed: Option<u64>,
    /// Also writes the report as a page with every run drawn
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keeps the recording of every packet (pcapng, for Wireshark and tshark)
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// How to print the score
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The program and its arguments; `{host}` and `{port}` are replaced in each run
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Shorter runs would end before the recommended delays have passed a few times.
const SHORTEST: Duration = Duration::from_secs(1);
/// Longer ones would make a sweep take hours.
const LONGEST: Duration = Duration::from_mins(2);

fn limit(text: &str) -> Result<Duration, String> {
    let limit = crate::arguments::duration(text)?;
    if (SHORTEST..=LONGEST).contains(&limit) {
        Ok(limit)
    } else {
        Err("a run lasts between 1s and 2min".to_owned())
    }
}

/// Wrong usage.
const USAGE: u8 = 64;

/// Sweeps, scores, reports, and returns the exit status: 1 if something that the draft asks for is not done.
pub(crate) fn run(
    arguments: &EyeballsArguments,
    environment: &mut Environment<'_>,
) -> anyhow::Result<u8> {
    let command: Vec<String> = arguments
        .command
        .iter()
        .map(|word| word.clone().into_string())
        .collect::<Result<_, _>>()
        .map_err(|word| anyhow::anyhow!("`{}` is not UTF-8", word.display()))?;
    if !command.iter().any(|word| word.contains("{host}")) {
        environment.stderr.print(
            "error: the command does not say where `{host}` goes, for example: curl -s http://{host}:{port}/\n",
        )?;
        return Ok(USAGE);
    }
    // Everything that can be refused is refused before anybody has to wait.
    let mut page = arguments
        .report
        .as_deref()
        .map(ReportFile::open)
        .transpose()?;
    let recording = Recording::create(arguments.trace.as_deref())?;
    let plan = Plan {
        quick: arguments.quick,
        limit: arguments.limit,
        port: arguments.port.unwrap_or_else(|| usual_port(&command)),
    };
    let seed = arguments.seed.unwrap_or_else(any_seed);
    let sweep = Sweep::new(command, plan, seed);
    let report = sweep.run(&recording, environment)?;
    match arguments.format {
        Format::Human => {
            let lines = text::lines(&report, environment.text_width());
            let text = paint(&lines, environment.stdout.colour);
            environment.stdout.print(&text)?;
        }
        Format::Json => {
            let text = serde_json::to_string_pretty(&report.json())
                .context("writing the score as JSON")?;
            environment.stdout.print(&format!("{text}\n"))?;
        }
    }
    if let Some(page) = &mut page {
        page.write(&page::render(&report))?;
        if arguments.format == Format::Human {
            let written = format!("\nEvery run drawn: {}\n", page.path.display());
            environment.stdout.print(&written)?;
        }
    }
    Ok(u8::from(report.score.has_problems()))
}

/// A program that is told to fetch `https://` is meant to meet TLS.
fn usual_port(command: &[String]) -> u16 {
    if command.iter().any(|word| word.contains("https://")) {
        TLS_PORT
    } else {
        80
    }
}

/// Names that no cache has seen; which ones is of no importance.
fn any_seed() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| u64::from(since.subsec_nanos()) ^ since.as_secs())
}

#[cfg(test)]
mod tests;
