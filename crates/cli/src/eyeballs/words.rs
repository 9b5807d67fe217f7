//! The score in words: what text and page both say.

use crate::render::time;
use crate::render::words::family_word;
use std::time::Duration;
use twinstack_lab::score::{Ending, Kind, Measured, Run, Spread, Verdict, Visit};
use twinstack_lab::world::model::Family;

/// One habit of the client, and what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Habit {
    /// What.
    pub(super) what: &'static str,
    /// As measured.
    pub(super) value: String,
    /// More about it.
    pub(super) detail: String,
    /// What the draft recommends.
    pub(super) book: &'static str,
    /// The item of the checklist that judges it.
    pub(super) item: &'static str,
}

/// The habits that most people ask about, in the order of a race.
pub(super) fn habits(measured: &Measured) -> Vec<Habit> {
    let habit = |what, item, book, value: Option<String>, detail: String| Habit {
        what,
        value: value.unwrap_or_else(|| "not seen".to_owned()),
        detail,
        book,
        item,
    };
    let plain = |what, item, book, value| habit(what, item, book, value, String::new());
    let waits = |delay: &Option<Spread>, waits: Option<bool>, what: &str| match (delay, waits) {
        (Some(spread), _) => Some(time(spread.median.as_secs_f64())),
        (None, Some(true)) => Some(format!("waits for {what}")),
        (None, _) => None,
    };
    vec![
        habit(
            "asks for",
            "A5",
            "HTTPS, AAAA, A",
            measured.questions.as_ref().map(|it| it.order.join(", ")),
            measured.questions.as_ref().map_or_else(String::new, |it| {
                format!("within {}", time(it.apart.as_secs_f64().max(0.0001)))
            }),
        ),
        plain(
            "begins with",
            "B4",
            "IPv6",
            measured.preferred.map(|it| family_word(it).to_owned()),
        ),
        habit(
            "without AAAA, IPv4 after",
            "B3",
            "50 ms",
            waits(&measured.resolution_delay, measured.waits_for_aaaa, "AAAA"),
            spread(measured.resolution_delay.as_ref()),
        ),
        habit(
            "without A, IPv6 after",
            "B2",
            "at once",
            waits(&measured.start_without_a, measured.waits_for_a, "A"),
            spread(measured.start_without_a.as_ref()),
        ),
        habit(
            "next attempt after",
            "D2",
            "250 ms",
            measured
                .attempt_delay
                .as_ref()
                .map(|it| time(it.median.as_secs_f64())),
            spread(measured.attempt_delay.as_ref()),
        ),
        plain(
            "each gap is longer by",
            "D11",
            "any factor",
            measured.multiplier.map(|it| {
                if it > 1.0 {
                    format!("a factor of {it}")
                } else {
                    "nothing".to_owned()
                }
            }),
        ),
        plain(
            "order of families",
            "C11",
            "6 4 6 4 6 4 ...",
            (!measured.order.is_empty()).then(|| order(&measured.order)),
        ),
        plain(
            "addresses tried",
            "D5",
            "all",
            measured
                .addresses_used
                .map(|it| format!("{} of 10 IPv6, {} of 10 IPv4", it.v6, it.v4)),
        ),
        habit(
            "attempts at one time",
            "D12",
            "a limit",
            measured.at_once.map(|it| {
                if it.at_least == it.at_most {
                    it.at_least.to_string()
                } else {
                    format!("{} to {}", it.at_least, it.at_most)
                }
            }),
            measured
                .stops_at
                .map_or_else(String::new, |it| format!("stops at {it}")),
        ),
        plain(
            "earlier attempts run on",
            "D1",
            "yes",
            measured.keeps_running.map(yes_or_no),
        ),
        habit(
            "after a refusal",
            "D6",
            "10 ms between starts",
            measured
                .after_refusal
                .as_ref()
                .map(|it| time(it.median.as_secs_f64())),
            spread(measured.after_refusal.as_ref()),
        ),
        plain(
            "leaves a silent TLS server",
            "E1",
            "yes",
            measured
                .stays_with_silence
                .map(|stays| match measured.after_silence {
                    Some(after) if !stays => format!("after {}", time(after.as_secs_f64())),
                    _ => "no".to_owned(),
                }),
        ),
        plain(
            "starts from HTTPS hints",
            "B5",
            "yes",
            measured.uses_hints.map(yes_or_no),
        ),
        plain(
            "sorts by RFC 6724",
            "C6",
            "yes",
            measured.sorts.map(yes_or_no),
        ),
    ]
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn spread(spread: Option<&Spread>) -> String {
    match spread {
        Some(spread) if spread.count > 1 => {
            let [least, most] =
                [spread.least, spread.most].map(|it| time(Duration::as_secs_f64(&it)));
            format!("{least} to {most}, {} times", spread.count)
        }
        _ => String::new(),
    }
}

/// `6 4 6 4`, the long ones cut.
fn order(order: &[Family]) -> String {
    let digits: Vec<&str> = order
        .iter()
        .map(|family| match family {
            Family::V4 => "4",
            Family::V6 => "6",
        })
        .collect();
    digits.join(" ")
}

/// The word of a verdict.
pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "done",
        Verdict::Fail => "not done",
        Verdict::NotVisible => "not visible",
    }
}

/// How a run went.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// `267 ms`, `nothing within 5 s`.
    pub(super) time: String,
    /// Over which family.
    pub(super) family: Option<Family>,
    /// It had to connect, and did so before a user would notice.
    pub(super) well: bool,
}

/// A second is the limit of an uninterrupted flow of thought.
const SLOW: f64 = 1.0;

pub(super) fn outcome(run: &Run) -> Outcome {
    // Nobody can connect where everything is dead.
    let hopeless = matches!(
        run.scenario.kind,
        Kind::AllDead | Kind::AllRefused | Kind::Unsorted
    );
    let Some(visit) = &run.visit else {
        return Outcome {
            time: "sent nothing".to_owned(),
            family: None,
            well: false,
        };
    };
    match served(run, visit) {
        Some((at, family)) => Outcome {
            time: time(at),
            family: Some(family),
            // The slow world is slow for everybody.
            well: at < SLOW || run.scenario.kind == Kind::Slow,
        },
        None => Outcome {
            time: match run.ending {
                Ending::Limit => format!("nothing in {}", time(visit.elapsed.as_secs_f64())),
                _ => format!("failed after {}", time(visit.elapsed.as_secs_f64())),
            },
            family: None,
            well: hopeless,
        },
    }
}

/// When the connection was of use: with its first data, or, for a program that waits for none, when it stood.
pub(super) fn served(run: &Run, visit: &Visit) -> Option<(f64, Family)> {
    let winner = visit.winner()?;
    let at = match (winner.received, winner.confirmed) {
        (Some(at), _) => at,
        // Data that nobody answers is no use.
        (None, Some(at)) if winner.sent.is_none() || run.ending == Ending::Exited(0) => at,
        _ => return None,
    };
    Some((at.as_secs_f64(), winner.family))
}
