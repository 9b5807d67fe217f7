//! C: which endpoint goes before which, and why.

use crate::support::{plays, tried};
use std::collections::BTreeSet;
use std::net::IpAddr;
use twinstack_race::rfc6724::{Rule, Source};
use twinstack_race::{
    Answer, Config, Input, Instant, Name, Network, Order, Output, Place, QueryId, Race, Routes,
    Target,
};

const HTTPS: &str = "target example.com 443 tls:h2 service=https\n";
const ASKS: &str =
    "+0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n";

fn https(config: &str, lines: &str) -> Race {
    plays(&format!("{HTTPS}{config}{ASKS}{lines}"))
}

#[test]
fn c1_a_protocol_that_matters_is_a_group_of_its_own_and_an_address_may_be_in_both() {
    plays(&format!(
        "target example.com 443 https\nconfig protocols=grouped\n{ASKS}\
         +0 answer 1 HTTPS 1 . alpn=h3,h2 | 2 tcp.example.net alpn=h2\n\
         +0 answer 2 AAAA 2001:db8::1\n\
         +0 answer 3 A 192.0.2.1\n\
         +0 query 4 AAAA tcp.example.net\n+0 query 5 A tcp.example.net\n\
         +0 attempt 1 [2001:db8::1]:443 quic\n\
         +9 answer 4 AAAA 2001:db8:a::1\n\
         +9 answer 5 A nodata\n\
         +250 attempt 2 192.0.2.1:443 quic\n\
         +500 attempt 3 [2001:db8::1]:443 tls\n\
         +750 attempt 4 192.0.2.1:443 tls\n\
         +1000 attempt 5 [2001:db8:a::1]:443 tls alpn=h2,http/1.1 name=tcp.example.net because delay 250: service 2"
    ));
}

#[test]
fn c1_endpoints_with_ech_go_first_when_the_caller_relies_on_it() {
    let answer = "+0 answer 1 HTTPS 1 . alpn=h2 | 2 ech.example.net alpn=h2 ech=fe0d ipv6hint=2001:db8:e::1\n\
                  +0 answer 2 AAAA 2001:db8::1\n\
                  +0 query 4 AAAA ech.example.net\n+0 query 5 A ech.example.net\n";
    let relies = https(
        "config ech=rely\n",
        &format!("{answer}+0 attempt 1 [2001:db8:e::1]:443"),
    );
    assert_eq!(tried(&relies), ["[2001:db8:e::1]:443"]);
}

#[test]
fn c2_ech_that_is_not_critical_does_not_change_the_order() {
    let answer = "+0 answer 1 HTTPS 1 . alpn=h2 | 2 ech.example.net alpn=h2 ech=fe0d ipv6hint=2001:db8:e::1\n\
                  +0 answer 2 AAAA 2001:db8::1\n\
                  +0 query 4 AAAA ech.example.net\n+0 query 5 A ech.example.net\n";
    https(
        "config ech=opportunistic\n",
        &format!("{answer}+0 attempt 1 [2001:db8::1]:443"),
    );
}

#[test]
fn c2_protocols_that_do_not_matter_take_turns_inside_their_service() {
    plays(&format!(
        "target example.com 443 https\n{ASKS}\
         +0 answer 1 HTTPS 1 . alpn=h3,h2\n\
         +0 answer 2 AAAA 2001:db8::1 2001:db8::2\n\
         +0 answer 3 A 192.0.2.1\n\
         +0 attempt 1 [2001:db8::1]:443 quic\n\
         +250 attempt 2 192.0.2.1:443 tls\n\
         +500 attempt 3 [2001:db8::1]:443 tls\n\
         +750 attempt 4 192.0.2.1:443 quic\n\
         +1000 attempt 5 [2001:db8::2]:443 quic\n\
         +1250 attempt 6 [2001:db8::2]:443 tls"
    ));
}

#[test]
fn c3_d9_every_endpoint_of_a_better_service_starts_before_the_next_service() {
    https(
        "",
        "+0 answer 1 HTTPS 20 b.example.net alpn=h2 ipv6hint=2001:db8:b::1 | 10 a.example.net alpn=h2 ipv6hint=2001:db8:a::1,2001:db8:a::2 ipv4hint=192.0.2.10\n\
         +0 query 4 AAAA a.example.net\n+0 query 5 A a.example.net\n\
         +0 query 6 AAAA b.example.net\n+0 query 7 A b.example.net\n\
         +0 attempt 1 [2001:db8:a::1]:443 tls alpn=h2 name=a.example.net because first: service 10\n\
         +250 attempt 2 192.0.2.10:443\n\
         +500 attempt 3 [2001:db8:a::2]:443\n\
         +750 attempt 4 [2001:db8:b::1]:443 tls alpn=h2 name=b.example.net because delay 250: service 20",
    );
}

#[test]
fn c4_services_of_equal_priority_are_shuffled_by_the_seed() {
    let first = |seed: u64, swapped: bool| {
        let (one, two) = (
            "1 a.example.net alpn=h2 ipv6hint=2001:db8:a::1",
            "1 b.example.net alpn=h2 ipv6hint=2001:db8:b::1",
        );
        let (one, two) = if swapped { (two, one) } else { (one, two) };
        let text = format!("{HTTPS}seed {seed}\n{ASKS}+0 answer 1 HTTPS {one} | {two}");
        let recordings = twinstack_race::text::parse(&text).unwrap();
        let mut race = recordings[0].race().unwrap();
        while race.next(Instant::ZERO).is_some() {}
        let Some(line) = recordings[0].lines.last() else {
            panic!()
        };
        let twinstack_race::text::Said::In(input) = &line.what else {
            panic!()
        };
        race.input(input.clone(), Instant::ZERO).unwrap();
        while race.next(Instant::ZERO).is_some() {}
        tried(&race)
    };
    let a_first = (0..1000)
        .filter(|&seed| first(seed, false) == ["[2001:db8:a::1]:443"])
        .count();
    assert!((440..=560).contains(&a_first), "{a_first} of 1000");
    // The order of the records is not an input of the shuffle.
    assert!((0..50).all(|seed| first(seed, false) == first(seed, true)));
}

#[test]
fn c5_addresses_without_a_service_go_last() {
    https(
        "",
        "+0 answer 1 HTTPS 1 cdn.example.net alpn=h2 ipv6hint=2001:db8:c::1\n\
         +0 answer 2 AAAA 2001:db8::1\n\
         +0 answer 3 A 192.0.2.1\n\
         +0 query 4 AAAA cdn.example.net\n+0 query 5 A cdn.example.net\n\
         +0 attempt 1 [2001:db8:c::1]:443 tls alpn=h2 name=cdn.example.net because first: service 1\n\
         +250 attempt 2 [2001:db8::1]:443 tls alpn=h2 name=example.com because delay 250: rule 6\n\
         +500 attempt 3 192.0.2.1:443",
    );
}

#[test]
fn c5_b2_an_address_without_a_service_does_not_go_first_because_it_came_first() {
    https(
        "",
        "+0 answer 1 HTTPS 1 cdn.example.net alpn=h2\n\
         +0 query 4 AAAA cdn.example.net\n+0 query 5 A cdn.example.net\n\
         +10 answer 2 AAAA 2001:db8::1\n\
         +30 answer 4 AAAA 2001:db8:c::1\n\
         +30 attempt 1 [2001:db8:c::1]:443",
    );
}

/// Two IPv6 destinations; the host has a source for one only.
struct OneRoute;

impl Routes for OneRoute {
    fn source(&self, destination: IpAddr) -> Option<Source> {
        let reachable: IpAddr = "2001:db8::2".parse().unwrap();
        (destination == reachable).then(|| Source::new("2001:db8::c".parse().unwrap()))
    }
}

#[test]
fn c6_sorts_by_rfc_6724_and_says_which_rule() {
    let target = Target::tcp(Name::new("example.com").unwrap(), 80);
    let now = Instant::ZERO;
    let mut race = Race::new(target, Config::default(), Network::dual_stack(), 0, now)
        .unwrap()
        .with_routes(OneRoute);
    while race.next(now).is_some() {}
    let addresses = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
    let answer = Answer::addresses(addresses);
    race.input(
        Input::Answer {
            query: QueryId(1),
            answer,
        },
        now,
    )
    .unwrap();
    let Some(Output::Attempt {
        endpoint, order, ..
    }) = race.next(now)
    else {
        panic!()
    };
    assert_eq!(endpoint.address, "[2001:db8::2]:80".parse().unwrap());
    let Order {
        place: Place::Sorted(reason),
        position: 1,
        ..
    } = order
    else {
        panic!("{order:?}")
    };
    assert_eq!(reason.rule(), Rule::AvoidUnusable);
    assert_eq!(
        order.to_string(),
        "rule 1: no source address or route for 2001:db8::1"
    );
}

#[test]
fn c6_without_a_rule_that_decides_the_order_of_the_answer_stays() {
    let race = plays(
        "target example.com 80 tcp\nnetwork ipv4\n+0 query 1 A example.com\n\
         +0 answer 1 A 192.0.2.9 192.0.2.1 192.0.2.5\n\
         +0 attempt 1 192.0.2.9:80 tcp name=example.com because first: rule 10\n\
         +250 attempt 2 192.0.2.1:80\n+500 attempt 3 192.0.2.5:80",
    );
    assert_eq!(race.attempts()[2].order.position, 3);
}

#[test]
fn c7_a_lower_round_trip_goes_first_then_an_address_used_before() {
    let fact =
        |address: &str, rest: &str| format!("fact {address} source=198.51.100.7/24 {rest}\n");
    plays(&format!(
        "target example.com 80 tcp\nnetwork ipv4\n{}{}{}{}\
         +0 query 1 A example.com\n\
         +0 answer 1 A 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4\n\
         +0 attempt 1 192.0.2.4:80 tcp name=example.com because first: rule 8a: round trip 15 ms < 40 ms\n\
         +250 attempt 2 192.0.2.2:80 tcp name=example.com because delay 250: rule 8a\n\
         +500 attempt 3 192.0.2.3:80 tcp name=example.com because delay 250: rule 8a\n\
         +750 attempt 4 192.0.2.1:80 tcp name=example.com because delay 250: rule 8b: 192.0.2.1 was not used before",
        fact("192.0.2.1", ""),
        fact("192.0.2.2", "round-trip=40"),
        fact("192.0.2.3", "used"),
        fact("192.0.2.4", "round-trip=15"),
    ));
}

#[test]
fn c7_c11_what_went_silent_gets_no_turn_before_what_did_not() {
    // Seven are remembered as dead: the eighth goes first, and the other family's turn does not come in between.
    let dead = (1..=4).map(|n| format!("fact 2001:db8::{n} source=2001:db8::c/64 silent\n"));
    let dead: String = dead
        .chain((1..=3).map(|n| format!("fact 192.0.2.{n} source=198.51.100.7/24 silent\n")))
        .collect();
    plays(&format!(
        "target example.com 80 tcp\n{dead}fact 192.0.2.4 source=198.51.100.7/24\n\
         fact 192.0.2.5 source=198.51.100.7/24\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3 2001:db8::4\n\
         +0 answer 2 A 192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5\n\
         +0 attempt 1 192.0.2.4:80 tcp name=example.com because first: rule 10\n\
         +250 attempt 2 192.0.2.5:80\n\
         +500 attempt 3 [2001:db8::1]:80 tcp name=example.com because delay 250: rule 1: 2001:db8::1 did not answer lately\n\
         +750 attempt 4 192.0.2.1:80"
    ));
}

#[test]
fn c9_n6_what_belongs_to_one_network_is_not_used_on_another() {
    plays(
        "target example.com 80 tcp\nnetwork ipv6 nat64=64:ff9b::/96 context=1\n\
         fact 2001:db8::1 source=2001:db8::c/64 silent\n\
         fact 2001:db8::2 source=2001:db8::c/64\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 2001:db8::1 2001:db8::2\n\
         +0 attempt 1 [2001:db8::2]:80\n\
         +30 network ipv6 nat64=none context=2\n\
         +30 cancel-attempt 1 because network change\n\
         +30 cancel-query 2\n\
         +30 query 3 AAAA example.com\n\
         +40 answer 3 AAAA 2001:db8::1 2001:db8::2\n\
         +40 attempt 2 [2001:db8::1]:80 tcp name=example.com because first: rule 10",
    );
}

#[test]
fn c11_families_take_turns_after_as_many_as_the_caller_likes() {
    let order = |count: usize| {
        let race = plays(&format!(
            "target example.com 80 tcp\nconfig preferred-family-count={count} attempt-delay=100\n\
             +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
             +0 answer 1 AAAA 2001:db8::1 2001:db8::2 2001:db8::3 2001:db8::4\n\
             +0 answer 2 A 192.0.2.1 192.0.2.2\n\
             +0 attempt 1\n+100 attempt 2\n+200 attempt 3\n+300 attempt 4\n+400 attempt 5\n+500 attempt 6"
        ));
        tried(&race)
            .iter()
            .map(|to| if to.starts_with('[') { '6' } else { '4' })
            .collect::<String>()
    };
    assert_eq!(order(1), "646466");
    assert_eq!(order(2), "664646");
    assert_eq!(order(9), "666644");
}

#[test]
fn c11_the_caller_may_put_ipv4_first() {
    plays(
        "target example.com 80 tcp\nconfig preferred-family=ipv4\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 2001:db8::1\n+0 answer 2 A 192.0.2.1 192.0.2.2\n\
         +0 attempt 1 192.0.2.1:80 tcp name=example.com because first: preferred family\n\
         +250 attempt 2 [2001:db8::1]:80 tcp name=example.com because delay 250: turn of the family\n\
         +500 attempt 3 192.0.2.2:80",
    );
}

#[test]
fn c12_a_record_with_a_mandatory_key_that_we_do_not_know_is_not_there() {
    https(
        "",
        "+0 answer 1 HTTPS 1 . alpn=h2 port=8443 mandatory=3,65280\n\
         +0 answer 2 AAAA 2001:db8::1\n\
         +0 attempt 1 [2001:db8::1]:443 tls alpn=h2 name=example.com because first: the only one",
    );
    https(
        "",
        "+0 answer 1 HTTPS 1 . alpn=h2 port=8443 mandatory=1,3\n\
         +0 answer 2 AAAA 2001:db8::1\n\
         +0 attempt 1 [2001:db8::1]:8443",
    );
    // ECH is known only to who uses it.
    https(
        "",
        "+0 answer 1 HTTPS 1 . alpn=h2 port=8443 ech=fe0d mandatory=5\n\
         +0 answer 2 AAAA 2001:db8::1\n\
         +0 attempt 1 [2001:db8::1]:443",
    );
}

#[test]
fn c12_a_service_without_a_protocol_of_ours_is_not_tried_nor_its_addresses() {
    https(
        "",
        "+0 answer 1 HTTPS 1 . alpn=h3 no-default-alpn | 2 old.example.net alpn=h2\n\
         +0 answer 2 AAAA 2001:db8::1\n\
         +0 query 4 AAAA old.example.net\n+0 query 5 A old.example.net\n\
         +10 answer 4 AAAA 2001:db8:d::1\n\
         +10 answer 3 A nodata\n\
         +10 answer 5 A nodata\n\
         +10 attempt 1 [2001:db8:d::1]:443\n\
         +20 failed 1 refused\n\
         +20 finished failed all-failed",
    );
}

#[test]
fn c12_no_default_alpn_takes_the_default_away() {
    let text = |flag: &str, end: &str| {
        plays(&format!(
            "target example.com 443 tls:http/1.1 service=https\nnetwork ipv6 nat64=none\n\
             +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n\
             +0 answer 1 HTTPS 1 . alpn=h2{flag}\n+0 answer 2 AAAA 2001:db8::1\n+0 {end}"
        ));
    };
    text("", "attempt 1 [2001:db8::1]:443");
    text(" no-default-alpn", "finished failed no-common-protocol");
}

#[test]
fn c13_what_alt_svc_says_is_tried_only_where_service_records_agree() {
    let alt_svc = |record: &str, end: &str| {
        plays(&format!(
            "target alt.example.com 443 quic:h3 service=https\nnetwork ipv6 nat64=none\n\
             +0 query 1 HTTPS alt.example.com\n+0 query 2 AAAA alt.example.com\n\
             +0 answer 1 HTTPS {record}\n+0 answer 2 AAAA 2001:db8::1\n+0 {end}"
        ));
    };
    alt_svc("nodata", "attempt 1 [2001:db8::1]:443 quic alpn=h3");
    alt_svc("1 . alpn=h3,h2", "attempt 1 [2001:db8::1]:443 quic alpn=h3");
    alt_svc("1 . alpn=h2", "finished failed no-common-protocol");
}

/// A host with a unique local address and an IPv4 address.
struct Local;
impl Routes for Local {
    fn source(&self, destination: IpAddr) -> Option<Source> {
        let source = if destination.is_ipv4() {
            "192.0.2.7"
        } else {
            "fd00:1::7"
        };
        Some(Source::new(source.parse().unwrap()))
    }
}

#[test]
fn c14_the_policy_table_may_be_that_of_the_update() {
    use twinstack_race::rfc6724::PolicyTable;
    let first = |policy: PolicyTable| {
        let target = Target::tcp(Name::new("example.com").unwrap(), 80);
        let config = Config {
            policy,
            ..Config::default()
        };
        let now = Instant::ZERO;
        let race = Race::new(target, config, Network::dual_stack(), 0, now).unwrap();
        let mut race = race.with_routes(Local);
        while race.next(now).is_some() {}
        for (query, address) in [(1, "fd00:1::1"), (2, "192.0.2.1")] {
            let answer = Answer::addresses([address.parse().unwrap()]);
            race.input(
                Input::Answer {
                    query: QueryId(query),
                    answer,
                },
                now,
            )
            .unwrap();
        }
        while race.next(now).is_some() {}
        tried(&race).swap_remove(0)
    };
    assert_eq!(first(PolicyTable::rfc6724()), "192.0.2.1:80");
    assert_eq!(first(PolicyTable::updated()), "[fd00:1::1]:80");
}

#[test]
fn an_address_of_two_services_is_tried_once_and_for_the_better_one() {
    let race = https(
        "",
        "+0 answer 1 HTTPS 2 b.example.net alpn=h2 ipv6hint=2001:db8::1 | 1 a.example.net alpn=h2 ipv6hint=2001:db8::1\n\
         +0 query 4 AAAA a.example.net\n+0 query 5 A a.example.net\n\
         +0 query 6 AAAA b.example.net\n+0 query 7 A b.example.net\n\
         +0 attempt 1 [2001:db8::1]:443 tls alpn=h2 name=a.example.net because first: service 1",
    );
    assert_eq!(race.attempts().len(), 1);
}

#[test]
fn every_position_of_a_long_list_is_explained() {
    let addresses: Vec<_> = (1..=20).map(|n| format!("2001:db8::{n:x}")).collect();
    let addresses = addresses.join(" ");
    let mut text = format!(
        "target example.com 80 tcp\nconfig attempt-delay=100 replace-after=0\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n+0 answer 1 AAAA {addresses}\n+0 answer 2 A 192.0.2.1\n"
    );
    for n in 1..=8 {
        text += &format!("+{} attempt {n}\n", (n - 1) * 100);
    }
    let race = plays(&text);
    let positions: BTreeSet<u32> = race.attempts().iter().map(|a| a.order.position).collect();
    assert_eq!(positions, (1..=8).collect());
    assert!(
        race.attempts()
            .iter()
            .all(|attempt| !attempt.order.to_string().is_empty())
    );
}
