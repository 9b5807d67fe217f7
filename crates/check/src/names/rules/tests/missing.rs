//! Names without AAAA, or without A.

use super::*;

#[test]
fn no_aaaa_anywhere() {
    let mut names = healthy();
    publish(&mut names, &everybody(), RecordType::AAAA, &[]);
    let judgement = check(&names, &["dns.aaaa-missing"]);
    let finding = &judgement.findings[0];
    assert!(
        finding.hint.contains("`www.lab.test. 300 IN AAAA "),
        "{}",
        finding.hint
    );
    assert!(
        finding
            .evidence
            .iter()
            .any(|evidence| evidence.did.contains("HTTPS")),
        "the hint that outlived the AAAA is evidence"
    );
}

#[test]
fn no_aaaa_as_meant() {
    let mut names = healthy();
    publish(&mut names, &everybody(), RecordType::AAAA, &[]);
    publish(&mut names, &everybody(), RecordType::HTTPS, &[]);
    let expectation = Expectation {
        v4_only_is_fine: true,
        ..expectation()
    };
    check_with(&names, &expectation, &[]);
}

#[test]
fn a_query_that_fails_is_not_a_missing_record() {
    let mut names = healthy();
    publish(&mut names, &[RESOLVER], RecordType::AAAA, &[]);
    change(&mut names, &AUTHORITATIVE, RecordType::AAAA, |lookup| {
        failed(lookup, Rcode::REFUSED);
    });
    names.pairs.clear();
    check(&names, &["dns.aaaa-query-broken"]);
}

#[test]
fn what_a_resolver_makes_up_is_not_published() {
    let mut names = healthy();
    publish(&mut names, &AUTHORITATIVE, RecordType::AAAA, &[]);
    publish(
        &mut names,
        &[RESOLVER],
        RecordType::AAAA,
        &["www.lab.test. 300 AAAA 64:ff9b::198.51.100.80"],
    );
    publish(&mut names, &everybody(), RecordType::HTTPS, &[]);
    names.synthesis = Nat64Prefix::of_probe("64:ff9b::192.0.0.170".parse().unwrap())
        .into_iter()
        .collect();
    check(&names, &["dns.aaaa-missing"]);
    let v4_only = Expectation {
        v4_only_is_fine: true,
        ..expectation()
    };
    check_with(&names, &v4_only, &[]);
    assert!(probeable(&names).iter().all(IpAddr::is_ipv4));
}

#[test]
fn no_a_anywhere() {
    let mut names = healthy();
    publish(&mut names, &everybody(), RecordType::A, &[]);
    check(&names, &["dns.a-missing"]);
}

#[test]
fn no_address_at_all_is_one_finding() {
    let mut names = healthy();
    publish(&mut names, &everybody(), RecordType::A, &[]);
    publish(&mut names, &everybody(), RecordType::AAAA, &[]);
    publish(&mut names, &everybody(), RecordType::HTTPS, &[]);
    let judgement = check(&names, &["dns.aaaa-missing"]);
    assert!(judgement.findings[0].message.contains("no address at all"));
    let v4_only = Expectation {
        v4_only_is_fine: true,
        ..expectation()
    };
    check_with(&names, &v4_only, &["dns.aaaa-missing"]);
}

#[test]
fn an_alias_to_a_name_with_both_is_complete() {
    let mut names = healthy();
    names.canonical = name("cdn.test");
    for (rtype, line) in [
        (RecordType::A, "cdn.test. 60 A 198.51.100.80"),
        (RecordType::AAAA, "cdn.test. 60 AAAA 2e00:5::80"),
    ] {
        let alias = "www.lab.test. 300 CNAME cdn.test.";
        publish(&mut names, &[RESOLVER], rtype, &[alias, line]);
        publish(&mut names, &AUTHORITATIVE, rtype, &[alias]);
    }
    publish(&mut names, &everybody(), RecordType::HTTPS, &[]);
    check(&names, &[]);
    assert_eq!(probeable(&names).len(), 2);
}
