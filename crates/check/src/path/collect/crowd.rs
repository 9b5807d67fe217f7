//! Is this machine's line too slow for everything at once?
//!
//! Silence while dozens of connections share a slow line may be their own doing. So it is asked again, almost alone; if an
//! answer comes then, the line was the reason.

use crate::path::observation::{AddressObservation, PortObservation, Talk};
use crate::path::tls::Tls;
use crate::path::{Plan, port};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::sleep;

/// Conversations over a line that is not crowded take no longer: what is silent beside them is silent by itself.
const UNHURRIED: Duration = Duration::from_millis(500);

/// The next question waits for the answer to the last one, but not for ever: silence takes no room on the line.
const TURN: Duration = Duration::from_millis(400);

/// A round trip that waits in a queue takes this many times as long as the quickest, and at least [`QUEUE`] longer.
const TIMES: u32 = 4;
const QUEUE: Duration = Duration::from_millis(150);

/// Whether the line made anything slow or silent that is not so by itself.
pub(super) async fn slows(plan: &Plan, tls: &Tls, addresses: &[AddressObservation]) -> bool {
    if queues(addresses) {
        return true;
    }
    let silent = doubtful(addresses);
    let mut waiting = silent.into_iter();
    let mut running = FuturesUnordered::new();
    while waiting.len() > 0 || !running.is_empty() {
        if let Some((wire, port)) = waiting.next() {
            running.push(port::again(plan, tls, wire, port));
        }
        let answered = tokio::select! {
            Some(talk) = running.next() => talk.complete(),
            () = sleep(TURN), if waiting.len() > 0 => false,
        };
        if answered {
            return true;
        }
    }
    false
}

/// Whether round trips to every address had to wait. A slow path, or a slow server, makes all of them equally long.
fn queues(addresses: &[AddressObservation]) -> bool {
    let mut series = addresses
        .iter()
        .filter(|address| address.is_open())
        .filter_map(|address| Some((address, address.echo.as_ref().ok()?)))
        .filter_map(|(address, echo)| Some((address, echo, echo.median()?)))
        .peekable();
    series.peek().is_some()
        && series.all(|(address, echo, median)| {
            let connects = address
                .ports
                .iter()
                .filter(|port| port.connect.outcome.is_ok())
                .map(|port| port.connect.took);
            let quickest = connects.chain(echo.round_trips.iter().copied()).min();
            quickest.is_some_and(|quickest| median > quickest * TIMES && median > quickest + QUEUE)
        })
}

/// Open ports that fell silent, unless others answered without any hurry.
fn doubtful(addresses: &[AddressObservation]) -> Vec<(IpAddr, u16)> {
    let ports = || {
        addresses
            .iter()
            .flat_map(|address| address.ports.iter().map(move |port| (address.wire, port)))
    };
    let answered = |port: &PortObservation| port.talks.iter().any(Talk::complete);
    let mut served = ports().filter(|(_, port)| answered(port)).peekable();
    let unhurried = |port: &PortObservation| matches!(port.talks.as_slice(), [only] if duration(only) <= UNHURRIED);
    if served.peek().is_some() && served.all(|(_, port)| unhurried(port)) {
        return Vec::new();
    }
    ports()
        .filter(|(_, port)| {
            !answered(port) && port.talks.iter().any(|talk| talk.stalled().is_some())
        })
        .map(|(wire, port)| (wire, port.port))
        .collect()
}

/// Handshake and answer.
fn duration(talk: &Talk) -> Duration {
    let tls = talk.tls.as_ref().map(|step| step.took);
    let answer = talk.answer.as_ref().map(|step| step.took);
    tls.into_iter().chain(answer).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::rule::fixture::{Scene, healthy, series, silent_body};

    const V6: [&str; 2] = ["2e00:5::80", "2e00:5::81"];
    const ALL: [&str; 4] = ["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"];

    fn silent(addresses: &[&str]) -> Scene {
        let mut scene = healthy();
        for address in addresses {
            scene.port(address, 80).talks = vec![silent_body(); 5];
        }
        scene
    }

    #[test]
    fn silence_beside_quick_answers_needs_no_second_question() {
        assert_eq!(doubtful(&silent(&V6).seen.addresses), []);
        assert_eq!(doubtful(&healthy().seen.addresses), []);
    }

    #[test]
    fn silence_beside_slow_answers_is_doubtful() {
        let mut scene = silent(&V6);
        let slow = &mut scene.port("198.51.100.80", 443).talks[0];
        slow.answer.as_mut().unwrap().took = Duration::from_secs(2);
        let places: Vec<(String, u16)> = doubtful(&scene.seen.addresses)
            .into_iter()
            .map(|(wire, port)| (wire.to_string(), port))
            .collect();
        assert_eq!(places, V6.map(|address| (address.to_owned(), 80)));
    }

    #[test]
    fn silence_of_everything_is_doubtful() {
        let mut scene = silent(&ALL);
        for address in ALL {
            scene.port(address, 443).talks = vec![silent_body(); 5];
        }
        assert_eq!(doubtful(&scene.seen.addresses).len(), 8);
    }

    #[test]
    fn round_trips_that_wait_are_a_queue_only_if_all_of_them_do() {
        let mut scene = healthy();
        let check = |scene: &Scene, expected| assert_eq!(queues(&scene.seen.addresses), expected);
        check(&scene, false);
        for address in &ALL[..3] {
            scene.address(address).echo = Ok(series(24, 18, 700));
        }
        check(&scene, false);
        scene.address(ALL[3]).echo = Ok(series(24, 18, 700));
        check(&scene, true);
        // A long way is long from the first packet on.
        for address in ALL {
            for port in &mut scene.address(address).ports {
                port.connect.took = Duration::from_millis(650);
            }
        }
        check(&scene, false);
    }
}
