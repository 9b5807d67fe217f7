//! What a client experienced, from nothing but the recorded packets: the second opinion on every number of the replay.
//!
//! A visit begins with the client's first DNS query and ends with the first byte of a response. Nothing here asks the
//! client, and nothing here panics, whatever the file holds.

use super::story::{FromPackets, Handshake, Story};
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use twinstack_lab::trace::{self, Content, Frame, Segment, segment};
use twinstack_lab::world::model::Family;

const DNS: u16 = 53;

/// The bit of the third byte of a DNS message that says "this is an answer" (RFC 1035 section 4.1.1).
const IS_ANSWER: u8 = 0x80;

/// Whom to watch, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Watched {
    /// The interface at which the client's packets were recorded; the same packet passes others earlier or later.
    pub(crate) interface: String,
    /// The client's addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// The service's port.
    pub(crate) port: u16,
    /// From when to when the client ran, since 1970.
    pub(crate) during: (Duration, Duration),
}

/// Writes what the packets of a recording say beside every number of the story.
pub(super) fn fill(story: &mut Story, recording: &[u8]) -> anyhow::Result<()> {
    let frames = trace::read(recording).context("reading the recording")?;
    for run in story.runs_mut() {
        run.from_packets = run
            .watched
            .as_ref()
            .and_then(|watched| visit(&frames, watched));
    }
    Ok(())
}

/// A client's visit; `None` if it sent no packet that belongs to one.
pub(crate) fn visit(frames: &[Frame<'_>], watched: &Watched) -> Option<FromPackets> {
    let (from, until) = watched.during;
    let mut events = frames
        .iter()
        .filter(|frame| frame.interface == watched.interface && (from..=until).contains(&frame.at))
        .filter_map(|frame| {
            Some((
                frame.at,
                event(&segment(frame.link_type, frame.bytes)?, watched)?,
            ))
        })
        .collect::<Vec<_>>();
    // A recording of several threads need not be in order.
    events.sort_by_key(|(at, _)| *at);
    let start = events
        .iter()
        .position(|(_, event)| matches!(event, Event::Query | Event::Syn(_)))?;
    let began = events.get(start)?.0;
    let mut visit = FromPackets {
        elapsed_seconds: None,
        dns_seconds: None,
        family: None,
        attempts: Vec::new(),
    };
    // What belongs to a connection that was opened earlier is the end of another visit.
    let mut opened = BTreeSet::new();
    let mut asked = false;
    for (at, event) in events.into_iter().skip(start) {
        let seconds = at.saturating_sub(began).as_secs_f64();
        match event {
            Event::Query => asked = true,
            Event::DnsAnswer if asked && visit.attempts.is_empty() => {
                visit.dns_seconds = Some(seconds);
            }
            Event::Syn(connection) => {
                opened.insert(connection);
                begin(&mut visit, connection.1, seconds);
            }
            Event::SynAck(connection) if opened.contains(&connection) => {
                if let Some(attempt) = attempt(&mut visit, connection.1) {
                    attempt.answered_seconds.get_or_insert(seconds);
                }
            }
            Event::Reset(connection) if opened.contains(&connection) => {
                // After an answer, a reset only ends a connection that was open.
                if let Some(attempt) = attempt(&mut visit, connection.1)
                    && attempt.answered_seconds.is_none()
                {
                    attempt.reset_seconds.get_or_insert(seconds);
                }
            }
            Event::Response(connection) if opened.contains(&connection) => {
                if visit.elapsed_seconds.is_none() {
                    visit.elapsed_seconds = Some(seconds);
                    visit.family = Some(Family::of(connection.1));
                }
            }
            Event::DnsAnswer | Event::SynAck(_) | Event::Reset(_) | Event::Response(_) => {}
        }
    }
    Some(visit)
}

fn begin(visit: &mut FromPackets, address: IpAddr, seconds: f64) {
    match attempt(visit, address) {
        Some(attempt) => attempt.syn_seconds.push(seconds),
        None => visit.attempts.push(Handshake {
            address,
            family: Family::of(address),
            syn_seconds: vec![seconds],
            answered_seconds: None,
            reset_seconds: None,
        }),
    }
}

fn attempt(visit: &mut FromPackets, address: IpAddr) -> Option<&mut Handshake> {
    visit
        .attempts
        .iter_mut()
        .find(|attempt| attempt.address == address)
}

/// The client's socket and the service's address.
type Connection = (SocketAddr, IpAddr);

/// What a packet means to a visit.
enum Event {
    Query,
    DnsAnswer,
    Syn(Connection),
    SynAck(Connection),
    Reset(Connection),
    Response(Connection),
}

fn event(segment: &Segment<'_>, watched: &Watched) -> Option<Event> {
    let sends = watched.addresses.contains(&segment.from.ip());
    let receives = watched.addresses.contains(&segment.to.ip());
    match segment.content {
        Content::Udp { payload } => {
            let is_answer = payload.get(2)? & IS_ANSWER != 0;
            if sends && segment.to.port() == DNS && !is_answer {
                Some(Event::Query)
            } else if receives && segment.from.port() == DNS && is_answer {
                Some(Event::DnsAnswer)
            } else {
                None
            }
        }
        Content::Tcp {
            syn,
            ack,
            reset,
            payload,
        } => {
            if sends && segment.to.port() == watched.port {
                (syn && !ack).then_some(Event::Syn((segment.from, segment.to.ip())))
            } else if receives && segment.from.port() == watched.port {
                let connection = (segment.to, segment.from.ip());
                match (reset, syn && ack, payload > 0) {
                    (true, _, _) => Some(Event::Reset(connection)),
                    (_, true, _) => Some(Event::SynAck(connection)),
                    (_, _, true) => Some(Event::Response(connection)),
                    _ => None,
                }
            } else {
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinstack_testkit::recording::{self as file, PUSH, SYN, SYN_ACK, tcp, udp};

    const QUERY: &[u8] = &[0, 1, 0x01, 0];
    const ANSWER: &[u8] = &[0, 1, 0x81, 0x80];
    const CLIENT4: &str = "192.0.2.10:40000";
    const CLIENT6: &str = "[2e00:c::10]:40000";
    const WWW4: &str = "198.51.100.80:80";
    const WWW6: &str = "[2e00:5::80]:80";
    const RESOLVER: &str = "192.0.2.53:53";
    /// An arbitrary moment.
    const START: u64 = 1_700_000_000_000;

    /// What the packets (milliseconds, frame) amount to, all seen at the client's interface.
    fn seen(packets: &[(u64, Vec<u8>)]) -> Option<FromPackets> {
        let mut recording = [file::section(), file::interface("client")].concat();
        for (at, frame) in packets {
            recording.extend(file::packet(0, Duration::from_millis(START + at), frame));
        }
        visit(&trace::read(&recording).unwrap(), &watched())
    }

    fn watched() -> Watched {
        let address = |socket: &str| socket.parse::<SocketAddr>().unwrap().ip();
        Watched {
            interface: "client".into(),
            addresses: vec![address(CLIENT4), address(CLIENT6)],
            port: 80,
            during: (
                Duration::from_millis(START),
                Duration::from_millis(START + 30_000),
            ),
        }
    }

    #[test]
    fn an_ordinary_visit_is_dns_then_one_handshake_then_a_byte() {
        let visit = seen(&[
            (10, udp(CLIENT4, RESOLVER, QUERY)),
            (12, udp(RESOLVER, CLIENT4, ANSWER)),
            (15, udp(RESOLVER, CLIENT4, ANSWER)),
            (16, tcp(CLIENT6, WWW6, SYN, b"")),
            (30, tcp(WWW6, CLIENT6, SYN_ACK, b"")),
            (31, tcp(CLIENT6, WWW6, PUSH, b"GET")),
            (45, tcp(WWW6, CLIENT6, PUSH, b"HTTP/1.1 200 OK")),
            (46, tcp(WWW6, CLIENT6, PUSH, b"and more")),
        ])
        .unwrap();
        assert_eq!(visit.elapsed_seconds, Some(0.035));
        assert_eq!(visit.dns_seconds, Some(0.005));
        assert_eq!(visit.family, Some(Family::V6));
        assert_eq!(visit.attempts.len(), 1);
        assert_eq!(visit.attempts[0].syn_seconds, [0.006]);
        assert_eq!(visit.attempts[0].answered_seconds, Some(0.02));
    }

    #[test]
    fn repeated_syns_belong_to_one_attempt_that_nobody_answered() {
        let visit = seen(&[
            (0, udp(CLIENT4, RESOLVER, QUERY)),
            (4, udp(RESOLVER, CLIENT4, ANSWER)),
            (5, tcp(CLIENT6, WWW6, SYN, b"")),
            (1005, tcp(CLIENT6, WWW6, SYN, b"")),
            (3005, tcp(CLIENT6, WWW6, SYN, b"")),
        ])
        .unwrap();
        assert_eq!((visit.elapsed_seconds, visit.family), (None, None));
        assert_eq!(visit.attempts[0].syn_seconds, [0.005, 1.005, 3.005]);
        assert_eq!(visit.attempts[0].answered_seconds, None);
    }

    #[test]
    fn fallback_shows_as_two_attempts_and_the_family_of_the_one_that_carried_data() {
        let visit = seen(&[
            (0, udp(CLIENT4, RESOLVER, QUERY)),
            (5, tcp(CLIENT6, WWW6, SYN, b"")),
            (255, tcp(CLIENT4, WWW4, SYN, b"")),
            (269, tcp(WWW4, CLIENT4, SYN_ACK, b"")),
            (284, tcp(WWW4, CLIENT4, PUSH, b"HTTP/1.1 200 OK")),
        ])
        .unwrap();
        assert_eq!(
            (visit.elapsed_seconds, visit.family),
            (Some(0.284), Some(Family::V4))
        );
        let starts: Vec<_> = visit
            .attempts
            .iter()
            .map(|it| (it.family, it.syn_seconds[0]))
            .collect();
        assert_eq!(starts, [(Family::V6, 0.005), (Family::V4, 0.255)]);
    }

    #[test]
    fn a_reset_instead_of_an_answer_is_a_refusal() {
        let visit = seen(&[
            (0, tcp(CLIENT6, WWW6, SYN, b"")),
            (14, tcp(WWW6, CLIENT6, 0x14, b"")),
        ])
        .unwrap();
        assert_eq!(visit.attempts[0].reset_seconds, Some(0.014));
        assert_eq!(visit.dns_seconds, None);
    }

    #[test]
    fn the_tail_of_an_earlier_visit_does_not_count() {
        let earlier = "192.0.2.10:39999";
        let visit = seen(&[
            (0, tcp(WWW4, earlier, PUSH, b"the rest of the page")),
            (5, udp(CLIENT4, RESOLVER, QUERY)),
            (6, tcp(WWW4, earlier, PUSH, b"and more")),
            (7, tcp(CLIENT4, WWW4, SYN, b"")),
            (8, tcp(WWW4, earlier, 0x14, b"")),
            (21, tcp(WWW4, CLIENT4, SYN_ACK, b"")),
            (36, tcp(WWW4, CLIENT4, PUSH, b"HTTP/1.1 200 OK")),
        ])
        .unwrap();
        assert_eq!(visit.elapsed_seconds, Some(0.031));
        assert_eq!(visit.attempts[0].reset_seconds, None);
    }

    #[test]
    fn other_interfaces_other_clients_and_other_times_do_not_count() {
        let mut recording = [
            file::section(),
            file::interface("www"),
            file::interface("client"),
        ]
        .concat();
        let mut add = |interface, at, frame: &[u8]| {
            recording.extend(file::packet(
                interface,
                Duration::from_millis(START + at),
                frame,
            ));
        };
        add(0, 0, &udp(CLIENT4, RESOLVER, QUERY));
        add(1, 0, &udp("192.0.2.11:40000", RESOLVER, QUERY));
        add(1, 31_000, &udp(CLIENT4, RESOLVER, QUERY));
        let frames = trace::read(&recording).unwrap();
        assert_eq!(visit(&frames, &watched()), None);
    }
}
