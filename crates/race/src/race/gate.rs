//! When the first attempt may start (B, F).

use super::Race;
use crate::config::EchUse;
use crate::endpoint::Protocol;
use crate::network::Family;
use crate::order::hinted;
use crate::output::Cause;
use crate::resolve::{NameEntry, Scene, ServiceEntry};
use crate::target::{Host, Service};
use crate::time::Instant;
use core::net::IpAddr;

impl Race {
    /// When the first attempt on this network starts, and why then. `None` while only an input can tell.
    pub(super) fn first_start(&self) -> Option<(Instant, Cause)> {
        let first = self.first_address?;
        if self.is_blocked() {
            return None;
        }
        let literal = matches!(self.target.host, Host::Address { .. });
        // B2, or else B3. B9: the delay counts from the first address, not from the first answer of any kind.
        let settled = self.resolve.services.settled && self.preferred_settled();
        let (at, cause) = if literal || (settled && !self.is_all_silent()) {
            (first, Cause::First)
        } else {
            (first + self.config.resolution_delay, Cause::ResolutionDelay)
        };
        // D3 holds across networks.
        Some((self.pace.floor().map_or(at, |floor| at.max(floor)), cause))
    }

    /// C7: every address so far did not answer lately, and others may still come.
    ///
    /// Deviation: B2 would start with them as soon as the preferred family is there, and the memory of a dead path would
    /// help only those whose answers all come in one moment. The resolution delay bounds the wait (B3).
    fn is_all_silent(&self) -> bool {
        let facts = self.knowledge.facts();
        let silent = |address: IpAddr| {
            let mut known = facts.iter().filter(|fact| fact.address == address);
            known.any(|fact| fact.memory.silent)
        };
        self.resolve.is_waiting()
            && self
                .list
                .entries
                .iter()
                .all(|entry| silent(entry.address.ip()))
    }

    /// Nothing may start, however long it takes.
    fn is_blocked(&self) -> bool {
        // F1, F4, F3: on protected DNS, what a service record could change is not sent before it is there.
        let cleartext = self
            .target
            .offers
            .iter()
            .any(|offer| offer.protocol == Protocol::Tcp);
        let relies = self.config.ech == EchUse::Rely
            || (cleartext && self.target.service != Service::None && self.config.refuse_downgrade);
        if relies && self.is_protected() && !self.resolve.services.settled {
            return true;
        }
        // N4: an IPv4 literal without IPv4 waits for the prefix that leads to it.
        let v4_literal = matches!(self.target.host, Host::Address { address: IpAddr::V4(v4), .. } if !v4.is_loopback());
        v4_literal && !self.network.ipv4 && self.network.nat64.is_none() && self.network.ipv6
    }

    /// DNS is protected against whoever sits in between.
    fn is_protected(&self) -> bool {
        self.network.protected_dns || self.resolve.protected
    }

    /// F2: the service records cannot be had, and on protected DNS that is no accident.
    pub(super) fn must_abandon(&self) -> bool {
        self.config.refuse_downgrade && self.resolve.services.failed && self.is_protected()
    }

    /// B2: there is an answer of the preferred family, positive or negative.
    ///
    /// Deviation: where services have names of their own, one of those that are tried first must have it. The draft is
    /// content with any; an address of the last group would then go first whenever it comes a moment earlier.
    fn preferred_settled(&self) -> bool {
        let family = self.waits_for();
        let settled = |entry: &NameEntry| {
            let slot = entry.slot(family);
            slot.settled || !slot.asked
        };
        let mut best = self.resolve.services.best().peekable();
        if best.peek().is_none() {
            return self.resolve.names.first().is_none_or(settled);
        }
        best.any(|service| match self.resolve.entry(&service.name) {
            Some((_, entry)) => settled(entry) || has_hint(service, entry, family),
            None => false,
        })
    }

    /// B4: the family to wait for.
    fn waits_for(&self) -> Family {
        let scene = Scene {
            target: &self.target,
            config: &self.config,
            network: &self.network,
            seed: self.seed,
        };
        let preferred = self.config.preferred_family.unwrap_or(Family::V6);
        if scene.wants(preferred) {
            preferred
        } else {
            preferred.other()
        }
    }
}

/// B5: a hint is an answer until the answer is there.
fn has_hint(service: &ServiceEntry, entry: &NameEntry, family: Family) -> bool {
    let any = match family {
        Family::V6 => !service.v6_hints.is_empty(),
        Family::V4 => !service.v4_hints.is_empty(),
    };
    any && hinted(entry, family)
}
