//! Which endpoint goes before which, and why (C).
//!
//! The list is always that of everything known, with what was already tried (G1): whoever comes next is the first of it
//! that was not. It is made anew when something that it depends on has changed, and never patched.
//!
//! Services, best first (C3), are the outer order. Inside a service RFC 6724 sorts (C6), then families and protocols
//! take turns (C11).

mod turns;

use crate::config::{Config, EchUse, ProtocolOrder};
use crate::endpoint::Protocol;
use crate::knowledge::Knowledge;
use crate::network::{Family, Network};
use crate::race::Attempt;
use crate::resolve::{NameEntry, Resolve, ServiceEntry, without_record};
use crate::rfc6724::{Rank, Reason};
use crate::target::{Host, Target};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use turns::{Group, chosen, take_turns};

/// Why an endpoint stands where it stands in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its place in the complete list, from 1, as the list was when the attempt started. Addresses that come late, or
    /// leave, shift it.
    pub position: u32,
    /// The priority of its service (C3); `None` when it belongs to no service record (C5).
    pub priority: Option<u16>,
    /// What decided its place among the endpoints of its service.
    pub place: Place,
}

/// What decided the place of an endpoint among those of the same service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// There is no other.
    Only,
    /// The order of RFC 6724: what separates it from its neighbour in the sorted list.
    Sorted(Reason),
    /// It is of the family that the caller prefers (B4).
    Preferred,
    /// It was the turn of its family (C11).
    FamilyTurn,
    /// It was the turn of its protocol (C2).
    ProtocolTurn,
    /// It was tried before with another ECH configuration (E7).
    Retry,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(priority) = self.priority {
            write!(f, "service {priority}, ")?;
        }
        match &self.place {
            Place::Only => f.write_str("the only one"),
            Place::Sorted(reason) => reason.fmt(f),
            Place::Preferred => f.write_str("preferred family"),
            Place::FamilyTurn => f.write_str("turn of the family"),
            Place::ProtocolTurn => f.write_str("turn of the protocol"),
            Place::Retry => f.write_str("once more"),
        }
    }
}

/// The endpoints that are known, in the order in which they are to be tried.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) entries: Vec<Entry>,
    destinations: Vec<Destination>,
    groups: Vec<Group>,
}

/// An endpoint that may be tried.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    /// Which of the caller's offers.
    pub(crate) offer: usize,
    destination: usize,
    place: Decided,
}

/// [`Place`], without the reasons that are only looked up when somebody wants to see them.
#[derive(Clone, Copy, Debug)]
enum Decided {
    Only,
    /// By the sorting rules, against this other destination.
    Sorted(usize),
    Preferred,
    FamilyTurn,
    ProtocolTurn,
}

/// An address inside a group.
#[derive(Clone, Copy, Debug)]
struct Destination {
    /// What is dialled.
    address: IpAddr,
    /// What NAT64 makes of it.
    translated: Option<Ipv4Addr>,
    rank: Rank,
    class: Class,
    /// Index into the names; `None` for a literal.
    name: Option<usize>,
    /// Index into the services.
    service: Option<usize>,
    /// It was tried, and then the answers changed (G2). It keeps its turn, so that the other family gets the next one.
    gone: bool,
}

/// Where addresses come from.
#[derive(Clone, Copy)]
struct Origin {
    name: Option<usize>,
    service: Option<usize>,
    gone: bool,
}

/// Families take turns among addresses of one class only: what is dead anyway does not get a turn before what is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Usable,
    Silent,
    NoRoute,
}

impl Destination {
    /// The family as it was before NAT64.
    const fn family(&self) -> Family {
        match self.translated {
            Some(_) => Family::V4,
            None => Family::of(self.address),
        }
    }
}

/// Everything that the order depends on.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) target: &'a Target,
    pub(crate) config: &'a Config,
    pub(crate) network: &'a Network,
    pub(crate) resolve: &'a Resolve,
    /// The attempts on this network.
    pub(crate) tried: &'a [Attempt],
}

impl List {
    /// Makes the list anew.
    pub(crate) fn make(&mut self, known: Known<'_>, knowledge: &mut Knowledge) {
        self.entries.clear();
        self.destinations.clear();
        self.groups.clear();
        let scope = match known.target.host {
            Host::Address { address, scope } => {
                let origin = Origin {
                    name: None,
                    service: None,
                    gone: false,
                };
                self.add(known, knowledge, [address], origin);
                self.group(0, known.target.port, without_record(&known.target.offers));
                scope
            }
            Host::Name(_) => {
                self.services(known, knowledge);
                self.rest(known, knowledge);
                0
            }
        };
        let all = u32::MAX;
        match known.config.protocols {
            ProtocolOrder::Interleaved => self.line_up(known, all),
            // C1: a protocol that matters to the caller makes a group of its own, around the services.
            ProtocolOrder::Grouped => {
                for (offer, _) in chosen(known.target, all) {
                    self.line_up(known, 1 << offer);
                }
            }
        }
        self.drop_repeated();
        if scope != 0 {
            for entry in &mut self.entries {
                if let SocketAddr::V6(v6) = entry.address {
                    entry.address = SocketAddrV6::new(*v6.ip(), v6.port(), 0, scope).into();
                }
            }
        }
    }

    /// Appends the endpoints of every group, with those of the caller's offers whose bit is set.
    fn line_up(&mut self, known: Known<'_>, offers: u32) {
        for group in &self.groups {
            let group = Group {
                offers: group.offers & offers,
                ..group.clone()
            };
            let (target, config) = (known.target, known.config);
            take_turns(
                target,
                config,
                &self.destinations,
                &group,
                &mut self.entries,
            );
        }
    }

    /// An address that belongs to two services is tried once with each protocol, for the better service.
    fn drop_repeated(&mut self) {
        let mut kept = 0;
        for index in 0..self.entries.len() {
            let entry = self.entries[index];
            let gone = |entry: &Entry| {
                self.destinations
                    .get(entry.destination)
                    .is_some_and(|found| found.gone)
            };
            let repeated = self.entries[..kept].iter().any(|other| {
                (other.address, other.protocol) == (entry.address, entry.protocol) && !gone(other)
            });
            if !repeated {
                self.entries[kept] = entry;
                kept += 1;
            }
        }
        self.entries.truncate(kept);
    }

    /// C3: the services, which are sorted already.
    fn services(&mut self, known: Known<'_>, knowledge: &mut Knowledge) {
        for (index, service) in known.resolve.services.entries.iter().enumerate() {
            let Some((name, entry)) = known.resolve.entry(&service.name) else {
                continue;
            };
            if service.offers == 0 {
                continue;
            }
            let start = self.destinations.len();
            let origin = Origin {
                name: Some(name),
                service: Some(index),
                gone: false,
            };
            self.add_tried(known, knowledge, entry, origin);
            for family in [Family::V6, Family::V4] {
                let answers = entry.slot(family).addresses().iter().copied();
                self.add(known, knowledge, answers, origin);
                // B5, G3: hints count until the answer for this name and family is there.
                if !hinted(entry, family) {
                    continue;
                }
                match family {
                    Family::V6 => {
                        let hints = service.v6_hints.iter().map(|&hint| IpAddr::V6(hint));
                        self.add(known, knowledge, hints, origin);
                    }
                    Family::V4 => {
                        let hints = service.v4_hints.iter().map(|&hint| IpAddr::V4(hint));
                        self.add(known, knowledge, hints, origin);
                    }
                }
            }
            let port = service.port.unwrap_or(known.target.port);
            self.group(start, port, service.offers);
        }
    }

    /// C5: the addresses of the name itself, when no service lays claim to them, go last.
    fn rest(&mut self, known: Known<'_>, knowledge: &mut Knowledge) {
        let Some(entry) = known.resolve.names.first() else {
            return;
        };
        let services = &known.resolve.services.entries;
        let claimed = services.iter().any(|service| service.name == entry.name);
        // RFC 9848, section 5.1: who relies on ECH does not fall back to where there is none.
        let has_ech = |service: &ServiceEntry| service.ech.is_some() && service.offers != 0;
        let reliant = known.config.ech == EchUse::Rely && services.iter().any(has_ech);
        if claimed || reliant {
            return;
        }
        let start = self.destinations.len();
        let origin = Origin {
            name: Some(0),
            service: None,
            gone: false,
        };
        self.add_tried(known, knowledge, entry, origin);
        for family in [Family::V6, Family::V4] {
            let answers = entry.slot(family).addresses().iter().copied();
            self.add(known, knowledge, answers, origin);
        }
        self.group(
            start,
            known.target.port,
            without_record(&known.target.offers),
        );
    }

    /// Adds what was tried of a name, as if it were gone: what is still there is added once more.
    fn add_tried(
        &mut self,
        known: Known<'_>,
        knowledge: &mut Knowledge,
        entry: &NameEntry,
        origin: Origin,
    ) {
        let of_name = |attempt: &&Attempt| {
            attempt
                .endpoint
                .name
                .as_ref()
                .is_some_and(|n| *n == entry.name)
        };
        let tried = known.tried.iter().filter(of_name).map(|attempt| {
            let endpoint = &attempt.endpoint;
            endpoint
                .translated
                .map_or_else(|| endpoint.address.ip(), IpAddr::V4)
        });
        self.add(
            known,
            knowledge,
            tried,
            Origin {
                gone: true,
                ..origin
            },
        );
    }

    /// Adds addresses, as they are to be dialled on this network (N3, N4).
    fn add(
        &mut self,
        known: Known<'_>,
        knowledge: &mut Knowledge,
        addresses: impl IntoIterator<Item = IpAddr>,
        origin: Origin,
    ) {
        let Origin {
            name,
            service,
            gone,
        } = origin;
        let literal = name.is_none();
        for address in addresses {
            let Some((address, translated)) = dialled(known.network, address, literal) else {
                continue;
            };
            let fact = knowledge.about(address, known.network, known.config);
            // N3: a translated address is an IPv4 address to the sorting rules too.
            let sorted = translated.map_or(address, IpAddr::V4);
            let source = fact.source.as_ref();
            let rank = Rank::new(sorted, source, fact.memory, &known.config.policy);
            let class = match (source, fact.memory.silent) {
                (None, _) => Class::NoRoute,
                (Some(_), true) => Class::Silent,
                (Some(_), false) => Class::Usable,
            };
            let destination = Destination {
                address,
                translated,
                rank,
                class,
                name,
                service,
                gone,
            };
            self.destinations.push(destination);
        }
    }

    /// Sorts the destinations from `start` on: they are a group.
    fn group(&mut self, start: usize, port: u16, offers: u32) {
        let group = &mut self.destinations[start..];
        // C6. Stable, and from a canonical order (IPv6 before IPv4, answers before hints): rule 10 means the same
        // whichever answer came first.
        group.sort_by(|one, other| {
            one.class
                .cmp(&other.class)
                .then(one.rank.compare(&other.rank))
        });
        let mut unique = start;
        for index in start..self.destinations.len() {
            let destination = self.destinations[index];
            let seen = &mut self.destinations[start..unique];
            if let Some(seen) = seen
                .iter_mut()
                .find(|seen| seen.address == destination.address)
            {
                // Tried, and still there.
                seen.gone &= destination.gone;
            } else {
                self.destinations[unique] = destination;
                unique += 1;
            }
        }
        self.destinations.truncate(unique);
        self.groups.push(Group {
            members: start..unique,
            port,
            offers,
        });
    }

    /// The first entry that may be tried and was not.
    pub(crate) fn untried(&self, tried: &[Attempt]) -> Option<usize> {
        self.entries.iter().position(|entry| {
            let gone = self
                .destinations
                .get(entry.destination)
                .is_none_or(|found| found.gone);
            let before = |attempt: &Attempt| {
                let endpoint = &attempt.endpoint;
                (endpoint.address, endpoint.protocol) == (entry.address, entry.protocol)
            };
            !gone && !tried.iter().any(before)
        })
    }

    /// Nothing could ever be tried.
    pub(crate) fn is_empty(&self) -> bool {
        self.destinations.iter().all(|destination| destination.gone) || self.entries.is_empty()
    }

    /// Why the entry at `index` stands there.
    pub(crate) fn order(&self, index: usize, resolve: &Resolve) -> Option<Order> {
        let entry = self.entries.get(index)?;
        let destination = self.destinations.get(entry.destination)?;
        let priority = destination
            .service
            .and_then(|service| resolve.services.entries.get(service))
            .and_then(|service| service.priority);
        let place = match entry.place {
            Decided::Only => Place::Only,
            Decided::Preferred => Place::Preferred,
            Decided::FamilyTurn => Place::FamilyTurn,
            Decided::ProtocolTurn => Place::ProtocolTurn,
            Decided::Sorted(other) => {
                let other = self.destinations.get(other)?;
                Place::Sorted(destination.rank.explain(&other.rank))
            }
        };
        let position = u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1);
        Some(Order {
            position,
            priority,
            place,
        })
    }

    /// The IPv4 address behind the entry at `index`, the index of its name, and that of its service.
    pub(crate) fn origin(&self, index: usize) -> (Option<Ipv4Addr>, Option<usize>, Option<usize>) {
        let entry = self.entries.get(index);
        match entry.and_then(|entry| self.destinations.get(entry.destination)) {
            Some(found) => (found.translated, found.name, found.service),
            None => (None, None, None),
        }
    }
}

/// B5: hints of `family` stand in until the answer for their name is there.
pub(crate) const fn hinted(entry: &NameEntry, family: Family) -> bool {
    let slot = entry.slot(family);
    !slot.settled || slot.failed
}

/// What to dial for `address`, and the IPv4 address behind it. `None` when there is no way.
fn dialled(
    network: &Network,
    address: IpAddr,
    literal: bool,
) -> Option<(IpAddr, Option<Ipv4Addr>)> {
    let canonical = match &network.nat64 {
        // N3. A literal is what the user meant.
        Some(nat64) if !literal => nat64.canonical(address),
        _ => address,
    };
    let IpAddr::V4(v4) = canonical else {
        return Some((canonical, None)).filter(|_| network.ipv6 || literal);
    };
    match &network.nat64 {
        Some(nat64) => match nat64.connect_to(v4, network.ipv4) {
            Ok(IpAddr::V4(v4)) => Some((v4.into(), None)),
            Ok(IpAddr::V6(v6)) => Some((v6.into(), Some(v4))),
            // The user asked for this very address: let the system say what is wrong with it.
            Err(_) => Some((canonical, None)).filter(|_| literal),
        },
        None => Some((canonical, None)).filter(|_| network.ipv4 || literal),
    }
}
