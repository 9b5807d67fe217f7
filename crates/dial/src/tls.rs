//! A connection counts once its TLS handshake is done (E1).

mod stream;

pub use stream::TlsStream;

use crate::attempt::{Complete, Stage, attempt_error};
use crate::dialer::{Connection, Dialer};
use crate::error::DialError;
use crate::target::ToTarget;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use twinstack_race::{
    Alpns, AttemptError, AttemptErrorKind, Endpoint, Host, Offer, Protocol, Target, alpns,
};

/// How to do TLS: whom to trust and what to offer. Cheap to clone; clones share resumed sessions.
#[derive(Clone)]
pub struct Tls {
    base: Arc<ClientConfig>,
    alpn: Alpns,
    /// One configuration for each list of ALPN ids that a service record has asked for.
    others: Arc<Mutex<Vec<Other>>>,
}

type Other = (Alpns, Arc<ClientConfig>);

impl Tls {
    /// Trusts whom the system trusts (or the file that `SSL_CERT_FILE` names).
    pub fn native() -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            return Err(TlsError::NoRoots);
        }
        Self::with_roots(roots)
    }

    /// Trusts exactly the authorities in this PEM text.
    pub fn with_authorities(pem: &str) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|error| TlsError::Pem {
                text: error.to_string(),
            })?;
            roots.add(certificate).map_err(|error| TlsError::Pem {
                text: error.to_string(),
            })?;
        }
        if roots.is_empty() {
            return Err(TlsError::NoRoots);
        }
        Self::with_roots(roots)
    }

    fn with_roots(roots: RootCertStore) -> Result<Self, TlsError> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Provider {
                text: error.to_string(),
            })?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            base: Arc::new(config),
            alpn: alpns([]),
            others: Arc::default(),
        })
    }

    /// Offers these protocols, most wanted first; none by default.
    #[must_use]
    pub fn alpn<'a>(mut self, ids: impl IntoIterator<Item = &'a str>) -> Self {
        self.alpn = alpns(ids);
        self
    }

    #[cfg(feature = "hyper")]
    pub(crate) fn offers_nothing(&self) -> bool {
        self.alpn.is_empty()
    }

    /// The configuration that offers these ids.
    pub(crate) fn config(&self, alpn: &Alpns) -> Arc<ClientConfig> {
        if alpn.is_empty() {
            return Arc::clone(&self.base);
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, config)) = others.iter().find(|(known, _)| known == alpn) {
            return Arc::clone(config);
        }
        // The ids are among those of the caller's, so there are few lists; but the service chooses which.
        if others.len() >= 16 {
            others.clear();
        }
        let mut config = ClientConfig::clone(&self.base);
        config.alpn_protocols = alpn.iter().map(|id| id.as_bytes().to_vec()).collect();
        let config = Arc::new(config);
        others.push((alpn.clone(), Arc::clone(&config)));
        config
    }

    pub(crate) fn offer(&self, target: &mut Target) {
        if target
            .offers
            .iter()
            .all(|offer| offer.protocol == Protocol::Tcp)
        {
            target.offers = Target::tls(target.host.clone(), target.port, []).offers;
            for offer in &mut target.offers {
                let Offer { alpn, .. } = offer;
                *alpn = self.alpn.clone();
            }
        }
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("alpn", &self.alpn)
            .finish_non_exhaustive()
    }
}

/// Why TLS cannot be set up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// There is no certification authority to trust.
    #[error("there is no certification authority to trust")]
    NoRoots,
    /// The PEM text has no certificates that can be read.
    #[error("the certificates cannot be read: {text}")]
    Pem {
        /// Why.
        text: String,
    },
    /// The cryptography does not offer what TLS needs.
    #[error("{text}")]
    Provider {
        /// Why.
        text: String,
    },
}

impl Dialer {
    /// Connects over TLS: a server that accepts TCP and then stays silent does not win.
    ///
    /// The certificate is checked against the target's own name, whatever the addresses belong to. A target that
    /// [offers](Target::https) HTTPS records has them asked for, if the resolver can.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use twinstack_dial::{Dialer, Tls};
    ///
    /// let tls = Tls::native()?.alpn(["h2", "http/1.1"]);
    /// let connection = Dialer::new().connect_tls(("www.example.com", 443), &tls).await?;
    /// println!("{:?}", connection.stream.alpn());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect_tls(
        &self,
        target: impl ToTarget,
        tls: &Tls,
    ) -> Result<Connection<TlsStream>, DialError> {
        let mut target = target.to_target()?;
        target
            .offers
            .retain(|offer| offer.protocol != Protocol::Quic);
        tls.offer(&mut target);
        let over_tls = OverTls {
            tls,
            name: server_name(&target.host),
        };
        self.race(target, &over_tls).await
    }
}

/// The name that the certificate has to be for.
pub(crate) fn server_name(host: &Host) -> Result<ServerName<'static>, AttemptError> {
    match host {
        Host::Address { address, .. } => Ok(ServerName::from(*address)),
        Host::Name(name) => ServerName::try_from(name.bare().to_owned()).map_err(|_| {
            let text = format!("`{name}` cannot be a TLS server name");
            AttemptError::new(AttemptErrorKind::Local, &text)
        }),
    }
}

struct OverTls<'a> {
    tls: &'a Tls,
    name: Result<ServerName<'static>, AttemptError>,
}

impl Complete for OverTls<'_> {
    type Output = TlsStream;
    type Work = Handshake;

    fn tcp(&self, stream: TcpStream, endpoint: &Endpoint) -> Stage<Self> {
        match &self.name {
            Ok(name) => {
                let work = Box::pin(Handshake::start(self.tls, name, stream, endpoint));
                Stage::Working {
                    work,
                    progressed: None,
                }
            }
            Err(error) => Stage::Failed(error.clone()),
        }
    }
}

/// A handshake under way.
pub(crate) struct Handshake(tokio_rustls::Connect<TcpStream>);

impl Handshake {
    pub(crate) fn start(
        tls: &Tls,
        name: &ServerName<'static>,
        stream: TcpStream,
        endpoint: &Endpoint,
    ) -> Self {
        let connector = TlsConnector::from(tls.config(&endpoint.alpn));
        Self(connector.connect(name.clone(), stream))
    }
}

impl Future for Handshake {
    type Output = Result<TlsStream, AttemptError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context).map(|result| {
            result
                .map(TlsStream::new)
                .map_err(|error| match error.kind() {
                    std::io::ErrorKind::InvalidData => {
                        AttemptError::new(AttemptErrorKind::Handshake, &error.to_string())
                    }
                    _ => attempt_error(&error),
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert_eq!(Tls::with_authorities("").unwrap_err(), TlsError::NoRoots);
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(matches!(
            Tls::with_authorities(broken),
            Err(TlsError::Pem { .. })
        ));
    }
}
