//! One query over UDP.

use super::{AskError, belongs};
use crate::message::{Query, Response};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::Instant;

/// Sends the query and waits for its answer, up to `timeout`. The caller's timer ends at the same moment; this one
/// comes a little before, to say what else arrived.
pub(super) async fn ask(
    server: SocketAddr,
    query: &Query,
    timeout: Duration,
) -> Result<Response, AskError> {
    let started = Instant::now();
    let wait = timeout.saturating_sub(Duration::from_millis(2));
    // A new socket for each query: the kernel picks a new random port, and answers to earlier ones cannot come here.
    let any = match server {
        SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await.map_err(AskError::local)?;
    // Connected, so that the kernel drops what others send and hands over ICMP errors.
    socket.connect(server).await.map_err(AskError::of_socket)?;
    socket
        .send(&query.to_bytes())
        .await
        .map_err(AskError::of_socket)?;
    // No server may send more than was announced (RFC 6891 section 6.2.3). Clearing 64 KiB for each query took longer
    // than the rest of it.
    let announced = query.edns.map_or(0, |edns| edns.udp_size);
    let mut buffer = vec![0; usize::from(announced.max(LEAST_BUFFER))];
    let mut failure = AskError::Timeout;
    loop {
        let received = match tokio::time::timeout(
            wait.saturating_sub(started.elapsed()),
            socket.recv(&mut buffer),
        )
        .await
        {
            Err(_) => return Err(failure),
            Ok(Err(error)) => return Err(AskError::of_socket(error)),
            Ok(Ok(received)) => received,
        };
        let octets = buffer.get(..received).unwrap_or_default();
        // Anybody can forge a datagram: what does not fit is remembered, and the wait goes on.
        failure = match Response::parse(octets) {
            Ok(response) if belongs(&response, query) => return Ok(response),
            Ok(_) => AskError::Mismatched,
            Err(error) if has_id(octets, query.id) => {
                // Right address, port and id: this is the server's own answer, and it is broken.
                return Err(AskError::Malformed(error));
            }
            Err(error) => AskError::Malformed(error),
        };
    }
}

/// What servers send to those who announce nothing is 512 octets; some do not know.
const LEAST_BUFFER: u16 = 4096;

/// Whether the octets begin with a header of a response with this id.
fn has_id(octets: &[u8], id: u16) -> bool {
    match octets {
        [one, two, flags, ..] if octets.len() >= 12 => {
            u16::from_be_bytes([*one, *two]) == id && flags & 0x80 != 0
        }
        _ => false,
    }
}
