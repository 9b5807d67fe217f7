//! A proxy that dials by name: SOCKS5, HTTP CONNECT and plain forwards, each with Happy Eyeballs behind it.
//!
//! One listener speaks both SOCKS5 and CONNECT; the first byte tells which. Forwards lead to one destination each. Every
//! connection has bounds: on the request's size and time, on the dial, on silence and on its whole life; and there are
//! only so many at a time, the rest waits in the kernel's queue.
//!
//! - Pure: [`socks`], [`http`] (bytes in, meaning out), [`access`] (where the proxy does not go).
//! - Edge: [`session`] (one connection), [`relay`] (two sockets made one), this file (listeners, limits, the stop).

mod access;
mod http;
mod metrics;
mod relay;
mod session;
mod socks;

pub use access::Access;

use metrics::{By, Metrics};
use session::Session;
use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use twinstack_dial::{Builder, Dialer};

/// A listener that leads to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The destination's name or address.
    pub host: String,
    /// The destination's port.
    pub port: u16,
}

/// Bounds of every connection, and of their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many connections at a time.
    pub connections: usize,
    /// How many bytes a client's request may have before the proxy has understood it.
    pub request_bytes: usize,
    /// How long a client may take to say where it wants to go.
    pub request_time: Duration,
    /// How long a dial may take.
    pub dial_time: Duration,
    /// How long nothing may come from either side; `None` for ever.
    pub idle_time: Option<Duration>,
    /// How long a connection may last; `None` for ever.
    pub total_time: Option<Duration>,
    /// How long open connections may go on after the stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            request_bytes: 8 * 1024,
            request_time: Duration::from_secs(10),
            dial_time: Duration::from_secs(30),
            idle_time: Some(Duration::from_mins(10)),
            total_time: None,
            grace: Duration::from_secs(30),
        }
    }
}

/// What to serve.
#[derive(Debug, Default)]
pub struct Options {
    /// Where SOCKS5 and HTTP CONNECT are spoken.
    pub listen: Vec<SocketAddr>,
    /// Listeners with a destination each.
    pub forwards: Vec<Forward>,
    /// Where `/metrics` is.
    pub metrics: Option<SocketAddr>,
    /// Bounds.
    pub limits: Limits,
    /// Where the proxy goes.
    pub access: Access,
    /// How it dials; the dial's deadline and the permission are set from the above.
    pub dialer: Builder,
    /// Where each dial is written to, a line of JSON each.
    pub report: Option<File>,
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Nothing to listen on.
    #[error("there is nothing to listen on")]
    NoListener,
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// What a listener is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    /// SOCKS5 and HTTP CONNECT.
    Proxy,
    /// Leads to this host and port.
    Forward(String, u16),
    /// `/metrics`.
    Metrics,
}

/// A proxy with its listeners open.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<(TcpListener, Role)>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
}

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) dialer: Dialer,
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) report: Option<Mutex<File>>,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("dialer", &self.dialer)
            .field("access", &self.access)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// How a proxy ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stopped {
    /// Connections that were still open after the grace.
    pub cut: usize,
}

impl Server {
    /// Opens all listeners, or none.
    pub fn bind(options: Options) -> Result<Self, ServeError> {
        let proxies = options
            .listen
            .into_iter()
            .map(|address| (address, Role::Proxy));
        let forwards = options
            .forwards
            .into_iter()
            .map(|it| (it.listen, Role::Forward(it.host, it.port)));
        let metrics = options
            .metrics
            .into_iter()
            .map(|address| (address, Role::Metrics));
        let listeners = proxies
            .chain(forwards)
            .chain(metrics)
            .map(|(address, role)| match listen(address) {
                Ok(listener) => Ok((listener, role)),
                Err(source) => Err(ServeError::Listen { address, source }),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if listeners.iter().all(|(_, role)| *role == Role::Metrics) {
            return Err(ServeError::NoListener);
        }
        let access = options.access.clone();
        let dialer = options
            .dialer
            .overall_deadline(Some(options.limits.dial_time))
            .permit(move |address| access.permits(address))
            .build();
        let shared = Shared {
            dialer,
            access: options.access,
            limits: options.limits,
            metrics: Metrics::new(),
            report: options.report.map(Mutex::new),
            places: Arc::new(Semaphore::new(
                options.limits.connections.clamp(1, Semaphore::MAX_PERMITS),
            )),
        };
        let (stop, _) = watch::channel(false);
        Ok(Self {
            listeners,
            shared: Arc::new(shared),
            stop,
        })
    }

    /// Where it listens, and for what.
    pub fn addresses(&self) -> impl Iterator<Item = (SocketAddr, &Role)> {
        self.listeners
            .iter()
            .filter_map(|(listener, role)| Some((listener.local_addr().ok()?, role)))
    }

    /// Serves until `stop` is done; then no new connection is taken, and open ones have the grace to end.
    ///
    /// Dropping the future ends everything at once.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Stopped {
        let mut accepting = JoinSet::new();
        let sessions = Arc::new(Mutex::new(JoinSet::new()));
        for (listener, role) in self.listeners {
            let shared = Arc::clone(&self.shared);
            let sessions = Arc::clone(&sessions);
            let stopping = self.stop.subscribe();
            accepting.spawn(accept(listener, role, shared, sessions, stopping));
        }
        stop.await;
        accepting.shutdown().await;
        // Nobody else holds it any more; a poisoned lock still has its sessions.
        let mut sessions = std::mem::take(
            &mut *sessions
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        // Clients that have not said yet where they want to go are sent away.
        self.stop.send_replace(true);
        let all = async { while sessions.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(self.shared.limits.grace, all)
            .await
            .is_ok();
        let cut = if in_time { 0 } else { sessions.len() };
        sessions.shutdown().await;
        Stopped { cut }
    }
}

/// A listener that can be opened again right after a stop, and whose IPv6 wildcard does not take IPv4's place.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    if address.is_ipv6() {
        socket2::SockRef::from(&socket).set_only_v6(true)?;
    }
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

/// How long to wait when the system has no file descriptor left.
const BREATH: Duration = Duration::from_millis(50);

/// Takes connections as long as there is a place for them.
async fn accept(
    listener: TcpListener,
    role: Role,
    shared: Arc<Shared>,
    sessions: Arc<Mutex<JoinSet<()>>>,
    stopping: watch::Receiver<bool>,
) {
    loop {
        // Without a place the client waits in the kernel's queue. Metrics are needed most when all places are taken.
        let place = match role {
            Role::Metrics => None,
            _ => match Arc::clone(&shared.places).acquire_owned().await {
                Ok(place) => Some(place),
                Err(_) => return,
            },
        };
        let Ok((stream, client)) = listener.accept().await else {
            tokio::time::sleep(BREATH).await;
            continue;
        };
        let session = Session {
            shared: Arc::clone(&shared),
            client,
            stopping: stopping.clone(),
        };
        let role = role.clone();
        let mut sessions = sessions
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        while sessions.try_join_next().is_some() {}
        sessions.spawn(async move {
            serve(session, stream, role).await;
            drop(place);
        });
    }
}

async fn serve(session: Session, stream: TcpStream, role: Role) {
    // Small answers must not wait for large ones; a socket that refuses still works.
    let _refused = stream.set_nodelay(true);
    match role {
        Role::Metrics => session.metrics(stream).await,
        Role::Proxy => session.proxy(stream).await,
        Role::Forward(host, port) => session.forward(stream, By::Forward, &host, port).await,
    }
}
