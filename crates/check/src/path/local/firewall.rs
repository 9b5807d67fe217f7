//! What the firewall of this host does to a new connection, from `nft -j list ruleset` and, where such tables are in use,
//! from `iptables-legacy-save`.
//!
//! Rules are not compared line by line, because the same policy can be written in many ways (sets, maps, chains, `inet` or
//! `ip` and `ip6` apart). A new connection from another machine is followed through the chains instead, once for each
//! family. What cannot be known (source addresses, interfaces, rates) makes a rule conditional: it may or may not
//! decide. Pure; reads the output of a program, so it never panics.
//!
//! Not seen: what a device in front does.

mod legacy;

use crate::path::Family;
use serde_json::Value;
use std::collections::BTreeMap;

/// The rules that can stop an incoming connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::path) struct Ruleset {
    chains: BTreeMap<ChainName, Chain>,
    /// Named sets, by family, table and name.
    sets: BTreeMap<ChainName, Value>,
    /// Rules that could not be looked at, and why.
    unseen: Vec<String>,
}

/// Family (`ip`, `ip6`, `inet`), table, name.
type ChainName = (String, String, String);

#[derive(Clone, Debug, Default, PartialEq)]
struct Chain {
    /// Priority of a base chain that sees incoming packets.
    priority: Option<i64>,
    drops_by_default: bool,
    /// Expressions of each rule.
    rules: Vec<Vec<Value>>,
}

/// A connection to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::path) struct Traffic {
    pub(in crate::path) family: Family,
    pub(in crate::path) udp: bool,
    pub(in crate::path) port: u16,
}

impl Traffic {
    const fn protocol(self) -> &'static str {
        if self.udp { "udp" } else { "tcp" }
    }
}

/// Whether a connection gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::path) enum Chance {
    Denied,
    /// Only from some addresses, interfaces or at some rate.
    Conditional,
    Accepted,
}

/// What the rules decide, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::path) struct Outcome {
    pub(in crate::path) chance: Chance,
    /// `ip6 filter input`: the chain that decided.
    pub(in crate::path) chain: Option<String>,
}

impl Outcome {
    /// The command that lets a port in, in front of the rule that denies.
    pub(in crate::path) fn remedy(&self, protocol: &str, port: u16) -> String {
        let chain = self.chain.as_deref().unwrap_or("inet filter input");
        let legacy = chain
            .split_once(' ')
            .and_then(|(family, rest)| Some((family, rest.strip_prefix(legacy::MARK)?)));
        match legacy.and_then(|(family, rest)| Some((family, rest.split_once(' ')?))) {
            Some((family, (table, chain))) => {
                let program = if family == "ip6" {
                    "ip6tables"
                } else {
                    "iptables"
                };
                format!(
                    "{program}-legacy -t {table} -I {chain} -p {protocol} --dport {port} -j ACCEPT"
                )
            }
            None => format!("nft insert rule {chain} {protocol} dport {port} accept"),
        }
    }
}

impl Ruleset {
    /// Reads the JSON of `nft`; `None` if it is something else.
    pub(in crate::path) fn parse(json: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(json).ok()?;
        let mut ruleset = Self::default();
        for object in value.get("nftables")?.as_array()? {
            if let Some(chain) = object.get("chain") {
                ruleset.chain(chain);
            } else if let Some(rule) = object.get("rule") {
                ruleset.rule(rule);
            } else if let Some(set) = object.get("set") {
                let elements = set.get("elem").cloned().unwrap_or(Value::Array(Vec::new()));
                ruleset.sets.insert(name_of(set, "name"), elements);
            }
        }
        Some(ruleset)
    }

    /// Adds the rules of `iptables-legacy` for one family, as `iptables-legacy-save` prints them.
    pub(in crate::path) fn add_legacy(&mut self, family: Family, saved: &str) {
        legacy::add(self, family, saved);
    }

    /// Notes that there are rules that were not looked at.
    pub(in crate::path) fn add_unseen(&mut self, why: String) {
        self.unseen.push(why);
    }

    /// Which rules were not looked at, and why.
    pub(in crate::path) fn unseen(&self) -> &[String] {
        &self.unseen
    }

    fn chain(&mut self, chain: &Value) {
        let incoming = matches!(text(chain, "hook"), "input" | "prerouting" | "ingress");
        let filters = text(chain, "type") == "filter";
        let entry = self.chains.entry(name_of(chain, "name")).or_default();
        entry.priority =
            (incoming && filters).then(|| chain.get("prio").and_then(Value::as_i64).unwrap_or(0));
        entry.drops_by_default = text(chain, "policy") == "drop";
    }

    fn rule(&mut self, rule: &Value) {
        let expressions = rule
            .get("expr")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        self.chains
            .entry(name_of(rule, "chain"))
            .or_default()
            .rules
            .push(expressions);
    }

    /// Follows a new connection from another machine.
    pub(in crate::path) fn outcome(&self, traffic: Traffic) -> Outcome {
        let own = match traffic.family {
            Family::V4 => "ip",
            Family::V6 => "ip6",
        };
        let sees = |name: &ChainName| name.0 == own || name.0 == "inet";
        let mut bases: Vec<(i64, &ChainName, &Chain)> = self
            .chains
            .iter()
            .filter(|(name, _)| sees(name))
            .filter_map(|(name, chain)| Some((chain.priority?, name, chain)))
            .collect();
        bases.sort_by_key(|(priority, name, _)| (*priority, *name));
        let mut outcome = Outcome {
            chance: Chance::Accepted,
            chain: None,
        };
        for (_, name, chain) in bases {
            let mut walk = Walk {
                ruleset: self,
                traffic,
                may_accept: false,
                steps: STEPS,
            };
            let denied = match walk.rules(name, chain, 0) {
                Some(Verdict::Accept) => false,
                Some(Verdict::Deny) => true,
                Some(Verdict::Return) | None => chain.drops_by_default,
            };
            let chance = match (denied, walk.may_accept) {
                (false, _) => Chance::Accepted,
                (true, true) => Chance::Conditional,
                (true, false) => Chance::Denied,
            };
            // Every base chain has to let it through.
            if chance < outcome.chance {
                let (family, table, chain) = name;
                outcome = Outcome {
                    chance,
                    chain: Some(format!("{family} {table} {chain}")),
                };
            }
        }
        outcome
    }
}

fn name_of(object: &Value, key: &str) -> ChainName {
    (
        text(object, "family").to_owned(),
        text(object, "table").to_owned(),
        text(object, key).to_owned(),
    )
}

fn text<'v>(object: &'v Value, key: &str) -> &'v str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accept,
    Deny,
    Return,
}

/// Whether a rule is about the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    No,
    Maybe,
    Yes,
}

impl Fit {
    const fn of(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }

    const fn negated(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

struct Walk<'r> {
    ruleset: &'r Ruleset,
    traffic: Traffic,
    /// A rule that may be about the connection would accept it.
    may_accept: bool,
    /// Rules that may still be looked at.
    steps: usize,
}

/// As many rules as any real connection meets; chains that call each other many times over could cost exponential time.
const STEPS: usize = 100_000;

impl Walk<'_> {
    fn rules(&mut self, name: &ChainName, chain: &Chain, depth: usize) -> Option<Verdict> {
        // The kernel allows 16 jumps.
        if depth > 16 {
            return None;
        }
        chain
            .rules
            .iter()
            .find_map(|rule| self.rule(name, rule, depth))
    }

    fn rule(&mut self, name: &ChainName, rule: &[Value], depth: usize) -> Option<Verdict> {
        let Some(steps) = self.steps.checked_sub(1) else {
            // Nothing is known of what would have followed.
            self.may_accept = true;
            return None;
        };
        self.steps = steps;
        let mut fit = Fit::Yes;
        for expression in rule {
            let (statement, argument) = expression.as_object()?.iter().next()?;
            match statement.as_str() {
                "match" => fit = fit.min(self.matches(name, argument)),
                // Matches of iptables that nft cannot read, and rates.
                "xt" | "limit" | "quota" | "ct count" => fit = fit.min(Fit::Maybe),
                "vmap" => {
                    let (verdict, known) = self.verdict_map(name, argument, depth);
                    fit = fit.min(known);
                    if let Some(verdict) = self.decide(fit, verdict) {
                        return Some(verdict);
                    }
                }
                _ => {
                    let verdict = self.verdict(name, statement, argument, fit, depth);
                    if let Some(verdict) = self.decide(fit, verdict) {
                        return Some(verdict);
                    }
                }
            }
            if fit == Fit::No {
                return None;
            }
        }
        None
    }

    /// A verdict counts if the rule surely fits; if it may fit, an acceptance is remembered.
    fn decide(&mut self, fit: Fit, verdict: Option<Verdict>) -> Option<Verdict> {
        if fit == Fit::Maybe && verdict == Some(Verdict::Accept) {
            self.may_accept = true;
        }
        verdict.filter(|_| fit == Fit::Yes)
    }

    fn verdict(
        &mut self,
        name: &ChainName,
        statement: &str,
        argument: &Value,
        fit: Fit,
        depth: usize,
    ) -> Option<Verdict> {
        match statement {
            "accept" | "queue" => Some(Verdict::Accept),
            "drop" | "reject" => Some(Verdict::Deny),
            "return" => Some(Verdict::Return),
            "jump" | "goto" if fit != Fit::No => {
                let target = (
                    name.0.clone(),
                    name.1.clone(),
                    text(argument, "target").to_owned(),
                );
                let ruleset = self.ruleset;
                let chain = ruleset.chains.get(&target)?;
                match (self.rules(&target, chain, depth + 1), statement) {
                    (Some(Verdict::Return) | None, "jump") => None,
                    // What follows a `goto` is the end of the calling chain.
                    (Some(Verdict::Return) | None, _) => Some(Verdict::Return),
                    (verdict, _) => verdict,
                }
            }
            _ => None,
        }
    }

    fn verdict_map(
        &mut self,
        name: &ChainName,
        map: &Value,
        depth: usize,
    ) -> (Option<Verdict>, Fit) {
        let key = map.get("key").unwrap_or(&Value::Null);
        let pairs = map
            .get("data")
            .and_then(|data| data.get("set"))
            .and_then(Value::as_array);
        for pair in pairs.into_iter().flatten() {
            let (Some(value), Some(verdict)) = (pair.get(0), pair.get(1)) else {
                continue;
            };
            let fit = self.compare(name, key, value);
            if fit != Fit::No
                && let Some((statement, argument)) = verdict
                    .as_object()
                    .and_then(|verdict| verdict.iter().next())
            {
                return (self.verdict(name, statement, argument, fit, depth), fit);
            }
        }
        (None, Fit::Yes)
    }

    fn matches(&self, name: &ChainName, condition: &Value) -> Fit {
        let null = Value::Null;
        let left = condition.get("left").unwrap_or(&null);
        let right = condition.get("right").unwrap_or(&null);
        let fit = self.compare(name, left, right);
        match text(condition, "op") {
            "==" | "in" => fit,
            "!=" => fit.negated(),
            _ => Fit::Maybe,
        }
    }

    /// Whether a field of the connection has a value.
    fn compare(&self, name: &ChainName, field: &Value, value: &Value) -> Fit {
        if let Some(payload) = field.get("payload") {
            return match (text(payload, "protocol"), text(payload, "field")) {
                ("tcp" | "udp" | "th", "dport") => {
                    let protocol = text(payload, "protocol");
                    if protocol == "th" || protocol == self.traffic.protocol() {
                        self.port_among(Some(name), value)
                    } else {
                        Fit::No
                    }
                }
                ("ip", "protocol") => self.of_family(Family::V4).min(self.word_among(
                    Some(name),
                    value,
                    self.traffic.protocol(),
                )),
                ("ip6", "nexthdr") => self.of_family(Family::V6).min(self.word_among(
                    Some(name),
                    value,
                    self.traffic.protocol(),
                )),
                ("ip", _) => self.of_family(Family::V4).min(Fit::Maybe),
                ("ip6", _) => self.of_family(Family::V6).min(Fit::Maybe),
                ("tcp", _) => Fit::of(!self.traffic.udp).min(Fit::Maybe),
                ("udp", _) => Fit::of(self.traffic.udp).min(Fit::Maybe),
                ("icmp" | "icmpv6" | "igmp" | "sctp" | "dccp" | "esp" | "ah" | "arp", _) => Fit::No,
                _ => Fit::Maybe,
            };
        }
        if let Some(meta) = field.get("meta") {
            return match text(meta, "key") {
                "l4proto" => self.word_among(Some(name), value, self.traffic.protocol()),
                "nfproto" => self.word_among(
                    Some(name),
                    value,
                    &self.traffic.family.as_str().to_lowercase(),
                ),
                "protocol" => self.word_among(
                    Some(name),
                    value,
                    if self.traffic.family == Family::V4 {
                        "ip"
                    } else {
                        "ip6"
                    },
                ),
                // Another machine does not come in through the loopback.
                "iif" | "iifname" if value.as_str() == Some("lo") => Fit::No,
                _ => Fit::Maybe,
            };
        }
        if let Some(tracked) = field.get("ct") {
            return match text(tracked, "key") {
                "state" => self.word_among(Some(name), value, "new"),
                _ => Fit::Maybe,
            };
        }
        // `tcp flags & (fin|syn|rst|ack) == syn`: the first packet of a connection.
        let flags = field
            .get("&")
            .and_then(|mask| mask.get(0))
            .and_then(|field| field.get("payload"));
        if flags.is_some_and(|payload| text(payload, "field") == "flags") && !self.traffic.udp {
            return self.word_among(Some(name), value, "syn");
        }
        Fit::Maybe
    }

    fn of_family(&self, family: Family) -> Fit {
        Fit::of(self.traffic.family == family)
    }

    fn port_among(&self, name: Option<&ChainName>, value: &Value) -> Fit {
        let port = u64::from(self.traffic.port);
        match value {
            Value::Number(number) => Fit::of(number.as_u64() == Some(port)),
            Value::String(set) => self
                .named(name, set)
                .map_or(Fit::Maybe, |set| self.port_among(None, set)),
            Value::Array(values) => self.any(values, |value| self.port_among(name, value)),
            Value::Object(_) => {
                if let Some(values) = value.get("set").and_then(Value::as_array) {
                    return self.any(values, |value| self.port_among(name, value));
                }
                if let Some(element) = value.get("elem").and_then(|element| element.get("val")) {
                    return self.port_among(name, element);
                }
                let bound = |index: usize| {
                    value
                        .get("range")
                        .and_then(|range| range.get(index))
                        .and_then(Value::as_u64)
                };
                match (bound(0), bound(1)) {
                    (Some(low), Some(high)) => Fit::of((low..=high).contains(&port)),
                    _ => Fit::Maybe,
                }
            }
            _ => Fit::Maybe,
        }
    }

    fn word_among(&self, name: Option<&ChainName>, value: &Value, word: &str) -> Fit {
        match value {
            Value::String(text) => match self.named(name, text) {
                Some(set) => self.word_among(None, set, word),
                None => Fit::of(text == word),
            },
            Value::Array(values) => self.any(values, |value| self.word_among(name, value, word)),
            Value::Object(_) => match value.get("set").and_then(Value::as_array) {
                Some(values) => self.any(values, |value| self.word_among(name, value, word)),
                None => Fit::Maybe,
            },
            Value::Number(number) => {
                let protocol = if self.traffic.udp { 17 } else { 6 };
                Fit::of(number.as_u64() == Some(protocol))
            }
            _ => Fit::Maybe,
        }
    }

    #[expect(clippy::unused_self, reason = "reads like its neighbours")]
    fn any(&self, values: &[Value], fit: impl Fn(&Value) -> Fit) -> Fit {
        values.iter().map(fit).max().unwrap_or(Fit::No)
    }

    /// `@web`. A set that names a set is not followed, so `name` is there only outside of one.
    fn named(&self, name: Option<&ChainName>, text: &str) -> Option<&Value> {
        let (name, set) = (name?, text.strip_prefix('@')?);
        let key = (name.0.clone(), name.1.clone(), set.to_owned());
        self.ruleset.sets.get(&key).filter(|value| value.is_array())
    }
}

#[cfg(test)]
mod tests;
