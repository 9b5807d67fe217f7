//! From the merged tree to a [`World`]: names become indices, every value is checked, and what fits together is
//! checked too. Each problem is reported at the line to change; reading goes on behind it.

mod host;
mod link;
mod network;
mod rule;
mod service;
mod zone;

use super::LoadOptions;
use super::diagnose::{At, Problems};
use super::file::Node;
use super::keys::{CHECK, WORLD};
use super::merge::{self, Layer, Merged};
use super::model::{CheckPlan, HostId, NetworkId, World};
use super::read::{Fields, Reader};
use super::scalar;
use std::collections::BTreeMap;
use std::net::IpAddr;
use twinstack_finding::Code;

/// The world of a chain of files, with its fault or not, and with the faults of others.
pub(super) fn world(
    chain: Vec<Layer>,
    others: Vec<Vec<Layer>>,
    name: String,
    options: &LoadOptions,
    problems: &mut Problems,
) -> Option<World> {
    let mut reader = Reader { problems };
    let goals = goals(&mut reader, &chain, &others, options)?;
    let titles = chain.last().map(|leaf| {
        let fields = reader.fields_again(&leaf.root, &WORLD);
        let mut text = |key| {
            let node: Option<&Node> = fields.get(key);
            node.and_then(|node| reader.text(node)).map(str::to_owned)
        };
        (text("name"), text("summary"))
    });
    let (own_name, summary) = titles.unwrap_or_default();

    let merged = merge::merge(chain, !options.without_fault, others);
    let mut world = parts(&mut reader, &merged)?;
    world.name = own_name.unwrap_or(name);
    world.summary = summary.unwrap_or_default();
    let names = Names::of(&world);
    world.check = check_plan(&mut reader, &goals, &names, world.client);
    world.needs = goals.needs;
    world.expect = goals.expect;
    world.near_miss_of = goals.near_miss_of;
    Some(world)
}

/// Everything but what the world is for.
fn parts(reader: &mut Reader<'_>, merged: &Merged) -> Option<World> {
    let fields = reader.fields_again(&merged.tree, &WORLD);
    let mut world = World {
        name: String::new(),
        summary: String::new(),
        seed: reader.number(&fields, "seed").unwrap_or(1),
        needs: Vec::new(),
        networks: Vec::new(),
        hosts: Vec::new(),
        filters: Vec::new(),
        zones: Vec::new(),
        dns_rules: Vec::new(),
        check: CheckPlan {
            host: HostId(0),
            target: String::new(),
            arguments: Vec::new(),
        },
        expect: Vec::new(),
        near_miss_of: Vec::new(),
        client: HostId(0),
    };
    let mut owners = Owners::default();
    world.networks = network::networks(reader, &fields, &mut owners);
    let switched_off = host::hosts(reader, &fields, &mut world, &mut owners);
    let names = Names::of(&world);
    network::links(reader, &fields, &mut world, &names);
    world.filters = rule::filters(reader, &fields, &names);
    world.dns_rules = rule::dns_rules(reader, &fields, &names);
    world.zones = zone::zones(reader, &merged.zones, &world, &names, &switched_off);
    world.client = client(reader, &fields, &names, merged.tree.at)?;
    Some(world)
}

/// The host on which commands run: the one that the file names, or the one called `client`.
fn client(
    reader: &mut Reader<'_>,
    fields: &Fields<'_>,
    names: &Names,
    whole: At,
) -> Option<HostId> {
    if let Some(node) = fields.get("client") {
        return names.host(reader, node);
    }
    let host = names.hosts.get("client").copied();
    if names.hosts.is_empty() {
        reader.problems.add_with_hint(
            whole,
            "this world has no hosts",
            "write `extends: standard` to start from the usual ones",
        );
    } else if host.is_none() {
        reader.problems.add_with_hint(
            whole,
            "no host is called `client`, so it is not known where commands run",
            "write `client:` and the name of a host",
        );
    }
    host
}

/// What a world is for: it is inherited, but a fault does not change it.
#[derive(Default)]
struct Goals {
    needs: Vec<String>,
    expect: Vec<Code>,
    near_miss_of: Vec<Code>,
    host: Option<(String, At)>,
    target: Option<(String, At)>,
    arguments: Vec<String>,
}

fn goals(
    reader: &mut Reader<'_>,
    chain: &[Layer],
    others: &[Vec<Layer>],
    options: &LoadOptions,
) -> Option<Goals> {
    let mut goals = goals_of(reader, chain, &options.known_codes);
    if options.without_fault {
        goals.expect.clear();
    }
    for other in others {
        if let Some((section, at)) = merge::own_sections(other, chain) {
            reader.problems.add(
                at,
                format!("this world is more than a fault: it has `{section}` of its own, so it cannot be laid over another"),
            );
            return None;
        }
        let more = goals_of(reader, other, &options.known_codes);
        goals.needs.extend(more.needs);
        goals.expect.extend(more.expect);
        goals.near_miss_of.extend(more.near_miss_of);
        if more.arguments != goals.arguments {
            goals.arguments.extend(more.arguments);
        }
        unite(reader, &mut goals.host, more.host);
        unite(reader, &mut goals.target, more.target);
    }
    goals.needs.sort();
    goals.needs.dedup();
    goals.expect.sort();
    goals.expect.dedup();
    goals.near_miss_of.sort();
    goals.near_miss_of.dedup();
    Some(goals)
}

fn unite(reader: &mut Reader<'_>, first: &mut Option<(String, At)>, second: Option<(String, At)>) {
    match (first.as_ref(), second) {
        (None, second) => *first = second,
        (Some((one, _)), Some((other, at))) if *one != other => {
            let message =
                format!("two worlds at once: `check` is called with `{one}` and with `{other}`");
            reader.problems.add(at, message);
        }
        (Some(_), _) => {}
    }
}

/// Upper files win key by key.
fn goals_of(reader: &mut Reader<'_>, chain: &[Layer], known: &[String]) -> Goals {
    let mut goals = Goals::default();
    for layer in chain {
        let fields = reader.fields_again(&layer.root, &WORLD);
        if fields.get("needs").is_some() {
            goals.needs = reader.texts(fields.get("needs"));
        }
        if fields.get("expect").is_some() {
            goals.expect = codes(reader, fields.get("expect"), known);
        }
        if fields.get("near-miss-of").is_some() {
            goals.near_miss_of = codes(reader, fields.get("near-miss-of"), known);
        }
        let check = reader.sub(&fields, "check", &CHECK);
        let mut text = |key| -> Option<(String, At)> {
            let node: &Node = check.get(key)?;
            Some((reader.text(node)?.to_owned(), node.at))
        };
        goals.host = text("host").or(goals.host);
        goals.target = text("target").or(goals.target);
        if check.get("arguments").is_some() {
            goals.arguments = reader.texts(check.get("arguments"));
        }
    }
    goals
}

/// `known` is every code that exists; empty if nobody said.
fn codes(reader: &mut Reader<'_>, node: Option<&Node>, known: &[String]) -> Vec<Code> {
    reader.each(node, |reader, node| {
        let text = reader.text(node)?;
        let code = match Code::parse(text) {
            Ok(code) => code,
            Err(error) => {
                reader.problems.add(node.at, error.to_string());
                return None;
            }
        };
        if known.is_empty() || known.iter().any(|known| known == text) {
            return Some(code);
        }
        let hint = scalar::nearest(text, known.iter().map(String::as_str)).map_or_else(
            || "`twinstack explain` lists them".to_owned(),
            |code| format!("did you mean `{code}`?"),
        );
        let message = format!("no finding has the code `{text}`");
        reader.problems.add_with_hint(node.at, message, hint);
        None
    })
}

fn check_plan(reader: &mut Reader<'_>, goals: &Goals, names: &Names, client: HostId) -> CheckPlan {
    let host = goals
        .host
        .as_ref()
        .and_then(|(name, at)| names.find(reader, &names.hosts, "host", name, *at));
    let target = goals.target.as_ref().map(|(target, _)| target.clone());
    CheckPlan {
        host: host.unwrap_or(client),
        target: target.unwrap_or_else(|| "www.lab.test".to_owned()),
        arguments: goals.arguments.clone(),
    }
}

/// The names that other sections may use.
struct Names {
    networks: BTreeMap<String, NetworkId>,
    hosts: BTreeMap<String, HostId>,
}

impl Names {
    fn of(world: &World) -> Self {
        Self {
            networks: world
                .networks
                .iter()
                .enumerate()
                .map(|(at, network)| (network.name.clone(), NetworkId(at)))
                .collect(),
            hosts: world
                .hosts
                .iter()
                .enumerate()
                .map(|(at, host)| (host.name.clone(), HostId(at)))
                .collect(),
        }
    }

    fn network(&self, reader: &mut Reader<'_>, node: &Node) -> Option<NetworkId> {
        let name = reader.text(node)?;
        self.find(reader, &self.networks, "network", name, node.at)
    }

    fn host(&self, reader: &mut Reader<'_>, node: &Node) -> Option<HostId> {
        let name = reader.text(node)?;
        self.find(reader, &self.hosts, "host", name, node.at)
    }

    fn hosts(&self, reader: &mut Reader<'_>, node: Option<&Node>) -> Vec<HostId> {
        reader.each(node, |reader, node| self.host(reader, node))
    }

    #[expect(clippy::unused_self, reason = "reads as a question to the names")]
    fn find<T: Copy>(
        &self,
        reader: &mut Reader<'_>,
        among: &BTreeMap<String, T>,
        what: &str,
        name: &str,
        at: At,
    ) -> Option<T> {
        let found = among.get(name).copied();
        if found.is_none() {
            let known = among.keys().map(String::as_str);
            let hint = scalar::nearest(name, known.clone()).map_or_else(
                || format!("there are {}", known.collect::<Vec<_>>().join(", ")),
                |name| format!("did you mean `{name}`?"),
            );
            reader
                .problems
                .add_with_hint(at, format!("no {what} is called `{name}`"), hint);
        }
        found
    }
}

/// Who has an address: each belongs to one host, router or translator.
#[derive(Default)]
struct Owners(BTreeMap<IpAddr, String>);

impl Owners {
    fn claim(&mut self, reader: &mut Reader<'_>, address: IpAddr, owner: String, at: At) {
        match self.0.get(&address) {
            Some(first) => reader
                .problems
                .add(at, format!("`{address}` already belongs to {first}")),
            None => {
                self.0.insert(address, owner);
            }
        }
    }
}
