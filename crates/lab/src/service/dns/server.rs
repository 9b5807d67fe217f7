//! Queries in, answers out: UDP, TCP, and what the rules do to them.

use super::NameData;
use super::answer::answer;
use super::recursive::Resolver;
use super::rule::Asked;
use crate::service::datagram::Datagrams;
use crate::service::listen::Peer;
use crate::world::model::{DnsReply, DnsTransport, HostId};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{Mutex, Semaphore};
use twinstack_dns::{Query, Rcode, Response};

/// A name server.
pub(super) struct Server {
    pub(super) host: HostId,
    pub(super) names: NameData,
    pub(super) responder: Responder,
}

/// Who knows the answers.
pub(super) enum Responder {
    /// The world's zones.
    Authoritative,
    /// Other servers.
    Recursive(Arc<Resolver>),
}

/// Queries of one socket that may wait for their answers at a time; further ones stay in the kernel's buffer, which
/// drops what it cannot hold, as with any busy server.
const MOST_QUERIES: usize = 2048;

/// The same for one TCP connection; there, reading waits (RFC 7766 section 6.2.1.1 wants them answered in parallel).
const MOST_PIPELINED: usize = 64;

/// A TCP connection is closed after this long without a query (RFC 7766 section 6.2.3: "a few seconds").
const IDLE: Duration = Duration::from_secs(10);

/// Even a client that takes larger datagrams gets no larger ones.
const LARGEST_DATAGRAM: usize = 4096;

/// What a rule with `garbage` sends: shorter than a header, and no header at all.
const GARBAGE: &[u8] = b"\xff\xfe\xfd no DNS";

impl Server {
    /// The octets to send back, or silence.
    pub(super) async fn handle(
        &self,
        octets: &[u8],
        peer: Peer,
        transport: DnsTransport,
    ) -> Option<Vec<u8>> {
        let query = match Query::parse(octets) {
            Ok(query) => query,
            Err(bad) => return bad.reply.map(|reply| reply.to_bytes()),
        };
        let snapshot = self.names.snapshot();
        let rule = snapshot.rule(&Asked {
            host: self.host,
            question: &query.question,
            transport,
            from: peer.address.ip().to_canonical(),
        });
        let (delay, reply) = rule.map_or((Duration::ZERO, DnsReply::Answer), |rule| {
            (rule.delay, rule.reply)
        });
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let response = match reply {
            DnsReply::Drop => return None,
            DnsReply::Garbage => return Some(GARBAGE.to_vec()),
            DnsReply::Servfail => self.failure(&query, Rcode::SERVFAIL),
            DnsReply::Refused => self.failure(&query, Rcode::REFUSED),
            DnsReply::Formerr => self.failure(&query, Rcode::FORMERR),
            DnsReply::Nxdomain => self.negative(&query, Rcode::NXDOMAIN),
            DnsReply::Nodata => self.negative(&query, Rcode::NOERROR),
            DnsReply::Truncate if transport == DnsTransport::Udp => Response {
                truncated: true,
                ..self.failure(&query, Rcode::NOERROR)
            },
            DnsReply::Answer | DnsReply::Truncate => self.answer(&query).await,
        };
        Some(match transport {
            DnsTransport::Udp => response.to_bytes_within(query.udp_limit().min(LARGEST_DATAGRAM)),
            DnsTransport::Tcp => response.to_bytes(),
        })
    }

    async fn answer(&self, query: &Query) -> Response {
        match &self.responder {
            Responder::Authoritative => {
                let snapshot = self.names.snapshot();
                answer(&snapshot.zones_of(self.host), query)
            }
            Responder::Recursive(resolver) => resolver.answer(query).await,
        }
    }

    /// An answer without records.
    fn failure(&self, query: &Query, rcode: Rcode) -> Response {
        let recursive = matches!(self.responder, Responder::Recursive(_));
        let definite = [Rcode::NOERROR, Rcode::NXDOMAIN].contains(&rcode);
        Response {
            authoritative: definite && !recursive,
            recursion_available: recursive,
            ..Response::to_query(query, rcode)
        }
    }

    /// The same with the zone's SOA, so that it can be kept.
    fn negative(&self, query: &Query, rcode: Rcode) -> Response {
        let snapshot = self.names.snapshot();
        let zone = snapshot.zone_around(&query.question.name, self.host);
        Response {
            authority: zone
                .and_then(super::zone::ZoneData::negative_soa)
                .into_iter()
                .collect(),
            ..self.failure(query, rcode)
        }
    }
}

/// Answers datagrams until the host ends.
pub(super) async fn over_udp(server: Arc<Server>, socket: Arc<Datagrams>) {
    let room = Arc::new(Semaphore::new(MOST_QUERIES));
    let mut buffer = vec![0; usize::from(u16::MAX)];
    // The semaphore is never closed, so this loop ends with the runtime.
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        let Ok(envelope) = socket.receive(&mut buffer).await else {
            // An ICMP error of an earlier answer, or a moment without memory.
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let octets = buffer.get(..envelope.length).unwrap_or_default().to_vec();
        let (server, socket) = (Arc::clone(&server), Arc::clone(&socket));
        tokio::spawn(async move {
            let peer = Peer {
                address: envelope.peer,
            };
            if let Some(answer) = server.handle(&octets, peer, DnsTransport::Udp).await {
                // The client will ask again if this one is lost, for whatever reason.
                drop(socket.answer(&envelope, &answer).await);
            }
            drop(permit);
        });
    }
}

/// Answers the queries of one connection, each when it is ready, until the client closes or falls silent.
pub(super) async fn over_tcp(server: Arc<Server>, peer: Peer, stream: TcpStream) {
    let (mut reader, writer) = stream.into_split();
    let writer = Arc::new(Mutex::new(writer));
    let room = Arc::new(Semaphore::new(MOST_PIPELINED));
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        let message = async {
            let length = reader.read_u16().await?;
            let mut octets = vec![0; usize::from(length)];
            reader.read_exact(&mut octets).await?;
            Ok::<_, std::io::Error>(octets)
        };
        let Ok(Ok(octets)) = tokio::time::timeout(IDLE, message).await else {
            break;
        };
        let (server, writer) = (Arc::clone(&server), Arc::clone(&writer));
        tokio::spawn(async move {
            if let Some(answer) = server.handle(&octets, peer, DnsTransport::Tcp).await {
                write(&writer, &answer).await;
            }
            drop(permit);
        });
    }
    // Answers under way hold the writer; the connection closes with the last of them.
}

/// Writes one framed message; a client that has gone away gets nothing, and nobody else minds.
async fn write(writer: &Mutex<OwnedWriteHalf>, answer: &[u8]) {
    let Ok(length) = u16::try_from(answer.len()) else {
        return;
    };
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(answer);
    let mut writer = writer.lock().await;
    drop(tokio::time::timeout(IDLE, writer.write_all(&framed)).await);
}
