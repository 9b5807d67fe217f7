//! `twinstack run`: one unchanged program with Happy Eyeballs' fallback.

use crate::arguments::duration;
use crate::environment::Environment;
use clap::Args;
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;
use twinstack_proxy::run::{Options, Prefix, run as supervise};

/// What `run` can be told.
#[derive(Args, Debug)]
pub(crate) struct RunArguments {
    /// How long an IPv6 attempt may stay unanswered when the program has another address to go on to
    #[arg(long, value_name = "DURATION", default_value = "250ms", value_parser = give_up)]
    give_up: Duration,
    /// Leave look-ups alone
    ///
    /// A missing AAAA answer then costs what it costs without us, and every attempt counts as one that has an alternative:
    /// which addresses belong together is learned from look-ups.
    #[arg(long)]
    no_dns: bool,
    /// Addresses to watch besides IPv6, such as `198.51.100.0/24`, or `0.0.0.0/0` for all IPv4; repeatable
    #[arg(long, value_name = "PREFIX")]
    also: Vec<Prefix>,
    /// Let io_uring_setup fail, so that programs use calls that can be watched
    #[arg(long)]
    no_io_uring: bool,
    /// Write each race into this file, a line of JSON each
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Our own failure: CMD's status passes through.
const FAILED: u8 = 125;

/// Runs the command; gives its exit status.
pub(crate) fn run(
    arguments: RunArguments,
    environment: &mut Environment<'_>,
) -> anyhow::Result<u8> {
    let mut options = Options::default();
    options.give_up = arguments.give_up;
    options.steer_dns = !arguments.no_dns;
    options.refuse_io_uring = arguments.no_io_uring;
    options.also = arguments.also;
    if let Some(path) = &arguments.report {
        match File::create(path) {
            Ok(file) => options.report = Some(file),
            Err(error) => {
                let text = format!("error: cannot write `{}`: {error}\n", path.display());
                environment.stderr.print(&text)?;
                return Ok(FAILED);
            }
        }
    }
    match supervise(options, &arguments.command) {
        Ok(ended) => {
            for note in &ended.notes {
                environment.stderr.print(&format!("note: {note}\n"))?;
            }
            Ok(ended.status)
        }
        Err(error) => {
            environment.stderr.print(&format!("error: {error}\n"))?;
            Ok(error.status())
        }
    }
}

/// Shorter than the round trip of half the planet, or longer than the kernel itself would wait, helps nobody.
fn give_up(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_mins(2);
    let give_up = duration(text)?;
    if (SHORTEST..=LONGEST).contains(&give_up) {
        Ok(give_up)
    } else {
        Err("an attempt gets from 10 ms to 2 min".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_gets_a_reasonable_time() {
        assert_eq!(give_up("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(give_up("2m"), Ok(Duration::from_mins(2)));
        for bad in ["0", "9ms", "3m", "soon"] {
            assert!(give_up(bad).is_err(), "{bad}");
        }
    }
}
