use super::{Faces, HANDSHAKE_WITHIN, connection};
use crate::service::listen::Peer;
use crate::service::tests::{Lab, PATIENCE, SILENCE, ask, get, on_loopback, page};
use crate::world::model::{ServiceKind, Stall, TlsVersion};
use rustls::ProtocolVersion;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

#[tokio::test]
async fn alpn_picks_the_version_of_http() {
    let lab = Lab::new();
    let v4 = lab.start(&on_loopback(ServiceKind::Https)).await.tcp[0];
    let check = async |offered: &[&str], chosen: Option<&[u8]>| {
        let stream = lab.tls(v4, "www.lab.test", offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen);
        let http2 = chosen == Some(b"h2");
        for method in ["GET", "HEAD"] {
            let stream = lab.tls(v4, "www.lab.test", offered).await.unwrap();
            let reply = ask(stream, method, "https://www.lab.test/", http2);
            let reply = reply.await.unwrap();
            assert_eq!(reply.status, 200);
            assert_eq!(reply.headers["content-length"], "5");
            assert_eq!(reply.body, if method == "GET" { "hello" } else { "" });
        }
    };
    check(&["h2", "http/1.1"], Some(b"h2")).await;
    check(&["http/1.1", "h2"], Some(b"h2")).await;
    check(&["http/1.1"], Some(b"http/1.1")).await;
    check(&[], None).await;
}

#[tokio::test]
async fn each_family_has_its_own_tls() {
    let lab = Lab::new();
    let mut service = on_loopback(ServiceKind::Https);
    service.v6.tls_max = TlsVersion::V12;
    service.v6.alpn = vec!["http/1.1".to_owned()];
    service.v6.certificate = vec!["other.lab.test".to_owned()];
    let running = lab.start(&service).await;
    let check = async |address, name, version, alpn: &[u8]| {
        let stream = lab.tls(address, name, &["h2", "http/1.1"]).await.unwrap();
        let tls = stream.get_ref().1;
        assert_eq!(tls.protocol_version(), Some(version));
        assert_eq!(tls.alpn_protocol(), Some(alpn));
    };
    check(
        running.tcp[0],
        "static.lab.test",
        ProtocolVersion::TLSv1_3,
        b"h2",
    )
    .await;
    check(
        running.tcp[1],
        "other.lab.test",
        ProtocolVersion::TLSv1_2,
        b"http/1.1",
    )
    .await;
    let wrong = lab.tls(running.tcp[1], "www.lab.test", &[]).await;
    let wrong = wrong.unwrap_err().to_string();
    assert!(wrong.contains("certificate"), "{wrong}");
}

#[tokio::test]
async fn stalled_handshake_is_silent_and_the_other_family_works() {
    let lab = Lab::new();
    let mut service = on_loopback(ServiceKind::Https);
    service.v6.stall = Some(Stall::Handshake);
    let running = lab.start(&service).await;
    let stalled = timeout(SILENCE, lab.tls(running.tcp[1], "www.lab.test", &[])).await;
    assert!(stalled.is_err());
    assert!(lab.tls(running.tcp[0], "www.lab.test", &[]).await.is_ok());
}

#[tokio::test]
async fn stalled_response_comes_after_a_good_handshake() {
    let lab = Lab::new();
    let mut service = on_loopback(ServiceKind::Https);
    service.v6.stall = Some(Stall::Response);
    let running = lab.start(&service).await;
    for http2 in [false, true] {
        let alpn = if http2 { "h2" } else { "http/1.1" };
        let stream = lab.tls(running.tcp[1], "www.lab.test", &[alpn]).await;
        let question = ask(stream.unwrap(), "GET", "https://www.lab.test/", http2);
        assert!(timeout(SILENCE, question).await.is_err());
    }
}

#[tokio::test]
async fn plain_text_ends_only_its_own_connection() {
    let lab = Lab::new();
    let mut service = on_loopback(ServiceKind::Https);
    service.v4.pages.insert("/a".to_owned(), page("a"));
    let v4 = lab.start(&service).await.tcp[0];
    let mut stream = TcpStream::connect(v4).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = vec![];
    let ended = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok());
    assert!(!answer.starts_with(b"HTTP"));
    let stream = lab.tls(v4, "www.lab.test", &[]).await.unwrap();
    let reply = ask(stream, "GET", "/a", false).await.unwrap();
    assert_eq!(reply.body, "a");
}

#[tokio::test]
async fn names_that_no_certificate_can_have_are_refused() {
    let lab = Lab::new();
    let mut service = on_loopback(ServiceKind::Https);
    service.v4.certificate = vec!["büro.lab.test".to_owned()];
    let error = lab.refuses(&service).await;
    assert!(error.to_string().contains("`büro.lab.test`"), "{error}");
    assert!(error.hint().unwrap().contains("xn--"));
}

#[tokio::test]
async fn plain_http_on_the_same_host_is_untouched() {
    let lab = Lab::new();
    let http = lab.start(&on_loopback(ServiceKind::Http)).await;
    let https = lab.start(&on_loopback(ServiceKind::Https)).await;
    assert_ne!(http.tcp, https.tcp);
    assert_eq!(get(http.tcp[0], "/").await.body, "hello");
}

#[tokio::test(start_paused = true)]
async fn half_a_handshake_is_waited_for_thirty_seconds() {
    let lab = Lab::new();
    let faces = Faces::new(&lab.context, &on_loopback(ServiceKind::Https)).unwrap();
    let peer = Peer {
        address: "[2e00:c::10]:40000".parse().unwrap(),
    };
    let (mut client, server) = duplex(1000);
    client.write_all(b"\x16\x03\x01\x02\x00").await.unwrap();
    let begun = Instant::now();
    connection(faces, peer, server).await;
    assert_eq!(begun.elapsed(), HANDSHAKE_WITHIN);
}
