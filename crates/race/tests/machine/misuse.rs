//! Wrong use has a typed answer and changes nothing.

use crate::support::plays;
use twinstack_race::{
    Answer, AttemptError, AttemptErrorKind, AttemptId, Config, ConfigError, Ignored, Input,
    Instant, Name, Network, Offer, QueryError, QueryErrorKind, QueryId, Race, Service,
    ServiceRecord, Target, alpns,
};

const TCP: &str =
    "target example.com 80 tcp\n+0 query 1 AAAA example.com\n+0 query 2 A example.com\n";

fn answer(query: u32, address: &str) -> Input {
    let answer = Answer::addresses([address.parse().unwrap()]);
    Input::Answer {
        query: QueryId(query),
        answer,
    }
}

fn failed(attempt: u32) -> Input {
    let error = AttemptError::new(AttemptErrorKind::Refused, "connection refused");
    Input::Failed {
        attempt: AttemptId(attempt),
        error,
    }
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

#[test]
fn answers_to_questions_that_were_not_asked_or_are_settled_are_refused() {
    let mut race = plays(TCP);
    let before = race.events().len();
    assert_eq!(
        race.input(answer(0, "2001:db8::1"), at(1)),
        Err(Ignored::UnknownQuery(QueryId(0)))
    );
    assert_eq!(
        race.input(answer(3, "2001:db8::1"), at(1)),
        Err(Ignored::UnknownQuery(QueryId(3)))
    );
    assert_eq!(
        race.input(answer(1, "192.0.2.1"), at(1)),
        Err(Ignored::WrongType(QueryId(1)))
    );
    let services = Answer::services([ServiceRecord::new(1, None)]);
    let wrong = Input::Answer {
        query: QueryId(1),
        answer: services,
    };
    assert_eq!(
        race.input(wrong, at(1)),
        Err(Ignored::WrongType(QueryId(1)))
    );
    let expired = Input::Expired { query: QueryId(1) };
    assert_eq!(
        race.input(expired, at(1)),
        Err(Ignored::NotAnswered(QueryId(1)))
    );
    assert_eq!(
        race.events().len(),
        before,
        "what is refused leaves no trace"
    );

    assert_eq!(race.input(answer(1, "2001:db8::1"), at(1)), Ok(()));
    assert_eq!(
        race.input(answer(1, "2001:db8::1"), at(1)),
        Err(Ignored::AlreadyAnswered(QueryId(1)))
    );
    let error = QueryError::new(QueryErrorKind::TimedOut, "");
    let late = Input::QueryFailed {
        query: QueryId(1),
        error,
    };
    assert_eq!(
        race.input(late, at(1)),
        Err(Ignored::AlreadyAnswered(QueryId(1)))
    );
}

#[test]
fn a_question_that_was_given_up_takes_no_answer() {
    let mut race = plays(&format!(
        "{}+0 answer 1 AAAA nodata\n+10 cancel-query 2\n+10 finished failed resolution",
        TCP.replace("tcp\n", "tcp\nconfig query-deadline=10\n")
    ));
    assert_eq!(
        race.input(answer(2, "192.0.2.1"), at(11)),
        Err(Ignored::CancelledQuery(QueryId(2)))
    );
}

#[test]
fn results_of_attempts_that_do_not_run_are_refused() {
    let mut race = plays(&format!("{TCP}+0 answer 1 AAAA 2001:db8::1\n+0 attempt 1"));
    assert_eq!(
        race.input(failed(0), at(1)),
        Err(Ignored::UnknownAttempt(AttemptId(0)))
    );
    assert_eq!(
        race.input(failed(2), at(1)),
        Err(Ignored::UnknownAttempt(AttemptId(2)))
    );
    assert_eq!(race.input(failed(1), at(1)), Ok(()));
    for input in [
        failed(1),
        Input::Progress {
            attempt: AttemptId(1),
        },
        Input::Succeeded {
            attempt: AttemptId(1),
        },
        Input::EchRejected {
            attempt: AttemptId(1),
            retry: None,
        },
    ] {
        assert_eq!(
            race.input(input, at(1)),
            Err(Ignored::AlreadyEnded(AttemptId(1)))
        );
    }
}

#[test]
fn a_success_can_be_told_once() {
    let mut race = plays(&format!("{TCP}+0 answer 1 AAAA 2001:db8::1\n+0 attempt 1"));
    let succeeded = Input::Succeeded {
        attempt: AttemptId(1),
    };
    assert_eq!(race.input(succeeded.clone(), at(1)), Ok(()));
    assert_eq!(
        race.input(succeeded, at(1)),
        Err(Ignored::AlreadyEnded(AttemptId(1)))
    );
    assert_eq!(
        race.input(failed(1), at(1)),
        Err(Ignored::AlreadyEnded(AttemptId(1)))
    );
}

#[test]
fn after_the_end_nothing_changes_any_more() {
    let mut race = plays(&format!(
        "{TCP}+0 answer 1 AAAA nodata\n+0 answer 2 A nodata\n+0 finished failed no-address"
    ));
    for input in [
        Input::Network(Network::ipv4_only()),
        Input::Expired { query: QueryId(1) },
        Input::Changed {
            query: QueryId(1),
            answer: Answer::no_data(),
        },
    ] {
        assert_eq!(race.input(input, at(1)), Err(Ignored::Finished));
    }
    assert_eq!(race.next(at(100_000)), None);
    assert_eq!(race.deadline(), None);
}

#[test]
fn b11_without_optimistic_dns_a_stale_answer_is_refused_and_the_question_stays_open() {
    let mut race = plays(&TCP.replace("tcp\n", "tcp\nconfig optimistic-dns=false\n"));
    let stale = Answer::addresses(["2001:db8::1".parse().unwrap()]).stale();
    let input = Input::Answer {
        query: QueryId(1),
        answer: stale,
    };
    assert_eq!(race.input(input, at(1)), Err(Ignored::Stale(QueryId(1))));
    assert_eq!(race.input(answer(1, "2001:db8::1"), at(2)), Ok(()));
}

#[test]
fn time_that_goes_back_stands_still() {
    let mut race = plays(&format!(
        "{TCP}+50 answer 1 AAAA 2001:db8::1 2001:db8::2\n+50 attempt 1"
    ));
    assert_eq!(race.input(failed(1), at(10)), Ok(()));
    assert_eq!(race.next(at(20)), None);
    assert_eq!(race.deadline(), Some(at(60)));
}

#[test]
fn targets_that_cannot_be_raced_to_are_refused() {
    let new = |target: Target| {
        let race = Race::new(
            target,
            Config::default(),
            Network::dual_stack(),
            0,
            Instant::ZERO,
        );
        race.map(|_| ()).unwrap_err()
    };
    let name = Name::new("example.com").unwrap();
    let mut target = Target::tcp(name.clone(), 80);
    target.offers.clear();
    assert_eq!(new(target), ConfigError::NoProtocol);
    let long = Name::new(&"a.".repeat(124)).unwrap();
    assert_eq!(new(Target::https(long, 8443)), ConfigError::ServiceName);
    // Only offers that no record can speak for: nothing to try, and that is not a fault of the caller's.
    let target = Target {
        host: name.into(),
        port: 443,
        offers: vec![Offer {
            protocol: twinstack_race::Protocol::Quic,
            alpn: alpns(["h3"]),
            needs_record: true,
        }],
        service: Service::None,
    };
    let race = Race::new(
        target,
        Config::default(),
        Network::dual_stack(),
        0,
        Instant::ZERO,
    );
    assert!(race.is_ok());
}

#[test]
fn nothing_overflows_at_the_end_of_time() {
    let end = Instant::MAX;
    let target = Target::tcp(Name::new("example.com").unwrap(), 80);
    let mut race = Race::new(target, Config::default(), Network::dual_stack(), 0, end).unwrap();
    // Every deadline is now: the race is over before it has begun, and says so.
    let outputs: Vec<_> = std::iter::from_fn(|| race.next(end)).take(10).collect();
    assert!(outputs.len() < 10, "{outputs:?}");
    assert!(race.is_finished());
    assert_eq!(race.deadline(), None);
}
