//! A zone as a server looks into it.

use crate::world::model::{HostId, Zone};
use std::collections::BTreeMap;
use std::ops::Bound;
use twinstack_dns::{Data, Name, Record, RecordType, Ttl, parse_record_line};

/// A zone, by owner.
#[derive(Debug)]
pub(super) struct ZoneData {
    pub(super) apex: Name,
    pub(super) servers: Vec<HostId>,
    /// In canonical order, so that the names below a name follow it.
    nodes: BTreeMap<Name, Vec<Record>>,
}

/// What a zone has at a name.
#[derive(Debug)]
pub(super) enum Node<'a> {
    /// These records; a name with nothing but names below has none (RFC 4592 section 2.2.2).
    Found(&'a [Record]),
    /// Made from the records of a wildcard.
    Wildcard(&'a [Record]),
    /// The name was delegated here or further up: its name servers.
    Delegated(Vec<&'a Record>),
    /// No such name.
    Missing,
}

/// Something that is no record.
#[derive(Clone, Debug)]
pub(super) struct BadRecord {
    pub(super) zone: String,
    pub(super) record: String,
    pub(super) message: String,
}

impl ZoneData {
    pub(super) fn read(zone: &Zone) -> Result<Self, BadRecord> {
        let bad = |record: String, message: String| BadRecord {
            zone: zone.apex.clone(),
            record,
            message,
        };
        let apex =
            Name::parse(&zone.apex).map_err(|error| bad(String::new(), error.to_string()))?;
        let mut nodes: BTreeMap<Name, Vec<Record>> = BTreeMap::new();
        for record in &zone.records {
            let line = format!(
                "{} {} IN {} {}",
                record.owner, record.ttl, record.rtype, record.rdata
            );
            let record = parse_record_line(&line, &Name::root(), Ttl::ZERO)
                .map_err(|error| bad(line.clone(), error.message))?;
            if !record.owner.is_subdomain_of(&apex) {
                return Err(bad(line, "the owner is not inside the zone".to_owned()));
            }
            nodes.entry(record.owner.clone()).or_default().push(record);
        }
        Ok(Self {
            apex,
            servers: zone.servers.clone(),
            nodes,
        })
    }

    /// What is at a name of this zone.
    pub(super) fn look_up(&self, name: &Name, rtype: RecordType) -> Node<'_> {
        let mut path: Vec<Name> = name
            .ancestors()
            .take_while(|ancestor| *ancestor != self.apex)
            .collect();
        path.reverse();
        for ancestor in &path {
            let cut = self.nodes.get_key_value(ancestor);
            let Some((owner, records)) = cut else {
                continue;
            };
            let servers: Vec<_> = records
                .iter()
                .filter(|record| record.rtype() == RecordType::NS)
                .collect();
            // The DS of a delegation is the parent's (RFC 4035 section 2.4).
            let is_parents = owner == name && rtype == RecordType::DS;
            if !servers.is_empty() && !is_parents {
                return Node::Delegated(servers);
            }
        }
        if let Some(records) = self.nodes.get(name) {
            return Node::Found(records);
        }
        if self.has_names_below(name) {
            return Node::Found(&[]);
        }
        // RFC 4592 section 3.3.1: the wildcard of the closest name that exists, and of no other.
        let encloser = name.ancestors().skip(1).find(|ancestor| {
            *ancestor == self.apex
                || self.nodes.contains_key(ancestor)
                || self.has_names_below(ancestor)
        });
        encloser
            .and_then(|encloser| encloser.child("*").ok())
            .and_then(|wildcard| self.nodes.get(&wildcard))
            .map_or(Node::Missing, |records| Node::Wildcard(records))
    }

    fn has_names_below(&self, name: &Name) -> bool {
        self.nodes
            .range::<Name, _>((Bound::Excluded(name), Bound::Unbounded))
            .next()
            .is_some_and(|(next, _)| next.is_subdomain_of(name))
    }

    /// Addresses that the zone holds for a name, glue included.
    pub(super) fn addresses(&self, name: &Name) -> impl Iterator<Item = &Record> {
        self.nodes
            .get(name)
            .into_iter()
            .flatten()
            .filter(|record| record.data.address().is_some())
    }

    /// The SOA for negative answers, its TTL limited to how long they may be kept (RFC 2308 section 3).
    pub(super) fn negative_soa(&self) -> Option<Record> {
        let records = self.nodes.get(&self.apex)?;
        records.iter().find_map(|record| match &record.data {
            Data::Soa(soa) => Some(Record {
                ttl: record.ttl.min(soa.minimum),
                ..record.clone()
            }),
            _ => None,
        })
    }
}
