use super::*;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

#[test]
fn alerts_read_like_words() {
    assert_eq!(
        alert_name(AlertDescription::HandshakeFailure),
        "handshake failure"
    );
    assert_eq!(
        alert_name(AlertDescription::UnrecognisedName),
        "unrecognised name"
    );
}

#[test]
fn io_errors_keep_their_meaning() {
    let check = |kind: io::ErrorKind, expected| assert_eq!(talk_error(&kind.into()), expected);
    check(io::ErrorKind::ConnectionReset, TalkError::Reset);
    check(io::ErrorKind::UnexpectedEof, TalkError::Closed);
    let alert = rustls::Error::AlertReceived(AlertDescription::ProtocolVersion);
    assert_eq!(
        talk_error(&io::Error::other(alert)),
        TalkError::Alert("protocol version".to_owned())
    );
}

#[test]
fn fingerprint_is_sha256() {
    assert_eq!(
        sha256(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn any_bytes_may_be_shown_as_a_certificate() {
    assert_eq!(
        names_and_issuer(b"\x30\x82\xff\xff"),
        (Vec::new(), String::new())
    );
    let tls = Tls::new(RootCertStore::empty());
    let name = ServerName::try_from("www.lab.test").unwrap();
    let leaf = tls.leaf(&[CertificateDer::from(vec![0; 9])], &name);
    assert_eq!(
        leaf.trust,
        Trust::Distrusted("unreadable certificate".to_owned())
    );
    assert!(!leaf.covers);
}

/// A server with a certificate of an authority for some names, and the roots that trust it.
struct Peer {
    acceptor: TlsAcceptor,
    roots: RootCertStore,
}

fn peer(
    names: &[&str],
    alpn: &[&str],
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Peer {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    // A name of its own: an unknown authority is told from a forged one by it.
    authority
        .distinguished_name
        .push(DnType::CommonName, format!("authority of {}", names[0]));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let leaf = CertificateParams::new(names)
        .unwrap()
        .signed_by(&key, &issuer)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    config.alpn_protocols = alpn
        .iter()
        .map(|protocol| protocol.as_bytes().to_vec())
        .collect();
    Peer {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        roots,
    }
}

/// Shakes hands in memory.
async fn shake(peer: &Peer, roots: RootCertStore) -> Result<TlsSession, TalkError> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let server = peer.acceptor.accept(far);
    let tls = Tls::new(roots);
    let (outcome, _) = tokio::join!(tls.handshake(near, "www.lab.test"), server);
    outcome.map(|(_, session)| session)
}

#[tokio::test]
async fn a_good_certificate_is_trusted_and_covers_the_name() {
    let peer = peer(
        &["www.lab.test", "192.0.2.1"],
        &["h2", "http/1.1"],
        rustls::ALL_VERSIONS,
    );
    let session = shake(&peer, peer.roots.clone()).await.unwrap();
    assert_eq!(
        (session.version.as_str(), session.alpn.as_deref()),
        ("TLS 1.3", Some("h2"))
    );
    assert_eq!(
        (session.leaf.trust, session.leaf.covers),
        (Trust::Trusted, true)
    );
    assert_eq!(session.leaf.names, ["www.lab.test", "192.0.2.1"]);
    assert_eq!(session.leaf.fingerprint.len(), 64);
}

#[tokio::test]
async fn trust_and_name_are_judged_apart() {
    let peer = peer(
        &["other.lab.test"],
        &["http/1.1"],
        &[&rustls::version::TLS12],
    );
    let session = shake(&peer, peer.roots.clone()).await.unwrap();
    assert_eq!(
        (session.version.as_str(), session.alpn.as_deref()),
        ("TLS 1.2", Some("http/1.1"))
    );
    assert_eq!(
        (session.leaf.trust, session.leaf.covers),
        (Trust::Trusted, false)
    );
    let stranger = self::peer(&["www.lab.test"], &[], rustls::ALL_VERSIONS);
    let session = shake(&stranger, peer.roots.clone()).await.unwrap();
    assert_eq!(
        session.leaf.trust,
        Trust::Distrusted("unknown issuer".to_owned())
    );
    assert!(session.leaf.covers && session.alpn.is_none());
    let session = shake(&stranger, RootCertStore::empty()).await.unwrap();
    assert_eq!(session.leaf.trust, Trust::Unknown);
}

#[tokio::test]
async fn a_refusal_by_the_server_is_an_alert() {
    let peer = peer(&["www.lab.test"], &["h3"], rustls::ALL_VERSIONS);
    let error = shake(&peer, peer.roots.clone()).await.unwrap_err();
    assert_eq!(
        error,
        TalkError::Alert("no application protocol".to_owned())
    );
}

#[tokio::test]
async fn a_peer_that_closes_or_speaks_another_protocol_is_told_apart() {
    let tls = Tls::new(RootCertStore::empty());
    let (near, far) = tokio::io::duplex(64);
    drop(far);
    let error = tls
        .handshake(near, "www.lab.test")
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(error, TalkError::Closed | TalkError::Reset),
        "{error:?}"
    );
    let (near, mut far) = tokio::io::duplex(4096);
    tokio::io::AsyncWriteExt::write_all(&mut far, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .await
        .unwrap();
    let error = tls
        .handshake(near, "www.lab.test")
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(error, TalkError::Garbled(_)), "{error:?}");
}
