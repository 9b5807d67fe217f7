//! The world that holds all scenarios of a sweep: the standard one and, on top of it, the scenarios' names, addresses
//! and faults.

use super::scenario::{ClientHost, DEAD, Fate, REFUSING, SLOW, Scenario, TLS_PORT, ZONE};
use crate::world::WorldError;
use crate::world::model::{Family, World};
use std::fmt::Write as _;
use std::net::IpAddr;

/// Clients of the sweep that have both families, each on a host of its own so that they can run side by side.
pub const LANES: usize = 2;

impl ClientHost {
    /// The name of the host; those with both families are numbered from 0 up to [`LANES`].
    pub fn name(self, lane: usize) -> String {
        match self {
            Self::Dual => format!("eyeballs-{lane}"),
            Self::Only(Family::V4) => "eyeballs-v4".to_owned(),
            Self::Only(Family::V6) => "eyeballs-v6".to_owned(),
        }
    }
}

/// Builds the world of these scenarios; the service listens on `port` and, with TLS and QUIC, on [`TLS_PORT`].
pub fn world(scenarios: &[Scenario], port: u16) -> Result<World, WorldError> {
    World::parse_alone(&text(scenarios, port), "eyeballs.yaml")
}

/// The same as the text of a world file.
pub fn text(scenarios: &[Scenario], port: u16) -> String {
    let mut text = String::new();
    let mut line = |content: std::fmt::Arguments<'_>| {
        writeln!(text, "{content}").expect("writing to a string does not fail");
    };
    line(format_args!(
        "version: 1\nsummary: every world of the Happy Eyeballs sweep, each under names and addresses of its own\n\
         extends: standard\nnetworks:\n  eyeballs: {{ v6: \"2e00:e::/32\", v4: 198.18.0.0/15 }}\n\
         links:\n  eyeballs: {{ delay: 2ms }}\nclient: {}\nhosts:",
        ClientHost::Dual.name(0)
    ));
    for lane in 0..LANES {
        let name = ClientHost::Dual.name(lane);
        let last = 0xe0 + lane;
        line(format_args!(
            "  {name}:\n    interfaces: {{ office: {{ addresses: [\"2e00:c::{last:x}\", 192.0.2.{last}] }} }}\n    \
             nameservers: [192.0.2.53, \"2e00:c::53\"]"
        ));
    }
    for (family, address, server) in [
        (Family::V4, "192.0.2.240", "192.0.2.53"),
        (Family::V6, "2e00:c::f0", "2e00:c::53"),
    ] {
        let name = ClientHost::Only(family).name(0);
        line(format_args!(
            "  {name}:\n    interfaces: {{ office: {{ addresses: [\"{address}\"] }} }}\n    nameservers: \"{server}\""
        ));
    }
    let certificate = certificate(scenarios);
    let host = |name: &str, fate: Fate| {
        let addresses = scenarios
            .iter()
            .flat_map(|scenario| &scenario.addresses)
            .filter(|(_, its)| *its == fate)
            .map(|(address, _)| *address);
        let addresses = quoted(addresses);
        // A host needs an address, also in a sweep that never asks for it.
        let own = match fate {
            Fate::Slow => "2e00:e::2",
            Fate::Silent => "2e00:e::3",
            _ => "2e00:e::10",
        };
        let slow = if fate == Fate::Slow {
            format!(", link: {{ delay: {}ms }}", SLOW.as_millis() / 2)
        } else {
            String::new()
        };
        let secure = if fate == Fate::Silent {
            format!("      https: {{ kind: silent, port: {TLS_PORT} }}\n")
        } else {
            format!(
                "      https: {{ kind: https, certificate: {certificate} }}\n      \
                 quic: {{ kind: quic, certificate: {certificate} }}\n"
            )
        };
        let plain = if port == TLS_PORT { 80 } else { port };
        format!(
            "  {name}:\n    interfaces: {{ eyeballs: {{ addresses: [\"{own}\", {addresses}]{slow} }} }}\n    \
             services:\n      http: {{ kind: http, port: {plain}, pages: {{ /: {{ body: \"ok\\n\" }} }} }}\n{secure}"
        )
    };
    for (name, fate) in [
        ("target", Fate::Works),
        ("slow-target", Fate::Slow),
        ("silent-target", Fate::Silent),
    ] {
        line(format_args!("{}", host(name, fate).trim_end()));
    }
    // At the router next to the client: a refusal comes back before ten milliseconds have passed.
    line(format_args!(
        "filters:\n  - {{ at: office, direction: out, to: [\"{}\"], action: drop }}\n  \
         - {{ at: office, direction: out, to: [\"{}\"], action: reset }}",
        DEAD.join("\", \""),
        REFUSING.join("\", \"")
    ));
    line(format_args!("zones:\n  {ZONE}:\n    records:"));
    for scenario in scenarios {
        records(scenario, &mut line);
    }
    let rules: Vec<String> = scenarios.iter().flat_map(rules).collect();
    if !rules.is_empty() {
        line(format_args!("dns:\n{}", rules.join("\n")));
    }
    text
}

fn certificate(scenarios: &[Scenario]) -> String {
    let names: Vec<String> = scenarios
        .iter()
        .map(|scenario| format!("\"*.{}.{ZONE}\"", scenario.id))
        .collect();
    format!("[{}]", names.join(", "))
}

fn quoted(addresses: impl Iterator<Item = IpAddr>) -> String {
    addresses
        .map(|address| format!("\"{address}\""))
        .collect::<Vec<_>>()
        .join(", ")
}

fn records(scenario: &Scenario, line: &mut impl FnMut(std::fmt::Arguments<'_>)) {
    let owner = format!("\"*.{}", scenario.id);
    for (address, _) in &scenario.addresses {
        let rtype = match address {
            IpAddr::V4(_) => "A",
            IpAddr::V6(_) => "AAAA",
        };
        line(format_args!("      - {owner} {rtype} {address}\""));
    }
    if scenario.hints {
        let list = |family| {
            let list: Vec<String> = scenario.of(family).map(|it| it.to_string()).collect();
            list.join(",")
        };
        line(format_args!(
            "      - {owner} HTTPS 1 . alpn=h2,http/1.1 ipv4hint={} ipv6hint={}\"",
            list(Family::V4),
            list(Family::V6)
        ));
    }
}

/// The resolver is the one that delays or keeps back an answer: a name server that did so would be asked again by the
/// resolver, in a way that is the resolver's and not the client's.
fn rules(scenario: &Scenario) -> Vec<String> {
    [("AAAA", scenario.aaaa), ("A", scenario.a)]
        .into_iter()
        .filter_map(|(rtype, reply)| {
            let what = if reply.lost {
                "reply: drop".to_owned()
            } else if reply.delay.is_zero() {
                return None;
            } else {
                format!("delay: {}ms", reply.delay.as_millis())
            };
            Some(format!(
                "  - {{ at: resolver, name: \"*.{}.{ZONE}\", types: {rtype}, {what} }}",
                scenario.id
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::scenario::Plan;
    use std::time::Duration;

    #[test]
    fn every_plan_makes_a_valid_world() {
        for (quick, port) in [
            (true, 80),
            (false, 80),
            (true, 443),
            (false, 443),
            (false, 5432),
        ] {
            let plan = Plan {
                quick,
                limit: Duration::from_secs(5),
                port,
            };
            let scenarios = plan.scenarios();
            let world = world(&scenarios, port);
            let world = world.unwrap_or_else(|error| panic!("{error}"));
            for scenario in &scenarios {
                for lane in 0..LANES {
                    let name = scenario.host.name(lane);
                    assert!(world.hosts.iter().any(|host| host.name == name), "{name}");
                }
            }
            let listened = world
                .hosts
                .iter()
                .filter(|host| host.name == "target")
                .flat_map(|host| &host.services)
                .any(|service| service.port == port);
            assert!(listened, "nobody listens on {port}");
        }
    }

    #[test]
    fn every_address_that_answers_is_on_a_host_and_no_other_is() {
        let plan = Plan {
            quick: false,
            limit: Duration::from_secs(5),
            port: 443,
        };
        let scenarios = plan.scenarios();
        let world = world(&scenarios, 443).unwrap();
        let on_a_host = |address: IpAddr| {
            let mut interfaces = world.hosts.iter().flat_map(|host| &host.interfaces);
            interfaces.any(|interface| interface.addresses.contains(&address))
        };
        for (address, fate) in scenarios.iter().flat_map(|it| &it.addresses) {
            let answers = matches!(fate, Fate::Works | Fate::Slow | Fate::Silent);
            assert_eq!(on_a_host(*address), answers, "{address} {fate:?}");
        }
    }
}
