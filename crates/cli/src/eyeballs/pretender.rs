//! A client whose every habit follows from a seed: `lab eyeballs` has to find them all out from outside.
//!
//! It is no model for anybody: it gives up nothing and connects to the first that answers.

use crate::environment::Environment;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;
use twinstack_dns::{AskOptions, Client, Name, Question, RecordType};
use twinstack_lab::world::model::Family;

/// What to pretend, and to whom.
#[derive(Clone, Debug, Args)]
pub(crate) struct PretenderArguments {
    /// Everything follows from it
    #[arg(long)]
    seed: u64,
    /// Prints the habits as JSON instead of connecting
    #[arg(long)]
    describe: bool,
    /// Whom to connect to
    #[arg(required_unless_present = "describe")]
    host: Option<String>,
    /// On which port
    #[arg(required_unless_present = "describe")]
    port: Option<u16>,
}

/// The habits of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Habits {
    /// How long an answer for the other family waits for that of the first.
    pub(crate) resolution_delay_ms: u64,
    /// How long the next attempt waits for the one before.
    pub(crate) attempt_delay_ms: u64,
    /// Which family goes first.
    pub(crate) first: Family,
    /// With so many attempts, before the families take turns.
    pub(crate) first_count: usize,
    /// No more attempts than this at one time.
    pub(crate) cap: usize,
}

impl Habits {
    pub(crate) const fn of(seed: u64) -> Self {
        const fn one_of(seed: u64, turn: u64, from: u64, to: u64) -> u64 {
            from + super::sweep::mix(seed ^ super::sweep::mix(turn)) % (to - from + 1)
        }
        Self {
            resolution_delay_ms: one_of(seed, 1, 30, 150),
            attempt_delay_ms: one_of(seed, 2, 100, 350),
            first: if one_of(seed, 3, 0, 3) == 0 {
                Family::V4
            } else {
                Family::V6
            },
            first_count: if one_of(seed, 4, 0, 1) == 0 { 1 } else { 2 },
            cap: match one_of(seed, 5, 0, 3) {
                0 => 3,
                1 => 4,
                2 => 5,
                _ => 6,
            },
        }
    }
}

/// Connects, waits for nothing more, and returns 0; 1 if nothing could be connected to.
pub(crate) fn run(
    arguments: &PretenderArguments,
    environment: &mut Environment<'_>,
) -> anyhow::Result<u8> {
    let habits = Habits::of(arguments.seed);
    let (Some(host), Some(port), false) = (&arguments.host, arguments.port, arguments.describe)
    else {
        let text = serde_json::to_string(&habits)?;
        environment.stdout.print(&format!("{text}\n"))?;
        return Ok(0);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let connected = runtime.block_on(connect(habits, host, port))?;
    Ok(u8::from(!connected))
}

async fn connect(habits: Habits, host: &str, port: u16) -> anyhow::Result<bool> {
    let mut race = Race {
        habits,
        waiting: [VecDeque::new(), VecDeque::new()],
        unanswered: [true, true],
        tried: Vec::new(),
        not_before: None,
    };
    let mut lookups = JoinSet::new();
    if let Ok(address) = host.parse::<IpAddr>() {
        race.answered(Family::of(address), vec![address], Instant::now());
        race.answered(other(Family::of(address)), Vec::new(), Instant::now());
    } else {
        let name = Name::parse(host)?;
        let (_, servers) = twinstack_dns::client::system_resolvers(Path::new("/etc/resolv.conf"))?;
        for family in [Family::V6, Family::V4] {
            lookups.spawn(look_up(name.clone(), family, servers.clone()));
        }
    }
    let mut attempts = JoinSet::new();
    loop {
        let now = Instant::now();
        let due = race.due();
        if due.is_some_and(|due| due <= now) && attempts.len() < habits.cap {
            if let Some(address) = race.next(now) {
                attempts.spawn(TcpStream::connect(SocketAddr::new(address, port)));
            }
            continue;
        }
        let timer = due.filter(|_| attempts.len() < habits.cap);
        tokio::select! {
            Some(Ok((family, addresses))) = lookups.join_next() => {
                race.answered(family, addresses, Instant::now());
            }
            Some(Ok(attempt)) = attempts.join_next() => {
                if attempt.is_ok() {
                    return Ok(true);
                }
                // A pause that is well above ten milliseconds.
                race.not_before = Some(Instant::now() + AFTER_REFUSAL);
            }
            () = tokio::time::sleep_until(timer.unwrap_or(now)), if timer.is_some() => {}
            else => return Ok(false),
        }
    }
}

const AFTER_REFUSAL: Duration = Duration::from_millis(20);

async fn look_up(name: Name, family: Family, servers: Vec<SocketAddr>) -> (Family, Vec<IpAddr>) {
    let rtype = match family {
        Family::V4 => RecordType::A,
        Family::V6 => RecordType::AAAA,
    };
    let question = Question::new(name, rtype);
    for server in servers {
        let exchange = Client::new(server)
            .ask(&question, &AskOptions::default())
            .await;
        if let Ok(response) = exchange.outcome {
            let (_, records) = response.answers_to(&question);
            let addresses = records.iter().filter_map(|record| record.data.address());
            return (family, addresses.collect());
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

/// Which address is next, and when.
struct Race {
    habits: Habits,
    /// Of the first family, of the other.
    waiting: [VecDeque<IpAddr>; 2],
    unanswered: [bool; 2],
    tried: Vec<Family>,
    not_before: Option<Instant>,
}

impl Race {
    fn place(&self, family: Family) -> usize {
        usize::from(family != self.habits.first)
    }

    fn answered(&mut self, family: Family, addresses: Vec<IpAddr>, now: Instant) {
        let place = self.place(family);
        let positive = !addresses.is_empty();
        if let Some(unanswered) = self.unanswered.get_mut(place) {
            *unanswered = false;
        }
        if let Some(waiting) = self.waiting.get_mut(place) {
            waiting.extend(addresses);
        }
        if self.tried.is_empty() {
            let delay = Duration::from_millis(self.habits.resolution_delay_ms);
            self.not_before = match (place, self.unanswered[0]) {
                (1, true) if positive => Some(now + delay),
                // The first family has answered, or nothing is known.
                (1, true) => self.not_before,
                _ => Some(now),
            };
        }
    }

    /// When the next attempt is due; `None` if there is no address.
    fn due(&self) -> Option<Instant> {
        let any = self.waiting.iter().any(|list| !list.is_empty());
        self.not_before.filter(|_| any)
    }

    fn next(&mut self, now: Instant) -> Option<IpAddr> {
        let first = self.habits.first;
        let turn = match self.tried.last() {
            None => first,
            Some(last) if *last != first => first,
            Some(_) if self.tried.len() < self.habits.first_count => first,
            Some(_) => other(first),
        };
        let family = if self.waiting[self.place(turn)].is_empty() {
            other(turn)
        } else {
            turn
        };
        let place = self.place(family);
        let address = self.waiting.get_mut(place)?.pop_front()?;
        self.tried.push(family);
        self.not_before = Some(now + Duration::from_millis(self.habits.attempt_delay_ms));
        Some(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn habits_differ_from_seed_to_seed_and_never_for_one_seed() {
        assert_eq!(Habits::of(7), Habits::of(7));
        let delays: std::collections::BTreeSet<u64> = (0..40)
            .map(|seed| Habits::of(seed).attempt_delay_ms)
            .collect();
        assert!(delays.len() > 20, "{delays:?}");
        assert!((0..40).any(|seed| Habits::of(seed).first == Family::V4));
        for seed in 0..40 {
            let habits = Habits::of(seed);
            assert!(
                (30..=150).contains(&habits.resolution_delay_ms),
                "{habits:?}"
            );
            assert!((100..=350).contains(&habits.attempt_delay_ms), "{habits:?}");
            assert!((3..=6).contains(&habits.cap), "{habits:?}");
        }
    }
}
