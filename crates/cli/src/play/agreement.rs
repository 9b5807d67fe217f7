//! How far the clients' clocks and the recorded packets agree.

use super::story::{Run, Story};
use std::fmt;

/// The comparison over all visits of a replay.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Agreement {
    /// Visits whose time could be computed a second time.
    pub(super) compared: usize,
    /// The largest difference among them, in seconds.
    pub(super) largest: f64,
    /// Visits of which client and recording tell different stories: an answer here, none there.
    pub(super) contradicted: Vec<String>,
    /// Visits of which nothing was recorded.
    pub(super) unseen: usize,
}

/// Compares every visit of the replay.
pub(super) fn of(story: &Story) -> Agreement {
    let mut agreement = Agreement::default();
    for run in story.runs() {
        agreement.add(run);
    }
    agreement
}

impl Agreement {
    fn add(&mut self, run: &Run) {
        let Some(packets) = &run.from_packets else {
            self.unseen += 1;
            return;
        };
        match packets.elapsed_seconds {
            Some(seconds) if run.answered() => {
                self.compared += 1;
                self.largest = self
                    .largest
                    .max((seconds - run.measured.elapsed_seconds).abs());
            }
            // Nothing came, for either: the recording cannot know when the client lost patience.
            None if !run.answered() => self.compared += 1,
            _ => self
                .contradicted
                .push(format!("{} {}", run.network, run.client)),
        }
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Computed again from the recorded packets alone: {} of {} visits",
            self.compared,
            self.compared + self.contradicted.len() + self.unseen
        )?;
        if self.compared > 0 {
            write!(
                f,
                ", the largest difference is {:.1} ms",
                self.largest * 1000.0
            )?;
        }
        f.write_str(".")?;
        if !self.contradicted.is_empty() {
            write!(
                f,
                " Client and packets contradict each other for: {}.",
                self.contradicted.join(", ")
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::play::story::samples;

    #[test]
    fn differences_are_counted_over_all_visits() {
        let mut story = samples::story();
        story.after.runs[0].measured.elapsed_seconds = 0.0425;
        let agreement = of(&story);
        assert_eq!((agreement.compared, agreement.unseen), (14, 0));
        assert!((agreement.largest - 0.0125).abs() < 1e-9, "{agreement:?}");
        let text = "Computed again from the recorded packets alone: 14 of 14 visits, the largest difference is 12.5 ms.";
        assert_eq!(agreement.to_string(), text);
    }

    #[test]
    fn an_answer_that_only_one_of_them_saw_is_a_contradiction() {
        let mut story = samples::story();
        if let Some(packets) = &mut story.before.runs[0].from_packets {
            packets.elapsed_seconds = None;
        }
        story.before.runs[1].from_packets = None;
        let agreement = of(&story);
        assert_eq!((agreement.compared, agreement.unseen), (12, 1));
        assert_eq!(agreement.contradicted, ["office legacy"]);
        assert!(
            agreement
                .to_string()
                .starts_with("Computed again from the recorded packets alone: 12 of 14 visits")
        );
    }
}
