//! The dialer: settings, and what dials share.

mod builder;

pub use builder::Builder;

use crate::attempt::{Complete, Stage};
use crate::drive::{Course, Finish, drive};
use crate::error::{DialError, Failed};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::report::RaceReport;
use crate::resolver::Resolver;
use crate::routes::{NetworkWatch, SystemRoutes};
use crate::socket::SocketOptions;
use crate::target::ToTarget;
use std::fmt;
use std::future::{Future, Pending};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::time::Instant as Clock;
use twinstack_race::history::{Boundary, Era};
use twinstack_race::{
    AttemptError, AttemptErrorKind, Config, Endpoint, Family, Host, Instant, Protocol, Race,
    Service, Target,
};

/// Connects. Cheap to clone; clones share the history and everything else.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let port = listener.local_addr()?.port();
/// use std::time::Duration;
/// use twinstack_dial::Dialer;
///
/// let dialer = Dialer::builder()
///     .attempt_delay(Duration::from_millis(100))
///     .overall_deadline(Some(Duration::from_secs(10)))
///     .build();
/// let connection = dialer.connect(("localhost", port)).await?;
/// println!("{}", connection.report);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Dialer {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    config: Config,
    resolver: Resolver,
    options: Arc<SocketOptions>,
    network: NetworkWatch,
    memory: Option<Memory>,
    partition: u64,
    metrics: Option<Arc<dyn Metrics>>,
    permit: Option<Permit>,
    #[cfg(feature = "quic")]
    quic: crate::quic::QuicSockets,
}

/// Whether an address may be connected to.
pub(crate) type Permit = Arc<dyn Fn(IpAddr) -> Result<(), String> + Send + Sync>;

/// A connection, and how it came about.
#[derive(Debug)]
#[non_exhaustive]
pub struct Connection<S = TcpStream> {
    /// The connection.
    pub stream: S,
    /// The race.
    pub report: RaceReport,
    /// For [watching](crate::Watchdog) the connection, and marking its path if it turns out to be broken.
    pub path: Path,
}

/// The path that won, for telling later that it is broken.
#[derive(Clone)]
pub struct Path {
    shared: Arc<Shared>,
    inside: Boundary,
    report: RaceReport,
    endpoint: Endpoint,
}

impl Dialer {
    /// With the draft's values, the system's resolver, and a history.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A dialer with other settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Connects over TCP.
    ///
    /// Dropping the future closes every socket that it has opened.
    pub async fn connect(&self, target: impl ToTarget) -> Result<Connection, DialError> {
        self.race(over_tcp(target.to_target()?), &Plain).await
    }

    /// Connects over TCP, and has `check` make of every connection what the caller wants: the first one that is through
    /// wins (E2).
    ///
    /// For everything that has to work before a connection is of use: a greeting, a certificate, a login. The check
    /// runs for several addresses at a time if the first are slow.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    /// # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let port = listener.local_addr()?.port();
    /// # tokio::spawn(async move {
    /// #     while let Ok((mut stream, _)) = listener.accept().await {
    /// #         let _ = stream.write_all(b"220 mail.example ready\r\n").await;
    /// #     }
    /// # });
    ///
    /// let connection = twinstack_dial::Dialer::new()
    ///     .connect_with(("localhost", port), async |stream, _endpoint| {
    ///         let mut stream = BufReader::new(stream);
    ///         let mut greeting = String::new();
    ///         stream.read_line(&mut greeting).await?;
    ///         Ok((stream, greeting))
    ///     })
    ///     .await?;
    /// let (_stream, greeting) = connection.stream;
    /// assert!(greeting.starts_with("220"));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_with<F, Fut, T>(
        &self,
        target: impl ToTarget,
        check: F,
    ) -> Result<Connection<T>, DialError>
    where
        F: Fn(TcpStream, Endpoint) -> Fut + Sync,
        Fut: Future<Output = io::Result<T>> + Send,
    {
        self.race(over_tcp(target.to_target()?), &Checked(check))
            .await
    }

    #[cfg(feature = "quic")]
    pub(crate) fn quic_sockets(&self) -> &crate::quic::QuicSockets {
        &self.shared.quic
    }

    #[cfg(feature = "quic")]
    pub(crate) fn socket_options(&self) -> &SocketOptions {
        &self.shared.options
    }

    /// Runs a race with any kind of completion.
    pub(crate) async fn race<C>(
        &self,
        mut target: Target,
        complete: &C,
    ) -> Result<Connection<C::Output>, DialError>
    where
        C: Complete + ?Sized,
    {
        let shared = &self.shared;
        if !shared.resolver.knows_services() {
            target.service = Service::None;
        }
        let (local, scope) = match &target.host {
            Host::Name(name) => (shared.resolver.is_local(name), 0),
            Host::Address { scope, .. } => (false, *scope),
        };
        let mut network = shared.network.network(&shared.options, &target.host, local);
        network.protected_dns = shared.resolver.is_protected();
        let inside = Boundary {
            partition: shared.partition,
            context: network.context,
        };
        let seed = RandomState::new().hash_one(0_u8);
        let epoch = Clock::now();
        let mut race = Race::new(target, shared.config.clone(), network, seed, Instant::ZERO)?
            .with_routes(SystemRoutes(Arc::clone(&shared.options)));
        let mut era = Era::default();
        if let Some(memory) = &shared.memory {
            let recalled = memory.recall(inside, race.target());
            era = recalled.era();
            race = race.with_memory(recalled);
        }
        let attempted = |endpoint: &Endpoint| {
            if let Some(metrics) = &shared.metrics {
                metrics.attempt_started(endpoint);
            }
        };
        let course = Course {
            resolver: &shared.resolver,
            options: &shared.options,
            complete,
            attempted: &attempted,
            permit: shared.permit.as_deref(),
            local,
            scope,
        };
        let Finish {
            result,
            race,
            now,
            unanswered,
        } = drive(course, race, epoch).await;
        shared.resolver.linger(unanswered, shared.config.linger);
        shared.network.learn(race.network());
        let report = RaceReport::new(race, now.since(Instant::ZERO));
        if let Some(memory) = &shared.memory {
            memory.learn(inside, era, &report);
        }
        if let Some(metrics) = &shared.metrics {
            metrics.dial_ended(&report);
        }
        match result {
            Ok((stream, endpoint)) => {
                let path = Path {
                    shared: Arc::clone(shared),
                    inside,
                    report: report.clone(),
                    endpoint,
                };
                Ok(Connection {
                    stream,
                    report,
                    path,
                })
            }
            Err(failure) => Err(DialError::Failed(Box::new(Failed {
                reason: failure.reason,
                report,
            }))),
        }
    }
}

impl Default for Dialer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("config", &self.shared.config)
            .field("resolver", &self.shared.resolver)
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

impl Path {
    /// What was connected to.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Says that the path connects and then swallows data: the next dials to this host try the other family first.
    ///
    /// What swallows data sits on the way and not at the address, so all of the host's addresses of this family count.
    pub fn mark_broken(&self) {
        if let Some(memory) = &self.shared.memory {
            let family = Family::of(self.endpoint.address.ip());
            let mut addresses = vec![self.endpoint.address.ip()];
            for address in self.report.answered_addresses() {
                if Family::of(address) == family && !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            memory.stalled(self.inside, self.report.race().target(), &addresses);
        }
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Path").field(&self.endpoint).finish()
    }
}

/// TCP is all.
struct Plain;

impl Complete for Plain {
    type Output = TcpStream;
    type Work = Pending<Result<TcpStream, AttemptError>>;

    fn tcp(&self, stream: TcpStream, _: &Endpoint) -> Stage<Self> {
        Stage::Done(stream)
    }
}

/// The caller's check.
struct Checked<F>(F);

impl<F, Fut, T> Complete for Checked<F>
where
    F: Fn(TcpStream, Endpoint) -> Fut + Sync,
    Fut: Future<Output = io::Result<T>> + Send,
{
    type Output = T;
    type Work = Checking<Fut>;

    fn tcp(&self, stream: TcpStream, endpoint: &Endpoint) -> Stage<Self> {
        let check = Box::pin((self.0)(stream, endpoint.clone()));
        Stage::Working {
            work: Box::pin(Checking(check)),
            progressed: None,
        }
    }
}

/// A check under way.
struct Checking<Fut>(Pin<Box<Fut>>);

impl<Fut, T> Future for Checking<Fut>
where
    Fut: Future<Output = io::Result<T>>,
{
    type Output = Result<T, AttemptError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0
            .as_mut()
            .poll(context)
            .map_err(|error| AttemptError::new(AttemptErrorKind::Rejected, &error.to_string()))
    }
}

/// Without QUIC, which neither of the above can complete.
fn over_tcp(mut target: Target) -> Target {
    target
        .offers
        .retain(|offer| offer.protocol != Protocol::Quic);
    target
}
