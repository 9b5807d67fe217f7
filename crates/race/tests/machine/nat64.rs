//! N: networks that carry IPv6 alone.

use crate::support::plays;
use twinstack_race::Family;

#[test]
fn n1_an_unknown_prefix_is_asked_for_and_then_used() {
    let race = plays(
        "target example.com 80 tcp\nnetwork ipv6\n\
         +0 query 1 AAAA example.com\n\
         +0 query 2 AAAA ipv4only.arpa. prefix64\n\
         +10 answer 2 AAAA 64:ff9b::c000:aa 64:ff9b::c000:ab\n\
         +10 query 3 A example.com\n\
         +12 answer 1 AAAA nodata\n\
         +20 answer 3 A 192.0.2.1\n\
         +20 attempt 1 [64:ff9b::c000:201]:80 tcp for=192.0.2.1 name=example.com because first: the only one",
    );
    assert!(
        race.network()
            .nat64
            .as_ref()
            .is_some_and(twinstack_race::nat64::Nat64::is_known)
    );
    assert_eq!(race.attempts()[0].endpoint.family(), Family::V4);
}

#[test]
fn n1_nobody_asks_for_a_prefix_where_ipv4_works_or_where_it_is_known() {
    plays("target example.com 80 tcp\n+0 query 1 AAAA example.com\n+0 query 2 A example.com");
    plays("target example.com 80 tcp\nnetwork ipv6 nat64=none\n+0 query 1 AAAA example.com");
    plays("target 2001:db8::1 80 tcp\nnetwork ipv6\n+0 attempt 1 [2001:db8::1]:80");
}

#[test]
fn n1_a_network_without_a_prefix_is_left_to_its_dns64() {
    plays(
        "target example.com 80 tcp\nnetwork ipv6\n\
         +0 query 1 AAAA example.com\n\
         +0 query 2 AAAA ipv4only.arpa. prefix64\n\
         +5 answer 2 AAAA nodata\n\
         +9 answer 1 AAAA 2001:db8::1\n\
         +9 attempt 1 [2001:db8::1]:80\n\
         +20 failed 1 refused\n\
         +20 finished failed all-failed",
    );
}

#[test]
fn n2_a_is_asked_beside_aaaa_once_a_prefix_is_known() {
    plays(
        "target example.com 80 tcp\nnetwork ipv6 nat64=2001:db8:64::/96\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com",
    );
}

#[test]
fn n3_a_synthesized_answer_is_an_ipv4_address() {
    // On a network with both families: dialled as IPv4, and not twice.
    plays(
        "target example.com 80 tcp\nnetwork ipv6 ipv4 nat64=64:ff9b::/96\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 64:ff9b::c000:201\n+0 answer 2 A 192.0.2.1\n\
         +0 attempt 1 192.0.2.1:80\n+9 failed 1 refused\n+9 finished failed all-failed",
    );
    // On IPv6 alone: real IPv6 first, and the two do not count as one family.
    plays(
        "target example.com 80 tcp\nnetwork ipv6 nat64=64:ff9b::/96\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 64:ff9b::c000:201 2001:db8::1 2001:db8::2\n+0 answer 2 A nodata\n\
         +0 attempt 1 [2001:db8::1]:80\n\
         +250 attempt 2 [64:ff9b::c000:201]:80 tcp for=192.0.2.1\n\
         +500 attempt 3 [2001:db8::2]:80",
    );
}

#[test]
fn n4_a_literal_is_synthesized_with_every_prefix_length() {
    // RFC 6052, section 2.4, for 192.0.2.33.
    for (prefix, address) in [
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
    ] {
        let address: std::net::Ipv6Addr = address.parse().unwrap();
        plays(&format!(
            "target 192.0.2.33 80 tcp\nnetwork ipv6 nat64={prefix}\n\
             +0 attempt 1 [{address}]:80 tcp for=192.0.2.33 because first: the only one"
        ));
    }
}

#[test]
fn n4_n1_a_literal_waits_for_the_prefix_that_leads_to_it() {
    plays(
        "target 192.0.2.1 80 tcp\nnetwork ipv6\n\
         +0 query 1 AAAA ipv4only.arpa. prefix64\n\
         +25 answer 1 AAAA 64:ff9b::c000:aa\n\
         +25 attempt 1 [64:ff9b::c000:201]:80 tcp for=192.0.2.1",
    );
    // When there is none, the system may say what it thinks of it.
    plays(
        "target 192.0.2.1 80 tcp\nnetwork ipv6\n\
         +0 query 1 AAAA ipv4only.arpa. prefix64\n\
         +25 query-failed 1 timed-out\n\
         +25 attempt 1 192.0.2.1:80\n\
         +26 failed 1 unreachable\n+26 finished failed all-failed",
    );
}

#[test]
fn n4_hints_are_synthesized_too() {
    plays(
        "target example.com 443 tls:h2 service=https\nnetwork ipv6 nat64=64:ff9b::/96\n\
         +0 query 1 HTTPS example.com\n+0 query 2 AAAA example.com\n+0 query 3 A example.com\n\
         +0 answer 1 HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1\n\
         +0 answer 2 AAAA nodata\n\
         +0 attempt 1 [64:ff9b::c000:201]:443 tls alpn=h2 for=192.0.2.1",
    );
}

#[test]
fn n5_addresses_of_this_host_or_link_are_not_synthesized() {
    for address in ["0.1.2.3", "127.0.0.1", "169.254.1.1", "255.255.255.255"] {
        plays(&format!(
            "target example.com 80 tcp\nnetwork ipv6 nat64=2001:db8:64::/96\n\
             +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
             +0 answer 1 AAAA nodata\n+0 answer 2 A {address}\n+0 finished failed no-route"
        ));
    }
    // A private address goes through the network's own prefix, and not through the well-known one.
    plays(
        "target 10.0.0.1 80 tcp\nnetwork ipv6 nat64=64:ff9b::/96,2001:db8:64::/96\n\
         +0 attempt 1 [2001:db8:64::a00:1]:80 tcp for=10.0.0.1",
    );
    // The loopback literal is this host, whatever the network.
    plays("target 127.0.0.1 80 tcp\nnetwork ipv6\n+0 attempt 1 127.0.0.1:80");
}

#[test]
fn n6_a_prefix_goes_with_its_network() {
    plays(
        "target example.com 80 tcp\nnetwork ipv6 nat64=64:ff9b::/96 context=1\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +10 network ipv6 nat64=2001:db8:64::/96 context=2\n\
         +10 cancel-query 1\n+10 cancel-query 2\n\
         +10 query 3 AAAA example.com\n+10 query 4 A example.com\n\
         +20 answer 3 AAAA nodata\n+20 answer 4 A 192.0.2.1\n\
         +20 attempt 1 [2001:db8:64::c000:201]:80",
    );
}

#[test]
fn n7_with_a_clat_ipv4_is_ipv4() {
    plays(
        "target example.com 80 tcp\nnetwork ipv6 ipv4 nat64=64:ff9b::/96 clat\n\
         +0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA nodata\n+0 answer 2 A 192.0.2.1\n\
         +0 attempt 1 192.0.2.1:80 tcp name=example.com because first",
    );
    plays("target 192.0.2.1 80 tcp\nnetwork ipv6 ipv4 clat\n+0 attempt 1 192.0.2.1:80");
}
