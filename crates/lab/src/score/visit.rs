//! One run of a client: its questions and attempts in order, with times from its first packet on.

use super::packet::{Flow, Packet, Step, Transport, What};
use crate::world::model::Family;
use serde::{Serialize, Serializer};
use std::net::IpAddr;
use std::time::Duration;
use twinstack_dns::RecordType;

/// What a client did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Visit {
    /// Its questions, one entry a type, in the order in which they were first asked.
    pub lookups: Vec<Lookup>,
    /// Its attempts to connect, in the order in which they began.
    pub attempts: Vec<Attempt>,
    /// Until the program ended, or was ended.
    #[serde(rename = "elapsed_seconds", serialize_with = "seconds")]
    pub elapsed: Duration,
}

/// A question to the DNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lookup {
    /// The type.
    #[serde(serialize_with = "text")]
    pub rtype: RecordType,
    /// When it was asked.
    #[serde(rename = "asked_seconds", serialize_with = "seconds")]
    pub asked: Duration,
    /// When it was asked again.
    #[serde(rename = "repeated_seconds", serialize_with = "list")]
    pub repeated: Vec<Duration>,
    /// When the first answer came.
    #[serde(rename = "answered_seconds", serialize_with = "option")]
    pub answered: Option<Duration>,
    /// The addresses in it.
    pub addresses: Vec<IpAddr>,
}

/// An attempt to connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// Where to.
    pub address: IpAddr,
    /// Its family.
    pub family: Family,
    /// The port.
    pub port: u16,
    /// The protocol.
    pub transport: Transport,
    /// The first SYN, or the first Initial packet.
    #[serde(rename = "started_seconds", serialize_with = "seconds")]
    pub started: Duration,
    /// The same packet again, sent by the kernel or the QUIC library: proof that nobody has given up.
    #[serde(rename = "repeated_seconds", serialize_with = "list")]
    pub repeated: Vec<Duration>,
    /// The server agreed.
    #[serde(rename = "granted_seconds", serialize_with = "option")]
    pub granted: Option<Duration>,
    /// The client confirmed: it still wanted to.
    #[serde(rename = "confirmed_seconds", serialize_with = "option")]
    pub confirmed: Option<Duration>,
    /// The server refused.
    #[serde(rename = "refused_seconds", serialize_with = "option")]
    pub refused: Option<Duration>,
    /// The client broke it off, or had closed the socket when the server agreed.
    #[serde(rename = "broken_seconds", serialize_with = "option")]
    pub broken: Option<Duration>,
    /// The first data from the client.
    #[serde(rename = "sent_seconds", serialize_with = "option")]
    pub sent: Option<Duration>,
    /// The first data from the server.
    #[serde(rename = "received_seconds", serialize_with = "option")]
    pub received: Option<Duration>,
    #[serde(skip)]
    flow: Flow,
}

impl Visit {
    /// Puts the packets of a run in order; `None` if the client sent nothing that belongs to it.
    pub fn of(packets: &[Packet], ended: Duration) -> Option<Self> {
        let is_beginning = |packet: &&Packet| {
            matches!(
                packet.what,
                What::Asked { .. }
                    | What::Connection {
                        step: Step::Requested,
                        ..
                    }
            )
        };
        let began = packets.iter().find(is_beginning)?.at;
        let mut visit = Self {
            lookups: Vec::new(),
            attempts: Vec::new(),
            elapsed: ended.saturating_sub(began),
        };
        for packet in packets.iter().filter(|packet| packet.at >= began) {
            let at = packet.at.saturating_sub(began);
            match &packet.what {
                What::Asked { rtype } => visit.asked(*rtype, at),
                What::Answered { rtype, addresses } => visit.answered(*rtype, addresses, at),
                What::Connection { flow, step } => visit.step(*flow, *step, at),
            }
        }
        Some(visit)
    }

    fn asked(&mut self, rtype: RecordType, at: Duration) {
        match self.lookups.iter_mut().find(|it| it.rtype == rtype) {
            Some(lookup) => lookup.repeated.push(at),
            None => self.lookups.push(Lookup {
                rtype,
                asked: at,
                repeated: Vec::new(),
                answered: None,
                addresses: Vec::new(),
            }),
        }
    }

    fn answered(&mut self, rtype: RecordType, addresses: &[IpAddr], at: Duration) {
        if let Some(lookup) = self.lookups.iter_mut().find(|it| it.rtype == rtype)
            && lookup.answered.is_none()
        {
            lookup.answered = Some(at);
            lookup.addresses = addresses.to_vec();
        }
    }

    fn step(&mut self, flow: Flow, step: Step, at: Duration) {
        // A flow is used again only for a new attempt after the last one has ended.
        let known = self.attempts.iter_mut().rev().find(|it| it.flow == flow);
        let Some(attempt) = known else {
            if step == Step::Requested {
                self.attempts.push(Attempt::new(flow, at));
            }
            return;
        };
        match step {
            Step::Requested if attempt.refused.is_some() || attempt.broken.is_some() => {
                self.attempts.push(Attempt::new(flow, at));
            }
            Step::Requested if attempt.granted.is_none() => attempt.repeated.push(at),
            Step::Granted => {
                attempt.granted.get_or_insert(at);
            }
            // QUIC's Initial packets also carry the client's confirmation.
            Step::Requested | Step::Confirmed => {
                if attempt.granted.is_some() {
                    attempt.confirmed.get_or_insert(at);
                }
            }
            Step::Refused => {
                // After the server agreed, a reset only ends a connection that was open.
                if attempt.granted.is_none() {
                    attempt.refused.get_or_insert(at);
                }
            }
            Step::Broken => {
                attempt.broken.get_or_insert(at);
            }
            Step::Sent => {
                if attempt.granted.is_some() {
                    attempt.confirmed.get_or_insert(at);
                }
                attempt.sent.get_or_insert(at);
            }
            Step::Received => {
                attempt.received.get_or_insert(at);
            }
        }
    }

    /// The question for a type.
    pub fn lookup(&self, rtype: RecordType) -> Option<&Lookup> {
        self.lookups.iter().find(|lookup| lookup.rtype == rtype)
    }

    /// When the answer for a type came.
    pub fn answered_at(&self, rtype: RecordType) -> Option<Duration> {
        self.lookup(rtype)?.answered
    }

    /// The attempt that the client kept: the first that got data, or else the first that was confirmed.
    pub fn winner(&self) -> Option<&Attempt> {
        let answered = self
            .attempts
            .iter()
            .filter(|attempt| attempt.received.is_some())
            .min_by_key(|attempt| attempt.received);
        answered.or_else(|| {
            self.attempts
                .iter()
                .filter(|attempt| attempt.confirmed.is_some())
                .min_by_key(|attempt| attempt.confirmed)
        })
    }

    /// When it had what it wanted, or else when it ended.
    pub fn settled(&self) -> Duration {
        let winner = self.winner();
        winner
            .and_then(|attempt| attempt.received.or(attempt.confirmed))
            .unwrap_or(self.elapsed)
    }

    /// The times between the starts of successive attempts.
    pub fn gaps(&self) -> Vec<Duration> {
        self.attempts
            .windows(2)
            .filter_map(|pair| match pair {
                [one, next] => Some(next.started.saturating_sub(one.started)),
                _ => None,
            })
            .collect()
    }
}

impl Attempt {
    fn new(flow: Flow, at: Duration) -> Self {
        Self {
            address: flow.server.ip(),
            family: Family::of(flow.server.ip()),
            port: flow.server.port(),
            transport: flow.transport,
            started: at,
            repeated: Vec::new(),
            granted: None,
            confirmed: None,
            refused: None,
            broken: None,
            sent: None,
            received: None,
            flow,
        }
    }

    /// The last moment at which the packets prove that the client had not given it up.
    pub fn last_sign(&self) -> Duration {
        self.repeated.last().copied().unwrap_or(self.started)
    }

    /// The first moment at which it had ended for certain, seen from outside: it was decided one way or the other, or
    /// the next repetition of its SYN did not come. The kernel doubles the time between them, or keeps it at one second.
    pub fn end(&self) -> Duration {
        let decided = [self.confirmed, self.refused, self.broken];
        if let Some(decided) = decided.into_iter().flatten().min() {
            return decided;
        }
        let before = self.repeated.iter().rev().nth(1).unwrap_or(&self.started);
        let last = self.last_sign();
        let next = last.saturating_sub(*before).saturating_mul(2);
        last.saturating_add(next.max(FIRST_REPETITION))
    }
}

/// The initial retransmission timeout of TCP (RFC 6298 section 2), and a little for the timer.
const FIRST_REPETITION: Duration = Duration::from_millis(1100);

pub(super) fn seconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(rounded(*duration))
}

#[expect(clippy::ref_option, reason = "serde passes fields so")]
pub(super) fn option<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration.map(rounded).serialize(serializer)
}

pub(super) fn list<S: Serializer>(
    durations: &[Duration],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(durations.iter().copied().map(rounded))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn text<S: Serializer>(value: &RecordType, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Seconds to the microsecond: what the recording's clock is good for.
fn rounded(duration: Duration) -> f64 {
    Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)).as_secs_f64()
}

#[cfg(test)]
mod tests;
