//! Servers that disagree, and what only looks like it.

use super::*;

const ONE: &[&str] = &["www.lab.test. 300 AAAA 2e00:5::80"];

fn ns2_says(lines: &[&str]) -> NamesObservation {
    let mut names = healthy();
    publish(&mut names, &[NS2_V4, NS2_V6], RecordType::AAAA, lines);
    names
}

fn serial_at_ns2(names: &mut NamesObservation, serial: u32) {
    let soa = SOA.replace(" 1 7200", &format!(" {serial} 7200"));
    for lookup in &mut names.lookups {
        if lookup.rtype == RecordType::SOA && [NS2_V4, NS2_V6].contains(&lookup.server) {
            *lookup = crate::names::observation::Lookup {
                transport: lookup.transport,
                ..answered(lookup.server, "lab.test", RecordType::SOA, &[&soa])
            };
        }
    }
}

#[test]
fn authoritative_servers_with_different_sets() {
    for lines in [ONE, &[]] {
        let judgement = check(&ns2_says(lines), &["dns.aaaa-inconsistent"]);
        assert!(judgement.findings[0].message.contains("ns2.lab.test"));
        assert_eq!(judgement.findings[0].severity, Severity::Failure);
    }
}

#[test]
fn an_old_serial_names_the_server_to_mend() {
    let mut names = ns2_says(ONE);
    serial_at_ns2(&mut names, 0);
    let judgement = check(&names, &["dns.aaaa-inconsistent"]);
    let hint = &judgement.findings[0].hint;
    assert!(
        hint.contains("ns2.lab.test") && hint.contains("rndc retransfer lab.test"),
        "{hint}"
    );
    assert!(!hint.contains("ns1.lab.test"), "{hint}");
}

#[test]
fn the_same_addresses_in_another_order() {
    let reversed: Vec<&str> = AAAA.iter().rev().copied().collect();
    check(&ns2_says(&reversed), &[]);
}

#[test]
fn answers_that_differ_in_both_families_are_steering() {
    let mut names = ns2_says(ONE);
    publish(
        &mut names,
        &[NS2_V4, NS2_V6],
        RecordType::A,
        &["www.lab.test. 300 A 198.51.100.80"],
    );
    let judgement = check(&names, &[]);
    assert_eq!(judgement.notes.len(), 1);
    serial_at_ns2(&mut names, 0);
    check(&names, &["dns.aaaa-inconsistent"]);
}

#[test]
fn a_server_that_rotates_its_answers() {
    let mut names = ns2_says(ONE);
    names.lookups.push(answered(
        NS2_V4,
        "www.lab.test",
        RecordType::AAAA,
        &["www.lab.test. 300 AAAA 2e00:5::81"],
    ));
    check(&names, &[]);
}

#[test]
fn different_sets_that_were_declared() {
    let expectation = Expectation {
        v6: ["2e00:5::80", "2e00:5::81"]
            .map(|text| text.parse().unwrap())
            .into(),
        ..expectation()
    };
    check_with(&ns2_says(ONE), &expectation, &[]);
    check_with(&ns2_says(&[]), &expectation, &["dns.aaaa-inconsistent"]);
}

#[test]
fn a_resolver_with_a_fresh_answer_of_its_own() {
    let mut names = healthy();
    publish(&mut names, &[RESOLVER], RecordType::AAAA, ONE);
    let judgement = check(&names, &["dns.aaaa-inconsistent"]);
    assert!(
        judgement.findings[0]
            .message
            .contains("resolver 192.0.2.53")
    );
}

#[test]
fn a_resolver_that_filters_says_nothing_without_soa() {
    let mut names = healthy();
    publish(&mut names, &[RESOLVER], RecordType::AAAA, &[]);
    change(&mut names, &[RESOLVER], RecordType::AAAA, |lookup| {
        if let Outcome::Reply(reply) = &mut lookup.outcome {
            reply.authority.clear();
        }
    });
    check(&names, &["dns.aaaa-inconsistent"]);
}

#[test]
fn a_cache_that_lags_is_a_note() {
    let mut names = healthy();
    publish(
        &mut names,
        &[RESOLVER],
        RecordType::AAAA,
        &["www.lab.test. 120 AAAA 2e00:5::80"],
    );
    let judgement = check(&names, &[]);
    assert!(
        judgement.notes[0].contains("120 s"),
        "{:?}",
        judgement.notes
    );
}

#[test]
fn resolvers_alone_can_only_warn() {
    let mut names = healthy();
    names.zones.clear();
    names.lookups.retain(|lookup| lookup.server == RESOLVER);
    names.pairs.clear();
    let mut other = names.servers[0].clone();
    other.endpoint =
        twinstack_dns::client::ServerAddress::Url("https://doh.test/dns-query".to_owned());
    names.servers.push(other);
    let doh = crate::names::observation::ServerId(names.servers.len() - 1);
    names
        .lookups
        .push(answered(doh, "www.lab.test", RecordType::A, A));
    names
        .lookups
        .push(answered(doh, "www.lab.test", RecordType::AAAA, ONE));
    let judgement = check(&names, &["dns.aaaa-inconsistent"]);
    assert_eq!(judgement.findings[0].severity, Severity::Warning);
}
