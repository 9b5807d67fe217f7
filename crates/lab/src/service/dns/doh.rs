//! DNS over HTTPS (RFC 8484): `/dns-query`, GET and POST, HTTP/2 and HTTP/1.1.

use super::server::Server;
use crate::service::error::ServiceError;
use crate::service::listen::{self, Peer};
use crate::service::{Context, Running, problem, tls};
use crate::world::model::{DnsTransport, Face, HostId, Service};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

const PATH: &str = "/dns-query";

const MEDIA_TYPE: &str = "application/dns-message";

/// The longest DNS message.
const BODY_LIMIT: usize = 65_535;

/// A TLS handshake must be complete after this long.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(30);

/// No connection lives longer.
const LONGEST_CONNECTION: Duration = Duration::from_mins(10);

/// Starts the endpoint, with a certificate for `name`.
pub(super) fn start(
    context: &Context,
    host: HostId,
    service: &Service,
    name: &str,
    server: &Arc<Server>,
) -> Result<Running, ServiceError> {
    let face = Face {
        certificate: vec![name.trim_end_matches('.').to_owned()],
        alpn: vec!["h2".to_owned(), "http/1.1".to_owned()],
        ..service.v6.clone()
    };
    let config = tls::over_tcp(&context.authority, &face)
        .map_err(|cause| problem(context, host, service, cause))?;
    let acceptor = TlsAcceptor::from(config);
    let listeners = listen::tcp(context, host, service)?;
    let running = Running::tcp(&listeners);
    let server = Arc::clone(server);
    listen::accept(listeners, move |peer, stream| {
        connection(Arc::clone(&server), acceptor.clone(), peer, stream)
    });
    Ok(running)
}

async fn connection(server: Arc<Server>, acceptor: TlsAcceptor, peer: Peer, stream: TcpStream) {
    let handshake = tokio::time::timeout(HANDSHAKE_WITHIN, acceptor.accept(stream));
    let Ok(Ok(stream)) = handshake.await else {
        return;
    };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let stream = TokioIo::new(stream);
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(respond(&server, peer, request).await) }
    });
    // What a client does to its own connection is its own affair.
    if is_http2 {
        let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .serve_connection(stream, service);
        drop(tokio::time::timeout(LONGEST_CONNECTION, connection).await);
    } else {
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(stream, service);
        drop(tokio::time::timeout(LONGEST_CONNECTION, connection).await);
    }
}

async fn respond(server: &Server, peer: Peer, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let query = match read(request).await {
        Ok(query) => query,
        Err(status) => return answer(status, None),
    };
    match server.handle(&query, peer, DnsTransport::Tcp).await {
        Some(octets) => answer(StatusCode::OK, Some(octets)),
        // Silence: HTTP has no way to say nothing, so the request stays open until the client gives up.
        None => std::future::pending().await,
    }
}

fn answer(status: StatusCode, body: Option<Vec<u8>>) -> Response<Full<Bytes>> {
    let has_body = body.is_some();
    let mut response = Response::new(Full::new(Bytes::from(body.unwrap_or_default())));
    *response.status_mut() = status;
    if has_body {
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            header::HeaderValue::from_static(MEDIA_TYPE),
        );
    }
    response
}

/// The query's octets, or the status that says what is wrong (RFC 8484 section 4.1).
async fn read(request: Request<Incoming>) -> Result<Vec<u8>, StatusCode> {
    if request.uri().path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    match *request.method() {
        Method::GET => {
            let parameters = request.uri().query().unwrap_or_default();
            let encoded = parameters
                .split('&')
                .find_map(|parameter| parameter.strip_prefix("dns="));
            encoded.and_then(base64url).ok_or(StatusCode::BAD_REQUEST)
        }
        Method::POST => {
            let media_type = request.headers().get(header::CONTENT_TYPE);
            if media_type.is_none_or(|value| value != MEDIA_TYPE) {
                return Err(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            }
            let body = Limited::new(request.into_body(), BODY_LIMIT);
            let body = body.collect().await;
            body.map(|body| body.to_bytes().to_vec())
                .map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)
        }
        _ => Err(StatusCode::METHOD_NOT_ALLOWED),
    }
}

/// RFC 4648 section 5, without padding.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    let (mut bits, mut held) = (0_u32, 0_u32);
    for character in text.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            octets.extend(u8::try_from(bits >> held & 0xff));
        }
    }
    // What is left over must be fewer bits than a character, and zero.
    (held < 6 && bits & ((1 << held) - 1) == 0).then_some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_read_without_padding() {
        let check = |text: &str, expected: Option<&[u8]>| {
            assert_eq!(base64url(text).as_deref(), expected, "{text}");
        };
        check("", Some(b""));
        check("Zg", Some(b"f"));
        check("Zm8", Some(b"fo"));
        check("Zm9v", Some(b"foo"));
        check("-_8", Some(b"\xfb\xff"));
        check("Zg==", None);
        check("+/8", None);
        check("Z", None);
        check("Zh", None);
    }
}
