//! One event.

use super::head::{Draft, alpns, network};
use super::scan::{ParseError, Problem, Scan, Word};
use super::{Line, Said};
use crate::answer::{
    Answer, AnswerData, QueryError, QueryErrorKind, QueryId, QueryType, ServiceRecord,
};
use crate::endpoint::Ech;
use crate::input::{AttemptError, AttemptErrorKind, AttemptId, Input};
use crate::name::Name;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

pub(super) fn parse(scan: &mut Scan<'_>, draft: &Draft) -> Result<Line, ParseError> {
    let time = scan.word("a time")?;
    let number = time.text.strip_prefix('+').unwrap_or(time.text);
    let at = Word {
        text: number,
        column: time.column + 1,
        ..time
    }
    .millis()?;
    if draft.lines.last().is_some_and(|before| before.at > at) {
        return Err(time.error(Problem::TimeGoesBack));
    }
    let before = scan.rest();
    let verb = scan.word("what happened")?;
    let input = match verb.text {
        "answer" => {
            let query = query_id(scan)?;
            Input::Answer {
                query,
                answer: answer(scan, query, draft)?,
            }
        }
        "changed" => {
            let query = query_id(scan)?;
            Input::Changed {
                query,
                answer: answer(scan, query, draft)?,
            }
        }
        "query-failed" => {
            let query = query_id(scan)?;
            let kind = query_error(scan.word("the kind of failure")?)?;
            Input::QueryFailed {
                query,
                error: QueryError::new(kind, &scan.quoted()?),
            }
        }
        "expired" => Input::Expired {
            query: query_id(scan)?,
        },
        "progress" => Input::Progress {
            attempt: attempt_id(scan)?,
        },
        "succeeded" => Input::Succeeded {
            attempt: attempt_id(scan)?,
        },
        "failed" => {
            let attempt = attempt_id(scan)?;
            let kind = attempt_error(scan.word("the kind of failure")?)?;
            Input::Failed {
                attempt,
                error: AttemptError::new(kind, &scan.quoted()?),
            }
        }
        "ech-rejected" => {
            let attempt = attempt_id(scan)?;
            let retry = match scan.next() {
                None => None,
                Some(word) => match word.key() {
                    ("retry", Some(value)) => Some(Ech::new(&value.hex()?)),
                    _ => return Err(word.unknown("`retry=`")),
                },
            };
            Input::EchRejected { attempt, retry }
        }
        "network" => Input::Network(network(scan)?),
        _ => {
            output(verb, scan)?;
            let words: Vec<&str> = before.split_whitespace().collect();
            let what = Said::Out(words.join(" ").into());
            return Ok(Line {
                number: scan.line(),
                at,
                what,
            });
        }
    };
    scan.end()?;
    Ok(Line {
        number: scan.line(),
        at,
        what: Said::In(input),
    })
}

/// Looks at the words of an output up to where it may stop.
fn output(verb: Word<'_>, scan: &mut Scan<'_>) -> Result<(), ParseError> {
    match verb.text {
        "query" => {
            query_id(scan)?;
            if let Some(word) = scan.next() {
                query_type(word).ok_or_else(|| word.unknown("a record type"))?;
            }
        }
        "cancel-query" => {
            query_id(scan)?;
            scan.end()?;
        }
        "attempt" => {
            attempt_id(scan)?;
            if let Some(word) = scan.next() {
                word.parse::<SocketAddr>("an address with a port")?;
            }
        }
        "cancel-attempt" => {
            attempt_id(scan)?;
        }
        "finished" => {
            let word = scan.word("`connected` or `failed`")?;
            if !matches!(word.text, "connected" | "failed") {
                return Err(word.unknown("`connected` or `failed`"));
            }
        }
        _ => return Err(verb.unknown("something that happens in a race")),
    }
    Ok(())
}

fn query_id(scan: &mut Scan<'_>) -> Result<QueryId, ParseError> {
    Ok(QueryId(
        scan.word("the number of a question")?
            .parse("the number of a question")?,
    ))
}

fn attempt_id(scan: &mut Scan<'_>) -> Result<AttemptId, ParseError> {
    Ok(AttemptId(
        scan.word("the number of an attempt")?
            .parse("the number of an attempt")?,
    ))
}

fn query_type(word: Word<'_>) -> Option<QueryType> {
    match word.text {
        "HTTPS" => Some(QueryType::Https),
        "SVCB" => Some(QueryType::Svcb),
        "AAAA" => Some(QueryType::Aaaa),
        "A" => Some(QueryType::A),
        _ => None,
    }
}

/// The type of a question that an earlier line asks.
fn asked(query: QueryId, draft: &Draft) -> Option<QueryType> {
    draft.lines.iter().find_map(|line| {
        let Said::Out(said) = &line.what else {
            return None;
        };
        let mut scan = Scan::new(line.number, said);
        let verb = scan.next()?;
        let id = scan.next()?.text.parse().map(QueryId).ok()?;
        let kind = query_type(scan.next()?)?;
        (verb.text == "query" && id == query).then_some(kind)
    })
}

fn answer(scan: &mut Scan<'_>, query: QueryId, draft: &Draft) -> Result<Answer, ParseError> {
    let mut kind = asked(query, draft);
    if let Some(word) = scan.peek()
        && let Some(said) = query_type(word)
    {
        scan.next();
        if kind.is_some_and(|kind| kind != said) {
            return Err(word.error(Problem::OtherType));
        }
        kind = Some(said);
    }
    let is_service = kind.is_some_and(QueryType::is_service);
    let first = scan.word("records, `empty`, `nodata` or `nxdomain`")?;
    let data = match first.text {
        "nodata" => AnswerData::NoData,
        "nxdomain" => AnswerData::NxDomain,
        "empty" if is_service => AnswerData::Services(Vec::new().into()),
        "empty" => AnswerData::Addresses(Vec::new().into()),
        _ if is_service => services(first, scan)?,
        _ => addresses(first, scan)?,
    };
    let mut answer = Answer::new(data);
    while let Some(word) = scan.next() {
        match word.key() {
            ("ttl", Some(value)) => answer.ttl = Some(seconds(value)?),
            ("stale", None) => answer.stale = true,
            ("protected", None) => answer.protected = true,
            _ => return Err(word.unknown("`ttl=`, `stale` or `protected`")),
        }
    }
    Ok(answer)
}

/// Seconds, with decimals.
fn seconds(word: Word<'_>) -> Result<Duration, ParseError> {
    let wanted = "a number of seconds";
    let (whole, fraction) = word.text.split_once('.').unwrap_or((word.text, ""));
    let seconds = whole.parse().map_err(|_| word.unknown(wanted))?;
    let mut nanos = 0;
    if !fraction.is_empty() {
        let value: u32 = fraction.parse().map_err(|_| word.unknown(wanted))?;
        let missing = u32::try_from(fraction.len())
            .ok()
            .and_then(|length| 9_u32.checked_sub(length));
        let missing = missing.ok_or_else(|| word.unknown(wanted))?;
        nanos = value * 10_u32.pow(missing);
    }
    Ok(Duration::new(seconds, nanos))
}

fn addresses(first: Word<'_>, scan: &mut Scan<'_>) -> Result<AnswerData, ParseError> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    addresses.push(first.parse("an address")?);
    while let Some(word) = scan.peek()
        && let Ok(address) = word.text.parse()
    {
        addresses.push(address);
        scan.next();
    }
    Ok(AnswerData::Addresses(addresses.into()))
}

fn services(first: Word<'_>, scan: &mut Scan<'_>) -> Result<AnswerData, ParseError> {
    let mut records = Vec::new();
    let mut priority = first;
    loop {
        let number = priority.parse("the priority of a service record")?;
        let word = scan.word("the target name of a service record, or `.`")?;
        let target = match word.text {
            "." => None,
            text => Some(Name::new(text).map_err(|error| word.error(Problem::Name(error)))?),
        };
        let mut record = ServiceRecord::new(number, target);
        let mut more = false;
        while let Some(word) = scan.next() {
            if word.text == "|" {
                more = true;
                break;
            }
            parameter(&mut record, word)?;
        }
        records.push(record);
        // Behind the last bar stands what holds for the whole answer.
        match scan.peek() {
            Some(next) if more && next.text.bytes().all(|byte| byte.is_ascii_digit()) => {
                priority = scan.word("a priority")?;
            }
            _ => return Ok(AnswerData::Services(records.into())),
        }
    }
}

fn parameter(record: &mut ServiceRecord, word: Word<'_>) -> Result<(), ParseError> {
    match word.key() {
        ("no-default-alpn", None) => record.no_default_alpn = true,
        ("alpn", Some(value)) => record.alpn = Some(alpns(value)?.to_vec()),
        ("port", Some(value)) => record.port = Some(value.parse("a port")?),
        ("ipv4hint", Some(value)) => record.ipv4_hints = all(value, "an IPv4 address")?,
        ("ipv6hint", Some(value)) => record.ipv6_hints = all(value, "an IPv6 address")?,
        ("mandatory", Some(value)) => record.mandatory = all(value, "the number of a parameter")?,
        ("ech", Some(value)) => record.ech = Some(Ech::new(&value.hex()?)),
        _ => return Err(word.unknown("a parameter of a service record, or `|`")),
    }
    Ok(())
}

fn all<T: core::str::FromStr>(word: Word<'_>, wanted: &'static str) -> Result<Vec<T>, ParseError> {
    word.list().map(|word| word.parse(wanted)).collect()
}

fn query_error(word: Word<'_>) -> Result<QueryErrorKind, ParseError> {
    let kinds = [
        QueryErrorKind::TimedOut,
        QueryErrorKind::ServerFailure,
        QueryErrorKind::Refused,
        QueryErrorKind::Malformed,
        QueryErrorKind::Resolver,
        QueryErrorKind::Other,
    ];
    let found = kinds
        .into_iter()
        .find(|kind| alloc::format!("{kind}") == word.text);
    found.ok_or_else(|| word.unknown("a kind of failure of a question"))
}

fn attempt_error(word: Word<'_>) -> Result<AttemptErrorKind, ParseError> {
    let kinds = [
        AttemptErrorKind::Refused,
        AttemptErrorKind::Unreachable,
        AttemptErrorKind::TimedOut,
        AttemptErrorKind::Reset,
        AttemptErrorKind::Handshake,
        AttemptErrorKind::Rejected,
        AttemptErrorKind::Ech,
        AttemptErrorKind::Local,
        AttemptErrorKind::Other,
    ];
    let found = kinds
        .into_iter()
        .find(|kind| alloc::format!("{kind}") == word.text);
    found.ok_or_else(|| word.unknown("a kind of failure of an attempt"))
}

/// For messages: an output as one line.
pub(super) fn said(output: &crate::output::Output) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _written = super::print::write_output(&mut text, output);
    text
}
