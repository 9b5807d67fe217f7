//! AAAA answers that are late.

use super::*;

fn with_gap(at: &[crate::names::observation::ServerId], gaps: &[f64]) -> NamesObservation {
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
        failed(lookup, Rcode::NXDOMAIN);
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
        crate::names::rules::timing::median_gap(&[3.0, 1.0, 2.0]),
        Some(2.0)
    );
    assert_eq!(
        crate::names::rules::timing::median_gap(&[4.0, 1.0, 2.0, 3.0]),
        Some(2.5)
    );
    assert_eq!(crate::names::rules::timing::median_gap(&[1.0, 2.0]), None);
}
