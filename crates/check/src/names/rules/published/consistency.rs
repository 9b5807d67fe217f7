//! Servers that hand out different AAAA sets: `dns.aaaa-inconsistent`.
//!
//! Three things look alike and are not: a stale or hand-kept server (the fault), a cache that has not caught up yet, and
//! answers that differ on purpose (load balancing, geography). The second ends by itself, and the third
//! shows in A as well.

use super::{Case, Judgement};
use crate::codes::finding;
use crate::names::observation::{Lookup, Server, ServerId};
use crate::names::view::{Kind, Told, View};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use twinstack_dns::{Data, RecordType};
use twinstack_finding::{Evidence, Severity};

type Set = BTreeSet<Ipv6Addr>;

pub(super) fn judge(case: &Case<'_>, judgement: &mut Judgement) {
    let comparable = |authoritative: bool| -> Vec<(&View, Set)> {
        case.views
            .iter()
            .filter(|view| view.authoritative == authoritative)
            .filter(|view| match &view.aaaa {
                Told::Addresses(_) | Told::Nothing => true,
                // A server whose zone lacks the name altogether; for AAAA alone it would be the query that is broken, and
                // a resolver's "no such name" may be older than the name.
                aaaa => authoritative && *aaaa == view.a && aaaa.is_no_such_name(),
            })
            .map(|view| (view, published_set(case, view)))
            .collect()
    };
    let (authoritative, resolvers) = (comparable(true), comparable(false));
    if authoritative.is_empty() {
        between_resolvers(case, &resolvers, judgement);
    } else {
        let disagree = between_authoritative(case, &authoritative, judgement);
        if !disagree {
            against_resolvers(case, &authoritative, &resolvers, judgement);
        }
    }
}

/// What a server says, without what it makes up itself.
fn published_set(case: &Case<'_>, view: &View) -> Set {
    let mut set = view.v6();
    if !view.authoritative {
        set.retain(|address| case.published.v6.contains(address));
    }
    set
}

fn distinct<'a>(views: &'a [(&View, Set)]) -> BTreeSet<&'a Set> {
    views.iter().map(|(_, set)| set).collect()
}

/// Whether the differences are of the kind that somebody meant: every server has addresses, and either they were all
/// declared, or A differs in the same manner.
fn on_purpose(case: &Case<'_>, views: &[(&View, Set)]) -> bool {
    if views.iter().any(|(_, set)| set.is_empty()) {
        return false;
    }
    let expected = &case.expectation.v6;
    if !expected.is_empty() {
        return views.iter().all(|(_, set)| set.is_subset(expected));
    }
    let mut told = views.iter().map(|(view, _)| &view.a);
    let first = told.next();
    views.iter().any(|(view, _)| view.rotates)
        || told.any(|a| matches!(a, Told::Addresses(_)) && Some(a) != first)
}

/// Returns whether they disagree in a way that somebody must look at.
fn between_authoritative(
    case: &Case<'_>,
    views: &[(&View, Set)],
    judgement: &mut Judgement,
) -> bool {
    if distinct(views).len() < 2 {
        return false;
    }
    let serials = serials(case);
    let serials_differ = serials.values().collect::<BTreeSet<_>>().len() > 1;
    let name = &case.names.name;
    if !serials_differ && on_purpose(case, views) {
        judgement.notes.push(format!(
            "the authoritative servers of `{name}` give different addresses of both families: steering, not judged"
        ));
        return false;
    }
    let hint = if serials_differ {
        let newest = serials.values().copied().reduce(newer);
        let stale: BTreeSet<String> = serials
            .iter()
            .filter(|(_, serial)| Some(**serial) != newest)
            .map(|(server, _)| case.names.server_name(*server))
            .collect();
        let apex = apex(case);
        format!(
            "{} has an old version of the zone: run `rndc retransfer {apex}` there and read its log",
            stale.into_iter().collect::<Vec<_>>().join(", ")
        )
    } else {
        "publish the zone from one source to all its servers, and raise the serial with each change"
            .to_owned()
    };
    let mut evidence = one_of_each_set(case, views);
    if serials_differ {
        evidence.extend(serial_evidence(case, views));
    }
    judgement.findings.push(finding(
        "dns.aaaa-inconsistent",
        name.to_string(),
        format!(
            "the authoritative servers of `{name}` disagree on its AAAA: {}",
            sets(case, views)
        ),
        evidence,
        hint,
    ));
    true
}

fn against_resolvers(
    case: &Case<'_>,
    authoritative: &[(&View, Set)],
    resolvers: &[(&View, Set)],
    judgement: &mut Judgement,
) {
    let name = &case.names.name;
    let right = distinct(authoritative);
    let mut wrong: Vec<(&View, Set)> = Vec::new();
    for (view, set) in resolvers {
        if right.contains(set) {
            continue;
        }
        let server = case.names.server_name(view.server);
        let mut compared = authoritative.to_vec();
        compared.push((view, set.clone()));
        if let Some(ttl) = may_be_old(case, view, authoritative) {
            judgement.notes.push(format!(
                "{server} has another AAAA set for `{name}` in its cache, for at most {ttl} s more"
            ));
        } else if on_purpose(case, &compared) {
            judgement.notes.push(format!(
                "{server} gives other addresses of both families for `{name}`: steering, not judged"
            ));
        } else {
            wrong.push((view, set.clone()));
        }
    }
    if wrong.is_empty() {
        return;
    }
    let mut compared = wrong.clone();
    compared.extend(authoritative.first().cloned());
    let servers: Vec<String> = wrong
        .iter()
        .map(|(view, _)| format!("`{}`", case.names.server_name(view.server)))
        .collect();
    judgement.findings.push(finding(
        "dns.aaaa-inconsistent",
        name.to_string(),
        format!(
            "{} gives another AAAA set for `{name}` than the authoritative servers: {}",
            servers.join(", "),
            sets(case, &compared)
        ),
        one_of_each_set(case, &compared),
        "look for a filter, template or local zone in the resolver (`filter-aaaa`, a CoreDNS `template`, a response \
         policy zone) and remove it; flush its cache",
    ));
}

/// For how long a resolver's answer may still be one that was right earlier: its TTL has begun to count down, or is not
/// the authoritative one's at all.
fn may_be_old(case: &Case<'_>, view: &View, authoritative: &[(&View, Set)]) -> Option<u32> {
    let mine = first(case, view.server)?;
    let ttl = mine.ttl()?;
    let fresh = authoritative
        .iter()
        .filter_map(|(view, _)| first(case, view.server))
        .filter_map(|lookup| {
            if mine.addresses().is_empty() {
                negative_ttl(case)
            } else {
                lookup.ttl()
            }
        })
        .any(|fresh| fresh == ttl);
    (!fresh).then_some(ttl)
}

fn between_resolvers(case: &Case<'_>, views: &[(&View, Set)], judgement: &mut Judgement) {
    if distinct(views).len() < 2 {
        return;
    }
    let name = &case.names.name;
    if on_purpose(case, views) {
        judgement.notes.push(format!(
            "the resolvers give different addresses of both families for `{name}`: steering, not judged"
        ));
        return;
    }
    let mut found = finding(
        "dns.aaaa-inconsistent",
        name.to_string(),
        format!(
            "resolvers disagree on the AAAA of `{name}`: {}",
            sets(case, views)
        ),
        one_of_each_set(case, views),
        "ask the authoritative servers (`dig +norecurse AAAA` at each); an old answer in a cache goes away with its TTL, a \
         filter in a resolver does not",
    );
    // Without the authoritative word a cache that lags cannot be told from a fault.
    found.severity = Severity::Warning;
    judgement.findings.push(found);
}

fn first<'a>(case: &'a Case<'_>, server: ServerId) -> Option<&'a Lookup> {
    case.names
        .about(server, Kind::Aaaa.rtype())
        .find(|lookup| lookup.success().is_some())
}

fn sets(case: &Case<'_>, views: &[(&View, Set)]) -> String {
    let mut by_set: BTreeMap<&Set, Vec<String>> = BTreeMap::new();
    for (view, set) in views {
        by_set
            .entry(set)
            .or_default()
            .push(case.names.server_name(view.server));
    }
    by_set
        .into_iter()
        .map(|(set, servers)| {
            let addresses: Vec<String> = set.iter().map(|address| format!("`{address}`")).collect();
            let addresses = if addresses.is_empty() {
                "none".to_owned()
            } else {
                addresses.join(" ")
            };
            format!("{addresses} at {}", servers.join(", "))
        })
        .collect::<Vec<_>>()
        .join("; ")
}

fn one_of_each_set(case: &Case<'_>, views: &[(&View, Set)]) -> Vec<Evidence> {
    let mut shown = BTreeSet::new();
    views
        .iter()
        .filter(|(_, set)| shown.insert(set))
        .filter_map(|(view, _)| first(case, view.server))
        .map(|lookup| case.names.evidence(lookup))
        .collect()
}

/// The zone serial at each authoritative server of the zone that holds the addresses.
fn serials(case: &Case<'_>) -> BTreeMap<ServerId, u32> {
    soa_lookups(case)
        .filter_map(|lookup| {
            lookup.records().find_map(|record| match &record.data {
                Data::Soa(soa) => Some((lookup.server, soa.serial)),
                _ => None,
            })
        })
        .collect()
}

fn soa_lookups<'a>(case: &'a Case<'_>) -> impl Iterator<Item = &'a Lookup> {
    let apex = case.names.zones.last().map(|zone| &zone.apex);
    case.names.lookups.iter().filter(move |lookup| {
        lookup.rtype == RecordType::SOA
            && Some(&lookup.name) == apex
            && case
                .names
                .server(lookup.server)
                .is_some_and(Server::is_authoritative)
    })
}

fn serial_evidence(case: &Case<'_>, views: &[(&View, Set)]) -> Vec<Evidence> {
    let mut serials = BTreeSet::new();
    soa_lookups(case)
        .filter(|lookup| views.iter().any(|(view, _)| view.server == lookup.server))
        .filter(|lookup| {
            lookup
                .records()
                .any(|record| matches!(&record.data, Data::Soa(soa) if serials.insert(soa.serial)))
        })
        .map(|lookup| case.names.evidence(lookup))
        .collect()
}

fn negative_ttl(case: &Case<'_>) -> Option<u32> {
    soa_lookups(case).find_map(|lookup| {
        lookup.records().find_map(|record| match &record.data {
            Data::Soa(soa) => Some(record.ttl.as_secs().min(soa.minimum.as_secs())),
            _ => None,
        })
    })
}

fn apex(case: &Case<'_>) -> String {
    case.names
        .zones
        .last()
        .map(|zone| zone.apex.to_string())
        .unwrap_or_default()
}

/// Serial arithmetic ([RFC 1982, section 3.2](https://www.rfc-editor.org/rfc/rfc1982#section-3.2)).
const fn newer(a: u32, b: u32) -> u32 {
    if a.wrapping_sub(b) < 0x8000_0000 {
        a
    } else {
        b
    }
}
