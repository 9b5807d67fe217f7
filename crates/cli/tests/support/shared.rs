//! What the lab tests share.

use std::process::Command;

/// The real binary.
pub(crate) fn twinstack(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinstack"));
    command.args(arguments);
    command
}

/// Output as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
