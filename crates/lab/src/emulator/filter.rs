//! What the filters at a router say about a packet.

use super::packet::{Packet, protocol};
use crate::world::model::{Family, Filter, FilterAction, FilterDirection, Prefix, Protocol};

/// The outcome of a router's filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// No filter minds.
    Pass,
    /// This filter (index among the world's) takes it.
    Take(usize, FilterAction),
    /// The filters see a difference between the segments of this super-frame: cut it and ask again for each.
    Cut,
}

/// The filters of one router, with their indices among the world's.
#[derive(Debug, Default)]
pub(crate) struct Filters(Vec<(usize, Filter)>);

impl Filters {
    /// Those of `all` that stand at the router for which `is_here` holds.
    pub(crate) fn new(all: &[Filter], is_here: impl Fn(&Filter) -> bool) -> Self {
        Self(
            all.iter()
                .enumerate()
                .filter(|(_, filter)| is_here(filter))
                .map(|(index, filter)| (index, filter.clone()))
                .collect(),
        )
    }

    /// The first match decides. `way` is `In` or `Out`.
    pub(crate) fn judge(&self, packet: &Packet, way: FilterDirection) -> Verdict {
        for (index, filter) in &self.0 {
            if !applies_to(filter, packet, way) {
                continue;
            }
            match filter.action {
                FilterAction::SwallowPacketTooBig => {
                    if packet.is_packet_too_big() {
                        return Verdict::Take(*index, filter.action);
                    }
                    continue;
                }
                _ if !matches_transport(filter, packet) => continue,
                _ => {}
            }
            let is_larger = |size: usize| {
                filter
                    .larger_than
                    .is_none_or(|most| size > usize::from(most))
            };
            match (
                is_larger(packet.headers.size),
                is_larger(packet.headers.last_size),
            ) {
                (false, false) => {}
                (true, true) if filter.action == FilterAction::Accept => return Verdict::Pass,
                (true, true) => return Verdict::Take(*index, filter.action),
                _ => return Verdict::Cut,
            }
        }
        Verdict::Pass
    }

    /// Whether a message of the router itself is swallowed: of all filters only those for Packet Too Big see them.
    pub(crate) fn swallows_own(&self, packet: &Packet, way: FilterDirection) -> Option<usize> {
        let (index, _) = self.0.iter().find(|(_, filter)| {
            filter.action == FilterAction::SwallowPacketTooBig
                && packet.is_packet_too_big()
                && applies_to(filter, packet, way)
        })?;
        Some(*index)
    }
}

fn applies_to(filter: &Filter, packet: &Packet, way: FilterDirection) -> bool {
    let headers = &packet.headers;
    let is_in = |prefixes: &[Prefix], address| {
        prefixes.is_empty() || prefixes.iter().any(|prefix| prefix.contains(address))
    };
    (filter.direction == FilterDirection::Both || filter.direction == way)
        && filter.family.is_none_or(|family| family == headers.family)
        && is_in(&filter.from, headers.source)
        && is_in(&filter.to, headers.destination)
}

fn matches_transport(filter: &Filter, packet: &Packet) -> bool {
    let headers = &packet.headers;
    let matches_protocol = filter.protocol.is_none_or(|wanted| match wanted {
        Protocol::Tcp => headers.protocol == protocol::TCP,
        Protocol::Udp => headers.protocol == protocol::UDP,
        Protocol::Icmp => match headers.family {
            Family::V4 => headers.protocol == protocol::ICMP,
            Family::V6 => headers.protocol == protocol::ICMPV6,
        },
        Protocol::Echo => match headers.family {
            Family::V4 => matches!(headers.icmp, Some((0 | 8, _))),
            Family::V6 => matches!(headers.icmp, Some((128 | 129, _))),
        },
    });
    // A later fragment has no ports, so no filter that asks for one matches it.
    let from = headers.ports.map(|(from, _)| from);
    let to = headers.ports.map(|(_, to)| to);
    matches_protocol
        && (filter.from_port.is_none() || filter.from_port == from)
        && (filter.to_port.is_none() || filter.to_port == to)
        && (!filter.fragments || headers.fragment.is_some())
}

#[cfg(test)]
mod tests;
