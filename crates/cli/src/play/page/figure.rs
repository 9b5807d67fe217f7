//! The figures: a round's visits as lanes on one axis.

use super::Page;
use super::lane;
use crate::page::markup::Escaped;
use crate::page::timeline::{self, Axis};
use crate::page::{Sign, legend};
use crate::play::story::{Round, Run, Story};

impl Page {
    /// The whole of a round, and, when somebody hung, its beginning enlarged.
    pub(super) fn timelines(&mut self, round: &Round, story: &Story, when: &str) {
        let longest = |runs: &mut dyn Iterator<Item = &Run>| {
            runs.map(|run| run.measured.elapsed_seconds)
                .fold(0.0, f64::max)
        };
        let all = longest(&mut round.runs.iter());
        let answered = longest(
            &mut story
                .before
                .runs
                .iter()
                .chain(&story.after.runs)
                .filter(|run| run.answered()),
        );
        // Both rounds use the axis of what was answered, so that they can be laid side by side.
        let enlarged = Axis::to(answered.max(0.05));
        if all > enlarged.end * 2.0 {
            let whole = Axis::to(all);
            let worst: Vec<&Run> = round
                .runs
                .iter()
                .filter(|run| run.measured.elapsed_seconds > enlarged.end)
                .collect();
            let caption = if worst.len() == 1 {
                "One visitor waits"
            } else {
                "Some visitors wait"
            };
            self.figure(
                caption,
                "Each red mark is a SYN that the kernel sent once more into the silence.",
                round,
                story,
                whole,
            );
            self.figure(
                "The beginning, enlarged",
                "The same visits; one of them goes on far beyond the edge.",
                round,
                story,
                enlarged,
            );
        } else {
            let caption = format!("All visits {when} the mend");
            self.figure(
                &caption,
                "From the first DNS query to the first byte of the page.",
                round,
                story,
                enlarged,
            );
        }
        self.legend();
    }

    fn figure(&mut self, caption: &str, about: &str, round: &Round, story: &Story, axis: Axis) {
        self.put(format_args!(
            "<figure><figcaption>{caption}<span>{about}</span></figcaption>"
        ));
        for network in &story.networks {
            self.put(format_args!(
                "<div class=\"group\"><h4>{}<span>{}</span></h4>",
                Escaped(&network.name),
                network.ipv6.as_str()
            ));
            for run in round.runs.iter().filter(|run| run.network == network.name) {
                self.lane(run, axis);
            }
            self.put("</div>");
        }
        self.axis(axis);
        self.put("</figure>\n");
    }

    pub(super) fn axis(&mut self, axis: Axis) {
        self.put(format_args!(
            "<div class=\"row axisrow\"><span></span>{}<span></span></div>",
            axis.draw()
        ));
    }

    pub(super) fn lane(&mut self, run: &Run, axis: Axis) {
        let lane = lane::lane(run);
        self.drawings += 1;
        let id = format!("l{}", self.drawings);
        let title = format!("{}, {} client: {}", run.network, run.client, lane.result);
        let class = if lane.well { "good" } else { "bad" };
        self.put(format_args!(
            "<div class=\"row\"><span class=\"who\">{}</span>{}<span class=\"what {class}\">{}</span></div>",
            Escaped(&lane.client),
            timeline::draw(&lane, axis, &id, &title),
            Escaped(&lane.result)
        ));
    }

    fn legend(&mut self) {
        self.put(legend(&[
            Sign::Dns,
            Sign::Ipv6,
            Sign::Ipv4,
            Sign::Open,
            Sign::Unanswered,
            Sign::Repeated,
            Sign::GivenUp,
            Sign::FirstByte,
        ]));
    }
}
