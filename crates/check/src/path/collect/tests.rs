//! Looks at small servers on the loopback: what was collected there, judged by the same rules.

use super::*;
use crate::path::observation::{Answer, BodyEnd, ClientOutcome, ConnectFailure, TalkError};
use crate::path::rule::fixture::plan;
use crate::path::{judge, rows};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A server on one port of both loopback addresses that answers each connection with a function's text.
struct Server {
    port: u16,
    tasks: JoinSet<()>,
}

impl Server {
    /// `reply` gets the family and the request's path; `None` is silence.
    async fn start(reply: fn(Family, &str) -> Option<String>) -> Self {
        let mut tasks = JoinSet::new();
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
        let port = v6.local_addr().unwrap().port();
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        for listener in [v6, v4] {
            tasks.spawn(async move {
                let mut open = JoinSet::new();
                while let Ok((stream, _)) = listener.accept().await {
                    open.spawn(serve(stream, reply));
                }
            });
        }
        Self { port, tasks }
    }

    fn plan(&self) -> Plan {
        plan(&["::1", "127.0.0.1"], &[self.port])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

async fn serve(mut stream: TcpStream, reply: fn(Family, &str) -> Option<String>) {
    let family = Family::of(stream.local_addr().unwrap().ip());
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(length) if length > 0 => request.extend_from_slice(&buffer[..length]),
            _ => return,
        }
    }
    let text = String::from_utf8_lossy(&request);
    let path = text.split(' ').nth(1).unwrap_or_default();
    match reply(family, path) {
        Some(response) => {
            stream.write_all(response.as_bytes()).await.ok();
        }
        None => std::future::pending().await,
    }
}

fn page(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nServer: test/1\r\nContent-Type: text/html\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

fn codes(plan: &Plan, seen: &PathObservation) -> BTreeSet<String> {
    judge(plan, seen)
        .into_iter()
        .map(|finding| finding.code.to_string())
        .collect()
}

#[tokio::test]
async fn a_healthy_site_on_both_loopbacks_raises_nothing() {
    let server = Server::start(|_, path| match path {
        "/" => Some(page(
            "<title>Home</title><script src=/app.js></script><p>Welcome to the laboratory</p>",
        )),
        _ => Some(page("let x = 1;")),
    })
    .await;
    let plan = server.plan();
    let seen = collect(&plan).await;
    assert_eq!(codes(&plan, &seen), BTreeSet::new());
    assert_eq!(rows(&plan, &seen).len(), 4);
    assert!(seen.v6_works());
    assert_eq!(seen.parts.len(), 1);
    let client = seen.client.unwrap();
    assert_eq!(
        (client.family, client.outcome),
        (
            Some(Family::V6),
            ClientOutcome::Done {
                detail: "status 200".to_owned()
            }
        )
    );
    assert!(plan.now() < Duration::from_secs(4));
}

#[tokio::test]
async fn another_site_on_v6_is_seen_twice_and_found() {
    let server = Server::start(|family, _| match family {
        Family::V4 => Some(page("<title>Home</title><p>Welcome to the laboratory</p>")),
        Family::V6 => Some("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned()),
    })
    .await;
    let plan = server.plan();
    let seen = collect(&plan).await;
    assert_eq!(
        codes(&plan, &seen),
        BTreeSet::from(["http.vhost-mismatch".to_owned()])
    );
    assert!(
        seen.addresses
            .iter()
            .all(|address| address.ports[0].second.is_some())
    );
}

#[tokio::test]
async fn redirects_are_followed_on_the_same_address() {
    let server = Server::start(|_, path| match path {
        "/" => {
            Some("HTTP/1.1 302 Found\r\nLocation: /home\r\nContent-Length: 0\r\n\r\n".to_owned())
        }
        "/home" => Some(page("<title>Home</title>")),
        _ => None,
    })
    .await;
    let plan = server.plan();
    let seen = collect(&plan).await;
    for address in &seen.addresses {
        let page = address.ports[0].page().unwrap();
        assert_eq!(
            (page.status, &page.hops),
            (200, &vec![(302, "/home".to_owned())])
        );
    }
    assert_eq!(codes(&plan, &seen), BTreeSet::new());
}

#[tokio::test]
async fn a_server_silent_on_v6_is_asked_several_times_with_both_segment_sizes() {
    let server = Server::start(|family, _| match family {
        Family::V4 => Some(page("<title>Home</title>")),
        Family::V6 => None,
    })
    .await;
    let plan = Plan {
        timeout: Duration::from_millis(400),
        ..server.plan()
    };
    let seen = collect(&plan).await;
    let port = &seen.addresses[0].ports[0];
    assert!(port.talks.len() >= 2 && port.talks.iter().all(|talk| talk.stalled() == Some(0)));
    assert!(
        !port.small_talks.is_empty()
            && port
                .small_talks
                .iter()
                .all(|talk| talk.segment == Some(1220))
    );
    assert_eq!(
        codes(&plan, &seen),
        BTreeSet::from(["http.no-answer".to_owned()])
    );
}

#[tokio::test]
async fn a_body_that_breaks_off_is_broken_not_short() {
    let server =
        Server::start(|_, _| Some("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf".to_owned()))
            .await;
    let plan = server.plan();
    let seen = collect(&plan).await;
    let page = seen.addresses[0].ports[0].page().unwrap();
    assert_eq!(
        (page.body.as_slice(), &page.end),
        (&b"half"[..], &BodyEnd::Broken(TalkError::Closed))
    );
}

#[tokio::test]
async fn what_is_not_http_is_named() {
    let server = Server::start(|_, _| Some("220 mail.lab.test ESMTP\r\n".to_owned())).await;
    let plan = server.plan();
    let seen = collect(&plan).await;
    let outcome = &seen.addresses[0].ports[0]
        .talk()
        .unwrap()
        .answer
        .as_ref()
        .unwrap()
        .outcome;
    assert!(matches!(outcome, Err(TalkError::Garbled(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_closed_port_is_refused_at_once() {
    let server = Server::start(|_, _| None).await;
    let plan = server.plan();
    drop(server);
    // The listeners are gone when their tasks are.
    tokio::task::yield_now().await;
    let seen = collect(&plan).await;
    let kinds: Vec<_> = seen
        .addresses
        .iter()
        .map(|address| address.ports[0].connect.outcome.clone().unwrap_err().kind)
        .collect();
    assert_eq!(kinds, [ConnectFailure::Refused; 2]);
    assert_eq!(
        codes(&plan, &seen),
        BTreeSet::from(["reach.closed".to_owned()])
    );
}

#[tokio::test]
async fn a_mail_server_is_listened_to() {
    let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
    let to: SocketAddr = listener.local_addr().unwrap();
    let greeter = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream
            .write_all(b"220 mail.lab.test ESMTP\r\n")
            .await
            .unwrap();
        stream
    });
    let plan = plan(&["::1"], &[25]);
    let mut ask = port::ask(&plan, 25);
    ask.speech = Speech::Banner;
    let tls = Tls::new(rustls::RootCertStore::empty());
    let talk = port::once(&plan, &tls, to, &ask, None, None).await;
    assert_eq!(
        talk.answer.unwrap().outcome,
        Ok(Answer::Banner("220 mail.lab.test ESMTP".to_owned()))
    );
    drop(greeter.await.unwrap());
}

#[tokio::test]
async fn a_users_client_is_started_without_a_shell_and_its_end_is_kept() {
    let server = Server::start(|_, _| Some(page("<title>Home</title>"))).await;
    let check = async |command: &[&str], expected: ClientOutcome| {
        let client = Some(command.iter().map(|word| (*word).to_owned()).collect());
        let plan = Plan {
            client,
            ..server.plan()
        };
        let tls = Tls::new(rustls::RootCertStore::empty());
        let seen = client::run(&plan, &tls, &plan.addresses).await.unwrap();
        match (&seen.outcome, &expected) {
            (ClientOutcome::NotStarted { .. }, ClientOutcome::NotStarted { .. }) => {}
            (outcome, expected) => assert_eq!(outcome, expected, "{command:?}"),
        }
    };
    check(
        &["true"],
        ClientOutcome::Done {
            detail: "exit status 0".to_owned(),
        },
    )
    .await;
    check(
        &["echo", "body", "200"],
        ClientOutcome::Done {
            detail: "exit status 0, status 200".to_owned(),
        },
    )
    .await;
    check(
        &["echo", "000"],
        ClientOutcome::Failed {
            detail: "no HTTP status (`000`), though exit status 0".to_owned(),
        },
    )
    .await;
    // More than a pipe holds.
    check(
        &["seq", "-w", "100000"],
        ClientOutcome::Done {
            detail: "exit status 0".to_owned(),
        },
    )
    .await;
    check(
        &["sh", "-c", "exit 7"],
        ClientOutcome::Failed {
            detail: "exit status 7".to_owned(),
        },
    )
    .await;
    check(
        &["test", "{host} {port}", "=", "www.lab.test $(true)"],
        ClientOutcome::Failed {
            detail: "exit status 1".to_owned(),
        },
    )
    .await;
    check(
        &["/nonexistent/client"],
        ClientOutcome::NotStarted { why: String::new() },
    )
    .await;
}
