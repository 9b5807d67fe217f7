//! QUIC races TLS over TCP.
//!
//! quinn's own types are the result here: a QUIC connection is of no use without them, and they have to be those of the
//! caller's HTTP/3 library. [`quinn`] is re-exported so that versions agree.

use crate::attempt::{Complete, Stage};
use crate::dialer::{Connection, Dialer};
use crate::error::DialError;
use crate::socket::SocketOptions;
use crate::target::ToTarget;
use crate::tls::{Handshake, Tls, TlsStream, server_name};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, EndpointConfig, TokioRuntime};
use rustls::pki_types::ServerName;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio::runtime::{Handle, Id};
use twinstack_race::{AttemptError, AttemptErrorKind, Endpoint, Family, Host};

/// What won: a TLS or a QUIC connection.
#[derive(Debug)]
pub enum Secure {
    /// TLS over TCP.
    Tls(Box<TlsStream>),
    /// QUIC.
    Quic(quinn::Connection),
}

/// QUIC sockets: one for each family, as one for both may in silence be IPv6 only. They belong to the runtime that they
/// were made on.
#[derive(Default)]
pub(crate) struct QuicSockets {
    sockets: Mutex<Vec<(Id, Family, quinn::Endpoint)>>,
}

impl QuicSockets {
    fn of(&self, options: &SocketOptions, address: SocketAddr) -> io::Result<quinn::Endpoint> {
        let runtime = Handle::current().id();
        let family = Family::of(address.ip());
        let mut sockets = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sockets
            .iter()
            .find(|(id, of, _)| (*id, *of) == (runtime, family));
        if let Some((.., endpoint)) = known {
            return Ok(endpoint.clone());
        }
        let endpoint = open(options, address.ip())?;
        sockets.push((runtime, family, endpoint.clone()));
        Ok(endpoint)
    }
}

fn open(options: &SocketOptions, destination: IpAddr) -> io::Result<quinn::Endpoint> {
    let socket = options.udp(destination)?;
    let (bound, any) = match destination {
        IpAddr::V4(_) => (
            options.source_ipv4.is_some(),
            IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        ),
        IpAddr::V6(_) => {
            socket.set_only_v6(true)?;
            (
                options.source_ipv6.is_some(),
                IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            )
        }
    };
    if !bound {
        socket.bind(&SocketAddr::new(any, 0).into())?;
    }
    quinn::Endpoint::new(
        EndpointConfig::default(),
        None,
        socket.into(),
        Arc::new(TokioRuntime),
    )
}

impl Dialer {
    /// Connects over QUIC or TLS, whichever is through first, in the order that the target's
    /// [offers](twinstack_race::Target::https) and its HTTPS records ask for.
    ///
    /// QUIC is tried where an HTTPS record offers it, which takes a resolver with the feature `dns`; a caller who knows from
    /// elsewhere (an `Alt-Svc` header) clears [`Offer::needs_record`](twinstack_race::Offer::needs_record).
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use twinstack_dial::race::{Host, Target};
    /// use twinstack_dial::{Dialer, Secure, Tls};
    ///
    /// let target = Target::https(Host::parse("www.example.com")?, 443);
    /// match Dialer::new().connect_secure(target, &Tls::native()?).await?.stream {
    ///     Secure::Quic(connection) => println!("HTTP/3 to {}", connection.remote_address()),
    ///     Secure::Tls(stream) => println!("TLS with {:?}", stream.alpn()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_secure(
        &self,
        target: impl ToTarget,
        tls: &Tls,
    ) -> Result<Connection<Secure>, DialError> {
        let mut target = target.to_target()?;
        tls.offer(&mut target);
        let either = Either {
            tls,
            name: server_name(&target.host),
            host: match &target.host {
                Host::Name(name) => name.bare().to_owned(),
                Host::Address { address, .. } => address.to_string(),
            },
            sockets: self.quic_sockets(),
            options: self.socket_options(),
        };
        self.race(target, &either).await
    }
}

struct Either<'a> {
    tls: &'a Tls,
    name: Result<ServerName<'static>, AttemptError>,
    host: String,
    sockets: &'a QuicSockets,
    options: &'a SocketOptions,
}

type Work = Pin<Box<dyn Future<Output = Result<Secure, AttemptError>> + Send>>;

impl Complete for Either<'_> {
    type Output = Secure;
    type Work = Work;

    fn tcp(&self, stream: TcpStream, endpoint: &Endpoint) -> Stage<Self> {
        match &self.name {
            Ok(name) => {
                let handshake = Handshake::start(self.tls, name, stream, endpoint);
                let work: Work =
                    Box::pin(async { handshake.await.map(|stream| Secure::Tls(Box::new(stream))) });
                Stage::Working {
                    work: Box::pin(work),
                    progressed: None,
                }
            }
            Err(error) => Stage::Failed(error.clone()),
        }
    }

    fn quic(&self, endpoint: &Endpoint) -> Stage<Self> {
        match self.start(endpoint) {
            Ok(connecting) => {
                let progressed = Arc::new(AtomicBool::new(false));
                let work: Work = Box::pin(shake(connecting, Arc::clone(&progressed)));
                Stage::Working {
                    work: Box::pin(work),
                    progressed: Some(progressed),
                }
            }
            Err(text) => Stage::Failed(AttemptError::new(AttemptErrorKind::Local, &text)),
        }
    }
}

impl Either<'_> {
    fn start(&self, endpoint: &Endpoint) -> Result<quinn::Connecting, String> {
        let config = self.tls.config(&endpoint.alpn);
        let crypto = QuicClientConfig::try_from(config).map_err(|error| error.to_string())?;
        let config = quinn::ClientConfig::new(Arc::new(crypto));
        let socket = self
            .sockets
            .of(self.options, endpoint.address)
            .map_err(|error| error.to_string())?;
        socket
            .connect_with(config, endpoint.address, &self.host)
            .map_err(|error| error.to_string())
    }
}

/// Dropped half-way, quinn closes the connection.
async fn shake(
    mut connecting: quinn::Connecting,
    progressed: Arc<AtomicBool>,
) -> Result<Secure, AttemptError> {
    if connecting.handshake_data().await.is_ok() {
        progressed.store(true, Ordering::Relaxed);
        // The driver looks at it after this poll, which must therefore not go on to the end at once.
        tokio::task::yield_now().await;
    }
    connecting.await.map(Secure::Quic).map_err(|error| {
        let kind = match &error {
            ConnectionError::TimedOut => AttemptErrorKind::TimedOut,
            ConnectionError::Reset | ConnectionError::ConnectionClosed(_) => {
                AttemptErrorKind::Reset
            }
            ConnectionError::TransportError(_) | ConnectionError::VersionMismatch => {
                AttemptErrorKind::Handshake
            }
            ConnectionError::LocallyClosed | ConnectionError::CidsExhausted => {
                AttemptErrorKind::Local
            }
            ConnectionError::ApplicationClosed(_) => AttemptErrorKind::Other,
        };
        AttemptError::new(kind, &error.to_string())
    })
}
