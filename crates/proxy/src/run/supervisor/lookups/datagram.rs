//! The stub's UDP sockets: two on the loopback interface, two in the annex.

use super::super::super::annex::Annex;
use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

/// The longest UDP message.
const LONGEST: usize = 65_535;

/// Which way a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// A socket that was connected to the loopback interface.
    Loopback,
    /// A socket that was made in the annex.
    Annex,
    /// A TCP connection to the loopback interface.
    Stream,
}

/// Where a datagram came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct From {
    socket: usize,
    peer: SocketAddr,
    /// In the annex: which of all addresses was asked.
    to: Option<IpAddr>,
}

impl From {
    /// Which server was asked, if the way tells.
    pub(super) fn asked(self) -> Option<IpAddr> {
        self.to
    }
}

/// The sockets.
#[derive(Debug)]
pub(super) struct Datagrams {
    sockets: Vec<(Way, OwnedFd)>,
    pub(super) loopback_v4: Option<SocketAddr>,
    pub(super) loopback_v6: Option<SocketAddr>,
    buffer: Vec<u8>,
}

impl Datagrams {
    /// Sockets on the loopback interface of the network that we are in, as far as it has one; and those of the annex.
    pub(super) fn new(annex: Option<&Annex>) -> io::Result<Self> {
        let mut sockets = Vec::new();
        let mut loopback = |address: IpAddr| {
            let socket = UdpSocket::bind((address, 0)).ok()?;
            socket.set_nonblocking(true).ok()?;
            let address = socket.local_addr().ok()?;
            sockets.push((Way::Loopback, socket.into()));
            Some(address)
        };
        let loopback_v4 = loopback(Ipv4Addr::LOCALHOST.into());
        let loopback_v6 = loopback(Ipv6Addr::LOCALHOST.into());
        for socket in annex.iter().flat_map(|annex| &annex.stub) {
            sockets.push((Way::Annex, socket.try_clone()?));
        }
        Ok(Self {
            sockets,
            loopback_v4,
            loopback_v6,
            buffer: vec![0; LONGEST],
        })
    }

    /// All of them, in an order that [`Self::receive`] knows.
    pub(super) fn iter(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(|(_, socket)| socket.as_fd())
    }

    /// The next datagram of a socket; `None` if there is none.
    pub(super) fn receive(&mut self, index: usize) -> Option<(From, Vec<u8>)> {
        let (_, socket) = self.sockets.get(index)?;
        let mut space = cmsg_space!(libc::in6_pktinfo);
        let mut buffer = [IoSliceMut::new(&mut self.buffer)];
        let message = recvmsg::<SockaddrStorage>(
            socket.as_raw_fd(),
            &mut buffer,
            Some(&mut space),
            MsgFlags::MSG_DONTWAIT,
        )
        .ok()?;
        let peer = socket_address(message.address.as_ref()?)?;
        let to = message.cmsgs().ok()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => {
                Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into())
            }
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into())
            }
            _ => None,
        });
        let length = message.bytes;
        let from = From {
            socket: index,
            peer,
            to,
        };
        Some((from, self.buffer.get(..length)?.to_vec()))
    }

    /// Which way it came, from which local address of the program.
    pub(super) fn origin(&self, from: From) -> Option<(Way, SocketAddr)> {
        let (way, _) = self.sockets.get(from.socket)?;
        Some(match way {
            Way::Annex => in_annex(from.peer.port()),
            _ => (*way, from.peer),
        })
    }

    /// Answers a datagram.
    pub(super) fn send(&self, to: From, octets: &[u8]) -> io::Result<()> {
        let (_, socket) = self.sockets.get(to.socket).ok_or(io::ErrorKind::NotFound)?;
        let peer = SockaddrStorage::from(to.peer);
        let (v4, v6);
        let control = match to.to {
            Some(IpAddr::V4(address)) => {
                v4 = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from_ne_bytes(address.octets()),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                Some(ControlMessage::Ipv4PacketInfo(&v4))
            }
            Some(IpAddr::V6(address)) => {
                v6 = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: address.octets(),
                    },
                    ipi6_ifindex: 0,
                };
                Some(ControlMessage::Ipv6PacketInfo(&v6))
            }
            None => None,
        };
        sendmsg(
            socket.as_raw_fd(),
            &[IoSlice::new(octets)],
            control.as_slice(),
            MsgFlags::MSG_DONTWAIT,
            Some(&peer),
        )?;
        Ok(())
    }
}

/// The origin of a socket that was made in the annex: its port alone, whatever address the kernel chooses for it.
pub(super) fn in_annex(port: u16) -> (Way, SocketAddr) {
    (Way::Annex, (Ipv4Addr::UNSPECIFIED, port).into())
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some((v4.ip(), v4.port()).into());
    }
    let v6 = address.as_sockaddr_in6()?;
    Some(SocketAddrV6::new(v6.ip(), v6.port(), 0, v6.scope_id()).into())
}
