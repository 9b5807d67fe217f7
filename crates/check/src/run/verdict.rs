//! From everything that was seen to the report: the rules of every part, then one verdict.

use super::{Run, Seen};
use crate::mail;
use crate::names::{
    self, Existence, Expectation, Judgement, Lookup, NamesObservation, Server, ptr,
};
use crate::path;
use crate::report::{self, Phase, Report, Row, Verdict};
use std::collections::BTreeSet;
use std::net::IpAddr;
use twinstack_dns::{Name, RecordType};
use twinstack_finding::{Finding, Severity, Skipped};

impl Run<'_> {
    pub(super) fn report(self, seen: Seen) -> Report {
        let servers = self.asker.servers();
        let judged = self.judge(&servers, &seen);
        let existence = match existence(&seen) {
            // The name is there, and the service was not looked at.
            Existence::Exists if self.options.effective_ports().is_empty() => Existence::Unknown,
            existence => existence,
        };
        let mut lookups: Vec<Lookup> = Vec::new();
        for names in seen.names.iter().chain(&seen.domain) {
            lookups.extend(names.lookups.iter().cloned());
        }
        lookups.extend(seen.lookups);
        lookups.extend(seen.ptr.lookups());
        let answers = names::answers(&servers, &lookups);
        let (table, client) = match &seen.path {
            Some((plan, path)) => (path::rows(plan, path), path::client_timing(plan, path)),
            None => (Vec::new(), None),
        };
        let mut notes = judged.notes;
        notes.extend(names::cache_notes(&answers));
        let mut report = Report {
            schema: report::SCHEMA.to_owned(),
            target: self.options.target.text.clone(),
            vantages: vec![report::HERE.to_owned()],
            verdict: verdict(existence, &judged.findings, &table),
            elapsed_seconds: self.started.elapsed().as_secs_f64(),
            answers,
            table,
            client,
            findings: judged.findings,
            skipped: judged.skipped,
            notes,
        };
        let unserved = unserved_note(&report.findings, &report.table);
        report.notes.extend(unserved);
        report.tidy();
        report
    }

    fn judge(&self, servers: &[Server], seen: &Seen) -> Judgement {
        let options = self.options;
        let expectation = Expectation {
            v6_works_here: seen.path.as_ref().is_some_and(|(_, path)| path.v6_works()),
            ..Expectation::of(options)
        };
        let mut all = Judgement {
            skipped: self.skipped.iter().chain(&seen.skipped).cloned().collect(),
            notes: seen.notes.clone(),
            ..Judgement::default()
        };
        let mut add = |judged: Judgement| {
            all.findings.extend(judged.findings);
            all.notes.extend(judged.notes);
            all.skipped.extend(judged.skipped);
        };
        for names in &seen.names {
            let expectation = Expectation {
                // Of an exchanger without AAAA `mail.mx-no-v6` speaks.
                v4_only_is_fine: expectation.v4_only_is_fine || seen.mail.is_some(),
                ..expectation.clone()
            };
            add(names::judge(names, &expectation));
            add(said_while_asking(names));
            add(late_addresses(names, seen));
            add(unresolved(names));
        }
        add(names::judge_plan(&seen.names, &expectation));
        if let Some(domain) = &seen.domain {
            add(names::judge_zone(domain, &expectation));
            add(said_while_asking(domain));
        }
        if let Some(mail) = &seen.mail {
            add(mail::judge(servers, mail, options.allow_v4_only));
        }
        if let Some((plan, path)) = &seen.path {
            add(Judgement {
                findings: path::judge(plan, path),
                skipped: path::skipped(plan, path),
                notes: slow_line(path).into_iter().collect(),
            });
        }
        let expected = options.expect_ptr.as_deref().map(Name::parse);
        if let Some(Err(error)) = &expected {
            add(Judgement {
                skipped: vec![Skipped {
                    what: "whether the reverse names are the expected one".to_owned(),
                    why: error.to_string(),
                }],
                ..Judgement::default()
            });
        }
        add(ptr::judge(
            servers,
            &seen.ptr,
            expected.and_then(Result::ok).as_ref(),
        ));
        explain_client(&mut all.findings);
        all
    }
}

/// What the times in the report have to be read with.
fn slow_line(path: &path::PathObservation) -> Option<String> {
    path.slow_line().then(|| {
        "the line from here is too slow for everything at once: everything was looked at again, one thing after another"
            .to_owned()
    })
}

/// A client that fails where the name or the service is broken has not failed by itself: that is one fault, not two.
fn explain_client(findings: &mut Vec<Finding>) {
    let explains = |finding: &Finding| {
        let area = finding.code.as_str().split('.').next().unwrap_or_default();
        finding.severity == Severity::Failure
            && matches!(area, "dns" | "reach" | "tls" | "http" | "host")
    };
    if findings.iter().any(explains) {
        findings.retain(|finding| finding.code.as_str() != "client.failed");
    }
}

/// Why there are no addresses to go on with.
fn unresolved(names: &NamesObservation) -> Judgement {
    let mut judgement = Judgement::default();
    match names::existence(names) {
        Existence::Exists => {}
        Existence::NoSuchName => judgement.notes.push(format!(
            "`{}` does not exist: every server that answered says NXDOMAIN",
            names.name
        )),
        Existence::Unknown => {
            let said: BTreeSet<String> = names
                .lookups
                .iter()
                .filter(|lookup| lookup.name == names.name || lookup.name == names.canonical)
                .filter(|lookup| matches!(lookup.rtype, RecordType::A | RecordType::AAAA))
                .map(|lookup| {
                    format!(
                        "{}: {} {}",
                        names.server_name(lookup.server),
                        lookup.rtype,
                        lookup.outcome_word()
                    )
                })
                .collect();
            judgement.skipped.push(Skipped {
                what: format!("the addresses of {}", names.name),
                why: if said.is_empty() {
                    "there is no resolver to ask".to_owned()
                } else {
                    let said: Vec<String> = said.into_iter().collect();
                    format!("nobody gave a proper answer ({})", said.join(", "))
                },
            });
        }
    }
    judgement
}

fn said_while_asking(names: &NamesObservation) -> Judgement {
    Judgement {
        notes: names.notes.clone(),
        skipped: names.skipped.clone(),
        ..Judgement::default()
    }
}

/// Addresses that a slow server named only when the path was already being looked at.
fn late_addresses(names: &NamesObservation, seen: &Seen) -> Judgement {
    let Some((plan, _)) = &seen.path else {
        return Judgement::default();
    };
    let planned: BTreeSet<IpAddr> = plan.addresses.iter().copied().collect();
    let skipped = names::probeable(names)
        .into_iter()
        .filter(|address| !planned.contains(address))
        .map(|address| Skipped {
            what: format!("the path to {address}"),
            why: format!(
                "`{}` was found to have it only after the others were being looked at",
                names.name
            ),
        })
        .collect();
    Judgement {
        skipped,
        ..Judgement::default()
    }
}

/// Over all names; an address needs no look-up and exists.
fn existence(seen: &Seen) -> Existence {
    let mut all: Vec<Existence> = seen.names.iter().map(names::existence).collect();
    // A mail domain exists whatever its exchangers do, but who they are has to be known.
    if let Some(domain) = &seen.domain {
        all = vec![names::existence(domain)];
    }
    let exchanges = seen.mail.as_ref().map(|mail| &mail.exchanges);
    if let Some(mail::Exchanges::Unknown { .. }) = exchanges
        && all.contains(&Existence::Exists)
    {
        return Existence::Unknown;
    }
    if all.is_empty() {
        return if seen.path.is_some() {
            Existence::Exists
        } else {
            Existence::Unknown
        };
    }
    if all.contains(&Existence::Exists) {
        Existence::Exists
    } else if all.contains(&Existence::Unknown) {
        Existence::Unknown
    } else {
        Existence::NoSuchName
    }
}

/// One word over everything: the worst finding decides, unless there was nothing to look at. What no rule has a code for still counts here: a service that nobody was served by, on
/// either family, is not ready, and a family that could not be looked at leaves the question open.
fn verdict(existence: Existence, findings: &[Finding], table: &[Row]) -> Verdict {
    let worst = findings.iter().map(|finding| finding.severity).max();
    match (existence, worst) {
        (Existence::NoSuchName, _) => Verdict::NoSuchName,
        (_, Some(Severity::Failure)) => Verdict::NotReady,
        (Existence::Unknown, _) => Verdict::Unknown,
        _ if !looked(table) => Verdict::Unknown,
        _ if !unserved(table).is_empty() => Verdict::NotReady,
        (Existence::Exists, Some(Severity::Warning)) => Verdict::ReadyWithWarnings,
        (Existence::Exists, Some(Severity::Info) | None) => Verdict::Ready,
    }
}

/// Whether anything was tried, and over IPv6 too if there are IPv6 addresses.
fn looked(table: &[Row]) -> bool {
    let tried = |row: &Row| {
        [&row.tcp, &row.tls, &row.http, &row.quic]
            .iter()
            .any(|phase| matches!(phase, Phase::Ok { .. } | Phase::Failed { .. }))
    };
    let mut v6 = table.iter().filter(|row| row.address.is_ipv6()).peekable();
    let all_v6 = v6.peek().is_none() || v6.any(tried);
    table.is_empty() || (table.iter().any(tried) && all_v6)
}

/// The rows that take connections and then do not serve, and all rows when not one of them serves.
fn unserved(table: &[Row]) -> Vec<&Row> {
    let failed = |phase: &Phase| matches!(phase, Phase::Failed { .. });
    // A status of 500 and above is an answer, but no service.
    let refuses =
        |phase: &Phase| matches!(phase, Phase::Ok { detail, .. } if detail.starts_with('5'));
    let open = |row: &Row| matches!(row.tcp, Phase::Ok { .. });
    let ports: Vec<&Row> = table.iter().filter(|row| row.port != 0).collect();
    let tried = ports.iter().any(|row| open(row) || failed(&row.tcp));
    let silent: Vec<&Row> = ports
        .iter()
        .filter(|row| open(row) && (failed(&row.tls) || failed(&row.http) || refuses(&row.http)))
        .copied()
        .collect();
    if tried && !ports.iter().any(|row| open(row)) {
        return ports;
    }
    silent
}

/// What the verdict saw that no finding speaks of.
fn unserved_note(findings: &[Finding], table: &[Row]) -> Option<String> {
    let rows = unserved(table);
    if rows.is_empty()
        || findings
            .iter()
            .any(|finding| finding.severity == Severity::Failure)
    {
        return None;
    }
    let places: BTreeSet<String> = rows
        .iter()
        .map(|row| format!("`{}` port {}", row.address, row.port))
        .collect();
    let places: Vec<String> = places.into_iter().collect();
    Some(format!(
        "nobody is served by {}: see the table for where each stops",
        places.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codes::finding;

    fn row(tcp: Phase) -> Row {
        Row {
            vantage: "here".to_owned(),
            address: "2e00:5::80".parse().unwrap(),
            port: 443,
            tcp,
            tls: Phase::NotReached,
            http: Phase::NotReached,
            quic: Phase::NotApplicable,
        }
    }

    #[test]
    fn a_service_that_serves_nobody_is_not_ready() {
        let check = |http: Phase, expected| {
            let row = Row { http, ..open() };
            assert_eq!(verdict(Existence::Exists, &[], &[row]), expected);
        };
        let ok = |detail: &str| Phase::Ok {
            elapsed_seconds: 0.02,
            detail: detail.to_owned(),
        };
        check(ok("200"), Verdict::Ready);
        check(ok("404"), Verdict::Ready);
        check(ok("503"), Verdict::NotReady);
        let stalled = Phase::Failed {
            elapsed_seconds: 5.0,
            detail: "stalled".to_owned(),
        };
        check(stalled.clone(), Verdict::NotReady);
        assert_eq!(
            verdict(Existence::Exists, &[], &[row(stalled)]),
            Verdict::NotReady
        );
        let row = Row {
            http: ok("503"),
            ..open()
        };
        assert!(unserved_note(&[], &[row]).is_some_and(|note| note.contains("port 443")));
    }

    #[test]
    fn a_client_fails_by_itself_only_while_nothing_else_is_broken() {
        let check = |other: &str, stays: bool| {
            let raised = |code: &str| {
                let row = crate::codes::code_info(code).unwrap();
                finding(row.code, "x", "y", Vec::new(), "z")
            };
            let mut findings = vec![raised("client.failed"), raised(other)];
            explain_client(&mut findings);
            let codes: Vec<&str> = findings
                .iter()
                .map(|finding| finding.code.as_str())
                .collect();
            assert_eq!(codes.contains(&"client.failed"), stays, "{other}");
            assert!(codes.contains(&other));
        };
        check("tls.cert-invalid", false);
        check("dns.aaaa-query-broken", false);
        check("dns.ttl-too-long", true);
        check("mail.spf-no-v6", true);
    }

    #[test]
    fn a_vantage_without_ipv6_leaves_the_question_open() {
        let skipped = row(Phase::Skipped {
            detail: "no IPv6 here".to_owned(),
        });
        let v4 = Row {
            address: "198.51.100.80".parse().unwrap(),
            ..open()
        };
        let verdict = verdict(Existence::Exists, &[], &[skipped, v4]);
        assert_eq!(verdict, Verdict::Unknown);
    }

    fn open() -> Row {
        row(Phase::Ok {
            elapsed_seconds: 0.014,
            detail: String::new(),
        })
    }

    fn unseen() -> Row {
        row(Phase::Skipped {
            detail: "no route".to_owned(),
        })
    }

    #[test]
    fn the_worst_finding_decides() {
        let raised = |code| finding(code, "x", "y", Vec::new(), "z");
        let warning = raised("dns.ttl-too-long");
        let failure = raised("reach.fw-drop");
        let check = |findings: &[Finding], expected| {
            assert_eq!(verdict(Existence::Exists, findings, &[open()]), expected);
        };
        check(&[], Verdict::Ready);
        check(std::slice::from_ref(&warning), Verdict::ReadyWithWarnings);
        check(&[warning, failure], Verdict::NotReady);
    }

    #[test]
    fn nothing_seen_is_no_verdict() {
        assert_eq!(verdict(Existence::Unknown, &[], &[]), Verdict::Unknown);
        assert_eq!(
            verdict(Existence::Exists, &[], &[unseen()]),
            Verdict::Unknown
        );
        assert_eq!(
            verdict(Existence::Exists, &[], &[unseen(), open()]),
            Verdict::Ready
        );
        assert_eq!(
            verdict(Existence::NoSuchName, &[], &[]),
            Verdict::NoSuchName
        );
    }
}
