//! The one call into the C library.

#![expect(
    unsafe_code,
    reason = "the standard library offers getaddrinfo only for both families at once"
)]

use super::{Addresses, LookupError};
use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};
use std::ptr;
use twinstack_race::Family;

/// Blocks until the system's resolver has an answer or gives up. `None` asks for both families.
pub(super) fn getaddrinfo(name: &str, family: Option<Family>) -> Result<Addresses, LookupError> {
    let node = CString::new(name).map_err(|_| LookupError::BadName)?;
    // SAFETY: `addrinfo` is plain data, for which all zeros is what POSIX wants hints to be.
    let mut hints: libc::addrinfo = unsafe { MaybeUninit::zeroed().assume_init() };
    hints.ai_family = match family {
        None => libc::AF_UNSPEC,
        Some(Family::V4) => libc::AF_INET,
        Some(Family::V6) => libc::AF_INET6,
    };
    // One entry an address, not one for each kind of socket.
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut list = ptr::null_mut();
    // SAFETY: the name ends with a zero, the hints are initialised, and `list` is a place for the result.
    let status =
        unsafe { libc::getaddrinfo(node.as_ptr(), ptr::null(), &raw const hints, &raw mut list) };
    if status != 0 {
        return Err(error_of(status));
    }
    let list = List(list);
    let mut found = Addresses::default();
    let mut entry = list.0;
    // SAFETY: every `entry` is null or an element of the list, which lives until `list` is dropped.
    while let Some(info) = unsafe { entry.as_ref() } {
        // SAFETY: as above; the element's address belongs to the list as well.
        unsafe { add(info, &mut found) };
        entry = info.ai_next;
    }
    Ok(found)
}

/// # Safety
///
/// `info` must be an element of a list that getaddrinfo made.
unsafe fn add(info: &libc::addrinfo, found: &mut Addresses) {
    match info.ai_family {
        libc::AF_INET if !info.ai_addr.is_null() => {
            // SAFETY: of this family getaddrinfo gives this structure; read unaligned, as its alignment is not promised.
            let address = unsafe { info.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            let address = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            if !found.v4.contains(&address) {
                found.v4.push(address);
            }
        }
        libc::AF_INET6 if !info.ai_addr.is_null() => {
            // SAFETY: as above.
            let address = unsafe { info.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            let address = SocketAddrV6::new(ip, 0, 0, address.sin6_scope_id);
            if !found.v6.contains(&address) {
                found.v6.push(address);
            }
        }
        _ => {}
    }
}

/// Frees the list.
struct List(*mut libc::addrinfo);

impl Drop for List {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: the list is getaddrinfo's, and nothing refers to it any more.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}

/// "No such name" and "no address of this family" are answers; the rest are failures.
fn error_of(status: libc::c_int) -> LookupError {
    match status {
        libc::EAI_NONAME => LookupError::NoName,
        EAI_NODATA | EAI_ADDRFAMILY => LookupError::NoData,
        libc::EAI_SYSTEM => LookupError::System(io::Error::last_os_error()),
        libc::EAI_AGAIN => LookupError::NoAnswer,
        libc::EAI_FAIL => LookupError::ServerFailed,
        other => LookupError::Code(other),
    }
}

/// The name exists and has no address, and the same for this family alone: codes of Linux that the libc crate lacks.
const EAI_NODATA: libc::c_int = -5;
const EAI_ADDRFAMILY: libc::c_int = -9;
