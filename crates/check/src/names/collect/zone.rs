//! The zone of the name: where it is cut, who serves it, what the zone above says, and what its own servers say.

use super::super::global::special_purpose;
use super::super::observation::{
    Lookup, NameServer, Referral, Reply, Role, Server, ServerId, Zone,
};
use super::Inquiry;
use futures_util::StreamExt;
use futures_util::future::{join, join_all, join3};
use futures_util::stream::FuturesUnordered;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use twinstack_dns::client::{ServerAddress, Transport};
use twinstack_dns::{Data, Name, RecordType};

/// The root has this many, and nobody needs more.
const NAME_SERVERS: usize = 13;
/// Addresses asked per name server and family.
const PER_FAMILY: usize = 2;
/// Servers of the zone above that are asked for a referral.
const PARENTS: usize = 2;
/// How far up to look for the cut when a resolver gives no SOA with its answers.
const ANCESTORS: usize = 4;

/// Where a zone begins, and which resolver said so.
struct Cut {
    resolver: ServerId,
    apex: Name,
    /// Where the aliases of the name end.
    canonical: Name,
}

impl Inquiry<'_> {
    /// Finds the zones of the name and of what it is an alias of, and asks their servers.
    pub(super) async fn ask_zones(&self) {
        let name = self.name();
        let Some(cut) = self.find_cut(&name).await else {
            return;
        };
        self.observed().canonical = cut.canonical.clone();
        let alias_zone = async {
            // The SOA that comes with an alias is the target's; the alias itself cannot be at a cut, so it is in the
            // zone of the name above it.
            if cut.canonical == name {
                return None;
            }
            let above = self.find_cut(&name.parent()?).await?;
            if above.apex == cut.apex {
                return None;
            }
            Some(
                self.ask_zone(above.resolver, above.apex, name.clone())
                    .await,
            )
        };
        let own_zone = self.ask_zone(cut.resolver, cut.apex.clone(), cut.canonical.clone());
        let (alias_zone, own_zone) = join(alias_zone, own_zone).await;
        let mut observed = self.observed();
        observed.zones.extend(alias_zone);
        observed.zones.push(own_zone);
    }

    /// The first resolver that knows decides.
    async fn find_cut(&self, name: &Name) -> Option<Cut> {
        let mut answers: FuturesUnordered<_> = self
            .resolvers
            .iter()
            .map(|resolver| self.ask(*resolver, name, RecordType::SOA))
            .collect();
        let mut talkative = None;
        while let Some(lookup) = answers.next().await {
            if let Some(cut) = cut_of(&lookup) {
                return Some(cut);
            }
            // After SERVFAIL the zone may begin anywhere in between.
            if super::super::fresh::failure(&lookup).is_none() {
                talkative = talkative.or(Some(lookup.server));
            }
        }
        // A forwarder that strips the authority section still answers for the apex itself.
        for ancestor in name.ancestors().skip(1).take(ANCESTORS) {
            let lookup = self.ask(talkative?, &ancestor, RecordType::SOA).await;
            if let Some(cut) = cut_of(&lookup) {
                return Some(Cut {
                    canonical: name.clone(),
                    ..cut
                });
            }
        }
        None
    }

    async fn ask_zone(&self, resolver: ServerId, apex: Name, asked: Name) -> Zone {
        let servers = async {
            let servers = self.name_servers(resolver, &apex, NAME_SERVERS).await;
            join_all(
                servers
                    .iter()
                    .map(|server| self.ask_authoritative(server, &apex, &asked)),
            )
            .await;
            servers
        };
        let (mut name_servers, referral) = join(servers, self.referral(resolver, &apex)).await;
        if let Some(referral) = &referral {
            self.use_glue(&mut name_servers, referral, &apex, &asked)
                .await;
        }
        Zone {
            apex,
            name_servers,
            referral,
        }
    }

    /// The NS set and its addresses, as a resolver knows them.
    async fn name_servers(
        &self,
        resolver: ServerId,
        apex: &Name,
        at_most: usize,
    ) -> Vec<NameServer> {
        let lookup = self.ask(resolver, apex, RecordType::NS).await;
        let names: BTreeSet<Name> = lookup
            .records()
            .filter_map(|record| match &record.data {
                Data::Ns(name) => Some(name.clone()),
                _ => None,
            })
            .take(at_most)
            .collect();
        join_all(names.into_iter().map(|name| async move {
            let (a, aaaa, prefixes) = join3(
                self.ask(resolver, &name, RecordType::A),
                self.ask(resolver, &name, RecordType::AAAA),
                self.synthesis(),
            )
            .await;
            let mut server = NameServer {
                name,
                v4: BTreeSet::new(),
                v6: BTreeSet::new(),
                v6_known: aaaa.success().is_some(),
            };
            for address in a.addresses().into_iter().chain(aaaa.addresses()) {
                match address {
                    IpAddr::V4(address) => {
                        server.v4.insert(address);
                    }
                    // An address that DNS64 made up is not the server's.
                    IpAddr::V6(address)
                        if prefixes
                            .iter()
                            .any(|prefix| prefix.unmap(address).is_some()) => {}
                    IpAddr::V6(address) => {
                        server.v6.insert(address);
                    }
                }
            }
            server
        }))
        .await
    }

    /// Addresses that only the zone above knows, because the questions for them fail here, are better than none.
    async fn use_glue(
        &self,
        name_servers: &mut [NameServer],
        referral: &Referral,
        apex: &Name,
        asked: &Name,
    ) {
        let mut found = Vec::new();
        for server in name_servers {
            let mut extra = NameServer {
                name: server.name.clone(),
                v4: BTreeSet::new(),
                v6: BTreeSet::new(),
                v6_known: true,
            };
            for (name, address) in &referral.glue {
                match address {
                    _ if *name != server.name => {}
                    IpAddr::V4(address) if server.v4.is_empty() => {
                        extra.v4.insert(*address);
                    }
                    IpAddr::V6(address) if server.v6.is_empty() && !server.v6_known => {
                        extra.v6.insert(*address);
                    }
                    _ => {}
                }
            }
            server.v4.extend(&extra.v4);
            server.v6.extend(&extra.v6);
            found.push(extra);
        }
        join_all(
            found
                .iter()
                .map(|server| self.ask_authoritative(server, apex, asked)),
        )
        .await;
    }

    /// Everything that one authoritative server is asked, at each of its addresses at once.
    async fn ask_authoritative(&self, server: &NameServer, apex: &Name, asked: &Name) {
        let role = Role::Authoritative(server.name.clone());
        join_all(endpoints(server, PER_FAMILY).into_iter().map(|endpoint| {
            let role = role.clone();
            async move {
                let Ok(id) = self.asker.server(Server { role, endpoint }) else {
                    return;
                };
                let tcp = async {
                    let lookup = self
                        .asker
                        .ask_tcp(id, apex, RecordType::SOA, self.asker.patience())
                        .await;
                    self.record(&lookup);
                };
                join3(
                    self.ask_addresses(id, asked),
                    self.ask(id, apex, RecordType::SOA),
                    tcp,
                )
                .await;
            }
        }))
        .await;
    }

    /// What the zone above hands to resolvers that come down from the root.
    async fn referral(&self, resolver: ServerId, apex: &Name) -> Option<Referral> {
        let above = self.ask(resolver, &apex.parent()?, RecordType::SOA).await;
        let above = cut_of(&above)?;
        let servers = self.name_servers(resolver, &above.apex, PARENTS).await;
        let asked = servers.iter().flat_map(|server| {
            let role = Role::Parent(server.name.clone());
            endpoints(server, 1)
                .into_iter()
                .map(move |endpoint| self.ask_parent(role.clone(), endpoint, apex))
        });
        // A list of futures of its own, as each borrows what the iterator above made.
        let asked: Vec<_> = asked.collect();
        join_all(asked).await.into_iter().flatten().next()
    }

    async fn ask_parent(
        &self,
        role: Role,
        endpoint: ServerAddress,
        apex: &Name,
    ) -> Option<Referral> {
        let id = self.asker.server(Server { role, endpoint }).ok()?;
        let lookup = self.ask(id, apex, RecordType::NS).await;
        let mut referral = referral_of(&lookup, apex)?;
        // A full UDP answer may leave optional glue out without a word (RFC 2181, section 9).
        let complete = referral.glue.iter().any(|(_, address)| address.is_ipv6());
        if !complete && lookup.transport == Transport::Udp {
            let again = self
                .asker
                .ask_tcp(id, apex, RecordType::NS, self.asker.patience())
                .await;
            self.record(&again);
            if let Some(again) = referral_of(&again, apex) {
                referral.glue.extend(again.glue);
            }
        }
        Some(referral)
    }
}

/// The SOA of an answer, or of the authority section of a negative one, tells where the zone begins.
fn cut_of(lookup: &Lookup) -> Option<Cut> {
    let reply = lookup.reply()?;
    let canonical = reply
        .aliases(&lookup.name)
        .last()
        .cloned()
        .unwrap_or_else(|| lookup.name.clone());
    let apex = soa_owner(reply)?;
    canonical.is_subdomain_of(&apex).then_some(Cut {
        resolver: lookup.server,
        apex,
        canonical,
    })
}

fn soa_owner(reply: &Reply) -> Option<Name> {
    reply
        .answers
        .iter()
        .chain(&reply.authority)
        .find(|record| record.rtype() == RecordType::SOA)
        .map(|record| record.owner.clone())
}

/// A referral has no answer, and the zone's NS set in its authority section; an answer means that the server serves the
/// zone itself, and then its additional section is no glue.
fn referral_of(lookup: &Lookup, apex: &Name) -> Option<Referral> {
    let reply = lookup.success()?;
    let refers = reply
        .authority
        .iter()
        .any(|record| record.owner == *apex && record.rtype() == RecordType::NS);
    if !reply.answers.is_empty() || reply.authoritative || !refers {
        return None;
    }
    Some(Referral {
        from: lookup.server,
        at: lookup.at,
        glue: reply
            .additional
            .iter()
            .filter_map(|record| Some((record.owner.clone(), record.data.address()?)))
            .collect(),
    })
}

/// Where to ask a server: so many addresses of each family; never special-purpose IPv6, which could be ourselves.
fn endpoints(server: &NameServer, per_family: usize) -> Vec<ServerAddress> {
    let v6 = server
        .v6
        .iter()
        .filter(|address| special_purpose(**address).is_none())
        .take(per_family)
        .map(|address| IpAddr::V6(*address));
    let v4 = server
        .v4
        .iter()
        .take(per_family)
        .map(|address| IpAddr::V4(*address));
    v6.chain(v4)
        .map(|address| ServerAddress::Socket(SocketAddr::new(address, 53)))
        .collect()
}
