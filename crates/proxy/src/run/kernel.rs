//! The thin edge: the system calls that neither std nor nix has, each as one safe function that decides nothing.
#![expect(unsafe_code, reason = "system calls without a wrapper elsewhere")]

use super::filter::Instruction;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

mod poller;
mod socket;

pub(crate) use poller::{Poller, Ready};
pub(crate) use socket::*;

/// What a call that was handed over is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The call goes through as if nobody had looked.
    Continue,
    /// It succeeds with 0.
    Success,
    /// It fails with this `errno`.
    Error(i32),
}

/// A call that was handed over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notification {
    /// What the answer has to name.
    pub(crate) id: u64,
    /// The thread, as we see it; 0 if we cannot.
    pub(crate) thread: u32,
    /// `AUDIT_ARCH_*`.
    pub(crate) audit: u32,
    /// The call's number.
    pub(crate) number: u32,
    /// Its arguments.
    pub(crate) arguments: [u64; 6],
}

/// The supervisor's end of the filter.
#[derive(Debug)]
pub(crate) struct Listener(pub(crate) OwnedFd);

impl Listener {
    /// The next call; `None` if its caller is gone by now.
    pub(crate) fn receive(&self) -> io::Result<Option<Notification>> {
        // SAFETY: all octets zero is a value of this plain struct, and the one that the kernel demands.
        let mut raw: libc::seccomp_notif = unsafe { zeroed() };
        // SAFETY: the kernel fills in exactly this struct.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_RECV,
                &raw mut raw,
            )
        };
        if result < 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ENOENT | libc::EINTR) => Ok(None),
                _ => Err(error),
            };
        }
        Ok(Some(Notification {
            id: raw.id,
            thread: raw.pid,
            audit: raw.data.arch,
            number: raw.data.nr.cast_unsigned(),
            arguments: raw.data.args,
        }))
    }

    /// Whether the caller still waits: what was read of it before this is what it asked.
    pub(crate) fn is_valid(&self, id: u64) -> bool {
        // SAFETY: the kernel reads one u64.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
                &raw const id,
            )
        };
        result == 0
    }

    /// Answers; `false` if the caller no longer waits (killed, or interrupted by a signal).
    pub(crate) fn reply(&self, id: u64, reply: Reply) -> bool {
        let (error, flags) = match reply {
            Reply::Continue => (0, 1), // SECCOMP_USER_NOTIF_FLAG_CONTINUE
            Reply::Success => (0, 0),
            Reply::Error(errno) => (-errno, 0),
        };
        let mut raw = libc::seccomp_notif_resp {
            id,
            val: 0,
            error,
            flags,
        };
        // SAFETY: the kernel reads exactly this struct.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SEND,
                &raw mut raw,
            )
        };
        result == 0
    }

    /// Puts a descriptor of ours in the place of one of the caller's.
    pub(crate) fn replace(
        &self,
        id: u64,
        ours: BorrowedFd<'_>,
        theirs: RawFd,
        close_on_exec: bool,
    ) -> io::Result<()> {
        let mut raw = libc::seccomp_notif_addfd {
            id,
            flags: 1, // SECCOMP_ADDFD_FLAG_SETFD
            srcfd: ours.as_raw_fd().cast_unsigned(),
            newfd: theirs.cast_unsigned(),
            newfd_flags: if close_on_exec {
                libc::O_CLOEXEC.cast_unsigned()
            } else {
                0
            },
        };
        // SAFETY: the kernel reads exactly this struct.
        let result = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_ADDFD,
                &raw mut raw,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }

    /// Asks the kernel to wake us on the caller's own processor (Linux 6.6); without it nothing but speed is lost.
    pub(crate) fn wake_on_callers_processor(&self) {
        const SYNC_WAKE_UP: u64 = 1;
        // SAFETY: the flags are the argument itself, no memory is touched.
        let _unsupported_before_6_6 = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS,
                SYNC_WAKE_UP,
            )
        };
    }
}

/// Installs the filter for this process and what it starts; gives the number of the listener, which is closed on exec.
///
/// For the time between fork and exec: allocates nothing.
pub(crate) fn install_filter(program: &[Instruction]) -> io::Result<RawFd> {
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const Instruction,
    }
    const { assert!(size_of::<Instruction>() == size_of::<libc::sock_filter>()) };
    // SAFETY: plain numbers.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let program = Program {
        length: u16::try_from(program.len()).unwrap_or(u16::MAX),
        instructions: program.as_ptr(),
    };
    // Not SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: a signal must be able to interrupt a connect, as it does without us.
    // SAFETY: the program's pointer and length are those of a slice, whose elements are laid out as the kernel's.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    if listener < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(i32::try_from(listener).unwrap_or(-1))
}

/// A descriptor that stands for a process.
pub(crate) fn open_process(process: u32) -> io::Result<OwnedFd> {
    pidfd(process, 0)
}

/// A descriptor that stands for one thread (Linux 6.9).
pub(crate) fn open_thread(thread: u32) -> io::Result<OwnedFd> {
    const PIDFD_THREAD: i32 = libc::O_EXCL;
    pidfd(thread, PIDFD_THREAD)
}

fn pidfd(id: u32, flags: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, id, flags) };
    owned(fd)
}

/// A duplicate of another process's descriptor.
pub(crate) fn take_fd(process: &OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: plain numbers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) };
    owned(fd)
}

/// Sends a signal to exactly this process.
pub(crate) fn signal_process(process: &OwnedFd, signal: i32) {
    // SAFETY: the null pointer stands for "as kill does it".
    let _it_may_be_gone = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
}

/// Reads another process's memory: as much as there is, up to the buffer's length.
pub(crate) fn read_memory(thread: u32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let local = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let remote = libc::iovec {
        iov_base: std::ptr::with_exposed_provenance_mut(
            usize::try_from(address).map_err(io::Error::other)?,
        ),
        iov_len: buffer.len(),
    };
    // SAFETY: the kernel writes at most as many octets as the local buffer has; the remote pointer is not ours to follow.
    let read = unsafe {
        libc::process_vm_readv(
            thread.cast_signed(),
            &raw const local,
            1,
            &raw const remote,
            1,
            0,
        )
    };
    usize::try_from(read).map_err(|_| io::Error::last_os_error())
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(fd) {
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Closes every descriptor from 3 on but these.
pub(crate) fn close_all_but(kept: &[RawFd]) {
    let mut kept: Vec<u32> = kept.iter().map(|fd| fd.cast_unsigned()).collect();
    kept.sort_unstable();
    let mut from = 3_u32;
    for fd in kept.into_iter().chain([u32::MAX]) {
        if fd > from {
            // SAFETY: nobody in this process uses what is not in the list.
            unsafe { libc::syscall(libc::SYS_close_range, from, fd.saturating_sub(1), 0) };
        }
        from = from.max(fd.saturating_add(1));
    }
}

/// Opens as many descriptors as this user may.
pub(crate) fn raise_descriptor_limit() {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes and reads exactly this struct.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Ends this process at once, without running what its parent left behind.
pub(crate) fn leave(status: i32) -> ! {
    // SAFETY: no memory is touched.
    unsafe { libc::_exit(status) }
}

/// A second process like this one: its number, `None` in the child. Only while this process has one thread.
pub(crate) fn fork() -> io::Result<Option<u32>> {
    // SAFETY: the caller has one thread, so that no lock can be held by another.
    match unsafe { libc::fork() } {
        0 => Ok(None),
        process if process > 0 => Ok(Some(process.cast_unsigned())),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Orphans of what we started become our children, so that we stay their ancestor.
pub(crate) fn adopt_orphans() {
    // SAFETY: plain numbers.
    let _known_since_3_4 = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// Whether a file has capabilities of its own.
pub(crate) fn has_capabilities(path: &std::ffi::CStr) -> bool {
    // SAFETY: two NUL-terminated strings, and no buffer: only the length is asked for.
    let length = unsafe {
        libc::getxattr(
            path.as_ptr(),
            c"security.capability".as_ptr(),
            std::ptr::null_mut(),
            0,
        )
    };
    length > 0
}
