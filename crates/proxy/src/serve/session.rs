//! One client's connection: what it wants, the dial, and what it is told.

use super::Shared;
use super::http::{self, Head};
use super::metrics::{By, KIND};
use super::relay::{Bounds, End, relay, reset_at_close};
use super::socks::{self, Parsed, Reply};
use std::io;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use twinstack_dial::{Connection, DialError, RaceReport};

/// A client that has been accepted.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: SocketAddr,
    pub(crate) stopping: watch::Receiver<bool>,
}

/// How the client is told of the outcome.
#[derive(Clone, Copy)]
enum Language {
    Socks,
    Http,
    /// A plain forward has no words: a client is told by a connection that ends.
    None,
}

/// Where a client wants to go, and what it has sent after saying so.
struct Wish {
    host: String,
    port: u16,
    by: By,
    language: Language,
    early: Vec<u8>,
}

/// Why a client got no further than its request.
struct Misspoke {
    answer: Vec<u8>,
}

impl Session {
    /// SOCKS5 or HTTP CONNECT, as the first byte says.
    pub(crate) async fn proxy(self, mut stream: TcpStream) {
        let open = Open::new(&self.shared);
        let within = self.shared.limits.request_time;
        let mut stopping = self.stopping.clone();
        let wish = tokio::select! {
            wish = timeout(within, self.wish(&mut stream)) => wish,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        match wish {
            Ok(Ok(wish)) => self.carry_out(stream, wish).await,
            Ok(Err(Some(misspoke))) => {
                self.shared
                    .metrics
                    .dialled(By::Connect, "bad_request", None);
                say_and_close(stream, &misspoke.answer).await;
            }
            // It went away, or took too long: nobody to talk to.
            Ok(Err(None)) | Err(_) => self.shared.metrics.dialled(By::Connect, "abandoned", None),
        }
        drop(open);
    }

    /// A listener with a destination.
    pub(crate) async fn forward(self, stream: TcpStream, by: By, host: &str, port: u16) {
        let open = Open::new(&self.shared);
        let wish = Wish {
            host: host.to_owned(),
            port,
            by,
            language: Language::None,
            early: Vec::new(),
        };
        self.carry_out(stream, wish).await;
        drop(open);
    }

    /// `GET /metrics`.
    pub(crate) async fn metrics(self, mut stream: TcpStream) {
        let within = self.shared.limits.request_time;
        let mut buffer = Vec::new();
        let most = self.shared.limits.request_bytes;
        let Ok(Ok(head)) = timeout(within, read_head(&mut stream, &mut buffer, most)).await else {
            return;
        };
        let answer = match head {
            Err(misspoke) => misspoke.answer,
            Ok(Head { method, target }) => match (method.as_str(), target.as_str()) {
                ("GET", "/metrics") => {
                    http::answer(200, "OK", KIND, "", &self.shared.metrics.text())
                }
                (_, "/metrics") => http::text(400, "Bad Request", "metrics are read with GET"),
                _ => http::text(404, "Not Found", "there is nothing but /metrics here"),
            },
        };
        say_and_close(stream, &answer).await;
    }

    /// What the client asks for. `Err(None)`: it went away.
    async fn wish(&self, stream: &mut TcpStream) -> Result<Wish, Option<Misspoke>> {
        let mut buffer = Vec::with_capacity(512);
        more(stream, &mut buffer, 1).await?;
        if buffer.first() == Some(&socks::VERSION) {
            return by_socks(stream, buffer).await;
        }
        let most = self.shared.limits.request_bytes;
        let Head { method, target } = read_head(stream, &mut buffer, most)
            .await
            .map_err(|_| None)??;
        if method != "CONNECT" {
            let text = format!(
                "`{method}` is not proxied, only CONNECT (and SOCKS5); for plain HTTP use SOCKS5"
            );
            return Err(Some(Misspoke {
                answer: http::text(405, "Method Not Allowed", &text),
            }));
        }
        let bad = |text: &str| Misspoke {
            answer: http::text(400, "Bad Request", text),
        };
        let (host, port) = target
            .rsplit_once(':')
            .ok_or_else(|| bad(&format!("`{target}` has no port (CONNECT example.com:443)")))?;
        let port = port
            .parse()
            .map_err(|_| bad(&format!("`{port}` is no port")))?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        Ok(Wish {
            host: host.to_owned(),
            port,
            by: By::Connect,
            language: Language::Http,
            early: buffer,
        })
    }

    /// Dials, tells the client, and carries bytes.
    async fn carry_out(&self, mut stream: TcpStream, wish: Wish) {
        let dial = self.shared.dialer.connect((wish.host.as_str(), wish.port));
        let result = tokio::select! {
            result = dial => result,
            () = gone(&stream) => {
                self.shared.metrics.dialled(wish.by, "abandoned", None);
                return;
            }
        };
        let (outcome, report) = match &result {
            Ok(connection) => ("connected", Some(&connection.report)),
            Err(error) if self.denied(error) => ("denied", error.report()),
            Err(error) => ("failed", error.report()),
        };
        self.shared.metrics.dialled(wish.by, outcome, report);
        self.write_report(&wish, outcome, report);
        match result {
            Ok(Connection {
                stream: service, ..
            }) => {
                // Small answers must not wait for large ones; a socket that refuses still works.
                let _refused = service.set_nodelay(true);
                let hello = match wish.language {
                    Language::Socks => Reply::Succeeded.to_bytes(service.local_addr().ok()),
                    Language::Http => http::ESTABLISHED.to_vec(),
                    Language::None => Vec::new(),
                };
                if stream.write_all(&hello).await.is_err() {
                    return;
                }
                let limits = &self.shared.limits;
                let bounds = Bounds {
                    idle: limits.idle_time,
                    total: limits.total_time,
                };
                let carried = relay(stream, service, &wish.early, bounds).await;
                let cause = match carried.end {
                    End::Done => "done",
                    End::Broken => "broken",
                    End::Idle => "idle",
                    End::TooLong => "too_long",
                };
                self.shared.metrics.relayed(cause, carried.up, carried.down);
            }
            Err(error) => {
                let answer = match wish.language {
                    Language::Socks => reply_to(&error, outcome == "denied").to_bytes(None),
                    Language::Http => answer_to(&error, outcome == "denied"),
                    Language::None => {
                        reset_at_close(&stream);
                        return;
                    }
                };
                say_and_close(stream, &answer).await;
            }
        }
    }

    /// Whether every address was one where the proxy does not go.
    fn denied(&self, error: &DialError) -> bool {
        error
            .report()
            .map(RaceReport::attempts)
            .is_some_and(|attempts| {
                !attempts.is_empty()
                    && attempts
                        .iter()
                        .all(|attempt| self.shared.access.permits(attempt.address.ip()).is_err())
            })
    }

    /// A line of JSON for this dial, if anybody wants it.
    fn write_report(&self, wish: &Wish, outcome: &str, race: Option<&RaceReport>) {
        let Some(file) = &self.shared.report else {
            return;
        };
        let line = serde_json::json!({
            "schema": "twinstack.proxy/1",
            "client": self.client.to_string(),
            "by": wish.by.word(),
            "host": wish.host,
            "port": wish.port,
            "outcome": outcome,
            "race": race,
        });
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not end connections.
        let _full = writeln!(file, "{line}");
    }
}

/// Counts a connection while it lives.
struct Open<'a>(&'a Shared);

impl<'a> Open<'a> {
    fn new(shared: &'a Arc<Shared>) -> Self {
        shared.metrics.open(1);
        Self(shared)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.metrics.open(-1);
    }
}

/// Reads until there are more than `known` bytes; `Err(None)` if the client went away.
async fn more(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    known: usize,
) -> Result<(), Option<Misspoke>> {
    while buffer.len() < known {
        match stream.read_buf(buffer).await {
            Ok(0) | Err(_) => return Err(None),
            Ok(_) => {}
        }
    }
    Ok(())
}

/// The SOCKS5 conversation up to the reply.
async fn by_socks(stream: &mut TcpStream, mut buffer: Vec<u8>) -> Result<Wish, Option<Misspoke>> {
    let content = loop {
        match socks::greeting(&buffer) {
            Parsed::Complete(content, taken) => {
                buffer.drain(..taken);
                break content;
            }
            Parsed::Partial => {
                let known = buffer.len() + 1;
                more(stream, &mut buffer, known).await?;
            }
            Parsed::Bad(reply, _) => {
                return Err(Some(Misspoke {
                    answer: reply.to_bytes(None),
                }));
            }
        }
    };
    if !content {
        return Err(Some(Misspoke {
            answer: socks::NO_METHOD.to_vec(),
        }));
    }
    stream.write_all(&socks::WELCOME).await.map_err(|_| None)?;
    loop {
        match socks::request(&buffer) {
            Parsed::Complete((host, port), taken) => {
                buffer.drain(..taken);
                return Ok(Wish {
                    host,
                    port,
                    by: By::Socks5,
                    language: Language::Socks,
                    early: buffer,
                });
            }
            Parsed::Partial => {
                let known = buffer.len() + 1;
                more(stream, &mut buffer, known).await?;
            }
            Parsed::Bad(reply, _) => {
                return Err(Some(Misspoke {
                    answer: reply.to_bytes(None),
                }));
            }
        }
    }
}

/// Reads an HTTP head of at most `most` bytes; what came after it stays in the buffer.
async fn read_head(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    most: usize,
) -> io::Result<Result<Head, Misspoke>> {
    loop {
        match http::head(buffer) {
            http::Parsed::Complete(head, taken) => {
                buffer.drain(..taken);
                return Ok(Ok(head));
            }
            http::Parsed::Bad(why) => {
                let text = format!("this is neither SOCKS5 nor HTTP/1: {why}");
                return Ok(Err(Misspoke {
                    answer: http::text(400, "Bad Request", &text),
                }));
            }
            http::Parsed::Partial if buffer.len() >= most => {
                let text = format!("the request is longer than {most} bytes");
                let answer = http::text(431, "Request Header Fields Too Large", &text);
                return Ok(Err(Misspoke { answer }));
            }
            http::Parsed::Partial => {
                if stream.read_buf(buffer).await? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }
}

/// Ends when the client has broken off. An end of what it says is no end of its listening.
async fn gone(stream: &TcpStream) {
    loop {
        match stream.ready(Interest::ERROR).await {
            Ok(ready) if !ready.is_error() => {}
            _ => return,
        }
    }
}

fn reply_to(error: &DialError, denied: bool) -> Reply {
    if denied {
        return Reply::NotAllowed;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reply::Refused,
        io::ErrorKind::NetworkUnreachable => Reply::NetworkUnreachable,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NotFound => Reply::HostUnreachable,
        io::ErrorKind::TimedOut => Reply::TimedOut,
        _ => Reply::Failed,
    }
}

fn answer_to(error: &DialError, denied: bool) -> Vec<u8> {
    let text = error.to_string();
    if denied {
        return http::text(403, "Forbidden", &text);
    }
    match error.kind() {
        io::ErrorKind::TimedOut => http::text(504, "Gateway Timeout", &text),
        io::ErrorKind::InvalidInput => http::text(400, "Bad Request", &text),
        _ => http::text(502, "Bad Gateway", &text),
    }
}

/// Says something last, and makes sure that it is heard: closing a socket with unread bytes would reset it.
async fn say_and_close(mut stream: TcpStream, answer: &[u8]) {
    /// What a client may still have been sending.
    const MOST: usize = 64 * 1024;
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(1);
    let heard = async {
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        let mut rest = [0; 4096];
        let mut read = 0;
        while read < MOST {
            match stream.read(&mut rest).await? {
                0 => break,
                length => read += length,
            }
        }
        io::Result::Ok(())
    };
    // A client that does not listen hears nothing.
    let _unheard = timeout(PATIENCE, heard).await;
}
