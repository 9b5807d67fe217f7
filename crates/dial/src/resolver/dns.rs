//! DNS servers, record by record: each type is a question of its own, with its time to live and its own failure.

mod cache;
mod records;
mod servers;

use super::Asking;
use super::system::Hosts;
use cache::Cache;
use records::{answer_of, error_of};
use servers::Servers;
use std::fmt;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use twinstack_dns::client::{Roots, system_resolvers};
use twinstack_dns::{Client, Question, RecordType};
use twinstack_race::{Answer, AnswerData, Name, QueryError, QueryErrorKind, QueryType};

/// Asks DNS servers itself instead of the system's resolver: answers come record by record, with HTTPS records and times
/// to live, and are kept in a cache that all clones share.
///
/// Several servers: those with IPv6 addresses go first; one that is silent for 300 ms gets company from the next, and
/// stands behind the others for half a minute.
#[derive(Clone)]
pub struct DnsResolver(Arc<Inner>);

struct Inner {
    servers: Servers,
    search: Vec<twinstack_dns::Name>,
    ndots: u8,
    hosts: Option<Hosts>,
    cache: Cache,
    protected: bool,
}

impl DnsResolver {
    /// The servers and search list of `/etc/resolv.conf`, and the names of `/etc/hosts`.
    pub fn system() -> Result<Self, DnsError> {
        let (conf, addresses) =
            system_resolvers(Path::new("/etc/resolv.conf")).map_err(|error| {
                DnsError::Configuration {
                    text: error.to_string(),
                }
            })?;
        let clients = addresses.into_iter().map(Client::new).collect();
        Self::new(Inner {
            servers: Servers::new(clients),
            search: conf.search,
            ndots: conf.ndots,
            hosts: Some(Hosts::new(Path::new("/etc/hosts"))),
            cache: Cache::default(),
            protected: false,
        })
    }

    /// These servers, over UDP and TCP. Neither search list nor hosts file.
    pub fn servers(addresses: impl IntoIterator<Item = SocketAddr>) -> Result<Self, DnsError> {
        let clients = addresses.into_iter().map(Client::new).collect();
        Self::plain(clients, false)
    }

    /// A server that speaks DNS over HTTPS, `https://dns.example/dns-query`: what it says counts as protected (F1).
    ///
    /// `bootstrap` are the addresses of the URL's host; without any, the system resolves it.
    pub fn https(url: &str, bootstrap: &[IpAddr]) -> Result<Self, DnsError> {
        let client = Client::https(url, bootstrap, &Roots::System).map_err(|error| {
            DnsError::Configuration {
                text: error.to_string(),
            }
        })?;
        Self::plain(vec![client], true)
    }

    fn plain(clients: Vec<Client>, protected: bool) -> Result<Self, DnsError> {
        Self::new(Inner {
            servers: Servers::new(clients),
            search: Vec::new(),
            ndots: 0,
            hosts: None,
            cache: Cache::default(),
            protected,
        })
    }

    fn new(inner: Inner) -> Result<Self, DnsError> {
        if inner.servers.is_empty() {
            return Err(DnsError::NoServer);
        }
        Ok(Self(Arc::new(inner)))
    }

    pub(super) fn is_protected(&self) -> bool {
        self.0.protected
    }

    /// The hosts file's names, and `localhost`, which no server has to be asked for (RFC 6761).
    pub(super) fn is_local(&self, name: &Name) -> bool {
        is_localhost(name)
            || self
                .0
                .hosts
                .as_ref()
                .is_some_and(|hosts| hosts.names(name.as_str()))
    }

    pub(super) fn ask(&self, name: &Name, kind: QueryType, refresh: bool) -> Asking {
        if let Some(answer) = self.local(name, kind) {
            return Asking::Known(answer);
        }
        if !refresh && let Some(answer) = self.0.cache.get(name, kind) {
            return Asking::Known(answer);
        }
        let (inner, name) = (Arc::clone(&self.0), name.clone());
        Asking::Dns(Box::pin(async move { inner.resolve(&name, kind).await }))
    }

    fn local(&self, name: &Name, kind: QueryType) -> Option<Answer> {
        let mut addresses = self
            .0
            .hosts
            .as_ref()
            .map(|hosts| hosts.addresses(name.as_str()))
            .unwrap_or_default();
        if addresses.is_empty() {
            if !is_localhost(name) {
                return None;
            }
            addresses = vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()];
        }
        addresses.retain(|address| match kind {
            QueryType::A => address.is_ipv4(),
            QueryType::Aaaa => address.is_ipv6(),
            QueryType::Https | QueryType::Svcb => false,
        });
        Some(if addresses.is_empty() {
            Answer::no_data()
        } else {
            Answer::addresses(addresses)
        })
    }
}

impl Inner {
    async fn resolve(&self, name: &Name, kind: QueryType) -> Result<Answer, QueryError> {
        let mut last = Ok(Answer::nx_domain());
        for candidate in self.candidates(name)? {
            let question = Question::new(candidate, record_type(kind));
            let exchange = self.servers.ask(&question).await;
            last = match exchange {
                Ok(response) => answer_of(&response, kind),
                Err(error) => Err(error_of(&error)),
            };
            // A name that exists ends the search, whatever records it has: the other family's question must not end at
            // another name.
            match &last {
                Ok(Answer {
                    data: AnswerData::NxDomain,
                    ..
                }) => {}
                _ => break,
            }
        }
        let mut answer = last?;
        answer.protected = self.protected;
        self.cache.put(name, kind, &answer);
        Ok(answer)
    }

    /// The names to try, in the order of resolv.conf(5).
    fn candidates(&self, name: &Name) -> Result<Vec<twinstack_dns::Name>, QueryError> {
        let wrong = |error: twinstack_dns::NameError| {
            QueryError::new(QueryErrorKind::Other, &error.to_string())
        };
        let absolute = twinstack_dns::Name::parse(name.as_str()).map_err(wrong)?;
        if name.as_str().ends_with('.') || self.search.is_empty() {
            return Ok(vec![absolute]);
        }
        let dots = name.as_str().matches('.').count();
        let searched = self
            .search
            .iter()
            .filter_map(|domain| twinstack_dns::Name::parse_relative(name.as_str(), domain).ok());
        let mut candidates: Vec<_> = searched.collect();
        if dots >= usize::from(self.ndots) {
            candidates.insert(0, absolute);
        } else {
            candidates.push(absolute);
        }
        Ok(candidates)
    }
}

impl fmt::Debug for DnsResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DnsResolver").field(&self.0.servers).finish()
    }
}

/// Why there is no such resolver.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DnsError {
    /// There is no server to ask.
    #[error("there is no DNS server to ask")]
    NoServer,
    /// The configuration cannot be read or used.
    #[error("{text}")]
    Configuration {
        /// Why.
        text: String,
    },
}

fn is_localhost(name: &Name) -> bool {
    name.bare() == "localhost" || name.bare().ends_with(".localhost")
}

const fn record_type(kind: QueryType) -> RecordType {
    match kind {
        QueryType::A => RecordType::A,
        QueryType::Aaaa => RecordType::AAAA,
        QueryType::Https => RecordType::HTTPS,
        QueryType::Svcb => RecordType::SVCB,
    }
}

/// B12: lets questions go on for a while; their answers go into the cache.
pub(super) fn linger(mut unanswered: Vec<Asking>, patience: Duration) {
    unanswered.retain(|asking| matches!(asking, Asking::Dns(_)));
    if unanswered.is_empty() {
        return;
    }
    let all = poll_fn(move |context| {
        unanswered.retain_mut(|asking| asking.poll(context).is_pending());
        if unanswered.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    tokio::spawn(async move {
        // Whether they come or not, nobody waits for them any more.
        tokio::time::timeout(patience, all).await.ok();
    });
}

#[cfg(test)]
mod tests;
