//! Queries of one type that fail.

use super::*;

fn broken(
    rtype: RecordType,
    how: impl FnMut(&mut crate::names::observation::Lookup),
) -> NamesObservation {
    let mut names = healthy();
    change(&mut names, &AUTHORITATIVE, rtype, how);
    servfail_at_the_resolver(&mut names, rtype);
    names.pairs.clear();
    names
}

#[test]
fn aaaa_is_dropped() {
    let judgement = check(
        &broken(RecordType::AAAA, silenced),
        &["dns.aaaa-query-broken"],
    );
    let finding = &judgement.findings[0];
    assert!(finding.message.contains("dropped"), "{}", finding.message);
    assert!(
        finding
            .evidence
            .iter()
            .any(|evidence| evidence.did.contains("resolver")),
        "what the resolver says then is evidence, not another finding"
    );
}

#[test]
fn aaaa_fails_with_each_code() {
    for rcode in [
        Rcode::NXDOMAIN,
        Rcode::SERVFAIL,
        Rcode::REFUSED,
        Rcode::FORMERR,
        Rcode::NOTIMP,
    ] {
        let names = broken(RecordType::AAAA, |lookup| failed(lookup, rcode));
        let judgement = check(&names, &["dns.aaaa-query-broken"]);
        assert!(judgement.findings[0].message.contains(&rcode.to_string()));
    }
}

#[test]
fn aaaa_is_answered_with_garbage() {
    let names = broken(RecordType::AAAA, |lookup| {
        lookup.outcome = Outcome::Malformed("too short".to_owned());
    });
    check(&names, &["dns.aaaa-query-broken"]);
}

#[test]
fn two_ways_of_failing_are_two_findings() {
    let mut names = healthy();
    change(&mut names, &[NS1_V4, NS1_V6], RecordType::AAAA, silenced);
    change(&mut names, &[NS2_V4, NS2_V6], RecordType::AAAA, |lookup| {
        failed(lookup, Rcode::REFUSED);
    });
    servfail_at_the_resolver(&mut names, RecordType::AAAA);
    names.pairs.clear();
    check(&names, &["dns.aaaa-query-broken", "dns.aaaa-query-broken"]);
}

#[test]
fn only_the_resolver_fails() {
    let mut names = healthy();
    servfail_at_the_resolver(&mut names, RecordType::AAAA);
    let judgement = check(&names, &["dns.aaaa-query-broken"]);
    assert!(
        judgement.findings[0]
            .message
            .contains("resolver 192.0.2.53")
    );
    assert_eq!(
        probeable(&names).len(),
        4,
        "the authoritative addresses go on being used"
    );
}

#[test]
fn one_server_fails_and_the_others_do_not() {
    let mut names = healthy();
    change(&mut names, &[NS2_V4], RecordType::AAAA, silenced);
    check(&names, &["dns.aaaa-query-broken"]);
}

#[test]
fn a_is_dropped() {
    check(&broken(RecordType::A, silenced), &["dns.a-query-broken"]);
}

#[test]
fn a_server_that_answers_neither_type_says_nothing_about_types() {
    let mut names = healthy();
    for rtype in [RecordType::A, RecordType::AAAA, RecordType::HTTPS] {
        change(&mut names, &[NS2_V4], rtype, silenced);
    }
    check(&names, &["dns.ns-broken"]);
}

#[test]
fn a_lame_server_says_nothing_about_types() {
    let mut names = healthy();
    for rtype in [RecordType::A, RecordType::AAAA] {
        publish(&mut names, &[NS2_V4], rtype, &[]);
        change(&mut names, &[NS2_V4], rtype, |lookup| {
            if let Outcome::Reply(reply) = &mut lookup.outcome {
                reply.authoritative = false;
                reply.authority = records(&["test. 300 NS root.test."]);
            }
        });
    }
    check(&names, &["dns.ns-broken"]);
}

#[test]
fn one_lost_packet_is_made_up_for_by_a_later_answer() {
    let mut names = healthy();
    let mut lost = asked(NS1_V6, "www.lab.test", RecordType::AAAA);
    silenced(&mut lost);
    names.lookups.push(lost);
    check(&names, &[]);
}

#[test]
fn only_tcp_gets_an_answer() {
    let mut names = healthy();
    change(&mut names, &[NS1_V4], RecordType::AAAA, silenced);
    names.lookups.push(crate::names::observation::Lookup {
        transport: Transport::Tcp,
        ..answered(NS1_V4, "www.lab.test", RecordType::AAAA, AAAA)
    });
    let judgement = check(&names, &["dns.aaaa-query-broken"]);
    assert!(judgement.findings[0].message.contains("over UDP"));
}
