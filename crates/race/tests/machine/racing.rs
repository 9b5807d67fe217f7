//! D: the pace.

use crate::support::{millis, plays, starts, tried};
use twinstack_race::{Config, ConfigError, Instant, Name, Network, Race, Target};

const TCP: &str =
    "target example.com 80 tcp\n+0 query 1 AAAA example.com\n+0 query 2 A example.com\n";

fn tcp(config: &str, lines: &str) -> Race {
    plays(&format!(
        "target example.com 80 tcp\n{config}\n+0 query 1 AAAA example.com\n+0 query 2 A example.com\n{lines}"
    ))
}

#[test]
fn d1_one_at_a_time_and_the_earlier_ones_keep_running() {
    let race = plays(&format!(
        "{TCP}+0 answer 1 AAAA 2001:db8::1 2001:db8::2\n+0 answer 2 A 192.0.2.1\n\
         +0 attempt 1\n+250 attempt 2\n+500 attempt 3\n+700 succeeded 1\n\
         +700 cancel-attempt 2\n+700 cancel-attempt 3\n+700 finished connected 1"
    ));
    assert_eq!(starts(&race), [0, 250, 500]);
}

#[test]
fn d2_the_delay_is_250_ms_unless_set_or_remembered() {
    tcp(
        "",
        "+0 answer 1 AAAA 2001:db8::1 2001:db8::2\n+0 attempt 1\n+250 attempt 2",
    );
    tcp(
        "config attempt-delay=300",
        "+0 answer 1 AAAA 2001:db8::1 2001:db8::2\n+0 attempt 1\n+300 attempt 2",
    );
    // With a remembered round trip: the delay that goes with it. The next address has none.
    tcp(
        "fact 2001:db8::1 source=2001:db8::c/64 round-trip=40 attempt-delay=130",
        "+0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3\n+0 attempt 1\n+130 attempt 2\n+380 attempt 3",
    );
}

#[test]
fn d2_a_memory_paces_the_race_within_its_bounds() {
    use twinstack_race::history::{Boundary, Ending, Era, History, Outcome, Settings};
    let delay = |round_trip: u64| {
        let address = "2001:db8::1".parse().unwrap();
        let mut history = History::new(Settings::default(), 1);
        let boundary = Boundary::default();
        let outcome = Outcome::Connected {
            round_trip: Some(millis(round_trip)),
        };
        let now = Instant::from_millis(1000);
        history.learn(
            boundary,
            "example.com",
            80,
            Era::default(),
            &[Ending { address, outcome }],
            now,
        );
        let memory = history.recall(boundary, "example.com", 80, now);
        let target = Target::tcp(Name::new("example.com").unwrap(), 80);
        let race = Race::new(target, Config::default(), Network::dual_stack(), 0, now).unwrap();
        let mut race = race.with_memory(memory);
        while race.next(now).is_some() {}
        let answer = twinstack_race::Answer::addresses(
            ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap()),
        );
        let query = twinstack_race::QueryId(1);
        race.input(twinstack_race::Input::Answer { query, answer }, now)
            .unwrap();
        while race.next(now).is_some() {}
        race.deadline().unwrap() - now
    };
    assert_eq!(delay(1), millis(100), "never below the minimum");
    assert!(
        (millis(101)..millis(250)).contains(&delay(40)),
        "{:?}",
        delay(40)
    );
    assert_eq!(delay(5000), millis(2000), "never above the maximum");
}

#[test]
fn d3_eight_refusals_in_a_row_are_ten_milliseconds_apart() {
    let mut text = format!(
        "{TCP}+0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3 2001:db8::4\n\
         +0 answer 2 A 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4\n"
    );
    for attempt in 1..=8 {
        let at = (attempt - 1) * 10;
        text += &format!("+{at} attempt {attempt}\n+{at} failed {attempt} refused\n");
    }
    let race = plays(&format!("{text}+70 finished failed all-failed"));
    assert_eq!(starts(&race), [0, 10, 20, 30, 40, 50, 60, 70]);
}

#[test]
fn d3_the_floor_holds_to_the_nanosecond() {
    let mut race = plays(&format!(
        "{TCP}+0 answer 1 AAAA 2001:db8::1 2001:db8::2\n+0 attempt 1\n+5 failed 1 refused"
    ));
    assert_eq!(race.deadline(), Some(Instant::from_millis(10)));
    assert_eq!(race.next(Instant::from_nanos(9_999_999)), None);
    assert!(race.next(Instant::from_nanos(10_000_000)).is_some());
    // And nobody can ask for less.
    let config = Config {
        minimum_attempt_delay: millis(9),
        ..Config::default()
    };
    let target = Target::tcp(Name::new("example.com").unwrap(), 80);
    let race = Race::new(target, config, Network::dual_stack(), 0, Instant::ZERO);
    assert_eq!(race.unwrap_err(), ConfigError::BelowFloor(millis(9)));
}

#[test]
fn d4_nothing_computed_goes_below_the_minimum_and_the_caller_may_go_down_to_the_floor() {
    // What is remembered is bounded when it is recalled; a caller that wants less says so.
    tcp(
        "config attempt-delay=10 minimum-attempt-delay=10",
        "+0 answer 1 AAAA 2001:db8::1 2001:db8::2\n+0 attempt 1\n+10 attempt 2",
    );
    tcp(
        "fact 2001:db8::1 source=2001:db8::c/64 attempt-delay=1",
        "+0 answer 1 AAAA 2001:db8::1 2001:db8::2\n+0 attempt 1\n+100 attempt 2",
    );
}

#[test]
fn d5_d11_a_growing_delay_ends_at_the_maximum() {
    let race = tcp(
        "config delay-multiplier=3",
        "+0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3 2001:db8::4 2001:db8::5\n\
         +0 attempt 1\n+250 attempt 2\n+1000 attempt 3\n+3000 attempt 4\n+5000 attempt 5",
    );
    assert_eq!(starts(&race), [0, 250, 1000, 3000, 5000]);
}

#[test]
fn d6_a_failure_starts_the_next_at_once() {
    plays(&format!(
        "{TCP}+0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3\n+0 attempt 1\n+100 failed 1 unreachable\n\
         +100 attempt 2 [2001:db8::2]:80 tcp name=example.com because 1 failed\n\
         +350 attempt 3 [2001:db8::3]:80 tcp name=example.com because delay 250"
    ));
}

#[test]
fn d6_the_first_of_two_failures_is_the_cause() {
    plays(&format!(
        "{TCP}+0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3\n+0 attempt 1\n+250 attempt 2\n\
         +251 failed 2 refused\n+255 failed 1 refused\n\
         +260 attempt 3 [2001:db8::3]:80 tcp name=example.com because 2 failed"
    ));
}

#[test]
fn d7_an_offer_of_early_data_is_paced_like_any_other() {
    // Whether a session is resumed is not an input: nothing could make the delay another one. What the machine does see
    // of the protocol, ALPN and ECH, does not change it either.
    for offers in ["tls:h2 quic:h3", "quic:h3 tls:h2", "tls quic"] {
        let race = plays(&format!(
            "target 2001:db8::1 443 {offers}\n+0 attempt 1\n+250 attempt 2"
        ));
        assert_eq!(starts(&race), [0, 250]);
    }
}

#[test]
fn d8_progress_extends_the_timer_to_when_the_handshake_should_be_done() {
    // TCP was up after 200 ms: two more round trips are 400 ms.
    plays(
        "target example.com 443 tls:h2\n+0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 2001:db8::1\n+0 answer 2 A 192.0.2.1\n\
         +0 attempt 1 [2001:db8::1]:443\n\
         +200 progress 1\n\
         +600 attempt 2 192.0.2.1:443 tls alpn=h2 name=example.com because delay 600",
    );
    // It never makes the wait shorter: 20 ms and a bit is long over before the delay.
    plays(
        "target example.com 443 tls:h2\n+0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 2001:db8::1\n+0 answer 2 A 192.0.2.1\n\
         +0 attempt 1 [2001:db8::1]:443\n\
         +20 progress 1\n\
         +250 attempt 2 192.0.2.1:443 tls alpn=h2 name=example.com because delay 250",
    );
}

#[test]
fn d8_d5_progress_never_extends_beyond_the_maximum() {
    plays(
        "target example.com 443 tls:h2\nconfig attempt-delay=1800\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 2001:db8::1\n+0 answer 2 A 192.0.2.1\n\
         +0 attempt 1 [2001:db8::1]:443\n\
         +1700 progress 1\n\
         +1900 progress 1\n\
         +2000 attempt 2 192.0.2.1:443 tls alpn=h2 name=example.com because delay 2000",
    );
}

#[test]
fn d8_a_server_that_goes_silent_after_tcp_is_left_behind() {
    plays(
        "target example.com 443 tls:h2\n+0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +20 answer 1 AAAA 2001:db8::1\n+20 answer 2 A 192.0.2.1\n\
         +20 attempt 1 [2001:db8::1]:443\n\
         +40 progress 1\n\
         +270 attempt 2 192.0.2.1:443\n\
         +290 progress 2\n\
         +310 succeeded 2\n\
         +310 cancel-attempt 1 because lost to 2\n\
         +310 finished connected 2",
    );
}

#[test]
fn d9_service_groups_are_one_list_and_run_in_parallel() {
    plays(
        "target example.com 443 tls:h2 service=https\nnetwork ipv6 nat64=none\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n\
         +0 answer 1 HTTPS 1 . alpn=h2 | 2 alt.example.net alpn=h2 ipv6hint=2001:db8:a::1\n\
         +0 answer 2 AAAA 2001:db8::1 2001:db8::2\n\
         +0 query 3 AAAA alt.example.net\n\
         +0 attempt 1 [2001:db8::1]:443\n+250 attempt 2 [2001:db8::2]:443\n+500 attempt 3 [2001:db8:a::1]:443\n\
         +510 succeeded 1\n+510 cancel-attempt 2\n+510 cancel-attempt 3\n+510 finished connected 1",
    );
}

#[test]
fn d10_a_new_address_may_cut_the_delay_short_but_never_under_the_minimum() {
    let hurry = "config hurry-on-new-address=true";
    tcp(
        hurry,
        "+0 answer 2 A 192.0.2.1\n+50 attempt 1 192.0.2.1:80\n\
         +180 answer 1 AAAA 2001:db8::1\n\
         +180 attempt 2 [2001:db8::1]:80 tcp name=example.com because hurry",
    );
    tcp(
        hurry,
        "+0 answer 2 A 192.0.2.1\n+50 attempt 1 192.0.2.1:80\n\
         +60 answer 1 AAAA 2001:db8::1\n\
         +150 attempt 2 [2001:db8::1]:80 tcp name=example.com because hurry",
    );
    // An attempt that came forward is given its time.
    tcp(
        hurry,
        "+0 answer 2 A 192.0.2.1\n+50 attempt 1 192.0.2.1:80\n+70 progress 1\n\
         +180 answer 1 AAAA 2001:db8::1\n\
         +300 attempt 2 [2001:db8::1]:80 tcp name=example.com because delay 250",
    );
}

#[test]
fn d12_at_the_cap_a_failure_makes_room() {
    tcp(
        "config parallel-attempts=2 attempt-delay=100",
        "+0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3\n\
         +0 attempt 1\n+100 attempt 2\n+400 failed 1 refused\n+400 attempt 3",
    );
}

#[test]
fn d12_at_the_cap_the_one_that_was_quiet_for_longest_makes_room() {
    tcp(
        "config parallel-attempts=2 attempt-delay=100",
        "+0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3\n\
         +0 attempt 1\n+100 attempt 2\n+900 progress 1\n\
         +2100 cancel-attempt 2 because replaced\n+2100 attempt 3",
    );
}

#[test]
fn d12_the_number_of_attempts_and_of_names_is_bounded() {
    tcp(
        "config total-attempts=2",
        "+0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3\n+0 answer 2 A 192.0.2.1\n\
         +0 attempt 1\n+250 attempt 2\n+260 failed 1 refused\n+270 failed 2 refused\n+270 finished failed all-failed",
    );
    plays(
        "target example.com 443 tls:h2 service=https\nconfig names=2\nnetwork ipv6 nat64=none\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n\
         +0 answer 1 HTTPS 1 a.example.net alpn=h2 | 2 b.example.net alpn=h2 | 3 c.example.net alpn=h2\n\
         +0 query 3 AAAA a.example.net\n\
         +1 answer 2 AAAA nodata\n+1 answer 3 AAAA nodata\n+1 finished failed no-address",
    );
}

#[test]
fn d14_each_attempt_has_its_own_deadline_whatever_their_number() {
    tcp(
        "config attempt-deadline=3000 attempt-delay=2000",
        "+0 answer 1 AAAA 2001:db8::1\n+0 answer 2 A 192.0.2.1\n\
         +0 attempt 1\n+2000 attempt 2\n\
         +3000 cancel-attempt 1 because deadline\n\
         +5000 cancel-attempt 2 because deadline\n\
         +5000 finished failed all-failed",
    );
}

#[test]
fn d14_d6_an_attempt_that_is_given_up_starts_the_next_at_once() {
    tcp(
        "config attempt-deadline=100 attempt-delay=2000",
        "+0 answer 1 AAAA 2001:db8::1\n+0 answer 2 A 192.0.2.1\n\
         +0 attempt 1\n+100 cancel-attempt 1 because deadline\n+100 attempt 2 192.0.2.1:80 tcp name=example.com because 1 failed",
    );
}

#[test]
fn d14_the_overall_deadline_ends_everything() {
    tcp(
        "config overall-deadline=400 attempt-deadline=300",
        "+0 answer 1 AAAA 2001:db8::1 2001:db8::2\n\
         +0 attempt 1\n+250 attempt 2\n+300 cancel-attempt 1 because deadline\n\
         +400 cancel-attempt 2 because overall deadline\n+400 cancel-query 2\n+400 finished failed deadline",
    );
}

#[test]
fn no_attempt_is_made_twice() {
    let race = plays(&format!(
        "{TCP}+0 answer 1 AAAA 2001:db8::1 2001:db8::1\n+0 answer 2 A 192.0.2.1 192.0.2.1\n\
         +0 attempt 1\n+250 attempt 2\n+300 failed 1 refused\n+310 failed 2 refused\n+310 finished failed all-failed"
    ));
    assert_eq!(tried(&race), ["[2001:db8::1]:80", "192.0.2.1:80"]);
}

#[test]
fn seven_dead_addresses_cost_seven_delays_and_the_eighth_connects() {
    let race = plays(&format!(
        "{TCP}+0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3 2001:db8::4\n\
         +0 answer 2 A 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4\n\
         +0 attempt 1\n+250 attempt 2\n+500 attempt 3\n+750 attempt 4\n+1000 attempt 5\n+1250 attempt 6\n\
         +1500 attempt 7\n+1750 attempt 8 192.0.2.4:80\n+1751 succeeded 8\n\
         +1751 cancel-attempt 1\n+1751 cancel-attempt 2\n+1751 cancel-attempt 3\n+1751 cancel-attempt 4\n\
         +1751 cancel-attempt 5\n+1751 cancel-attempt 6\n+1751 cancel-attempt 7\n+1751 finished connected 8"
    ));
    assert_eq!(race.attempts().len(), 8);
}
