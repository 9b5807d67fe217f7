//! What everybody experienced, as a table.

use super::{INDENT, SLOW, indented, seconds};
use crate::play::story::{Ending, Round, Run, family_word};
use crate::render::text::{Line, Style, width};

/// One row of the table of what everybody experienced, for the moment in which it is known.
pub(in crate::play) fn row(run: &Run, round_of: &[(String, String)]) -> Line {
    Columns::of_names(
        round_of
            .iter()
            .map(|(network, client)| (network.as_str(), client.as_str())),
    )
    .row(Style::Plain, &run.network, &run.client, Cells::of(run))
}

/// The head of that table.
pub(in crate::play) fn head(round_of: &[(String, String)]) -> Line {
    Columns::of_names(
        round_of
            .iter()
            .map(|(network, client)| (network.as_str(), client.as_str())),
    )
    .row(Style::Faint, "network", "client", Cells::head("outcome"))
}

/// Before and after, side by side.
pub(in crate::play) fn comparison(before: &Round, after: &Round) -> Vec<Line> {
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

/// `0.031 s over IPv6`, `gave up after 20.0 s`.
pub(super) fn result(run: &Run) -> Line {
    let cells = Cells::of(run);
    match run.measured.ending {
        Ending::Answered => Line::styled(cells.style, cells.time)
            .with(Style::Plain, format!(" over {}", cells.family)),
        Ending::GaveUp | Ending::Failed => Line::styled(cells.style, cells.outcome),
    }
}
