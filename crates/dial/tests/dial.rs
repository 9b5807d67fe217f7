//! Dials over loopback: real sockets, a scripted resolver.

#[path = "support/answers.rs"]
mod answers;
#[path = "support/shared.rs"]
mod support;

use answers::Answers;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};
use support::{listener, silent_listener};
use tokio::net::TcpStream;
use twinstack_dial::{Dialer, Family, Resolver, SocketOptions};

const V4: Ipv4Addr = Ipv4Addr::LOCALHOST;
const V6: Ipv6Addr = Ipv6Addr::LOCALHOST;

fn dialer(answers: &Answers) -> Dialer {
    Dialer::builder().resolver(answers.resolver()).build()
}

fn near(elapsed: Duration, expected: Duration) {
    let slack = Duration::from_millis(150);
    assert!(
        elapsed + Duration::from_millis(2) >= expected && elapsed <= expected + slack,
        "{elapsed:?} is not {expected:?}"
    );
}

#[tokio::test]
async fn ipv6_goes_first() {
    let (port, _guard) = listener(&[V4.into(), V6.into()]).await;
    let connection = dialer(&Answers::default().v4(&[V4]).v6(&[V6]))
        .connect(("both.test", port))
        .await
        .unwrap();
    assert_eq!(connection.stream.peer_addr().unwrap().ip(), IpAddr::V6(V6));
    assert_eq!(connection.report.winning_family(), Some(Family::V6));
    assert_eq!(connection.report.attempts().len(), 1);
    assert_eq!(connection.report.silent_failure(), None);
    assert_eq!(connection.report.target(), format!("both.test:{port}"));
}

#[tokio::test]
async fn a_refused_first_address_costs_the_floor() {
    let (port, _guard) = listener(&[V4.into()]).await;
    let start = Instant::now();
    let connection = dialer(&Answers::default().v4(&[V4]).v6(&[V6]))
        .connect(("half.test", port))
        .await
        .unwrap();
    near(start.elapsed(), Duration::from_millis(10));
    let attempts = connection.report.attempts();
    let gap = attempts[1].started_seconds - attempts[0].started_seconds;
    assert!((0.010..0.030).contains(&gap), "{gap}");
    assert_eq!(
        (attempts[0].outcome, attempts[1].outcome),
        ("failed", "won")
    );
    assert!(
        attempts[0].error.as_ref().unwrap().contains("refused"),
        "{attempts:?}"
    );
    assert_eq!(connection.report.silent_failure(), None, "it failed aloud");
}

#[tokio::test]
async fn a_silent_ipv6_costs_the_attempt_delay_and_is_named() {
    let (port, _guard) = silent_listener(V6.into(), &[V4.into()]).await;
    let start = Instant::now();
    let connection = dialer(&Answers::default().v4(&[V4]).v6(&[V6]))
        .connect(("silent.test", port))
        .await
        .unwrap();
    near(start.elapsed(), Duration::from_millis(250));
    let silent = connection.report.silent_failure().unwrap();
    assert_eq!(
        (silent.family, silent.stage, silent.addresses.len()),
        ("ipv6", "connect", 1)
    );
    assert!(silent.waited_seconds >= 0.249, "{silent:?}");
}

#[tokio::test]
async fn a_silent_address_is_skipped_the_second_time() {
    let (port, _guard) = silent_listener(V6.into(), &[V4.into()]).await;
    let dialer = dialer(&Answers::default().v4(&[V4]).v6(&[V6]));
    dialer.connect(("again.test", port)).await.unwrap();
    let start = Instant::now();
    let connection = dialer.connect(("again.test", port)).await.unwrap();
    let (took, attempts) = (start.elapsed(), connection.report.attempts());
    assert!(took < Duration::from_millis(100), "{took:?} {attempts:?}");
    assert_eq!(attempts[0].family, "ipv4");
}

#[tokio::test]
async fn a_dead_first_address_of_the_same_family_costs_the_attempt_delay() {
    let second = Ipv4Addr::new(127, 0, 0, 2);
    let (port, _guard) = silent_listener(V4.into(), &[second.into()]).await;
    let start = Instant::now();
    let connection = dialer(&Answers::default().v4(&[V4, second]))
        .connect(("two.test", port))
        .await
        .unwrap();
    near(start.elapsed(), Duration::from_millis(250));
    assert_eq!(
        connection.stream.peer_addr().unwrap().ip(),
        IpAddr::V4(second)
    );
}

#[tokio::test]
async fn a_question_for_aaaa_that_is_never_answered_costs_the_resolution_delay() {
    let (port, _guard) = listener(&[V4.into()]).await;
    let answers = Answers::default().v4(&[V4]).never(Family::V6);
    let start = Instant::now();
    let connection = dialer(&answers).connect(("lost.test", port)).await.unwrap();
    near(start.elapsed(), Duration::from_millis(50));
    let silent = connection.report.silent_failure().unwrap();
    assert_eq!((silent.family, silent.stage), ("ipv6", "dns"));
}

#[tokio::test]
async fn a_question_for_a_that_is_never_answered_costs_nothing() {
    let (port, _guard) = listener(&[V6.into()]).await;
    let answers = Answers::default().v6(&[V6]).never(Family::V4);
    let start = Instant::now();
    dialer(&answers).connect(("lost.test", port)).await.unwrap();
    assert!(
        start.elapsed() < Duration::from_millis(45),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn a_peer_that_accepts_and_stays_silent_is_no_winner() {
    // The kernel completes the handshake of a listener that nobody accepts from.
    let mute = std::net::TcpListener::bind((V6, 0)).unwrap();
    let port = mute.local_addr().unwrap().port();
    let greeter = tokio::net::TcpListener::bind((V4, port)).await.unwrap();
    let server = tokio::spawn(async move {
        loop {
            let (stream, _) = greeter.accept().await.unwrap();
            stream.writable().await.unwrap();
            stream.try_write(b"!").unwrap();
            std::mem::forget(stream.into_std());
        }
    });
    let dialer = dialer(&Answers::default().v4(&[V4]).v6(&[V6]));
    let start = Instant::now();
    let connection = dialer
        .connect_with(("mute.test", port), async |stream: TcpStream, _| {
            stream.readable().await?;
            Ok(stream)
        })
        .await
        .unwrap();
    assert!(
        start.elapsed() < Duration::from_millis(700),
        "{:?}",
        start.elapsed()
    );
    assert!(connection.stream.peer_addr().unwrap().is_ipv4());
    let silent = connection.report.silent_failure().unwrap();
    assert_eq!((silent.family, silent.stage), ("ipv6", "handshake"));
    server.abort();
}

#[tokio::test]
async fn total_failure_lists_every_question_and_every_attempt() {
    // The port was free a moment ago, and nobody listens on it.
    let port = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let answers = Answers::default()
        .v4(&[V4, Ipv4Addr::new(127, 0, 0, 2)])
        .no_name(Family::V6);
    let error = dialer(&answers)
        .connect(("gone.test", port))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        format!("cannot connect to `gone.test:{port}`: every attempt failed")
    );
    assert_eq!(lines.len(), 4, "{text}");
    assert!(
        lines[1].contains("AAAA gone.test: the name does not exist"),
        "{text}"
    );
    assert!(
        lines[2].contains(&format!("127.0.0.1:{port} tcp: Connection refused")),
        "{text}"
    );
    assert!(
        lines[3].contains(&format!("127.0.0.2:{port} tcp: Connection refused")),
        "{text}"
    );
}

#[tokio::test]
async fn a_name_without_an_address_is_not_found() {
    let answers = Answers::default().no_name(Family::V6).no_name(Family::V4);
    let error = dialer(&answers)
        .connect(("nobody.test", 1))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
}

#[tokio::test]
async fn the_deadline_is_kept_whatever_is_left() {
    let (port, _guard) = silent_listener(V4.into(), &[]).await;
    let dialer = Dialer::builder()
        .resolver(Answers::default().v4(&[V4]).resolver())
        .overall_deadline(Some(Duration::from_millis(200)))
        .build();
    let start = Instant::now();
    let error = dialer.connect(("late.test", port)).await.unwrap_err();
    near(start.elapsed(), Duration::from_millis(200));
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut, "{error}");
    assert!(
        error.to_string().contains(&format!("127.0.0.1:{port}")),
        "{error}"
    );
}

#[tokio::test]
async fn a_source_address_is_used() {
    let (port, _guard) = listener(&[V4.into()]).await;
    let source = Ipv4Addr::new(127, 0, 0, 9);
    let options = SocketOptions {
        source_ipv4: Some(source),
        nodelay: Some(true),
        ..SocketOptions::default()
    };
    let dialer = Dialer::builder().socket_options(options).build();
    let connection = dialer.connect((V4, port)).await.unwrap();
    assert_eq!(
        connection.stream.local_addr().unwrap().ip(),
        IpAddr::V4(source)
    );
    assert!(connection.stream.nodelay().unwrap());
}

#[tokio::test]
async fn localhost_of_the_system_connects_to_either_family() {
    for address in [IpAddr::V4(V4)] {
        let (port, _guard) = listener(&[address]).await;
        let stream = twinstack_dial::tcp::connect(("localhost", port))
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap().ip(), address);
    }
}

#[tokio::test]
async fn literals_are_not_resolved() {
    let (port, _guard) = listener(&[V6.into()]).await;
    let resolver = Resolver::blocking(|name, _| panic!("asked for {name}"));
    let dialer = Dialer::builder().resolver(resolver).build();
    dialer.connect(format!("[::1]:{port}")).await.unwrap();
    dialer.connect((V6, port)).await.unwrap();
}
