//! Is it the same site over both families? `http.vhost-mismatch` and `http.content-mismatch`.

use super::identity::Identity;
use super::{ALIKE, response};
use crate::codes::finding;
use crate::path::observation::{BodyEnd, Page, PortObservation};
use crate::path::rule::Judgement;
use crate::path::rule::view::{AddressView, View};
use crate::path::words::{list, percent, ports, quoted};
use crate::path::{Family, compare};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use twinstack_finding::Evidence;

/// Judges all ports that can be compared, and gives the IPv6 addresses and ports that show another site.
pub(super) fn judge(view: &View<'_>, judgement: &mut Judgement) -> BTreeSet<(IpAddr, u16)> {
    let comparable =
        |port: &&u16| view.plan.speech(**port).is_web() && !view.excuses.answers.contains(port);
    let ports: Vec<u16> = view.plan.ports.iter().filter(comparable).copied().collect();
    let strange = vhost(view, &ports, judgement);
    content(view, &ports, &strange, judgement);
    strange
}

/// An address and a port of it that shows a page.
type Shown<'v, 'a> = (&'v AddressView<'a>, &'v PortObservation);

fn with_pages<'v, 'a>(view: &'v View<'a>, family: Family, port: u16) -> Vec<Shown<'v, 'a>> {
    let addresses = view.of(family).filter(|address| address.sound());
    let ports = addresses.filter_map(|address| Some((address, address.seen.port(port)?)));
    ports.filter(|(_, port)| port.page().is_some()).collect()
}

/// An IPv6 address that shows another site on a port.
struct Stranger {
    address: IpAddr,
    port: u16,
    difference: String,
    line: Evidence,
}

fn vhost(view: &View<'_>, among: &[u16], judgement: &mut Judgement) -> BTreeSet<(IpAddr, u16)> {
    let mut alike: BTreeMap<String, (BTreeSet<IpAddr>, BTreeSet<u16>)> = BTreeMap::new();
    let mut places = BTreeSet::new();
    let mut support = Vec::new();
    for port in among {
        let strangers = strangers(view, *port);
        if strangers.is_empty() {
            continue;
        }
        for stranger in strangers {
            let (addresses, on) = alike.entry(stranger.difference).or_default();
            addresses.insert(stranger.address);
            on.insert(stranger.port);
            places.insert((stranger.address, stranger.port));
            support.push(stranger.line);
        }
        let v4 = with_pages(view, Family::V4, *port);
        support.extend(
            v4.iter()
                .filter_map(|(address, seen)| Some(response(address, seen, seen.page()?))),
        );
    }
    let Some((_, port)) = places.first() else {
        return places;
    };
    let parts = alike.iter().map(|(difference, (addresses, on))| {
        format!(
            "{} {} {difference} on {}",
            quoted(addresses),
            if addresses.len() == 1 {
                "gives"
            } else {
                "give"
            },
            ports(on)
        )
    });
    let message = format!(
        "unlike the other family, {}",
        parts.collect::<Vec<_>>().join("; ")
    );
    let subjects: BTreeSet<IpAddr> = places.iter().map(|(address, _)| *address).collect();
    judgement.findings.push(finding(
        "http.vhost-mismatch",
        list(subjects),
        message,
        support,
        format!("give the virtual host of `{}` an IPv6 listener too (nginx: `listen [::]:{port}` in its server block; `nginx -T | grep -E 'listen|server_name'`)", view.plan.host),
    ));
    places
}

fn strangers(view: &View<'_>, port: u16) -> Vec<Stranger> {
    let (v4, v6) = (
        with_pages(view, Family::V4, port),
        with_pages(view, Family::V6, port),
    );
    let identities = |pages: &[Shown<'_, '_>]| -> Vec<Identity> {
        pages
            .iter()
            .flat_map(|(_, port)| port.pages())
            .map(Identity::of)
            .collect()
    };
    let on_v4 = identities(&v4);
    let shown = v6.iter().filter_map(|(address, seen)| {
        if seen.pages().any(|page| on_v4.contains(&Identity::of(page))) {
            return None;
        }
        let page = seen.page()?;
        // Balancers in front of broken servers mix 500, 502, 503 and 504: that is no other site.
        let broken = |status: u16| (500..600).contains(&status);
        if broken(page.status) && on_v4.iter().all(|identity| broken(identity.status)) {
            return None;
        }
        Some(Stranger {
            address: address.seen.address,
            port,
            difference: Identity::of(page).differences(on_v4.first()?),
            line: response(address, seen, page),
        })
    });
    shown.collect()
}

fn content(
    view: &View<'_>,
    among: &[u16],
    strange: &BTreeSet<(IpAddr, u16)>,
    judgement: &mut Judgement,
) {
    let mut least = 1.0_f64;
    let mut subjects = BTreeSet::new();
    let mut on = BTreeSet::new();
    let mut support = Vec::new();
    for port in among {
        let v4 = with_pages(view, Family::V4, *port);
        let bodies: Vec<&Page> = v4
            .iter()
            .flat_map(|(_, port)| port.pages())
            .filter(|page| whole(page))
            .collect();
        if !steady(&bodies) {
            continue;
        }
        let before = subjects.len() + on.len();
        for (address, seen) in with_pages(view, Family::V6, *port) {
            let pages = seen.pages().filter(|page| whole(page));
            let pairs = pages.flat_map(|page| {
                bodies
                    .iter()
                    .map(move |body| compare::similarity(&page.body, &body.body))
            });
            let Some(best) = pairs.reduce(f64::max) else {
                continue;
            };
            if best < ALIKE && !strange.contains(&(address.seen.address, *port)) {
                least = least.min(best);
                subjects.insert(address.seen.address);
                on.insert(*port);
                support.extend(seen.page().map(|page| size(address, seen, page)));
            }
        }
        if subjects.len() + on.len() > before {
            support.extend(
                v4.iter()
                    .filter_map(|(address, seen)| Some(size(address, seen, seen.page()?))),
            );
        }
    }
    if subjects.is_empty() {
        return;
    }
    judgement.findings.push(finding(
        "http.content-mismatch",
        list(&subjects),
        format!("the page from {} on {} has only {} in common with the one over IPv4", quoted(&subjects), ports(&on), percent(least)),
        support,
        "deploy the same release to both listeners, and compare: `diff <(curl -4 -s URL) <(curl -6 -s URL)`",
    ));
}

/// A page that differs from itself cannot be compared.
fn steady(bodies: &[&Page]) -> bool {
    !bodies.is_empty()
        && bodies.iter().enumerate().all(|(index, page)| {
            let twins = bodies
                .iter()
                .skip(index + 1)
                .filter(|twin| Identity::of(twin) == Identity::of(page));
            twins
                .into_iter()
                .all(|twin| compare::similarity(&page.body, &twin.body) >= ALIKE)
        })
}

fn whole(page: &Page) -> bool {
    !matches!(page.end, BodyEnd::Broken(_))
}

fn size(address: &AddressView<'_>, seen: &PortObservation, page: &Page) -> Evidence {
    let mut line = response(address, seen, page);
    line.saw = format!("{}, {} bytes", line.saw, page.body.len());
    line
}
