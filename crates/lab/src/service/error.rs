//! What can go wrong while a service starts, and what the author of the world can do about it.

use super::authority::CertificateError;
use crate::world::model::Family;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// A service that did not start.
#[derive(Debug, thiserror::Error)]
#[error("service `{service}` on host `{host}`: {problem}")]
pub(crate) struct ServiceError {
    /// The host's name.
    pub(crate) host: String,
    /// The service's name.
    pub(crate) service: String,
    /// What happened.
    pub(crate) problem: Box<Problem>,
}

impl ServiceError {
    /// What to do about it, if there is something better than reading the message again.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        self.problem.hint()
    }
}

/// What happened to a service that did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Problem {
    /// The kernel refused a socket.
    #[error("cannot listen on {transport} {address}: {source}")]
    Listen {
        /// TCP or UDP.
        transport: Transport,
        /// Where.
        address: SocketAddr,
        /// The kernel's word.
        source: io::Error,
    },
    /// `listen` and `families` leave no socket to open.
    #[error("has no address to listen on")]
    ListensNowhere,
    /// A page's status is no status of a final response.
    #[error("page `{path}` for {family} has status {status}")]
    PageStatus {
        /// Whose face.
        family: FamilyName,
        /// The page.
        path: String,
        /// What it asks for.
        status: u16,
    },
    /// A page that we would have to keep in memory.
    #[error("page `{path}` for {family} is larger than {most} bytes")]
    PageSize {
        /// Whose face.
        family: FamilyName,
        /// The page.
        path: String,
        /// The limit.
        most: usize,
    },
    /// A header that cannot be sent.
    #[error("header `{name}: {value}` for {family} cannot be sent")]
    Header {
        /// Whose face.
        family: FamilyName,
        /// The header.
        name: String,
        /// Its value.
        value: String,
    },
    /// No certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The TLS library refuses the certificate or the versions.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A resolver without its settings.
    #[error("is of kind `dns-recursive` but has no root servers")]
    NoRecursive,
    /// A zone that cannot be served.
    #[error("zone `{zone}`, record `{record}`: {message}")]
    ZoneRecord {
        /// The zone's apex.
        zone: String,
        /// The line.
        record: String,
        /// What is wrong with it.
        message: String,
    },
    /// An `exec` service without `exec`.
    #[error("is of kind `exec` but has no `exec` part")]
    NoExec,
    /// An `exec` service with nothing to run.
    #[error("has an empty command")]
    EmptyCommand,
    /// `{address_v4}` without an IPv4 address, or the same for IPv6.
    #[error("uses `{placeholder}`, but the host has no {family} address")]
    NoAddress {
        /// The placeholder.
        placeholder: &'static str,
        /// The family.
        family: FamilyName,
    },
    /// A key of `files` that leads out of `{dir}`, or to one of our own files there.
    #[error("cannot have a file called `{name}`")]
    FileName {
        /// The key.
        name: String,
    },
    /// A file that could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The kernel's word.
        source: io::Error,
    },
    /// No such program.
    #[error("program `{program}` is not installed: it is in none of {searched}")]
    ProgramNotFound {
        /// As the world names it.
        program: String,
        /// Where we looked, separated by colons.
        searched: String,
    },
    /// A file that is there but does not start.
    #[error("cannot start `{}`: {source}", program.display())]
    ProgramNotStarted {
        /// The file.
        program: PathBuf,
        /// The kernel's word.
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("`{program}` ended ({status}) before it was ready{log}")]
    ProgramEnded {
        /// As the world names it.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// What it said last.
        log: LogTail,
    },
    /// It is still not ready.
    #[error("`{program}` does not accept connections on {address} after {within:?}{log}")]
    ProgramNotReady {
        /// As the world names it.
        program: String,
        /// The first address that refuses.
        address: SocketAddr,
        /// How long we waited.
        within: Duration,
        /// What it said last.
        log: LogTail,
    },
    /// We cannot watch it.
    #[error("cannot watch `{program}`: {source}")]
    ProgramNotWatched {
        /// As the world names it.
        program: String,
        /// The kernel's word.
        source: io::Error,
    },
}

impl Problem {
    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => Some(
                    "two services of this host want the same port: change `port` or `listen` of one of them",
                ),
                io::ErrorKind::AddrNotAvailable => Some(
                    "list only addresses of this host in `listen`; one that failed duplicate address detection cannot be used",
                ),
                io::ErrorKind::PermissionDenied => Some(
                    "ports below 1024 need root inside the host: choose a higher `port`, or start the lab where user namespaces are allowed",
                ),
                _ => None,
            },
            Self::ListensNowhere => {
                Some("`families` excludes every address in `listen`, or is empty")
            }
            Self::PageStatus { .. } => Some("give the page a status from 200 to 599"),
            Self::PageSize { .. } => Some("choose a smaller `size`"),
            Self::Header { .. } => Some(
                "header names are ASCII tokens, values one line of visible ASCII; Content-Length and Transfer-Encoding are the server's own",
            ),
            Self::Certificate(_) => Some(
                "names in a certificate are host names in ASCII (internationalised ones as `xn--`), wildcards or addresses",
            ),
            Self::NoRecursive => Some("add `root: [ADDRESS, ...]`"),
            Self::ZoneRecord { .. } => Some("a record looks like `www 300 AAAA 2e00:5::80`"),
            Self::NoExec | Self::EmptyCommand => {
                Some("add `exec: { command: [PROGRAM, ARGUMENT, ...] }`")
            }
            Self::FileName { .. } => {
                Some("file names are relative, without `..`, and not `output.log`")
            }
            Self::NoAddress { .. } => {
                Some("give the host an address of that family, or write the address out")
            }
            Self::ProgramNotFound { .. } => {
                Some("install it, or write its absolute path into `command`")
            }
            Self::ProgramNotStarted { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    Some("the file must be executable by you, on a file system without `noexec`")
                }
                io::ErrorKind::NotFound => {
                    Some("the file is there: the interpreter in its first line is not")
                }
                _ => None,
            },
            Self::ProgramEnded { .. } => Some(
                "keep the program in the foreground (`named -g`, nginx's `daemon off;`), and read its messages above",
            ),
            Self::ProgramNotReady { .. } => Some(
                "make the program listen on every address of the host (or list fewer in `listen`), or raise `ready-within`",
            ),
            Self::Tls(_) | Self::File { .. } | Self::ProgramNotWatched { .. } => None,
        }
    }
}

/// A transport, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// A family, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FamilyName(pub(crate) Family);

impl fmt::Display for FamilyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// The last lines that a program wrote, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogTail(pub(crate) Vec<String>);

impl fmt::Display for LogTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("; it wrote nothing");
        }
        f.write_str("; it wrote:")?;
        self.0.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}
