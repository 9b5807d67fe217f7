//! Sockets of others and our own.

use std::io;
use std::mem::size_of;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

const SO_COOKIE: i32 = 57;
const SO_NETNS_COOKIE: i32 = 71;

/// What a socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// TCP, or MPTCP.
    Stream,
    /// UDP.
    Datagram,
    /// Something else.
    Other,
}

/// What a socket is.
pub(crate) fn kind_of(socket: &OwnedFd) -> Kind {
    const MPTCP: i32 = 262;
    let option = |name| get::<i32>(socket, libc::SOL_SOCKET, name).ok();
    match (option(libc::SO_TYPE), option(libc::SO_PROTOCOL)) {
        (Some(libc::SOCK_STREAM), Some(libc::IPPROTO_TCP | MPTCP)) => Kind::Stream,
        (Some(libc::SOCK_DGRAM), Some(libc::IPPROTO_UDP)) => Kind::Datagram,
        _ => Kind::Other,
    }
}

/// Whether it is an IPv6 socket.
pub(crate) fn is_v6(socket: &OwnedFd) -> bool {
    get::<i32>(socket, libc::SOL_SOCKET, libc::SO_DOMAIN).is_ok_and(|it| it == libc::AF_INET6)
}

/// The kernel's number of a socket, never used twice.
pub(crate) fn cookie(socket: &OwnedFd) -> io::Result<u64> {
    get(socket, libc::SOL_SOCKET, SO_COOKIE)
}

/// The kernel's number of the network that a socket is in (Linux 5.14).
pub(crate) fn network(socket: &OwnedFd) -> io::Result<u64> {
    get(socket, libc::SOL_SOCKET, SO_NETNS_COOKIE)
}

/// The time that a blocking connect may take by the program's own wish.
pub(crate) fn send_timeout(socket: &OwnedFd) -> Option<Duration> {
    let time: libc::timeval = get(socket, libc::SOL_SOCKET, libc::SO_SNDTIMEO).ok()?;
    let whole = u64::try_from(time.tv_sec).ok()?;
    let micros = u64::try_from(time.tv_usec).ok()?;
    let timeout = Duration::from_secs(whole) + Duration::from_micros(micros);
    (!timeout.is_zero()).then_some(timeout)
}

/// An `int` of a socket; `None` if it has no such option.
pub(crate) fn flag(socket: &OwnedFd, level: i32, name: i32) -> Option<i32> {
    get(socket, level, name).ok()
}

/// Sets an `int` of a socket.
pub(crate) fn set_flag(socket: &OwnedFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: the kernel reads one int.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            length_of::<i32>(),
        )
    };
    check(result)
}

/// Takes the error that a failed connect left behind.
pub(crate) fn take_error(socket: &OwnedFd) -> i32 {
    get(socket, libc::SOL_SOCKET, libc::SO_ERROR).unwrap_or(0)
}

/// Where a TCP connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// Nothing has come back yet.
    Waiting,
    /// It is up, or was.
    Done,
    /// It came to nothing.
    Failed,
}

/// Where a TCP connection stands, without taking its error away.
pub(crate) fn handshake(socket: &OwnedFd) -> Handshake {
    const SYN_SENT: u8 = 2;
    const CLOSE: u8 = 7;
    // The state is the first octet of `struct tcp_info`.
    match get::<u8>(socket, libc::IPPROTO_TCP, libc::TCP_INFO) {
        Ok(SYN_SENT) => Handshake::Waiting,
        Ok(CLOSE) | Err(_) => Handshake::Failed,
        Ok(_) => Handshake::Done,
    }
}

/// Whether calls on this socket return at once.
pub(crate) fn is_non_blocking(socket: &OwnedFd) -> bool {
    file_flags(socket) & libc::O_NONBLOCK != 0
}

/// Connects to an address as the program wrote it, without ever waiting.
///
/// `O_NONBLOCK` belongs to the open socket that we share with the program: it is put back at once. While the program's
/// thread waits for our answer, only another thread that uses the same unconnected socket could see it.
pub(crate) fn connect_at_once(socket: &OwnedFd, address: &[u8]) -> Result<(), i32> {
    let flags = file_flags(socket);
    let blocking = flags & libc::O_NONBLOCK == 0;
    if blocking {
        set_file_flags(socket, flags | libc::O_NONBLOCK);
    }
    let length = libc::socklen_t::try_from(address.len()).unwrap_or(0);
    // SAFETY: pointer and length are those of a slice; the kernel judges what is in it.
    let result = unsafe { libc::connect(socket.as_raw_fd(), address.as_ptr().cast(), length) };
    let outcome = if result == 0 {
        Ok(())
    } else {
        Err(last_errno())
    };
    if blocking {
        set_file_flags(socket, flags);
    }
    outcome
}

/// Ends an attempt: the socket is as new, and whoever polls it sees ECONNRESET.
pub(crate) fn give_up(socket: &OwnedFd) {
    let unspecified = [0_u8; 16];
    let _it_may_have_ended = connect_at_once(socket, &unspecified);
}

/// Connects without waiting.
pub(crate) fn connect_to(socket: &OwnedFd, address: SocketAddr) -> Result<(), i32> {
    connect_at_once(socket, &octets_of(address))
}

/// A `struct sockaddr`.
pub(crate) fn octets_of(address: SocketAddr) -> Vec<u8> {
    let mut octets = Vec::with_capacity(28);
    match address {
        SocketAddr::V4(address) => {
            octets.extend(2_u16.to_ne_bytes());
            octets.extend(address.port().to_be_bytes());
            octets.extend(address.ip().octets());
            octets.extend([0; 8]);
        }
        SocketAddr::V6(address) => {
            octets.extend(10_u16.to_ne_bytes());
            octets.extend(address.port().to_be_bytes());
            octets.extend(address.flowinfo().to_be_bytes());
            octets.extend(address.ip().octets());
            octets.extend(address.scope_id().to_ne_bytes());
        }
    }
    octets
}

/// A socket's own address.
pub(crate) fn local_address(socket: &OwnedFd) -> Option<SocketAddr> {
    let mut octets = [0_u8; super::super::call::LONGEST];
    let mut length = libc::socklen_t::try_from(octets.len()).ok()?;
    // SAFETY: the kernel writes at most as many octets as the array has.
    let result = unsafe {
        libc::getsockname(
            socket.as_raw_fd(),
            octets.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return None;
    }
    let length = usize::try_from(length).ok()?;
    match super::super::call::peer(octets.get(..length)?) {
        super::super::call::Peer::Internet(address) => Some(address),
        _ => None,
    }
}

/// A TCP socket of our own that never waits.
pub(crate) fn stream_socket(is_v6: bool) -> io::Result<OwnedFd> {
    let domain = if is_v6 { libc::AF_INET6 } else { libc::AF_INET };
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: plain numbers.
    let fd = unsafe { libc::socket(domain, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes calls on this socket, and on every duplicate of it, return at once; or wait.
pub(crate) fn set_non_blocking(socket: &OwnedFd, non_blocking: bool) {
    let flags = file_flags(socket) & !libc::O_NONBLOCK;
    set_file_flags(
        socket,
        if non_blocking {
            flags | libc::O_NONBLOCK
        } else {
            flags
        },
    );
}

fn file_flags(socket: &OwnedFd) -> i32 {
    // SAFETY: plain numbers.
    unsafe { libc::fcntl(socket.as_fd().as_raw_fd(), libc::F_GETFL) }
}

fn set_file_flags(socket: &OwnedFd, flags: i32) {
    // SAFETY: plain numbers.
    let _cannot_fail_for_status_flags =
        unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_SETFL, flags) };
}

/// Reads an option of a plain type, for which any octets are a value.
fn get<T: Plain>(socket: &OwnedFd, level: i32, name: i32) -> io::Result<T> {
    let mut value = T::ZERO;
    let mut length = length_of::<T>();
    // SAFETY: the kernel writes at most as many octets as the value has, and any octets are a value of it.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    check(result)?;
    Ok(value)
}

/// Types for which any octets are a value.
trait Plain {
    const ZERO: Self;
}

impl Plain for u8 {
    const ZERO: Self = 0;
}

impl Plain for i32 {
    const ZERO: Self = 0;
}

impl Plain for u64 {
    const ZERO: Self = 0;
}

impl Plain for libc::timeval {
    const ZERO: Self = Self {
        tv_sec: 0,
        tv_usec: 0,
    };
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn last_errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
