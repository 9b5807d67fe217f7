//! What the runs amount to in numbers.

use super::Run;
use super::scenario::{Kind, TLS_PORT};
use super::visit::{Attempt, Visit, list, option, seconds};
use crate::world::model::Family;
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use twinstack_dns::RecordType;

/// A client in numbers. `None` is: not seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// The types that it asks for, in order, and how far apart the first and the last question are.
    pub questions: Option<Questions>,
    /// The family of the first attempt when both are there.
    pub preferred: Option<Family>,
    /// What it says once it is connected.
    pub speaks: Option<Speaks>,
    /// How long after the A answer it starts with IPv4 while the AAAA is missing.
    pub resolution_delay: Option<Spread>,
    /// It starts nothing before the AAAA answer.
    pub waits_for_aaaa: Option<bool>,
    /// It starts nothing before the A answer.
    pub waits_for_a: Option<bool>,
    /// How long after the AAAA answer it starts while the A is missing.
    pub start_without_a: Option<Spread>,
    /// How long after the first attempt it starts the second, when the first is not answered.
    pub attempt_delay: Option<Spread>,
    /// The same from attempt to attempt, with twenty dead addresses.
    #[serde(rename = "gaps_seconds", serialize_with = "list")]
    pub gaps: Vec<Duration>,
    /// By how much each gap is longer than the one before; 1 for gaps that stay the same, `None` for irregular ones.
    pub multiplier: Option<f64>,
    /// The families of the attempts, with ten dead addresses of each.
    pub order: Vec<Family>,
    /// How many attempts of the first family come before the first one of the other.
    pub first_family_count: Option<usize>,
    /// After that, the families take turns.
    pub interlaced: Option<bool>,
    /// How many different addresses of ten IPv6 and of ten IPv4 were tried.
    pub addresses_used: Option<AddressesUsed>,
    /// How many attempts were alive at one time.
    pub at_once: Option<AtOnce>,
    /// With so many attempts unanswered it started no further one.
    pub stops_at: Option<usize>,
    /// An attempt goes on while the next one has been started.
    pub keeps_running: Option<bool>,
    /// How long after a refusal the next attempt starts.
    pub after_refusal: Option<Spread>,
    /// The shortest time between two starts in any run.
    pub closest_starts: Option<Closest>,
    /// How long after the attempt whose TLS stays silent another one starts.
    #[serde(rename = "after_silence_seconds", serialize_with = "option")]
    pub after_silence: Option<Duration>,
    /// It was given a server whose TLS stays silent, and stayed with it.
    pub stays_with_silence: Option<bool>,
    /// It starts from address hints.
    pub uses_hints: Option<bool>,
    /// It puts destinations in the order of RFC 6724.
    pub sorts: Option<bool>,
}

/// Repeated measurements of one time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// The one in the middle.
    #[serde(rename = "median_seconds", serialize_with = "seconds")]
    pub median: Duration,
    /// The shortest.
    #[serde(rename = "least_seconds", serialize_with = "seconds")]
    pub least: Duration,
    /// The longest.
    #[serde(rename = "most_seconds", serialize_with = "seconds")]
    pub most: Duration,
}

/// The questions of a healthy run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Questions {
    /// The types in the order in which they were asked.
    pub order: Vec<String>,
    /// From the first question to the last.
    #[serde(rename = "apart_seconds", serialize_with = "seconds")]
    pub apart: Duration,
}

/// What a client says once it is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaks {
    /// Nothing that was seen.
    Nothing,
    /// Something that is not TLS.
    Plain,
    /// TLS.
    Tls,
    /// QUIC.
    Quic,
}

/// How many addresses were tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AddressesUsed {
    /// Of ten.
    pub v6: usize,
    /// Of ten.
    pub v4: usize,
}

/// How many attempts were alive at one time: the packets give two bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AtOnce {
    /// So many were proved by repeated SYNs.
    pub at_least: usize,
    /// More cannot have been.
    pub at_most: usize,
}

/// The two starts that were closest to each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Closest {
    /// The time between them.
    #[serde(rename = "apart_seconds", serialize_with = "seconds")]
    pub apart: Duration,
    /// In which scenario.
    pub scenario: String,
}

impl Spread {
    pub(super) fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        Some(Self {
            count: times.len(),
            median: *times.get(times.len() / 2)?,
            least: *times.first()?,
            most: *times.last()?,
        })
    }
}

/// Late answers shorter than this say nothing about waiting: a resolution delay may be as long.
const CLEARLY_LATE: Duration = Duration::from_millis(300);

pub(super) fn measure(runs: &[Run]) -> Measured {
    let all_dead = visits(runs, Kind::AllDead).next();
    let mut measured = Measured {
        questions: visits(runs, Kind::Healthy).find_map(questions),
        preferred: first_family(runs),
        speaks: speaks(runs),
        resolution_delay: Spread::of(
            visits(runs, Kind::LateAaaa)
                .chain(visits(runs, Kind::LostAaaa))
                .filter_map(|visit| start_without(visit, RecordType::AAAA, RecordType::A))
                .collect(),
        ),
        waits_for_aaaa: waits_for(
            runs,
            RecordType::AAAA,
            RecordType::A,
            [Kind::LateAaaa, Kind::LostAaaa],
        ),
        waits_for_a: waits_for(
            runs,
            RecordType::A,
            RecordType::AAAA,
            [Kind::LateA, Kind::LostA],
        ),
        start_without_a: Spread::of(
            visits(runs, Kind::LateA)
                .chain(visits(runs, Kind::LostA))
                .filter_map(|visit| start_without(visit, RecordType::A, RecordType::AAAA))
                .collect(),
        ),
        attempt_delay: attempt_delay(runs),
        keeps_running: visits(runs, Kind::Slow).find_map(keeps_running),
        after_refusal: Spread::of(after_refusal(runs)),
        closest_starts: closest_starts(runs),
        uses_hints: visits(runs, Kind::Hints).find_map(uses_hints),
        sorts: visits(runs, Kind::Unsorted).find_map(sorts),
        ..Measured::default()
    };
    if let Some(visit) = all_dead {
        many_dead(&mut measured, visit);
    }
    if let Some(visit) = visits(runs, Kind::Silent).next() {
        silence(&mut measured, visit);
    }
    measured
}

/// The visits of the scenarios of one kind.
pub(super) fn visits(runs: &[Run], kind: Kind) -> impl Iterator<Item = &Visit> {
    runs.iter()
        .filter(move |run| run.scenario.kind == kind)
        .filter_map(|run| run.visit.as_ref())
}

fn questions(visit: &Visit) -> Option<Questions> {
    let (first, last) = (visit.lookups.first()?, visit.lookups.last()?);
    Some(Questions {
        order: visit
            .lookups
            .iter()
            .map(|lookup| lookup.rtype.to_string())
            .collect(),
        apart: last.asked.saturating_sub(first.asked),
    })
}

fn first_family(runs: &[Run]) -> Option<Family> {
    let visit = visits(runs, Kind::Healthy).next()?;
    visit.attempts.first().map(|attempt| attempt.family)
}

fn speaks(runs: &[Run]) -> Option<Speaks> {
    use super::packet::Transport;
    let winner = visits(runs, Kind::Healthy).find_map(Visit::winner)?;
    Some(match (winner.transport, winner.sent, winner.port) {
        (Transport::Quic, ..) => Speaks::Quic,
        (_, None, _) => Speaks::Nothing,
        (_, Some(_), TLS_PORT) => Speaks::Tls,
        (_, Some(_), _) => Speaks::Plain,
    })
}

/// How long after the answer for one type the first attempt started, if that was before the answer for the other.
fn start_without(visit: &Visit, missing: RecordType, there: RecordType) -> Option<Duration> {
    let first = visit.attempts.first()?;
    let there = visit.answered_at(there)?;
    let was_missing = visit
        .lookup(missing)?
        .answered
        .is_none_or(|at| first.started < at);
    // An attempt before any answer comes from hints.
    was_missing.then(|| first.started.checked_sub(there))?
}

/// Whether nothing ever starts before the late answer.
fn waits_for(
    runs: &[Run],
    missing: RecordType,
    there: RecordType,
    kinds: [Kind; 2],
) -> Option<bool> {
    let mut waits = None;
    for run in runs.iter().filter(|run| kinds.contains(&run.scenario.kind)) {
        let reply = if missing == RecordType::A {
            run.scenario.a
        } else {
            run.scenario.aaaa
        };
        let Some(visit) = run
            .visit
            .as_ref()
            .filter(|_| reply.lost || reply.delay >= CLEARLY_LATE)
        else {
            continue;
        };
        // Who asks for one type only waits for nothing.
        if visit.lookup(missing).is_none() || visit.answered_at(there).is_none() {
            continue;
        }
        let started = start_without(visit, missing, there).is_some();
        waits = Some(waits.unwrap_or(true) && !started);
    }
    waits
}

fn attempt_delay(runs: &[Run]) -> Option<Spread> {
    let first_gap = |visit: &Visit| visit.gaps().first().copied();
    let dropped: Vec<Duration> = visits(runs, Kind::DroppedIpv6)
        .filter_map(first_gap)
        .collect();
    Spread::of(dropped).or_else(|| {
        // A client that prefers IPv4 never meets the dead IPv6 address.
        Spread::of(visits(runs, Kind::AllDead).filter_map(first_gap).collect())
    })
}

fn many_dead(measured: &mut Measured, visit: &Visit) {
    measured.gaps = visit.gaps();
    measured.multiplier = multiplier(&measured.gaps);
    measured.order = visit
        .attempts
        .iter()
        .map(|attempt| attempt.family)
        .collect();
    let leading = measured.order.first().map(|first| {
        measured
            .order
            .iter()
            .take_while(|family| *family == first)
            .count()
    });
    measured.first_family_count = leading;
    measured.interlaced = leading.and_then(|leading| interlaced(&measured.order, leading));
    let used = |family| {
        let addresses: BTreeSet<IpAddr> = visit
            .attempts
            .iter()
            .map(|attempt| attempt.address)
            .filter(|address| Family::of(*address) == family)
            .collect();
        addresses.len()
    };
    measured.addresses_used = Some(AddressesUsed {
        v6: used(Family::V6),
        v4: used(Family::V4),
    });
    measured.at_once = Some(AtOnce {
        at_least: most_overlapping(visit, Attempt::last_sign),
        at_most: most_overlapping(visit, |attempt| attempt.end().min(visit.elapsed)),
    });
    measured.stops_at = stops_at(visit);
}

/// How many attempts of the sweep's many there are.
const MANY: usize = 20;

/// Gaps at the draft's maximum (2 s) do not grow any more.
const LONGEST_GAP: Duration = Duration::from_millis(1950);

/// Timers on a busy machine are late by so much.
const LATE: Duration = Duration::from_millis(12);

/// Three gaps at least, and each as many times longer than the one before as all the others.
fn multiplier(gaps: &[Duration]) -> Option<f64> {
    let ratios: Vec<(f64, f64)> = gaps
        .windows(2)
        .filter_map(|pair| match pair {
            [one, next] if *next < LONGEST_GAP && !one.is_zero() => {
                let ratio = next.as_secs_f64() / one.as_secs_f64();
                // A late timer makes one gap longer and the next one shorter.
                let doubt = 0.03 + 2.0 * LATE.as_secs_f64() / one.as_secs_f64();
                Some((ratio, doubt))
            }
            _ => None,
        })
        .collect();
    if ratios.len() < 2 {
        return None;
    }
    let mut sorted: Vec<f64> = ratios.iter().map(|(ratio, _)| *ratio).collect();
    sorted.sort_by(f64::total_cmp);
    let middle = *sorted.get(sorted.len() / 2)?;
    let regular = ratios
        .iter()
        .all(|(ratio, doubt)| (ratio - middle).abs() <= doubt * middle.max(1.0));
    regular.then(|| {
        if (middle - 1.0).abs() < 0.1 {
            1.0
        } else {
            (middle * 100.0).round() / 100.0
        }
    })
}

/// Whether the families take turns after the first ones; `None` if there are too few attempts to tell.
fn interlaced(order: &[Family], leading: usize) -> Option<bool> {
    let rest = order.get(leading..)?;
    if rest.len() < 2 {
        return None;
    }
    // When one family has run out, the other one follows itself.
    let remaining = |family| rest.iter().filter(|it| **it == family).count();
    let turns = 2 * remaining(Family::V4).min(remaining(Family::V6));
    if turns == 0 {
        return Some(false);
    }
    let alternating = rest
        .get(..turns)
        .is_some_and(|part| part.windows(2).all(|pair| pair.first() != pair.last()));
    Some(alternating)
}

/// The largest number of attempts that overlap, each from its start to `end`.
fn most_overlapping(visit: &Visit, end: impl Fn(&Attempt) -> Duration) -> usize {
    let alive_at = |at: Duration| {
        visit
            .attempts
            .iter()
            .filter(|attempt| attempt.started <= at && end(attempt) >= at)
            .count()
    };
    // The number only grows at a start.
    let starts = visit
        .attempts
        .iter()
        .map(|attempt| alive_at(attempt.started));
    // Signs of life come later than starts, and what is proved then held at the last start before.
    let signs = visit.attempts.iter().map(|attempt| alive_at(end(attempt)));
    starts.chain(signs).max().unwrap_or(0)
}

/// The number of attempts after which it started no more although it had addresses and time left.
fn stops_at(visit: &Visit) -> Option<usize> {
    let last = visit.attempts.last()?;
    let longest = visit.gaps().into_iter().max().unwrap_or_default();
    let patience = longest.saturating_mul(3) / 2;
    let quiet = visit.elapsed.saturating_sub(last.started);
    let stopped = visit.attempts.len() < MANY && quiet >= patience.max(CLEARLY_STOPPED);
    stopped.then_some(visit.attempts.len())
}

/// Longer than the longest delay that the draft allows.
const CLEARLY_STOPPED: Duration = Duration::from_millis(2200);

/// The slow address answers when another attempt has long begun.
fn keeps_running(visit: &Visit) -> Option<bool> {
    let (slow, next) = (visit.attempts.first()?, visit.attempts.get(1)?);
    let granted = slow.granted?;
    if next.started >= granted {
        return None;
    }
    match (slow.confirmed, slow.broken) {
        (Some(_), _) => Some(true),
        (None, Some(_)) => Some(false),
        (None, None) => None,
    }
}

fn after_refusal(runs: &[Run]) -> Vec<Duration> {
    let visits = visits(runs, Kind::Refused).chain(visits(runs, Kind::AllRefused));
    visits
        .flat_map(|visit| visit.attempts.windows(2))
        .filter_map(|pair| match pair {
            [refused, next] => next.started.checked_sub(refused.refused?),
            _ => None,
        })
        .collect()
}

fn closest_starts(runs: &[Run]) -> Option<Closest> {
    let gaps = runs.iter().filter_map(|run| {
        let apart = run.visit.as_ref()?.gaps().into_iter().min()?;
        Some(Closest {
            apart,
            scenario: run.scenario.id.clone(),
        })
    });
    gaps.min_by_key(|closest| closest.apart)
}

fn uses_hints(visit: &Visit) -> Option<bool> {
    let hints = visit.answered_at(RecordType::HTTPS)?;
    let addresses = [RecordType::AAAA, RecordType::A]
        .into_iter()
        .filter_map(|rtype| visit.answered_at(rtype))
        .min();
    let first = visit.attempts.first().map(|attempt| attempt.started);
    match (first, addresses) {
        (Some(first), Some(addresses)) => Some((hints..addresses).contains(&first)),
        (Some(_), None) => Some(true),
        (None, _) => Some(false),
    }
}

/// The native address has the client's label (rule 5) and a higher precedence than 6to4 (rule 6), and so has IPv4.
fn sorts(visit: &Visit) -> Option<bool> {
    let is_6to4 =
        |attempt: &Attempt| matches!(attempt.address, IpAddr::V6(it) if it.segments()[0] == 0x2002);
    let first_6to4 = visit.attempts.iter().position(is_6to4);
    let first_native = visit
        .attempts
        .iter()
        .position(|attempt| attempt.family == Family::V6 && !is_6to4(attempt));
    match (first_native, first_6to4) {
        (Some(native), Some(other)) => Some(native < other),
        (Some(_), None) => Some(true),
        (None, Some(_)) => Some(false),
        (None, None) => None,
    }
}

fn silence(measured: &mut Measured, visit: &Visit) {
    let Some(silent) = visit
        .attempts
        .iter()
        .find(|attempt| attempt.family == Family::V6 && attempt.sent.is_some())
    else {
        return;
    };
    let other = visit
        .attempts
        .iter()
        .find(|attempt| attempt.family == Family::V4 && attempt.started > silent.started);
    measured.after_silence = other.map(|other| other.started.saturating_sub(silent.started));
    let served = visit
        .attempts
        .iter()
        .any(|attempt| attempt.family == Family::V4 && attempt.received.is_some());
    measured.stays_with_silence = Some(!served);
}
