//! Dumps over netlink.
//!
//! Our own, because what is needed is five dumps of fixed-size structures, one of them of a protocol (`sock_diag`) that
//! `rtnetlink` does not speak; the parser is pure and short enough to be fuzzed. Blocking: the kernel answers at once.

#![warn(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects
)]

use crate::path::wire::array;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read as _};
use std::time::Duration;

const HEADER: usize = 16;
/// `NLMSG_ERROR` and `NLMSG_DONE` of `linux/netlink.h`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const FLAGS: u16 = 0x301;

/// Everything that the kernel says to a dump request: message type and payload.
pub(super) fn dump(protocol: i32, kind: u16, body: &[u8]) -> io::Result<Vec<(u16, Vec<u8>)>> {
    let socket = Socket::new(
        Domain::from(libc::AF_NETLINK),
        Type::RAW,
        Some(Protocol::from(protocol)),
    )?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.send(&request(kind, body))?;
    let mut answers = Vec::new();
    // The kernel never puts more than 32 KiB into one datagram of a dump.
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = (&socket).read(&mut buffer)?;
        let (messages, end) = messages(buffer.get(..length).unwrap_or_default());
        answers.extend(messages);
        match end {
            End::More if length == 0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            End::More => {}
            End::Done => return Ok(answers),
            End::Failed(errno) => return Err(io::Error::from_raw_os_error(errno)),
        }
    }
}

fn request(kind: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len().saturating_add(HEADER)).unwrap_or(u32::MAX);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(FLAGS.to_ne_bytes());
    // Sequence number and port: one request on a socket of its own needs neither.
    message.extend([0; 8]);
    message.extend(body);
    message
}

/// How a datagram of a dump ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    More,
    Done,
    Failed(i32),
}

/// The messages of one datagram. Bytes that are no message end it.
fn messages(mut rest: &[u8]) -> (Vec<(u16, Vec<u8>)>, End) {
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (
        array(rest, 0).map(u32::from_ne_bytes),
        array(rest, 4).map(u16::from_ne_bytes),
    ) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let Some(payload) = rest.get(HEADER..length) else {
            break;
        };
        match kind {
            DONE => return (found, End::Done),
            ERROR => {
                let errno = array(payload, 0).map_or(libc::EPROTO, i32::from_ne_bytes);
                return (
                    found,
                    if errno == 0 {
                        End::Done
                    } else {
                        End::Failed(errno.saturating_abs())
                    },
                );
            }
            kind => found.push((kind, payload.to_vec())),
        }
        rest = aligned(length)
            .and_then(|next| rest.get(next..))
            .unwrap_or_default();
    }
    (found, End::More)
}

/// What the messages of a datagram carry.
pub(super) fn payloads(datagram: &[u8]) -> Vec<Vec<u8>> {
    messages(datagram)
        .0
        .into_iter()
        .map(|(_, payload)| payload)
        .collect()
}

/// The attributes (type and value) behind a message's fixed part.
pub(super) fn attributes(mut rest: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (
        array(rest, 0).map(u16::from_ne_bytes),
        array(rest, 2).map(u16::from_ne_bytes),
    ) {
        let length = usize::from(length);
        let Some(value) = rest.get(4..length) else {
            break;
        };
        // The two upper bits say how the value is nested and ordered.
        found.push((kind & 0x3fff, value));
        rest = aligned(length)
            .and_then(|next| rest.get(next..))
            .unwrap_or_default();
    }
    found
}

fn aligned(length: usize) -> Option<usize> {
    length.checked_next_multiple_of(4)
}

/// A value of one attribute.
pub(super) fn attribute<'a>(attributes: &[(u16, &'a [u8])], wanted: u16) -> Option<&'a [u8]> {
    attributes
        .iter()
        .find(|(kind, _)| *kind == wanted)
        .map(|(_, value)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = request(kind, payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn messages_are_split_until_the_end() {
        let bytes = [
            message(20, b"abcde"),
            message(20, b""),
            message(DONE, &[0; 4]),
        ]
        .concat();
        let (found, end) = messages(&bytes);
        assert_eq!(found, [(20, b"abcde".to_vec()), (20, Vec::new())]);
        assert_eq!(end, End::Done);
    }

    #[test]
    fn the_kernels_refusal_is_an_errno() {
        let (_, end) = messages(&message(ERROR, &(-libc::EPERM).to_ne_bytes()));
        assert_eq!(end, End::Failed(libc::EPERM));
    }

    #[test]
    fn attributes_are_read_to_the_last_whole_one() {
        let mut bytes = vec![5, 0, 1, 0, 9, 0, 0, 0];
        bytes.extend([8, 0, 2, 0x80, 1, 2, 3, 4]);
        bytes.extend([200, 0, 3, 0, 1]);
        assert_eq!(attributes(&bytes), [(1, &[9][..]), (2, &[1, 2, 3, 4][..])]);
        assert_eq!(attribute(&attributes(&bytes), 2), Some(&[1, 2, 3, 4][..]));
    }

    #[test]
    fn cut_or_lying_lengths_end_the_walk() {
        let whole = message(20, b"abcdefgh");
        for length in 0..whole.len() {
            assert_eq!(messages(&whole[..length]), (Vec::new(), End::More));
        }
        assert_eq!(messages(&[0; 32]), (Vec::new(), End::More));
        assert!(attributes(&[0; 8]).is_empty());
        assert!(attributes(&[3, 0, 0, 0]).is_empty());
    }
}
