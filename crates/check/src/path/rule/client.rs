//! Does the fallback really happen? `client.no-fallback` and `client.slow-fallback`, judged only while IPv6 is broken.

use super::view::View;
use super::{Judgement, evidence};
use crate::codes::finding;
use crate::path::observation::{
    AddressObservation, ClientObservation, ClientOutcome, PathObservation, Talk,
};
use crate::path::words::span;
use crate::path::{Family, Plan};
use std::time::Duration;
use twinstack_finding::Skipped;

/// A fallback that costs more than this is slow, and more than [`NEVER`] is none: the first IPv6 attempt ran out.
const SLOW: Duration = Duration::from_millis(300);
const NEVER: Duration = Duration::from_secs(3);

/// The built-in client's delay is ours and always 250 ms: only a standstill of this machine makes it longer, until it is
/// really long.
const BUILT_IN_SLOW: Duration = Duration::from_secs(1);

/// What a client may need to start and to end, where its sockets could not be watched.
const START: Duration = Duration::from_millis(700);

/// Whether IPv6 was broken for the port that the client used: only then does its time say anything.
pub(in crate::path) fn exercised(seen: &PathObservation) -> bool {
    seen.client.as_ref().is_some_and(|client| {
        let closed = |address: &AddressObservation| {
            address
                .port(client.port)
                .is_some_and(|port| port.connect.outcome.is_err())
        };
        seen.addresses
            .iter()
            .any(|address| address.family() == Family::V6 && closed(address))
    })
}

pub(super) fn judge(view: &View<'_>, judgement: &mut Judgement) {
    let Some(client) = &view.seen.client else {
        return;
    };
    if let ClientOutcome::NotStarted { .. } = &client.outcome {
        judgement.skipped.push(Skipped {
            what: format!("timing of the client `{}`", client.client),
            why: client.outcome.to_string(),
        });
        return;
    }
    // The time that the same request takes over IPv4 when nothing is in its way.
    let Some(reference) = reference(view, client.port) else {
        return;
    };
    if !exercised(view.seen) {
        return;
    }
    let cost = match cost(client, reference) {
        Cost::Known(cost) => cost,
        Cost::Unknown => {
            judgement.skipped.push(Skipped {
                what: format!("fallback of the client `{}`", client.client),
                why: format!(
                    "it ended ({}) without an attempt that could be seen",
                    client.outcome
                ),
            });
            return;
        }
    };
    let slow = if view.plan.client.is_none() {
        BUILT_IN_SLOW
    } else {
        SLOW
    };
    let succeeded = matches!(client.outcome, ClientOutcome::Done { .. });
    let (code, message) = match cost {
        Some(cost) if succeeded && cost <= slow => return,
        Some(cost) if succeeded && cost <= NEVER => (
            "client.slow-fallback",
            format!(
                "`{}` falls back to IPv4, but {} after it tried IPv6",
                client.client,
                span(cost)
            ),
        ),
        Some(cost) if succeeded => (
            "client.no-fallback",
            format!(
                "`{}` turned to IPv4 only when its IPv6 attempt had run out, after {}",
                client.client,
                span(cost)
            ),
        ),
        _ => (
            "client.no-fallback",
            format!(
                "`{}` got no answer while IPv6 was broken and IPv4 worked",
                client.client
            ),
        ),
    };
    let attempts = [("IPv6", client.first_v6), ("IPv4", client.first_v4)]
        .into_iter()
        .filter_map(|(family, first)| {
            Some(evidence(
                "watched the client's sockets",
                format!("first {family} attempt {} after its start", span(first?)),
                client.at,
            ))
        });
    let mut support = vec![evidence(
        format!(
            "ran `{}` for {} port {}",
            client.client, view.plan.host, client.port
        ),
        format!(
            "{} after {}; over IPv4 alone the answer takes {}",
            client.outcome,
            span(client.took),
            span(reference)
        ),
        client.at,
    )];
    support.extend(attempts);
    judgement.findings.push(finding(
        code,
        client.client.clone(),
        message,
        support,
        "give the client Happy Eyeballs with a timer of 250 ms (Go `FallbackDelay`, Python `happy_eyeballs_delay=0.25`, Node.js `autoSelectFamily`); the IPv6 fault itself has a finding of its own",
    ));
}

enum Cost {
    /// How long the client kept to IPv6; `None` if it never left it.
    Known(Option<Duration>),
    Unknown,
}

fn cost(client: &ClientObservation, reference: Duration) -> Cost {
    let failed_fast = !matches!(client.outcome, ClientOutcome::Done { .. }) && client.took < NEVER;
    match (client.first_v6, client.first_v4) {
        (Some(v6), Some(v4)) => Cost::Known(Some(v4.saturating_sub(v6))),
        // It began with IPv4, or its IPv6 attempt failed too fast to be seen.
        (None, Some(first)) => Cost::Known(Some(first.saturating_sub(reference + START))),
        (Some(v6), None) => match &client.outcome {
            // A connection can be over between two looks.
            ClientOutcome::Done { .. } => {
                Cost::Known(Some(client.took.saturating_sub(v6 + reference)))
            }
            _ => Cost::Known(None),
        },
        (None, None) if failed_fast => Cost::Unknown,
        (None, None) => Cost::Known(Some(client.took.saturating_sub(reference + START))),
    }
}

/// The shortest connection, handshake and answer over IPv4.
fn reference(view: &View<'_>, port: u16) -> Option<Duration> {
    let ports = view
        .of(Family::V4)
        .filter_map(|address| address.seen.port(port));
    let open = ports.filter(|port| port.connect.outcome.is_ok());
    open.map(|port| port.connect.took + port.talk().map_or(Duration::ZERO, talking))
        .min()
}

fn talking(talk: &Talk) -> Duration {
    let tls = talk.tls.as_ref().map_or(Duration::ZERO, |step| step.took);
    tls + talk.page().map_or_else(
        || {
            talk.answer
                .as_ref()
                .map_or(Duration::ZERO, |step| step.took)
        },
        |page| page.first_byte,
    )
}

/// The family that answered, in the report's words.
pub(in crate::path) fn family(client: &ClientObservation) -> Option<String> {
    client.family.map(|family| family.as_str().to_lowercase())
}

/// What the report says of the client; the plan's port decides nothing here.
pub(in crate::path) fn named(plan: &Plan, client: &ClientObservation) -> String {
    if plan.client.is_some() {
        client.client.clone()
    } else {
        "built-in".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::observation::ConnectFailure;
    use crate::path::rule::fixture::{Scene, codes, healthy};

    fn client(
        outcome: ClientOutcome,
        took: u64,
        v6: Option<u64>,
        v4: Option<u64>,
    ) -> ClientObservation {
        ClientObservation {
            client: "legacy".to_owned(),
            port: 443,
            at: Duration::ZERO,
            took: Duration::from_millis(took),
            outcome,
            family: v4.map(|_| Family::V4),
            first_v4: v4.map(Duration::from_millis),
            first_v6: v6.map(Duration::from_millis),
        }
    }

    fn done() -> ClientOutcome {
        ClientOutcome::Done {
            detail: "status 200".to_owned(),
        }
    }

    fn broken(client: ClientObservation) -> Scene {
        let mut scene = healthy().all_v6(ConnectFailure::TimedOut);
        scene.plan.client = Some(vec!["legacy".to_owned()]);
        scene.seen.client = Some(client);
        scene
    }

    #[test]
    fn a_client_that_never_leaves_v6_has_no_fallback() {
        for outcome in [
            ClientOutcome::Stopped,
            ClientOutcome::Failed {
                detail: "exit status 28".to_owned(),
            },
        ] {
            let scene = broken(client(outcome, 20_000, Some(10), None));
            assert_eq!(codes(&scene), ["client.no-fallback", "reach.fw-drop"]);
        }
    }

    #[test]
    fn a_client_that_waits_for_its_timeout_has_no_fallback() {
        let scene = broken(client(done(), 20_050, Some(10), Some(20_010)));
        assert_eq!(codes(&scene), ["client.no-fallback", "reach.fw-drop"]);
    }

    #[test]
    fn a_second_of_detour_is_slow() {
        let scene = broken(client(done(), 1100, Some(10), Some(1010)));
        assert_eq!(codes(&scene), ["client.slow-fallback", "reach.fw-drop"]);
    }

    #[test]
    fn a_quarter_second_of_detour_is_as_it_should_be() {
        let scene = broken(client(done(), 330, Some(10), Some(262)));
        assert_eq!(codes(&scene), ["reach.fw-drop"]);
    }

    #[test]
    fn the_built_in_client_on_a_busy_machine_is_not_slow() {
        let mut scene = broken(client(done(), 700, Some(10), Some(500)));
        scene.plan.client = None;
        assert_eq!(codes(&scene), ["reach.fw-drop"]);
    }

    #[test]
    fn a_program_that_starts_slowly_does_not_fall_back_slowly() {
        let scene = broken(client(done(), 1500, Some(1200), Some(1400)));
        assert_eq!(codes(&scene), ["reach.fw-drop"]);
    }

    #[test]
    fn while_v6_works_a_slow_client_is_only_slow() {
        let mut scene = healthy();
        scene.seen.client = Some(client(done(), 9000, Some(10), None));
        assert_eq!(codes(&scene), [""; 0]);
    }

    #[test]
    fn with_both_families_dead_there_was_nothing_to_fall_back_to() {
        let mut scene = broken(client(ClientOutcome::Stopped, 20_000, Some(10), Some(260)));
        scene = scene.all_v4(ConnectFailure::TimedOut);
        assert_eq!(codes(&scene), ["reach.fw-drop"]);
    }

    #[test]
    fn a_client_that_cannot_be_started_is_skipped() {
        let scene = broken(client(
            ClientOutcome::NotStarted {
                why: "no such file".to_owned(),
            },
            0,
            None,
            None,
        ));
        assert_eq!(codes(&scene), ["reach.fw-drop"]);
        assert!(
            scene
                .skipped()
                .iter()
                .any(|skipped| skipped.why.contains("no such file"))
        );
    }

    #[test]
    fn a_client_that_fails_before_it_connects_is_skipped() {
        let scene = broken(client(
            ClientOutcome::Failed {
                detail: "exit status 2".to_owned(),
            },
            30,
            None,
            None,
        ));
        assert_eq!(codes(&scene), ["reach.fw-drop"]);
        assert!(
            scene
                .skipped()
                .iter()
                .any(|skipped| skipped.what.contains("fallback"))
        );
    }
}
