//! Queries of one type that fail while the other type is answered: `dns.aaaa-query-broken`, `dns.a-query-broken`.

use super::{Case, Judgement, timing};
use crate::codes::finding;
use crate::names::observation::{Lookup, Outcome, Server};
use crate::names::view::{Breakage, Kind, Told, View};
use std::collections::BTreeMap;
use twinstack_dns::Rcode;
use twinstack_finding::{Evidence, Finding};

pub(super) fn judge(case: &Case<'_>, judgement: &mut Judgement) {
    for kind in [Kind::Aaaa, Kind::A] {
        judgement.findings.extend(broken(case, kind));
    }
}

/// One finding for each way of failing. What a resolver says after its authoritative servers failed is a consequence,
/// so it supports their finding and raises none of its own.
fn broken(case: &Case<'_>, kind: Kind) -> Vec<Finding> {
    let mut by_breakage: BTreeMap<Breakage, Vec<&View>> = BTreeMap::new();
    let mut at_resolvers: BTreeMap<Breakage, Vec<&View>> = BTreeMap::new();
    for view in &case.views {
        if let Some(breakage) = breakage(view, kind) {
            let group = if view.authoritative {
                &mut by_breakage
            } else {
                &mut at_resolvers
            };
            group.entry(breakage).or_default().push(view);
        }
    }
    let consequences: Vec<&View> = if by_breakage.is_empty() {
        if kind == Kind::Aaaa && timing::explains_resolvers(case) {
            at_resolvers.retain(|breakage, _| !is_giving_up(*breakage));
        }
        by_breakage = at_resolvers;
        Vec::new()
    } else {
        at_resolvers.into_values().flatten().collect()
    };
    let mut findings: Vec<Finding> = by_breakage
        .into_iter()
        .map(|(breakage, views)| broken_at(case, kind, breakage, &views))
        .collect();
    if let Some(first) = findings.first_mut() {
        for view in consequences {
            first
                .evidence
                .extend(failed(case, view, kind).map(|lookup| case.names.evidence(lookup)));
        }
    }
    findings
}

/// What a resolver does that waited in vain.
const fn is_giving_up(breakage: Breakage) -> bool {
    matches!(breakage, Breakage::Dropped | Breakage::UdpDropped)
        || matches!(breakage, Breakage::Code(Rcode::SERVFAIL))
}

/// The AAAA questions that resolvers gave up on.
pub(super) fn failures_at_resolvers(case: &Case<'_>) -> Vec<Evidence> {
    case.views
        .iter()
        .filter(|view| !view.authoritative)
        .filter(|view| breakage(view, Kind::Aaaa).is_some_and(is_giving_up))
        .flat_map(|view| failed(case, view, Kind::Aaaa))
        .map(|lookup| case.names.evidence(lookup))
        .collect()
}

/// How the type fails at a server that deals with the other type properly.
fn breakage(view: &View, kind: Kind) -> Option<Breakage> {
    match view.told(kind) {
        // Refused by the host: nobody listens, or somebody does for one query and not for the next; not about types.
        Told::Broken(Breakage::Unreachable) => None,
        Told::Broken(breakage) if view.told(kind.other()).is_fine() => Some(*breakage),
        _ => None,
    }
}

fn failed<'a>(case: &'a Case<'_>, view: &View, kind: Kind) -> impl Iterator<Item = &'a Lookup> {
    case.names
        .about(view.server, kind.rtype())
        .filter(|lookup| lookup.success().is_none() && lookup.outcome != Outcome::NoRoute)
}

fn broken_at(case: &Case<'_>, kind: Kind, breakage: Breakage, views: &[&View]) -> Finding {
    let name = &case.names.name;
    let servers: Vec<String> = views
        .iter()
        .map(|view| format!("`{}`", case.names.server_name(view.server)))
        .collect();
    let mut evidence = Vec::new();
    for view in views {
        evidence.extend(failed(case, view, kind).map(|lookup| case.names.evidence(lookup)));
        let fine = case
            .names
            .about(view.server, kind.other().rtype())
            .find(|lookup| lookup.success().is_some());
        evidence.extend(fine.map(|lookup| case.names.evidence(lookup)));
    }
    let (code, rtype, other) = match kind {
        Kind::Aaaa => ("dns.aaaa-query-broken", "AAAA", "A"),
        Kind::A => ("dns.a-query-broken", "A", "AAAA"),
    };
    let message = format!(
        "the query for {rtype} of `{name}` is {breakage} by {}, the one for {other} is answered",
        servers.join(", ")
    );
    finding(
        code,
        name.to_string(),
        message,
        evidence,
        hint(case, kind, breakage, views),
    )
}

fn hint(case: &Case<'_>, kind: Kind, breakage: Breakage, views: &[&View]) -> String {
    let name = &case.names.name;
    let rtype = kind.rtype();
    let at = views
        .first()
        .and_then(|view| case.names.server(view.server))
        .and_then(Server::address)
        .map(|address| format!(" @{address}"))
        .unwrap_or_default();
    let what = match breakage {
        Breakage::Dropped | Breakage::UdpDropped => {
            "let the server answer every type (NOERROR without records where there are none), and look for a \
             firewall or load balancer in front of it that drops by query type"
        }
        Breakage::Code(Rcode::NXDOMAIN) => {
            "a name that has other records must answer NOERROR without records; remove the template, rewrite or \
             filter that turns the type into NXDOMAIN"
        }
        _ => {
            "look into the server's log for this query; a plugin, a filter or a broken signature usually causes it"
        }
    };
    format!("{what}; try `dig {rtype} {name}{at}`")
}
