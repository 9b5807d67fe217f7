//! The resolver: from the root down, with a cache, as RFC 1034 section 5.3.3 describes it.
//!
//! All servers of a zone are asked in the order in which they have proved themselves; the next one does not wait for
//! the one before to fail, so that a dead server costs a moment and not a timeout. Nobody gets more out of one
//! question than [`OVERALL`] and [`MOST_QUERIES`] allow.

mod iterate;
mod upstream;

use super::cache::{Cache, Known, Negative};
use super::translate::Dns64;
use crate::world::model::Recursive;
use iterate::Work;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;
use twinstack_dns::{Query, Question, Rcode, Record, Response};
use upstream::Reputation;

/// The client hears SERVFAIL after this long; stub resolvers ask again after 5 s.
const OVERALL: Duration = Duration::from_millis(4800);

/// Queries that one question may cause.
const MOST_QUERIES: u32 = 100;

/// A resolver.
pub(super) struct Resolver {
    root: Vec<IpAddr>,
    /// Whether the host has IPv4 and IPv6.
    families: (bool, bool),
    port: u16,
    dns64: Option<Dns64>,
    cache: Mutex<Cache>,
    reputation: Mutex<Reputation>,
    /// Questions under way: whoever asks the same waits for the same answer.
    under_way: Mutex<BTreeMap<Question, Arc<OnceCell<Resolved>>>>,
}

/// How a question ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) rcode: Rcode,
    /// Aliases and records, in the order of the chain.
    pub(super) answer: Vec<Record>,
    /// The SOA of a negative answer.
    pub(super) soa: Option<Record>,
}

impl Resolved {
    const fn failure() -> Self {
        Self {
            rcode: Rcode::SERVFAIL,
            answer: Vec::new(),
            soa: None,
        }
    }

    /// NOERROR, but the type asked for is not there.
    pub(super) fn is_nodata(&self, question: &Question) -> bool {
        self.rcode == Rcode::NOERROR
            && !self
                .answer
                .iter()
                .any(|record| record.rtype() == question.rtype)
    }
}

impl Resolver {
    pub(super) fn new(settings: &Recursive, families: (bool, bool), port: u16) -> Self {
        Self {
            root: settings.root.clone(),
            families,
            port,
            dns64: settings.dns64.map(Dns64::new),
            cache: Mutex::new(Cache::new(settings.cache)),
            reputation: Mutex::default(),
            under_way: Mutex::default(),
        }
    }

    /// The answer to a client.
    pub(super) async fn answer(self: &Arc<Self>, query: &Query) -> Response {
        let question = &query.question;
        let resolved = if query.recursion_desired {
            match &self.dns64 {
                Some(dns64) => dns64.resolve(self, question).await,
                None => self.resolve(question).await,
            }
        } else {
            self.only_known(question)
        };
        Response {
            recursion_available: true,
            answer: resolved.answer,
            authority: resolved.soa.into_iter().collect(),
            ..Response::to_query(query, resolved.rcode)
        }
    }

    /// Resolves a question, together with everybody who asks the same at the same time.
    pub(super) async fn resolve(self: &Arc<Self>, question: &Question) -> Resolved {
        let shared = {
            let mut under_way = lock(&self.under_way);
            Arc::clone(under_way.entry(question.clone()).or_default())
        };
        let resolved = shared
            .get_or_init(|| async {
                let work = Work::new(Arc::clone(self), Instant::now() + OVERALL, MOST_QUERIES);
                tokio::time::timeout(OVERALL, work.resolve(question, 0))
                    .await
                    .unwrap_or_else(|_| Resolved::failure())
            })
            .await
            .clone();
        let mut under_way = lock(&self.under_way);
        if under_way
            .get(question)
            .is_some_and(|current| Arc::ptr_eq(current, &shared))
        {
            under_way.remove(question);
        }
        resolved
    }

    /// Without RD, only what is in the cache; otherwise REFUSED, as we have no better servers to name.
    fn only_known(&self, question: &Question) -> Resolved {
        match lock(&self.cache).find(question, Instant::now()) {
            Some(Known::Records(answer)) => Resolved {
                rcode: Rcode::NOERROR,
                answer,
                soa: None,
            },
            Some(Known::Negative(Negative { rcode, soa })) => Resolved {
                rcode,
                answer: Vec::new(),
                soa,
            },
            None => Resolved {
                rcode: Rcode::REFUSED,
                ..Resolved::failure()
            },
        }
    }

    /// Whether the host has an address of that family.
    const fn can_reach(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.families.0,
            IpAddr::V6(_) => self.families.1,
        }
    }

    fn socket_address(&self, address: IpAddr) -> SocketAddr {
        SocketAddr::new(address, self.port)
    }
}

/// None of our locks is held while anything can fail halfway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
