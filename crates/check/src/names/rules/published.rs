//! What stands in the records: missing types, addresses nobody can reach or nobody wanted, hints and TTLs.

mod consistency;
mod hints;

use super::{Case, Judgement};
use crate::codes::finding;
use crate::names::global::special_purpose;
use crate::names::observation::Lookup;
use crate::names::view::{Kind, Told};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use twinstack_finding::Evidence;

pub(super) fn judge(case: &Case<'_>, judgement: &mut Judgement) {
    let v6_missing = missing(case, Kind::Aaaa);
    // IPv4 alone may be as meant; nothing at all is not.
    if v6_missing && (!case.expectation.v4_only_is_fine || missing(case, Kind::A)) {
        judgement.findings.push(aaaa_missing(case));
    }
    if missing(case, Kind::A) && !case.published.v6.is_empty() {
        judgement.findings.push(a_missing(case));
    }
    for address in &case.published.v6 {
        if let Some(what) = special_purpose(*address) {
            judgement.findings.push(not_global(case, *address, what));
        }
    }
    unexpected(case, judgement);
    consistency::judge(case, judgement);
    ttl(case, judgement);
    hints::judge(case, v6_missing, judgement);
}

/// Nobody publishes an address of this type, somebody said so properly, and nobody's queries for it fail.
fn missing(case: &Case<'_>, kind: Kind) -> bool {
    let none = match kind {
        Kind::A => case.published.v4.is_empty(),
        Kind::Aaaa => case.published.v6.is_empty(),
    };
    let said = case
        .views
        .iter()
        .any(|view| matches!(view.told(kind), Told::Nothing | Told::Addresses(_)));
    none && said && !any_fails(case, kind)
}

/// Whether anybody's queries for this type fail who answers the other.
fn any_fails(case: &Case<'_>, kind: Kind) -> bool {
    case.views
        .iter()
        .any(|view| matches!(view.told(kind), Told::Broken(_)) && view.told(kind.other()).is_fine())
}

/// The first proper answer of each server for a type, authoritative servers first.
fn said<'a>(case: &'a Case<'_>, kind: Kind) -> Vec<&'a Lookup> {
    let mut views: Vec<_> = case.views.iter().collect();
    views.sort_by_key(|view| !view.authoritative);
    views
        .into_iter()
        .filter_map(|view| {
            case.names
                .about(view.server, kind.rtype())
                .find(|lookup| lookup.success().is_some())
        })
        .collect()
}

fn evidence<'a>(case: &Case<'_>, lookups: impl IntoIterator<Item = &'a Lookup>) -> Vec<Evidence> {
    lookups
        .into_iter()
        .map(|lookup| case.names.evidence(lookup))
        .collect()
}

fn aaaa_missing(case: &Case<'_>) -> twinstack_finding::Finding {
    let name = &case.names.name;
    let owner = &case.names.canonical;
    let mut supporting = evidence(case, said(case, Kind::Aaaa));
    supporting.extend(evidence(case, hints::with_v6(case)));
    let message = if case.published.v4.is_empty() {
        format!("`{name}` has no address at all, neither AAAA nor A")
    } else if owner == name {
        format!("`{name}` has no AAAA, only A")
    } else {
        format!("`{name}` is an alias of `{owner}`, which has no AAAA, only A")
    };
    let wanted = case
        .expectation
        .v6
        .first()
        .map_or_else(|| "2001:db8::80".to_owned(), Ipv6Addr::to_string);
    finding(
        "dns.aaaa-missing",
        name.to_string(),
        message,
        supporting,
        if case.published.v4.is_empty() {
            format!(
                "add the service's addresses to the zone: `{owner}. 300 IN AAAA {wanted}` and an A beside it"
            )
        } else {
            format!(
                "once the service answers on its IPv6 address, add `{owner}. 300 IN AAAA {wanted}` to the zone; if \
                 IPv4 only is meant, say `--allow-v4-only`"
            )
        },
    )
}

fn a_missing(case: &Case<'_>) -> twinstack_finding::Finding {
    let name = &case.names.name;
    finding(
        "dns.a-missing",
        name.to_string(),
        format!("`{name}` has AAAA, but no A: who has no IPv6 cannot reach it"),
        evidence(case, said(case, Kind::A)),
        format!(
            "add `{}. 300 IN A 192.0.2.80` (with the service's IPv4 address) to the zone, unless the name is meant for IPv6 alone",
            case.names.canonical
        ),
    )
}

/// The answers that carry an address.
fn carrying<'a>(case: &'a Case<'_>, address: Ipv6Addr) -> impl Iterator<Item = &'a Lookup> {
    said(case, Kind::Aaaa)
        .into_iter()
        .filter(move |lookup| lookup.addresses().contains(&IpAddr::V6(address)))
}

fn not_global(case: &Case<'_>, address: Ipv6Addr, what: &str) -> twinstack_finding::Finding {
    let name = &case.names.name;
    finding(
        "dns.aaaa-not-global",
        address.to_string(),
        format!("`{name}` publishes `{address}`, which the Internet cannot reach ({what})"),
        evidence(case, carrying(case, address)),
        format!(
            "remove `{}. IN AAAA {address}` from the public zone and publish the service's global address instead",
            case.names.canonical
        ),
    )
}

fn unexpected(case: &Case<'_>, judgement: &mut Judgement) {
    let expected = &case.expectation.v6;
    if expected.is_empty() {
        return;
    }
    let name = &case.names.name;
    for address in &case.published.v6 {
        // A special-purpose address is a fault of its own, whoever expected it.
        if !expected.contains(address) && special_purpose(*address).is_none() {
            judgement.findings.push(finding(
                "dns.aaaa-unexpected",
                address.to_string(),
                format!("`{name}` publishes `{address}`, which is not among the expected addresses"),
                evidence(case, carrying(case, *address)),
                format!(
                    "find out who wrote it (DNS automation?); remove `{}. IN AAAA {address}` or declare it with \
                     `--expect-v6 {address}`",
                    case.names.canonical
                ),
            ));
        }
    }
}

/// Addresses that were planned and that none of the names publishes, though they publish others. When there are none at
/// all, other codes say it.
pub(super) fn planned(cases: &[Case<'_>]) -> Option<twinstack_finding::Finding> {
    let published: BTreeSet<Ipv6Addr> = cases
        .iter()
        .flat_map(|case| case.published.v6.iter().copied())
        .collect();
    // A server that cannot be asked may have them.
    let fails = |case: &Case<'_>| any_fails(case, Kind::Aaaa);
    let case = cases.first()?;
    if published.is_empty() || cases.iter().any(fails) {
        return None;
    }
    let missing: Vec<Ipv6Addr> = case
        .expectation
        .v6
        .difference(&published)
        .copied()
        .collect();
    let first = missing.first()?;
    let names: Vec<String> = cases
        .iter()
        .map(|case| format!("`{}`", case.names.name))
        .collect();
    let quoted: Vec<String> = missing
        .iter()
        .map(|address| format!("`{address}`"))
        .collect();
    let lines: Vec<String> = missing
        .iter()
        .map(|address| format!("`{}. 300 IN AAAA {address}`", case.names.canonical))
        .collect();
    Some(finding(
        "dns.aaaa-missing",
        match cases {
            [_] => case.names.name.to_string(),
            _ => first.to_string(),
        },
        format!(
            "{} {} no AAAA for the expected {}",
            names.join(" and "),
            if cases.len() == 1 { "has" } else { "have" },
            quoted.join(", ")
        ),
        cases
            .iter()
            .flat_map(|case| evidence(case, said(case, Kind::Aaaa)))
            .collect(),
        format!(
            "once the service answers there, add {} to the zone; or leave the address out of `--expect-v6`",
            lines.join(" and ")
        ),
    ))
}

/// The authoritative TTL where one is known: a cache may have lengthened it as well as counted it down.
fn ttl(case: &Case<'_>, judgement: &mut Judgement) {
    let authoritative = case
        .views
        .iter()
        .any(|view| view.authoritative && matches!(view.aaaa, Told::Addresses(_)));
    let longest = case
        .views
        .iter()
        .filter(|view| view.authoritative == authoritative)
        .flat_map(|view| case.names.about(view.server, Kind::Aaaa.rtype()))
        .filter(|lookup| {
            lookup.addresses().iter().any(|address| match address {
                IpAddr::V6(address) => case.published.v6.contains(address),
                IpAddr::V4(_) => false,
            })
        })
        .max_by_key(|lookup| lookup.ttl());
    let Some((lookup, ttl)) = longest.and_then(|lookup| Some((lookup, lookup.ttl()?))) else {
        return;
    };
    let limit = case.expectation.max_ttl.as_secs();
    if u64::from(ttl) > limit {
        let name = &case.names.name;
        judgement.findings.push(finding(
            "dns.ttl-too-long",
            name.to_string(),
            format!(
                "the AAAA of `{name}` may be kept for {ttl} s: taking it back takes that long, and the limit is {limit} s"
            ),
            evidence(case, [lookup]),
            format!(
                "lower the TTL well before the change: `{}. {} IN AAAA ...`",
                case.names.canonical,
                limit.min(300)
            ),
        ));
    }
}
