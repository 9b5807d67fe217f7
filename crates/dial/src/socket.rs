//! Sockets: what is set on them before they connect.

use crate::sys;
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// What is set on every socket before it connects. The default sets nothing.
///
/// ```
/// use std::time::Duration;
/// use twinstack_dial::{Dialer, SocketOptions};
///
/// let options = SocketOptions {
///     nodelay: Some(true),
///     keepalive: Some(Duration::from_secs(60)),
///     ..SocketOptions::default()
/// };
/// let dialer = Dialer::builder().socket_options(options).build();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// `TCP_NODELAY`.
    pub nodelay: Option<bool>,
    /// How long a connection is idle before the system probes whether the peer is still there; `None` for never.
    pub keepalive: Option<Duration>,
    /// `SO_SNDBUF`, in bytes.
    pub send_buffer: Option<usize>,
    /// `SO_RCVBUF`, in bytes.
    pub receive_buffer: Option<usize>,
    /// The IPv4 address to connect from. IPv6 is not affected.
    pub source_ipv4: Option<Ipv4Addr>,
    /// The IPv6 address to connect from. IPv4 is not affected.
    pub source_ipv6: Option<Ipv6Addr>,
    /// `SO_BINDTODEVICE`: the network interface to use (Linux).
    pub device: Option<String>,
    /// `SO_MARK`: what routing rules and packet filters see (Linux; needs `CAP_NET_ADMIN`).
    pub mark: Option<u32>,
    /// `IP_TOS` and `IPV6_TCLASS`: the traffic class of every packet.
    pub traffic_class: Option<u8>,
    /// `TCP_USER_TIMEOUT`: how long sent data may remain unacknowledged before the connection is cut (Linux).
    pub user_timeout: Option<Duration>,
    /// Multipath TCP where the system has it, plain TCP elsewhere (Linux).
    pub multipath: bool,
}

impl SocketOptions {
    /// A TCP socket for this destination, non-blocking, ready to connect.
    pub(crate) fn tcp(&self, destination: SocketAddr) -> io::Result<Socket> {
        let domain = Domain::for_address(destination);
        let kind = Type::STREAM.nonblocking().cloexec();
        let socket = if self.multipath {
            Socket::new(domain, kind, Some(Protocol::MPTCP))
                .or_else(|_| Socket::new(domain, kind, Some(Protocol::TCP)))?
        } else {
            Socket::new(domain, kind, Some(Protocol::TCP))?
        };
        if let Some(nodelay) = self.nodelay {
            socket.set_tcp_nodelay(nodelay)?;
        }
        if let Some(idle) = self.keepalive {
            socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle))?;
        }
        if let Some(timeout) = self.user_timeout {
            socket.set_tcp_user_timeout(Some(timeout))?;
        }
        self.apply(&socket, destination.ip())?;
        Ok(socket)
    }

    /// A UDP socket for this destination, bound and non-blocking.
    pub(crate) fn udp(&self, destination: IpAddr) -> io::Result<Socket> {
        let domain = match destination {
            IpAddr::V4(_) => Domain::IPV4,
            IpAddr::V6(_) => Domain::IPV6,
        };
        let kind = Type::DGRAM.nonblocking().cloexec();
        let socket = Socket::new(domain, kind, Some(Protocol::UDP))?;
        self.apply(&socket, destination)?;
        Ok(socket)
    }

    /// What TCP and UDP have in common.
    fn apply(&self, socket: &Socket, destination: IpAddr) -> io::Result<()> {
        if let Some(size) = self.send_buffer {
            socket.set_send_buffer_size(size)?;
        }
        if let Some(size) = self.receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        if let Some(mark) = self.mark {
            socket.set_mark(mark)?;
        }
        if let Some(device) = &self.device {
            socket.bind_device(Some(device.as_bytes()))?;
        }
        if let Some(class) = self.traffic_class {
            match destination {
                IpAddr::V4(_) => socket.set_tos_v4(u32::from(class))?,
                IpAddr::V6(_) => socket.set_tclass_v6(u32::from(class))?,
            }
        }
        let source = match destination {
            IpAddr::V4(_) => self.source_ipv4.map(IpAddr::V4),
            IpAddr::V6(_) => self.source_ipv6.map(IpAddr::V6),
        };
        if let Some(source) = source {
            // Without this an address that two destinations share could not be used for both: the port is chosen here.
            sys::choose_port_when_connecting(socket)?;
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        Ok(())
    }
}
