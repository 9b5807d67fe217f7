//! What files mean.

use super::*;
use crate::world::model::{
    DnsReply, Family, Host, Impairment, Prefix, Service, ServiceKind, TlsVersion, Zone,
};
use proptest::prelude::*;
use std::net::IpAddr;
use std::time::Duration;

fn host<'w>(world: &'w World, name: &str) -> &'w Host {
    world
        .hosts
        .iter()
        .find(|host| host.name == name)
        .expect(name)
}

fn service<'w>(world: &'w World, on: &str, name: &str) -> &'w Service {
    let services = &host(world, on).services;
    services
        .iter()
        .find(|service| service.name == name)
        .expect(name)
}

fn zones<'w>(world: &'w World, apex: &str) -> Vec<&'w Zone> {
    world
        .zones
        .iter()
        .filter(|zone| zone.apex == apex)
        .collect()
}

fn records(zone: &Zone, owner: &str, rtype: &str) -> Vec<String> {
    zone.records
        .iter()
        .filter(|record| record.owner == owner && record.rtype == rtype)
        .map(|record| record.rdata.clone())
        .collect()
}

#[test]
fn the_standard_world_is_as_described() {
    let world = loaded("standard");
    let names: Vec<_> = world.networks.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["office", "service", "infra"]);
    let office = &world.networks[0];
    assert_eq!(office.gateway_v6, Some("2e00:c::1".parse().unwrap()));
    assert_eq!(office.gateway_v4, Some("192.0.2.1".parse().unwrap()));
    let delay = |direction: &model::Direction| (direction.v4.delay, direction.v6.delay);
    let each_way: Duration = world.networks[..2]
        .iter()
        .map(|n| n.uplink.up.v6.delay)
        .sum();
    assert_eq!(
        each_way,
        Duration::from_millis(7),
        "14 ms from client to www and back"
    );
    assert_eq!(delay(&office.uplink.up), delay(&office.uplink.down));
    assert_eq!(world.hosts[world.client.0].name, "client");
    assert_eq!(world.check.target, "www.lab.test");
    assert_eq!(world.check.host, world.client);

    let https = service(&world, "www", "https");
    assert_eq!((https.kind, https.port), (ServiceKind::Https, 443));
    assert_eq!(https.families, [Family::V4, Family::V6]);
    assert_eq!(https.v6.pages["/"].size, 24_000);
    assert_eq!(https.v6.pages.len(), 3);
    assert_eq!(https.v4, https.v6);
    assert_eq!(https.v6.headers["Alt-Svc"], "h3=\":443\"; ma=86400");

    let lab = zones(&world, "lab.test.");
    assert_eq!(lab.len(), 1);
    assert_eq!(
        records(lab[0], "www.lab.test.", "AAAA"),
        ["2e00:5::80", "2e00:5::81"]
    );
    assert_eq!(
        records(lab[0], "www.lab.test.", "HTTPS"),
        ["1 . alpn=h3,h2 ipv4hint=198.51.100.80,198.51.100.81 ipv6hint=2e00:5::80,2e00:5::81"]
    );
    let big: usize = records(lab[0], "big.lab.test.", "TXT")
        .iter()
        .map(String::len)
        .sum();
    assert!(big > 1232, "{big} octets fit into one datagram");
}

#[test]
fn every_address_of_www_is_forward_confirmed_in_the_standard_world() {
    let world = loaded("standard");
    let www = host(&world, "www");
    for address in &www.interfaces[0].addresses {
        let reverse = twinstack_dns::reverse::name_of(*address).with_final_dot();
        let names: Vec<_> = world
            .zones
            .iter()
            .flat_map(|zone| records(zone, &reverse, "PTR"))
            .collect();
        assert_eq!(names, ["www.lab.test."], "{address}");
    }
}

#[test]
fn on_a_link_the_narrower_word_wins_and_a_direction_wins_over_a_family() {
    let world = parsed(
        "links:\n\
         \x20 office:\n\
         \x20   delay: 1ms\n\
         \x20   rate: 100mbit\n\
         \x20   v6: { delay: 2ms, loss: 5% }\n\
         \x20   up: { delay: 3ms, rate: 1.5gbit, v6: { delay: 4ms } }\n",
    );
    let link = &world.networks[0].uplink;
    let check = |impairment: &Impairment, millis, loss: f64| {
        assert_eq!(impairment.delay, Duration::from_millis(millis));
        assert!((impairment.loss - loss).abs() < 1e-9, "{impairment:?}");
    };
    check(&link.down.v4, 1, 0.0);
    check(&link.down.v6, 2, 0.05);
    check(&link.up.v4, 3, 0.0);
    check(&link.up.v6, 4, 0.05);
    assert_eq!(link.up.rate, Some(1_500_000_000));
    assert_eq!(link.down.rate, Some(100_000_000));
}

#[test]
fn what_stands_under_a_family_changes_only_that_face() {
    let world = parsed(
        "hosts:\n\
         \x20 www:\n\
         \x20   services:\n\
         \x20     https:\n\
         \x20       tls-max: '1.2'\n\
         \x20       v6: { pages: { /: { status: 404 } }, stall: response, certificate: old.lab.test }\n\
         \x20       v4: { tls-max: '1.3' }\n",
    );
    let https = service(&world, "www", "https");
    assert_eq!(
        (https.v4.tls_max, https.v6.tls_max),
        (TlsVersion::V13, TlsVersion::V12)
    );
    assert_eq!(
        (https.v4.pages["/"].status, https.v6.pages["/"].status),
        (200, 404)
    );
    assert_eq!(
        https.v6.pages["/"].size, 24_000,
        "other fields of the page stay"
    );
    assert_eq!(
        (https.v4.stall, https.v6.stall),
        (None, Some(model::Stall::Response))
    );
    assert_eq!(https.v6.certificate, ["old.lab.test"]);
    assert!(https.v4.certificate.is_empty(), "the usual names");
}

#[test]
fn null_takes_away() {
    let world = parsed(
        "hosts:\n\
         \x20 mail: ~\n\
         \x20 www:\n\
         \x20   services:\n\
         \x20     quic: { disabled: true }\n\
         \x20     http: ~\n\
         \x20     https: { headers: { Alt-Svc: ~ } }\n\
         zones:\n\
         \x20 100.51.198.in-addr.arpa: ~\n",
    );
    assert!(world.hosts.iter().all(|host| host.name != "mail"));
    let services: Vec<_> = host(&world, "www")
        .services
        .iter()
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(services, ["https"]);
    assert!(service(&world, "www", "https").v4.headers.is_empty());
    assert!(zones(&world, "100.51.198.in-addr.arpa.").is_empty());
    assert_eq!(zones(&world, "lab.test.").len(), 1);
}

#[test]
fn a_copy_of_a_zone_may_differ() {
    let world = loaded("servers-disagree");
    let lab = zones(&world, "lab.test.");
    let at = |name: &str| {
        let zone = lab
            .iter()
            .find(|zone| zone.servers.iter().any(|id| world.hosts[id.0].name == name))
            .expect(name);
        records(zone, "www.lab.test.", "AAAA")
    };
    assert_eq!(lab.len(), 2);
    assert_eq!(at("ns1"), ["2e00:5::80", "2e00:5::81"]);
    assert_eq!(at("ns2"), ["2e00:5::80"]);
}

#[test]
fn a_name_without_its_final_dot_stays_inside_the_zone() {
    let world = loaded("ptr-malformed");
    let reverse = "0.0.0.0.0.0.0.0.5.0.0.0.0.0.e.2.ip6.arpa.";
    let owner = format!("0.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.{reverse}");
    let zone = zones(&world, reverse)[0];
    assert_eq!(
        records(zone, &owner, "PTR"),
        [format!("www.lab.test.{reverse}")]
    );
}

#[test]
fn dns_rules_know_names_types_and_askers() {
    let world = parsed(
        "dns:\n\
         \x20 - { at: ns1, name: '*.LAB.test', types: [aaaa, TYPE65], from: [192.0.2.0/24, 2e00:c::10], delay: 250ms }\n",
    );
    let rule = &world.dns_rules[0];
    assert_eq!(rule.name.as_deref(), Some("*.lab.test."));
    assert_eq!(rule.types, ["AAAA", "HTTPS"]);
    assert_eq!(
        (rule.delay, rule.reply),
        (Duration::from_millis(250), DnsReply::Answer)
    );
    let single = Prefix {
        address: "2e00:c::10".parse::<IpAddr>().unwrap(),
        length: 128,
    };
    assert_eq!(rule.from[1], single);
}

#[test]
fn a_world_from_scratch_needs_no_standard() {
    let text = "\
version: 1
networks:
  here: { v4: 192.0.2.0/24, gateway-v4: 192.0.2.254 }
hosts:
  me:
    interfaces:
      here: { addresses: 192.0.2.1 }
    hosts-file: { 192.0.2.7: [seven, seven.lab.test] }
    sysctls: { net.ipv4.tcp_syn_retries: 2 }
    setup: [[true]]
client: me
";
    let world = World::parse_alone(text, "some/where/tiny.yaml").unwrap();
    assert_eq!(world.name, "tiny");
    assert_eq!(world.seed, 1);
    assert_eq!(
        world.networks[0].gateway_v4,
        Some("192.0.2.254".parse().unwrap())
    );
    let me = &world.hosts[0];
    assert_eq!(me.hosts_file[0].1, ["seven", "seven.lab.test"]);
    assert_eq!(me.sysctls["net.ipv4.tcp_syn_retries"], "2");
    assert_eq!(me.setup, [["true"]]);
}

#[test]
fn a_world_survives_the_way_to_the_init_process() {
    for shipped in World::shipped() {
        let world = loaded(shipped.name());
        let text = serde_json::to_string(&world).unwrap();
        assert_eq!(serde_json::from_str::<World>(&text).unwrap(), world);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(error) = World::parse_alone(&text, "any.yaml") {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    /// Real files with a piece cut out, doubled or replaced reach far deeper than random bytes.
    #[test]
    fn no_mutation_of_a_shipped_world_makes_the_reader_panic(
        which in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        length in 0_usize..40,
        insert in "[a-z0-9:%~&*@{}\\[\\], \n\t-]{0,6}",
    ) {
        let all: Vec<_> = World::shipped().collect();
        let text: Vec<char> = which.get(&all).text().chars().collect();
        let start = from.index(text.len());
        let end = (start + length).min(text.len());
        let mutated: String = text[..start].iter().chain(insert.chars().collect::<Vec<_>>().iter())
            .chain(&text[end..]).collect();
        if let Err(error) = World::parse_alone(&mutated, "any.yaml") {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
