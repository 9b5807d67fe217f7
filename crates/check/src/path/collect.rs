//! Looks at everything at once: every address, every port, both families. Only what needs these results waits for them
//! ([`more`]).
//!
//! Where this machine's line is too slow for that ([`crowd`]), everything is looked at again, one thing after another:
//! what waits in its own queue says nothing about the service.

mod crowd;
mod more;

use super::echo::{Distance, Echo};
use super::observation::{
    AddressObservation, ClientObservation, EchoRefusal, PartObservation, PathObservation,
    QuicFailure, Route, Series, Step, Vantage,
};
use super::tls::Tls;
use super::{Family, Pace, Plan, Speech, client, echo, local, port, quic, rule, vantage};
use crate::options::Profile;
use futures_util::future::join_all;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

/// Ports looked at at the same time; with more addresses than this allows, the rest waits.
const AT_ONCE: usize = 64;

/// Silence on QUIC means nothing before this time.
const QUIC_PATIENCE: Duration = Duration::from_millis(700);

/// Addresses whose QUIC handshake is not worth the full wait, and whether it is because TCP is dead too.
type Hopeless = BTreeMap<IpAddr, bool>;

/// An address with the one that stands for it on the wire.
#[derive(Clone, Copy, Debug)]
struct Reach {
    address: IpAddr,
    wire: IpAddr,
}

/// Collects what this vantage can see.
pub(crate) async fn collect(plan: &Plan) -> PathObservation {
    let vantage = vantage::look(plan);
    let reaches = reaches(plan, &vantage);
    let tls = Tls::with_native_roots();
    let local = local::collect(plan);
    let (at_once, local) = tokio::join!(Box::pin(look(plan, &tls, &vantage, &reaches)), local);
    let slow_line = at_once.is_none();
    let seen = match at_once {
        Some(seen) => seen,
        None => Box::pin(look_again(plan, &tls, &vantage, &reaches)).await,
    };
    PathObservation {
        vantage,
        addresses: seen.addresses,
        parts: seen.parts,
        client: seen.client,
        local,
        has_roots: tls.has_roots(),
        slow_line,
    }
}

/// What the network showed.
struct Seen {
    addresses: Vec<AddressObservation>,
    parts: Vec<PartObservation>,
    client: Option<ClientObservation>,
}

/// Everything at once; `None` if this machine's line is too slow for it.
async fn look(plan: &Plan, tls: &Tls, vantage: &Vantage, reaches: &[Reach]) -> Option<Seen> {
    let wires: Vec<IpAddr> = reaches.iter().map(|reach| reach.wire).collect();
    let (hopeless_now, hopeless) = watch::channel(Hopeless::new());
    // Boxed: the three are large, and whoever waits for them should not be.
    let main = Box::pin(async {
        let mut addresses = Box::pin(look_at_all(plan, tls, reaches)).await;
        hopeless_now.send_replace(without_hope(plan, &addresses));
        if !plan.one_by_one() && crowd::slows(plan, tls, &addresses).await {
            return None;
        }
        let more = Box::pin(more::look(plan, tls, vantage, &addresses)).await;
        let parts = more.add_to(&mut addresses);
        Some((addresses, parts))
    });
    let (main, quic, client) = tokio::join!(
        main,
        Box::pin(quic_all(plan, tls, reaches, &hopeless)),
        Box::pin(client::run(plan, tls, &wires)),
    );
    let (mut addresses, parts) = main?;
    for (address, quic) in addresses.iter_mut().zip(quic) {
        address.quic = quic;
    }
    Some(Seen {
        addresses,
        parts,
        client,
    })
}

/// Everything again, and nothing beside anything else.
async fn look_again(plan: &Plan, tls: &Tls, vantage: &Vantage, reaches: &[Reach]) -> Seen {
    let plan = &Plan {
        pace: Pace::OneByOne,
        ..plan.clone()
    };
    let wires: Vec<IpAddr> = reaches.iter().map(|reach| reach.wire).collect();
    let client = client::run(plan, tls, &wires).await;
    let mut addresses = Box::pin(look_at_all(plan, tls, reaches)).await;
    let (_, hopeless) = watch::channel(without_hope(plan, &addresses));
    let quic = quic_all(plan, tls, reaches, &hopeless).await;
    let more = Box::pin(more::look(plan, tls, vantage, &addresses)).await;
    let parts = more.add_to(&mut addresses);
    for (address, quic) in addresses.iter_mut().zip(quic) {
        address.quic = quic;
    }
    Seen {
        addresses,
        parts,
        client,
    }
}

/// All of these at once, or one after another.
async fn gather<T>(plan: &Plan, looks: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    if !plan.one_by_one() {
        return join_all(looks).await;
    }
    let mut seen = Vec::new();
    for look in looks {
        seen.push(look.await);
    }
    seen
}

/// Where nobody offers QUIC, or TCP is dead too, an answer that is not there by now is not waited for.
fn without_hope(plan: &Plan, addresses: &[AddressObservation]) -> Hopeless {
    let offered = plan.h3_advertised || rule::offers_h3(addresses);
    addresses
        .iter()
        .filter(|address| !offered || !address.is_open())
        .map(|address| (address.address, !address.is_open()))
        .collect()
}

/// The addresses that can be reached from here at all.
fn reaches(plan: &Plan, vantage: &Vantage) -> Vec<Reach> {
    let reach = |address: &IpAddr| {
        let address = *address;
        let wire = match (vantage.route(Family::of(address)), address, plan.nat64) {
            (Route::Here { .. }, _, _) => address,
            (Route::Translated, IpAddr::V4(v4), Some(prefix)) => {
                vantage::translate(prefix, v4).into()
            }
            _ => return None,
        };
        Some(Reach { address, wire })
    };
    plan.addresses.iter().filter_map(reach).collect()
}

async fn look_at_all(plan: &Plan, tls: &Tls, reaches: &[Reach]) -> Vec<AddressObservation> {
    let permits = Semaphore::new(AT_ONCE);
    let looks = reaches.iter().map(|reach| async {
        let unknown = Distance {
            pending: plan.ports.len(),
            quickest: None,
        };
        let (distance, far) = watch::channel(unknown);
        let ports = gather(
            plan,
            plan.ports.iter().map(|port| async {
                // The semaphore is never closed; without a permit the look would only be less bounded.
                let _permit = permits.acquire().await;
                port::probe(plan, tls, reach.wire, *port, &distance).await
            }),
        );
        let echoes = echoes(plan, reach.wire, far);
        let (ports, (echo, fragmented)) = if plan.one_by_one() {
            (ports.await, echoes.await)
        } else {
            tokio::join!(ports, echoes)
        };
        AddressObservation {
            address: reach.address,
            wire: reach.wire,
            ports,
            echo,
            fragmented,
            connects: None,
            quic: None,
        }
    });
    Box::pin(gather(plan, looks)).await
}

/// Small and fragmented echoes.
async fn echoes(
    plan: &Plan,
    wire: IpAddr,
    far: watch::Receiver<Distance>,
) -> (Result<Series, EchoRefusal>, Option<Series>) {
    let refusal = |error: &std::io::Error| {
        if echo::not_allowed(error) {
            EchoRefusal::NotAllowed
        } else {
            EchoRefusal::Other(error.to_string())
        }
    };
    // One socket for each kind: their options differ.
    match (Echo::open(wire), Echo::open(wire)) {
        (Ok(small), Ok(large)) => {
            let (small, large) =
                tokio::join!(small.series(plan, far.clone()), large.fragmented(plan, far));
            (Ok(small), Some(large))
        }
        (Err(error), _) | (_, Err(error)) => (Err(refusal(&error)), None),
    }
}

/// QUIC with every address, beside everything else.
async fn quic_all(
    plan: &Plan,
    tls: &Tls,
    reaches: &[Reach],
    hopeless: &watch::Receiver<Hopeless>,
) -> Vec<Option<Step<Result<(), QuicFailure>>>> {
    let wanted = plan.profile == Profile::Web
        && plan.ports.contains(&443)
        && plan.speech(443) == Speech::Https;
    let answered = AtomicBool::new(false);
    let shake = |reach: &Reach| {
        let reach = *reach;
        let answered = &answered;
        async move {
            if !wanted {
                return None;
            }
            let at = plan.now();
            let impatience = async {
                let mut hopeless = hopeless.clone();
                let sleeping = sleep(QUIC_PATIENCE);
                let told = hopeless
                    .wait_for(|told| told.contains_key(&reach.address))
                    .await;
                let dead = told.ok().and_then(|told| told.get(&reach.address).copied());
                sleeping.await;
                // Without an offer, one answer shows that QUIC is spoken after all.
                if dead.is_none_or(|dead| !dead && answered.load(Ordering::Relaxed)) {
                    std::future::pending::<()>().await;
                }
            };
            Some(tokio::select! {
                step = quic::handshake(plan, tls, reach.wire) => {
                    answered.fetch_or(step.outcome.is_ok(), Ordering::Relaxed);
                    step
                }
                () = impatience => Step {
                    at,
                    took: plan.now().saturating_sub(at),
                    outcome: Err(QuicFailure::GivenUp),
                },
            })
        }
    };
    gather(plan, reaches.iter().map(shake)).await
}

#[cfg(test)]
mod tests;
