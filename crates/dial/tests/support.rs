//! What the tests share: listeners of every kind, and a resolver that does as it is told.
#![expect(dead_code, reason = "each test binary uses its own part")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::task::JoinHandle;
use twinstack_dial::{Family, Resolver};

/// Listens on one port of all these addresses, and keeps what connects.
pub async fn listener(addresses: &[IpAddr]) -> (u16, Vec<Guard>) {
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
pub async fn silent_listener(silent: IpAddr, others: &[IpAddr]) -> (u16, Vec<Guard>) {
    loop {
        let (full, filler) = full_listener(silent);
        let port = full.local_addr().unwrap().port();
        let mut guards = vec![Guard::Full { _listener: full, _filler: filler }];
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
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&target, Duration::from_millis(200)) {
        filler.push(stream);
        assert!(filler.len() < 10, "this listener is never full");
    }
    (listener, filler)
}

/// A port that nobody listens on.
pub async fn closed_port() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

/// Keeps a listener alive.
pub enum Guard {
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

/// What the resolver says to every name.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    v4: Told<Ipv4Addr>,
    v6: Told<Ipv6Addr>,
}

#[derive(Clone, Debug)]
enum Told<A> {
    Addresses(Vec<A>),
    NoName,
    Never,
}

impl<A> Default for Told<A> {
    fn default() -> Self {
        Self::Addresses(Vec::new())
    }
}

impl<A: Copy + Into<IpAddr>> Told<A> {
    fn tell(&self) -> io::Result<Vec<IpAddr>> {
        match self {
            Self::Addresses(addresses) => Ok(addresses.iter().copied().map(Into::into).collect()),
            Self::NoName => Err(io::ErrorKind::NotFound.into()),
            Self::Never => {
                // As long as the C library's own patience.
                std::thread::sleep(Duration::from_secs(10));
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }
}

impl Answers {
    pub fn v4(mut self, addresses: &[Ipv4Addr]) -> Self {
        self.v4 = Told::Addresses(addresses.to_vec());
        self
    }

    pub fn v6(mut self, addresses: &[Ipv6Addr]) -> Self {
        self.v6 = Told::Addresses(addresses.to_vec());
        self
    }

    pub fn never(mut self, family: Family) -> Self {
        match family {
            Family::V4 => self.v4 = Told::Never,
            Family::V6 => self.v6 = Told::Never,
        }
        self
    }

    pub fn no_name(mut self, family: Family) -> Self {
        match family {
            Family::V4 => self.v4 = Told::NoName,
            Family::V6 => self.v6 = Told::NoName,
        }
        self
    }

    pub fn tell(&self, family: Family) -> io::Result<Vec<IpAddr>> {
        match family {
            Family::V4 => self.v4.tell(),
            Family::V6 => self.v6.tell(),
        }
    }

    pub fn resolver(&self) -> Resolver {
        let answers = self.clone();
        Resolver::blocking(move |_, family| answers.tell(family))
    }
}
