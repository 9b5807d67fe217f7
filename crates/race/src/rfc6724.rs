//! Destination address selection: which of two addresses goes first, and why (RFC 6724, section 6).
//!
//! A [`Rank`] is made once per address, from what the caller knows of its route; ranks are then only compared. Every
//! rule is a comparison of one value per address, so the order is a total preorder by construction: it cannot be
//! inconsistent, whatever the input. Where the text of the RFC compares pairs in a way that is not transitive, the
//! departure is written beside the rule (4, 9, and the two that a client with a memory adds).
//!
//! Not here: which source address goes with a destination (section 5). The routing table knows; the caller asks it.

mod policy;
mod reason;
mod scope;
#[cfg(test)]
mod tests;

pub use policy::{Policy, PolicyError, PolicyTable};
pub use reason::{Reason, Rule};
pub use scope::Scope;

use alloc::vec::Vec;
use core::cmp::{Ordering, Reverse};
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;

/// The source address that the host would use towards a destination, and what the rules need to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The address.
    pub address: IpAddr,
    /// How many leading bits of it are the prefix of its link, at most 32 or 128. Rule 9 looks at no more than these.
    pub prefix_length: u8,
    /// Its preferred lifetime is over (rule 3).
    pub deprecated: bool,
    /// What mobility has made of it (rule 4); [`Mobility::None`] on nearly every host.
    pub mobility: Mobility,
    /// Packets from it travel natively or inside other packets (rule 7).
    pub interface: Interface,
}

impl Source {
    /// An ordinary address: preferred, native, not mobile, with the usual prefix of a link (64 bits, or 24 of IPv4).
    pub const fn new(address: IpAddr) -> Self {
        let prefix_length = match address {
            IpAddr::V4(_) => 24,
            IpAddr::V6(_) => 64,
        };
        Self {
            address,
            prefix_length,
            deprecated: false,
            mobility: Mobility::None,
            interface: Interface::Native,
        }
    }
}

/// What Mobile IPv6 has made of a source address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mobility {
    /// The host has nothing to do with it.
    #[default]
    None,
    /// A home address while the host is away.
    Home,
    /// A care-of address.
    CareOf,
    /// Both at once: the host is at home.
    HomeAndCareOf,
}

/// How packets leave by the source's interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interface {
    /// As they are.
    #[default]
    Native,
    /// Inside other packets: 6to4, Teredo, a tunnel.
    Encapsulated,
}

/// What the caller remembers of a destination (C7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// It recently gave no answer although another address of the same dial did: rule 1, "known to be unreachable".
    pub silent: bool,
    /// The round-trip time to expect.
    pub round_trip: Option<Duration>,
    /// A connection to it was made before.
    pub used: bool,
}

/// Everything that the rules compare, worked out once for one destination.
///
/// The order of ranks is the order of preference: the smallest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is the answer to the question of one rule"
)]
pub struct Rank {
    destination: IpAddr,
    reach: Reach,
    scopes_match: bool,
    deprecated: bool,
    mobility: Mobility,
    labels_match: bool,
    precedence: u8,
    interface: Interface,
    scope: Scope,
    round_trip: Option<u64>,
    used: bool,
    common_prefix: u8,
}

/// Whether a destination can be reached at all, best first (rule 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Usable,
    Silent,
    NoSource,
}

impl Rank {
    /// Ranks `destination`, which the host would reach from `source`; `None` when it has no route or no address for it.
    pub fn new(
        destination: IpAddr,
        source: Option<&Source>,
        memory: Memory,
        policy: &PolicyTable,
    ) -> Self {
        let destination = canonical(destination);
        let (precedence, label) = policy.lookup(destination);
        let scope = Scope::of(destination);
        let reach = match source {
            None => Reach::NoSource,
            Some(_) if memory.silent => Reach::Silent,
            Some(_) => Reach::Usable,
        };
        let from = source.map(|source| canonical(source.address));
        Self {
            destination,
            reach,
            scopes_match: from.is_some_and(|from| Scope::of(from) == scope),
            deprecated: source.is_some_and(|source| source.deprecated),
            mobility: source.map_or(Mobility::None, |source| source.mobility),
            labels_match: from.is_some_and(|from| policy.lookup(from).1 == label),
            precedence,
            interface: source.map_or(Interface::Native, |source| source.interface),
            scope,
            // Whole milliseconds: less is noise, and would reorder addresses from one dial to the next.
            round_trip: memory
                .round_trip
                .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
            used: memory.used,
            common_prefix: source.map_or(0, |source| common_prefix(source, destination)),
        }
    }

    /// The destination, with an IPv4-mapped IPv6 address turned into the IPv4 address that it stands for.
    pub const fn destination(&self) -> IpAddr {
        self.destination
    }

    /// `Less` when `self` goes first, `Equal` when no rule tells the two apart and they stay as they came.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.decide(other)
            .map_or(Ordering::Equal, |(_, ordering)| ordering)
    }

    /// Which rule decides between the two, and how.
    fn decide(&self, other: &Self) -> Option<(Rule, Ordering)> {
        // `Less` means that `self` goes first. The order is RFC 6724, section 6, with C7 between rules 8 and 9.
        let rules = [
            (Rule::AvoidUnusable, self.reach.cmp(&other.reach)),
            (
                Rule::MatchingScope,
                prefer(self.scopes_match, other.scopes_match),
            ),
            (
                Rule::AvoidDeprecated,
                self.deprecated.cmp(&other.deprecated),
            ),
            (
                Rule::HomeAddress,
                self.mobility.place().cmp(&other.mobility.place()),
            ),
            (
                Rule::MatchingLabel,
                prefer(self.labels_match, other.labels_match),
            ),
            (
                Rule::HigherPrecedence,
                other.precedence.cmp(&self.precedence),
            ),
            (
                Rule::NativeTransport,
                self.encapsulated().cmp(&other.encapsulated()),
            ),
            (Rule::SmallerScope, self.scope.cmp(&other.scope)),
            (Rule::LowerRoundTrip, self.expected().cmp(&other.expected())),
            (Rule::UsedBefore, prefer(self.used, other.used)),
            (
                Rule::SameFamily,
                self.destination.is_ipv4().cmp(&other.destination.is_ipv4()),
            ),
            (
                Rule::LongestPrefix,
                other.common_prefix.cmp(&self.common_prefix),
            ),
        ];
        rules.into_iter().find(|(_, ordering)| ordering.is_ne())
    }

    /// Why `self` goes before `other`, or after it, or (rule 10) why the two stay as they came.
    pub fn explain(&self, other: &Self) -> Reason {
        match self.decide(other) {
            Some((rule, Ordering::Greater)) => Reason::new(rule, *other, *self),
            Some((rule, _)) => Reason::new(rule, *self, *other),
            None => Reason::new(Rule::LeaveUnchanged, *self, *other),
        }
    }

    const fn encapsulated(&self) -> bool {
        matches!(self.interface, Interface::Encapsulated)
    }

    /// Deviation: C7 says nothing of an address without a known time. It goes after those with one: "unknown is equal to
    /// everything" is not transitive, and the next rule (used before) would say the same.
    const fn expected(&self) -> (bool, u64) {
        match self.round_trip {
            Some(time) => (false, time),
            None => (true, 0),
        }
    }
}

/// Sorts `items` by rank, best first; items that no rule tells apart keep their order (rule 10).
///
/// The ranks are what is moved: keep an index beside each and nothing else is allocated per address.
pub fn sort_by_rank<T>(items: &mut [T], rank: impl Fn(&T) -> &Rank) {
    items.sort_by(|a, b| rank(a).compare(rank(b)));
}

/// The order of destinations: indices into `ranks`, best first.
pub fn order(ranks: &[Rank]) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..ranks.len()).collect();
    indices.sort_by(|&a, &b| match (ranks.get(a), ranks.get(b)) {
        (Some(a), Some(b)) => a.compare(b),
        _ => Ordering::Equal,
    });
    indices
}

impl Mobility {
    /// Deviation: the RFC leaves an ordinary address undecided against both a home and a care-of address, yet prefers
    /// home to care-of, which is not transitive. Here an ordinary address counts as a home address.
    const fn place(self) -> u8 {
        match self {
            Self::HomeAndCareOf => 0,
            Self::None | Self::Home => 1,
            Self::CareOf => 2,
        }
    }
}

/// True goes first.
fn prefer(this: bool, other: bool) -> Ordering {
    Reverse(this).cmp(&Reverse(other))
}

/// An IPv4-mapped IPv6 address is the IPv4 address (RFC 6724, section 3.2).
const fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

/// How many leading bits the two share, not counting bits beyond the prefix of the source (RFC 6724, section 2.2).
fn common_prefix(source: &Source, destination: IpAddr) -> u8 {
    let shared = match (canonical(source.address), destination) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => 0,
    };
    u8::try_from(shared)
        .unwrap_or(u8::MAX)
        .min(source.prefix_length)
}

/// An address as the policy table sees it: IPv4 as IPv4-mapped IPv6.
pub(crate) const fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
