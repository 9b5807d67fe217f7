//! The little Markdown of the finding pages, for the terminal: headings, paragraphs, lists, tables, code.
//!
//! It is *not* a Markdown parser: the pages are our own, and a test renders all of them.

use super::text::{Line, Style, width};

/// A page as lines of at most `columns`; code is never wrapped, since it is there to be copied.
pub(crate) fn lines(page: &str, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut source = page.lines().peekable();
    while let Some(line) = source.next() {
        if line.starts_with("```") {
            for code in source.by_ref().take_while(|line| !line.starts_with("```")) {
                lines.push(Line::plain("    ").with(Style::Quote, code));
            }
        } else if line.starts_with('#') {
            let heading = line.trim_start_matches('#').trim_start();
            lines.extend(Line::styled(Style::Strong, heading).wrap(columns, 2));
        } else if line.is_empty() {
            lines.push(Line::default());
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = source.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row));
            }
            rows.retain(|row| !row.iter().all(|cell| cell.chars().all(|c| c == '-')));
            lines.extend(table(&rows, columns));
        } else {
            let mut text = line.to_owned();
            while let Some(more) = source.next_if(|line| continues(line)) {
                text.push(' ');
                text.push_str(more.trim_start());
            }
            lines.extend(inline(&text).wrap(columns, indent_of(&text)));
        }
    }
    lines
}

/// Whether a line goes on with the paragraph or list item before it.
fn continues(line: &str) -> bool {
    !(line.is_empty()
        || line.starts_with(['#', '|'])
        || line.starts_with("```")
        || indent_of(line) > 0)
}

/// How far the later lines of a list item stand in: `- ` two columns, `1. ` three.
fn indent_of(text: &str) -> usize {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    if text.starts_with("- ") {
        2
    } else if digits > 0
        && text
            .get(digits..)
            .is_some_and(|rest| rest.starts_with(". "))
    {
        digits + 2
    } else {
        0
    }
}

/// Bold between pairs of `**`, code between backticks.
fn inline(text: &str) -> Line {
    let mut line = Line::default();
    for (number, part) in text.split("**").enumerate() {
        let style = if number % 2 == 1 {
            Style::Strong
        } else {
            Style::Plain
        };
        line.append(Line::quoting(style, part));
    }
    line
}

fn cells(row: &str) -> Vec<&str> {
    row.trim()
        .trim_matches('|')
        .split('|')
        .map(str::trim)
        .collect()
}

/// Side by side if the first columns leave the last one some room, otherwise below each other.
fn table(rows: &[Vec<&str>], columns: usize) -> Vec<Line> {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widest = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| width(cell))
            .max()
            .unwrap_or(0)
    };
    let starts: Vec<usize> = (0..count)
        .scan(2, |start, column| {
            let here = *start;
            *start += widest(column) + 2;
            Some(here)
        })
        .collect();
    let last = starts.last().copied().unwrap_or(0);
    let mut lines = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let cell_line = |cell: &str| match number {
            0 => Line::styled(Style::Faint, cell),
            _ => inline(cell),
        };
        if last + 24 <= columns {
            let mut line = Line::default();
            for (start, cell) in starts.iter().zip(row) {
                line.pad_to(*start);
                line.append(cell_line(cell));
            }
            lines.extend(line.wrap(columns, last));
        } else {
            for (column, cell) in row.iter().enumerate() {
                let indent = if column == 0 { 2 } else { 4 };
                let mut line = Line::plain(" ".repeat(indent));
                line.append(cell_line(cell));
                lines.extend(line.wrap(columns, indent));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::text::paint;
    use super::*;

    fn check(page: &str, columns: usize, expected: &str) {
        assert_eq!(paint(&lines(page, columns), false), expected);
    }

    #[test]
    fn paragraphs_are_filled_and_list_items_hang() {
        check(
            "one two\nthree\n\n- a b c\n  d e\n- f\n1. g",
            9,
            "one two\nthree\n\n- a b c d\n  e\n- f\n1. g\n",
        );
    }

    #[test]
    fn code_keeps_its_lines_and_its_width() {
        check(
            "a\n\n```sh\ndig -x 2001:db8::80  # long\n```\n",
            10,
            "a\n\n    dig -x 2001:db8::80  # long\n",
        );
    }

    #[test]
    fn tables_stand_in_columns_or_below_each_other() {
        let page = "| a | b |\n| --- | --- |\n| `xx` | y z |\n";
        check(page, 40, "  a     b\n  `xx`  y z\n");
        check(page, 20, "  a\n    b\n  `xx`\n    y z\n");
    }

    #[test]
    fn no_line_of_any_page_is_too_wide_except_code() {
        for info in twinstack_check::codes::all_codes() {
            for columns in [40, 80, 100, 120] {
                for line in lines(info.page, columns) {
                    let text = line.paint(false);
                    let fits = width(&text) <= columns || text.starts_with("    ");
                    assert!(fits, "{} at {columns}: {text}", info.code);
                }
            }
        }
    }
}
