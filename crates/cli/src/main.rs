//! The `twinstack` command.
//!
//! Everything here is arguments, rendering and exit status. What is true about the network is found out by
//! `twinstack-check`; worlds are built by `twinstack-lab`.

mod arguments;
mod check;
mod checker;
mod command;
mod connect;
mod environment;
mod explain;
mod eyeballs;
mod lab;
mod lab_client;
mod manual;
mod nearest;
mod page;
mod play;
mod proxy;
mod recording;
mod render;
mod report_file;
mod run;
#[cfg(test)]
mod tests;

use environment::{Environment, Stream};
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    // A lab's process 1 is this same program under another name.
    if let Some(status) = twinstack_lab::enter_init() {
        return status;
    }
    let (mut stdin, mut stdout, mut stderr) = (io::stdin(), io::stdout(), io::stderr());
    let terminal = (stdout.is_terminal(), stderr.is_terminal());
    let mut environment = Environment::of_process(
        &mut stdin,
        Stream::new(&mut stdout, terminal.0),
        Stream::new(&mut stderr, terminal.1),
        &checker::Network,
    );
    ExitCode::from(command::run(&mut environment))
}
