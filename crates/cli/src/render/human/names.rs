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
/// Characters of one record that are shown.
const LONGEST: usize = 160;
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

/// Records that people look for, in the order in which they do. What only served to find the zone's servers stays in
/// the JSON.
const TYPES: [&str; 6] = ["AAAA", "A", "HTTPS", "MX", "TXT", "CNAME"];

/// The questions to show: about the target, and about the names that its MX and CNAME records lead to.
fn questions<'a>(answers: &'a [Answer], host: Option<&str>) -> Vec<&'a str> {
    let mut names: Vec<String> = host.into_iter().map(str::to_ascii_lowercase).collect();
    let asked = || {
        let questions = answers.iter().map(|answer| answer.question.as_str());
        questions.filter_map(|question| Some(question.rsplit_once(' ')?.0))
    };
    // Of a short name the search list made a longer one.
    if let Some(short) = host.filter(|host| !asked().any(|name| name == *host)) {
        let longer = format!("{short}.");
        let longer = asked().filter(|name| name.starts_with(&longer));
        names.extend(longer.map(str::to_ascii_lowercase));
    }
    let leads_on = |it: &&Answer| it.question.ends_with(" MX") || it.question.ends_with(" CNAME");
    for answer in answers.iter().filter(leads_on) {
        let targets = answer
            .data
            .iter()
            .filter_map(|data| data.rsplit(' ').next());
        names.extend(targets.map(|it| it.trim_end_matches('.').to_ascii_lowercase()));
    }
    let place = |question: &str| {
        let (name, rtype) = question.rsplit_once(' ')?;
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let name = names.iter().position(|it| *it == name)?;
        Some((name, TYPES.iter().position(|it| *it == rtype)?))
    };
    let mut places: Vec<((usize, usize), &str)> = answers
        .iter()
        .filter_map(|it| Some((place(&it.question)?, it.question.as_str())))
        .collect();
    places.sort_unstable();
    places.dedup_by_key(|(place, _)| *place);
    places.into_iter().map(|(_, question)| question).collect()
}

fn groups(answers: &[Answer], host: Option<&str>) -> Vec<Group> {
    let mut groups = Vec::new();
    for question in questions(answers, host) {
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
    groups.extend(reverse(answers));
    groups
}

/// Addresses that lead back to the same name share a line.
fn reverse(answers: &[Answer]) -> Vec<Group> {
    let mut contents: Vec<(&Answer, Vec<IpAddr>)> = Vec::new();
    for answer in answers {
        let Some(name) = answer.question.strip_suffix(" PTR") else {
            continue;
        };
        let Some(address) = reverse_address(name) else {
            continue;
        };
        match contents.iter_mut().find(|(first, _)| same(first, answer)) {
            Some((_, addresses)) if addresses.contains(&address) => {}
            Some((_, addresses)) => addresses.push(address),
            None => contents.push((answer, vec![address])),
        }
    }
    let group = |(number, (content, mut addresses)): (usize, (&Answer, Vec<IpAddr>))| {
        addresses.sort_by_key(|address| (address.is_ipv4(), *address));
        let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
        let label = if number == 0 {
            "PTR".to_owned()
        } else {
            String::new()
        };
        let who = Who {
            names: format!("of {}", addresses.join(", ")),
            times: String::new(),
        };
        Group {
            label,
            data: data(content),
            who: vec![who],
        }
    };
    contents.into_iter().enumerate().map(group).collect()
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

/// The type alone if the question is about the target.
fn label(question: &str, host: Option<&str>) -> String {
    let Some((name, rtype)) = question.rsplit_once(' ') else {
        return question.to_owned();
    };
    let name = name.trim_end_matches('.');
    if host.is_some_and(|host| host.eq_ignore_ascii_case(name)) {
        return rtype.to_owned();
    }
    format!("{name} {rtype}")
}

fn reverse_address(name: &str) -> Option<IpAddr> {
    twinstack_dns::reverse::address_of(&name.parse::<Name>().ok()?).ok()
}

/// Who gave an answer, and what its TTL and time were.
fn said(who: &Who) -> String {
    match who.times.as_str() {
        "" => who.names.clone(),
        times => format!("{}, {times}", who.names),
    }
}

fn data(answer: &Answer) -> Vec<Line> {
    let address = answer.question.ends_with(" A") || answer.question.ends_with(" AAAA");
    match answer.outcome.as_str() {
        "NOERROR" if !answer.data.is_empty() => answer
            .data
            .iter()
            .map(|it| Line::plain(shortened(it)))
            .collect(),
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

/// A long TXT record would push everything else off the screen.
fn shortened(data: &str) -> String {
    match data.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} ...", data.get(..end).unwrap_or(data)),
        None => data.to_owned(),
    }
}

fn is_address(data: &Line) -> bool {
    data.paint(false).parse::<IpAddr>().is_ok()
}

/// Authoritative; from a cache, unless authoritative or not known.
type Kind = (bool, Option<bool>);

fn who(givers: &[&Answer]) -> Vec<Who> {
    let mut kinds: Vec<(Kind, Vec<&Answer>)> = Vec::new();
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
    let resolvers: Option<Vec<&str>> = names
        .iter()
        .map(|name| name.strip_prefix("resolver "))
        .collect();
    match resolvers {
        Some(several) if several.len() > 1 => format!("resolvers {}", several.join(", ")),
        _ => names.join(", "),
    }
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
        let line = Line::styled(Style::Faint, said(who));
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
        lines.extend(
            Line::plain("      ")
                .with(Style::Faint, said(who))
                .wrap(columns, 8),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_those_that_a_person_would_ask() {
        let answer = |question: &str, data: &str| Answer {
            vantage: "here".to_owned(),
            server: "resolver 192.0.2.53".to_owned(),
            authoritative: false,
            cached: None,
            transport: "udp".to_owned(),
            question: question.to_owned(),
            outcome: "NOERROR".to_owned(),
            data: vec![data.to_owned()],
            ttl_seconds: Some(300),
            elapsed_seconds: 0.001,
        };
        let answers = [
            answer(
                "lab.test SOA",
                "ns1.lab.test. hostmaster.lab.test. 7 3600 600 86400 300",
            ),
            answer("mail.lab.test A", "198.51.100.25"),
            answer("lab.test MX", "10 mail.lab.test."),
            answer("ns1.lab.test AAAA", "2e00:5::53"),
            answer("mail.lab.test AAAA", "2e00:5::25"),
            answer("lab.test MX", "10 mail.lab.test."),
        ];
        assert_eq!(
            questions(&answers, Some("lab.test")),
            ["lab.test MX", "mail.lab.test AAAA", "mail.lab.test A"]
        );
    }

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
        check("mail.lab.test. AAAA", "mail.lab.test AAAA");
        check("strange", "strange");
    }
}
