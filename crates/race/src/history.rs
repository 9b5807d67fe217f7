//! What earlier dials have told of a host's addresses: round-trip times, outcomes, and paths that swallow packets.
//!
//! A dial asks [`History::recall`] once, races with the [`Recollection`] (a plain value, so that a race stays pure), and
//! hands what happened ([`endings`] reads it from the race's timeline) to [`History::learn`].
//!
//! Invariants:
//!
//! - Nothing crosses a [`Boundary`]: not the facts (C8, C9), nor which facts were evicted, nor the dice. Every partition
//!   has room of its own, and chance is a function of the seed and of what it is for, not a stream that all share.
//! - Nothing is older than [`Settings::lifetime`]. A host's facts have one birthday, that of the first, and go together:
//!   from then on the past before it cannot matter, so that clients with different pasts converge (C10). A time that
//!   every success pushes on would never come, and a dial that still went by the old facts adds nothing to the new ones.
//! - A path that went silent is tried again before that: the first time after one to two [`Settings::probe_after`],
//!   then after twice that and so on. One dial tries, the others wait for what it finds.
//! - The size is bounded in each direction.

mod host;
mod lesson;
mod recollection;
mod round_trip;
#[cfg(test)]
mod tests;

pub use lesson::endings;
pub use recollection::{Bounds, Era, Last, Recollection};
pub use round_trip::RoundTrip;

use crate::time::Instant;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use host::{Chance, Host};

/// Inside which a fact may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Boundary {
    /// The caller's privacy partition, as for cookies: what one top-level site causes, another cannot observe (C8).
    pub partition: u64,
    /// The network context (provisioning domain) (C9).
    pub context: u64,
}

/// Bounds and times of a [`History`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// After which a host's facts are forgotten, counted from the first of them.
    pub lifetime: Duration,
    /// After which a path that went silent is tried again, at the earliest; doubled with every time it stays silent.
    pub probe_after: Duration,
    /// How long an attempt must have waited without any reply to be called silent, at the least. Twice the winner's
    /// round trip is asked for as well.
    pub silence: Duration,
    /// Partitions kept; of more, the one used longest ago is dropped.
    pub partitions: usize,
    /// Hosts (with a port and a context) kept in each partition.
    pub hosts: usize,
    /// Addresses kept of each host.
    pub addresses: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            // RFC 6555, section 4.1: "in the order of ten minutes".
            lifetime: Duration::from_mins(10),
            probe_after: Duration::from_mins(1),
            // The smallest attempt delay that the draft recommends: nobody who keeps to it loses the last address
            // before the winner.
            silence: Duration::from_millis(100),
            partitions: 64,
            hosts: 256,
            addresses: 16,
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It won, or connected and was closed because another had won.
    Connected {
        /// How long the transport's first exchange took, if that was measured. Not the time of a TLS handshake.
        round_trip: Option<Duration>,
    },
    /// Refused, reset, unreachable: an error came back.
    Failed,
    /// Nothing came back until it was cancelled or given up.
    Silent {
        /// How long it ran.
        waited: Duration,
    },
    /// Connected, and then the path swallowed data: what a watchdog finds after the race (P1).
    Stalled,
}

/// An attempt of a dial that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The address.
    pub address: IpAddr,
    /// How it ended.
    pub outcome: Outcome,
}

/// Whether facts of other network contexts survive a change of the network (C9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// They are forgotten.
    Never,
    /// They are kept for the day when the network is back. Only for contexts that the caller recognises for certain.
    WhenRecognised,
}

/// The memory of a client.
#[derive(Clone, Debug)]
pub struct History {
    settings: Settings,
    seed: u64,
    /// Used longest ago first.
    partitions: Vec<Partition>,
}

#[derive(Clone, Debug)]
struct Partition {
    number: u64,
    /// Used longest ago first.
    hosts: Vec<Host>,
}

impl History {
    /// An empty memory. `seed` spreads the re-probes of many clients.
    pub const fn new(settings: Settings, seed: u64) -> Self {
        Self {
            settings,
            seed,
            partitions: Vec::new(),
        }
    }

    /// What is known of a host's addresses, for one dial that starts at `now`.
    ///
    /// This may commit the dial to a re-probe, which is then not asked of the next one.
    pub fn recall(
        &mut self,
        inside: Boundary,
        host: &str,
        port: u16,
        now: Instant,
    ) -> Recollection {
        let (settings, seed) = (self.settings, self.seed);
        let Some(partition) = self.partition(inside.partition) else {
            return Recollection::default();
        };
        let Some(found) = partition.host(inside.context, host, port, now, &settings) else {
            return Recollection::default();
        };
        let chance = Chance {
            seed,
            inside,
            host,
            port,
        };
        found.recall(&settings, chance, now)
    }

    /// Takes in how the attempts of one dial ended.
    ///
    /// `era` is that of the dial's [`Recollection`]. What a dial did by facts that have expired since is not taken in: the
    /// old facts would live on in the new ones (C10).
    ///
    /// A silent attempt counts as a silent path only if another attempt of the same dial connected: when nothing
    /// answers, the network is gone and no path is to blame.
    pub fn learn(
        &mut self,
        inside: Boundary,
        host: &str,
        port: u16,
        era: Era,
        endings: &[Ending],
        now: Instant,
    ) {
        if endings.is_empty() || self.settings.partitions == 0 || self.settings.hosts == 0 {
            return;
        }
        let (settings, seed) = (self.settings, self.seed);
        let partition = self.partition(inside.partition);
        let known = partition
            .and_then(|partition| partition.host(inside.context, host, port, now, &settings));
        let current = known.map_or_else(Era::default, |host| host.era());
        if era != Era::default() && era != current {
            return;
        }
        if current == Era::default() {
            self.make_room(inside, now);
            if let Some(partition) = self.partitions.last_mut() {
                partition
                    .hosts
                    .push(Host::new(inside.context, host, port, now));
            }
        }
        // Found or made just now, both are the ones used last.
        let found = self
            .partitions
            .last_mut()
            .and_then(|partition| partition.hosts.last_mut());
        if let Some(found) = found {
            let chance = Chance {
                seed,
                inside,
                host,
                port,
            };
            found.learn(endings, &settings, chance, now);
        }
    }

    /// Room for one more host, in its partition, which becomes the one used last.
    fn make_room(&mut self, inside: Boundary, now: Instant) {
        let settings = self.settings;
        if self.partition(inside.partition).is_none() {
            if self.partitions.len() >= settings.partitions {
                self.partitions.remove(0);
            }
            self.partitions.push(Partition {
                number: inside.partition,
                hosts: Vec::new(),
            });
        }
        if let Some(partition) = self.partitions.last_mut() {
            partition
                .hosts
                .retain(|host| !host.expired(now, settings.lifetime));
            if partition.hosts.len() >= settings.hosts {
                partition.hosts.remove(0);
            }
        }
    }

    /// The network has changed to `context` (C9).
    pub fn network_changed(&mut self, context: u64, resume: Resume) {
        if resume == Resume::WhenRecognised {
            return;
        }
        for partition in &mut self.partitions {
            partition.hosts.retain(|host| host.is_of(context));
        }
        self.partitions
            .retain(|partition| !partition.hosts.is_empty());
    }

    /// Forgets what one partition has learned, as when its cookies are deleted.
    pub fn forget(&mut self, partition: u64) {
        self.partitions.retain(|kept| kept.number != partition);
    }

    /// How many hosts are remembered, over all partitions.
    pub fn len(&self) -> usize {
        self.partitions
            .iter()
            .map(|partition| partition.hosts.len())
            .sum()
    }

    /// Nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The partition, which becomes the one used last.
    fn partition(&mut self, number: u64) -> Option<&mut Partition> {
        let place = self
            .partitions
            .iter()
            .position(|partition| partition.number == number)?;
        self.partitions.get_mut(place..)?.rotate_left(1);
        self.partitions.last_mut()
    }
}

impl Partition {
    /// The host, which becomes the one used last; `None` when its facts are too old.
    fn host(
        &mut self,
        context: u64,
        name: &str,
        port: u16,
        now: Instant,
        settings: &Settings,
    ) -> Option<&mut Host> {
        let place = self
            .hosts
            .iter()
            .position(|host| host.is(context, name, port))?;
        if self.hosts.get(place)?.expired(now, settings.lifetime) {
            self.hosts.remove(place);
            return None;
        }
        self.hosts.get_mut(place..)?.rotate_left(1);
        self.hosts.last_mut()
    }
}
