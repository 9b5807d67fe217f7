//! Sockets of the services: which ones a service opens, and the loop that accepts from them.
//!
//! A service of one family never takes the other family's clients by accident: an IPv6 socket has `IPV6_V6ONLY` set
//! unless the world asks for a dual socket by name.

use super::datagram::Datagrams;
use super::error::{Problem, ServiceError, Transport};
use super::{Context, problem};
use crate::world::model::{Family, HostId, Service};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections that the kernel may complete before we accept them.
const BACKLOG: i32 = 256;

/// Connections of one service at a time; more wait in the backlog. All hosts of a lab share one process and so its
/// limit of open files.
const MOST_CONNECTIONS: usize = 512;

/// After an error of `accept` (out of files, mostly) the listener rests: the error stays until something is closed.
const REST_AFTER_ERROR: Duration = Duration::from_millis(50);

/// A peer that vanished is noticed after about this time, whether we wait for it or it for us.
const PEER_IS_GONE_AFTER: Duration = Duration::from_secs(90);

/// Which sockets a service opens: the address, and whether an IPv6 socket takes IPv4 as well.
pub(crate) fn endpoints(service: &Service) -> Vec<(SocketAddr, bool)> {
    let wants = |family| service.families.contains(&family);
    let dual = service.dual_socket && wants(Family::V4) && wants(Family::V6);
    let addresses = if !service.listen.is_empty() {
        service.listen.clone()
    } else if dual {
        vec![IpAddr::V6(Ipv6Addr::UNSPECIFIED)]
    } else {
        vec![
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ]
    };
    addresses
        .into_iter()
        .filter(|address| wants(Family::of(*address)))
        .map(|address| (SocketAddr::new(address, service.port), dual))
        .collect()
}

/// The TCP listeners of a service.
pub(crate) fn tcp(
    context: &Context,
    host: HostId,
    service: &Service,
) -> Result<Vec<TcpListener>, ServiceError> {
    open_all(context, host, service, Transport::Tcp, |address, dual| {
        let socket = open(address, dual, Type::STREAM, Protocol::TCP)?;
        // Accepted sockets inherit these.
        socket.set_tcp_nodelay(true)?;
        socket.set_keepalive(true)?;
        socket.set_tcp_keepalive(
            &TcpKeepalive::new()
                .with_time(PEER_IS_GONE_AFTER / 3)
                .with_interval(PEER_IS_GONE_AFTER / 9)
                .with_retries(6),
        )?;
        socket.set_tcp_user_timeout(Some(PEER_IS_GONE_AFTER))?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    })
}

/// The UDP sockets of a service, for servers of their own making.
pub(crate) fn datagrams(
    context: &Context,
    host: HostId,
    service: &Service,
) -> Result<Vec<Datagrams>, ServiceError> {
    open_all(context, host, service, Transport::Udp, |address, dual| {
        Datagrams::new(open(address, dual, Type::DGRAM, Protocol::UDP)?.into())
    })
}

/// The plain UDP sockets of a service, not blocking, for libraries that bring their own input and output.
pub(crate) fn udp(
    context: &Context,
    host: HostId,
    service: &Service,
) -> Result<Vec<std::net::UdpSocket>, ServiceError> {
    open_all(context, host, service, Transport::Udp, |address, dual| {
        Ok(open(address, dual, Type::DGRAM, Protocol::UDP)?.into())
    })
}

fn open_all<S>(
    context: &Context,
    host: HostId,
    service: &Service,
    transport: Transport,
    open: impl Fn(SocketAddr, bool) -> io::Result<S>,
) -> Result<Vec<S>, ServiceError> {
    let endpoints = endpoints(service);
    if endpoints.is_empty() {
        return Err(problem(context, host, service, Problem::ListensNowhere));
    }
    endpoints
        .into_iter()
        .map(|(address, dual)| {
            open(address, dual).map_err(|source| {
                let listen = Problem::Listen {
                    transport,
                    address,
                    source,
                };
                problem(context, host, service, listen)
            })
        })
        .collect()
}

fn open(address: SocketAddr, dual: bool, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if kind == Type::STREAM {
        // For UDP it would let two services share a port without a word.
        socket.set_reuse_address(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(!dual)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Its address as the socket shows it.
    pub(crate) address: SocketAddr,
}

impl Peer {
    /// The family it speaks on the wire.
    pub(crate) fn family(self) -> Family {
        Family::of(self.address.ip().to_canonical())
    }

    /// Whether it speaks IPv4 and the socket shows it as an IPv6 address.
    pub(crate) fn is_mapped(self) -> bool {
        self.address.ip().to_canonical() != self.address.ip()
    }
}

/// How many connections a service holds at once, over all its sockets.
#[derive(Clone, Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self::of(MOST_CONNECTIONS)
    }
}

impl Room {
    fn of(connections: usize) -> Self {
        Self(Arc::new(Semaphore::new(connections)))
    }

    /// Place for one more, or none.
    pub(crate) fn one_more(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }
}

/// Accepts until the host ends, each connection in a task of its own.
pub(crate) fn accept<H, F>(listeners: Vec<TcpListener>, handle: H)
where
    H: Fn(Peer, TcpStream) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let room = Room::default();
    for listener in listeners {
        tokio::spawn(accept_from(listener, room.clone(), handle.clone()));
    }
}

async fn accept_from<H, F>(listener: TcpListener, room: Room, handle: H)
where
    H: Fn(Peer, TcpStream) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    // The semaphore is never closed, so this loop ends with the runtime.
    while let Ok(permit) = Arc::clone(&room.0).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, address)) => {
                let connection = handle(Peer { address }, stream);
                tokio::spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            // The peer gave up while it waited in the backlog.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(REST_AFTER_ERROR).await,
        }
    }
}

/// Says nothing and reads on until the peer has closed.
pub(crate) async fn stay_silent<T: AsyncRead + Unpin>(mut stream: T) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream.read(&mut buffer).await {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::{PATIENCE, SILENCE, service};
    use crate::world::model::ServiceKind;
    use tokio::io::AsyncWriteExt;
    use tokio::time::timeout;

    fn check(change: impl Fn(&mut Service), expected: &[(&str, bool)]) {
        let mut service = service(ServiceKind::Http);
        service.port = 80;
        change(&mut service);
        let expected: Vec<_> = expected
            .iter()
            .map(|(address, dual)| (address.parse().unwrap(), *dual))
            .collect();
        assert_eq!(endpoints(&service), expected);
    }

    #[test]
    fn one_socket_a_family_unless_a_dual_one_is_asked_for() {
        check(|_| {}, &[("0.0.0.0:80", false), ("[::]:80", false)]);
        check(|s| s.dual_socket = true, &[("[::]:80", true)]);
    }

    #[test]
    fn families_limit_the_sockets() {
        check(|s| s.families = vec![Family::V4], &[("0.0.0.0:80", false)]);
        check(|s| s.families = vec![Family::V6], &[("[::]:80", false)]);
        check(
            |s| {
                s.families = vec![Family::V6];
                s.dual_socket = true;
            },
            &[("[::]:80", false)],
        );
        check(|s| s.families = vec![], &[]);
    }

    #[test]
    fn listed_addresses_are_taken_as_they_are() {
        let listed = |s: &mut Service| {
            s.listen = vec![
                "198.51.100.80".parse().unwrap(),
                "2e00:5::81".parse().unwrap(),
            ];
        };
        check(
            listed,
            &[("198.51.100.80:80", false), ("[2e00:5::81]:80", false)],
        );
        check(
            |s| {
                listed(s);
                s.families = vec![Family::V6];
            },
            &[("[2e00:5::81]:80", false)],
        );
    }

    #[tokio::test]
    async fn connections_beyond_the_room_wait_for_one_that_ends() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(accept_from(
            listener,
            Room::of(2),
            |_, mut stream| async move {
                stream.write_all(b"hello").await.unwrap();
                stay_silent(stream).await;
            },
        ));
        let connect = async || TcpStream::connect(address).await.unwrap();
        let (mut first, mut second, mut third) =
            (connect().await, connect().await, connect().await);
        let mut greeting = [0; 5];
        first.read_exact(&mut greeting).await.unwrap();
        second.read_exact(&mut greeting).await.unwrap();
        assert!(
            timeout(SILENCE, third.read_exact(&mut greeting))
                .await
                .is_err()
        );
        drop(first);
        let served = timeout(PATIENCE, third.read_exact(&mut greeting)).await;
        assert!(served.unwrap().is_ok());
    }

    #[test]
    fn mapped_peer_speaks_ipv4() {
        let check = |address: &str, family, mapped| {
            let peer = Peer {
                address: address.parse().unwrap(),
            };
            assert_eq!((peer.family(), peer.is_mapped()), (family, mapped));
        };
        check("192.0.2.10:1", Family::V4, false);
        check("[::ffff:192.0.2.10]:1", Family::V4, true);
        check("[2e00:c::10]:1", Family::V6, false);
    }
}
