//! Which questions are asked (A, B6, B7).

use super::{About, NameEntry, Query, Resolve, Scene, Slot};
use crate::answer::{Purpose, QueryId, QueryType};
use crate::name::Name;
use crate::nat64::{DISCOVERY_NAME, Nat64};
use crate::network::Family;
use crate::output::{Output, QueryEnd};
use crate::target::{Host, Service, Target};
use crate::time::Instant;
use alloc::collections::VecDeque;
use alloc::format;

impl Scene<'_> {
    /// The IPv6 address of the host is a way to IPv4 that has to be looked for (N1).
    fn wants_prefix64(&self) -> bool {
        let ipv6_only = self.network.ipv6 && !self.network.ipv4;
        let needs_none = matches!(
            &self.target.host,
            Host::Address { address, .. } if address.is_ipv6() || address.is_loopback()
        );
        ipv6_only && self.network.nat64.is_none() && !needs_none
    }

    /// A1, A2, A3, A6: whether addresses of `family` are asked for.
    pub(crate) fn wants(&self, family: Family) -> bool {
        let nat64 = family == Family::V4
            && self.network.ipv6
            && self.network.nat64.as_ref().is_some_and(Nat64::is_known);
        self.network.has(family) || nat64
    }
}

impl Resolve {
    /// Asks whatever has to be asked by now.
    pub(crate) fn ask(&mut self, scene: Scene<'_>, now: Instant, outbox: &mut VecDeque<Output>) {
        if let Host::Name(name) = &scene.target.host {
            if self.names.is_empty() {
                self.names.push(NameEntry {
                    name: name.clone(),
                    v6: Slot::default(),
                    v4: Slot::default(),
                });
            }
            // A4, A5: service records first, then AAAA, then A.
            self.ask_services(scene, name, now, outbox);
            self.add_service_names(scene.config.names);
            for index in 0..self.names.len() {
                for family in [Family::V6, Family::V4] {
                    let entry = &mut self.names[index];
                    let slot = entry.slot_mut(family);
                    if slot.asked || !scene.wants(family) {
                        continue;
                    }
                    slot.asked = true;
                    let name = entry.name.clone();
                    let kind = match family {
                        Family::V6 => QueryType::Aaaa,
                        Family::V4 => QueryType::A,
                    };
                    let about = About::Address {
                        name: index,
                        family,
                    };
                    self.query(name, kind, Purpose::First, about, now, outbox);
                }
            }
        }
        let asked = self
            .queries
            .iter()
            .any(|query| query.about == About::Prefix64);
        if !asked
            && scene.wants_prefix64()
            && let Ok(name) = Name::new(DISCOVERY_NAME)
        {
            let about = About::Prefix64;
            self.query(name, QueryType::Aaaa, Purpose::Prefix64, about, now, outbox);
        }
    }

    fn ask_services(
        &mut self,
        scene: Scene<'_>,
        host: &Name,
        now: Instant,
        outbox: &mut VecDeque<Output>,
    ) {
        let kind = match scene.target.service {
            Service::None => {
                self.services.settled = true;
                return;
            }
            Service::Https => QueryType::Https,
            Service::Svcb { .. } => QueryType::Svcb,
        };
        if !self.services.is_asked() {
            match service_name(host, scene.target) {
                Some(name) => {
                    self.services.ask(&name);
                    self.query(name, kind, Purpose::First, About::Service, now, outbox);
                }
                // `Race::new` has refused such a target.
                None => self.services.settled = true,
            }
        }
        // B7: an alias is followed; nothing counts as received before its end is.
        if let Some(alias) = self.services.follow.take() {
            self.services.ask(&alias);
            self.query(alias, kind, Purpose::First, About::Service, now, outbox);
        }
    }

    /// B6: every name of a service gets address questions of its own, hints or not.
    fn add_service_names(&mut self, limit: usize) {
        let wanted = self
            .services
            .alias
            .iter()
            .chain(self.services.entries.iter().map(|s| &s.name));
        for name in wanted {
            if self.names.len() < limit && !self.names.iter().any(|entry| entry.name == *name) {
                self.names.push(NameEntry {
                    name: name.clone(),
                    v6: Slot::default(),
                    v4: Slot::default(),
                });
            }
        }
    }

    pub(super) fn query(
        &mut self,
        name: Name,
        kind: QueryType,
        purpose: Purpose,
        about: About,
        now: Instant,
        outbox: &mut VecDeque<Output>,
    ) {
        self.queries.push(Query {
            name: name.clone(),
            kind,
            purpose,
            asked: now,
            ended: None,
            end: QueryEnd::Pending,
            cancelled: false,
            about,
            expires: None,
        });
        let id = QueryId(u32::try_from(self.queries.len()).unwrap_or(u32::MAX));
        outbox.push_back(Output::Query {
            id,
            name,
            kind,
            purpose,
        });
    }
}

/// Where the service records of `target` are (RFC 9460, sections 2.3 and 9.1).
pub(crate) fn service_name(host: &Name, target: &Target) -> Option<Name> {
    let port = target.port;
    let text = match &target.service {
        Service::None => return None,
        Service::Https if matches!(port, 443 | 80) => return Some(host.clone()),
        Service::Https => format!("_{port}._https.{host}"),
        Service::Svcb {
            scheme,
            default_port,
            ..
        } if port == *default_port => {
            format!("_{scheme}.{host}")
        }
        Service::Svcb { scheme, .. } => format!("_{port}._{scheme}.{host}"),
    };
    Name::new(&text).ok()
}
