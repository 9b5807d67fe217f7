//! Who plays: the networks, the clients, and the host on which each client in each network runs.
//!
//! Every client gets a host of its own, a copy of its network's client with other addresses, so that the recording tells
//! the clients apart.

use super::story::{Ipv6, Network};
use anyhow::{Context as _, anyhow};
use std::net::IpAddr;
use twinstack_lab::world::model::{Family, FilterAction, FilterDirection, Host, NetworkId, World};

/// The networks and clients of a replay.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    /// Network and the host in it that is copied, healthiest first.
    pub(super) networks: Vec<(String, String)>,
    /// Oldest first.
    pub(super) clients: Vec<ClientKind>,
}

/// The kinds of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientKind {
    /// Sequential before the mend, with fallback after it.
    Legacy,
    /// With fallback all the time.
    Modern,
    /// What everybody has installed.
    Curl,
}

impl ClientKind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
            Self::Curl => "curl",
        }
    }
}

/// The cast that a world offers: one network for each host that is nothing but a client. The world's own client is in
/// the network that shows how it should be; those without IPv6 come last.
pub(super) fn of(world: &World) -> Cast {
    let is_client = |host: &Host| host.services.is_empty() && !host.nameservers.is_empty();
    let home = |host: &Host| host.interfaces.first().map(|interface| interface.network);
    let own = world.hosts.get(world.client.0).and_then(home);
    let mut networks: Vec<(NetworkId, &Host)> = Vec::new();
    for host in world.hosts.iter().filter(|host| is_client(host)) {
        if let Some(network) = home(host)
            && !networks.iter().any(|(known, _)| *known == network)
        {
            networks.push((network, host));
        }
    }
    networks.sort_by_key(|(id, _)| {
        let has_v6 = world
            .networks
            .get(id.0)
            .is_some_and(|network| network.v6.is_some());
        (Some(*id) != own, !has_v6, id.0)
    });
    let named = networks.into_iter().filter_map(|(id, host)| {
        let network = world.networks.get(id.0)?;
        Some((network.name.clone(), host.name.clone()))
    });
    Cast {
        networks: named.collect(),
        clients: vec![ClientKind::Legacy, ClientKind::Modern, ClientKind::Curl],
    }
}

/// The host of a client in a network.
pub(super) fn host_name(network: &str, client: ClientKind) -> String {
    format!("{network}-{}", client.name())
}

/// Adds a host for each client in each network.
pub(super) fn add_hosts(world: &mut World, cast: &Cast) -> anyhow::Result<()> {
    for (network, original) in &cast.networks {
        let original = host(world, original)?.clone();
        for client in &cast.clients {
            let mut copy = original.clone();
            copy.name = host_name(network, *client);
            for interface in &mut copy.interfaces {
                for address in &mut interface.addresses {
                    *address = free_address(world, *address).with_context(|| {
                        format!("no free address for `{}` beside {address}", copy.name)
                    })?;
                }
            }
            world.hosts.push(copy);
        }
    }
    Ok(())
}

/// Lets the resolvers forget what they were told of the service after this many seconds. With the five minutes of the
/// world as it stands, nobody would see the mend within the replay.
pub(super) fn shorten_ttls(world: &mut World, seconds: u32) {
    let (target, parent) = (
        format!("{}.", world.check.target),
        world.check.target.split_once('.'),
    );
    let sibling = parent.map_or_else(String::new, |(_, parent)| format!("static.{parent}."));
    for record in world.zones.iter_mut().flat_map(|zone| &mut zone.records) {
        let of_service = record.owner == target || record.owner == sibling || record.rtype == "PTR";
        if of_service && ["A", "AAAA", "HTTPS", "PTR"].contains(&record.rtype.as_str()) {
            record.ttl = record.ttl.min(seconds);
        }
    }
}

/// A host of a world by name.
pub(super) fn host<'a>(world: &'a World, name: &str) -> anyhow::Result<&'a Host> {
    world
        .hosts
        .iter()
        .find(|host| host.name == name)
        .ok_or_else(|| anyhow!("the world `{}` has no host `{name}`", world.name))
}

/// The next address after this one that nobody has.
fn free_address(world: &World, after: IpAddr) -> Option<IpAddr> {
    let taken = |address: &IpAddr| {
        let hosts = world.hosts.iter().flat_map(|host| &host.interfaces);
        hosts
            .flat_map(|interface| &interface.addresses)
            .any(|it| it == address)
    };
    let next = |address: &IpAddr| match address {
        IpAddr::V4(address) => u32::from(*address)
            .checked_add(1)
            .map(|it| IpAddr::V4(it.into())),
        IpAddr::V6(address) => u128::from(*address)
            .checked_add(1)
            .map(|it| IpAddr::V6(it.into())),
    };
    // Far more than any world has hosts; a network of the documentation ranges has 254 addresses.
    std::iter::successors(next(&after), next)
        .take(200)
        .find(|address| !taken(address))
}

/// What is true of IPv6 in the networks of the cast.
pub(super) fn networks(world: &World, cast: &Cast) -> anyhow::Result<Vec<Network>> {
    cast.networks
        .iter()
        .map(|(name, _)| {
            let at = world
                .networks
                .iter()
                .position(|network| network.name == *name)
                .ok_or_else(|| anyhow!("the world `{}` has no network `{name}`", world.name))?;
            Ok(Network {
                name: name.clone(),
                ipv6: ipv6(world, NetworkId(at)),
            })
        })
        .collect()
}

fn ipv6(world: &World, network: NetworkId) -> Ipv6 {
    let has_v6 = world
        .networks
        .get(network.0)
        .is_some_and(|network| network.v6.is_some());
    let dropped = world.filters.iter().any(|filter| {
        filter.at == network
            && filter.family == Some(Family::V6)
            && filter.direction != FilterDirection::In
            && filter.action == FilterAction::Drop
            && filter.protocol.is_none()
            && filter.to.is_empty()
    });
    match (has_v6, dropped) {
        (false, _) => Ipv6::Absent,
        (true, true) => Ipv6::Dropped,
        (true, false) => Ipv6::Works,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use twinstack_lab::world::LoadOptions;

    fn world(without_fault: bool) -> World {
        let options = LoadOptions {
            without_fault,
            ..LoadOptions::default()
        };
        World::load_with("so-2017", &options).unwrap()
    }

    #[test]
    fn every_client_has_a_host_with_addresses_of_its_own() {
        let mut world = world(false);
        let cast = of(&world);
        let before = world.hosts.len();
        add_hosts(&mut world, &cast).unwrap();
        assert_eq!(world.hosts.len(), before + 9);
        let addresses: Vec<IpAddr> = world
            .hosts
            .iter()
            .flat_map(|host| &host.interfaces)
            .flat_map(|interface| interface.addresses.iter().copied())
            .collect();
        let unique: BTreeSet<_> = addresses.iter().collect();
        assert_eq!(unique.len(), addresses.len());
        for host in &world.hosts {
            for interface in &host.interfaces {
                let network = &world.networks[interface.network.0];
                for address in &interface.addresses {
                    let inside = [network.v4, network.v6]
                        .iter()
                        .flatten()
                        .any(|it| it.contains(*address));
                    assert!(inside, "{} {address}", host.name);
                }
            }
        }
    }

    #[test]
    fn only_what_the_mend_changes_is_forgotten_soon() {
        let mut world = world(false);
        shorten_ttls(&mut world, 2);
        let ttls = |owner: &str, rtype: &str| -> BTreeSet<u32> {
            let records = world.zones.iter().flat_map(|zone| &zone.records);
            records
                .filter(|it| it.owner == owner && it.rtype == rtype)
                .map(|it| it.ttl)
                .collect()
        };
        assert_eq!(ttls("www.lab.test.", "AAAA"), BTreeSet::from([2]));
        assert_eq!(
            ttls("80.100.51.198.in-addr.arpa.", "PTR"),
            BTreeSet::from([2])
        );
        assert_eq!(ttls("ns1.lab.test.", "A"), BTreeSet::from([300]));
    }

    #[test]
    fn what_is_said_of_the_networks_comes_from_the_world() {
        let check = |without_fault, expected: [Ipv6; 3]| {
            let world = world(without_fault);
            let networks = networks(&world, &of(&world)).unwrap();
            assert_eq!(
                networks.iter().map(|it| it.ipv6).collect::<Vec<_>>(),
                expected
            );
        };
        check(false, [Ipv6::Works, Ipv6::Dropped, Ipv6::Absent]);
        check(true, [Ipv6::Works, Ipv6::Works, Ipv6::Absent]);
    }
}
