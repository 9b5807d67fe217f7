//! Both servers on real sockets of the loopback addresses; what is in a message is tested where it is decided.

use super::*;
use crate::service::tests::{HOST, Lab, PATIENCE, SILENCE, service, world};
use crate::world::model::{
    DnsReply, DnsRule, DnsTransport, Family, Host, Recursive, ServiceKind, World, Zone, ZoneRecord,
};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket as TokioUdp};
use twinstack_dns::client::{AskOptions, Client, Roots, Transport, TransportChoice};
use twinstack_dns::{AskError, Edns, Exchange, Name, Query, Question, Rcode, RecordType, Response};

mod authoritative;
mod recursive;

/// A zone from lines of `owner ttl type data`.
fn zone(apex: &str, servers: &[HostId], lines: &[&str]) -> Zone {
    let records = lines
        .iter()
        .map(|line| {
            let mut words = line.splitn(4, ' ').map(str::to_owned);
            let mut word = || words.next().unwrap();
            ZoneRecord {
                owner: word(),
                ttl: word().parse().unwrap(),
                rtype: word(),
                rdata: word(),
            }
        })
        .collect();
    Zone {
        apex: apex.to_owned(),
        servers: servers.to_vec(),
        records,
    }
}

/// A rule for every question.
fn rule(reply: DnsReply) -> DnsRule {
    DnsRule {
        at: vec![],
        name: None,
        types: vec![],
        transport: None,
        family: None,
        from: vec![],
        delay: Duration::ZERO,
        reply,
    }
}

fn question(name: &str, rtype: RecordType) -> Question {
    Question::new(Name::parse(name).unwrap(), rtype)
}

/// One patient try.
fn options() -> AskOptions {
    AskOptions {
        timeout: PATIENCE,
        tries: 1,
        ..AskOptions::default()
    }
}

/// One try that does not wait for what is not coming.
fn hasty() -> AskOptions {
    AskOptions {
        timeout: SILENCE,
        ..options()
    }
}

async fn ask(server: SocketAddr, name: &str, rtype: RecordType) -> Exchange {
    Client::new(server)
        .ask(&question(name, rtype), &options())
        .await
}

fn data(response: &Response) -> Vec<String> {
    response
        .answer
        .iter()
        .map(|record| record.data.to_string())
        .collect()
}

async fn udp_with(
    server: SocketAddr,
    name: &str,
    rtype: RecordType,
    edns: Option<Edns>,
) -> Response {
    let options = AskOptions {
        transport: TransportChoice::Udp,
        edns,
        ..options()
    };
    let exchange = Client::new(server)
        .ask(&question(name, rtype), &options)
        .await;
    exchange.outcome.unwrap()
}

/// Garbage in, nothing broken: the server still answers afterwards.
async fn survives_garbage(server: SocketAddr, name: &str) {
    let socket = TokioUdp::bind("127.0.0.1:0").await.unwrap();
    for octets in [&b""[..], b"x", &[0; 12], &[0xff; 600], &[0x80; 40]] {
        socket.send_to(octets, server).await.unwrap();
    }
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(&[0xff; 3000]).await.unwrap();
    drop(stream);
    assert!(ask(server, name, RecordType::A).await.outcome.is_ok());
}
