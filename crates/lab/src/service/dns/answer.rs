//! What an authoritative server answers: RFC 1034 section 4.3.2, without a socket.

use super::zone::{Node, ZoneData};
use twinstack_dns::{Data, Name, Query, Rcode, Record, RecordType, Response};

/// Aliases that are followed for one answer; a loop ends here.
const MOST_ALIASES: usize = 16;

/// The answer to a query from the zones that a server has.
pub(super) fn answer(zones: &[&ZoneData], query: &Query) -> Response {
    let question = &query.question;
    let mut response = Response::to_query(query, Rcode::NOERROR);
    let transfer = [RecordType::AXFR, RecordType::IXFR].contains(&question.rtype);
    if transfer || zone_of(zones, &question.name, question.rtype).is_none() {
        response.rcode = Rcode::REFUSED;
        return response;
    }
    let mut name = question.name.clone();
    for _ in 0..MOST_ALIASES {
        // The target of an alias may lie outside: then the alias is all we know.
        let Some(zone) = zone_of(zones, &name, question.rtype) else {
            break;
        };
        match step(zone, &name, question.rtype, &mut response) {
            Some(target) => name = target,
            None => break,
        }
    }
    response
}

/// The closest enclosing zone; for DS the one above the zone itself.
fn zone_of<'z>(zones: &[&'z ZoneData], name: &Name, rtype: RecordType) -> Option<&'z ZoneData> {
    let above = |zone: &&&'z ZoneData| rtype != RecordType::DS || zone.apex != *name;
    let closest = |zones: &mut dyn Iterator<Item = &&'z ZoneData>| {
        zones
            .filter(|zone| name.is_subdomain_of(&zone.apex))
            .max_by_key(|zone| zone.apex.label_count())
            .copied()
    };
    closest(&mut zones.iter().filter(above)).or_else(|| closest(&mut zones.iter()))
}

/// Adds what one zone says about one name; gives the alias to follow.
fn step(zone: &ZoneData, name: &Name, rtype: RecordType, response: &mut Response) -> Option<Name> {
    let first = response.answer.is_empty();
    let (records, wildcard) = match zone.look_up(name, rtype) {
        Node::Found(records) => (records, false),
        Node::Wildcard(records) => (records, true),
        Node::Delegated(servers) => {
            response.authority = servers.into_iter().cloned().collect();
            let glue = glue(zone, &response.authority);
            response.additional.extend(glue);
            return None;
        }
        Node::Missing => {
            response.authoritative = true;
            response.rcode = Rcode::NXDOMAIN;
            response.authority.extend(zone.negative_soa());
            return None;
        }
    };
    if first {
        response.authoritative = true;
    }
    let named = |record: &Record| Record {
        owner: if wildcard {
            name.clone()
        } else {
            record.owner.clone()
        },
        ..record.clone()
    };
    // RFC 8482 section 4.1: for ANY, one set of records is enough.
    let rtype = match (rtype, records.first()) {
        (RecordType::ANY, Some(first)) => first.rtype(),
        _ => rtype,
    };
    let of_type = |rtype| move |record: &&Record| record.rtype() == rtype;
    let found: Vec<Record> = records.iter().filter(of_type(rtype)).map(named).collect();
    if !found.is_empty() {
        response.additional.extend(glue(zone, &found));
        response.answer.extend(found);
        return None;
    }
    let alias = records.iter().find(of_type(RecordType::CNAME));
    if let Some(alias) = alias {
        response.answer.push(named(alias));
        return match &alias.data {
            Data::Cname(target) => Some(target.clone()),
            _ => None,
        };
    }
    response.authority.extend(zone.negative_soa());
    None
}

/// The addresses of the hosts that records name, as far as the zone holds them.
fn glue(zone: &ZoneData, records: &[Record]) -> Vec<Record> {
    let hosts = records.iter().filter_map(|record| match &record.data {
        Data::Ns(host) | Data::Mx { exchange: host, .. } => Some(host),
        _ => None,
    });
    let mut found: Vec<Record> = Vec::new();
    for record in hosts.flat_map(|host| zone.addresses(host)) {
        if !found.contains(record) {
            found.push(record.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests;
