//! From lookups to the verdicts of the join: the verdicts themselves are tested there.

use super::*;
use crate::names::fixture::{
    NS1_V4, NS2_V4, RESOLVER, answered, asked, failed, name, servers, silenced,
};

const ADDRESS: &str = "2e00:5::80";
const OWNER: &str = "0.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.5.0.0.0.0.0.e.2.ip6.arpa";

fn fresh(lookup: Lookup) -> Fresh {
    Fresh {
        resolver: lookup,
        authoritative: Vec::new(),
    }
}

fn ptr(target: &str) -> Lookup {
    answered(
        RESOLVER,
        OWNER,
        RecordType::PTR,
        &[&format!("{OWNER}. 300 PTR {target}")],
    )
}

fn forward(owner: &str, address: &str) -> (Name, Fresh) {
    let line = format!("{owner}. 300 AAAA {address}");
    (
        name(owner),
        fresh(answered(RESOLVER, owner, RecordType::AAAA, &[&line])),
    )
}

fn observed(ptr: Fresh, forward: Vec<(Name, Fresh)>) -> PtrObservation {
    PtrObservation {
        addresses: vec![Reverse {
            address: ADDRESS.parse().unwrap(),
            ptr,
            near: Vec::new(),
        }],
        forward,
        skipped: Vec::new(),
    }
}

fn check(observation: &PtrObservation, expected: Option<&str>, codes: &[&str]) -> Judgement {
    let judgement = judge(&servers(), observation, expected.map(name).as_ref());
    let found: Vec<&str> = judgement
        .findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect();
    assert_eq!(found, codes, "{judgement:#?}");
    for finding in &judgement.findings {
        assert!(
            finding
                .evidence
                .iter()
                .all(|evidence| evidence.at.is_some()),
            "evidence has its time"
        );
    }
    judgement
}

#[test]
fn a_name_that_leads_back_is_fine() {
    let observation = observed(
        fresh(ptr("www.lab.test.")),
        vec![forward("www.lab.test", ADDRESS)],
    );
    check(&observation, None, &[]);
    check(&observation, Some("WWW.lab.test"), &[]);
    check(&observation, Some("other.test"), &["ptr.mismatch"]);
}

#[test]
fn no_record_at_all() {
    let nodata = observed(
        fresh(answered(RESOLVER, OWNER, RecordType::PTR, &[])),
        Vec::new(),
    );
    check(&nodata, None, &["ptr.missing"]);
    let mut lookup = asked(RESOLVER, OWNER, RecordType::PTR);
    failed(&mut lookup, Rcode::NXDOMAIN);
    check(&observed(fresh(lookup), Vec::new()), None, &["ptr.missing"]);
}

#[test]
fn a_question_that_fails_is_skipped_by_name() {
    let mut lookup = asked(RESOLVER, OWNER, RecordType::PTR);
    silenced(&mut lookup);
    let judgement = check(&observed(fresh(lookup), Vec::new()), None, &[]);
    assert!(judgement.skipped[0].what.contains(ADDRESS));
}

#[test]
fn a_name_with_another_address() {
    let observation = observed(
        fresh(ptr("www.lab.test.")),
        vec![forward("www.lab.test", "2e00:5::99")],
    );
    check(&observation, None, &["ptr.not-forward-confirmed"]);
}

#[test]
fn the_authoritative_answer_counts_more_than_the_cache() {
    let mut answer = fresh(answered(RESOLVER, OWNER, RecordType::PTR, &[]));
    answer.authoritative = vec![Lookup {
        server: NS1_V4,
        ..ptr("www.lab.test.")
    }];
    check(
        &observed(answer, vec![forward("www.lab.test", ADDRESS)]),
        None,
        &[],
    );
}

#[test]
fn a_target_without_its_final_dot() {
    let observation = observed(fresh(ptr(&format!("www.lab.test.{OWNER}."))), Vec::new());
    check(&observation, None, &["ptr.malformed"]);
}

#[test]
fn a_record_at_a_wrong_owner_counts_only_if_it_leads_back() {
    let short = "0.8.0.0.0.0.0.5.0.0.e.2.ip6.arpa";
    let mut observation = observed(
        fresh(answered(RESOLVER, OWNER, RecordType::PTR, &[])),
        vec![forward("www.lab.test", ADDRESS)],
    );
    let line = format!("{short}. 300 PTR www.lab.test.");
    observation.addresses[0].near = vec![(
        NearMiss::Shortened,
        answered(RESOLVER, short, RecordType::PTR, &[&line]),
    )];
    check(&observation, None, &["ptr.malformed"]);
    observation.forward = vec![forward("www.lab.test", "2e00:7::1")];
    check(&observation, None, &["ptr.missing"]);
}

#[test]
fn a_second_record_that_leads_elsewhere_is_a_note() {
    let lines =
        ["www.lab.test.", "old.lab.test."].map(|target| format!("{OWNER}. 300 PTR {target}"));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let observation = observed(
        fresh(answered(RESOLVER, OWNER, RecordType::PTR, &lines)),
        vec![
            forward("www.lab.test", ADDRESS),
            forward("old.lab.test", "2e00:7::1"),
        ],
    );
    assert_eq!(check(&observation, None, &[]).notes.len(), 1);
}

fn says(server: ServerId, address: &str) -> Lookup {
    let line = format!("www.lab.test. 300 AAAA {address}");
    answered(server, "www.lab.test", RecordType::AAAA, &[&line])
}

#[test]
fn servers_that_disagree_about_the_name_are_not_the_ptrs_fault() {
    let (name, mut known) = forward("www.lab.test", "2e00:5::99");
    known.authoritative = vec![says(NS1_V4, "2e00:5::99"), says(NS2_V4, ADDRESS)];
    let observation = observed(fresh(ptr("www.lab.test.")), vec![(name.clone(), known)]);
    check(&observation, None, &[]);
    // All of the zone's servers against a stale cache.
    let (_, mut stale) = forward("www.lab.test", ADDRESS);
    stale.authoritative = vec![says(NS1_V4, "2e00:5::99"), says(NS2_V4, "2e00:5::99")];
    let observation = observed(fresh(ptr("www.lab.test.")), vec![(name, stale)]);
    check(&observation, None, &["ptr.not-forward-confirmed"]);
}

#[test]
fn a_record_that_one_of_the_servers_has_is_there() {
    let mut answer = fresh(ptr("www.lab.test."));
    answer.authoritative = vec![
        answered(NS1_V4, OWNER, RecordType::PTR, &[]),
        Lookup {
            server: NS2_V4,
            ..ptr("www.lab.test.")
        },
    ];
    check(
        &observed(answer, vec![forward("www.lab.test", ADDRESS)]),
        None,
        &[],
    );
}

#[test]
fn questions_at_wrong_owners_are_not_shown_as_somebodys_reverse_name() {
    let mut observation = observed(
        fresh(answered(RESOLVER, OWNER, RecordType::PTR, &[])),
        Vec::new(),
    );
    let backwards = "2.e.0.0.0.0.0.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.0.ip6.arpa";
    observation.addresses[0].near = vec![(
        NearMiss::NotReversed,
        answered(RESOLVER, backwards, RecordType::PTR, &[]),
    )];
    let shown = observation.lookups();
    assert!(
        shown.iter().all(|lookup| lookup.name == name(OWNER)),
        "{shown:?}"
    );
}
