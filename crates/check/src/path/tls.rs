//! TLS handshakes that finish whatever the certificate says, and what was agreed on and shown.
//!
//! The verifier accepts every chain, because a wrong certificate is something to compare between families, not a reason
//! to look away. No secret is ever sent on such a connection: requests carry nothing but the path asked for.

use super::observation::{Leaf, TalkError, TlsSession, Trust};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, ProtocolVersion,
    RootCertStore, SignatureScheme,
};
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// What every handshake of a run shares.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    provider: Arc<CryptoProvider>,
    /// The roots that this machine trusts; `None` when it has none.
    roots: Option<Arc<RootCertStore>>,
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the machine's roots (`SSL_CERT_FILE` and `SSL_CERT_DIR` come first).
    pub(super) fn with_native_roots() -> Self {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::new(roots)
    }

    pub(super) fn new(roots: RootCertStore) -> Self {
        let provider = Arc::new(ring::default_provider());
        let config = Arc::new(config(&provider, &[b"h2", b"http/1.1"]));
        let roots = (!roots.is_empty()).then(|| Arc::new(roots));
        Self {
            provider,
            roots,
            config,
        }
    }

    /// Whether the machine has any roots to compare with.
    pub(super) const fn has_roots(&self) -> bool {
        self.roots.is_some()
    }

    /// A configuration for QUIC with ALPN `h3`.
    pub(super) fn quic(&self) -> ClientConfig {
        config(&self.provider, &[b"h3"])
    }

    pub(super) async fn handshake<S>(
        &self,
        stream: S,
        host: &str,
    ) -> Result<(TlsStream<S>, TlsSession), TalkError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| TalkError::Unsent(format!("`{host}` cannot be a TLS server name")))?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector
            .connect(name.clone(), stream)
            .await
            .map_err(|error| talk_error(&error))?;
        let (_, connection) = stream.get_ref();
        let chain = connection.peer_certificates().unwrap_or_default();
        let session = TlsSession {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => "TLS 1.3".to_owned(),
                Some(ProtocolVersion::TLSv1_2) => "TLS 1.2".to_owned(),
                other => format!("{other:?}"),
            },
            alpn: connection
                .alpn_protocol()
                .map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
            leaf: self.leaf(chain, &name),
        };
        Ok((stream, session))
    }

    fn leaf(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Leaf {
        let Some((first, intermediates)) = chain.split_first() else {
            return unreadable(String::new());
        };
        let fingerprint = sha256(first);
        let Ok(parsed) = ParsedCertificate::try_from(first) else {
            return unreadable(fingerprint);
        };
        let trust = self.roots.as_ref().map_or(Trust::Unknown, |roots| {
            let checked = verify_server_cert_signed_by_trust_anchor(
                &parsed,
                roots,
                intermediates,
                UnixTime::now(),
                self.provider.signature_verification_algorithms.all,
            );
            match checked {
                Ok(()) => Trust::Trusted,
                Err(error) => Trust::Distrusted(certificate_error(&error)),
            }
        });
        let (names, issuer) = names_and_issuer(first);
        Leaf {
            fingerprint,
            names,
            issuer,
            trust,
            covers: verify_server_name(&parsed, name).is_ok(),
        }
    }
}

fn unreadable(fingerprint: String) -> Leaf {
    Leaf {
        fingerprint,
        names: Vec::new(),
        issuer: String::new(),
        trust: Trust::Distrusted("unreadable certificate".to_owned()),
        covers: false,
    }
}

fn config(provider: &Arc<CryptoProvider>, alpn: &[&[u8]]) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .expect("ring implements the suites of TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAndLook(Arc::clone(provider))))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    // A resumed session shows no certificate.
    config.resumption = Resumption::disabled();
    config
}

/// Accepts every chain, but not a handshake that was not signed with the certificate shown.
#[derive(Debug)]
struct AcceptAndLook(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAndLook {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// What an I/O error of a handshake or a request means.
pub(super) fn talk_error(error: &io::Error) -> TalkError {
    let inner = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match (inner, error.kind()) {
        (Some(rustls::Error::AlertReceived(alert)), _) => TalkError::Alert(alert_name(*alert)),
        (Some(rustls::Error::InvalidMessage(_)), _) => {
            TalkError::Garbled("an answer that is no TLS".to_owned())
        }
        (Some(other), _) => TalkError::Garbled(other.to_string()),
        (None, io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => TalkError::Reset,
        (None, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionAborted) => {
            TalkError::Closed
        }
        (None, io::ErrorKind::TimedOut) => TalkError::Stalled { received: 0 },
        (None, _) => TalkError::Garbled(error.to_string()),
    }
}

/// `HandshakeFailure` becomes `handshake failure`.
fn alert_name(alert: AlertDescription) -> String {
    let mut words = String::new();
    for (index, letter) in format!("{alert:?}").chars().enumerate() {
        if letter.is_ascii_uppercase() && index > 0 {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
    }
    words
}

fn certificate_error(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "expired".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "not valid yet".to_owned()
            }
            CertificateError::UnknownIssuer => "unknown issuer".to_owned(),
            other => other.to_string(),
        },
        other => other.to_string(),
    }
}

fn sha256(bytes: &[u8]) -> String {
    let suite = ring::cipher_suite::TLS13_AES_128_GCM_SHA256;
    let mut text = String::new();
    if let Some(suite) = suite.tls13() {
        for byte in suite.common.hash_provider.hash(bytes).as_ref() {
            // Writing to a string cannot fail.
            write!(text, "{byte:02x}").ok();
        }
    }
    text
}

/// Subject alternative names and issuer of a certificate that may be anything at all.
pub(super) fn names_and_issuer(der: &[u8]) -> (Vec<String>, String) {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return (Vec::new(), String::new());
    };
    let names = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map_or_else(Vec::new, |names| {
            names
                .value
                .general_names
                .iter()
                .filter_map(general_name)
                .collect()
        });
    (names, certificate.issuer().to_string())
}

fn general_name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes)
                .map(|octets| std::net::Ipv4Addr::from(octets).to_string());
            let v6 = <[u8; 16]>::try_from(*bytes)
                .map(|octets| std::net::Ipv6Addr::from(octets).to_string());
            v4.or(v6).ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
