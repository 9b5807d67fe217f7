//! What `/proc` tells about a program that waits for us.

use std::fs;
use std::os::fd::RawFd;
use std::os::unix::fs::MetadataExt as _;

/// The process that a thread belongs to.
pub(crate) fn process_of(thread: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    line.trim().parse().ok()
}

/// The name of the program, at most 15 octets of it.
pub(crate) fn name_of(process: u32) -> String {
    let name = fs::read(format!("/proc/{process}/comm")).unwrap_or_default();
    let name = String::from_utf8_lossy(&name);
    // It goes to terminals, and is whatever the program likes.
    name.trim_end().replace(char::is_control, "?")
}

/// Whether a process stands still because of a signal.
pub(crate) fn is_stopped(process: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything.
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    state == Some('T')
}

/// The inode behind a descriptor, as one thread has it.
pub(crate) fn inode(thread: u32, fd: RawFd) -> Option<u64> {
    let metadata = fs::metadata(format!("/proc/{thread}/fd/{fd}")).ok()?;
    Some(metadata.ino())
}

/// Whether a descriptor is closed on exec.
pub(crate) fn is_closed_on_exec(thread: u32, fd: RawFd) -> bool {
    let info = fs::read_to_string(format!("/proc/{thread}/fdinfo/{fd}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & libc::O_CLOEXEC != 0)
}

/// Whether a socket can be replaced without anybody noticing: no epoll waits for it, and no second descriptor of the
/// process has it. `None` if that cannot be found out.
pub(crate) fn stands_alone(process: u32, fd: RawFd) -> Option<bool> {
    let own = fs::read_link(format!("/proc/{process}/fd/{fd}")).ok()?;
    for entry in fs::read_dir(format!("/proc/{process}/fd")).ok()? {
        let entry = entry.ok()?;
        let number: RawFd = entry.file_name().to_str()?.parse().ok()?;
        if number == fd {
            continue;
        }
        let Ok(target) = fs::read_link(entry.path()) else {
            // Closed meanwhile by another thread.
            continue;
        };
        if target == own {
            return Some(false);
        }
        if target.as_os_str() == "anon_inode:[eventpoll]" {
            let info = fs::read_to_string(format!("/proc/{process}/fdinfo/{number}")).ok()?;
            if polls(&info, fd) {
                return Some(false);
            }
        }
    }
    Some(true)
}

/// Whether an epoll's `fdinfo` names a descriptor.
fn polls(info: &str, fd: RawFd) -> bool {
    info.lines().any(|line| {
        let number = line
            .strip_prefix("tfd:")
            .and_then(|rest| rest.split_whitespace().next());
        number.and_then(|number| number.parse().ok()) == Some(fd)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;

    #[test]
    fn this_process_is_read_right() {
        let own = std::process::id();
        assert_eq!(process_of(own), Some(own));
        assert!(!name_of(own).is_empty());
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(is_closed_on_exec(own, socket.as_raw_fd()));
        assert!(inode(own, socket.as_raw_fd()).is_some());
        assert_eq!(stands_alone(own, socket.as_raw_fd()), Some(true));
        let second = socket.try_clone().unwrap();
        assert_eq!(stands_alone(own, socket.as_raw_fd()), Some(false));
        drop(second);
    }

    #[test]
    fn an_epoll_that_waits_for_a_socket_is_seen() {
        let socket = std::os::fd::OwnedFd::from(std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
        let poller = super::super::kernel::Poller::new().unwrap();
        let own = std::process::id();
        assert_eq!(stands_alone(own, socket.as_raw_fd()), Some(true));
        poller
            .add_reader(std::os::fd::AsFd::as_fd(&socket), 1)
            .unwrap();
        assert_eq!(stands_alone(own, socket.as_raw_fd()), Some(false));
        poller.remove(std::os::fd::AsFd::as_fd(&socket));
        assert_eq!(stands_alone(own, socket.as_raw_fd()), Some(true));
    }

    #[test]
    fn epoll_information_is_parsed() {
        let info = "pos:\t0\nflags:\t02\ntfd:       12 events: 19 data: 5  pos:0 ino:1 sdev:9\n";
        assert!(polls(info, 12) && !polls(info, 1) && !polls(info, 2));
    }
}
