//! What the lab's owner and the lab's init say to each other: JSON messages on a `SOCK_SEQPACKET` pair.
//!
//! The socket is also the lifeline: when the owner dies, however it dies, init reads end-of-file, exits, and the kernel
//! ends everything in its PID namespace.

use crate::world::model::{DnsRule, Filter, Zone};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

/// The longest message; a zone of a few thousand records fits.
const LIMIT: usize = 1 << 20;

/// From the owner to init.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Run a program; three file descriptors (standard streams) come along.
    Run {
        id: u64,
        host: String,
        command: Vec<Word>,
        environment: Vec<(String, String)>,
        directory: Word,
    },
    /// Send a signal to a program.
    Signal { id: u64, signal: i32 },
    /// Replace parts of the running world.
    Update { id: u64, update: Update },
}

/// An argument or a path: any bytes but zero, almost always text, and then written as such to keep messages short.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Word {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<OsString> for Word {
    fn from(word: OsString) -> Self {
        word.into_string()
            .map_or_else(|word| Self::Bytes(word.into_vec()), Self::Text)
    }
}

impl From<Word> for OsString {
    fn from(word: Word) -> Self {
        match word {
            Word::Text(text) => text.into(),
            Word::Bytes(bytes) => Self::from_vec(bytes),
        }
    }
}

/// Parts of a running world to replace; `None` leaves a part as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Update {
    /// The filters at all routers.
    pub filters: Option<Vec<Filter>>,
    /// All zones of the built-in authoritative servers.
    pub zones: Option<Vec<Zone>>,
    /// What name servers do to particular questions.
    pub dns_rules: Option<Vec<DnsRule>>,
}

/// From init to the owner.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    /// Every host is configured and every service answers.
    Ready,
    /// The lab could not be built; init exits after this.
    Failed { message: String },
    /// A program ended.
    Ended { id: u64, outcome: Outcome },
    /// An update took effect.
    Updated { id: u64 },
}

/// How a program ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// With this exit status.
    Exited(i32),
    /// By this signal.
    Signaled(i32),
    /// It is not there.
    NotFound,
    /// It is there but cannot be executed, and why.
    NotExecutable(String),
    /// The lab has no host of this name.
    NoSuchHost,
    /// The lab ended while the program ran.
    LabEnded,
}

impl Outcome {
    /// The exit status that a shell, a container engine and `lab run` report for it.
    pub fn exit_status(&self) -> u8 {
        match self {
            // The kernel hands on eight bits.
            Self::Exited(status) => u8::try_from(*status & 0xff).unwrap_or(u8::MAX),
            Self::Signaled(signal) => 128 | u8::try_from(*signal & 0x7f).unwrap_or(0),
            Self::NotFound => 127,
            Self::NotExecutable(_) => 126,
            Self::NoSuchHost | Self::LabEnded => 125,
        }
    }
}

/// Sends one message, with file descriptors if any.
pub(crate) fn send(
    socket: RawFd,
    message: &impl Serialize,
    descriptors: &[RawFd],
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let rights = [ControlMessage::ScmRights(descriptors)];
    let control = if descriptors.is_empty() {
        &[][..]
    } else {
        &rights[..]
    };
    loop {
        match sendmsg::<()>(
            socket,
            &[IoSlice::new(&text)],
            control,
            MsgFlags::MSG_NOSIGNAL,
            None,
        ) {
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Receives one message and its file descriptors; `None` when the other side is gone.
pub(crate) fn receive<T: DeserializeOwned>(socket: RawFd) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut buffer = vec![0u8; LIMIT];
    let mut space = nix::cmsg_space!([RawFd; 4]);
    let (length, descriptors) = {
        let mut slices = [IoSliceMut::new(&mut buffer)];
        let message = loop {
            match recvmsg::<()>(
                socket,
                &mut slices,
                Some(&mut space),
                MsgFlags::MSG_CMSG_CLOEXEC,
            ) {
                Err(nix::errno::Errno::EINTR) => {}
                Err(nix::errno::Errno::ECONNRESET) => return Ok(None),
                other => break other?,
            }
        };
        let mut descriptors = Vec::new();
        for control in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(raw) = control {
                descriptors.extend(raw.into_iter().map(|raw| {
                    #[expect(unsafe_code, reason = "the kernel hands over raw descriptors")]
                    // SAFETY: the kernel has just installed this descriptor in our table and nobody else knows it.
                    unsafe {
                        OwnedFd::from_raw_fd(raw)
                    }
                }));
            }
        }
        (message.bytes, descriptors)
    };
    if length == 0 {
        return Ok(None);
    }
    let text = buffer.get(..length).unwrap_or_default();
    Ok(Some((serde_json::from_slice(text)?, descriptors)))
}

/// A connected pair of sockets that keep message boundaries.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};
    let (ours, theirs) = socketpair(
        AddressFamily::Unix,
        SockType::SeqPacket,
        None,
        SockFlag::SOCK_CLOEXEC,
    )?;
    for end in [&ours, &theirs] {
        // A message larger than the send buffer is refused as a whole.
        setsockopt(end, sockopt::SndBuf, &(LIMIT * 2))?;
    }
    Ok((ours, theirs))
}

/// The number behind a descriptor, for the calls above.
pub(crate) fn raw(descriptor: &OwnedFd) -> RawFd {
    descriptor.as_raw_fd()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_keep_their_boundaries_and_their_descriptors() {
        let (ours, theirs) = pair().unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let run = Request::Run {
            id: 7,
            host: "client".into(),
            command: vec![OsString::from("true").into()],
            environment: vec![],
            directory: OsString::from("/").into(),
        };
        send(raw(&ours), &run, &[file.as_raw_fd(); 3]).unwrap();
        send(raw(&ours), &Request::Signal { id: 7, signal: 15 }, &[]).unwrap();
        let (first, descriptors) = receive::<Request>(raw(&theirs)).unwrap().unwrap();
        assert!(matches!(first, Request::Run { id: 7, .. }));
        assert_eq!(descriptors.len(), 3);
        let (second, none) = receive::<Request>(raw(&theirs)).unwrap().unwrap();
        assert!(matches!(second, Request::Signal { id: 7, signal: 15 }) && none.is_empty());
        drop(ours);
        assert!(receive::<Request>(raw(&theirs)).unwrap().is_none());
    }

    #[test]
    fn words_that_are_no_text_arrive_as_they_were() {
        for bytes in [
            &b"plain"[..],
            b"\xff\xfe",
            b"",
            b"[1,2]",
            "\u{e9}".as_bytes(),
        ] {
            let sent = OsString::from_vec(bytes.to_vec());
            let message = serde_json::to_string(&Word::from(sent.clone())).unwrap();
            let word: Word = serde_json::from_str(&message).unwrap();
            assert_eq!(OsString::from(word), sent, "{message}");
        }
    }

    #[test]
    fn exit_statuses_are_those_of_shells_and_containers() {
        let check =
            |outcome: Outcome, status| assert_eq!(outcome.exit_status(), status, "{outcome:?}");
        check(Outcome::Exited(0), 0);
        check(Outcome::Exited(7), 7);
        check(Outcome::Signaled(9), 137);
        check(Outcome::NotFound, 127);
        check(Outcome::NotExecutable("no x bit".into()), 126);
        check(Outcome::LabEnded, 125);
    }
}
