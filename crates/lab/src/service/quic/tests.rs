use crate::service::tests::{Lab, SILENCE, on_loopback, page, service};
use crate::world::model::{ServiceKind, Stall};
use bytes::{Buf, Bytes};
use hyper::Request;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint};
use std::future::poll_fn;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::time::timeout;

async fn connect(
    lab: &Lab,
    address: SocketAddr,
    name: &str,
    alpn: &str,
) -> Result<Connection, ConnectionError> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::LOCALHOST, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::LOCALHOST, 0).into(),
    };
    let endpoint = Endpoint::client(any).unwrap();
    let tls = lab.tls_client(&[alpn], &[&rustls::version::TLS13]);
    let config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    endpoint.connect_with(config, address, name).unwrap().await
}

/// Asks one question over HTTP/3: status and body.
async fn get(connection: Connection, path: &str) -> (u16, String) {
    let connection = h3_quinn::Connection::new(connection);
    let (mut driver, mut sender) = h3::client::new(connection).await.unwrap();
    let driving = tokio::spawn(async move { poll_fn(|cx| driver.poll_close(cx)).await });
    let url = format!("https://www.lab.test{path}");
    let request = Request::get(url).body(()).unwrap();
    let mut stream = sender.send_request(request).await.unwrap();
    stream.finish().await.unwrap();
    let status = stream.recv_response().await.unwrap().status().as_u16();
    let mut body = vec![];
    while let Some(mut part) = stream.recv_data().await.unwrap() {
        body.extend_from_slice(&part.copy_to_bytes(part.remaining()));
    }
    driving.abort();
    (status, String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn handshake_completes_for_h3_on_both_families() {
    let lab = Lab::new();
    for address in lab.start(&on_loopback(ServiceKind::Quic)).await.udp {
        let connection = connect(&lab, address, "www.lab.test", "h3").await.unwrap();
        assert!(connection.close_reason().is_none());
        let other = connect(&lab, address, "www.lab.test", "smtp").await;
        assert!(other.is_err());
    }
}

#[tokio::test]
async fn pages_come_over_http3_by_family() {
    let lab = Lab::new();
    let mut service = on_loopback(ServiceKind::Quic);
    let mut six = page("six");
    six.size = 200_000;
    service.v6.pages.insert("/".to_owned(), six);
    let running = lab.start(&service).await;
    let open = async |address| connect(&lab, address, "lab.test", "h3").await.unwrap();
    let four = get(open(running.udp[0]).await, "/?x").await;
    assert_eq!(four, (200, "hello".to_owned()));
    let (status, body) = get(open(running.udp[1]).await, "/").await;
    assert_eq!((status, body.len()), (200, 200_000));
    assert_eq!(get(open(running.udp[1]).await, "/nowhere").await.0, 404);
}

#[tokio::test]
async fn dual_socket_shows_each_family_its_face() {
    let lab = Lab::new();
    let mut service = service(ServiceKind::Quic);
    service.dual_socket = true;
    service.v4.deny_mapped = true;
    service.v6.certificate = vec!["six.lab.test".to_owned()];
    let port = lab.start(&service).await.udp[0].port();
    let four = (Ipv4Addr::LOCALHOST, port).into();
    let six = (Ipv6Addr::LOCALHOST, port).into();
    let open = async |address, name| connect(&lab, address, name, "h3").await;
    assert_eq!(
        get(open(four, "www.lab.test").await.unwrap(), "/").await.0,
        403
    );
    assert_eq!(
        get(open(six, "six.lab.test").await.unwrap(), "/").await.0,
        200
    );
    assert!(open(six, "www.lab.test").await.is_err());
}

#[tokio::test]
async fn stalled_family_never_answers() {
    let lab = Lab::new();
    let mut service = on_loopback(ServiceKind::Quic);
    service.v6.stall = Some(Stall::Handshake);
    let running = lab.start(&service).await;
    let six = connect(&lab, running.udp[1], "www.lab.test", "h3");
    assert!(timeout(SILENCE, six).await.is_err());
    let four = connect(&lab, running.udp[0], "www.lab.test", "h3").await;
    assert!(four.is_ok());
}

#[tokio::test]
async fn stalled_response_comes_after_a_good_handshake() {
    let lab = Lab::new();
    let mut service = on_loopback(ServiceKind::Quic);
    service.v4.stall = Some(Stall::Response);
    let running = lab.start(&service).await;
    let four = connect(&lab, running.udp[0], "www.lab.test", "h3").await;
    assert!(timeout(SILENCE, get(four.unwrap(), "/")).await.is_err());
}

#[tokio::test]
async fn garbage_does_not_end_the_endpoint() {
    let lab = Lab::new();
    let address = lab.start(&on_loopback(ServiceKind::Quic)).await.udp[0];
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for garbage in [
        &[][..],
        &[0xc0; 1200],
        &[0xff; 1200],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        socket.send_to(garbage, address).await.unwrap();
    }
    let connection = connect(&lab, address, "www.lab.test", "h3").await.unwrap();
    // A client that shakes hands and then talks nonsense.
    let mut stream = connection.open_uni().await.unwrap();
    stream
        .write_all(&Bytes::from_static(&[0x3f; 100]))
        .await
        .unwrap();
    let connection = connect(&lab, address, "www.lab.test", "h3").await.unwrap();
    assert_eq!(get(connection, "/").await.0, 200);
}

#[tokio::test]
async fn site_of_the_https_service_is_served_over_http3_too() {
    let mut lab = Lab::new();
    let mut https = on_loopback(ServiceKind::Https);
    https.v4.pages.insert("/".to_owned(), page("the site"));
    lab.add(https);
    let mut quic = on_loopback(ServiceKind::Quic);
    quic.v4.pages.clear();
    let address = lab.start(&quic).await.udp[0];
    let connection = connect(&lab, address, "www.lab.test", "h3").await.unwrap();
    assert_eq!(get(connection, "/").await, (200, "the site".to_owned()));
}
