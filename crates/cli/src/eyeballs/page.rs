//! The score as one page, with every run drawn.

use super::report::Report;
use super::words::{habits, outcome, served, verdict};
use crate::page::lane::{Bar, Lane, Lookup};
use crate::page::markup::{Escaped, Quoting};
use crate::page::timeline::{self, Axis};
use crate::page::{Sign, head, legend};
use crate::render::time;
use crate::render::words::family_word;
use std::fmt::{Display, Write as _};
use std::time::Duration;
use twinstack_dns::RecordType;
use twinstack_lab::score::{Attempt, Ending, Judged, Kind, Level, Run, Verdict, Visit};

/// The whole page.
pub(super) fn render(report: &Report) -> String {
    let mut page = Page {
        html: head("Happy Eyeballs, scored", "Twinstack lab eyeballs"),
        drawings: 0,
    };
    page.opening(report);
    page.habits(report);
    page.checklist(report);
    page.figures(report);
    page.end(report);
    page.html
}

struct Page {
    html: String,
    drawings: usize,
}

/// Runs that share an axis.
const FIGURES: &[(&str, &str, &[Kind])] = &[
    (
        "What happens at once",
        "Both families, no AAAA, an address instead of a name, clients of one family, a refusal.",
        &[
            Kind::Healthy,
            Kind::NoAaaa,
            Kind::Literal,
            Kind::OnlyIpv4,
            Kind::OnlyIpv6,
            Kind::Refused,
        ],
    ),
    (
        "Four addresses of each family refuse",
        "Every refusal lets the next attempt start, but not within 10 ms of the one before.",
        &[Kind::AllRefused],
    ),
    (
        "Addresses that do not answer",
        "Each red mark is a SYN that the kernel sent once more: proof that the attempt was still alive.",
        &[
            Kind::DroppedIpv6,
            Kind::DeadFirst,
            Kind::SevenDead,
            Kind::Slow,
            Kind::Silent,
            Kind::Unsorted,
            Kind::LateAInRace,
        ],
    ),
    (
        "Ten dead addresses of each family",
        "The order of the families, the gaps, and how many attempts live at one time.",
        &[Kind::AllDead],
    ),
    (
        "The AAAA comes late",
        "A client with a resolution delay starts with IPv4 soon after the A answer, however late the AAAA is.",
        &[Kind::LateAaaa],
    ),
    (
        "The A comes late",
        "IPv6 needs no A: whoever waits here makes a healthy IPv6 slow.",
        &[Kind::LateA, Kind::Hints],
    ),
    (
        "An answer never comes",
        "One lost record type, and everything else healthy.",
        &[Kind::LostAaaa, Kind::LostA],
    ),
];

impl Page {
    fn put(&mut self, text: impl Display) {
        write!(self.html, "{text}").expect("writing to a string does not fail");
    }

    fn opening(&mut self, report: &Report) {
        let asked = [Level::Must, Level::Should];
        let (done, failed) = (
            report.count(Verdict::Pass, &asked),
            report.count(Verdict::Fail, &asked),
        );
        self.put(format_args!(
            "<h1>{}</h1>\n<p>This program was run {} times, in worlds that are broken in different ways. Everything \
             below was found out from its packets; nothing was asked of the program. The requirements are those of \
             Happy Eyeballs version 3.</p>\n",
            Quoting(&format!("`{}`", report.command_line())),
            report.runs.len()
        ));
        if let Some(complaint) = &report.complaint {
            self.put(format_args!(
                "<p class=\"warn\">Where everything works it {}</p>\n",
                Escaped(complaint)
            ));
        }
        let measured = &report.score.measured;
        let delay = measured
            .attempt_delay
            .as_ref()
            .map_or_else(|| "none".to_owned(), |it| time(it.median.as_secs_f64()));
        let resolution = match (&measured.resolution_delay, measured.waits_for_aaaa) {
            (Some(spread), _) => time(spread.median.as_secs_f64()),
            (None, Some(true)) => "waits".to_owned(),
            (None, _) => "not seen".to_owned(),
        };
        let card = |title: &str, class: &str, value: &str, about: &str| {
            format!(
                "<div><dt>{title}</dt><dd class=\"{class}\">{}<small>{about}</small></dd></div>",
                Escaped(value)
            )
        };
        let class = |id: &str| match find(report, id) {
            Some(Verdict::Pass) => "good",
            Some(Verdict::Fail) => "bad",
            _ => "",
        };
        let of_all = format!("{done} of {}", done + failed);
        self.put(format_args!(
            "<dl class=\"hero\">{}{}{}</dl>\n",
            card(
                "Next attempt after",
                class("D2"),
                &delay,
                "recommended: 250 ms"
            ),
            card(
                "Without AAAA, IPv4 after",
                class("B3"),
                &resolution,
                "recommended: 50 ms"
            ),
            card(
                "Done of what was visible",
                if failed == 0 { "good" } else { "bad" },
                &of_all,
                "of MUST and SHOULD"
            ),
        ));
    }

    fn habits(&mut self, report: &Report) {
        self.put(
            "<h2>Measured</h2>\n<div class=\"scroll\"><table><thead><tr><th scope=\"col\"></th>\
             <th scope=\"col\">measured</th><th scope=\"col\">by the book</th><th scope=\"col\"></th></tr></thead><tbody>",
        );
        for habit in habits(&report.score.measured) {
            let class = match find(report, habit.item) {
                Some(Verdict::Pass) => "good",
                Some(Verdict::Fail) => "bad",
                _ => "soft",
            };
            self.put(format_args!(
                "<tr><th scope=\"row\">{}</th><td class=\"names {class}\">{}</td><td>{}</td><td class=\"soft\">{}</td></tr>",
                habit.what,
                Escaped(&habit.value),
                habit.book,
                Escaped(&habit.detail)
            ));
        }
        self.put("</tbody></table></div>\n");
    }

    fn checklist(&mut self, report: &Report) {
        self.put("<h2>Checklist</h2>\n");
        for (wanted, title) in [(Verdict::Fail, "Not done"), (Verdict::Pass, "Done")] {
            let mut items: Vec<&Judged> = report
                .score
                .checklist
                .iter()
                .filter(|it| it.verdict == wanted)
                .collect();
            if items.is_empty() {
                continue;
            }
            items.sort_by_key(|it| it.item.level);
            self.put(format_args!("<h3>{title}</h3>\n"));
            self.items(&items);
        }
        let hidden: Vec<&Judged> = report
            .score
            .checklist
            .iter()
            .filter(|it| it.verdict == Verdict::NotVisible)
            .collect();
        self.put(format_args!(
            "<details><summary>{} items are not visible from outside, or not in these worlds</summary>\n",
            hidden.len()
        ));
        self.items(&hidden);
        self.put("</details>\n");
    }

    fn items(&mut self, items: &[&Judged]) {
        self.put("<div class=\"scroll\"><table class=\"items\"><tbody>");
        for judged in items {
            let class = match (judged.verdict, judged.item.level) {
                (Verdict::Pass, _) => "good",
                (Verdict::Fail, Level::Must | Level::Should) => "bad",
                (Verdict::Fail, _) => "warn",
                (Verdict::NotVisible, _) => "soft",
            };
            self.put(format_args!(
                "<tr><td><code>{}</code></td><td class=\"soft\">{}</td><td class=\"names\">{}</td>\
                 <td class=\"{class}\">{}</td><td class=\"names soft\">{}</td></tr>",
                judged.item.id,
                judged.item.level.as_str(),
                Escaped(judged.item.text),
                verdict(judged.verdict),
                Quoting(&judged.evidence)
            ));
        }
        self.put("</tbody></table></div>\n");
    }

    fn figures(&mut self, report: &Report) {
        self.put(
            "<h2>World by world</h2>\n<p>Times count from the first question or attempt.</p>\n",
        );
        for (title, about, kinds) in FIGURES {
            let runs: Vec<(&Run, usize)> = report
                .worlds()
                .into_iter()
                .filter(|(run, _)| kinds.contains(&run.scenario.kind) && run.visit.is_some())
                .collect();
            if runs.is_empty() {
                continue;
            }
            let longest = runs
                .iter()
                .map(|(run, _)| lane(run).end)
                .fold(0.05, f64::max);
            let axis = Axis::to(longest);
            self.put(format_args!(
                "<figure class=\"wide\"><figcaption>{title}<span>{about}</span></figcaption>"
            ));
            for (run, count) in runs {
                let times = if count > 1 {
                    format!(" (the middle one of {count} runs)")
                } else {
                    String::new()
                };
                self.put(format_args!(
                    "<p class=\"world\"><code>{}</code> <span class=\"soft\">{}{times}</span></p>",
                    Escaped(&run.scenario.id),
                    Escaped(&run.scenario.about)
                ));
                self.lane(run, axis);
            }
            self.put(format_args!(
                "<div class=\"row axisrow\">{}<span></span></div></figure>\n",
                axis.draw()
            ));
        }
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

    fn lane(&mut self, run: &Run, axis: Axis) {
        let lane = lane(run);
        self.drawings += 1;
        let id = format!("l{}", self.drawings);
        let title = format!("{}: {}", run.scenario.id, lane.result);
        let class = if lane.well { "" } else { "bad" };
        self.put(format_args!(
            "<div class=\"row\">{}<span class=\"what {class}\">{}</span></div>",
            timeline::draw(&lane, axis, &id, &title),
            Escaped(&lane.result)
        ));
    }

    fn end(&mut self, report: &Report) {
        let quick = if report.quick { " --quick" } else { "" };
        self.put(format_args!(
            "<footer><p>Made by <code>twinstack lab eyeballs{quick} --port {} --limit {}s --seed {} --report FILE.html \
             -- {}</code>: {} runs in {:.0} s. The same as JSON: <code>--format json</code>; the packets: \
             <code>--trace FILE.pcapng</code>.</p></footer>\n</main>\n</body>\n</html>\n",
            report.port,
            report.limit_seconds,
            report.seed,
            Escaped(&report.command_line()),
            report.runs.len(),
            report.elapsed_seconds
        ));
    }
}

fn find(report: &Report, id: &str) -> Option<Verdict> {
    let judged = report.score.checklist.iter().find(|it| it.item.id == id)?;
    Some(judged.verdict)
}

/// A run as the timeline draws it.
fn lane(run: &Run) -> Lane {
    let outcome = outcome(run);
    let result = match outcome.family {
        Some(family) => format!("{}, {}", outcome.time, family_word(family)),
        None => outcome.time.clone(),
    };
    let mut lane = Lane {
        client: run.scenario.id.clone(),
        lookups: Vec::new(),
        bars: Vec::new(),
        first_byte: None,
        end: 0.0,
        result,
        well: outcome.well,
        description: String::new(),
    };
    let Some(visit) = &run.visit else { return lane };
    let served = served(run, visit);
    lane.first_byte = served.map(|(at, _)| at);
    lane.end = match run.ending {
        Ending::Limit => visit.elapsed.as_secs_f64(),
        _ => served.map_or(visit.elapsed.as_secs_f64(), |(at, _)| at),
    };
    lane.lookups = lookups(visit, lane.end);
    lane.bars = visit
        .attempts
        .iter()
        .map(|attempt| bar(attempt, &lane))
        .collect();
    lane.description = describe(visit, &lane.result);
    lane
}

fn lookups(visit: &Visit, end: f64) -> Vec<Lookup> {
    let several = visit.lookups.len() > 1;
    visit
        .lookups
        .iter()
        .map(|lookup| Lookup {
            label: match lookup.rtype {
                _ if !several => "",
                RecordType::A => "A",
                RecordType::AAAA => "AAAA",
                RecordType::HTTPS => "HTTPS",
                _ => "other",
            },
            from: lookup.asked.as_secs_f64(),
            to: lookup.answered.map_or(end, |at| at.as_secs_f64()),
            lost: lookup.answered.is_none(),
        })
        .collect()
}

fn bar(attempt: &Attempt, lane: &Lane) -> Bar {
    let from = attempt.started.as_secs_f64();
    // A server that takes a connection and says nothing is no better than one that does not answer.
    let silent = attempt.sent.is_some() && attempt.received.is_none();
    let connected = attempt.confirmed.is_some() && !silent;
    // Where the kernel does not repeat the SYN any more, the attempt had been given up.
    let to = if silent {
        lane.end
    } else {
        attempt.end().as_secs_f64().min(lane.end)
    };
    Bar {
        address: attempt.address,
        family: attempt.family,
        from,
        to: to.max(from),
        connected,
        failure: match (connected, attempt.refused, attempt.broken) {
            (true, ..) => None,
            _ if silent => Some("connected, and then silence"),
            (_, Some(_), _) => Some("refused"),
            (_, None, Some(_)) => Some("given up before the answer"),
            (_, None, None) => Some("no answer"),
        },
        repeats: attempt.repeated.iter().map(Duration::as_secs_f64).collect(),
    }
}

fn describe(visit: &Visit, result: &str) -> String {
    let mut parts: Vec<String> = visit
        .lookups
        .iter()
        .map(|lookup| match lookup.answered {
            Some(at) => format!(
                "{} answered after {}",
                lookup.rtype,
                time(at.saturating_sub(lookup.asked).as_secs_f64())
            ),
            None => format!("{} not answered", lookup.rtype),
        })
        .collect();
    parts.extend(visit.attempts.iter().map(|attempt| {
        format!(
            "{} to {} at {}",
            family_word(attempt.family),
            attempt.address,
            time(attempt.started.as_secs_f64())
        )
    }));
    parts.push(result.to_owned());
    format!("{}.", parts.join("; "))
}
