//! Asking: one question to one server, patiently enough that a slow answer is not taken for none, and a lost packet
//! costs little.
//!
//! A query that is not answered is sent again after a quarter and after half of the time given, and all of them go on
//! being listened for until the end. So a server that takes 3 s is slow and not silent, and a lost packet costs 1 s.

use super::observation::{Lookup, Outcome, Reply, Server, ServerId};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use twinstack_dns::client::{BadUrl, Roots, ServerAddress, Transport, TransportChoice};
use twinstack_dns::{AskError, AskOptions, Client, Name, Question, Rcode, RecordType, Response};

/// How many queries of one run are under way at once.
const AT_ONCE: usize = 128;

/// A resolver that says SERVFAIL may have lost a packet of its own; asking once more after this tells.
const SECOND_THOUGHT: Duration = Duration::from_millis(150);

/// Everybody that one run asks, and the clock that its times count from.
#[derive(Debug)]
pub(crate) struct Asker {
    started: Instant,
    patience: Duration,
    at_once: Semaphore,
    servers: Mutex<Vec<(Server, Client)>>,
}

impl Asker {
    /// `patience` is how long one question is listened for.
    pub(crate) fn new(started: Instant, patience: Duration) -> Self {
        Self {
            started,
            patience,
            at_once: Semaphore::new(AT_ONCE),
            servers: Mutex::new(Vec::new()),
        }
    }

    /// How long one question is listened for.
    pub(crate) const fn patience(&self) -> Duration {
        self.patience
    }

    /// Seconds since the start of the run.
    pub(crate) fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// A server to ask; the same one gets the same id.
    pub(crate) fn server(&self, server: Server) -> Result<ServerId, BadUrl> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = servers.iter().position(|(known, _)| *known == server) {
            return Ok(ServerId(known));
        }
        let client = match &server.endpoint {
            ServerAddress::Socket(address) => Client::new(*address),
            ServerAddress::Url(url) => Client::https(url, &[], &Roots::System)?,
        };
        servers.push((server, client));
        Ok(ServerId(servers.len() - 1))
    }

    /// Everybody so far, in the order of their ids.
    pub(crate) fn servers(&self) -> Vec<Server> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.iter().map(|(server, _)| server.clone()).collect()
    }

    fn find(&self, id: ServerId) -> Option<(Server, Client)> {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.get(id.0).cloned()
    }

    /// Asks over UDP (or HTTPS), repeating what is not answered.
    pub(crate) async fn ask(&self, server: ServerId, name: &Name, rtype: RecordType) -> Lookup {
        let lookup = self.hedged(server, name, rtype).await;
        match lookup.reply() {
            Some(reply) if reply.rcode == Rcode::SERVFAIL => {
                tokio::time::sleep(SECOND_THOUGHT).await;
                let again = self.hedged(server, name, rtype).await;
                // Silence after SERVFAIL is no better word than SERVFAIL.
                if again.reply().is_some() {
                    again
                } else {
                    lookup
                }
            }
            _ => lookup,
        }
    }

    async fn hedged(&self, server: ServerId, name: &Name, rtype: RecordType) -> Lookup {
        let sent = &AtomicUsize::new(0);
        let mut tries: FuturesUnordered<_> = [0, 1, 2]
            .map(|quarters| async move {
                let wait = self.patience / 4 * quarters;
                tokio::time::sleep(wait).await;
                sent.fetch_add(1, Ordering::Relaxed);
                let choice = TransportChoice::UdpThenTcp;
                self.once(
                    server,
                    name,
                    rtype,
                    choice,
                    self.patience.saturating_sub(wait),
                )
                .await
            })
            .into_iter()
            .collect();
        let mut silent: Option<Lookup> = None;
        let mut last = loop {
            match tries.next().await {
                Some(lookup) if lookup.outcome == Outcome::Silent => {
                    // The first one was listened for longest.
                    silent = match silent {
                        Some(first) if first.at <= lookup.at => Some(first),
                        _ => Some(lookup),
                    };
                }
                Some(lookup) => break lookup,
                None => break silent.unwrap_or_else(|| self.lookup(server, name, rtype)),
            }
        };
        last.sent = sent.load(Ordering::Relaxed);
        last
    }

    /// One query over TCP.
    pub(crate) async fn ask_tcp(
        &self,
        server: ServerId,
        name: &Name,
        rtype: RecordType,
        within: Duration,
    ) -> Lookup {
        self.once(server, name, rtype, TransportChoice::Tcp, within)
            .await
    }

    /// One query over UDP (or HTTPS), not repeated.
    pub(crate) async fn ask_once(
        &self,
        server: ServerId,
        name: &Name,
        rtype: RecordType,
    ) -> Lookup {
        self.once(
            server,
            name,
            rtype,
            TransportChoice::UdpThenTcp,
            self.patience,
        )
        .await
    }

    async fn once(
        &self,
        server: ServerId,
        name: &Name,
        rtype: RecordType,
        transport: TransportChoice,
        timeout: Duration,
    ) -> Lookup {
        let mut lookup = self.lookup(server, name, rtype);
        let Some((who, client)) = self.find(server) else {
            return lookup;
        };
        let Ok(_permit) = self.at_once.acquire().await else {
            return lookup;
        };
        lookup.at = self.now();
        if let ServerAddress::Socket(address) = &who.endpoint
            && !has_route(address.ip())
        {
            lookup.outcome = Outcome::NoRoute;
            return lookup;
        }
        let options = AskOptions {
            timeout,
            tries: 1,
            transport,
            recursion_desired: who.is_resolver(),
            ..AskOptions::default()
        };
        let question = Question::new(name.clone(), rtype);
        // Boxed, because dozens of these are in flight inside one another's frames.
        let exchange = Box::pin(client.ask(&question, &options)).await;
        lookup.elapsed = exchange.elapsed.as_secs_f64();
        lookup.sent = 1;
        lookup.transport = exchange.transport;
        lookup.outcome = match exchange.outcome {
            Ok(response) => Outcome::Reply(response.into()),
            Err(error) => outcome_of(&error),
        };
        lookup
    }

    fn lookup(&self, server: ServerId, name: &Name, rtype: RecordType) -> Lookup {
        Lookup {
            server,
            name: name.clone(),
            rtype,
            transport: Transport::Udp,
            at: self.now(),
            elapsed: 0.0,
            sent: 0,
            outcome: Outcome::Silent,
        }
    }
}

fn outcome_of(error: &AskError) -> Outcome {
    match error {
        AskError::Timeout => Outcome::Silent,
        AskError::Malformed(_)
        | AskError::Mismatched
        | AskError::Http { .. }
        | AskError::HttpProtocol(_) => Outcome::Malformed(error.to_string()),
        AskError::Certificate(_) => Outcome::Untrusted(error.to_string()),
        _ => Outcome::Unreachable(error.to_string()),
    }
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self {
            rcode: response.rcode,
            authoritative: response.authoritative,
            answers: response.answer,
            authority: response.authority,
            additional: response.additional,
        }
    }
}

/// Whether this machine has a route to an address, with a source that answers can come back to. Nothing is sent: connecting
/// a datagram socket only asks the routing table.
pub(crate) fn has_route(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let source = UdpSocket::bind(SocketAddr::new(any, 0)).and_then(|socket| {
        socket.connect(SocketAddr::new(address, 53))?;
        socket.local_addr()
    });
    match (source.map(|source| source.ip()), address) {
        (Ok(IpAddr::V6(source)), IpAddr::V6(address)) => {
            address.is_unicast_link_local() || !source.is_unicast_link_local()
        }
        (Ok(_), _) => true,
        // A resolver's link-local address needs its interface, which is not known here: let the query find out.
        (Err(_), IpAddr::V6(address)) => address.is_unicast_link_local(),
        (Err(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests;
