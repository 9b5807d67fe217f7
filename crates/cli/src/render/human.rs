//! The report for people: both families side by side, then what is wrong, then one line that says it all.
//!
//! Nothing is decided here. Every line repeats what the report holds; the last one is always the verdict alone, so that
//! `| tail -1` is an answer.

mod connections;
mod names;

use super::text::{Line, Style, held};
use super::{count, time};
use twinstack_check::Report;
use twinstack_check::report::{ClientTiming, Verdict};
use twinstack_finding::{Evidence, Finding, Severity};

/// Evidence lines shown of one finding; the JSON has all.
const EVIDENCE_SHOWN: usize = 8;

const NO_SUCH_NAME: &str = "the name does not exist";

/// All reports; behind several of them, what became of each.
pub(crate) fn reports(reports: &[Report], width: usize) -> Vec<Line> {
    if let [one] = reports {
        let mut lines = report(one, width);
        lines.push(verdict(one.verdict));
        return lines;
    }
    let mut lines = Vec::new();
    for one in reports {
        lines.extend(report(one, width));
        lines.push(verdict(one.verdict));
        lines.push(Line::styled(Style::Faint, "─".repeat(width)));
    }
    lines.extend(summary(reports, width));
    lines
}

/// The words of the last line.
pub(crate) const fn verdict_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ready => "ready",
        Verdict::ReadyWithWarnings => "ready with warnings",
        Verdict::NotReady | Verdict::NoSuchName => "not ready",
        Verdict::Unknown => "could not look",
    }
}

fn verdict(verdict: Verdict) -> Line {
    Line::styled(verdict_style(verdict), verdict_words(verdict))
}

const fn verdict_style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Ready => Style::Good,
        Verdict::ReadyWithWarnings | Verdict::Unknown => Style::Caution,
        Verdict::NotReady | Verdict::NoSuchName => Style::Bad,
    }
}

fn summary(reports: &[Report], width: usize) -> Vec<Line> {
    let widest = reports
        .iter()
        .map(|it| super::text::width(&it.target))
        .max()
        .unwrap_or(0);
    let column = (widest + 2).min(width / 2);
    let mut lines = Vec::new();
    for report in reports {
        let mut line = Line::styled(Style::Strong, &report.target);
        line.pad_to(column - 2);
        line.push(Style::Plain, "  ");
        line.push(verdict_style(report.verdict), verdict_words(report.verdict));
        let counts = match report.verdict {
            Verdict::NoSuchName => NO_SUCH_NAME.to_owned(),
            _ => counts(&report.findings),
        };
        if !counts.is_empty() {
            line.push(Style::Faint, format!(" ({counts})"));
        }
        lines.extend(line.wrap(width, 2));
    }
    let badness = |verdict: Verdict| match verdict {
        Verdict::Ready => 0,
        Verdict::ReadyWithWarnings => 1,
        Verdict::Unknown => 2,
        Verdict::NotReady | Verdict::NoSuchName => 3,
    };
    let worst = reports
        .iter()
        .map(|it| it.verdict)
        .max_by_key(|it| badness(*it));
    lines.extend(worst.map(verdict));
    lines
}

fn report(report: &Report, width: usize) -> Vec<Line> {
    let mut lines = header(report, width);
    section(&mut lines, "Names", names::lines(report, width));
    section(&mut lines, "Connections", connections::lines(report, width));
    section(
        &mut lines,
        "Client",
        report
            .client
            .as_ref()
            .map_or_else(Vec::new, |it| client(it, width)),
    );
    section(
        &mut lines,
        &findings_heading(&report.findings),
        findings(&report.findings, width),
    );
    let skipped = report.skipped.iter().flat_map(|skipped| {
        let text = format!("  - {}: {}", skipped.what, skipped.why);
        Line::quoting(Style::Plain, &text).wrap(width, 4)
    });
    section(&mut lines, "Not looked at", skipped.collect());
    let notes = report
        .notes
        .iter()
        .flat_map(|note| Line::quoting(Style::Plain, &format!("  - {note}")).wrap(width, 4));
    section(&mut lines, "Notes", notes.collect());
    lines
}

/// A heading with its lines and an empty one behind; nothing at all without lines.
fn section(lines: &mut Vec<Line>, heading: &str, content: Vec<Line>) {
    if content.is_empty() {
        return;
    }
    lines.push(Line::styled(Style::Strong, heading));
    lines.extend(content);
    lines.push(Line::default());
}

fn header(report: &Report, width: usize) -> Vec<Line> {
    let from: Vec<&str> = report.vantages.iter().map(String::as_str).collect();
    let from = match from.as_slice() {
        [] => "here".to_owned(),
        some => some.join(", "),
    };
    let how = format!("seen from {from}, in {}", time(report.elapsed_seconds));
    let mut title = Line::styled(Style::Strong, &report.target);
    let mut lines = if title.width() + 2 + super::text::width(&how) <= width {
        title.pad_to(width - super::text::width(&how));
        title.push(Style::Faint, &how);
        vec![title]
    } else {
        let mut lines = title.wrap(width, 2);
        lines.extend(Line::styled(Style::Faint, &how).wrap(width, 2));
        lines
    };
    if report.verdict == Verdict::NoSuchName {
        lines.push(Line::styled(Style::Bad, NO_SUCH_NAME));
    }
    lines.push(Line::default());
    lines
}

fn client(client: &ClientTiming, width: usize) -> Vec<Line> {
    let mut line = Line::plain("  ")
        .with(Style::Quote, &client.client)
        .with(Style::Plain, ": ");
    if let Some(elapsed) = client.elapsed_seconds {
        line.push(
            Style::Plain,
            format!("first byte after {}", held(time(elapsed))),
        );
        if let Some(family) = &client.family {
            line.push(Style::Plain, format!(" over {}", family_name(family)));
        }
    } else {
        line.push(Style::Bad, "no answer");
    }
    line.push(Style::Plain, format!(", {}", client.outcome));
    let exercised = if client.fallback_exercised {
        "; IPv6 was broken, so this is what its fallback costs"
    } else {
        "; IPv6 connects, so its fallback was not put to the test"
    };
    line.push(Style::Faint, exercised);
    line.wrap(width, 4)
}

/// The family as it is written in sentences.
fn family_name(family: &str) -> &str {
    match family {
        "ipv6" => "IPv6",
        "ipv4" => "IPv4",
        other => other,
    }
}

/// `1 failure, 2 warnings`; empty without findings.
fn counts(findings: &[Finding]) -> String {
    [Severity::Failure, Severity::Warning, Severity::Info]
        .into_iter()
        .filter_map(|severity| {
            let number = findings.iter().filter(|it| it.severity == severity).count();
            let word = if severity == Severity::Info {
                "remark"
            } else {
                severity.as_str()
            };
            (number > 0).then(|| count(number, word))
        })
        .collect::<Vec<_>>()
        .join(", ")
}

fn findings_heading(findings: &[Finding]) -> String {
    format!("Findings: {}", counts(findings))
}

fn findings(findings: &[Finding], width: usize) -> Vec<Line> {
    let mut worst_first: Vec<&Finding> = findings.iter().collect();
    worst_first.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let mut lines = Vec::new();
    for (number, one) in worst_first.into_iter().enumerate() {
        if number > 0 {
            lines.push(Line::default());
        }
        lines.extend(finding(one, width));
    }
    lines
}

fn finding(finding: &Finding, width: usize) -> Vec<Line> {
    let (mark, style) = match finding.severity {
        Severity::Failure => ("✗", Style::Bad),
        Severity::Warning => ("!", Style::Caution),
        Severity::Info => ("i", Style::Plain),
    };
    let head = Line::plain("  ")
        .with(style, format!("{mark} {}", finding.severity))
        .with(Style::Plain, "  ")
        .with(Style::Strong, finding.code.as_str())
        .with(Style::Plain, "  ")
        .with(Style::Plain, &finding.subject);
    let mut lines = head.wrap(width, 4);
    let mut message = Line::plain("    ");
    message.append(Line::quoting(Style::Plain, &finding.message));
    if let Some(place) = &finding.place {
        message.push(Style::Faint, format!(" ({place})"));
    }
    lines.extend(message.wrap(width, 4));
    for shown in finding.evidence.iter().take(EVIDENCE_SHOWN) {
        lines.extend(evidence(shown, width));
    }
    let more = finding.evidence.len().saturating_sub(EVIDENCE_SHOWN);
    if more > 0 {
        let text = format!("      - and {more} more; `--format json` shows all");
        lines.extend(Line::quoting(Style::Faint, &text).wrap(width, 8));
    }
    lines.extend(labelled(
        "mend",
        Line::quoting(Style::Plain, &finding.hint),
        width,
    ));
    let command = format!("twinstack explain {}", finding.code);
    lines.extend(labelled("more", Line::styled(Style::Quote, command), width));
    lines
}

fn evidence(evidence: &Evidence, width: usize) -> Vec<Line> {
    let mut line = Line::plain("      - ");
    line.append(Line::quoting(Style::Plain, &evidence.did));
    line.push(Style::Plain, ": ");
    line.append(Line::quoting(Style::Plain, &evidence.saw));
    if let Some(at) = evidence.at {
        line.push(Style::Faint, format!(" (at {at:.2} s)"));
    }
    line.wrap(width, 8)
}

fn labelled(label: &str, text: Line, width: usize) -> Vec<Line> {
    let mut line = Line::plain("    ")
        .with(Style::Faint, label)
        .with(Style::Plain, "  ");
    line.append(text);
    line.wrap(width, 10)
}
