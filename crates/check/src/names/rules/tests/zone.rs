//! Name servers, glue, negative TTLs.

use super::*;

fn without_v6(names: &mut NamesObservation) {
    for server in &mut names.zones[0].name_servers {
        server.v6.clear();
    }
    names
        .lookups
        .retain(|lookup| ![NS1_V6, NS2_V6].contains(&lookup.server));
    for owner in ["ns1.lab.test", "ns2.lab.test"] {
        names.lookups.retain(|lookup| lookup.name != name(owner));
        names
            .lookups
            .push(answered(RESOLVER, owner, RecordType::AAAA, &[]));
    }
}

#[test]
fn no_name_server_has_ipv6() {
    let mut names = healthy();
    without_v6(&mut names);
    check(&names, &["dns.ns-no-aaaa"]);
}

#[test]
fn one_name_server_with_ipv6_is_enough() {
    let mut names = healthy();
    names.zones[0].name_servers[1].v6.clear();
    check(&names, &[]);
}

#[test]
fn a_name_server_whose_aaaa_could_not_be_asked_for() {
    let mut names = healthy();
    without_v6(&mut names);
    names.zones[0].name_servers[1].v6_known = false;
    check(&names, &[]);
}

fn without_v6_glue(names: &mut NamesObservation) {
    let referral = names.zones[0].referral.as_mut().unwrap();
    referral.glue.retain(|(_, address)| address.is_ipv4());
}

#[test]
fn no_ipv6_glue() {
    let mut names = healthy();
    without_v6_glue(&mut names);
    let judgement = check(&names, &["dns.glue-no-aaaa"]);
    assert!(
        judgement.findings[0]
            .hint
            .contains("`ns1.lab.test. IN AAAA 2e00:5::53`")
    );
}

#[test]
fn glue_for_one_server_is_enough() {
    let mut names = healthy();
    let referral = names.zones[0].referral.as_mut().unwrap();
    referral
        .glue
        .retain(|(owner, address)| address.is_ipv4() || *owner == name("ns1.lab.test"));
    check(&names, &[]);
}

#[test]
fn servers_outside_the_zone_need_no_glue() {
    let mut names = healthy();
    without_v6_glue(&mut names);
    names.zones[0].name_servers[1].name = name("ns.provider.test");
    check(&names, &[]);
}

#[test]
fn no_referral_is_no_word_about_glue() {
    let mut names = healthy();
    names.zones[0].referral = None;
    check(&names, &[]);
}

fn silence(names: &mut NamesObservation, at: &[crate::names::observation::ServerId]) {
    for lookup in &mut names.lookups {
        if at.contains(&lookup.server) {
            silenced(lookup);
        }
    }
    names.pairs.retain(|pair| !at.contains(&pair.server));
}

#[test]
fn a_name_server_is_dead_over_ipv6() {
    let mut names = healthy();
    silence(&mut names, &[NS2_V6]);
    let judgement = check(&names, &["dns.ns-v6-dead"]);
    let finding = &judgement.findings[0];
    assert_eq!(finding.subject, "ns2.lab.test");
    let said = format!("{:?}", finding.evidence);
    assert!(said.contains("UDP") && said.contains("TCP"), "{said}");
}

#[test]
fn a_name_server_that_answers_over_tcp_alone() {
    let mut names = healthy();
    silence(&mut names, &[NS2_V6]);
    for lookup in &mut names.lookups {
        if lookup.server == NS2_V6 && lookup.transport == Transport::Tcp {
            *lookup = crate::names::observation::Lookup {
                transport: Transport::Tcp,
                ..answered(NS2_V6, "lab.test", RecordType::SOA, &[SOA])
            };
        }
    }
    let judgement = check(&names, &["dns.ns-broken"]);
    let message = &judgement.findings[0].message;
    assert!(message.contains("only over TCP"), "{message}");
}

#[test]
fn a_name_server_that_is_dead_on_both_families() {
    let mut names = healthy();
    silence(&mut names, &[NS2_V6, NS2_V4]);
    let judgement = check(&names, &["dns.ns-broken"]);
    let finding = &judgement.findings[0];
    assert_eq!(finding.subject, "ns2.lab.test");
    for address in ["2e00:f::53", "203.0.113.53"] {
        assert!(finding.message.contains(address), "{}", finding.message);
    }
}

#[test]
fn a_name_server_that_is_dead_over_ipv4_alone() {
    let mut names = healthy();
    silence(&mut names, &[NS2_V4]);
    let judgement = check(&names, &["dns.ns-broken"]);
    let message = &judgement.findings[0].message;
    assert!(!message.contains("2e00:f::53"), "{message}");
}

/// Every answer of these servers has this code.
fn fail(names: &mut NamesObservation, at: &[crate::names::observation::ServerId], rcode: Rcode) {
    for lookup in &mut names.lookups {
        if at.contains(&lookup.server) {
            failed(lookup, rcode);
        }
    }
    names.pairs.retain(|pair| !at.contains(&pair.server));
}

#[test]
fn a_name_server_that_fails_every_question() {
    for rcode in [Rcode::SERVFAIL, Rcode::REFUSED, Rcode::FORMERR] {
        for at in [&[NS2_V6, NS2_V4][..], &[NS2_V4], &[NS2_V6]] {
            let mut names = healthy();
            fail(&mut names, at, rcode);
            let judgement = check(&names, &["dns.ns-broken"]);
            let message = &judgement.findings[0].message;
            assert!(message.contains(&rcode.to_string()), "{message}");
        }
    }
}

#[test]
fn silent_over_ipv6_and_lame_over_ipv4_is_one_fault() {
    let mut names = healthy();
    silence(&mut names, &[NS2_V6]);
    fail(&mut names, &[NS2_V4], Rcode::REFUSED);
    let judgement = check(&names, &["dns.ns-broken"]);
    let message = &judgement.findings[0].message;
    assert!(
        message.contains("no answer") && message.contains("REFUSED"),
        "{message}"
    );
}

#[test]
fn no_name_server_that_works_may_be_something_on_the_way() {
    let mut names = healthy();
    fail(&mut names, &AUTHORITATIVE, Rcode::REFUSED);
    let judgement = check(&names, &[]);
    assert_eq!(judgement.skipped.len(), 2, "{:?}", judgement.skipped);
}

#[test]
fn a_vantage_from_which_only_resolvers_are_heard_over_ipv4() {
    let mut names = healthy();
    silence(&mut names, &[NS1_V4, NS2_V4]);
    let judgement = check(&names, &[]);
    assert!(
        judgement.skipped[0].what.contains("over IPv4"),
        "{:?}",
        judgement.skipped
    );
    assert_eq!(judgement.skipped.len(), 2);
}

#[test]
fn a_name_server_that_knows_the_zone_and_not_the_name_is_only_stale() {
    let mut names = healthy();
    for rtype in [RecordType::A, RecordType::AAAA] {
        change(&mut names, &[NS2_V4, NS2_V6], rtype, |lookup| {
            failed(lookup, Rcode::NXDOMAIN);
            if let Outcome::Reply(reply) = &mut lookup.outcome {
                reply.authoritative = true;
            }
        });
    }
    check(&names, &["dns.aaaa-inconsistent"]);
}

#[test]
fn a_vantage_without_an_ipv6_route() {
    let mut names = healthy();
    for lookup in &mut names.lookups {
        if [NS1_V6, NS2_V6].contains(&lookup.server) {
            lookup.outcome = Outcome::NoRoute;
        }
    }
    check(&names, &[]);
}

#[test]
fn a_vantage_from_which_nothing_answers_over_ipv6() {
    let mut names = healthy();
    silence(&mut names, &[NS1_V6, NS2_V6]);
    // The resolver next door does answer over IPv6.
    let next_door = "[2e00:c::53]:53".parse().unwrap();
    names.servers[RESOLVER.0].endpoint = twinstack_dns::client::ServerAddress::Socket(next_door);
    let judgement = check(&names, &[]);
    assert_eq!(judgement.skipped.len(), 2);
    let expectation = Expectation {
        v6_works_here: true,
        ..expectation()
    };
    check_with(&names, &expectation, &["dns.ns-v6-dead", "dns.ns-v6-dead"]);
}

fn with_soa(soa: &str) -> NamesObservation {
    let mut names = healthy();
    for lookup in &mut names.lookups {
        if lookup.rtype == RecordType::SOA {
            *lookup = answered(lookup.server, "lab.test", RecordType::SOA, &[soa]);
        }
    }
    names
}

#[test]
fn no_such_record_is_remembered_for_a_day() {
    let names =
        with_soa("lab.test. 86400 SOA ns1.lab.test. admin.lab.test. 1 7200 900 1209600 86400");
    check(&names, &["dns.negative-ttl-too-long"]);
}

#[test]
fn the_smaller_of_ttl_and_minimum_counts() {
    for soa in [
        "lab.test. 300 SOA ns1.lab.test. admin.lab.test. 1 7200 900 1209600 86400",
        "lab.test. 86400 SOA ns1.lab.test. admin.lab.test. 1 7200 900 1209600 300",
    ] {
        check(&with_soa(soa), &[]);
    }
}

#[test]
fn a_mail_domain_is_judged_by_its_zone_alone() {
    let mut names = healthy();
    publish(&mut names, &everybody(), RecordType::AAAA, &[]);
    without_v6_glue(&mut names);
    let judgement = judge_zone(&names, &expectation());
    let codes: Vec<&str> = judgement
        .findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect();
    assert_eq!(codes, ["dns.glue-no-aaaa"]);
}
