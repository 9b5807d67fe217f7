//! What a healthy zone's observation looks like, and ways to break it: for the tests of the rules.
//!
//! `www.lab.test` has two addresses of each family at ns1 and ns2 (both dual stack), one resolver, and a parent that
//! hands out complete glue.

use super::observation::{
    Lookup, NameServer, NamesObservation, Outcome, Pair, Referral, Reply, Role, Server, ServerId,
    Zone,
};
use std::net::SocketAddr;
use twinstack_dns::client::{ServerAddress, Transport};
use twinstack_dns::{Name, Rcode, Record, RecordType, Ttl, parse_record_line};

pub(crate) const RESOLVER: ServerId = ServerId(0);
pub(crate) const NS1_V6: ServerId = ServerId(1);
pub(crate) const NS1_V4: ServerId = ServerId(2);
pub(crate) const NS2_V6: ServerId = ServerId(3);
pub(crate) const NS2_V4: ServerId = ServerId(4);
pub(crate) const PARENT_V6: ServerId = ServerId(5);
pub(crate) const AUTHORITATIVE: [ServerId; 4] = [NS1_V6, NS1_V4, NS2_V6, NS2_V4];

pub(crate) const A: &[&str] = &[
    "www.lab.test. 300 A 198.51.100.80",
    "www.lab.test. 300 A 198.51.100.81",
];
pub(crate) const AAAA: &[&str] = &[
    "www.lab.test. 300 AAAA 2e00:5::80",
    "www.lab.test. 300 AAAA 2e00:5::81",
];
pub(crate) const HTTPS: &[&str] = &[
    "www.lab.test. 300 HTTPS 1 . alpn=h3,h2 ipv4hint=198.51.100.80,198.51.100.81 ipv6hint=2e00:5::80,2e00:5::81",
];
pub(crate) const SOA: &str =
    "lab.test. 300 SOA ns1.lab.test. admin.lab.test. 1 7200 900 1209600 300";

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).expect("a test's name")
}

pub(crate) fn record(line: &str) -> Record {
    parse_record_line(line, &Name::root(), Ttl::ZERO)
        .unwrap_or_else(|error| panic!("{line}: {error}"))
}

pub(crate) fn records(lines: &[&str]) -> Vec<Record> {
    lines.iter().map(|line| record(line)).collect()
}

/// A lookup that is answered with these records; without any it is NODATA with the zone's SOA.
pub(crate) fn answered(
    server: ServerId,
    owner: &str,
    rtype: RecordType,
    answers: &[&str],
) -> Lookup {
    let authority = if answers.is_empty() {
        vec![record(SOA)]
    } else {
        Vec::new()
    };
    Lookup {
        outcome: Outcome::Reply(Reply {
            rcode: Rcode::NOERROR,
            authoritative: server != RESOLVER,
            answers: records(answers),
            authority,
            additional: Vec::new(),
        }),
        ..asked(server, owner, rtype)
    }
}

/// A lookup without an answer.
pub(crate) fn asked(server: ServerId, owner: &str, rtype: RecordType) -> Lookup {
    Lookup {
        server,
        name: name(owner),
        rtype,
        transport: Transport::Udp,
        at: 0.1,
        elapsed: 0.014,
        sent: 1,
        outcome: Outcome::Silent,
    }
}

pub(crate) fn failed(lookup: &mut Lookup, rcode: Rcode) {
    lookup.outcome = Outcome::Reply(Reply {
        rcode,
        authoritative: false,
        answers: Vec::new(),
        authority: Vec::new(),
        additional: Vec::new(),
    });
}

pub(crate) fn silenced(lookup: &mut Lookup) {
    lookup.outcome = Outcome::Silent;
    lookup.elapsed = 4.0;
    lookup.sent = 3;
}

fn server(role: Role, address: &str) -> Server {
    let address = SocketAddr::new(address.parse().expect("a test's address"), 53);
    Server {
        role,
        endpoint: ServerAddress::Socket(address),
    }
}

pub(crate) fn servers() -> Vec<Server> {
    let ns = |text| Role::Authoritative(name(text));
    let root = || Role::Parent(name("root.test"));
    vec![
        server(Role::Resolver, "192.0.2.53"),
        server(ns("ns1.lab.test"), "2e00:5::53"),
        server(ns("ns1.lab.test"), "198.51.100.53"),
        server(ns("ns2.lab.test"), "2e00:f::53"),
        server(ns("ns2.lab.test"), "203.0.113.53"),
        server(root(), "2e00:f::5"),
        server(root(), "203.0.113.5"),
    ]
}

pub(crate) fn healthy() -> NamesObservation {
    let mut names = NamesObservation::new(name("www.lab.test"));
    names.servers = servers();
    for id in [RESOLVER].into_iter().chain(AUTHORITATIVE) {
        names.lookups.extend([
            answered(id, "www.lab.test", RecordType::A, A),
            answered(id, "www.lab.test", RecordType::AAAA, AAAA),
            answered(id, "www.lab.test", RecordType::HTTPS, HTTPS),
        ]);
        names.pairs.extend((0..4).map(|_| pair(id, 0.014)));
    }
    for id in AUTHORITATIVE {
        names
            .lookups
            .push(answered(id, "lab.test", RecordType::SOA, &[SOA]));
        names.lookups.push(Lookup {
            transport: Transport::Tcp,
            ..answered(id, "lab.test", RecordType::SOA, &[SOA])
        });
    }
    for (owner, line) in [
        ("ns1.lab.test", "ns1.lab.test. 300 AAAA 2e00:5::53"),
        ("ns2.lab.test", "ns2.lab.test. 300 AAAA 2e00:f::53"),
    ] {
        names
            .lookups
            .push(answered(RESOLVER, owner, RecordType::AAAA, &[line]));
    }
    names.zones.push(Zone {
        apex: name("lab.test"),
        name_servers: vec![
            name_server("ns1.lab.test", "198.51.100.53", "2e00:5::53"),
            name_server("ns2.lab.test", "203.0.113.53", "2e00:f::53"),
        ],
        referral: Some(Referral {
            from: PARENT_V6,
            at: 0.05,
            glue: [
                ("ns1.lab.test", "198.51.100.53"),
                ("ns1.lab.test", "2e00:5::53"),
                ("ns2.lab.test", "203.0.113.53"),
                ("ns2.lab.test", "2e00:f::53"),
            ]
            .map(|(owner, address)| (name(owner), address.parse().expect("a test's address")))
            .into(),
        }),
    });
    names
}

fn name_server(owner: &str, v4: &str, v6: &str) -> NameServer {
    NameServer {
        name: name(owner),
        v4: [v4.parse().expect("a test's address")].into(),
        v6: [v6.parse().expect("a test's address")].into(),
        v6_known: true,
    }
}

/// An A after 14 ms and an AAAA after this many seconds.
pub(crate) fn pair(server: ServerId, aaaa: f64) -> Pair {
    Pair {
        server,
        name: name("www.lab.test"),
        at: 0.1,
        a: 0.014,
        aaaa,
    }
}

/// Changes every lookup of `www.lab.test` of this type at these servers.
pub(crate) fn change(
    names: &mut NamesObservation,
    at: &[ServerId],
    rtype: RecordType,
    mut how: impl FnMut(&mut Lookup),
) {
    names
        .lookups
        .iter_mut()
        .filter(|lookup| at.contains(&lookup.server) && lookup.rtype == rtype)
        .filter(|lookup| lookup.name == name("www.lab.test"))
        .for_each(&mut how);
}

/// Every resolver and authoritative server.
pub(crate) fn everybody() -> Vec<ServerId> {
    [RESOLVER].into_iter().chain(AUTHORITATIVE).collect()
}

/// Replaces the records of this type everywhere, or at some servers.
pub(crate) fn publish(
    names: &mut NamesObservation,
    at: &[ServerId],
    rtype: RecordType,
    lines: &[&str],
) {
    change(names, at, rtype, |lookup| {
        *lookup = answered(lookup.server, "www.lab.test", rtype, lines);
    });
}
