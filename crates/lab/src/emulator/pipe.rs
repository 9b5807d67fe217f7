//! One direction of a line: when a packet that enters now comes out, if it does.
//!
//! A pipe keeps no clock. Packets of one family leave in the order in which they entered, but for those that overtake
//! on purpose; those leave in order too, so that three queues whose heads are their earliest are enough.

use super::chance::Chance;
use super::packet::Packet;
use crate::world::model::{Direction, Family, Impairment};
use std::collections::VecDeque;
use std::time::Duration;

/// The size of an IP packet that a line carries when the world does not say.
pub(crate) const USUAL_MTU: u16 = 1500;
/// A rate limit queues packets for at most this long ...
const LONGEST_QUEUE: Duration = Duration::from_millis(100);
/// ... but always this many bytes: a slow line is of no use if it cannot hold a few packets.
const LEAST_QUEUE: u64 = 32 * 1514;

/// One of a pipe's three queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Packets that skip the delay.
    Express,
}

/// What becomes of a packet that enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Comes out then.
    Leaves(Duration, Lane),
    /// Chance lost it.
    Lost,
    /// The rate limit's queue is full.
    Overflow,
}

/// One direction of a line.
#[derive(Debug)]
pub(crate) struct Pipe {
    rate: Option<u64>,
    /// When the last queued byte will have been sent.
    busy_until: Duration,
    v4: Side,
    v6: Side,
    queues: [VecDeque<(Duration, Packet)>; 3],
}

/// What a pipe does to one family, and what it remembers of it.
#[derive(Debug)]
struct Side {
    impairment: Impairment,
    chance: Chance,
    /// When the last packet comes out.
    last_exit: Duration,
}

impl Pipe {
    /// A direction of a line; `stream` tells its chance from that of the others.
    pub(crate) fn new(direction: &Direction, seed: u64, stream: u64) -> Self {
        let side = |impairment: &Impairment, number| Side {
            impairment: impairment.clone(),
            chance: Chance::new(seed, stream * 2 + number),
            last_exit: Duration::ZERO,
        };
        Self {
            rate: direction.rate,
            busy_until: Duration::ZERO,
            v4: side(&direction.v4, 0),
            v6: side(&direction.v6, 1),
            queues: Default::default(),
        }
    }

    /// The largest IP packet of a family that it carries.
    pub(crate) fn mtu(&self, family: Family) -> u16 {
        self.side(family).impairment.mtu.unwrap_or(USUAL_MTU)
    }

    /// Whether it does to each packet what it must not do to a super-frame as a whole.
    pub(crate) fn acts_on_segments(&self, family: Family) -> bool {
        let Impairment {
            loss,
            duplicate,
            reorder,
            ..
        } = self.side(family).impairment;
        self.rate.is_some() || loss > 0.0 || duplicate > 0.0 || reorder > 0.0
    }

    /// Whether a packet that enters arrives twice; ask once for each packet, then [`decide`](Self::decide) for each copy.
    pub(crate) fn duplicates(&mut self, family: Family) -> bool {
        let side = self.side_mut(family);
        let share = side.impairment.duplicate;
        side.chance.happens(share)
    }

    /// What becomes of a packet of `length` bytes that enters now.
    pub(crate) fn decide(&mut self, family: Family, length: usize, now: Duration) -> Fate {
        let rate = self.rate;
        let busy_until = self.busy_until;
        let side = self.side_mut(family);
        if side.chance.happens(side.impairment.loss) {
            return Fate::Lost;
        }
        let mut sent = now;
        if let Some(rate) = rate.filter(|rate| *rate > 0) {
            let begin = busy_until.max(now);
            if begin.saturating_sub(now) > LONGEST_QUEUE.max(time_to_send(LEAST_QUEUE, rate)) {
                return Fate::Overflow;
            }
            sent = begin + time_to_send(u64::try_from(length).unwrap_or(u64::MAX), rate);
        }
        let fate = if side.chance.happens(side.impairment.reorder) {
            Fate::Leaves(sent, Lane::Express)
        } else {
            let delay = side.impairment.delay + side.chance.up_to(side.impairment.jitter);
            side.last_exit = side.last_exit.max(sent + delay);
            let lane = match family {
                Family::V4 => Lane::V4,
                Family::V6 => Lane::V6,
            };
            Fate::Leaves(side.last_exit, lane)
        };
        if rate.is_some() {
            self.busy_until = sent;
        }
        fate
    }

    /// Queues a packet as [`decide`](Self::decide) said; true if it is now the first of its lane.
    pub(crate) fn push(&mut self, lane: Lane, exit: Duration, packet: Packet) -> bool {
        let queue = self.queue(lane);
        queue.push_back((exit, packet));
        queue.len() == 1
    }

    /// Takes the first packet of a lane, and says when the next one comes out.
    pub(crate) fn pop(&mut self, lane: Lane) -> (Option<Packet>, Option<Duration>) {
        let queue = self.queue(lane);
        let first = queue.pop_front().map(|(_, packet)| packet);
        (first, queue.front().map(|(exit, _)| *exit))
    }

    fn queue(&mut self, lane: Lane) -> &mut VecDeque<(Duration, Packet)> {
        let [v4, v6, express] = &mut self.queues;
        match lane {
            Lane::V4 => v4,
            Lane::V6 => v6,
            Lane::Express => express,
        }
    }

    fn side(&self, family: Family) -> &Side {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    fn side_mut(&mut self, family: Family) -> &mut Side {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// How long a line of `rate` bits a second is busy with so many bytes.
fn time_to_send(bytes: u64, rate: u64) -> Duration {
    let nanoseconds = u128::from(bytes) * 8_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
