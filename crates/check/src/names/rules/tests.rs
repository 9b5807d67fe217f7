//! Every `dns.*` code: what raises it, and what looks alike and must not.

mod consistency;
mod hints;
mod missing;
mod published;
mod queries;
mod timing;
mod zone;

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
        max_ttl: Duration::from_hours(1),
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
        failed(lookup, Rcode::SERVFAIL);
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
            failed(lookup, Rcode::NXDOMAIN);
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
