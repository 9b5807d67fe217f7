//! G: answers, and the network, change while attempts run.

use crate::support::{plays, tried};

const TCP: &str =
    "target example.com 80 tcp\n+0 query 1 AAAA example.com\n+0 query 2 A example.com\n";

#[test]
fn g1_a_new_family_takes_the_next_turn() {
    plays(&format!(
        "{TCP}+0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3\n+0 attempt 1\n+250 attempt 2 [2001:db8::2]:80\n\
         +300 answer 2 A 192.0.2.1 192.0.2.2\n\
         +500 attempt 3 192.0.2.1:80\n+750 attempt 4 192.0.2.2:80\n+1000 attempt 5 [2001:db8::3]:80"
    ));
}

#[test]
fn g1_a_better_address_goes_before_those_that_wait() {
    plays(&format!(
        "{TCP}+0 answer 2 A 192.0.2.1 192.0.2.2\n+50 attempt 1 192.0.2.1:80\n\
         +60 answer 1 AAAA 2001:db8::1\n+300 attempt 2 [2001:db8::1]:80\n+550 attempt 3 192.0.2.2:80"
    ));
}

#[test]
fn g2_a_removed_address_that_runs_is_left_alone_and_may_win() {
    plays(&format!(
        "{TCP}+0 answer 1 AAAA 2001:db8::1 2001:db8::2\n+0 attempt 1\n\
         +100 changed 1 AAAA 2001:db8::2\n\
         +250 attempt 2 [2001:db8::2]:80\n\
         +260 succeeded 1\n+260 cancel-attempt 2\n+260 finished connected 1"
    ));
}

#[test]
fn g2_a_removed_address_that_waits_is_never_tried() {
    let race = plays(&format!(
        "{TCP}+0 answer 1 AAAA 2001:db8::1 2001:db8::2\n+0 attempt 1\n\
         +100 changed 1 AAAA 2001:db8::1\n\
         +110 answer 2 A nodata\n\
         +500 failed 1 timed-out\n+500 finished failed all-failed"
    ));
    assert_eq!(tried(&race), ["[2001:db8::1]:80"]);
}

#[test]
fn g3_hints_vanish_when_the_answers_come_without_them() {
    plays(
        "target example.com 443 tls:h2 service=https\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n\
         +0 answer 1 HTTPS 1 . alpn=h2 ipv6hint=2001:db8::1,2001:db8::2 ipv4hint=192.0.2.1,192.0.2.2\n\
         +0 attempt 1 [2001:db8::1]:443\n\
         +10 answer 2 AAAA 2001:db8::9\n\
         +250 attempt 2 192.0.2.1:443\n\
         +260 answer 3 A nodata\n\
         +500 attempt 3 [2001:db8::9]:443\n\
         +600 failed 1 refused\n+600 failed 2 refused\n+600 failed 3 refused\n+600 finished failed all-failed",
    );
}

#[test]
fn g4_answers_alone_do_not_move_the_timer() {
    plays(&format!(
        "{TCP}+0 answer 2 A 192.0.2.1\n+50 attempt 1\n\
         +180 answer 1 AAAA 2001:db8::1\n\
         +200 changed 1 AAAA 2001:db8::2\n\
         +299 changed 2 A 192.0.2.1 192.0.2.2\n\
         +300 attempt 2 [2001:db8::2]:80 tcp name=example.com because delay 250"
    ));
}

#[test]
fn g4_an_address_that_comes_when_the_delay_is_long_over_starts_at_once() {
    plays(&format!(
        "{TCP}+0 answer 2 A 192.0.2.1\n+50 attempt 1\n\
         +1000 answer 1 AAAA 2001:db8::1\n\
         +1000 attempt 2 [2001:db8::1]:80 tcp name=example.com because delay 250"
    ));
}

#[test]
fn another_network_begins_anew_and_keeps_the_floor() {
    plays(
        "target example.com 443 tls:h2 service=https\nnetwork ipv4 context=1\n\
         +0 query 1 HTTPS example.com\n+0 query 2 A example.com\n\
         +5 answer 1 HTTPS nodata\n+5 answer 2 A 192.0.2.1\n\
         +5 attempt 1 192.0.2.1:443\n\
         +8 network ipv6 ipv4 context=2\n\
         +8 cancel-attempt 1 because network change\n\
         +8 query 3 HTTPS example.com\n+8 query 4 AAAA example.com\n+8 query 5 A example.com\n\
         +9 answer 3 HTTPS nodata\n+9 answer 4 AAAA nodata\n+9 answer 5 A 192.0.2.1\n\
         +15 attempt 2 192.0.2.1:443 tls alpn=h2 name=example.com because first\n\
         +30 succeeded 2\n+30 finished connected 2",
    );
}

#[test]
fn a_family_that_goes_away_is_not_tried_any_more() {
    let race = plays(&format!(
        "{TCP}+0 answer 1 AAAA 2001:db8::1 2001:db8::2\n+0 answer 2 A 192.0.2.1\n+0 attempt 1\n\
         +100 network ipv4\n\
         +250 attempt 2 192.0.2.1:80\n\
         +300 failed 1 unreachable\n+310 failed 2 refused\n+310 finished failed all-failed"
    ));
    assert_eq!(tried(&race), ["[2001:db8::1]:80", "192.0.2.1:80"]);
}

#[test]
fn a_prefix_that_becomes_known_during_the_race_opens_the_way_to_ipv4() {
    plays(
        "target example.com 80 tcp\nnetwork ipv6 nat64=none\n\
         +0 query 1 AAAA example.com\n\
         +10 answer 1 AAAA 2001:db8::1\n\
         +10 attempt 1 [2001:db8::1]:80\n\
         +40 network ipv6 nat64=2001:db8:64::/96\n\
         +40 query 2 A example.com\n\
         +60 answer 2 A 192.0.2.1\n\
         +260 attempt 2 [2001:db8:64::c000:201]:80 tcp for=192.0.2.1",
    );
}
