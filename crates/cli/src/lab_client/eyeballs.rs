//! A small Happy Eyeballs client (RFC 8305): A and AAAA asked apart, the families in turn, the next attempt when the
//! last one failed or has not answered for a while.
//!
//! [`Line`] decides and has no clock; [`connect`] has the sockets.

use super::ClientError;
use super::journal::Journal;
use super::url::Url;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use twinstack_dns::{AskOptions, Client, Name, Question, RecordType};
use twinstack_lab::world::model::Family;

/// RFC 8305 section 5: recommended 250 ms.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// RFC 8305 section 3: recommended 50 ms for AAAA to arrive when A was first.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);

pub(super) async fn connect(url: &Url, journal: &Journal) -> Result<TcpStream, ClientError> {
    let mut line = Line::default();
    let mut lookups = JoinSet::new();
    if let Some(address) = url.address() {
        journal.resolved();
        line.answered(Family::of(address), vec![address], Instant::now());
        line.answered(other(Family::of(address)), Vec::new(), Instant::now());
    } else {
        let servers = servers()?;
        for family in [Family::V6, Family::V4] {
            lookups.spawn(lookup(
                question(&url.host, family)?,
                servers.clone(),
                family,
            ));
        }
    }
    let mut connects = JoinSet::new();
    loop {
        let wait = match line.next(Instant::now()) {
            Next::Start(address) => {
                journal.began(address);
                let socket = SocketAddr::new(address, url.port);
                connects.spawn(async move { (address, TcpStream::connect(socket).await) });
                continue;
            }
            Next::Wait(until) => Some(until),
            Next::Nothing => None,
        };
        tokio::select! {
            Some(Ok((family, addresses))) = lookups.join_next() => {
                if !addresses.is_empty() {
                    journal.resolved();
                }
                line.answered(family, addresses, Instant::now());
            }
            Some(Ok((address, result))) = connects.join_next() => {
                journal.ended(address, &result);
                match result {
                    Ok(stream) => return Ok(stream),
                    Err(_) => line.failed(),
                }
            }
            () = tokio::time::sleep_until(wait.unwrap_or_else(Instant::now)), if wait.is_some() => {}
            else => break,
        }
    }
    Err(if line.had_addresses {
        ClientError::NotConnected(url.host.clone())
    } else {
        ClientError::NoAddress(url.host.clone())
    })
}

fn servers() -> Result<Vec<SocketAddr>, ClientError> {
    let path = Path::new("/etc/resolv.conf");
    match twinstack_dns::client::system_resolvers(path) {
        Ok((_, servers)) if !servers.is_empty() => Ok(servers),
        Ok(_) => Err(ClientError::Resolvers(format!(
            "`{}` names no resolver",
            path.display()
        ))),
        Err(error) => Err(ClientError::Resolvers(error.to_string())),
    }
}

fn question(host: &str, family: Family) -> Result<Question, ClientError> {
    let name = Name::parse(host).map_err(|error| ClientError::Resolvers(error.to_string()))?;
    let rtype = match family {
        Family::V4 => RecordType::A,
        Family::V6 => RecordType::AAAA,
    };
    Ok(Question::new(name, rtype))
}

/// The addresses of one family, from the first resolver that answers.
async fn lookup(
    question: Question,
    servers: Vec<SocketAddr>,
    family: Family,
) -> (Family, Vec<IpAddr>) {
    for server in servers {
        let exchange = Client::new(server)
            .ask(&question, &AskOptions::default())
            .await;
        if let Ok(response) = exchange.outcome {
            let (_, records) = response.answers_to(&question);
            return (
                family,
                records
                    .iter()
                    .filter_map(|record| record.data.address())
                    .collect(),
            );
        }
    }
    (family, Vec::new())
}

const fn other(family: Family) -> Family {
    match family {
        Family::V4 => Family::V6,
        Family::V6 => Family::V4,
    }
}

/// The addresses that wait for their turn.
#[derive(Debug)]
struct Line {
    waiting_v6: VecDeque<IpAddr>,
    waiting_v4: VecDeque<IpAddr>,
    unanswered: Vec<Family>,
    /// The family of the last attempt.
    last: Option<Family>,
    not_before: Option<Instant>,
    had_addresses: bool,
}

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Start(IpAddr),
    Wait(Instant),
    /// Until an answer arrives or an attempt ends.
    Nothing,
}

impl Default for Line {
    fn default() -> Self {
        Self {
            waiting_v6: VecDeque::new(),
            waiting_v4: VecDeque::new(),
            unanswered: vec![Family::V6, Family::V4],
            last: None,
            not_before: None,
            had_addresses: false,
        }
    }
}

impl Line {
    fn waiting(&mut self, family: Family) -> &mut VecDeque<IpAddr> {
        match family {
            Family::V4 => &mut self.waiting_v4,
            Family::V6 => &mut self.waiting_v6,
        }
    }

    /// The answer for one family; empty for "none" and for "nobody answered".
    fn answered(&mut self, family: Family, addresses: Vec<IpAddr>, now: Instant) {
        self.unanswered.retain(|it| *it != family);
        self.had_addresses |= !addresses.is_empty();
        self.waiting(family).extend(addresses);
        // RFC 8305 section 3: IPv6 starts at once; IPv4 gives the AAAA a moment, unless it is known already.
        if self.last.is_none() {
            self.not_before = match (family, self.unanswered.contains(&Family::V6)) {
                (Family::V4, true) => now.checked_add(RESOLUTION_DELAY),
                _ => None,
            };
        }
    }

    /// An attempt failed: the next one need not wait (RFC 8305 section 5).
    const fn failed(&mut self) {
        self.not_before = None;
    }

    fn next(&mut self, now: Instant) -> Next {
        // RFC 8305 section 4: IPv6 first, then the families in turn.
        let turn = self.last.map_or(Family::V6, other);
        let family = if self.waiting(turn).is_empty() {
            other(turn)
        } else {
            turn
        };
        if self.waiting(family).is_empty() {
            return Next::Nothing;
        }
        if let Some(until) = self.not_before.filter(|until| *until > now) {
            return Next::Wait(until);
        }
        match self.waiting(family).pop_front() {
            Some(address) => {
                self.last = Some(family);
                self.not_before = now.checked_add(ATTEMPT_DELAY);
                Next::Start(address)
            }
            None => Next::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(last: u16) -> IpAddr {
        IpAddr::from([0x2e00, 5, 0, 0, 0, 0, 0, last])
    }

    fn v4(last: u8) -> IpAddr {
        IpAddr::from([198, 51, 100, last])
    }

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let mut now = Instant::now();
        let mut line = Line::default();
        line.answered(Family::V6, vec![v6(1), v6(2), v6(3)], now);
        line.answered(Family::V4, vec![v4(1)], now);
        for expected in [v6(1), v4(1), v6(2), v6(3)] {
            assert_eq!(line.next(now), Next::Start(expected));
            if let Next::Wait(until) = line.next(now) {
                assert_eq!(until, now + ATTEMPT_DELAY);
            }
            now += ATTEMPT_DELAY;
        }
        assert_eq!(line.next(now), Next::Nothing);
    }

    #[test]
    fn an_early_a_waits_for_the_aaaa_but_not_for_long() {
        let now = Instant::now();
        let mut line = Line::default();
        line.answered(Family::V4, vec![v4(1)], now);
        assert_eq!(line.next(now), Next::Wait(now + RESOLUTION_DELAY));
        assert_eq!(line.next(now + RESOLUTION_DELAY), Next::Start(v4(1)));
    }

    #[test]
    fn a_late_aaaa_does_not_restart_attempts() {
        let now = Instant::now();
        let mut line = Line::default();
        line.answered(Family::V4, vec![v4(1), v4(2)], now);
        let started = now + RESOLUTION_DELAY;
        assert_eq!(line.next(started), Next::Start(v4(1)));
        line.answered(Family::V6, vec![v6(1)], started);
        assert_eq!(line.next(started), Next::Wait(started + ATTEMPT_DELAY));
        assert_eq!(line.next(started + ATTEMPT_DELAY), Next::Start(v6(1)));
    }

    #[test]
    fn nodata_for_aaaa_ends_the_wait_of_the_a() {
        let now = Instant::now();
        let mut line = Line::default();
        line.answered(Family::V4, vec![v4(1)], now);
        line.answered(Family::V6, Vec::new(), now);
        assert_eq!(line.next(now), Next::Start(v4(1)));
    }

    #[test]
    fn a_failure_lets_the_next_attempt_start_at_once() {
        let now = Instant::now();
        let mut line = Line::default();
        line.answered(Family::V6, vec![v6(1)], now);
        line.answered(Family::V4, vec![v4(1)], now);
        assert_eq!(line.next(now), Next::Start(v6(1)));
        line.failed();
        assert_eq!(line.next(now), Next::Start(v4(1)));
    }

    #[test]
    fn no_answers_mean_nothing_to_do() {
        let now = Instant::now();
        let mut line = Line::default();
        assert_eq!(line.next(now), Next::Nothing);
        line.answered(Family::V6, Vec::new(), now);
        line.answered(Family::V4, Vec::new(), now);
        assert_eq!((line.next(now), line.had_addresses), (Next::Nothing, false));
    }
}
