//! Finding, starting and watching a program.

use super::files::Directory;
use crate::service::error::{LogTail, Problem};
use crate::world::model::Exec;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getppid, setsid};
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::process::{Child, Command};

/// Where distributions keep servers; an ordinary user's `PATH` often lacks them.
const SYSTEM_DIRECTORIES: &str = "/usr/local/sbin:/usr/sbin:/sbin";

/// More lines of its output would hide the message above them.
const LINES: usize = 15;

/// Enough bytes for so many lines.
const TAIL: u64 = 16 * 1024;

/// Longer lines are cut in messages.
const LONGEST_LINE: usize = 300;

/// A program that runs.
#[derive(Debug)]
pub(super) struct Program {
    name: String,
    session: Session,
    output: PathBuf,
}

/// A program and all that it has started; dropping it ends them.
#[derive(Debug)]
pub(crate) struct Session {
    child: Child,
}

impl Program {
    /// Starts it in its directory, in a session of its own.
    pub(super) fn start(directory: &Directory, exec: &Exec) -> Result<Self, Problem> {
        let words: Vec<String> = exec
            .command
            .iter()
            .map(|word| directory.fill_in(word))
            .collect::<Result<_, _>>()?;
        let (name, arguments) = words
            .split_first()
            .filter(|(name, _)| !name.is_empty())
            .ok_or(Problem::EmptyCommand)?;
        let search = search_path(env::var_os("PATH"));
        let file = find(name, directory.path(), &search)?;
        let output = directory.output();
        let log = File::create(&output).and_then(|log| Ok((log.try_clone()?, log)));
        let (stdout, stderr) = log.map_err(|source| Problem::File {
            path: output.clone(),
            source,
        })?;
        let mut command = Command::new(&file);
        command
            .args(arguments)
            .current_dir(directory.path())
            .env("PATH", &search)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        in_own_session(&mut command);
        let child = command
            .spawn()
            .map_err(|source| Problem::ProgramNotStarted {
                program: file,
                source,
            })?;
        Ok(Self {
            name: name.clone(),
            session: Session { child },
            output,
        })
    }

    /// As the world names it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How it ended, if it did.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>, Problem> {
        self.session
            .child
            .try_wait()
            .map_err(|source| Problem::ProgramNotWatched {
                program: self.name.clone(),
                source,
            })
    }

    /// What it wrote last.
    pub(super) fn log(&self) -> LogTail {
        // The log explains an error; where it cannot be read, the error has to do without.
        tail(&self.output).unwrap_or(LogTail(vec![]))
    }

    /// The process, for whoever keeps it.
    pub(super) fn into_session(self) -> Session {
        self.session
    }
}

impl Session {
    /// The program's process id, until its end has been noticed.
    pub(crate) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until the program ends by itself.
    #[cfg(test)]
    pub(crate) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Until the program's end has been noticed nobody else can have its number.
        if let Some(id) = self.id().and_then(|id| i32::try_from(id).ok()) {
            // An error means that they have all ended already.
            match killpg(Pid::from_raw(id), Signal::SIGKILL) {
                Ok(()) | Err(_) => {}
            }
        }
    }
}

/// A terminal's Ctrl-C must reach the lab and not the program, and the program must not outlive the lab.
fn in_own_session(command: &mut Command) {
    let lab = std::process::id();
    let before_exec = move || {
        setsid()?;
        // Sent when the thread that started the program ends, which is the host's thread.
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The lab may have ended before the line above.
        if getppid().as_raw() != lab.cast_signed() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "the one way to run code between fork and exec")]
    // SAFETY: the closure runs in the child of a process with several threads. It makes three system calls and
    // neither allocates nor takes locks; an `io::Error` made of an error number or of a kind is plain data.
    unsafe {
        command.pre_exec(before_exec);
    }
}

fn search_path(path: Option<OsString>) -> OsString {
    let mut search = path.unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    if !search.is_empty() {
        search.push(":");
    }
    search.push(SYSTEM_DIRECTORIES);
    search
}

/// The file behind a program's name: a path as it is (relative ones start in the program's directory), a plain name
/// from the search path, as a shell would.
fn find(name: &str, directory: &Path, search: &OsString) -> Result<PathBuf, Problem> {
    let not_found = |searched: String| Problem::ProgramNotFound {
        program: name.to_owned(),
        searched,
    };
    if name.contains('/') {
        let file = directory.join(name);
        return match file.try_exists() {
            Ok(false) => Err(not_found(directory.to_string_lossy().into_owned())),
            Ok(true) | Err(_) => Ok(file),
        };
    }
    env::split_paths(search)
        .filter(|place| place.is_absolute())
        .map(|place| place.join(name))
        .find(|file| is_executable(file))
        .ok_or_else(|| not_found(search.to_string_lossy().into_owned()))
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn tail(output: &Path) -> io::Result<LogTail> {
    let mut file = File::open(output)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = vec![];
    file.take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines: Vec<String> = text
        .lines()
        .rev()
        .filter(|line| !line.trim().is_empty())
        .take(LINES)
        .map(printable)
        .collect();
    lines.reverse();
    Ok(LogTail(lines))
}

/// A line that cannot move the cursor of the terminal that shows it.
fn printable(line: &str) -> String {
    line.trim_end()
        .chars()
        .take(LONGEST_LINE)
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}
