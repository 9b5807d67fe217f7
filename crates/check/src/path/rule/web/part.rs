//! What the page needs: `http.partial-page`.

use crate::codes::finding;
use crate::path::observation::{PartSide, Talk};
use crate::path::rule::Judgement;
use crate::path::rule::view::View;
use crate::path::words::{list, quoted, span};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use twinstack_finding::Evidence;

/// `strange` are the addresses and ports that show another site: that their parts are missing is no further fault.
pub(super) fn judge(view: &View<'_>, strange: &BTreeSet<(IpAddr, u16)>, judgement: &mut Judgement) {
    // What another finding already explains about one of the target's own addresses.
    let explained = |wire: &IpAddr, port: u16| {
        view.addresses
            .iter()
            .filter(|address| address.seen.wire == *wire)
            .any(|address| {
                let talked = address
                    .seen
                    .port(port)
                    .is_none_or(|port| port.talk().is_some_and(Talk::complete));
                !address.sound() || !talked || strange.contains(&(address.seen.address, port))
            })
    };
    let mut support: BTreeMap<String, Evidence> = BTreeMap::new();
    let mut hosts = BTreeSet::new();
    for part in &view.seen.parts {
        let PartSide::Asked {
            outcome: Ok(v4_status),
            ..
        } = &part.v4
        else {
            continue;
        };
        if *v4_status >= 400 {
            continue;
        }
        let (saw, at) = match &part.v6 {
            PartSide::NoAddress if part.host == view.plan.host => continue,
            PartSide::NoAddress => (
                format!("`{}` has no AAAA; over IPv4 status {v4_status}", part.host),
                None,
            ),
            PartSide::Unknown(_) | PartSide::Broken => continue,
            PartSide::Asked {
                addresses,
                at,
                took,
                outcome,
            } => {
                let saw = match outcome {
                    Ok(status) if *status < 400 => continue,
                    Ok(status) => format!("status {status}"),
                    Err(error) => format!("{error} after {}", span(*took)),
                };
                if addresses.iter().all(|wire| explained(wire, part.port)) {
                    continue;
                }
                (
                    format!("{saw}; over IPv4 status {v4_status}"),
                    Some(at.as_secs_f64()),
                )
            }
        };
        hosts.insert(part.host.as_str());
        let did = format!("requested `{}` over IPv6", part.url);
        support.insert(part.url.clone(), Evidence { did, saw, at });
    }
    if support.is_empty() {
        return;
    }
    let first = support.keys().next().cloned().unwrap_or_default();
    let more = match support.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let (named, hosts) = (quoted(&hosts), list(&hosts));
    judgement.findings.push(finding(
        "http.partial-page",
        hosts.clone(),
        format!("the page loads over IPv6, but it needs `{first}`{more}, which works over IPv4 only"),
        support.into_values().collect(),
        format!("publish an AAAA for {named} and serve the file there, or refer to a path of the page's own host"),
    ));
}
