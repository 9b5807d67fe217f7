//! From what the name system said to what is wrong with it: the `dns.*` codes.
//!
//! Pure: no clock, no socket. Every fault raises one code. Order of dominance: a name that does not exist raises nothing
//! (the verdict says it); a type whose queries fail is not also missing; a missing type is not also hinted at wrongly.

mod published;
mod queries;
pub(crate) mod timing;
mod zone;

use super::observation::NamesObservation;
use super::view::{self, Published, View};
use crate::options::Options;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use twinstack_finding::{Finding, Skipped};

/// What the rules need to know beside the observation.
#[derive(Clone, Debug)]
pub(crate) struct Expectation {
    /// The AAAA set that the name is meant to have; empty is any.
    pub(crate) v6: BTreeSet<Ipv6Addr>,
    /// A name without AAAA is as meant, or is judged by another code.
    pub(crate) v4_only_is_fine: bool,
    /// Longest TTL.
    pub(crate) max_ttl: Duration,
    /// Something else than DNS got through over IPv6 from here.
    pub(crate) v6_works_here: bool,
}

impl Expectation {
    /// What the user asked for.
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            v6: options.expect_v6.iter().copied().collect(),
            v4_only_is_fine: options.allow_v4_only,
            max_ttl: options.max_ttl,
            v6_works_here: false,
        }
    }
}

/// What the rules say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judgement {
    pub(crate) findings: Vec<Finding>,
    pub(crate) notes: Vec<String>,
    pub(crate) skipped: Vec<Skipped>,
}

/// Everything the rules read, condensed once.
struct Case<'a> {
    names: &'a NamesObservation,
    expectation: &'a Expectation,
    views: Vec<View>,
    published: Published,
}

impl<'a> Case<'a> {
    fn new(names: &'a NamesObservation, expectation: &'a Expectation) -> Self {
        let views = view::views(names);
        let published = view::published(names, &views);
        Self {
            names,
            expectation,
            views,
            published,
        }
    }
}

/// Judges the name's addresses and the servers that hand them out.
pub(crate) fn judge(names: &NamesObservation, expectation: &Expectation) -> Judgement {
    let case = Case::new(names, expectation);
    let mut judgement = Judgement::default();
    if view::no_such_name(&case.views) {
        return judgement;
    }
    queries::judge(&case, &mut judgement);
    published::judge(&case, &mut judgement);
    timing::judge(&case, &mut judgement);
    zone::judge(&case, &mut judgement);
    judgement
}

/// Judges whether all planned addresses are published by the names together: a mail domain has several.
pub(crate) fn judge_plan(names: &[NamesObservation], expectation: &Expectation) -> Judgement {
    let cases: Vec<Case<'_>> = names
        .iter()
        .map(|names| Case::new(names, expectation))
        .filter(|case| !view::no_such_name(&case.views))
        .collect();
    Judgement {
        findings: published::planned(&cases).into_iter().collect(),
        ..Judgement::default()
    }
}

/// Judges only the zone: for a mail domain, whose own addresses do not matter.
pub(crate) fn judge_zone(names: &NamesObservation, expectation: &Expectation) -> Judgement {
    let case = Case::new(names, expectation);
    let mut judgement = Judgement::default();
    zone::judge(&case, &mut judgement);
    judgement
}

/// What is known of the name in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existence {
    /// Somebody knows addresses, or that there are none.
    Exists,
    /// Everybody who answered says NXDOMAIN.
    NoSuchName,
    /// Nobody gave a proper answer.
    Unknown,
}

/// Whether the name exists, by everybody's word together.
pub(crate) fn existence(names: &NamesObservation) -> Existence {
    let views = view::views(names);
    if view::no_such_name(&views) {
        Existence::NoSuchName
    } else if views
        .iter()
        .any(|view| view.a.is_fine() || view.aaaa.is_fine())
    {
        Existence::Exists
    } else {
        Existence::Unknown
    }
}

/// The published addresses that may be probed: synthesised and special-purpose IPv6 left out.
pub(crate) fn probeable(names: &NamesObservation) -> Vec<IpAddr> {
    let published = view::published(names, &view::views(names));
    let v6 = published
        .v6
        .into_iter()
        .filter(|address| super::global::special_purpose(*address).is_none())
        .map(IpAddr::V6);
    let v4 = published
        .v4
        .into_iter()
        .filter(|address| is_probeable_v4(*address))
        .map(IpAddr::V4);
    v6.chain(v4).collect()
}

/// Private IPv4 addresses are fine inside a company; these can be nobody's service.
fn is_probeable_v4(address: Ipv4Addr) -> bool {
    !address.is_unspecified() && !address.is_broadcast() && !address.is_multicast()
}

#[cfg(test)]
mod tests;
