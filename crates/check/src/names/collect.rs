//! Asking everybody about one name: the resolvers, the servers of its zone, the servers of the zone above.
//!
//! Everything that does not need another answer first runs at the same time. The addresses are ready long before the
//! rest, so [`Inquiry::addresses`] can be waited for on its own.

mod zone;

use super::ask::Asker;
use super::observation::{Lookup, NamesObservation, Outcome, Pair, ServerId};
use super::rules::timing;
use super::synthesis::{Nat64Prefix, PROBE_NAME};
use futures_util::future::{Either, join, join_all, select};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use twinstack_dns::{Data, Name, RecordType};
use twinstack_finding::Skipped;

/// From here on the addresses of both families are enough, even if somebody has not answered yet.
const WAIT_FOR_ALL: Duration = Duration::from_millis(1500);

/// Pairs after the first one, a little apart so that one hiccup does not hit all of them.
const PAIRS: u32 = 3;
/// Further pairs, before a small gap is believed.
const MORE_PAIRS: u32 = 4;
const BETWEEN_PAIRS: Duration = Duration::from_millis(20);

/// Single queries with which silence over UDP is made sure of, when TCP answers.
const LAST_TRIES: u32 = 4;

/// One name being asked about.
#[derive(Debug)]
pub(crate) struct Inquiry<'a> {
    asker: &'a Asker,
    resolvers: &'a [ServerId],
    /// Ask for HTTPS records too.
    web: bool,
    observed: Mutex<NamesObservation>,
    progress: watch::Sender<Progress>,
}

/// How far the address questions are.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    v4: bool,
    v6: bool,
    done: bool,
    /// How many resolvers were asked whether they make up AAAA.
    probes: usize,
}

impl<'a> Inquiry<'a> {
    /// Nothing is asked before [`run`](Self::run).
    pub(crate) fn new(asker: &'a Asker, resolvers: &'a [ServerId], name: Name, web: bool) -> Self {
        Self {
            asker,
            resolvers,
            web,
            observed: Mutex::new(NamesObservation::new(name)),
            progress: watch::Sender::new(Progress::default()),
        }
    }

    /// Asks everybody and returns when all have answered or were given up.
    pub(crate) async fn run(&self) -> NamesObservation {
        join(self.ask_resolvers(), self.ask_zones()).await;
        self.progress.send_modify(|progress| progress.done = true);
        self.timings().await;
        self.say_what_was_out_of_reach();
        let mut observed = self.snapshot();
        observed
            .lookups
            .sort_by(|a, b| a.at.total_cmp(&b.at).then(a.server.cmp(&b.server)));
        observed
    }

    /// What may be probed, as soon as that is known: when everybody has answered, or after a while when both families
    /// have addresses.
    pub(crate) async fn addresses(&self) -> NamesObservation {
        let mut progress = self.progress.subscribe();
        let enough = progress.wait_for(|progress| progress.done);
        if tokio::time::timeout(WAIT_FOR_ALL, enough).await.is_err() {
            let mut progress = self.progress.subscribe();
            // The sender lives as long as `self`, so the only end of the wait is the condition.
            drop(
                progress
                    .wait_for(|progress| progress.done || (progress.v4 && progress.v6))
                    .await,
            );
        }
        self.snapshot()
    }

    fn snapshot(&self) -> NamesObservation {
        let mut observed = self.observed().clone();
        observed.servers = self.asker.servers();
        observed
    }

    fn observed(&self) -> std::sync::MutexGuard<'_, NamesObservation> {
        self.observed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, lookup: &Lookup) {
        let addresses = lookup.addresses();
        let mut observed = self.observed();
        let own = lookup.name == observed.name || lookup.name == observed.canonical;
        observed.lookups.push(lookup.clone());
        drop(observed);
        if own && !addresses.is_empty() {
            self.progress.send_modify(|progress| {
                progress.v4 |= addresses.iter().any(IpAddr::is_ipv4);
                progress.v6 |= addresses.iter().any(IpAddr::is_ipv6);
            });
        }
    }

    fn name(&self) -> Name {
        self.observed().name.clone()
    }

    async fn ask(&self, server: ServerId, name: &Name, rtype: RecordType) -> Lookup {
        let lookup = self.asker.ask(server, name, rtype).await;
        self.record(&lookup);
        lookup
    }

    async fn ask_resolvers(&self) {
        join_all(self.resolvers.iter().map(|resolver| async {
            let name = self.name();
            join(
                self.ask_addresses(*resolver, &name),
                self.ask_synthesis(*resolver),
            )
            .await;
        }))
        .await;
    }

    /// A, AAAA and HTTPS of one name at one server; the first two are the first timing pair.
    async fn ask_addresses(&self, server: ServerId, name: &Name) {
        let addresses = async {
            let ((a, a_over_tcp), (aaaa, aaaa_over_tcp)) = join(
                self.ask_with_second_opinion(server, name, RecordType::A),
                self.ask_with_second_opinion(server, name, RecordType::AAAA),
            )
            .await;
            self.observed().pairs.extend(pair(&a, &aaaa));
            for (lookup, tcp, other) in [(&a, a_over_tcp, &aaaa), (&aaaa, aaaa_over_tcp, &a)] {
                // Silence for both types is about the server and not about a type.
                if let Some(tcp) = tcp.filter(|_| other.success().is_some()) {
                    self.confirm(lookup, &tcp).await;
                }
            }
        };
        let service = async {
            if self.web {
                let lookup = self.ask(server, name, RecordType::HTTPS).await;
                self.ask_hint_targets(server, &lookup).await;
            }
        };
        join(addresses, service).await;
    }

    /// While half of the patience brings nothing over UDP, TCP is asked beside it.
    async fn ask_with_second_opinion(
        &self,
        server: ServerId,
        name: &Name,
        rtype: RecordType,
    ) -> (Lookup, Option<Lookup>) {
        let over_tcp = async {
            tokio::time::sleep(self.asker.patience() / 2).await;
            let half = self.asker.patience() / 2;
            self.asker.ask_tcp(server, name, rtype, half).await
        };
        let (mut over_tcp, mut over_udp) = (pin!(over_tcp), pin!(self.ask(server, name, rtype)));
        match select(over_udp.as_mut(), over_tcp.as_mut()).await {
            Either::Left((lookup, _)) if lookup.outcome != Outcome::Silent => (lookup, None),
            Either::Left((lookup, waiting)) => (lookup, Some(waiting.await)),
            Either::Right((tcp, waiting)) => (waiting.await, Some(tcp)),
        }
    }

    /// One type is answered and the other is not: was it UDP, was it loss?
    async fn confirm(&self, lookup: &Lookup, tcp: &Lookup) {
        if lookup.outcome != Outcome::Silent {
            return;
        }
        self.record(tcp);
        if tcp.success().is_some() {
            let (server, name, rtype) = (lookup.server, &lookup.name, lookup.rtype);
            let tries = (0..LAST_TRIES).map(|index| async move {
                tokio::time::sleep(BETWEEN_PAIRS * 5 * index).await;
                self.asker.ask_once(server, name, rtype).await
            });
            for lookup in join_all(tries).await {
                self.record(&lookup);
            }
        }
    }

    /// Hints may be about another name; without its addresses they cannot be compared.
    async fn ask_hint_targets(&self, server: ServerId, https: &Lookup) {
        let own = self.name();
        let targets: Vec<Name> = https
            .records()
            .filter_map(|record| match &record.data {
                Data::Https(binding)
                    if binding.priority > 0
                        && !binding.target.is_root()
                        && binding.target != own =>
                {
                    Some(binding.target.clone())
                }
                _ => None,
            })
            .take(2)
            .collect();
        join_all(targets.iter().map(|target| {
            join(
                self.ask(server, target, RecordType::A),
                self.ask(server, target, RecordType::AAAA),
            )
        }))
        .await;
    }

    async fn ask_synthesis(&self, resolver: ServerId) {
        let Ok(probe) = Name::parse(PROBE_NAME) else {
            return;
        };
        let lookup = self.asker.ask(resolver, &probe, RecordType::AAAA).await;
        let prefixes = lookup
            .addresses()
            .into_iter()
            .filter_map(|address| match address {
                IpAddr::V6(address) => Nat64Prefix::of_probe(address),
                IpAddr::V4(_) => None,
            });
        let mut observed = self.observed();
        for prefix in prefixes {
            if !observed.synthesis.contains(&prefix) {
                observed.synthesis.push(prefix);
            }
        }
        observed.lookups.push(lookup);
        drop(observed);
        self.progress.send_modify(|progress| progress.probes += 1);
    }

    /// Prefixes under which AAAA are made up, once every resolver has been asked or had time enough.
    async fn synthesis(&self) -> Vec<Nat64Prefix> {
        let mut progress = self.progress.subscribe();
        let all = self.resolvers.len();
        let probed = progress.wait_for(|progress| progress.probes >= all);
        // Out of time or not: what is known by now is what there is.
        drop(tokio::time::timeout(WAIT_FOR_ALL, probed).await);
        self.observed().synthesis.clone()
    }

    /// More pairs at every server that answered both types, and more still where AAAA seems late.
    async fn timings(&self) {
        let first: Vec<Pair> = self.observed().pairs.clone();
        join_all(first.iter().map(|pair| async {
            let name = &pair.name;
            let mut gaps = vec![pair.gap()];
            gaps.extend(self.more_pairs(pair.server, name, PAIRS).await);
            if timing::median_gap(&gaps).is_some_and(timing::is_doubtful) {
                self.more_pairs(pair.server, name, MORE_PAIRS).await;
            }
        }))
        .await;
    }

    async fn more_pairs(&self, server: ServerId, name: &Name, count: u32) -> Vec<f64> {
        let pairs = join_all((0..count).map(|index| async move {
            tokio::time::sleep(BETWEEN_PAIRS * index).await;
            let a = self.asker.ask_once(server, name, RecordType::A);
            let aaaa = self.asker.ask_once(server, name, RecordType::AAAA);
            // Whoever is first in one pair is second in the next.
            if index % 2 == 0 {
                join(a, aaaa).await
            } else {
                let (aaaa, a) = join(aaaa, a).await;
                (a, aaaa)
            }
        }))
        .await;
        let mut observed = self.observed();
        let mut gaps = Vec::new();
        for (a, aaaa) in pairs {
            let found = pair(&a, &aaaa);
            gaps.extend(found.iter().map(Pair::gap));
            observed.pairs.extend(found);
        }
        gaps
    }

    fn say_what_was_out_of_reach(&self) {
        let servers = self.asker.servers();
        let mut observed = self.observed();
        for (family, is_family) in [
            ("IPv6", IpAddr::is_ipv6 as fn(&IpAddr) -> bool),
            ("IPv4", IpAddr::is_ipv4),
        ] {
            let unrouted: BTreeSet<String> = observed
                .lookups
                .iter()
                .filter(|lookup| lookup.outcome == Outcome::NoRoute)
                .filter_map(|lookup| servers.get(lookup.server.0))
                .filter(|server| server.address().is_some_and(|address| is_family(&address)))
                .map(ToString::to_string)
                .collect();
            if !unrouted.is_empty() {
                observed.skipped.push(Skipped {
                    what: format!("name servers over {family}"),
                    why: format!(
                        "no {family} route from here to {}",
                        unrouted.into_iter().collect::<Vec<_>>().join(", ")
                    ),
                });
            }
        }
        let reached = observed.lookups.iter().any(|lookup| {
            lookup.reply().is_some()
                && servers
                    .get(lookup.server.0)
                    .is_some_and(super::observation::Server::is_authoritative)
        });
        let answered = observed
            .lookups
            .iter()
            .any(|lookup| lookup.success().is_some());
        if answered && !reached {
            let note = format!(
                "no authoritative server of `{}` could be asked: the answers are the resolvers', maybe from a cache",
                observed.name
            );
            observed.notes.push(note);
        }
    }
}

/// Two answers as a pair, if both are proper ones.
fn pair(a: &Lookup, aaaa: &Lookup) -> Option<Pair> {
    (a.success().is_some() && aaaa.success().is_some()).then(|| Pair {
        server: a.server,
        name: a.name.clone(),
        at: a.at,
        a: a.elapsed,
        aaaa: aaaa.elapsed,
    })
}
