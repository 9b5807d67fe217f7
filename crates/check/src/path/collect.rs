//! Looks at everything at once: every address, every port, both families. Only what needs these results waits for them
//! ([`more`]).

mod more;

use super::echo::{Distance, Echo};
use super::observation::{
    AddressObservation, EchoRefusal, PathObservation, QuicFailure, Route, Series, Step, Vantage,
};
use super::tls::Tls;
use super::{Family, Plan, Speech, client, echo, local, port, quic, rule, vantage};
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
    let wires: Vec<IpAddr> = reaches.iter().map(|reach| reach.wire).collect();
    let tls = Tls::with_native_roots();
    let (hopeless_now, hopeless) = watch::channel(Hopeless::new());
    // Boxed: the three are large, and whoever waits for them should not be.
    let main = Box::pin(async {
        let mut addresses = look_at_all(plan, &tls, &reaches).await;
        // Where nobody offers QUIC, or TCP is dead too, an answer that is not there by now is not waited for.
        let offered = plan.h3_advertised || rule::offers_h3(&addresses);
        let addresses_without_hope = addresses
            .iter()
            .filter(|address| !offered || !address.is_open());
        hopeless_now.send_replace(
            addresses_without_hope
                .map(|address| (address.address, !address.is_open()))
                .collect(),
        );
        let more = more::look(plan, &tls, &vantage, &addresses).await;
        let parts = more.add_to(&mut addresses);
        (addresses, parts)
    });
    let ((mut addresses, parts), quic, client, local) = tokio::join!(
        main,
        Box::pin(quic_all(plan, &tls, &reaches, &hopeless)),
        Box::pin(client::run(plan, &tls, &wires)),
        local::collect(plan),
    );
    for (address, quic) in addresses.iter_mut().zip(quic) {
        address.quic = quic;
    }
    PathObservation {
        vantage,
        addresses,
        parts,
        client,
        local,
        has_roots: tls.has_roots(),
    }
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
        let ports = join_all(plan.ports.iter().map(|port| async {
            // The semaphore is never closed; without a permit the look would only be less bounded.
            let _permit = permits.acquire().await;
            port::probe(plan, tls, reach.wire, *port, &distance).await
        }));
        let (ports, (echo, fragmented)) = tokio::join!(ports, echoes(plan, reach.wire, far));
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
    join_all(looks).await
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
    join_all(reaches.iter().map(|reach| async {
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
    }))
    .await
}

#[cfg(test)]
mod tests;
