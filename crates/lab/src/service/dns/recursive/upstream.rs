//! Asking the servers of a zone: which first, and which at the same time.

use super::{Resolver, lock};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use twinstack_dns::client::{AskOptions, Client, Exchange};
use twinstack_dns::{AskError, Question, Rcode, Response};

/// How long an answer may take. A slow server must not look like a dead one.
const TRY: Duration = Duration::from_secs(2);

/// How long a server has for its answer before the next one is asked as well.
const HEAD_START: Duration = Duration::from_millis(300);

/// How long the last of the servers has before the first one is asked again, in case a packet was lost.
const AGAIN_AFTER: Duration = Duration::from_millis(800);

/// A server that did not answer goes to the end of the queue for this long.
const DISTRUST: Duration = Duration::from_mins(1);

/// Rounds through all servers; only those that said nothing are asked twice.
const ROUNDS: usize = 2;

/// How the servers behaved so far.
#[derive(Debug, Default)]
pub(super) struct Reputation(BTreeMap<IpAddr, Record>);

#[derive(Clone, Copy, Debug, Default)]
struct Record {
    failed_at: Option<Instant>,
    round_trip: Option<Duration>,
}

impl Reputation {
    /// Working servers first, the quickest of them first; unknown ones before slow ones, distrusted ones last.
    fn sort(&self, servers: &mut [IpAddr], now: Instant) {
        servers.sort_by_key(|address| {
            let record = self.0.get(address).copied().unwrap_or_default();
            let distrusted = record
                .failed_at
                .is_some_and(|at| now.saturating_duration_since(at) < DISTRUST);
            (distrusted, record.round_trip.unwrap_or_default())
        });
    }

    fn note(&mut self, address: IpAddr, elapsed: Option<Duration>, now: Instant) {
        let record = self.0.entry(address).or_default();
        match elapsed {
            Some(elapsed) => {
                // Smoothed as in TCP, so that one slow answer does not change the order.
                record.round_trip = Some(match record.round_trip {
                    Some(before) => before.mul_f64(0.7) + elapsed.mul_f64(0.3),
                    None => elapsed,
                });
                record.failed_at = None;
            }
            None => record.failed_at = Some(now),
        }
    }
}

impl Resolver {
    /// The first usable answer of any server; `None` when there is none. `paid` is called before each query, and
    /// stops everything when it says no.
    pub(super) async fn ask_any(
        self: &Arc<Self>,
        mut servers: Vec<IpAddr>,
        question: &Question,
        paid: impl Fn() -> bool,
    ) -> Option<Response> {
        servers.retain(|address| self.can_reach(*address));
        lock(&self.reputation).sort(&mut servers, Instant::now());
        let mut tries = JoinSet::new();
        let mut useless = BTreeSet::new();
        for round in 1..=ROUNDS {
            for address in &servers {
                if useless.contains(address) || !paid() {
                    continue;
                }
                let (resolver, address) = (Arc::clone(self), *address);
                let question = question.clone();
                tries.spawn(async move { (address, resolver.ask_one(address, &question).await) });
                let response = first_usable(&mut tries, HEAD_START, &mut useless).await;
                if response.is_some() {
                    return response;
                }
            }
            let patience = if round < ROUNDS { AGAIN_AFTER } else { TRY };
            let response = first_usable(&mut tries, patience, &mut useless).await;
            if response.is_some() {
                return response;
            }
        }
        None
    }

    async fn ask_one(&self, address: IpAddr, question: &Question) -> Exchange {
        let options = AskOptions {
            timeout: TRY,
            tries: 1,
            ..AskOptions::authoritative()
        };
        let client = Client::new(self.socket_address(address));
        let exchange = client.ask(question, &options).await;
        let worked = exchange.outcome.as_ref().is_ok_and(is_usable);
        let elapsed = worked.then_some(exchange.elapsed);
        lock(&self.reputation).note(address, elapsed, Instant::now());
        exchange
    }
}

/// Waits for an answer that helps, until time or tries are over. Servers whose answers do not help are noted: asking
/// them again brings the same.
async fn first_usable(
    tries: &mut JoinSet<(IpAddr, Exchange)>,
    patience: Duration,
    useless: &mut BTreeSet<IpAddr>,
) -> Option<Response> {
    let found = async {
        while let Some(done) = tries.join_next().await {
            let Ok((address, exchange)) = done else {
                continue;
            };
            match exchange.outcome {
                Ok(response) if is_usable(&response) => return Some(response),
                Err(AskError::Timeout) => {}
                Ok(_) | Err(_) => {
                    useless.insert(address);
                }
            }
        }
        None
    };
    tokio::time::timeout(patience, found).await.unwrap_or(None)
}

/// Whether a resolver can go on with it: an answer, a referral, or a definite no. A server that answers anything else
/// is not the one to believe.
fn is_usable(response: &Response) -> bool {
    [Rcode::NOERROR, Rcode::NXDOMAIN].contains(&response.rcode) && !response.truncated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_work_come_first() {
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let mut reputation = Reputation::default();
        let now = Instant::now();
        reputation.note(address(1), None, now);
        reputation.note(address(2), Some(Duration::from_millis(40)), now);
        reputation.note(address(3), Some(Duration::from_millis(20)), now);
        let order = |reputation: &Reputation, now| {
            let mut servers: Vec<_> = (1..=4).map(address).collect();
            reputation.sort(&mut servers, now);
            servers
        };
        assert_eq!(order(&reputation, now), [4, 3, 2, 1].map(address));
        assert_eq!(
            order(&reputation, now + DISTRUST),
            [1, 4, 3, 2].map(address),
            "everybody gets another chance"
        );
        reputation.note(address(1), Some(Duration::from_millis(1)), now);
        assert_eq!(order(&reputation, now), [4, 1, 3, 2].map(address));
    }
}
