//! Hosts and their places in networks.

use super::network::usable;
use super::{Names, Owners, link, service};
use crate::world::diagnose::At;
use crate::world::file::{Entry, Node, Value};
use crate::world::keys::{HOST, INTERFACE, LINK};
use crate::world::model::{Host, HostId, Interface, Link, World};
use crate::world::read::{Fields, Reader};
use crate::world::scalar;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

/// Reads the hosts into the world; gives the ones with an authoritative name server that is switched off.
pub(super) fn hosts(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    world: &mut World,
    owners: &mut Owners,
) -> BTreeSet<HostId> {
    let names = Names::of(world);
    let mut silenced = BTreeSet::new();
    for entry in reader.entries(fields.get("hosts")) {
        if let Err(refusal) = scalar::label(&entry.key) {
            reader.refused(entry.key_at, refusal);
        }
        let id = HostId(world.hosts.len());
        let (host, silent) = host(reader, entry, world, &names, owners);
        if silent {
            silenced.insert(id);
        }
        world.hosts.push(host);
    }
    silenced
}

fn host(
    reader: &mut Reader<'_>,
    entry: &Entry,
    world: &World,
    names: &Names,
    owners: &mut Owners,
) -> (Host, bool) {
    let fields = reader.fields(&entry.value, &HOST);
    let mut interfaces = Vec::new();
    for place in reader.entries(fields.get("interfaces")) {
        interfaces.extend(interface(reader, entry, place, world, names, owners));
    }
    if fields.get("interfaces").is_none_or(empty) {
        reader.problems.add_with_hint(
            entry.key_at,
            format!("the host `{}` is in no network", entry.key),
            "write `interfaces:` with a network and addresses",
        );
    }
    let mut host = Host {
        name: entry.key.clone(),
        interfaces,
        nameservers: reader.addresses(fields.get("nameservers")),
        search: reader.texts(fields.get("search")),
        hosts_file: hosts_file(reader, fields.get("hosts-file")),
        sysctls: sysctls(reader, fields.get("sysctls")),
        setup: setup(reader, fields.get("setup")),
        services: Vec::new(),
    };
    let silent = service::services(reader, fields.get("services"), &mut host);
    (host, silent)
}

fn empty(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .all(|entry| matches!(entry.value.value, Value::Null)),
        _ => false,
    }
}

fn interface(
    reader: &mut Reader<'_>,
    host: &Entry,
    entry: &Entry,
    world: &World,
    names: &Names,
    owners: &mut Owners,
) -> Option<Interface> {
    let network = names.find(reader, &names.networks, "network", &entry.key, entry.key_at);
    let fields = reader.fields(&entry.value, &INTERFACE);
    let link = match fields.get("link") {
        Some(node) => {
            let fields = reader.fields(node, &LINK);
            link::link(reader, &fields)
        }
        None => Link::default(),
    };
    let network = network?;
    let prefixes = world
        .networks
        .get(network.0)
        .map(|network| [network.v4, network.v6])?;
    let addresses = reader.each(fields.get("addresses"), |reader, node| {
        let address = reader.address(node)?;
        let own = |address: IpAddr| {
            prefixes
                .into_iter()
                .flatten()
                .find(|prefix| prefix.address.is_ipv4() == address.is_ipv4())
        };
        match own(address) {
            Some(prefix) if usable(prefix, address) => {
                owners.claim(reader, address, format!("the host `{}`", host.key), node.at);
                Some(address)
            }
            Some(prefix) => {
                let prefix = format!("{}/{}", prefix.address, prefix.length);
                reader.problems.add_with_hint(
                    node.at,
                    format!(
                        "`{address}` is no host address of the network `{}`",
                        entry.key
                    ),
                    format!("it must be inside `{prefix}`"),
                );
                None
            }
            None => {
                let family = if address.is_ipv4() { "v4" } else { "v6" };
                reader.problems.add_with_hint(
                    node.at,
                    format!("the network `{}` has no `{family}` prefix", entry.key),
                    format!("give it one, or take `{address}` away"),
                );
                None
            }
        }
    });
    let dad_failed = reader.each(fields.get("dad-failed"), |reader, node| {
        duplicate(reader, node, &addresses)
    });
    Some(Interface {
        network,
        addresses,
        link,
        dad_failed,
    })
}

/// An address whose duplicate was detected: one of the interface's own, and IPv6.
fn duplicate(reader: &mut Reader<'_>, node: &Node, addresses: &[IpAddr]) -> Option<Ipv6Addr> {
    match reader.address(node)? {
        IpAddr::V6(address) if addresses.contains(&IpAddr::V6(address)) => Some(address),
        address => {
            reader.problems.add(
                node.at,
                format!("`{address}` is no IPv6 address of this interface"),
            );
            None
        }
    }
}

fn hosts_file(reader: &mut Reader<'_>, node: Option<&Node>) -> Vec<(IpAddr, Vec<String>)> {
    let mut lines = Vec::new();
    for entry in reader.entries(node) {
        match scalar::address(&entry.key) {
            Ok(address) => lines.push((address, reader.texts(Some(&entry.value)))),
            Err(refusal) => reader.refused(entry.key_at, refusal),
        }
    }
    lines
}

fn sysctls(reader: &mut Reader<'_>, node: Option<&Node>) -> BTreeMap<String, String> {
    let mut sysctls = BTreeMap::new();
    for entry in reader.entries(node) {
        let legal = entry.key.starts_with("net.")
            && !entry.key.contains("..")
            && entry
                .key
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if !legal {
            reader.problems.add_with_hint(
                entry.key_at,
                format!("`{}` is no setting of a network stack", entry.key),
                "write one such as `net.ipv6.conf.all.disable_ipv6`",
            );
        }
        if let Some(value) = reader.text(&entry.value) {
            sysctls.insert(entry.key.clone(), value.to_owned());
        }
    }
    sysctls
}

fn setup(reader: &mut Reader<'_>, node: Option<&Node>) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    for item in reader.list(node) {
        let words: Vec<_> = reader
            .list(Some(item))
            .iter()
            .filter_map(|word| reader.text(word).map(str::to_owned))
            .collect();
        program(reader, &words, item.at);
        commands.push(words);
    }
    commands
}

/// The first word of a command is a program.
pub(super) fn program(reader: &mut Reader<'_>, words: &[String], at: At) {
    if words.first().is_none_or(String::is_empty) {
        reader.problems.add_with_hint(
            at,
            "there is no program here",
            "write `[program, argument]`",
        );
    }
    if words.iter().any(|word| word.contains('\0')) {
        reader
            .problems
            .add(at, "no argument can hold a zero character");
    }
}
