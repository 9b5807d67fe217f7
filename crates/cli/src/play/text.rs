//! The replay as text, part by part, so that each part can be shown the moment it has been measured.
//!
//! No part says what it did not measure: a world without the fault tells another story with the same sentences.

mod table;

use table::result;
pub(super) use table::{comparison, head, row};

use super::story::{Check, Client, Ipv6, Mend, MendKind, Network, Published, Round, Run, Story};
use crate::render::text::{Line, Style, width};
pub(super) use crate::render::words::seconds;
use twinstack_check::report::Verdict;
use twinstack_finding::Severity;

/// Text stands this far from the left, below headings at the margin.
const INDENT: usize = 3;

/// A client that waits longer than this has lost its user (1 s: the limit of an uninterrupted flow of thought).
const SLOW: f64 = 1.0;

/// A heading with the number of the act.
pub(super) fn act(number: usize, title: &str) -> Vec<Line> {
    vec![
        Line::default(),
        Line::styled(Style::Strong, format!("{number}  {title}")),
        Line::default(),
    ]
}

/// The title and what this is.
pub(super) fn opening(with_fault: bool, columns: usize) -> Vec<Line> {
    let mut lines = vec![
        Line::styled(Style::Strong, "The incident of 2017, replayed"),
        Line::default(),
    ];
    let fault = if with_fault {
        "A large site publishes IPv6 addresses, and some of its users lose the site."
    } else {
        "A large site publishes IPv6 addresses. This is the same world without its faults, for comparison."
    };
    lines.extend(paragraph(
        &format!(
            "{fault} Everything below happens now, on this machine: real sockets and real packets between network \
             namespaces, no internet, no root. Every number was measured, and recorded packet by packet."
        ),
        columns,
    ));
    lines
}

/// The addresses of the name and what their PTR records say.
pub(super) fn published(published: &Published, columns: usize) -> Vec<Line> {
    let name = &published.name;
    let sixes = published.addresses.iter().filter(|it| it.is_ipv6()).count();
    let mut lines = paragraph(
        &format!(
            "`{name}` now has {sixes} IPv6 address{} beside its IPv4 ones. The reverse records (PTR) should lead \
             from each address back to the name:",
            if sixes == 1 { "" } else { "es" }
        ),
        columns,
    );
    lines.push(Line::default());
    lines.extend(reverse_lines(published, columns));
    if published
        .reverse
        .iter()
        .any(|reverse| reverse.address.is_ipv6() && !reverse.says(name))
    {
        lines.push(Line::default());
        lines.extend(paragraph(
            "The script that wrote them left out the final dot, so the name server added the name of the reverse \
             zone: whoever looks up such an address gets a name that does not exist.",
            columns,
        ));
    }
    lines
}

fn reverse_lines(published: &Published, columns: usize) -> Vec<Line> {
    let longest = published
        .reverse
        .iter()
        .map(|it| it.address.to_string().len())
        .max()
        .unwrap_or(0);
    let column = INDENT + longest + 2;
    let mut lines = Vec::new();
    for reverse in &published.reverse {
        let (style, names) = if reverse.names.is_empty() {
            (Style::Bad, "no PTR record".to_owned())
        } else if reverse.says(&published.name) {
            (Style::Good, reverse.names.join(" "))
        } else {
            (Style::Bad, reverse.names.join(" "))
        };
        let mut line = indented(Line::plain(reverse.address.to_string()));
        line.pad_to(column);
        line.append(Line::styled(style, names));
        lines.extend(line.wrap(columns, column));
    }
    lines
}

/// The networks and the clients that will visit the service.
pub(super) fn cast(networks: &[Network], clients: &[Client], columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let names = networks
        .iter()
        .map(|it| it.name.as_str())
        .chain(clients.iter().map(|it| it.name.as_str()));
    let column = INDENT + names.map(width).max().unwrap_or(0) + 2;
    let mut row = |name: &str, about: &str| {
        let mut line = indented(Line::styled(Style::Quote, name));
        line.pad_to(column);
        line.push(Style::Plain, about);
        lines.extend(line.wrap(columns, column));
    };
    for network in networks {
        row(
            &network.name,
            match network.ipv6 {
                Ipv6::Works => "IPv6 and IPv4 both work",
                Ipv6::Dropped => {
                    "hands out IPv6 addresses and answers AAAA, but drops every IPv6 packet"
                }
                Ipv6::Absent => "has only IPv4",
            },
        );
    }
    row("", "");
    for client in clients {
        row(&client.name, &client.about);
    }
    lines
}

/// What one run of `check` found.
pub(super) fn check(check: &Check, columns: usize) -> Vec<Line> {
    let (style, verdict) = verdict(check.verdict);
    let head = indented(Line::plain("from the "))
        .with(Style::Quote, &check.network)
        .with(Style::Plain, ": ")
        .with(style, verdict)
        .with(
            Style::Faint,
            format!("  ({}, {})", check.command, seconds(check.elapsed_seconds)),
        );
    let mut lines = head.wrap(columns, INDENT + 2);
    let column = INDENT
        + 2
        + check
            .findings
            .iter()
            .map(|it| width(it.code.as_str()))
            .max()
            .unwrap_or(0)
        + 2;
    for findings in check.kinds() {
        let Some((finding, more)) = findings.split_first() else {
            continue;
        };
        let style = match finding.severity {
            Severity::Failure => Style::Bad,
            Severity::Warning => Style::Caution,
            Severity::Info => Style::Faint,
        };
        let mut line = Line::plain(" ".repeat(INDENT + 2)).with(style, finding.code.as_str());
        line.pad_to(column);
        line.append(Line::quoting(Style::Plain, &finding.message));
        if !more.is_empty() {
            line.push(Style::Faint, format!(" (and {} more)", more.len()));
        }
        lines.extend(line.wrap(columns, column));
    }
    lines
}

/// Why it matters where one looks from, if it did.
pub(super) fn vantages(round: &Round, columns: usize) -> Vec<Line> {
    match round.seen_only_elsewhere() {
        Some((here, there)) => {
            let mut lines = vec![Line::default()];
            lines.extend(paragraph(
                &format!(
                    "From the {here} alone the outage cannot be seen, only from the {there}: this is what more than \
                     one vantage point is for (`check --via HOST`)."
                ),
                columns,
            ));
            lines
        }
        None => Vec::new(),
    }
}

/// A verdict in words.
pub(super) const fn verdict(verdict: Verdict) -> (Style, &'static str) {
    match verdict {
        Verdict::Ready => (Style::Good, "ready"),
        Verdict::ReadyWithWarnings => (Style::Caution, "ready with warnings"),
        Verdict::NotReady => (Style::Bad, "not ready"),
        Verdict::Unknown => (Style::Caution, "could not look"),
        Verdict::NoSuchName => (Style::Bad, "no such name"),
    }
}

/// One change and what it did by itself.
pub(super) fn mend(mend: &Mend, name: &str, before: Option<&Run>, columns: usize) -> Vec<Line> {
    let mut lines = vec![indented(Line::styled(Style::Strong, mend_title(mend.what)))];
    lines.extend(paragraph(&mend.did, columns));
    if !mend.reverse.is_empty() {
        let published = Published {
            name: name.to_owned(),
            reverse: mend.reverse.clone(),
            ..Published::default()
        };
        lines.extend(reverse_lines(&published, columns));
    }
    if let Some(run) = &mend.run {
        let mut line = indented(Line::styled(
            Style::Quote,
            format!("{}, {}", run.network, run.client),
        ))
        .with(Style::Plain, ": ");
        line.append(result(run));
        if let Some(before) = before {
            line.push(Style::Plain, " (before: ");
            line.append(result(before));
            line.push(Style::Plain, ")");
        }
        lines.extend(line.wrap(columns, INDENT + 2));
    }
    lines
}

/// What a change is called.
pub(super) const fn mend_title(what: MendKind) -> &'static str {
    match what {
        MendKind::Ptr => "The PTR records are corrected",
        MendKind::Fallback => "The legacy client learns to fall back",
        MendKind::AaaaLimited => "The AAAA is shown only where IPv6 works",
    }
}

/// The last words: what it came to, and how far the packets agree.
pub(super) fn ending(story: &Story, columns: usize) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    if let Some((before, after)) = story.worst() {
        let mut line = indented(Line::plain("The legacy client in the "))
            .with(Style::Quote, &before.network)
            .with(Style::Plain, ": ");
        line.append(result(before));
        line.push(Style::Plain, ", now ");
        line.append(result(after));
        line.push(Style::Plain, ".");
        if before.client == "legacy" {
            lines.extend(line.wrap(columns, INDENT));
        }
    }
    let agreement = super::agreement::of(story);
    lines.extend(paragraph(&agreement.to_string(), columns));
    for skipped in &story.not_run {
        lines.extend(paragraph(
            &format!("Not run: {}: {}.", skipped.what, skipped.why),
            columns,
        ));
    }
    lines
}

/// A paragraph; what stands in backticks is a quote.
fn paragraph(text: &str, columns: usize) -> Vec<Line> {
    let mut line = Line::plain(" ".repeat(INDENT));
    line.append(Line::quoting(Style::Plain, text));
    line.wrap(columns, INDENT)
}

fn indented(line: Line) -> Line {
    let mut indented = Line::plain(" ".repeat(INDENT));
    indented.append(line);
    indented
}

#[cfg(test)]
mod tests;
