//! From what was seen to what is wrong. Pure: no clock, no socket, no file.
//!
//! One fault raises one code. Order of dominance: what the host itself shows explains what the network shows; an
//! address whose IPv6 is dead raises nothing further; a path-MTU black hole explains every other silence of its address;
//! a conversation that fails is not also compared.

mod client;
mod host;
mod quality;
mod reach;
mod silence;
mod tls;
mod view;
mod web;

#[cfg(test)]
pub(super) mod fixture;

pub(super) use client::{exercised, family, named};
pub(super) use web::{families_differ, offers_h3};

use super::Plan;
use super::observation::PathObservation;
use std::time::Duration;
use twinstack_finding::{Evidence, Finding, Skipped};
use view::View;

/// Judges what was seen.
pub(crate) fn judge(plan: &Plan, seen: &PathObservation) -> Vec<Finding> {
    look(plan, seen).findings
}

/// What the rules could not say, and why.
pub(super) fn unjudged(plan: &Plan, seen: &PathObservation) -> Vec<Skipped> {
    look(plan, seen).skipped
}

/// What the rules say.
#[derive(Default)]
struct Judgement {
    findings: Vec<Finding>,
    skipped: Vec<Skipped>,
}

fn look(plan: &Plan, seen: &PathObservation) -> Judgement {
    let mut judgement = Judgement::default();
    let excuses = host::judge(plan, seen, &mut judgement);
    let view = View::new(plan, seen, &excuses);
    reach::judge(&view, &mut judgement);
    silence::judge(&view, &mut judgement);
    quality::judge(&view, &mut judgement);
    tls::judge(&view, &mut judgement);
    web::judge(&view, &mut judgement);
    client::judge(&view, &mut judgement);
    judgement
}

/// One piece of evidence.
fn evidence(did: impl Into<String>, saw: impl Into<String>, at: Duration) -> Evidence {
    Evidence {
        did: did.into(),
        saw: saw.into(),
        at: Some(at.as_secs_f64()),
    }
}
