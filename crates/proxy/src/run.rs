//! Happy Eyeballs for one program that is not changed, static or not, as an ordinary user (Linux on x86_64 and aarch64).
//!
//! The program runs under a seccomp filter that hands every `connect` to a supervisor. The supervisor reads the address,
//! takes a duplicate of the socket, and connects it itself without waiting; an IPv6 attempt that stays unanswered is given
//! up after [`Options::give_up`], if the program has another address to go on to, and remembered, so that the next one
//! fails at once. The program's look-ups are steered to a stub resolver that does not let a missing AAAA (or A) answer
//! hold up the other, and that learns which addresses belong together. Whatever the supervisor cannot judge goes through
//! untouched.
//!
//! - Pure: [`filter`] (the BPF program), [`verdict`] (the policy), [`memory`] (silent destinations), [`names`] (which
//!   addresses belong together), [`stub`] (the resolver), [`races`] (what the report says).
//! - Edge: [`kernel`] (system calls), [`program`] (processes), [`annex`] (a network for the stub), [`supervisor`] (the loop),
//!   [`front`] (signals and the exit status).
//!
//! It is a help and no wall: a filter like this one keeps nobody in who wants out.

mod annex;
mod call;
mod filter;
mod front;
mod kernel;
mod memory;
mod names;
mod procfs;
mod program;
mod races;
mod report;
mod stub;
mod supervisor;
mod verdict;

pub use verdict::{BadPrefix, Prefix};

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::time::Duration;

/// How to run the program.
#[derive(Debug)]
#[non_exhaustive]
pub struct Options {
    /// How long an IPv6 attempt may stay unanswered when there is something to fall back to.
    pub give_up: Duration,
    /// Whether look-ups are steered to the stub resolver.
    pub steer_dns: bool,
    /// Whether `io_uring_setup` fails with ENOSYS instead of being counted.
    pub refuse_io_uring: bool,
    /// Prefixes whose addresses are watched besides IPv6.
    pub also: Vec<Prefix>,
    /// Where each race is written to, a line of JSON each.
    pub report: Option<File>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            give_up: Duration::from_millis(250),
            steer_dns: true,
            refuse_io_uring: false,
            also: Vec::new(),
            report: None,
        }
    }
}

/// How the program ended, and what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Its exit status; 128 and the signal's number if a signal ended it.
    pub status: u8,
    /// What passed by unwatched, in sentences.
    pub notes: Vec<String>,
}

/// Why the program did not run, or not to its end under our eyes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// No command was given.
    #[error("there is no command to run")]
    NoCommand,
    /// There is no such program.
    #[error("`{program}` was not found")]
    NotFound {
        /// As it was given.
        program: String,
    },
    /// It cannot be executed.
    #[error("`{program}` cannot be executed: {source}")]
    NotExecutable {
        /// As it was given.
        program: String,
        /// The kernel's word.
        source: io::Error,
    },
    /// Filter numbers are known for x86_64 and aarch64.
    #[error("`run` knows the system calls of x86_64 and aarch64 only")]
    Architecture,
    /// There is a listener already.
    #[error(
        "this process is supervised by seccomp already (another `twinstack run`, or a container engine); the kernel allows \
         one supervisor"
    )]
    Supervised,
    /// No filter could be installed.
    #[error("the kernel takes no seccomp filter with a supervisor (Linux 5.9 is needed): {0}")]
    Filter(#[source] io::Error),
    /// We may not look at our own child.
    #[error(
        "the supervisor may not look at the program ({0}); in a container it takes the system calls pidfd_getfd and \
         process_vm_readv, which `--cap-add SYS_PTRACE` allows"
    )]
    NotAllowed(#[source] io::Error),
    /// Processes, sockets, what belongs to every program.
    #[error("cannot {what}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// The kernel's word.
        source: io::Error,
    },
    /// The supervisor ended while the program ran.
    #[error("the supervisor ended while the program ran; connections of what is left of it fail")]
    SupervisorEnded,
}

impl RunError {
    /// The exit status that container engines have made usual: 127 not found, 126 not executable, 125 our own failure.
    pub fn status(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
            _ => 125,
        }
    }
}

/// Runs a command and waits for its end.
///
/// To be called from a process with a single thread: it forks. While the program runs, signals that others send to this
/// process are forwarded to it; those from the terminal reach it by themselves.
///
/// # Errors
///
/// When the program cannot be started, or not be watched. Its own failures are its exit status.
pub fn run(options: Options, command: &[OsString]) -> Result<Ended, RunError> {
    front::run(options, command)
}
