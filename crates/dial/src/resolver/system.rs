//! The system's resolver: one blocking `getaddrinfo` a family, so that hosts file, nsswitch and search list count.

mod getaddrinfo;
mod hosts;
mod pool;

use getaddrinfo::getaddrinfo;
pub(crate) use hosts::Hosts;
use pool::{Ended, Limits, Lookup, Pool};
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV6};
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use twinstack_race::Family;

/// What a look-up found, in the order that the system gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// IPv4 addresses.
    pub(crate) v4: Vec<Ipv4Addr>,
    /// IPv6 addresses; the port means nothing, the scope does.
    pub(crate) v6: Vec<SocketAddrV6>,
}

/// Why the system gave no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    /// The name does not exist.
    #[error("the name does not exist")]
    NoName,
    /// The name has no address of this family.
    #[error("the name has no address of this family")]
    NoData,
    /// Nobody can have this name.
    #[error("no such name is possible")]
    BadName,
    /// No server answered in the resolver's own time.
    #[error("no name server answered")]
    NoAnswer,
    /// A server answered that it could not.
    #[error("the name servers failed")]
    ServerFailed,
    /// The system's own error.
    #[error("{0}")]
    System(#[source] io::Error),
    /// A code that we have no word for.
    #[error("getaddrinfo gave code {0}")]
    Code(i32),
    /// The look-up itself broke.
    #[error("the look-up panicked")]
    Panicked,
}

type Found = Result<Addresses, LookupError>;

/// Look-ups that block, on threads of their own.
pub(crate) struct SystemResolver {
    v4: Pool<Found>,
    v6: Pool<Found>,
    /// Both families in one call, for names in the hosts file.
    both: Option<(Hosts, Pool<Found>)>,
}

/// One for the whole process: however many dialers there are, the bound on threads holds.
static SHARED: LazyLock<Arc<SystemResolver>> = LazyLock::new(|| Arc::new(SystemResolver::new()));

impl SystemResolver {
    pub(crate) fn shared() -> Arc<Self> {
        Arc::clone(&SHARED)
    }

    fn new() -> Self {
        let limits = Limits::default();
        let pool =
            |title, family| Pool::new(title, limits, move |name: &str| getaddrinfo(name, family));
        Self {
            v4: pool("dial-a", Some(Family::V4)),
            v6: pool("dial-aaaa", Some(Family::V6)),
            both: Some((
                Hosts::new(Path::new("/etc/hosts")),
                pool("dial-hosts", None),
            )),
        }
    }

    /// The same machinery around another blocking call.
    pub(crate) fn with(call: impl Fn(&str, Family) -> Found + Send + Sync + 'static) -> Self {
        let call = Arc::new(call);
        let pool = |title, family| {
            let call = Arc::clone(&call);
            Pool::new(title, Limits::default(), move |name: &str| {
                call(name, family)
            })
        };
        Self {
            v4: pool("dial-a", Family::V4),
            v6: pool("dial-aaaa", Family::V6),
            both: None,
        }
    }

    /// Whether the hosts file has the name (in lower case): then its families are known to it, not to the network.
    pub(crate) fn is_local(&self, name: &str) -> bool {
        self.both
            .as_ref()
            .is_some_and(|(hosts, _)| hosts.names(name))
    }

    /// Starts a look-up of a name in lower case.
    pub(crate) fn look_up(
        &self,
        name: &str,
        family: Family,
        local: bool,
    ) -> io::Result<SystemLookup> {
        let pool = match (&self.both, family) {
            (Some((_, both)), _) if local => both,
            (_, Family::V4) => &self.v4,
            (_, Family::V6) => &self.v6,
        };
        pool.look_up(name).map(SystemLookup)
    }
}

/// A look-up under way; gives the answer of one family, or of both for names in the hosts file.
pub(crate) struct SystemLookup(Lookup<Found>);

impl Future for SystemLookup {
    type Output = Arc<Found>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Arc<Found>> {
        Poll::Ready(match ready!(Pin::new(&mut self.0).poll(context)) {
            Ended::Returned(found) => found,
            Ended::Panicked => Arc::new(Err(LookupError::Panicked)),
        })
    }
}

#[cfg(test)]
mod tests;
