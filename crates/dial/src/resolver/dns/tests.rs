use super::*;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicU32, Ordering};
use twinstack_dns::{Query, Rcode, Record, Response, Ttl, parse_record_line};

/// A server on loopback: answers a question by what `script` says, or not at all.
fn server(
    script: impl Fn(&Question) -> Option<Script> + Send + 'static,
) -> (SocketAddr, Arc<AtomicU32>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
            let query = Query::parse(&buffer[..length]).unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            if let Some(script) = script(&query.question) {
                let response = Response {
                    answer: script.records,
                    ..Response::to_query(&query, script.rcode)
                };
                socket.send_to(&response.to_bytes(), peer).unwrap();
            }
        }
    });
    (address, asked)
}

struct Script {
    rcode: Rcode,
    records: Vec<Record>,
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a script is what comes back, or nothing"
)]
fn records(lines: &[&str]) -> Option<Script> {
    let root = twinstack_dns::Name::root();
    let record = |line: &&str| parse_record_line(line, &root, Ttl::from_secs(60)).unwrap();
    Some(Script {
        rcode: Rcode::NOERROR,
        records: lines.iter().map(record).collect(),
    })
}

#[expect(clippy::unnecessary_wraps, reason = "as above")]
fn failing(rcode: Rcode) -> Option<Script> {
    Some(Script {
        rcode,
        records: Vec::new(),
    })
}

async fn ask(resolver: &DnsResolver, name: &str, kind: QueryType) -> Result<Answer, QueryError> {
    let mut asking = resolver.ask(&Name::new(name).unwrap(), kind, false);
    poll_fn(|context| asking.poll(context)).await.result
}

fn first(answer: Answer) -> String {
    match answer.data {
        AnswerData::Addresses(addresses) => addresses[0].to_string(),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn each_type_is_a_question_of_its_own_and_is_kept() {
    let (address, asked) = server(|question| match question.rtype {
        RecordType::A => records(&["w.test. 60 IN A 192.0.2.1"]),
        RecordType::AAAA => records(&["w.test. 60 IN AAAA 2001:db8::1"]),
        _ => records(&[]),
    });
    let resolver = DnsResolver::servers([address]).unwrap();
    assert_eq!(
        first(ask(&resolver, "w.test", QueryType::A).await.unwrap()),
        "192.0.2.1"
    );
    assert_eq!(
        first(ask(&resolver, "w.test", QueryType::Aaaa).await.unwrap()),
        "2001:db8::1"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    assert_eq!(
        first(ask(&resolver, "w.test", QueryType::A).await.unwrap()),
        "192.0.2.1"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 2, "the cache answers");
    let https = ask(&resolver, "w.test", QueryType::Https).await.unwrap();
    assert_eq!(https.data, AnswerData::NoData);
}

#[tokio::test]
async fn a7_a_silent_server_costs_the_stagger_once() {
    let (silent, silently_asked) = server(|_| None);
    let (good, _) = server(|_| records(&["w.test. 60 IN A 192.0.2.1"]));
    let resolver = DnsResolver::servers([silent, good]).unwrap();
    let start = std::time::Instant::now();
    ask(&resolver, "one.test", QueryType::A).await.unwrap();
    let took = start.elapsed();
    assert!(
        (Duration::from_millis(299)..Duration::from_millis(900)).contains(&took),
        "{took:?}"
    );
    let start = std::time::Instant::now();
    ask(&resolver, "two.test", QueryType::A).await.unwrap();
    assert!(
        start.elapsed() < Duration::from_millis(250),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(silently_asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_server_that_fails_hands_over_at_once() {
    let (bad, _) = server(|_| failing(Rcode::SERVFAIL));
    let (good, _) = server(|_| records(&["w.test. 60 IN A 192.0.2.1"]));
    let resolver = DnsResolver::servers([bad, good]).unwrap();
    let start = std::time::Instant::now();
    assert_eq!(
        first(ask(&resolver, "w.test", QueryType::A).await.unwrap()),
        "192.0.2.1"
    );
    assert!(
        start.elapsed() < Duration::from_millis(250),
        "{:?}",
        start.elapsed()
    );
    let alone = DnsResolver::servers([bad]).unwrap();
    let error = ask(&alone, "w.test", QueryType::A).await.unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::ServerFailure);
}

#[tokio::test]
async fn the_search_list_ends_at_the_first_name_that_exists() {
    let (address, asked) =
        server(
            |question| match (question.name.to_string().as_str(), question.rtype) {
                ("db.b.test", RecordType::A) => records(&["db.b.test. 60 IN A 192.0.2.7"]),
                ("db.b.test", _) => records(&[]),
                _ => failing(Rcode::NXDOMAIN),
            },
        );
    let search = ["a.test", "b.test", "c.test"].map(|it| twinstack_dns::Name::parse(it).unwrap());
    let resolver = DnsResolver::new(Inner {
        servers: Servers::new(vec![Client::new(address)]),
        search: search.into(),
        ndots: 1,
        hosts: None,
        cache: Cache::default(),
        protected: false,
    })
    .unwrap();
    assert_eq!(
        first(ask(&resolver, "db", QueryType::A).await.unwrap()),
        "192.0.2.7"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 2);
    let aaaa = ask(&resolver, "db", QueryType::Aaaa).await.unwrap();
    assert_eq!(
        aaaa.data,
        AnswerData::NoData,
        "not what db.c.test would say"
    );
    // With a final dot, or dots enough, the name is tried as it is.
    let absolute = ask(&resolver, "db.", QueryType::A).await.unwrap();
    assert_eq!(absolute.data, AnswerData::NxDomain);
}

#[tokio::test]
async fn localhost_is_nobodys_question() {
    let (address, asked) = server(|_| None);
    let resolver = DnsResolver::servers([address]).unwrap();
    assert_eq!(
        first(ask(&resolver, "localhost", QueryType::A).await.unwrap()),
        "127.0.0.1"
    );
    assert_eq!(
        first(
            ask(&resolver, "api.localhost", QueryType::Aaaa)
                .await
                .unwrap()
        ),
        "::1"
    );
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn without_servers_there_is_no_resolver() {
    assert_eq!(DnsResolver::servers([]).unwrap_err(), DnsError::NoServer);
}
