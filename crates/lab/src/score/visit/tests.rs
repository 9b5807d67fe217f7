use super::*;

fn flow(client: &str, server: &str) -> Flow {
    Flow {
        transport: Transport::Tcp,
        client: client.parse().unwrap(),
        server: server.parse().unwrap(),
    }
}

/// The visit of these steps of one connection (milliseconds, step), after a question at 0.
fn visit(steps: &[(u64, Step)]) -> Visit {
    let start = Duration::from_secs(1_700_000_000);
    let mut packets = vec![Packet {
        at: start,
        what: What::Asked {
            rtype: RecordType::AAAA,
        },
    }];
    packets.extend(steps.iter().map(|(at, step)| Packet {
        at: start + Duration::from_millis(*at),
        what: What::Connection {
            flow: flow("192.0.2.10:40000", "198.18.1.1:80"),
            step: *step,
        },
    }));
    Visit::of(&packets, start + Duration::from_secs(5)).unwrap()
}

fn millis(at: u64) -> Duration {
    Duration::from_millis(at)
}

#[test]
fn repeated_syns_are_signs_of_life_and_no_attempts() {
    let visit = visit(&[
        (10, Step::Requested),
        (1015, Step::Requested),
        (2030, Step::Requested),
    ]);
    assert_eq!(visit.attempts.len(), 1);
    let attempt = &visit.attempts[0];
    assert_eq!(attempt.repeated, [millis(1015), millis(2030)]);
    assert_eq!(attempt.last_sign(), millis(2030));
    // The next one is due at 3045 at the soonest, at 4060 at the latest.
    assert_eq!(attempt.end(), millis(2030 + 2 * 1015));
}

#[test]
fn a_socket_that_was_closed_answers_with_a_reset() {
    let late = visit(&[
        (0, Step::Requested),
        (600, Step::Granted),
        (601, Step::Broken),
    ]);
    assert_eq!(late.attempts[0].confirmed, None);
    assert_eq!(late.attempts[0].end(), millis(601));
    assert_eq!(late.winner(), None);
    let kept = visit(&[
        (0, Step::Requested),
        (600, Step::Granted),
        (601, Step::Confirmed),
        (700, Step::Broken),
    ]);
    assert_eq!(kept.attempts[0].confirmed, Some(millis(601)));
    assert_eq!(kept.winner(), Some(&kept.attempts[0]));
}

#[test]
fn the_same_ports_after_a_refusal_are_a_new_attempt() {
    let visit = visit(&[
        (0, Step::Requested),
        (1, Step::Refused),
        (30, Step::Requested),
    ]);
    let starts: Vec<_> = visit.attempts.iter().map(|it| it.started).collect();
    assert_eq!(starts, [millis(0), millis(30)]);
    assert_eq!(visit.gaps(), [millis(30)]);
}

#[test]
fn a_reset_after_success_is_no_refusal() {
    let visit = visit(&[
        (0, Step::Requested),
        (14, Step::Granted),
        (15, Step::Confirmed),
        (30, Step::Refused),
    ]);
    assert_eq!(visit.attempts[0].refused, None);
}

#[test]
fn nothing_before_the_first_question_or_attempt_belongs_to_the_visit() {
    let at = Duration::from_secs(9);
    let stray = Packet {
        at,
        what: What::Connection {
            flow: flow("192.0.2.10:1", "198.18.1.1:80"),
            step: Step::Received,
        },
    };
    assert_eq!(Visit::of(&[stray], at), None);
}
