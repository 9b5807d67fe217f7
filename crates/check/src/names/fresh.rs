//! One answer that is as fresh as can be had: a resolver's, and beside it that of the zone's own servers, which no cache
//! has aged.

use super::ask::Asker;
use super::global::special_purpose;
use super::observation::{Lookup, Outcome, Role, Server, ServerId};
use futures_util::StreamExt;
use futures_util::future::{join, join_all};
use futures_util::stream::FuturesUnordered;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use twinstack_dns::client::ServerAddress;
use twinstack_dns::{Data, Name, Rcode, RecordType};

/// The second look is worth this much time and no more: the resolver's answer will do.
const AUTHORITATIVE_WITHIN: Duration = Duration::from_secs(2);

/// Name servers asked, each at one address per family.
const NAME_SERVERS: usize = 4;

/// A question that a resolver answered, and maybe the zone's own servers too.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    /// Of the first resolver with a proper answer, or else of the last one.
    pub(crate) resolver: Lookup,
    /// What the zone's own servers said all the way to data or to "none", the first answer first.
    pub(crate) authoritative: Vec<Lookup>,
}

impl Fresh {
    /// One answer that counts.
    pub(crate) fn best(&self) -> &Lookup {
        self.authoritative.first().unwrap_or(&self.resolver)
    }

    /// All answers that count: one for each of the zone's own servers that was heard, or else the resolver's.
    pub(crate) fn said(&self) -> &[Lookup] {
        if self.authoritative.is_empty() {
            std::slice::from_ref(&self.resolver)
        } else {
            &self.authoritative
        }
    }

    /// All, for the report.
    pub(crate) fn lookups(&self) -> impl Iterator<Item = &Lookup> {
        std::iter::once(&self.resolver).chain(&self.authoritative)
    }
}

/// Asks for one record set. `None` when there is nobody to ask.
///
/// Servers of one zone may disagree, and which of them answers first is chance. So an answer that is not `enough` is not
/// the last word: then all the others are waited for.
pub(crate) async fn ask(
    asker: &Asker,
    resolvers: &[ServerId],
    name: &Name,
    rtype: RecordType,
    enough: impl Fn(&Lookup) -> bool,
) -> Option<Fresh> {
    let (resolver, authoritative) = join(
        first(asker, resolvers, name, rtype),
        authoritative(asker, resolvers, name, rtype, enough),
    )
    .await;
    Some(Fresh {
        resolver: resolver?,
        authoritative,
    })
}

/// The first proper answer of the resolvers, or the last failure.
pub(crate) async fn first(
    asker: &Asker,
    resolvers: &[ServerId],
    name: &Name,
    rtype: RecordType,
) -> Option<Lookup> {
    let mut answers: FuturesUnordered<_> = resolvers
        .iter()
        .map(|resolver| asker.ask(*resolver, name, rtype))
        .collect();
    let mut last = None;
    while let Some(lookup) = answers.next().await {
        if is_proper(&lookup) {
            return Some(lookup);
        }
        last = Some(lookup);
    }
    last
}

/// Data, or a plain no.
fn is_proper(lookup: &Lookup) -> bool {
    lookup
        .reply()
        .is_some_and(|reply| matches!(reply.rcode, Rcode::NOERROR | Rcode::NXDOMAIN))
}

async fn authoritative(
    asker: &Asker,
    resolvers: &[ServerId],
    name: &Name,
    rtype: RecordType,
    enough: impl Fn(&Lookup) -> bool,
) -> Vec<Lookup> {
    let started = Instant::now();
    let mut said = Vec::new();
    let found = timeout(AUTHORITATIVE_WITHIN, own_servers(asker, resolvers, name));
    let Ok(Some((canonical, servers))) = found.await else {
        return said;
    };
    let mut answers: FuturesUnordered<_> = servers
        .iter()
        .map(|server| asker.ask(*server, &canonical, rtype))
        .collect();
    loop {
        // Whoever has spoken shows that the others can be heard from here: then silence is worth waiting for.
        let patience = if said.is_empty() {
            AUTHORITATIVE_WITHIN
        } else {
            asker.patience().max(AUTHORITATIVE_WITHIN)
        };
        let left = patience.saturating_sub(started.elapsed());
        let Ok(Some(lookup)) = timeout(left, answers.next()).await else {
            return said;
        };
        let whole = lookup.reply().is_some_and(|reply| {
            // Only an alias that leads away, or a referral, is not the last word.
            reply.authoritative
                && (reply.aliases(&canonical).is_empty() || lookup.records().next().is_some())
        });
        if is_proper(&lookup) && whole {
            let done = enough(&lookup);
            said.push(lookup);
            if done {
                return said;
            }
        }
    }
}

/// The servers of the zone that the name's aliases end in, and that end.
async fn own_servers(
    asker: &Asker,
    resolvers: &[ServerId],
    name: &Name,
) -> Option<(Name, Vec<ServerId>)> {
    let soa = first(asker, resolvers, name, RecordType::SOA).await?;
    let reply = soa.reply()?;
    let canonical = reply.aliases(name).last().unwrap_or(name).clone();
    let apex = reply
        .answers
        .iter()
        .chain(&reply.authority)
        .find(|record| record.rtype() == RecordType::SOA)
        .map(|record| record.owner.clone())?;
    let servers = asker.ask(soa.server, &apex, RecordType::NS).await;
    let names: Vec<Name> = servers
        .records()
        .filter_map(|record| match &record.data {
            Data::Ns(name) => Some(name.clone()),
            _ => None,
        })
        .take(NAME_SERVERS)
        .collect();
    let endpoints = join_all(
        names
            .iter()
            .map(|server| endpoints(asker, soa.server, server)),
    )
    .await;
    let servers = endpoints
        .into_iter()
        .flatten()
        .filter_map(|server| asker.server(server).ok())
        .collect();
    Some((canonical, servers))
}

async fn endpoints(asker: &Asker, resolver: ServerId, name: &Name) -> Vec<Server> {
    let (a, aaaa) = join(
        asker.ask(resolver, name, RecordType::A),
        asker.ask(resolver, name, RecordType::AAAA),
    )
    .await;
    let reachable = |address: &IpAddr| match address {
        IpAddr::V4(_) => true,
        IpAddr::V6(address) => special_purpose(*address).is_none(),
    };
    let first = |lookup: Lookup| lookup.addresses().into_iter().find(reachable);
    [first(a), first(aaaa)]
        .into_iter()
        .flatten()
        .map(|address| Server {
            role: Role::Authoritative(name.clone()),
            endpoint: ServerAddress::Socket(SocketAddr::new(address, 53)),
        })
        .collect()
}

/// Why a lookup tells nothing, in a word or two; `None` if it does.
pub(crate) fn failure(lookup: &Lookup) -> Option<String> {
    match &lookup.outcome {
        Outcome::Reply(reply) if matches!(reply.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) => None,
        _ => Some(lookup.outcome_word()),
    }
}
