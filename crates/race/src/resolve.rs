//! What has been asked of DNS and what is known from it (A, B).
//!
//! Facts only: this module never looks at attempts, and decides nothing about time but when an answer expires.
//!
//! Follow-up questions are not asked where the need for them arises but in [`Resolve::ask`], which goes over everything
//! that is known: so the order of answers within one instant cannot change the order of questions.

mod ask;
mod service;

pub(crate) use ask::service_name;
pub(crate) use service::{ServiceEntry, Services, without_record};

use crate::answer::{Answer, AnswerData, Purpose, QueryError, QueryErrorKind, QueryId, QueryType};
use crate::config::Config;
use crate::input::Ignored;
use crate::name::Name;
use crate::nat64::{Nat64, discover};
use crate::network::{Family, Network};
use crate::output::{Output, QueryEnd};
use crate::target::Target;
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

/// How many addresses of one answer are looked at. Whoever publishes more wants to be load-balanced, not tried in full.
pub(crate) const MAX_ADDRESSES: usize = 64;
/// An answer is never called expired earlier: records with a TTL of 0 would be asked for without end.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);

/// What is known from DNS.
#[derive(Debug, Default)]
pub(crate) struct Resolve {
    /// The first is the target's own name.
    pub(crate) names: Vec<NameEntry>,
    pub(crate) services: Services,
    pub(crate) queries: Vec<Query>,
    /// An answer of this race came protected.
    pub(crate) protected: bool,
    /// What is known changed since the list of endpoints was made.
    pub(crate) changed: bool,
}

/// A name and its addresses.
#[derive(Debug)]
pub(crate) struct NameEntry {
    pub(crate) name: Name,
    v6: Slot,
    v4: Slot,
}

impl NameEntry {
    pub(crate) const fn slot(&self, family: Family) -> &Slot {
        match family {
            Family::V6 => &self.v6,
            Family::V4 => &self.v4,
        }
    }

    const fn slot_mut(&mut self, family: Family) -> &mut Slot {
        match family {
            Family::V6 => &mut self.v6,
            Family::V4 => &mut self.v4,
        }
    }
}

/// The addresses of one family of a name.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) asked: bool,
    /// There was an answer, or there will be none.
    pub(crate) settled: bool,
    /// The question failed: nothing is known, not even that there is nothing.
    pub(crate) failed: bool,
    addresses: Option<Arc<[IpAddr]>>,
}

impl Slot {
    /// The addresses of the latest answer.
    pub(crate) fn addresses(&self) -> &[IpAddr] {
        let all = self.addresses.as_deref().unwrap_or_default();
        all.get(..MAX_ADDRESSES).unwrap_or(all)
    }
}

/// A question.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) name: Name,
    pub(crate) kind: QueryType,
    pub(crate) purpose: Purpose,
    pub(crate) asked: Instant,
    pub(crate) ended: Option<Instant>,
    pub(crate) end: QueryEnd,
    pub(crate) cancelled: bool,
    about: About,
    expires: Option<Instant>,
}

impl Query {
    pub(crate) const fn is_open(&self) -> bool {
        self.ended.is_none() && !self.cancelled
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum About {
    Address {
        name: usize,
        family: Family,
    },
    Service,
    Prefix64,
    /// A network that is gone.
    Nothing,
}

/// What the resolution is for and where.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) target: &'a Target,
    pub(crate) config: &'a Config,
    pub(crate) network: &'a Network,
    pub(crate) seed: u64,
}

impl Resolve {
    pub(crate) fn query_type(&self, id: QueryId) -> Option<QueryType> {
        let index = usize::try_from(id.0).ok()?.checked_sub(1)?;
        self.queries.get(index).map(|query| query.kind)
    }

    fn find(&mut self, id: QueryId) -> Result<&mut Query, Ignored> {
        usize::try_from(id.0)
            .ok()
            .and_then(|number| number.checked_sub(1))
            .and_then(|index| self.queries.get_mut(index))
            .ok_or(Ignored::UnknownQuery(id))
    }

    fn find_open(&mut self, id: QueryId) -> Result<&mut Query, Ignored> {
        let query = self.find(id)?;
        if query.cancelled {
            return Err(Ignored::CancelledQuery(id));
        }
        if query.ended.is_some() {
            return Err(Ignored::AlreadyAnswered(id));
        }
        Ok(query)
    }

    fn find_answered(&mut self, id: QueryId) -> Result<&mut Query, Ignored> {
        let query = self.find(id)?;
        if query.cancelled {
            return Err(Ignored::CancelledQuery(id));
        }
        if query.ended.is_none() || matches!(query.end, QueryEnd::Failed(_)) {
            return Err(Ignored::NotAnswered(id));
        }
        Ok(query)
    }

    /// A question was answered. What was learned of NAT64 is given back.
    pub(crate) fn answered(
        &mut self,
        scene: Scene<'_>,
        id: QueryId,
        answer: &Answer,
        now: Instant,
    ) -> Result<Option<Nat64>, Ignored> {
        let query = self.find_open(id)?;
        check_type(id, query.kind, answer)?;
        if answer.stale && !scene.config.optimistic_dns {
            return Err(Ignored::Stale(id));
        }
        Ok(self.take(scene, id, answer, now))
    }

    /// The records of a question are other ones now.
    pub(crate) fn replaced(
        &mut self,
        scene: Scene<'_>,
        id: QueryId,
        answer: &Answer,
        now: Instant,
    ) -> Result<Option<Nat64>, Ignored> {
        let query = self.find_answered(id)?;
        check_type(id, query.kind, answer)?;
        Ok(self.take(scene, id, answer, now))
    }

    fn take(
        &mut self,
        scene: Scene<'_>,
        id: QueryId,
        answer: &Answer,
        now: Instant,
    ) -> Option<Nat64> {
        let query = self.find(id).ok()?;
        query.ended = Some(now);
        query.end = match &answer.data {
            AnswerData::NxDomain => QueryEnd::NxDomain,
            _ if answer.is_negative() => QueryEnd::NoData,
            _ => QueryEnd::Records,
        };
        query.expires = match answer.ttl {
            // B11: a stale answer is used, and refreshed at once.
            _ if answer.stale => Some(now),
            // B10.
            Some(ttl) => Some(now + ttl.max(SHORTEST_LIFE)),
            None => None,
        };
        let (about, name) = (query.about, query.name.clone());
        self.protected |= answer.protected;
        match about {
            About::Address { name, family } => {
                if let Some(entry) = self.names.get_mut(name) {
                    let slot = entry.slot_mut(family);
                    slot.settled = true;
                    slot.failed = false;
                    slot.addresses = match &answer.data {
                        AnswerData::Addresses(addresses) => Some(Arc::clone(addresses)),
                        _ => None,
                    };
                    self.changed = true;
                }
            }
            About::Service => {
                self.services.take(scene, &name, answer);
                self.changed = true;
            }
            About::Prefix64 => {
                let AnswerData::Addresses(addresses) = &answer.data else {
                    return Some(Nat64::default());
                };
                let v6: Vec<Ipv6Addr> = addresses
                    .iter()
                    .take(MAX_ADDRESSES)
                    .filter_map(|address| match address {
                        IpAddr::V6(v6) => Some(*v6),
                        IpAddr::V4(_) => None,
                    })
                    .collect();
                self.changed = true;
                return Some(Nat64::new(discover(&v6)));
            }
            About::Nothing => {}
        }
        None
    }

    /// A question will not be answered.
    pub(crate) fn failed(
        &mut self,
        scene: Scene<'_>,
        id: QueryId,
        error: QueryError,
        now: Instant,
    ) -> Result<Option<Nat64>, Ignored> {
        let query = self.find_open(id)?;
        query.ended = Some(now);
        query.end = QueryEnd::Failed(error);
        // What a failed refresh was to replace stays.
        let (about, refresh) = (query.about, query.purpose == Purpose::Refresh);
        let service = query.name.clone();
        match about {
            About::Address { name, family } if !refresh => {
                if let Some(entry) = self.names.get_mut(name) {
                    let slot = entry.slot_mut(family);
                    slot.settled = true;
                    slot.failed = true;
                    self.changed = true;
                }
            }
            About::Service if !refresh => {
                self.services.fail(scene, &service);
                self.changed = true;
            }
            About::Prefix64 => {
                self.changed = true;
                return Ok(Some(Nat64::default()));
            }
            _ => {}
        }
        Ok(None)
    }

    /// The records of a question are out of date: they are asked for again, and used until then (B10).
    pub(crate) fn expired(&mut self, id: QueryId, now: Instant) -> Result<(), Ignored> {
        let query = self.find_answered(id)?;
        query.expires = Some(now);
        Ok(())
    }

    /// Asks again for what is out of date (B10, B11). Running attempts are none of its business.
    pub(crate) fn refresh(&mut self, now: Instant, outbox: &mut VecDeque<Output>) {
        for index in 0..self.queries.len() {
            let query = &mut self.queries[index];
            if query.cancelled || query.expires.is_none_or(|at| at > now) {
                continue;
            }
            query.expires = None;
            let (name, kind, about) = (query.name.clone(), query.kind, query.about);
            let again = self.queries.iter().any(|other| {
                other.is_open() && other.about == about && other.kind == kind && other.name == name
            });
            if !again && !matches!(about, About::Nothing | About::Prefix64) {
                self.query(name, kind, Purpose::Refresh, about, now, outbox);
            }
        }
    }

    /// Gives up the questions that are open for `limit` or longer. What was learned of NAT64 is given back.
    pub(crate) fn time_out(
        &mut self,
        scene: Scene<'_>,
        limit: Duration,
        now: Instant,
        outbox: &mut VecDeque<Output>,
    ) -> Option<Nat64> {
        let mut learned = None;
        for index in 0..self.queries.len() {
            let query = &self.queries[index];
            if !query.is_open() || query.asked + limit > now {
                continue;
            }
            let id = QueryId(u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1));
            let error = QueryError::new(QueryErrorKind::TimedOut, "no answer in time");
            learned = self
                .failed(scene, id, error, now)
                .ok()
                .flatten()
                .or(learned);
            self.queries[index].cancelled = true;
            outbox.push_back(Output::CancelQuery { id });
        }
        learned
    }

    /// Gives up every open question.
    pub(crate) fn cancel(&mut self, outbox: &mut VecDeque<Output>) {
        for (index, query) in self.queries.iter_mut().enumerate() {
            if query.is_open() {
                query.cancelled = true;
                let id = QueryId(u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1));
                outbox.push_back(Output::CancelQuery { id });
            }
        }
    }

    /// Forgets everything, for another network. Questions keep their ids.
    pub(crate) fn start_over(&mut self, outbox: &mut VecDeque<Output>) {
        self.cancel(outbox);
        for query in &mut self.queries {
            query.about = About::Nothing;
            query.expires = None;
        }
        self.names.clear();
        self.services = Services::default();
        self.protected = false;
        self.changed = true;
    }

    /// A question is open.
    pub(crate) fn has_open(&self) -> bool {
        self.queries.iter().any(Query::is_open)
    }

    /// More may become known.
    pub(crate) fn is_waiting(&self) -> bool {
        self.has_open() || self.services.follow.is_some()
    }

    /// When the next open question has been open for `limit`.
    pub(crate) fn next_time_out(&self, limit: Duration) -> Option<Instant> {
        self.queries
            .iter()
            .filter(|query| query.is_open())
            .map(|query| query.asked + limit)
            .min()
    }

    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.queries
            .iter()
            .filter(|query| !query.cancelled)
            .filter_map(|query| query.expires)
            .min()
    }

    pub(crate) fn entry(&self, name: &Name) -> Option<(usize, &NameEntry)> {
        self.names
            .iter()
            .enumerate()
            .find(|(_, entry)| entry.name == *name)
    }
}

fn check_type(id: QueryId, kind: QueryType, answer: &Answer) -> Result<(), Ignored> {
    let right = match &answer.data {
        AnswerData::Addresses(addresses) => match kind {
            QueryType::Aaaa => addresses.iter().all(IpAddr::is_ipv6),
            QueryType::A => addresses.iter().all(IpAddr::is_ipv4),
            QueryType::Https | QueryType::Svcb => false,
        },
        AnswerData::Services(_) => kind.is_service(),
        AnswerData::NoData | AnswerData::NxDomain => true,
    };
    if right {
        Ok(())
    } else {
        Err(Ignored::WrongType(id))
    }
}
