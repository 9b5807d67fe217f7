//! A whole proxy on the loopback: what clients say, what they are told, what is counted.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests: a panic is the failure they report"
)]

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use twinstack_proxy::serve::{Access, Forward, Limits, Options, Role, Server, Stopped};

/// A proxy that runs.
struct Proxy {
    address: SocketAddr,
    forward: Option<SocketAddr>,
    metrics: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Stopped>,
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// One that goes everywhere, because everything here is on the loopback.
fn open_options() -> Options {
    Options {
        listen: vec![any()],
        metrics: Some(any()),
        access: Access {
            allow: Vec::new(),
            allow_all: true,
        },
        ..Options::default()
    }
}

fn start(options: Options) -> Proxy {
    let server = Server::bind(options).unwrap();
    let find = |wanted: fn(&Role) -> bool| {
        server
            .addresses()
            .find(|(_, role)| wanted(role))
            .map(|(address, _)| address)
    };
    let address = find(|role| *role == Role::Proxy).unwrap_or_else(any);
    let forward = find(|role| matches!(role, Role::Forward(..)));
    let metrics = find(|role| *role == Role::Metrics).unwrap();
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(server.run(async {
        let _either = stopped.await;
    }));
    Proxy {
        address,
        forward,
        metrics,
        stop,
        running,
    }
}

/// A service that sends back what it hears, to the end.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind(any()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reads, mut writes) = stream.split();
                let _ended = tokio::io::copy(&mut reads, &mut writes).await;
                let _ended = writes.shutdown().await;
            });
        }
    });
    address
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("this takes milliseconds")
}

async fn everything(stream: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    soon(stream.read_to_end(&mut heard)).await.unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

async fn metrics_of(proxy: &Proxy) -> String {
    let mut stream = TcpStream::connect(proxy.metrics).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .await
        .unwrap();
    everything(&mut stream).await
}

/// The counters change just after the client has its answer.
async fn counted(proxy: &Proxy, line: &str) {
    for _ in 0..200 {
        if metrics_of(proxy).await.lines().any(|it| it == line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no `{line}` in\n{}", metrics_of(proxy).await);
}

fn socks_request(host: &str, port: u16) -> Vec<u8> {
    let mut bytes = vec![5, 1, 0, 3, u8::try_from(host.len()).unwrap()];
    bytes.extend(host.as_bytes());
    bytes.extend(port.to_be_bytes());
    bytes
}

#[tokio::test]
async fn socks5_by_name_carries_both_ways_and_is_counted() {
    let service = echo().await;
    let proxy = start(open_options());
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client.write_all(&[5, 1, 0]).await.unwrap();
    let mut welcome = [0; 2];
    soon(client.read_exact(&mut welcome)).await.unwrap();
    assert_eq!(welcome, [5, 0]);
    client
        .write_all(&socks_request("localhost", service.port()))
        .await
        .unwrap();
    let mut reply = [0; 10];
    soon(client.read_exact(&mut reply)).await.unwrap();
    assert_eq!(
        reply[..4],
        [5, 0, 0, 1],
        "succeeded, with an IPv4 address of its own"
    );
    client.write_all(b"through").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(everything(&mut client).await, "through");
    counted(
        &proxy,
        r#"twinstack_proxy_connections_total{family="ipv4",outcome="connected",by="socks5"} 1"#,
    )
    .await;
    counted(&proxy, r#"twinstack_proxy_ended_total{cause="done"} 1"#).await;
    counted(
        &proxy,
        r#"twinstack_proxy_relayed_bytes_total{direction="up"} 7"#,
    )
    .await;
}

#[tokio::test]
async fn a_client_that_says_everything_at_once_is_understood() {
    let service = echo().await;
    let proxy = start(open_options());
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    let mut all = vec![5, 1, 0];
    all.extend(socks_request("localhost", service.port()));
    all.extend(b"early");
    client.write_all(&all).await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = Vec::new();
    soon(client.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard[heard.len() - 5..], *b"early");
}

#[tokio::test]
async fn connect_by_address_carries_what_was_sent_early() {
    let service = echo().await;
    let proxy = start(open_options());
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    let request = format!("CONNECT {service} HTTP/1.1\r\nHost: {service}\r\n\r\nearly");
    client.write_all(request.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let heard = everything(&mut client).await;
    assert!(heard.starts_with("HTTP/1.1 200 "), "{heard}");
    assert!(heard.ends_with("\r\n\r\nearly"), "{heard}");
}

#[tokio::test]
async fn a_forward_leads_to_its_destination() {
    let service = echo().await;
    let options = Options {
        listen: Vec::new(),
        forwards: vec![Forward {
            listen: any(),
            host: "localhost".to_owned(),
            port: service.port(),
        }],
        ..open_options()
    };
    let proxy = start(options);
    let mut client = TcpStream::connect(proxy.forward.unwrap()).await.unwrap();
    client.write_all(b"straight").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(everything(&mut client).await, "straight");
}

#[tokio::test]
async fn a_name_that_means_this_host_is_denied_after_resolution() {
    let service = echo().await;
    let proxy = start(Options {
        access: Access::default(),
        ..open_options()
    });
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    let request = format!("CONNECT localhost:{} HTTP/1.1\r\n\r\n", service.port());
    client.write_all(request.as_bytes()).await.unwrap();
    let heard = everything(&mut client).await;
    assert!(heard.starts_with("HTTP/1.1 403 "), "{heard}");
    assert!(heard.contains("127.0.0.1 is a loopback address"), "{heard}");
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client.write_all(&[5, 1, 0]).await.unwrap();
    client
        .write_all(&socks_request("localhost", service.port()))
        .await
        .unwrap();
    let mut heard = Vec::new();
    soon(client.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard[2..4], [5, 2], "not allowed");
    counted(
        &proxy,
        r#"twinstack_proxy_connections_total{family="none",outcome="denied",by="connect"} 1"#,
    )
    .await;
}

#[tokio::test]
async fn a_refused_destination_is_said_in_each_language() {
    let closed = {
        let listener = TcpListener::bind(any()).await.unwrap();
        listener.local_addr().unwrap()
    };
    let proxy = start(open_options());
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client
        .write_all(format!("CONNECT {closed} HTTP/1.1\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let heard = everything(&mut client).await;
    assert!(
        heard.starts_with("HTTP/1.1 502 ") && heard.contains("refused"),
        "{heard}"
    );
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client.write_all(&[5, 1, 0]).await.unwrap();
    client
        .write_all(&socks_request("127.0.0.1", closed.port()))
        .await
        .unwrap();
    let mut heard = Vec::new();
    soon(client.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard[2..4], [5, 5], "connection refused");
}

#[tokio::test]
async fn what_is_neither_language_is_answered_and_closed() {
    let proxy = start(open_options());
    for (said, answered) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 405 "),
        ("CONNECT nowhere HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
        ("CONNECT a:99999 HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
        ("\u{16}\u{3}\u{1} hello\r\n\r\n", "HTTP/1.1 400 "),
    ] {
        let mut client = TcpStream::connect(proxy.address).await.unwrap();
        client.write_all(said.as_bytes()).await.unwrap();
        let heard = everything(&mut client).await;
        assert!(heard.starts_with(answered), "{said:?}: {heard}");
    }
}

#[tokio::test]
async fn an_endless_head_is_cut_at_its_bound() {
    let proxy = start(open_options());
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    let long = format!("CONNECT a:1 HTTP/1.1\r\nX: {}", "x".repeat(9000));
    client.write_all(long.as_bytes()).await.unwrap();
    let heard = everything(&mut client).await;
    assert!(heard.starts_with("HTTP/1.1 431 "), "{heard}");
}

#[tokio::test]
async fn a_client_that_says_nothing_is_sent_away() {
    let mut limits = Limits::default();
    limits.request_time = Duration::from_millis(100);
    let proxy = start(Options {
        limits,
        ..open_options()
    });
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    assert_eq!(everything(&mut client).await, "");
}

#[tokio::test]
async fn more_connections_than_places_wait_and_are_served_later() {
    let service = echo().await;
    let mut limits = Limits::default();
    limits.connections = 1;
    let proxy = start(Options {
        limits,
        ..open_options()
    });
    let connect = format!("CONNECT {service} HTTP/1.1\r\n\r\n");
    let mut first = TcpStream::connect(proxy.address).await.unwrap();
    first.write_all(connect.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    soon(first.read_exact(&mut status)).await.unwrap();
    let mut second = TcpStream::connect(proxy.address).await.unwrap();
    second.write_all(connect.as_bytes()).await.unwrap();
    let early =
        tokio::time::timeout(Duration::from_millis(200), second.read_exact(&mut status)).await;
    assert!(early.is_err(), "there is no place for it yet");
    drop(first);
    soon(second.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}

#[tokio::test]
async fn a_stop_lets_open_connections_end_and_takes_no_new_ones() {
    let service = echo().await;
    let proxy = start(open_options());
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client
        .write_all(format!("CONNECT {service} HTTP/1.1\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut status = [0; 12];
    soon(client.read_exact(&mut status)).await.unwrap();
    let mut undecided = TcpStream::connect(proxy.address).await.unwrap();
    undecided.write_all(b"CONN").await.unwrap();
    // It has to be accepted before the stop to be sent away by it.
    tokio::time::sleep(Duration::from_millis(200)).await;
    proxy.stop.send(()).unwrap();
    assert_eq!(everything(&mut undecided).await, "");
    client.write_all(b"still here").await.unwrap();
    client.shutdown().await.unwrap();
    assert!(everything(&mut client).await.ends_with("still here"));
    assert_eq!(soon(proxy.running).await.unwrap().cut, 0);
    assert!(TcpStream::connect(proxy.address).await.is_err());
}

#[tokio::test]
async fn what_is_still_open_after_the_grace_is_cut() {
    let service = echo().await;
    let mut limits = Limits::default();
    limits.grace = Duration::from_millis(100);
    let proxy = start(Options {
        limits,
        ..open_options()
    });
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client
        .write_all(format!("CONNECT {service} HTTP/1.1\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut status = [0; 12];
    soon(client.read_exact(&mut status)).await.unwrap();
    proxy.stop.send(()).unwrap();
    assert_eq!(soon(proxy.running).await.unwrap().cut, 1);
}

#[tokio::test]
async fn each_dial_is_a_line_of_the_report() {
    let service = echo().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    let proxy = start(Options {
        report: Some(file.reopen().unwrap()),
        ..open_options()
    });
    let mut client = TcpStream::connect(proxy.address).await.unwrap();
    client
        .write_all(format!("CONNECT {service} HTTP/1.1\r\n\r\n").as_bytes())
        .await
        .unwrap();
    client.shutdown().await.unwrap();
    everything(&mut client).await;
    let text = std::fs::read_to_string(file.path()).unwrap();
    let line: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(line["schema"], "twinstack.proxy/1");
    assert_eq!(line["outcome"], "connected");
    assert_eq!(line["race"]["winner"]["family"], "ipv4");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let error = runtime.block_on(async {
        Server::bind(Options {
            listen: vec![address],
            ..Options::default()
        })
        .unwrap_err()
    });
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}
