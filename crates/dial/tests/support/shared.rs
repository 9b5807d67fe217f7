//! What the tests share: listeners of every kind.
#![expect(clippy::unwrap_used, reason = "these helpers are tests too")]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Listens on one port of all these addresses, and keeps what connects.
pub(crate) async fn listener(addresses: &[IpAddr]) -> (u16, Vec<Guard>) {
    'ports: loop {
        let mut guards = Vec::new();
        let mut port = 0;
        for address in addresses {
            let Ok(listener) = tokio::net::TcpListener::bind((*address, port)).await else {
                continue 'ports;
            };
            port = listener.local_addr().unwrap().port();
            let task = tokio::spawn(async move {
                let mut kept = Vec::new();
                while let Ok(accepted) = listener.accept().await {
                    kept.push(accepted);
                }
            });
            guards.push(Guard::Accepting(task));
        }
        return (port, guards);
    }
}

/// A port where `silent` swallows every SYN and the others accept.
///
/// A listener with room for one connection that nobody accepts from drops the SYNs of all who come after.
pub(crate) async fn silent_listener(silent: IpAddr, others: &[IpAddr]) -> (u16, Vec<Guard>) {
    loop {
        let (full, filler) = full_listener(silent);
        let port = full.local_addr().unwrap().port();
        let mut guards = vec![Guard::Full {
            _listener: full,
            _filler: filler,
        }];
        let mut bound = true;
        for address in others {
            match tokio::net::TcpListener::bind((*address, port)).await {
                Ok(listener) => guards.push(Guard::Accepting(tokio::spawn(async move {
                    let mut kept = Vec::new();
                    while let Ok(accepted) = listener.accept().await {
                        kept.push(accepted);
                    }
                }))),
                Err(_) => bound = false,
            }
        }
        if bound {
            return (port, guards);
        }
    }
}

fn full_listener(address: IpAddr) -> (std::net::TcpListener, Vec<std::net::TcpStream>) {
    let domain = socket2::Domain::for_address(SocketAddr::new(address, 0));
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(address, 0).into()).unwrap();
    socket.listen(0).unwrap();
    let listener = std::net::TcpListener::from(socket);
    let target = listener.local_addr().unwrap();
    let mut filler = Vec::new();
    // Linux takes one more than asked for; go on until one does not get through.
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&target, Duration::from_millis(200))
    {
        filler.push(stream);
        assert!(filler.len() < 10, "this listener is never full");
    }
    (listener, filler)
}

/// Keeps a listener alive.
pub(crate) enum Guard {
    Accepting(JoinHandle<()>),
    Full {
        _listener: std::net::TcpListener,
        _filler: Vec<std::net::TcpStream>,
    },
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Self::Accepting(task) = self {
            task.abort();
        }
    }
}
