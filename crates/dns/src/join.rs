//! The forward-confirmed reverse join (FCrDNS): an address, what its PTR says, and where that leads back.
//!
//! Pure: the caller has asked the questions and hands in what came back as a [`ReverseView`]; [`judge`] says what it
//! means. *Not known* (a server that failed or timed out) is never called *wrong*.
//!
//! One address gets at most one code, the one to mend first: malformed before not-forward-confirmed before mismatch
//! before generic. Several PTR records are fine as long as one of them leads back; those that do not are named as
//! extras. Servers that disagree about the addresses of a target are a fault of that name and not of the PTR record: what
//! one of them confirms is confirmed.

mod explain;
mod generic;

use crate::name::Name;
use crate::reverse::{self, NearMiss};
use std::net::IpAddr;
use twinstack_finding::{Code, CodeInfo, Severity};

/// No PTR record.
pub const MISSING: Code = Code::of("ptr.missing");
/// No PTR target has the address.
pub const NOT_FORWARD_CONFIRMED: Code = Code::of("ptr.not-forward-confirmed");
/// The name is a template with the address in it.
pub const GENERIC: Code = Code::of("ptr.generic");
/// The PTR record itself is written wrongly.
pub const MALFORMED: Code = Code::of("ptr.malformed");
/// It confirms, but names something else than was expected.
pub const MISMATCH: Code = Code::of("ptr.mismatch");

macro_rules! page {
    ($file:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/findings/",
            $file
        ))
    };
}

/// The table of this module's codes.
pub const CODES: &[CodeInfo] = &[
    CodeInfo {
        code: "ptr.missing",
        catalogue: Some("P501"),
        severity: Severity::Warning,
        title: "the address has no PTR record",
        page: page!("ptr.missing.md"),
    },
    CodeInfo {
        code: "ptr.not-forward-confirmed",
        catalogue: Some("P502"),
        severity: Severity::Failure,
        title: "no name in the PTR records has this address",
        page: page!("ptr.not-forward-confirmed.md"),
    },
    CodeInfo {
        code: "ptr.generic",
        catalogue: Some("P503"),
        severity: Severity::Warning,
        title: "the PTR record is a provider's template with the address in it",
        page: page!("ptr.generic.md"),
    },
    CodeInfo {
        code: "ptr.malformed",
        catalogue: Some("P504"),
        severity: Severity::Failure,
        title: "the PTR record is written in a wrong format",
        page: page!("ptr.malformed.md"),
    },
    CodeInfo {
        code: "ptr.mismatch",
        catalogue: None,
        severity: Severity::Failure,
        title: "the PTR record confirms, but names another host than expected",
        page: page!("ptr.mismatch.md"),
    },
];

/// What was found out about one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReverseView {
    /// The address.
    pub address: IpAddr,
    /// What the question for its PTR brought.
    pub ptr: PtrOutcome,
    /// PTR records found at owner names that belong to no address ([`reverse::near_misses`]); looked at only when
    /// there is no PTR where it should be.
    pub misplaced: Vec<Misplaced>,
    /// For each PTR target, the addresses it has in the family of `address`; as often as servers were asked.
    pub forward: Vec<(Name, AddressOutcome)>,
}

/// What a PTR question brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PtrOutcome {
    /// These targets, at least one.
    Targets(Vec<Name>),
    /// No such record (NODATA or NXDOMAIN).
    Missing,
    /// No usable answer, and why: `SERVFAIL`, `timeout`.
    Unknown(String),
}

/// What the questions for the addresses of a name brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressOutcome {
    /// These addresses, maybe none (NODATA).
    Addresses(Vec<IpAddr>),
    /// The name does not exist.
    NoSuchName,
    /// No usable answer, and why.
    Unknown(String),
}

/// A PTR record at the wrong owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misplaced {
    /// The owner it was found at.
    pub owner: Name,
    /// What is wrong with the owner.
    pub miss: NearMiss,
    /// Its targets.
    pub targets: Vec<Name>,
}

/// What it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The address.
    pub address: IpAddr,
    /// The verdict over all PTR records of the address.
    pub verdict: Verdict,
    /// Each target by itself, in the order of the answer.
    pub targets: Vec<(Name, TargetVerdict)>,
}

/// The verdict over an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward confirmed, and the expected name if one was expected.
    Confirmed(Name),
    /// No PTR record.
    Missing,
    /// A PTR record that is written wrongly.
    Malformed(Malformed),
    /// No target has the address.
    NotForwardConfirmed,
    /// Confirms, but by another name than expected.
    Mismatch {
        /// The name that confirms.
        found: Name,
        /// The name that was expected.
        expected: Name,
    },
    /// Confirms, by a name made from the address.
    Generic(Name),
    /// Could not be found out, and why.
    Unknown(String),
}

/// The verdict over one target of a PTR record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetVerdict {
    /// It has the address.
    Confirms,
    /// It has other addresses, or none.
    Elsewhere(Vec<IpAddr>),
    /// It does not exist.
    NoSuchName,
    /// It is written wrongly.
    Malformed(Malformed),
    /// Could not be found out, and why.
    Unknown(String),
}

/// How a PTR record is written wrongly.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// The target ends in `ip6.arpa.` or `in-addr.arpa.`: the final dot is missing in the zone file.
    RelativeTarget(Name),
    /// The target is an address written as a name.
    AddressLiteral(Name),
    /// The target is the root or a single label that leads nowhere.
    SingleLabel(Name),
    /// The target holds characters that no host name has, as in `https://www.lab.test`.
    NotAHostName(Name),
    /// The record is at an owner that belongs to no address.
    Misplaced(Misplaced),
}

/// Decides what a view means. `expected` is the name that the PTR should have, if the user said so.
pub fn judge(view: &ReverseView, expected: Option<&Name>) -> Judgement {
    let targets: Vec<(Name, TargetVerdict)> = match &view.ptr {
        PtrOutcome::Targets(names) => names
            .iter()
            .map(|name| (name.clone(), judge_target(view, name)))
            .collect(),
        _ => Vec::new(),
    };
    let verdict = match &view.ptr {
        PtrOutcome::Unknown(why) => Verdict::Unknown(why.clone()),
        PtrOutcome::Missing => match view.misplaced.first() {
            Some(misplaced) => Verdict::Malformed(Malformed::Misplaced(misplaced.clone())),
            None => Verdict::Missing,
        },
        PtrOutcome::Targets(names) if names.is_empty() => Verdict::Missing,
        PtrOutcome::Targets(_) => over_targets(view.address, &targets, expected),
    };
    Judgement {
        address: view.address,
        verdict,
        targets,
    }
}

impl ReverseView {
    /// What each server said about a target.
    fn said<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a AddressOutcome> {
        self.forward
            .iter()
            .filter(move |(target, _)| target == name)
            .map(|(_, outcome)| outcome)
    }
}

fn over_targets(
    address: IpAddr,
    targets: &[(Name, TargetVerdict)],
    expected: Option<&Name>,
) -> Verdict {
    let malformed = targets.iter().find_map(|(_, verdict)| match verdict {
        TargetVerdict::Malformed(how) => Some(how.clone()),
        _ => None,
    });
    if let Some(how) = malformed {
        return Verdict::Malformed(how);
    }
    let confirming: Vec<&Name> = targets
        .iter()
        .filter(|(_, verdict)| *verdict == TargetVerdict::Confirms)
        .map(|(name, _)| name)
        .collect();
    let Some(first) = confirming.first() else {
        let unknown = targets.iter().find_map(|(name, verdict)| match verdict {
            TargetVerdict::Unknown(why) => Some(format!("{name}: {why}")),
            _ => None,
        });
        return unknown.map_or(Verdict::NotForwardConfirmed, Verdict::Unknown);
    };
    match expected {
        Some(expected) => {
            if confirming.contains(&expected) {
                Verdict::Confirmed(expected.clone())
            } else {
                Verdict::Mismatch {
                    found: (*first).clone(),
                    expected: expected.clone(),
                }
            }
        }
        // A name that was asked for by name is no template, whatever it looks like; without that, one proper name
        // among several is enough.
        None => match confirming
            .iter()
            .find(|name| !generic::is_generic(address, name))
        {
            Some(name) => Verdict::Confirmed((*name).clone()),
            None => Verdict::Generic((*first).clone()),
        },
    }
}

fn judge_target(view: &ReverseView, name: &Name) -> TargetVerdict {
    let mut found: Vec<IpAddr> = Vec::new();
    let (mut exists, mut missing, mut unknown) = (false, false, None);
    for outcome in view.said(name) {
        match outcome {
            AddressOutcome::Addresses(addresses) => {
                exists = true;
                let new = addresses.iter().filter(|address| !found.contains(address));
                let new: Vec<IpAddr> = new.copied().collect();
                found.extend(new);
            }
            AddressOutcome::NoSuchName => missing = true,
            AddressOutcome::Unknown(why) => {
                unknown.get_or_insert(why);
            }
        }
    }
    // What leads back is right, however odd it looks: `localhost`, or a top-level domain with addresses.
    if found.contains(&view.address) {
        return TargetVerdict::Confirms;
    }
    if let Some(how) = malformed_target(name) {
        return TargetVerdict::Malformed(how);
    }
    // A plain no counts more than a server that failed.
    match (exists, missing, unknown) {
        (true, ..) => TargetVerdict::Elsewhere(found),
        (false, true, _) => TargetVerdict::NoSuchName,
        (false, false, Some(why)) => TargetVerdict::Unknown(why.clone()),
        (false, false, None) => {
            TargetVerdict::Unknown("its addresses were not asked for".to_owned())
        }
    }
}

/// Whether a PTR target is wrong as it stands, whatever the DNS says about it.
pub fn malformed_target(name: &Name) -> Option<Malformed> {
    if reverse::is_in_reverse_tree(name) {
        return Some(Malformed::RelativeTarget(name.clone()));
    }
    let text: Vec<String> = name
        .labels()
        .map(|label| String::from_utf8_lossy(label).into_owned())
        .collect();
    let text = text.join(".");
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if bare.parse::<IpAddr>().is_ok() {
        return Some(Malformed::AddressLiteral(name.clone()));
    }
    if name.label_count() < 2 {
        return Some(Malformed::SingleLabel(name.clone()));
    }
    // Underscores are no host-name characters either, but they work everywhere and are common.
    let possible = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_');
    let mut octets = name.labels().flatten().copied();
    (!octets.all(possible)).then(|| Malformed::NotAHostName(name.clone()))
}

impl Judgement {
    /// The code, if something is wrong.
    pub const fn code(&self) -> Option<Code> {
        match self.verdict {
            Verdict::Confirmed(_) | Verdict::Unknown(_) => None,
            Verdict::Missing => Some(MISSING),
            Verdict::Malformed(_) => Some(MALFORMED),
            Verdict::NotForwardConfirmed => Some(NOT_FORWARD_CONFIRMED),
            Verdict::Mismatch { .. } => Some(MISMATCH),
            Verdict::Generic(_) => Some(GENERIC),
        }
    }

    /// Targets that do not lead back although another one does: no fault, but worth a note.
    pub fn extras(&self) -> Vec<&Name> {
        if !matches!(self.verdict, Verdict::Confirmed(_) | Verdict::Generic(_)) {
            return Vec::new();
        }
        self.targets
            .iter()
            .filter(|(_, verdict)| *verdict != TargetVerdict::Confirms)
            .map(|(name, _)| name)
            .collect()
    }
}

#[cfg(test)]
mod tests;
