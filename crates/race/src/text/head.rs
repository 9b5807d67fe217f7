//! What a race is started with: the lines before the first event.

use super::scan::{ParseError, Problem, Scan, Word};
use super::{Line, Recording};
use crate::config::{Config, EchUse, ProtocolOrder};
use crate::endpoint::{Alpn, Alpns, Protocol};
use crate::knowledge::Fact;
use crate::name::Name;
use crate::nat64::{Nat64, Prefix64};
use crate::network::{Family, Network};
use crate::rfc6724::{Interface, Memory, Mobility, Policy, PolicyTable, Source};
use crate::target::{Host, Offer, Service, Target};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

/// A recording that is being read.
pub(super) struct Draft {
    pub(super) name: Box<str>,
    line: usize,
    target: Option<Target>,
    config: Config,
    policy: Vec<Policy>,
    policy_line: usize,
    network: Network,
    seed: u64,
    facts: Vec<Fact>,
    pub(super) lines: Vec<Line>,
}

impl Draft {
    pub(super) fn new(line: usize) -> Self {
        Self {
            name: Box::default(),
            line,
            target: None,
            config: Config::default(),
            policy: Vec::new(),
            policy_line: 0,
            network: Network::default(),
            seed: 0,
            facts: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// A line of the head.
    pub(super) fn head(&mut self, scan: &mut Scan<'_>) -> Result<(), ParseError> {
        let word = scan.word("a line")?;
        if !self.lines.is_empty() {
            return Err(word.error(Problem::Late));
        }
        match word.text {
            "target" => self.target = Some(target(scan)?),
            "config" => {
                while let Some(word) = scan.next() {
                    setting(&mut self.config, word)?;
                }
            }
            "policy" => {
                self.policy_line = scan.line();
                self.policy.push(policy(scan)?);
            }
            "network" => self.network = network(scan)?,
            "seed" => self.seed = scan.word("a number")?.parse("a number")?,
            "fact" => self.facts.push(fact(scan)?),
            _ => {
                return Err(word.unknown(
                    "`target`, `config`, `policy`, `network`, `seed`, `fact` or `+` and a time",
                ));
            }
        }
        scan.end()
    }

    pub(super) fn finish(self) -> Result<Recording, ParseError> {
        let mut config = self.config;
        if !self.policy.is_empty() {
            config.policy = PolicyTable::new(self.policy).map_err(|error| ParseError {
                line: self.policy_line,
                column: 1,
                problem: Problem::Policy(error),
            })?;
        }
        Ok(Recording {
            name: self.name,
            line: self.line,
            target: self.target.ok_or(ParseError {
                line: self.line,
                column: 1,
                problem: Problem::NoTarget,
            })?,
            config,
            network: self.network,
            seed: self.seed,
            facts: self.facts,
            lines: self.lines,
        })
    }
}

fn target(scan: &mut Scan<'_>) -> Result<Target, ParseError> {
    let word = scan.word("a host")?;
    let host = match word.text.split_once('%') {
        Some((address, scope)) => {
            let wanted = "an address with a number for its link";
            let address = address.parse().map_err(|_| word.unknown(wanted))?;
            let scope = scope.parse().map_err(|_| word.unknown(wanted))?;
            Host::Address { address, scope }
        }
        None => Host::parse(word.text).map_err(|error| word.error(Problem::Name(error)))?,
    };
    let port = scan.word("a port")?.parse("a port")?;
    let mut target = Target {
        host,
        port,
        offers: Vec::new(),
        service: Service::None,
    };
    while let Some(word) = scan.next() {
        if word.text == "https" {
            let https = Target::https(target.host.clone(), port);
            (target.offers, target.service) = (https.offers, https.service);
        } else if word.text.starts_with("service=") {
            target.service = service(word)?;
        } else {
            target.offers.push(offer(word)?);
        }
    }
    if target.offers.is_empty() {
        scan.word("`tcp`, `tls`, `quic` or `https`")?;
    }
    Ok(target)
}

fn offer(word: Word<'_>) -> Result<Offer, ParseError> {
    let bare = Word {
        text: word.text.strip_suffix('?').unwrap_or(word.text),
        ..word
    };
    let needs_record = bare.text.len() < word.text.len();
    let (protocol, ids) = match bare.text.split_once(':') {
        Some((protocol, ids)) => (protocol, Some(ids)),
        None => (bare.text, None),
    };
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "tls" => Protocol::Tls,
        "quic" => Protocol::Quic,
        _ => return Err(word.unknown("`tcp`, `tls`, `quic`, `https` or `service=`")),
    };
    let alpn = match ids {
        Some(ids) => alpns(Word { text: ids, ..word })?,
        None => Vec::new().into(),
    };
    Ok(Offer {
        protocol,
        alpn,
        needs_record,
    })
}

fn service(word: Word<'_>) -> Result<Service, ParseError> {
    let (_, value) = word.key();
    let value = value.ok_or_else(|| word.unknown("a service"))?;
    let mut parts = value.text.splitn(4, ':');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("https"), None, None, None) => Ok(Service::Https),
        (Some("svcb"), Some(scheme), Some(port), ids) => Ok(Service::Svcb {
            scheme: Name::new(scheme).map_err(|error| value.error(Problem::Name(error)))?,
            default_port: port
                .parse()
                .map_err(|_| value.unknown("a scheme and its port"))?,
            default_alpn: match ids {
                Some(ids) => alpns(Word { text: ids, ..value })?,
                None => Vec::new().into(),
            },
        }),
        _ => Err(value.unknown("`https` or `svcb:` with a scheme and its port")),
    }
}

pub(super) fn alpns(word: Word<'_>) -> Result<Alpns, ParseError> {
    let ids: Result<Vec<Alpn>, ParseError> = word
        .list()
        .map(|word| Ok(Alpn::new(&word.bytes()?)))
        .collect();
    Ok(ids?.into())
}

fn flag(word: Word<'_>) -> Result<bool, ParseError> {
    word.parse("`true` or `false`")
}

fn limit(word: Word<'_>) -> Result<Option<Duration>, ParseError> {
    if word.text == "none" {
        Ok(None)
    } else {
        word.millis().map(Some)
    }
}

fn setting(config: &mut Config, word: Word<'_>) -> Result<(), ParseError> {
    let (key, value) = word.key();
    let Some(value) = value else {
        return Err(word.unknown("a setting with its value"));
    };
    match key {
        "resolution-delay" => config.resolution_delay = value.millis()?,
        "attempt-delay" => config.attempt_delay = value.millis()?,
        "minimum-attempt-delay" => config.minimum_attempt_delay = value.millis()?,
        "maximum-attempt-delay" => config.maximum_attempt_delay = value.millis()?,
        "replace-after" => config.replace_after = value.millis()?,
        "linger" => config.linger = value.millis()?,
        "query-deadline" => config.query_deadline = limit(value)?,
        "attempt-deadline" => config.attempt_deadline = limit(value)?,
        "overall-deadline" => config.overall_deadline = limit(value)?,
        "preferred-family-count" => config.preferred_family_count = value.parse("a number")?,
        "parallel-attempts" => config.parallel_attempts = value.parse("a number")?,
        "total-attempts" => config.total_attempts = value.parse("a number")?,
        "names" => config.names = value.parse("a number")?,
        "pace-by-round-trip" => config.pace_by_round_trip = flag(value)?,
        "hurry-on-new-address" => config.hurry_on_new_address = flag(value)?,
        "refuse-downgrade" => config.refuse_downgrade = flag(value)?,
        "optimistic-dns" => config.optimistic_dns = flag(value)?,
        "delay-multiplier" => config.delay_multiplier = value.parse("a number")?,
        "preferred-family" => {
            config.preferred_family = Some(match value.text {
                "ipv6" => Family::V6,
                "ipv4" => Family::V4,
                _ => return Err(value.unknown("`ipv6` or `ipv4`")),
            });
        }
        "protocols" => {
            config.protocols = match value.text {
                "interleaved" => ProtocolOrder::Interleaved,
                "grouped" => ProtocolOrder::Grouped,
                _ => return Err(value.unknown("`interleaved` or `grouped`")),
            };
        }
        "ech" => {
            config.ech = match value.text {
                "off" => EchUse::Off,
                "opportunistic" => EchUse::Opportunistic,
                "rely" => EchUse::Rely,
                _ => return Err(value.unknown("`off`, `opportunistic` or `rely`")),
            };
        }
        _ => return Err(word.unknown("a setting")),
    }
    Ok(())
}

fn policy(scan: &mut Scan<'_>) -> Result<Policy, ParseError> {
    let word = scan.word("a prefix")?;
    let wanted = "a prefix with its length";
    let (prefix, length) = word
        .text
        .split_once('/')
        .ok_or_else(|| word.unknown(wanted))?;
    Ok(Policy {
        prefix: prefix.parse().map_err(|_| word.unknown(wanted))?,
        length: length.parse().map_err(|_| word.unknown(wanted))?,
        precedence: scan.word("a precedence")?.parse("a precedence up to 255")?,
        label: scan.word("a label")?.parse("a label up to 255")?,
    })
}

pub(super) fn network(scan: &mut Scan<'_>) -> Result<Network, ParseError> {
    let mut network = Network {
        ipv4: false,
        ipv6: false,
        nat64: None,
        protected_dns: false,
        context: 0,
    };
    let mut clat = false;
    while let Some(word) = scan.next() {
        match word.key() {
            ("ipv6", None) => network.ipv6 = true,
            ("ipv4", None) => network.ipv4 = true,
            ("clat", None) => clat = true,
            ("protected", None) => network.protected_dns = true,
            ("context", Some(value)) => network.context = value.parse("a number")?,
            ("nat64", Some(value)) if value.text == "none" => {
                network.nat64 = Some(Nat64::default());
            }
            ("nat64", Some(value)) => {
                let prefixes: Result<Vec<Prefix64>, ParseError> = value
                    .list()
                    .map(|word| {
                        word.text
                            .parse()
                            .map_err(|error| word.error(Problem::Prefix(error)))
                    })
                    .collect();
                network.nat64 = Some(Nat64::new(prefixes?));
            }
            _ => {
                return Err(
                    word.unknown("`ipv6`, `ipv4`, `nat64=`, `clat`, `protected` or `context=`")
                );
            }
        }
    }
    if clat {
        network.nat64 = Some(network.nat64.unwrap_or_default().with_clat(true));
    }
    Ok(network)
}

fn fact(scan: &mut Scan<'_>) -> Result<Fact, ParseError> {
    let address = scan.word("an address")?.parse("an address")?;
    let mut memory = Memory::default();
    let mut source: Option<Source> = None;
    let (mut network, mut attempt_delay) = (0, None);
    while let Some(word) = scan.next() {
        match (word.key(), &mut source) {
            (("silent", None), _) => memory.silent = true,
            (("used", None), _) => memory.used = true,
            (("round-trip", Some(value)), _) => memory.round_trip = Some(value.millis()?),
            (("attempt-delay", Some(value)), _) => attempt_delay = Some(value.millis()?),
            (("network", Some(value)), _) => network = value.parse("a number")?,
            (("source", Some(value)), source) => {
                let wanted = "an address with the length of its prefix";
                let (address, length) = value
                    .text
                    .split_once('/')
                    .ok_or_else(|| value.unknown(wanted))?;
                let address = address.parse().map_err(|_| value.unknown(wanted))?;
                let prefix_length = length.parse().map_err(|_| value.unknown(wanted))?;
                *source = Some(Source {
                    prefix_length,
                    ..Source::new(address)
                });
            }
            (("deprecated", None), Some(source)) => source.deprecated = true,
            (("encapsulated", None), Some(source)) => source.interface = Interface::Encapsulated,
            (("mobility", Some(value)), Some(source)) => {
                source.mobility = match value.text {
                    "home" => Mobility::Home,
                    "care-of" => Mobility::CareOf,
                    "both" => Mobility::HomeAndCareOf,
                    _ => return Err(value.unknown("`home`, `care-of` or `both`")),
                };
            }
            _ => {
                return Err(word.unknown(
                    "`source=` (then `deprecated`, `encapsulated`, `mobility=`), `silent`, `used`, `round-trip=`, \
                     `attempt-delay=` or `network=`",
                ));
            }
        }
    }
    Ok(Fact {
        network,
        address,
        source,
        memory,
        attempt_delay,
    })
}
