//! Against servers on the loopback that behave and that do not.

use super::*;
use crate::message::Rcode;
use crate::name::Name;
use crate::record::{Data, Record, RecordType, Ttl};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::Ipv6Addr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

const ADDRESS: Ipv6Addr = Ipv6Addr::new(0x2e00, 5, 0, 0, 0, 0, 0, 0x80);

/// Long enough for the loopback, whatever else the machine does.
const PATIENT: Duration = Duration::from_secs(5);

/// Short enough for a test that waits for nothing.
const SHORT: Duration = Duration::from_millis(150);

fn question() -> Question {
    Question::new(Name::parse("www.lab.test").unwrap(), RecordType::AAAA)
}

fn options(timeout: Duration, tries: u32) -> AskOptions {
    AskOptions {
        timeout,
        tries,
        ..AskOptions::default()
    }
}

fn answer(query: &Query) -> Response {
    Response {
        answer: vec![Record {
            owner: query.question.name.clone(),
            ttl: Ttl::from_secs(300),
            data: Data::Aaaa(ADDRESS),
        }],
        ..Response::to_query(query, Rcode::NOERROR)
    }
}

/// A UDP server that sends whatever `reply` makes of the n-th query, from 0.
async fn udp<F>(address: &str, reply: F) -> SocketAddr
where
    F: Fn(usize, &Query) -> Vec<Vec<u8>> + Send + 'static,
{
    let socket = UdpSocket::bind(address).await.unwrap();
    let local = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        for number in 0.. {
            let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let query = Query::parse(&buffer[..length]).unwrap();
            for octets in reply(number, &query) {
                socket.send_to(&octets, peer).await.unwrap();
            }
        }
    });
    local
}

/// A TCP server that writes whatever `reply` makes of each query, and closes.
fn tcp_at<F>(listener: TcpListener, reply: F)
where
    F: Fn(&Query) -> Vec<u8> + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let length = stream.read_u16().await.unwrap();
            let mut octets = vec![0; usize::from(length)];
            stream.read_exact(&mut octets).await.unwrap();
            let query = Query::parse(&octets).unwrap();
            stream.write_all(&reply(&query)).await.unwrap();
        }
    });
}

fn framed(octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len()).unwrap();
    [&length.to_be_bytes(), octets].concat()
}

fn assert_answered(exchange: &Exchange, transport: Transport, attempts: u32) {
    let response = exchange.outcome.as_ref().unwrap();
    assert_eq!(response.answer[0].data, Data::Aaaa(ADDRESS));
    assert_eq!(
        (exchange.transport, exchange.attempts),
        (transport, attempts)
    );
}

#[tokio::test]
async fn answers_come_over_udp_of_both_families() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let server = udp(address, |_, query| vec![answer(query).to_bytes()]).await;
        let exchange = Client::new(server)
            .ask(&question(), &options(PATIENT, 1))
            .await;
        assert_answered(&exchange, Transport::Udp, 1);
        assert_eq!(exchange.server.to_string(), server.to_string());
        assert!(exchange.elapsed < PATIENT);
    }
}

#[tokio::test]
async fn many_questions_at_once_get_their_own_answers() {
    let server = udp("127.0.0.1:0", |_, query| vec![answer(query).to_bytes()]).await;
    let client = Client::new(server);
    let asked: Vec<_> = (0..100)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move {
                let name = Name::parse(&format!("n{number}.lab.test")).unwrap();
                let question = Question::new(name, RecordType::AAAA);
                client.ask(&question, &options(PATIENT, 2)).await
            })
        })
        .collect();
    for (number, exchange) in asked.into_iter().enumerate() {
        let response = exchange.await.unwrap().outcome.unwrap();
        assert_eq!(
            response.answer[0].owner.to_string(),
            format!("n{number}.lab.test")
        );
    }
}

#[tokio::test]
async fn wrong_id_and_wrong_question_do_not_count() {
    let server = udp("127.0.0.1:0", |_, query| {
        let mut wrong_id = answer(query);
        wrong_id.id ^= 1;
        let mut wrong_question = answer(query);
        wrong_question.question.as_mut().unwrap().rtype = RecordType::A;
        vec![
            wrong_id.to_bytes(),
            wrong_question.to_bytes(),
            b"junk".to_vec(),
            answer(query).to_bytes(),
        ]
    })
    .await;
    let exchange = Client::new(server)
        .ask(&question(), &options(PATIENT, 1))
        .await;
    assert_answered(&exchange, Transport::Udp, 1);
}

/// An answer with another address in it, so that believing it shows.
fn forged(query: &Query) -> Response {
    let mut response = answer(query);
    response.answer[0].data = Data::Aaaa(Ipv6Addr::new(0x2e00, 0xbad, 0, 0, 0, 0, 0, 1));
    response
}

/// RFC 5452, section 9.1: address and port, id and question all have to match, however early a forgery comes.
/// What is forged, and how.
type Forgery = (&'static str, fn(&Query) -> Response);

#[tokio::test]
async fn an_answer_that_fits_in_all_but_one_thing_is_not_believed() {
    let other_id = |query: &Query| Response {
        id: query.id.wrapping_add(1),
        ..forged(query)
    };
    let other_name = |query: &Query| {
        let mut response = forged(query);
        response.question.as_mut().unwrap().name = Name::parse("ftp.lab.test").unwrap();
        response
    };
    let no_question = |query: &Query| Response {
        question: None,
        ..forged(query)
    };
    // A copy of the query is no answer either.
    let echo = |query: &Query| query.to_bytes();
    let server = udp("127.0.0.1:0", move |_, query| {
        vec![
            other_id(query).to_bytes(),
            other_name(query).to_bytes(),
            no_question(query).to_bytes(),
            echo(query),
            answer(query).to_bytes(),
        ]
    })
    .await;
    let client = Client::new(server);
    let exchange = client.ask(&question(), &options(PATIENT, 1)).await;
    assert_answered(&exchange, Transport::Udp, 1);

    let forgeries: [Forgery; 3] = [
        ("id", other_id),
        ("name", other_name),
        ("question", no_question),
    ];
    for (what, forge) in forgeries {
        let server = udp("127.0.0.1:0", move |_, query| vec![forge(query).to_bytes()]).await;
        let client = Client::new(server);
        let outcome = client.ask(&question(), &options(SHORT, 1)).await.outcome;
        assert!(outcome.is_err(), "{what}: {outcome:?}");
    }
}

#[tokio::test]
async fn a_perfect_answer_from_another_port_is_not_believed() {
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let query = Query::parse(&buffer[..length]).unwrap();
        let forgery = forged(&query).to_bytes();
        stranger.send_to(&forgery, peer).await.unwrap();
        let answer = answer(&query).to_bytes();
        socket.send_to(&answer, peer).await.unwrap();
    });
    let client = Client::new(server);
    let exchange = client.ask(&question(), &options(PATIENT, 1)).await;
    assert_answered(&exchange, Transport::Udp, 1);
}

#[tokio::test]
async fn only_the_wrong_answer_is_a_mismatch() {
    let server = udp("127.0.0.1:0", |_, query| {
        let mut wrong = answer(query);
        wrong.id ^= 1;
        vec![wrong.to_bytes()]
    })
    .await;
    let exchange = Client::new(server)
        .ask(&question(), &options(SHORT, 1))
        .await;
    assert!(
        matches!(exchange.outcome, Err(AskError::Mismatched)),
        "{exchange:?}"
    );
}

#[tokio::test]
async fn answer_from_another_address_does_not_count() {
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let server = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        let (length, peer) = socket.recv_from(&mut buffer).await.unwrap();
        let query = Query::parse(&buffer[..length]).unwrap();
        stranger
            .send_to(&answer(&query).to_bytes(), peer)
            .await
            .unwrap();
    });
    let exchange = Client::new(server)
        .ask(&question(), &options(SHORT, 1))
        .await;
    assert!(
        matches!(exchange.outcome, Err(AskError::Timeout)),
        "{exchange:?}"
    );
}

#[tokio::test]
async fn garbage_is_malformed_at_the_end_of_the_wait() {
    let server = udp("127.0.0.1:0", |_, _| vec![b"no dns at all".to_vec()]).await;
    let exchange = Client::new(server)
        .ask(&question(), &options(SHORT, 2))
        .await;
    assert!(
        matches!(exchange.outcome, Err(AskError::Malformed(_))),
        "{exchange:?}"
    );
    assert_eq!(exchange.attempts, 2);
}

#[tokio::test]
async fn broken_answer_with_the_right_id_is_malformed_at_once() {
    let server = udp("127.0.0.1:0", |_, query| {
        let mut octets = answer(query).to_bytes();
        octets.truncate(40);
        vec![octets]
    })
    .await;
    let exchange = Client::new(server)
        .ask(&question(), &options(PATIENT, 1))
        .await;
    assert!(
        matches!(exchange.outcome, Err(AskError::Malformed(_))),
        "{exchange:?}"
    );
    assert!(exchange.elapsed < PATIENT / 2);
}

#[tokio::test]
async fn lost_query_is_asked_again() {
    let server = udp("127.0.0.1:0", |number, query| {
        if number == 0 {
            vec![]
        } else {
            vec![answer(query).to_bytes()]
        }
    })
    .await;
    let exchange = Client::new(server)
        .ask(&question(), &options(SHORT, 3))
        .await;
    assert_answered(&exchange, Transport::Udp, 2);
    assert!(exchange.elapsed + Duration::from_millis(5) >= SHORT);
}

#[tokio::test]
async fn silence_is_a_timeout_after_all_tries() {
    let server = udp("127.0.0.1:0", |_, _| vec![]).await;
    let exchange = Client::new(server)
        .ask(&question(), &options(SHORT, 2))
        .await;
    assert!(matches!(exchange.outcome, Err(AskError::Timeout)));
    assert_eq!(exchange.attempts, 2);
}

#[tokio::test]
async fn closed_port_is_refused_at_once() {
    for (address, transport) in [
        ("127.0.0.1:0", TransportChoice::Udp),
        ("[::1]:0", TransportChoice::Udp),
        ("127.0.0.1:0", TransportChoice::Tcp),
    ] {
        let closed = UdpSocket::bind(address)
            .await
            .unwrap()
            .local_addr()
            .unwrap();
        let options = AskOptions {
            transport,
            ..options(PATIENT, 3)
        };
        let exchange = Client::new(closed).ask(&question(), &options).await;
        assert!(
            matches!(exchange.outcome, Err(AskError::Refused)),
            "{exchange:?}"
        );
        assert_eq!(exchange.attempts, 1);
    }
}

#[tokio::test]
async fn truncated_answer_is_asked_for_over_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = udp(&address, |_, query| {
        let mut cut = Response::to_query(query, Rcode::NOERROR);
        cut.truncated = true;
        vec![cut.to_bytes()]
    })
    .await;
    tcp_at(listener, |query| framed(&answer(query).to_bytes()));
    let client = Client::new(server);
    let exchange = client.ask(&question(), &options(PATIENT, 1)).await;
    assert_answered(&exchange, Transport::Tcp, 1);

    let only_udp = AskOptions {
        transport: TransportChoice::Udp,
        ..options(PATIENT, 1)
    };
    let exchange = client.ask(&question(), &only_udp).await;
    assert!(exchange.outcome.unwrap().truncated);
}

#[tokio::test]
async fn tcp_failures_are_told_apart() {
    let check = async |reply: fn(&Query) -> Vec<u8>, expected: fn(&AskError) -> bool| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        tcp_at(listener, reply);
        let options = AskOptions {
            transport: TransportChoice::Tcp,
            ..options(PATIENT, 1)
        };
        let exchange = Client::new(server).ask(&question(), &options).await;
        assert!(
            exchange.outcome.as_ref().is_err_and(expected),
            "{exchange:?}"
        );
    };
    check(|_| vec![], |error| matches!(error, AskError::Reset)).await;
    check(
        |query| framed(&answer(query).to_bytes())[..20].to_vec(),
        |error| matches!(error, AskError::Reset),
    )
    .await;
    check(
        |_| framed(b"garbage"),
        |error| matches!(error, AskError::Malformed(_)),
    )
    .await;
    check(
        |query| {
            let mut wrong = answer(query);
            wrong.id ^= 1;
            framed(&wrong.to_bytes())
        },
        |error| matches!(error, AskError::Mismatched),
    )
    .await;
}

#[test]
fn errors_of_sockets_keep_their_meaning() {
    let check = |errno: i32, word: &str| {
        assert_eq!(
            AskError::of_socket(io::Error::from_raw_os_error(errno)).word(),
            word
        );
    };
    check(111, "refused");
    check(113, "unreachable");
    check(101, "unreachable");
    check(13, "prohibited");
    check(104, "reset");
    check(24, "local");
}

#[test]
fn servers_are_shown_without_the_usual_port() {
    let check = |address: &str, shown: &str| {
        assert_eq!(
            Client::new(address.parse().unwrap()).server().to_string(),
            shown
        );
    };
    check("192.0.2.53:53", "192.0.2.53");
    check("[2e00:c::53]:53", "2e00:c::53");
    check("[fe80::1%3]:53", "fe80::1%3");
    check("[2e00:c::53]:5353", "[2e00:c::53]:5353");
}

/// An HTTPS server with a certificate for `dns.lab.test`; gives its address and the root to trust.
async fn https(alpn: &[&[u8]], status: u16) -> (SocketAddr, Roots) {
    let certified = rcgen::generate_simple_self_signed(["dns.lab.test".to_owned()]).unwrap();
    let roots = Roots::Pem(certified.cert.pem());
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|id| id.to_vec()).collect();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let service = service_fn(move |request| respond(request, status));
                let stream = TokioIo::new(stream);
                if h2 {
                    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ended = server.serve_connection(stream, service).await;
                } else {
                    let server = hyper::server::conn::http1::Builder::new();
                    let _ended = server.serve_connection(stream, service).await;
                }
            });
        }
    });
    (address, roots)
}

async fn respond(
    request: hyper::Request<hyper::body::Incoming>,
    status: u16,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    assert_eq!(request.uri().path(), "/dns-query");
    assert_eq!(request.headers()["content-type"], "application/dns-message");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let query = Query::parse(&body).unwrap();
    assert_eq!(query.id, 0);
    let body = Full::new(Bytes::from(answer(&query).to_bytes()));
    Ok(hyper::Response::builder()
        .status(status)
        .body(body)
        .unwrap())
}

fn https_client(host: &str, address: SocketAddr, roots: &Roots) -> Client {
    let url = format!("https://{host}:{}/dns-query", address.port());
    Client::https(&url, &[address.ip()], roots).unwrap()
}

#[tokio::test]
async fn https_answers_over_both_versions_again_and_again() {
    for alpn in [&[b"h2".as_slice()], &[b"http/1.1".as_slice()]] {
        let (address, roots) = https(alpn, 200).await;
        let client = https_client("dns.lab.test", address, &roots);
        for _ in 0..3 {
            let exchange = client.ask(&question(), &options(PATIENT, 1)).await;
            assert_answered(&exchange, Transport::Https, 1);
        }
    }
}

#[tokio::test]
async fn https_goes_on_to_the_next_address() {
    let (address, roots) = https(&[b"h2"], 200).await;
    let url = format!("https://dns.lab.test:{}/dns-query", address.port());
    // The server listens on 127.0.0.1 alone.
    let closed = IpAddr::from([127, 9, 9, 9]);
    let client = Client::https(&url, &[closed, address.ip()], &roots).unwrap();
    let exchange = client.ask(&question(), &options(PATIENT, 1)).await;
    assert_answered(&exchange, Transport::Https, 1);
}

/// Whose fault it is has to be seen: nobody mends a certificate by looking for a route.
fn assert_untrusted(outcome: &Result<Response, AskError>) {
    let Err(error @ AskError::Certificate(_)) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(error.word(), "certificate");
    assert!(error.to_string().contains("certificate"), "{error}");
}

#[tokio::test]
async fn https_failures_are_told_apart() {
    let (address, roots) = https(&[b"h2"], 503).await;
    let ask = async |client: Client| client.ask(&question(), &options(PATIENT, 1)).await.outcome;

    let outcome = ask(https_client("dns.lab.test", address, &roots)).await;
    assert!(
        matches!(outcome, Err(AskError::Http { status: 503 })),
        "{outcome:?}"
    );

    let outcome = ask(https_client("other.lab.test", address, &roots)).await;
    assert_untrusted(&outcome);

    let (_, other_roots) = https(&[b"h2"], 200).await;
    let outcome = ask(https_client("dns.lab.test", address, &other_roots)).await;
    assert_untrusted(&outcome);

    let closed = UdpSocket::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let outcome = ask(https_client("dns.lab.test", closed, &roots)).await;
    assert!(matches!(outcome, Err(AskError::Refused)), "{outcome:?}");
}

#[test]
fn urls_that_cannot_be_asked_say_why() {
    let check = |url: &str, expected: UrlFault| {
        let error = Client::https(url, &[], &Roots::Pem(String::new())).unwrap_err();
        assert_eq!(error.cause, expected, "{error}");
    };
    check("dns.lab.test", UrlFault::Scheme);
    check("http://dns.lab.test/dns-query", UrlFault::Scheme);
    check("https://", UrlFault::Syntax);
    check("https://a b/", UrlFault::Syntax);
    check("https://a..b/dns-query", UrlFault::Host);
}

#[test]
fn missing_resolv_conf_means_this_host() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("resolv.conf");
    let (_, servers) = system_resolvers(&path).unwrap();
    assert_eq!(servers, ["127.0.0.1:53".parse().unwrap()]);

    std::fs::write(
        &path,
        "nameserver fe80::1%lo\nnameserver fe80::1%nosuch0\nnameserver ::1\n",
    )
    .unwrap();
    let (conf, servers) = system_resolvers(&path).unwrap();
    assert_eq!(conf.nameservers.len(), 3);
    assert_eq!(servers[0].to_string(), "[fe80::1%1]:53");
    assert_eq!(servers[1].to_string(), "[::1]:53");

    assert!(system_resolvers(directory.path()).is_err());
}
