//! The replay as one page: no script, nothing from elsewhere, good on a phone and in the dark.

mod figure;
mod lane;

use super::story::{Check, Ipv6, Published, Run, Story, family_word};
use super::text::{mend_title, seconds, verdict};
use crate::page::head;
use crate::page::markup::{Escaped, Quoting};
use crate::page::timeline::Axis;
use crate::render::text::Style;
use std::fmt::{Display, Write as _};
use twinstack_finding::{Finding, Severity};

/// The whole page.
pub(crate) fn render(story: &Story) -> String {
    let mut page = Page::default();
    page.start();
    page.hero(story);
    page.act(1, "An AAAA record is published");
    page.published(&story.before.published);
    page.act(2, "Everybody visits the site");
    page.cast(story);
    page.timelines(&story.before, story, "before");
    page.act(3, "What <code>twinstack check</code> finds");
    page.checks(&story.before.checks);
    if let Some((here, there)) = story.before.seen_only_elsewhere() {
        page.put(format_args!(
            "<p>From the {} alone the outage cannot be seen, only from the {}: this is what more than one vantage \
             point is for (<code>check --via HOST</code>).</p>\n",
            Escaped(here),
            Escaped(there)
        ));
    }
    page.act(4, "The mend, one change at a time");
    page.mends(story);
    page.act(5, "Everybody visits the site again");
    page.timelines(&story.after, story, "after");
    page.checks(&story.after.checks);
    page.numbers(story);
    page.end(story);
    page.html
}

#[derive(Default)]
struct Page {
    html: String,
    drawings: usize,
}

impl Page {
    fn put(&mut self, text: impl Display) {
        write!(self.html, "{text}").expect("writing to a string does not fail");
    }

    fn start(&mut self) {
        self.put(head("The incident of 2017, replayed", "Twinstack replay"));
        self.put("<h1>The incident of 2017</h1>\n");
    }

    fn hero(&mut self, story: &Story) {
        let fault = if story.with_fault {
            "A large site publishes IPv6 addresses, and some of its users lose the site: their network hands out \
             IPv6 and drops it, and their client knows only one way."
        } else {
            "A large site publishes IPv6 addresses. This is the same world without its faults, for comparison."
        };
        self.put(format_args!(
            "<p>{fault} All of this happened on one machine, in {}, with real sockets and real packets between \
             network namespaces. Every number was measured, and computed again from the recorded packets.</p>\n",
            seconds(story.elapsed_seconds)
        ));
        let Some((before, after)) = story.worst() else {
            return;
        };
        self.put("<dl class=\"hero\">");
        for (when, run) in [("before", before), ("after", after)] {
            let lane = lane::lane(run);
            let class = if lane.well { "good" } else { "bad" };
            let family = run
                .family()
                .map_or("no page", |family| match family_word(family) {
                    "IPv6" => "to the page, over IPv6",
                    _ => "to the page, over IPv4",
                });
            let family = if run.answered() {
                family
            } else {
                "and no page"
            };
            self.put(format_args!(
                "<div><dt>{} client, {}, {when}</dt><dd class=\"{class}\">{}<small>{family}</small></dd></div>",
                Escaped(&capital(&run.client)),
                Escaped(&run.network),
                seconds(run.measured.elapsed_seconds)
            ));
        }
        self.put("</dl>\n");
    }

    fn act(&mut self, number: usize, title: &str) {
        self.put(format_args!(
            "<h2><span class=\"act\">{number}</span>{title}</h2>\n"
        ));
    }

    fn published(&mut self, published: &Published) {
        let name = Escaped(&published.name);
        let wrong = published
            .reverse
            .iter()
            .any(|reverse| !reverse.says(&published.name));
        let verdict = if wrong {
            "Some PTR records do not lead back: the script that wrote them left out the final dot, so the name \
             server added the name of the reverse zone."
        } else {
            "Every PTR record leads back to the name."
        };
        self.put(format_args!(
            "<p>The addresses of <code>{name}</code>, and the name that each one's reverse record (PTR) leads to. \
             {verdict}</p>\n<div class=\"scroll\"><table><thead><tr><th scope=\"col\">address</th>\
             <th scope=\"col\">its PTR says</th><th scope=\"col\"></th></tr></thead><tbody>"
        ));
        for reverse in &published.reverse {
            let (class, word) = if reverse.says(&published.name) {
                ("good", "right")
            } else {
                ("bad", "wrong")
            };
            let names = if reverse.names.is_empty() {
                "no record".to_owned()
            } else {
                reverse.names.join(" ")
            };
            self.put(format_args!(
                "<tr><td><code>{}</code></td><td class=\"names\"><code>{}</code></td><td class=\"{class}\">{word}</td></tr>",
                reverse.address,
                Escaped(&names)
            ));
        }
        self.put("</tbody></table></div>\n");
    }

    fn cast(&mut self, story: &Story) {
        self.put("<ul class=\"cast\">");
        for network in &story.networks {
            let about = match network.ipv6 {
                Ipv6::Works => "a network in which IPv6 and IPv4 both work",
                Ipv6::Dropped => {
                    "a network that hands out IPv6 addresses, answers AAAA and drops every IPv6 packet"
                }
                Ipv6::Absent => "a network that has only IPv4",
            };
            self.put(format_args!(
                "<li><b>{}</b><span>{about}</span></li>",
                Escaped(&network.name)
            ));
        }
        for client in &story.clients {
            let about = Quoting(&client.about);
            self.put(format_args!(
                "<li><b>{}</b><span>a client: {about}</span></li>",
                Escaped(&client.name)
            ));
        }
        self.put("</ul>\n");
    }

    fn checks(&mut self, checks: &[Check]) {
        self.put("<div class=\"sides\">");
        for check in checks {
            let (style, word) = verdict(check.verdict);
            let class = match style {
                Style::Good => "good",
                Style::Bad => "bad",
                _ => "warn",
            };
            self.put(format_args!(
                "<section><h3>From the {}: <span class=\"{class}\">{word}</span></h3>\
                 <p class=\"soft\"><code>{}</code> {}</p>",
                Escaped(&check.network),
                Escaped(&check.command),
                seconds(check.elapsed_seconds)
            ));
            for findings in check.kinds() {
                if let Some((first, more)) = findings.split_first() {
                    self.finding(first, more);
                }
            }
            self.put("</section>");
        }
        self.put("</div>\n");
    }

    fn finding(&mut self, finding: &Finding, more: &[&Finding]) {
        let class = match finding.severity {
            Severity::Failure => "bad",
            Severity::Warning => "warn",
            Severity::Info => "soft",
        };
        self.put(format_args!(
            "<div class=\"finding {}\"><p class=\"code {class}\">{}</p><p>{}</p><p class=\"soft\">{}</p>",
            finding.severity.as_str(),
            Escaped(finding.code.as_str()),
            Quoting(&finding.message),
            Quoting(&finding.hint)
        ));
        if !finding.evidence.is_empty() {
            self.put("<details><summary>evidence</summary><ul>");
            for evidence in &finding.evidence {
                let at = evidence
                    .at
                    .map_or_else(String::new, |at| format!(" (at {})", seconds(at)));
                self.put(format_args!(
                    "<li>{}: {}{at}</li>",
                    Quoting(&evidence.did),
                    Quoting(&evidence.saw)
                ));
            }
            self.put("</ul></details>");
        }
        if !more.is_empty() {
            self.put(format_args!(
                "<details><summary>{} more of this kind</summary><ul>",
                more.len()
            ));
            for finding in more {
                self.put(format_args!("<li>{}</li>", Quoting(&finding.message)));
            }
            self.put("</ul></details>");
        }
        self.put("</div>");
    }

    fn mends(&mut self, story: &Story) {
        self.put("<ol class=\"mends\">");
        let longest = story.mends.iter().filter_map(|mend| mend.run.as_ref());
        let axis = Axis::to(
            longest
                .map(|run| run.measured.elapsed_seconds)
                .fold(0.05, f64::max),
        );
        for mend in &story.mends {
            self.put(format_args!(
                "<li><h3>{}</h3><p>{}</p>",
                mend_title(mend.what),
                Quoting(&mend.did)
            ));
            if !mend.reverse.is_empty() {
                let right = mend
                    .reverse
                    .iter()
                    .filter(|it| it.says(&story.before.published.name))
                    .count();
                let class = if right == mend.reverse.len() {
                    "good"
                } else {
                    "bad"
                };
                self.put(format_args!(
                    "<p class=\"{class}\">{right} of {} PTR records lead back to <code>{}</code>.</p>",
                    mend.reverse.len(),
                    Escaped(&story.before.published.name)
                ));
            }
            if let Some(run) = &mend.run {
                self.put(format_args!(
                    "<h4 class=\"soft\">{}, this change alone</h4>",
                    Escaped(&run.network)
                ));
                self.lane(run, axis);
                self.axis(axis);
            }
            self.put("</li>");
        }
        self.put("</ol>\n");
    }

    /// Every number, for those who want to read instead of look.
    fn numbers(&mut self, story: &Story) {
        self.put(
            "<h2>All numbers</h2>\n<div class=\"scroll\"><table><caption>Seconds from the start of the client to \
             the first byte of the page, as the client measured them and as the recorded packets have them. \
             </caption><thead><tr><th scope=\"col\">network</th><th scope=\"col\">client</th>\
             <th scope=\"col\" class=\"n\">before</th><th scope=\"col\" class=\"n\">from packets</th>\
             <th scope=\"col\">over</th><th scope=\"col\" class=\"n\">after</th>\
             <th scope=\"col\" class=\"n\">from packets</th><th scope=\"col\">over</th></tr></thead><tbody>",
        );
        for run in &story.before.runs {
            self.put(format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td>{}{}</tr>",
                Escaped(&run.network),
                Escaped(&run.client),
                cells(Some(run)),
                cells(story.after.run(&run.network, &run.client))
            ));
        }
        self.put("</tbody></table></div>\n");
        self.put(format_args!(
            "<p class=\"soft\">{}</p>\n",
            super::agreement::of(story)
        ));
        for skipped in &story.not_run {
            self.put(format_args!(
                "<p class=\"soft\">Not run: {}: {}.</p>\n",
                Escaped(&skipped.what),
                Quoting(&skipped.why)
            ));
        }
    }

    fn end(&mut self, story: &Story) {
        let flag = if story.with_fault {
            ""
        } else {
            " --without-fault"
        };
        self.put(format_args!(
            "<footer><p>Made by <code>twinstack lab play {}{flag} --report FILE.html</code>: {} in all, seed {}. \
             The same numbers as JSON: <code>--format json</code>; the packets: <code>--trace FILE.pcapng</code>.</p>\
             </footer>\n</main>\n</body>\n</html>\n",
            Escaped(&story.replay),
            seconds(story.elapsed_seconds),
            story.seed
        ));
    }
}

/// Time, time from packets, family.
fn cells(run: Option<&Run>) -> String {
    let Some(run) = run else {
        return "<td class=\"n\">not run</td><td></td><td></td>".to_owned();
    };
    let packets = run.from_packets.as_ref().map_or_else(
        || "not seen".to_owned(),
        |packets| {
            packets
                .elapsed_seconds
                .map_or_else(|| "no byte".to_owned(), |at| format!("{at:.4}"))
        },
    );
    let family = run.family().map_or("-", family_word);
    let class = if lane::lane(run).well { "" } else { " bad" };
    let gave_up = if run.answered() { "" } else { " gave up" };
    format!(
        "<td class=\"n{class}\">{:.4}{gave_up}</td><td class=\"n\">{packets}</td><td>{family}</td>",
        run.measured.elapsed_seconds
    )
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

#[cfg(test)]
mod tests;
