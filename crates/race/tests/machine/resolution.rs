//! A and B: what is asked, and when it is enough.

use crate::support::{outputs, plays};
use twinstack_race::{Config, Instant, Network, Race, Service, Target, alpns};
use twinstack_race::{Host, Name};

fn questions(target: Target, network: Network) -> Vec<String> {
    let mut race = Race::new(target, Config::default(), network, 0, Instant::ZERO).unwrap();
    while race.next(Instant::ZERO).is_some() {}
    outputs(&race)
}

fn name() -> Name {
    Name::new("example.com").unwrap()
}

#[test]
fn a1_a2_a6_asks_for_the_families_that_the_host_has_and_for_no_other() {
    let target = Target::tcp(name(), 80);
    let v6 = "query 1 AAAA example.com";
    assert_eq!(
        questions(target.clone(), Network::dual_stack()),
        [v6, "query 2 A example.com"]
    );
    let v6_only =
        plays("target example.com 80 tcp\nnetwork ipv6 nat64=none\n+0 query 1 AAAA example.com");
    assert_eq!(outputs(&v6_only), [v6]);
    assert_eq!(
        questions(target, Network::ipv4_only()),
        ["query 1 A example.com"]
    );
}

#[test]
fn a1_a2_without_any_network_the_race_fails_at_once_and_says_so() {
    plays("target example.com 80 tcp\nnetwork\n+0 finished failed no-network");
}

#[test]
fn a1_a2_a_family_that_appears_during_the_race_is_asked_for() {
    plays(
        "target example.com 80 tcp\nnetwork ipv4\n\
         +0 query 1 A example.com\n\
         +10 network ipv4 ipv6\n\
         +10 query 2 AAAA example.com",
    );
}

#[test]
fn a3_n2_a_known_prefix_asks_for_a_without_ipv4() {
    plays(
        "target example.com 80 tcp\nnetwork ipv6 nat64=64:ff9b::/96\n\
         +0 query 1 AAAA example.com\n\
         +0 query 2 A example.com\n\
         +5 answer 1 AAAA nodata\n\
         +6 answer 2 A 192.0.2.1\n\
         +6 attempt 1 [64:ff9b::c000:201]:80 tcp for=192.0.2.1",
    );
}

#[test]
fn a4_a5_questions_go_out_together_service_records_first() {
    assert_eq!(
        questions(Target::https(name(), 443), Network::dual_stack()),
        [
            "query 1 HTTPS example.com",
            "query 2 AAAA example.com",
            "query 3 A example.com"
        ]
    );
}

#[test]
fn a4_service_records_have_their_own_names() {
    let first = |target: Target| questions(target, Network::dual_stack()).swap_remove(0);
    // RFC 9460, section 9.1: ports 443 and 80 have the name itself.
    assert_eq!(
        first(Target::https(name(), 80)),
        "query 1 HTTPS example.com"
    );
    assert_eq!(
        first(Target::https(name(), 8443)),
        "query 1 HTTPS _8443._https.example.com"
    );
    // Section 2.3: the scheme is part of the name, and the port when it is another one.
    let dns = |port| {
        Target::tls(name(), port, ["dot"]).with_service(Service::Svcb {
            scheme: Name::new("dns").unwrap(),
            default_port: 853,
            default_alpn: alpns(["dot"]),
        })
    };
    assert_eq!(first(dns(853)), "query 1 SVCB _dns.example.com");
    assert_eq!(first(dns(8530)), "query 1 SVCB _8530._dns.example.com");
}

#[test]
fn a8_a_literal_asks_nothing() {
    let target = Target::https(Host::parse("[2001:db8::1]").unwrap(), 443);
    let asked = questions(target, Network::dual_stack());
    assert_eq!(asked.len(), 1);
    assert!(
        asked[0].starts_with("attempt 1 [2001:db8::1]:443 tls"),
        "{asked:?}"
    );
}

#[test]
fn a8_a_link_local_literal_keeps_its_link() {
    plays("target fe80::1%3 80 tcp\n+0 attempt 1 [fe80::1%3]:80 tcp because first: the only one");
}

#[test]
fn b1_never_waits_for_all_answers() {
    plays(
        "target example.com 443 tls:h2 service=https\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n\
         +20 answer 1 HTTPS nodata\n\
         +20 answer 2 AAAA 2001:db8::1\n\
         +20 attempt 1 [2001:db8::1]:443\n\
         +40 succeeded 1\n\
         +40 finished connected 1",
    );
}

/// The truth table of B2: which of the answers of the preferred family and of the service are there, and what they say.
#[test]
fn b2_starts_when_preferred_family_and_service_have_answered_yes_or_no() {
    struct Case {
        preferred: &'static str,
        service: Option<&'static str>,
        aaaa: Option<&'static str>,
        a: Option<&'static str>,
        starts_at: u64,
    }
    let (v6, v4) = (Some("2001:db8::1"), Some("192.0.2.1"));
    let cases = [
        ("ipv6", Some("1 . alpn=h2"), v6, None, 0),
        ("ipv6", Some("nodata"), v6, None, 0),
        ("ipv6", Some("nodata"), v6, v4, 0),
        ("ipv6", Some("nodata"), Some("nodata"), v4, 0),
        ("ipv6", Some("nodata"), Some("nxdomain"), v4, 0),
        ("ipv6", Some("nodata"), None, v4, 50),
        ("ipv6", None, v6, None, 50),
        ("ipv6", None, v6, v4, 50),
        ("ipv6", None, Some("nodata"), v4, 50),
        ("ipv4", Some("1 . alpn=h2"), None, v4, 0),
        ("ipv4", Some("nodata"), None, v4, 0),
        ("ipv4", Some("nodata"), v6, Some("nodata"), 0),
        ("ipv4", Some("nodata"), v6, None, 50),
        ("ipv4", None, v6, v4, 50),
    ];
    for (preferred, service, aaaa, a, starts_at) in cases {
        let case = Case {
            preferred,
            service,
            aaaa,
            a,
            starts_at,
        };
        let mut text = format!(
            "target example.com 443 tls:h2 service=https\nconfig preferred-family={}\n\
             +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n",
            case.preferred
        );
        for (id, answer) in [(1, case.service), (2, case.aaaa), (3, case.a)] {
            if let Some(answer) = answer {
                text += &format!("+0 answer {id} {answer}\n");
            }
        }
        text += &format!("+{} attempt 1\n", case.starts_at);
        plays(&text);
    }
}

#[test]
fn b3_moves_on_after_resolution_delay() {
    let waits = |config: &str, delay: &str| {
        plays(&format!(
            "target example.com 80 tcp\n{config}\n\
             +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
             +7 answer 2 A 192.0.2.1\n\
             +{delay} attempt 1 192.0.2.1:80 tcp name=example.com because resolution delay",
        ));
    };
    waits("", "57");
    waits("config resolution-delay=25", "32");
    waits("config resolution-delay=0.5", "7.5");
}

#[test]
fn b3_the_delay_ends_on_the_nanosecond_and_not_before() {
    let target = Target::tcp(name(), 80);
    let config = Config::default();
    let mut race = Race::new(target, config, Network::dual_stack(), 0, Instant::ZERO).unwrap();
    while race.next(Instant::ZERO).is_some() {}
    let answer = twinstack_race::Answer::addresses(["192.0.2.1".parse().unwrap()]);
    let input = twinstack_race::Input::Answer {
        query: twinstack_race::QueryId(2),
        answer,
    };
    race.input(input, Instant::ZERO).unwrap();
    assert_eq!(race.next(Instant::ZERO), None);
    assert_eq!(race.deadline(), Some(Instant::from_millis(50)));
    assert_eq!(race.next(Instant::from_nanos(49_999_999)), None);
    assert!(race.next(Instant::from_nanos(50_000_000)).is_some());
}

#[test]
fn b3_runs_while_https_is_outstanding_and_its_late_answer_joins_the_list() {
    plays(
        "target example.com 443 tls:h2 service=https\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n\
         +10 answer 2 AAAA 2001:db8::1\n\
         +10 answer 3 A 192.0.2.1\n\
         +60 attempt 1 [2001:db8::1]:443 tls alpn=h2 name=example.com because resolution delay\n\
         +100 answer 1 HTTPS 1 cdn.example.net alpn=h2 ipv6hint=2001:db8:c::1\n\
         +100 query 4 AAAA cdn.example.net\n\
         +100 query 5 A cdn.example.net\n\
         +310 attempt 2 [2001:db8:c::1]:443 tls alpn=h2 name=cdn.example.net because delay 250: service 1",
    );
}

#[test]
fn b4_prefers_the_family_that_there_is() {
    // IPv4 alone: nothing to wait for but A and the service.
    plays(
        "target example.com 80 tcp\nnetwork ipv4\n\
         +0 query 1 A example.com\n+30 answer 1 A 192.0.2.1\n+30 attempt 1 192.0.2.1:80",
    );
    // Preferring a family that is not there is preferring the other one.
    plays(
        "target example.com 80 tcp\nconfig preferred-family=ipv6\nnetwork ipv4\n\
         +0 query 1 A example.com\n+30 answer 1 A 192.0.2.1\n+30 attempt 1 192.0.2.1:80",
    );
}

#[test]
fn b5_hints_count_only_for_their_family() {
    // An IPv4 hint is an address, but not an answer of the preferred family.
    plays(
        "target example.com 443 tls:h2 service=https\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n\
         +10 answer 1 HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1\n\
         +60 attempt 1 192.0.2.1:443 tls alpn=h2 name=example.com because resolution delay",
    );
}

#[test]
fn b5_hints_stand_in_for_a_question_that_failed() {
    plays(
        "target example.com 443 tls:h2 service=https\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n\
         +10 query-failed 2 timed-out\n\
         +10 query-failed 3 timed-out\n\
         +20 answer 1 HTTPS 1 . alpn=h2 ipv6hint=2001:db8::1\n\
         +20 attempt 1 [2001:db8::1]:443",
    );
}

#[test]
fn b6_every_target_name_is_asked_for_hints_or_not() {
    plays(
        "target example.com 443 tls:h2 service=https\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n\
         +10 answer 1 HTTPS 1 one.example.net alpn=h2 ipv6hint=2001:db8:1::1 ipv4hint=192.0.2.1 | 2 two.example.net alpn=h2\n\
         +10 query 4 AAAA one.example.net\n\
         +10 query 5 A one.example.net\n\
         +10 query 6 AAAA two.example.net\n\
         +10 query 7 A two.example.net\n\
         +10 attempt 1 [2001:db8:1::1]:443",
    );
}

#[test]
fn b7_service_information_is_there_only_at_the_end_of_an_alias() {
    plays(
        "target example.com 443 tls:h2 service=https\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n\
         +0 answer 1 HTTPS 0 one.example.net\n\
         +0 query 4 HTTPS one.example.net\n+0 query 5 AAAA one.example.net\n+0 query 6 A one.example.net\n\
         +10 answer 4 HTTPS 0 two.example.net\n\
         +10 query 7 HTTPS two.example.net\n+10 query 8 AAAA two.example.net\n+10 query 9 A two.example.net\n\
         +20 answer 8 AAAA 2001:db8:2::1\n\
         +40 answer 7 HTTPS 1 . alpn=h2\n\
         +40 attempt 1 [2001:db8:2::1]:443 tls alpn=h2 name=two.example.net because first: service 1",
    );
}

#[test]
fn b7_an_alias_without_service_records_leads_to_the_name_as_it_is() {
    plays(
        "target example.com 443 https\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n\
         +0 answer 1 HTTPS 0 cdn.example.net\n\
         +0 query 4 HTTPS cdn.example.net\n+0 query 5 AAAA cdn.example.net\n+0 query 6 A cdn.example.net\n\
         +5 answer 2 AAAA 2001:db8::1\n\
         +5 answer 5 AAAA 2001:db8:c::1\n\
         +10 answer 4 HTTPS nodata\n\
         +10 attempt 1 [2001:db8:c::1]:443 tls alpn=h2,http/1.1 name=cdn.example.net because first\n\
         +260 attempt 2 [2001:db8::1]:443 tls alpn=h2,http/1.1 name=example.com because delay 250",
    );
}

#[test]
fn b7_aliases_in_a_circle_end() {
    plays(
        "target example.com 443 tls:h2 service=https\nnetwork ipv6 nat64=none\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n\
         +0 answer 1 HTTPS 0 one.example.net\n\
         +0 query 3 HTTPS one.example.net\n+0 query 4 AAAA one.example.net\n\
         +0 answer 3 HTTPS 0 example.com\n\
         +5 answer 4 AAAA 2001:db8:1::1\n\
         +5 attempt 1 [2001:db8:1::1]:443",
    );
}

#[test]
fn b8_negative_answers_are_answers_and_all_of_them_are_the_end() {
    for (one, two, reason) in [
        ("nodata", "nodata", "no-address"),
        ("empty", "nodata", "no-address"),
        ("nxdomain", "nxdomain", "no-such-name"),
        ("empty", "nxdomain", "no-such-name"),
    ] {
        plays(&format!(
            "target example.com 80 tcp\n+0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
             +1 answer 1 AAAA {one}\n+2 answer 2 A {two}\n+2 finished failed {reason}"
        ));
    }
}

#[test]
fn b9_the_delay_counts_from_the_first_address_and_not_from_the_first_answer() {
    plays(
        "target example.com 443 tls:h2 service=https\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n\
         +0 answer 1 HTTPS nodata\n\
         +45 answer 3 A 192.0.2.1\n\
         +95 attempt 1 192.0.2.1:443 tls alpn=h2 name=example.com because resolution delay",
    );
}

#[test]
fn b10_expired_records_are_asked_for_again_and_running_attempts_run_on() {
    plays(
        "target example.com 80 tcp\nconfig attempt-delay=2000\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 2001:db8::1 ttl=1\n\
         +0 answer 2 A nodata\n\
         +0 attempt 1 [2001:db8::1]:80\n\
         +1000 query 3 AAAA example.com refresh\n\
         +1020 answer 3 AAAA 2001:db8::2 ttl=60\n\
         +2000 attempt 2 [2001:db8::2]:80\n\
         +2010 succeeded 1\n\
         +2010 cancel-attempt 2 because lost to 1\n\
         +2010 finished connected 1",
    );
}

#[test]
fn b10_records_that_never_live_are_not_asked_for_without_end() {
    plays(
        "target example.com 80 tcp\nnetwork ipv6 nat64=none\n\
         +0 query 1 AAAA example.com\n\
         +0 answer 1 AAAA 2001:db8::1 ttl=0\n\
         +0 attempt 1 [2001:db8::1]:80\n\
         +1000 query 2 AAAA example.com refresh\n\
         +1000 answer 2 AAAA 2001:db8::1 ttl=0\n\
         +2000 query 3 AAAA example.com refresh\n\
         +2001 failed 1 refused\n\
         +2002 answer 3 AAAA 2001:db8::1 ttl=0\n\
         +2002 finished failed all-failed",
    );
}

#[test]
fn b10_the_caller_may_say_that_records_are_out_of_date() {
    plays(
        "target example.com 80 tcp\nnetwork ipv6 nat64=none\n\
         +0 query 1 AAAA example.com\n\
         +0 answer 1 AAAA 2001:db8::1\n\
         +0 attempt 1 [2001:db8::1]:80\n\
         +50 expired 1\n\
         +50 query 2 AAAA example.com refresh\n\
         +60 query-failed 2 timed-out\n\
         +90 succeeded 1\n\
         +90 finished connected 1",
    );
}

#[test]
fn b11_a_stale_answer_is_used_at_once_and_refreshed() {
    plays(
        "target example.com 80 tcp\nnetwork ipv6 nat64=none\n\
         +0 query 1 AAAA example.com\n\
         +0 answer 1 AAAA 2001:db8::1 stale\n\
         +0 query 2 AAAA example.com refresh\n\
         +0 attempt 1 [2001:db8::1]:80",
    );
}

#[test]
fn b11_a_stale_no_is_not_the_end() {
    plays(
        "target example.com 80 tcp\nnetwork ipv6 nat64=none\n\
         +0 query 1 AAAA example.com\n\
         +0 answer 1 AAAA nxdomain stale\n\
         +0 query 2 AAAA example.com refresh\n\
         +30 answer 2 AAAA 2001:db8::1\n\
         +30 attempt 1 [2001:db8::1]:80",
    );
}

#[test]
fn b12_answers_are_taken_for_a_second_after_success() {
    plays(
        "target example.com 443 tls:h2 service=https\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n\
         +0 answer 1 HTTPS nodata\n\
         +0 answer 2 AAAA 2001:db8::1\n\
         +0 attempt 1 [2001:db8::1]:443\n\
         +40 succeeded 1\n\
         +40 finished connected 1\n\
         +1040 cancel-query 3",
    );
    plays(
        "target example.com 80 tcp\nconfig linger=0\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 2001:db8::1\n\
         +0 attempt 1 [2001:db8::1]:80\n\
         +40 succeeded 1\n\
         +40 cancel-query 2\n\
         +40 finished connected 1",
    );
}

#[test]
fn a_question_without_an_answer_is_given_up_in_the_end() {
    plays(
        "target example.com 80 tcp\nconfig query-deadline=3000\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +100 answer 1 AAAA nodata\n\
         +3000 cancel-query 2\n\
         +3000 finished failed resolution",
    );
}

#[test]
fn all_attempts_failed_and_aaaa_is_outstanding_its_address_starts_at_once() {
    plays(
        "target example.com 80 tcp\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 2 A 192.0.2.1\n\
         +50 attempt 1 192.0.2.1:80\n\
         +60 failed 1 refused\n\
         +700 answer 1 AAAA 2001:db8::1\n\
         +700 attempt 2 [2001:db8::1]:80 tcp name=example.com because new address\n\
         +720 succeeded 2\n\
         +720 finished connected 2",
    );
}

#[test]
fn an_answer_right_behind_the_last_failure_keeps_the_floor() {
    plays(
        "target example.com 80 tcp\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 2 A 192.0.2.1\n\
         +50 attempt 1 192.0.2.1:80\n\
         +51 failed 1 refused\n\
         +52 answer 1 AAAA 2001:db8::1\n\
         +60 attempt 2 [2001:db8::1]:80 tcp name=example.com because new address",
    );
}
