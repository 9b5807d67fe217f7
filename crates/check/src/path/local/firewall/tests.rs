use super::*;
use serde_json::json;

/// Rule sets in the JSON of nft 1.0.6.
struct Rules(Vec<Value>);

impl Rules {
    fn new() -> Self {
        Self(vec![
            json!({"metainfo": {"version": "1.0.6", "json_schema_version": 1}}),
        ])
    }

    fn base(mut self, family: &str, policy: &str) -> Self {
        self.0.push(json!({"chain": {
            "family": family, "table": "filter", "name": "input", "handle": 1,
            "type": "filter", "hook": "input", "prio": 0, "policy": policy,
        }}));
        self
    }

    fn chain(mut self, family: &str, name: &str) -> Self {
        self.0.push(
            json!({"chain": {"family": family, "table": "filter", "name": name, "handle": 9}}),
        );
        self
    }

    fn rule(mut self, family: &str, chain: &str, expressions: impl Into<Value>) -> Self {
        let expressions = expressions.into();
        self.0.push(json!({"rule": {
            "family": family, "table": "filter", "chain": chain, "handle": 2, "expr": expressions,
        }}));
        self
    }

    fn chance(&self, family: Family, port: u16) -> Chance {
        let json = serde_json::to_vec(&json!({"nftables": self.0})).unwrap();
        let ruleset = Ruleset::parse(&json).unwrap();
        ruleset
            .outcome(Traffic {
                family,
                udp: false,
                port,
            })
            .chance
    }
}

fn dport(right: impl Into<Value>) -> Value {
    let right = right.into();
    json!({"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": right}})
}

fn accept() -> Value {
    json!({"accept": null})
}

fn interface(name: &str) -> Value {
    json!({"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": name}})
}

use Chance::{Accepted, Conditional, Denied};

#[test]
fn without_rules_everything_gets_in() {
    assert_eq!(Rules::new().chance(Family::V6, 443), Accepted);
    assert_eq!(
        Rules::new().base("inet", "accept").chance(Family::V6, 443),
        Accepted
    );
    assert_eq!(
        Rules::new().base("ip", "drop").chance(Family::V6, 443),
        Accepted
    );
    assert_eq!(
        Rules::new().base("inet", "drop").chance(Family::V6, 443),
        Denied
    );
}

#[test]
fn ports_are_found_as_number_range_set_and_in_named_sets() {
    let check = |right: Value| {
        let rules = Rules::new().base("ip6", "drop").rule(
            "ip6",
            "input",
            json!([dport(right.clone()), accept()]),
        );
        assert_eq!(
            (
                rules.chance(Family::V6, 443),
                rules.chance(Family::V6, 8443)
            ),
            (Accepted, Denied),
            "{right}"
        );
    };
    check(json!(443));
    check(json!({"range": [1, 1023]}));
    check(json!({"set": [80, 443]}));
    check(json!({"set": [22, {"range": [400, 500]}]}));
    let mut named = Rules::new().base("ip6", "drop").rule(
        "ip6",
        "input",
        json!([dport(json!("@web")), accept()]),
    );
    named.0.push(json!({"set": {"family": "ip6", "name": "web", "table": "filter", "type": "inet_service", "elem": [80, 443]}}));
    assert_eq!(named.chance(Family::V6, 443), Accepted);
    assert_eq!(named.chance(Family::V6, 22), Denied);
}

#[test]
fn the_first_verdict_decides() {
    let rules = Rules::new()
        .base("ip6", "accept")
        .rule("ip6", "input", json!([dport(json!(80)), accept()]))
        .rule(
            "ip6",
            "input",
            json!([dport(json!({"range": [1, 1023]})), {"drop": null}]),
        );
    assert_eq!(rules.chance(Family::V6, 80), Accepted);
    assert_eq!(rules.chance(Family::V6, 443), Denied);
    assert_eq!(rules.chance(Family::V6, 8080), Accepted);
}

#[test]
fn loopback_rules_and_tracked_connections_say_nothing_about_strangers() {
    let rules = Rules::new()
        .base("inet", "drop")
        .rule("inet", "input", json!([interface("lo"), accept()]))
        .rule("inet", "input", json!([{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [
            ["invalid", {"drop": null}], ["established", {"accept": null}], ["related", {"accept": null}],
        ]}}}]))
        .rule("inet", "input", json!([
            {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}, accept(),
        ]));
    assert_eq!(rules.chance(Family::V6, 443), Denied);
}

#[test]
fn new_connections_and_the_first_packet_are_recognised() {
    let rules = Rules::new().base("inet", "drop").rule("inet", "input", json!([
        {"match": {"op": "==", "left": {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, ["syn", "ack"]]}, "right": "syn"}},
        {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": "new"}},
        dport(json!(443)),
        {"counter": {"packets": 0, "bytes": 0}},
        {"log": {"prefix": "x"}},
        accept(),
    ]));
    assert_eq!(rules.chance(Family::V4, 443), Accepted);
}

#[test]
fn chains_are_entered_and_left() {
    let rules = Rules::new()
        .base("inet", "drop")
        .chain("inet", "web")
        .rule("inet", "input", json!([{"jump": {"target": "web"}}]))
        .rule("inet", "input", json!([dport(json!(22)), accept()]))
        .rule("inet", "web", json!([dport(json!(443)), accept()]));
    assert_eq!(
        (rules.chance(Family::V6, 443), rules.chance(Family::V6, 22)),
        (Accepted, Accepted)
    );
    let rules = Rules::new()
        .base("inet", "drop")
        .chain("inet", "web")
        .rule("inet", "input", json!([{"vmap": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "data": {"set": [
            [443, {"goto": {"target": "web"}}],
        ]}}}]))
        .rule("inet", "input", json!([dport(json!(443)), accept()]));
    assert_eq!(rules.chance(Family::V6, 443), Denied);
}

#[test]
fn chains_that_call_each_other_end() {
    let rules = Rules::new()
        .base("inet", "drop")
        .chain("inet", "loop")
        .rule("inet", "input", json!([{"jump": {"target": "loop"}}]))
        .rule("inet", "loop", json!([{"jump": {"target": "loop"}}]));
    assert_eq!(rules.chance(Family::V6, 443), Denied);
}

#[test]
fn chains_that_multiply_and_sets_that_name_themselves_end() {
    let mut rules = Rules::new().base("inet", "drop").chain("inet", "loop");
    for _ in 0..9 {
        rules = rules.rule("inet", "loop", json!([{"jump": {"target": "loop"}}]));
    }
    let rules = rules.rule("inet", "input", json!([{"jump": {"target": "loop"}}]));
    assert_eq!(rules.chance(Family::V6, 443), Conditional);
    let mut rules =
        Rules::new()
            .base("inet", "drop")
            .rule("inet", "input", json!([dport("@web"), accept()]));
    rules.0.push(
        json!({"set": {"family": "inet", "name": "web", "table": "filter", "elem": ["@web"]}}),
    );
    assert_eq!(rules.chance(Family::V6, 443), Conditional);
}

#[test]
fn what_depends_on_the_sender_is_conditional() {
    let from = json!({"match": {"op": "==", "left": {"payload": {"protocol": "ip6", "field": "saddr"}}, "right": "2e00::1"}});
    let rules = Rules::new().base("inet", "drop").rule(
        "inet",
        "input",
        json!([from, dport(json!(443)), accept()]),
    );
    assert_eq!(rules.chance(Family::V6, 443), Conditional);
    assert_eq!(rules.chance(Family::V4, 443), Denied);
    let rules = Rules::new().base("inet", "drop").rule(
        "inet",
        "input",
        json!([interface("eth0"), dport(json!(443)), accept()]),
    );
    assert_eq!(rules.chance(Family::V6, 443), Conditional);
    let blocked = json!({"match": {"op": "==", "left": {"payload": {"protocol": "ip6", "field": "saddr"}}, "right": "2e00::1"}});
    let rules =
        Rules::new()
            .base("inet", "accept")
            .rule("inet", "input", json!([blocked, {"drop": null}]));
    assert_eq!(rules.chance(Family::V6, 443), Accepted);
}

#[test]
fn protocols_and_families_are_told_apart() {
    let proto = |value: Value| json!({"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": value}});
    let rules = Rules::new()
        .base("inet", "drop")
        .rule("inet", "input", json!([proto(json!({"set": ["tcp", "udp"]})), {"match": {"op": "==", "left": {"payload": {"protocol": "th", "field": "dport"}}, "right": 443}}, accept()]))
        .rule("inet", "input", json!([{"match": {"op": "==", "left": {"meta": {"key": "nfproto"}}, "right": "ipv4"}}, dport(json!(80)), accept()]));
    assert_eq!(
        (
            rules.chance(Family::V6, 443),
            rules.chance(Family::V6, 80),
            rules.chance(Family::V4, 80)
        ),
        (Accepted, Denied, Accepted)
    );
    let rules = Rules::new()
        .base("inet", "accept")
        .rule("inet", "input", json!([proto(json!("udp")), {"drop": null}]))
        .rule("inet", "input", json!([{"match": {"op": "==", "left": {"payload": {"protocol": "icmpv6", "field": "type"}}, "right": 1}}, {"drop": null}]));
    assert_eq!(rules.chance(Family::V6, 443), Accepted);
}

#[test]
fn the_chain_that_denies_is_named() {
    let rules = Rules::new().base("ip6", "drop");
    let json = serde_json::to_vec(&json!({"nftables": rules.0})).unwrap();
    let outcome = Ruleset::parse(&json).unwrap().outcome(Traffic {
        family: Family::V6,
        udp: true,
        port: 443,
    });
    assert_eq!(
        outcome,
        Outcome {
            chance: Denied,
            chain: Some("ip6 filter input".to_owned())
        }
    );
}

#[test]
fn other_output_is_no_ruleset_and_strange_rules_no_panic() {
    for other in ["", "[]", "{}", "{\"nftables\": 5}", "table ip filter {}"] {
        assert_eq!(Ruleset::parse(other.as_bytes()), None, "{other}");
    }
    let rules = Rules::new().base("inet", "drop").rule(
        "inet",
        "input",
        json!([7, null, {}, {"match": 1}, {"vmap": {"data": {"set": [[1]]}}}]),
    );
    assert_eq!(rules.chance(Family::V6, 443), Denied);
}
