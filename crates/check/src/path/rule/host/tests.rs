use super::*;
use crate::path::local::{HostAddress, Listener, Ruleset, Switches};
use crate::path::observation::{ConnectFailure, FirewallRefusal, QuicFailure, Route};
use crate::path::rule::fixture::{Scene, codes, healthy};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

fn listener(address: &str, port: u16) -> Listener {
    Listener {
        address: address.parse().unwrap(),
        port,
        v6_only: address.contains(':'),
    }
}

fn held(address: &str) -> HostAddress {
    HostAddress {
        address: address.parse().unwrap(),
        interface: "eth0".to_owned(),
        dad_failed: false,
        tentative: false,
    }
}

/// A healthy scene, seen on the server itself: one socket a family and port.
fn local() -> Scene {
    let mut scene = healthy();
    scene.plan.local = true;
    scene.seen.local = Some(LocalObservation {
        at: Duration::from_millis(1),
        listeners: Ok([80, 443]
            .iter()
            .flat_map(|port| [listener("0.0.0.0", *port), listener("::", *port)])
            .collect()),
        switches: Switches {
            present: true,
            disabled: BTreeMap::from([("all".to_owned(), false), ("eth0".to_owned(), false)]),
            bind_v6_only: Some(false),
        },
        addresses: Ok(
            ["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"]
                .map(held)
                .to_vec(),
        ),
        neighbours: Ok(Neighbours {
            entries: 3,
            limit: 1024,
        }),
        firewall: Ok(Ruleset::default()),
        visits: Ok(Visits {
            watched: Duration::from_secs(4),
            completed_v6: 1,
            ..Visits::default()
        }),
    });
    scene
}

fn with(change: impl FnOnce(&mut LocalObservation)) -> Scene {
    let mut scene = local();
    change(scene.seen.local.as_mut().unwrap());
    scene
}

#[test]
fn a_healthy_server_raises_nothing() {
    assert_eq!(codes(&local()), [""; 0]);
}

#[test]
fn no_listener_on_v6_is_found_and_explains_the_refusals() {
    let scene =
        with(|local| local.listeners = Ok(vec![listener("0.0.0.0", 80), listener("0.0.0.0", 443)]));
    assert_eq!(
        codes(&scene.all_v6(ConnectFailure::Refused)),
        ["host.not-listening-v6"]
    );
}

#[test]
fn a_listener_on_one_of_two_v6_addresses_is_not_enough() {
    let scene = with(|local| {
        local.listeners = Ok(vec![
            listener("::", 80),
            listener("0.0.0.0", 80),
            listener("0.0.0.0", 443),
            listener("2e00:5::80", 443),
            listener("::1", 443),
        ]);
    });
    assert_eq!(codes(&scene), ["host.not-listening-v6"]);
}

#[test]
fn one_dual_socket_listens_on_everything() {
    let dual = |port| Listener {
        address: Ipv6Addr::UNSPECIFIED.into(),
        port,
        v6_only: false,
    };
    let scene = with(|local| local.listeners = Ok(vec![dual(80), dual(443)]));
    assert_eq!(codes(&scene), [""; 0]);
}

#[test]
fn a_balancer_in_front_may_hold_the_addresses() {
    let scene = with(|local| {
        local.addresses = Ok(vec![held("10.0.0.5"), held("fd00::5")]);
        local.listeners = Ok([80, 443]
            .iter()
            .flat_map(|port| [listener("10.0.0.5", *port), listener("fd00::5", *port)])
            .collect());
    });
    assert_eq!(codes(&scene), [""; 0]);
}

#[test]
fn a_v6only_listener_without_v4_beside_it_is_a_surprise() {
    let scene = with(|local| {
        local
            .listeners
            .as_mut()
            .unwrap()
            .retain(|listener| listener.port == 80 || listener.address.is_ipv6());
    });
    let scene = scene
        .connect("198.51.100.80", 443, ConnectFailure::Refused)
        .connect("198.51.100.81", 443, ConnectFailure::Refused);
    assert_eq!(codes(&scene), ["host.v6only-surprise"]);
}

#[test]
fn a_v6_only_service_may_have_v6only_listeners() {
    let mut scene = Scene::healthy(&["2e00:5::80"], &[443]);
    scene.seen.local = local().seen.local;
    scene.seen.local.as_mut().unwrap().listeners = Ok(vec![listener("::", 443)]);
    assert_eq!(codes(&scene), [""; 0]);
}

#[test]
fn v4_denied_through_a_dual_socket_is_an_acl_that_knows_no_mapped_addresses() {
    let dual = |port| Listener {
        address: Ipv6Addr::UNSPECIFIED.into(),
        port,
        v6_only: false,
    };
    let deny = |mut scene: Scene| {
        for port in [80, 443] {
            for address in ["198.51.100.80", "198.51.100.81"] {
                scene.page(address, port).status = 403;
            }
        }
        scene
    };
    let scene = deny(with(|local| {
        local.listeners = Ok(vec![dual(80), dual(443)]);
    }));
    assert_eq!(codes(&scene), ["host.mapped-address-acl"]);
    // With a socket a family no address is mapped: then it is another site.
    assert_eq!(codes(&deny(local())), ["http.vhost-mismatch"]);
}

#[test]
fn switched_off_v6_is_found_and_explains_everything_else() {
    let mut scene = with(|local| {
        local.switches.disabled.insert("all".to_owned(), true);
        local.addresses = Ok(vec![held("198.51.100.80"), held("198.51.100.81")]);
        local.listeners = Ok(vec![listener("0.0.0.0", 80), listener("0.0.0.0", 443)]);
        local.visits = Ok(Visits::default());
    });
    scene
        .seen
        .addresses
        .retain(|address| address.family() == Family::V4);
    scene.seen.vantage.v6 = Route::Missing {
        why: "this machine has no global IPv6 address".to_owned(),
    };
    assert_eq!(codes(&scene), ["host.disable-ipv6-sysctl"]);
}

#[test]
fn v6_switched_off_on_another_interface_is_as_meant() {
    let scene = with(|local| {
        local.switches.disabled.insert("eth9".to_owned(), true);
        local.switches.disabled.insert("default".to_owned(), true);
    });
    assert_eq!(codes(&scene), [""; 0]);
}

#[test]
fn a_duplicate_address_is_found_and_explains_its_silence() {
    let scene = with(|local| local.addresses.as_mut().unwrap()[1].dad_failed = true);
    let scene = scene
        .connect("2e00:5::81", 80, ConnectFailure::HostUnreachable)
        .connect("2e00:5::81", 443, ConnectFailure::HostUnreachable);
    assert_eq!(codes(&scene), ["host.dad-failed"]);
}

#[test]
fn a_link_local_address_that_stays_tentative_does_not_matter() {
    let scene = with(|local| {
        local.addresses.as_mut().unwrap().push(HostAddress {
            tentative: true,
            ..held("fe80::1")
        });
    });
    assert_eq!(codes(&scene), [""; 0]);
}

fn rules(families: &[(&str, &[u16])]) -> Ruleset {
    let mut objects: Vec<Value> = Vec::new();
    for (family, ports) in families {
        objects.push(json!({"chain": {
            "family": family, "table": "filter", "name": "input", "type": "filter", "hook": "input", "prio": 0, "policy": "drop",
        }}));
        for protocol in ["tcp", "udp"] {
            objects.push(json!({"rule": {"family": family, "table": "filter", "chain": "input", "expr": [
                {"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": "dport"}}, "right": {"set": ports}}},
                {"accept": null},
            ]}}));
        }
    }
    Ruleset::parse(&serde_json::to_vec(&json!({"nftables": objects})).unwrap()).unwrap()
}

#[test]
fn a_rule_without_its_twin_is_found_with_the_rule_to_add() {
    let mut scene = with(|local| local.firewall = Ok(rules(&[("ip", &[80, 443]), ("ip6", &[80])])));
    for address in ["2e00:5::80", "2e00:5::81"] {
        scene = scene.connect(address, 443, ConnectFailure::TimedOut);
        scene.address(address).quic.as_mut().unwrap().outcome = Err(QuicFailure::TimedOut);
    }
    assert_eq!(codes(&scene), ["host.fw-rules-differ"]);
    assert!(
        scene.findings()[0]
            .hint
            .contains("nft insert rule ip6 filter input tcp dport 443 accept")
    );
}

#[test]
fn equal_rules_in_other_words_are_no_difference() {
    let scene =
        with(|local| local.firewall = Ok(rules(&[("ip", &[80, 443]), ("ip6", &[443, 22, 80])])));
    assert_eq!(codes(&scene), [""; 0]);
}

#[test]
fn rules_that_cannot_be_read_are_skipped_with_the_reason() {
    for (refusal, word) in [
        (FirewallRefusal::NotInstalled, "not installed"),
        (FirewallRefusal::NotAllowed, "CAP_NET_ADMIN"),
    ] {
        let scene = with(|local| local.firewall = Err(refusal));
        assert_eq!(codes(&scene), [""; 0]);
        assert!(
            scene
                .skipped()
                .iter()
                .any(|skipped| skipped.why.contains(word))
        );
    }
}

#[test]
fn a_neighbour_table_near_its_limit_is_found() {
    for (entries, expected) in [
        (1100, &["host.nd-cache-full"][..]),
        (922, &["host.nd-cache-full"]),
        (921, &[]),
        (300, &[]),
    ] {
        let scene = with(|local| {
            local.neighbours = Ok(Neighbours {
                entries,
                limit: 1024,
            });
        });
        assert_eq!(codes(&scene), expected, "{entries}");
    }
}

fn half_open(peer: &str, retransmits: u8) -> HalfOpen {
    HalfOpen {
        peer: peer.parse().unwrap(),
        port: 443,
        retransmits,
    }
}

fn visited(half_open: Vec<HalfOpen>, completed_v4: usize, completed_v6: usize) -> Scene {
    with(|local| {
        local.visits = Ok(Visits {
            watched: Duration::from_secs(4),
            half_open,
            completed_v4,
            completed_v6,
        });
    })
}

#[test]
fn answers_that_nobody_confirms_on_v6_only_are_lost_on_their_way_back() {
    let scene = visited(
        vec![half_open("2e00:c::10", 3), half_open("2e00:c::10", 1)],
        2,
        0,
    );
    assert_eq!(codes(&scene), ["reach.return-path-loss"]);
}

#[test]
fn a_slow_confirmation_one_lost_packet_and_a_scanner_on_v4_are_no_loss() {
    assert_eq!(
        codes(&visited(
            vec![half_open("2e00:c::10", 0), half_open("2e00:c::11", 0)],
            0,
            0
        )),
        [""; 0]
    );
    assert_eq!(
        codes(&visited(vec![half_open("2e00:c::10", 1)], 0, 1)),
        [""; 0]
    );
    let v4: IpAddr = Ipv4Addr::new(192, 0, 2, 66).into();
    assert_eq!(
        codes(&visited(vec![half_open(&v4.to_string(), 5)], 0, 1)),
        [""; 0]
    );
}

#[test]
fn without_a_visitor_the_way_back_is_skipped() {
    let scene = visited(Vec::new(), 3, 0);
    assert_eq!(codes(&scene), [""; 0]);
    assert!(
        scene
            .skipped()
            .iter()
            .any(|skipped| skipped.what.contains("return-path"))
    );
}
