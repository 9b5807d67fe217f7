//! The sockets of a running client, from `/proc`: which family it tries first, and when.

use crate::path::Family;
use crate::path::observation::ClientObservation;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// Notes which families the processes of a group have connections to `port` in, open or opening.
pub(super) fn look(group: u32, port: u16, elapsed: Duration, seen: &mut ClientObservation) {
    if seen.first_v4.is_some() && seen.first_v6.is_some() && seen.family.is_some() {
        return;
    }
    let mut inodes: Option<BTreeSet<u64>> = None;
    for (family, table) in [(Family::V6, "tcp6"), (Family::V4, "tcp")] {
        // Every process sees the table of its own network namespace here.
        let Ok(text) = fs::read_to_string(format!("/proc/{group}/net/{table}")) else {
            continue;
        };
        for line in text.lines().skip(1).filter_map(connection) {
            if line.remote_port != port || !matches!(line.state, State::Opening | State::Open) {
                continue;
            }
            let own = inodes.get_or_insert_with(|| sockets_of(group));
            if !own.contains(&line.inode) {
                continue;
            }
            // IPv4 through a socket of the other family is still IPv4.
            let family = if line.mapped { Family::V4 } else { family };
            let first = match family {
                Family::V4 => &mut seen.first_v4,
                Family::V6 => &mut seen.first_v6,
            };
            first.get_or_insert(elapsed);
            if line.state == State::Open {
                seen.family = Some(family);
            }
        }
    }
}

/// Ends every process of a group that we started.
pub(super) fn stop(group: u32) {
    let Ok(group) = libc::pid_t::try_from(group) else {
        return;
    };
    #[expect(
        unsafe_code,
        reason = "the standard library signals single processes only"
    )]
    // SAFETY: `kill` takes no pointers; a negative id means the group, whose leader we started and have not yet waited for.
    unsafe {
        libc::kill(-group, libc::SIGKILL);
    }
}

/// Inodes of the sockets that the processes of a group hold.
fn sockets_of(group: u32) -> BTreeSet<u64> {
    let mut inodes = BTreeSet::new();
    let Ok(processes) = fs::read_dir("/proc") else {
        return inodes;
    };
    for process in processes.flatten() {
        let path = process.path();
        let is_process = process
            .file_name()
            .to_string_lossy()
            .bytes()
            .all(|byte| byte.is_ascii_digit());
        if !is_process
            || group_of(&fs::read_to_string(path.join("stat")).unwrap_or_default()) != Some(group)
        {
            continue;
        }
        let Ok(descriptors) = fs::read_dir(path.join("fd")) else {
            continue;
        };
        for descriptor in descriptors.flatten() {
            if let Ok(target) = fs::read_link(descriptor.path()) {
                inodes.extend(socket_inode(&target.to_string_lossy()));
            }
        }
    }
    inodes
}

/// The process group in `/proc/PID/stat`: the third field behind the name, which may hold spaces and brackets.
fn group_of(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .nth(2)?
        .parse()
        .ok()
}

/// `socket:[4711]`.
fn socket_inode(target: &str) -> Option<u64> {
    target
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

#[derive(Debug, PartialEq, Eq)]
struct Connection {
    remote_port: u16,
    state: State,
    inode: u64,
    /// An IPv4 address in IPv6 clothes.
    mapped: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    Other,
}

/// A line of `/proc/net/tcp` or `/proc/net/tcp6`.
fn connection(line: &str) -> Option<Connection> {
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(2)?.split_once(':')?;
    let state = match fields.next()? {
        "01" => State::Open,
        "02" => State::Opening,
        _ => State::Other,
    };
    Some(Connection {
        remote_port: u16::from_str_radix(port, 16).ok()?,
        state,
        inode: fields.nth(5)?.parse().ok()?,
        mapped: address.len() == 32 && address.get(..24) == Some(mapped_prefix()),
    })
}

/// `::ffff:0:0/96` as the kernel prints it: words in the machine's byte order.
const fn mapped_prefix() -> &'static str {
    if cfg!(target_endian = "little") {
        "0000000000000000FFFF0000"
    } else {
        "00000000000000000000FFFF"
    }
}

/// Reads any text as lines of `/proc`.
pub(in crate::path) fn fuzz(text: &str) {
    for line in text.lines() {
        assert!(connection(line).is_none() || line.contains(':'));
        assert!(group_of(line).is_none() || line.contains(')'));
        assert!(socket_inode(line).is_none() || line.starts_with("socket:["));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read() {
        let line = "   0: 0A02000A:C35A 500364C6:01BB 02 00000001:00000000 01:00000062 00000000  1000        0 4711 2 0 100 0 0 10 -1";
        assert_eq!(
            connection(line),
            Some(Connection {
                remote_port: 443,
                state: State::Opening,
                inode: 4711,
                mapped: false
            })
        );
        let line = "   1: 0000000000000000FFFF00000A02000A:C35A 0000000000000000FFFF0000500364C6:0050 01 00000000:00000000 00:00000000 00000000     0        0 12 1 0 20 4 30 10 -1";
        assert_eq!(
            connection(line),
            Some(Connection {
                remote_port: 80,
                state: State::Open,
                inode: 12,
                mapped: true
            })
        );
    }

    #[test]
    fn other_lines_are_ignored() {
        for line in [
            "",
            "sl local_address",
            "0: x",
            "0: a:b c:d 01 e f g h i j",
            "0: 1 2:GGGG 01 0 0 0 0 0 0 0",
        ] {
            assert_eq!(connection(line), None, "{line}");
        }
    }

    #[test]
    fn group_stands_behind_a_name_with_brackets() {
        assert_eq!(group_of("12 (a) b (c) S 1 77 77 0"), Some(77));
        assert_eq!(group_of("nonsense"), None);
        assert_eq!(socket_inode("socket:[99]"), Some(99));
        assert_eq!(socket_inode("pipe:[99]"), None);
    }
}
