//! AF_PACKET sockets in batches, and waiting for them.
//!
//! Pointers into buffers are written right before each system call and never used after it.

use super::Delivery;
use crate::emulator::frame::{Buffer, Pool, VNET_HEADER};
use std::collections::VecDeque;
use std::ffi::{c_int, c_uint};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// Frames that one system call moves.
pub(super) const BATCH: usize = 32;
/// What we ask the kernel to hold for us; it gives what the system's limits allow.
const SOCKET_BUFFER: c_int = 32 * 1024 * 1024;
/// Frames up to this size are copied out of the receiving buffers, which are for super-frames.
const COPIED: usize = 2048;

/// Makes the socket for one host interface's hub end, bound to the interface with this index in the calling thread's
/// network namespace. Needs CAP_NET_RAW there.
pub fn open_port(ifindex: i32) -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // Protocol 0: nothing arrives before `bind` says from where.
    #[expect(unsafe_code, reason = "a system call")]
    // SAFETY: no pointers; the result is checked before it is owned.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_PACKET, kind, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    set_option(&socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)?;
    set_option(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
    set_option(&socket, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)?;
    for (force, plain) in [
        (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
        (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
    ] {
        // Beyond the system's limit only root of the first user namespace may go.
        if set_option(&socket, libc::SOL_SOCKET, force, SOCKET_BUFFER).is_err() {
            set_option(&socket, libc::SOL_SOCKET, plain, SOCKET_BUFFER)?;
        }
    }
    #[expect(unsafe_code, reason = "a C structure and a system call")]
    // SAFETY: `sockaddr_ll` is plain data for which zeros are valid; `bind` reads the one given, whose size is given.
    let bound = unsafe {
        let mut address: libc::sockaddr_ll = MaybeUninit::zeroed().assume_init();
        address.sll_family = u16::try_from(libc::AF_PACKET).unwrap_or_default();
        address.sll_protocol = u16::try_from(libc::ETH_P_ALL).unwrap_or_default().to_be();
        address.sll_ifindex = ifindex;
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            length_of::<libc::sockaddr_ll>(),
        )
    };
    if bound < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(socket)
}

fn set_option(socket: &OwnedFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    #[expect(unsafe_code, reason = "a system call")]
    // SAFETY: the kernel reads one `c_int` from a pointer to one.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            length_of::<c_int>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn length_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or_default()
}

/// Frames that the kernel dropped because we were too slow to read them.
pub(super) fn missed(socket: &OwnedFd) -> u64 {
    /// `struct tpacket_stats`, which libc does not have.
    #[repr(C)]
    #[derive(Default)]
    struct Counts {
        packets: c_uint,
        drops: c_uint,
    }
    let mut counts = Counts::default();
    let mut length = length_of::<Counts>();
    #[expect(unsafe_code, reason = "a system call")]
    // SAFETY: the kernel writes at most `length` bytes to `counts`, which has as many.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut counts).cast(),
            &raw mut length,
        )
    };
    if result < 0 { 0 } else { counts.drops.into() }
}

const EMPTY_VECTOR: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

fn vector_of(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    }
}

/// An unused entry of a batch.
fn empty_message() -> libc::mmsghdr {
    #[expect(unsafe_code, reason = "a C structure with private padding")]
    // SAFETY: plain data for which zeros (null pointers, zero lengths) are valid.
    unsafe {
        MaybeUninit::zeroed().assume_init()
    }
}

/// Points a message at its vector.
fn point(message: &mut libc::mmsghdr, vector: &mut libc::iovec) {
    message.msg_len = 0;
    message.msg_hdr.msg_flags = 0;
    message.msg_hdr.msg_iov = vector;
    message.msg_hdr.msg_iovlen = 1;
}

/// Reads frames in batches.
pub(super) struct Receiver {
    buffers: Vec<Buffer>,
    vectors: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
}

/// What a batch brought.
pub(super) enum Batch {
    /// So many frames.
    Frames(usize),
    /// Nothing, and the kernel could not hand over a frame that it had.
    Unreadable,
}

impl Receiver {
    pub(super) fn new(pool: &mut Pool) -> Self {
        Self {
            buffers: (0..BATCH).map(|_| pool.large()).collect(),
            vectors: vec![EMPTY_VECTOR; BATCH],
            messages: (0..BATCH).map(|_| empty_message()).collect(),
        }
    }

    /// Reads what is there.
    pub(super) fn receive(&mut self, socket: &OwnedFd) -> Batch {
        let slots = self
            .buffers
            .iter_mut()
            .zip(&mut self.vectors)
            .zip(&mut self.messages);
        for ((buffer, vector), message) in slots {
            *vector = vector_of(buffer.space());
            point(message, vector);
        }
        #[expect(unsafe_code, reason = "a system call")]
        // SAFETY: each message points at one vector of ours, each vector at memory of ours of the length it says, and
        // nothing of that moves before the call returns.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                c_uint::try_from(self.messages.len()).unwrap_or(0),
                // One C library says `c_int`, another `c_uint`.
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        match usize::try_from(count) {
            Ok(count) => Batch::Frames(count),
            // An interface that goes down says so once; an empty queue is no loss either.
            Err(_) => match io::Error::last_os_error().raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR | libc::ENETDOWN) => Batch::Frames(0),
                _ => Batch::Unreadable,
            },
        }
    }

    /// Frame number `index` of the last batch; `None` when it did not fit the buffer.
    pub(super) fn frame(
        &mut self,
        index: usize,
        pool: &mut Pool,
    ) -> Option<([u8; VNET_HEADER], Buffer)> {
        let message = self.messages.get(index)?;
        if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        let length = usize::try_from(message.msg_len)
            .ok()?
            .checked_sub(VNET_HEADER)?;
        let buffer = self.buffers.get_mut(index)?;
        buffer.set_len(length);
        let header = buffer.header();
        let data = if length <= COPIED {
            pool.copy(buffer)?
        } else {
            std::mem::replace(buffer, pool.large())
        };
        Some((header, data))
    }
}

/// Writes frames in batches.
pub(super) struct Sender {
    vectors: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
}

impl Sender {
    pub(super) fn new() -> Self {
        Self {
            vectors: vec![EMPTY_VECTOR; BATCH],
            messages: (0..BATCH).map(|_| empty_message()).collect(),
        }
    }

    /// Sends as much of a backlog as the kernel takes now; returns how many frames it refused for good.
    pub(super) fn send(
        &mut self,
        socket: &OwnedFd,
        backlog: &mut VecDeque<Delivery>,
        pool: &mut Pool,
    ) -> u64 {
        let mut refused = 0;
        while !backlog.is_empty() {
            let done = match self.send_batch(socket, backlog) {
                Ok(count) => count,
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return refused,
                    Some(libc::EINTR) => 0,
                    // The host's interface is down: such a network has nobody who hears.
                    Some(libc::ENETDOWN | libc::ENXIO) => 1,
                    _ => {
                        refused += 1;
                        1
                    }
                },
            };
            for delivery in backlog.drain(..done.min(backlog.len())) {
                pool.recycle(delivery.frame.data);
            }
        }
        refused
    }

    fn send_batch(
        &mut self,
        socket: &OwnedFd,
        backlog: &mut VecDeque<Delivery>,
    ) -> io::Result<usize> {
        let mut count = 0;
        let slots = self.vectors.iter_mut().zip(&mut self.messages);
        for (delivery, (vector, message)) in backlog.iter_mut().zip(slots) {
            let header = delivery.frame.offload.to_wire(delivery.header_length);
            *vector = vector_of(delivery.frame.data.with_header(header));
            point(message, vector);
            count += 1;
        }
        #[expect(unsafe_code, reason = "a system call")]
        // SAFETY: the first `count` messages point at one vector of ours each, each vector at memory of ours of the
        // length it says, and nothing of that moves before the call returns.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.messages.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT as _,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// An eventfd: wakes the emulator's thread.
#[derive(Debug)]
pub(super) struct Bell(OwnedFd);

impl Bell {
    pub(super) fn new() -> io::Result<Self> {
        #[expect(unsafe_code, reason = "a system call")]
        // SAFETY: no pointers; the result is checked before it is owned.
        unsafe {
            let fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Self(OwnedFd::from_raw_fd(fd)))
        }
    }

    pub(super) fn ring(&self) {
        let one = 1_u64;
        #[expect(unsafe_code, reason = "a system call")]
        // SAFETY: the kernel reads eight bytes from a pointer to eight. It can fail only because the bell rings already.
        unsafe {
            libc::write(
                self.0.as_raw_fd(),
                (&raw const one).cast(),
                size_of::<u64>(),
            );
        }
    }

    fn silence(&self) {
        let mut count = 0_u64;
        #[expect(unsafe_code, reason = "a system call")]
        // SAFETY: the kernel writes eight bytes to a pointer to eight. It can fail only because the bell is silent.
        unsafe {
            libc::read(
                self.0.as_raw_fd(),
                (&raw mut count).cast(),
                size_of::<u64>(),
            );
        }
    }
}

/// Sleeps until the bell rings (then true), a socket has frames (then its number is in `ready`), a socket that is asked
/// for takes frames again, or the time is over.
pub(super) fn wait<'a>(
    bell: &Bell,
    sockets: impl Iterator<Item = (&'a OwnedFd, bool)>,
    timeout: Option<Duration>,
    polled: &mut Vec<libc::pollfd>,
    ready: &mut Vec<usize>,
) -> io::Result<bool> {
    let ask = |fd: RawFd, events| libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    polled.clear();
    polled.push(ask(bell.0.as_raw_fd(), libc::POLLIN));
    polled.extend(sockets.map(|(socket, has_backlog)| {
        let events = if has_backlog {
            libc::POLLIN | libc::POLLOUT
        } else {
            libc::POLLIN
        };
        ask(socket.as_raw_fd(), events)
    }));
    let timeout = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let limit = timeout.as_ref().map_or(ptr::null(), ptr::from_ref);
    #[expect(unsafe_code, reason = "a system call")]
    // SAFETY: `polled` has as many entries as we say, `limit` is null or points at `timeout`, which outlives the call.
    let count = unsafe {
        let length = libc::nfds_t::try_from(polled.len()).unwrap_or(0);
        libc::ppoll(polled.as_mut_ptr(), length, limit, ptr::null())
    };
    if count < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted {
            Ok(false)
        } else {
            Err(error)
        };
    }
    let has_frames = |entry: &libc::pollfd| entry.revents & (libc::POLLIN | libc::POLLERR) != 0;
    let mut entries = polled.iter();
    let rings = entries.next().is_some_and(has_frames);
    ready.extend(
        entries
            .enumerate()
            .filter(|(_, entry)| has_frames(entry))
            .map(|(index, _)| index),
    );
    if rings {
        bell.silence();
    }
    Ok(rings)
}

/// Asks the scheduler to run the calling thread soon after it wakes, and for short times only; an old kernel may refuse.
pub(super) fn ask_for_short_slices() {
    /// `struct sched_attr`, which libc does not have on all targets.
    #[repr(C)]
    #[derive(Default)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    let attributes = Attributes {
        size: u32::try_from(size_of::<Attributes>()).unwrap_or_default(),
        // Since Linux 6.12 the run time of an ordinary thread is the length of its slice; 0.1 ms is the shortest.
        runtime: 100_000,
        ..Attributes::default()
    };
    #[expect(unsafe_code, reason = "system calls")]
    // SAFETY: the kernel reads `size` bytes of `attributes`; PR_SET_TIMERSLACK has no pointers.
    unsafe {
        // Wake within 5 us of a deadline instead of the usual 50.
        libc::prctl(libc::PR_SET_TIMERSLACK, 5_000);
        libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0);
    }
}
