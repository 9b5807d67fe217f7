//! epoll: one wait for everything.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::time::Duration;

/// Waits for many descriptors at once.
#[derive(Debug)]
pub(crate) struct Poller(OwnedFd);

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    /// The number that the descriptor was added with.
    pub(crate) token: u64,
    /// There is something to read or to accept, or the other end hung up.
    pub(crate) readable: bool,
    /// Nobody is left at the other end.
    pub(crate) hung_up: bool,
}

impl Poller {
    /// An empty one.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: plain numbers.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Waits for something to read.
    pub(crate) fn add_reader(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN, token)
    }

    /// Waits, once, for a connection that is being set up to end one way or the other.
    pub(crate) fn add_connecting(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.control(
            libc::EPOLL_CTL_ADD,
            fd,
            libc::EPOLLOUT | libc::EPOLLONESHOT,
            token,
        )
    }

    /// Waits once more.
    pub(crate) fn again(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.control(
            libc::EPOLL_CTL_MOD,
            fd,
            libc::EPOLLOUT | libc::EPOLLONESHOT,
            token,
        )
    }

    /// From waiting for a connection to waiting for something to read.
    pub(crate) fn now_reads(&self, fd: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd, libc::EPOLLIN, token)
    }

    /// Waits no longer for this one. Needed before a duplicate of another process's socket is closed: the registration
    /// belongs to what is open there, not to our descriptor.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) {
        let _it_was_added = self.control(libc::EPOLL_CTL_DEL, fd, 0, 0);
    }

    fn control(&self, how: i32, fd: BorrowedFd<'_>, events: i32, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event {
            events: events.cast_unsigned(),
            u64: token,
        };
        // SAFETY: the kernel reads one struct.
        let result =
            unsafe { libc::epoll_ctl(self.0.as_raw_fd(), how, fd.as_raw_fd(), &raw mut event) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Waits until something happens, or for so long.
    pub(crate) fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        const AT_ONCE: usize = 64;
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; AT_ONCE];
        // Rounded up: a deadline that is a fraction of a millisecond away must not spin.
        let timeout = timeout.map_or(-1, |timeout| {
            let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
            i32::try_from(milliseconds).unwrap_or(i32::MAX)
        });
        // SAFETY: the kernel writes at most as many events as the array has.
        let count = unsafe {
            libc::epoll_wait(
                self.0.as_raw_fd(),
                events.as_mut_ptr(),
                i32::try_from(AT_ONCE).unwrap_or(1),
                timeout,
            )
        };
        ready.clear();
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::Interrupted {
                Ok(())
            } else {
                Err(error)
            };
        };
        let has = |events: u32, flag: i32| events & flag.cast_unsigned() != 0;
        ready.extend(events.iter().take(count).map(|event| {
            let (events, token) = (event.events, event.u64);
            Ready {
                token,
                readable: has(events, libc::EPOLLIN | libc::EPOLLHUP | libc::EPOLLERR),
                hung_up: has(events, libc::EPOLLHUP),
            }
        }));
        Ok(())
    }
}
