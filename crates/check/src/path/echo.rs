//! ICMP echo: a series for round trips and loss, and echoes too large for one packet.
//!
//! Unprivileged ICMP sockets first (`net.ipv4.ping_group_range`, which counts for IPv6 too), raw ones second.

use super::observation::Series;
use super::{Family, Plan, socket, wire};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep_until};

/// Payload of a small echo: as much as `ping` sends.
const SMALL: usize = 56;

/// ICMP message of the echo that needs two fragments each way.
const LARGE: usize = 2000;

/// How many small echoes, and how far apart. With two dozen, a path that loses a third of all round trips passes for
/// loss-free once in 50,000 runs.
const SERIES: Pace = Pace {
    count: 24,
    spacing: Duration::from_millis(15),
    first_only: false,
};

/// How many fragmented echoes until one is answered. Over a path that loses a fifth of the packets each way, one in
/// 2.4 comes back.
const FRAGMENTED: Pace = Pace {
    count: 24,
    spacing: Duration::from_millis(25),
    first_only: true,
};

/// The shortest wait for stragglers behind the last echo.
const WAIT: Duration = Duration::from_millis(700);

#[derive(Clone, Copy)]
struct Pace {
    count: u16,
    spacing: Duration,
    /// One answer is enough.
    first_only: bool,
}

/// What the connections to the same address have shown so far: how far away it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Distance {
    /// Ports whose connection has neither opened nor failed yet.
    pub(super) pending: usize,
    /// The quickest connection.
    pub(super) quickest: Option<Duration>,
}

impl Distance {
    /// How long stragglers may take; `None` while that is not known.
    fn patience(self) -> Option<Duration> {
        match self.quickest {
            Some(quickest) => Some(WAIT.max(quickest * 3)),
            None => (self.pending == 0).then_some(WAIT),
        }
    }
}

/// A socket for echoes to one address.
pub(super) struct Echo {
    socket: UdpSocket,
    family: Family,
    with_ip_header: bool,
    id: u16,
    token: [u8; 8],
}

impl Echo {
    /// Opens a socket. An error means that this machine does not allow it, or has no route.
    pub(super) fn open(address: IpAddr) -> io::Result<Self> {
        let family = Family::of(address);
        let protocol = match family {
            Family::V4 => Protocol::ICMPV4,
            Family::V6 => Protocol::ICMPV6,
        };
        let to = SocketAddr::new(address, 0);
        let domain = Domain::for_address(to);
        let (socket, raw) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
            Ok(socket) => (socket, false),
            Err(_) => (Socket::new(domain, Type::RAW, Some(protocol))?, true),
        };
        socket.set_nonblocking(true)?;
        socket.connect(&to.into())?;
        // `UdpSocket` is only a descriptor with `send` and `recv`, and both mean the same on ICMP sockets.
        let socket = UdpSocket::from_std(socket.into())?;
        let chance = std::hash::RandomState::new()
            .build_hasher()
            .finish()
            .to_ne_bytes();
        let id = u16::from_ne_bytes([chance[0], chance[1]]);
        let with_ip_header = raw && family == Family::V4;
        Ok(Self {
            socket,
            family,
            with_ip_header,
            id,
            token: chance,
        })
    }

    /// Small echoes for round trips and loss.
    pub(super) async fn series(&self, plan: &Plan, distance: Receiver<Distance>) -> Series {
        self.send(plan, SERIES, SMALL, distance).await
    }

    /// Echoes in fragments, until one is answered.
    pub(super) async fn fragmented(&self, plan: &Plan, distance: Receiver<Distance>) -> Series {
        if socket::allow_fragments(&self.socket, self.family).is_err() {
            return Series {
                at: plan.now(),
                ..Series::default()
            };
        }
        let pace = Pace {
            // As many as fit through a slow line: those that wait there would be in the way of what comes next.
            spacing: if plan.one_by_one() {
                FRAGMENTED.spacing * 10
            } else {
                FRAGMENTED.spacing
            },
            ..FRAGMENTED
        };
        self.send(plan, pace, LARGE - 8, distance).await
    }

    async fn send(
        &self,
        plan: &Plan,
        pace: Pace,
        payload: usize,
        mut distance: Receiver<Distance>,
    ) -> Series {
        let at = plan.now();
        let begun = Instant::now();
        let mut sent: Vec<Instant> = Vec::new();
        let mut round_trips: BTreeMap<u16, Duration> = BTreeMap::new();
        let mut buffer = vec![0; 4096];
        let mut last = begun;
        loop {
            let next = sent.len();
            let more = next < usize::from(pace.count);
            let wake = if more {
                Some(begun + pace.spacing * next.try_into().unwrap_or(0))
            } else {
                // An address that takes two seconds to open a connection may take as long for an echo.
                distance
                    .borrow_and_update()
                    .patience()
                    .map(|patience| last + patience)
            };
            tokio::select! {
                // Answers first: a late look at the clock would lengthen their round trips.
                biased;
                received = self.socket.recv(&mut buffer) => {
                    let now = Instant::now();
                    // An error is an ICMP message about an earlier echo: that echo stays unanswered.
                    let packet = received.ok().and_then(|length| buffer.get(..length)).unwrap_or_default();
                    let reply = wire::echo_reply(self.family, self.with_ip_header, packet, self.token);
                    if let Some(sequence) = reply
                        && let Some(start) = sent.get(usize::from(sequence))
                    {
                        round_trips.entry(sequence).or_insert(now - *start);
                        let all = !more && round_trips.len() == sent.len();
                        if pace.first_only || all {
                            break;
                        }
                    }
                }
                Ok(()) = distance.changed(), if !more => {}
                () = sleep_until(wake.unwrap_or(begun)), if wake.is_some() => {
                    if !more {
                        break;
                    }
                    let sequence = u16::try_from(next).unwrap_or(u16::MAX);
                    let packet = wire::echo_request(self.family, self.id, sequence, self.token, payload);
                    last = Instant::now();
                    sent.push(last);
                    // A refused send counts as sent and lost.
                    self.socket.send(&packet).await.ok();
                }
            }
        }
        Series {
            at,
            sent: u32::try_from(sent.len()).unwrap_or(u32::MAX),
            round_trips: round_trips.into_values().collect(),
        }
    }
}

/// Whether an error of [`Echo::open`] means that ICMP sockets are not allowed here.
pub(super) fn not_allowed(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::rule::fixture::plan;

    #[tokio::test]
    async fn loopback_answers_echoes_of_both_kinds_where_they_are_allowed() {
        let near = Distance {
            pending: 0,
            quickest: Some(Duration::from_millis(1)),
        };
        let (_sender, distance) = tokio::sync::watch::channel(near);
        for address in ["127.0.0.1", "::1"] {
            let echo = match Echo::open(address.parse().unwrap()) {
                Ok(echo) => echo,
                Err(error) => {
                    // Nothing else may be wrong with the loopback.
                    assert!(not_allowed(&error), "{error}");
                    continue;
                }
            };
            let plan = plan(&[address], &[80]);
            let series = echo.series(&plan, distance.clone()).await;
            assert_eq!((series.sent, series.lost()), (24, 0), "{address}");
            assert!(series.median().unwrap() < Duration::from_millis(200));
            let series = echo.fragmented(&plan, distance.clone()).await;
            assert_eq!(series.answered(), 1, "{address}");
        }
    }

    #[test]
    fn stragglers_are_waited_for_as_long_as_the_address_is_far() {
        let check = |pending, quickest: Option<u64>, expected: Option<u64>| {
            let distance = Distance {
                pending,
                quickest: quickest.map(Duration::from_millis),
            };
            assert_eq!(distance.patience(), expected.map(Duration::from_millis));
        };
        check(2, None, None);
        check(0, None, Some(700));
        check(1, Some(14), Some(700));
        check(0, Some(2010), Some(6030));
    }
}
