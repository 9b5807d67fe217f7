//! From numbers to a verdict for each item of the checklist, each with the numbers that it rests on.

use super::checklist::{CHECKLIST, Item};
use super::measure::{Measured, Speaks, visits};
use super::scenario::{Kind, TLS_PORT};
use super::visit::Visit;
use super::{Ending, Run};
use crate::world::model::Family;
use serde::Serialize;
use std::time::Duration;
use twinstack_dns::RecordType;

/// An item of the checklist, judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// The item.
    pub item: Item,
    /// The verdict.
    pub verdict: Verdict,
    /// The numbers that it rests on, or why there is none.
    pub evidence: String,
}

/// What the packets say about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is done.
    Pass,
    /// It is not done.
    Fail,
    /// Not visible from outside, or not in these runs.
    NotVisible,
}

/// Two attempts never start closer together (MUST).
const FLOOR: Duration = Duration::from_millis(10);

/// The recommended delay between attempts.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// The least and the most recommended delay between attempts.
const LEAST_DELAY: Duration = Duration::from_millis(100);
const MOST_DELAY: Duration = Duration::from_secs(2);

/// Timers and schedulers are early by no more than this.
const EARLY: Duration = Duration::from_micros(500);

/// What a busy machine adds to something that happens at once.
const AT_ONCE: Duration = Duration::from_millis(25);

pub(super) fn checklist(runs: &[Run], measured: &Measured) -> Vec<Judged> {
    let evidence = Evidence { runs, measured };
    CHECKLIST
        .iter()
        .map(|item| {
            let (verdict, evidence) = match item.hidden {
                Some(why) => (Verdict::NotVisible, why.to_owned()),
                None => evidence.judge(item.id),
            };
            Judged {
                item: *item,
                verdict,
                evidence,
            }
        })
        .collect()
}

struct Evidence<'a> {
    runs: &'a [Run],
    measured: &'a Measured,
}

type Opinion = (Verdict, String);

fn pass_if(holds: bool, evidence: impl Into<String>) -> Opinion {
    let verdict = if holds { Verdict::Pass } else { Verdict::Fail };
    (verdict, evidence.into())
}

fn hidden(why: impl Into<String>) -> Opinion {
    (Verdict::NotVisible, why.into())
}

const NOT_RUN: &str = "not part of this sweep";
const NO_QUESTIONS: &str = "no DNS question over UDP was seen";

impl Evidence<'_> {
    fn judge(&self, id: &str) -> Opinion {
        match id {
            "A1" => self.asks("AAAA"),
            "A2" => self.asks("A"),
            "A4" => self.asks_https(),
            "A5" => self.question_order(),
            "A6" => self.absent_families(),
            "A8" => self.literal(),
            "B1" => self.waits(),
            "B2" => self.start_without_a(),
            "B3" => self.resolution_delay(),
            "B4" => self.preferred(),
            "B5" => self.hints(),
            "B6" => self.asks_in_spite_of_hints(),
            "B8" => self.empty_answer(),
            "C6" => self.sorts(),
            "C11" => self.interlaced(),
            "D1" => self.one_at_a_time(),
            "D2" => self.attempt_delay(),
            "D3" => self.floor(),
            "D4" => self.least_delay(),
            "D5" => self.most_delay(),
            "D6" => self.after_refusal(),
            "D11" => self.growing_delay(),
            "D12" => self.limit(),
            "E1" => self.completion(),
            "E3" => self.after_success(),
            "G1" => self.late_family(),
            other => {
                debug_assert!(false, "item {other} is neither judged nor marked as hidden");
                hidden("not judged")
            }
        }
    }

    fn visits(&self, kind: Kind) -> impl Iterator<Item = &Visit> {
        visits(self.runs, kind)
    }

    fn was_run(&self, kind: Kind) -> bool {
        self.runs.iter().any(|run| run.scenario.kind == kind)
    }

    fn asks(&self, rtype: &str) -> Opinion {
        match &self.measured.questions {
            Some(questions) => pass_if(
                questions.order.iter().any(|it| it == rtype),
                format!("asks for {}", questions.order.join(", ")),
            ),
            None => hidden(NO_QUESTIONS),
        }
    }

    fn asks_https(&self) -> Opinion {
        match self.measured.speaks {
            // The lab's services speak HTTP; whoever says something to them means it.
            Some(Speaks::Quic | Speaks::Tls | Speaks::Plain) => self.asks("HTTPS"),
            Some(Speaks::Nothing) | None => hidden(
                "it says nothing once it is connected, so nobody knows whether it speaks HTTP",
            ),
        }
    }

    fn question_order(&self) -> Opinion {
        let Some(questions) = &self.measured.questions else {
            return hidden(NO_QUESTIONS);
        };
        let rank = |rtype: &String| match rtype.as_str() {
            "HTTPS" | "SVCB" => 0,
            "AAAA" => 1,
            "A" => 2,
            _ => 3,
        };
        let ordered = questions.order.is_sorted_by_key(rank);
        let evidence = format!(
            "{} within {}",
            questions.order.join(", "),
            millis(questions.apart)
        );
        pass_if(ordered && questions.apart <= AT_ONCE, evidence)
    }

    fn absent_families(&self) -> Opinion {
        let mut asked = Vec::new();
        let mut seen = false;
        for (kind, absent, family) in [
            (Kind::OnlyIpv4, RecordType::AAAA, "IPv6"),
            (Kind::OnlyIpv6, RecordType::A, "IPv4"),
        ] {
            for visit in self.visits(kind).filter(|visit| !visit.lookups.is_empty()) {
                seen = true;
                if visit.lookup(absent).is_some() {
                    asked.push(format!("asks for {absent} without {family}"));
                }
            }
        }
        if !seen {
            return hidden(if self.was_run(Kind::OnlyIpv4) {
                NO_QUESTIONS
            } else {
                NOT_RUN
            });
        }
        let evidence = if asked.is_empty() {
            "asks only for the family that it has".to_owned()
        } else {
            asked.join("; ")
        };
        pass_if(asked.is_empty(), evidence)
    }

    fn literal(&self) -> Opinion {
        match self.visits(Kind::Literal).next() {
            // Questions for an address as if it were a name are questions for another name, and not seen.
            Some(visit) => pass_if(
                visit.lookups.is_empty() && !visit.attempts.is_empty(),
                format!(
                    "first attempt {} after its first packet",
                    visit
                        .attempts
                        .first()
                        .map_or_else(|| "never".to_owned(), |it| millis(it.started))
                ),
            ),
            None if self.was_run(Kind::Literal) => (
                Verdict::Fail,
                "it sent nothing when it was given an address".to_owned(),
            ),
            None => hidden(NOT_RUN),
        }
    }

    fn waits(&self) -> Opinion {
        let word = |waits: Option<bool>, rtype: &str| match waits {
            Some(true) => Some(format!("starts nothing before the {rtype} answer")),
            Some(false) => Some(format!("starts without the {rtype} answer")),
            None => None,
        };
        let (aaaa, a) = (self.measured.waits_for_aaaa, self.measured.waits_for_a);
        let words: Vec<String> = [word(aaaa, "AAAA"), word(a, "A")]
            .into_iter()
            .flatten()
            .collect();
        if words.is_empty() {
            return hidden("no late answer met a question");
        }
        pass_if(aaaa != Some(true) && a != Some(true), words.join("; "))
    }

    fn start_without_a(&self) -> Opinion {
        match (&self.measured.start_without_a, self.measured.waits_for_a) {
            (Some(spread), _) => pass_if(
                spread.median <= AT_ONCE,
                format!(
                    "IPv6 starts {} after the AAAA answer, without the A",
                    millis(spread.median)
                ),
            ),
            (None, Some(true)) => (Verdict::Fail, "waits for the A answer".to_owned()),
            (None, _) => hidden("no late A met a question"),
        }
    }

    fn resolution_delay(&self) -> Opinion {
        match (
            &self.measured.resolution_delay,
            self.measured.waits_for_aaaa,
        ) {
            (Some(spread), _) => pass_if(
                spread.median <= CLEARLY_TOO_LONG,
                format!(
                    "IPv4 starts {} after the A answer, without the AAAA ({} to {}, {})",
                    millis(spread.median),
                    millis(spread.least),
                    millis(spread.most),
                    runs(spread.count)
                ),
            ),
            (None, Some(true)) => (Verdict::Fail, "waits for the AAAA answer".to_owned()),
            (None, _) => hidden("no late AAAA met a question"),
        }
    }

    fn preferred(&self) -> Opinion {
        match self.measured.preferred {
            Some(family) => pass_if(
                family == Family::V6,
                format!("its first attempt goes to {}", word(family)),
            ),
            None => hidden("no attempt was seen"),
        }
    }

    fn hints(&self) -> Opinion {
        match self.measured.uses_hints {
            Some(true) => (
                Verdict::Pass,
                "starts before A and AAAA are there".to_owned(),
            ),
            Some(false) => (
                Verdict::Fail,
                "waits for A or AAAA although there are hints".to_owned(),
            ),
            None if self.was_run(Kind::Hints) => hidden("it asks for no HTTPS record"),
            None => hidden(NOT_RUN),
        }
    }

    fn asks_in_spite_of_hints(&self) -> Opinion {
        let Some(visit) = self.visits(Kind::Hints).next() else {
            return hidden(NOT_RUN);
        };
        if visit.lookup(RecordType::HTTPS).is_none() {
            return hidden("it asks for no HTTPS record");
        }
        let asks = |rtype| visit.lookup(rtype).is_some();
        let evidence: Vec<String> = visit
            .lookups
            .iter()
            .map(|lookup| lookup.rtype.to_string())
            .collect();
        pass_if(
            asks(RecordType::A) && asks(RecordType::AAAA),
            format!("asks for {}", evidence.join(", ")),
        )
    }

    fn empty_answer(&self) -> Opinion {
        let delays: Vec<Duration> = self
            .visits(Kind::NoAaaa)
            .filter_map(|visit| {
                let known = visit.lookups.iter().filter_map(|it| it.answered).max()?;
                Some(visit.attempts.first()?.started.saturating_sub(known))
            })
            .collect();
        match delays.iter().max() {
            Some(longest) => pass_if(
                *longest <= AT_ONCE,
                format!("starts {} after the answers", millis(*longest)),
            ),
            None if self.was_run(Kind::NoAaaa) => hidden("no attempt was seen"),
            None => hidden(NOT_RUN),
        }
    }

    fn sorts(&self) -> Opinion {
        match self.measured.sorts {
            Some(true) => (
                Verdict::Pass,
                "a native address goes before a 6to4 one (rules 5 and 6)".to_owned(),
            ),
            Some(false) => (
                Verdict::Fail,
                "a 6to4 address goes before a native one, as the DNS had it".to_owned(),
            ),
            None if self.was_run(Kind::Unsorted) => hidden("it tried no IPv6 address"),
            None => hidden(NOT_RUN),
        }
    }

    fn interlaced(&self) -> Opinion {
        let order = families(&self.measured.order);
        match (self.measured.interlaced, self.measured.order.len()) {
            (Some(true), _) => (Verdict::Pass, order),
            (Some(false), _) => (Verdict::Fail, order),
            (None, 0) => hidden("no attempt was seen"),
            (None, count) => hidden(format!("{order}: {count} attempts are too few to tell")),
        }
    }

    fn one_at_a_time(&self) -> Opinion {
        let closest = self.measured.closest_starts.as_ref();
        let burst = closest.is_some_and(|it| it.apart < Duration::from_millis(2))
            && self.measured.after_refusal.as_ref().is_none_or(|spread| {
                // A refusal may let the next one start so soon; D3 judges that.
                closest.is_some_and(|it| it.apart < spread.least)
            });
        match (self.measured.keeps_running, burst) {
            (Some(false), _) => (
                Verdict::Fail,
                "gives an attempt up when it starts the next one: the answer after 600 ms is refused".to_owned(),
            ),
            (_, true) => (
                Verdict::Fail,
                format!(
                    "two attempts start {} apart",
                    closest.map_or_else(String::new, |it| millis(it.apart))
                ),
            ),
            (Some(true), false) => (
                Verdict::Pass,
                "the first attempt still connects after 600 ms, with another one under way".to_owned(),
            ),
            (None, false) if !self.was_run(Kind::Slow) => hidden(NOT_RUN),
            (None, false) => hidden("no two attempts were under way at one time"),
        }
    }

    /// The gaps that no answer and no refusal made shorter.
    fn undisturbed_gaps(&self) -> Vec<Duration> {
        let mut gaps: Vec<Duration> = self
            .visits(Kind::DroppedIpv6)
            .filter_map(|visit| visit.gaps().first().copied())
            .collect();
        gaps.extend(&self.measured.gaps);
        gaps
    }

    fn attempt_delay(&self) -> Opinion {
        match &self.measured.attempt_delay {
            Some(spread) => pass_if(
                spread.median.abs_diff(ATTEMPT_DELAY) <= AT_ONCE,
                format!(
                    "{} ({} to {}, {})",
                    millis(spread.median),
                    millis(spread.least),
                    millis(spread.most),
                    runs(spread.count)
                ),
            ),
            None => self.no_second_attempt(),
        }
    }

    fn no_second_attempt(&self) -> Opinion {
        match self
            .runs
            .iter()
            .find(|run| run.scenario.kind == Kind::DroppedIpv6)
        {
            Some(run) if self.measured.preferred == Some(Family::V6) => {
                let time = match run.ending {
                    Ending::Limit => run.scenario.limit,
                    _ => run
                        .visit
                        .as_ref()
                        .map_or(Duration::ZERO, |visit| visit.elapsed),
                };
                (
                    Verdict::Fail,
                    format!("no second attempt within {}", millis(time)),
                )
            }
            _ => hidden("no second attempt was called for"),
        }
    }

    fn floor(&self) -> Opinion {
        match &self.measured.closest_starts {
            Some(closest) => pass_if(
                closest.apart + EARLY >= FLOOR,
                format!(
                    "the closest two starts are {} apart, in `{}`",
                    millis(closest.apart),
                    closest.scenario
                ),
            ),
            None => hidden("no run had two attempts"),
        }
    }

    fn least_delay(&self) -> Opinion {
        match self.undisturbed_gaps().into_iter().min() {
            Some(least) => pass_if(
                least + EARLY >= LEAST_DELAY,
                format!("the shortest was {}", millis(least)),
            ),
            None => hidden("no second attempt was seen"),
        }
    }

    fn most_delay(&self) -> Opinion {
        let hung: Vec<&str> = self
            .runs
            .iter()
            .filter(|run| run.scenario.kind == Kind::DeadFirst)
            .filter(|run| run.visit.as_ref().is_some_and(|it| it.attempts.len() == 1))
            .map(|run| run.scenario.id.as_str())
            .collect();
        let longest = self.undisturbed_gaps().into_iter().max();
        let dead_first = self.visits(Kind::DeadFirst).flat_map(Visit::gaps).max();
        match (longest.max(dead_first), hung.as_slice()) {
            (_, [first, ..]) => (
                Verdict::Fail,
                format!("in `{first}` the second address is not tried"),
            ),
            (Some(longest), []) => pass_if(
                longest <= MOST_DELAY + AT_ONCE,
                format!("the longest was {}", millis(longest)),
            ),
            (None, []) => self.no_second_attempt(),
        }
    }

    fn after_refusal(&self) -> Opinion {
        let Some(spread) = &self.measured.after_refusal else {
            return hidden("nothing was tried after a refusal");
        };
        let closest = [Kind::Refused, Kind::AllRefused]
            .into_iter()
            .flat_map(|kind| self.visits(kind).flat_map(Visit::gaps))
            .min()
            .unwrap_or_default();
        let evidence = format!(
            "next attempt {} after the refusal, {} after the attempt before",
            millis(spread.median),
            millis(closest)
        );
        pass_if(
            closest + EARLY >= FLOOR && spread.median <= FLOOR + AT_ONCE,
            evidence,
        )
    }

    fn growing_delay(&self) -> Opinion {
        match self.measured.multiplier {
            Some(multiplier) => pass_if(
                multiplier > 1.1,
                if multiplier > 1.1 {
                    format!("each is {multiplier} times as long as the one before")
                } else {
                    "stays the same".to_owned()
                },
            ),
            None => hidden("too few attempts in a row to tell"),
        }
    }

    fn limit(&self) -> Opinion {
        let Some(at_once) = self.measured.at_once else {
            return hidden("no attempt was seen");
        };
        match self.measured.stops_at {
            // One of each family is what a client without any list of attempts can do.
            Some(count) if count <= 2 => hidden(format!("it starts only {count} of 20")),
            Some(count) => (
                Verdict::Pass,
                format!("starts {count} of 20 and then waits"),
            ),
            None => pass_if(
                at_once.at_most < MOST_AT_ONCE,
                if at_once.at_least == at_once.at_most {
                    format!("{} at one time", at_once.at_least)
                } else {
                    format!("{} to {} at one time", at_once.at_least, at_once.at_most)
                },
            ),
        }
    }

    fn completion(&self) -> Opinion {
        match (
            self.measured.stays_with_silence,
            self.measured.after_silence,
        ) {
            (Some(false), Some(after)) => (
                Verdict::Pass,
                format!("IPv4 starts after {}", millis(after)),
            ),
            (Some(_), _) => {
                let limit = self
                    .runs
                    .iter()
                    .find(|run| run.scenario.kind == Kind::Silent)
                    .map_or_else(String::new, |run| millis(run.scenario.limit));
                (
                    Verdict::Fail,
                    format!("stays with the silent server for {limit}"),
                )
            }
            (None, _) if self.was_run(Kind::Silent) => hidden("it began no TLS"),
            (None, _) => hidden(format!(
                "TLS is only tried on port {TLS_PORT}; for plain TCP the handshake is enough"
            )),
        }
    }

    fn after_success(&self) -> Opinion {
        let mut connected = false;
        for run in self
            .runs
            .iter()
            .filter(|run| run.scenario.kind != Kind::Silent)
        {
            let Some(visit) = &run.visit else { continue };
            let Some(won) = visit.winner().and_then(|it| it.confirmed) else {
                continue;
            };
            connected = true;
            // An attempt may have been on its way already.
            let late = visit
                .attempts
                .iter()
                .find(|attempt| attempt.started > won + AT_ONCE);
            if let Some(late) = late {
                let after = late.started.saturating_sub(won);
                return (
                    Verdict::Fail,
                    format!(
                        "in `{}` another attempt starts {} after it has connected",
                        run.scenario.id,
                        millis(after)
                    ),
                );
            }
        }
        if connected {
            (Verdict::Pass, "no attempt starts after that".to_owned())
        } else {
            hidden("it never connected")
        }
    }

    fn late_family(&self) -> Opinion {
        let Some(visit) = self.visits(Kind::LateAInRace).next() else {
            return hidden(NOT_RUN);
        };
        let Some(came) = visit.answered_at(RecordType::A) else {
            return hidden(NO_QUESTIONS);
        };
        let before = visit.attempts.iter().filter(|it| it.started < came).count();
        match (before, visit.attempts.get(before)) {
            (0, _) => hidden("it waits for the A answer, so no race is under way"),
            (_, None) => (
                Verdict::Fail,
                "nothing is tried after the new addresses came".to_owned(),
            ),
            (_, Some(next)) => pass_if(
                next.family == Family::V4,
                format!(
                    "after the A answer the next attempt goes to {}",
                    word(next.family)
                ),
            ),
        }
    }
}

/// A resolution delay above this is no better than waiting: the recommended attempt delay.
const CLEARLY_TOO_LONG: Duration = Duration::from_millis(250);

/// More attempts than this at one time are a burden on the network.
const MOST_AT_ONCE: usize = 10;

/// `250 ms`, `4.1 ms`, `1.02 s`: as many digits as matter.
fn millis(duration: Duration) -> String {
    let millis = duration.as_secs_f64() * 1000.0;
    if millis >= 1000.0 {
        let text = format!("{:.2}", duration.as_secs_f64());
        format!("{} s", text.trim_end_matches(".00"))
    } else if millis < 0.05 {
        "less than 0.1 ms".to_owned()
    } else if millis < 20.0 {
        format!("{millis:.1} ms")
    } else {
        format!("{millis:.0} ms")
    }
}

fn runs(count: usize) -> String {
    if count == 1 {
        "1 run".to_owned()
    } else {
        format!("{count} runs")
    }
}

const fn word(family: Family) -> &'static str {
    match family {
        Family::V4 => "IPv4",
        Family::V6 => "IPv6",
    }
}

/// `6 4 6 4`.
fn families(order: &[Family]) -> String {
    let digits: Vec<&str> = order
        .iter()
        .map(|family| match family {
            Family::V4 => "4",
            Family::V6 => "6",
        })
        .collect();
    digits.join(" ")
}
