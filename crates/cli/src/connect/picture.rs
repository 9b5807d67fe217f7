//! A race as a picture: a lane for each question and each attempt, on one scale of time. Pure.

use crate::render::text::{Line, Style, width};
use twinstack_dial::{AttemptReport, QueryReport};

/// What a lane shows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lane {
    /// `AAAA`, `1`.
    pub(crate) number: String,
    /// The question's name or the attempt's address.
    pub(crate) label: String,
    /// When it began.
    pub(crate) from: f64,
    /// When it was half done: TCP up, TLS to come.
    pub(crate) half: Option<f64>,
    /// When it ended; `None` if it was still going on when the race was over.
    pub(crate) until: Option<f64>,
    /// How it ended.
    pub(crate) end: End,
    /// The same in words.
    pub(crate) words: String,
}

/// How a lane ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It brought what was wanted.
    Good,
    /// It won.
    Won,
    /// It brought nothing.
    Bad,
    /// It was given up, or the race was over first.
    Open,
}

impl End {
    const fn mark(self) -> char {
        match self {
            Self::Good => '●',
            Self::Won => '★',
            Self::Bad => '✗',
            Self::Open => '○',
        }
    }

    const fn style(self) -> Style {
        match self {
            Self::Good | Self::Won => Style::Good,
            Self::Bad => Style::Bad,
            Self::Open => Style::Faint,
        }
    }
}

/// Lanes of questions.
pub(crate) fn questions(queries: &[QueryReport]) -> Vec<Lane> {
    queries
        .iter()
        .map(|query| {
            let (end, words) = match query.outcome {
                "records" => (End::Good, query.records.join(", ")),
                "pending" => (End::Open, "no answer by the end".to_owned()),
                "no-data" => (End::Bad, format!("no {} record", query.kind)),
                "nx-domain" => (End::Bad, "the name does not exist".to_owned()),
                _ => (
                    End::Bad,
                    query.error.clone().unwrap_or_else(|| "failed".to_owned()),
                ),
            };
            Lane {
                number: query.kind.clone(),
                label: query.name.trim_end_matches('.').to_owned(),
                from: query.started_seconds,
                half: None,
                until: query.ended_seconds,
                end,
                words,
            }
        })
        .collect()
}

/// Lanes of attempts.
pub(crate) fn attempts(attempts: &[AttemptReport]) -> Vec<Lane> {
    attempts
        .iter()
        .map(|attempt| {
            let error = attempt.error.clone().unwrap_or_default();
            let (end, words) = match attempt.outcome {
                "won" => (End::Won, "won".to_owned()),
                "failed" => (End::Bad, error),
                _ if error.is_empty() => (End::Open, attempt.outcome.to_owned()),
                _ => (End::Open, error),
            };
            Lane {
                number: attempt.id.to_string(),
                label: format!("{} {}", attempt.address, attempt.protocol),
                from: attempt.started_seconds,
                half: attempt.progress_seconds,
                until: attempt.ended_seconds,
                end,
                words,
            }
        })
        .collect()
}

/// Fewer columns than this show nothing.
const LEAST_TRACK: usize = 16;
const MOST_TRACK: usize = 60;

/// Draws the lanes between 0 and `elapsed` seconds.
pub(crate) fn draw(lanes: &[Lane], elapsed: f64, columns: usize) -> Vec<Line> {
    let numbers = lanes
        .iter()
        .map(|lane| width(&lane.number))
        .max()
        .unwrap_or(0);
    let labels = lanes
        .iter()
        .map(|lane| width(&lane.label))
        .max()
        .unwrap_or(0);
    let words = lanes
        .iter()
        .map(|lane| width(&lane.words))
        .max()
        .unwrap_or(0);
    let left = 2 + numbers + 2 + labels + 2;
    // Long words wrap; they do not push the picture away.
    let track = columns
        .saturating_sub(left + 2 + words.min(24))
        .clamp(LEAST_TRACK, MOST_TRACK);
    let scale = Scale { elapsed, track };
    let mut picture = vec![ruler(&scale, left)];
    for lane in lanes {
        let mut line = Line::plain("  ");
        line.push(Style::Faint, &lane.number);
        line.pad_to(2 + numbers + 2);
        line.push(Style::Plain, &lane.label);
        line.pad_to(left);
        bar(&mut line, lane, &scale);
        line.pad_to(left + track + 2);
        line.push(lane.end.style(), &lane.words);
        let indent = left + track + 2;
        // Where there is no room beside the picture, words go on below it.
        picture.extend(if indent + 12 > columns {
            vec![line]
        } else {
            line.wrap(columns, indent)
        });
    }
    picture
}

struct Scale {
    elapsed: f64,
    track: usize,
}

impl Scale {
    /// The column of a time, from 0 to the last of the track.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "a column of a terminal: between 0 and 60 after the clamp"
    )]
    fn column(&self, seconds: f64) -> usize {
        let last = self.track.saturating_sub(1);
        if self.elapsed <= 0.0 || !seconds.is_finite() {
            return 0;
        }
        let share = (seconds / self.elapsed).clamp(0.0, 1.0);
        (share * last as f64).round() as usize
    }
}

/// The scale: its start, and its end in milliseconds.
fn ruler(scale: &Scale, left: usize) -> Line {
    let end = format!("{:.0} ms", scale.elapsed * 1000.0);
    let mut line = Line::default();
    line.pad_to(left);
    line.push(Style::Faint, "0");
    line.pad_to(
        (left + scale.track)
            .saturating_sub(width(&end))
            .max(left + 2),
    );
    line.push(Style::Faint, &end);
    line
}

/// The lane's line: `├──┼──●`, as long as it lasted.
fn bar(out: &mut Line, lane: &Lane, scale: &Scale) {
    let from = scale.column(lane.from);
    let until = scale.column(lane.until.unwrap_or(scale.elapsed)).max(from);
    let half = lane.half.map(|half| scale.column(half));
    out.push(Style::Plain, " ".repeat(from));
    let body: String = (from..until)
        .map(|column| match column {
            _ if column == from => '├',
            // Two things in one column: the later one is shown.
            _ if Some(column) == half => '┼',
            _ if lane.until.is_none() => '┄',
            _ => '─',
        })
        .collect();
    out.push(Style::Faint, body);
    out.push(lane.end.style(), lane.end.mark().to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(number: &str, from: f64, until: Option<f64>, end: End) -> Lane {
        Lane {
            number: number.to_owned(),
            label: "2001:db8::1".to_owned(),
            from,
            half: None,
            until,
            end,
            words: String::new(),
        }
    }

    fn drawn(lanes: &[Lane], elapsed: f64) -> Vec<String> {
        draw(lanes, elapsed, 100)
            .iter()
            .map(|line| line.paint(false).trim_end().to_owned())
            .collect()
    }

    #[test]
    fn lanes_begin_and_end_where_they_did() {
        let lines = drawn(
            &[
                lane("1", 0.0, Some(1.0), End::Open),
                lane("2", 0.5, Some(1.0), End::Won),
            ],
            1.0,
        );
        let [ruler, first, second] = lines.as_slice() else {
            panic!("{lines:#?}")
        };
        assert!(ruler.ends_with("1000 ms"), "{ruler}");
        let column = |line: &str, mark: char| line.chars().position(|it| it == mark).unwrap();
        let (start, end) = (column(first, '├'), column(first, '○'));
        assert_eq!(column(second, '★'), end, "both end together");
        let middle = column(second, '├');
        assert_eq!(
            middle - start,
            (end - start).div_ceil(2),
            "the second begins half-way"
        );
    }

    #[test]
    fn what_has_no_end_is_dotted_to_the_end() {
        let lines = drawn(&[lane("AAAA", 0.0, None, End::Open)], 0.05);
        assert!(lines[1].contains("├┄┄┄"), "{lines:#?}");
    }

    #[test]
    fn progress_is_marked() {
        let mut it = lane("1", 0.0, Some(1.0), End::Won);
        it.half = Some(0.5);
        assert!(drawn(&[it], 1.0)[1].contains('┼'));
    }

    #[test]
    fn a_race_that_took_no_time_is_drawn_too() {
        let lines = drawn(&[lane("1", 0.0, Some(0.0), End::Won)], 0.0);
        assert!(lines[1].contains('★'), "{lines:#?}");
    }

    #[test]
    fn a_narrow_terminal_gets_a_narrow_picture() {
        let lines = draw(&[lane("1", 0.0, Some(1.0), End::Won)], 1.0, 40);
        assert!(lines.iter().all(|line| line.width() <= 40), "{lines:#?}");
    }
}
