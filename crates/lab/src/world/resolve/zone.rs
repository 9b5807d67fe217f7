//! Zones: each layer takes records out, then puts records in; copies may differ.

use super::Names;
use crate::world::diagnose::At;
use crate::world::file::{Entry, Node};
use crate::world::keys::{DIFFERENCE, ZONE};
use crate::world::model::{HostId, ServiceKind, World, Zone, ZoneRecord};
use crate::world::read::{Fields, Reader};
use crate::world::scalar;
use std::collections::{BTreeMap, BTreeSet};
use twinstack_dns::{Name, Record, RecordType, Ttl, parse_record_line};

/// Records without a TTL of their own live so long unless the zone says otherwise.
const USUAL_TTL: u32 = 300;

/// A zone while its layers are read.
struct Draft<'n> {
    apex: Name,
    at: At,
    servers: Vec<HostId>,
    ttl: u32,
    records: Vec<Record>,
    /// Steps for one server's copy, after all layers.
    differs: Vec<(&'n Entry, HostId)>,
}

pub(super) fn zones(
    reader: &mut Reader<'_>,
    layers: &[Node],
    world: &World,
    names: &Names,
    silenced: &BTreeSet<HostId>,
) -> Vec<Zone> {
    let mut drafts: Vec<Draft<'_>> = Vec::new();
    for layer in layers {
        // A zone set to `~` goes away, so the null entries matter here.
        let whole = reader.nullable_entries(layer);
        for entry in whole {
            let Some(apex) = apex(reader, entry) else {
                continue;
            };
            let known = drafts.iter().position(|draft| draft.apex == apex);
            if entry.is_null() {
                if let Some(known) = known {
                    drafts.remove(known);
                }
                continue;
            }
            let at = known.unwrap_or_else(|| {
                drafts.push(Draft {
                    apex,
                    at: entry.key_at,
                    servers: Vec::new(),
                    ttl: USUAL_TTL,
                    records: Vec::new(),
                    differs: Vec::new(),
                });
                drafts.len().saturating_sub(1)
            });
            if let Some(draft) = drafts.get_mut(at) {
                layer_of(reader, draft, entry, names);
            }
        }
    }
    let mut zones = Vec::new();
    for draft in drafts {
        finished(reader, &draft, world, silenced, &mut zones);
    }
    zones
}

fn apex(reader: &mut Reader<'_>, entry: &Entry) -> Option<Name> {
    match Name::parse(&entry.key) {
        Ok(name) => Some(name.to_lowercase()),
        Err(error) => {
            reader.problems.add(entry.key_at, error.to_string());
            None
        }
    }
}

fn layer_of<'n>(reader: &mut Reader<'_>, draft: &mut Draft<'n>, entry: &'n Entry, names: &Names) {
    let fields = reader.fields(&entry.value, &ZONE);
    if fields.get("servers").is_some() {
        draft.servers = names.hosts(reader, fields.get("servers"));
    }
    draft.ttl = reader.number(&fields, "ttl").unwrap_or(draft.ttl);
    change(reader, &fields, &draft.apex, draft.ttl, &mut draft.records);
    for copy in reader.entries(fields.get("differs")) {
        if let Some(host) = names.find(reader, &names.hosts, "host", &copy.key, copy.key_at) {
            draft.differs.push((copy, host));
        }
    }
}

/// Takes out what `remove` names, then puts in `records`.
fn change(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    apex: &Name,
    ttl: u32,
    records: &mut Vec<Record>,
) {
    for node in reader.list(fields.get("remove")) {
        remove(reader, node, apex, ttl, records);
    }
    for node in reader.list(fields.get("records")) {
        let Some(record) = record(reader, node, apex, ttl) else {
            continue;
        };
        if !record.owner.is_subdomain_of(apex) {
            reader.problems.add_with_hint(
                node.at,
                format!("`{}` is not inside this zone", record.owner),
                format!("only names below `{apex}` are; those without a final dot lie there"),
            );
        } else if records
            .iter()
            .any(|other| other.owner == record.owner && other.data == record.data)
        {
            reader.problems.add(node.at, "this record is here already");
        } else {
            records.push(record);
        }
    }
}

fn record(reader: &mut Reader<'_>, node: &Node, apex: &Name, ttl: u32) -> Option<Record> {
    let line = reader.text(node)?;
    match parse_record_line(line, apex, Ttl::from_secs(ttl)) {
        Ok(record) => Some(Record {
            owner: record.owner.to_lowercase(),
            ..record
        }),
        Err(error) => {
            let at = reader.problems.inside(node.at, line, error.column);
            reader.problems.add_with_hint(
                at,
                error.message,
                "a record looks like `www 300 AAAA 2e00:5::80`",
            );
            None
        }
    }
}

/// `www AAAA` takes out every such record, `www AAAA 2e00:5::81` that one; the TTL does not matter.
fn remove(reader: &mut Reader<'_>, node: &Node, apex: &Name, ttl: u32, records: &mut Vec<Record>) {
    let Some(line) = reader.text(node) else {
        return;
    };
    let mut words = line.split_ascii_whitespace();
    let (owner, rtype) = (words.next(), words.next());
    let before = records.len();
    if let (Some(owner), Some(rtype), None) = (owner, rtype, words.next()) {
        let owner = Name::parse_relative(owner, apex);
        let rtype = rtype.to_ascii_uppercase().parse::<RecordType>();
        match (owner, rtype) {
            (Ok(owner), Ok(rtype)) => {
                records.retain(|record| record.owner != owner || record.rtype() != rtype);
            }
            (Err(error), _) => return reader.problems.add(node.at, error.to_string()),
            (_, Err(error)) => return reader.problems.add(node.at, error.to_string()),
        }
    } else {
        let Some(wanted) = record(reader, node, apex, ttl) else {
            return;
        };
        records.retain(|record| record.owner != wanted.owner || record.data != wanted.data);
    }
    if records.len() == before {
        let hint = what_is_there(owner.unwrap_or_default(), rtype, apex, records);
        reader
            .problems
            .add_with_hint(node.at, "no record of this zone is like this", hint);
    }
}

/// The records that might have been meant: those of the owner and type, else of the owner, else a similar owner.
fn what_is_there(owner: &str, rtype: Option<&str>, apex: &Name, records: &[Record]) -> String {
    let name = Name::parse_relative(owner, apex).ok();
    let own: Vec<_> = records
        .iter()
        .filter(|record| Some(&record.owner) == name.as_ref())
        .collect();
    let same_type: Vec<_> = own
        .iter()
        .filter(|record| rtype.is_some_and(|t| record.rtype().to_string().eq_ignore_ascii_case(t)))
        .copied()
        .collect();
    let shown = if same_type.is_empty() { own } else { same_type };
    if !shown.is_empty() {
        let shown = shown.iter().take(4);
        let shown = shown.map(|record| format!("{} {}", record.rtype(), record.data));
        return format!("`{owner}` has {}", shown.collect::<Vec<_>>().join(", "));
    }
    let owners: Vec<_> = records
        .iter()
        .map(|record| record.owner.to_string())
        .collect();
    let name = name.map_or_else(|| owner.to_owned(), |name| name.to_string());
    scalar::nearest(&name, owners.iter().map(String::as_str)).map_or_else(
        || format!("`{name}` has no records here"),
        |near| format!("`{name}` has no records here; did you mean `{near}`?"),
    )
}

/// Checks the whole zone and turns it into one for all servers and one for each that differs.
fn finished(
    reader: &mut Reader<'_>,
    draft: &Draft<'_>,
    world: &World,
    silenced: &BTreeSet<HostId>,
    zones: &mut Vec<Zone>,
) {
    for server in &draft.servers {
        let Some(host) = world.hosts.get(server.0) else {
            continue;
        };
        let serves = host
            .services
            .iter()
            .any(|service| service.kind == ServiceKind::DnsAuthoritative);
        if !serves && !silenced.contains(server) {
            reader.problems.add_with_hint(
                draft.at,
                format!(
                    "the host `{}` has no authoritative name server for this zone",
                    host.name
                ),
                "give it a service with `kind: dns-authoritative`",
            );
        }
    }
    let mut copies: BTreeMap<HostId, Vec<Record>> = BTreeMap::new();
    for (entry, host) in &draft.differs {
        if !draft.servers.contains(host) {
            reader.problems.add(
                entry.key_at,
                format!("`{}` is not among the servers of this zone", entry.key),
            );
        }
        let fields = reader.fields(&entry.value, &DIFFERENCE);
        let copy = copies.entry(*host).or_insert_with(|| draft.records.clone());
        change(reader, &fields, &draft.apex, draft.ttl, copy);
    }
    let others: Vec<_> = draft
        .servers
        .iter()
        .filter(|server| !copies.contains_key(server))
        .copied()
        .collect();
    let single_soa = |records: &[Record]| {
        let soas = records.iter().filter(|r| r.rtype() == RecordType::SOA);
        soas.count() == 1
    };
    if !single_soa(&draft.records) || !copies.values().all(|copy| single_soa(copy)) {
        reader.problems.add_with_hint(
            draft.at,
            "this zone needs exactly one SOA record",
            "`\"@ SOA ns1 hostmaster 1 3600 600 86400 300\"`",
        );
    }
    let mut push = |servers, records: &[Record]| {
        zones.push(Zone {
            apex: draft.apex.with_final_dot(),
            servers,
            records: records.iter().map(presented).collect(),
        });
    };
    // A zone that an `exec:` server serves has no servers here, but is still part of the world.
    if !others.is_empty() || copies.is_empty() {
        push(others, &draft.records);
    }
    for (host, records) in copies {
        push(vec![host], &records);
    }
}

fn presented(record: &Record) -> ZoneRecord {
    ZoneRecord {
        owner: record.owner.with_final_dot(),
        ttl: record.ttl.as_secs(),
        rtype: record.rtype().to_string(),
        rdata: record.data.to_string(),
    }
}
