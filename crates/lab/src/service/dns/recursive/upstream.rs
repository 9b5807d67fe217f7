//! Asking the servers of a zone: which first, and which at the same time.

use super::{Resolver, lock};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use twinstack_dns::client::{AskOptions, Client, Exchange};
use twinstack_dns::{Question, Rcode, Response};

/// One try.
const TRY: Duration = Duration::from_millis(800);

/// How long a server that has proved itself has for its answer before the next one is asked as well.
const HEAD_START: Duration = Duration::from_millis(300);

/// A server that did not answer goes to the end of the queue for this long.
const DISTRUST: Duration = Duration::from_mins(1);

/// Rounds through all servers; only those that stayed silent get a second chance.
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
        for _ in 0..ROUNDS {
            let silent = match self.ask_round(&servers, question, &paid).await {
                Ok(response) => return Some(response),
                Err(silent) => silent,
            };
            servers.retain(|address| silent.contains(address));
        }
        None
    }

    /// The answer, or the servers that stayed silent.
    async fn ask_round(
        self: &Arc<Self>,
        servers: &[IpAddr],
        question: &Question,
        paid: &impl Fn() -> bool,
    ) -> Result<Response, Vec<IpAddr>> {
        let mut tries = JoinSet::new();
        let mut waiting = servers.iter().copied();
        let mut silent = Vec::new();
        loop {
            match waiting.next() {
                Some(address) if paid() => {
                    let resolver = Arc::clone(self);
                    let question = question.clone();
                    tries.spawn(
                        async move { (address, resolver.ask_one(address, &question).await) },
                    );
                }
                _ if tries.is_empty() => return Err(silent),
                _ => {}
            }
            let done = if waiting.len() == 0 {
                tries.join_next().await
            } else {
                tokio::time::timeout(HEAD_START, tries.join_next())
                    .await
                    .unwrap_or(None)
            };
            let Some(Ok((address, exchange))) = done else {
                continue;
            };
            match exchange.outcome {
                Ok(response) if is_usable(&response) => return Ok(response),
                // It has said what it has to say; asking again brings the same.
                Ok(_) => {}
                Err(_) => silent.push(address),
            }
        }
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
