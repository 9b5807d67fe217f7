//! What one dial knows when it starts: a plain value, to race with.

use super::{Outcome, RoundTrip};
use crate::network::Family;
use crate::rfc6724::Memory;
use crate::time::Instant;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// The default of the attempt delay and its bounds (D2, D4, D5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// When nothing is known of the address.
    pub default: Duration,
    /// Never less.
    pub minimum: Duration,
    /// Never more.
    pub maximum: Duration,
}

/// When an address was last tried, and how that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Last {
    /// When the dial was over.
    pub at: Instant,
    /// How the attempt ended.
    pub outcome: Outcome,
}

/// Which facts a dial was started with: those that were born together at some time, or none.
///
/// The default is none, for what was found out without a recollection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Era(pub(super) Option<Instant>);

/// What is known of a host's addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recollection {
    era: Era,
    known: Vec<Known>,
    probed: Option<IpAddr>,
    silent_family: Option<Family>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) address: IpAddr,
    pub(super) memory: Memory,
    pub(super) round_trip: Option<RoundTrip>,
    pub(super) last: Last,
}

impl Recollection {
    pub(super) const fn new(
        era: Era,
        known: Vec<Known>,
        probed: Option<IpAddr>,
        silent_family: Option<Family>,
    ) -> Self {
        Self {
            era,
            known,
            probed,
            silent_family,
        }
    }

    /// To be handed to [`History::learn`](super::History::learn) with what the dial found out.
    pub const fn era(&self) -> Era {
        self.era
    }

    /// Nothing is known.
    pub const fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What sorting uses (C7). An address that [went silent](Memory::silent) goes behind all others, of both families.
    ///
    /// An address that was never tried counts as silent when every tried one of its family is, and the other family
    /// connects: names with many addresses would else be found dead one address at a time.
    pub fn memory(&self, address: IpAddr) -> Memory {
        match self.find(address) {
            Some(known) => known.memory,
            None => Memory {
                silent: self.silent_family == Some(Family::of(address)),
                ..Memory::default()
            },
        }
    }

    /// The address that this dial tries again although it went silent before; it ignores all other memories for that.
    pub const fn probed(&self) -> Option<IpAddr> {
        self.probed
    }

    /// How the last attempt at an address ended.
    pub fn last(&self, address: IpAddr) -> Option<Last> {
        self.find(address).map(|known| known.last)
    }

    /// The round-trip time to an address.
    pub fn round_trip(&self, address: IpAddr) -> Option<RoundTrip> {
        self.find(address).and_then(|known| known.round_trip)
    }

    /// How long to wait for `address`, once started, before the next attempt starts (D2).
    ///
    /// With a known round trip, the time at which its first packet would be repeated. An address that went silent gets the
    /// minimum: another silence is likely, and costs the user less that way. Always within the bounds.
    pub fn attempt_delay(&self, address: IpAddr, bounds: Bounds) -> Duration {
        let suspect = self.probed == Some(address) || self.memory(address).silent;
        let wanted = match self.round_trip(address) {
            _ if suspect => bounds.minimum,
            Some(time) => time.retransmit_after(),
            None => bounds.default,
        };
        wanted.min(bounds.maximum).max(bounds.minimum)
    }

    fn find(&self, address: IpAddr) -> Option<&Known> {
        self.known.iter().find(|known| known.address == address)
    }
}
