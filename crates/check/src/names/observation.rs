//! What was asked and what came back: plain values, made by an [`Inquiry`](super::Inquiry), read by the rules.
//!
//! Times are seconds since the start of the run.

use super::synthesis::Nat64Prefix;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use twinstack_dns::client::{ServerAddress, Transport};
use twinstack_dns::{Data, Name, Rcode, Record, RecordType};
use twinstack_finding::{Evidence, Skipped};

/// Everything that the name system said about one name.
#[derive(Clone, Debug)]
pub(crate) struct NamesObservation {
    /// The name that was checked.
    pub(crate) name: Name,
    /// The name that its aliases end at; itself when there are none.
    pub(crate) canonical: Name,
    /// Everybody who was asked.
    pub(crate) servers: Vec<Server>,
    /// Every question, in the order of asking.
    pub(crate) lookups: Vec<Lookup>,
    /// A and AAAA asked at the same moment.
    pub(crate) pairs: Vec<Pair>,
    /// The zones of the name and, if that is another, of its canonical name.
    pub(crate) zones: Vec<Zone>,
    /// Prefixes under which a resolver makes up AAAA.
    pub(crate) synthesis: Vec<Nat64Prefix>,
    /// What could not be looked at.
    pub(crate) skipped: Vec<Skipped>,
    /// Worth saying, no finding.
    pub(crate) notes: Vec<String>,
}

/// Index into [`NamesObservation::servers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ServerId(pub(crate) usize);

/// Somebody who answers questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) role: Role,
    pub(crate) endpoint: ServerAddress,
}

/// Why a server was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It asks others for us and may answer from its cache.
    Resolver,
    /// It is in the name's zone's NS set, under this name.
    Authoritative(Name),
    /// It serves the zone above, under this name.
    Parent(Name),
}

impl Server {
    pub(crate) const fn address(&self) -> Option<IpAddr> {
        match &self.endpoint {
            ServerAddress::Socket(address) => Some(address.ip()),
            ServerAddress::Url(_) => None,
        }
    }

    pub(crate) const fn is_authoritative(&self) -> bool {
        matches!(self.role, Role::Authoritative(_))
    }

    pub(crate) const fn is_resolver(&self) -> bool {
        matches!(self.role, Role::Resolver)
    }
}

/// `resolver 192.0.2.53`, `ns1.lab.test 2e00:5::53`.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.role {
            Role::Resolver => f.write_str("resolver ")?,
            Role::Authoritative(name) | Role::Parent(name) => write!(f, "{name} ")?,
        }
        write!(f, "{}", self.endpoint)
    }
}

/// One question to one server.
#[derive(Clone, Debug)]
pub(crate) struct Lookup {
    pub(crate) server: ServerId,
    pub(crate) name: Name,
    pub(crate) rtype: RecordType,
    pub(crate) transport: Transport,
    /// When the query left (the one that was answered, or the first).
    pub(crate) at: f64,
    /// From there to the answer, or to giving up.
    pub(crate) elapsed: f64,
    /// How many queries were sent before one was answered.
    pub(crate) sent: usize,
    pub(crate) outcome: Outcome,
}

/// What a question led to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// A DNS message.
    Reply(Reply),
    /// Nothing within the time given.
    Silent,
    /// This machine has no route there; nothing was sent.
    NoRoute,
    /// The network or the host said that nobody is there, in these words.
    Unreachable(String),
    /// Somebody is there and cannot prove to be the server, over HTTPS, in these words.
    Untrusted(String),
    /// Bytes that are no answer to the question, in these words.
    Malformed(String),
}

/// The parts of a DNS message that the rules read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) rcode: Rcode,
    /// The AA bit.
    pub(crate) authoritative: bool,
    pub(crate) answers: Vec<Record>,
    pub(crate) authority: Vec<Record>,
    pub(crate) additional: Vec<Record>,
}

impl Reply {
    /// The names that lead from `name` to its data, without `name` itself; the last one holds the data.
    pub(crate) fn aliases(&self, name: &Name) -> Vec<Name> {
        let mut chain: Vec<Name> = Vec::new();
        loop {
            let current = chain.last().unwrap_or(name);
            let next = self.answers.iter().find_map(|record| match &record.data {
                Data::Cname(target) if record.owner == *current => Some(target.clone()),
                _ => None,
            });
            match next {
                // A loop of aliases ends where it began to repeat.
                Some(next) if next != *name && !chain.contains(&next) => chain.push(next),
                _ => return chain,
            }
        }
    }

    /// The records of the answer that are about `name` or what it is an alias of, aliases left out.
    pub(crate) fn records(&self, name: &Name) -> impl Iterator<Item = &Record> {
        let aliases = self.aliases(name);
        let owner = aliases.last().cloned().unwrap_or_else(|| name.clone());
        self.answers
            .iter()
            .filter(move |record| record.owner == owner && record.rtype() != RecordType::CNAME)
    }

    /// Neither data nor "there is none", but whom to ask instead.
    pub(crate) fn is_referral(&self) -> bool {
        let has = |rtype| self.authority.iter().any(|record| record.rtype() == rtype);
        !self.authoritative
            && self.answers.is_empty()
            && has(RecordType::NS)
            && !has(RecordType::SOA)
    }

    /// The SOA of a negative answer, with how long that may be kept
    /// ([RFC 2308, section 5](https://www.rfc-editor.org/rfc/rfc2308#section-5)).
    pub(crate) fn negative_ttl(&self) -> Option<u32> {
        self.authority.iter().find_map(|record| match &record.data {
            Data::Soa(soa) => Some(record.ttl.as_secs().min(soa.minimum.as_secs())),
            _ => None,
        })
    }
}

impl Lookup {
    /// The message, whatever its response code.
    pub(crate) const fn reply(&self) -> Option<&Reply> {
        match &self.outcome {
            Outcome::Reply(reply) => Some(reply),
            _ => None,
        }
    }

    /// The message, if it is NOERROR.
    pub(crate) fn success(&self) -> Option<&Reply> {
        self.reply().filter(|reply| reply.rcode == Rcode::NOERROR)
    }

    /// The records asked for, if the answer has them.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.success()
            .into_iter()
            .flat_map(|reply| reply.records(&self.name))
            .filter(|record| record.rtype() == self.rtype)
    }

    /// The addresses in the answer to a question for A or AAAA.
    pub(crate) fn addresses(&self) -> BTreeSet<IpAddr> {
        self.records()
            .filter_map(|record| record.data.address())
            .collect()
    }

    /// The lowest TTL of the records asked for, or of the negative answer.
    pub(crate) fn ttl(&self) -> Option<u32> {
        self.records()
            .map(|record| record.ttl.as_secs())
            .min()
            .or_else(|| self.reply().and_then(Reply::negative_ttl))
    }

    /// `NOERROR`, `NODATA`, `CNAME`, `referral`, `NXDOMAIN`, ..., `timeout`, `unreachable`, `certificate`, `malformed`, as in
    /// the report.
    pub(crate) fn outcome_word(&self) -> String {
        match &self.outcome {
            Outcome::Reply(reply) if reply.rcode == Rcode::NOERROR => {
                if self.records().next().is_some() {
                    "NOERROR".to_owned()
                } else if reply.is_referral() {
                    "referral".to_owned()
                } else if reply.aliases(&self.name).is_empty() {
                    "NODATA".to_owned()
                } else {
                    "CNAME".to_owned()
                }
            }
            Outcome::Reply(reply) => reply.rcode.to_string(),
            Outcome::Silent => "timeout".to_owned(),
            Outcome::NoRoute | Outcome::Unreachable(_) => "unreachable".to_owned(),
            Outcome::Untrusted(_) => "certificate".to_owned(),
            Outcome::Malformed(_) => "malformed".to_owned(),
        }
    }

    fn saw(&self) -> String {
        match &self.outcome {
            Outcome::Reply(reply) => {
                let said = match self.outcome_word().as_str() {
                    "NODATA" => "NOERROR without records".to_owned(),
                    "CNAME" => format!(
                        "an alias of `{}`",
                        reply
                            .aliases(&self.name)
                            .last()
                            .map(ToString::to_string)
                            .unwrap_or_default()
                    ),
                    "NOERROR" => {
                        let data: Vec<String> = self
                            .records()
                            .map(|record| record.data.to_string())
                            .collect();
                        data.join(", ")
                    }
                    word => word.to_owned(),
                };
                let ttl = self
                    .ttl()
                    .map(|ttl| format!(" (TTL {ttl})"))
                    .unwrap_or_default();
                format!("{said}{ttl} after {:.3} s", self.elapsed)
            }
            Outcome::Silent => format!(
                "no answer to {} {} within {:.1} s",
                self.sent,
                if self.sent == 1 { "query" } else { "queries" },
                self.elapsed
            ),
            Outcome::NoRoute => "no route from here, nothing was sent".to_owned(),
            Outcome::Unreachable(words) | Outcome::Untrusted(words) => {
                format!("{words} after {:.3} s", self.elapsed)
            }
            Outcome::Malformed(words) => format!("not a DNS answer: {words}"),
        }
    }
}

/// An A and an AAAA query that left at the same moment and were both answered with NOERROR.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    pub(crate) server: ServerId,
    pub(crate) name: Name,
    pub(crate) at: f64,
    /// Seconds to the answer for A.
    pub(crate) a: f64,
    /// The same for AAAA.
    pub(crate) aaaa: f64,
}

impl Pair {
    /// How much later the AAAA answer came.
    pub(crate) fn gap(&self) -> f64 {
        self.aaaa - self.a
    }
}

/// A zone, as far as a resolver, its parent and its own servers tell.
#[derive(Clone, Debug)]
pub(crate) struct Zone {
    pub(crate) apex: Name,
    pub(crate) name_servers: Vec<NameServer>,
    /// What the zone above hands out; `None` when nobody could be asked or the answer was no referral.
    pub(crate) referral: Option<Referral>,
}

/// A member of the NS set.
#[derive(Clone, Debug)]
pub(crate) struct NameServer {
    pub(crate) name: Name,
    pub(crate) v4: BTreeSet<Ipv4Addr>,
    pub(crate) v6: BTreeSet<Ipv6Addr>,
    /// Whether the question for its AAAA was answered (yes or no).
    pub(crate) v6_known: bool,
}

/// A referral from the zone above.
#[derive(Clone, Debug)]
pub(crate) struct Referral {
    pub(crate) from: ServerId,
    pub(crate) at: f64,
    pub(crate) glue: BTreeSet<(Name, IpAddr)>,
}

/// The evidence that a question is.
pub(crate) fn evidence(servers: &[Server], lookup: &Lookup) -> Evidence {
    let server = servers
        .get(lookup.server.0)
        .map_or_else(|| "somebody".to_owned(), ToString::to_string);
    let transport = match lookup.transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Https => "HTTPS",
    };
    Evidence {
        did: format!(
            "asked {server} over {transport} for {} {}",
            lookup.name, lookup.rtype
        ),
        saw: lookup.saw(),
        at: Some(lookup.at),
    }
}

impl NamesObservation {
    /// Nothing known yet.
    pub(crate) fn new(name: Name) -> Self {
        Self {
            canonical: name.clone(),
            name,
            servers: Vec::new(),
            lookups: Vec::new(),
            pairs: Vec::new(),
            zones: Vec::new(),
            synthesis: Vec::new(),
            skipped: Vec::new(),
            notes: Vec::new(),
        }
    }

    pub(crate) fn server(&self, id: ServerId) -> Option<&Server> {
        self.servers.get(id.0)
    }

    pub(crate) fn server_name(&self, id: ServerId) -> String {
        self.server(id)
            .map_or_else(|| "somebody".to_owned(), ToString::to_string)
    }

    /// The evidence that a question is.
    pub(crate) fn evidence(&self, lookup: &Lookup) -> Evidence {
        evidence(&self.servers, lookup)
    }

    /// The questions that were put to one server for the name itself (or, at its zone's servers, the name asked there).
    pub(crate) fn about(
        &self,
        server: ServerId,
        rtype: RecordType,
    ) -> impl Iterator<Item = &Lookup> {
        self.lookups.iter().filter(move |lookup| {
            lookup.server == server
                && lookup.rtype == rtype
                && (lookup.name == self.name || lookup.name == self.canonical)
        })
    }

    /// Whether a resolver made this address up.
    pub(crate) fn is_synthesised(&self, address: Ipv6Addr) -> bool {
        self.synthesis
            .iter()
            .any(|prefix| prefix.unmap(address).is_some())
    }
}
