//! A connector for hyper-util's client, for tonic, and for whatever else takes a `tower_service::Service<Uri>`.

use crate::dialer::Dialer;
use crate::error::DialError;
#[cfg(feature = "tls")]
use crate::tls::{Tls, TlsStream};
use hyper::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower_service::Service;
use twinstack_race::{Host, Target};

/// Connects hyper-util's client or tonic: `http` over TCP and, given [`Tls`], `https` over TLS, where the handshake is
/// part of the race.
///
/// ```
/// # use http_body_util::Empty;
/// # use hyper::body::Bytes;
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use twinstack_dial::{Connector, Dialer};
///
/// let connector = Connector::new(Dialer::new());
/// let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
/// # let _ = client;
/// ```
#[derive(Clone)]
pub struct Connector {
    dialer: Dialer,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

impl Connector {
    /// For `http` alone.
    pub const fn new(dialer: Dialer) -> Self {
        Self {
            dialer,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// For `https` as well. The [ALPN ids](Tls::alpn) decide whether hyper speaks HTTP/2.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Connects to the URI's host and port.
    pub async fn connect(&self, uri: &Uri) -> Result<HttpStream, ConnectorError> {
        let https = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or_else(|| ConnectorError::NoHost {
            uri: uri.clone().to_string(),
        })?;
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        if https {
            self.secure(host, port).await
        } else {
            Ok(HttpStream::plain(
                self.dialer.connect((host, port)).await?.stream,
            ))
        }
    }

    #[cfg(feature = "tls")]
    async fn secure(&self, host: &str, port: u16) -> Result<HttpStream, ConnectorError> {
        let mut tls = self.tls.clone().ok_or(ConnectorError::NoTls)?;
        if tls.offers_nothing() {
            // What hyper then speaks; said aloud, it can be matched with HTTPS records.
            tls = tls.alpn(["http/1.1"]);
        }
        let host: Host = crate::target::host(host).map_err(DialError::from)?;
        let mut target = Target::https(host, port);
        // HTTPS records are asked for (A4); what is offered is the caller's, and no QUIC.
        let service = target.service;
        target = Target::tcp(target.host, target.port).with_service(service);
        Ok(HttpStream::secure(
            self.dialer.connect_tls(target, &tls).await?.stream,
        ))
    }

    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "with the feature `tls` it waits")]
    async fn secure(&self, _: &str, _: u16) -> Result<HttpStream, ConnectorError> {
        Err(ConnectorError::NoTls)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("dialer", &self.dialer)
            .finish_non_exhaustive()
    }
}

impl Service<Uri> for Connector {
    type Response = HttpStream;
    type Error = ConnectorError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpStream, ConnectorError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectorError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(&uri).await })
    }
}

/// Why an HTTP client has no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectorError {
    /// The URI names no host.
    #[error("`{uri}` names no host")]
    NoHost {
        /// The URI.
        uri: String,
    },
    /// `https` needs TLS, and the connector has none.
    #[error("`https` needs TLS, and this connector has none: add it by `Connector::with_tls`")]
    NoTls,
    /// The dial failed.
    #[error(transparent)]
    Dial(#[from] DialError),
}

/// A connection as hyper wants it: plain or with TLS. It is an `AsyncRead` and `AsyncWrite` of tokio's as well.
#[derive(Debug)]
pub struct HttpStream(Inner);

#[derive(Debug)]
enum Inner {
    Plain(TokioIo<TcpStream>),
    #[cfg(feature = "tls")]
    Secure(Box<TokioIo<TlsStream>>),
}

impl HttpStream {
    fn plain(stream: TcpStream) -> Self {
        Self(Inner::Plain(TokioIo::new(stream)))
    }

    #[cfg(feature = "tls")]
    fn secure(stream: TlsStream) -> Self {
        Self(Inner::Secure(Box::new(TokioIo::new(stream))))
    }

    /// The TCP connection, for its addresses and options.
    pub fn tcp(&self) -> &TcpStream {
        match &self.0 {
            Inner::Plain(stream) => stream.inner(),
            #[cfg(feature = "tls")]
            Inner::Secure(stream) => stream.inner().tcp(),
        }
    }
}

impl Connection for HttpStream {
    fn connected(&self) -> Connected {
        let connected = self.tcp().connected();
        match &self.0 {
            Inner::Plain(_) => connected,
            #[cfg(feature = "tls")]
            Inner::Secure(stream) if stream.inner().alpn() == Some(b"h2") => {
                connected.negotiated_h2()
            }
            #[cfg(feature = "tls")]
            Inner::Secure(_) => connected,
        }
    }
}

macro_rules! inner {
    ($stream:expr, $inner:ident => $call:expr) => {
        match &mut $stream.get_mut().0 {
            Inner::Plain($inner) => $call,
            #[cfg(feature = "tls")]
            Inner::Secure(boxed) => {
                let $inner = &mut **boxed;
                $call
            }
        }
    };
}

impl Read for HttpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        inner!(self, stream => Pin::new(stream).poll_read(context, buffer))
    }
}

impl Write for HttpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        inner!(self, stream => Pin::new(stream).poll_write(context, buffer))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => Pin::new(stream).poll_shutdown(context))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0 {
            Inner::Plain(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Inner::Secure(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        inner!(self, stream => Pin::new(stream).poll_write_vectored(context, buffers))
    }
}

impl tokio::io::AsyncRead for HttpStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        inner!(self, stream => Pin::new(stream.inner_mut()).poll_read(context, buffer))
    }
}

impl tokio::io::AsyncWrite for HttpStream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        inner!(self, stream => Pin::new(stream.inner_mut()).poll_write(context, buffer))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => Pin::new(stream.inner_mut()).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        inner!(self, stream => Pin::new(stream.inner_mut()).poll_shutdown(context))
    }
}
