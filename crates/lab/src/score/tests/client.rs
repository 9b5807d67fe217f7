//! The made-up client: a schedule of packets for each scenario, as the network of that scenario would let it happen.

use crate::score::{
    Ending, Fate, Flow, Kind, Packet, Plan, Reply, Run, SLOW, Scenario, Step, TLS_PORT, Transport,
    Visit, What,
};
use crate::world::model::Family;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use twinstack_dns::RecordType;

/// A client of Happy Eyeballs in numbers.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// `None` waits for all answers.
    pub(super) resolution_delay: Option<Duration>,
    pub(super) attempt_delay: Duration,
    pub(super) multiplier: f64,
    pub(super) first: Family,
    pub(super) first_count: usize,
    pub(super) cap: Option<usize>,
    pub(super) asks: Vec<&'static str>,
    pub(super) keeps_running: bool,
    pub(super) after_refusal: Duration,
    pub(super) tls_decides: bool,
}

pub(super) const ALL_DEAD_LIMIT: Duration = Duration::from_secs(8);

const LIMIT: Duration = Duration::from_secs(5);
/// The round trip to the resolver and to the service.
const ROUND_TRIP: Duration = Duration::from_millis(14);
/// The round trip to whoever refuses.
const REFUSAL: Duration = Duration::from_micros(300);
const START: Duration = Duration::from_secs(1_700_000_000);

/// All runs of a sweep.
pub(super) fn sweep(client: &Client, port: u16) -> Vec<Run> {
    let plan = Plan {
        quick: false,
        limit: LIMIT,
        port,
    };
    let mut runs = Vec::new();
    for scenario in plan.scenarios() {
        for _ in 0..scenario.runs {
            runs.push(client.run(&scenario, port));
        }
    }
    runs
}

/// The packets so far.
struct Log {
    packets: Vec<Packet>,
    limit: Duration,
    port: u16,
}

impl Log {
    fn put(&mut self, at: Duration, what: What) {
        if at <= self.limit {
            self.packets.push(Packet {
                at: START + at,
                what,
            });
        }
    }

    fn step(&mut self, at: Duration, number: usize, address: IpAddr, step: Step) {
        let client: IpAddr = match address {
            IpAddr::V4(_) => "192.0.2.10".parse().unwrap(),
            IpAddr::V6(_) => "2e00:c::10".parse().unwrap(),
        };
        let flow = Flow {
            transport: Transport::Tcp,
            client: SocketAddr::new(client, 40_000 + u16::try_from(number).unwrap()),
            server: SocketAddr::new(address, self.port),
        };
        self.put(at, What::Connection { flow, step });
    }
}

impl Client {
    /// How many attempts begin within this time if nothing limits them.
    pub(super) fn starts_within(&self, limit: Duration) -> usize {
        let mut at = ROUND_TRIP;
        let mut gap = self.attempt_delay;
        let mut count = 0;
        while at <= limit && count < 20 {
            count += 1;
            at += gap;
            gap = self.longer(gap);
        }
        count
    }

    fn longer(&self, gap: Duration) -> Duration {
        let longer = gap.mul_f64(self.multiplier);
        // The draft's maximum binds what grows; a client may be born slower.
        longer.min(Duration::from_secs(2).max(gap))
    }

    fn run(&self, scenario: &Scenario, port: u16) -> Run {
        let mut log = Log {
            packets: Vec::new(),
            limit: scenario.limit,
            port,
        };
        let known = self.look_up(scenario, &mut log);
        let ended = self.race(scenario, &known, &mut log);
        let ended = ended.filter(|at| *at <= scenario.limit);
        log.packets.sort_by_key(|packet| packet.at);
        let ending = ended.map_or(Ending::Limit, |_| Ending::Exited(0));
        let ended = ended.unwrap_or(scenario.limit);
        log.packets.retain(|packet| packet.at <= START + ended);
        Run {
            scenario: scenario.clone(),
            visit: Visit::of(&log.packets, START + ended),
            ending,
        }
    }

    /// Asks, and says when which addresses are known.
    fn look_up(&self, scenario: &Scenario, log: &mut Log) -> Vec<(Duration, Family, Vec<IpAddr>)> {
        if scenario.kind == Kind::Literal {
            return [Family::V6, Family::V4]
                .map(|family| (Duration::ZERO, family, scenario.of(family).collect()))
                .to_vec();
        }
        let mut known = Vec::new();
        for (number, asked) in self.asks.iter().enumerate() {
            let (family, reply) = match *asked {
                "A" => (Some(Family::V4), scenario.a),
                "AAAA" => (Some(Family::V6), scenario.aaaa),
                _ => (
                    None,
                    Reply {
                        delay: Duration::ZERO,
                        lost: false,
                    },
                ),
            };
            if let (crate::score::ClientHost::Only(only), Some(family)) = (scenario.host, family)
                && only != family
            {
                continue;
            }
            let rtype: RecordType = asked.parse().unwrap();
            let at = Duration::from_micros(100 * number as u64);
            log.put(at, What::Asked { rtype });
            if reply.lost {
                continue;
            }
            let answered = ROUND_TRIP + reply.delay;
            let addresses: Vec<IpAddr> = match family {
                Some(family) => scenario.of(family).collect(),
                None if scenario.hints => scenario.addresses.iter().map(|it| it.0).collect(),
                None => Vec::new(),
            };
            log.put(
                answered,
                What::Answered {
                    rtype,
                    addresses: addresses.clone(),
                },
            );
            match family {
                Some(family) => known.push((answered, family, addresses)),
                None if scenario.hints => known.extend(
                    [Family::V6, Family::V4]
                        .map(|family| (answered, family, scenario.of(family).collect())),
                ),
                None => {}
            }
        }
        known.sort_by_key(|(at, ..)| *at);
        known
    }

    /// When the first attempt may start.
    fn beginning(&self, known: &[(Duration, Family, Vec<IpAddr>)]) -> Option<Duration> {
        let positive = known
            .iter()
            .find(|(_, _, addresses)| !addresses.is_empty())?
            .0;
        let all = known.last()?.0;
        let expected = self.asks.iter().filter(|it| **it != "HTTPS").count();
        let Some(delay) = self.resolution_delay else {
            // Waits for ever for an answer that never comes.
            return (known.len() >= expected).then_some(all);
        };
        let preferred = known.iter().find(|(_, family, _)| *family == self.first);
        match preferred {
            Some((at, ..)) => Some((*at).max(positive).min(positive + delay)),
            None if known.len() >= expected => Some(positive),
            None => Some(positive + delay),
        }
    }

    /// Connects; the time at which the client is content, or `None` if it never is.
    fn race(
        &self,
        scenario: &Scenario,
        known: &[(Duration, Family, Vec<IpAddr>)],
        log: &mut Log,
    ) -> Option<Duration> {
        let mut now = self.beginning(known)?;
        let mut gap = self.attempt_delay;
        let mut tried: Vec<IpAddr> = Vec::new();
        let mut content: Option<Duration> = None;
        loop {
            let next = self.next(known, &tried, now);
            let capped =
                self.cap.is_some_and(|cap| tried.len() >= cap) && scenario.kind != Kind::AllRefused;
            if content.is_some_and(|at| at <= now) || capped || now > scenario.limit {
                return content;
            }
            let Some(address) = next else {
                // Perhaps an answer is still to come.
                let later = known.iter().map(|(at, ..)| *at).find(|at| *at > now);
                match (later, content) {
                    (Some(later), None) => now = later,
                    _ => return content,
                }
                continue;
            };
            let number = tried.len();
            tried.push(address);
            log.step(now, number, address, Step::Requested);
            let mut after = gap;
            match scenario.fate(address)? {
                Fate::Works => {
                    content = Some(earlier(
                        content,
                        self.served(number, address, now + ROUND_TRIP, log),
                    ));
                }
                Fate::Slow => {
                    content = Some(earlier(content, self.slow(number, address, now, log)));
                }
                Fate::Silent => {
                    log.step(now + ROUND_TRIP, number, address, Step::Granted);
                    log.step(now + ROUND_TRIP, number, address, Step::Confirmed);
                    log.step(now + ROUND_TRIP, number, address, Step::Sent);
                    if !self.tls_decides {
                        return None;
                    }
                }
                Fate::Refuses => {
                    log.step(now + REFUSAL, number, address, Step::Refused);
                    after = REFUSAL + self.after_refusal;
                }
                Fate::Dead => self.unanswered(number, address, now, log),
            }
            now += after;
            gap = self.longer(gap);
        }
    }

    /// The address whose turn it is.
    fn next(
        &self,
        known: &[(Duration, Family, Vec<IpAddr>)],
        tried: &[IpAddr],
        now: Duration,
    ) -> Option<IpAddr> {
        let is_6to4 =
            |address: &IpAddr| matches!(address, IpAddr::V6(it) if it.segments()[0] == 0x2002);
        let of = |wanted: Family| {
            let mut list: Vec<IpAddr> = known
                .iter()
                .filter(|(at, family, _)| *at <= now && *family == wanted)
                .flat_map(|(_, _, addresses)| addresses.clone())
                .collect();
            list.sort_by_key(is_6to4);
            list.into_iter().find(|address| !tried.contains(address))
        };
        let other = if self.first == Family::V6 {
            Family::V4
        } else {
            Family::V6
        };
        let leading = tried.iter().all(|it| Family::of(*it) == self.first);
        let after_first = tried.last().is_some_and(|it| Family::of(*it) == self.first);
        let turn = if after_first && !(leading && tried.len() < self.first_count) {
            other
        } else {
            self.first
        };
        let second = if turn == Family::V6 {
            Family::V4
        } else {
            Family::V6
        };
        of(turn).or_else(|| of(second))
    }

    fn served(&self, number: usize, address: IpAddr, at: Duration, log: &mut Log) -> Duration {
        for step in [Step::Granted, Step::Confirmed, Step::Sent] {
            log.step(at, number, address, step);
        }
        let tls = if log.port == TLS_PORT { 2 } else { 1 };
        let done = at + ROUND_TRIP * tls;
        log.step(done, number, address, Step::Received);
        if self.tls_decides { done } else { at }
    }

    fn slow(&self, number: usize, address: IpAddr, now: Duration, log: &mut Log) -> Duration {
        let granted = now + SLOW + ROUND_TRIP;
        if self.keeps_running {
            return self.served(number, address, granted, log);
        }
        log.step(granted, number, address, Step::Granted);
        log.step(granted, number, address, Step::Broken);
        Duration::MAX
    }

    /// The kernel repeats the SYN every second.
    fn unanswered(&self, number: usize, address: IpAddr, now: Duration, log: &mut Log) {
        if !self.keeps_running {
            return;
        }
        let mut at = now + Duration::from_secs(1);
        while at < log.limit {
            log.step(at, number, address, Step::Requested);
            at += Duration::from_secs(1);
        }
    }
}

fn earlier(content: Option<Duration>, at: Duration) -> Duration {
    content.map_or(at, |content| content.min(at))
}
