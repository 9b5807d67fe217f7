//! A name with a dead IPv6 address and a living IPv4 one.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is the failure they report"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use twinstack_dial::{Dialer, Family, Resolver};

/// An IPv6 port that swallows every SYN, for as long as this lives.
pub(crate) struct Dead {
    listener: TcpListener,
    _filler: Vec<TcpStream>,
}

/// A port where IPv6 is dead and IPv4 has this listener.
pub(crate) async fn half_dead() -> (Dead, tokio::net::TcpListener, u16) {
    loop {
        let dead = dead();
        let port = dead.listener.local_addr().unwrap().port();
        if let Ok(listener) = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            return (dead, listener, port);
        }
    }
}

/// Nobody accepts, and the queue is full: Linux drops what comes then.
fn dead() -> Dead {
    let address = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
    let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(0).unwrap();
    let listener = TcpListener::from(socket);
    let target = listener.local_addr().unwrap();
    let mut filler = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&target, Duration::from_millis(200)) {
        filler.push(stream);
        assert!(filler.len() < 10, "this listener is never full");
    }
    Dead {
        listener,
        _filler: filler,
    }
}

/// A dialer for which every name has both loopback addresses.
pub(crate) fn dialer() -> Dialer {
    let resolver = Resolver::blocking(|_, family| {
        Ok(match family {
            Family::V4 => vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            Family::V6 => vec![IpAddr::V6(Ipv6Addr::LOCALHOST)],
        })
    });
    Dialer::builder().resolver(resolver).build()
}
