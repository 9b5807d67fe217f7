//! The reverse names of the addresses, and whether they lead back.
//!
//! The verdicts are `twinstack_dns::join`'s. Here the questions are asked, and the answers given their times.

use super::ask::Asker;
use super::fresh::{self, Fresh};
use super::global::special_purpose;
use super::observation::{Lookup, Server, ServerId, evidence};
use super::rules::Judgement;
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use twinstack_dns::join::{self, AddressOutcome, Misplaced, PtrOutcome, ReverseView, Verdict};
use twinstack_dns::reverse::{self, NearMiss};
use twinstack_dns::{Data, Name, Rcode, RecordType};
use twinstack_finding::Skipped;

/// PTR targets looked up per address.
const TARGETS: usize = 4;

/// What the reverse tree says about some addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct PtrObservation {
    pub(crate) addresses: Vec<Reverse>,
    /// The addresses of PTR targets: asked once for each name and family.
    pub(crate) forward: Vec<(Name, Fresh)>,
    /// Addresses that no public reverse zone covers.
    pub(crate) skipped: Vec<Skipped>,
}

/// One address.
#[derive(Clone, Debug)]
pub(crate) struct Reverse {
    pub(crate) address: IpAddr,
    pub(crate) ptr: Fresh,
    /// Where a PTR record is put by mistake; asked only when there is none where it should be.
    pub(crate) near: Vec<(NearMiss, Lookup)>,
}

/// Asks for the PTR of every address, and for the addresses of what they point to.
pub(crate) async fn collect(
    asker: &Asker,
    resolvers: &[ServerId],
    addresses: &[IpAddr],
) -> PtrObservation {
    let (covered, uncovered): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|address| is_covered(**address));
    let reverse: Vec<Reverse> = join_all(
        covered
            .into_iter()
            .map(|address| look_back(asker, resolvers, address)),
    )
    .await
    .into_iter()
    .flatten()
    .collect();
    let mut targets: BTreeMap<(Name, RecordType), BTreeSet<IpAddr>> = BTreeMap::new();
    for reverse in &reverse {
        for name in reverse.targets() {
            let addresses = targets.entry((name, rtype_of(reverse.address)));
            addresses.or_default().insert(reverse.address);
        }
    }
    let forward = join_all(
        targets
            .into_iter()
            .map(|((name, rtype), addresses)| async move {
                let confirms = |lookup: &Lookup| addresses.is_subset(&lookup.addresses());
                let fresh = fresh::ask(asker, resolvers, &name, rtype, confirms).await?;
                Some((name, fresh))
            }),
    )
    .await;
    PtrObservation {
        addresses: reverse,
        forward: forward.into_iter().flatten().collect(),
        skipped: uncovered
            .into_iter()
            .map(|address| Skipped {
                what: format!("the reverse name of {address}"),
                why: "no public reverse zone covers a special-purpose address".to_owned(),
            })
            .collect(),
    }
}

fn is_covered(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(address) => special_purpose(address).is_none(),
        IpAddr::V4(address) => {
            !address.is_loopback() && !address.is_link_local() && !address.is_unspecified()
        }
    }
}

async fn look_back(asker: &Asker, resolvers: &[ServerId], address: IpAddr) -> Option<Reverse> {
    let owner = reverse::name_of(address);
    let has_any = |lookup: &Lookup| lookup.records().next().is_some();
    let ptr = fresh::ask(asker, resolvers, &owner, RecordType::PTR, has_any).await?;
    let near = if outcome(&ptr) == PtrOutcome::Missing {
        let resolver = ptr.resolver.server;
        join_all(
            reverse::near_misses(address)
                .into_iter()
                .map(|(miss, owner)| async move {
                    (miss, asker.ask(resolver, &owner, RecordType::PTR).await)
                }),
        )
        .await
    } else {
        Vec::new()
    };
    Some(Reverse { address, ptr, near })
}

const fn rtype_of(address: IpAddr) -> RecordType {
    match address {
        IpAddr::V4(_) => RecordType::A,
        IpAddr::V6(_) => RecordType::AAAA,
    }
}

fn targets(lookup: &Lookup) -> Vec<Name> {
    lookup
        .records()
        .filter_map(|record| match &record.data {
            Data::Ptr(name) => Some(name.clone()),
            _ => None,
        })
        .take(TARGETS)
        .collect()
}

/// The targets that any server names.
fn all_targets(ptr: &Fresh) -> Vec<Name> {
    let mut seen = BTreeSet::new();
    ptr.said()
        .iter()
        .flat_map(targets)
        .filter(|name| seen.insert(name.clone()))
        .collect()
}

fn outcome(ptr: &Fresh) -> PtrOutcome {
    let targets = all_targets(ptr);
    match fresh::failure(ptr.best()) {
        _ if !targets.is_empty() => PtrOutcome::Targets(targets),
        Some(why) => PtrOutcome::Unknown(why),
        None => PtrOutcome::Missing,
    }
}

impl Reverse {
    /// Every name that a PTR for this address names, misplaced ones included.
    fn targets(&self) -> Vec<Name> {
        let mut names = all_targets(&self.ptr);
        names.extend(self.near.iter().flat_map(|(_, lookup)| targets(lookup)));
        names
    }
}

impl PtrObservation {
    fn forward(&self, name: &Name, address: IpAddr) -> Option<&Fresh> {
        let rtype = rtype_of(address);
        self.forward
            .iter()
            .find(|(target, fresh)| target == name && fresh.resolver.rtype == rtype)
            .map(|(_, fresh)| fresh)
    }

    fn view(&self, reverse: &Reverse) -> ReverseView {
        let address = reverse.address;
        let forward: Vec<(Name, AddressOutcome)> = reverse
            .targets()
            .into_iter()
            .filter_map(|name| Some((self.forward(&name, address)?, name)))
            .flat_map(|(fresh, name)| {
                let said = fresh.said().iter().map(address_outcome);
                said.map(move |outcome| (name.clone(), outcome))
            })
            .collect();
        let leads_back = |targets: &[Name]| {
            forward.iter().any(|(name, outcome)| {
                targets.contains(name)
                    && matches!(outcome, AddressOutcome::Addresses(found) if found.contains(&address))
            })
        };
        // A reverse name with its digits swapped belongs to somebody else's address; only a record whose target has *this*
        // address was meant for it.
        let misplaced = reverse
            .near
            .iter()
            .map(|(miss, lookup)| (miss, lookup, targets(lookup)))
            .filter(|(_, _, targets)| leads_back(targets))
            .map(|(miss, lookup, targets)| Misplaced {
                owner: lookup.name.clone(),
                miss: *miss,
                targets,
            })
            .collect();
        ReverseView {
            address,
            ptr: outcome(&reverse.ptr),
            misplaced,
            forward,
        }
    }

    /// The lookups for the report. Those at wrong owners are left out: read as an address, such an owner is somebody
    /// else's, and where one matters it is evidence of a finding.
    pub(crate) fn lookups(&self) -> Vec<Lookup> {
        let reverse = self
            .addresses
            .iter()
            .flat_map(|reverse| reverse.ptr.lookups());
        let forward = self.forward.iter().flat_map(|(_, fresh)| fresh.lookups());
        reverse.chain(forward).cloned().collect()
    }
}

fn address_outcome(lookup: &Lookup) -> AddressOutcome {
    match lookup.reply() {
        Some(reply) if reply.rcode == Rcode::NXDOMAIN => AddressOutcome::NoSuchName,
        _ => match fresh::failure(lookup) {
            Some(why) => AddressOutcome::Unknown(why),
            None => AddressOutcome::Addresses(lookup.addresses().into_iter().collect()),
        },
    }
}

/// The `ptr.*` codes, one at most for each address.
pub(crate) fn judge(
    servers: &[Server],
    observation: &PtrObservation,
    expected: Option<&Name>,
) -> Judgement {
    let mut judgement = Judgement {
        skipped: observation.skipped.clone(),
        ..Judgement::default()
    };
    for reverse in &observation.addresses {
        let view = observation.view(reverse);
        let judged = join::judge(&view, expected);
        let mut supporting: Vec<&Lookup> = reverse.ptr.lookups().collect();
        for misplaced in &view.misplaced {
            supporting.extend(
                reverse
                    .near
                    .iter()
                    .map(|(_, lookup)| lookup)
                    .filter(|lookup| lookup.name == misplaced.owner),
            );
        }
        supporting.extend(
            reverse
                .targets()
                .iter()
                .filter_map(|name| observation.forward(name, reverse.address))
                .flat_map(Fresh::said),
        );
        if let Verdict::Unknown(why) = &judged.verdict {
            judgement.skipped.push(Skipped {
                what: format!("the reverse name of {}", reverse.address),
                why: format!("the question failed: {why}"),
            });
        }
        let extras: Vec<String> = judged
            .extras()
            .iter()
            .map(|name| format!("`{name}`"))
            .collect();
        if !extras.is_empty() {
            judgement.notes.push(format!(
                "{} has further PTR records that do not lead back: {}",
                reverse.address,
                extras.join(", ")
            ));
        }
        if let Some(mut finding) = judged.finding() {
            finding.evidence = supporting
                .into_iter()
                .map(|lookup| evidence(servers, lookup))
                .collect();
            judgement.findings.push(finding);
        }
    }
    judgement
}

#[cfg(test)]
mod tests;
