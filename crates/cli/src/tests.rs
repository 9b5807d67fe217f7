//! Whole commands, in-process: arguments in, streams and exit status out, no network and no clock.

mod check;
mod explain;
mod sample;
pub(crate) mod schema;
pub(crate) mod snapshot;
mod usage;

use crate::checker::{Answer, Checker};
use crate::command;
use crate::environment::{ColourChoice, Environment, Stream};
use std::cell::RefCell;
use std::ffi::OsString;
use twinstack_check::via::Via;
use twinstack_check::{Options, Report};

/// What a command did.
struct Outcome {
    status: u8,
    stdout: String,
    stderr: String,
    /// What the checker was asked: options and machines to go through.
    asked: Vec<(Options, Vec<Via>)>,
}

/// The world that a command runs in.
struct Setup<'a> {
    width: usize,
    terminal: bool,
    no_colour: bool,
    stdin: &'a str,
    reports: Vec<Report>,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            width: 100,
            terminal: false,
            no_colour: false,
            stdin: "",
            reports: Vec::new(),
        }
    }
}

impl Setup<'_> {
    fn run(&self, arguments: &[&str]) -> Outcome {
        let checker = Prepared {
            reports: self.reports.clone(),
            asked: RefCell::new(Vec::new()),
        };
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let mut stdin = self.stdin.as_bytes();
        let all = std::iter::once("twinstack").chain(arguments.iter().copied());
        let mut environment = Environment {
            arguments: all.map(OsString::from).collect(),
            stdin: &mut stdin,
            stdout: Stream::new(&mut stdout, self.terminal),
            // Never a terminal: a progress bar would draw on the one of the test run.
            stderr: Stream::new(&mut stderr, false),
            width: self.width,
            no_colour: self.no_colour,
            checker: &checker,
        };
        environment.choose_colour(ColourChoice::Auto);
        let status = command::run(&mut environment);
        Outcome {
            status,
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
            asked: checker.asked.into_inner(),
        }
    }
}

/// Runs a command at 100 columns, without a terminal and without anything to look at.
fn run(arguments: &[&str]) -> Outcome {
    Setup::default().run(arguments)
}

/// A checker that has its reports already.
struct Prepared {
    reports: Vec<Report>,
    asked: RefCell<Vec<(Options, Vec<Via>)>>,
}

impl Checker for Prepared {
    fn check<'a>(&'a self, options: &'a Options, via: &'a [Via]) -> Answer<'a> {
        self.asked
            .borrow_mut()
            .push((options.clone(), via.to_vec()));
        let text = &options.target.text;
        let report = self.reports.iter().find(|report| report.target == *text);
        let report = report
            .cloned()
            .unwrap_or_else(|| panic!("no report for {text}"));
        Box::pin(async move { report })
    }
}
