//! The report for people: both families side by side, then what is wrong, then one line that says it all.
//!
//! Nothing is decided here. Every line repeats what the report holds; the last one is always the verdict alone, so that
//! `| tail -1` is an answer.

mod connections;
mod names;

use super::text::{Line, Style, held};
use super::{count, time};
use twinstack_check::Report;
use twinstack_check::report::{ClientTiming, Phase, Row, Verdict};
use twinstack_finding::{Evidence, Finding, Severity};

/// Evidence lines shown of one finding; the JSON has all.
const EVIDENCE_SHOWN: usize = 8;

/// The name of our own client in a report.
const BUILT_IN: &str = "built-in";

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
            .map_or_else(Vec::new, |it| client(it, &report.table, width)),
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

fn client(client: &ClientTiming, table: &[Row], width: usize) -> Vec<Line> {
    let built_in = client.client == BUILT_IN;
    let mut line = Line::plain("  ")
        .with(Style::Quote, &client.client)
        .with(Style::Plain, ": ");
    match client.elapsed_seconds {
        Some(elapsed) => {
            let what = if built_in { "first byte" } else { "done" };
            line.push(
                Style::Plain,
                format!("{what} after {}", held(time(elapsed))),
            );
            if let Some(family) = &client.family {
                line.push(Style::Plain, format!(" over {}", family_name(family)));
            }
            line.push(Style::Plain, format!(", {}", client.outcome));
        }
        None if built_in => {
            line.push(Style::Bad, "no answer");
            line.push(Style::Plain, format!(", {}", client.outcome));
        }
        None => line.push(Style::Bad, &client.outcome),
    }
    line.push(Style::Faint, fallback(client, table));
    line.wrap(width, 4)
}

/// What the client's time says about its fallback.
fn fallback(client: &ClientTiming, table: &[Row]) -> &'static str {
    let here = table.first().map(|row| row.vantage.as_str());
    let rows = |v6: bool| {
        table
            .iter()
            .filter(move |row| row.address.is_ipv6() == v6 && row.port != 0)
            .filter(move |row| Some(row.vantage.as_str()) == here)
    };
    let open = |row: &Row| matches!(row.tcp, Phase::Ok { .. });
    if client.fallback_exercised && !rows(false).any(open) && !rows(true).any(open) {
        if rows(false).next().is_some() {
            "; IPv6 was broken, and so was IPv4"
        } else {
            "; IPv6 was broken, and there was no IPv4 to fall back to"
        }
    } else if client.fallback_exercised && client.elapsed_seconds.is_some() {
        "; IPv6 was broken, so this is what its fallback costs"
    } else if client.fallback_exercised {
        "; IPv6 was broken, and it did not show a fallback"
    } else if rows(true).next().is_none() {
        "; there was no IPv6 address to try, so its fallback was not put to the test"
    } else if rows(true).all(|row| matches!(row.tcp, Phase::Skipped { .. })) {
        "; IPv6 cannot be reached from here, so its fallback was not put to the test"
    } else if rows(true).any(open) {
        "; IPv6 connects, so its fallback was not put to the test"
    } else {
        "; its fallback was not put to the test"
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(address: &str, tcp: Phase) -> Row {
        Row {
            vantage: "here".to_owned(),
            address: address.parse().unwrap(),
            port: 443,
            tcp,
            tls: Phase::NotReached,
            http: Phase::NotReached,
            quic: Phase::NotApplicable,
        }
    }

    fn open(address: &str) -> Row {
        let ok = Phase::Ok {
            elapsed_seconds: 0.014,
            detail: String::new(),
        };
        row(address, ok)
    }

    fn dead(address: &str) -> Row {
        let failed = Phase::Failed {
            elapsed_seconds: 5.0,
            detail: "timeout".to_owned(),
        };
        row(address, failed)
    }

    fn timing(command: &str, elapsed: Option<f64>, exercised: bool, outcome: &str) -> ClientTiming {
        ClientTiming {
            client: command.to_owned(),
            elapsed_seconds: elapsed,
            family: elapsed.map(|_| "ipv4".to_owned()),
            fallback_exercised: exercised,
            outcome: outcome.to_owned(),
        }
    }

    fn check(timing: &ClientTiming, table: &[Row], expected: &str) {
        let lines = client(timing, table, 200);
        let text: Vec<String> = lines.iter().map(|line| line.paint(false)).collect();
        assert_eq!(text.join("\n"), expected);
    }

    #[test]
    fn a_fallback_that_was_not_tested_is_given_its_true_reason() {
        let built_in = timing(BUILT_IN, Some(0.05), false, "status 200");
        let said = "  built-in: first byte after 50 ms over IPv4, status 200; ";
        let with = |rows: &[Row], why: &str| {
            check(
                &built_in,
                rows,
                &format!("{said}{why}, so its fallback was not put to the test"),
            );
        };
        let v4 = || open("198.51.100.80");
        let elsewhere = row(
            "2e00:5::80",
            Phase::Skipped {
                detail: "no route".to_owned(),
            },
        );
        with(&[v4()], "there was no IPv6 address to try");
        with(&[v4(), elsewhere], "IPv6 cannot be reached from here");
        with(&[v4(), open("2e00:5::80")], "IPv6 connects");
    }

    #[test]
    fn a_fallback_without_anything_to_fall_back_to_is_no_cost() {
        let failed = timing(BUILT_IN, None, true, "no address answered");
        check(
            &failed,
            &[dead("2e00:5::80")],
            "  built-in: no answer, no address answered; IPv6 was broken, and there was no IPv4 to fall back to",
        );
        check(
            &failed,
            &[dead("2e00:5::80"), dead("198.51.100.80")],
            "  built-in: no answer, no address answered; IPv6 was broken, and so was IPv4",
        );
    }

    #[test]
    fn of_a_command_only_what_was_seen_is_claimed() {
        let rows = [open("198.51.100.80"), dead("2e00:5::80")];
        check(
            &timing("curl", Some(0.25), true, "exit status 0"),
            &rows,
            "  curl: done after 250 ms over IPv4, exit status 0; IPv6 was broken, so this is what its fallback costs",
        );
        let unseen = "exit status 0, without a connection that could be seen";
        check(
            &timing("true", None, true, unseen),
            &rows,
            &format!("  true: {unseen}; IPv6 was broken, and it did not show a fallback"),
        );
    }
}
