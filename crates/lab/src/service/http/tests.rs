use super::*;
use crate::service::tests::{Lab, PATIENCE, SILENCE, ask, get, on_loopback, page, service};
use crate::world::model::ServiceKind;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::time::{Instant, sleep, timeout};

fn site(change: impl Fn(&mut Face)) -> Result<Site, Problem> {
    let mut service = service(ServiceKind::Http);
    change(&mut service.v4);
    Site::new(&service.v4, Family::V4)
}

fn peer(address: &str) -> Peer {
    Peer {
        address: address.parse().unwrap(),
    }
}

const V4: &str = "192.0.2.10:40000";
const MAPPED: &str = "[::ffff:192.0.2.10]:40000";

#[test]
fn padding_reaches_the_size_exactly_and_never_cuts() {
    let check = |body: &str, size, expected: &str| assert_eq!(padded(body, size), expected);
    check("hello", 0, "hello");
    check("hello", 5, "hello");
    check("hello", 3, "hello");
    check("hello", 9, "hello    ");
    check("hello", 12, "hello<!---->");
    check("hello", 15, "hello<!--   -->");
    assert_eq!(padded("hello", 20_000).len(), 20_000);
}

#[test]
fn impossible_page_or_header_is_refused_before_it_is_asked_for() {
    let check = |change: fn(&mut Face), expected: &str| {
        let error = site(change).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        |face| face.pages.get_mut("/").unwrap().status = 101,
        "page `/` for IPv4 has status 101",
    );
    check(
        |face| face.pages.get_mut("/").unwrap().size = 100_000_000,
        "page `/` for IPv4 is larger than 67108864 bytes",
    );
    check(
        |face| face.pages.get_mut("/").unwrap().status = 1000,
        "page `/` for IPv4 has status 1000",
    );
    check(
        |face| {
            face.headers.insert("Alt Svc".to_owned(), "x".to_owned());
        },
        "header `Alt Svc: x` for IPv4 cannot be sent",
    );
    check(
        |face| {
            let name = "Transfer-Encoding".to_owned();
            face.headers.insert(name, "chunked".to_owned());
        },
        "header `Transfer-Encoding: chunked` for IPv4 cannot be sent",
    );
    check(
        |face| face.server = "a\nb".to_owned(),
        "header `server: a\nb` for IPv4 cannot be sent",
    );
}

#[test]
fn methods_and_paths_get_their_statuses() {
    let site = site(|_| {}).unwrap();
    let check = |method, path, status, length: &str| {
        let response = site.respond(&method, path, peer(V4));
        assert_eq!(response.status(), status, "{method} {path}");
        assert_eq!(response.headers()["content-length"], length);
        assert_eq!(response.headers()["server"], "lab");
    };
    check(Method::GET, "/", 200, "5");
    check(Method::HEAD, "/", 200, "5");
    check(Method::GET, "/index.php", 404, "22");
    check(Method::POST, "/", 405, "34");
}

#[test]
fn only_the_face_with_an_acl_denies_mapped_addresses() {
    let status = |deny, address| {
        let site = site(|face| face.deny_mapped = deny).unwrap();
        site.respond(&Method::GET, "/", peer(address)).status()
    };
    assert_eq!(status(true, MAPPED), 403);
    assert_eq!(status(true, V4), 200);
    assert_eq!(status(false, MAPPED), 200);
}

#[test]
fn page_without_content_has_none() {
    let site = site(|face| {
        face.pages.get_mut("/").unwrap().status = 204;
        face.pages.get_mut("/").unwrap().size = 100;
    })
    .unwrap();
    let response = site.respond(&Method::GET, "/", peer(V4));
    assert!(!response.headers().contains_key("content-length"));
}

#[tokio::test]
async fn each_family_sees_its_own_pages() {
    let lab = Lab::new();
    let mut service = on_loopback(ServiceKind::Http);
    service.v6.pages.insert("/".to_owned(), page("hello, six"));
    service.v6.server = "six".to_owned();
    service
        .v6
        .headers
        .insert("Alt-Svc".to_owned(), "h3=\":443\"".to_owned());
    let running = lab.start(&service).await;
    let [v4, v6] = running.tcp[..] else {
        panic!("{running:?}");
    };
    let reply = get(v4, "/?a=b").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "hello"));
    assert!(!reply.headers.contains_key("alt-svc"));
    let reply = get(v6, "/").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, "hello, six"));
    assert_eq!(reply.headers["server"], "six");
    assert_eq!(reply.headers["alt-svc"], "h3=\":443\"");
    assert_eq!(reply.headers["content-type"], "text/html");
    assert_eq!(get(v6, "/nowhere").await.status, 404);
}

#[tokio::test]
async fn redirect_names_its_place_and_big_page_arrives_whole() {
    let lab = Lab::new();
    let mut service = on_loopback(ServiceKind::Http);
    let mut redirect = page("");
    redirect.status = 301;
    redirect.location = Some("https://www.lab.test/".to_owned());
    let mut big = page("big");
    big.size = 300_000;
    service.v4.pages.insert("/old".to_owned(), redirect);
    service.v4.pages.insert("/big".to_owned(), big);
    let v4 = lab.start(&service).await.tcp[0];
    let reply = get(v4, "/old").await;
    assert_eq!(reply.status, 301);
    assert_eq!(reply.headers["location"], "https://www.lab.test/");
    assert_eq!(get(v4, "/big").await.body.len(), 300_000);
}

#[tokio::test]
async fn dual_socket_shows_ipv4_clients_the_ipv4_face() {
    let lab = Lab::new();
    let mut service = service(ServiceKind::Http);
    service.dual_socket = true;
    service.v6.pages.insert("/".to_owned(), page("six"));
    let check = async |service: &Service, expected: [u16; 2]| {
        let [any] = lab.start(service).await.tcp[..] else {
            panic!("one socket expected");
        };
        let v4 = get((Ipv4Addr::LOCALHOST, any.port()).into(), "/").await;
        let v6 = get(SocketAddr::new("::1".parse().unwrap(), any.port()), "/").await;
        assert_eq!([v4.status, v6.status], expected);
        assert_eq!(v6.body, "six");
    };
    check(&service, [200, 200]).await;
    service.v4.deny_mapped = true;
    check(&service, [403, 200]).await;
}

#[tokio::test]
async fn socket_of_one_family_does_not_take_the_other() {
    let lab = Lab::new();
    let mut service = service(ServiceKind::Http);
    service.families = vec![Family::V6];
    let port = lab.start(&service).await.tcp[0].port();
    let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
}

#[tokio::test]
async fn delay_holds_back_the_response_by_that_much() {
    let lab = Lab::new();
    let mut service = on_loopback(ServiceKind::Http);
    service.v4.delay = Duration::from_millis(150);
    let v4 = lab.start(&service).await.tcp[0];
    let begun = Instant::now();
    assert_eq!(get(v4, "/").await.status, 200);
    assert!(begun.elapsed() >= service.v4.delay);
}

#[tokio::test]
async fn stall_is_silence_on_an_open_connection() {
    let lab = Lab::new();
    for stall in [Stall::Handshake, Stall::Response] {
        let mut service = on_loopback(ServiceKind::Http);
        service.v6.stall = Some(stall);
        let running = lab.start(&service).await;
        let mut stream = TcpStream::connect(running.tcp[1]).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let answer = timeout(SILENCE, stream.read_u8()).await;
        assert!(answer.is_err(), "{stall:?}: {answer:?}");
        assert_eq!(get(running.tcp[0], "/").await.status, 200, "{stall:?}");
        stream.shutdown().await.unwrap();
        let end = timeout(PATIENCE, stream.read(&mut [0])).await.unwrap();
        assert_eq!(end.unwrap(), 0, "{stall:?}");
    }
}

#[tokio::test]
async fn garbage_ends_only_its_own_connection() {
    let lab = Lab::new();
    let v4 = lab.start(&on_loopback(ServiceKind::Http)).await.tcp[0];
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(100_000));
    for garbage in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"\r\n\r\n\0\0\0\0 x\r\n",
        long.as_bytes(),
    ] {
        let mut stream = TcpStream::connect(v4).await.unwrap();
        // The server may close before it has read everything.
        if stream.write_all(garbage).await.is_ok() {
            let mut answer = vec![];
            let ended = timeout(PATIENCE, async {
                stream.shutdown().await?;
                stream.read_to_end(&mut answer).await
            });
            assert!(matches!(ended.await, Ok(Ok(_) | Err(_))));
            assert!(!answer.starts_with(b"HTTP/1.1 2"));
        }
        assert_eq!(get(v4, "/").await.status, 200);
    }
}

#[tokio::test]
async fn head_has_the_length_of_the_page_and_no_body() {
    let lab = Lab::new();
    let v4 = lab.start(&on_loopback(ServiceKind::Http)).await.tcp[0];
    let stream = TcpStream::connect(v4).await.unwrap();
    let reply = ask(stream, "HEAD", "/", false).await.unwrap();
    assert_eq!(reply.headers["content-length"], "5");
    assert_eq!(reply.body, "");
}

#[tokio::test(start_paused = true)]
async fn head_that_does_not_end_is_waited_for_thirty_seconds() {
    let (mut client, server) = duplex(1000);
    let begun = Instant::now();
    let site = Arc::new(site(|_| {}).unwrap());
    let serving = tokio::spawn(serve(site, peer(V4), server, Version::Http1));
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    while client.write_all(b"a").await.is_ok() && begun.elapsed() < LONGEST_CONNECTION {
        sleep(Duration::from_secs(1)).await;
    }
    serving.await.unwrap();
    let elapsed = begun.elapsed();
    assert!(
        (HEAD_WITHIN..HEAD_WITHIN + Duration::from_secs(2)).contains(&elapsed),
        "{elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn no_connection_lives_longer_than_ten_minutes() {
    for version in [Version::Http1, Version::Http2] {
        let stalled = site(|face| face.stall = Some(Stall::Response)).unwrap();
        let (mut client, server) = duplex(1000);
        let begun = Instant::now();
        let serving = tokio::spawn(serve(Arc::new(stalled), peer(V4), server, version));
        // A whole request, or the first half of HTTP/2's preface.
        let sent: &[u8] = match version {
            Version::Http1 => b"GET / HTTP/1.1\r\n\r\n",
            Version::Http2 => b"PRI * HTTP/2.0",
        };
        client.write_all(sent).await.unwrap();
        serving.await.unwrap();
        assert_eq!(begun.elapsed(), LONGEST_CONNECTION, "{version:?}");
    }
}
