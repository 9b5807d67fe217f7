//! `twinstack lab client`: a stand-in for the programs that people run, timed to the first byte.
//!
//! It exists for the replays and runs inside a lab. It is *not* the dialer: no TLS, no HTTPS records, no history. How it
//! connects is behind [`Strategy`], so that the dialer takes the place of the modern one and nothing else changes.

mod eyeballs;
mod journal;
mod request;
mod sequential;
mod url;

pub(crate) use journal::{Attempt, AttemptOutcome};

use crate::environment::Environment;
use clap::Args;
use journal::Journal;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use url::Url;

/// What is asked for, and how.
#[derive(Clone, Debug, Args)]
pub(crate) struct ClientArguments {
    /// Tries one address after another, as clients did before Happy Eyeballs
    #[arg(long)]
    sequential: bool,
    /// Stops waiting after this long (`20s`, `500ms`)
    #[arg(long, value_name = "TIME", default_value = "20s", value_parser = url::duration)]
    give_up: Duration,
    /// The form of the report; there is only this one
    #[arg(long, default_value = "json", value_parser = ["json"])]
    format: String,
    /// What to fetch: `http://HOST[:PORT][/PATH]`
    #[arg(value_parser = Url::parse)]
    url: Url,
}

/// What came of it; times count from the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// How it connected.
    pub(crate) strategy: Strategy,
    /// What it asked for.
    pub(crate) url: String,
    /// Until the first byte of the response, or until it gave up or failed.
    pub(crate) elapsed_seconds: f64,
    /// Until it knew an address; `None` if it never did.
    pub(crate) dns_seconds: Option<f64>,
    /// The attempts in the order in which they began.
    pub(crate) attempts: Vec<Attempt>,
    /// The address that the connection went to.
    pub(crate) winner: Option<IpAddr>,
    /// The HTTP status: without one it was no success.
    pub(crate) status: Option<u16>,
    /// It waited until the limit.
    pub(crate) gave_up: bool,
    /// What went wrong.
    pub(crate) error: Option<String>,
}

/// How a client gets from a name to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Strategy {
    /// `getaddrinfo`, then each address in its order, each for as long as the kernel tries.
    Sequential,
    /// RFC 8305: AAAA and A asked apart, families in turn, the next attempt 250 ms after the last.
    HappyEyeballs,
}

impl Strategy {
    /// The word of the JSON.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::HappyEyeballs => "happy-eyeballs",
        }
    }

    async fn connect(self, url: &Url, journal: &Journal) -> Result<TcpStream, ClientError> {
        match self {
            Self::Sequential => sequential::connect(url, journal).await,
            Self::HappyEyeballs => eyeballs::connect(url, journal).await,
        }
    }
}

/// Why there was no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The name has no address.
    #[error("`{0}` has no address")]
    NoAddress(String),
    /// The name could not be looked up.
    #[error("looking up `{host}`: {cause}")]
    Lookup {
        /// The name.
        host: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The system's list of resolvers is of no use.
    #[error("{0}")]
    Resolvers(String),
    /// Every address was tried in vain; the attempts say how.
    #[error("no address of `{0}` could be connected to")]
    NotConnected(String),
    /// The connection broke.
    #[error("asking for the page: {0}")]
    Broken(#[from] std::io::Error),
    /// The other side does not speak HTTP.
    #[error("the answer does not begin with an HTTP status")]
    NotHttp,
}

/// Fetches the page and prints the report.
///
/// The exit status is 0 with an HTTP status and 1 without.
pub(crate) fn run(
    arguments: &ClientArguments,
    environment: &mut Environment<'_>,
) -> anyhow::Result<u8> {
    debug_assert_eq!(arguments.format, "json", "clap knows no other");
    let strategy = if arguments.sequential {
        Strategy::Sequential
    } else {
        Strategy::HappyEyeballs
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(fetch(strategy, &arguments.url, arguments.give_up));
    // A `getaddrinfo` that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    let text = serde_json::to_string(&report)?;
    environment.stdout.print(&format!("{text}\n"))?;
    Ok(u8::from(report.status.is_none()))
}

async fn fetch(strategy: Strategy, url: &Url, patience: Duration) -> Report {
    let journal = Journal::start();
    let visit = async {
        let stream = strategy.connect(url, &journal).await?;
        let winner = stream.peer_addr()?.ip();
        journal.won(winner);
        request::status(stream, url).await
    };
    let outcome = tokio::time::timeout(patience, visit).await;
    let elapsed_seconds = journal.now();
    let (status, gave_up, error) = match outcome {
        Ok(Ok(status)) => (Some(status), false, None),
        Ok(Err(error)) => (None, false, Some(error.to_string())),
        Err(_) => (
            None,
            true,
            Some(format!("gave up after {} s", patience.as_secs_f64())),
        ),
    };
    let (attempts, dns_seconds, winner) = journal.close();
    Report {
        strategy,
        url: url.to_string(),
        elapsed_seconds,
        dns_seconds,
        attempts,
        winner,
        status,
        gave_up,
        error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A server on loopback that answers each connection with these bytes, or never.
    async fn server(address: &str, answer: Option<&'static str>) -> u16 {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 512];
                drop(stream.read(&mut request).await);
                match answer {
                    Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                    None => std::future::pending().await,
                }
            }
        });
        port
    }

    async fn visit(strategy: Strategy, answer: Option<&'static str>) -> Report {
        let port = server("127.0.0.1", answer).await;
        let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
        fetch(strategy, &url, Duration::from_millis(300)).await
    }

    #[tokio::test]
    async fn a_status_is_success_for_both_strategies() {
        for strategy in [Strategy::Sequential, Strategy::HappyEyeballs] {
            let report = visit(strategy, Some("HTTP/1.1 204 No Content\r\n\r\n")).await;
            assert_eq!(
                (report.status, report.gave_up, &report.error),
                (Some(204), false, &None)
            );
            assert_eq!(report.winner, Some("127.0.0.1".parse().unwrap()));
            assert_eq!(report.attempts.len(), 1, "{report:?}");
            assert_eq!(report.attempts[0].outcome, AttemptOutcome::Connected);
            assert!(report.elapsed_seconds >= report.attempts[0].ended_seconds);
        }
    }

    #[tokio::test]
    async fn bytes_that_are_no_http_status_are_no_success() {
        let report = visit(Strategy::Sequential, Some("000\r\n")).await;
        assert_eq!(report.status, None);
        assert_eq!(
            report.error.as_deref(),
            Some("the answer does not begin with an HTTP status")
        );
    }

    #[tokio::test]
    async fn a_silent_server_is_given_up_at_the_limit() {
        let report = visit(Strategy::HappyEyeballs, None).await;
        assert!(report.gave_up && report.status.is_none());
        assert!(
            (0.29..0.9).contains(&report.elapsed_seconds),
            "{}",
            report.elapsed_seconds
        );
    }

    #[tokio::test]
    async fn a_closed_port_is_an_attempt_that_was_refused() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let url = Url::parse(&format!("http://127.0.0.1:{port}/")).unwrap();
        for strategy in [Strategy::Sequential, Strategy::HappyEyeballs] {
            let report = fetch(strategy, &url, Duration::from_secs(5)).await;
            assert_eq!(report.attempts[0].outcome, AttemptOutcome::Refused);
            assert_eq!(
                report.error.as_deref(),
                Some("no address of `127.0.0.1` could be connected to")
            );
        }
    }
}
