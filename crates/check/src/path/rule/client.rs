//! Does the fallback really happen? `client.no-fallback` and `client.slow-fallback`, judged only while IPv6 is broken;
//! and while nothing is broken, `client.failed`.

use super::view::{AddressView, View};
use super::{Judgement, evidence};
use crate::codes::finding;
use crate::path::observation::{
    AddressObservation, ClientObservation, ClientOutcome, PathObservation, PortObservation, Talk,
};
use crate::path::words::span;
use crate::path::{Family, Plan};
use std::time::Duration;
use twinstack_finding::{Evidence, Skipped};

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
    if !exercised(view.seen) {
        failed(view, client, judgement);
        return;
    }
    // The time that the same request takes over IPv4 when nothing is in its way.
    let Some(reference) = reference(view, client.port) else {
        return;
    };
    let cost = match cost(client, reference) {
        Cost::Known(cost) => cost,
        Cost::Unknown => {
            judgement.skipped.push(Skipped {
                what: format!("fallback of the client `{}`", client.client),
                why: format!(
                    "it ended ({}) without a connection that could be seen",
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
    judgement.findings.push(finding(
        code,
        client.client.clone(),
        message,
        run(view, client, Some(reference)),
        "give the client Happy Eyeballs with a timer of 250 ms (Go `FallbackDelay`, Python `happy_eyeballs_delay=0.25`, Node.js `autoSelectFamily`); the IPv6 fault itself has a finding of its own",
    ));
}

/// A client of the user's that fails where nothing stands in its way. What is wrong with the service itself, or with its
/// names, would explain it: whoever puts the findings together leaves this one out then.
fn failed(view: &View<'_>, client: &ClientObservation, judgement: &mut Judgement) {
    let failed = matches!(
        client.outcome,
        ClientOutcome::Failed { .. } | ClientOutcome::Stopped
    );
    let serves = |address: &&AddressView<'_>| {
        let talk = address
            .seen
            .port(client.port)
            .and_then(PortObservation::talk);
        talk.is_some_and(Talk::complete)
    };
    if view.plan.client.is_none()
        || !failed
        || !view.addresses.iter().any(|address| serves(&address))
    {
        return;
    }
    judgement.findings.push(finding(
        "client.failed",
        client.client.clone(),
        format!(
            "`{}` got no answer ({}), though `{}` answers on port {}",
            client.client, client.outcome, view.plan.host, client.port
        ),
        run(view, client, None),
        "run it by hand and read what it prints; `{url}`, `{host}` and `{port}` stand for the target (`--client 'curl -sS -o /dev/null -w %{http_code} {url}'`), and one that needs another certificate or proxy has to be told",
    ));
}

/// How the client was run and what was seen of it.
fn run(view: &View<'_>, client: &ClientObservation, reference: Option<Duration>) -> Vec<Evidence> {
    let usual = reference.map_or_else(String::new, |reference| {
        format!("; over IPv4 alone the answer takes {}", span(reference))
    });
    let mut lines = vec![evidence(
        format!(
            "ran `{}` for {} port {}",
            client.client, view.plan.host, client.port
        ),
        format!("{} after {}{usual}", client.outcome, span(client.took)),
        client.at,
    )];
    for (family, first) in [("IPv6", client.first_v6), ("IPv4", client.first_v4)] {
        lines.extend(first.map(|first| {
            evidence(
                "watched the client's sockets",
                format!("first {family} attempt {} after its start", span(first)),
                client.at,
            )
        }));
    }
    if view.plan.client.is_some() && client.first_v4.is_none() && client.first_v6.is_none() {
        lines.push(evidence(
            "watched the client's sockets",
            "no connection to that port",
            client.at,
        ));
    }
    lines
}

enum Cost {
    /// How long the client kept to IPv6; `None` if it never left it.
    Known(Option<Duration>),
    Unknown,
}

fn cost(client: &ClientObservation, reference: Duration) -> Cost {
    let done = matches!(client.outcome, ClientOutcome::Done { .. });
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
        // It ended well and talked to nobody that could be seen: `true` does so.
        (None, None) if done && !client.was_seen() => Cost::Unknown,
        (None, None) if !done => Cost::Known(None),
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
            status: None,
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
        assert_eq!(codes(&scene), ["reach.closed"]);
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
    fn a_client_that_fails_at_once_has_no_fallback_either() {
        let refused = ClientOutcome::Failed {
            detail: "exit status 7".to_owned(),
        };
        let scene = broken(client(refused, 30, None, None));
        assert_eq!(codes(&scene), ["client.no-fallback", "reach.fw-drop"]);
    }

    #[test]
    fn a_client_that_talks_to_nobody_is_no_proof_of_anything() {
        let silent = client(
            ClientOutcome::Done {
                detail: "exit status 0".to_owned(),
            },
            12,
            None,
            None,
        );
        let scene = broken(silent.clone());
        assert_eq!(codes(&scene), ["reach.fw-drop"]);
        let skipped = scene.skipped();
        assert!(
            skipped
                .iter()
                .any(|skipped| skipped.what.contains("fallback"))
        );
        let timing = crate::path::client_timing(&scene.plan, &scene.seen).unwrap();
        assert_eq!(timing.elapsed_seconds, None);
        assert!(
            timing.outcome.ends_with("could be seen"),
            "{}",
            timing.outcome
        );
        // A status that it printed shows that it did.
        let printed = ClientObservation {
            status: Some(200),
            ..silent
        };
        let scene = broken(printed);
        assert!(scene.skipped().is_empty());
        let timing = crate::path::client_timing(&scene.plan, &scene.seen).unwrap();
        assert_eq!(timing.elapsed_seconds, Some(0.012));
    }

    #[test]
    fn a_client_that_fails_while_nothing_is_broken_is_found() {
        for outcome in [
            ClientOutcome::Stopped,
            ClientOutcome::Failed {
                detail: "exit status 1".to_owned(),
            },
        ] {
            let mut scene = healthy();
            scene.seen.client = Some(client(outcome, 30, None, None));
            // The built-in client is ours, and its failures are the service's.
            assert_eq!(codes(&scene), [""; 0]);
            scene.plan.client = Some(vec!["legacy".to_owned()]);
            assert_eq!(codes(&scene), ["client.failed"]);
        }
    }

    #[test]
    fn a_client_that_fails_where_nobody_answers_is_explained() {
        let mut scene = healthy()
            .all_v4(ConnectFailure::TimedOut)
            .all_v6(ConnectFailure::TimedOut);
        scene.plan.client = Some(vec!["legacy".to_owned()]);
        scene.seen.client = Some(client(ClientOutcome::Stopped, 20_000, Some(10), None));
        assert_eq!(codes(&scene), ["reach.closed"]);
    }
}
