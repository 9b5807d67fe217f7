//! The process that the user started: it waits for the program, forwards signals, and gives the exit status.

use super::program::Inherited;
use super::{Ended, Options, RunError, filter, kernel, procfs, supervisor};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, raise, sigaction,
};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixDatagram;

/// What the supervisor says to the front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Something to tell the user at the end.
    Note(String),
    /// The program, this process, was stopped.
    Stopped(i32),
    /// It ended with this status.
    Ended(u8),
    /// exec failed.
    NotExecuted(i32),
    /// There is a listener already.
    Supervised,
    /// No filter.
    NoFilter(i32),
    /// We may not look at our own child.
    NotAllowed(i32),
    /// Something else failed.
    Failed(i32),
}

impl Word {
    /// One datagram.
    pub(crate) fn to_octets(&self) -> Vec<u8> {
        let number = |tag: u8, number: i32| {
            let mut octets = vec![tag];
            octets.extend(number.to_ne_bytes());
            octets
        };
        match self {
            Self::Note(text) => [b"n", text.as_bytes()].concat(),
            Self::Stopped(process) => number(b's', *process),
            Self::Ended(status) => number(b'e', (*status).into()),
            Self::NotExecuted(errno) => number(b'x', *errno),
            Self::Supervised => number(b'd', 0),
            Self::NoFilter(errno) => number(b'f', *errno),
            Self::NotAllowed(errno) => number(b'p', *errno),
            Self::Failed(errno) => number(b'?', *errno),
        }
    }

    fn from_octets(octets: &[u8]) -> Option<Self> {
        let (tag, rest) = octets.split_first()?;
        if *tag == b'n' {
            return Some(Self::Note(String::from_utf8_lossy(rest).into_owned()));
        }
        let number = i32::from_ne_bytes(rest.try_into().ok()?);
        Some(match tag {
            b's' => Self::Stopped(number),
            b'e' => Self::Ended(u8::try_from(number).ok()?),
            b'x' => Self::NotExecuted(number),
            b'd' => Self::Supervised,
            b'f' => Self::NoFilter(number),
            b'p' => Self::NotAllowed(number),
            b'?' => Self::Failed(number),
            _ => return None,
        })
    }
}

/// Signals that end or tell a program something: whoever sends one to us means the program.
const FORWARDED: [Signal; 7] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGALRM,
];

/// See [`super::run`].
pub(crate) fn run(options: Options, command: &[OsString]) -> Result<Ended, RunError> {
    let system = |what| move |source| RunError::System { what, source };
    let name = command.first().ok_or(RunError::NoCommand)?;
    let architecture = filter::Architecture::native().ok_or(RunError::Architecture)?;
    // Sequenced packets: datagrams keep their borders, and the end of the other side is noticed.
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )
    .map_err(|errno| system("make a pair of sockets")(errno.into()))?;
    let (ours, theirs) = (UnixDatagram::from(ours), UnixDatagram::from(theirs));

    let signals: SigSet = FORWARDED.into_iter().collect();
    let mut mask = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&signals), Some(&mut mask))
        .map_err(|errno| system("block signals")(errno.into()))?;
    let inherited = Inherited {
        mask,
        ignores_children: expect_children(),
    };
    let forwarded = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(|errno| system("receive signals")(errno.into()))?;

    let start = supervisor::Start {
        options,
        command: command.to_vec(),
        architecture,
        inherited,
    };
    let Some(process) = kernel::fork().map_err(system("fork"))? else {
        drop(ours);
        drop(forwarded);
        supervisor::live(start, &theirs);
    };
    drop(theirs);
    // The report file, if any, belongs to the supervisor now.
    drop(start);
    let ended = wait(&ours, &forwarded, process);
    // What is left of this process behaves as before: our caller may go on for long.
    let _was_valid_before = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None);
    let (word, notes) = ended.map_err(system("wait for the program"))?;
    let program = name.to_string_lossy().into_owned();
    let error = io::Error::from_raw_os_error;
    match word {
        Some(Word::Ended(status)) => Ok(Ended { status, notes }),
        Some(Word::NotExecuted(libc::ENOENT)) => Err(RunError::NotFound { program }),
        Some(Word::NotExecuted(errno)) => Err(RunError::NotExecutable {
            program,
            source: error(errno),
        }),
        Some(Word::Supervised) => Err(RunError::Supervised),
        Some(Word::NoFilter(errno)) => Err(RunError::Filter(error(errno))),
        Some(Word::NotAllowed(errno)) => Err(RunError::NotAllowed(error(errno))),
        Some(Word::Failed(errno)) => Err(RunError::System {
            what: "supervise the program",
            source: error(errno),
        }),
        _ => Err(RunError::SupervisorEnded),
    }
}

/// Children leave a status behind, as the supervisor needs; gives whether they did not before.
fn expect_children() -> bool {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    #[expect(unsafe_code, reason = "signal dispositions are process-wide")]
    // SAFETY: the default handler is no code of ours.
    let before = unsafe { sigaction(Signal::SIGCHLD, &default) };
    before.is_ok_and(|before| matches!(before.handler(), SigHandler::SigIgn))
}

type Said = (Option<Word>, Vec<String>);

fn wait(said: &UnixDatagram, signals: &SignalFd, supervisor: u32) -> io::Result<Said> {
    let mut notes = Vec::new();
    let mut octets = [0_u8; 4096];
    loop {
        let mut fds = [
            PollFd::new(said.as_fd(), PollFlags::POLLIN),
            PollFd::new(signals.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let (word, signal) = (fds[0].any() == Some(true), fds[1].any() == Some(true));
        if signal {
            while let Ok(Some(info)) = signals.read_signal() {
                // What the terminal sends (SI_KERNEL) goes to its whole foreground group, and so to the program itself.
                if info.ssi_code <= 0
                    && let Ok(signal) = i32::try_from(info.ssi_signo)
                {
                    let _gone_with_the_program = said.send(&signal.to_ne_bytes());
                }
            }
        }
        if !word {
            continue;
        }
        let length = match said.recv(&mut octets) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            Err(error) => return Err(error),
        };
        match octets.get(..length).and_then(Word::from_octets) {
            Some(Word::Note(note)) => notes.push(note),
            // As the program's own parent would see it: the shell must know that the job stands still.
            Some(Word::Stopped(program)) => {
                // After Ctrl-Z and `fg` both of us have been stopped and continued already.
                if procfs::is_stopped(program) {
                    let _known_signal = raise(Signal::SIGSTOP);
                }
            }
            word => {
                // Reaps it if it has ended; if not, it goes on for those whom the program left behind.
                let _it_may_go_on = nix::sys::wait::waitpid(
                    nix::unistd::Pid::from_raw(supervisor.cast_signed()),
                    Some(nix::sys::wait::WaitPidFlag::WNOHANG),
                );
                return Ok((word, notes));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_way() {
        for word in [
            Word::Note("a note".into()),
            Word::Stopped(4711),
            Word::Ended(137),
            Word::NotExecuted(2),
            Word::Supervised,
            Word::NoFilter(22),
            Word::NotAllowed(1),
            Word::Failed(24),
        ] {
            assert_eq!(Word::from_octets(&word.to_octets()), Some(word));
        }
        assert_eq!(Word::from_octets(&[]), None);
        assert_eq!(Word::from_octets(b"e"), None);
    }
}
