//! What routers do to packets and name servers to questions.

use super::Names;
use crate::world::file::Node;
use crate::world::keys::{DNS_RULE, FILTER};
use crate::world::model::{DnsReply, DnsRule, Family, Filter, FilterAction, FilterDirection};
use crate::world::model::{Prefix, Protocol};
use crate::world::read::{Fields, Reader};
use std::time::Duration;
use twinstack_dns::{Name, RecordType};

pub(super) fn filters(reader: &mut Reader<'_>, world: &Fields<'_>, names: &Names) -> Vec<Filter> {
    let mut filters = Vec::new();
    for node in reader.list(world.get("filters")) {
        let fields = reader.fields(node, &FILTER);
        for key in ["at", "action"] {
            if fields.entry(key).is_none() {
                reader
                    .problems
                    .add(node.at, format!("a filter needs `{key}`"));
            }
        }
        let at = fields
            .get("at")
            .and_then(|node| names.network(reader, node));
        let action: Option<FilterAction> = reader.word(&fields, "action");
        let filter = Filter {
            at: at.unwrap_or(super::NetworkId(0)),
            direction: reader
                .word(&fields, "direction")
                .unwrap_or(FilterDirection::Both),
            family: reader.word(&fields, "family"),
            protocol: reader.word(&fields, "protocol"),
            to_port: reader.number(&fields, "to-port"),
            from_port: reader.number(&fields, "from-port"),
            from: reader.prefixes(fields.get("from")),
            to: reader.prefixes(fields.get("to")),
            larger_than: reader.number(&fields, "larger-than"),
            fragments: reader.flag(fields.get("fragments")).unwrap_or(false),
            action: action.unwrap_or(FilterAction::Drop),
        };
        never(reader, &filter, &fields);
        filters.push(filter);
    }
    filters
}

/// Reports a filter that no packet can meet.
fn never(reader: &mut Reader<'_>, filter: &Filter, fields: &Fields<'_>) {
    let portless = matches!(filter.protocol, Some(Protocol::Icmp | Protocol::Echo));
    for key in ["to-port", "from-port"] {
        if let Some(node) = fields.get(key)
            && portless
        {
            reader
                .problems
                .add(node.at, "ICMP has no ports, so nothing matches this filter");
        }
    }
    for (key, prefixes) in [("from", &filter.from), ("to", &filter.to)] {
        let other = |prefix: &Prefix| Some(Family::of(prefix.address)) != filter.family;
        if let Some(node) = fields.get(key)
            && filter.family.is_some()
            && !prefixes.is_empty()
            && prefixes.iter().all(other)
        {
            reader.problems.add(
                node.at,
                "these are all of the other `family`, so nothing matches this filter",
            );
        }
    }
}

pub(super) fn dns_rules(
    reader: &mut Reader<'_>,
    world: &Fields<'_>,
    names: &Names,
) -> Vec<DnsRule> {
    let mut rules = Vec::new();
    for node in reader.list(world.get("dns")) {
        let fields = reader.fields(node, &DNS_RULE);
        if fields.get("reply").is_none() && fields.get("delay").is_none() {
            reader.problems.add_with_hint(
                node.at,
                "this rule does nothing",
                "write `reply:` or `delay:`",
            );
        }
        rules.push(DnsRule {
            at: names.hosts(reader, fields.get("at")),
            name: fields.get("name").and_then(|node| pattern(reader, node)),
            types: reader.each(fields.get("types"), record_type),
            transport: reader.word(&fields, "transport"),
            family: reader.word(&fields, "family"),
            from: reader.prefixes(fields.get("from")),
            delay: reader
                .duration(fields.get("delay"))
                .unwrap_or(Duration::ZERO),
            reply: reader.word(&fields, "reply").unwrap_or(DnsReply::Answer),
        });
    }
    rules
}

/// A name, or `*.` and the name above the ones that are meant.
fn pattern(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    let (star, name) = text
        .strip_prefix("*.")
        .map_or(("", text), |name| ("*.", name));
    match Name::parse(name) {
        Ok(name) => Some(format!("{star}{}", name.to_lowercase().with_final_dot())),
        Err(error) => {
            reader.problems.add(node.at, error.to_string());
            None
        }
    }
}

pub(super) fn record_type(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.text(node)?;
    match text.to_ascii_uppercase().parse::<RecordType>() {
        Ok(rtype) => Some(rtype.to_string()),
        Err(error) => {
            reader.problems.add(node.at, error.to_string());
            None
        }
    }
}
