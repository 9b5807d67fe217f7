//! The zone around the name: its servers' IPv6, the glue above, how long "there is none" is remembered.

mod servers;

use super::{Case, Judgement};
use crate::codes::finding;
use crate::names::observation::{Lookup, NameServer, Server, Zone};
use std::net::Ipv6Addr;
use twinstack_dns::{Data, Name, RecordType};
use twinstack_finding::Evidence;

pub(super) fn judge(case: &Case<'_>, judgement: &mut Judgement) {
    for zone in &case.names.zones {
        no_aaaa(case, zone, judgement);
        glue(case, zone, judgement);
        servers::judge(case, zone, judgement);
        negative_ttl(case, zone, judgement);
    }
}

fn no_aaaa(case: &Case<'_>, zone: &Zone, judgement: &mut Judgement) {
    let servers = &zone.name_servers;
    // A server whose AAAA could not be asked for may have one.
    if servers.is_empty()
        || servers
            .iter()
            .any(|server| !server.v6.is_empty() || !server.v6_known)
    {
        return;
    }
    let apex = &zone.apex;
    let evidence = servers
        .iter()
        .filter_map(|server| {
            case.names.lookups.iter().find(|lookup| {
                lookup.name == server.name
                    && lookup.rtype == RecordType::AAAA
                    && lookup.success().is_some()
            })
        })
        .map(|lookup| case.names.evidence(lookup))
        .collect();
    let first = servers
        .first()
        .map(|server| server.name.to_string())
        .unwrap_or_default();
    judgement.findings.push(finding(
        "dns.ns-no-aaaa",
        apex.to_string(),
        format!(
            "none of the {} name servers of `{apex}` has an AAAA: a resolver without IPv4 cannot ask them",
            servers.len()
        ),
        evidence,
        format!("give at least two of them an IPv6 address, such as `{first}. 3600 IN AAAA 2001:db8::53`, and glue for it"),
    ));
}

fn glue(case: &Case<'_>, zone: &Zone, judgement: &mut Judgement) {
    let Some(referral) = &zone.referral else {
        return;
    };
    let (inside, outside): (Vec<&NameServer>, Vec<&NameServer>) = zone
        .name_servers
        .iter()
        .partition(|server| server.name.is_subdomain_of(&zone.apex));
    // Glue is due only for servers inside the zone; a server outside with IPv6 is a way in without any.
    let due: Vec<&&NameServer> = inside
        .iter()
        .filter(|server| !server.v6.is_empty())
        .collect();
    let other_way_in = outside.iter().any(|server| !server.v6.is_empty());
    let has_glue = inside.iter().any(|server| {
        referral
            .glue
            .iter()
            .any(|(name, address)| *name == server.name && address.is_ipv6())
    });
    let Some(first) = due.first() else {
        return;
    };
    if other_way_in || has_glue {
        return;
    }
    let apex = &zone.apex;
    let above = apex.parent().unwrap_or_else(Name::root);
    let mut evidence = vec![Evidence {
        did: format!(
            "asked {} for {apex} NS without recursion",
            case.names.server_name(referral.from)
        ),
        saw: format!(
            "a referral with glue {}",
            referral
                .glue
                .iter()
                .map(|(name, address)| format!("{name} {address}"))
                .collect::<Vec<_>>()
                .join(", ")
        ),
        at: Some(referral.at),
    }];
    evidence.extend(
        case.names
            .lookups
            .iter()
            .find(|lookup| {
                lookup.name == first.name
                    && lookup.rtype == RecordType::AAAA
                    && !lookup.addresses().is_empty()
            })
            .map(|lookup| case.names.evidence(lookup)),
    );
    judgement.findings.push(finding(
        "dns.glue-no-aaaa",
        apex.to_string(),
        format!("the zone above `{apex}` (`{above}`) hands out no IPv6 address for its name servers, though they have one"),
        evidence,
        format!(
            "add the glue at the registrar or in the zone above: `{}. IN AAAA {}`",
            first.name,
            first.v6.first().copied().unwrap_or(Ipv6Addr::UNSPECIFIED)
        ),
    ));
}

fn negative_ttl(case: &Case<'_>, zone: &Zone, judgement: &mut Judgement) {
    let start = |lookup: &&Lookup| lookup.rtype == RecordType::SOA && lookup.name == zone.apex;
    let is_authoritative = |lookup: &&Lookup| {
        case.names
            .server(lookup.server)
            .is_some_and(Server::is_authoritative)
    };
    // A cache counts the TTL down, so its word is a lower bound and still good when nobody else answers.
    let lookups = || {
        case.names
            .lookups
            .iter()
            .filter(start)
            .filter(|lookup| lookup.records().next().is_some())
    };
    let Some(lookup) = lookups()
        .find(is_authoritative)
        .or_else(|| lookups().next())
    else {
        return;
    };
    let Some((ttl, minimum)) = lookup.records().find_map(|record| match &record.data {
        Data::Soa(soa) => Some((record.ttl.as_secs(), soa.minimum.as_secs())),
        _ => None,
    }) else {
        return;
    };
    let kept = ttl.min(minimum);
    let limit = case.expectation.max_ttl.as_secs();
    if u64::from(kept) <= limit {
        return;
    }
    let apex = &zone.apex;
    judgement.findings.push(finding(
        "dns.negative-ttl-too-long",
        apex.to_string(),
        format!(
            "resolvers may remember for {kept} s that a name in `{apex}` has no AAAA (SOA TTL {ttl}, minimum {minimum}), and the \
             limit is {limit} s"
        ),
        vec![case.names.evidence(lookup)],
        format!("lower the last number of the SOA of `{apex}` to 300 and raise the serial"),
    ));
}
