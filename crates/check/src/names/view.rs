//! What each server said about A and AAAA, condensed from its lookups: what the rules compare.

use super::observation::{Lookup, NamesObservation, Outcome, ServerId};
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use twinstack_dns::client::Transport;
use twinstack_dns::{Rcode, RecordType};

/// How a server treats the questions of one type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    /// Not asked, or no route there from here.
    Unknown,
    /// Addresses; from several answers of one server, all of them.
    Addresses(BTreeSet<IpAddr>),
    /// NOERROR and an alias that leads out of what this server knows.
    Alias,
    /// NOERROR without records.
    Nothing,
    /// Anything but a proper answer.
    Broken(Breakage),
}

impl Told {
    /// A proper answer, with or without addresses.
    pub(super) const fn is_fine(&self) -> bool {
        matches!(self, Self::Addresses(_) | Self::Alias | Self::Nothing)
    }

    /// NXDOMAIN.
    pub(super) fn is_no_such_name(&self) -> bool {
        *self == Self::Broken(Breakage::Code(Rcode::NXDOMAIN))
    }
}

/// The ways in which a question goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Breakage {
    /// No answer to any query.
    Dropped,
    /// Over UDP no answer, over TCP one.
    UdpDropped,
    /// A response code other than NOERROR.
    Code(Rcode),
    /// Bytes that are no DNS answer.
    Malformed,
    /// Nobody listens there.
    Unreachable,
}

impl fmt::Display for Breakage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped => f.write_str("dropped"),
            Self::UdpDropped => f.write_str("dropped over UDP"),
            Self::Code(rcode) => write!(f, "answered with {rcode}"),
            Self::Malformed => f.write_str("answered with bytes that are no DNS message"),
            Self::Unreachable => f.write_str("refused by the host"),
        }
    }
}

/// One server's word about both types.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) server: ServerId,
    pub(super) authoritative: bool,
    pub(super) a: Told,
    pub(super) aaaa: Told,
    /// Whether this server's own answers for A, or for AAAA, differ from one to the next.
    pub(super) rotates: bool,
}

impl View {
    /// What was told about a type.
    pub(super) const fn told(&self, family: Kind) -> &Told {
        match family {
            Kind::A => &self.a,
            Kind::Aaaa => &self.aaaa,
        }
    }

    pub(super) fn v6(&self) -> BTreeSet<Ipv6Addr> {
        v6_of(&self.aaaa)
    }
}

/// A or AAAA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    A,
    Aaaa,
}

impl Kind {
    pub(super) const fn rtype(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::A => Self::Aaaa,
            Self::Aaaa => Self::A,
        }
    }
}

/// The views of all resolvers and authoritative servers on the name, in the order of the servers.
///
/// A server of the zone that only holds an alias of the name says `Alias` and takes no part in comparing addresses.
pub(super) fn views(names: &NamesObservation) -> Vec<View> {
    (0..names.servers.len())
        .map(ServerId)
        .filter_map(|id| {
            let server = names.server(id)?;
            if !server.is_resolver() && !server.is_authoritative() {
                return None;
            }
            let authoritative = server.is_authoritative();
            let asked = |rtype| -> Vec<&Lookup> { names.about(id, rtype).collect() };
            let (a, aaaa) = (asked(RecordType::A), asked(RecordType::AAAA));
            Some(View {
                server: id,
                authoritative,
                a: told(&a, authoritative),
                aaaa: told(&aaaa, authoritative),
                rotates: rotates(&a) || rotates(&aaaa),
            })
        })
        .collect()
}

fn told(lookups: &[&Lookup], authoritative: bool) -> Told {
    let over = |udp: bool| {
        lookups
            .iter()
            .copied()
            .filter(move |lookup| (lookup.transport != Transport::Tcp) == udp)
    };
    // TCP is only the second opinion on silence over UDP.
    match merged(over(true), authoritative) {
        Told::Broken(Breakage::Dropped) => match merged(over(false), authoritative) {
            fine if fine.is_fine() => Told::Broken(Breakage::UdpDropped),
            _ => Told::Broken(Breakage::Dropped),
        },
        told => told,
    }
}

/// The best of several answers: one proper answer outweighs any number of lost ones.
fn merged<'a>(lookups: impl Iterator<Item = &'a Lookup>, authoritative: bool) -> Told {
    let mut addresses = BTreeSet::new();
    let (mut nothing, mut alias, mut broken) = (false, false, None);
    for lookup in lookups {
        match &lookup.outcome {
            Outcome::Reply(reply) if reply.rcode == Rcode::NOERROR => {
                let found = lookup.addresses();
                if !found.is_empty() {
                    addresses.extend(found);
                } else if authoritative && (reply.is_referral() || !reply.authoritative) {
                    // A lame server: it is in the NS set and does not serve the zone.
                } else if reply.aliases(&lookup.name).is_empty() || reply.negative_ttl().is_some() {
                    nothing = true;
                } else {
                    alias = true;
                }
            }
            Outcome::Reply(reply) => broken = Some(Breakage::Code(reply.rcode)),
            Outcome::Silent => broken = broken.or(Some(Breakage::Dropped)),
            Outcome::Malformed(_) => broken = Some(Breakage::Malformed),
            // Neither says anything about a type.
            Outcome::Unreachable(_) | Outcome::Untrusted(_) => {
                broken = broken.or(Some(Breakage::Unreachable));
            }
            Outcome::NoRoute => {}
        }
    }
    if !addresses.is_empty() {
        Told::Addresses(addresses)
    } else if let Some(breakage @ Breakage::Code(Rcode::NXDOMAIN)) = broken {
        // NXDOMAIN once is enough: a server that mixes it with other answers is broken all the same.
        Told::Broken(breakage)
    } else if nothing {
        Told::Nothing
    } else if alias {
        Told::Alias
    } else {
        broken.map_or(Told::Unknown, Told::Broken)
    }
}

fn rotates(lookups: &[&Lookup]) -> bool {
    let mut sets = lookups
        .iter()
        .filter(|lookup| lookup.success().is_some())
        .map(|lookup| lookup.addresses());
    sets.next()
        .is_some_and(|first| sets.any(|other| other != first))
}

pub(super) fn v6_of(told: &Told) -> BTreeSet<Ipv6Addr> {
    match told {
        Told::Addresses(addresses) => addresses
            .iter()
            .filter_map(|address| match address {
                IpAddr::V6(address) => Some(*address),
                IpAddr::V4(_) => None,
            })
            .collect(),
        _ => BTreeSet::new(),
    }
}

fn v4_of(told: &Told) -> BTreeSet<Ipv4Addr> {
    match told {
        Told::Addresses(addresses) => addresses
            .iter()
            .filter_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            })
            .collect(),
        _ => BTreeSet::new(),
    }
}

/// What is published, by everybody's word together.
#[derive(Clone, Debug, Default)]
pub(super) struct Published {
    pub(super) v4: BTreeSet<Ipv4Addr>,
    /// Without what a resolver made up.
    pub(super) v6: BTreeSet<Ipv6Addr>,
}

/// The union over all servers. An address under a resolver's own prefix counts only if an authoritative server says it too.
pub(super) fn published(names: &NamesObservation, views: &[View]) -> Published {
    let mut published = Published::default();
    let vouched: BTreeSet<Ipv6Addr> = views
        .iter()
        .filter(|view| view.authoritative)
        .flat_map(View::v6)
        .collect();
    for view in views {
        published.v4.extend(v4_of(&view.a));
        published.v6.extend(
            view.v6()
                .into_iter()
                .filter(|address| !names.is_synthesised(*address)),
        );
    }
    published.v6.extend(vouched);
    published
}

/// Whether every server that answered at all says that the name does not exist.
pub(super) fn no_such_name(views: &[View]) -> bool {
    let answered = |told: &Told| told.is_fine() || matches!(told, Told::Broken(Breakage::Code(_)));
    let mut said = views
        .iter()
        .flat_map(|view| [&view.a, &view.aaaa])
        .filter(|told| answered(told))
        .peekable();
    said.peek().is_some() && said.all(Told::is_no_such_name)
}
