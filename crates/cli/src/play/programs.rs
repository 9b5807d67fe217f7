//! The programs that run in the lab: how each is called, and what its output means.

use super::cast::ClientKind;
use super::story::{Ending, Measured, Published, Reverse};
use crate::lab_client::{Report, Strategy};
use anyhow::{Context as _, bail};
use serde::Deserialize;
use std::net::IpAddr;
use std::time::Duration;
use twinstack_dns::{Name, reverse};
use twinstack_lab::world::model::Family;

/// What a client is asked to do.
#[derive(Clone, Debug)]
pub(super) struct Errand<'a> {
    /// This program's own file.
    pub(super) twinstack: &'a str,
    pub(super) url: &'a str,
    pub(super) give_up: Duration,
    /// The legacy client has been rebuilt with fallback.
    pub(super) mended: bool,
}

/// A client's command.
pub(super) fn command(client: ClientKind, errand: &Errand<'_>) -> Vec<String> {
    let give_up = errand.give_up.as_secs_f64();
    let words: Vec<String> = match client {
        ClientKind::Legacy | ClientKind::Modern => {
            let mut words = vec![errand.twinstack.to_owned(), "lab".into(), "client".into()];
            if strategy(client, errand.mended) == Some(Strategy::Sequential) {
                words.push("--sequential".into());
            }
            words.extend([
                "--give-up".into(),
                format!("{give_up}s"),
                errand.url.to_owned(),
            ]);
            words
        }
        // `-q` comes first: the user's own settings would make another client of it.
        ClientKind::Curl => [
            "curl",
            "-q",
            "--silent",
            "--noproxy",
            "*",
            "--output",
            "/dev/null",
        ]
        .into_iter()
        .chain(["--write-out", "%{json}", "--max-time"])
        .map(str::to_owned)
        .chain([give_up.to_string(), errand.url.to_owned()])
        .collect(),
    };
    words
}

/// How our own clients connect.
pub(super) const fn strategy(client: ClientKind, mended: bool) -> Option<Strategy> {
    match client {
        ClientKind::Legacy if !mended => Some(Strategy::Sequential),
        ClientKind::Legacy | ClientKind::Modern => Some(Strategy::HappyEyeballs),
        ClientKind::Curl => None,
    }
}

/// What a client's output says.
pub(super) fn measured(client: ClientKind, output: &[u8]) -> anyhow::Result<Measured> {
    match client {
        ClientKind::Legacy | ClientKind::Modern => {
            let report: Report =
                serde_json::from_slice(output).context("reading the client's report")?;
            Ok(of_report(report))
        }
        ClientKind::Curl => {
            let report: CurlReport =
                serde_json::from_slice(output).context("reading curl's report")?;
            Ok(of_curl(report))
        }
    }
}

fn of_report(report: Report) -> Measured {
    let ending = match (report.status, report.gave_up) {
        (Some(_), _) => Ending::Answered,
        (None, true) => Ending::GaveUp,
        (None, false) => Ending::Failed,
    };
    Measured {
        ending,
        elapsed_seconds: report.elapsed_seconds,
        dns_seconds: report.dns_seconds,
        family: report
            .winner
            .filter(|_| ending == Ending::Answered)
            .map(Family::of),
        attempts: report.attempts,
        status: report.status,
        error: report.error,
    }
}

/// The part of `curl --write-out %{json}` that we need.
#[derive(Debug, Deserialize)]
struct CurlReport {
    http_code: u16,
    remote_ip: String,
    time_namelookup: f64,
    time_starttransfer: f64,
    time_total: f64,
    exitcode: i32,
    errormsg: Option<String>,
}

/// curl's "operation timed out".
const CURL_TIMED_OUT: i32 = 28;

fn of_curl(report: CurlReport) -> Measured {
    // `000` is what curl writes when there was no status: it is no success.
    let status = Some(report.http_code).filter(|status| (100..1000).contains(status));
    let ending = match (status, report.exitcode) {
        (Some(_), _) => Ending::Answered,
        (None, CURL_TIMED_OUT) => Ending::GaveUp,
        (None, _) => Ending::Failed,
    };
    let answered = ending == Ending::Answered;
    Measured {
        ending,
        elapsed_seconds: if answered {
            report.time_starttransfer
        } else {
            report.time_total
        },
        dns_seconds: (report.time_namelookup > 0.0).then_some(report.time_namelookup),
        attempts: Vec::new(),
        family: report
            .remote_ip
            .parse()
            .ok()
            .filter(|_| answered)
            .map(Family::of),
        status,
        error: report.errormsg,
    }
}

/// `curl 7.88.1` from the first line of `curl --version`.
pub(super) fn curl_version(output: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(output).ok()?;
    let mut words = text.lines().next()?.split(' ');
    (words.next()? == "curl").then(|| words.next().map(|version| format!("curl {version}")))?
}

/// What `check` said.
pub(super) fn report(output: &[u8], errors: &[u8]) -> anyhow::Result<twinstack_check::Report> {
    if output.is_empty() {
        bail!(
            "`twinstack check` said nothing but: {}",
            String::from_utf8_lossy(errors).trim()
        );
    }
    serde_json::from_slice(output).context("reading the report of `twinstack check`")
}

/// What the DNS says of a name, out of the answers that `check` got; where servers of the zone and a resolver with a
/// memory both answered, the servers count.
pub(super) fn published(report: &twinstack_check::Report, name: &str) -> Published {
    let mut published = Published {
        name: name.to_owned(),
        ..Published::default()
    };
    let mut reverse: Vec<(bool, Reverse)> = Vec::new();
    let mut answers: Vec<_> = report
        .answers
        .iter()
        .filter(|answer| !answer.data.is_empty())
        .collect();
    answers.sort_by_key(|answer| !answer.authoritative);
    for answer in answers {
        let Some((owner, rtype)) = answer.question.rsplit_once(' ') else {
            continue;
        };
        match rtype {
            "A" | "AAAA" if owner.trim_end_matches('.') == name => {
                let addresses = answer
                    .data
                    .iter()
                    .filter_map(|text| text.parse::<IpAddr>().ok());
                published.addresses.extend(addresses);
            }
            "PTR" => {
                let address = Name::parse(owner)
                    .ok()
                    .and_then(|name| reverse::address_of(&name).ok());
                let Some(address) = address else { continue };
                if !reverse.iter().any(|(_, known)| known.address == address) {
                    reverse.push((
                        answer.authoritative,
                        Reverse {
                            address,
                            names: answer.data.clone(),
                        },
                    ));
                }
            }
            _ => {}
        }
    }
    published
        .addresses
        .sort_by_key(|address| (address.is_ipv4(), *address));
    published.addresses.dedup();
    published.reverse = published
        .addresses
        .iter()
        .map(|address| {
            let known = reverse.iter().find(|(_, known)| known.address == *address);
            known.map_or_else(
                || Reverse {
                    address: *address,
                    names: Vec::new(),
                },
                |(_, reverse)| reverse.clone(),
            )
        })
        .collect();
    published
}

#[cfg(test)]
mod tests;
