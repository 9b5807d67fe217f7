//! What became of the frames.

use super::switchboard::PortId;
use crate::world::model::{Filter, Network, NetworkId};
use std::fmt::Write as _;

/// Counts of frames; a super-frame that passes whole counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Sent by hosts.
    pub received: u64,
    /// Handed to hosts.
    pub delivered: u64,
    /// Lost by chance on a line.
    pub lost: u64,
    /// Dropped because a rate limit's queue was full.
    pub overflowed: u64,
    /// Taken by a filter.
    pub filtered: u64,
    /// Not deliverable: no route, no such host, too many hops, too big, not translatable.
    pub undeliverable: u64,
    /// No packets at all.
    pub malformed: u64,
    /// Lost between a host and the emulator because the emulator was too slow, or the kernel refused them: each of
    /// these is a flaw of the lab, not of the emulated network.
    pub missed: u64,
    /// Not in the trace, because the disk was too slow for it.
    pub unrecorded: u64,
}

/// Why a frame goes no further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Lost,
    Overflow,
    /// Index among the world's filters.
    Filter(usize),
    NoRoute,
    AddressUnreachable,
    TimeExceeded,
    TooBig,
    RouterPort,
    /// Its source or destination never crosses a router.
    Unroutable,
    /// A NAT64 does not translate it.
    Untranslatable,
    Malformed,
}

/// Where a frame was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    HostLine(PortId),
    Uplink(NetworkId),
    Network(NetworkId),
    Router(NetworkId),
    Core,
}

impl Stats {
    pub(crate) fn count(&mut self, reason: Reason) {
        *match reason {
            Reason::Lost => &mut self.lost,
            Reason::Overflow => &mut self.overflowed,
            Reason::Filter(_) => &mut self.filtered,
            Reason::Malformed => &mut self.malformed,
            _ => &mut self.undeliverable,
        } += 1;
    }
}

/// A sentence for the trace: why and where a frame was dropped. `port_name` names host interfaces.
pub(crate) fn describe(
    reason: Reason,
    place: Place,
    networks: &[Network],
    filters: &[Filter],
    port_name: impl Fn(PortId) -> String,
) -> String {
    let mut text = String::from("dropped: ");
    match reason {
        Reason::Lost => text.push_str("lost by chance"),
        Reason::Overflow => text.push_str("the rate limit's queue is full"),
        Reason::Filter(index) => {
            // Writing to a string cannot fail.
            _ = match filters.get(index) {
                Some(filter) => write!(text, "filter {} ({:?})", index + 1, filter.action),
                None => write!(text, "filter {}", index + 1),
            };
        }
        Reason::NoRoute => text.push_str("no network has the destination"),
        Reason::AddressUnreachable => text.push_str("no host has the destination"),
        Reason::TimeExceeded => text.push_str("too many hops"),
        Reason::TooBig => text.push_str("larger than the line's MTU"),
        Reason::RouterPort => text.push_str("the router has no such service"),
        Reason::Unroutable => text.push_str("its addresses never cross a router"),
        Reason::Untranslatable => text.push_str("not translatable by NAT64"),
        Reason::Malformed => text.push_str("malformed"),
    }
    let network = |id: NetworkId| {
        networks
            .get(id.0)
            .map_or("?", |network| network.name.as_str())
    };
    _ = match place {
        Place::HostLine(port) => write!(text, ", on the line of {}", port_name(port)),
        Place::Uplink(id) => write!(text, ", on the uplink of {}", network(id)),
        Place::Network(id) => write!(text, ", in {}", network(id)),
        Place::Router(id) => write!(text, ", at the router of {}", network(id)),
        Place::Core => write!(text, ", at the core"),
    };
    text
}
