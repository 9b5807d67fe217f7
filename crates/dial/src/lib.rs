//! Connect by name over IPv6 and IPv4, whatever the network does.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let port = listener.local_addr()?.port();
//! let connection = twinstack_dial::connect(("localhost", port)).await?;
//! println!("{}", connection.report); // connected to 127.0.0.1:38291 (ipv4, tcp) after 0.001 s
//! let stream: tokio::net::TcpStream = connection.stream;
//! # drop(stream);
//! # Ok(())
//! # }
//! ```
//!
//! This is Happy Eyeballs, version 3 of the draft: the questions for IPv6 and IPv4 addresses are asked at the same time
//! and neither waits long for the other; addresses are sorted as RFC 6724 wants and tried one after the other, a quarter
//! of a second apart, over *all* addresses of both families; the first connection that is of use wins and the rest are
//! closed. What it does about networks that are broken:
//!
//! | what is broken | what it costs |
//! | --- | --- |
//! | IPv6 packets vanish | the attempt delay, 250 ms, the first time; nothing while the [history](Builder::history) remembers |
//! | the AAAA (or A) question is never answered | 50 ms |
//! | the first of several addresses is dead | 250 ms |
//! | TCP connects and TLS stays silent | 250 ms and a handshake, when [the handshake is part of the dial](Dialer::connect_with) |
//! | connects, then large packets vanish | found by the [`Watchdog`] |
//!
//! - [`connect`] and [`tcp::connect`] need no settings; a [`Dialer`] has them all.
//! - [`RaceReport`] tells every question, attempt, cause and time, and [when the preferred family failed
//!   silently](RaceReport::silent_failure).
//! - Dropping a dial closes its sockets. A dial is one future and spawns no task.
//!
//! The machine that decides is [`twinstack_race`]; this crate gives it a clock, sockets and a resolver. It needs Linux, and a
//! tokio runtime with its timer and I/O.
//!
//! ## Features
//!
//! - `dns`: ask DNS servers record by record, with HTTPS records, instead of the system's resolver
//! - `tls`: a connection counts once its TLS handshake is done (rustls)
//! - `quic`: QUIC (quinn) races TLS over TCP
//! - `hyper`: a connector for hyper-util's client and tonic
//! - `serde`: reports serialise

mod attempt;
#[cfg(feature = "hyper")]
mod connector;
mod dialer;
mod drive;
mod error;
mod memory;
mod metrics;
#[cfg(feature = "quic")]
mod quic;
mod report;
mod resolver;
mod routes;
mod socket;
mod sys;
mod target;
pub mod tcp;
#[cfg(feature = "tls")]
mod tls;
mod watchdog;

#[cfg(feature = "hyper")]
pub use connector::{Connector, ConnectorError, HttpStream};
pub use dialer::{Builder, Connection, Dialer, Path};
pub use error::{DialError, Failed};
pub use metrics::Metrics;
#[cfg(feature = "quic")]
pub use quic::Secure;
pub use report::{AttemptReport, QueryReport, RaceReport, ReplayError, SilentFailure, Winner};
pub use resolver::Resolver;
#[cfg(feature = "dns")]
pub use resolver::{DnsError, DnsResolver};
pub use socket::SocketOptions;
pub use target::{TargetError, ToTarget};
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError, TlsStream};
pub use watchdog::{PathFault, Watchdog};

#[cfg(feature = "quic")]
pub use quinn;
pub use twinstack_race as race;
pub use twinstack_race::history::Settings as HistorySettings;
pub use twinstack_race::{Config, Endpoint, Family, Protocol, Target};

/// Connects over TCP, with the default [`Dialer`].
pub async fn connect(target: impl ToTarget) -> Result<Connection, DialError> {
    tcp::shared().connect(target).await
}
