//! A network of our own, beside the program's, in which every address is ours: the stub answers there as any name server.
//!
//! glibc, musl, c-ares and others look at where an answer comes from and drop what is not from the server that they
//! asked, port and all. So the program's socket cannot simply be connected elsewhere. Instead it is exchanged, before its
//! first packet, for one that was made in this network: the program asks `192.0.2.53` port 53, and in this network that is
//! the stub. Nobody is told an untrue address.
//!
//! It takes a user namespace, which some systems refuse; then there is no annex, and look-ups pass by.
#![expect(
    unsafe_code,
    reason = "a process of its own: a user namespace wants a process with one thread"
)]

use super::kernel;
use nix::cmsg_space;
use nix::sched::{CloneFlags, unshare};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType,
    SockaddrStorage, bind, recvmsg, sendmsg, setsockopt, socket, socketpair, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

/// The way to the process that lives in the other network.
#[derive(Debug)]
pub(crate) struct Annex {
    requests: OwnedFd,
    /// The stub's sockets there: port 53 of every IPv4 address, and of every IPv6 address.
    pub(crate) stub: [OwnedFd; 2],
}

impl Annex {
    /// Makes the network. This process must have a single thread, and nothing open that must be closed elsewhere.
    pub(crate) fn build() -> io::Result<Self> {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        if kernel::fork()?.is_none() {
            // What this process inherits must not stay open because of it.
            kernel::close_all_but(&[theirs.as_raw_fd()]);
            kernel::leave(i32::from(live(&theirs).is_err()));
        }
        drop(theirs);
        let v4 = receive(&ours)?;
        let v6 = receive(&ours)?;
        Ok(Self {
            requests: ours,
            stub: [v4, v6],
        })
    }

    /// A new UDP socket in the other network, bound to a port of its own that is given too.
    pub(crate) fn socket(&self, is_v6: bool) -> io::Result<(OwnedFd, u16)> {
        let request = [u8::from(is_v6)];
        sendmsg::<()>(
            self.requests.as_raw_fd(),
            &[IoSlice::new(&request)],
            &[],
            MsgFlags::empty(),
            None,
        )?;
        let socket = receive(&self.requests)?;
        let any: SocketAddr = if is_v6 {
            (Ipv6Addr::UNSPECIFIED, 0).into()
        } else {
            (Ipv4Addr::UNSPECIFIED, 0).into()
        };
        bind(socket.as_raw_fd(), &SockaddrStorage::from(any))?;
        let port = kernel::local_address(&socket).map_or(0, |address| address.port());
        Ok((socket, port))
    }
}

/// The life of the process in the other network: it hands out sockets until nobody asks any more.
fn live(requests: &OwnedFd) -> io::Result<()> {
    // SAFETY: plain numbers. If our parent dies in between, the first send fails.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) };
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    own_every_address()?;
    for address in [
        SocketAddr::from((Ipv4Addr::UNSPECIFIED, 53)),
        SocketAddr::from((Ipv6Addr::UNSPECIFIED, 53)),
    ] {
        send(requests, &stub_socket(address)?)?;
    }
    loop {
        let mut request = [0_u8; 1];
        let mut buffer = [IoSliceMut::new(&mut request)];
        let received =
            recvmsg::<()>(requests.as_raw_fd(), &mut buffer, None, MsgFlags::empty())?.bytes;
        if received == 0 {
            return Ok(());
        }
        send(requests, &datagram_socket(request == [1])?)?;
    }
}

fn datagram_socket(is_v6: bool) -> io::Result<OwnedFd> {
    let family = if is_v6 {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    };
    Ok(socket(
        family,
        SockType::Datagram,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?)
}

/// A socket that learns which of all addresses was asked, and can answer from it.
fn stub_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let socket = datagram_socket(address.is_ipv6())?;
    kernel::set_non_blocking(&socket, true);
    if address.is_ipv6() {
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        // The addresses are routed to us but are on no interface.
        kernel::set_flag(&socket, libc::IPPROTO_IPV6, libc::IPV6_FREEBIND, 1)?;
    } else {
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    }
    bind(socket.as_raw_fd(), &SockaddrStorage::from(address))?;
    Ok(socket)
}

/// The loopback interface up, and all addresses local: `ip route add local 0.0.0.0/0 dev lo`, and the same for `::/0`.
fn own_every_address() -> io::Result<()> {
    const LOOPBACK: [u8; 4] = 1_u32.to_ne_bytes();
    const UP: [u8; 4] = 1_u32.to_ne_bytes();
    let netlink = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        nix::sys::socket::SockProtocol::NetlinkRoute,
    )?;
    // struct ifinfomsg: family, padding, type, index, flags, which flags.
    let mut link = vec![0, 0, 0, 0];
    link.extend(LOOPBACK.iter().chain(&UP).chain(&UP));
    ask_kernel(&netlink, libc::RTM_NEWLINK, 0, &link)?;
    for family in [libc::AF_INET, libc::AF_INET6] {
        // struct rtmsg: family, both prefix lengths, TOS, table, protocol, scope, type, flags; then the interface.
        const LOCAL_TABLE: u8 = 255;
        const BOOT: u8 = 3;
        const HOST: u8 = 254;
        const LOCAL: u8 = 2;
        let family = u8::try_from(family).unwrap_or(0);
        let mut route = vec![family, 0, 0, 0, LOCAL_TABLE, BOOT, HOST, LOCAL, 0, 0, 0, 0];
        route.extend(8_u16.to_ne_bytes());
        route.extend(libc::RTA_OIF.to_ne_bytes());
        route.extend(LOOPBACK);
        let flags = libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
        ask_kernel(&netlink, libc::RTM_NEWROUTE, flags, &route)?;
    }
    Ok(())
}

/// One netlink request and its acknowledgement.
fn ask_kernel(netlink: &OwnedFd, kind: u16, flags: i32, body: &[u8]) -> io::Result<()> {
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags).unwrap_or(0);
    let length = u32::try_from(16 + body.len()).unwrap_or(0);
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    nix::sys::socket::send(netlink.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut reply = [0_u8; 512];
    let length = nix::sys::socket::recv(netlink.as_raw_fd(), &mut reply, MsgFlags::empty())?;
    // struct nlmsghdr, then the error, negative or zero.
    let error = reply
        .get(16..length.min(20))
        .and_then(|it| it.try_into().ok());
    match error.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

fn send(to: &OwnedFd, fd: &OwnedFd) -> io::Result<()> {
    let fds = [fd.as_raw_fd()];
    sendmsg::<()>(
        to.as_raw_fd(),
        &[IoSlice::new(&[0])],
        &[ControlMessage::ScmRights(&fds)],
        MsgFlags::empty(),
        None,
    )?;
    Ok(())
}

fn receive(from: &OwnedFd) -> io::Result<OwnedFd> {
    let mut octet = [0_u8; 1];
    let mut buffer = [IoSliceMut::new(&mut octet)];
    let mut space = cmsg_space!(RawFd);
    let message = recvmsg::<()>(
        from.as_raw_fd(),
        &mut buffer,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC,
    )?;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = control
            && let [fd] = fds[..]
        {
            // SAFETY: the kernel has just made this descriptor for us.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}
