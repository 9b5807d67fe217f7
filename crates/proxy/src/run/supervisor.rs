//! The loop: calls that were handed over, sockets that became ready, deadlines. It never waits for anything else.

use super::call::{self, Peer};
use super::filter::{self, Architecture, Call};
use super::front::Word;
use super::kernel::{self, Listener, Notification, Poller, Ready, Reply};
use super::program::{self, Inherited, NoProgram, Program};
use super::report::{PassedBy, Report};
use super::verdict::Policy;
use super::{Options, procfs};
use attempts::Attempts;
use lookups::LookUps;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

mod attempts;
mod executions;
mod lookups;

/// What the supervisor is started with.
#[derive(Debug)]
pub(crate) struct Start {
    /// What the user wants.
    pub(crate) options: Options,
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    /// Whose system calls these are.
    pub(crate) architecture: Architecture,
    /// What the program gets back.
    pub(crate) inherited: Inherited,
}

/// Numbers of the descriptors that are always there.
mod token {
    pub(super) const LISTENER: u64 = 0;
    pub(super) const FRONT: u64 = 1;
    pub(super) const CHILDREN: u64 = 2;
    pub(super) const EXEC: u64 = 3;
    /// The stub's own sockets, from here on.
    pub(super) const STUB: u64 = 8;
    /// Everything that comes and goes.
    pub(super) const FIRST_FREE: u64 = 32;
}

/// What every part of the supervisor uses.
struct Shared {
    listener: Listener,
    poller: Poller,
    report: Report,
    started: Instant,
    next_token: u64,
}

impl Shared {
    /// The time, from the supervisor's beginning.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    /// Lets a call go through because we may not look.
    fn cannot_look(&mut self, call: &Notification, what: PassedBy) -> Reply {
        // A caller that is gone by now cannot be looked at either, and that is nothing to report.
        if self.listener.is_valid(call.id) {
            self.passes_by(call.thread, what);
        }
        Reply::Continue
    }

    fn passes_by(&mut self, thread: u32, what: PassedBy) {
        let process = procfs::process_of(thread).unwrap_or(thread);
        self.report
            .passes_by(what, process, &procfs::name_of(process));
    }
}

/// A duplicate of a caller's socket.
///
/// Threads may have descriptor tables of their own; since Linux 6.9 a descriptor can stand for one thread. Before, the
/// process's table is used, and the inode tells whether it is the thread's too.
fn take_socket(call: &Notification) -> io::Result<OwnedFd> {
    let number = fd_argument(call);
    if let Ok(thread) = kernel::open_thread(call.thread) {
        return kernel::take_fd(&thread, number);
    }
    let process = procfs::process_of(call.thread).ok_or(io::ErrorKind::NotFound)?;
    let socket = kernel::take_fd(&kernel::open_process(process)?, number)?;
    let ours = nix::sys::stat::fstat(&socket)?.st_ino;
    if procfs::inode(call.thread, number) != Some(ours) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(socket)
}

/// The address that a call names, as octets; at most as many as there are.
fn read_address(call: &Notification, at: usize, length: usize) -> io::Result<Vec<u8>> {
    let argument = |index: usize| call.arguments.get(index).copied().unwrap_or(0);
    // The kernel takes the length as an int.
    let length = usize::try_from(argument(length) & 0xffff_ffff).unwrap_or(0);
    let mut octets = vec![0; length.min(call::LONGEST)];
    let read = kernel::read_memory(call.thread, argument(at), &mut octets)?;
    octets.truncate(read);
    Ok(octets)
}

/// The address in the `struct msghdr` that a call points to with its second argument; `struct mmsghdr` begins with one.
fn read_message_address(call: &Notification) -> Option<Vec<u8>> {
    let [_, message, ..] = call.arguments;
    let mut head = [0_u8; 12];
    let read = kernel::read_memory(call.thread, message, &mut head).ok()?;
    let (name, length) = head.split_first_chunk::<8>()?;
    let length = u32::from_ne_bytes(length.try_into().ok()?);
    let length = usize::try_from(length).ok()?.min(call::LONGEST);
    let mut octets = vec![0; length];
    let name = u64::from_ne_bytes(*name);
    let length = kernel::read_memory(call.thread, name, &mut octets).ok()?;
    octets.truncate(length);
    (read == head.len()).then_some(octets)
}

/// The first argument, a descriptor.
fn fd_argument(call: &Notification) -> RawFd {
    let [fd, ..] = call.arguments;
    // The kernel looks at the lower half only.
    u32::try_from(fd & 0xffff_ffff).map_or(-1, u32::cast_signed)
}

/// The supervisor's life. Never returns: what called us belongs to another process.
pub(crate) fn live(start: Start, front: &UnixDatagram) -> ! {
    let status = match begin(start, front) {
        Ok(mut supervisor) => i32::from(supervisor.serve(front).is_err()),
        Err(word) => {
            say(front, &word);
            1
        }
    };
    kernel::leave(status)
}

fn say(front: &UnixDatagram, word: &Word) {
    // A front that is gone wants no more words.
    let _sent = front.send(&word.to_octets());
}

fn failed(error: impl Into<io::Error>) -> Word {
    Word::Failed(error.into().raw_os_error().unwrap_or(libc::EIO))
}

/// Starts the program, up to the moment before exec, and everything that is to watch it.
fn begin(start: Start, front: &UnixDatagram) -> Result<Supervisor, Word> {
    let Start {
        options,
        command,
        architecture,
        inherited,
    } = start;
    kernel::adopt_orphans();
    let wanted = filter::Wanted {
        dns: options.steer_dns,
        // Root loses nothing: whoever it becomes is its own choice.
        executions: !nix::unistd::geteuid().is_root(),
        refuse_io_uring: options.refuse_io_uring,
    };
    let filter = filter::program(&architecture, wanted);
    let (program, listener) =
        program::start(&command, &filter, inherited).map_err(|error| match error {
            NoProgram::Start(error) => failed(error),
            NoProgram::Filter(error) if error.raw_os_error() == Some(libc::EBUSY) => {
                Word::Supervised
            }
            NoProgram::Filter(error) => Word::NoFilter(error.raw_os_error().unwrap_or(0)),
            NoProgram::Fetch(error) => Word::NotAllowed(error.raw_os_error().unwrap_or(0)),
        })?;
    listener.wake_on_callers_processor();
    let report = Report::new(options.report);
    let kept = [
        Some(front.as_raw_fd()),
        Some(listener.0.as_raw_fd()),
        Some(program.handle.as_raw_fd()),
        Some(program.exec.as_raw_fd()),
        report.descriptor(),
    ];
    let kept: Vec<RawFd> = kept.into_iter().flatten().collect();
    stand_apart(&kept).map_err(failed)?;

    let children: SigSet = std::iter::once(Signal::SIGCHLD).collect();
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&children), None).map_err(failed)?;
    let children = SignalFd::with_flags(&children, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(failed)?;
    let poller = Poller::new().map_err(failed)?;
    let readers = [
        (listener.0.as_fd(), token::LISTENER),
        (front.as_fd(), token::FRONT),
        (children.as_fd(), token::CHILDREN),
        (program.exec.as_fd(), token::EXEC),
    ];
    for (fd, token) in readers {
        poller.add_reader(fd, token).map_err(failed)?;
    }
    let mut shared = Shared {
        listener,
        poller,
        report,
        started: Instant::now(),
        next_token: token::FIRST_FREE,
    };
    let look_ups = if options.steer_dns {
        Some(LookUps::new(&mut shared).map_err(failed)?)
    } else {
        None
    };
    let policy = Policy {
        give_up: options.give_up,
        sees_names: options.steer_dns,
        also: options.also,
    };
    let attempts = Attempts::new(policy).map_err(failed)?;
    kernel::raise_descriptor_limit();
    let mut supervisor = Supervisor {
        shared,
        attempts,
        look_ups,
        architecture,
        program,
        children,
        status: None,
        exec_pending: true,
        nobody_left: false,
    };
    supervisor.program.go().map_err(failed)?;
    Ok(supervisor)
}

/// A session of our own, nothing open that is not ours: the program's terminal and pipes must not stay open because of us.
fn stand_apart(kept: &[RawFd]) -> io::Result<()> {
    let _we_lead_no_group = nix::unistd::setsid();
    nix::unistd::chdir("/")?;
    let null = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    drop(null);
    kernel::close_all_but(kept);
    Ok(())
}

/// Everything that watches one program and what it starts.
struct Supervisor {
    shared: Shared,
    attempts: Attempts,
    look_ups: Option<LookUps>,
    architecture: Architecture,
    program: Program,
    children: SignalFd,
    /// The program's exit status, once it has ended.
    status: Option<u8>,
    exec_pending: bool,
    nobody_left: bool,
}

impl Supervisor {
    /// Until the program has ended and nobody is left that carries the filter.
    fn serve(&mut self, front: &UnixDatagram) -> io::Result<()> {
        let mut ready = Vec::new();
        while self.status.is_none() || !self.nobody_left {
            let now = self.shared.now();
            let deadline = [
                self.attempts.deadline(),
                self.look_ups.as_ref().and_then(LookUps::deadline),
            ];
            let deadline = deadline.into_iter().flatten().min();
            let timeout = deadline.map(|deadline| deadline.saturating_sub(now));
            self.shared.poller.wait(timeout, &mut ready)?;
            for event in &ready {
                self.handle(*event, front)?;
            }
            self.attempts.handle_time(&mut self.shared);
            if let Some(look_ups) = &mut self.look_ups {
                look_ups.handle_time(&mut self.shared);
                for learned in look_ups.learned() {
                    self.attempts.learn(&learned, self.shared.now());
                }
            }
        }
        self.attempts.finish(&mut self.shared);
        Ok(())
    }

    fn handle(&mut self, event: Ready, front: &UnixDatagram) -> io::Result<()> {
        match event.token {
            token::LISTENER => {
                if event.hung_up {
                    self.nobody_left = true;
                    self.shared.poller.remove(self.shared.listener.0.as_fd());
                } else if let Some(call) = self.shared.listener.receive()? {
                    let reply = self.judge(&call);
                    if let Some(reply) = reply {
                        self.shared.listener.reply(call.id, reply);
                    }
                }
            }
            token::FRONT => self.hear(front),
            token::CHILDREN => self.reap(front)?,
            token::EXEC => self.exec_went(front),
            token if self.attempts.handle_ready(token, &mut self.shared) => {}
            token => {
                if let Some(look_ups) = &mut self.look_ups {
                    look_ups.handle_ready(token, &mut self.shared);
                }
            }
        }
        Ok(())
    }

    /// What to answer a call with; `None` if it has to wait.
    fn judge(&mut self, call: &Notification) -> Option<Reply> {
        match self.architecture.call(call.audit, call.number) {
            Call::Connect => self.judge_connect(call),
            Call::SendTo => Some(self.judge_send(call)),
            // Handed over only with MSG_FASTOPEN.
            Call::SendMsg | Call::SendMmsg => Some(
                read_message_address(call)
                    .map_or(Reply::Continue, |octets| self.judge_fast_open(&octets)),
            ),
            Call::IoUringSetup => {
                self.shared.passes_by(call.thread, PassedBy::IoUring);
                Some(Reply::Continue)
            }
            Call::Execve | Call::Execveat => {
                executions::note(call, &mut self.shared, &self.architecture);
                Some(Reply::Continue)
            }
            Call::Foreign => {
                self.shared.passes_by(call.thread, PassedBy::Foreign);
                Some(Reply::Continue)
            }
        }
    }

    fn judge_connect(&mut self, call: &Notification) -> Option<Reply> {
        let Ok(octets) = read_address(call, 1, 2) else {
            return Some(self.shared.cannot_look(call, PassedBy::Unreadable));
        };
        match (call::peer(&octets), &mut self.look_ups) {
            (Peer::Internet(address), Some(look_ups)) if address.port() == lookups::PORT => {
                Some(look_ups.steer_connect(call, address, &mut self.shared))
            }
            (Peer::Internet(address), _) => {
                self.attempts
                    .connect(call, address, octets, &mut self.shared)
            }
            (Peer::Path(path), Some(look_ups)) => {
                let refused = look_ups.stands_in_for(&path);
                Some(if refused {
                    Reply::Error(libc::ECONNREFUSED)
                } else {
                    Reply::Continue
                })
            }
            _ => Some(Reply::Continue),
        }
    }

    fn judge_send(&mut self, call: &Notification) -> Reply {
        const FAST_OPEN: u64 = 0x2000_0000;
        let [_, _, _, flags, ..] = call.arguments;
        let Ok(octets) = read_address(call, 4, 5) else {
            return self.shared.cannot_look(call, PassedBy::Unreadable);
        };
        if flags & FAST_OPEN != 0 {
            return self.judge_fast_open(&octets);
        }
        match (call::peer(&octets), &mut self.look_ups) {
            (Peer::Internet(address), Some(look_ups)) if address.port() == lookups::PORT => {
                look_ups.steer_send(call, address, &mut self.shared)
            }
            _ => Reply::Continue,
        }
    }

    /// A connect and the first data in one call (TCP Fast Open): refused as on a host whose administrator has turned it off.
    /// Programs then connect.
    fn judge_fast_open(&self, octets: &[u8]) -> Reply {
        match call::peer(octets) {
            Peer::Internet(address) if self.attempts.watches(address.ip()) => {
                Reply::Error(libc::EOPNOTSUPP)
            }
            _ => Reply::Continue,
        }
    }

    /// The front forwards a signal, or is gone.
    fn hear(&mut self, front: &UnixDatagram) {
        let mut octets = [0_u8; 4];
        if let Ok(4) = front.recv(&mut octets) {
            kernel::signal_process(&self.program.handle, i32::from_ne_bytes(octets));
            return;
        }
        // Killed: then the program goes the same way, as it would if there were only one process.
        if self.status.is_none() {
            kernel::signal_process(&self.program.handle, libc::SIGKILL);
        }
        self.shared.poller.remove(front.as_fd());
    }

    fn exec_went(&mut self, front: &UnixDatagram) {
        self.shared.poller.remove(self.program.exec.as_fd());
        if std::mem::take(&mut self.exec_pending)
            && let Some(errno) = self.program.exec_error()
        {
            self.status = Some(127);
            say(front, &Word::NotExecuted(errno));
        }
    }

    /// Children that ended or stopped: the program, orphans that we have adopted, and the annex.
    fn reap(&mut self, front: &UnixDatagram) -> io::Result<()> {
        while let Ok(Some(_)) = self.children.read_signal() {}
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WSTOPPED | WaitPidFlag::WNOHANG;
        let program = nix::unistd::Pid::from_raw(self.program.process.cast_signed());
        loop {
            match waitid(Id::All, flags) {
                Ok(WaitStatus::Exited(process, status)) if process == program => {
                    self.ended(u8::try_from(status & 0xff).unwrap_or(u8::MAX), front);
                }
                Ok(WaitStatus::Signaled(process, signal, _)) if process == program => {
                    let signal = u8::try_from(signal_number(signal)).unwrap_or(0);
                    self.ended(128 + signal, front);
                }
                Ok(WaitStatus::Stopped(process, _)) if process == program => {
                    say(front, &Word::Stopped(process.as_raw()));
                }
                Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::ECHILD) => return Ok(()),
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn ended(&mut self, status: u8, front: &UnixDatagram) {
        // exec may have failed, and its word may still wait to be read.
        if self.exec_pending {
            self.exec_went(front);
        }
        if self.status.is_some() {
            return;
        }
        self.status = Some(status);
        self.attempts.finish(&mut self.shared);
        let now = self.shared.now();
        self.shared.report.end(status, now);
        for note in self.shared.report.notes() {
            say(front, &Word::Note(note));
        }
        say(front, &Word::Ended(status));
    }
}

fn signal_number(signal: Signal) -> i32 {
    signal as i32
}
