//! Worlds without their fault, and with those of others.

use super::*;
use crate::world::model::FilterAction;
use twinstack_finding::Code;

/// Ten pairs of faults from different areas; `check` must find both of each.
pub(super) const PAIRS: [(&str, &str); 10] = [
    ("ptr-missing", "tls-stall-v6"),
    ("v6-drop", "ns-v6-dead"),
    ("aaaa-slow", "vhost-mismatch-v6"),
    ("ptr-malformed", "quic-v6-blocked"),
    ("ula-published", "alpn-gap-v6"),
    ("https-hint-mismatch", "icmpv6-filtered"),
    ("ptr-generic", "partial-page"),
    ("ttl-too-long", "fragment-drop"),
    ("glue-no-aaaa", "content-mismatch-v6"),
    ("aaaa-servfail", "v4-literal"),
];

/// The world without what says what it is for.
fn body(mut world: World) -> World {
    let standard = loaded("standard");
    world.name = standard.name;
    world.summary = standard.summary;
    world.check = standard.check;
    world.needs.clear();
    world.expect.clear();
    world.near_miss_of.clear();
    world
}

#[test]
fn without_its_fault_a_world_is_its_base_and_expects_nothing() {
    let standard = loaded("standard");
    let mut same = 0;
    for shipped in World::shipped() {
        let healthy = without_fault(shipped.name());
        assert!(healthy.expect.is_empty(), "{}", shipped.name());
        assert_eq!(
            healthy.check,
            loaded(shipped.name()).check,
            "{}",
            shipped.name()
        );
        // Some have more than the standard world around their fault: a visitor, a café, NAT64, real servers.
        let more = [
            "return-path-loss-local",
            "slow-visitor",
            "so-2017",
            "so-2017-mended",
            "v6-only-nat64",
            "dns64-answer",
            "bind-nginx",
            "bind-nginx-incident",
        ];
        if !more.contains(&shipped.name()) {
            assert!(body(healthy) == standard, "{}", shipped.name());
            same += 1;
        }
    }
    assert!(same > 80, "only {same} worlds were compared");
}

#[test]
fn a_world_that_expects_something_has_a_fault() {
    for shipped in World::shipped() {
        let world = loaded(shipped.name());
        if !world.expect.is_empty() {
            assert!(
                body(world) != body(without_fault(shipped.name())),
                "{}",
                shipped.name()
            );
        }
    }
}

#[test]
fn ten_pairs_of_faults_merge_and_expect_both() {
    for (one, other) in PAIRS {
        let options = LoadOptions {
            also_fault_of: vec![other.to_owned()],
            ..LoadOptions::default()
        };
        let both = loaded_with(one, &options);
        let (first, second) = (loaded(one), loaded(other));
        let mut expected = [first.expect.clone(), second.expect.clone()].concat();
        expected.sort();
        assert_eq!(both.expect, expected, "{one} and {other}");
        assert_eq!(expected.len(), 2, "{one} and {other}");
        for alone in [first, second] {
            for filter in &alone.filters {
                assert!(both.filters.contains(filter), "{one} and {other}");
            }
            for rule in &alone.dns_rules {
                assert!(both.dns_rules.contains(rule), "{one} and {other}");
            }
            assert!(body(both.clone()) != body(alone), "{one} and {other}");
        }
        // The order does not matter: the faults of a pair touch different things.
        let options = LoadOptions {
            also_fault_of: vec![one.to_owned()],
            ..LoadOptions::default()
        };
        let swapped = loaded_with(other, &options);
        assert!(swapped.hosts == both.hosts, "{one} and {other}");
        assert_eq!(swapped.expect, both.expect, "{one} and {other}");
    }
}

#[test]
fn arguments_of_check_are_united() {
    let options = LoadOptions {
        also_fault_of: vec!["aaaa-unexpected".to_owned()],
        ..LoadOptions::default()
    };
    let both = loaded_with("ptr-mismatch", &options);
    assert_eq!(
        both.check.arguments,
        [
            "--expect-ptr",
            "www.lab.test",
            "--expect-v6",
            "2e00:5::80",
            "--expect-v6",
            "2e00:5::81"
        ]
    );
    let codes = ["dns.aaaa-unexpected", "ptr.mismatch"].map(Code::of);
    assert_eq!(both.expect, codes);
}

#[test]
fn worlds_that_call_check_differently_cannot_be_united() {
    let options = LoadOptions {
        also_fault_of: vec!["mx-no-v6".to_owned(), "bind-nginx-incident".to_owned()],
        ..LoadOptions::default()
    };
    let error = World::load_with("dad-failed", &options).expect_err("other base");
    let messages: Vec<_> = error
        .problems()
        .iter()
        .map(|p| p.message.as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "this world is more than a fault: it has `hosts` of its own, so it cannot be laid over another"
        ]
    );
    let with = |first: &str, second: &str| {
        let options = LoadOptions {
            also_fault_of: vec![second.to_owned()],
            ..LoadOptions::default()
        };
        World::load_with(first, &options)
    };
    assert!(
        with("dad-failed", "mx-no-v6").is_ok(),
        "host and target do not clash"
    );
    let error = with("v6-drop", "no-such-world").expect_err("unknown");
    assert!(matches!(error, WorldError::Unknown { .. }), "{error}");
}

#[test]
fn filters_and_rules_of_a_fault_come_first() {
    let world = parsed(
        "filters:\n\
         \x20 - { at: service, action: accept }\n\
         dns:\n\
         \x20 - { types: A, delay: 1s }\n\
         fault:\n\
         \x20 filters:\n\
         \x20   - { at: service, action: drop }\n\
         \x20   - { at: service, action: reset }\n\
         \x20 dns:\n\
         \x20   - { types: AAAA, reply: drop }\n",
    );
    let actions: Vec<_> = world.filters.iter().map(|filter| filter.action).collect();
    assert_eq!(
        actions,
        [
            FilterAction::Drop,
            FilterAction::Reset,
            FilterAction::Accept
        ]
    );
    let types: Vec<_> = world
        .dns_rules
        .iter()
        .map(|rule| rule.types.join(""))
        .collect();
    assert_eq!(types, ["AAAA", "A"]);
}

#[test]
fn a_code_that_nobody_raises_is_refused_where_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mine.yaml");
    let check = |text: &str, known: &[&str]| {
        std::fs::write(&path, format!("version: 1\nextends: standard\n{text}\n")).unwrap();
        let options = LoadOptions {
            known_codes: known.iter().map(|code| (*code).to_owned()).collect(),
            ..LoadOptions::default()
        };
        World::load_with(path.to_str().unwrap(), &options).map_err(|error| {
            let problem = &error.problems()[0];
            (
                problem.place.line,
                problem.place.column,
                format!("{}: {}", problem.message, problem.hint),
            )
        })
    };
    let known = ["reach.no-route", "dns.aaaa-missing"];
    assert_eq!(
        check("expect: [dns.aaaa-missing, reach.no-rout]", &known).unwrap_err(),
        (
            3,
            28,
            "no finding has the code `reach.no-rout`: did you mean `reach.no-route`?".to_owned()
        )
    );
    assert_eq!(
        check("near-miss-of: xyz.nope", &known).unwrap_err(),
        (
            3,
            15,
            "no finding has the code `xyz.nope`: `twinstack explain` lists them".to_owned()
        )
    );
    assert!(check("expect: reach.no-route", &known).is_ok());
    // Who does not say which codes exist takes them all.
    assert!(check("expect: xyz.nope", &[]).is_ok());
}
