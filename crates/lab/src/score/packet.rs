//! From recorded frames to what a client said and heard: questions, answers, attempts to connect.
//!
//! Nothing here asks the client, and no bytes make it panic. DNS is read from UDP only: a client that asks over TCP or
//! HTTPS is one whose questions are not seen.

use super::scenario::TLS_PORT;
use crate::trace::{Content, Frame, segment};
use serde::Serialize;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use twinstack_dns::{Query, RecordType, Response};

const DNS: u16 = 53;

/// One packet of a client's run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Since 1970.
    pub at: Duration,
    /// What it means.
    pub what: What,
}

/// What a packet means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The client asks the DNS.
    Asked {
        /// For what type, at the name of the run or below it.
        rtype: RecordType,
    },
    /// The DNS answers.
    Answered {
        /// The type that was asked for.
        rtype: RecordType,
        /// The addresses in the answer, hints of service records included; empty for a negative answer.
        addresses: Vec<IpAddr>,
    },
    /// Something about a connection.
    Connection {
        /// The client's socket and the server's.
        flow: Flow,
        /// What.
        step: Step,
    },
}

/// A client's socket, a server's socket and the protocol between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The protocol.
    pub transport: Transport,
    /// The client's socket.
    pub client: SocketAddr,
    /// The server's socket.
    pub server: SocketAddr,
}

/// How a client connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP: an attempt begins with a SYN.
    Tcp,
    /// QUIC: an attempt begins with an Initial packet.
    Quic,
}

/// A step of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The client asks for it: a SYN or an Initial packet, perhaps once more.
    Requested,
    /// The server agrees.
    Granted,
    /// The server refuses or breaks it.
    Refused,
    /// The client confirms it.
    Confirmed,
    /// The client breaks it, or answers for a socket that it has closed.
    Broken,
    /// The client sends data.
    Sent,
    /// The server sends data.
    Received,
}

/// Whom to watch, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The interface of the client's host in the recording: `client:office`.
    pub interface: String,
    /// The name that it was given; `None` if it was given an address.
    pub name: Option<String>,
    /// The addresses that the name has; connections to others are not this run's.
    pub targets: Vec<IpAddr>,
    /// From when to when the client ran, since 1970.
    pub during: (Duration, Duration),
}

/// The packets of one run, in the order of their times.
pub fn packets(frames: &[Frame<'_>], watched: &Watched) -> Vec<Packet> {
    let (from, until) = watched.during;
    let mut packets: Vec<Packet> = frames
        .iter()
        .filter(|frame| frame.interface == watched.interface && (from..=until).contains(&frame.at))
        .filter_map(|frame| {
            let segment = segment(frame.link_type, frame.bytes)?;
            let what = match segment.content {
                Content::Udp { payload } if segment.to.port() == DNS => question(payload, watched)?,
                Content::Udp { payload } if segment.from.port() == DNS => answer(payload, watched)?,
                content => connection(segment.from, segment.to, &content, watched)?,
            };
            Some(Packet { at: frame.at, what })
        })
        .collect();
    packets.sort_by_key(|packet| packet.at);
    packets
}

fn question(payload: &[u8], watched: &Watched) -> Option<What> {
    let question = Query::parse(payload).ok()?.question;
    concerns(&question.name.to_string(), watched).then_some(What::Asked {
        rtype: question.rtype,
    })
}

fn answer(payload: &[u8], watched: &Watched) -> Option<What> {
    let response = Response::parse(payload).ok()?;
    let question = response.question.as_ref()?;
    if !concerns(&question.name.to_string(), watched) {
        return None;
    }
    let (_, records) = response.answers_to(question);
    let mut addresses = Vec::new();
    for record in records {
        match &record.data {
            twinstack_dns::Data::Svcb(service) | twinstack_dns::Data::Https(service) => {
                addresses.extend(service.params.ipv6hint().iter().copied().map(IpAddr::V6));
                addresses.extend(service.params.ipv4hint().iter().copied().map(IpAddr::V4));
            }
            other => addresses.extend(other.address()),
        }
    }
    Some(What::Answered {
        rtype: question.rtype,
        addresses,
    })
}

/// The name itself, or one that belongs to it: `_8443._https.NAME`.
fn concerns(asked: &str, watched: &Watched) -> bool {
    let asked = asked.trim_end_matches('.').to_ascii_lowercase();
    watched.name.as_ref().is_some_and(|name| {
        let rest = asked.strip_suffix(&name.to_ascii_lowercase());
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn connection(
    from: SocketAddr,
    to: SocketAddr,
    content: &Content<'_>,
    watched: &Watched,
) -> Option<What> {
    let sends = watched.targets.contains(&to.ip());
    let receives = watched.targets.contains(&from.ip());
    let (client, server) = match (sends, receives) {
        (true, _) => (from, to),
        (false, true) => (to, from),
        (false, false) => return None,
    };
    let (transport, step) = match content {
        Content::Tcp {
            syn,
            ack,
            reset,
            payload,
            ..
        } => {
            let step = match (sends, *reset, *syn, *ack, *payload > 0) {
                (true, true, ..) => Step::Broken,
                (true, _, true, false, _) => Step::Requested,
                (true, _, false, _, true) => Step::Sent,
                (true, _, false, true, false) => Step::Confirmed,
                (false, true, ..) => Step::Refused,
                (false, _, true, true, _) => Step::Granted,
                (false, _, false, _, true) => Step::Received,
                _ => return None,
            };
            (Transport::Tcp, step)
        }
        Content::Udp { payload } if server.port() == TLS_PORT => {
            let step = match (sends, is_initial(payload)) {
                (true, true) => Step::Requested,
                (true, false) => Step::Sent,
                (false, _) => Step::Granted,
            };
            (Transport::Quic, step)
        }
        Content::Udp { .. } => return None,
    };
    Some(What::Connection {
        flow: Flow {
            transport,
            client,
            server,
        },
        step,
    })
}

/// A long header of the type Initial, version 1 or 2 (RFC 9000 section 17.2.2, RFC 9369 section 3.2).
fn is_initial(datagram: &[u8]) -> bool {
    let Some((first, rest)) = datagram.split_first() else {
        return false;
    };
    let version = rest
        .first_chunk::<4>()
        .map(|bytes| u32::from_be_bytes(*bytes));
    let kind = (first >> 4) & 0b11;
    first & 0xc0 == 0xc0
        && match version {
            Some(1) => kind == 0,
            Some(0x6b33_43cf) => kind == 1,
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinstack_dns::{Name, Question, Rcode, parse_record_line};
    use twinstack_testkit::recording::{self, PUSH, SYN, SYN_ACK};

    const CLIENT4: &str = "192.0.2.10:40000";
    const CLIENT6: &str = "[2e00:c::10]:40000";
    const TARGET4: &str = "198.18.1.1:80";
    const TARGET6: &str = "[2e00:e:1:1::1]:80";
    const RESOLVER: &str = "192.0.2.53:53";
    const ACK: u8 = 0x10;
    const RESET: u8 = 0x14;

    fn watched() -> Watched {
        Watched {
            interface: "client:office".into(),
            name: Some("x.healthy.lab.test".into()),
            targets: vec![
                "198.18.1.1".parse().unwrap(),
                "2e00:e:1:1::1".parse().unwrap(),
            ],
            during: (Duration::from_secs(1), Duration::from_secs(9)),
        }
    }

    /// What one frame, seen at the client, means.
    fn meaning(frame: &[u8]) -> Option<What> {
        let file = [
            recording::section(),
            recording::interface("client:office"),
            recording::packet(0, Duration::from_secs(2), frame),
        ]
        .concat();
        let frames = crate::trace::read(&file).unwrap();
        packets(&frames, &watched()).pop().map(|packet| packet.what)
    }

    fn step(frame: &[u8]) -> Option<Step> {
        match meaning(frame)? {
            What::Connection { step, .. } => Some(step),
            _ => None,
        }
    }

    fn query(name: &str, rtype: RecordType) -> Query {
        Query::new(7, Question::new(Name::parse(name).unwrap(), rtype))
    }

    #[test]
    fn questions_and_answers_about_the_name_count_and_no_others() {
        let asked = |name| {
            let question = query(name, RecordType::AAAA).to_bytes();
            meaning(&recording::udp(CLIENT4, RESOLVER, &question))
        };
        let aaaa = Some(What::Asked {
            rtype: RecordType::AAAA,
        });
        assert_eq!(asked("x.healthy.lab.test"), aaaa);
        assert_eq!(asked("X.Healthy.LAB.test"), aaaa);
        assert_eq!(asked("_8080._https.x.healthy.lab.test"), aaaa);
        assert_eq!(asked("xx.healthy.lab.test"), None);
        assert_eq!(asked("y.healthy.lab.test"), None);
        let question = query("x.healthy.lab.test", RecordType::HTTPS);
        let mut response = Response::to_query(&question, Rcode::NOERROR);
        let line =
            "x.healthy.lab.test. 300 IN HTTPS 1 . ipv4hint=198.18.1.1 ipv6hint=2e00:e:1:1::1";
        let record = parse_record_line(line, &Name::root(), twinstack_dns::Ttl::ZERO).unwrap();
        response.answer = vec![record];
        let heard = meaning(&recording::udp(RESOLVER, CLIENT4, &response.to_bytes()));
        let expected = What::Answered {
            rtype: RecordType::HTTPS,
            addresses: vec![
                "2e00:e:1:1::1".parse().unwrap(),
                "198.18.1.1".parse().unwrap(),
            ],
        };
        assert_eq!(heard, Some(expected));
    }

    #[test]
    fn each_segment_of_a_handshake_has_its_meaning() {
        for (client, server) in [(CLIENT4, TARGET4), (CLIENT6, TARGET6)] {
            let out = |flags, payload: &[u8]| step(&recording::tcp(client, server, flags, payload));
            let back =
                |flags, payload: &[u8]| step(&recording::tcp(server, client, flags, payload));
            assert_eq!(out(SYN, b""), Some(Step::Requested));
            assert_eq!(back(SYN_ACK, b""), Some(Step::Granted));
            assert_eq!(out(ACK, b""), Some(Step::Confirmed));
            assert_eq!(out(PUSH, b"GET"), Some(Step::Sent));
            assert_eq!(back(PUSH, b"ok"), Some(Step::Received));
            assert_eq!(back(RESET, b""), Some(Step::Refused));
            assert_eq!(out(RESET, b""), Some(Step::Broken));
        }
        assert_eq!(
            step(&recording::tcp(CLIENT4, "198.18.1.2:80", SYN, b"")),
            None
        );
    }

    #[test]
    fn initial_packets_of_quic_are_attempts_and_other_datagrams_are_not() {
        let (client, server) = ("192.0.2.10:40000", "198.18.1.1:443");
        let out = |first: &[u8]| step(&recording::udp(client, server, first));
        assert_eq!(out(&[0xc3, 0, 0, 0, 1, 8]), Some(Step::Requested));
        assert_eq!(
            out(&[0xd3, 0x6b, 0x33, 0x43, 0xcf, 8]),
            Some(Step::Requested)
        );
        assert_eq!(
            out(&[0xe3, 0, 0, 0, 1, 8]),
            Some(Step::Sent),
            "a handshake packet"
        );
        assert_eq!(out(&[0x43, 1, 2, 3]), Some(Step::Sent), "a short header");
        let other = recording::udp(client, "198.18.1.1:4433", &[0xc3, 0, 0, 0, 1, 8]);
        assert_eq!(step(&other), None, "another port");
    }

    #[test]
    fn other_interfaces_and_other_times_do_not_count() {
        let syn = recording::tcp(CLIENT4, TARGET4, SYN, b"");
        let file = [
            recording::section(),
            recording::interface("target:eyeballs"),
            recording::interface("client:office"),
            recording::packet(0, Duration::from_secs(2), &syn),
            recording::packet(1, Duration::from_millis(999), &syn),
            recording::packet(1, Duration::from_millis(9001), &syn),
        ]
        .concat();
        let frames = crate::trace::read(&file).unwrap();
        assert_eq!(packets(&frames, &watched()), []);
    }
}
