//! TLS and QUIC as part of the race, over loopback.

#![expect(clippy::unwrap_used, reason = "these helpers are tests too")]

#[expect(dead_code, reason = "another test uses the rest")]
#[path = "support/answers.rs"]
mod answers;

use answers::Answers;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use twinstack_dial::race::{Host, Target};
use twinstack_dial::{Dialer, Secure, Tls};

const V4: Ipv4Addr = Ipv4Addr::LOCALHOST;
const V6: Ipv6Addr = Ipv6Addr::LOCALHOST;

/// A certificate for one name, and a client that trusts it alone.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    trust: Tls,
}

fn identity(name: &str) -> Identity {
    let certified = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    Identity {
        chain: vec![certified.cert.der().clone()],
        key: PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into()),
        trust: Tls::with_authorities(&certified.cert.pem()).unwrap(),
    }
}

fn server_config(identity: &Identity, alpn: &[&str]) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|id| id.as_bytes().to_vec()).collect();
    config
}

/// Greets everybody over TLS.
async fn tls_server(address: (IpAddr, u16), identity: &Identity) -> u16 {
    let listener = TcpListener::bind(address).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(server_config(identity, &["h2", "http/1.1"])));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    stream.write_all(b"hello").await.ok();
                    stream.shutdown().await.ok();
                }
            });
        }
    });
    port
}

fn quic_server(address: SocketAddr, identity: &Identity) -> quinn::Endpoint {
    let crypto = QuicServerConfig::try_from(server_config(identity, &["h3"])).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = quinn::Endpoint::server(config, address).unwrap();
    let accepting = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = accepting.accept().await {
            tokio::spawn(async move {
                if let Ok(connection) = incoming.await {
                    connection.closed().await;
                }
            });
        }
    });
    endpoint
}

fn dialer(answers: &Answers) -> Dialer {
    Dialer::builder().resolver(answers.resolver()).build()
}

/// QUIC first, without an HTTPS record that says so: as after an `Alt-Svc` header.
fn https(port: u16) -> Target {
    let mut target = Target::https(Host::parse("www.test").unwrap(), port);
    for offer in &mut target.offers {
        offer.needs_record = false;
    }
    target
}

#[tokio::test]
async fn tls_is_done_when_the_dial_is() {
    let identity = identity("www.test");
    let port = tls_server((V6.into(), 0), &identity).await;
    let dialer = dialer(&Answers::default().v6(&[V6]));
    let tls = identity.trust.clone().alpn(["h2"]);
    let mut connection = dialer.connect_tls(("www.test", port), &tls).await.unwrap();
    assert_eq!(connection.stream.alpn(), Some(&b"h2"[..]));
    assert_eq!(connection.stream.peer_certificates().count(), 1);
    let mut text = String::new();
    connection.stream.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "hello");
    let attempts = connection.report.attempts();
    assert!(attempts[0].progress_seconds.unwrap() <= attempts[0].ended_seconds.unwrap());
    assert_eq!(attempts[0].protocol, "tls");
}

#[tokio::test]
async fn a_certificate_for_another_name_loses_to_the_right_one() {
    let right = identity("www.test");
    let wrong = identity("other.test");
    let port = tls_server((V6.into(), 0), &wrong).await;
    tls_server((V4.into(), port), &right).await;
    let dialer = dialer(&Answers::default().v4(&[V4]).v6(&[V6]));
    let connection = dialer
        .connect_tls(("www.test", port), &right.trust)
        .await
        .unwrap();
    assert!(connection.stream.tcp().peer_addr().unwrap().is_ipv4());
    let attempts = connection.report.attempts();
    assert_eq!(attempts[0].outcome, "failed");
    assert!(
        attempts[0].error.as_ref().unwrap().contains("certificate"),
        "{attempts:?}"
    );
    assert_eq!(connection.report.silent_failure(), None, "it failed aloud");
}

#[tokio::test]
async fn tls_that_stays_silent_costs_the_attempt_delay() {
    let identity = identity("www.test");
    let mute = std::net::TcpListener::bind((V6, 0)).unwrap();
    let port = mute.local_addr().unwrap().port();
    tls_server((V4.into(), port), &identity).await;
    let dialer = dialer(&Answers::default().v4(&[V4]).v6(&[V6]));
    let start = Instant::now();
    let connection = dialer
        .connect_tls(("www.test", port), &identity.trust)
        .await
        .unwrap();
    let took = start.elapsed();
    assert!(
        (Duration::from_millis(249)..Duration::from_millis(600)).contains(&took),
        "{took:?}"
    );
    assert_eq!(
        connection.report.silent_failure().unwrap().stage,
        "handshake"
    );
    // And is remembered: IPv4 goes first.
    let again = dialer
        .connect_tls(("www.test", port), &identity.trust)
        .await
        .unwrap();
    assert_eq!(again.report.attempts()[0].family, "ipv4");
}

#[tokio::test]
async fn quic_wins_where_it_answers() {
    let identity = identity("www.test");
    let port = tls_server((V6.into(), 0), &identity).await;
    let _server = quic_server(SocketAddr::from((V6, port)), &identity);
    let dialer = dialer(&Answers::default().v6(&[V6]));
    let connection = dialer
        .connect_secure(https(port), &identity.trust)
        .await
        .unwrap();
    let attempts = connection.report.attempts();
    let Secure::Quic(quic) = connection.stream else {
        panic!("{attempts:?}")
    };
    assert_eq!(quic.remote_address(), SocketAddr::from((V6, port)));
    assert_eq!(attempts[0].protocol, "quic");
    assert!(attempts[0].progress_seconds.is_some(), "{attempts:?}");
}

#[tokio::test]
async fn quic_that_is_swallowed_costs_the_attempt_delay() {
    let identity = identity("www.test");
    let port = tls_server((V6.into(), 0), &identity).await;
    // Takes every packet and says nothing.
    let _swallow = UdpSocket::bind((V6, port)).unwrap();
    let dialer = dialer(&Answers::default().v6(&[V6]));
    let start = Instant::now();
    let connection = dialer
        .connect_secure(https(port), &identity.trust)
        .await
        .unwrap();
    let took = start.elapsed();
    assert!(matches!(connection.stream, Secure::Tls(_)));
    assert!(
        (Duration::from_millis(249)..Duration::from_millis(600)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test]
async fn all_quic_connections_of_a_family_share_one_socket() {
    let identity = identity("www.test");
    let server = quic_server(SocketAddr::from((V6, 0)), &identity);
    let port = server.local_addr().unwrap().port();
    let dialer = dialer(&Answers::default().v6(&[V6]));
    let sockets = || {
        std::fs::read_to_string("/proc/self/net/udp6")
            .unwrap()
            .lines()
            .count()
    };
    let mut kept = vec![
        dialer
            .connect_secure(https(port), &identity.trust)
            .await
            .unwrap(),
    ];
    let before = sockets();
    for _ in 0..5 {
        kept.push(
            dialer
                .connect_secure(https(port), &identity.trust)
                .await
                .unwrap(),
        );
    }
    // Other tests of this program open sockets as well, but not five each time.
    assert!(sockets() < before + 5, "{before} {}", sockets());
    assert!(kept.iter().all(|it| matches!(it.stream, Secure::Quic(_))));
}
