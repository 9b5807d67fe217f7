//! Two vantages on one target.

use super::*;
use crate::codes::finding;
use crate::report::{Answer, SCHEMA};
use twinstack_finding::Severity;

const V6: &str = "2e00:5::80";

fn row(vantage: &str, tcp: Phase) -> Row {
    Row {
        vantage: vantage.to_owned(),
        address: V6.parse().unwrap(),
        port: 443,
        tcp,
        tls: Phase::NotReached,
        http: Phase::NotReached,
        quic: Phase::NotApplicable,
    }
}

fn open(vantage: &str) -> Row {
    row(
        vantage,
        Phase::Ok {
            elapsed_seconds: 0.012,
            detail: String::new(),
        },
    )
}

fn silent(vantage: &str) -> Row {
    row(
        vantage,
        Phase::Failed {
            elapsed_seconds: 5.0,
            detail: "timeout".to_owned(),
        },
    )
}

fn raised(code: &'static str, subject: &str) -> Finding {
    let evidence = Evidence {
        did: "looked".to_owned(),
        saw: "this".to_owned(),
        at: Some(1.0),
    };
    finding(code, subject, "it is broken", vec![evidence], "mend it")
}

fn report(vantage: &str, verdict: Verdict, findings: Vec<Finding>) -> Report {
    Report {
        schema: SCHEMA.to_owned(),
        target: "www.lab.test".to_owned(),
        vantages: vec![vantage.to_owned()],
        verdict,
        elapsed_seconds: 1.0,
        answers: Vec::new(),
        table: Vec::new(),
        client: None,
        findings,
        skipped: Vec::new(),
        notes: Vec::new(),
    }
}

fn merged(reports: Vec<Report>) -> Report {
    Report::merge(reports).unwrap()
}

#[test]
fn one_report_stays_as_it_is() {
    let alone = report(HERE, Verdict::NotReady, vec![raised("reach.fw-drop", V6)]);
    assert_eq!(merged(vec![alone.clone()]), alone);
    assert_eq!(Report::merge(Vec::new()), None);
}

#[test]
fn the_same_fault_from_two_places_is_one_finding() {
    let both = merged(vec![
        report(
            HERE,
            Verdict::NotReady,
            vec![raised("dns.aaaa-missing", "www.lab.test")],
        ),
        report(
            "eu1",
            Verdict::NotReady,
            vec![raised("dns.aaaa-missing", "www.lab.test")],
        ),
    ]);
    assert_eq!(both.vantages, [HERE, "eu1"]);
    let [finding] = both.findings.as_slice() else {
        panic!("{:#?}", both.findings);
    };
    assert_eq!(finding.message, "it is broken");
    let did: Vec<&str> = finding
        .evidence
        .iter()
        .map(|evidence| evidence.did.as_str())
        .collect();
    assert_eq!(did, ["from here: looked", "from eu1: looked"]);
}

#[test]
fn what_only_one_place_sees_names_the_place() {
    let both = merged(vec![
        report(HERE, Verdict::Ready, Vec::new()),
        report("eu1", Verdict::NotReady, vec![raised("reach.no-route", V6)]),
    ]);
    assert_eq!(both.verdict, Verdict::NotReady);
    let finding = &both.findings[0];
    assert_eq!(finding.message, "from eu1: it is broken");
    assert_eq!(finding.evidence[1].did, "from here: the same checks");
}

#[test]
fn verdicts_merge_to_the_worst_that_is_known() {
    let check = |one, other, expected| {
        let both = merged(vec![
            report(HERE, one, Vec::new()),
            report("eu1", other, Vec::new()),
        ]);
        assert_eq!(both.verdict, expected, "{one:?} {other:?}");
    };
    check(Verdict::Ready, Verdict::Ready, Verdict::Ready);
    check(
        Verdict::Ready,
        Verdict::ReadyWithWarnings,
        Verdict::ReadyWithWarnings,
    );
    check(Verdict::Ready, Verdict::Unknown, Verdict::Unknown);
    check(Verdict::NotReady, Verdict::Unknown, Verdict::NotReady);
    check(
        Verdict::NoSuchName,
        Verdict::NoSuchName,
        Verdict::NoSuchName,
    );
    check(Verdict::NoSuchName, Verdict::Ready, Verdict::NotReady);
}

#[test]
fn an_address_that_answers_elsewhere_is_alive() {
    let mut here = report(HERE, Verdict::NotReady, vec![raised("reach.fw-drop", V6)]);
    here.table = vec![silent(HERE)];
    let mut eu1 = report("eu1", Verdict::Ready, Vec::new());
    eu1.table = vec![open("eu1")];
    let both = merged(vec![here, eu1]);
    assert_eq!(both.table.len(), 2);
    let finding = &both.findings[0];
    assert!(
        finding
            .message
            .contains("from eu1 it accepts the same connections"),
        "{}",
        finding.message
    );
    assert!(
        finding
            .evidence
            .iter()
            .any(|evidence| evidence.saw == "accepted after 0.012 s")
    );
}

#[test]
fn an_address_that_is_silent_everywhere_is_not_called_alive() {
    let reports = [HERE, "eu1"].map(|vantage| {
        let mut report = report(
            vantage,
            Verdict::NotReady,
            vec![raised("reach.fw-drop", V6)],
        );
        report.table = vec![silent(vantage)];
        report
    });
    let both = merged(reports.into());
    assert_eq!(both.findings[0].message, "it is broken");
}

#[test]
fn what_the_server_sees_explains_what_the_client_sees() {
    let other = "2e00:5::81";
    let both = merged(vec![
        report(
            HERE,
            Verdict::NotReady,
            vec![
                raised("reach.fw-drop", &format!("{V6} and 2e00:5::82")),
                raised("reach.fw-drop", other),
            ],
        ),
        report(
            "www",
            Verdict::NotReady,
            vec![raised("reach.return-path-loss", V6)],
        ),
    ]);
    let codes: Vec<(&str, &str)> = both
        .findings
        .iter()
        .map(|finding| (finding.code.as_str(), finding.subject.as_str()))
        .collect();
    assert_eq!(
        codes,
        [("reach.fw-drop", other), ("reach.return-path-loss", V6)]
    );
    assert!(
        both.findings[1]
            .evidence
            .iter()
            .any(|evidence| evidence.did == "from here: looked")
    );
    assert!(
        !both.findings[1]
            .evidence
            .iter()
            .any(|evidence| evidence.did.ends_with("the same checks")),
        "this machine saw the other side of the same fault"
    );
}

#[test]
fn severity_is_the_worst_of_all() {
    let mut mild = raised("dns.aaaa-inconsistent", "www.lab.test");
    mild.severity = Severity::Warning;
    let both = merged(vec![
        report(HERE, Verdict::ReadyWithWarnings, vec![mild]),
        report(
            "eu1",
            Verdict::NotReady,
            vec![raised("dns.aaaa-inconsistent", "www.lab.test")],
        ),
    ]);
    assert_eq!(both.findings[0].severity, Severity::Failure);
}

#[test]
fn skipped_and_notes_are_said_once_or_with_their_vantage() {
    let make = |vantage, own: &str| {
        let mut report = report(vantage, Verdict::Ready, Vec::new());
        for what in ["echo", own] {
            report.skipped.push(Skipped {
                what: what.to_owned(),
                why: "no permission".to_owned(),
            });
            report.notes.push(format!("note on {what}"));
        }
        report
    };
    let both = merged(vec![make(HERE, "a"), make("eu1", "b")]);
    let skipped: Vec<&str> = both
        .skipped
        .iter()
        .map(|skipped| skipped.what.as_str())
        .collect();
    assert_eq!(skipped, ["echo", "from here: a", "from eu1: b"]);
    assert_eq!(
        both.notes,
        [
            "note on echo",
            "from here: note on a",
            "from eu1: note on b"
        ]
    );
}

fn answer(data: &[&str]) -> Answer {
    Answer {
        vantage: HERE.to_owned(),
        server: "resolver 192.0.2.53".to_owned(),
        authoritative: false,
        cached: None,
        transport: "udp".to_owned(),
        question: "www.lab.test AAAA".to_owned(),
        outcome: if data.is_empty() { "NODATA" } else { "NOERROR" }.to_owned(),
        data: data.iter().map(|text| (*text).to_owned()).collect(),
        ttl_seconds: Some(300),
        elapsed_seconds: 0.01,
    }
}

#[test]
fn vantages_that_are_told_different_addresses_are_named() {
    let make = |vantage, data: &[&str]| {
        let mut report = report(vantage, Verdict::Ready, Vec::new());
        report.answers.push(answer(data));
        report
    };
    let both = merged(vec![make(HERE, &[V6]), make("eu1", &[])]);
    assert_eq!(
        both.notes,
        ["the vantages are told different AAAA: here is told 2e00:5::80; eu1 is told none"]
    );
    assert_eq!(both.answers.len(), 2);
    let same = merged(vec![make(HERE, &[V6]), make("eu1", &[V6])]);
    assert_eq!(same.notes, Vec::<String>::new());
}
