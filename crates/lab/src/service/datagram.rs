//! UDP for servers that listen on all addresses of a host.
//!
//! A client drops an answer that comes from another address than the one it asked. A socket on the wildcard address
//! therefore has to learn where each datagram went to, and to answer from there (RFC 3542 section 6.1 for IPv6,
//! `IP_PKTINFO` of ip(7) for IPv4).

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket};
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// A UDP socket that tells which of the host's addresses a datagram was sent to.
#[derive(Debug)]
pub(crate) struct Datagrams {
    socket: UdpSocket,
    address: SocketAddr,
}

/// Where a datagram came from and where it went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// How many bytes of the buffer it filled.
    pub(crate) length: usize,
    /// The sender.
    pub(crate) peer: SocketAddr,
    /// Our address that it was sent to.
    pub(crate) local: IpAddr,
}

impl Datagrams {
    /// Takes over a socket that does not block.
    pub(crate) fn new(socket: StdSocket) -> io::Result<Self> {
        let address = socket.local_addr()?;
        if address.is_ipv4() {
            setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        } else {
            // On a dual socket this also tells, as mapped addresses, where IPv4 datagrams went to.
            setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        Ok(Self {
            socket: UdpSocket::from_std(socket)?,
            address,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next datagram; what does not fit into the buffer is cut off.
    pub(crate) async fn receive(&self, buffer: &mut [u8]) -> io::Result<Envelope> {
        self.socket
            .async_io(Interest::READABLE, || self.try_receive(buffer))
            .await
    }

    fn try_receive(&self, buffer: &mut [u8]) -> io::Result<Envelope> {
        let mut control = nix::cmsg_space!(libc::in6_pktinfo);
        let mut parts = [IoSliceMut::new(buffer)];
        let message = recvmsg::<SockaddrStorage>(
            self.socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::empty(),
        )?;
        let peer = message
            .address
            .and_then(|address| socket_address(&address))
            .ok_or(io::ErrorKind::InvalidData)?;
        let mut local = self.address.ip();
        for part in message.cmsgs()? {
            match part {
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    local = Ipv4Addr::from_bits(u32::from_be(info.ipi_spec_dst.s_addr)).into();
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    local = Ipv6Addr::from(info.ipi6_addr.s6_addr).into();
                }
                _ => {}
            }
        }
        Ok(Envelope {
            length: message.bytes,
            peer,
            local,
        })
    }

    /// Answers a datagram: to its sender, from the address that it was sent to.
    pub(crate) async fn answer(&self, envelope: &Envelope, bytes: &[u8]) -> io::Result<()> {
        self.socket
            .async_io(Interest::WRITABLE, || self.try_answer(envelope, bytes))
            .await
    }

    fn try_answer(&self, envelope: &Envelope, bytes: &[u8]) -> io::Result<()> {
        let v4;
        let v6;
        // The interface is left to the routes.
        let from = match envelope.local {
            IpAddr::V4(address) => {
                v4 = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: address.to_bits().to_be(),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                ControlMessage::Ipv4PacketInfo(&v4)
            }
            IpAddr::V6(address) => {
                v6 = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: address.octets(),
                    },
                    ipi6_ifindex: 0,
                };
                ControlMessage::Ipv6PacketInfo(&v6)
            }
        };
        let peer = SockaddrStorage::from(envelope.peer);
        sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(bytes)],
            &[from],
            MsgFlags::empty(),
            Some(&peer),
        )?;
        Ok(())
    }
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    address
        .as_sockaddr_in6()
        .map(|v6| SocketAddr::V6((*v6).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::PATIENCE;
    use tokio::time::timeout;

    /// A connected client only ever sees answers from the very address that it asked.
    async fn check(server: &str, dual: bool, asked: &[&str]) {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(server.parse().unwrap()),
            socket2::Type::DGRAM,
            None,
        )
        .unwrap();
        if server.starts_with('[') {
            socket.set_only_v6(!dual).unwrap();
        }
        socket.set_nonblocking(true).unwrap();
        let server: SocketAddr = server.parse().unwrap();
        socket.bind(&server.into()).unwrap();
        let server = Datagrams::new(socket.into()).unwrap();
        for asked in asked {
            let asked: IpAddr = asked.parse().unwrap();
            let any = if asked.is_ipv4() {
                "127.0.0.1:0"
            } else {
                "[::1]:0"
            };
            let client = UdpSocket::bind(any).await.unwrap();
            client
                .connect((asked, server.address().port()))
                .await
                .unwrap();
            client.send(b"question").await.unwrap();
            let mut buffer = [0; 100];
            let envelope = timeout(PATIENCE, server.receive(&mut buffer))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(&buffer[..envelope.length], b"question");
            assert_eq!(envelope.local.to_canonical(), asked);
            assert_eq!(
                envelope.peer.ip().to_canonical(),
                client.local_addr().unwrap().ip()
            );
            server.answer(&envelope, b"answer").await.unwrap();
            let length = timeout(PATIENCE, client.recv(&mut buffer)).await;
            assert_eq!(&buffer[..length.unwrap().unwrap()], b"answer");
        }
    }

    #[tokio::test]
    async fn wildcard_socket_answers_from_the_address_that_was_asked() {
        check("0.0.0.0:0", false, &["127.0.0.1", "127.0.0.9"]).await;
        check("[::]:0", false, &["::1"]).await;
    }

    #[tokio::test]
    async fn dual_socket_answers_both_families() {
        check("[::]:0", true, &["::1", "127.0.0.1", "127.0.0.9"]).await;
    }

    #[tokio::test]
    async fn socket_on_one_address_works_as_well() {
        check("127.0.0.1:0", false, &["127.0.0.1"]).await;
        check("[::1]:0", false, &["::1"]).await;
    }
}
