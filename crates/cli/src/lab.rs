//! `twinstack lab`: worlds, programs in them, and the replays.

use crate::environment::Environment;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::ffi::OsString;
use std::path::PathBuf;
use twinstack_lab::world::{LoadOptions, Shipped, World};
use twinstack_lab::{Lab, LabOptions, Outcome};

/// Broken networks on one machine, without root.
#[derive(Debug, Args)]
pub(crate) struct LabArguments {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Debug, Subcommand)]
enum LabCommand {
    /// Lists the worlds that come with Twinstack, one line each
    Worlds {
        /// Also the near misses: worlds that look like a fault and are none
        #[arg(long)]
        all: bool,
        /// How to show them
        #[arg(long, value_enum, default_value_t)]
        format: ListFormat,
    },
    /// Builds a world, runs a command on one of its hosts, takes the world down
    ///
    /// The command's exit status is passed through; 125 means that the lab itself failed, 126 that the command cannot
    /// be executed, 127 that it was not found.
    Run(RunArguments),
    /// Opens a shell on a host of a world
    Shell {
        /// A world's name (see `lab worlds`) or file
        world: String,
        /// On which host; the world's client if left out
        #[arg(long)]
        host: Option<String>,
        /// Records every packet into this file (pcapng, for Wireshark and tshark)
        #[arg(long, value_name = "FILE")]
        trace: Option<PathBuf>,
    },
    /// Replays an incident as a story, every line measured there and then
    Play(crate::play::PlayArguments),
    /// Scores a program's Happy Eyeballs: runs it in many broken worlds and judges it by its packets
    ///
    /// The exit status is 0 when everything visible that the draft asks for (MUST and SHOULD) is done, 1 when something is
    /// not, 2 when it could not be found out.
    Eyeballs(crate::eyeballs::EyeballsArguments),
    /// A client of known habits, to prove `lab eyeballs` with
    #[command(hide = true)]
    Pretender(crate::eyeballs::pretender::PretenderArguments),
    /// The clients of the replays
    #[command(hide = true)]
    Client(crate::lab_client::ClientArguments),
}

/// How a list is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum ListFormat {
    /// For people
    #[default]
    Human,
    /// For programs
    Json,
}

#[derive(Debug, Args)]
struct RunArguments {
    /// A world's name (see `lab worlds`) or file
    world: String,
    /// On which host; the world's client if left out
    #[arg(long)]
    host: Option<String>,
    /// Records every packet into this file (pcapng, for Wireshark and tshark)
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// Builds the world without its fault, for comparison
    #[arg(long)]
    without_fault: bool,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// What the lab itself failing means: for `run`, the status that container engines use, because CMD's own passes through.
const RUN_FAILED: u8 = 125;
/// Everywhere else: could not look.
const COULD_NOT: u8 = 2;

/// Runs a `lab` command and returns its exit status.
pub(crate) fn run(
    arguments: LabArguments,
    environment: &mut Environment<'_>,
) -> anyhow::Result<u8> {
    match arguments.command {
        LabCommand::Worlds { all, format } => worlds(all, format, environment),
        LabCommand::Run(arguments) => in_world(&arguments, environment, RUN_FAILED),
        LabCommand::Shell { world, host, trace } => {
            let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
            let arguments = RunArguments {
                world,
                host,
                trace,
                without_fault: false,
                command: vec![shell],
            };
            in_world(&arguments, environment, COULD_NOT)
        }
        LabCommand::Play(arguments) => crate::play::run(&arguments, environment),
        LabCommand::Eyeballs(arguments) => crate::eyeballs::run(&arguments, environment),
        LabCommand::Pretender(arguments) => {
            crate::eyeballs::pretender::run(&arguments, environment)
        }
        LabCommand::Client(arguments) => crate::lab_client::run(&arguments, environment),
    }
}

/// One line of `lab worlds --format json`.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    summary: &'static str,
    near_miss: bool,
    expect: Vec<String>,
}

/// `lab worlds`.
fn worlds(all: bool, format: ListFormat, environment: &mut Environment<'_>) -> anyhow::Result<u8> {
    let shown: Vec<&Shipped> = World::shipped()
        .filter(|world| all || !world.is_near_miss())
        .collect();
    let text = match format {
        ListFormat::Human => {
            let width = shown
                .iter()
                .map(|world| world.name().len())
                .max()
                .unwrap_or(0);
            let line = |world: &Shipped| {
                format!(
                    "{:width$}  {}
",
                    world.name(),
                    world.summary()
                )
            };
            shown.into_iter().map(line).collect()
        }
        ListFormat::Json => {
            let listed = shown
                .into_iter()
                .map(|world| {
                    let expect = World::load(world.name()).map_or_else(
                        |_| Vec::new(),
                        |world| world.expect.iter().map(ToString::to_string).collect(),
                    );
                    Listed {
                        name: world.name(),
                        summary: world.summary(),
                        near_miss: world.is_near_miss(),
                        expect,
                    }
                })
                .collect::<Vec<_>>();
            let report =
                serde_json::json!({ "schema": "twinstack.lab-worlds/1", "worlds": listed });
            format!("{report:#}\n")
        }
    };
    environment.stdout.print(&text)?;
    Ok(0)
}

/// How every command reads worlds: only codes that `check` has may be expected.
pub(crate) fn load_options(without_fault: bool) -> LoadOptions {
    LoadOptions {
        without_fault,
        known_codes: twinstack_check::codes::all_codes()
            .iter()
            .map(|info| info.code.to_owned())
            .collect(),
        ..LoadOptions::default()
    }
}

/// Builds the world, runs the command in it, passes its exit status on; `failed` is the lab's own failure.
fn in_world(
    arguments: &RunArguments,
    environment: &mut Environment<'_>,
    failed: u8,
) -> anyhow::Result<u8> {
    let world = match World::load_with(&arguments.world, &load_options(arguments.without_fault)) {
        Ok(world) => world,
        Err(error) => {
            let text = error.render(environment.stderr.colour);
            environment.stderr.print(&format!("{text}\n"))?;
            return Ok(failed);
        }
    };
    let host = match &arguments.host {
        Some(host) => host.clone(),
        None => world
            .hosts
            .get(world.client.0)
            .map(|host| host.name.clone())
            .unwrap_or_default(),
    };
    if !world.hosts.iter().any(|known| known.name == host) {
        let known: Vec<&str> = world.hosts.iter().map(|host| host.name.as_str()).collect();
        let text = format!(
            "world `{}` has no host `{host}`; it has {}\n",
            world.name,
            known.join(", ")
        );
        environment.stderr.print(&text)?;
        return Ok(failed);
    }
    let options = LabOptions {
        trace: arguments.trace.clone(),
        program: None,
    };
    let ran = Lab::start(&world, &options).and_then(|lab| {
        // From here on the terminal belongs to the command; it decides what Ctrl-C means.
        let _ignored = Interrupts::ignore();
        lab.command(&host, &arguments.command).status()
    });
    match ran {
        Ok(outcome) => {
            if let Some(complaint) = complaint(&outcome, &arguments.command) {
                environment.stderr.print(&complaint)?;
            }
            Ok(outcome.exit_status())
        }
        Err(error) => {
            environment.stderr.print(&format!("{error}\n"))?;
            Ok(failed)
        }
    }
}

/// What to say when the command did not run at all; a command that ran speaks for itself.
fn complaint(outcome: &Outcome, command: &[OsString]) -> Option<String> {
    let name = command
        .first()
        .map_or_else(Default::default, |name| name.to_string_lossy());
    match outcome {
        Outcome::Exited(_) | Outcome::Signaled(_) => None,
        Outcome::NotFound => Some(format!("`{name}` was not found\n")),
        Outcome::NotExecutable(why) => Some(format!("`{name}` cannot be executed: {why}\n")),
        Outcome::NoSuchHost => Some("the lab has no such host\n".to_owned()),
        Outcome::LabEnded => Some(format!("the lab ended while `{name}` ran\n")),
    }
}

/// SIGINT and SIGQUIT from the terminal are for the command in the foreground, not for us; restored when dropped.
struct Interrupts {
    earlier: Vec<(nix::sys::signal::Signal, nix::sys::signal::SigHandler)>,
}

impl Interrupts {
    fn ignore() -> Self {
        use nix::sys::signal::{SigHandler, Signal, signal};
        let earlier = [Signal::SIGINT, Signal::SIGQUIT]
            .into_iter()
            .filter_map(|number| {
                #[expect(unsafe_code, reason = "signal dispositions are process-wide")]
                // SAFETY: ignoring a signal installs no handler that could run.
                let before = unsafe { signal(number, SigHandler::SigIgn) };
                before.ok().map(|before| (number, before))
            })
            .collect();
        Self { earlier }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        for (number, handler) in &self.earlier {
            #[expect(unsafe_code, reason = "puts back what was there")]
            // SAFETY: the handler is the one that was installed before.
            let restored = unsafe { nix::sys::signal::signal(*number, *handler) };
            debug_assert!(restored.is_ok(), "the signal was accepted before");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_ran_is_left_to_speak_for_itself() {
        assert_eq!(complaint(&Outcome::Exited(3), &["x".into()]), None);
        let missing = complaint(&Outcome::NotFound, &["x".into()]);
        assert_eq!(missing.as_deref(), Some("`x` was not found\n"));
    }
}
