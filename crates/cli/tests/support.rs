//! What the lab tests share.
#![expect(clippy::unwrap_used, reason = "a helper of tests; a failure here is a failed test")]
#![expect(dead_code, unreachable_pub, reason = "each test program uses its part")]

use std::path::Path;
use std::process::Command;

/// The real binary.
pub fn twinstack(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twinstack"));
    command.args(arguments);
    command
}

/// A command on the client of a world.
pub fn lab(world: &str, command: &[&str]) -> Command {
    let mut lab = twinstack(&["lab", "run", world, "--"]);
    lab.args(command);
    lab
}

/// Output as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The process whose command line begins with this program and holds this word.
pub fn process_with(word: &str, program: &str) -> Option<u32> {
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        if words.first().is_some_and(|first| first.ends_with(program.as_bytes()))
            && words.contains(&word.as_bytes())
        {
            return Some(pid);
        }
    }
    None
}

/// The processes that hold a network namespace.
pub fn holders(namespace: &Path) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            (std::fs::read_link(entry.path().join("ns/net")).ok()? == namespace).then_some(pid)
        })
        .collect()
}
