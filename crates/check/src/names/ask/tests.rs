//! Real sockets on the loopback: a scripted server that loses, delays and refuses.

use super::*;
use crate::names::fixture::{name, record};
use crate::names::{Existence, Inquiry, existence};
use std::sync::Arc;
use tokio::net::UdpSocket as TokioUdp;
use twinstack_dns::Query;

const PATIENCE: Duration = Duration::from_millis(800);

/// What the script says to the nth query (from 0); `None` is silence.
type Script = dyn Fn(usize, &Query) -> Option<(Duration, Response)> + Send + Sync;

/// A server that follows a script; it ends with the runtime of its test.
async fn server(script: Arc<Script>) -> SocketAddr {
    let socket = Arc::new(TokioUdp::bind("127.0.0.1:0").await.unwrap());
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut octets = vec![0; 2048];
        for count in 0.. {
            let Ok((length, client)) = socket.recv_from(&mut octets).await else {
                return;
            };
            let query = Query::parse(&octets[..length]).unwrap();
            if let Some((delay, response)) = script(count, &query) {
                let socket = Arc::clone(&socket);
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    socket.send_to(&response.to_bytes(), client).await.unwrap();
                });
            }
        }
    });
    address
}

fn says(query: &Query, rcode: Rcode, lines: &[&str]) -> Response {
    Response {
        answer: lines.iter().map(|line| record(line)).collect(),
        ..Response::to_query(query, rcode)
    }
}

fn resolver(asker: &Asker, address: SocketAddr) -> ServerId {
    asker
        .server(Server {
            role: super::super::observation::Role::Resolver,
            endpoint: ServerAddress::Socket(address),
        })
        .unwrap()
}

async fn ask(
    script: impl Fn(usize, &Query) -> Option<(Duration, Response)> + Send + Sync + 'static,
) -> Lookup {
    let address = server(Arc::new(script)).await;
    let asker = Asker::new(Instant::now(), PATIENCE);
    let id = resolver(&asker, address);
    asker.ask(id, &name("www.lab.test"), RecordType::AAAA).await
}

const ANSWER: &[&str] = &["www.lab.test. 300 AAAA 2e00:5::80"];

#[tokio::test]
async fn a_lost_query_costs_a_quarter_of_the_patience() {
    let lookup = ask(|count, query| {
        (count > 0).then(|| (Duration::ZERO, says(query, Rcode::NOERROR, ANSWER)))
    })
    .await;
    assert_eq!(lookup.addresses().len(), 1);
    assert_eq!(lookup.sent, 2);
    assert!(
        lookup.elapsed < 0.15,
        "the time counts from the query that was answered: {}",
        lookup.elapsed
    );
}

#[tokio::test]
async fn a_slow_server_is_not_silent() {
    let slow = PATIENCE * 3 / 4;
    let lookup = ask(move |_, query| Some((slow, says(query, Rcode::NOERROR, ANSWER)))).await;
    assert_eq!(lookup.addresses().len(), 1);
    assert!(lookup.elapsed >= slow.as_secs_f64(), "{}", lookup.elapsed);
}

#[tokio::test]
async fn silence_is_listened_to_until_the_end() {
    let lookup = ask(|_, _| None).await;
    assert_eq!(lookup.outcome, Outcome::Silent);
    assert_eq!(lookup.sent, 3);
    assert!(
        lookup.elapsed > PATIENCE.as_secs_f64() * 0.9,
        "{}",
        lookup.elapsed
    );
}

#[tokio::test]
async fn servfail_is_asked_about_once_more() {
    let lookup = ask(|count, query| {
        let (rcode, lines) = if count == 0 {
            (Rcode::SERVFAIL, &[][..])
        } else {
            (Rcode::NOERROR, ANSWER)
        };
        Some((Duration::ZERO, says(query, rcode, lines)))
    })
    .await;
    assert_eq!(lookup.addresses().len(), 1);
    let lookup = ask(|_, query| Some((Duration::ZERO, says(query, Rcode::SERVFAIL, &[])))).await;
    assert_eq!(lookup.outcome_word(), "SERVFAIL");
}

#[tokio::test]
async fn a_closed_port_is_known_at_once() {
    let closed = TokioUdp::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let asker = Asker::new(Instant::now(), PATIENCE);
    let id = resolver(&asker, closed);
    let lookup = asker.ask(id, &name("www.lab.test"), RecordType::AAAA).await;
    assert!(
        matches!(lookup.outcome, Outcome::Unreachable(_)),
        "{:?}",
        lookup.outcome
    );
    assert!(asker.now() < PATIENCE.as_secs_f64() / 2.0);
}

#[tokio::test]
async fn the_same_server_has_one_id() {
    let asker = Asker::new(Instant::now(), PATIENCE);
    let one = resolver(&asker, "127.0.0.1:53".parse().unwrap());
    let other = resolver(&asker, "[::1]:53".parse().unwrap());
    assert_eq!(one, resolver(&asker, "127.0.0.1:53".parse().unwrap()));
    assert_ne!(one, other);
}

/// A resolver that knows one name, and nothing about zones.
fn knows_www(query: &Query) -> Response {
    let www = query.question.name == name("www.lab.test");
    match query.question.rtype {
        RecordType::A if www => says(
            query,
            Rcode::NOERROR,
            &["www.lab.test. 300 A 198.51.100.80"],
        ),
        RecordType::AAAA if www => says(query, Rcode::NOERROR, ANSWER),
        RecordType::AAAA => says(
            query,
            Rcode::NOERROR,
            &["ipv4only.arpa. 60 AAAA 64:ff9b::192.0.0.170"],
        ),
        _ => says(query, Rcode::NOERROR, &[]),
    }
}

#[tokio::test]
async fn a_resolver_that_strips_the_authority_section_is_enough_for_the_addresses() {
    let address = server(Arc::new(|_, query: &Query| {
        Some((Duration::ZERO, knows_www(query)))
    }))
    .await;
    let asker = Asker::new(Instant::now(), PATIENCE);
    let resolvers = [resolver(&asker, address)];
    let inquiry = Inquiry::new(&asker, &resolvers, name("www.lab.test"), true);
    let (names, early) = futures_util::future::join(inquiry.run(), inquiry.addresses()).await;
    assert_eq!(existence(&names), Existence::Exists);
    assert_eq!(crate::names::probeable(&early).len(), 2);
    assert_eq!(names.synthesis.len(), 1);
    assert!(names.zones.is_empty());
    assert!(
        names
            .notes
            .iter()
            .any(|note| note.contains("no authoritative server")),
        "{:?}",
        names.notes
    );
    assert_eq!(names.pairs.len(), 4, "one pair, and three more");
}

#[tokio::test]
async fn addresses_do_not_wait_for_a_resolver_that_is_silent() {
    let quick = server(Arc::new(|_, query: &Query| {
        Some((Duration::ZERO, knows_www(query)))
    }))
    .await;
    let silent = server(Arc::new(|_, _: &Query| None)).await;
    let asker = Asker::new(Instant::now(), Duration::from_secs(4));
    let resolvers = [resolver(&asker, silent), resolver(&asker, quick)];
    let inquiry = Inquiry::new(&asker, &resolvers, name("www.lab.test"), false);
    let early = async {
        let early = inquiry.addresses().await;
        (crate::names::probeable(&early).len(), asker.now())
    };
    let (_, (known, at)) = futures_util::future::join(inquiry.run(), early).await;
    assert_eq!(known, 2);
    assert!(at < 2.5, "known after {at} s");
    assert!(
        asker.now() > 3.5,
        "the silent one is listened to all the same"
    );
}
