//! Service records: which of them can be used, and for what (RFC 9460).

use super::Scene;
use crate::answer::{Answer, AnswerData, ServiceRecord};
use crate::chance::draw;
use crate::config::EchUse;
use crate::endpoint::{Alpn, Ech, Protocol};
use crate::name::Name;
use crate::target::{Offer, Service};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

/// How many service records of an answer are looked at.
const MAX_SERVICES: usize = 32;
/// How many aliases are followed, one after the other (RFC 9460, section 3: chains are to be limited).
const MAX_ALIASES: usize = 8;

/// What is known of the services of the target.
///
/// The answers are kept by name, and everything else is worked out from them: so that the order in which they came in
/// cannot matter.
#[derive(Debug, Default)]
pub(crate) struct Services {
    /// The names that were asked for, that of the target first.
    links: Vec<Link>,
    /// There was an answer, or there will be none.
    pub(crate) settled: bool,
    /// The question failed: nothing is known, not even that there is nothing (F2).
    pub(crate) failed: bool,
    /// In the order in which they are to be tried.
    pub(crate) entries: Vec<ServiceEntry>,
    /// The last name that an alias led to.
    pub(crate) alias: Option<Name>,
    /// The name of service records that has to be asked for next (B7).
    pub(crate) follow: Option<Name>,
}

/// A name that was asked for service records.
#[derive(Debug)]
struct Link {
    name: Name,
    known: Known,
}

/// What is known of a name's service records.
#[derive(Debug)]
enum Known {
    Nothing,
    Records(Arc<[ServiceRecord]>),
    Failed,
}

/// A service that the caller can use, or one that forbids the addresses of its name to it.
#[derive(Debug)]
pub(crate) struct ServiceEntry {
    pub(crate) name: Name,
    /// `None` for the end of an alias without records of its own.
    pub(crate) priority: Option<u16>,
    pub(crate) port: Option<u16>,
    pub(crate) ech: Option<Ech>,
    pub(crate) v6_hints: Vec<Ipv6Addr>,
    pub(crate) v4_hints: Vec<Ipv4Addr>,
    /// Bit n: the service takes the n-th of the caller's offers. None set: nothing of it may be tried (C12).
    pub(crate) offers: u32,
    shuffle: u64,
}

impl Services {
    /// Whether anything was asked.
    pub(crate) const fn is_asked(&self) -> bool {
        !self.links.is_empty()
    }

    /// `name` is being asked for.
    pub(super) fn ask(&mut self, name: &Name) {
        self.follow = None;
        if self.link(name).is_none() {
            self.links.push(Link {
                name: name.clone(),
                known: Known::Nothing,
            });
        }
    }

    fn link(&mut self, name: &Name) -> Option<&mut Link> {
        self.links.iter_mut().find(|link| link.name == *name)
    }

    /// Takes the answer for `name`.
    pub(super) fn take(&mut self, scene: Scene<'_>, name: &Name, answer: &Answer) {
        if let Some(link) = self.link(name) {
            link.known = Known::Records(match &answer.data {
                AnswerData::Services(records) => Arc::clone(records),
                _ => Vec::new().into(),
            });
        }
        self.work_out(scene);
    }

    /// The question for `name` failed.
    pub(super) fn fail(&mut self, scene: Scene<'_>, name: &Name) {
        if let Some(link) = self.link(name) {
            link.known = Known::Failed;
        }
        self.work_out(scene);
    }

    /// Follows the aliases, and makes the services of what is at their end.
    fn work_out(&mut self, scene: Scene<'_>) {
        (self.settled, self.failed, self.alias, self.follow) = (false, false, None, None);
        self.entries.clear();
        let Some(mut at) = self.links.first() else {
            return;
        };
        let mut seen = Vec::new();
        let records = loop {
            seen.push(&at.name);
            let records = match &at.known {
                Known::Nothing => return,
                Known::Failed => {
                    self.failed = true;
                    break &[][..];
                }
                Known::Records(records) => records.get(..MAX_SERVICES).unwrap_or(records),
            };
            let Some(alias) = alias(scene, records) else {
                break records;
            };
            let limit = MAX_ALIASES.min(scene.config.names.saturating_sub(1));
            if seen.contains(&alias) || seen.len() > limit {
                break records;
            }
            self.alias = Some(alias.clone());
            let Some(link) = self.links.iter().find(|link| link.name == *alias) else {
                self.follow = Some(alias.clone());
                return;
            };
            at = link;
        };
        self.settled = true;
        let usable = records.iter().filter(|record| !record.is_alias());
        self.entries
            .extend(usable.filter_map(|record| entry(scene, &at.name, record)));
        if self.entries.is_empty() {
            self.end_of_alias(scene);
        }
        // C3, C4: by priority; equal ones in an order that the seed decides. C1: those with ECH first, when it matters.
        let ech_first = scene.config.ech == EchUse::Rely;
        self.entries.sort_by_key(|entry| {
            let priority = entry.priority.unwrap_or(u16::MAX);
            (ech_first && entry.ech.is_none(), priority, entry.shuffle)
        });
    }

    /// RFC 9460, section 3: an alias that leads to a name without service records leads to that name as it is.
    fn end_of_alias(&mut self, scene: Scene<'_>) {
        if let Some(name) = self.alias.clone() {
            self.entries = vec![ServiceEntry {
                name,
                priority: None,
                port: None,
                ech: None,
                v6_hints: Vec::new(),
                v4_hints: Vec::new(),
                offers: without_record(&scene.target.offers),
                shuffle: 0,
            }];
        }
    }

    /// The services that are to be tried before all others: every one of the best priority.
    pub(crate) fn best(&self) -> impl Iterator<Item = &ServiceEntry> {
        let usable = || self.entries.iter().filter(|entry| entry.offers != 0);
        let best = usable()
            .next()
            .map(|entry| (entry.priority, entry.ech.is_some()));
        usable().take_while(move |entry| Some((entry.priority, entry.ech.is_some())) == best)
    }
}

/// RFC 9460, section 2.4.1: with an alias among the records, the others are ignored; of several, any will do.
fn alias<'a>(scene: Scene<'_>, records: &'a [ServiceRecord]) -> Option<&'a Name> {
    let aliases = records.iter().filter(|record| record.is_alias());
    // Section 2.5.1: an alias to "." says that there is no service, which is no reason not to try.
    let names = aliases.filter_map(|record| record.target.as_ref());
    names.min_by_key(|name| draw(scene.seed, name.bare().as_bytes(), 0))
}

/// What a record means to the caller; `None` when it has to be ignored.
fn entry(scene: Scene<'_>, owner: &Name, record: &ServiceRecord) -> Option<ServiceEntry> {
    // RFC 9460, section 8: a record with a mandatory key that is not understood is ignored. Known are the keys 1 to 6.
    let ech_key = 5;
    let understood = |key: &u16| match *key {
        key if key == ech_key => scene.config.ech != EchUse::Off,
        key => (1..=6).contains(&key),
    };
    if !record.mandatory.iter().all(understood) {
        return None;
    }
    let name = record.target.clone().unwrap_or_else(|| owner.clone());
    // Only the place of records that the shuffle shall tell apart.
    let extra = record.port.map_or(0, |port| u64::from(port) + 1);
    Some(ServiceEntry {
        priority: Some(record.priority),
        port: record.port,
        ech: record
            .ech
            .clone()
            .filter(|_| scene.config.ech != EchUse::Off),
        v6_hints: record.ipv6_hints.clone(),
        v4_hints: record.ipv4_hints.clone(),
        offers: compatible(scene, record),
        shuffle: draw(scene.seed, name.bare().as_bytes(), extra),
        name,
    })
}

/// C12: which of the caller's offers the service takes (RFC 9460, section 7.1.2).
fn compatible(scene: Scene<'_>, record: &ServiceRecord) -> u32 {
    let default: Vec<Alpn> = if record.no_default_alpn {
        Vec::new()
    } else {
        scene.target.default_alpn()
    };
    let named = record.alpn.as_deref().unwrap_or_default();
    let https = scene.target.service == Service::Https;
    let takes = |offer: &Offer| {
        if offer.protocol == Protocol::Tcp && https {
            // RFC 9460, section 9.5: an HTTPS record says that cleartext is not to be used.
            return false;
        }
        if offer.alpn.is_empty() {
            return !offer.needs_record || (named.is_empty() && default.is_empty());
        }
        offer
            .alpn
            .iter()
            .any(|id| named.contains(id) || default.contains(id))
    };
    bits(&scene.target.offers, takes)
}

/// The offers that may be tried where no service record speaks of them.
pub(crate) fn without_record(offers: &[Offer]) -> u32 {
    bits(offers, |offer| !offer.needs_record)
}

fn bits(offers: &[Offer], takes: impl Fn(&Offer) -> bool) -> u32 {
    let mut bits = 0;
    for (index, offer) in offers.iter().take(32).enumerate() {
        if takes(offer) {
            bits |= 1 << index;
        }
    }
    bits
}
