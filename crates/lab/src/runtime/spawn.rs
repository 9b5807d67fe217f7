//! The outer half of starting a lab: one `clone` into new namespaces, the id maps, `exec` of the init program.
//!
//! Works from a program with any number of threads: between `clone` and `exec` the child makes only system calls.
//! The child is process 1 of its PID namespace, so that its end, for whatever reason, is the end of everything inside.

use super::refusal::{Refusal, Switches};
use std::ffi::CString;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `argv[0]` of the init program; see [`crate::enter_init`].
pub(crate) const INIT_NAME: &str = "twinstack-lab-init";
/// Where init finds its end of the control socket.
pub(crate) const CONTROL: RawFd = 3;
/// Where init finds what it has to build.
pub(crate) const JOB: RawFd = 4;
/// Where init finds the file for the packet trace, if there is one.
pub(crate) const TRACE: RawFd = 5;

/// What the new process gets.
pub(crate) struct Descriptors<'a> {
    pub(crate) control: &'a OwnedFd,
    pub(crate) job: &'a OwnedFd,
    pub(crate) trace: Option<&'a OwnedFd>,
}

/// Starts `program` as init of new namespaces and returns its process id as seen from here.
pub(crate) fn spawn(
    program: &Path,
    descriptors: &Descriptors<'_>,
) -> Result<nix::unistd::Pid, Refusal> {
    let user = spawn_with(program, descriptors, true);
    match user {
        // Real root may be denied user namespaces and yet be allowed the others.
        Err(_) if nix::unistd::geteuid().is_root() => {
            spawn_with(program, descriptors, false).or(user)
        }
        other => other,
    }
}

fn spawn_with(
    program: &Path,
    descriptors: &Descriptors<'_>,
    user_namespace: bool,
) -> Result<nix::unistd::Pid, Refusal> {
    let refuse = |step: &'static str, source: io::Error| Refusal {
        step,
        advice: Switches::read().advice(&source),
        source,
    };
    let plain = |source: io::Error| Refusal {
        step: "starting the lab's init",
        source,
        advice: "see the error".to_owned(),
    };
    let path = CString::new(program.as_os_str().as_bytes()).map_err(|error| plain(error.into()))?;
    let name = CString::new(INIT_NAME).map_err(|error| plain(error.into()))?;
    let arguments = [name.as_ptr(), std::ptr::null()];
    let environment: Vec<CString> = std::env::vars_os()
        .filter_map(|(key, value)| {
            let mut line = key.as_bytes().to_vec();
            line.push(b'=');
            line.extend_from_slice(value.as_bytes());
            CString::new(line).ok()
        })
        .collect();
    let mut environment: Vec<*const libc::c_char> =
        environment.iter().map(|line| line.as_ptr()).collect();
    environment.push(std::ptr::null());

    // The child waits on `go` for its id maps and reports a failure on `report`, which closes on a successful exec.
    let (go_read, go_write) = pipe().map_err(plain)?;
    let (report_read, report_write) = pipe().map_err(plain)?;
    // Out of the way of the numbers 3 to 5 that the child moves them to.
    let control = high(descriptors.control).map_err(plain)?;
    let job = high(descriptors.job).map_err(plain)?;
    let trace = descriptors.trace.map(high).transpose().map_err(plain)?;
    let go = high(&go_read).map_err(plain)?;
    let report = high(&report_write).map_err(plain)?;
    let moves = [
        (control.as_raw_fd(), CONTROL),
        (job.as_raw_fd(), JOB),
        (trace.as_ref().map_or(-1, AsRawFd::as_raw_fd), TRACE),
    ];

    let mut flags = libc::CLONE_NEWNS
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::SIGCHLD;
    if user_namespace {
        flags |= libc::CLONE_NEWUSER;
    }
    #[expect(unsafe_code, reason = "std cannot create a process in new namespaces")]
    // SAFETY: without CLONE_VM this is a fork: the child has a copy of everything and gets 0. Between here and `execve`
    // it calls only functions that are safe after a fork of a program with threads, on memory prepared above.
    let pid = unsafe {
        let pid = libc::syscall(libc::SYS_clone, libc::c_long::from(flags), 0, 0, 0, 0);
        if pid == 0 {
            become_init(
                &path,
                &arguments,
                &environment,
                &moves,
                go.as_raw_fd(),
                go_write.as_raw_fd(),
                report.as_raw_fd(),
            );
        }
        pid
    };
    if pid < 0 {
        let step = if user_namespace {
            "creating user, network, mount and PID namespaces"
        } else {
            "creating network, mount and PID namespaces"
        };
        return Err(refuse(step, io::Error::last_os_error()));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX));
    drop((go_read, report_write, report, go));

    let started = (|| {
        if user_namespace {
            map_ids(pid).map_err(|error| refuse("mapping ids into the user namespace", error))?;
        }
        let mut go: std::fs::File = go_write.into();
        go.write_all(b"g").map_err(plain)?;
        drop(go);
        let mut failure = Vec::new();
        std::fs::File::from(report_read)
            .read_to_end(&mut failure)
            .map_err(plain)?;
        match <[u8; 4]>::try_from(failure.as_slice()) {
            Ok(errno) => Err(Refusal {
                step: "executing the lab's init",
                source: io::Error::from_raw_os_error(i32::from_ne_bytes(errno)),
                advice: format!(
                    "it is `{}`: is that the twinstack binary?",
                    program.display()
                ),
            }),
            Err(_) => Ok(()),
        }
    })();
    match started {
        Ok(()) => Ok(pid),
        Err(refusal) => {
            // It has not executed anything yet, so there is nothing to lose in it.
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).ok();
            nix::sys::wait::waitpid(pid, None).ok();
            Err(refusal)
        }
    }
}

/// The child's side: waits for the maps, moves descriptors, executes. Never returns.
#[expect(
    unsafe_code,
    reason = "raw system calls are all that may happen between clone and exec"
)]
// SAFETY: call only in the child of a fork; `arguments` and `environment` must be null-terminated.
unsafe fn become_init(
    path: &CString,
    arguments: &[*const libc::c_char],
    environment: &[*const libc::c_char],
    moves: &[(RawFd, RawFd); 3],
    go: RawFd,
    go_write: RawFd,
    report: RawFd,
) -> ! {
    // SAFETY: plain system calls on descriptors and memory of our own copy of the process.
    unsafe {
        libc::close(go_write);
        let mut byte = 0u8;
        // End-of-file means that the parent gave up.
        if libc::read(go, (&raw mut byte).cast(), 1) != 1 {
            libc::_exit(1);
        }
        let mut ok = true;
        for (from, to) in moves {
            if *from >= 0 {
                ok &= libc::dup2(*from, *to) >= 0;
            } else {
                libc::close(*to);
            }
        }
        // Nothing of the owner's open files may keep living in here.
        libc::syscall(
            libc::SYS_close_range,
            6,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
        if ok {
            libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr());
        }
        let errno = *libc::__errno_location();
        let bytes = errno.to_ne_bytes();
        libc::write(report, bytes.as_ptr().cast(), bytes.len());
        libc::_exit(127)
    }
}

/// The caller becomes root inside; one id is all that an ordinary user may map.
fn map_ids(pid: nix::unistd::Pid) -> io::Result<()> {
    let write = |file: &str, text: String| std::fs::write(format!("/proc/{pid}/{file}"), text);
    match write("setgroups", "deny".to_owned()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write("uid_map", format!("0 {} 1", nix::unistd::geteuid()))?;
    write("gid_map", format!("0 {} 1", nix::unistd::getegid()))
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?)
}

/// A copy of a descriptor with a number of 10 or more.
fn high(descriptor: &OwnedFd) -> io::Result<OwnedFd> {
    let raw = nix::fcntl::fcntl(descriptor, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(10))?;
    #[expect(unsafe_code, reason = "fcntl hands over a raw descriptor")]
    // SAFETY: the descriptor was created by the line above and has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// A file in memory, rewound, for the job.
pub(crate) fn memory_file(content: &[u8]) -> io::Result<OwnedFd> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    let descriptor = memfd_create(c"twinstack-lab-job", MFdFlags::MFD_CLOEXEC)?;
    let mut file: std::fs::File = descriptor.into();
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}
