//! What tests share.
//!
//! A test that needs something of the machine (namespaces, a program from Debian) asks the one gate here. The gate
//! never skips silently: it names the test and what was missing on standard error and, when `cargo xtask test` runs,
//! in the list that closes the run.

pub mod recording;

use std::io::Write;
use std::path::{Path, PathBuf};

/// The environment variable that names the file in which the gate writes down what did not run.
pub const NOT_RUN: &str = "TWINSTACK_NOT_RUN";

/// Something of the machine that a test needs.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// A program, by its name; looked for in `PATH` and in the `sbin` directories.
    Program(&'static str),
    /// A file or directory, by its path.
    File(&'static str),
    /// Being root, for tests that become somebody else.
    Root,
    /// User namespaces as this user.
    Namespaces,
}

/// Whether a test can run here; if not, says so by name.
///
/// # Panics
///
/// When the list of what did not run cannot be written.
#[must_use = "a test that ignores the answer fails for the wrong reason"]
pub fn can_run(test: &str, needs: &[Need]) -> bool {
    let missing: Vec<String> = needs.iter().filter_map(|need| missing(*need)).collect();
    if missing.is_empty() {
        return true;
    }
    let line = format!("{test}: {}\n", missing.join(", "));
    #[expect(clippy::print_stderr, reason = "the gate is loud on purpose")]
    {
        eprint!("could not run here: {line}");
    }
    if let Some(list) = std::env::var_os(NOT_RUN) {
        let written = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(list)
            .and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(
            written.is_ok(),
            "the list of what did not run cannot be written: {written:?}"
        );
    }
    false
}

fn missing(need: Need) -> Option<String> {
    match need {
        Need::Program(name) => find(name)
            .is_none()
            .then(|| format!("`{name}` is not installed")),
        Need::File(path) => (!Path::new(path).exists()).then(|| format!("there is no `{path}`")),
        Need::Root => {
            let root = std::fs::metadata("/proc/self").is_ok_and(|it| {
                use std::os::unix::fs::MetadataExt;
                it.uid() == 0
            });
            (!root).then(|| "needs root to become another user".to_owned())
        }
        Need::Namespaces => {
            let works = std::process::Command::new("unshare")
                .args(["--user", "--map-root-user", "--net", "--mount", "true"])
                .stdin(std::process::Stdio::null())
                .output()
                .is_ok_and(|output| output.status.success());
            (!works).then(|| "user namespaces are refused".to_owned())
        }
    }
}

/// Where a program is.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/sbin")])
        .map(|directory| directory.join(name))
        .find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs_and_misses_what_is_not_there() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program-anywhere").is_none());
        assert!(missing(Need::Program("no-such-program-anywhere")).is_some());
    }
}
