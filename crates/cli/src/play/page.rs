//! The replay as one page: no script, nothing from elsewhere, good on a phone and in the dark.

mod lane;
mod markup;
mod timeline;

use super::story::{Check, Ipv6, Published, Round, Run, Story, family_word};
use super::text::{mend_title, seconds, verdict};
use crate::render::text::Style;
use markup::{Escaped, Quoting};
use std::fmt::{Display, Write as _};
use timeline::Axis;
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
    page.published(&story.after.published);
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
        self.put(concat!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
            "<meta name=\"generator\" content=\"twinstack ",
            env!("CARGO_PKG_VERSION"),
            "\">\n<title>The incident of 2017, replayed</title>\n<style>\n",
            include_str!("page/style.css"),
            "</style>\n</head>\n<body>\n",
            // Hatching for attempts that came to nothing. Not `display: none`: patterns in there do not draw.
            "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>",
            "<pattern id=\"lost-v6\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" ",
            "patternTransform=\"rotate(45)\"><line class=\"h6\" y2=\"6\" stroke-width=\"4\"/></pattern>",
            "<pattern id=\"lost-v4\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" ",
            "patternTransform=\"rotate(45)\"><line class=\"h4\" y2=\"6\" stroke-width=\"4\"/></pattern>",
            "</defs></svg>\n<main>\n<p class=\"eyebrow\">Twinstack replay</p>\n",
            "<h1>The incident of 2017</h1>\n",
        ));
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

    /// The whole of a round, and, when somebody hung, its beginning enlarged.
    fn timelines(&mut self, round: &Round, story: &Story, when: &str) {
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

    fn axis(&mut self, axis: Axis) {
        self.put(format_args!(
            "<div class=\"row axisrow\"><span></span>{}<span></span></div>",
            axis.draw()
        ));
    }

    fn lane(&mut self, run: &Run, axis: Axis) {
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
        let sample = |inside: &str, text: &str| {
            format!(
                "<li><svg width=\"22\" height=\"12\" aria-hidden=\"true\">{inside}</svg>{text}</li>"
            )
        };
        let rect = |class: &str| format!("<rect class=\"{class}\" width=\"22\" height=\"12\"/>");
        let items = [
            sample(&rect("dns"), "DNS"),
            sample(&rect("v6"), "connecting over IPv6"),
            sample(&rect("v4"), "over IPv4"),
            sample(&rect("v6 open"), "request and answer"),
            sample(&rect("v6 lost"), "no answer"),
            sample(
                "<g class=\"repeat\"><path d=\"M7 2H15L11 9Z\"/></g>",
                "SYN sent again",
            ),
            sample(
                "<g class=\"stop\"><path d=\"M7 2L15 10M7 10L15 2\"/></g>",
                "given up",
            ),
            sample(
                "<g class=\"byte\"><line x1=\"11\" x2=\"11\" y2=\"12\"/><path d=\"M6 0H16L11 7Z\"/></g>",
                "first byte of the page",
            ),
        ];
        self.put(format_args!(
            "<ul class=\"legend\">{}</ul>\n",
            items.concat()
        ));
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
mod tests {
    use super::super::story::samples;
    use super::*;

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let page = render(&samples::story());
        for outside in [
            "<script", "<link", "src=", "@import", "https://", "//cdn", "<iframe", "<img",
        ] {
            assert!(!page.contains(outside), "{outside}");
        }
        // The only URLs inside are references to the page's own patterns.
        assert!(page.matches("url(").count() == page.matches("url(#lost-").count());
    }

    #[test]
    fn every_tag_that_opens_closes() {
        let page = render(&samples::story());
        for tag in [
            "svg", "g", "figure", "div", "section", "table", "tbody", "tr", "td", "li", "ul", "ol",
            "details", "p", "code", "main", "body", "html",
        ] {
            let opened = page.matches(&format!("<{tag}>")).count()
                + page.matches(&format!("<{tag} ")).count();
            assert_eq!(
                opened,
                page.matches(&format!("</{tag}>")).count(),
                "<{tag}>"
            );
        }
    }

    #[test]
    fn ids_are_unique_and_every_reference_has_its_target() {
        let page = render(&samples::story());
        let ids: Vec<&str> = page
            .split(" id=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(ids.len(), unique.len());
        for labels in page
            .split("aria-labelledby=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            assert!(
                labels.split(' ').all(|label| unique.contains(&label)),
                "{labels}"
            );
        }
    }

    #[test]
    fn names_from_the_network_are_escaped() {
        let mut story = samples::story();
        story.before.published.reverse[0].names = vec!["<b>evil</b>".into()];
        let page = render(&story);
        assert!(page.contains("&lt;b&gt;evil") && !page.contains("<b>evil"));
    }

    #[test]
    fn without_a_wait_there_is_no_figure_of_one() {
        let mut story = samples::story();
        assert!(render(&story).contains("One visitor waits"));
        story.before.runs = story.after.runs.clone();
        let page = render(&story);
        assert!(!page.contains("visitor waits"), "{page}");
        assert!(page.contains("All visits before the mend"));
    }
}
