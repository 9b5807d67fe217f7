//! One query over HTTPS (RFC 8484), POST, HTTP/2 or HTTP/1.1 as the server likes.
//!
//! An HTTP/2 connection is kept and shared by all questions; HTTP/1.1 takes a new one each time.

use super::{AskError, belongs};
use crate::message::{Query, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::{http1, http2};
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Which certification authorities to trust.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    /// Those of the system, or of the file that `SSL_CERT_FILE` names.
    #[default]
    System,
    /// Exactly those in this PEM text.
    Pem(String),
}

/// A server behind a URL.
pub(super) struct HttpsServer {
    url: String,
    uri: Uri,
    host: String,
    name: ServerName<'static>,
    port: u16,
    bootstrap: Vec<IpAddr>,
    tls: TlsConnector,
    shared: Mutex<Option<http2::SendRequest<Full<Bytes>>>>,
}

impl fmt::Debug for HttpsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpsServer")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

/// The longest response body that is read: the longest DNS message.
const BODY_LIMIT: usize = 65_535;

/// How long one address has for itself before the next is tried beside it (RFC 8305 section 5).
const STAGGER: Duration = Duration::from_millis(250);

impl HttpsServer {
    pub(super) fn new(url: &str, bootstrap: &[IpAddr], roots: &Roots) -> Result<Self, BadUrl> {
        let wrong = |cause| BadUrl {
            url: url.to_owned(),
            cause,
        };
        let uri: Uri = url.parse().map_err(|_| wrong(UrlFault::Syntax))?;
        if uri.scheme_str() != Some("https") {
            return Err(wrong(UrlFault::Scheme));
        }
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| wrong(UrlFault::Host))?
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let name = ServerName::try_from(host.clone()).map_err(|_| wrong(UrlFault::Host))?;
        let bootstrap = match host.parse::<IpAddr>() {
            Ok(address) if bootstrap.is_empty() => vec![address],
            _ => bootstrap.to_vec(),
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| wrong(UrlFault::Roots))?
            .with_root_certificates(roots.load().map_err(wrong)?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            url: url.to_owned(),
            port: uri.port_u16().unwrap_or(443),
            uri,
            host,
            name,
            bootstrap,
            tls: TlsConnector::from(Arc::new(config)),
            shared: Mutex::new(None),
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// The caller bounds the time.
    pub(super) async fn ask(&self, query: &Query) -> Result<Response, AskError> {
        let mut shared = self.shared.lock().await;
        if shared.as_ref().is_none_or(http2::SendRequest::is_closed) {
            *shared = None;
            let stream = self.connect().await?;
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                drop(shared);
                return self.over_http1(stream, query).await;
            }
            let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .map_err(protocol)?;
            // Ends when the last sender is gone; its errors reach whoever is waiting for a response.
            tokio::spawn(connection);
            *shared = Some(sender);
        }
        let Some(mut sender) = shared.clone() else {
            return Err(AskError::Reset);
        };
        drop(shared);
        sender.ready().await.map_err(protocol)?;
        let response = sender
            .send_request(self.request(query, &self.uri)?)
            .await
            .map_err(protocol)?;
        read(response, query).await
    }

    async fn over_http1(
        &self,
        stream: TlsStream<TcpStream>,
        query: &Query,
    ) -> Result<Response, AskError> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(protocol)?;
        let connection = tokio::spawn(connection);
        // HTTP/1.1 wants only path and query in the request line.
        let path: Uri = self
            .uri
            .path_and_query()
            .map_or("/", |path| path.as_str())
            .parse()
            .map_err(protocol)?;
        let response = sender
            .send_request(self.request(query, &path)?)
            .await
            .map_err(protocol)?;
        let answer = read(response, query).await;
        connection.abort();
        answer
    }

    fn request(&self, query: &Query, uri: &Uri) -> Result<Request<Full<Bytes>>, AskError> {
        let host = match self.uri.authority() {
            Some(authority) => authority.as_str(),
            None => &self.host,
        };
        let mut request = Request::post(uri.clone())
            .header(header::CONTENT_TYPE, "application/dns-message")
            .header(header::ACCEPT, "application/dns-message");
        // HTTP/2 has `:authority` instead.
        if uri.authority().is_none() {
            request = request.header(header::HOST, host);
        }
        request
            .body(Full::new(Bytes::from(query.to_bytes())))
            .map_err(protocol)
    }

    /// TCP and TLS to the first address that accepts; each has a head start before the next.
    async fn connect(&self) -> Result<TlsStream<TcpStream>, AskError> {
        let addresses: Vec<SocketAddr> = if self.bootstrap.is_empty() {
            tokio::net::lookup_host((self.host.as_str(), self.port))
                .await
                .map_err(|error| AskError::Bootstrap(Arc::new(error)))?
                .collect()
        } else {
            self.bootstrap
                .iter()
                .map(|address| SocketAddr::from((*address, self.port)))
                .collect()
        };
        let mut attempts = JoinSet::new();
        let mut waiting = addresses.into_iter();
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        let stream = loop {
            if let Some(address) = waiting.next() {
                attempts.spawn(TcpStream::connect(address));
            } else if attempts.is_empty() {
                return Err(AskError::of_socket(failure));
            }
            let joined = if waiting.len() == 0 {
                attempts.join_next().await
            } else {
                tokio::time::timeout(STAGGER, attempts.join_next())
                    .await
                    .unwrap_or(None)
            };
            match joined {
                Some(Ok(Ok(stream))) => break stream,
                Some(Ok(Err(error))) => failure = error,
                Some(Err(_)) | None => {}
            }
        };
        stream.set_nodelay(true).map_err(AskError::local)?;
        self.tls
            .connect(self.name.clone(), stream)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => AskError::Reset,
                _ if is_about_the_certificate(&error) => AskError::Certificate(Arc::new(error)),
                _ => AskError::Tls(Arc::new(error)),
            })
    }
}

fn is_about_the_certificate(error: &io::Error) -> bool {
    let cause = error
        .get_ref()
        .and_then(|cause| cause.downcast_ref::<rustls::Error>());
    matches!(
        cause,
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)
    )
}

async fn read(
    response: hyper::Response<hyper::body::Incoming>,
    query: &Query,
) -> Result<Response, AskError> {
    if response.status() != StatusCode::OK {
        return Err(AskError::Http {
            status: response.status().as_u16(),
        });
    }
    let body = Limited::new(response.into_body(), BODY_LIMIT)
        .collect()
        .await
        .map_err(|error| AskError::HttpProtocol(error.into()))?
        .to_bytes();
    let response = Response::parse(&body).map_err(AskError::Malformed)?;
    if belongs(&response, query) {
        Ok(response)
    } else {
        Err(AskError::Mismatched)
    }
}

fn protocol(error: impl std::error::Error + Send + Sync + 'static) -> AskError {
    AskError::HttpProtocol(Arc::new(error))
}

impl Roots {
    fn load(&self) -> Result<RootCertStore, UrlFault> {
        let mut store = RootCertStore::empty();
        match self {
            // Bundles hold odd certificates here and there; those that can be used are.
            Self::System => {
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            Self::Pem(text) => {
                for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
                    let certificate = certificate.map_err(|_| UrlFault::Roots)?;
                    store.add(certificate).map_err(|_| UrlFault::Roots)?;
                }
            }
        }
        Ok(store)
    }
}

/// A URL that no client can be made for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{url}` cannot be asked: {cause}")]
pub struct BadUrl {
    /// The URL.
    pub url: String,
    /// Why not.
    #[source]
    pub cause: UrlFault,
}

/// What is wrong with a URL, or with the certificates that were to go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlFault {
    /// Not a URL.
    #[error("it is no URL; one looks like `https://dns.example/dns-query`")]
    Syntax,
    /// Not `https:`.
    #[error("the scheme must be `https`")]
    Scheme,
    /// No host in it, or one that no certificate can be for.
    #[error("it has no usable host")]
    Host,
    /// The trusted certificates could not be read.
    #[error("the trusted certificates cannot be read")]
    Roots,
}
