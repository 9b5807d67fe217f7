//! The report: one value, rendered as text, JSON and JUnit.

mod merge;

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::net::IpAddr;
use twinstack_finding::{Finding, Skipped};

/// The version of the report's JSON; `schema/check-1.json` describes it.
pub const SCHEMA: &str = "twinstack.check/1";

/// The vantage that is this machine.
pub const HERE: &str = "here";

/// What `check` found out about one target from one vantage, or merged from several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The target as the user wrote it.
    pub target: String,
    /// Where the checks ran: `here`, or the host given with `--via`.
    pub vantages: Vec<String>,
    /// The verdict.
    pub verdict: Verdict,
    /// Seconds from start to end.
    pub elapsed_seconds: f64,
    /// The DNS answers, each with who gave it.
    pub answers: Vec<Answer>,
    /// Address x port x phase.
    pub table: Vec<Row>,
    /// The fallback step: how long a client took.
    pub client: Option<ClientTiming>,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
    /// What was not looked at, and why.
    pub skipped: Vec<Skipped>,
    /// Things worth saying that are no findings, such as which answers came from a cache.
    pub notes: Vec<String>,
}

impl Report {
    /// Findings worst first, then by code and subject; nothing twice.
    pub(crate) fn tidy(&mut self) {
        self.findings.sort_by(|a, b| {
            b.severity
                .cmp(&a.severity)
                .then_with(|| a.code.cmp(&b.code))
                .then_with(|| a.subject.cmp(&b.subject))
        });
        let mut seen = BTreeSet::new();
        // Two names in one zone find the same faults of the zone.
        self.findings.retain(|finding| {
            seen.insert((
                finding.code.clone(),
                finding.subject.clone(),
                finding.message.clone(),
            ))
        });
        let mut seen = BTreeSet::new();
        self.skipped
            .retain(|skipped| seen.insert((skipped.what.clone(), skipped.why.clone())));
        let mut seen = BTreeSet::new();
        self.notes.retain(|note| seen.insert(note.clone()));
    }
}

/// The verdict over all findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing found.
    Ready,
    /// Warnings only.
    ReadyWithWarnings,
    /// At least one failure.
    NotReady,
    /// Could not look: no network, no permission, no resolver answered.
    Unknown,
    /// The name does not exist.
    NoSuchName,
}

/// One DNS answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// From which vantage it was asked.
    pub vantage: String,
    /// Who answered: `resolver 192.0.2.53`, `ns1.lab.test 2e00:5::53`.
    pub server: String,
    /// Whether the server is authoritative (AA set and in the zone's NS set).
    pub authoritative: bool,
    /// Whether the answer came from a cache (no AA, TTL below the authoritative one); `None` when that cannot be told.
    pub cached: Option<bool>,
    /// `udp`, `tcp` or `https`.
    pub transport: String,
    /// The question: name and type.
    pub question: String,
    /// `NOERROR`, `NODATA`, `NXDOMAIN`, `SERVFAIL`, ..., `timeout`, `unreachable`, `malformed`.
    pub outcome: String,
    /// The answer's data in presentation format.
    pub data: Vec<String>,
    /// The lowest TTL of the answer, in seconds.
    pub ttl_seconds: Option<u32>,
    /// Round trip in seconds.
    pub elapsed_seconds: f64,
}

/// One line of the table: an address and a port, phase by phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// From which vantage.
    pub vantage: String,
    /// The address.
    pub address: IpAddr,
    /// The port; 0 for the row of the address itself (ICMP).
    pub port: u16,
    /// TCP connect, or for port 0 the echo.
    pub tcp: Phase,
    /// TLS handshake.
    pub tls: Phase,
    /// First byte of the HTTP response, or of the banner.
    pub http: Phase,
    /// QUIC handshake, on port 443 of web targets.
    pub quic: Phase,
}

/// How one phase ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Phase {
    /// Not part of this row.
    NotApplicable,
    /// Not reached, because an earlier phase failed.
    NotReached,
    /// Worked.
    Ok {
        /// How long it took.
        elapsed_seconds: f64,
        /// A short result: `TLS 1.3 h2`, `200`.
        detail: String,
    },
    /// Did not work.
    Failed {
        /// How long until the failure was known.
        elapsed_seconds: f64,
        /// `refused`, `timeout`, `no route`, `prohibited`, `reset`, `stalled`, a certificate error.
        detail: String,
    },
    /// Could not look.
    Skipped {
        /// Why.
        detail: String,
    },
}

/// The fallback step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientTiming {
    /// The client: `built-in`, or the command.
    pub client: String,
    /// Seconds to the first byte of a response; of a command, until it ended with success. `None` when none came, or none
    /// could be seen.
    pub elapsed_seconds: Option<f64>,
    /// The family that carried the response, where it is known.
    pub family: Option<String>,
    /// Whether IPv6 was broken when the client ran: only then does the time say anything about fallback.
    pub fallback_exercised: bool,
    /// The exit status or error.
    pub outcome: String,
}
