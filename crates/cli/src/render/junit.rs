//! The report as `JUnit` XML, for build servers.
//!
//! One test suite a target. A test case for each phase of each row of the table, one for each area of findings, one
//! for each thing that was not looked at, and one for the verdict. A phase that did not work fails only if a finding
//! speaks of its address: a port that is closed on both families is no fault, and a ready target has no failed case.

use super::time;
use std::fmt::Write as _;
use twinstack_check::Report;
use twinstack_check::report::{Phase, Row, Verdict};
use twinstack_finding::Finding;

/// The areas of codes, in the order of the loop: records, path, service, client, host.
const AREAS: &[&str] = &[
    "dns", "reach", "tls", "http", "ptr", "mail", "client", "host",
];

/// All reports as one document.
pub(crate) fn reports(reports: &[Report]) -> String {
    let suites: Vec<Suite> = reports.iter().map(suite).collect();
    let total: Counts = suites
        .iter()
        .map(Suite::counts)
        .fold(Counts::default(), Counts::add);
    let seconds: f64 = reports.iter().map(|report| report.elapsed_seconds).sum();
    let mut xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    line(
        &mut xml,
        0,
        &format!(
            "<testsuites name=\"twinstack check\" {} time=\"{seconds:.3}\">",
            total.attributes()
        ),
    );
    for suite in suites {
        suite.write(&mut xml);
    }
    line(&mut xml, 0, "</testsuites>");
    xml
}

struct Suite {
    name: String,
    seconds: f64,
    cases: Vec<Case>,
}

struct Case {
    name: String,
    seconds: f64,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Failed {
        kind: String,
        message: String,
        body: String,
    },
    Error {
        message: String,
    },
    Skipped {
        message: String,
    },
}

#[derive(Clone, Copy, Default)]
struct Counts {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
}

impl Counts {
    fn add(self, other: Self) -> Self {
        Self {
            tests: self.tests + other.tests,
            failures: self.failures + other.failures,
            errors: self.errors + other.errors,
            skipped: self.skipped + other.skipped,
        }
    }

    fn attributes(&self) -> String {
        let Self {
            tests,
            failures,
            errors,
            skipped,
        } = self;
        format!(
            "tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\""
        )
    }
}

fn suite(report: &Report) -> Suite {
    let several = report.vantages.len() > 1;
    let mut cases: Vec<Case> = report
        .table
        .iter()
        .flat_map(|row| row_cases(row, report, several))
        .collect();
    cases.extend(AREAS.iter().filter_map(|area| area_case(area, report)));
    cases.extend(report.skipped.iter().map(|skipped| Case {
        name: format!("not looked at: {}", skipped.what),
        seconds: 0.0,
        outcome: Outcome::Skipped {
            message: skipped.why.clone(),
        },
    }));
    cases.push(Case {
        name: "verdict".to_owned(),
        seconds: 0.0,
        outcome: verdict(report),
    });
    Suite {
        name: report.target.clone(),
        seconds: report.elapsed_seconds,
        cases,
    }
}

fn row_cases(row: &Row, report: &Report, several: bool) -> Vec<Case> {
    let place = match row.port {
        0 => row.address.to_string(),
        port => std::net::SocketAddr::new(row.address, port).to_string(),
    };
    let place = if several {
        format!("{place} from {}", row.vantage)
    } else {
        place
    };
    let first = if row.port == 0 { "echo" } else { "tcp" };
    [
        (first, &row.tcp),
        ("tls", &row.tls),
        ("http", &row.http),
        ("quic", &row.quic),
    ]
    .into_iter()
    .filter_map(|(phase, state)| {
        let (seconds, outcome) = phase_outcome(row, state, report)?;
        Some(Case {
            name: format!("{place} {phase}"),
            seconds,
            outcome,
        })
    })
    .collect()
}

fn phase_outcome(row: &Row, phase: &Phase, report: &Report) -> Option<(f64, Outcome)> {
    Some(match phase {
        Phase::NotApplicable => return None,
        Phase::NotReached => (
            0.0,
            Outcome::Skipped {
                message: "not reached: an earlier phase failed".to_owned(),
            },
        ),
        Phase::Ok {
            elapsed_seconds, ..
        } => (*elapsed_seconds, Outcome::Passed),
        Phase::Skipped { detail } => (
            0.0,
            Outcome::Skipped {
                message: detail.clone(),
            },
        ),
        Phase::Failed {
            elapsed_seconds,
            detail,
        } => {
            let outcome = match report
                .findings
                .iter()
                .find(|finding| speaks_of(finding, row))
            {
                Some(finding) => Outcome::Failed {
                    kind: finding.code.to_string(),
                    message: format!("{detail} after {}", time(*elapsed_seconds)),
                    body: format!("{}: {}", finding.code, finding.message),
                },
                None => Outcome::Skipped {
                    message: format!("{detail}, and no finding"),
                },
            };
            (*elapsed_seconds, outcome)
        }
    })
}

/// Whether a finding is about the address of this row.
fn speaks_of(finding: &Finding, row: &Row) -> bool {
    let address = row.address.to_string();
    let evidence = finding
        .evidence
        .iter()
        .map(|evidence| evidence.did.as_str());
    std::iter::once(finding.subject.as_str())
        .chain(evidence)
        .any(|text| {
            text.split(|c: char| !(c.is_ascii_hexdigit() || c == ':' || c == '.'))
                .any(|word| {
                    word == address
                        || word
                            .strip_prefix(&*address)
                            .is_some_and(|rest| rest.starts_with(':'))
                })
        })
}

/// One case for an area: passed without findings, otherwise one failure that lists them all.
fn area_case(area: &str, report: &Report) -> Option<Case> {
    let findings: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|it| it.code.area() == area)
        .collect();
    let phase = |of: fn(&Row) -> &Phase| {
        report
            .table
            .iter()
            .any(|row| *of(row) != Phase::NotApplicable)
    };
    let looked_at = match area {
        "dns" => !report.answers.is_empty() && report.verdict != Verdict::Unknown,
        "ptr" => report
            .answers
            .iter()
            .any(|answer| answer.question.ends_with(" PTR")),
        "reach" => !report.table.is_empty(),
        "tls" => phase(|row| &row.tls),
        "http" => phase(|row| &row.http),
        "client" => report.client.is_some(),
        // Nothing in the report tells whether these were looked at.
        _ => false,
    };
    let outcome = match findings.as_slice() {
        [] if looked_at => Outcome::Passed,
        [] => return None,
        [first, more @ ..] => Outcome::Failed {
            kind: first.code.to_string(),
            message: match more.len() {
                0 => format!("{}: {}", first.severity, first.message),
                n => format!("{}: {} (and {n} more)", first.severity, first.message),
            },
            body: findings
                .iter()
                .map(|finding| body(finding))
                .collect::<Vec<_>>()
                .join("\n\n"),
        },
    };
    Some(Case {
        name: area.to_owned(),
        seconds: 0.0,
        outcome,
    })
}

fn body(finding: &Finding) -> String {
    let Finding {
        code,
        severity,
        subject,
        message,
        evidence,
        hint,
        ..
    } = finding;
    let mut text = format!("{severity}: {code}: {subject}: {message}\n");
    for evidence in evidence {
        let at = evidence
            .at
            .map_or_else(String::new, |at| format!(" (at {})", time(at)));
        line(
            &mut text,
            1,
            &format!("{}: {}{at}", evidence.did, evidence.saw),
        );
    }
    line(&mut text, 1, &format!("hint: {hint}"));
    text + &format!("  twinstack explain {code}")
}

fn verdict(report: &Report) -> Outcome {
    match report.verdict {
        Verdict::Ready => Outcome::Passed,
        Verdict::Unknown => Outcome::Error {
            message: "could not look".to_owned(),
        },
        Verdict::ReadyWithWarnings | Verdict::NotReady | Verdict::NoSuchName => {
            let message = match report.verdict {
                Verdict::NoSuchName => "the name does not exist".to_owned(),
                other => super::human::verdict_words(other).to_owned(),
            };
            Outcome::Failed {
                kind: "verdict".to_owned(),
                body: message.clone(),
                message,
            }
        }
    }
}

impl Suite {
    fn counts(&self) -> Counts {
        let mut counts = Counts {
            tests: self.cases.len(),
            ..Counts::default()
        };
        for case in &self.cases {
            match case.outcome {
                Outcome::Passed => {}
                Outcome::Failed { .. } => counts.failures += 1,
                Outcome::Error { .. } => counts.errors += 1,
                Outcome::Skipped { .. } => counts.skipped += 1,
            }
        }
        counts
    }

    fn write(&self, xml: &mut String) {
        let (name, counts) = (escape(&self.name), self.counts().attributes());
        line(
            xml,
            1,
            &format!(
                "<testsuite name=\"{name}\" {counts} time=\"{:.3}\">",
                self.seconds
            ),
        );
        for case in &self.cases {
            case.write(&name, xml);
        }
        line(xml, 1, "</testsuite>");
    }
}

impl Case {
    fn write(&self, class: &str, xml: &mut String) {
        let (name, seconds) = (escape(&self.name), self.seconds);
        let head = format!("<testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\"");
        let inner = match &self.outcome {
            Outcome::Passed => {
                line(xml, 2, &format!("{head}/>"));
                return;
            }
            Outcome::Failed {
                kind,
                message,
                body,
            } => format!(
                "<failure type=\"{}\" message=\"{}\">{}</failure>",
                escape(kind),
                escape(message),
                escape(body)
            ),
            Outcome::Error { message } => {
                format!("<error type=\"verdict\" message=\"{}\"/>", escape(message))
            }
            Outcome::Skipped { message } => format!("<skipped message=\"{}\"/>", escape(message)),
        };
        line(xml, 2, &format!("{head}>"));
        line(xml, 3, &inner);
        line(xml, 2, "</testcase>");
    }
}

fn line(xml: &mut String, depth: usize, text: &str) {
    writeln!(xml, "{:1$}{text}", "", depth * 2).expect("writing to a string does not fail");
}

/// Text for element content and for attributes in double quotes.
///
/// XML 1.0, section 2.2: most control characters cannot be written at all, not even as references. Line breaks stay in
/// content and are lost in attributes, as every parser normalises them.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            other if other.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_its_place() {
        assert_eq!(
            escape("a<b & \"c\">\u{0}\u{1b}\u{ffff}\n"),
            "a&lt;b &amp; &quot;c&quot;&gt;\u{fffd}\u{fffd}\u{fffd}\n"
        );
    }
}
