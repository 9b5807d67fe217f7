//! One query over TCP (RFC 7766).

use super::{AskError, belongs};
use crate::message::{Query, Response};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Connects, sends, reads one answer, closes. The caller bounds the time.
pub(super) async fn ask(server: SocketAddr, query: &Query) -> Result<Response, AskError> {
    let mut stream = TcpStream::connect(server)
        .await
        .map_err(AskError::of_socket)?;
    // One message is one segment, its length included (RFC 7766 section 8).
    stream.set_nodelay(true).map_err(AskError::local)?;
    let octets = query.to_bytes();
    let length = u16::try_from(octets.len()).unwrap_or(u16::MAX);
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(octets);
    stream
        .write_all(&framed)
        .await
        .map_err(AskError::of_socket)?;
    let length = stream.read_u16().await.map_err(AskError::of_socket)?;
    let mut answer = vec![0; usize::from(length)];
    stream
        .read_exact(&mut answer)
        .await
        .map_err(AskError::of_socket)?;
    let response = Response::parse(&answer).map_err(AskError::Malformed)?;
    if belongs(&response, query) {
        Ok(response)
    } else {
        Err(AskError::Mismatched)
    }
}
