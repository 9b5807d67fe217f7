//! The words of a report.

use super::QueryReport;
use twinstack_race::{
    Answer, AnswerData, CancelReason, Cause, Family, Host, ServiceRecord, Target,
};

pub(super) const fn family(family: Family) -> &'static str {
    match family {
        Family::V6 => "ipv6",
        Family::V4 => "ipv4",
    }
}

pub(super) fn target(target: &Target) -> String {
    match &target.host {
        Host::Name(name) => format!("{name}:{}", target.port),
        Host::Address { address, .. } => {
            std::net::SocketAddr::new(*address, target.port).to_string()
        }
    }
}

pub(super) fn cause(cause: Cause) -> String {
    match cause {
        Cause::First => "everything to wait for was there".to_owned(),
        Cause::ResolutionDelay => "the resolution delay was over".to_owned(),
        Cause::Delay { after } => format!("{} ms after the one before", after.as_millis()),
        Cause::Failure { attempt } => format!("attempt {attempt} failed"),
        Cause::NewAddress => "a new address, and nothing was running".to_owned(),
        Cause::Hurry => "a new address, and nothing made progress".to_owned(),
        Cause::EchRetry { attempt } => format!("attempt {attempt} was given another ECH key"),
        other => format!("{other:?}"),
    }
}

pub(super) fn cancelled(why: CancelReason) -> String {
    match why {
        CancelReason::Lost { to } => format!("attempt {to} won"),
        CancelReason::Deadline => "its time was over".to_owned(),
        CancelReason::OverallDeadline => "the time was over".to_owned(),
        CancelReason::Replaced => "silent, and its place was needed".to_owned(),
        CancelReason::NetworkChange => "the network changed".to_owned(),
        CancelReason::Abandoned => "the race was abandoned".to_owned(),
        other => format!("{other:?}"),
    }
}

pub(super) fn answered(query: &mut QueryReport, answer: &Answer) {
    query.ttl_seconds = answer.ttl.map(|ttl| ttl.as_secs_f64());
    query.error = None;
    query.outcome = "records";
    match &answer.data {
        AnswerData::Addresses(addresses) => {
            query.records = addresses.iter().map(ToString::to_string).collect();
        }
        AnswerData::Services(records) => query.records = records.iter().map(service).collect(),
        AnswerData::NoData => query.outcome = "no-data",
        AnswerData::NxDomain => query.outcome = "nx-domain",
    }
    if query.outcome == "records" && query.records.is_empty() {
        query.outcome = "no-data";
    }
    match query.outcome {
        "no-data" => query.error = Some("no such record".to_owned()),
        "nx-domain" => query.error = Some("the name does not exist".to_owned()),
        _ => {}
    }
}

fn service(record: &ServiceRecord) -> String {
    let target = record
        .target
        .as_ref()
        .map_or_else(|| ".".to_owned(), ToString::to_string);
    let mut text = format!("{} {target}", record.priority);
    if let Some(alpn) = &record.alpn {
        let ids: Vec<String> = alpn.iter().map(ToString::to_string).collect();
        text.push_str(" alpn=");
        text.push_str(&ids.join(","));
    }
    if let Some(port) = record.port {
        text.push_str(" port=");
        text.push_str(&port.to_string());
    }
    text
}
