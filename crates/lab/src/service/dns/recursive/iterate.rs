//! One question, from the closest known zone down to its answer.

use super::super::cache::{Cut, Known, Negative};
use super::{Resolved, Resolver, lock};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use twinstack_dns::{Data, Name, Question, Rcode, Record, RecordType, Response, Ttl};

/// Aliases that are followed.
const MOST_ALIASES: usize = 12;

/// Delegations that are followed for one name.
const MOST_REFERRALS: usize = 16;

/// How deep name servers' names may depend on further name servers' names.
const DEEPEST: usize = 4;

/// The work for one client's question, with what is left to spend.
pub(super) struct Work {
    resolver: Arc<Resolver>,
    until: Instant,
    queries_left: AtomicU32,
}

/// What one name and type brought.
enum Step {
    /// The records, or an alias that stands in their place.
    Records(Vec<Record>),
    Negative(Negative),
    Failure,
}

/// What a response means to the one who asked the servers of `zone`.
enum Meaning {
    Records(Vec<Record>),
    Negative(Negative),
    Referral(Cut, Ttl),
    Lame,
}

impl Work {
    pub(super) const fn new(resolver: Arc<Resolver>, until: Instant, queries: u32) -> Self {
        Self {
            resolver,
            until,
            queries_left: AtomicU32::new(queries),
        }
    }

    /// Resolves a question, aliases included. `depth` counts questions about name servers' names inside each other.
    pub(super) fn resolve<'a>(
        &'a self,
        question: &'a Question,
        depth: usize,
    ) -> Pin<Box<dyn Future<Output = Resolved> + Send + 'a>> {
        Box::pin(async move {
            let mut answer: Vec<Record> = Vec::new();
            let mut asked = question.clone();
            let mut seen = BTreeSet::new();
            while seen.insert(asked.name.clone()) && seen.len() <= MOST_ALIASES {
                match self.step(&asked, depth).await {
                    Step::Records(records) => {
                        let alias = records.first().and_then(|record| match &record.data {
                            Data::Cname(target) if asked.rtype != RecordType::CNAME => {
                                Some(target.clone())
                            }
                            _ => None,
                        });
                        answer.extend(records);
                        match alias {
                            Some(target) => asked.name = target,
                            None => {
                                return Resolved {
                                    rcode: Rcode::NOERROR,
                                    answer,
                                    soa: None,
                                };
                            }
                        }
                    }
                    Step::Negative(Negative { rcode, soa }) => {
                        return Resolved { rcode, answer, soa };
                    }
                    Step::Failure => break,
                }
            }
            Resolved::failure()
        })
    }

    async fn step(&self, question: &Question, depth: usize) -> Step {
        let now = Instant::now();
        let known = lock(&self.resolver.cache).find(question, now);
        match known {
            Some(Known::Records(records)) => return Step::Records(records),
            Some(Known::Negative(negative)) => return Step::Negative(negative),
            None => {}
        }
        let step = self.iterate(question, depth).await;
        if question.rtype == RecordType::ANY {
            // Whatever part of everything the server chose to give.
            return step;
        }
        let mut cache = lock(&self.resolver.cache);
        match &step {
            Step::Records(records) => {
                let rtype = records.first().map_or(question.rtype, Record::rtype);
                let kept = Question::new(question.name.clone(), rtype);
                cache.keep_records(&kept, records, Instant::now());
            }
            Step::Negative(negative) => cache.keep_negative(question, negative, Instant::now()),
            Step::Failure => {}
        }
        step
    }

    /// Down the delegations.
    async fn iterate(&self, question: &Question, depth: usize) -> Step {
        let root = || Cut {
            apex: Name::root(),
            glue: self.resolver.root.clone(),
            servers: Vec::new(),
        };
        // The DS of a zone is with the zone above.
        let from = match question.rtype {
            RecordType::DS => question.name.parent(),
            _ => None,
        };
        let from = from.as_ref().unwrap_or(&question.name);
        let cached = lock(&self.resolver.cache).closest_cut(from, Instant::now());
        let mut from_cache = cached.is_some();
        let mut cut = cached.unwrap_or_else(root);
        for _ in 0..MOST_REFERRALS {
            match self.ask_zone(&cut, question, depth).await {
                Some(Meaning::Records(records)) => return Step::Records(records),
                Some(Meaning::Negative(negative)) => return Step::Negative(negative),
                Some(Meaning::Referral(deeper, ttl)) => {
                    lock(&self.resolver.cache).keep_cut(&deeper, ttl, Instant::now());
                    cut = deeper;
                    from_cache = false;
                }
                Some(Meaning::Lame) | None if from_cache => {
                    // The delegation may have moved since: once more from the top.
                    lock(&self.resolver.cache).forget_cut(&cut.apex);
                    cut = root();
                    from_cache = false;
                }
                Some(Meaning::Lame) | None => break,
            }
        }
        Step::Failure
    }

    /// Asks the servers of a zone: first where the glue says they are, then where their names say.
    async fn ask_zone(&self, cut: &Cut, question: &Question, depth: usize) -> Option<Meaning> {
        let glue: Vec<IpAddr> = self.reachable(&cut.glue);
        if !glue.is_empty()
            && let Some(meaning) = self.ask(glue.clone(), cut, question).await
        {
            return Some(meaning);
        }
        if depth >= DEEPEST {
            return None;
        }
        let mut tried = glue;
        for server in &cut.servers {
            let mut found = Vec::new();
            let (v4, v6) = self.resolver.families;
            for rtype in [(v6, RecordType::AAAA), (v4, RecordType::A)] {
                if !rtype.0 {
                    continue;
                }
                let asked = Question::new(server.clone(), rtype.1);
                // A server's own name inside the zone that it serves leads in a circle; so does asking for the very
                // name that we are after.
                if asked == *question || server.is_subdomain_of(&cut.apex) {
                    continue;
                }
                let resolved = self.resolve(&asked, depth.saturating_add(1)).await;
                found.extend(
                    resolved
                        .answer
                        .iter()
                        .filter_map(|record| record.data.address()),
                );
            }
            found.retain(|address| !tried.contains(address));
            tried.extend(&found);
            if !found.is_empty()
                && let Some(meaning) = self.ask(found, cut, question).await
            {
                return Some(meaning);
            }
        }
        None
    }

    async fn ask(&self, servers: Vec<IpAddr>, cut: &Cut, question: &Question) -> Option<Meaning> {
        let response = self
            .resolver
            .ask_any(servers, question, || self.pay())
            .await?;
        self.keep_rest_of_chain(&response, &cut.apex, question);
        match meaning(&response, &cut.apex, question) {
            Meaning::Lame => None,
            meaning => Some(meaning),
        }
    }

    /// What the servers of a zone say about further names of their zone, behind an alias, need not be asked again.
    fn keep_rest_of_chain(&self, response: &Response, zone: &Name, question: &Question) {
        let mut sets: BTreeMap<Question, Vec<Record>> = BTreeMap::new();
        for record in &response.answer {
            if response.authoritative
                && record.owner != question.name
                && record.owner.is_subdomain_of(zone)
            {
                let asked = Question::new(record.owner.clone(), record.rtype());
                sets.entry(asked).or_default().push(record.clone());
            }
        }
        let now = Instant::now();
        let mut cache = lock(&self.resolver.cache);
        for (asked, records) in &sets {
            cache.keep_records(asked, records, now);
        }
    }

    fn reachable(&self, addresses: &[IpAddr]) -> Vec<IpAddr> {
        let reachable = |address: &&IpAddr| self.resolver.can_reach(**address);
        addresses.iter().filter(reachable).copied().collect()
    }

    /// Whether another query may be sent.
    fn pay(&self) -> bool {
        let take = |left: u32| left.checked_sub(1);
        Instant::now() < self.until
            && self
                .queries_left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
    }
}

/// Reads a response as one from the servers of `zone`: what they say about names outside does not count.
fn meaning(response: &Response, zone: &Name, question: &Question) -> Meaning {
    let of = |rtype: RecordType| -> Vec<Record> {
        response
            .answer
            .iter()
            .filter(|record| record.owner == question.name && record.rtype() == rtype)
            .cloned()
            .collect()
    };
    let wanted = if question.rtype == RecordType::ANY {
        let own = |record: &&Record| record.owner == question.name;
        response.answer.iter().filter(own).cloned().collect()
    } else {
        of(question.rtype)
    };
    for records in [wanted, of(RecordType::CNAME)] {
        if !records.is_empty() {
            return Meaning::Records(records);
        }
    }
    if response.is_referral() {
        return referral(response, zone, &question.name).unwrap_or(Meaning::Lame);
    }
    // Negative answers come from servers that are authoritative; others know as little as we do.
    if !response.authoritative {
        return Meaning::Lame;
    }
    let soa = response
        .authority
        .iter()
        .find_map(|record| match &record.data {
            Data::Soa(soa) if question.name.is_subdomain_of(&record.owner) => Some(Record {
                ttl: record.ttl.min(soa.minimum),
                ..record.clone()
            }),
            _ => None,
        });
    Meaning::Negative(Negative {
        rcode: response.rcode,
        soa,
    })
}

/// A delegation that leads closer to the name; anything else would lead in circles or out of the zone.
fn referral(response: &Response, zone: &Name, name: &Name) -> Option<Meaning> {
    let servers: Vec<(&Record, &Name)> = response
        .authority
        .iter()
        .filter_map(|record| match &record.data {
            Data::Ns(server) => Some((record, server)),
            _ => None,
        })
        .collect();
    let apex = servers.first().map(|(record, _)| record.owner.clone())?;
    let closer = apex.is_subdomain_of(zone) && apex != *zone && name.is_subdomain_of(&apex);
    if !closer {
        return None;
    }
    let servers: Vec<(&Record, &Name)> = servers
        .into_iter()
        .filter(|(record, _)| record.owner == apex)
        .collect();
    // Addresses of servers outside the zone that was asked would be hearsay.
    let is_glue = |record: &&Record| {
        record.owner.is_subdomain_of(zone)
            && servers.iter().any(|(_, server)| **server == record.owner)
    };
    let glue: Vec<IpAddr> = response
        .additional
        .iter()
        .filter(is_glue)
        .filter_map(|record| record.data.address())
        .collect();
    let ttl = servers.iter().map(|(record, _)| record.ttl).min()?;
    let cut = Cut {
        apex,
        glue,
        servers: servers
            .into_iter()
            .map(|(_, server)| server.clone())
            .collect(),
    };
    Some(Meaning::Referral(cut, ttl))
}
