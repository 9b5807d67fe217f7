//! A race, written down.

use super::print_head::{write_config, write_fact, write_network, write_target};
use super::words::{Hex, List, Millis, Seconds};
use crate::answer::{Answer, AnswerData, Purpose, QueryError, QueryType, ServiceRecord};
use crate::endpoint::Endpoint;
use crate::events::What;
use crate::input::{AttemptError, Input};
use crate::name::Name;
use crate::output::{CancelReason, Cause, Outcome, Output};
use crate::race::Race;
use alloc::string::String;
use core::fmt::{self, Write};

/// Writes `race` down, so that [`parse`](super::parse) reads it and [`replay`](super::Recording::replay) runs it again.
pub fn print(race: &Race) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _written = write_race(&mut text, race);
    text
}

fn write_race(out: &mut String, race: &Race) -> fmt::Result {
    write_target(out, race.target())?;
    write_config(out, race.config())?;
    // What the race has learned of the network is not what it was told.
    let first_network = race.given_network();
    write!(out, "network")?;
    write_network(out, first_network)?;
    writeln!(out)?;
    if race.seed() != 0 {
        writeln!(out, "seed {}", race.seed())?;
    }
    for fact in race.facts() {
        write_fact(out, fact)?;
    }
    for event in race.events() {
        write!(out, "+{} ", Millis(event.at - race.began()))?;
        match &event.what {
            What::In(input) => write_input(out, input, race)?,
            What::Out(output) => write_output(out, output)?,
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_input(out: &mut String, input: &Input, race: &Race) -> fmt::Result {
    match input {
        Input::Answer { query, answer } => {
            write!(out, "answer {query}")?;
            write_answer(out, answer, race.query_type(*query))
        }
        Input::Changed { query, answer } => {
            write!(out, "changed {query}")?;
            write_answer(out, answer, race.query_type(*query))
        }
        Input::QueryFailed { query, error } => {
            write!(out, "query-failed {query}")?;
            write_query_error(out, error)
        }
        Input::Expired { query } => write!(out, "expired {query}"),
        Input::Progress { attempt } => write!(out, "progress {attempt}"),
        Input::Succeeded { attempt } => write!(out, "succeeded {attempt}"),
        Input::Failed { attempt, error } => {
            write!(out, "failed {attempt}")?;
            write_attempt_error(out, error)
        }
        Input::EchRejected { attempt, retry } => {
            write!(out, "ech-rejected {attempt}")?;
            match retry {
                Some(ech) => write!(out, " retry={}", Hex(ech)),
                None => Ok(()),
            }
        }
        Input::Network(network) => {
            write!(out, "network")?;
            write_network(out, network)
        }
    }
}

fn write_query_error(out: &mut String, error: &QueryError) -> fmt::Result {
    write!(out, " {}", error.kind)?;
    write_quoted(out, &error.text)
}

fn write_attempt_error(out: &mut String, error: &AttemptError) -> fmt::Result {
    write!(out, " {}", error.kind)?;
    write_quoted(out, &error.text)
}

fn write_quoted(out: &mut String, text: &str) -> fmt::Result {
    if text.is_empty() {
        return Ok(());
    }
    write!(out, " \"")?;
    for letter in text.chars() {
        match letter {
            '"' | '\\' => write!(out, "\\{letter}")?,
            '\n' => write!(out, "\\n")?,
            '\r' => write!(out, "\\r")?,
            '\t' => write!(out, "\\t")?,
            _ => write!(out, "{letter}")?,
        }
    }
    write!(out, "\"")
}

fn write_answer(out: &mut String, answer: &Answer, kind: Option<QueryType>) -> fmt::Result {
    if let Some(kind) = kind {
        write!(out, " {kind}")?;
    }
    match &answer.data {
        AnswerData::Addresses(addresses) if addresses.is_empty() => write!(out, " empty")?,
        AnswerData::Services(records) if records.is_empty() => write!(out, " empty")?,
        AnswerData::NoData => write!(out, " nodata")?,
        AnswerData::NxDomain => write!(out, " nxdomain")?,
        AnswerData::Addresses(addresses) => {
            for address in addresses.iter() {
                write!(out, " {address}")?;
            }
        }
        AnswerData::Services(records) => {
            for (index, record) in records.iter().enumerate() {
                if index > 0 {
                    write!(out, " |")?;
                }
                write_service(out, record)?;
            }
            if answer.ttl.is_some() || answer.stale || answer.protected {
                write!(out, " |")?;
            }
        }
    }
    if let Some(ttl) = answer.ttl {
        write!(out, " ttl={}", Seconds(ttl))?;
    }
    if answer.stale {
        write!(out, " stale")?;
    }
    if answer.protected {
        write!(out, " protected")?;
    }
    Ok(())
}

fn write_service(out: &mut String, record: &ServiceRecord) -> fmt::Result {
    write!(out, " {} ", record.priority)?;
    match &record.target {
        Some(name) => write!(out, "{name}")?,
        None => write!(out, ".")?,
    }
    if let Some(alpn) = &record.alpn {
        write!(out, " alpn={}", List(alpn))?;
    }
    if record.no_default_alpn {
        write!(out, " no-default-alpn")?;
    }
    if let Some(port) = record.port {
        write!(out, " port={port}")?;
    }
    if !record.ipv4_hints.is_empty() {
        write!(out, " ipv4hint={}", List(&record.ipv4_hints))?;
    }
    if !record.ipv6_hints.is_empty() {
        write!(out, " ipv6hint={}", List(&record.ipv6_hints))?;
    }
    if let Some(ech) = &record.ech {
        write!(out, " ech={}", Hex(ech))?;
    }
    if !record.mandatory.is_empty() {
        write!(out, " mandatory={}", List(&record.mandatory))?;
    }
    Ok(())
}

pub(super) fn write_output(out: &mut String, output: &Output) -> fmt::Result {
    match output {
        Output::Query {
            id,
            name,
            kind,
            purpose,
        } => {
            write!(out, "query {id} {kind} {name}")?;
            match purpose {
                Purpose::First => Ok(()),
                Purpose::Refresh => write!(out, " refresh"),
                Purpose::Prefix64 => write!(out, " prefix64"),
            }
        }
        Output::CancelQuery { id } => write!(out, "cancel-query {id}"),
        Output::Attempt {
            id,
            endpoint,
            cause,
            order,
        } => {
            write!(out, "attempt {id} ")?;
            write_endpoint(out, endpoint)?;
            write!(out, " because ")?;
            write_cause(out, *cause)?;
            write!(out, ": {order}")
        }
        Output::CancelAttempt { id, why } => {
            write!(out, "cancel-attempt {id} because ")?;
            match why {
                CancelReason::Lost { to } => write!(out, "lost to {to}"),
                CancelReason::Deadline => write!(out, "deadline"),
                CancelReason::OverallDeadline => write!(out, "overall deadline"),
                CancelReason::Replaced => write!(out, "replaced"),
                CancelReason::NetworkChange => write!(out, "network change"),
                CancelReason::Abandoned => write!(out, "abandoned"),
            }
        }
        Output::Finished(Outcome::Connected { attempt }) => {
            write!(out, "finished connected {attempt}")
        }
        Output::Finished(Outcome::Failed(failure)) => {
            write!(out, "finished failed {}", failure.reason)
        }
    }
}

fn write_endpoint(out: &mut String, endpoint: &Endpoint) -> fmt::Result {
    write!(out, "{} {}", endpoint.address, endpoint.protocol)?;
    if !endpoint.alpn.is_empty() {
        write!(out, " alpn={}", List(&endpoint.alpn))?;
    }
    if let Some(ech) = &endpoint.ech {
        write!(out, " ech={}", Hex(ech))?;
    }
    if let Some(translated) = &endpoint.translated {
        write!(out, " for={translated}")?;
    }
    if let Some(name) = endpoint.name.as_ref().map(Name::as_str) {
        write!(out, " name={name}")?;
    }
    Ok(())
}

fn write_cause(out: &mut String, cause: Cause) -> fmt::Result {
    match cause {
        Cause::First => write!(out, "first"),
        Cause::ResolutionDelay => write!(out, "resolution delay"),
        Cause::Delay { after } => write!(out, "delay {}", Millis(after)),
        Cause::Failure { attempt } => write!(out, "{attempt} failed"),
        Cause::NewAddress => write!(out, "new address"),
        Cause::Hurry => write!(out, "hurry"),
        Cause::EchRetry { attempt } => write!(out, "{attempt} rejected ech"),
    }
}
