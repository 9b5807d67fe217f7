//! Hints in HTTPS records.

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
