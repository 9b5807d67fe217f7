//! From arguments to an exit status.

use crate::arguments::{Arguments, Command};
use crate::environment::Environment;
use crate::{check, connect, explain, lab, manual, proxy, run};
use clap::{CommandFactory as _, FromArgMatches as _};

/// Could not do what was asked.
const COULD_NOT: u8 = 2;
/// Wrong usage.
const USAGE: u8 = 64;

/// Runs the command that the environment's arguments name and returns its exit status.
pub(crate) fn run(environment: &mut Environment<'_>) -> u8 {
    dispatch(environment).unwrap_or_else(|error| {
        // A standard error that is gone too leaves nowhere to say it; the status remains.
        drop(environment.stderr.print(&format!("error: {error:#}\n")));
        COULD_NOT
    })
}

fn dispatch(environment: &mut Environment<'_>) -> anyhow::Result<u8> {
    let parsed = Arguments::command()
        .term_width(environment.text_width())
        .try_get_matches_from(&environment.arguments)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(refusal) => return refused(&refusal, environment),
    };
    environment.choose_colour(arguments.color);
    match arguments.command {
        Command::Check(arguments) => check::run(&arguments, environment),
        Command::Lab(arguments) => lab::run(*arguments, environment),
        Command::Connect(arguments) => connect::run(&arguments, environment),
        Command::Proxy(arguments) => proxy::run(*arguments, environment),
        Command::Run(arguments) => run::run(arguments, environment),
        Command::Explain(arguments) => explain::run(&arguments, environment),
        Command::Completions { shell } => manual::completions(shell, environment),
        Command::Man { command } => manual::page(&command, environment),
    }
}

/// Help and version are answers; everything else that the parser returns is wrong usage.
fn refused(refusal: &clap::Error, environment: &mut Environment<'_>) -> anyhow::Result<u8> {
    let (stream, status) = if refusal.use_stderr() {
        (&mut environment.stderr, USAGE)
    } else {
        (&mut environment.stdout, 0)
    };
    let text = refusal.render();
    if stream.colour {
        stream.print(&text.ansi().to_string())?;
    } else {
        stream.print(&text.to_string())?;
    }
    Ok(status)
}
