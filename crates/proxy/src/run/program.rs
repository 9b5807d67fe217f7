//! The processes: the front that the user started, the supervisor, and the program.
//!
//! ```text
//! twinstack run (front) ── fork ── supervisor ── fork ── program ── its children
//!   waits, forwards signals        own session           in the front's process group and on its terminal
//! ```
//!
//! The supervisor has to be the program's ancestor (Yama lets only ancestors look at a process) and has to outlive it as
//! long as anything lives that carries the filter: a connect under a filter without a listener fails with ENOSYS. So it is
//! a process of its own between front and program, adopts orphans, and ends when the kernel says that nobody is left.
#![expect(
    unsafe_code,
    reason = "fork and exec with a hand-over in between, which std cannot do"
)]

use super::filter::Instruction;
use super::kernel::{self, Listener};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, signal};
use std::ffi::{CString, OsString};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;

/// A program that waits for its listener to be fetched.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its process.
    pub(crate) process: u32,
    /// The same, as a descriptor that never means another process.
    pub(crate) handle: OwnedFd,
    /// Says how exec went: closed without a word, or an `errno`.
    pub(crate) exec: UnixStream,
}

/// Why there is no program.
#[derive(Debug)]
pub(crate) enum NoProgram {
    /// Fork, or what belongs to it.
    Start(io::Error),
    /// The kernel took no filter.
    Filter(io::Error),
    /// The listener could not be fetched: we may not look at our own child.
    Fetch(io::Error),
}

/// What the front had before it changed anything for itself; the program gets it back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inherited {
    /// The signal mask.
    pub(crate) mask: SigSet,
    /// Whether SIGCHLD was ignored.
    pub(crate) ignores_children: bool,
}

const FILTER_FAILED: u8 = b'f';
const LISTENER: u8 = b'l';
const EXEC_FAILED: u8 = b'x';

/// Starts the program under the filter, up to the moment before exec.
pub(crate) fn start(
    command: &[OsString],
    filter: &[Instruction],
    inherited: Inherited,
) -> Result<(Program, Listener), NoProgram> {
    let nul = |_| NoProgram::Start(io::ErrorKind::InvalidInput.into());
    let words: Vec<CString> = command
        .iter()
        .map(|word| CString::new(word.as_bytes()))
        .collect::<Result<_, _>>()
        .map_err(nul)?;
    let mut arguments: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    arguments.push(std::ptr::null());
    let (mut ours, theirs) = UnixStream::pair().map_err(NoProgram::Start)?;
    // SAFETY: the child calls nothing that allocates or locks.
    let process = unsafe { libc::fork() };
    if process < 0 {
        return Err(NoProgram::Start(io::Error::last_os_error()));
    }
    if process == 0 {
        become_program(&arguments, filter, inherited, theirs.as_raw_fd());
    }
    drop(theirs);
    let process = process.cast_unsigned();
    let handle = kernel::open_process(process).map_err(NoProgram::Start)?;
    let (tag, value) = read_word(&mut ours).map_err(NoProgram::Start)?;
    if tag != LISTENER {
        return Err(NoProgram::Filter(io::Error::from_raw_os_error(value)));
    }
    let listener = kernel::take_fd(&handle, value).map_err(NoProgram::Fetch);
    let program = Program {
        process,
        handle,
        exec: ours,
    };
    match listener {
        Ok(listener) => Ok((program, Listener(listener))),
        Err(error) => {
            kernel::signal_process(&program.handle, libc::SIGKILL);
            Err(error)
        }
    }
}

impl Program {
    /// Lets it go on to exec.
    pub(crate) fn go(&mut self) -> io::Result<()> {
        self.exec.write_all(b"!")
    }

    /// The `errno` of a failed exec; `None` if it worked.
    pub(crate) fn exec_error(&mut self) -> Option<i32> {
        match read_word(&mut self.exec) {
            Ok((EXEC_FAILED, errno)) => Some(errno),
            _ => None,
        }
    }
}

fn read_word(from: &mut UnixStream) -> io::Result<(u8, i32)> {
    let mut word = [0_u8; 5];
    from.read_exact(&mut word)?;
    let [tag, value @ ..] = word;
    Ok((tag, i32::from_ne_bytes(value)))
}

/// The child: allocates nothing, never returns.
fn become_program(
    arguments: &[*const libc::c_char],
    filter: &[Instruction],
    inherited: Inherited,
    channel: RawFd,
) -> ! {
    let say = |tag: u8, value: i32| {
        let [a, b, c, d] = value.to_ne_bytes();
        let word = [tag, a, b, c, d];
        // SAFETY: pointer and length are those of an array.
        unsafe { libc::write(channel, word.as_ptr().cast(), word.len()) };
    };
    let children = if inherited.ignores_children {
        SigHandler::SigIgn
    } else {
        SigHandler::SigDfl
    };
    // Rust's runtime ignores SIGPIPE; programs expect it not to be.
    // SAFETY: neither of these handlers is code of ours.
    let _valid_signals = unsafe {
        (
            signal(Signal::SIGPIPE, SigHandler::SigDfl),
            signal(Signal::SIGCHLD, children),
        )
    };
    let _valid_mask = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&inherited.mask), None);
    match kernel::install_filter(filter) {
        Ok(listener) => {
            say(LISTENER, listener);
            let mut go = [0_u8; 1];
            // SAFETY: the array has the one octet that is asked for.
            let read = unsafe { libc::read(channel, go.as_mut_ptr().cast(), 1) };
            if read == 1
                && let Some(path) = arguments.first()
            {
                // SAFETY: NUL-terminated words and a null pointer behind the last, alive until exec.
                unsafe { libc::execvp(*path, arguments.as_ptr()) };
                say(EXEC_FAILED, nix::errno::Errno::last_raw());
            }
        }
        Err(error) => say(FILTER_FAILED, error.raw_os_error().unwrap_or(0)),
    }
    // SAFETY: ends the process without running what belongs to the parent.
    unsafe { libc::_exit(127) }
}
