//! The table: port by port, IPv6 directly above IPv4, phase by phase, and the difference between the two.
//!
//! It stands in columns as long as the terminal is wide enough for them; on a narrow one each address has its phases
//! in one sentence.

use crate::render::text::{HELD, Line, Style, held, width};
use crate::render::time;
use std::net::IpAddr;
use twinstack_check::Report;
use twinstack_check::options::Target;
use twinstack_check::report::{Phase, Row};

const PHASES: [&str; 5] = ["dns", "tcp", "tls", "http", "quic"];
/// Columns of a cell with a time in it, and of one that only says what went wrong.
const CELL: usize = 18;
const LONGEST: usize = 30;
/// A difference between the families that is worth a colour: RFC 8305's resolution delay.
const NOTABLE_GAP: f64 = 0.05;

/// The lines of this part.
pub(super) fn lines(report: &Report, columns: usize) -> Vec<Line> {
    let several = report.vantages.len() > 1;
    let names = NameTimes::of(report);
    let mut vantages: Vec<&str> = Vec::new();
    for row in &report.table {
        if !vantages.contains(&row.vantage.as_str()) {
            vantages.push(&row.vantage);
        }
    }
    let mut lines = Vec::new();
    for vantage in vantages {
        if several {
            lines.push(Line::plain("  from ").with(Style::Strong, vantage));
        }
        let rows: Vec<&Row> = report
            .table
            .iter()
            .filter(|row| row.vantage == vantage)
            .collect();
        let blocks = blocks(
            &rows,
            if vantage_is_here(report, vantage) {
                &names
            } else {
                &NameTimes::NONE
            },
        );
        lines
            .extend(in_columns(&blocks, columns).unwrap_or_else(|| in_sentences(&blocks, columns)));
    }
    lines
}

/// The DNS answers of the report are those of the first vantage.
fn vantage_is_here(report: &Report, vantage: &str) -> bool {
    report.vantages.first().is_none_or(|first| first == vantage)
}

/// How long the two address questions took.
struct NameTimes {
    v6: Option<Line>,
    v4: Option<Line>,
}

impl NameTimes {
    const NONE: Self = Self { v6: None, v4: None };

    fn of(report: &Report) -> Self {
        let target = Target::parse(&report.target).ok();
        let host = target.as_ref().and_then(|target| target.host.name());
        let Some(host) = host else { return Self::NONE };
        Self {
            v6: Self::one(report, host, "AAAA"),
            v4: Self::one(report, host, "A"),
        }
    }

    /// The resolver's time, as a client would see it; an authoritative server's if no resolver was asked.
    fn one(report: &Report, host: &str, rtype: &str) -> Option<Line> {
        let asked = |answer: &&twinstack_check::report::Answer| {
            answer.question.rsplit_once(' ').is_some_and(|(name, it)| {
                it == rtype && name.trim_end_matches('.').eq_ignore_ascii_case(host)
            })
        };
        let answers = || report.answers.iter().filter(asked);
        let answer = answers()
            .find(|it| !it.authoritative)
            .or_else(|| answers().next())?;
        Some(match answer.outcome.as_str() {
            "NOERROR" | "NODATA" => Line::plain(held(time(answer.elapsed_seconds))),
            other => Line::styled(Style::Bad, format!("✗ {other}")),
        })
    }
}

/// The rows of one port.
struct Block {
    title: String,
    rows: Vec<TableRow>,
}

struct TableRow {
    family: &'static str,
    address: String,
    cells: [Line; 5],
}

fn blocks(rows: &[&Row], names: &NameTimes) -> Vec<Block> {
    let mut ports: Vec<u16> = rows.iter().map(|row| row.port).collect();
    ports.sort_unstable();
    ports.dedup();
    ports
        .into_iter()
        .map(|port| {
            let mut here: Vec<&Row> = rows
                .iter()
                .copied()
                .filter(|row| row.port == port)
                .collect();
            here.sort_by_key(|row| row.address.is_ipv4());
            let mut lines: Vec<TableRow> = here.iter().map(|row| table_row(row, names)).collect();
            lines.extend(difference(&here));
            let title = if port == 0 {
                "echo".to_owned()
            } else {
                format!("port {port}")
            };
            Block { title, rows: lines }
        })
        .collect()
}

fn table_row(row: &Row, names: &NameTimes) -> TableRow {
    let (family, name) = match row.address {
        IpAddr::V6(_) => ("IPv6", &names.v6),
        IpAddr::V4(_) => ("IPv4", &names.v4),
    };
    let name = name.clone().filter(|_| row.port != 0).unwrap_or_default();
    TableRow {
        family,
        address: row.address.to_string(),
        cells: [
            name,
            first_cell(row),
            cell(&row.tls),
            cell(&row.http),
            cell(&row.quic),
        ],
    }
}

/// TCP or echo. "24 of 24 answered" says no more than the time does.
fn first_cell(row: &Row) -> Line {
    match &row.tcp {
        Phase::Ok {
            elapsed_seconds,
            detail,
        } if row.port == 0 && all_answered(detail) => Line::plain(held(time(*elapsed_seconds))),
        other => cell(other),
    }
}

fn all_answered(detail: &str) -> bool {
    let mut words = detail.split(' ');
    let (one, of, other) = (words.next(), words.next(), words.next());
    of == Some("of") && one == other
}

fn cell(phase: &Phase) -> Line {
    match phase {
        Phase::NotApplicable => Line::default(),
        Phase::NotReached => Line::styled(Style::Faint, "-"),
        Phase::Ok {
            elapsed_seconds,
            detail,
        } => worked(detail, &time(*elapsed_seconds)),
        Phase::Failed {
            elapsed_seconds,
            detail,
        } => {
            // No time: failed at once, or never timed.
            let elapsed = Some(*elapsed_seconds)
                .filter(|elapsed| *elapsed > 0.0)
                .map(time);
            failed(detail, elapsed.as_deref())
        }
        Phase::Skipped { .. } => Line::styled(Style::Faint, "skipped"),
    }
}

/// What it led to and the time; of a longer text such as a mail server's greeting only the status in front. A comma is
/// followed by what is not as it should be: a certificate for another name.
fn worked(detail: &str, elapsed: &str) -> Line {
    if let Some((result, _)) = detail.split_once(", ") {
        return Line::styled(Style::Caution, held(format!("{result} {elapsed} !")));
    }
    let whole = held(format!("{detail} {elapsed}"));
    if width(&whole) <= CELL {
        return Line::plain(whole.trim_start_matches(HELD));
    }
    let status = detail
        .split(' ')
        .next()
        .filter(|word| word.parse::<u16>().is_ok());
    Line::plain(held(
        status.map_or_else(|| elapsed.to_owned(), |it| format!("{it} {elapsed}")),
    ))
}

/// What went wrong, and the time if it fits; the evidence of the finding has both in full.
fn failed(detail: &str, elapsed: Option<&str>) -> Line {
    let with = |text: String| Line::styled(Style::Bad, held(format!("✗ {text}")));
    match elapsed {
        Some(elapsed) if width(detail) + width(elapsed) < CELL => {
            with(format!("{detail} {elapsed}"))
        }
        _ if width(detail) <= LONGEST => with(detail.to_owned()),
        _ => with(
            detail
                .chars()
                .take(LONGEST - 3)
                .chain("...".chars())
                .collect(),
        ),
    }
}

/// Median of IPv6 minus median of IPv4, phase by phase; nothing if no phase worked on both.
fn difference(rows: &[&Row]) -> Option<TableRow> {
    let phases: [fn(&Row) -> &Phase; 4] = [|r| &r.tcp, |r| &r.tls, |r| &r.http, |r| &r.quic];
    let gaps = phases.map(|phase| {
        let median = |v4: bool| {
            let mut times: Vec<f64> = rows
                .iter()
                .filter(|row| row.address.is_ipv4() == v4)
                .filter_map(|row| match phase(row) {
                    Phase::Ok {
                        elapsed_seconds, ..
                    } => Some(*elapsed_seconds),
                    _ => None,
                })
                .collect();
            times.sort_by(f64::total_cmp);
            times.get(times.len() / 2).copied()
        };
        Some(median(false)? - median(true)?)
    });
    if gaps.iter().all(Option::is_none) {
        return None;
    }
    let [tcp, tls, http, quic] = gaps.map(|gap| match gap {
        None => Line::default(),
        Some(gap) => {
            let style = if gap.abs() > NOTABLE_GAP {
                Style::Caution
            } else {
                Style::Faint
            };
            let sign = if gap < -0.000_05 { "-" } else { "+" };
            Line::styled(style, format!("{sign}{}", held(time(gap.abs()))))
        }
    });
    Some(TableRow {
        family: "IPv6 - IPv4",
        address: String::new(),
        cells: [Line::default(), tcp, tls, http, quic],
    })
}

fn all_rows(blocks: &[Block]) -> impl Iterator<Item = &TableRow> {
    blocks.iter().flat_map(|block| &block.rows)
}

/// In columns, with the address on a line of its own if there is not enough room beside it; `None` if there is not
/// even that much.
fn in_columns(blocks: &[Block], columns: usize) -> Option<Vec<Line>> {
    let used: Vec<usize> = (0..PHASES.len())
        .filter(|phase| {
            all_rows(blocks).any(|row| row.cells.get(*phase).is_some_and(|it| !it.is_empty()))
        })
        .collect();
    let widths: Vec<usize> = used
        .iter()
        .map(|phase| {
            let cells = all_rows(blocks)
                .filter_map(|row| row.cells.get(*phase))
                .map(Line::width);
            cells
                .max()
                .unwrap_or(0)
                .max(width(PHASES.get(*phase).copied().unwrap_or_default()))
                + 2
        })
        .collect();
    let cells: usize = widths.iter().sum();
    let beside = all_rows(blocks)
        .map(|row| label(row).width())
        .max()
        .unwrap_or(0)
        + 2;
    let below = 4 + "IPv6 - IPv4".len() + 2;
    let start = match (beside + cells <= columns + 2, below + cells <= columns + 2) {
        (true, _) => beside,
        (false, true) => below,
        (false, false) => return None,
    };
    let mut lines = Vec::new();
    for block in blocks {
        let mut heading = Line::plain("  ").with(Style::Quote, &block.title);
        if lines.is_empty() {
            let names = used.iter().filter_map(|phase| PHASES.get(*phase));
            let mut at = start;
            for (name, width) in names.zip(&widths) {
                heading.pad_to(at);
                heading.push(Style::Faint, name);
                at += width;
            }
        }
        lines.push(heading);
        for row in &block.rows {
            let mut line = label(row);
            if line.width() + 2 > start {
                lines.push(std::mem::take(&mut line));
            }
            let mut at = start;
            for (phase, width) in used.iter().zip(&widths) {
                line.pad_to(at);
                line.append(row.cells.get(*phase).cloned().unwrap_or_default());
                at += width;
            }
            lines.push(line);
        }
    }
    Some(lines)
}

fn label(row: &TableRow) -> Line {
    let style = if row.address.is_empty() {
        Style::Faint
    } else {
        Style::Plain
    };
    let mut line = Line::plain("    ").with(style, row.family);
    if !row.address.is_empty() {
        line.push(Style::Plain, "  ");
        line.push(Style::Strong, &row.address);
    }
    line
}

fn in_sentences(blocks: &[Block], columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for block in blocks {
        lines.push(Line::plain("  ").with(Style::Quote, &block.title));
        for row in &block.rows {
            lines.extend(label(row).wrap(columns, 6));
            let mut sentence = Line::plain("      ");
            for (name, cell) in PHASES
                .iter()
                .zip(&row.cells)
                .filter(|(_, cell)| !cell.is_empty())
            {
                if sentence.width() > 6 {
                    sentence.push(Style::Plain, ", ");
                }
                sentence.push(Style::Faint, held(format!("{name} ")));
                sentence.append(cell.clone());
            }
            lines.extend(sentence.wrap(columns, 6));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_say_what_fits_beside_the_time() {
        let ok = |detail: &str| worked(detail, "14 ms").paint(false);
        assert_eq!(ok(""), "14 ms");
        assert_eq!(ok("TLS 1.3 h2"), "TLS 1.3 h2 14 ms");
        assert_eq!(
            ok("TLS 1.3 h2, certificate is for another name"),
            "TLS 1.3 h2 14 ms !"
        );
        assert_eq!(ok("220 mail.lab.test ESMTP"), "220 14 ms");
        assert_eq!(ok("through 64:ff9b::c633:6450"), "14 ms");
        let bad = |detail: &str, elapsed| failed(detail, elapsed).paint(false);
        assert_eq!(bad("timeout", Some("5 s")), "✗ timeout 5 s");
        assert_eq!(bad("no answer", None), "✗ no answer");
        assert_eq!(
            bad("host unreachable", Some("616 ms")),
            "✗ host unreachable"
        );
        assert_eq!(
            bad("certificate is not valid for www.lab.test", Some("14 ms")),
            "✗ certificate is not valid fo..."
        );
    }
}
