//! The DNS part: what was answered, by whom, from a cache or not, and for how long it holds.
//!
//! Servers that gave the same answer share a line; those that gave another one stand out by having their own.

use crate::render::text::{Line, Style, held, width};
use crate::render::time;
use std::net::IpAddr;
use twinstack_check::Report;
use twinstack_check::options::Target;
use twinstack_check::report::Answer;
use twinstack_dns::Name;

/// Below this many columns everything stands below each other.
const SIDE_BY_SIDE: usize = 76;
/// The widest label that stands beside its answer, and beside wide ones.
const LABEL: usize = 10;
const WIDE_LABEL: usize = 16;

/// The lines of this part.
pub(super) fn lines(report: &Report, columns: usize) -> Vec<Line> {
    let target = Target::parse(&report.target).ok();
    let host = target.as_ref().and_then(|target| target.host.name());
    let groups = groups(&report.answers, host);
    if columns < SIDE_BY_SIDE {
        return groups
            .iter()
            .flat_map(|group| stacked(group, columns))
            .collect();
    }
    let limit = if columns < 96 { LABEL } else { WIDE_LABEL };
    let label = groups
        .iter()
        .map(|group| width(&group.label))
        .filter(|it| *it <= limit)
        .max();
    let data = 4 + label.unwrap_or(0);
    // Addresses on one line if they leave the servers some room; what is longer than those is broken.
    let all = || groups.iter().flat_map(|group| &group.data);
    let widest = all().map(Line::width).max().unwrap_or(0);
    let address = all()
        .filter(|it| is_address(it))
        .map(Line::width)
        .max()
        .unwrap_or(0);
    let room = columns - data;
    let who = data
        + widest
            .clamp(12, (room * 3 / 10).max(24))
            .max(address.min(room / 2))
        + 2;
    groups
        .iter()
        .flat_map(|group| {
            side_by_side(
                group,
                &Columns {
                    data,
                    who,
                    end: columns,
                },
            )
        })
        .collect()
}

/// The names that the addresses lead back to, each once.
pub(super) fn reverse_names(report: &Report) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    let reverse = report
        .answers
        .iter()
        .filter(|answer| answer.question.ends_with(" PTR"));
    for name in reverse.flat_map(|answer| &answer.data) {
        let name = name.trim_end_matches('.');
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// One answer, and everybody who gave it.
struct Group {
    /// Empty if the group before has the same question.
    label: String,
    data: Vec<Line>,
    who: Vec<Who>,
}

/// Servers of one kind that gave the same answer.
struct Who {
    names: String,
    times: String,
}

fn groups(answers: &[Answer], host: Option<&str>) -> Vec<Group> {
    let mut questions: Vec<&str> = Vec::new();
    for answer in answers {
        if !questions.contains(&answer.question.as_str()) {
            questions.push(&answer.question);
        }
    }
    let mut groups = Vec::new();
    for question in questions {
        let mut contents: Vec<(&Answer, Vec<&Answer>)> = Vec::new();
        for answer in answers.iter().filter(|answer| answer.question == question) {
            match contents.iter_mut().find(|(first, _)| same(first, answer)) {
                Some((_, givers)) => givers.push(answer),
                None => contents.push((answer, vec![answer])),
            }
        }
        for (number, (content, givers)) in contents.into_iter().enumerate() {
            let label = if number == 0 {
                label(question, host)
            } else {
                String::new()
            };
            groups.push(Group {
                label,
                data: data(content),
                who: who(&givers),
            });
        }
    }
    groups
}

/// Whether two answers say the same, in whatever order.
fn same(one: &Answer, other: &Answer) -> bool {
    let sorted = |answer: &Answer| {
        let mut data = answer.data.clone();
        data.sort_unstable();
        data
    };
    one.outcome == other.outcome && sorted(one) == sorted(other)
}

/// The type alone if the question is about the target, and an address instead of a reverse name.
fn label(question: &str, host: Option<&str>) -> String {
    let Some((name, rtype)) = question.rsplit_once(' ') else {
        return question.to_owned();
    };
    let name = name.trim_end_matches('.');
    if host.is_some_and(|host| host.eq_ignore_ascii_case(name)) {
        return rtype.to_owned();
    }
    match reverse_address(name) {
        Some(address) => format!("{address} {rtype}"),
        None if name.is_empty() => format!(". {rtype}"),
        None => format!("{name} {rtype}"),
    }
}

fn reverse_address(name: &str) -> Option<IpAddr> {
    twinstack_dns::reverse::address_of(&name.parse::<Name>().ok()?).ok()
}

fn data(answer: &Answer) -> Vec<Line> {
    let address = answer.question.ends_with(" A") || answer.question.ends_with(" AAAA");
    match answer.outcome.as_str() {
        "NOERROR" if !answer.data.is_empty() => answer.data.iter().map(Line::plain).collect(),
        "NOERROR" | "NODATA" => {
            vec![Line::styled(
                if address {
                    Style::Caution
                } else {
                    Style::Faint
                },
                "no such record",
            )]
        }
        other => vec![Line::styled(Style::Bad, format!("✗ {other}"))],
    }
}

fn is_address(data: &Line) -> bool {
    data.paint(false).parse::<IpAddr>().is_ok()
}

fn who(givers: &[&Answer]) -> Vec<Who> {
    let mut kinds: Vec<((bool, Option<bool>), Vec<&Answer>)> = Vec::new();
    for answer in givers {
        let kind = (
            answer.authoritative,
            answer.cached.filter(|_| !answer.authoritative),
        );
        match kinds.iter_mut().find(|(there, _)| *there == kind) {
            Some((_, answers)) => answers.push(answer),
            None => kinds.push((kind, vec![answer])),
        }
    }
    kinds.sort_by_key(|((authoritative, _), _)| !authoritative);
    kinds
        .into_iter()
        .map(|((authoritative, cached), answers)| {
            let kind = match (authoritative, cached) {
                (true, _) => "authoritative: ",
                (false, Some(true)) => "from cache: ",
                (false, Some(false)) => "fresh: ",
                (false, None) => "",
            };
            Who {
                names: format!("{kind}{}", server_names(&answers)),
                times: times(&answers),
            }
        })
        .collect()
}

/// Each server once. The address matters only where something went wrong.
fn server_names(answers: &[&Answer]) -> String {
    let mut names: Vec<String> = Vec::new();
    for answer in answers {
        let worked = matches!(answer.outcome.as_str(), "NOERROR" | "NODATA");
        let name = match answer.server.rsplit_once(' ') {
            Some((name, address))
                if worked && name.contains('.') && address.parse::<IpAddr>().is_ok() =>
            {
                name.to_owned()
            }
            _ if worked || answer.transport == "https" => answer.server.clone(),
            _ => format!("{} over {}", answer.server, answer.transport.to_uppercase()),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.join(", ")
}

fn times(answers: &[&Answer]) -> String {
    let mut elapsed: Vec<f64> = answers
        .iter()
        .map(|answer| answer.elapsed_seconds)
        .collect();
    elapsed.sort_by(f64::total_cmp);
    let median = elapsed.get(elapsed.len() / 2).copied().unwrap_or(0.0);
    let ttls = answers.iter().filter_map(|answer| answer.ttl_seconds);
    let ttl = match (ttls.clone().min(), ttls.max()) {
        (Some(low), Some(high)) if low == high => held(format!("TTL {low},")) + " ",
        (Some(low), Some(high)) => held(format!("TTL {low}-{high},")) + " ",
        _ => String::new(),
    };
    ttl + &held(time(median))
}

struct Columns {
    data: usize,
    who: usize,
    end: usize,
}

fn side_by_side(group: &Group, columns: &Columns) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut left: Vec<Line> = group
        .data
        .iter()
        .flat_map(|data| data.wrap(columns.who - columns.data - 2, 2))
        .collect();
    let mut label = Line::plain("  ").with(Style::Quote, &group.label);
    if width(&group.label) > columns.data - 4 {
        lines.extend(std::mem::take(&mut label).wrap(columns.end, 4));
    }
    let right = group.who.iter().flat_map(|who| {
        let line = Line::styled(Style::Faint, format!("{}, {}", who.names, who.times));
        line.wrap(columns.end - columns.who, 2)
    });
    let right: Vec<Line> = right.collect();
    left.resize_with(left.len().max(right.len()), Line::default);
    for (number, data) in left.into_iter().enumerate() {
        let mut line = if number == 0 {
            std::mem::take(&mut label)
        } else {
            Line::default()
        };
        line.pad_to(columns.data);
        line.append(data);
        if let Some(who) = right.get(number) {
            line.pad_to(columns.who);
            line.append(who.clone());
        }
        lines.push(line);
    }
    lines
}

fn stacked(group: &Group, columns: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    if !group.label.is_empty() {
        lines.extend(
            Line::plain("  ")
                .with(Style::Quote, &group.label)
                .wrap(columns, 4),
        );
    }
    for data in &group.data {
        let mut line = Line::plain("    ");
        line.append(data.clone());
        lines.extend(line.wrap(columns, 6));
    }
    for who in &group.who {
        let text = format!("{}, {}", who.names, who.times);
        lines.extend(
            Line::plain("      ")
                .with(Style::Faint, text)
                .wrap(columns, 8),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_as_short_as_they_can_be() {
        let check = |question, expected: &str| {
            assert_eq!(
                label(question, Some("www.lab.test")),
                expected,
                "{question}"
            );
        };
        check("www.lab.test AAAA", "AAAA");
        check("WWW.lab.test. AAAA", "AAAA");
        check("lab.test NS", "lab.test NS");
        check("80.100.51.198.in-addr.arpa PTR", "198.51.100.80 PTR");
        check(". SOA", ". SOA");
        check("strange", "strange");
    }
}
