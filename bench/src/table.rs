//! The table: a row a case, a column a client, and whether the goals hold.

use crate::cases::CASES;
use crate::clients::Client;
use std::fmt::Write as _;
use std::time::Duration;

/// First and second connect of an unchanged sequential client under `twinstack run`, and their goals.
const UNDER_RUN: [(&str, Duration); 2] = [
    ("sequential client under `run`", Duration::from_millis(260)),
    ("the same, second connect", Duration::from_millis(5)),
];

/// All figures of all runs; `None` is never.
pub(crate) struct Table {
    clients: Vec<Client>,
    figures: Vec<Vec<Vec<Option<Duration>>>>,
    run: [Vec<Option<Duration>>; 2],
}

impl Table {
    pub(crate) fn new(clients: Vec<Client>) -> Self {
        let figures = CASES
            .iter()
            .map(|_| vec![Vec::new(); clients.len()])
            .collect();
        Self {
            clients,
            figures,
            run: [Vec::new(), Vec::new()],
        }
    }

    pub(crate) fn add(&mut self, row: usize, client: Client, figure: Option<Duration>) {
        if let Some(column) = self.clients.iter().position(|other| *other == client) {
            self.figures[row][column].push(figure);
        }
    }

    pub(crate) fn add_run(&mut self, first: Option<Duration>, second: Option<Duration>) {
        self.run[0].push(first);
        self.run[1].push(second);
    }

    /// Whether every figure of ours is within its goal, in every run.
    pub(crate) fn holds(&self) -> bool {
        let rows = CASES.iter().enumerate().all(|(row, _)| {
            (0..self.clients.len())
                .filter(|column| self.clients[*column].is_ours())
                .all(|column| self.row_holds(row, column))
        });
        rows && (0..UNDER_RUN.len()).all(|row| self.run_holds(row))
    }

    fn row_holds(&self, row: usize, column: usize) -> bool {
        let case = &CASES[row];
        let figures = &self.figures[row][column];
        !figures.is_empty()
            && figures.iter().all(|figure| {
                figure.is_some_and(|figure| (case.at_least..=case.at_most).contains(&figure))
            })
    }

    fn run_holds(&self, row: usize) -> bool {
        let (_, goal) = UNDER_RUN[row];
        !self.run[row].is_empty()
            && self.run[row]
                .iter()
                .all(|figure| figure.is_some_and(|figure| figure <= goal))
    }

    pub(crate) fn human(&self) -> String {
        let mut text = String::from(
            "milliseconds; the range over the runs where they differ by more than one\n\n",
        );
        let _ = write!(text, "{:<34}{:>10}", "", "goal");
        for client in &self.clients {
            let _ = write!(text, "{:>18}", client.title());
        }
        text.push('\n');
        for (row, case) in CASES.iter().enumerate() {
            let _ = write!(
                text,
                "{:<34}{:>10}",
                case.title,
                goal(case.at_least, case.at_most)
            );
            for (column, client) in self.clients.iter().enumerate() {
                let mut cell = cell(&self.figures[row][column]);
                if client.is_ours() && !self.row_holds(row, column) {
                    cell.push_str(" MISSED");
                }
                let _ = write!(text, "{cell:>18}");
            }
            text.push('\n');
        }
        for (row, (title, at_most)) in UNDER_RUN.into_iter().enumerate() {
            let missed = if self.run_holds(row) { "" } else { " MISSED" };
            let _ = writeln!(
                text,
                "{title:<34}{:>10}{:>18}",
                goal(Duration::ZERO, at_most),
                cell(&self.run[row]) + missed
            );
        }
        let verdict = if self.holds() {
            "every goal holds in every run"
        } else {
            "MISSED: some goals do not hold"
        };
        let _ = writeln!(text, "\n{verdict}");
        text
    }

    pub(crate) fn json(&self) -> String {
        let seconds = |figures: &[Option<Duration>]| -> Vec<Option<f64>> {
            figures
                .iter()
                .map(|figure| figure.map(|figure| figure.as_secs_f64()))
                .collect()
        };
        let rows: Vec<_> = CASES
            .iter()
            .enumerate()
            .map(|(row, case)| {
                let clients: serde_json::Map<_, _> = self
                    .clients
                    .iter()
                    .enumerate()
                    .map(|(column, client)| {
                        (
                            client.title().to_owned(),
                            serde_json::json!(seconds(&self.figures[row][column])),
                        )
                    })
                    .collect();
                serde_json::json!({
                    "case": case.title,
                    "at_least_seconds": case.at_least.as_secs_f64(),
                    "at_most_seconds": case.at_most.as_secs_f64(),
                    "seconds": clients,
                })
            })
            .collect();
        let run: Vec<_> = UNDER_RUN
            .iter()
            .enumerate()
            .map(|(row, (title, goal))| {
                serde_json::json!({ "case": title, "at_most_seconds": goal.as_secs_f64(), "seconds": seconds(&self.run[row]) })
            })
            .collect();
        serde_json::json!({ "rows": rows, "under_run": run, "holds": self.holds() }).to_string()
    }
}

fn goal(at_least: Duration, at_most: Duration) -> String {
    if at_least.is_zero() {
        format!("<= {}", at_most.as_millis())
    } else {
        format!("{}-{}", at_least.as_millis(), at_most.as_millis())
    }
}

fn cell(figures: &[Option<Duration>]) -> String {
    let milliseconds =
        |figure: &Option<Duration>| figure.map(|figure| figure.as_secs_f64() * 1000.0);
    let known: Vec<f64> = figures.iter().filter_map(milliseconds).collect();
    match (figures, known.as_slice()) {
        ([], _) => "-".to_owned(),
        (_, []) => "never".to_owned(),
        _ => {
            let least = known.iter().copied().fold(f64::INFINITY, f64::min);
            let most = known.iter().copied().fold(0.0, f64::max);
            let range = if most - least > 1.0 {
                format!("{least:.0}-{most:.0}")
            } else {
                format!("{most:.1}")
            };
            if known.len() < figures.len() {
                format!("{range}, never")
            } else {
                range
            }
        }
    }
}
