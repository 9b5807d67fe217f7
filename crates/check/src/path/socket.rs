//! Socket calls that no safe crate offers. The only unsafe code of this half of `check`.

use super::Family;
use super::observation::IcmpError;
use super::wire;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// A TCP socket that does not block, keeps ICMP errors to be read, and has at most `segment` bytes in a segment.
pub(super) fn tcp(to: SocketAddr, segment: Option<u16>) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(segment) = segment {
        // Before connecting: it then also limits what the other side sends, through the MSS option of the SYN.
        socket.set_tcp_mss(u32::from(segment))?;
    }
    keep_icmp_errors(&socket, Family::of(to.ip()), true)?;
    Ok(socket)
}

/// Switches the socket's error queue on or off.
///
/// On a TCP socket it makes the kernel keep the ICMP message that ended a connection attempt (since Linux 5.8). Off again
/// once the connection stands, because with it every stray ICMP error would end an open connection.
pub(super) fn keep_icmp_errors(socket: &impl AsRawFd, family: Family, on: bool) -> io::Result<()> {
    let (level, name) = match family {
        Family::V4 => (libc::IPPROTO_IP, libc::IP_RECVERR),
        Family::V6 => (libc::IPPROTO_IPV6, libc::IPV6_RECVERR),
    };
    set_option(socket, level, name, libc::c_int::from(on))
}

/// Lets datagrams of this socket be cut into fragments that fit every path: 1280 bytes for IPv6, no
/// don't-fragment bit for IPv4.
pub(super) fn allow_fragments(socket: &impl AsRawFd, family: Family) -> io::Result<()> {
    match family {
        Family::V4 => set_option(
            socket,
            libc::IPPROTO_IP,
            libc::IP_MTU_DISCOVER,
            libc::IP_PMTUDISC_DONT,
        ),
        Family::V6 => set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU, 1280),
    }
}

fn set_option(
    socket: &impl AsRawFd,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(&value)).unwrap_or(4);
    #[expect(unsafe_code, reason = "no safe wrapper knows these options")]
    // SAFETY: the descriptor is borrowed from an open socket, and `value` is a live `c_int` whose size is passed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            length,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The ICMP error that waits in the socket's error queue, if one does. Never blocks.
pub(super) fn take_icmp_error(socket: BorrowedFd<'_>) -> Option<IcmpError> {
    // Aligned for `cmsghdr`, and several times larger than one extended error with an IPv6 address.
    let mut control = [0_u64; 64];
    let mut data = [0_u8; 512];
    let mut part = libc::iovec {
        iov_base: data.as_mut_ptr().cast(),
        iov_len: data.len(),
    };
    #[expect(
        unsafe_code,
        reason = "a msghdr has private padding and can only be zeroed"
    )]
    // SAFETY: all zeros is a valid `msghdr`: null pointers with zero lengths.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    #[expect(
        unsafe_code,
        reason = "no safe wrapper reads the error queue of a stream socket"
    )]
    // SAFETY: every pointer in `message` leads to a live local buffer of the length beside it.
    let received = unsafe {
        libc::recvmsg(
            socket.as_raw_fd(),
            &raw mut message,
            libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
        )
    };
    if received < 0 {
        return None;
    }
    let bytes: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).collect();
    wire::icmp_error(bytes.get(..message.msg_controllen)?)
}
