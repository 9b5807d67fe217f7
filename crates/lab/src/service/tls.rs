//! TLS as a face shows it: certificate, ALPN, versions.

use super::authority::CertificateAuthority;
use super::error::Problem;
use crate::world::model::{Face, TlsVersion};
use rustls::crypto::ring;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;

/// The names of the world's `www` service, for faces that name none.
pub(crate) const WWW_NAMES: [&str; 3] = ["www.lab.test", "lab.test", "static.lab.test"];

/// TLS over TCP for a face.
pub(crate) fn over_tcp(
    authority: &CertificateAuthority,
    face: &Face,
) -> Result<Arc<ServerConfig>, Problem> {
    let versions: &[&SupportedProtocolVersion] = match face.tls_max {
        TlsVersion::V12 => &[&TLS12],
        TlsVersion::V13 => &[&TLS13, &TLS12],
    };
    let mut config = with_versions(authority, face, versions)?;
    config.alpn_protocols = face
        .alpn
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Ok(Arc::new(config))
}

/// TLS inside QUIC for a face: always 1.3 (RFC 9001 section 4.2) and always HTTP/3.
pub(crate) fn in_quic(
    authority: &CertificateAuthority,
    face: &Face,
) -> Result<ServerConfig, Problem> {
    let mut config = with_versions(authority, face, &[&TLS13])?;
    config.alpn_protocols = vec![b"h3".to_vec()];
    Ok(config)
}

fn with_versions(
    authority: &CertificateAuthority,
    face: &Face,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ServerConfig, Problem> {
    let leaf = if face.certificate.is_empty() {
        authority.leaf(&WWW_NAMES)?
    } else {
        authority.leaf(&face.certificate)?
    };
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(leaf.chain(), leaf.key())?;
    Ok(config)
}
