//! Reading by which name a mail server introduces itself: the greeting, and EHLO where the greeting has no name.
//!
//! Nothing is delivered, and what the server says is kept short.

use crate::names::Asker;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use twinstack_dns::Name;
use twinstack_finding::Evidence;

/// RFC 5321, section 4.5.3.1.5 allows 512 octets a line.
const LONGEST_LINE: u64 = 512;
/// Lines of one reply that are read.
const LINES: usize = 64;

/// One address's introduction.
#[derive(Clone, Debug)]
pub(crate) struct Banner {
    /// Whose address it is.
    pub(crate) host: Name,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    /// Seconds since the start of the run.
    pub(crate) at: f64,
    pub(crate) elapsed: f64,
    pub(crate) outcome: Result<Introduction, SmtpError>,
}

/// What a server said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Introduction {
    /// The first line.
    pub(crate) greeting: String,
    /// The first line of the answer to EHLO, if it was asked for.
    pub(crate) ehlo: Option<String>,
}

/// Why there is no introduction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SmtpError {
    /// The port does not open; `path` says how.
    #[error("no connection: {0}")]
    Connect(String),
    /// It opens and then nothing comes.
    #[error("no greeting in time")]
    Silent,
    /// The connection ended before a line was whole.
    #[error("the connection ended before the greeting")]
    Closed,
    /// A greeting that is not SMTP's, or a refusal such as 554.
    #[error("the greeting is `{line}`")]
    NotReady {
        /// The line.
        line: String,
    },
}

impl Introduction {
    /// The name: of the greeting, or of the answer to EHLO if the greeting has none.
    pub(crate) fn name(&self) -> &str {
        let greeted = word(&self.greeting);
        if greeted.contains('.') {
            return greeted;
        }
        self.ehlo
            .as_deref()
            .map(word)
            .filter(|name| !name.is_empty())
            .unwrap_or(greeted)
    }
}

/// The first word behind the code.
fn word(line: &str) -> &str {
    line.get(4..)
        .unwrap_or_default()
        .split_whitespace()
        .next()
        .unwrap_or_default()
}

impl Banner {
    pub(crate) fn evidence(&self) -> Evidence {
        Evidence {
            did: format!(
                "connected to {} and read the greeting",
                SocketAddr::new(self.address, self.port)
            ),
            saw: match &self.outcome {
                Ok(said) => match &said.ehlo {
                    Some(ehlo) => {
                        format!(
                            "`{}`, to EHLO `{ehlo}`, after {:.3} s",
                            said.greeting, self.elapsed
                        )
                    }
                    None => format!("`{}` after {:.3} s", said.greeting, self.elapsed),
                },
                Err(error) => error.to_string(),
            },
            at: Some(self.at),
        }
    }
}

/// Connects, listens, says QUIT.
pub(crate) async fn read(
    asker: &Asker,
    host: &Name,
    address: IpAddr,
    port: u16,
    patience: Duration,
) -> Banner {
    let at = asker.now();
    let outcome = introduction(SocketAddr::new(address, port), patience).await;
    Banner {
        host: host.clone(),
        address,
        port,
        at,
        elapsed: asker.now() - at,
        outcome,
    }
}

async fn introduction(server: SocketAddr, patience: Duration) -> Result<Introduction, SmtpError> {
    let stream = match timeout(patience, TcpStream::connect(server)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(SmtpError::Connect(error.kind().to_string())),
        Err(_) => return Err(SmtpError::Connect("timeout".to_owned())),
    };
    let own = stream.local_addr().map(|address| address.ip());
    let mut stream = BufReader::new(stream);
    let greeting = timeout(patience, reply(&mut stream))
        .await
        .map_err(|_| SmtpError::Silent)??;
    if !greeting.starts_with("220") {
        return Err(SmtpError::NotReady { line: greeting });
    }
    let mut introduction = Introduction {
        greeting,
        ehlo: None,
    };
    if !word(&introduction.greeting).contains('.') {
        let own = match own {
            Ok(IpAddr::V6(address)) => format!("[IPv6:{address}]"),
            Ok(IpAddr::V4(address)) => format!("[{address}]"),
            Err(_) => "[127.0.0.1]".to_owned(),
        };
        let ehlo = async {
            stream
                .write_all(format!("EHLO {own}\r\n").as_bytes())
                .await
                .ok()?;
            reply(&mut stream).await.ok()
        };
        introduction.ehlo = timeout(patience, ehlo)
            .await
            .ok()
            .flatten()
            .filter(|line| line.starts_with("250"));
    }
    // The name is known; whether the farewell arrives changes nothing.
    drop(timeout(patience, stream.write_all(b"QUIT\r\n")).await);
    Ok(introduction)
}

/// One reply, of which the first line is kept (RFC 5321, section 4.2.1: `-` behind the code means that more follow).
pub(crate) async fn reply(stream: &mut (impl AsyncBufRead + Unpin)) -> Result<String, SmtpError> {
    let mut first = None;
    for _ in 0..LINES {
        let mut line = Vec::new();
        stream
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .await
            .map_err(|_| SmtpError::Closed)?;
        if line.is_empty() {
            return Err(SmtpError::Closed);
        }
        let more = line.get(3) == Some(&b'-');
        let text = printable(&line);
        first = first.or(Some(text));
        if !more {
            break;
        }
    }
    first.ok_or(SmtpError::Closed)
}

/// A line of a stranger for our own report: visible ASCII only.
fn printable(line: &[u8]) -> String {
    String::from_utf8_lossy(line)
        .trim_end()
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() || c == ' ' {
                c
            } else {
                '?'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    fn said(greeting: &str, ehlo: Option<&str>) -> String {
        Introduction {
            greeting: greeting.to_owned(),
            ehlo: ehlo.map(str::to_owned),
        }
        .name()
        .to_owned()
    }

    #[test]
    fn the_name_is_the_first_word_that_is_one() {
        assert_eq!(said("220 mail.lab.test ESMTP ready", None), "mail.lab.test");
        assert_eq!(said("220-mail.lab.test hello", None), "mail.lab.test");
        assert_eq!(
            said("220 ESMTP", Some("250-mail.lab.test greets you")),
            "mail.lab.test"
        );
        assert_eq!(
            said("220 localhost ESMTP", Some("250 localhost")),
            "localhost"
        );
        assert_eq!(said("220", None), "");
    }

    async fn server(says: &'static [u8]) -> (SocketAddr, tokio::task::JoinHandle<Vec<u8>>) {
        let listener = TcpListener::bind("[::1]:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(says).await.unwrap();
            let mut heard = Vec::new();
            if says.is_empty() {
                tokio::time::sleep(Duration::from_secs(5)).await;
            } else {
                stream.read_to_end(&mut heard).await.unwrap();
            }
            heard
        });
        (address, task)
    }

    async fn check(says: &'static [u8]) -> Result<Introduction, SmtpError> {
        let (address, task) = server(says).await;
        let outcome = introduction(address, Duration::from_millis(300)).await;
        task.abort();
        outcome
    }

    #[tokio::test]
    async fn a_greeting_is_read_and_quit_said() {
        let (address, task) = server(b"220 mail.lab.test ESMTP\r\n").await;
        let outcome = introduction(address, Duration::from_secs(2)).await.unwrap();
        assert_eq!(outcome.name(), "mail.lab.test");
        assert_eq!(task.await.unwrap(), b"QUIT\r\n");
    }

    #[tokio::test]
    async fn what_is_no_greeting_is_said() {
        assert_eq!(check(b"").await, Err(SmtpError::Silent));
        assert!(matches!(
            check(b"554 go away\r\n").await,
            Err(SmtpError::NotReady { .. })
        ));
        assert!(matches!(
            check(b"\xff\xfe\x00\n").await,
            Err(SmtpError::NotReady { .. })
        ));
        let endless = check(&[b'x'; 10_000]).await;
        assert!(matches!(endless, Err(SmtpError::NotReady { line }) if line.len() == 512));
    }
}
