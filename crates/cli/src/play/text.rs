//! The replay as text, part by part, so that each part can be shown the moment it has been measured.
//!
//! No part says what it did not measure: a world without the fault tells another story with the same sentences.

use super::story::{
    Check, Client, Ending, Ipv6, Mend, MendKind, Network, Published, Round, Run, Story, family_word,
};
use crate::render::text::{Line, Style, width};
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

/// One row of the table of what everybody experienced, for the moment in which it is known.
pub(super) fn row(run: &Run, round_of: &[(String, String)]) -> Line {
    Columns::of_names(
        round_of
            .iter()
            .map(|(network, client)| (network.as_str(), client.as_str())),
    )
    .row(Style::Plain, &run.network, &run.client, Cells::of(run))
}

/// The head of that table.
pub(super) fn head(round_of: &[(String, String)]) -> Line {
    Columns::of_names(
        round_of
            .iter()
            .map(|(network, client)| (network.as_str(), client.as_str())),
    )
    .row(Style::Faint, "network", "client", Cells::head("outcome"))
}

/// Before and after, side by side.
pub(super) fn comparison(before: &Round, after: &Round) -> Vec<Line> {
    let columns = Columns::of(before);
    let second = columns.first_byte + 28;
    let mut over = Line::default();
    over.pad_to(columns.first_byte + 2);
    over.push(Style::Faint, "before");
    over.pad_to(second + 2);
    over.push(Style::Faint, "after");
    let both = |line: &mut Line, cells: Cells| {
        line.pad_to(second);
        cells.write(line);
    };
    let mut head = columns.row(Style::Faint, "network", "client", Cells::head(""));
    both(&mut head, Cells::head(""));
    let mut lines = vec![over, head];
    for run in &before.runs {
        let mut line = columns.row(Style::Plain, &run.network, &run.client, Cells::short(run));
        match after.run(&run.network, &run.client) {
            Some(after) => both(&mut line, Cells::short(after)),
            None => both(&mut line, Cells::none()),
        }
        lines.push(line);
    }
    lines
}

/// Where the columns of the tables begin.
struct Columns {
    client: usize,
    first_byte: usize,
}

impl Columns {
    fn of(round: &Round) -> Self {
        Self::of_names(
            round
                .runs
                .iter()
                .map(|run| (run.network.as_str(), run.client.as_str())),
        )
    }

    fn of_names<'a>(rows: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let (network, client) = rows.fold(
            ("network".len(), "client".len()),
            |(network, client), row| (network.max(width(row.0)), client.max(width(row.1))),
        );
        let client_column = INDENT + network + 2;
        Self {
            client: client_column,
            first_byte: client_column + client + 2,
        }
    }

    fn row(&self, style: Style, network: &str, client: &str, cells: Cells) -> Line {
        let mut line = indented(Line::styled(style, network));
        line.pad_to(self.client);
        line.push(style, client);
        line.pad_to(self.first_byte);
        cells.write(&mut line);
        line
    }
}

/// Time, family and outcome of a visit.
struct Cells {
    style: Style,
    time: String,
    family: String,
    outcome: String,
}

impl Cells {
    fn head(outcome: &str) -> Self {
        Self {
            style: Style::Faint,
            time: "first byte".into(),
            family: "over".into(),
            outcome: outcome.into(),
        }
    }

    fn none() -> Self {
        Self {
            style: Style::Faint,
            time: "not run".into(),
            family: String::new(),
            outcome: String::new(),
        }
    }

    fn of(run: &Run) -> Self {
        let family = run.family().map_or("-", family_word).to_owned();
        let time = seconds(run.measured.elapsed_seconds);
        match run.measured.ending {
            Ending::Answered => Self {
                style: if run.measured.elapsed_seconds < SLOW {
                    Style::Good
                } else {
                    Style::Caution
                },
                time,
                family,
                outcome: run
                    .measured
                    .status
                    .map_or_else(String::new, |status| format!("HTTP {status}")),
            },
            Ending::GaveUp => Self {
                style: Style::Bad,
                time: "never".into(),
                family,
                outcome: format!("gave up after {time}"),
            },
            Ending::Failed => Self {
                style: Style::Bad,
                time: "never".into(),
                family,
                outcome: format!("failed after {time}"),
            },
        }
    }

    /// Without room for the outcome the time says it.
    fn short(run: &Run) -> Self {
        let cells = Self::of(run);
        match run.measured.ending {
            Ending::Answered => Self {
                outcome: String::new(),
                ..cells
            },
            Ending::GaveUp | Ending::Failed => Self {
                time: String::new(),
                family: cells.outcome,
                outcome: String::new(),
                ..cells
            },
        }
    }

    fn write(self, line: &mut Line) {
        let start = line.width();
        if self.time.is_empty() {
            line.push(self.style, self.family);
            return;
        }
        line.push(
            Style::Plain,
            " ".repeat(10_usize.saturating_sub(width(&self.time))),
        );
        line.push(self.style, self.time);
        line.pad_to(start + 12);
        line.push(
            if self.style == Style::Faint {
                Style::Faint
            } else {
                Style::Plain
            },
            self.family,
        );
        line.pad_to(start + 18);
        line.push(self.style, self.outcome);
    }
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

/// `0.031 s over IPv6`, `gave up after 20.0 s`.
fn result(run: &Run) -> Line {
    let cells = Cells::of(run);
    match run.measured.ending {
        Ending::Answered => Line::styled(cells.style, cells.time)
            .with(Style::Plain, format!(" over {}", cells.family)),
        Ending::GaveUp | Ending::Failed => Line::styled(cells.style, cells.outcome),
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

/// `0.031 s`, `20.00 s`: three or four figures, whatever the size.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 10.0 {
        format!("{seconds:.3} s")
    } else {
        format!("{seconds:.2} s")
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::samples;
    use super::*;
    use crate::render::text::paint;
    use crate::tests::snapshot;

    /// All parts of the story in their order.
    fn whole(story: &Story, columns: usize) -> Vec<Line> {
        let rows: Vec<(String, String)> = story
            .before
            .runs
            .iter()
            .map(|run| (run.network.clone(), run.client.clone()))
            .collect();
        let mut lines = opening(story.with_fault, columns);
        lines.extend(act(1, "An AAAA record is published"));
        lines.extend(published(&story.before.published, columns));
        lines.extend(act(2, "Everybody visits the site"));
        lines.extend(cast(&story.networks, &story.clients, columns));
        lines.extend([Line::default(), head(&rows)]);
        lines.extend(story.before.runs.iter().map(|run| row(run, &rows)));
        lines.extend(act(3, "What `twinstack check` finds"));
        lines.extend(story.before.checks.iter().flat_map(|it| check(it, columns)));
        lines.extend(vantages(&story.before, columns));
        lines.extend(act(4, "The mend, one change at a time"));
        for it in &story.mends {
            lines.extend(mend(
                it,
                "www.lab.test",
                story.before.run("cafe", "legacy"),
                columns,
            ));
            lines.push(Line::default());
        }
        lines.extend(act(5, "Everybody visits the site again"));
        lines.extend(comparison(&story.before, &story.after));
        lines.extend(ending(story, columns));
        lines
    }

    #[test]
    fn the_story_looks_like_this() {
        let story = samples::story();
        for (columns, colour) in [(60, false), (80, false), (80, true)] {
            let suffix = if colour { "-colour" } else { "" };
            snapshot::check(
                &format!("play-{columns}{suffix}.txt"),
                &paint(&whole(&story, columns), colour),
            );
        }
    }

    #[test]
    fn no_line_is_wider_than_eighty_columns() {
        let mut story = samples::story();
        story.before.runs.push(samples::hanging("cafe", "curl"));
        for line in whole(&story, 80) {
            assert!(line.width() <= 80, "{}", line.paint(false));
        }
    }

    #[test]
    fn times_have_three_figures_or_more() {
        let check = |time: f64, text: &str| assert_eq!(seconds(time), text);
        check(0.0, "0.000 s");
        check(0.0314, "0.031 s");
        check(9.9994, "9.999 s");
        check(20.004, "20.00 s");
    }
}
