//! F: protected DNS, ECH, downgrade.

use crate::support::plays;
use twinstack_race::{FailureReason, Outcome};

const ASKS: &str =
    "+0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n";

#[test]
fn f1_f4_who_relies_on_ech_waits_for_service_records_even_past_the_resolution_delay() {
    plays(&format!(
        "target example.com 443 tls:h2 service=https\nconfig ech=rely\nnetwork ipv6 ipv4 protected\n{ASKS}\
         +10 answer 2 AAAA 2001:db8::1\n\
         +10 answer 3 A 192.0.2.1\n\
         +900 answer 1 HTTPS 1 . alpn=h2 ech=fe0d\n\
         +900 attempt 1 [2001:db8::1]:443 tls alpn=h2 ech=fe0d"
    ));
}

#[test]
fn f1_an_answer_that_came_protected_says_the_same_as_the_network() {
    plays(&format!(
        "target example.com 443 tls:h2 service=https\nconfig ech=rely\n{ASKS}\
         +10 answer 2 AAAA 2001:db8::1 protected\n\
         +200 answer 1 HTTPS nodata protected\n\
         +200 attempt 1 [2001:db8::1]:443"
    ));
}

/// All three conditions of section 6.3 have to hold; with one missing, the delay bounds the wait.
#[test]
fn f1_f5_otherwise_nothing_waits_past_the_resolution_delay() {
    for head in [
        "config ech=rely",
        "network ipv6 ipv4 protected",
        "config ech=opportunistic\nnetwork ipv6 ipv4 protected",
    ] {
        plays(&format!(
            "target example.com 443 tls:h2 service=https\n{head}\n{ASKS}\
             +10 answer 2 AAAA 2001:db8::1\n\
             +60 attempt 1 [2001:db8::1]:443"
        ));
    }
}

#[test]
fn f2_on_protected_dns_a_failed_service_look_up_ends_the_dial() {
    let race = plays(&format!(
        "target example.com 443 tls:h2 service=https\nnetwork ipv6 ipv4 protected\n{ASKS}\
         +10 answer 2 AAAA 2001:db8::1\n\
         +60 attempt 1\n\
         +70 query-failed 1 server-failure\n\
         +70 cancel-attempt 1 because abandoned\n\
         +70 cancel-query 3\n\
         +70 finished failed service-unknown"
    ));
    let Some((_, Outcome::Failed(failure))) = race.outcome() else {
        panic!()
    };
    assert_eq!(failure.reason, FailureReason::ServiceUnknown);
}

#[test]
fn f2_f5_on_unprotected_dns_it_does_not() {
    plays(&format!(
        "target example.com 443 tls:h2 service=https\n{ASKS}\
         +10 answer 2 AAAA 2001:db8::1\n\
         +20 query-failed 1 server-failure\n\
         +20 attempt 1 [2001:db8::1]:443"
    ));
    // Nor when the caller does not want it.
    plays(&format!(
        "target example.com 443 tls:h2 service=https\nconfig refuse-downgrade=false\nnetwork ipv6 ipv4 protected\n{ASKS}\
         +10 answer 2 AAAA 2001:db8::1\n\
         +20 query-failed 1 server-failure\n\
         +20 attempt 1 [2001:db8::1]:443"
    ));
}

#[test]
fn f2_a_service_look_up_that_takes_for_ever_is_one_that_failed() {
    plays(&format!(
        "target example.com 443 tls:h2 service=https\nconfig ech=rely query-deadline=2000\nnetwork ipv6 ipv4 protected\n{ASKS}\
         +10 answer 2 AAAA 2001:db8::1\n\
         +10 answer 3 A nodata\n\
         +2000 cancel-query 1\n\
         +2000 finished failed service-unknown"
    ));
}

#[test]
fn f3_on_protected_dns_no_cleartext_before_the_https_answer() {
    plays(&format!(
        "target example.com 80 tcp service=https\nnetwork ipv6 ipv4 protected\n{ASKS}\
         +10 answer 2 AAAA 2001:db8::1\n\
         +700 answer 1 HTTPS nodata\n\
         +700 attempt 1 [2001:db8::1]:80 tcp"
    ));
}

#[test]
fn f3_an_https_record_forbids_cleartext() {
    plays(&format!(
        "target example.com 80 tcp service=https\n{ASKS}\
         +10 answer 2 AAAA 2001:db8::1\n\
         +20 answer 1 HTTPS 1 .\n\
         +20 answer 3 A nodata\n\
         +20 finished failed no-common-protocol"
    ));
}

#[test]
fn f4_who_relies_on_ech_does_not_fall_back_to_addresses_without_it() {
    plays(&format!(
        "target example.com 443 tls:h2 service=https\nconfig ech=rely\n{ASKS}\
         +0 answer 1 HTTPS 1 cdn.example.net alpn=h2 ech=fe0d ipv6hint=2001:db8:c::1\n\
         +0 answer 2 AAAA 2001:db8::1\n+0 answer 3 A 192.0.2.1\n\
         +0 query 4 AAAA cdn.example.net\n+0 query 5 A cdn.example.net\n\
         +0 attempt 1 [2001:db8:c::1]:443 tls alpn=h2 ech=fe0d\n\
         +10 answer 4 AAAA 2001:db8:c::1\n+10 answer 5 A nodata\n\
         +20 failed 1 refused\n\
         +20 finished failed all-failed"
    ));
}
