//! Families and protocols take turns (C11, C2).

use super::{Class, Decided, Destination, Entry};
use crate::config::Config;
use crate::network::Family;
use crate::target::{Offer, Target};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::ops::Range;

/// The sorted addresses of one service, and what may be spoken to them.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Which of the destinations.
    pub(super) members: Range<usize>,
    pub(super) port: u16,
    /// Bit n: the n-th of the caller's offers.
    pub(super) offers: u32,
}

/// The offers whose bit is set.
pub(super) fn chosen(target: &Target, offers: u32) -> impl Iterator<Item = (usize, &Offer)> {
    let numbered = target.offers.iter().take(32).enumerate();
    numbered.filter(move |(index, _)| offers & (1 << index) != 0)
}

/// Appends the endpoints of `group` in the order in which they are to be tried.
pub(super) fn take_turns(
    target: &Target,
    config: &Config,
    destinations: &[Destination],
    group: &Group,
    entries: &mut Vec<Entry>,
) {
    let first = entries.len();
    let mut start = group.members.start;
    for class in [Class::Usable, Class::Silent, Class::NoRoute] {
        // Sorted by class first: each is one stretch.
        let of_class = destinations[start..group.members.end].iter();
        let end = start
            + of_class
                .take_while(|destination| destination.class == class)
                .count();
        let stretch = Stretch {
            target,
            config,
            destinations,
            members: start..end,
            group,
        };
        stretch.take_turns(entries);
        start = end;
    }
    if let [only] = &mut entries[first..] {
        only.place = Decided::Only;
    }
}

/// The destinations of one class: families take turns among these.
struct Stretch<'a> {
    target: &'a Target,
    config: &'a Config,
    destinations: &'a [Destination],
    members: Range<usize>,
    group: &'a Group,
}

impl Stretch<'_> {
    fn take_turns(&self, entries: &mut Vec<Entry>) {
        let protocols = chosen(self.target, self.group.offers).count();
        let Some(head) = self.destinations[self.members.clone()].first() else {
            return;
        };
        if protocols == 0 {
            return;
        }
        let of = |index: &usize, family| self.destinations[*index].family() == family;
        let has = |family| self.members.clone().any(|index| of(&index, family));
        let preferred = self.config.preferred_family.filter(|&family| has(family));
        let leader = preferred.unwrap_or_else(|| head.family());
        // The queue of a family: its sorted addresses, each with every protocol. The second family begins with the
        // second protocol, so that the second attempt already gets around a dead family and a dead protocol.
        let queue = |family: Family| {
            let shift = usize::from(family != leader);
            let of_family = self.members.clone().filter(move |index| of(index, family));
            of_family.flat_map(move |index| {
                (0..protocols).map(move |turn| (index, (turn + shift) % protocols))
            })
        };
        let mut queues = [queue(leader).peekable(), queue(leader.other()).peekable()];
        let mut before = None;
        // C11: the first family may go more than once at first, then the two alternate.
        let mut left = self.config.preferred_family_count;
        let mut turn = 0;
        loop {
            if left == 0 || queues[turn].peek().is_none() {
                (turn, left) = (1 - turn, 1);
            }
            let Some((index, protocol)) = queues[turn].next().or_else(|| queues[1 - turn].next())
            else {
                break;
            };
            left = left.saturating_sub(1);
            let Some((offer, spoken)) = chosen(self.target, self.group.offers).nth(protocol) else {
                break;
            };
            let place = match before {
                None if leader != head.family() => Decided::Preferred,
                None => self.first_of_all(),
                Some(before) => self.after(before, index),
            };
            before = Some(index);
            entries.push(Entry {
                address: SocketAddr::new(self.destinations[index].address, self.group.port),
                protocol: spoken.protocol,
                offer,
                destination: index,
                place,
            });
        }
    }

    /// What put the first one first: against the next of the sorted list, or against the better class before it.
    fn first_of_all(&self) -> Decided {
        let first = self.members.start;
        if first > self.group.members.start {
            Decided::Sorted(first - 1)
        } else if first + 1 < self.group.members.end {
            Decided::Sorted(first + 1)
        } else {
            Decided::ProtocolTurn
        }
    }

    fn after(&self, before: usize, index: usize) -> Decided {
        if before == index {
            return Decided::ProtocolTurn;
        }
        let same_family = self.destinations[before].family() == self.destinations[index].family();
        // In the sorted order too, this one follows that one.
        if same_family || before + 1 == index {
            Decided::Sorted(before)
        } else {
            Decided::FamilyTurn
        }
    }
}
