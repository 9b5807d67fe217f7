//! Two socket options that no library of ours offers.

#![expect(unsafe_code, reason = "getsockopt and setsockopt of Linux options")]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::AsRawFd;

/// `IP_BIND_ADDRESS_NO_PORT`, for sockets of both families: `bind` fixes the address, `connect` the port.
pub(crate) fn choose_port_when_connecting(socket: &impl AsRawFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option takes an int, which lives through the call, and its size is given.
    let status = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            length_of::<libc::c_int>(),
        )
    };
    if status == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// `TCP_INFO`. What an older kernel does not tell is zero.
pub(crate) fn tcp_info(socket: &impl AsRawFd) -> io::Result<libc::tcp_info> {
    let mut info = MaybeUninit::<libc::tcp_info>::zeroed();
    let mut length = length_of::<libc::tcp_info>();
    // SAFETY: the kernel writes at most `length` bytes, which is the size of the place.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the structure is integers only; zeros and whatever the kernel wrote are all valid.
    Ok(unsafe { info.assume_init() })
}

/// Bytes that arrived behind a hole and cannot be read: what is charged to the socket although nothing is readable.
/// `None` while there is something to read, as then nobody can tell.
pub(crate) fn bytes_behind_a_hole(socket: &impl AsRawFd) -> io::Result<Option<u32>> {
    let mut readable: libc::c_int = 0;
    // SAFETY: the request writes one int, which lives through the call.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut readable) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if readable > 0 {
        return Ok(None);
    }
    let mut memory = [0_u32; 9];
    let mut length = length_of::<[u32; 9]>();
    // SAFETY: the kernel writes at most `length` bytes, which is the size of the array.
    let status = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_MEMINFO,
            memory.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    // The first is SK_MEMINFO_RMEM_ALLOC.
    Ok(Some(memory[0]))
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).expect("socket options are a few hundred bytes")
}
