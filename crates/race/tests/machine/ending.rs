//! E and P: success, cancelling, failure.

use crate::support::{millis, plays};
use std::net::SocketAddr;
use twinstack_race::{
    AttemptErrorKind, AttemptId, CancelReason, FailureReason, Family, Ignored, Input, Instant,
    Outcome, Output, QueryEnd, QueryErrorKind, Race,
};

const TCP: &str =
    "target example.com 80 tcp\n+0 query 1 AAAA example.com\n+0 query 2 A example.com\n";
const BOTH: &str = "+0 answer 1 AAAA 2001:db8::1\n+0 answer 2 A 192.0.2.1\n";

fn drain(race: &mut Race, now: Instant) -> Vec<Output> {
    std::iter::from_fn(|| race.next(now)).collect()
}

#[test]
fn e1_progress_is_not_success() {
    // TCP is up on IPv6; TLS is done on IPv4: IPv4 wins.
    plays(
        "target example.com 443 tls:h2\n+0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 2001:db8::1\n+0 answer 2 A 192.0.2.1\n\
         +0 attempt 1\n+10 progress 1\n+250 attempt 2\n+260 progress 2\n+270 succeeded 2\n\
         +270 cancel-attempt 1 because lost to 2\n+270 finished connected 2",
    );
}

#[test]
fn e2_a_check_of_the_caller_may_say_no() {
    let race = plays(&format!(
        "{TCP}{BOTH}+0 attempt 1\n+10 progress 1\n+30 failed 1 rejected \"the certificate is for another name\"\n\
         +30 attempt 2 192.0.2.1:80 tcp name=example.com because 1 failed\n+60 succeeded 2\n+60 finished connected 2"
    ));
    assert_eq!(
        race.outcome().unwrap().1,
        Outcome::Connected {
            attempt: AttemptId(2)
        }
    );
}

#[test]
fn e3_success_cancels_the_others_and_nothing_new_starts() {
    let mut race = plays(&format!(
        "{TCP}+0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3\n+0 attempt 1\n+250 attempt 2\n+300 succeeded 1\n\
         +300 cancel-attempt 2 because lost to 1\n+300 finished connected 1"
    ));
    assert!(race.is_finished());
    // Late addresses included.
    let answer = twinstack_race::Answer::addresses(["192.0.2.1".parse().unwrap()]);
    let late = Instant::from_millis(310);
    race.input(
        Input::Answer {
            query: twinstack_race::QueryId(2),
            answer,
        },
        late,
    )
    .unwrap();
    assert_eq!(drain(&mut race, Instant::from_millis(5000)), []);
    assert_eq!(race.deadline(), None);
}

#[test]
fn e4_of_two_winners_in_one_instant_the_earlier_start_stays_and_the_other_is_closed() {
    for order in [[1, 2], [2, 1]] {
        let mut race = plays(&format!("{TCP}{BOTH}+0 attempt 1\n+250 attempt 2"));
        let now = Instant::from_millis(260);
        for id in order {
            race.input(
                Input::Succeeded {
                    attempt: AttemptId(id),
                },
                now,
            )
            .unwrap();
        }
        let lost = CancelReason::Lost { to: AttemptId(1) };
        assert_eq!(
            drain(&mut race, now),
            [
                Output::CancelAttempt {
                    id: AttemptId(2),
                    why: lost
                },
                Output::Finished(Outcome::Connected {
                    attempt: AttemptId(1)
                })
            ]
        );
    }
}

#[test]
fn e4_a_winner_that_comes_late_is_told_so() {
    let mut race = plays(&format!(
        "{TCP}{BOTH}+0 attempt 1\n+250 attempt 2\n+260 succeeded 2\n+260 cancel-attempt 1\n+260 finished connected 2"
    ));
    let late = race.input(
        Input::Succeeded {
            attempt: AttemptId(1),
        },
        Instant::from_millis(261),
    );
    assert_eq!(late, Err(Ignored::CancelledAttempt(AttemptId(1))));
    assert_eq!(drain(&mut race, Instant::from_millis(261)), []);
}

#[test]
fn e5_a_race_can_be_dropped_at_any_time() {
    // Nothing outlives the value: no thread, no global, no callback. That it can move to another thread is what a dial
    // future needs, to be dropped wherever it happens to be.
    fn movable<T: Send + 'static>(value: T) -> T {
        value
    }
    let race = movable(plays(&format!("{TCP}{BOTH}+0 attempt 1")));
    std::thread::spawn(move || drop(race)).join().unwrap();
}

#[test]
fn e6_total_failure_tells_every_error_with_address_and_time() {
    let race = plays(
        "target example.com 443 tls:h2 service=https\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n\
         +3 query-failed 1 server-failure \"SERVFAIL\"\n\
         +5 answer 2 AAAA 2001:db8::1\n\
         +5 attempt 1 [2001:db8::1]:443\n\
         +7 answer 3 A nodata\n\
         +25 failed 1 handshake \"certificate expired\"\n\
         +25 finished failed all-failed",
    );
    let Some((_, Outcome::Failed(failure))) = race.outcome() else {
        panic!()
    };
    assert_eq!(failure.reason, FailureReason::AllFailed);
    let [attempt] = &failure.attempts[..] else {
        panic!("{failure:?}")
    };
    assert_eq!(
        attempt.address,
        "[2001:db8::1]:443".parse::<SocketAddr>().unwrap()
    );
    assert_eq!(
        (attempt.started, attempt.ended),
        (Instant::from_millis(5), Instant::from_millis(25))
    );
    assert_eq!(attempt.error.kind, AttemptErrorKind::Handshake);
    assert_eq!(&*attempt.error.text, "certificate expired");
    let [https, a] = &failure.queries[..] else {
        panic!("{failure:?}")
    };
    let QueryEnd::Failed(error) = &https.end else {
        panic!("{https:?}")
    };
    assert_eq!(
        (error.kind, &*error.text),
        (QueryErrorKind::ServerFailure, "SERVFAIL")
    );
    assert_eq!(https.ended, Some(Instant::from_millis(3)));
    assert_eq!(a.end, QueryEnd::NoData);
}

#[test]
fn e6_the_deadline_tells_what_was_still_going_on() {
    let race = plays(&format!(
        "target example.com 80 tcp\nconfig overall-deadline=300\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 2001:db8::1 2001:db8::2\n+0 attempt 1\n+100 failed 1 refused\n+100 attempt 2\n\
         +300 cancel-attempt 2 because overall deadline\n+300 cancel-query 2\n+300 finished failed deadline{}",
        ""
    ));
    let Some((_, Outcome::Failed(failure))) = race.outcome() else {
        panic!()
    };
    let kinds: Vec<_> = failure
        .attempts
        .iter()
        .map(|attempt| attempt.error.kind)
        .collect();
    assert_eq!(
        kinds,
        [AttemptErrorKind::Refused, AttemptErrorKind::TimedOut]
    );
    assert_eq!(failure.attempts[1].ended, Instant::from_millis(300));
    assert_eq!(failure.queries[0].end, QueryEnd::Pending);
}

#[test]
fn e7_ech_is_retried_once_at_the_same_endpoint_and_never_twice() {
    let race = plays(
        "target example.com 443 tls:h2 service=https\nconfig ech=opportunistic\nnetwork ipv6 nat64=none\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n\
         +0 answer 1 HTTPS 1 . alpn=h2 ech=01\n+0 answer 2 AAAA 2001:db8::1\n\
         +0 attempt 1 [2001:db8::1]:443 tls alpn=h2 ech=01\n\
         +5 ech-rejected 1 retry=02\n\
         +10 attempt 2 [2001:db8::1]:443 tls alpn=h2 ech=02 name=example.com because 1 rejected ech\n\
         +50 ech-rejected 2 retry=03\n\
         +50 finished failed all-failed",
    );
    let Some((_, Outcome::Failed(failure))) = race.outcome() else {
        panic!()
    };
    assert!(
        failure
            .attempts
            .iter()
            .all(|attempt| attempt.error.kind == AttemptErrorKind::Ech)
    );
}

#[test]
fn p2_a_family_that_loses_without_an_error_is_reported() {
    let race = plays(&format!(
        "{TCP}{BOTH}+0 attempt 1\n+250 attempt 2\n+260 succeeded 2\n+260 cancel-attempt 1\n+260 finished connected 2"
    ));
    assert_eq!(race.silent_failure(), Some(Family::V6));
    // It said something: not silent.
    let race = plays(&format!(
        "{TCP}{BOTH}+0 attempt 1\n+20 progress 1\n+250 attempt 2\n+260 succeeded 2\n\
         +260 cancel-attempt 1\n+260 finished connected 2"
    ));
    assert_eq!(race.silent_failure(), None);
    let race = plays(&format!(
        "{TCP}{BOTH}+0 attempt 1\n+120 failed 1 refused\n+120 attempt 2\n+140 succeeded 2\n+140 finished connected 2"
    ));
    assert_eq!(race.silent_failure(), None);
    // It had no time to say anything.
    let race = plays(&format!(
        "{TCP}{BOTH}+0 attempt 1\n+250 attempt 2\n+900 succeeded 1\n+900 cancel-attempt 2\n+900 finished connected 1"
    ));
    assert_eq!(race.silent_failure(), None);
    // It was given up after no longer than the winner took, or so soon that nobody could have answered.
    for (gave_up, won) in [(200, 400), (50, 70)] {
        let race = plays(&format!(
            "{TCP}{BOTH}+0 attempt 1\n+{gave_up} failed 1 timed-out\n+{gave_up} attempt 2\n+{won} succeeded 2\n\
             +{won} finished connected 2"
        ));
        assert_eq!(race.silent_failure(), None, "{gave_up}");
    }
    let race = plays(&format!(
        "{TCP}{BOTH}+0 attempt 1\n+200 failed 1 timed-out\n+200 attempt 2\n+399 succeeded 2\n+399 finished connected 2"
    ));
    assert_eq!(race.silent_failure(), Some(Family::V6));
}

#[test]
fn an_attempt_tells_its_round_trip() {
    let race = plays(&format!(
        "{TCP}{BOTH}+0 attempt 1\n+23 progress 1\n+60 succeeded 1\n+60 finished connected 1"
    ));
    assert_eq!(race.attempts()[0].round_trip(), Some(millis(23)));
}
