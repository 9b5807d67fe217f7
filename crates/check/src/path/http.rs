//! One conversation on an open connection: TLS if the port speaks it, then one request and its response, or a
//! banner. HTTP/2 where TLS agreed on it, HTTP/1.1 otherwise.

use super::link::Link;
use super::observation::{Answer, BodyEnd, ConnectError, Page, Step, Talk, TalkError};
use super::tls::{Tls, talk_error};
use super::{Plan, Speech};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper::header::{ALT_SVC, CONTENT_TYPE, HeaderMap, LOCATION, SERVER};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::error::Error as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// As much of a body as is read and compared (the bound that internet.nl uses).
pub(super) const BODY_LIMIT: usize = 500_000;

/// Bytes of padding that make a request larger than any packet of an Ethernet path, and smaller than the 4096 to
/// 8192 bytes that servers allow for headers.
const PADDING: usize = 1600;

/// What to say on a connection.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) link: Link,
    pub(super) speech: Speech,
    /// Whether the request is to be larger than one packet.
    pub(super) large: bool,
    /// Whether the body matters; otherwise the response's head is enough.
    pub(super) body: bool,
}

/// Holds the conversation. The segment size is only noted down; whoever opened the connection has set it.
pub(super) async fn talk(
    plan: &Plan,
    tls: &Tls,
    ask: &Ask,
    stream: TcpStream,
    segment: Option<u16>,
) -> Talk {
    let at = plan.now();
    let mut talk = Talk {
        segment,
        at,
        connect: None,
        tls: None,
        answer: None,
    };
    let meter = Meter::default();
    let stream = Metered {
        stream,
        meter: meter.clone(),
    };
    match ask.speech {
        Speech::Nothing => {}
        Speech::Banner => {
            talk.answer = Some(timed(plan, &meter, banner(stream)).await);
        }
        Speech::Http => {
            talk.answer = Some(request_page(plan, ask, false, stream, &meter).await);
        }
        Speech::Https => {
            let mut agreed = None;
            let mut open = None;
            let handshake = async {
                let (stream, session) = tls.handshake(stream, &ask.link.host).await?;
                agreed.clone_from(&session.alpn);
                open = Some(stream);
                Ok(session)
            };
            talk.tls = Some(timed(plan, &meter, handshake).await);
            if let Some(stream) = open {
                let http2 = agreed.as_deref() == Some("h2");
                let page = Box::pin(request_page(plan, ask, http2, stream, &meter));
                talk.answer = Some(page.await);
            }
        }
    }
    talk
}

/// A talk that never began because its connection did not open.
pub(super) const fn unopened(at: Duration, segment: Option<u16>, error: ConnectError) -> Talk {
    Talk {
        segment,
        at,
        connect: Some(error),
        tls: None,
        answer: None,
    }
}

/// Runs a phase within the plan's time limit; silence becomes [`TalkError::Stalled`].
async fn timed<T>(
    plan: &Plan,
    meter: &Meter,
    phase: impl Future<Output = Result<T, TalkError>>,
) -> Step<Result<T, TalkError>> {
    let at = plan.now();
    let before = meter.received();
    let outcome = timeout(plan.timeout, phase).await.unwrap_or_else(|_| {
        Err(TalkError::Stalled {
            received: meter.received() - before,
        })
    });
    Step {
        at,
        took: plan.now().saturating_sub(at),
        outcome,
    }
}

/// The first line of a server that speaks first.
async fn banner(mut stream: impl AsyncRead + Unpin) -> Result<Answer, TalkError> {
    let mut line = Vec::new();
    loop {
        let byte = stream.read_u8().await.map_err(|error| talk_error(&error))?;
        if byte == b'\n' || line.len() == 512 {
            let text = String::from_utf8_lossy(&line);
            return Ok(Answer::Banner(text.trim_end().to_owned()));
        }
        line.push(byte);
    }
}

/// One request and its response. `http2` is what TLS agreed on.
async fn request_page<S>(
    plan: &Plan,
    ask: &Ask,
    http2: bool,
    stream: S,
    meter: &Meter,
) -> Step<Result<Answer, TalkError>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let begun = plan.now();
    let exchange = async {
        let request = request(ask, http2)?;
        let stream = TokioIo::new(stream);
        let (sent, driver) = if http2 {
            let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream)
                .await
                .map_err(|error| http_error(&error))?;
            let driver = Driver::of(connection);
            (sender.send_request(request).await, driver)
        } else {
            let (mut sender, connection) = http1::handshake(stream)
                .await
                .map_err(|error| http_error(&error))?;
            let driver = Driver::of(connection);
            (sender.send_request(request).await, driver)
        };
        Ok((sent.map_err(|error| http_error(&error))?, driver))
    };
    read_page(plan, ask, meter, begun, exchange).await
}

/// The task that moves a connection's bytes; it ends with the talk.
struct Driver(tokio::task::JoinHandle<()>);

impl Driver {
    fn of<E>(connection: impl Future<Output = Result<(), E>> + Send + 'static) -> Self {
        Self(tokio::spawn(async move {
            // Its failure also ends the request, which reports it.
            connection.await.ok();
        }))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn request(ask: &Ask, http2: bool) -> Result<Request<Empty<Bytes>>, TalkError> {
    let mut request = Request::get(if http2 {
        ask.link.to_string()
    } else {
        ask.link.path.clone()
    })
    .header(
        "user-agent",
        concat!("twinstack/", env!("CARGO_PKG_VERSION")),
    )
    .header("accept", "text/html,*/*;q=0.8");
    if !http2 {
        request = request
            .header("host", ask.link.authority())
            .header("connection", "close");
    }
    if ask.large {
        // `X` takes eight bits in HPACK's Huffman code too, so HTTP/2 cannot make it smaller.
        request = request.header("x-twinstack-padding", "X".repeat(PADDING));
    }
    request
        .body(Empty::new())
        .map_err(|error| TalkError::Unsent(format!("`{}` cannot be requested: {error}", ask.link)))
}

async fn read_page(
    plan: &Plan,
    ask: &Ask,
    meter: &Meter,
    at: Duration,
    exchange: impl Future<Output = Result<(Response<Incoming>, Driver), TalkError>>,
) -> Step<Result<Answer, TalkError>> {
    let head = timed(plan, meter, exchange).await;
    let outcome = match head.outcome {
        Err(error) => Err(error),
        Ok((response, driver)) => {
            let (parts, body) = response.into_parts();
            let mut page = Page {
                status: parts.status.as_u16(),
                server: text(&parts.headers, &SERVER),
                location: text(&parts.headers, &LOCATION),
                content_type: text(&parts.headers, &CONTENT_TYPE),
                alt_svc: text(&parts.headers, &ALT_SVC),
                first_byte: head.took,
                ..Page::default()
            };
            if ask.body {
                (page.body, page.end) = read_body(plan, body).await;
            }
            drop(driver);
            Ok(Answer::Page(Box::new(page)))
        }
    };
    Step {
        at,
        took: plan.now().saturating_sub(at),
        outcome,
    }
}

/// Reads until the end, the limit, silence, or the end of our patience with a slow sender.
async fn read_body(plan: &Plan, mut body: Incoming) -> (Vec<u8>, BodyEnd) {
    let mut bytes = Vec::new();
    let patience = tokio::time::Instant::now() + plan.timeout * 2;
    loop {
        let frame = match timeout(plan.timeout, body.frame()).await {
            Ok(None) => return (bytes, BodyEnd::Complete),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(error))) => return (bytes, BodyEnd::Broken(http_error(&error))),
            Err(_) => {
                let received = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                return (bytes, BodyEnd::Broken(TalkError::Stalled { received }));
            }
        };
        if let Some(data) = frame.data_ref() {
            let room = BODY_LIMIT.saturating_sub(bytes.len());
            bytes.extend_from_slice(data.get(..room.min(data.len())).unwrap_or(data));
        }
        if bytes.len() >= BODY_LIMIT || tokio::time::Instant::now() > patience {
            return (bytes, BodyEnd::Cut);
        }
    }
}

fn text(headers: &HeaderMap, name: &hyper::header::HeaderName) -> Option<String> {
    headers
        .get(name)
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn http_error(error: &hyper::Error) -> TalkError {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if let Some(error) = inner.downcast_ref::<io::Error>() {
            return talk_error(error);
        }
        cause = inner.source();
    }
    if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        TalkError::Closed
    } else {
        TalkError::Garbled(error.to_string())
    }
}

/// How many bytes a stream has delivered.
#[derive(Clone, Debug, Default)]
struct Meter(Arc<AtomicU64>);

impl Meter {
    fn received(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream that counts what it delivers, below TLS: a stall after some bytes looks different from one after none.
struct Metered<S> {
    stream: S,
    meter: Meter,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let more = u64::try_from(buffer.filled().len() - before).unwrap_or(u64::MAX);
        self.meter.0.fetch_add(more, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
