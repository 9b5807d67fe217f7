//! A race, written down.

use crate::answer::{Answer, AnswerData, QueryType, ServiceRecord};
use crate::answer::{Purpose, QueryError};
use crate::config::{Config, EchUse, ProtocolOrder};
use crate::endpoint::{Ech, Endpoint};
use crate::events::What;
use crate::input::{AttemptError, Input};
use crate::knowledge::Fact;
use crate::name::Name;
use crate::network::{Family, Network};
use crate::output::{CancelReason, Cause, Outcome, Output};
use crate::race::Race;
use crate::rfc6724::{Interface, Mobility, PolicyTable, Source};
use crate::target::{Host, Service, Target};
use alloc::string::String;
use core::fmt::{self, Display, Write};
use core::time::Duration;

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

fn write_target(out: &mut String, target: &Target) -> fmt::Result {
    write!(out, "target ")?;
    match &target.host {
        Host::Name(name) => write!(out, "{name}")?,
        Host::Address { address, scope: 0 } => write!(out, "{address}")?,
        Host::Address { address, scope } => write!(out, "{address}%{scope}")?,
    }
    write!(out, " {}", target.port)?;
    for offer in &target.offers {
        write!(out, " {}", offer.protocol)?;
        if !offer.alpn.is_empty() {
            write!(out, ":{}", List(&offer.alpn))?;
        }
        if offer.needs_record {
            write!(out, "?")?;
        }
    }
    match &target.service {
        Service::None => {}
        Service::Https => write!(out, " service=https")?,
        Service::Svcb {
            scheme,
            default_port,
            default_alpn,
        } => {
            write!(out, " service=svcb:{scheme}:{default_port}")?;
            if !default_alpn.is_empty() {
                write!(out, ":{}", List(default_alpn))?;
            }
        }
    }
    writeln!(out)
}

/// Only what is not as it is by default.
fn write_config(out: &mut String, config: &Config) -> fmt::Result {
    let usual = Config::default();
    let mut line = String::new();
    for (key, value, default) in [
        (
            "resolution-delay",
            config.resolution_delay,
            usual.resolution_delay,
        ),
        ("attempt-delay", config.attempt_delay, usual.attempt_delay),
        (
            "minimum-attempt-delay",
            config.minimum_attempt_delay,
            usual.minimum_attempt_delay,
        ),
        (
            "maximum-attempt-delay",
            config.maximum_attempt_delay,
            usual.maximum_attempt_delay,
        ),
        ("replace-after", config.replace_after, usual.replace_after),
        ("linger", config.linger, usual.linger),
    ] {
        if value != default {
            write!(line, " {key}={}", Millis(value))?;
        }
    }
    for (key, value, default) in [
        (
            "query-deadline",
            config.query_deadline,
            usual.query_deadline,
        ),
        (
            "attempt-deadline",
            config.attempt_deadline,
            usual.attempt_deadline,
        ),
        (
            "overall-deadline",
            config.overall_deadline,
            usual.overall_deadline,
        ),
    ] {
        match value {
            _ if value == default => {}
            Some(value) => write!(line, " {key}={}", Millis(value))?,
            None => write!(line, " {key}=none")?,
        }
    }
    for (key, value, default) in [
        (
            "preferred-family-count",
            config.preferred_family_count,
            usual.preferred_family_count,
        ),
        (
            "parallel-attempts",
            config.parallel_attempts,
            usual.parallel_attempts,
        ),
        (
            "total-attempts",
            config.total_attempts,
            usual.total_attempts,
        ),
        ("names", config.names, usual.names),
    ] {
        if value != default {
            write!(line, " {key}={value}")?;
        }
    }
    for (key, value, default) in [
        (
            "pace-by-round-trip",
            config.pace_by_round_trip,
            usual.pace_by_round_trip,
        ),
        (
            "hurry-on-new-address",
            config.hurry_on_new_address,
            usual.hurry_on_new_address,
        ),
        (
            "refuse-downgrade",
            config.refuse_downgrade,
            usual.refuse_downgrade,
        ),
        (
            "optimistic-dns",
            config.optimistic_dns,
            usual.optimistic_dns,
        ),
    ] {
        if value != default {
            write!(line, " {key}={value}")?;
        }
    }
    if config.delay_multiplier.to_bits() != usual.delay_multiplier.to_bits() {
        write!(line, " delay-multiplier={}", config.delay_multiplier)?;
    }
    if let Some(family) = config.preferred_family {
        write!(line, " preferred-family={family}")?;
    }
    if config.protocols == ProtocolOrder::Grouped {
        write!(line, " protocols=grouped")?;
    }
    match config.ech {
        EchUse::Off => {}
        EchUse::Opportunistic => write!(line, " ech=opportunistic")?,
        EchUse::Rely => write!(line, " ech=rely")?,
    }
    if !line.is_empty() {
        writeln!(out, "config{line}")?;
    }
    write_policy(out, &config.policy)
}

fn write_policy(out: &mut String, policy: &PolicyTable) -> fmt::Result {
    if *policy == PolicyTable::rfc6724() {
        return Ok(());
    }
    for row in policy.rows() {
        let (precedence, label) = (row.precedence, row.label);
        writeln!(
            out,
            "policy {}/{} {precedence} {label}",
            row.prefix, row.length
        )?;
    }
    Ok(())
}

fn write_network(out: &mut String, network: &Network) -> fmt::Result {
    for family in [Family::V6, Family::V4] {
        if network.has(family) {
            write!(out, " {family}")?;
        }
    }
    if let Some(nat64) = &network.nat64 {
        if nat64.prefixes().is_empty() {
            write!(out, " nat64=none")?;
        } else {
            write!(out, " nat64={}", List(nat64.prefixes()))?;
        }
        if nat64.has_clat() {
            write!(out, " clat")?;
        }
    }
    if network.protected_dns {
        write!(out, " protected")?;
    }
    if network.context != 0 {
        write!(out, " context={}", network.context)?;
    }
    Ok(())
}

fn write_fact(out: &mut String, fact: &Fact) -> fmt::Result {
    write!(out, "fact {}", fact.address)?;
    if let Some(source) = &fact.source {
        write_source(out, source)?;
    }
    if fact.memory.silent {
        write!(out, " silent")?;
    }
    if fact.memory.used {
        write!(out, " used")?;
    }
    if let Some(time) = fact.memory.round_trip {
        write!(out, " round-trip={}", Millis(time))?;
    }
    if let Some(delay) = fact.attempt_delay {
        write!(out, " attempt-delay={}", Millis(delay))?;
    }
    if fact.network != 0 {
        write!(out, " network={}", fact.network)?;
    }
    writeln!(out)
}

fn write_source(out: &mut String, source: &Source) -> fmt::Result {
    write!(out, " source={}/{}", source.address, source.prefix_length)?;
    if source.deprecated {
        write!(out, " deprecated")?;
    }
    match source.mobility {
        Mobility::None => {}
        Mobility::Home => write!(out, " mobility=home")?,
        Mobility::CareOf => write!(out, " mobility=care-of")?,
        Mobility::HomeAndCareOf => write!(out, " mobility=both")?,
    }
    if source.interface == Interface::Encapsulated {
        write!(out, " encapsulated")?;
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

/// Milliseconds with as many decimals as are needed.
pub(super) struct Millis(pub(super) Duration);

impl Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        write_decimal(f, nanos / 1_000_000, nanos % 1_000_000, 6)
    }
}

/// Seconds with as many decimals as are needed.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(
            f,
            u128::from(self.0.as_secs()),
            u128::from(self.0.subsec_nanos()),
            9,
        )
    }
}

fn write_decimal(
    f: &mut fmt::Formatter<'_>,
    whole: u128,
    fraction: u128,
    digits: usize,
) -> fmt::Result {
    write!(f, "{whole}")?;
    if fraction == 0 {
        return Ok(());
    }
    let (mut fraction, mut digits) = (fraction, digits);
    while fraction.is_multiple_of(10) {
        fraction /= 10;
        digits -= 1;
    }
    write!(f, ".{fraction:0digits$}")
}

/// Things with commas between them.
struct List<'a, T>(&'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

/// An ECH configuration in hexadecimal digits.
struct Hex<'a>(&'a Ech);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
