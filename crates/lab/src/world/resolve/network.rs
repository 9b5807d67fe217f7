//! Networks, their routers and the lines to the core.

use super::{Names, Owners, link};
use crate::world::diagnose::At;
use crate::world::file::Node;
use crate::world::keys::{LINK, NAT64, NETWORK};
use crate::world::model::{Link, Nat64, Network, Prefix, World};
use crate::world::read::{Fields, Reader};
use crate::world::scalar;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) fn networks(
    reader: &mut Reader<'_>,
    world: &Fields<'_>,
    owners: &mut Owners,
) -> Vec<Network> {
    let mut networks: Vec<Network> = Vec::new();
    for entry in reader.entries(world.get("networks")) {
        if let Err(refusal) = scalar::label(&entry.key) {
            reader.refused(entry.key_at, refusal);
        }
        let fields = reader.fields(&entry.value, &NETWORK);
        let v4 = family_prefix(reader, &fields, "v4", 8..=30);
        let v6 = family_prefix(reader, &fields, "v6", 16..=126);
        if v4.is_none() && v6.is_none() {
            reader.problems.add_with_hint(
                entry.key_at,
                format!("the network `{}` has no addresses", entry.key),
                "write `v6:`, `v4:` or both, each with a prefix",
            );
        }
        if let Some(other) = overlap(&networks, [v4, v6]) {
            let message = format!(
                "its addresses overlap those of the network `{}`",
                other.name
            );
            reader.problems.add(entry.key_at, message);
            continue;
        }
        let mut router = |reader: &mut Reader<'_>, key, prefix| {
            gateway(reader, &fields, key, prefix).inspect(|(address, at)| {
                let owner = format!("the router of `{}`", entry.key);
                owners.claim(reader, *address, owner, at.unwrap_or(entry.key_at));
            })
        };
        let gateway_v4 = router(reader, "gateway-v4", v4).map(|(address, _)| address);
        let gateway_v6 = router(reader, "gateway-v6", v6).map(|(address, _)| address);
        let nat64 = fields.get("nat64").and_then(|node| {
            let nat64 = nat64(reader, node)?;
            let owner = format!("the NAT64 of `{}`", entry.key);
            owners.claim(reader, nat64.address.into(), owner, node.at);
            Some(nat64)
        });
        networks.push(Network {
            name: entry.key.clone(),
            v4,
            v6,
            gateway_v4: gateway_v4.and_then(|address| match address {
                IpAddr::V4(address) => Some(address),
                IpAddr::V6(_) => None,
            }),
            gateway_v6: gateway_v6.and_then(|address| match address {
                IpAddr::V6(address) => Some(address),
                IpAddr::V4(_) => None,
            }),
            uplink: Link::default(),
            nat64,
        });
    }
    foreign_nat64(reader, world, &networks);
    networks
}

pub(super) fn links(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    world: &mut World,
    names: &Names,
) {
    for entry in reader.entries(fields.get("links")) {
        let network = names.find(reader, &names.networks, "network", &entry.key, entry.key_at);
        let fields = reader.fields(&entry.value, &LINK);
        let uplink = link::link(reader, &fields);
        if let Some(network) = network.and_then(|id| world.networks.get_mut(id.0)) {
            network.uplink = uplink;
        }
    }
}

/// A prefix of the family that its key says, not so short that it swallows the others nor too long for hosts.
fn family_prefix(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &'static str,
    lengths: std::ops::RangeInclusive<u8>,
) -> Option<Prefix> {
    let node = fields.get(key)?;
    let prefix = reader.scalar(node, scalar::prefix)?;
    if prefix.address.is_ipv4() != (key == "v4") {
        reader.problems.add(
            node.at,
            format!("this prefix does not belong under `{key}`"),
        );
        return None;
    }
    if !lengths.contains(&prefix.length) {
        reader.problems.add_with_hint(
            node.at,
            format!("a network cannot be a /{}", prefix.length),
            format!("between /{} and /{}", lengths.start(), lengths.end()),
        );
        return None;
    }
    Some(prefix)
}

/// The first network that has addresses of one of the prefixes.
fn overlap(networks: &[Network], prefixes: [Option<Prefix>; 2]) -> Option<&Network> {
    networks.iter().find(|network| {
        let theirs = [network.v4, network.v6].into_iter().flatten();
        theirs.into_iter().any(|other| {
            prefixes
                .into_iter()
                .flatten()
                .any(|prefix| other.contains(prefix.address) || prefix.contains(other.address))
        })
    })
}

/// The router's address of one family, and where it is written, if it is.
fn gateway(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    key: &str,
    prefix: Option<Prefix>,
) -> Option<(IpAddr, Option<At>)> {
    let node: Option<&Node> = fields.get(key);
    match (node, prefix) {
        (None, None) => None,
        (None, Some(prefix)) => Some((first_host(prefix), None)),
        (Some(node), None) => {
            reader
                .problems
                .add(node.at, "this network has no prefix of that family");
            None
        }
        (Some(node), Some(prefix)) => {
            let address = reader.address(node)?;
            if !usable(prefix, address) {
                reader.problems.add(
                    node.at,
                    format!(
                        "`{address}` is no host address of `{}/{}`",
                        prefix.address, prefix.length
                    ),
                );
                return None;
            }
            Some((address, Some(node.at)))
        }
    }
}

fn first_host(prefix: Prefix) -> IpAddr {
    match prefix.address {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address) | 1).into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) | 1).into(),
    }
}

/// Whether a host can have the address: inside, and neither the network's own nor, in IPv4, its broadcast address.
/// The first address of an IPv6 prefix is every router's (RFC 4291 section 2.6.1).
pub(super) fn usable(prefix: Prefix, address: IpAddr) -> bool {
    let broadcast = match (prefix.address, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let hosts = u32::MAX.checked_shr(prefix.length.into()).unwrap_or(0);
            u32::from(network) | hosts == u32::from(address)
        }
        _ => false,
    };
    prefix.contains(address) && address != prefix.address && !broadcast
}

fn nat64(reader: &mut Reader<'_>, node: &Node) -> Option<Nat64> {
    let fields = reader.fields(node, &NAT64);
    let prefix = fields
        .get("prefix")
        .and_then(|node| translation_prefix(reader, node));
    let address = fields.get("address").and_then(|node| {
        let address = reader.address(node)?;
        match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => {
                reader
                    .problems
                    .add(node.at, format!("`{address}` is not an IPv4 address"));
                None
            }
        }
    });
    for key in ["prefix", "address"] {
        if fields.entry(key).is_none() {
            reader
                .problems
                .add(node.at, format!("a nat64 needs `{key}`"));
        }
    }
    Some(Nat64 {
        prefix: prefix?,
        address: address?,
    })
}

/// A /96 (RFC 6052 section 2.2 knows shorter ones; the lab does not).
pub(super) fn translation_prefix(reader: &mut Reader<'_>, node: &Node) -> Option<Ipv6Addr> {
    let prefix = reader.scalar(node, scalar::prefix)?;
    if let (IpAddr::V6(address), 96) = (prefix.address, prefix.length) {
        return Some(address);
    }
    reader.problems.add_with_hint(
        node.at,
        "this is not an IPv6 prefix of 96 bits",
        "usually `64:ff9b::/96`",
    );
    None
}

/// The translator's address is routed to its network, so it cannot lie in another one.
fn foreign_nat64(reader: &mut Reader<'_>, world: &Fields<'_>, networks: &[Network]) {
    for network in networks {
        let Some(nat64) = network.nat64 else { continue };
        let other = networks.iter().find(|other| {
            other.name != network.name
                && other
                    .v4
                    .is_some_and(|prefix| prefix.contains(nat64.address.into()))
        });
        let place = world
            .get("networks")
            .and_then(|node| node.get(&network.name)?.get("nat64")?.get("address"));
        if let (Some(other), Some(place)) = (other, place) {
            reader.problems.add(
                place.at,
                format!("`{}` lies in the network `{}`", nat64.address, other.name),
            );
        }
    }
}
