//! AAAA answers that come later than A answers: `dns.aaaa-slow`.

use super::{Case, Judgement};
use crate::codes::finding;
use crate::names::observation::ServerId;
use std::collections::BTreeMap;
use twinstack_finding::Evidence;

/// The resolution delay of Happy Eyeballs ([RFC 8305, section 3](https://www.rfc-editor.org/rfc/rfc8305#section-3)):
/// an AAAA that is later than this loses to IPv4.
pub(crate) const RESOLUTION_DELAY: f64 = 0.050;

/// Fewer pairs than this say nothing: one late packet would be the median.
const ENOUGH: usize = 3;

pub(super) fn judge(case: &Case<'_>, judgement: &mut Judgement) {
    let mut slow: Vec<(f64, ServerId, Vec<f64>, f64)> = Vec::new();
    let mut by_server: BTreeMap<ServerId, (Vec<f64>, f64)> = BTreeMap::new();
    for pair in &case.names.pairs {
        let (gaps, _) = by_server
            .entry(pair.server)
            .or_insert_with(|| (Vec::new(), pair.at));
        gaps.push(pair.gap());
    }
    for (server, (gaps, at)) in by_server {
        if let Some(median) = median_gap(&gaps).filter(|median| *median > RESOLUTION_DELAY) {
            slow.push((median, server, gaps, at));
        }
    }
    let Some(worst) = slow.iter().map(|(median, ..)| *median).reduce(f64::max) else {
        return;
    };
    let name = &case.names.name;
    let evidence = slow
        .iter()
        .map(|(median, server, gaps, at)| Evidence {
            did: format!(
                "asked {} for {name} A and AAAA at the same moment, {} times",
                case.names.server_name(*server),
                gaps.len()
            ),
            saw: format!(
                "AAAA {median:.3} s after A at the median ({})",
                gaps.iter()
                    .map(|gap| format!("{gap:.3}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            at: Some(*at),
        })
        .collect();
    let servers: Vec<String> = slow
        .iter()
        .map(|(_, server, ..)| format!("`{}`", case.names.server_name(*server)))
        .collect();
    judgement.findings.push(finding(
        "dns.aaaa-slow",
        name.to_string(),
        format!(
            "AAAA of `{name}` comes up to {worst:.3} s later than A from {}; clients wait 0.05 s and then use IPv4",
            servers.join(", ")
        ),
        evidence,
        format!(
            "find what these servers do for AAAA alone (a back end, a script, an upstream that times out first): \
             compare `dig A {name}` with `dig AAAA {name}` at each of them"
        ),
    ));
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
