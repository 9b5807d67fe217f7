//! What a timeline teaches.

use super::*;
use crate::endpoint::{Endpoint, Protocol, alpns};
use crate::events::{Event, What};
use crate::input::{AttemptError, AttemptErrorKind, AttemptId, Input};
use crate::order::{Order, Place};
use crate::output::{CancelReason, Cause, Output};
use core::net::SocketAddr;

fn at(millis: u64, what: What) -> Event {
    Event {
        at: Instant::from_millis(millis),
        what,
    }
}

fn start(millis: u64, id: u32, address: &str, protocol: Protocol) -> Event {
    let endpoint = Endpoint {
        address: SocketAddr::new(ip(address), 443),
        translated: None,
        protocol,
        alpn: alpns([]),
        ech: None,
        name: None,
    };
    let order = Order {
        position: id,
        priority: None,
        place: Place::Only,
    };
    let id = AttemptId(id);
    at(
        millis,
        What::Out(Output::Attempt {
            id,
            endpoint,
            cause: Cause::First,
            order,
        }),
    )
}

fn progress(millis: u64, id: u32) -> Event {
    at(
        millis,
        What::In(Input::Progress {
            attempt: AttemptId(id),
        }),
    )
}

fn success(millis: u64, id: u32) -> Event {
    at(
        millis,
        What::In(Input::Succeeded {
            attempt: AttemptId(id),
        }),
    )
}

fn failure(millis: u64, id: u32, kind: AttemptErrorKind) -> Event {
    let error = AttemptError::new(kind, "");
    at(
        millis,
        What::In(Input::Failed {
            attempt: AttemptId(id),
            error,
        }),
    )
}

fn cancel(millis: u64, id: u32, why: CancelReason) -> Event {
    at(
        millis,
        What::Out(Output::CancelAttempt {
            id: AttemptId(id),
            why,
        }),
    )
}

const LOST: CancelReason = CancelReason::Lost { to: AttemptId(2) };

#[test]
fn c7_loser_that_never_answered_is_silent_and_the_winner_measured() {
    let timeline = [
        start(30, 1, "2001:db8::1", Protocol::Tcp),
        start(280, 2, "192.0.2.1", Protocol::Tcp),
        success(300, 2),
        cancel(300, 1, LOST),
    ];
    assert_eq!(
        endings(&timeline),
        [connected("192.0.2.1", 20), silent("2001:db8::1", 270)]
    );
}

#[test]
fn c7_handshake_of_tls_is_not_a_round_trip() {
    let timeline = [
        start(0, 1, "2001:db8::1", Protocol::Tls),
        progress(20, 1),
        progress(21, 1),
        success(60, 1),
    ];
    assert_eq!(endings(&timeline), [connected("2001:db8::1", 20)]);
    let unseen = [start(0, 1, "2001:db8::1", Protocol::Tls), success(60, 1)];
    let outcome = Outcome::Connected { round_trip: None };
    assert_eq!(
        endings(&unseen),
        [Ending {
            address: ip("2001:db8::1"),
            outcome
        }]
    );
    let quic = [start(0, 1, "2001:db8::1", Protocol::Quic), success(25, 1)];
    assert_eq!(endings(&quic), [connected("2001:db8::1", 25)]);
}

#[test]
fn c7_silence_counts_from_the_last_sign_of_life() {
    // TCP came up after 20 ms, then TLS was silent.
    let timeline = [
        start(0, 1, "2001:db8::1", Protocol::Tls),
        progress(20, 1),
        start(270, 2, "192.0.2.1", Protocol::Tls),
        progress(290, 2),
        success(330, 2),
        cancel(330, 1, LOST),
    ];
    assert_eq!(
        endings(&timeline),
        [connected("192.0.2.1", 20), silent("2001:db8::1", 310)]
    );
}

#[test]
fn c7_errors_from_the_other_side_are_answers_and_time_outs_are_not() {
    for (kind, outcome) in [
        (AttemptErrorKind::Refused, Some(Outcome::Failed)),
        (AttemptErrorKind::Unreachable, Some(Outcome::Failed)),
        (AttemptErrorKind::Reset, Some(Outcome::Failed)),
        (AttemptErrorKind::Handshake, Some(Outcome::Failed)),
        (AttemptErrorKind::Rejected, Some(Outcome::Failed)),
        (
            AttemptErrorKind::TimedOut,
            Some(silent("192.0.2.1", 90).outcome),
        ),
        (AttemptErrorKind::Local, None),
    ] {
        let timeline = [
            start(10, 1, "192.0.2.1", Protocol::Tcp),
            failure(100, 1, kind),
        ];
        let found = endings(&timeline);
        assert_eq!(
            found.first().map(|ending| ending.outcome),
            outcome,
            "{kind}"
        );
    }
    let refused = at(
        9,
        What::In(Input::EchRejected {
            attempt: AttemptId(1),
            retry: None,
        }),
    );
    let timeline = [start(0, 1, "192.0.2.1", Protocol::Tls), refused];
    assert_eq!(endings(&timeline), [failed("192.0.2.1")]);
}

#[test]
fn c7_cancelled_attempts_teach_by_why_they_were() {
    for (why, taught) in [
        (LOST, true),
        (CancelReason::Deadline, true),
        (CancelReason::OverallDeadline, true),
        (CancelReason::Replaced, true),
        (CancelReason::NetworkChange, false),
        (CancelReason::Abandoned, false),
    ] {
        let timeline = [
            start(10, 1, "192.0.2.1", Protocol::Tcp),
            cancel(500, 1, why),
        ];
        let expected = if taught {
            vec![silent("192.0.2.1", 490)]
        } else {
            vec![]
        };
        assert_eq!(endings(&timeline), expected, "{why:?}");
    }
}

#[test]
fn c7_attempts_that_run_or_were_never_seen_teach_nothing() {
    let timeline = [
        start(0, 1, "192.0.2.1", Protocol::Tcp),
        progress(9, 7),
        success(10, 7),
    ];
    assert_eq!(endings(&timeline), []);
    // And each one teaches once.
    let twice = [
        start(0, 1, "192.0.2.1", Protocol::Tcp),
        success(10, 1),
        cancel(20, 1, LOST),
    ];
    assert_eq!(endings(&twice), [connected("192.0.2.1", 10)]);
}
