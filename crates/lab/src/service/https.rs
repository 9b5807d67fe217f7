//! The web server behind TLS.

use super::error::{Problem, ServiceError};
use super::http::{self, Sites, Version};
use super::listen::{self, Peer};
use super::{Context, Running, face, problem, tls};
use crate::world::model::{Family, HostId, Service, Stall};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

/// A TLS handshake must be complete after this long.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(30);

/// Starts the service.
pub(crate) fn start(
    context: &Context,
    host: HostId,
    service: &Service,
) -> Result<Running, ServiceError> {
    let faces = Faces::new(context, service).map_err(|p| problem(context, host, service, p))?;
    let listeners = listen::tcp(context, host, service)?;
    let running = Running::tcp(&listeners);
    listen::accept(listeners, move |peer, stream| {
        connection(faces.clone(), peer, stream)
    });
    Ok(running)
}

#[derive(Clone)]
struct Faces {
    sites: Sites,
    v4: TlsAcceptor,
    v6: TlsAcceptor,
}

impl Faces {
    fn new(context: &Context, service: &Service) -> Result<Self, Problem> {
        let acceptor = |family| tls::over_tcp(&context.authority, face(service, family));
        Ok(Self {
            sites: Sites::new(service)?,
            v4: acceptor(Family::V4)?.into(),
            v6: acceptor(Family::V6)?.into(),
        })
    }
}

async fn connection<T>(faces: Faces, peer: Peer, stream: T)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let site = faces.sites.of(peer);
    if site.stall == Some(Stall::Handshake) {
        return listen::stay_silent(stream).await;
    }
    let acceptor = match peer.family() {
        Family::V4 => &faces.v4,
        Family::V6 => &faces.v6,
    };
    // A handshake that fails has told the peer why, as far as there was a peer.
    let handshake = tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream));
    let Ok(Ok(stream)) = handshake.await else {
        return;
    };
    let version = match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => Version::Http2,
        _ => Version::Http1,
    };
    http::serve(site, peer, stream, version).await;
}

#[cfg(test)]
mod tests;
