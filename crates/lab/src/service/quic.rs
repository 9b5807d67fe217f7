//! A QUIC endpoint that completes handshakes and serves pages over HTTP/3.
//!
//! A service without pages of its own serves those of the host's `https` service: a client that follows `Alt-Svc`
//! must find the same site.

use super::error::{Problem, ServiceError, Transport};
use super::http::{LONGEST_CONNECTION, Site, Sites};
use super::listen::{self, Peer, Room};
use super::{Context, Running, face, problem, tls};
use crate::world::model::{Face, Family, HostId, Service, ServiceKind, Stall};
use bytes::Bytes;
use h3::server::RequestResolver;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, Incoming, ServerConfig, TokioRuntime, TransportConfig};
use std::sync::Arc;
use tokio::task::JoinSet;

const LARGEST_HEAD: u64 = 32 * 1024;

/// Starts the service.
pub(crate) fn start(
    context: &Context,
    host: HostId,
    service: &Service,
) -> Result<Running, ServiceError> {
    let faces =
        Faces::new(context, host, service).map_err(|p| problem(context, host, service, p))?;
    let room = Room::default();
    let mut running = Running::default();
    for socket in listen::udp(context, host, service)? {
        let address = socket.local_addr();
        let config = EndpointConfig::default();
        let endpoint = Endpoint::new(
            config,
            Some(ServerConfig::clone(&faces.v4)),
            socket,
            Arc::new(TokioRuntime),
        );
        let (address, endpoint) = address
            .and_then(|address| Ok((address, endpoint?)))
            .map_err(|source| {
                let listen = Problem::Listen {
                    transport: Transport::Udp,
                    address: (std::net::Ipv6Addr::UNSPECIFIED, service.port).into(),
                    source,
                };
                problem(context, host, service, listen)
            })?;
        running.udp.push(address);
        tokio::spawn(accept_from(endpoint, faces.clone(), room.clone()));
    }
    Ok(running)
}

#[derive(Clone)]
struct Faces {
    sites: Sites,
    v4: Arc<ServerConfig>,
    v6: Arc<ServerConfig>,
}

impl Faces {
    fn new(context: &Context, host: HostId, service: &Service) -> Result<Self, Problem> {
        let config = |family| {
            let tls = tls::in_quic(&context.authority, face(service, family))?;
            // Fails only for TLS without TLS_AES_128_GCM_SHA256, which ring always has.
            let tls = QuicServerConfig::try_from(tls).map_err(|_| {
                Problem::Tls(rustls::Error::General("no initial cipher suite".to_owned()))
            })?;
            let mut transport = TransportConfig::default();
            // One packet for each datagram from the start: what a trace shows is what was sent.
            transport.enable_segmentation_offload(false);
            let mut config = ServerConfig::with_crypto(Arc::new(tls));
            config.transport_config(Arc::new(transport));
            Ok::<_, Problem>(Arc::new(config))
        };
        Ok(Self {
            sites: Sites::new(&with_pages(context, host, service))?,
            v4: config(Family::V4)?,
            v6: config(Family::V6)?,
        })
    }
}

/// The service, with the pages of the host's `https` service where it has none itself.
fn with_pages(context: &Context, host: HostId, service: &Service) -> Service {
    let mut service = service.clone();
    let host = context.world.hosts.get(host.0);
    let https = host.and_then(|h| h.services.iter().find(|s| s.kind == ServiceKind::Https));
    if let Some(https) = https {
        let borrow = |own: &mut Face, lent: &Face| {
            if own.pages.is_empty() {
                own.pages.clone_from(&lent.pages);
                own.headers.clone_from(&lent.headers);
                own.server.clone_from(&lent.server);
            }
        };
        borrow(&mut service.v4, &https.v4);
        borrow(&mut service.v6, &https.v6);
    }
    service
}

async fn accept_from(endpoint: Endpoint, faces: Faces, room: Room) {
    // Ends with the runtime: nobody closes the endpoint.
    while let Some(incoming) = endpoint.accept().await {
        let peer = Peer {
            address: incoming.remote_address(),
        };
        let site = faces.sites.of(peer);
        let config = match peer.family() {
            Family::V4 => &faces.v4,
            Family::V6 => &faces.v6,
        };
        if site.stall == Some(Stall::Handshake) {
            incoming.ignore();
        } else if let Some(permit) = room.one_more() {
            let connection = connection(incoming, Arc::clone(config), site, peer);
            tokio::spawn(async move {
                // However a connection ends, it concerns only the peer, who notices.
                match tokio::time::timeout(LONGEST_CONNECTION, connection).await {
                    Ok(Some(()) | None) | Err(_) => drop(permit),
                }
            });
        } else {
            incoming.refuse();
        }
    }
}

async fn connection(
    incoming: Incoming,
    config: Arc<ServerConfig>,
    site: Arc<Site>,
    peer: Peer,
) -> Option<()> {
    let connection = incoming.accept_with(config).ok()?.await.ok()?;
    // Kept until the end: dropping the last handle would close the connection of a client that only shakes hands.
    let connection = h3_quinn::Connection::new(connection);
    let mut http = h3::server::builder()
        .max_field_section_size(LARGEST_HEAD)
        .build(connection)
        .await
        .ok()?;
    // Dropped with the connection, and with it the requests that are still being answered.
    let mut requests = JoinSet::new();
    while let Some(request) = http.accept().await.ok()? {
        requests.spawn(answer(request, Arc::clone(&site), peer));
        while requests.try_join_next().is_some() {}
    }
    Some(())
}

async fn answer(
    request: RequestResolver<h3_quinn::Connection, Bytes>,
    site: Arc<Site>,
    peer: Peer,
) -> Option<()> {
    let (request, mut stream) = request.resolve_request().await.ok()?;
    let (head, body) = site.answer(&request, peer).await.into_parts();
    stream
        .send_response(hyper::Response::from_parts(head, ()))
        .await
        .ok()?;
    if !body.is_empty() {
        stream.send_data(body).await.ok()?;
    }
    stream.finish().await.ok()
}

#[cfg(test)]
mod tests;
