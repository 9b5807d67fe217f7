//! One attempt: a socket on its way to being a usable connection.

use crate::socket::SocketOptions;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::net::TcpStream;
use twinstack_race::{AttemptError, AttemptErrorKind, Endpoint, Protocol};

/// What turns a TCP connection, or the wish for a QUIC one, into what the caller wants (E1, E2).
pub(crate) trait Complete: Sync {
    /// A usable connection.
    type Output;
    /// What it takes to get there.
    type Work: Future<Output = Result<Self::Output, AttemptError>> + Send;

    /// TCP is up.
    fn tcp(&self, stream: TcpStream, endpoint: &Endpoint) -> Stage<Self>;

    /// Starts a QUIC connection.
    fn quic(&self, endpoint: &Endpoint) -> Stage<Self> {
        let text = format!("QUIC to {} was not asked for", endpoint.address);
        Stage::Failed(AttemptError::new(AttemptErrorKind::Local, &text))
    }
}

/// How far an attempt has come.
pub(crate) enum Stage<C: Complete + ?Sized> {
    /// The TCP handshake is under way.
    Connecting(TcpStream),
    /// The rest is.
    Working {
        work: Pin<Box<C::Work>>,
        /// Set by the work when something has come back from the peer (D8).
        progressed: Option<Arc<AtomicBool>>,
    },
    /// Usable.
    Done(C::Output),
    /// Over.
    Failed(AttemptError),
    /// Its result was taken.
    Taken,
}

/// What a poll of an attempt brought.
pub(crate) enum Step<T> {
    /// It came a step forward and goes on.
    Progress,
    /// It is usable.
    Succeeded(T),
    /// It is over.
    Failed(AttemptError),
}

impl<C: Complete + ?Sized> Stage<C> {
    /// Starts an attempt.
    pub(crate) fn start(complete: &C, options: &SocketOptions, endpoint: &Endpoint) -> Self {
        match endpoint.protocol {
            Protocol::Quic => complete.quic(endpoint),
            Protocol::Tcp | Protocol::Tls => match connect(options, endpoint.address) {
                Ok(stream) => Self::Connecting(stream),
                Err(error) => Self::Failed(attempt_error(&error)),
            },
        }
    }

    pub(crate) fn poll(
        &mut self,
        complete: &C,
        endpoint: &Endpoint,
        context: &mut Context<'_>,
    ) -> Poll<Step<C::Output>> {
        match std::mem::replace(self, Self::Taken) {
            Self::Connecting(stream) => match poll_connected(&stream, context) {
                Poll::Pending => {
                    *self = Self::Connecting(stream);
                    Poll::Pending
                }
                Poll::Ready(Err(error)) => Poll::Ready(Step::Failed(attempt_error(&error))),
                Poll::Ready(Ok(())) => match complete.tcp(stream, endpoint) {
                    Self::Done(output) => Poll::Ready(Step::Succeeded(output)),
                    next => {
                        *self = next;
                        Poll::Ready(Step::Progress)
                    }
                },
            },
            Self::Working {
                mut work,
                progressed,
            } => match work.as_mut().poll(context) {
                Poll::Ready(Ok(output)) => Poll::Ready(Step::Succeeded(output)),
                Poll::Ready(Err(error)) => Poll::Ready(Step::Failed(error)),
                Poll::Pending => {
                    let forward = progressed
                        .as_ref()
                        .is_some_and(|it| it.swap(false, Ordering::Relaxed));
                    *self = Self::Working { work, progressed };
                    if forward {
                        Poll::Ready(Step::Progress)
                    } else {
                        Poll::Pending
                    }
                }
            },
            Self::Done(output) => Poll::Ready(Step::Succeeded(output)),
            Self::Failed(error) => Poll::Ready(Step::Failed(error)),
            Self::Taken => Poll::Pending,
        }
    }
}

/// A socket whose handshake has begun.
fn connect(options: &SocketOptions, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = options.tcp(address)?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    TcpStream::from_std(socket.into())
}

fn poll_connected(stream: &TcpStream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
    ready!(stream.poll_write_ready(context))?;
    Poll::Ready(match stream.take_error()? {
        Some(error) => Err(error),
        None => Ok(()),
    })
}

/// An error of a socket, in the machine's words.
pub(crate) fn attempt_error(error: &io::Error) -> AttemptError {
    AttemptError::new(kind_of(error), &error.to_string())
}

fn kind_of(error: &io::Error) -> AttemptErrorKind {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => AttemptErrorKind::Refused,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown => AttemptErrorKind::Unreachable,
        io::ErrorKind::TimedOut => AttemptErrorKind::TimedOut,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => AttemptErrorKind::Reset,
        // EACCES stands for ICMPv6 "administratively prohibited", and EPERM for a local packet filter.
        io::ErrorKind::PermissionDenied => match error.raw_os_error() {
            Some(libc::EACCES) => AttemptErrorKind::Unreachable,
            _ => AttemptErrorKind::Local,
        },
        io::ErrorKind::AddrNotAvailable
        | io::ErrorKind::AddrInUse
        | io::ErrorKind::OutOfMemory
        | io::ErrorKind::InvalidInput => AttemptErrorKind::Local,
        _ => match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENODEV) => {
                AttemptErrorKind::Local
            }
            _ => AttemptErrorKind::Other,
        },
    }
}
