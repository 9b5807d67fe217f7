//! The web server: pages by path and by the client's family, over HTTP/1.1 or HTTP/2.
//!
//! What to answer is decided by [`Site`], without sockets; [`https`](super::https) puts the same site behind TLS.

use super::error::{FamilyName, Problem, ServiceError};
use super::listen::{self, Peer};
use super::{Context, Running, face, problem};
use crate::world::model::{Face, Family, HostId, Page, Service, Stall};
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, SERVER,
    TRANSFER_ENCODING,
};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// A request's head must be complete after this long; also how long an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// No connection lives longer. It is what stops a peer that dribbles an HTTP/2 preface or reads a byte a minute.
pub(crate) const LONGEST_CONNECTION: Duration = Duration::from_mins(10);

const LARGEST_HEAD: u32 = 32 * 1024;

/// Pages are kept in memory, once a face.
const LARGEST_PAGE: usize = 64 * 1024 * 1024;

/// Starts the service.
pub(crate) fn start(
    context: &Context,
    host: HostId,
    service: &Service,
) -> Result<Running, ServiceError> {
    let sites = Sites::new(service).map_err(|p| problem(context, host, service, p))?;
    let listeners = listen::tcp(context, host, service)?;
    let running = Running::tcp(&listeners);
    listen::accept(listeners, move |peer, stream| {
        connection(sites.of(peer), peer, stream)
    });
    Ok(running)
}

async fn connection(site: Arc<Site>, peer: Peer, stream: TcpStream) {
    if site.stall == Some(Stall::Handshake) {
        listen::stay_silent(stream).await;
    } else {
        serve(site, peer, stream, Version::Http1).await;
    }
}

/// Which HTTP a connection speaks; TLS has settled it by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// HTTP/1.1, and 1.0 for those who still do.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Answers requests until the peer has no more, errs or takes too long.
pub(crate) async fn serve<T>(site: Arc<Site>, peer: Peer, stream: T, version: Version)
where
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = service_fn(move |request: Request<Incoming>| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(&request, peer).await.map(Full::new)) }
    });
    let io = TokioIo::new(stream);
    let ended = async {
        match version {
            Version::Http1 => {
                http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_WITHIN)
                    .max_buf_size(LARGEST_HEAD as usize)
                    .serve_connection(io, answer)
                    .await
            }
            Version::Http2 => {
                http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .keep_alive_interval(HEAD_WITHIN)
                    .max_header_list_size(LARGEST_HEAD)
                    .serve_connection(io, answer)
                    .await
            }
        }
    };
    // However a connection ends, it concerns only the peer, who notices.
    match tokio::time::timeout(LONGEST_CONNECTION, ended).await {
        Ok(Ok(()) | Err(_)) | Err(_) => {}
    }
}

/// The site that each family sees.
#[derive(Clone, Debug)]
pub(crate) struct Sites {
    v4: Arc<Site>,
    v6: Arc<Site>,
}

impl Sites {
    /// Checks and renders both faces.
    pub(crate) fn new(service: &Service) -> Result<Self, Problem> {
        let site = |family| Site::new(face(service, family), family).map(Arc::new);
        Ok(Self {
            v4: site(Family::V4)?,
            v6: site(Family::V6)?,
        })
    }

    /// The one that this client sees.
    pub(crate) fn of(&self, peer: Peer) -> Arc<Site> {
        Arc::clone(match peer.family() {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        })
    }
}

/// The pages of one face, rendered once.
#[derive(Debug)]
pub(crate) struct Site {
    pages: BTreeMap<String, Rendered>,
    not_found: Rendered,
    not_allowed: Rendered,
    denied: Rendered,
    deny_mapped: bool,
    delay: Duration,
    pub(crate) stall: Option<Stall>,
}

#[derive(Clone, Debug)]
struct Rendered {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Site {
    fn new(face: &Face, family: Family) -> Result<Self, Problem> {
        let family = FamilyName(family);
        let mut common = HeaderMap::new();
        if !face.server.is_empty() {
            insert(&mut common, SERVER, &face.server, family)?;
        }
        for (name, value) in &face.headers {
            let parsed = HeaderName::try_from(name)
                .ok()
                // How a message ends is decided per response.
                .filter(|name| name != CONTENT_LENGTH && name != TRANSFER_ENCODING)
                .ok_or_else(|| Problem::Header {
                    family,
                    name: name.clone(),
                    value: value.clone(),
                })?;
            insert(&mut common, parsed, value, family)?;
        }
        let pages = face
            .pages
            .iter()
            .map(|(path, page)| Ok((path.clone(), render(path, page, &common, family)?)))
            .collect::<Result<_, Problem>>()?;
        let plain = |status: StatusCode, text| {
            let mut headers = common.clone();
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("text/plain; charset=utf-8"),
            );
            Rendered {
                status,
                headers,
                body: Bytes::from_static(text),
            }
        };
        let mut not_allowed = plain(
            StatusCode::METHOD_NOT_ALLOWED,
            b"only GET and HEAD are served here\n",
        );
        not_allowed
            .headers
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        Ok(Self {
            pages,
            not_found: plain(StatusCode::NOT_FOUND, b"there is no such page\n"),
            not_allowed,
            denied: plain(
                StatusCode::FORBIDDEN,
                b"your address is not on the list of those allowed\n",
            ),
            deny_mapped: face.deny_mapped,
            delay: face.delay,
            stall: face.stall,
        })
    }

    /// What the client gets, after the delay; with a stall, nothing ever.
    pub(crate) async fn answer<B>(&self, request: &Request<B>, peer: Peer) -> Response<Bytes> {
        if self.stall.is_some() {
            std::future::pending::<()>().await;
        }
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        self.respond(request.method(), request.uri().path(), peer)
    }

    /// The response to a request, without delay and stall.
    fn respond(&self, method: &Method, path: &str, peer: Peer) -> Response<Bytes> {
        let rendered = if self.deny_mapped && peer.is_mapped() {
            &self.denied
        } else if method != Method::GET && method != Method::HEAD {
            &self.not_allowed
        } else {
            self.pages.get(path).unwrap_or(&self.not_found)
        };
        let body = if method == Method::HEAD {
            Bytes::new()
        } else {
            rendered.body.clone()
        };
        let mut response = Response::new(body);
        *response.status_mut() = rendered.status;
        *response.headers_mut() = rendered.headers.clone();
        // RFC 9110 section 8.6: no length with 204; a HEAD response names the length that GET would have.
        if rendered.status != StatusCode::NO_CONTENT {
            response
                .headers_mut()
                .insert(CONTENT_LENGTH, HeaderValue::from(rendered.body.len()));
        }
        response
    }
}

fn render(
    path: &str,
    page: &Page,
    common: &HeaderMap,
    family: FamilyName,
) -> Result<Rendered, Problem> {
    let status = StatusCode::from_u16(page.status)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or_else(|| Problem::PageStatus {
            family,
            path: path.to_owned(),
            status: page.status,
        })?;
    if page.size > LARGEST_PAGE {
        return Err(Problem::PageSize {
            family,
            path: path.to_owned(),
            most: LARGEST_PAGE,
        });
    }
    let mut headers = common.clone();
    if !page.content_type.is_empty() {
        insert(&mut headers, CONTENT_TYPE, &page.content_type, family)?;
    }
    if let Some(location) = &page.location {
        insert(&mut headers, LOCATION, location, family)?;
    }
    // RFC 9110 sections 15.3.5 and 15.4.5: these have no content.
    let body = match status {
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Bytes::new(),
        _ => padded(&page.body, page.size).into(),
    };
    Ok(Rendered {
        status,
        headers,
        body,
    })
}

fn insert(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: &str,
    family: FamilyName,
) -> Result<(), Problem> {
    let value = HeaderValue::from_str(value).map_err(|_| Problem::Header {
        family,
        name: name.to_string(),
        value: value.to_owned(),
    })?;
    headers.insert(name, value);
    Ok(())
}

/// The body, made `size` bytes long by an HTML comment at its end, or by blanks where no comment fits.
fn padded(body: &str, size: usize) -> String {
    const OPEN: &str = "<!--";
    const CLOSE: &str = "-->";
    let missing = size.saturating_sub(body.len());
    match missing.checked_sub(OPEN.len() + CLOSE.len()) {
        Some(inside) => format!("{body}{OPEN}{}{CLOSE}", " ".repeat(inside)),
        None => format!("{body}{}", " ".repeat(missing)),
    }
}

#[cfg(test)]
mod tests;
