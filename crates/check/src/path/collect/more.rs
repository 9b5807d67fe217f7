//! What needs the first results, all of it at once: requests too large for one packet, more connections where packets were
//! lost, a second look where the families differ, and the parts of the page.

use super::gather;
use crate::path::observation::{AddressObservation, PartObservation, Series, Talk, Vantage};
use crate::path::tls::Tls;
use crate::path::{Family, Plan, part, port, rule, series};
use std::net::SocketAddr;
use std::time::Duration;

/// Addresses of each family that are looked at twice, or connected to in series.
const DEEPLY: usize = 4;

/// Something that belongs to a port of an address, both by their index.
type OfPort<T> = Vec<(usize, usize, T)>;

/// What the further looks showed, to be put where it belongs.
pub(super) struct More {
    large: OfPort<(Vec<Talk>, Vec<Talk>)>,
    second: OfPort<Talk>,
    connects: Vec<(usize, Series)>,
    parts: Vec<PartObservation>,
}

/// Looks further.
pub(super) async fn look(
    plan: &Plan,
    tls: &Tls,
    vantage: &Vantage,
    addresses: &[AddressObservation],
) -> More {
    let large = large_requests(plan, tls, addresses);
    let second = second_look(plan, tls, addresses);
    let connects = more_connects(plan, addresses);
    let parts = part::collect(plan, tls, vantage, addresses);
    let (large, second, connects, parts) = if plan.one_by_one() {
        (large.await, second.await, connects.await, parts.await)
    } else {
        tokio::join!(large, second, connects, parts)
    };
    More {
        large,
        second,
        connects,
        parts,
    }
}

impl More {
    /// Adds to each address what was seen of it, and gives the parts of the page.
    pub(super) fn add_to(self, addresses: &mut [AddressObservation]) -> Vec<PartObservation> {
        for (address, port, (large, small_large)) in self.large {
            if let Some(seen) = addresses
                .get_mut(address)
                .and_then(|seen| seen.ports.get_mut(port))
            {
                seen.large = large;
                seen.small_large = small_large;
            }
        }
        for (address, port, talk) in self.second {
            if let Some(seen) = addresses
                .get_mut(address)
                .and_then(|seen| seen.ports.get_mut(port))
            {
                seen.second = Some(talk);
            }
        }
        for (address, series) in self.connects {
            if let Some(seen) = addresses.get_mut(address) {
                seen.connects = Some(series);
            }
        }
        self.parts
    }
}

async fn large_requests(
    plan: &Plan,
    tls: &Tls,
    addresses: &[AddressObservation],
) -> OfPort<(Vec<Talk>, Vec<Talk>)> {
    let ports = addresses.iter().enumerate().flat_map(|(index, address)| {
        address
            .ports
            .iter()
            .enumerate()
            .map(move |(port, seen)| (index, port, address.wire, seen))
    });
    let requests = ports.map(|(index, port, wire, seen)| async move {
        Some((index, port, port::enlarge(plan, tls, wire, seen).await?))
    });
    gather(plan, requests).await.into_iter().flatten().collect()
}

/// Connections in series, where echoes were lost or say nothing, on both families alike.
async fn more_connects(plan: &Plan, addresses: &[AddressObservation]) -> Vec<(usize, Series)> {
    let mut chosen = Vec::new();
    for family in Family::BOTH {
        let live = addresses
            .iter()
            .enumerate()
            .filter(|(_, address)| address.family() == family);
        let live: Vec<_> = live
            .filter_map(|(index, address)| Door::of(index, address))
            .take(DEEPLY)
            .collect();
        if live.is_empty() {
            // Nothing to compare with.
            return Vec::new();
        }
        chosen.extend(live);
    }
    let lost_some = |series: &Series| series.lost() > 0 && series.answered() > 0;
    let lossy = chosen.iter().any(|door| door.echo.is_some_and(lost_some));
    let mute = chosen
        .iter()
        .any(|door| door.echo.is_none_or(|series| series.answered() == 0));
    if !lossy && !mute {
        return Vec::new();
    }
    let connects = |count| {
        let series = chosen.iter().map(move |door| async move {
            (
                door.index,
                series::connects(plan, door.to, count, door.round_trip).await,
            )
        });
        gather(plan, series)
    };
    if !lossy {
        let few = connects(series::FEW).await;
        if !few.iter().any(|(_, series)| lost_some(series)) {
            return few;
        }
    }
    let many = connects(series::MANY).await;
    let lost = |family| {
        let of = |index: usize| {
            addresses
                .get(index)
                .is_some_and(|address| address.family() == family)
        };
        many.iter()
            .filter(|(index, _)| of(*index))
            .any(|(_, series)| series.lost() > 0)
    };
    if lost(Family::V4) && lost(Family::V6) {
        // Either both paths are bad, or this machine stood still for a moment: once more, to tell which.
        return connects(series::MANY).await;
    }
    many
}

/// Where connections to an address can be made.
struct Door<'a> {
    index: usize,
    to: SocketAddr,
    echo: Option<&'a Series>,
    round_trip: Duration,
}

impl<'a> Door<'a> {
    fn of(index: usize, address: &'a AddressObservation) -> Option<Self> {
        let port = address
            .ports
            .iter()
            .find(|port| port.connect.outcome.is_ok())?;
        let echo = address.echo.as_ref().ok();
        Some(Self {
            index,
            to: SocketAddr::new(address.wire, port.port),
            echo,
            round_trip: echo.and_then(Series::median).unwrap_or(port.connect.took),
        })
    }
}

/// Where the families answer differently, both are asked again: servers behind one address may differ, and pages may
/// change with every request.
async fn second_look(plan: &Plan, tls: &Tls, addresses: &[AddressObservation]) -> OfPort<Talk> {
    let mut wanted = Vec::new();
    for port in &plan.ports {
        if !plan.speech(*port).is_web() || !rule::families_differ(addresses, *port) {
            continue;
        }
        for family in Family::BOTH {
            let of = addresses
                .iter()
                .enumerate()
                .filter(|(_, address)| address.family() == family);
            let shown = of.filter_map(|(index, address)| {
                let place = address
                    .ports
                    .iter()
                    .position(|seen| seen.port == *port && seen.page().is_some())?;
                Some((index, place, address.wire, *port))
            });
            wanted.extend(shown.take(DEEPLY));
        }
    }
    let looks = wanted
        .into_iter()
        .map(|(index, place, wire, port)| async move {
            (index, place, port::again(plan, tls, wire, port).await)
        });
    gather(plan, looks).await
}
