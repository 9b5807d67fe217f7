//! One port of one address: connect, then talk, and when the other side falls silent, talk again with small segments.
//!
//! The proof of a path-MTU black hole is a pair on the same address: silence at the system's segment size, an answer
//! with 1220-byte segments (which fit IPv6's smallest MTU with room for a tunnel). Silence alone proves nothing, and
//! on a path that loses packets neither does one silent connection; so both sides of the pair are tried several times.

use super::echo::Distance;
use super::http::{Ask, talk, unopened};
use super::link::Link;
use super::observation::{Answer, PortObservation, Step, Talk};
use super::tls::Tls;
use super::{Plan, Speech, tcp};
use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::FuturesUnordered;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch::Sender;
use tokio::time::{Instant, sleep, sleep_until};

/// `TCP_MAXSEG` of the second half of the proof.
pub(super) const SMALL_SEGMENT: u16 = 1220;

/// Silence of this length starts the other half of the proof, while the first half goes on waiting.
const SUSPICION: Duration = Duration::from_millis(1500);

/// How much longer than the first talk the later ones of the same size may take once the first has given up.
const GRACE: Duration = Duration::from_secs(2);

/// Redirects followed on the same address.
const HOPS: usize = 4;

/// The request of a port, or `None` where nothing is asked.
pub(super) fn ask(plan: &Plan, port: u16) -> Ask {
    let speech = plan.speech(port);
    let host = plan.host.clone();
    let link = Link {
        https: speech == Speech::Https,
        host,
        port,
        path: plan.path.clone(),
    };
    Ask {
        link,
        speech,
        large: false,
        body: true,
    }
}

/// Looks at one port of one address.
pub(super) async fn probe(
    plan: &Plan,
    tls: &Tls,
    wire: IpAddr,
    port: u16,
    distance: &Sender<Distance>,
) -> PortObservation {
    let to = SocketAddr::new(wire, port);
    let opened = tcp::open(plan, to, None).await;
    let (at, took) = (opened.step.at, opened.step.took);
    let (outcome, stream) = match opened.step.outcome {
        Ok(stream) => (Ok(()), Some(stream)),
        Err(error) => (Err(error), None),
    };
    distance.send_modify(|distance| {
        distance.pending = distance.pending.saturating_sub(1);
        if stream.is_some() {
            distance.quickest = Some(distance.quickest.map_or(took, |best| best.min(took)));
        }
    });
    let ask = ask(plan, port);
    let mut seen = PortObservation {
        port,
        speech: ask.speech,
        connect: Step { at, took, outcome },
        attempts: opened.attempts,
        talks: Vec::new(),
        small_talks: Vec::new(),
        large: Vec::new(),
        small_large: Vec::new(),
        second: None,
    };
    let Some(stream) = stream else {
        return seen;
    };
    if ask.speech == Speech::Nothing {
        return seen;
    }
    (seen.talks, seen.small_talks) = insist(plan, tls, to, &ask, Some(stream)).await;
    if let Some(last) = seen.talks.last_mut() {
        follow(plan, tls, to, &ask, last).await;
    }
    seen
}

/// Sends a request that no packet can hold, where an ordinary one got through.
///
/// Only when all ports of the address are done: the Packet Too Big that a large request may bring makes this machine's
/// kernel ask for smaller segments on all later connections to the address, and would so hide a black hole in the other
/// direction.
pub(super) async fn enlarge(
    plan: &Plan,
    tls: &Tls,
    wire: IpAddr,
    seen: &PortObservation,
) -> Option<(Vec<Talk>, Vec<Talk>)> {
    if !seen.speech.is_web() || !seen.talk().is_some_and(Talk::complete) {
        return None;
    }
    let to = SocketAddr::new(wire, seen.port);
    let ask = Ask {
        large: true,
        body: false,
        ..ask(plan, seen.port)
    };
    Some(insist(plan, tls, to, &ask, None).await)
}

/// One more ordinary conversation, with redirects.
pub(super) async fn again(plan: &Plan, tls: &Tls, wire: IpAddr, port: u16) -> Talk {
    let to = SocketAddr::new(wire, port);
    let ask = ask(plan, port);
    let mut talk = once(plan, tls, to, &ask, None, None).await;
    follow(plan, tls, to, &ask, &mut talk).await;
    talk
}

/// Opens a connection (unless one is given) and talks on it.
pub(super) async fn once(
    plan: &Plan,
    tls: &Tls,
    to: SocketAddr,
    ask: &Ask,
    segment: Option<u16>,
    stream: Option<TcpStream>,
) -> Talk {
    let stream = if let Some(stream) = stream {
        stream
    } else {
        let opened = tcp::open(plan, to, segment).await;
        match opened.step.outcome {
            Ok(stream) => stream,
            Err(error) => return unopened(opened.step.at, segment, error),
        }
    };
    talk(plan, tls, ask, stream, segment).await
}

/// Talks until one talk gets through or silence is certain: the talks at the system's segment size, then those with
/// small segments.
pub(super) async fn insist(
    plan: &Plan,
    tls: &Tls,
    to: SocketAddr,
    ask: &Ask,
    stream: Option<TcpStream>,
) -> (Vec<Talk>, Vec<Talk>) {
    let later = |after: Duration, segment: Option<u16>| -> BoxFuture<'_, Talk> {
        async move {
            sleep(after).await;
            once(plan, tls, to, ask, segment, None).await
        }
        .boxed()
    };
    let mut running = FuturesUnordered::new();
    running.push(once(plan, tls, to, ask, None, stream).boxed());
    // On a slow line a response may be long on its way, and others beside it make it longer.
    let suspicion = if plan.one_by_one() {
        plan.timeout * 2
    } else {
        SUSPICION
    };
    for (count, after) in [(2, suspicion), (2, suspicion + Duration::from_secs(1))] {
        for _ in 0..count {
            running.push(later(after, None));
        }
    }
    for _ in 0..2 {
        running.push(later(suspicion, Some(SMALL_SEGMENT)));
    }
    let mut ordinary: Vec<Talk> = Vec::new();
    let mut small: Vec<Talk> = Vec::new();
    let mut failures = 0;
    let mut end = None;
    loop {
        let talk = tokio::select! {
            Some(talk) = running.next() => talk,
            () = sleep_until(end.unwrap_or_else(Instant::now)), if end.is_some() => break,
            else => break,
        };
        if talk.segment.is_some() {
            small.push(talk);
            continue;
        }
        let stalled = talk.stalled().is_some();
        let complete = talk.complete();
        ordinary.push(talk);
        if complete {
            break;
        }
        if stalled {
            end = end.or_else(|| Some(Instant::now() + GRACE));
        } else {
            // Not silence but a failure: it needs no other segment size, only a second opinion.
            failures += 1;
            if failures == 2 {
                break;
            }
            running.push(later(Duration::from_millis(200), None));
        }
    }
    (ordinary, small)
}

/// Follows redirects to the same host on the same address, and puts the last page in place of the first.
async fn follow(plan: &Plan, tls: &Tls, to: SocketAddr, first: &Ask, talk: &mut Talk) {
    let mut ask = first.clone();
    let mut hops: Vec<(u16, String)> = Vec::new();
    while hops.len() < HOPS {
        let Some(page) = talk.page().filter(|page| (300..400).contains(&page.status)) else {
            return;
        };
        let Some(location) = page.location.clone() else {
            return;
        };
        let Some(link) = ask.link.join(&location) else {
            return;
        };
        // Another port of the plan has a row of its own.
        let elsewhere = link.port != ask.link.port && plan.ports.contains(&link.port);
        if link.host != plan.host || elsewhere || link == ask.link {
            return;
        }
        hops.push((page.status, location));
        ask.speech = if link.https {
            Speech::Https
        } else {
            Speech::Http
        };
        ask.link = link;
        let to = SocketAddr::new(to.ip(), ask.link.port);
        let mut next = once(plan, tls, to, &ask, None, None).await;
        let Some(answer) = next.answer.as_mut().filter(|_| next.connect.is_none()) else {
            return;
        };
        let Ok(Answer::Page(page)) = &mut answer.outcome else {
            return;
        };
        page.hops.clone_from(&hops);
        let (at, took) = talk
            .answer
            .as_ref()
            .map_or((answer.at, answer.took), |first| (first.at, first.took));
        talk.answer = next.answer.map(|mut step| {
            // The times of the first response: those of the redirects would hide how long the address took.
            (step.at, step.took) = (at, took);
            step
        });
    }
}
