//! Asking one server, over UDP, TCP or HTTPS.
//!
//! A [`Client`] is one server. It keeps no cache, follows no referral and never asks anybody else: what it gives back
//! is what that server said, or how it failed to. Time is tokio's.
//!
//! Over UDP each query has an id and a port of its own that cannot be guessed, and an answer counts only if it comes
//! from the server's address and repeats id and question (RFC 5452).

mod https;
mod random;
mod system;
mod tcp;
mod udp;

pub use https::{BadUrl, Roots, UrlFault};
pub use system::{ResolvConfError, system_resolvers};

use crate::message::{Edns, MessageError, Query, Question, Response};
use https::HttpsServer;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// One server. Cloning is cheap; any number of questions may be under way at once.
#[derive(Clone, Debug)]
pub struct Client {
    upstream: Upstream,
}

#[derive(Clone, Debug)]
enum Upstream {
    Dns(SocketAddr),
    Https(Arc<HttpsServer>),
}

impl Client {
    /// A server that speaks DNS over UDP and TCP.
    pub const fn new(server: SocketAddr) -> Self {
        Self {
            upstream: Upstream::Dns(server),
        }
    }

    /// A server that speaks DNS over HTTPS (RFC 8484), `https://dns.example/dns-query`.
    ///
    /// `bootstrap` are the addresses of the URL's host; without any, the system resolves it. The certificate is
    /// checked against `roots`.
    pub fn https(url: &str, bootstrap: &[IpAddr], roots: &Roots) -> Result<Self, BadUrl> {
        Ok(Self {
            upstream: Upstream::Https(Arc::new(HttpsServer::new(url, bootstrap, roots)?)),
        })
    }

    /// Who is asked.
    pub fn server(&self) -> ServerAddress {
        match &self.upstream {
            Upstream::Dns(address) => ServerAddress::Socket(*address),
            Upstream::Https(server) => ServerAddress::Url(server.url().to_owned()),
        }
    }

    /// Asks, and waits for the answer or the failure. Never takes longer than `tries` times `timeout`, and once more
    /// `timeout` when TCP follows a truncated answer.
    pub async fn ask(&self, question: &Question, options: &AskOptions) -> Exchange {
        let started = Instant::now();
        let mut exchange = Exchange {
            server: self.server(),
            transport: options.first_transport(&self.upstream),
            question: question.clone(),
            outcome: Err(AskError::Timeout),
            elapsed: Duration::ZERO,
            attempts: 0,
        };
        while exchange.attempts < options.tries.max(1) {
            exchange.attempts = exchange.attempts.saturating_add(1);
            exchange.outcome = self.once(question, options, exchange.transport).await;
            match &exchange.outcome {
                Ok(response)
                    if response.truncated
                        && exchange.transport == Transport::Udp
                        && options.transport == TransportChoice::UdpThenTcp =>
                {
                    exchange.transport = Transport::Tcp;
                    exchange.outcome = self.once(question, options, Transport::Tcp).await;
                    break;
                }
                Err(error) if error.may_pass() => {}
                _ => break,
            }
        }
        exchange.elapsed = started.elapsed();
        exchange
    }

    async fn once(
        &self,
        question: &Question,
        options: &AskOptions,
        transport: Transport,
    ) -> Result<Response, AskError> {
        let query = Query {
            // RFC 8484 section 4.1: over HTTPS the id is 0, for the sake of caches.
            id: match transport {
                Transport::Https => 0,
                Transport::Udp | Transport::Tcp => random::id(),
            },
            question: question.clone(),
            recursion_desired: options.recursion_desired,
            checking_disabled: options.checking_disabled,
            edns: options.edns,
        };
        let exchange = async {
            match (&self.upstream, transport) {
                (Upstream::Https(server), _) => server.ask(&query).await,
                (Upstream::Dns(server), Transport::Tcp) => tcp::ask(*server, &query).await,
                (Upstream::Dns(server), _) => udp::ask(*server, &query, options.timeout).await,
            }
        };
        tokio::time::timeout(options.timeout, exchange)
            .await
            .unwrap_or(Err(AskError::Timeout))
    }
}

/// How to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskOptions {
    /// The longest that one try may take.
    pub timeout: Duration,
    /// How often to try in all while there is no answer; at least once.
    pub tries: u32,
    /// UDP, TCP or UDP first; without meaning for HTTPS.
    pub transport: TransportChoice,
    /// RD: set it for resolvers, clear it for authoritative servers.
    pub recursion_desired: bool,
    /// CD: no validation by the resolver.
    pub checking_disabled: bool,
    /// The OPT record, if there is to be one.
    pub edns: Option<Edns>,
}

impl Default for AskOptions {
    /// For resolvers: two tries of 2 s, UDP first, RD and EDNS set.
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            tries: 2,
            transport: TransportChoice::UdpThenTcp,
            recursion_desired: true,
            checking_disabled: false,
            edns: Some(Edns::default()),
        }
    }
}

impl AskOptions {
    /// The same for authoritative servers: without RD.
    pub fn authoritative() -> Self {
        Self {
            recursion_desired: false,
            ..Self::default()
        }
    }

    const fn first_transport(&self, upstream: &Upstream) -> Transport {
        match (upstream, self.transport) {
            (Upstream::Https(_), _) => Transport::Https,
            (Upstream::Dns(_), TransportChoice::Tcp) => Transport::Tcp,
            (Upstream::Dns(_), TransportChoice::Udp | TransportChoice::UdpThenTcp) => {
                Transport::Udp
            }
        }
    }
}

/// Which transport to use with a DNS server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportChoice {
    /// UDP, and TCP after a truncated answer.
    UdpThenTcp,
    /// Only UDP; a truncated answer is the answer.
    Udp,
    /// Only TCP.
    Tcp,
}

/// The transport that an answer came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// HTTPS.
    Https,
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Https => "https",
        })
    }
}

/// Who was asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServerAddress {
    /// An address and port.
    Socket(SocketAddr),
    /// The URL of a server that speaks DNS over HTTPS.
    Url(String),
}

/// `2001:db8::53` for port 53, `[2001:db8::53]:5353` for others, or the URL.
impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) if address.port() == 53 => match address {
                SocketAddr::V6(v6) if v6.scope_id() != 0 => {
                    write!(f, "{}%{}", v6.ip(), v6.scope_id())
                }
                _ => write!(f, "{}", address.ip()),
            },
            Self::Socket(address) => write!(f, "{address}"),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// A question to one server and what came of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Who was asked.
    pub server: ServerAddress,
    /// Over what, in the end.
    pub transport: Transport,
    /// What.
    pub question: Question,
    /// The answer, whatever its response code, or the failure of the last try.
    pub outcome: Result<Response, AskError>,
    /// From the first packet of the first try to the outcome.
    pub elapsed: Duration,
    /// How many tries it took; TCP after a truncated answer does not count.
    pub attempts: u32,
}

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// Nothing came back in time.
    #[error("timeout")]
    Timeout,
    /// Nobody listens there: ICMP port unreachable, or a reset when connecting.
    #[error("connection refused")]
    Refused,
    /// No route to the server, or its host is down (ICMP).
    #[error("no route to the server ({0})")]
    Unreachable(#[source] Arc<io::Error>),
    /// A filter said no (ICMP administratively prohibited).
    #[error("administratively prohibited")]
    Prohibited,
    /// The connection broke: reset, or closed before the answer was whole.
    #[error("the connection broke")]
    Reset,
    /// Octets that are no DNS response, and nothing better before the time was up.
    #[error("malformed answer: {0}")]
    Malformed(#[source] MessageError),
    /// A response with another id or question, and nothing better before the time was up.
    #[error("the answer is to another question")]
    Mismatched,
    /// The server's certificate is not to be trusted, over HTTPS: expired, for another name, from an unknown authority.
    #[error("certificate not trusted: {0}")]
    Certificate(#[source] Arc<io::Error>),
    /// The TLS handshake failed, over HTTPS, for another reason than the certificate.
    #[error("TLS: {0}")]
    Tls(#[source] Arc<io::Error>),
    /// HTTPS answered, but not with a DNS message.
    #[error("HTTP status {status}")]
    Http {
        /// The HTTP status.
        status: u16,
    },
    /// The connection does not speak HTTP as it should.
    #[error("HTTP: {0}")]
    HttpProtocol(#[source] Arc<dyn std::error::Error + Send + Sync>),
    /// The name in the URL did not resolve.
    #[error("the server's name did not resolve ({0})")]
    Bootstrap(#[source] Arc<io::Error>),
    /// The system refused a socket or something else that a query needs.
    #[error("{0}")]
    Local(#[source] Arc<io::Error>),
}

impl AskError {
    /// Whether asking again may help: loss and confusion pass, a closed port or a bad certificate does not.
    const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Timeout | Self::Malformed(_) | Self::Mismatched | Self::Reset
        )
    }

    /// One word for tables: `timeout`, `refused`, `unreachable`, `malformed`, ...
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Unreachable(_) | Self::Bootstrap(_) => "unreachable",
            Self::Prohibited => "prohibited",
            Self::Reset => "reset",
            Self::Malformed(_) | Self::HttpProtocol(_) => "malformed",
            Self::Mismatched => "mismatched",
            Self::Certificate(_) => "certificate",
            Self::Tls(_) => "tls",
            Self::Http { .. } => "http",
            Self::Local(_) => "local",
        }
    }

    fn local(error: io::Error) -> Self {
        Self::Local(Arc::new(error))
    }

    /// What an error of a socket means.
    fn of_socket(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable(Arc::new(error)),
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::UnexpectedEof => Self::Reset,
            io::ErrorKind::TimedOut => Self::Timeout,
            // Linux gives EACCES for ICMPv6 1/1 and EHOSTUNREACH for ICMP 3/13.
            io::ErrorKind::PermissionDenied => Self::Prohibited,
            _ => Self::local(error),
        }
    }
}

/// Whether a response belongs to a query: same id, same question. Some error responses leave the question out.
fn belongs(response: &Response, query: &Query) -> bool {
    response.id == query.id
        && response.question.as_ref().map_or_else(
            || response.rcode != crate::message::Rcode::NOERROR,
            |question| *question == query.question,
        )
}

#[cfg(test)]
mod tests;
