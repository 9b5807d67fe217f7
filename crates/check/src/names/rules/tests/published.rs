//! Addresses and TTLs in the records.

use super::*;

fn with_aaaa(lines: &[&str]) -> NamesObservation {
    let mut names = healthy();
    publish(&mut names, &everybody(), RecordType::AAAA, lines);
    publish(&mut names, &everybody(), RecordType::HTTPS, &[]);
    names
}

#[test]
fn an_address_that_nobody_can_reach() {
    let names = with_aaaa(&["www.lab.test. 300 AAAA fd00::80"]);
    let judgement = check(&names, &["dns.aaaa-not-global"]);
    assert!(judgement.findings[0].message.contains("unique local"));
    assert!(
        probeable(&names).iter().all(IpAddr::is_ipv4),
        "nothing is sent there"
    );
}

#[test]
fn the_translators_prefix_published_by_the_zone_itself() {
    let mut names = with_aaaa(&["www.lab.test. 300 AAAA 64:ff9b::198.51.100.80"]);
    names.synthesis = Nat64Prefix::of_probe("64:ff9b::192.0.0.170".parse().unwrap())
        .into_iter()
        .collect();
    check(&names, &["dns.aaaa-not-global"]);
}

#[test]
fn an_address_that_was_not_declared() {
    let expectation = Expectation {
        v6: ["2e00:5::80".parse().unwrap()].into(),
        ..expectation()
    };
    let judgement = check_with(&healthy(), &expectation, &["dns.aaaa-unexpected"]);
    assert_eq!(judgement.findings[0].subject, "2e00:5::81");
}

fn planned(addresses: &[&str]) -> Expectation {
    Expectation {
        v6: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        ..expectation()
    }
}

fn check_plan(names: &[NamesObservation], addresses: &[&str], missing: &[&str]) {
    let judgement = judge_plan(names, &planned(addresses));
    let found: Vec<_> = judgement.findings.iter().collect();
    assert_eq!(found.len(), usize::from(!missing.is_empty()), "{found:#?}");
    for finding in found {
        assert_eq!(finding.code.as_str(), "dns.aaaa-missing");
        assert!(!finding.evidence.is_empty());
        for address in addresses {
            let said = finding.message.contains(&format!("`{address}`"));
            assert_eq!(said, missing.contains(address), "{}", finding.message);
        }
    }
}

#[test]
fn the_declared_set_in_full() {
    let all = ["2e00:5::80", "2e00:5::81"];
    check_with(&healthy(), &planned(&all), &[]);
    check_plan(&[healthy()], &all, &[]);
}

#[test]
fn declared_addresses_that_nobody_publishes() {
    let more = ["2e00:5::80", "2e00:5::82", "2e00:5::81", "2e00:5::83"];
    check_with(&healthy(), &planned(&more), &[]);
    check_plan(&[healthy()], &more, &["2e00:5::82", "2e00:5::83"]);
    check_plan(&[healthy()], &["2e00:5::82"], &["2e00:5::82"]);
}

#[test]
fn an_address_that_one_server_publishes_is_not_missing() {
    let mut names = healthy();
    publish(
        &mut names,
        &[RESOLVER, NS1_V4, NS1_V6],
        RecordType::AAAA,
        &["www.lab.test. 300 AAAA 2e00:5::80"],
    );
    check_plan(&[names], &["2e00:5::80", "2e00:5::81"], &[]);
}

#[test]
fn a_declared_address_of_a_name_without_any_is_told_once() {
    let names = with_aaaa(&[]);
    let expected = planned(&["2e00:5::80"]);
    check_with(&names, &expected, &["dns.aaaa-missing"]);
    check_plan(&[names], &["2e00:5::80"], &[]);
}

#[test]
fn a_declared_address_that_a_failing_server_may_have() {
    let mut names = healthy();
    change(&mut names, &[NS2_V4], RecordType::AAAA, silenced);
    check_plan(&[names], &["2e00:5::80", "2e00:5::82"], &[]);
}

#[test]
fn several_names_have_the_declared_set_together() {
    let mut other = healthy();
    publish(
        &mut other,
        &everybody(),
        RecordType::AAAA,
        &["www.lab.test. 300 AAAA 2e00:5::25"],
    );
    let both = ["2e00:5::80", "2e00:5::25"];
    check_plan(&[healthy(), other], &both, &[]);
}

#[test]
fn a_ttl_of_a_day() {
    let names = with_aaaa(&["www.lab.test. 86400 AAAA 2e00:5::80"]);
    check(&names, &["dns.ttl-too-long"]);
}

#[test]
fn a_long_ttl_of_the_a_alone() {
    let mut names = healthy();
    publish(
        &mut names,
        &everybody(),
        RecordType::A,
        &["www.lab.test. 86400 A 198.51.100.80"],
    );
    publish(&mut names, &everybody(), RecordType::HTTPS, &[]);
    check(&names, &[]);
}

#[test]
fn the_limit_itself_is_not_too_long() {
    check(&with_aaaa(&["www.lab.test. 3600 AAAA 2e00:5::80"]), &[]);
}

#[test]
fn a_cache_that_lengthens_ttls_is_overruled() {
    let mut names = healthy();
    publish(
        &mut names,
        &[RESOLVER],
        RecordType::AAAA,
        &[
            "www.lab.test. 86400 AAAA 2e00:5::80",
            "www.lab.test. 86400 AAAA 2e00:5::81",
        ],
    );
    check(&names, &[]);
}
