//! What the timeline shows of one visit, before anything is drawn.

use crate::lab_client::AttemptOutcome;
use crate::page::lane::{Bar, Lane, Lookup};
use crate::play::story::{Ending, Run, family_word};
use crate::play::text::seconds;
use std::net::IpAddr;

/// The lane of a visit.
pub(super) fn lane(run: &Run) -> Lane {
    let measured = &run.measured;
    let bars = if measured.attempts.is_empty() {
        bars_from_packets(run)
    } else {
        bars_from_client(run)
    };
    let first_byte = run.answered().then_some(measured.elapsed_seconds);
    let time = seconds(measured.elapsed_seconds);
    let result = match (measured.ending, run.family()) {
        (Ending::Answered, Some(family)) => format!("{time}, {}", family_word(family)),
        (Ending::Answered, None) => time.clone(),
        (Ending::GaveUp, _) => format!("gave up after {time}"),
        (Ending::Failed, _) => format!("failed after {time}"),
    };
    let mut lane = Lane {
        client: run.client.clone(),
        lookups: measured
            .dns_seconds
            .or_else(|| run.from_packets.as_ref()?.dns_seconds)
            .map(|to| Lookup {
                label: "",
                from: 0.0,
                to,
                lost: false,
            })
            .into_iter()
            .collect(),
        bars,
        first_byte,
        end: measured.elapsed_seconds,
        well: first_byte.is_some_and(|at| at < 1.0),
        result,
        description: String::new(),
    };
    lane.description = describe(&lane);
    lane
}

fn bars_from_client(run: &Run) -> Vec<Bar> {
    run.measured
        .attempts
        .iter()
        .map(|attempt| Bar {
            address: attempt.address,
            family: attempt.family,
            from: attempt.started_seconds,
            to: attempt.ended_seconds,
            connected: attempt.outcome == AttemptOutcome::Connected,
            failure: match attempt.outcome {
                AttemptOutcome::Connected => None,
                AttemptOutcome::Refused => Some("refused"),
                AttemptOutcome::Unreachable => Some("no way there"),
                AttemptOutcome::TimedOut | AttemptOutcome::Abandoned => Some("no answer"),
                AttemptOutcome::Failed => Some("failed"),
            },
            // The client's clock began a moment before its first packet.
            repeats: repeats(run, attempt.address)
                .into_iter()
                .map(|later| attempt.started_seconds + later)
                .filter(|at| *at < attempt.ended_seconds)
                .collect(),
        })
        .collect()
}

/// When a SYN was repeated, counted from the first one.
fn repeats(run: &Run, address: IpAddr) -> Vec<f64> {
    let handshakes = run
        .from_packets
        .iter()
        .flat_map(|packets| &packets.attempts);
    handshakes
        .filter(|handshake| handshake.address == address)
        .filter_map(|handshake| handshake.syn_seconds.split_first())
        .flat_map(|(first, repeated)| repeated.iter().map(move |at| at - first))
        .collect()
}

fn bars_from_packets(run: &Run) -> Vec<Bar> {
    let Some(packets) = &run.from_packets else {
        return Vec::new();
    };
    packets
        .attempts
        .iter()
        .filter_map(|handshake| {
            let (first, repeated) = handshake.syn_seconds.split_first()?;
            // Nothing in the packets says when a client stopped waiting: when another attempt won, or else at its end.
            let won = packets
                .attempts
                .iter()
                .filter_map(|other| other.answered_seconds)
                .find(|at| at > first);
            let end = handshake
                .answered_seconds
                .or(handshake.reset_seconds)
                .or(won);
            Some(Bar {
                address: handshake.address,
                family: handshake.family,
                from: *first,
                to: end.unwrap_or(run.measured.elapsed_seconds).max(*first),
                connected: handshake.answered_seconds.is_some(),
                failure: match (handshake.answered_seconds, handshake.reset_seconds) {
                    (Some(_), _) => None,
                    (None, Some(_)) => Some("refused"),
                    (None, None) => Some("no answer"),
                },
                repeats: repeated.to_vec(),
            })
        })
        .collect()
}

fn describe(lane: &Lane) -> String {
    let mut parts = Vec::new();
    for lookup in &lane.lookups {
        parts.push(format!("name looked up in {}", seconds(lookup.to)));
    }
    for bar in &lane.bars {
        let family = family_word(bar.family);
        let took = seconds(bar.to - bar.from);
        parts.push(match bar.failure {
            None => format!(
                "{family} to {} at {}: connected in {took}",
                bar.address,
                seconds(bar.from)
            ),
            Some(failure) => {
                let repeats = match bar.repeats.len() {
                    0 => String::new(),
                    1 => ", asked once more".to_owned(),
                    more => format!(", asked {more} times more"),
                };
                format!(
                    "{family} to {} at {}: {failure} for {took}{repeats}",
                    bar.address,
                    seconds(bar.from)
                )
            }
        });
    }
    parts.push(match lane.first_byte {
        Some(at) => format!("first byte after {}", seconds(at)),
        None => lane.result.clone(),
    });
    let mut text = parts.join("; ");
    text.push('.');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::play::story::samples;
    use twinstack_lab::world::model::Family;

    #[test]
    fn repeated_syns_are_marked_on_the_attempt_that_hung() {
        let lane = lane(&samples::hanging("cafe", "legacy"));
        assert_eq!(lane.bars.len(), 1);
        assert_eq!(lane.bars[0].failure, Some("no answer"));
        assert_eq!(lane.bars[0].repeats.len(), 4);
        assert_eq!((lane.first_byte, lane.well), (None, false));
        assert!(
            lane.description.contains("asked 4 times more"),
            "{}",
            lane.description
        );
        assert!(
            lane.description.ends_with("gave up after 20.00 s."),
            "{}",
            lane.description
        );
    }

    #[test]
    fn attempts_share_a_row_unless_they_run_at_the_same_time() {
        let rows = |run: &Run| lane(run).rows().iter().map(Vec::len).collect::<Vec<_>>();
        let mut run = samples::fallback("cafe", "modern");
        assert_eq!(rows(&run), [1, 1]);
        run.measured.attempts[0].ended_seconds = 0.0021;
        assert_eq!(rows(&run), [2]);
    }

    #[test]
    fn a_program_that_tells_nothing_is_drawn_from_its_packets() {
        let mut run = samples::fallback("cafe", "curl");
        run.measured.attempts.clear();
        let lane = lane(&run);
        let families: Vec<_> = lane
            .bars
            .iter()
            .map(|bar| (bar.family, bar.connected))
            .collect();
        assert_eq!(families, [(Family::V6, false), (Family::V4, true)]);
        assert!(
            (lane.bars[0].to - lane.bars[1].to).abs() < 1e-9,
            "waiting ends when the other has won: {lane:?}"
        );
    }
}
