//! A root, a top-level zone and a zone, each on a loopback address of its own, and a resolver that knows the root.

use super::*;

mod extras;

const ROOT: HostId = HostId(0);
const TLD: HostId = HostId(1);
const NS1: HostId = HostId(2);
const NS2: HostId = HostId(3);
const RESOLVER: HostId = HostId(4);

const ADDRESSES: [&[&str]; 5] = [
    &["127.53.0.1"],
    &["127.53.0.2"],
    &["127.53.0.3"],
    &["127.53.0.4", "::1"],
    &["127.53.0.9"],
];

fn lab_world() -> World {
    let mut world = world(vec![]);
    let template: Host = world.hosts.remove(0);
    for (addresses, name) in ADDRESSES
        .iter()
        .zip(["root", "tld", "ns1", "ns2", "resolver"])
    {
        let mut host = Host {
            name: name.to_owned(),
            ..template.clone()
        };
        host.interfaces[0].addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        world.hosts.push(host);
    }
    world.zones = vec![
        zone(
            ".",
            &[ROOT],
            &[
                ". 300 SOA a.root. h.root. 1 1 1 1 60",
                "test. 300 NS a.nic.test.",
                "a.nic.test. 300 A 127.53.0.2",
                "arpa. 300 NS a.root.",
                "a.root. 300 A 127.53.0.1",
            ],
        ),
        zone(
            "arpa.",
            &[ROOT],
            &[
                "arpa. 300 SOA a.root. h.root. 1 1 1 1 60",
                "2.0.192.in-addr.arpa. 300 NS ns1.lab.test.",
            ],
        ),
        zone(
            "test.",
            &[TLD],
            &[
                "test. 300 SOA a.nic.test. h.nic.test. 1 1 1 1 60",
                "lab.test. 300 NS ns1.lab.test.",
                "lab.test. 300 NS ns2.lab.test.",
                "ns1.lab.test. 300 A 127.53.0.3",
                "ns2.lab.test. 300 A 127.53.0.4",
                "glueless.test. 300 NS ns1.lab.test.",
                "circle.test. 300 NS ns.circle2.test.",
                "circle2.test. 300 NS ns.circle.test.",
                "lame.test. 300 NS a.nic.test.",
                "poison.test. 300 NS ns1.lab.test.",
            ],
        ),
        zone(
            "lab.test.",
            &[NS1, NS2],
            &[
                "lab.test. 300 SOA ns1.lab.test. h.lab.test. 1 1 1 1 60",
                "lab.test. 300 NS ns1.lab.test.",
                "ns1.lab.test. 300 A 127.53.0.3",
                "ns2.lab.test. 300 A 127.53.0.4",
                "www.lab.test. 300 A 192.0.2.80",
                "www.lab.test. 300 AAAA 2e00:5::80",
                "web.lab.test. 300 CNAME www.lab.test.",
                "far.lab.test. 300 CNAME www.glueless.test.",
                "loop.lab.test. 300 CNAME loop2.lab.test.",
                "loop2.lab.test. 300 CNAME loop.lab.test.",
                "v4only.lab.test. 300 A 192.0.2.4",
                "mapped.lab.test. 300 A 192.0.2.5",
                "mapped.lab.test. 300 AAAA ::ffff:192.0.2.5",
                "brief.lab.test. 0 A 192.0.2.6",
            ],
        ),
        zone(
            "glueless.test.",
            &[NS1],
            &[
                "glueless.test. 300 SOA ns1.lab.test. h.lab.test. 1 1 1 1 60",
                "www.glueless.test. 300 A 192.0.2.99",
            ],
        ),
        zone(
            "2.0.192.in-addr.arpa.",
            &[NS1],
            &[
                "2.0.192.in-addr.arpa. 300 SOA ns1.lab.test. h.lab.test. 1 1 1 1 60",
                "80.2.0.192.in-addr.arpa. 300 PTR www.lab.test.",
            ],
        ),
    ];
    world
}

/// The whole chain, running.
struct Chain {
    lab: Lab,
    server: SocketAddr,
    https: Option<SocketAddr>,
}

impl Chain {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl Fn(&mut Recursive)) -> Self {
        let lab = Lab::of(lab_world());
        // Another test may take the port on one of the addresses between two binds: then all is tried again.
        for _ in 0..10 {
            if let Some((server, https)) = Self::start(&lab, &change) {
                return Self { lab, server, https };
            }
        }
        panic!("no port is free on all addresses");
    }

    fn start(
        lab: &Lab,
        change: &impl Fn(&mut Recursive),
    ) -> Option<(SocketAddr, Option<SocketAddr>)> {
        let mut port = 0;
        for host in [ROOT, TLD, NS1, NS2] {
            let mut authoritative = service(ServiceKind::DnsAuthoritative);
            authoritative.listen = addresses(host);
            authoritative.port = port;
            let running = start_authoritative(&lab.context, host, &authoritative).ok()?;
            port = running.udp[0].port();
        }
        let mut resolver = service(ServiceKind::DnsRecursive);
        resolver.listen = addresses(RESOLVER);
        let mut settings = Recursive {
            root: addresses(ROOT),
            dns64: None,
            cache: true,
            doh: None,
        };
        change(&mut settings);
        resolver.recursive = Some(settings);
        let running = start_recursive_at(&lab.context, RESOLVER, &resolver, port).ok()?;
        Some((running.udp[0], running.tcp.get(1).copied()))
    }

    fn rules(&self, rules: &[DnsRule]) {
        self.lab.context.names.replace_rules(rules);
    }

    async fn ask(&self, name: &str, rtype: RecordType) -> Response {
        let exchange = ask(self.server, name, rtype).await;
        let response = exchange.outcome.unwrap();
        assert!(response.recursion_available && !response.authoritative);
        response
    }

    async fn check(
        &self,
        name: &str,
        rtype: RecordType,
        rcode: Rcode,
        expected: &[&str],
    ) -> Response {
        let response = self.ask(name, rtype).await;
        assert_eq!(response.rcode, rcode, "{name} {rtype}: {response:?}");
        assert_eq!(data(&response), expected, "{name} {rtype}");
        response
    }
}

fn addresses(host: HostId) -> Vec<IpAddr> {
    ADDRESSES[host.0]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect()
}

fn at(hosts: &[HostId], reply: DnsReply) -> DnsRule {
    DnsRule {
        at: hosts.to_vec(),
        ..rule(reply)
    }
}

#[tokio::test]
async fn names_are_found_from_the_root_down() {
    let chain = Chain::new();
    chain
        .check(
            "www.lab.test",
            RecordType::AAAA,
            Rcode::NOERROR,
            &["2e00:5::80"],
        )
        .await;
    chain
        .check(
            "www.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.2.80"],
        )
        .await;
    chain
        .check(
            "web.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["www.lab.test.", "192.0.2.80"],
        )
        .await;
    chain
        .check(
            "80.2.0.192.in-addr.arpa",
            RecordType::PTR,
            Rcode::NOERROR,
            &["www.lab.test."],
        )
        .await;
}

#[tokio::test]
async fn servers_without_glue_are_looked_up_first() {
    let chain = Chain::new();
    chain
        .check(
            "www.glueless.test",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.2.99"],
        )
        .await;
    let chain = Chain::new();
    chain
        .check(
            "far.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["www.glueless.test.", "192.0.2.99"],
        )
        .await;
}

#[tokio::test]
async fn negative_answers_are_kept_with_their_soa() {
    let chain = Chain::new();
    for _ in 0..2 {
        let response = chain
            .check("nowhere.lab.test", RecordType::A, Rcode::NXDOMAIN, &[])
            .await;
        assert!(response.negative_ttl().unwrap().as_secs() <= 60);
        let response = chain
            .check("v4only.lab.test", RecordType::AAAA, Rcode::NOERROR, &[])
            .await;
        assert!(response.is_nodata(&question("v4only.lab.test", RecordType::AAAA)));
        // From now on nobody else knows.
        chain.rules(&[at(&[ROOT, TLD, NS1, NS2], DnsReply::Drop)]);
    }
    chain
        .check("nowhere.lab.test", RecordType::AAAA, Rcode::NXDOMAIN, &[])
        .await;
}

#[tokio::test]
async fn answers_are_kept_and_grow_old() {
    let chain = Chain::new();
    chain
        .check(
            "www.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.2.80"],
        )
        .await;
    chain
        .check(
            "brief.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.2.6"],
        )
        .await;
    chain.rules(&[at(&[ROOT, TLD, NS1, NS2], DnsReply::Refused)]);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let response = chain
        .check(
            "www.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.2.80"],
        )
        .await;
    assert!(response.answer_ttl().unwrap().as_secs() < 300);
    chain
        .check("brief.lab.test", RecordType::A, Rcode::SERVFAIL, &[])
        .await;
}

#[tokio::test]
async fn nothing_is_kept_where_the_world_says_so() {
    let chain = Chain::with(|settings| settings.cache = false);
    chain
        .check(
            "www.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.2.80"],
        )
        .await;
    chain.rules(&[at(&[NS1, NS2], DnsReply::Refused)]);
    chain
        .check("www.lab.test", RecordType::A, Rcode::SERVFAIL, &[])
        .await;
}

#[tokio::test]
async fn broken_server_is_passed_over() {
    for reply in [
        DnsReply::Drop,
        DnsReply::Servfail,
        DnsReply::Refused,
        DnsReply::Garbage,
        DnsReply::Formerr,
    ] {
        let chain = Chain::new();
        chain.rules(&[at(&[NS1], reply)]);
        let start = Instant::now();
        chain
            .check(
                "www.lab.test",
                RecordType::A,
                Rcode::NOERROR,
                &["192.0.2.80"],
            )
            .await;
        assert!(start.elapsed() < Duration::from_secs(2), "{reply:?}");
    }
}

#[tokio::test]
async fn truncated_answers_are_fetched_over_tcp() {
    let chain = Chain::new();
    chain.rules(&[at(&[NS1, NS2], DnsReply::Truncate)]);
    chain
        .check(
            "www.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.2.80"],
        )
        .await;
}

#[tokio::test]
async fn slow_server_is_not_a_dead_one() {
    let chain = Chain::new();
    chain.rules(&[DnsRule {
        delay: Duration::from_millis(1200),
        ..at(&[NS1, NS2], DnsReply::Answer)
    }]);
    chain
        .check(
            "www.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.2.80"],
        )
        .await;
}

#[tokio::test]
async fn lost_query_is_sent_again() {
    let chain = Chain::new();
    chain.rules(&[at(&[NS1, NS2], DnsReply::Drop)]);
    let server = chain.server;
    let asked = tokio::spawn(async move { ask(server, "www.lab.test", RecordType::A).await });
    tokio::time::sleep(Duration::from_millis(700)).await;
    chain.rules(&[]);
    let exchange = asked.await.unwrap();
    assert!(exchange.elapsed < Duration::from_secs(3), "{exchange:?}");
    assert_eq!(data(&exchange.outcome.unwrap()), ["192.0.2.80"]);
}

#[tokio::test]
async fn silence_of_all_servers_ends_in_servfail_in_time() {
    let chain = Chain::new();
    chain.rules(&[at(&[NS1, NS2], DnsReply::Drop)]);
    let start = Instant::now();
    chain
        .check("www.lab.test", RecordType::A, Rcode::SERVFAIL, &[])
        .await;
    assert!(
        (1..=5).contains(&start.elapsed().as_secs()),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn errors_of_all_servers_end_in_servfail_at_once() {
    let chain = Chain::new();
    chain.rules(&[DnsRule {
        types: vec!["AAAA".to_owned()],
        ..at(&[NS1, NS2], DnsReply::Servfail)
    }]);
    let start = Instant::now();
    chain
        .check("www.lab.test", RecordType::AAAA, Rcode::SERVFAIL, &[])
        .await;
    assert!(start.elapsed() < Duration::from_secs(1));
    chain
        .check(
            "www.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.2.80"],
        )
        .await;
}

#[tokio::test]
async fn circles_end() {
    let chain = Chain::new();
    let start = Instant::now();
    chain
        .check("www.circle.test", RecordType::A, Rcode::SERVFAIL, &[])
        .await;
    chain
        .check("loop.lab.test", RecordType::A, Rcode::SERVFAIL, &[])
        .await;
    chain
        .check("www.lame.test", RecordType::A, Rcode::SERVFAIL, &[])
        .await;
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn rules_hold_at_the_resolver_before_it_asks_anybody() {
    let chain = Chain::new();
    chain.rules(&[DnsRule {
        types: vec!["AAAA".to_owned()],
        ..at(&[RESOLVER], DnsReply::Nxdomain)
    }]);
    let response = chain
        .check("www.lab.test", RecordType::AAAA, Rcode::NXDOMAIN, &[])
        .await;
    assert!(response.negative_ttl().is_some());
    chain
        .check(
            "www.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.2.80"],
        )
        .await;
}

#[tokio::test]
async fn same_questions_at_once_are_one_question() {
    let chain = Chain::with(|settings| settings.cache = false);
    // Four levels of 100 ms each: asked one after the other, twenty would take 8 s.
    chain.rules(&[DnsRule {
        delay: Duration::from_millis(100),
        ..at(&[ROOT, TLD, NS1, NS2], DnsReply::Answer)
    }]);
    let start = Instant::now();
    let server = chain.server;
    let all: Vec<_> = (0..20)
        .map(|_| tokio::spawn(async move { ask(server, "www.lab.test", RecordType::A).await }))
        .collect();
    for one in all {
        assert_eq!(data(&one.await.unwrap().outcome.unwrap()), ["192.0.2.80"]);
    }
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn without_recursion_only_the_cache_speaks() {
    let chain = Chain::new();
    let options = AskOptions {
        recursion_desired: false,
        ..options()
    };
    let asked = question("www.lab.test", RecordType::A);
    let ask = async || {
        Client::new(chain.server)
            .ask(&asked, &options)
            .await
            .outcome
            .unwrap()
    };
    assert_eq!(ask().await.rcode, Rcode::REFUSED);
    chain
        .check(
            "www.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.2.80"],
        )
        .await;
    assert_eq!(data(&ask().await), ["192.0.2.80"]);
}

#[tokio::test]
async fn garbage_changes_nothing() {
    let chain = Chain::new();
    survives_garbage(chain.server, "www.lab.test").await;
}

#[tokio::test]
async fn resolver_without_settings_does_not_start() {
    let lab = Lab::of(lab_world());
    let error = lab.refuses(&service(ServiceKind::DnsRecursive)).await;
    assert!(error.to_string().contains("no root servers"), "{error}");
}
