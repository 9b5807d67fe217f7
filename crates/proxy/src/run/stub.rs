//! The stub resolver: forwards questions as they are, and does not let a missing answer of one family hold up the other.
//!
//! Pure: octets and times in, actions out. When a program asks for both A and AAAA of a name and one is answered with
//! addresses, the other has [`PATIENCE`] left; then an empty answer is made up for it (NOERROR, RA set, no records, and
//! nothing that a cache would keep). RA matters: without it glibc and Go take an empty answer for a lame referral and ask
//! the next server. SERVFAIL would make glibc ask the next server too, and musl fail the whole look-up.
//!
//! What arrives after that is kept and serves the next question. A question that is asked alone is never answered by us:
//! whoever asks only for AAAA wants to know.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use twinstack_dns::{Query, Question, Rcode, RecordType, Response};

/// How long one family may take longer than the other.
pub(crate) const PATIENCE: Duration = Duration::from_millis(60);
/// How long an answer is waited for after its question; programs have given up by then.
const LATEST: Duration = Duration::from_secs(10);
/// Two questions of one program for one name that lie further apart than this are not one look-up.
const ONE_LOOK_UP: Duration = Duration::from_secs(5);
/// No more questions under way than these; the oldest is dropped.
const UNDER_WAY: usize = 512;
/// No more late answers, and no more answered questions, than these are kept.
const KEPT: usize = 512;

/// Who asks: the edge knows the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Client(pub(crate) u64);

/// A question that was sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Upstream(pub(crate) u64);

/// How a question came, and how it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    /// One datagram.
    Udp,
    /// A connection, with lengths.
    Tcp,
}

/// A question as it came in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Who asks.
    pub(crate) client: Client,
    /// In which process; what one process asks for one name is one look-up.
    pub(crate) process: u32,
    /// Whom the program meant to ask.
    pub(crate) server: SocketAddr,
    /// How.
    pub(crate) transport: Transport,
    /// The message.
    pub(crate) octets: &'a [u8],
}

/// What the edge has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send these octets to the server; the same number again means the same socket again.
    Ask {
        /// The number that the answer comes back with.
        upstream: Upstream,
        /// To whom.
        server: SocketAddr,
        /// How.
        transport: Transport,
        /// The message.
        octets: Vec<u8>,
    },
    /// Send these octets back.
    Answer {
        /// To whom.
        client: Client,
        /// The message.
        octets: Vec<u8>,
    },
    /// Nobody waits for this any longer.
    Drop(Upstream),
    /// The program was told these addresses.
    Learned {
        /// The name.
        name: String,
        /// Of IPv6, or of IPv4.
        is_v6: bool,
        /// The addresses; none if there are none.
        addresses: Vec<IpAddr>,
    },
    /// An empty answer was made up.
    MadeUp {
        /// For whom.
        process: u32,
        /// To what.
        question: Question,
        /// How long it had been waited for.
        waited: Duration,
    },
}

/// The machine.
#[derive(Debug, Default)]
pub(crate) struct Stub {
    next: u64,
    waiting: BTreeMap<Upstream, Waiting>,
    answered: VecDeque<Answered>,
    kept: BTreeMap<(Question, SocketAddr), Kept>,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
struct Waiting {
    /// `None` once an answer was made up.
    client: Option<Client>,
    process: u32,
    server: SocketAddr,
    octets: Vec<u8>,
    /// `None` if the octets are nothing that we understand; they go through all the same.
    query: Option<Query>,
    asked: Duration,
    /// When the other family was answered.
    other: Option<Duration>,
}

/// An answer with addresses that a program got.
#[derive(Debug)]
struct Answered {
    process: u32,
    question: Question,
    at: Duration,
}

#[derive(Debug)]
struct Kept {
    response: Response,
    at: Duration,
    until: Duration,
}

impl Stub {
    /// A program asks.
    pub(crate) fn handle_query(&mut self, asked: Asked<'_>, now: Duration) {
        let again = self.waiting.iter().find(|(_, waiting)| {
            waiting.client == Some(asked.client) && waiting.octets == asked.octets
        });
        if let Some((upstream, _)) = again {
            // The program asks again: so do we.
            self.actions.push_back(Action::Ask {
                upstream: *upstream,
                server: asked.server,
                transport: asked.transport,
                octets: asked.octets.to_vec(),
            });
            return;
        }
        let query = Query::parse(asked.octets).ok();
        if let Some(query) = &query
            && self.answer_from_kept(query, &asked, now)
        {
            return;
        }
        let other = query
            .as_ref()
            .and_then(|query| self.other_was_answered(asked.process, &query.question, now));
        let upstream = Upstream(self.next);
        self.next += 1;
        self.actions.push_back(Action::Ask {
            upstream,
            server: asked.server,
            transport: asked.transport,
            octets: asked.octets.to_vec(),
        });
        self.waiting.insert(
            upstream,
            Waiting {
                client: Some(asked.client),
                process: asked.process,
                server: asked.server,
                octets: asked.octets.to_vec(),
                query,
                asked: now,
                other,
            },
        );
        if self.waiting.len() > UNDER_WAY
            && let Some((oldest, _)) = self.waiting.pop_first()
        {
            self.actions.push_back(Action::Drop(oldest));
        }
    }

    /// A server answered.
    pub(crate) fn handle_response(&mut self, upstream: Upstream, octets: &[u8], now: Duration) {
        let Some(waiting) = self.waiting.get(&upstream) else {
            return;
        };
        // The id that the program chose, and the bit that says response: the rest is for the program to judge.
        let is_response =
            octets.len() >= 12 && octets.get(2).is_some_and(|flags| flags & 0x80 != 0);
        if !is_response || octets.get(..2) != waiting.octets.get(..2) {
            return;
        }
        let Some(waiting) = self.waiting.remove(&upstream) else {
            return;
        };
        self.actions.push_back(Action::Drop(upstream));
        let read = waiting.query.as_ref().and_then(|query| {
            let response = Response::parse(octets).ok()?;
            (response.question.as_ref() == Some(&query.question)).then_some((query, response))
        });
        if let Some(client) = waiting.client {
            self.actions.push_back(Action::Answer {
                client,
                octets: octets.to_vec(),
            });
            if let Some((query, response)) = read {
                self.learn(waiting.process, &query.question, &response, now);
            }
        } else if let Some((query, response)) = read {
            self.keep(query.question.clone(), waiting.server, response, now);
        }
    }

    /// The server cannot be reached: port closed, no route, connection broken.
    ///
    /// Without us the program would learn that at once from the kernel. SERVFAIL says the same: the next server, please.
    pub(crate) fn handle_refusal(&mut self, upstream: Upstream) {
        if let Some(waiting) = self.waiting.get(&upstream)
            && let (Some(client), Some(query)) = (waiting.client, &waiting.query)
        {
            let mut failure = Response::to_query(query, Rcode::SERVFAIL);
            failure.recursion_available = true;
            self.actions.push_back(Action::Answer {
                client,
                octets: failure.to_bytes(),
            });
        }
        self.drop_question(upstream);
    }

    /// Whether an answer to this is of any use.
    pub(crate) fn is_waiting(&self, upstream: Upstream) -> bool {
        self.waiting.contains_key(&upstream)
    }

    fn drop_question(&mut self, upstream: Upstream) {
        self.waiting.remove(&upstream);
        self.actions.push_back(Action::Drop(upstream));
    }

    /// A client hung up: what it waits for is of no use to anybody.
    pub(crate) fn handle_gone(&mut self, client: Client) {
        let gone: Vec<Upstream> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.client == Some(client))
            .map(|(upstream, _)| *upstream)
            .collect();
        for upstream in gone {
            self.drop_question(upstream);
        }
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        let due: Vec<Upstream> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.due() <= now)
            .map(|(upstream, _)| *upstream)
            .collect();
        for upstream in due {
            if self
                .waiting
                .get(&upstream)
                .is_some_and(|it| it.asked + LATEST <= now)
            {
                self.drop_question(upstream);
            } else {
                self.make_up(upstream, now);
            }
        }
        while self
            .answered
            .front()
            .is_some_and(|answered| answered.at + ONE_LOOK_UP <= now)
        {
            self.answered.pop_front();
        }
        self.kept.retain(|_, kept| kept.until > now);
    }

    /// What to do next; call until `None`.
    pub(crate) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.waiting.values().map(Waiting::due).min()
    }

    fn make_up(&mut self, upstream: Upstream, now: Duration) {
        let Some(waiting) = self.waiting.get_mut(&upstream) else {
            return;
        };
        let (Some(client), Some(query)) = (waiting.client.take(), waiting.query.as_ref()) else {
            return;
        };
        let mut empty = Response::to_query(query, Rcode::NOERROR);
        empty.recursion_available = true;
        let (process, question) = (waiting.process, query.question.clone());
        let waited = now.saturating_sub(waiting.asked);
        self.actions.push_back(Action::Answer {
            client,
            octets: empty.to_bytes(),
        });
        self.learn(process, &question, &empty, now);
        self.actions.push_back(Action::MadeUp {
            process,
            question,
            waited,
        });
    }

    /// Notes what a program was told; the other family's question may wait for it.
    fn learn(&mut self, process: u32, question: &Question, response: &Response, now: Duration) {
        let Some(other) = other_family(question) else {
            return;
        };
        if response.truncated || response.rcode != Rcode::NOERROR {
            return;
        }
        let (_, records) = response.answers_to(question);
        let addresses: Vec<IpAddr> = records.iter().filter_map(|it| it.data.address()).collect();
        let found = !addresses.is_empty();
        self.actions.push_back(Action::Learned {
            name: question.name.to_string(),
            is_v6: question.rtype == RecordType::AAAA,
            addresses,
        });
        if !found {
            return;
        }
        for waiting in self.waiting.values_mut() {
            let is_other = |query: &Query| query.question == other;
            if waiting.process == process && waiting.query.as_ref().is_some_and(is_other) {
                waiting.other.get_or_insert(now);
            }
        }
        self.answered.push_back(Answered {
            process,
            question: question.clone(),
            at: now,
        });
        if self.answered.len() > KEPT {
            self.answered.pop_front();
        }
    }

    fn other_was_answered(
        &self,
        process: u32,
        question: &Question,
        now: Duration,
    ) -> Option<Duration> {
        let other = other_family(question)?;
        self.answered
            .iter()
            .rev()
            .find(|it| it.process == process && it.question == other && it.at + ONE_LOOK_UP > now)
            .map(|it| it.at)
    }

    fn keep(&mut self, question: Question, server: SocketAddr, response: Response, now: Duration) {
        let ttl = response.answer_ttl().or_else(|| response.negative_ttl());
        let (Some(ttl), Rcode::NOERROR, false) = (ttl, response.rcode, response.truncated) else {
            return;
        };
        let kept = Kept {
            response,
            at: now,
            until: now + Duration::from_secs(ttl.as_secs().into()),
        };
        self.kept.insert((question, server), kept);
        if self.kept.len() > KEPT {
            let oldest = self.kept.iter().min_by_key(|(_, kept)| kept.until);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.kept.remove(&key);
            }
        }
    }

    fn answer_from_kept(&mut self, query: &Query, asked: &Asked<'_>, now: Duration) -> bool {
        let key = (query.question.clone(), asked.server);
        let Some(kept) = self.kept.get(&key).filter(|kept| kept.until > now) else {
            return false;
        };
        let age = now.saturating_sub(kept.at);
        let mut response = kept.response.clone();
        response.id = query.id;
        response.question = Some(query.question.clone());
        response.recursion_desired = query.recursion_desired;
        response.checking_disabled = query.checking_disabled;
        // Whether it was validated was told to somebody else, with other flags.
        response.authentic_data = false;
        if query.edns.is_none() {
            response.edns = None;
        }
        let sections = [
            &mut response.answer,
            &mut response.authority,
            &mut response.additional,
        ];
        for record in sections.into_iter().flatten() {
            record.ttl = record.ttl.after(age);
        }
        let octets = match asked.transport {
            Transport::Udp => response.to_bytes_within(query.udp_limit()),
            Transport::Tcp => response.to_bytes(),
        };
        self.actions.push_back(Action::Answer {
            client: asked.client,
            octets,
        });
        self.learn(asked.process, &query.question, &response, now);
        true
    }
}

impl Waiting {
    fn due(&self) -> Duration {
        let latest = self.asked + LATEST;
        match (self.client, self.other) {
            (Some(_), Some(other)) => latest.min(other.max(self.asked) + PATIENCE),
            _ => latest,
        }
    }
}

/// The same name's question for the other family.
fn other_family(question: &Question) -> Option<Question> {
    let rtype = match question.rtype {
        RecordType::A => RecordType::AAAA,
        RecordType::AAAA => RecordType::A,
        _ => return None,
    };
    Some(Question::new(question.name.clone(), rtype))
}

#[cfg(test)]
mod tests;
