//! Where addresses come from.

#[cfg(feature = "dns")]
pub(crate) mod dns;
pub(crate) mod system;

#[cfg(feature = "dns")]
pub use dns::{DnsError, DnsResolver};

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddrV6};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use system::{Addresses, LookupError, SystemLookup, SystemResolver};
use twinstack_race::{Answer, Family, Name, QueryError, QueryErrorKind, QueryType};

/// Where the addresses of a name come from. Cheap to clone; clones share threads and caches.
#[derive(Clone)]
pub struct Resolver(Kind);

#[derive(Clone)]
enum Kind {
    System(Arc<SystemResolver>),
    #[cfg(feature = "dns")]
    Dns(DnsResolver),
}

impl Resolver {
    /// The system's own: hosts file, `nsswitch.conf`, search list and whatever else `getaddrinfo` consults.
    ///
    /// Each family is asked for on a thread of its own, so that neither waits for the other; all resolvers of a
    /// process share the threads. It tells no times to live and finds no HTTPS records.
    pub fn system() -> Self {
        Self(Kind::System(SystemResolver::shared()))
    }

    /// A blocking function, run on threads of its own as the system's resolver is: one call a family.
    ///
    /// An empty list means that the name has no address of this family; an error of the kind
    /// [`NotFound`](io::ErrorKind::NotFound), that the name does not exist.
    pub fn blocking<F>(look_up: F) -> Self
    where
        F: Fn(&str, Family) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    {
        Self(Kind::System(Arc::new(SystemResolver::with(
            move |name, family| {
                let found = look_up(name, family).map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => LookupError::NoName,
                    _ => LookupError::System(error),
                })?;
                let mut addresses = Addresses::default();
                for address in found {
                    match address {
                        IpAddr::V4(v4) => addresses.v4.push(v4),
                        IpAddr::V6(v6) => addresses.v6.push(SocketAddrV6::new(v6, 0, 0, 0)),
                    }
                }
                Ok(addresses)
            },
        ))))
    }

    /// Record by record from DNS servers, with times to live and HTTPS records.
    #[cfg(feature = "dns")]
    pub fn dns(resolver: DnsResolver) -> Self {
        Self(Kind::Dns(resolver))
    }

    /// Whether it can be asked for HTTPS and SVCB records.
    pub(crate) const fn knows_services(&self) -> bool {
        match &self.0 {
            Kind::System(_) => false,
            #[cfg(feature = "dns")]
            Kind::Dns(_) => true,
        }
    }

    /// Whether answers come protected from whoever is on the path (F1).
    pub(crate) fn is_protected(&self) -> bool {
        match &self.0 {
            Kind::System(_) => false,
            #[cfg(feature = "dns")]
            Kind::Dns(resolver) => resolver.is_protected(),
        }
    }

    /// Whether the name is one of the host's own, for which no network is asked.
    pub(crate) fn is_local(&self, name: &Name) -> bool {
        match &self.0 {
            Kind::System(system) => system.is_local(name.as_str()),
            #[cfg(feature = "dns")]
            Kind::Dns(resolver) => resolver.is_local(name),
        }
    }

    /// B12: what a dial no longer waits for may still fill a cache.
    pub(crate) fn linger(&self, unanswered: Vec<Asking>, patience: Duration) {
        match &self.0 {
            // No cache: giving the look-ups up frees their places.
            Kind::System(_) => drop(unanswered),
            #[cfg(feature = "dns")]
            Kind::Dns(_) => dns::linger(unanswered, patience),
        }
        let _ = patience;
    }

    /// Starts a question. `local` is what [`Resolver::is_local`] said of the name.
    pub(crate) fn ask(&self, name: &Name, kind: QueryType, refresh: bool, local: bool) -> Asking {
        #[cfg(not(feature = "dns"))]
        let _ = refresh;
        match (&self.0, kind) {
            (Kind::System(system), QueryType::A | QueryType::Aaaa) => {
                let family = if kind == QueryType::A {
                    Family::V4
                } else {
                    Family::V6
                };
                match system.look_up(name.as_str(), family, local) {
                    Ok(lookup) => Asking::System { lookup, family },
                    Err(error) => Asking::failed(&error.to_string()),
                }
            }
            (Kind::System(_), QueryType::Https | QueryType::Svcb) => {
                Asking::failed("the system's resolver finds addresses only")
            }
            #[cfg(feature = "dns")]
            (Kind::Dns(resolver), _) => resolver.ask(name, kind, refresh),
        }
    }
}

/// The system's.
impl Default for Resolver {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::System(_) => f.write_str("Resolver(system)"),
            #[cfg(feature = "dns")]
            Kind::Dns(resolver) => f.debug_tuple("Resolver").field(resolver).finish(),
        }
    }
}

/// A question under way.
pub(crate) enum Asking {
    System {
        lookup: SystemLookup,
        family: Family,
    },
    #[cfg(feature = "dns")]
    Dns(Pin<Box<dyn Future<Output = Result<Answer, QueryError>> + Send>>),
    #[cfg(feature = "dns")]
    Known(Answer),
    Failed(Option<QueryError>),
}

/// What came of a question, and the scopes of the link-local addresses in it.
pub(crate) struct Told {
    pub(crate) result: Result<Answer, QueryError>,
    pub(crate) scopes: Vec<(Ipv6Addr, u32)>,
}

impl Asking {
    fn failed(text: &str) -> Self {
        Self::Failed(Some(QueryError::new(QueryErrorKind::Resolver, text)))
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Told> {
        let mut scopes = Vec::new();
        let result = match self {
            Self::System { lookup, family } => {
                let found = ready!(Pin::new(lookup).poll(context));
                match found.as_ref() {
                    Ok(addresses) => {
                        let linked = addresses.v6.iter().filter(|it| it.scope_id() != 0);
                        scopes.extend(linked.map(|it| (*it.ip(), it.scope_id())));
                        Ok(answer_of(addresses, *family))
                    }
                    Err(LookupError::NoName | LookupError::BadName) => Ok(Answer::nx_domain()),
                    Err(LookupError::NoData) => Ok(Answer::no_data()),
                    Err(error) => Err(QueryError::new(kind_of(error), &error.to_string())),
                }
            }
            #[cfg(feature = "dns")]
            Self::Dns(asking) => ready!(asking.as_mut().poll(context)),
            #[cfg(feature = "dns")]
            Self::Known(answer) => Ok(answer.clone()),
            Self::Failed(error) => Err(error
                .take()
                .unwrap_or_else(|| QueryError::new(QueryErrorKind::Resolver, ""))),
        };
        Poll::Ready(Told { result, scopes })
    }
}

fn answer_of(addresses: &Addresses, family: Family) -> Answer {
    match family {
        Family::V4 => Answer::addresses(addresses.v4.iter().map(|it| IpAddr::V4(*it))),
        Family::V6 => Answer::addresses(addresses.v6.iter().map(|it| IpAddr::V6(*it.ip()))),
    }
}

const fn kind_of(error: &LookupError) -> QueryErrorKind {
    match error {
        LookupError::NoAnswer => QueryErrorKind::TimedOut,
        LookupError::ServerFailed => QueryErrorKind::ServerFailure,
        _ => QueryErrorKind::Resolver,
    }
}
