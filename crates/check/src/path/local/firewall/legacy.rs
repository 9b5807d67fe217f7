//! Rules of `iptables-legacy`, which `nft` does not show, from `iptables-legacy-save`.
//!
//! Each rule is written down as the expressions that `nft` has for the same, so that one walk follows both. What has no
//! such expression here makes a rule conditional. Pure; reads the output of a program, so it never panics.

use super::{Chain, ChainName, Ruleset};
use crate::path::Family;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What stands before the table in the names of these chains.
pub(super) const MARK: &str = "iptables-legacy/";

/// Built-in chains that see a packet from another machine, and the priority of their hook.
const BASES: [(&str, &str, i64); 5] = [
    ("raw", "PREROUTING", -300),
    ("mangle", "PREROUTING", -150),
    ("mangle", "INPUT", -150),
    ("filter", "INPUT", 0),
    ("security", "INPUT", 50),
];

/// Adds what `iptables-legacy-save` or `ip6tables-legacy-save` printed.
pub(super) fn add(ruleset: &mut Ruleset, family: Family, saved: &str) {
    let own = match family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    };
    let mut table = "";
    let name = |table: &str, chain: &str| -> ChainName {
        (own.to_owned(), format!("{MARK}{table}"), chain.to_owned())
    };
    let mut chains = BTreeSet::new();
    for line in saved.lines() {
        if let Some(begins) = line.strip_prefix('*') {
            table = begins.trim();
            chains.clear();
        } else if let Some(declared) = line.strip_prefix(':') {
            let mut words = declared.split_whitespace();
            let (Some(chain), policy) = (words.next(), words.next()) else {
                continue;
            };
            chains.insert(chain);
            let priority = BASES
                .iter()
                .find(|(of, base, _)| (*of, *base) == (table, chain))
                .map(|(_, _, priority)| *priority);
            let entry = Chain {
                priority,
                drops_by_default: policy == Some("DROP"),
                rules: Vec::new(),
            };
            ruleset.chains.insert(name(table, chain), entry);
        } else if line.starts_with("-A ") {
            let words = words(line);
            if let Some(chain) = words.get(1) {
                let entry = ruleset.chains.entry(name(table, chain)).or_default();
                entry.rules.push(expressions(&words, &chains));
            }
        }
    }
}

/// A rule as `nft` would show it.
fn expressions(words: &[String], chains: &BTreeSet<&str>) -> Vec<Value> {
    let mut expressions = Vec::new();
    let mut words = words.iter().map(String::as_str).skip(2);
    let mut negated = false;
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_default();
        let expression = match word {
            "!" => {
                negated = true;
                continue;
            }
            "-p" | "--protocol" => match value() {
                "all" | "0" => None,
                "6" => Some(condition(negated, l4proto(), json!("tcp"))),
                "17" => Some(condition(negated, l4proto(), json!("udp"))),
                name => Some(condition(negated, l4proto(), json!(name))),
            },
            // These only announce the words that follow.
            "-m" | "--match" => match value() {
                "tcp" | "udp" | "multiport" | "conntrack" | "state" | "comment" => None,
                _ => Some(unknown()),
            },
            "--comment" => {
                value();
                None
            }
            "--dport" | "--dports" | "--destination-port" | "--destination-ports" => {
                let field = json!({"payload": {"protocol": "th", "field": "dport"}});
                Some(condition(negated, field, ports(value())))
            }
            "-i" | "--in-interface" => {
                let field = json!({"meta": {"key": "iifname"}});
                Some(condition(negated, field, json!(value())))
            }
            "--ctstate" | "--state" => {
                let states: Vec<String> = value().split(',').map(str::to_lowercase).collect();
                let field = json!({"ct": {"key": "state"}});
                Some(condition(negated, field, json!({"set": states})))
            }
            "--syn" => Some(condition(negated, flags(), json!("syn"))),
            "--tcp-flags" => {
                let (looked_at, set) = (value(), value());
                let with_syn = looked_at
                    .split(',')
                    .any(|flag| matches!(flag, "SYN" | "ALL"));
                let fits = set == if with_syn { "SYN" } else { "NONE" };
                let right = if fits { "syn" } else { "none" };
                Some(condition(negated, flags(), json!(right)))
            }
            // What follows a target are its options.
            "-j" | "--jump" => {
                expressions.extend(target(value(), chains, "jump"));
                return expressions;
            }
            "-g" | "--goto" => {
                expressions.extend(target(value(), chains, "goto"));
                return expressions;
            }
            word if word.starts_with('-') => Some(unknown()),
            // The value of something unknown.
            _ => None,
        };
        negated = false;
        expressions.extend(expression);
    }
    expressions
}

fn target(name: &str, chains: &BTreeSet<&str>, way: &str) -> Option<Value> {
    match name {
        "ACCEPT" => Some(json!({"accept": null})),
        "DROP" => Some(json!({"drop": null})),
        "REJECT" => Some(json!({"reject": null})),
        "RETURN" => Some(json!({"return": null})),
        "QUEUE" | "NFQUEUE" => Some(json!({"queue": null})),
        // Others, such as LOG and MARK, decide nothing.
        chain => chains
            .contains(chain)
            .then(|| json!({way: {"target": chain}})),
    }
}

fn condition(negated: bool, left: Value, right: Value) -> Value {
    let operator = if negated { "!=" } else { "==" };
    let mut parts = serde_json::Map::new();
    parts.insert("op".to_owned(), json!(operator));
    parts.insert("left".to_owned(), left);
    parts.insert("right".to_owned(), right);
    json!({"match": parts})
}

fn l4proto() -> Value {
    json!({"meta": {"key": "l4proto"}})
}

fn flags() -> Value {
    json!({"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["fin", "syn", "rst", "ack"]]})
}

/// A match that is not understood: it may hold or not.
fn unknown() -> Value {
    json!({"xt": null})
}

/// `443`, `80:90`, `80,443,1000:2000`.
fn ports(text: &str) -> Value {
    let port = |text: &str, none: u16| -> Option<u16> {
        if text.is_empty() {
            return Some(none);
        }
        text.parse().ok()
    };
    let ports: Option<Vec<Value>> = text
        .split(',')
        .map(|item| match item.split_once(':') {
            Some((low, high)) => Some(json!({"range": [port(low, 0)?, port(high, u16::MAX)?]})),
            None => Some(json!(item.parse::<u16>().ok()?)),
        })
        .collect();
    // `null` compares as "may be".
    ports.map_or(Value::Null, |ports| json!({"set": ports}))
}

/// The words of a line; `"two words"` are one, with `\"` inside.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(characters.next()),
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests;
