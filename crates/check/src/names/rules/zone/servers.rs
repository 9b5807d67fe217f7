//! Name servers that do not do their work: `dns.ns-v6-dead` when only their IPv6 is dead, `dns.ns-broken` for all else.
//!
//! A fault is said of a server only if another one of the zone does its work: when none does, the fault may be anywhere
//! between here and all of them. Silence counts only if the same family was heard from here at all.

use crate::codes::finding;
use crate::names::observation::{Lookup, NameServer, Outcome, Role, Server, Zone};
use crate::names::rules::{Case, Judgement};
use std::collections::BTreeSet;
use std::net::IpAddr;
use twinstack_dns::client::Transport;
use twinstack_dns::{Rcode, RecordType};
use twinstack_finding::{Evidence, Skipped};

/// How a name server does its work at one of its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Work {
    /// It answers questions about the name.
    Done,
    /// Not a word over UDP or TCP.
    Silent,
    /// Answers over TCP and none over UDP, which everybody asks first.
    UdpSilent,
    /// It answers, and never properly: in these words.
    Refused(BTreeSet<String>),
}

/// One address of a name server and what was seen of it.
struct Place<'a> {
    address: IpAddr,
    work: Work,
    lookups: Vec<&'a Lookup>,
}

pub(super) fn judge(case: &Case<'_>, zone: &Zone, judgement: &mut Judgement) {
    let servers: Vec<(&NameServer, Vec<Place<'_>>)> = zone
        .name_servers
        .iter()
        .map(|server| (server, places(case, server)))
        .collect();
    let working = servers
        .iter()
        .flat_map(|(_, places)| places)
        .find(|place| place.work == Work::Done);
    for (server, places) in &servers {
        let works = |place: &Place<'_>| place.work == Work::Done;
        let other_way = places.iter().any(works) || !places.iter().any(|it| it.address.is_ipv4());
        // Dead on IPv4 too: dead, but not because of IPv6.
        let (v6_dead, broken): (Vec<&Place<'_>>, Vec<&Place<'_>>) = places
            .iter()
            .filter(|place| !works(place))
            .partition(|it| other_way && it.address.is_ipv6() && it.work == Work::Silent);
        let v6_dead = believable(case, server, v6_dead, judgement);
        if !v6_dead.is_empty() {
            dead(case, zone, server, &v6_dead, places, judgement);
        }
        if broken.is_empty() {
            continue;
        }
        let Some(working) = working else {
            judgement.skipped.push(Skipped {
                what: format!("whether `{}` serves `{}`", server.name, zone.apex),
                why: "no name server of the zone gave a proper answer from here, so the fault may lie between"
                    .to_owned(),
            });
            continue;
        };
        let broken = believable(case, server, broken, judgement);
        if !broken.is_empty() {
            self::broken(case, zone, server, &broken, working, judgement);
        }
    }
}

/// The addresses at which a server was asked.
fn places<'a>(case: &Case<'a>, server: &NameServer) -> Vec<Place<'a>> {
    let v6 = server.v6.iter().copied().map(IpAddr::V6);
    let v4 = server.v4.iter().copied().map(IpAddr::V4);
    v6.chain(v4)
        .filter_map(|address| {
            let lookups: Vec<&Lookup> = case
                .names
                .lookups
                .iter()
                .filter(|lookup| lookup.outcome != Outcome::NoRoute)
                .filter(|lookup| {
                    case.names.server(lookup.server).is_some_and(|found| {
                        found.address() == Some(address)
                            && matches!(&found.role, Role::Authoritative(name) if *name == server.name)
                    })
                })
                .collect();
            (!lookups.is_empty()).then(|| Place {
                address,
                work: work(&lookups),
                lookups,
            })
        })
        .collect()
}

fn work(lookups: &[&Lookup]) -> Work {
    let heard =
        |lookup: &&&Lookup| matches!(lookup.outcome, Outcome::Reply(_) | Outcome::Malformed(_));
    let udp = || {
        let udp = |lookup: &&&Lookup| lookup.transport != Transport::Tcp;
        lookups.iter().filter(udp)
    };
    if !lookups.iter().any(|lookup| heard(&lookup)) {
        return Work::Silent;
    }
    if !udp().any(|lookup| heard(&lookup)) {
        // Only the start of the zone was asked for over TCP too.
        return if lookups.iter().any(|lookup| is_proper(lookup)) {
            Work::UdpSilent
        } else {
            Work::Refused(words(lookups))
        };
    }
    // A server may know that it has the zone, and still fail for the name.
    let addresses: Vec<&Lookup> = udp()
        .copied()
        .filter(|lookup| matches!(lookup.rtype, RecordType::A | RecordType::AAAA))
        .collect();
    let asked = if addresses.is_empty() {
        udp().copied().collect()
    } else {
        addresses
    };
    if asked.iter().any(|lookup| is_proper(lookup)) {
        Work::Done
    } else {
        Work::Refused(words(&asked))
    }
}

/// Data or a plain no, from a server that has the zone.
fn is_proper(lookup: &Lookup) -> bool {
    lookup.reply().is_some_and(|reply| {
        matches!(reply.rcode, Rcode::NOERROR | Rcode::NXDOMAIN)
            && (reply.authoritative || lookup.records().next().is_some())
    })
}

fn words(lookups: &[&Lookup]) -> BTreeSet<String> {
    lookups
        .iter()
        .map(|lookup| match &lookup.outcome {
            Outcome::Reply(reply) if reply.rcode == Rcode::NOERROR => {
                "a referral to others".to_owned()
            }
            Outcome::Reply(reply) => reply.rcode.to_string(),
            Outcome::Malformed(_) => "bytes that are no DNS message".to_owned(),
            _ => "silence".to_owned(),
        })
        .collect()
}

/// Leaves out silence that may be this side's fault, and says so.
fn believable<'a, 'b>(
    case: &Case<'_>,
    server: &NameServer,
    places: Vec<&'b Place<'a>>,
    judgement: &mut Judgement,
) -> Vec<&'b Place<'a>> {
    let (believed, doubtful): (Vec<_>, Vec<_>) = places.into_iter().partition(|place| {
        place.work != Work::Silent || family_works(case, place.address.is_ipv6())
    });
    for (family, v6) in [("IPv6", true), ("IPv4", false)] {
        let addresses: Vec<String> = doubtful
            .iter()
            .filter(|place| place.address.is_ipv6() == v6)
            .map(|place| format!("`{}`", place.address))
            .collect();
        if !addresses.is_empty() {
            judgement.skipped.push(Skipped {
                what: format!(
                    "whether {} of `{}` answers over {family}",
                    addresses.join(", "),
                    server.name
                ),
                why: format!(
                    "nothing at all answered over {family} from here, so the fault may be on this side"
                ),
            });
        }
    }
    believed
}

/// Whether anything got through over a family from here. A resolver does not count: it is usually in our own network,
/// which says nothing about the way out of it.
fn family_works(case: &Case<'_>, v6: bool) -> bool {
    // Over IPv4 port 53 alone is often closed to all but the resolvers; then other ports prove nothing.
    (v6 && case.expectation.v6_works_here)
        || case.names.lookups.iter().any(|lookup| {
            lookup.reply().is_some()
                && case
                    .names
                    .server(lookup.server)
                    .filter(|server| !server.is_resolver())
                    .and_then(Server::address)
                    .is_some_and(|address| address.is_ipv6() == v6)
        })
}

fn dead(
    case: &Case<'_>,
    zone: &Zone,
    server: &NameServer,
    silent: &[&Place<'_>],
    all: &[Place<'_>],
    judgement: &mut Judgement,
) {
    let mut evidence: Vec<Evidence> = silent
        .iter()
        .flat_map(|place| one_of_each_transport(case, place))
        .collect();
    let answered = all
        .iter()
        .filter(|place| place.address.is_ipv4())
        .flat_map(|place| &place.lookups)
        .find(|lookup| lookup.reply().is_some());
    evidence.extend(answered.map(|lookup| case.names.evidence(lookup)));
    let first = silent
        .first()
        .map(|place| place.address.to_string())
        .unwrap_or_default();
    judgement.findings.push(finding(
        "dns.ns-v6-dead",
        server.name.to_string(),
        format!(
            "`{}` has the address {}, but answers nothing there, over UDP or TCP, about `{}`",
            server.name,
            addresses(silent),
            zone.apex
        ),
        evidence,
        format!(
            "let the server listen on it (BIND: `listen-on-v6 {{ any; }};`) and let UDP and TCP port 53 through the firewall \
             (`nft add rule inet filter input ip6 daddr {first} meta l4proto {{ tcp, udp }} th dport 53 accept`), or take the AAAA \
             of `{}` away",
            server.name
        ),
    ));
}

fn broken(
    case: &Case<'_>,
    zone: &Zone,
    server: &NameServer,
    places: &[&Place<'_>],
    working: &Place<'_>,
    judgement: &mut Judgement,
) {
    let mut ways: Vec<(String, Vec<&Place<'_>>)> = Vec::new();
    for place in places {
        let how = match &place.work {
            Work::Done | Work::Silent => "no answer".to_owned(),
            Work::UdpSilent => "no answer over UDP, only over TCP,".to_owned(),
            Work::Refused(words) => {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                words.join(" and ")
            }
        };
        match ways.iter_mut().find(|(known, _)| *known == how) {
            Some((_, places)) => places.push(place),
            None => ways.push((how, vec![place])),
        }
    }
    let how: Vec<String> = ways
        .iter()
        .map(|(how, places)| format!("{how} at {}", addresses(places)))
        .collect();
    let mut evidence: Vec<Evidence> = places
        .iter()
        .flat_map(|place| one_of_each_transport(case, place))
        .collect();
    let proper = working.lookups.iter().find(|lookup| is_proper(lookup));
    evidence.extend(proper.map(|lookup| case.names.evidence(lookup)));
    let silent = places
        .iter()
        .any(|place| matches!(place.work, Work::Silent | Work::UdpSilent));
    let refused = places
        .iter()
        .any(|place| matches!(place.work, Work::Refused(_)));
    let mut hints = Vec::new();
    if refused {
        hints.push(format!(
            "find out why the server does not have the zone (BIND: `rndc zonestatus {apex}`, then its log: not configured, \
             expired, or a file that does not load; `allow-query` may leave a family out)",
            apex = zone.apex
        ));
    }
    if silent {
        hints.push(
            "see whether the server runs and whether UDP and TCP port 53 get through to it"
                .to_owned(),
        );
    }
    judgement.findings.push(finding(
        "dns.ns-broken",
        server.name.to_string(),
        format!(
            "`{}` is a name server of `{}` and does not do its work: {}",
            server.name,
            zone.apex,
            how.join("; ")
        ),
        evidence,
        format!(
            "{}; or take `{}` out of the NS set, here and in the zone above",
            hints.join("; "),
            server.name
        ),
    ));
}

fn addresses(places: &[&Place<'_>]) -> String {
    let addresses: Vec<String> = places
        .iter()
        .map(|place| format!("`{}`", place.address))
        .collect();
    addresses.join(", ")
}

/// One question over each transport is enough.
fn one_of_each_transport(case: &Case<'_>, place: &Place<'_>) -> Vec<Evidence> {
    let mut transports = BTreeSet::new();
    place
        .lookups
        .iter()
        .filter(|lookup| !is_proper(lookup))
        .filter(|lookup| transports.insert(lookup.transport))
        .map(|lookup| case.names.evidence(lookup))
        .collect()
}
