//! Pages, and where there is none: `http.no-answer`, `server-error`, `vhost-mismatch`, `content-mismatch`, `partial-page`,
//! `v4-literal`.

mod answer;
mod identity;
mod literal;
mod part;
mod site;

use super::view::{AddressView, View};
use super::{Judgement, evidence};
use crate::path::observation::{AddressObservation, Page, PortObservation};
use crate::path::words::span;
use crate::path::{Family, Speech, compare};
use identity::Identity;
use twinstack_finding::Evidence;

/// Less in common than this is a difference (internet.nl: more than 10 % different).
const ALIKE: f64 = 0.9;

pub(super) fn judge(view: &View<'_>, judgement: &mut Judgement) {
    answer::missing(view, judgement);
    let strange = site::judge(view, judgement);
    answer::errors(view, &strange, judgement);
    part::judge(view, &strange, judgement);
    literal::judge(view, judgement);
}

/// Whether a response offers HTTP/3.
pub(in crate::path) fn offers_h3(addresses: &[AddressObservation]) -> bool {
    let pages = addresses
        .iter()
        .flat_map(|address| &address.ports)
        .filter_map(PortObservation::page);
    pages
        .filter_map(|page| page.alt_svc.as_deref())
        .any(|offer| offer.contains("h3"))
}

/// Whether the pages of a port look different over IPv6 at first sight.
pub(in crate::path) fn families_differ(addresses: &[AddressObservation], port: u16) -> bool {
    let pages = |family| -> Vec<&Page> {
        let of = addresses
            .iter()
            .filter(|address| address.family() == family);
        of.filter_map(|address| address.port(port)?.page())
            .collect()
    };
    let (v6, v4) = (pages(Family::V6), pages(Family::V4));
    !v4.is_empty()
        && v6.iter().any(|page| {
            let twin = |other: &&&Page| Identity::of(other) == Identity::of(page);
            !v4.iter()
                .filter(twin)
                .any(|other| compare::similarity(&page.body, &other.body) >= ALIKE)
        })
}

fn response(address: &AddressView<'_>, seen: &PortObservation, page: &Page) -> Evidence {
    let identity = Identity::of(page);
    let mut saw = format!("status {} after {}", page.status, span(page.first_byte));
    for (what, value) in [
        ("server", &page.server),
        ("location", &page.location),
        ("title", &identity.title),
    ] {
        if let Some(value) = value {
            saw = format!("{saw}, {what} `{value}`");
        }
    }
    for (status, location) in &page.hops {
        saw = format!("{saw}, after redirect {status} to `{location}`");
    }
    let scheme = if seen.speech == Speech::Https {
        "https"
    } else {
        "http"
    };
    let at = seen.talk().map_or(seen.connect.at, |talk| talk.at);
    evidence(
        format!(
            "requested the page over {scheme} from {} port {}",
            address.seen.label(),
            seen.port
        ),
        saw,
        at,
    )
}

#[cfg(test)]
mod tests;
