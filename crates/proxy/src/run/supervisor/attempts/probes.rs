//! Tries of our own: whether a name's other addresses are any better, and whether a silent one is back.

use super::super::super::kernel::{self, Handshake};
use super::super::super::memory::Destination;
use super::super::super::names::Company;
use super::super::Shared;
use super::{Attempts, OTHERS, PROBES, Probe};
use std::os::fd::AsFd as _;
use std::time::Duration;

impl Attempts {
    /// The other addresses under the names of this one, as far as we can try them.
    pub(super) fn others(&self, destination: Destination, company: &Company) -> Vec<Destination> {
        let Company::Known(others) = company else {
            return Vec::new();
        };
        if destination.network != self.network {
            return Vec::new();
        }
        let port = destination.address.port();
        let of_family = |is_v6: bool| {
            let others = others.iter().filter(move |other| other.is_ipv6() == is_v6);
            others.take(OTHERS).map(move |other| Destination {
                address: (*other, port).into(),
                ..destination
            })
        };
        of_family(true).chain(of_family(false)).collect()
    }

    /// The time of an attempt is over: gives it up if one of the others is known to answer, or if there are none that we
    /// could try.
    pub(super) fn give_up_for_better(&mut self, token: u64, shared: &Shared, now: Duration) {
        let Some(attempt) = self.under_way.get(&token) else {
            return;
        };
        let is_better = attempt.others.is_empty()
            || attempt
                .others
                .iter()
                .any(|other| self.memory.looks_alive(*other));
        if !is_better {
            return;
        }
        match kernel::handshake(&attempt.socket) {
            Handshake::Waiting => self.give_up(token, shared, now),
            state => self.came_back(token, state, shared),
        }
    }

    /// A try of our own came back.
    pub(super) fn probe_is_ready(&mut self, token: u64, shared: &Shared) {
        let Some(probe) = self.probes.get(&token) else {
            return;
        };
        let state = kernel::handshake(&probe.socket);
        if state == Handshake::Waiting {
            let _still_there = shared.poller.again(probe.socket.as_fd(), token);
            return;
        }
        let (destination, started) = (probe.destination, probe.started);
        self.probes.remove(&token);
        if state == Handshake::Failed {
            self.memory.forget(destination);
            return;
        }
        let now = shared.now();
        self.memory
            .answered(destination, now.saturating_sub(started), now);
        let overdue: Vec<u64> = self
            .under_way
            .iter()
            .filter(|(_, it)| it.give_up_at.is_none() && it.others.contains(&destination))
            .map(|(token, _)| *token)
            .collect();
        for token in overdue {
            self.give_up_for_better(token, shared, now);
        }
    }

    /// The try of our own that is under way.
    pub(super) fn probe_of(&self, destination: Destination) -> Option<&Probe> {
        let mut probes = self.probes.values();
        probes.find(|probe| probe.destination == destination)
    }

    /// Tries a destination ourselves; `false` if that is not possible.
    pub(super) fn probe(
        &mut self,
        destination: Destination,
        shared: &mut Shared,
        now: Duration,
    ) -> bool {
        if self.probe_of(destination).is_some() {
            return true;
        }
        if self.probes.len() >= PROBES || destination.network != self.network {
            return false;
        }
        let Ok(socket) = kernel::stream_socket(destination.address.is_ipv6()) else {
            return false;
        };
        match kernel::connect_to(&socket, destination.address) {
            Err(libc::EINPROGRESS) => {}
            Ok(()) => {
                self.memory.answered(destination, Duration::ZERO, now);
                return true;
            }
            // No route, no address of our own: as good as silent.
            Err(_) => return false,
        }
        let token = shared.token();
        if shared.poller.add_connecting(socket.as_fd(), token).is_err() {
            return false;
        }
        self.probes.insert(
            token,
            Probe {
                socket,
                destination,
                started: now,
            },
        );
        true
    }
}
