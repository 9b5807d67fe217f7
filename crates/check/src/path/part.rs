//! The parts of the page, fetched over both families: a page that loads over IPv6 may need a script that does not.

use super::http::Ask;
use super::link::Link;
use super::observation::{
    AddressObservation, Page, PartObservation, PartSide, Route, Talk, Vantage,
};
use super::tls::Tls;
use super::{Family, Plan, Speech, html, port, vantage};
use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::future::{join_all, select_ok};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use tokio::time::timeout;

/// Parts fetched at the same time.
const AT_ONCE: usize = 12;

/// Addresses of a part's name that are tried.
const ADDRESSES: usize = 3;

/// The page whose parts count: the one that IPv6 shows; if that is another site's, the one that IPv4 shows. Nothing if no
/// conversation over IPv6 gets through, because then parts say nothing of their own. Preferably through TLS.
fn page(addresses: &[AddressObservation]) -> Option<(Link, &Page)> {
    let of = |family| {
        let of = addresses
            .iter()
            .filter(move |address| address.family() == family);
        of.flat_map(|address| &address.ports)
            .filter(|port| port.talk().is_some_and(Talk::complete))
    };
    of(Family::V6).next()?;
    let best = |family| {
        let pages = of(family).filter_map(|port| {
            let page = port
                .page()
                .filter(|page| page.status == 200 && page.is_html())?;
            Some((port.speech == Speech::Https, port.port, page))
        });
        pages.max_by_key(|(https, port, _)| (*https, std::cmp::Reverse(*port)))
    };
    let (https, port, page) = best(Family::V6).or_else(|| best(Family::V4))?;
    let link = Link {
        https,
        host: String::new(),
        port,
        path: String::new(),
    };
    Some((link, page))
}

/// Looks up and fetches the parts.
pub(super) async fn collect(
    plan: &Plan,
    tls: &Tls,
    vantage: &Vantage,
    addresses: &[AddressObservation],
) -> Vec<PartObservation> {
    let Some((link, page)) = page(addresses) else {
        return Vec::new();
    };
    let link = Link {
        host: plan.host.clone(),
        path: plan.path.clone(),
        ..link
    };
    let base = page
        .hops
        .iter()
        .try_fold(link, |link, (_, location)| link.join(location));
    let Some(base) = base else { return Vec::new() };
    let mut parts = html::scan(&base, &page.body).parts;
    // What a literal needs has nothing to do with its family: that is a finding of its own.
    parts.retain(|part| part.host.parse::<IpAddr>().is_err() || part.host == plan.host);
    let names: BTreeSet<String> = parts.iter().map(|part| part.host.clone()).collect();
    let known = join_all(names.into_iter().map(|name| async move {
        let sides = tokio::join!(
            resolve(plan, vantage, addresses, &name, Family::V4),
            resolve(plan, vantage, addresses, &name, Family::V6),
        );
        (name, sides)
    }))
    .await;
    let known: BTreeMap<_, _> = known.into_iter().collect();
    let fetches = parts.into_iter().map(|part| {
        let sides = known.get(&part.host).cloned();
        async move {
            let (v4, v6) = sides.unwrap_or_else(|| (Err(unresolved()), Err(unresolved())));
            let (v4, v6) = (
                not_broken(addresses, part.port, v4),
                not_broken(addresses, part.port, v6),
            );
            let (v4, v6) = tokio::join!(side(plan, tls, &part, v4), side(plan, tls, &part, v6));
            PartObservation {
                url: part.to_string(),
                host: part.host,
                port: part.port,
                v4,
                v6,
            }
        }
        .boxed()
    });
    futures_util::stream::iter(fetches)
        .buffered(if plan.one_by_one() { 1 } else { AT_ONCE })
        .collect()
        .await
}

fn unresolved() -> PartSide {
    PartSide::Unknown("not resolved".to_owned())
}

/// The addresses of a part's name on the wire; an error is the outcome when there is nothing to ask.
async fn resolve(
    plan: &Plan,
    vantage: &Vantage,
    own: &[AddressObservation],
    name: &str,
    family: Family,
) -> Result<Vec<IpAddr>, PartSide> {
    if let Route::Missing { why } = vantage.route(family) {
        return Err(PartSide::Unknown(why.clone()));
    }
    if name == plan.host {
        let own = own
            .iter()
            .filter(|address| Family::of(address.address) == family);
        let own: Vec<IpAddr> = own.map(|address| address.wire).collect();
        return if own.is_empty() {
            Err(PartSide::NoAddress)
        } else {
            Ok(own)
        };
    }
    let asked = timeout(plan.timeout, plan.lookup.ask(name, family)).await;
    match asked.unwrap_or_else(|_| Err(format!("no answer for `{name}`"))) {
        Err(why) => Err(PartSide::Unknown(why)),
        Ok(found) if found.is_empty() => Err(PartSide::NoAddress),
        Ok(found) => Ok(found
            .into_iter()
            .map(|address| on_the_wire(plan, vantage, address))
            .collect()),
    }
}

fn on_the_wire(plan: &Plan, vantage: &Vantage, address: IpAddr) -> IpAddr {
    match (address, plan.nat64, vantage.route(Family::V4)) {
        (IpAddr::V4(v4), Some(prefix), Route::Translated) => vantage::translate(prefix, v4).into(),
        _ => address,
    }
}

/// Takes out the target's own addresses on which this port was found not to work: asking them again would only take long.
fn not_broken(
    own: &[AddressObservation],
    port: u16,
    wires: Result<Vec<IpAddr>, PartSide>,
) -> Result<Vec<IpAddr>, PartSide> {
    let broken = |wire: &IpAddr| {
        let seen = own
            .iter()
            .filter(|address| address.wire == *wire)
            .find_map(|address| address.port(port));
        seen.is_some_and(|port| !port.talk().is_some_and(Talk::complete))
    };
    let mut wires = wires?;
    wires.retain(|wire| !broken(wire));
    if wires.is_empty() {
        Err(PartSide::Broken)
    } else {
        Ok(wires)
    }
}

async fn side(
    plan: &Plan,
    tls: &Tls,
    part: &Link,
    wires: Result<Vec<IpAddr>, PartSide>,
) -> PartSide {
    let wires = match wires {
        Ok(wires) => wires,
        Err(side) => return side,
    };
    let at = plan.now();
    let speech = if part.https {
        Speech::Https
    } else {
        Speech::Http
    };
    let ask = Ask {
        link: part.clone(),
        speech,
        large: false,
        body: false,
    };
    let tries = wires.iter().take(ADDRESSES).map(|wire| {
        let (ask, to) = (&ask, SocketAddr::new(*wire, part.port));
        async move {
            let (talks, _) = port::insist(plan, tls, to, ask, None).await;
            talks
                .last()
                .map_or_else(|| Err("no answer".to_owned()), status)
        }
        .boxed()
    });
    // One address that answers is enough: a browser would find it.
    let outcome = timeout(plan.timeout * 3 / 2, select_ok(tries)).await;
    let outcome = outcome
        .unwrap_or_else(|_| Err("no answer".to_owned()))
        .map(|(status, _)| status);
    PartSide::Asked {
        addresses: wires,
        at,
        took: plan.now().saturating_sub(at),
        outcome,
    }
}

fn status(talk: &Talk) -> Result<u16, String> {
    if let Some(page) = talk.page() {
        return Ok(page.status);
    }
    let connect = talk.connect.as_ref().map(ToString::to_string);
    let tls = talk
        .tls
        .as_ref()
        .and_then(|step| step.outcome.as_ref().err())
        .map(ToString::to_string);
    let answer = talk
        .answer
        .as_ref()
        .and_then(|step| step.outcome.as_ref().err())
        .map(ToString::to_string);
    Err(connect
        .or(tls)
        .or(answer)
        .unwrap_or_else(|| "no answer".to_owned()))
}
