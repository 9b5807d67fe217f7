//! What the lab tests share.
#![expect(
    clippy::unwrap_used,
    reason = "a helper of tests; a failure here is a failed test"
)]
#![expect(clippy::missing_panics_doc, reason = "a panic here is a failed test")]

use std::process::Command;

/// The real binary.
pub(crate) fn twinstack(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinstack"));
    command.args(arguments);
    command
}

/// A command on the client of a world.
pub(crate) fn lab(world: &str, command: &[&str]) -> Command {
    let mut lab = twinstack(&["lab", "run", world, "--"]);
    lab.args(command);
    lab
}

/// Output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
