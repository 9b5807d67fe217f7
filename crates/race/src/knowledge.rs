//! What the host knows of an address before it is tried: the way to it, and how it went last time.

use crate::config::Config;
use crate::history::{Bounds, Recollection};
use crate::network::{Family, Network, Routes};
use crate::rfc6724::{Memory, Source};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

/// What was known of one address when it came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// How many times the network had changed by then.
    pub network: u32,
    /// The address, as it is dialled.
    pub address: IpAddr,
    /// The source address towards it; `None` when there is no route (C6).
    pub source: Option<Source>,
    /// What is remembered of it (C7).
    pub memory: Memory,
    /// How long to wait for it before the next attempt starts (D2); `None` when nothing is remembered that would say.
    pub attempt_delay: Option<Duration>,
}

/// Where facts come from. Each address is looked up once in a race, so that its facts can be recorded.
#[derive(Default)]
pub(crate) struct Knowledge {
    pub(crate) routes: Option<Box<dyn Routes + Send + Sync>>,
    pub(crate) memory: Option<Recollection>,
    /// Those of networks that are gone are kept: they are part of the record.
    facts: Vec<Fact>,
    given: bool,
    /// How many times the network has changed.
    changes: u32,
}

impl Knowledge {
    /// Facts of a recorded race.
    pub(crate) fn give(&mut self, facts: impl IntoIterator<Item = Fact>) {
        self.facts.extend(facts);
        self.given = true;
    }

    /// The facts that were looked up, or given; none when there was nowhere to look.
    pub(crate) fn facts(&self) -> &[Fact] {
        if self.routes.is_none() && self.memory.is_none() && !self.given {
            &[]
        } else {
            &self.facts
        }
    }

    /// The network is another one: what is remembered is another network's (C9).
    pub(crate) fn network_changed(&mut self) {
        self.memory = None;
        self.routes_changed();
    }

    /// The routes may be others; what is remembered stays.
    pub(crate) const fn routes_changed(&mut self) {
        self.changes = self.changes.saturating_add(1);
    }

    pub(crate) fn about(&mut self, address: IpAddr, network: &Network, config: &Config) -> Fact {
        let looked_up = |fact: &&Fact| fact.address == address && fact.network == self.changes;
        if let Some(fact) = self.facts.iter().find(looked_up) {
            return *fact;
        }
        let source = match &self.routes {
            Some(routes) => routes.source(address),
            None => assumed_source(address, network),
        };
        let memory = self.memory.as_ref();
        let fact = Fact {
            network: self.changes,
            address,
            source,
            memory: memory
                .map(|memory| memory.memory(address))
                .unwrap_or_default(),
            attempt_delay: memory.and_then(|memory| pace(memory, address, config)),
        };
        self.facts.push(fact);
        fact
    }
}

/// D2: what the memory says of the delay after an attempt at `address`.
fn pace(memory: &Recollection, address: IpAddr, config: &Config) -> Option<Duration> {
    let bounds = Bounds {
        default: config.attempt_delay,
        minimum: config.minimum_attempt_delay,
        maximum: config.maximum_attempt_delay,
    };
    let delay = memory.attempt_delay(address, bounds);
    Some(delay).filter(|delay| config.pace_by_round_trip && *delay != config.attempt_delay)
}

/// Without a routing table to ask: a global source address for each family that the network has.
fn assumed_source(address: IpAddr, network: &Network) -> Option<Source> {
    let near = match address {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
    };
    if near {
        return Some(Source::new(address));
    }
    // Any global address would do; without a prefix, so that rule 9 has nothing to compare.
    let source = match Family::of(address) {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    };
    let source = Source {
        prefix_length: 0,
        ..Source::new(source)
    };
    network.has(Family::of(address)).then_some(source)
}
