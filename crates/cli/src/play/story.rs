//! The replay as a value: what was done, what everybody experienced, what was found. Text, JSON and page are
//! renderings of this and nothing else; `schema/play-1.json` describes the JSON.

use super::packets::Watched;
use crate::lab_client::Attempt;
pub(crate) use crate::render::words::family_word;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use twinstack_check::report::Verdict;
use twinstack_finding::{Finding, Skipped};
use twinstack_lab::world::model::Family;

/// The version of the JSON.
pub(crate) const SCHEMA: &str = "twinstack.play/1";

/// A whole replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Story {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// Which incident: `so-2017`.
    pub(crate) replay: String,
    /// Whether the world had its fault; without it nothing should hang and nothing be found.
    pub(crate) with_fault: bool,
    /// The seed of everything random in the world.
    pub(crate) seed: u64,
    /// What every client asked for.
    pub(crate) url: String,
    /// When clients stop waiting.
    pub(crate) give_up_seconds: f64,
    /// How long resolvers remember the service's records in the replay.
    pub(crate) ttl_seconds: u32,
    /// The clients' networks, healthiest first.
    pub(crate) networks: Vec<Network>,
    /// The kinds of clients, oldest first.
    pub(crate) clients: Vec<Client>,
    /// The incident.
    pub(crate) before: Round,
    /// What was changed, and what each change did by itself.
    pub(crate) mends: Vec<Mend>,
    /// The same again.
    pub(crate) after: Round,
    /// What did not run here, and why.
    pub(crate) not_run: Vec<Skipped>,
    /// The recording, if the user asked for one.
    pub(crate) trace: Option<String>,
    /// From building the world to taking it down.
    pub(crate) elapsed_seconds: f64,
}

/// A network with clients in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// As in the world file.
    pub(crate) name: String,
    /// What is true of IPv6 there.
    pub(crate) ipv6: Ipv6,
}

/// What a network does with IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ipv6 {
    /// Carries it.
    Works,
    /// Hands out addresses and then drops the packets.
    Dropped,
    /// Has none.
    Absent,
}

/// A kind of client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Client {
    /// `legacy`, `modern`, `curl`.
    pub(crate) name: String,
    /// How it connects.
    pub(crate) about: String,
}

/// Everybody once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Round {
    /// What the DNS said, as asked from the first network.
    pub(crate) published: Published,
    /// Network by network, client by client.
    pub(crate) runs: Vec<Run>,
    /// What `twinstack check` found.
    pub(crate) checks: Vec<Check>,
}

/// What the DNS says of the service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Published {
    /// The name.
    pub(crate) name: String,
    /// Its addresses of both families, as the authoritative servers gave them.
    pub(crate) addresses: Vec<IpAddr>,
    /// What the addresses' PTR records say.
    pub(crate) reverse: Vec<Reverse>,
}

/// What one address's PTR record says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reverse {
    /// The address.
    pub(crate) address: IpAddr,
    /// The names, none if there is no PTR record.
    pub(crate) names: Vec<String>,
}

/// One client's visit to the service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Where it ran.
    pub(crate) network: String,
    /// Which client.
    pub(crate) client: String,
    /// The host it ran on.
    pub(crate) host: String,
    /// How it connects: `sequential`, `happy-eyeballs`, or the program's own way.
    pub(crate) strategy: String,
    /// What the client itself says.
    pub(crate) measured: Measured,
    /// The same once more, from nothing but the recording; `None` if it holds no packet of this client.
    pub(crate) from_packets: Option<FromPackets>,
    /// Where in the recording to look; of no use to anybody who has only the story.
    #[serde(skip)]
    pub(crate) watched: Option<Watched>,
}

/// How a visit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Ending {
    /// With an HTTP status.
    Answered,
    /// The client waited as long as it was willing to.
    GaveUp,
    /// With an error before that.
    Failed,
}

/// A visit as the client saw it; times count from its start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// How it ended.
    pub(crate) ending: Ending,
    /// Until the first byte of the response, or until it gave up.
    pub(crate) elapsed_seconds: f64,
    /// Until it knew an address; `None` if it never did.
    pub(crate) dns_seconds: Option<f64>,
    /// Its attempts to connect; empty for programs that do not tell.
    pub(crate) attempts: Vec<Attempt>,
    /// The family that carried the response.
    pub(crate) family: Option<Family>,
    /// The HTTP status.
    pub(crate) status: Option<u16>,
    /// What went wrong, in the client's words.
    pub(crate) error: Option<String>,
}

/// A visit as the recording shows it; times count from the client's first packet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FromPackets {
    /// From the first DNS query to the first byte of the response; `None` if there was none.
    pub(crate) elapsed_seconds: Option<f64>,
    /// From the first DNS query to the last DNS answer before the first attempt.
    pub(crate) dns_seconds: Option<f64>,
    /// The family of the connection that carried the response.
    pub(crate) family: Option<Family>,
    /// The attempts in the order of their first SYN.
    pub(crate) attempts: Vec<Handshake>,
}

/// One attempt to connect, packet by packet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Handshake {
    /// Where to.
    pub(crate) address: IpAddr,
    /// Its family.
    pub(crate) family: Family,
    /// When each SYN was sent: all but the first are repetitions by the kernel.
    pub(crate) syn_seconds: Vec<f64>,
    /// When the SYN-ACK came, if one came.
    pub(crate) answered_seconds: Option<f64>,
    /// When it was refused by a reset, if it was.
    pub(crate) reset_seconds: Option<f64>,
}

/// One run of `twinstack check`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    /// From where.
    pub(crate) network: String,
    /// What was typed.
    pub(crate) command: String,
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// How long it took.
    pub(crate) elapsed_seconds: f64,
    /// What it found, worst first.
    pub(crate) findings: Vec<Finding>,
}

/// One change, and its effect before the next one was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mend {
    /// Which.
    pub(crate) what: MendKind,
    /// What was done, in one sentence.
    pub(crate) did: String,
    /// The PTR records after it, for the change to them.
    pub(crate) reverse: Vec<Reverse>,
    /// The client that hung before, with this change alone.
    pub(crate) run: Option<Run>,
}

/// The changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MendKind {
    /// The PTR records say the service's name.
    Ptr,
    /// The legacy client tries the other family when the first does not answer.
    Fallback,
    /// Networks in which IPv6 does not work are not told of the AAAA.
    AaaaLimited,
}

impl Story {
    /// Every visit, in the order in which they were made.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        let mends = self.mends.iter().filter_map(|mend| mend.run.as_ref());
        self.before.runs.iter().chain(mends).chain(&self.after.runs)
    }

    /// The same, to change them.
    pub(crate) fn runs_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        let mends = self.mends.iter_mut().filter_map(|mend| mend.run.as_mut());
        self.before
            .runs
            .iter_mut()
            .chain(mends)
            .chain(&mut self.after.runs)
    }

    /// The legacy client's runs where it fared worst before the mend, and the same after.
    pub(crate) fn worst(&self) -> Option<(&Run, &Run)> {
        let before = self.before.runs.iter().max_by(|a, b| {
            a.measured
                .elapsed_seconds
                .total_cmp(&b.measured.elapsed_seconds)
        })?;
        Some((before, self.after.run(&before.network, &before.client)?))
    }
}

impl Check {
    /// The findings, those with the same code together.
    pub(crate) fn kinds(&self) -> Vec<Vec<&Finding>> {
        let mut kinds: Vec<Vec<&Finding>> = Vec::new();
        for finding in &self.findings {
            match kinds
                .iter_mut()
                .find(|kind| kind.first().is_some_and(|it| it.code == finding.code))
            {
                Some(kind) => kind.push(finding),
                None => kinds.push(vec![finding]),
            }
        }
        kinds
    }
}

impl Round {
    /// The first vantage and another one, if only the other one sees that the service cannot be reached.
    pub(crate) fn seen_only_elsewhere(&self) -> Option<(&str, &str)> {
        let sees = |check: &Check| {
            check
                .findings
                .iter()
                .any(|finding| finding.code.area() == "reach")
        };
        let (first, others) = self.checks.split_first()?;
        let other = others
            .iter()
            .find(|check| sees(check))
            .filter(|_| !sees(first))?;
        Some((&first.network, &other.network))
    }

    /// The run of a client in a network.
    pub(crate) fn run(&self, network: &str, client: &str) -> Option<&Run> {
        self.runs
            .iter()
            .find(|run| run.network == network && run.client == client)
    }
}

impl Run {
    /// The family that carried the response, from whoever knows.
    pub(crate) fn family(&self) -> Option<Family> {
        self.measured
            .family
            .or_else(|| self.from_packets.as_ref()?.family)
    }

    /// Whether it got its page.
    pub(crate) fn answered(&self) -> bool {
        self.measured.ending == Ending::Answered
    }
}

impl Reverse {
    /// Whether the PTR says exactly this name.
    pub(crate) fn says(&self, name: &str) -> bool {
        let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
        !self.names.is_empty() && self.names.iter().all(|found| plain(found) == plain(name))
    }
}

impl Ipv6 {
    /// For tables.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Works => "IPv6 works",
            Self::Dropped => "IPv6 dropped",
            Self::Absent => "no IPv6",
        }
    }
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
