//! Which server to ask, and when to ask another one as well (A7).

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use twinstack_dns::client::{AskError, AskOptions, Exchange, ServerAddress};
use twinstack_dns::{Client, Question, Rcode, Response};

/// How long a server may be silent before the next one is asked as well. Most answers that come at all come within this.
const STAGGER: Duration = Duration::from_millis(300);

/// How long a silent server stands behind the others.
const PENALTY: Duration = Duration::from_secs(30);

/// The servers in the order of the configuration.
pub(super) struct Servers {
    epoch: Instant,
    all: Vec<Server>,
    options: AskOptions,
}

/// A server by its number, and what it was asked.
type Asked<'a> = (usize, Pin<Box<dyn Future<Output = Exchange> + Send + 'a>>);

struct Server {
    client: Client,
    /// Milliseconds after the epoch until when it stands behind; 0 for never.
    penalised: AtomicU64,
}

impl Servers {
    pub(super) fn new(clients: Vec<Client>) -> Self {
        let server = |client| Server {
            client,
            penalised: AtomicU64::new(0),
        };
        Self {
            epoch: Instant::now(),
            all: clients.into_iter().map(server).collect(),
            // A lost packet costs one second and not five, and three tries are still within what people wait for.
            options: AskOptions {
                timeout: Duration::from_secs(1),
                tries: 4,
                ..AskOptions::default()
            },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The first answer that says anything about the name; the error of the first server if none does.
    pub(super) async fn ask(&self, question: &Question) -> Result<Response, AskError> {
        let order = self.order();
        let mut waiting = order.iter().copied();
        let mut running: Vec<Asked<'_>> = Vec::new();
        let mut unhelpful = None;
        let mut next = pin!(sleep_until(Instant::now()));
        poll_fn(|context| {
            loop {
                let mut index = 0;
                let mut freed = false;
                while let Some((server, asking)) = running.get_mut(index) {
                    let Poll::Ready(exchange) = asking.as_mut().poll(context) else {
                        index += 1;
                        continue;
                    };
                    let server = *server;
                    drop(running.swap_remove(index));
                    freed = true;
                    match exchange.outcome {
                        Ok(response) if is_helpful(&response) => {
                            self.forgive(server);
                            // Whoever was asked before and has said nothing is slow.
                            for (silent, _) in running.drain(..) {
                                if order.iter().position(|it| *it == silent)
                                    < order.iter().position(|it| *it == server)
                                {
                                    self.penalise(silent);
                                }
                            }
                            return Poll::Ready(Ok(response));
                        }
                        outcome => {
                            if matches!(
                                outcome,
                                Err(AskError::Timeout
                                    | AskError::Refused
                                    | AskError::Unreachable(_))
                            ) {
                                self.penalise(server);
                            }
                            // A response that does not help is still more than an error.
                            if unhelpful
                                .as_ref()
                                .is_none_or(|it: &Result<_, _>| it.is_err() && outcome.is_ok())
                            {
                                unhelpful = Some(outcome);
                            }
                        }
                    }
                }
                let due = freed || next.as_mut().poll(context).is_ready();
                if !due {
                    return Poll::Pending;
                }
                match waiting.next() {
                    Some(server) => {
                        let Some(chosen) = self.all.get(server) else {
                            continue;
                        };
                        let asking = chosen.client.ask(question, &self.options);
                        running.push((server, Box::pin(asking)));
                        next.as_mut().reset(Instant::now() + STAGGER);
                    }
                    None if running.is_empty() => {
                        return Poll::Ready(unhelpful.take().unwrap_or(Err(AskError::Timeout)));
                    }
                    // All are asked: only their answers count from here.
                    None if freed => {}
                    None => next
                        .as_mut()
                        .reset(Instant::now() + Duration::from_hours(1)),
                }
            }
        })
        .await
    }

    /// Those in good standing first, then those with IPv6 addresses; otherwise as configured.
    fn order(&self) -> Vec<usize> {
        let now = self.now();
        let mut order: Vec<usize> = (0..self.all.len()).collect();
        order.sort_by_key(|index| {
            self.all.get(*index).map(|server| {
                let penalised = server.penalised.load(Ordering::Relaxed) > now;
                let v4 =
                    matches!(server.client.server(), ServerAddress::Socket(it) if it.is_ipv4());
                (penalised, v4)
            })
        });
        order
    }

    fn penalise(&self, server: usize) {
        let until = self.now() + u64::try_from(PENALTY.as_millis()).unwrap_or(u64::MAX);
        if let Some(server) = self.all.get(server) {
            server.penalised.store(until, Ordering::Relaxed);
        }
    }

    fn forgive(&self, server: usize) {
        if let Some(server) = self.all.get(server) {
            server.penalised.store(0, Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Whether the response is about the name, and not about the server.
fn is_helpful(response: &Response) -> bool {
    matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN)
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self
            .all
            .iter()
            .map(|server| server.client.server().to_string());
        f.debug_list().entries(addresses).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a7_servers_with_ipv6_go_first_and_silent_ones_last() {
        let addresses = [
            "192.0.2.1:53",
            "[2001:db8::1]:53",
            "192.0.2.2:53",
            "[2001:db8::2]:53",
        ];
        let clients = addresses.map(|address| Client::new(address.parse().unwrap()));
        let servers = Servers::new(clients.into());
        assert_eq!(servers.order(), [1, 3, 0, 2]);
        servers.penalise(1);
        assert_eq!(servers.order(), [3, 0, 2, 1]);
        servers.forgive(1);
        assert_eq!(servers.order(), [1, 3, 0, 2]);
        servers.penalise(0);
        tokio::time::advance(PENALTY).await;
        assert_eq!(servers.order(), [1, 3, 0, 2]);
    }
}
