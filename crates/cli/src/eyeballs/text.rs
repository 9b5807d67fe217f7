//! The score for the terminal.

use super::report::Report;
use super::words::{habits, outcome};
use crate::render::text::{Line, Style, width};
use crate::render::time;
use crate::render::words::family_word;
use std::fmt::Write as _;
use twinstack_lab::score::{Judged, Level, Run, Verdict};

/// Text stands this far from the left, below headings at the margin.
const INDENT: usize = 2;

pub(super) fn lines(report: &Report, columns: usize) -> Vec<Line> {
    let mut lines = opening(report, columns);
    lines.push(Line::default());
    lines.extend(measured(report, columns));
    for (verdict, title) in [(Verdict::Fail, "Not done"), (Verdict::Pass, "Done")] {
        lines.push(Line::default());
        lines.push(heading(report, verdict, title));
        lines.extend(items(report, verdict, columns));
    }
    lines.push(Line::default());
    lines.push(heading(report, Verdict::NotVisible, "Not visible"));
    lines.extend(not_visible(report, columns));
    lines.push(Line::default());
    lines.extend(worlds(report, columns));
    lines
}

fn opening(report: &Report, columns: usize) -> Vec<Line> {
    let mut lines = Line::styled(Style::Strong, report.command_line()).wrap(columns, INDENT);
    let sweep = if report.quick { "quick sweep" } else { "sweep" };
    let text = format!(
        "{sweep} of {} runs in {:.0} s, port {}, each run at most {:.0} s, seed {}",
        report.runs.len(),
        report.elapsed_seconds,
        report.port,
        report.limit_seconds,
        report.seed
    );
    lines.extend(Line::styled(Style::Faint, text).wrap(columns, 0));
    if let Some(complaint) = &report.complaint {
        let text = format!("where everything works it {complaint}");
        lines.extend(Line::styled(Style::Caution, text).wrap(columns, INDENT));
    }
    lines
}

fn measured(report: &Report, columns: usize) -> Vec<Line> {
    let habits = habits(&report.score.measured);
    let widest =
        |of: &dyn Fn(&super::words::Habit) -> usize| habits.iter().map(of).max().unwrap_or(0);
    let value = INDENT + widest(&|it| width(it.what)) + 2;
    let limit = columns.saturating_sub(value + 24).max(12);
    let book = value + widest(&|it| width(&it.value).min(limit)) + 2;
    let detail = book + widest(&|it| width(it.book)).max("by the book".len()) + 2;
    let mut head = Line::plain(" ".repeat(INDENT));
    head.pad_to(value);
    head.push(Style::Faint, "measured");
    if book + "by the book".len() <= columns {
        head.pad_to(book);
        head.push(Style::Faint, "by the book");
    }
    let mut lines = vec![head];
    for habit in &habits {
        let style = match judged(report, habit.item).map(|it| it.verdict) {
            Some(Verdict::Pass) => Style::Good,
            Some(Verdict::Fail) => Style::Bad,
            _ => Style::Plain,
        };
        let mut line = Line::plain(" ".repeat(INDENT));
        line.push(Style::Plain, habit.what);
        line.pad_to(value);
        line.push(style, &habit.value);
        if width(&habit.value) > limit {
            // Beside a long value there is no room.
            lines.extend(line.wrap(columns, value));
            line = Line::default();
        }
        // What was measured is never left out for want of room.
        if book + width(habit.book) <= columns {
            line.pad_to(book);
            line.push(Style::Faint, habit.book);
        }
        if !habit.detail.is_empty() && detail + width(&habit.detail) <= columns {
            line.pad_to(detail);
            line.push(Style::Faint, &habit.detail);
        }
        lines.push(line);
    }
    lines
}

fn judged<'a>(report: &'a Report, id: &str) -> Option<&'a Judged> {
    report.score.checklist.iter().find(|it| it.item.id == id)
}

fn heading(report: &Report, verdict: Verdict, title: &str) -> Line {
    let count = |levels: &[Level]| report.count(verdict, levels);
    let text = format!(
        "  {} MUST, {} SHOULD, {} other",
        count(&[Level::Must]),
        count(&[Level::Should]),
        count(&[Level::May, Level::Goal])
    );
    Line::styled(Style::Strong, title).with(Style::Faint, text)
}

/// The column of the texts, behind mark, level and id.
const TEXT: usize = INDENT + 15;

fn items(report: &Report, verdict: Verdict, columns: usize) -> Vec<Line> {
    let mut chosen: Vec<&Judged> = report
        .score
        .checklist
        .iter()
        .filter(|it| it.verdict == verdict)
        .collect();
    // What binds most comes first; otherwise the order of the list.
    chosen.sort_by_key(|it| it.item.level);
    let mut lines = Vec::new();
    for judged in chosen {
        let (mark, style) = match (verdict, judged.item.level) {
            (Verdict::Pass, _) => ("+", Style::Good),
            (Verdict::Fail, Level::Must | Level::Should) => ("-", Style::Bad),
            _ => ("-", Style::Caution),
        };
        let mut line = Line::plain(" ".repeat(INDENT));
        line.push(style, mark);
        line.push(Style::Plain, " ");
        line.push(Style::Faint, judged.item.level.as_str());
        line.pad_to(INDENT + 10);
        line.push(Style::Quote, judged.item.id);
        line.pad_to(TEXT);
        line.push(Style::Plain, judged.item.text);
        lines.extend(line.wrap(columns, TEXT));
        let mut evidence = Line::plain(" ".repeat(TEXT));
        evidence.append(Line::quoting(Style::Faint, &judged.evidence));
        lines.extend(evidence.wrap(columns, TEXT));
    }
    lines
}

/// Many, and for few reasons: the reasons with their items.
fn not_visible(report: &Report, columns: usize) -> Vec<Line> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for judged in &report.score.checklist {
        if judged.verdict != Verdict::NotVisible {
            continue;
        }
        match reasons.iter_mut().find(|(why, _)| *why == judged.evidence) {
            Some((_, ids)) => ids.push(judged.item.id),
            None => reasons.push((&judged.evidence, vec![judged.item.id])),
        }
    }
    reasons
        .into_iter()
        .flat_map(|(why, ids)| {
            let mut line = Line::plain(" ".repeat(INDENT));
            line.push(Style::Quote, ids.join(" "));
            line.push(Style::Faint, format!("  {why}"));
            line.wrap(columns, INDENT + 2)
        })
        .collect()
}

/// World by world, the runs of one world in one line.
fn worlds(report: &Report, columns: usize) -> Vec<Line> {
    let names = report.runs.iter().map(|run| width(&run.scenario.id));
    let after = INDENT + names.max().unwrap_or(0) + 2;
    let over = after + 20;
    let attempts = over + 6;
    let mut head = Line::plain(" ".repeat(INDENT));
    head.push(Style::Faint, "world");
    head.pad_to(after);
    head.push(Style::Faint, "of use after");
    head.pad_to(over);
    head.push(Style::Faint, "over");
    head.pad_to(attempts);
    head.push(Style::Faint, "attempts");
    let mut lines = vec![head];
    for (run, _) in report.worlds() {
        let outcome = outcome(run);
        let mut line = Line::plain(" ".repeat(INDENT));
        line.push(Style::Plain, &run.scenario.id);
        line.pad_to(after);
        line.push(
            if outcome.well {
                Style::Plain
            } else {
                Style::Bad
            },
            &outcome.time,
        );
        line.pad_to(over);
        line.push(Style::Plain, outcome.family.map_or("-", family_word));
        line.pad_to(attempts);
        line.push(Style::Faint, began(run, columns.saturating_sub(attempts)));
        lines.push(line);
    }
    lines
}

/// One attempt and the number of the others need so much room.
const NARROW: usize = 20;

/// When the attempts began: `6 14 ms, 4 264 ms`, as many as there is room for.
fn began(run: &Run, room: usize) -> String {
    let attempts = run.visit.iter().flat_map(|visit| &visit.attempts);
    let mut text = String::new();
    let count = run.visit.as_ref().map_or(0, |visit| visit.attempts.len());
    if room < NARROW {
        return count.to_string();
    }
    for (number, attempt) in attempts.enumerate() {
        let digit = family_word(attempt.family).trim_start_matches("IPv");
        let more = format!("{digit} {}", time(attempt.started.as_secs_f64()));
        let separator = if text.is_empty() { "" } else { ", " };
        let rest = count - number;
        if text.len() + separator.len() + more.len() + 10 > room && rest > 1 {
            write!(text, ", {rest} more").expect("writing to a string does not fail");
            break;
        }
        text.push_str(separator);
        text.push_str(&more);
    }
    text
}
