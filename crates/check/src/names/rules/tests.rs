//! Every `dns.*` code: what raises it, and what looks alike and must not.

use super::*;
use crate::names::fixture::*;
use crate::names::observation::Outcome;
use crate::names::synthesis::Nat64Prefix;
use twinstack_dns::client::Transport;
use twinstack_dns::{Rcode, RecordType};
use twinstack_finding::Severity;

fn expectation() -> Expectation {
    Expectation {
        v6: BTreeSet::new(),
        v4_only_is_fine: false,
        max_ttl: Duration::from_secs(3600),
        v6_works_here: false,
    }
}

fn judged(names: &NamesObservation, expectation: &Expectation) -> Judgement {
    let judgement = judge(names, expectation);
    for finding in &judgement.findings {
        assert!(
            !finding.evidence.is_empty(),
            "{} has no evidence",
            finding.code
        );
        assert!(!finding.hint.is_empty(), "{} has no hint", finding.code);
        assert!(!finding.message.ends_with('.'), "{}", finding.message);
    }
    judgement
}

fn check_with(names: &NamesObservation, expectation: &Expectation, codes: &[&str]) -> Judgement {
    let judgement = judged(names, expectation);
    let mut found: Vec<&str> = judgement
        .findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect();
    found.sort_unstable();
    assert_eq!(found, codes, "{:#?}", judgement.findings);
    judgement
}

fn check(names: &NamesObservation, codes: &[&str]) -> Judgement {
    check_with(names, &expectation(), codes)
}

/// The records that the resolver's cache would have of a type whose query fails above it.
fn servfail_at_the_resolver(names: &mut NamesObservation, rtype: RecordType) {
    change(names, &[RESOLVER], rtype, |lookup| {
        failed(lookup, Rcode::SERVFAIL)
    });
}

#[test]
fn a_healthy_zone_raises_nothing() {
    let judgement = check(&healthy(), &[]);
    assert_eq!(judgement.notes, Vec::<String>::new());
    assert_eq!(judgement.skipped, []);
}

#[test]
fn a_name_that_does_not_exist_raises_nothing() {
    let mut names = healthy();
    for rtype in [RecordType::A, RecordType::AAAA] {
        change(&mut names, &everybody(), rtype, |lookup| {
            failed(lookup, Rcode::NXDOMAIN)
        });
    }
    check(&names, &[]);
    assert_eq!(existence(&names), Existence::NoSuchName);
}

#[test]
fn nobody_answering_is_not_known() {
    let mut names = healthy();
    for rtype in [RecordType::A, RecordType::AAAA, RecordType::HTTPS] {
        change(&mut names, &everybody(), rtype, silenced);
    }
    names.pairs.clear();
    assert_eq!(existence(&names), Existence::Unknown);
    assert!(judge(&names, &expectation()).findings.is_empty());
}

mod missing {
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
            failed(lookup, Rcode::REFUSED)
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
}

mod queries {
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
            failed(lookup, Rcode::REFUSED)
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
    fn a_server_that_answers_neither_type_is_only_down() {
        let mut names = healthy();
        for rtype in [RecordType::A, RecordType::AAAA, RecordType::HTTPS] {
            change(&mut names, &[NS2_V4], rtype, silenced);
        }
        check(&names, &[]);
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
}

mod published {
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

    #[test]
    fn the_declared_set_in_full_or_in_part() {
        let expectation = Expectation {
            v6: ["2e00:5::80", "2e00:5::81", "2e00:5::82"]
                .map(|text| text.parse().unwrap())
                .into(),
            ..expectation()
        };
        let judgement = check_with(&healthy(), &expectation, &[]);
        assert_eq!(judgement.notes.len(), 1, "{:?}", judgement.notes);
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
}

mod hints {
    use super::*;

    fn with_https(line: &str) -> NamesObservation {
        let mut names = healthy();
        publish(&mut names, &everybody(), RecordType::HTTPS, &[line]);
        names
    }

    #[test]
    fn a_hint_that_no_record_knows() {
        let judgement = check(
            &with_https("www.lab.test. 300 HTTPS 1 . ipv6hint=2e00:5::99"),
            &["dns.https-hint-mismatch"],
        );
        assert!(judgement.findings[0].message.contains("2e00:5::99"));
        check(
            &with_https("www.lab.test. 300 HTTPS 1 . ipv4hint=198.51.100.99"),
            &["dns.https-hint-mismatch"],
        );
    }

    #[test]
    fn hints_at_some_of_the_addresses() {
        check(
            &with_https("www.lab.test. 300 HTTPS 1 . ipv6hint=2e00:5::81"),
            &[],
        );
    }

    #[test]
    fn alias_mode_has_no_hints() {
        check(&with_https("www.lab.test. 300 HTTPS 0 cdn.test."), &[]);
    }

    #[test]
    fn a_hint_about_another_name_is_compared_with_that_name() {
        let mut names = with_https("www.lab.test. 300 HTTPS 1 cdn.test. ipv6hint=2e00:7::1");
        check(&names, &[]);
        names.lookups.push(answered(
            RESOLVER,
            "cdn.test",
            RecordType::AAAA,
            &["cdn.test. 60 AAAA 2e00:7::1"],
        ));
        check(&names, &[]);
        names.lookups.pop();
        names.lookups.push(answered(
            RESOLVER,
            "cdn.test",
            RecordType::AAAA,
            &["cdn.test. 60 AAAA 2e00:7::2"],
        ));
        check(&names, &["dns.https-hint-mismatch"]);
    }

    #[test]
    fn nothing_to_compare_with_while_the_query_fails() {
        let mut names = with_https("www.lab.test. 300 HTTPS 1 . ipv6hint=2e00:5::99");
        change(&mut names, &everybody(), RecordType::AAAA, silenced);
        names.pairs.clear();
        check(&names, &["dns.aaaa-query-broken"]);
    }

    #[test]
    fn a_hint_leaks_ipv6_where_ipv4_alone_is_meant() {
        let mut names = healthy();
        publish(&mut names, &everybody(), RecordType::AAAA, &[]);
        let expectation = Expectation {
            v4_only_is_fine: true,
            ..expectation()
        };
        check_with(&names, &expectation, &["dns.https-hint-mismatch"]);
    }
}

mod consistency {
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
        let doh = super::super::super::observation::ServerId(names.servers.len() - 1);
        names
            .lookups
            .push(answered(doh, "www.lab.test", RecordType::A, A));
        names
            .lookups
            .push(answered(doh, "www.lab.test", RecordType::AAAA, ONE));
        let judgement = check(&names, &["dns.aaaa-inconsistent"]);
        assert_eq!(judgement.findings[0].severity, Severity::Warning);
    }
}

mod timing {
    use super::*;

    fn with_gap(
        at: &[super::super::super::observation::ServerId],
        gaps: &[f64],
    ) -> NamesObservation {
        let mut names = healthy();
        names.pairs.retain(|pair| !at.contains(&pair.server));
        for id in at {
            names
                .pairs
                .extend(gaps.iter().map(|gap| pair(*id, 0.014 + gap)));
        }
        names
    }

    #[test]
    fn aaaa_later_than_a() {
        let judgement = check(
            &with_gap(&AUTHORITATIVE, &[0.3, 0.31, 0.3, 0.29]),
            &["dns.aaaa-slow"],
        );
        assert!(
            judgement.findings[0].message.contains("0.300 s"),
            "{}",
            judgement.findings[0].message
        );
        check(&with_gap(&[NS1_V4], &[3.0, 3.0, 3.0]), &["dns.aaaa-slow"]);
    }

    #[test]
    fn resolvers_that_give_up_on_a_slow_server_are_its_consequence() {
        let mut names = with_gap(&AUTHORITATIVE, &[3.0, 3.0, 3.0, 3.0]);
        change(&mut names, &[RESOLVER], RecordType::AAAA, silenced);
        let judgement = check(&names, &["dns.aaaa-slow"]);
        let finding = &judgement.findings[0];
        assert_eq!(finding.severity, Severity::Failure);
        assert!(
            finding
                .evidence
                .iter()
                .any(|evidence| evidence.did.contains("resolver"))
        );
        change(&mut names, &[RESOLVER], RecordType::AAAA, |lookup| {
            failed(lookup, Rcode::NXDOMAIN)
        });
        check(&names, &["dns.aaaa-query-broken", "dns.aaaa-slow"]);
    }

    #[test]
    fn a_gap_of_40_ms() {
        check(&with_gap(&AUTHORITATIVE, &[0.04, 0.041, 0.042, 0.04]), &[]);
    }

    #[test]
    fn one_late_answer_of_many() {
        check(&with_gap(&AUTHORITATIVE, &[0.0, 1.0, 0.001, -0.001]), &[]);
    }

    #[test]
    fn too_few_pairs() {
        check(&with_gap(&AUTHORITATIVE, &[0.3, 0.3]), &[]);
    }

    #[test]
    fn medians() {
        assert_eq!(
            super::super::timing::median_gap(&[3.0, 1.0, 2.0]),
            Some(2.0)
        );
        assert_eq!(
            super::super::timing::median_gap(&[4.0, 1.0, 2.0, 3.0]),
            Some(2.5)
        );
        assert_eq!(super::super::timing::median_gap(&[1.0, 2.0]), None);
    }
}

mod zone {
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

    fn silence(names: &mut NamesObservation, at: &[super::super::super::observation::ServerId]) {
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
        check(&names, &[]);
    }

    #[test]
    fn a_name_server_that_is_dead_on_both_families() {
        let mut names = healthy();
        silence(&mut names, &[NS2_V6, NS2_V4]);
        check(&names, &[]);
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
}
