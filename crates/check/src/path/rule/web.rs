//! Pages that differ by family: `http.vhost-mismatch`, `content-mismatch`, `partial-page`, `v4-literal`.

use super::silence::unfinished;
use super::view::{AddressView, View};
use super::{Judgement, evidence};
use crate::codes::finding;
use crate::path::observation::{AddressObservation, Answer, Page, PartSide, PortObservation, Talk};
use crate::path::words::{list, percent, span};
use crate::path::{Family, Plan, Speech, compare, html, link::Link};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use twinstack_finding::Evidence;

/// Less in common than this is a difference (internet.nl: more than 10 % different).
const ALIKE: f64 = 0.9;

pub(super) fn judge(view: &View<'_>, judgement: &mut Judgement) {
    let mut strange = BTreeSet::new();
    for port in &view.plan.ports {
        if view.plan.speech(*port).is_web() && !view.excuses.answers.contains(port) {
            let other = vhost(view, *port, judgement);
            content(view, *port, &other, judgement);
            strange.extend(other.into_iter().map(|address| (address, *port)));
        }
    }
    parts(view, &strange, judgement);
    literals(view, judgement);
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

/// What tells one site from another, apart from its body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    status: u16,
    server: Option<String>,
    title: Option<String>,
    /// Status and target of every redirect.
    redirects: Vec<(u16, String)>,
}

impl Identity {
    fn of(page: &Page) -> Self {
        // Queries may hold a session; a path or a host does not change by itself.
        let target = |location: &str| {
            location
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let mut redirects: Vec<(u16, String)> = page
            .hops
            .iter()
            .map(|(status, location)| (*status, target(location)))
            .collect();
        redirects.extend(
            page.location
                .as_deref()
                .map(|location| (page.status, target(location))),
        );
        Self {
            status: page.status,
            // Versions differ while an update rolls out.
            server: page.server.as_deref().map(product),
            title: title(page),
            redirects,
        }
    }

    /// In words, what differs from another.
    fn differences(&self, other: &Self) -> String {
        let mut words = Vec::new();
        if self.status != other.status {
            words.push(format!(
                "status {} instead of {}",
                self.status, other.status
            ));
        }
        if self.redirects != other.redirects {
            let target = |identity: &Self| {
                identity.redirects.last().map_or_else(
                    || "no redirect".to_owned(),
                    |(_, to)| format!("a redirect to `{to}`"),
                )
            };
            words.push(format!("{} instead of {}", target(self), target(other)));
        }
        let text = |value: &Option<String>| {
            value
                .as_deref()
                .map_or_else(|| "none".to_owned(), |text| format!("`{text}`"))
        };
        if self.server != other.server {
            words.push(format!(
                "server {} instead of {}",
                text(&self.server),
                text(&other.server)
            ));
        }
        if self.title != other.title {
            words.push(format!(
                "title {} instead of {}",
                text(&self.title),
                text(&other.title)
            ));
        }
        list(words)
    }
}

/// `nginx/1.22.1 (Debian)` is `nginx`.
fn product(server: &str) -> String {
    server
        .split(['/', ' '])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

/// The title with its numbers taken out: they count messages, or seconds.
fn title(page: &Page) -> Option<String> {
    if !page.is_html() {
        return None;
    }
    let base = Link {
        https: false,
        host: String::new(),
        port: 80,
        path: "/".to_owned(),
    };
    let title = html::scan(&base, &page.body).title?;
    Some(title.chars().filter(|c| !c.is_ascii_digit()).collect())
}

fn with_pages<'v, 'a>(
    view: &'v View<'a>,
    family: Family,
    port: u16,
) -> Vec<(&'v AddressView<'a>, &'v PortObservation)> {
    let addresses = view.of(family).filter(|address| address.sound());
    let ports = addresses.filter_map(|address| Some((address, address.seen.port(port)?)));
    ports.filter(|(_, port)| port.page().is_some()).collect()
}

/// Gives the IPv6 addresses that show another site.
fn vhost(view: &View<'_>, port: u16, judgement: &mut Judgement) -> BTreeSet<IpAddr> {
    let v4 = with_pages(view, Family::V4, port);
    let known: BTreeSet<Identity> = v4
        .iter()
        .flat_map(|(_, port)| port.pages())
        .map(Identity::of)
        .collect();
    let Some(usual) = v4
        .first()
        .and_then(|(_, port)| port.page())
        .map(Identity::of)
    else {
        return BTreeSet::new();
    };
    let mut other = BTreeSet::new();
    let mut differences = None;
    let mut support = Vec::new();
    for (address, seen) in with_pages(view, Family::V6, port) {
        if seen.pages().any(|page| known.contains(&Identity::of(page))) {
            continue;
        }
        if let Some(page) = seen.page() {
            differences.get_or_insert_with(|| Identity::of(page).differences(&usual));
            support.push(response(address, seen, page));
            other.insert(address.seen.address);
        }
    }
    for (address, seen, error) in unanswered(view, port) {
        differences
            .get_or_insert_with(|| format!("no response instead of status {}", usual.status));
        let at = seen.talk().map_or(seen.connect.at, |talk| talk.at);
        support.push(evidence(
            requested(view.plan, address, seen.port),
            error,
            at,
        ));
        other.insert(address.seen.address);
    }
    let Some(differences) = differences else {
        return other;
    };
    support.extend(
        v4.iter()
            .filter_map(|(address, seen)| Some(response(address, seen, seen.page()?))),
    );
    let subjects = list(&other);
    judgement.findings.push(finding(
        "http.vhost-mismatch",
        format!("{subjects} port {port}"),
        format!("over IPv6 `{subjects}` port {port} gives {differences}"),
        support,
        format!("give the virtual host of `{}` an IPv6 listener too (nginx: `listen [::]:{port}` in its server block; `nginx -T | grep -E 'listen|server_name'`)", view.plan.host),
    ));
    other
}

/// IPv6 addresses where the request was taken and no response came, in words.
fn unanswered<'v, 'a>(
    view: &'v View<'a>,
    port: u16,
) -> Vec<(&'v AddressView<'a>, &'v PortObservation, String)> {
    let silent = view
        .of(Family::V6)
        .filter(|address| address.sound())
        .filter_map(|address| {
            // A backend that says nothing inside TLS says nothing elsewhere either: one fault, found as `tls.stall`.
            if address
                .seen
                .ports
                .iter()
                .any(|port| unfinished(port).is_some())
            {
                return None;
            }
            let seen = address.seen.port(port)?;
            let error = seen.talk()?.answer.as_ref()?.outcome.as_ref().err()?;
            Some((address, seen, error.to_string()))
        });
    silent.collect()
}

fn requested(plan: &Plan, address: &AddressView<'_>, port: u16) -> String {
    let scheme = if plan.speech(port) == Speech::Https {
        "https"
    } else {
        "http"
    };
    format!(
        "requested `{}` over {scheme} from {} port {port}",
        plan.path,
        address.seen.label()
    )
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

fn content(view: &View<'_>, port: u16, other: &BTreeSet<IpAddr>, judgement: &mut Judgement) {
    let v4 = with_pages(view, Family::V4, port);
    let bodies: Vec<&Page> = v4
        .iter()
        .flat_map(|(_, port)| port.pages())
        .filter(|page| whole(page))
        .collect();
    // A page that differs from itself cannot be compared.
    let steady = bodies.iter().enumerate().all(|(index, page)| {
        bodies
            .iter()
            .skip(index + 1)
            .filter(|twin| Identity::of(twin) == Identity::of(page))
            .all(|twin| compare::similarity(&page.body, &twin.body) >= ALIKE)
    });
    if !steady || bodies.is_empty() {
        return;
    }
    let mut different: BTreeMap<IpAddr, f64> = BTreeMap::new();
    let mut support = Vec::new();
    for (address, seen) in with_pages(view, Family::V6, port) {
        let pages = seen.pages().filter(|page| whole(page));
        let pairs = pages.flat_map(|page| {
            bodies
                .iter()
                .map(move |body| compare::similarity(&page.body, &body.body))
        });
        let Some(best) = pairs.reduce(f64::max) else {
            continue;
        };
        if best < ALIKE && !other.contains(&address.seen.address) {
            different.insert(address.seen.address, best);
            if let Some(page) = seen.page() {
                support.push(size(address, seen, page));
            }
        }
    }
    let Some(least) = different.values().copied().reduce(f64::min) else {
        return;
    };
    support.extend(
        v4.iter()
            .filter_map(|(address, seen)| Some(size(address, seen, seen.page()?))),
    );
    let subjects = list(different.keys());
    judgement.findings.push(finding(
        "http.content-mismatch",
        format!("{subjects} port {port}"),
        format!("the page from `{subjects}` port {port} has only {} in common with the one over IPv4", percent(least)),
        support,
        "deploy the same release to both listeners, and compare: `diff <(curl -4 -s URL) <(curl -6 -s URL)`",
    ));
}

fn whole(page: &Page) -> bool {
    !matches!(page.end, crate::path::observation::BodyEnd::Broken(_))
}

fn size(address: &AddressView<'_>, seen: &PortObservation, page: &Page) -> Evidence {
    let mut line = response(address, seen, page);
    line.saw = format!("{}, {} bytes", line.saw, page.body.len());
    line
}

fn parts(view: &View<'_>, strange: &BTreeSet<(IpAddr, u16)>, judgement: &mut Judgement) {
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
    let hosts = list(hosts);
    judgement.findings.push(finding(
        "http.partial-page",
        hosts.clone(),
        format!("the page loads over IPv6, but it needs `{first}`{more}, which works over IPv4 only"),
        support.into_values().collect(),
        format!("publish an AAAA for `{hosts}` and serve the file there, or refer to a path of the page's own host"),
    ));
}

fn literals(view: &View<'_>, judgement: &mut Judgement) {
    let mut found: BTreeMap<String, Evidence> = BTreeMap::new();
    for address in view.addresses.iter().filter(|address| address.alive()) {
        for seen in address
            .seen
            .ports
            .iter()
            .filter(|port| port.speech.is_web())
        {
            let Some(Ok(Answer::Page(page))) = seen
                .talk()
                .and_then(|talk| talk.answer.as_ref())
                .map(|step| &step.outcome)
            else {
                continue;
            };
            let base = Link {
                https: seen.speech == Speech::Https,
                host: view.plan.host.clone(),
                port: seen.port,
                path: view.plan.path.clone(),
            };
            for (url, place) in literal_urls(&base, page) {
                if base
                    .join(&url)
                    .is_some_and(|link| link.host == view.plan.host)
                {
                    continue;
                }
                found.entry(url).or_insert_with_key(|url| {
                    let mut line = response(address, seen, page);
                    line.saw = format!("`{url}` in {place}");
                    line
                });
            }
        }
    }
    let Some(first) = found.keys().next().cloned() else {
        return;
    };
    let more = match found.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    judgement.findings.push(finding(
        "http.v4-literal",
        view.plan.host.clone(),
        format!("the page hands out the IPv4 address in `{first}`{more}: a client without IPv4 cannot follow, not even through DNS64"),
        found.into_values().collect(),
        "write the name instead of the address (search templates and configuration: `grep -rnE 'https?://[0-9]+(\\.[0-9]+){3}'`), or a path without a host",
    ));
}

fn literal_urls(base: &Link, page: &Page) -> Vec<(String, &'static str)> {
    let kind = page
        .content_type
        .as_deref()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let scan = if page.is_html() {
        html::scan(base, &page.body)
    } else if ["json", "xml", "javascript", "css"]
        .iter()
        .any(|word| kind.contains(word))
    {
        html::scan_text(base, &page.body)
    } else {
        html::Scan::default()
    };
    let body = scan
        .v4_literals
        .into_iter()
        .map(|(url, _)| (url, "the body"));
    let hops = page
        .hops
        .iter()
        .map(|(_, location)| location)
        .chain(&page.location);
    let headers = hops.filter_map(|location| {
        let link = base.join(location)?;
        link.v4_literal()?;
        Some((link.to_string(), "the Location header"))
    });
    body.chain(headers).collect()
}

#[cfg(test)]
mod tests;
