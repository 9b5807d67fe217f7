//! AAAA answers that come later than A answers: `dns.aaaa-slow`.

use super::{Case, Judgement, queries};
use crate::codes::finding;
use crate::names::observation::{Server, ServerId};
use std::collections::BTreeMap;
use twinstack_finding::{Evidence, Severity};

/// The resolution delay of Happy Eyeballs ([RFC 8305, section 3](https://www.rfc-editor.org/rfc/rfc8305#section-3)):
/// an AAAA that is later than this loses to IPv4.
pub(crate) const RESOLUTION_DELAY: f64 = 0.050;

/// A gap a little over the delay may be noise; one far over it is none.
const BEYOND_DOUBT: f64 = 0.250;

/// Whether a median gap should be measured again before it is believed.
pub(crate) fn is_doubtful(median: f64) -> bool {
    median > RESOLUTION_DELAY && median < BEYOND_DOUBT
}

/// Fewer pairs than this say nothing: one late packet would be the median.
const ENOUGH: usize = 3;

/// A server whose AAAA answers are late.
struct Slow {
    server: ServerId,
    median: f64,
    gaps: Vec<f64>,
    at: f64,
}

fn slow_servers(case: &Case<'_>) -> Vec<Slow> {
    let mut by_server: BTreeMap<ServerId, (Vec<f64>, f64)> = BTreeMap::new();
    for pair in &case.names.pairs {
        let (gaps, _) = by_server
            .entry(pair.server)
            .or_insert_with(|| (Vec::new(), pair.at));
        gaps.push(pair.gap());
    }
    by_server
        .into_iter()
        .filter_map(|(server, (gaps, at))| {
            let median = median_gap(&gaps).filter(|median| *median > RESOLUTION_DELAY)?;
            Some(Slow {
                server,
                median,
                gaps,
                at,
            })
        })
        .collect()
}

/// Whether what a resolver cannot answer is what the zone's own servers answer late: one fault, and lateness is its name.
pub(super) fn explains_resolvers(case: &Case<'_>) -> bool {
    slow_servers(case).iter().any(|slow| {
        case.names
            .server(slow.server)
            .is_some_and(Server::is_authoritative)
    })
}

pub(super) fn judge(case: &Case<'_>, judgement: &mut Judgement) {
    let slow = slow_servers(case);
    let Some(worst) = slow.iter().map(|slow| slow.median).reduce(f64::max) else {
        return;
    };
    let name = &case.names.name;
    let mut evidence: Vec<Evidence> = slow
        .iter()
        .map(|slow| {
            let gaps: Vec<String> = slow.gaps.iter().map(|gap| format!("{gap:.3}")).collect();
            Evidence {
                did: format!(
                    "asked {} for {name} A and AAAA at the same moment, {} times",
                    case.names.server_name(slow.server),
                    gaps.len()
                ),
                saw: format!(
                    "AAAA {:.3} s after A at the median ({})",
                    slow.median,
                    gaps.join(", ")
                ),
                at: Some(slow.at),
            }
        })
        .collect();
    let servers: Vec<String> = slow
        .iter()
        .map(|slow| format!("`{}`", case.names.server_name(slow.server)))
        .collect();
    let given_up: Vec<Evidence> = if explains_resolvers(case) {
        queries::failures_at_resolvers(case)
    } else {
        Vec::new()
    };
    let consequence = if given_up.is_empty() {
        "clients wait 0.05 s and then use IPv4"
    } else {
        "resolvers give up on it"
    };
    let resolvers_fail = !given_up.is_empty();
    evidence.extend(given_up);
    let mut found = finding(
        "dns.aaaa-slow",
        name.to_string(),
        format!(
            "AAAA of `{name}` comes up to {worst:.3} s later than A from {}; {consequence}",
            servers.join(", ")
        ),
        evidence,
        format!(
            "find what these servers do for AAAA alone (a back end, a script, an upstream that times out first): \
             compare `dig A {name}` with `dig AAAA {name}` at each of them"
        ),
    );
    if resolvers_fail {
        found.severity = Severity::Failure;
    }
    judgement.findings.push(found);
}

/// The median, if there are enough pairs for one.
pub(crate) fn median_gap(gaps: &[f64]) -> Option<f64> {
    if gaps.len() < ENOUGH {
        return None;
    }
    let mut sorted = gaps.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle).copied()?;
    if sorted.len() % 2 == 1 {
        Some(upper)
    } else {
        let lower = sorted.get(middle.checked_sub(1)?).copied()?;
        Some(f64::midpoint(lower, upper))
    }
}
