//! Several vantages, one report: the same fault seen from two places is one finding with the evidence of both, and what
//! one place sees and another does not is said.

use super::{HERE, Phase, Report, Row, Verdict};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use twinstack_finding::{Code, Evidence, Finding, Skipped};

/// How the evidence of a vantage ends that saw nothing.
const SAME_CHECKS: &str = " the same checks";

/// The far half of a black hole that is only seen from the server.
const RETURN_PATH_LOSS: &str = "reach.return-path-loss";
/// What the same fault looks like from a client.
const DROP: &str = "reach.fw-drop";

impl Report {
    /// Merges reports on one target from different vantages; `None` without any.
    ///
    /// The verdict is the worst. A vantage that could not look makes it [`Verdict::Unknown`] unless another one found a
    /// failure.
    pub fn merge(reports: Vec<Self>) -> Option<Self> {
        if reports.len() < 2 {
            return reports.into_iter().next();
        }
        let first = reports.first()?;
        let mut merged = Self {
            schema: first.schema.clone(),
            target: first.target.clone(),
            vantages: reports
                .iter()
                .flat_map(|report| report.vantages.clone())
                .collect(),
            verdict: verdict(&reports),
            elapsed_seconds: reports
                .iter()
                .map(|report| report.elapsed_seconds)
                .fold(0.0, f64::max),
            answers: Vec::new(),
            table: Vec::new(),
            client: None,
            findings: findings(&reports),
            skipped: skipped(&reports),
            notes: notes(&reports),
        };
        for report in reports {
            merged.answers.extend(report.answers);
            merged.table.extend(report.table);
            // The first one is this machine's: its user is who would wait.
            merged.client = merged.client.or(report.client);
        }
        contradictions(&mut merged);
        explain_from_the_server(&mut merged);
        merged.tidy();
        Some(merged)
    }
}

fn from(report: &Report) -> String {
    if report.vantages.is_empty() {
        HERE.to_owned()
    } else {
        report.vantages.join(" and ")
    }
}

fn verdict(reports: &[Report]) -> Verdict {
    let any = |verdict| reports.iter().any(|report| report.verdict == verdict);
    let all = |verdict| reports.iter().all(|report| report.verdict == verdict);
    if all(Verdict::NoSuchName) {
        Verdict::NoSuchName
    } else if any(Verdict::NotReady) || any(Verdict::NoSuchName) {
        // A name that exists at one vantage and not at another fails for somebody.
        Verdict::NotReady
    } else if any(Verdict::Unknown) {
        Verdict::Unknown
    } else if any(Verdict::ReadyWithWarnings) {
        Verdict::ReadyWithWarnings
    } else {
        Verdict::Ready
    }
}

/// One finding for each code and subject.
fn findings(reports: &[Report]) -> Vec<Finding> {
    let mut groups: BTreeMap<(Code, String), Vec<(String, &Finding)>> = BTreeMap::new();
    for report in reports {
        for finding in &report.findings {
            groups
                .entry((finding.code.clone(), finding.subject.clone()))
                .or_default()
                .push((from(report), finding));
        }
    }
    groups
        .into_values()
        .filter_map(|group| {
            let (_, first) = group.first()?;
            let mut merged = Finding {
                severity: group.iter().map(|(_, finding)| finding.severity).max()?,
                evidence: Vec::new(),
                ..(*first).clone()
            };
            let seen: BTreeSet<&str> = group.iter().map(|(from, _)| from.as_str()).collect();
            for (from, finding) in &group {
                merged
                    .evidence
                    .extend(finding.evidence.iter().map(|evidence| at(from, evidence)));
            }
            for report in reports {
                let from = from(report);
                if seen.contains(from.as_str()) {
                    continue;
                }
                let saw = if matches!(report.verdict, Verdict::Unknown) {
                    "could not look"
                } else {
                    "found nothing of the kind"
                };
                merged.evidence.push(Evidence {
                    did: format!("from {from}:{SAME_CHECKS}"),
                    saw: saw.to_owned(),
                    at: None,
                });
            }
            if seen.len() < reports.len() {
                let seen: Vec<&str> = seen.into_iter().collect();
                merged.message = format!("from {}: {}", seen.join(" and "), merged.message);
            }
            Some(merged)
        })
        .collect()
}

fn at(from: &str, evidence: &Evidence) -> Evidence {
    Evidence {
        did: format!("from {from}: {}", evidence.did),
        ..evidence.clone()
    }
}

/// What is the same everywhere is said once; the rest with its vantage.
fn everywhere<'a, T: Ord>(
    reports: &'a [Report],
    items: impl Fn(&'a Report) -> &'a [T],
) -> Vec<(Option<String>, &'a T)> {
    let Some((first, others)) = reports.split_first() else {
        return Vec::new();
    };
    let common: BTreeSet<&T> = items(first)
        .iter()
        .filter(|item| others.iter().all(|report| items(report).contains(item)))
        .collect();
    let mut said: Vec<(Option<String>, &T)> = common.iter().map(|item| (None, *item)).collect();
    for report in reports {
        said.extend(
            items(report)
                .iter()
                .filter(|item| !common.contains(item))
                .map(|item| (Some(from(report)), item)),
        );
    }
    said
}

fn skipped(reports: &[Report]) -> Vec<Skipped> {
    let keys: Vec<Vec<(String, String)>> = reports
        .iter()
        .map(|report| {
            report
                .skipped
                .iter()
                .map(|skipped| (skipped.what.clone(), skipped.why.clone()))
                .collect()
        })
        .collect();
    let common = |key: &(String, String)| keys.iter().all(|keys| keys.contains(key));
    let mut merged = Vec::new();
    for (report, keys) in reports.iter().zip(&keys) {
        for key in keys {
            let what = if common(key) {
                key.0.clone()
            } else {
                format!("from {}: {}", from(report), key.0)
            };
            merged.push(Skipped {
                what,
                why: key.1.clone(),
            });
        }
    }
    merged
}

fn notes(reports: &[Report]) -> Vec<String> {
    let mut notes: Vec<String> = everywhere(reports, |report| &report.notes)
        .into_iter()
        .map(|(from, note)| match from {
            Some(from) => format!("from {from}: {note}"),
            None => note.clone(),
        })
        .collect();
    notes.extend(different_addresses(reports));
    notes
}

/// Vantages that are told different addresses of the target: steering, or a resolver of its own mind.
fn different_addresses(reports: &[Report]) -> Vec<String> {
    ["AAAA", "A"]
        .into_iter()
        .filter_map(|rtype| {
            let sets: Vec<(String, BTreeSet<String>)> = reports
                .iter()
                .filter_map(|report| {
                    let mut answers = report
                        .answers
                        .iter()
                        .filter(|answer| {
                            !answer.authoritative && asks_target(report, &answer.question, rtype)
                        })
                        .filter(|answer| matches!(answer.outcome.as_str(), "NOERROR" | "NODATA"))
                        .peekable();
                    answers.peek()?;
                    Some((
                        from(report),
                        answers.flat_map(|answer| answer.data.clone()).collect(),
                    ))
                })
                .collect();
            let (_, first) = sets.first()?;
            if sets.iter().all(|(_, set)| set == first) {
                return None;
            }
            let said: Vec<String> = sets
                .iter()
                .map(|(from, set)| {
                    let set: Vec<&str> = set.iter().map(String::as_str).collect();
                    let set = if set.is_empty() {
                        "none".to_owned()
                    } else {
                        set.join(" ")
                    };
                    format!("{from} is told {set}")
                })
                .collect();
            Some(format!(
                "the vantages are told different {rtype}: {}",
                said.join("; ")
            ))
        })
        .collect()
}

fn asks_target(report: &Report, question: &str, rtype: &str) -> bool {
    question.split_once(' ').is_some_and(|(name, asked)| {
        asked == rtype
            && crate::options::Target::parse(&report.target)
                .is_ok_and(|target| target.host.name() == Some(name))
    })
}

/// The addresses that a finding is about.
fn addresses(finding: &Finding) -> BTreeSet<IpAddr> {
    finding
        .subject
        .split([' ', ',', '`'])
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// SYNs that vanish here and are answered there: the address is alive, and the fault is on the way from here.
fn contradictions(merged: &mut Report) {
    let table = &merged.table;
    for finding in merged
        .findings
        .iter_mut()
        .filter(|finding| finding.code.as_str() == DROP)
    {
        let about = addresses(finding);
        let failed: BTreeSet<(&str, IpAddr, u16)> = table
            .iter()
            .filter(|row| row.port != 0 && matches!(row.tcp, Phase::Failed { .. }))
            .map(|row| (row.vantage.as_str(), row.address, row.port))
            .collect();
        let opened: Vec<(&Row, f64)> = table
            .iter()
            .filter(|row| row.port != 0 && about.contains(&row.address))
            .filter(|row| {
                failed
                    .iter()
                    .any(|(_, address, port)| *address == row.address && *port == row.port)
            })
            .filter_map(|row| match row.tcp {
                Phase::Ok {
                    elapsed_seconds, ..
                } => Some((row, elapsed_seconds)),
                _ => None,
            })
            .collect();
        let vantages: BTreeSet<&str> = opened.iter().map(|(row, _)| row.vantage.as_str()).collect();
        if vantages.is_empty() {
            continue;
        }
        finding
            .evidence
            .extend(opened.iter().map(|(row, elapsed)| Evidence {
                did: format!(
                    "from {}: connected to {} port {}",
                    row.vantage, row.address, row.port
                ),
                saw: format!("accepted after {elapsed:.3} s"),
                at: None,
            }));
        let vantages: Vec<&str> = vantages.into_iter().collect();
        finding.message = format!(
            "{}; {} accepts the same connections, so the address is alive and the fault is on one way to it, or back",
            finding.message,
            format_args!("from {} it", vantages.join(" and "))
        );
    }
}

/// The server sees its answers lost: then what the clients see is the same fault and no second one.
fn explain_from_the_server(merged: &mut Report) {
    let Some(known) = merged
        .findings
        .iter()
        .position(|finding| finding.code.as_str() == RETURN_PATH_LOSS)
    else {
        return;
    };
    let about = merged
        .findings
        .get(known)
        .map(addresses)
        .unwrap_or_default();
    let mut explained = Vec::new();
    merged.findings.retain(|finding| {
        let same = finding.code.as_str() == DROP
            && (about.is_empty()
                || addresses(finding)
                    .iter()
                    .any(|address| about.contains(address)));
        if same {
            explained.extend(
                finding
                    .evidence
                    .iter()
                    .filter(|evidence| !evidence.did.ends_with(SAME_CHECKS))
                    .cloned(),
            );
        }
        !same
    });
    if let Some(finding) = merged
        .findings
        .iter_mut()
        .find(|finding| finding.code.as_str() == RETURN_PATH_LOSS)
    {
        // A vantage that saw the other side of the fault did find something of the kind.
        finding.evidence.retain(|evidence| {
            !evidence.did.strip_suffix(SAME_CHECKS).is_some_and(|from| {
                explained
                    .iter()
                    .any(|other: &Evidence| other.did.starts_with(from))
            })
        });
        finding.evidence.extend(explained);
    }
}

#[cfg(test)]
mod tests;
