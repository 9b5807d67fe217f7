//! What was seen: plain values, every step with its start (since the beginning of the run), its length and its
//! outcome. The rules read nothing else.

use super::local::{HostAddress, Listener, Neighbours, Ruleset, Switches};
use super::{Family, Speech};
use std::net::IpAddr;
use std::time::Duration;

/// Everything that one vantage saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct PathObservation {
    pub(super) vantage: Vantage,
    pub(super) addresses: Vec<AddressObservation>,
    /// Sub-resources of the page, looked up and fetched over both families.
    pub(super) parts: Vec<PartObservation>,
    pub(super) client: Option<ClientObservation>,
    pub(super) local: Option<LocalObservation>,
    /// Whether this machine has root certificates to compare with.
    pub(super) has_roots: bool,
    /// Whether this machine's line was too slow for everything at once, so that all was looked at one by one.
    pub(super) slow_line: bool,
}

impl PathObservation {
    /// Whether anything was reached over IPv6 from here.
    pub(crate) fn v6_works(&self) -> bool {
        self.addresses
            .iter()
            .any(|address| Family::of(address.address) == Family::V6 && address.is_open())
    }

    /// Whether this machine's line made everything slow.
    pub(crate) const fn slow_line(&self) -> bool {
        self.slow_line
    }
}

/// Which families this machine can use.
#[derive(Clone, Debug, Default)]
pub(super) struct Vantage {
    pub(super) v4: Route,
    pub(super) v6: Route,
}

impl Vantage {
    pub(super) const fn route(&self, family: Family) -> &Route {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}

/// How one family leaves this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Route {
    /// No address of this family was asked for.
    #[default]
    NotAsked,
    /// There is a route, and this is the source address it gives.
    Here { source: IpAddr },
    /// No route, but IPv4 is reached through NAT64.
    Translated,
    /// None; the text says what the kernel answered.
    Missing { why: String },
}

/// A step with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step<T> {
    /// Start, since the beginning of the run.
    pub(super) at: Duration,
    /// Until the outcome was known.
    pub(super) took: Duration,
    pub(super) outcome: T,
}

/// One address of the target.
#[derive(Clone, Debug)]
pub(super) struct AddressObservation {
    /// As published.
    pub(super) address: IpAddr,
    /// As used on the wire: another one only behind NAT64.
    pub(super) wire: IpAddr,
    pub(super) ports: Vec<PortObservation>,
    /// Small echoes, in a series.
    pub(super) echo: Result<Series, EchoRefusal>,
    /// Echoes that need two fragments each way, sent until one is answered.
    pub(super) fragmented: Option<Series>,
    /// Connections in a series: where echoes say nothing, or lost some.
    pub(super) connects: Option<Series>,
    /// QUIC handshake on port 443.
    pub(super) quic: Option<Step<Result<(), QuicFailure>>>,
}

impl AddressObservation {
    pub(super) fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// Whether any port is open.
    pub(super) fn is_open(&self) -> bool {
        self.ports.iter().any(|port| port.connect.outcome.is_ok())
    }

    pub(super) fn port(&self, port: u16) -> Option<&PortObservation> {
        self.ports.iter().find(|seen| seen.port == port)
    }

    /// The address, with the one on the wire where they differ.
    pub(super) fn label(&self) -> String {
        if self.address == self.wire {
            self.address.to_string()
        } else {
            format!("{} (through NAT64 as {})", self.address, self.wire)
        }
    }
}

/// Why no echoes were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EchoRefusal {
    /// This machine allows neither kind of ICMP socket.
    NotAllowed,
    /// The kernel's words.
    Other(String),
}

/// A series of equal probes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Series {
    /// Start, since the beginning of the run.
    pub(super) at: Duration,
    pub(super) sent: u32,
    /// Round trips of those that were answered, in order of sending.
    pub(super) round_trips: Vec<Duration>,
}

impl Series {
    pub(super) fn answered(&self) -> u32 {
        u32::try_from(self.round_trips.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn lost(&self) -> u32 {
        self.sent.saturating_sub(self.answered())
    }

    pub(super) fn loss(&self) -> f64 {
        if self.sent == 0 {
            0.0
        } else {
            f64::from(self.lost()) / f64::from(self.sent)
        }
    }

    pub(super) fn median(&self) -> Option<Duration> {
        let mut sorted = self.round_trips.clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

/// One port of one address.
#[derive(Clone, Debug)]
pub(super) struct PortObservation {
    pub(super) port: u16,
    pub(super) speech: Speech,
    pub(super) connect: Step<Result<(), ConnectError>>,
    /// How many connections were started to get that outcome.
    pub(super) attempts: u32,
    /// Conversations at the system's segment size; the first that got through is last.
    pub(super) talks: Vec<Talk>,
    /// The same with 1220-byte segments; only after a talk fell silent.
    pub(super) small_talks: Vec<Talk>,
    /// Requests too large for one packet.
    pub(super) large: Vec<Talk>,
    /// The same with 1220-byte segments; only after a large request fell silent.
    pub(super) small_large: Vec<Talk>,
    /// A second look at the page, taken when the families differed.
    pub(super) second: Option<Talk>,
}

impl PortObservation {
    /// The talk that counts: the last, which is the one that got through if any did.
    pub(super) fn talk(&self) -> Option<&Talk> {
        self.talks.last()
    }

    /// A finished handshake: of the talk that counts, or of any other.
    pub(super) fn tls(&self) -> Option<&TlsSession> {
        let talks = self.talks.iter().rev().chain(&self.small_talks);
        talks
            .filter_map(|talk| talk.tls.as_ref())
            .find_map(|step| step.outcome.as_ref().ok())
    }

    pub(super) fn page(&self) -> Option<&Page> {
        self.talk()?.page()
    }

    /// Every page seen in an ordinary conversation.
    pub(super) fn pages(&self) -> impl Iterator<Item = &Page> {
        self.page()
            .into_iter()
            .chain(self.second.as_ref().and_then(Talk::page))
    }
}

/// Why no connection came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ConnectError {
    pub(super) kind: ConnectFailure,
    /// The ICMP message that said so, where the kernel kept it.
    pub(super) icmp: Option<IcmpError>,
}

/// The kinds of failure that the rules tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ConnectFailure {
    /// A reset, or ICMP port unreachable.
    Refused,
    /// ICMP administratively prohibited, or a policy.
    Prohibited,
    /// ICMP or the routing table: no route.
    NoRoute,
    /// ICMP or neighbour discovery: the host does not answer on its link.
    HostUnreachable,
    /// Silence.
    TimedOut,
    /// This machine would not send: an errno.
    Local(i32),
}

/// An ICMP or ICMPv6 error message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IcmpError {
    pub(super) family: Family,
    pub(super) kind: u8,
    pub(super) code: u8,
    /// Who sent it.
    pub(super) from: Option<IpAddr>,
}

/// One conversation: handshake and request on one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Talk {
    /// The `TCP_MAXSEG` set before connecting; `None` is the system's.
    pub(super) segment: Option<u16>,
    /// Start, since the beginning of the run: when the connection was open.
    pub(super) at: Duration,
    /// The connection of a later talk may fail although the first one opened.
    pub(super) connect: Option<ConnectError>,
    pub(super) tls: Option<Step<Result<TlsSession, TalkError>>>,
    pub(super) answer: Option<Step<Result<Answer, TalkError>>>,
}

impl Talk {
    pub(super) fn page(&self) -> Option<&Page> {
        match &self.answer.as_ref()?.outcome {
            Ok(Answer::Page(page)) => Some(page),
            _ => None,
        }
    }

    /// Whether the other side fell silent, and after how many bytes.
    pub(super) fn stalled(&self) -> Option<u64> {
        let stall = |error: &TalkError| match error {
            TalkError::Stalled { received } => Some(*received),
            _ => None,
        };
        if let Some(Err(error)) = self.tls.as_ref().map(|step| &step.outcome) {
            return stall(error);
        }
        match self.answer.as_ref().map(|step| &step.outcome) {
            Some(Err(error)) => stall(error),
            Some(Ok(Answer::Page(page))) => match &page.end {
                BodyEnd::Broken(error) => stall(error),
                BodyEnd::Complete | BodyEnd::Cut => None,
            },
            _ => None,
        }
    }

    /// Whether everything that was asked came back.
    pub(super) fn complete(&self) -> bool {
        match self.answer.as_ref().map(|step| &step.outcome) {
            Some(Ok(Answer::Page(page))) => !matches!(page.end, BodyEnd::Broken(_)),
            Some(Ok(Answer::Banner(_))) => true,
            Some(Err(_)) | None => false,
        }
    }
}

/// What came back on an open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The first line of a server that speaks first.
    Banner(String),
    /// An HTTP response.
    Page(Box<Page>),
}

/// How a conversation can fail once the connection is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TalkError {
    /// Nothing (more) came within the time limit.
    Stalled {
        received: u64,
    },
    Reset,
    /// The other side closed before it had said what it owed.
    Closed,
    /// A TLS alert, by its name.
    Alert(String),
    /// Bytes that are not the expected protocol.
    Garbled(String),
    /// Nothing was asked: what the user wants cannot be said in this protocol.
    Unsent(String),
}

/// A finished TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsSession {
    /// `TLS 1.3`.
    pub(super) version: String,
    /// What was agreed on: `h2`, `http/1.1`.
    pub(super) alpn: Option<String>,
    pub(super) leaf: Leaf,
}

/// The server's own certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    /// SHA-256 over the certificate, hexadecimal.
    pub(super) fingerprint: String,
    /// DNS names and addresses that it is for.
    pub(super) names: Vec<String>,
    pub(super) issuer: String,
    /// Whether it leads to a root that this machine trusts and is within its dates.
    pub(super) trust: Trust,
    /// Whether it is for the target's name.
    pub(super) covers: bool,
}

/// Whether a chain is trusted here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    Trusted,
    /// The reason: `expired`, `unknown issuer`.
    Distrusted(String),
    /// This machine has no roots to compare with.
    Unknown,
}

/// An HTTP response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) server: Option<String>,
    pub(super) location: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) alt_svc: Option<String>,
    /// Until the response's head was there.
    pub(super) first_byte: Duration,
    /// At most [`BODY_LIMIT`](super::http::BODY_LIMIT) bytes.
    pub(super) body: Vec<u8>,
    pub(super) end: BodyEnd,
    /// Redirects that were followed on the same address before this response: status and `Location`.
    pub(super) hops: Vec<(u16, String)>,
}

impl Page {
    /// Where the redirects lead: those that were followed, and the last one.
    pub(super) fn locations(&self) -> impl Iterator<Item = &String> {
        let followed = self.hops.iter().map(|(_, location)| location);
        followed.chain(&self.location)
    }

    pub(super) fn is_html(&self) -> bool {
        let said = self.content_type.as_deref().map(str::to_ascii_lowercase);
        said.is_some_and(|kind| kind.contains("html"))
            || self.body.trim_ascii_start().get(..9).is_some_and(|start| {
                start.eq_ignore_ascii_case(b"<!doctype") || start.starts_with(b"<html")
            })
    }
}

/// How a body ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum BodyEnd {
    #[default]
    Complete,
    /// At our limit of bytes or of patience with a slow but living sender.
    Cut,
    Broken(TalkError),
}

/// Why no QUIC handshake came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum QuicFailure {
    /// Silence.
    TimedOut,
    /// Nobody offers `h3`, or TCP does not get through either: given up early.
    GivenUp,
    /// This machine could not send, or the peer refused, in words.
    Other(String),
}

/// A sub-resource of the page.
#[derive(Clone, Debug)]
pub(super) struct PartObservation {
    pub(super) url: String,
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) v4: PartSide,
    pub(super) v6: PartSide,
}

/// A sub-resource over one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PartSide {
    /// Its name has no address of this family.
    NoAddress,
    /// Not asked, or the name could not be resolved, with the reason.
    Unknown(String),
    /// Not asked, because its addresses are the target's own and known to be broken.
    Broken,
    /// What came back, and from where it was asked.
    Asked {
        addresses: Vec<IpAddr>,
        at: Duration,
        took: Duration,
        outcome: Result<u16, String>,
    },
}

/// The timed client.
#[derive(Clone, Debug)]
pub(super) struct ClientObservation {
    /// `built-in`, or the command.
    pub(super) client: String,
    pub(super) port: u16,
    pub(super) at: Duration,
    pub(super) took: Duration,
    pub(super) outcome: ClientOutcome,
    pub(super) family: Option<Family>,
    /// When the client's first connection of each family was seen to start, since its own start; v4 then v6.
    pub(super) first_v4: Option<Duration>,
    pub(super) first_v6: Option<Duration>,
    /// The HTTP status that a command printed, as `curl -w %{http_code}` does.
    pub(super) status: Option<u16>,
}

impl ClientObservation {
    /// Whether anything shows that it talked to anybody: a connection of its own, or a status that it printed.
    pub(super) const fn was_seen(&self) -> bool {
        self.first_v4.is_some() || self.first_v6.is_some() || self.status.is_some()
    }
}

/// How the timed client ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClientOutcome {
    /// It got what it wanted: for the built-in client an HTTP status (or an open connection), for a command an exit
    /// status of 0, and no `000` printed in place of an HTTP status.
    Done { detail: String },
    /// It ended without success.
    Failed { detail: String },
    /// It was stopped at our bound.
    Stopped,
    /// It could not be started.
    NotStarted { why: String },
}

/// What the host itself shows (`--local`). An error says in words why something could not be read.
#[derive(Clone, Debug)]
pub(crate) struct LocalObservation {
    pub(super) at: Duration,
    pub(super) listeners: Result<Vec<Listener>, String>,
    pub(super) switches: Switches,
    pub(super) addresses: Result<Vec<HostAddress>, String>,
    pub(super) neighbours: Result<Neighbours, String>,
    pub(super) firewall: Result<Ruleset, FirewallRefusal>,
    pub(super) visits: Result<Visits, String>,
}

/// Why the firewall's rules could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FirewallRefusal {
    NotInstalled,
    NotAllowed,
    Failed(String),
}

/// Who came in while the host was watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Visits {
    pub(super) watched: Duration,
    /// Connections whose SYN-ACK nobody had confirmed yet.
    pub(super) half_open: Vec<HalfOpen>,
    /// Machines whose connections were complete.
    pub(super) completed_v4: usize,
    pub(super) completed_v6: usize,
}

/// A connection whose SYN-ACK was not confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HalfOpen {
    pub(super) peer: IpAddr,
    /// On this host.
    pub(super) port: u16,
    /// How often the SYN-ACK was repeated.
    pub(super) retransmits: u8,
}
