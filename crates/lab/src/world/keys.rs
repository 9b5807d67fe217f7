//! The keys of the format: the one source of the unknown-key check, of `schema/world-1.json` and of the reference in
//! `docs/worlds.md`. What the values mean is in [`resolve`](super::resolve).

mod host;
mod network;
mod rule;
mod service;

pub(super) use host::{HOST, INTERFACE};
pub(super) use network::{DIRECTION, FAMILY_LINK, LINK, NAT64, NETWORK};
pub(super) use rule::{DIFFERENCE, DNS_RULE, FILTER, ZONE};
pub(super) use service::{FACE, PAGE, SERVICE, service_keys};

/// A kind of map with a fixed set of keys.
#[derive(Debug)]
pub(super) struct Section {
    /// With its article, for messages: "`deley` is no key of a link".
    pub(super) name: &'static str,
    /// One sentence for the reference.
    pub(super) about: &'static str,
    pub(super) keys: &'static [Key],
}

/// A key that a section may have.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// What it does and its default, one sentence without a full stop.
    pub(super) about: &'static str,
}

/// What may stand behind a key.
#[derive(Debug)]
pub(super) enum Shape {
    Text,
    Flag,
    Number {
        from: u64,
        to: u64,
    },
    Duration,
    Ratio,
    Rate,
    Address,
    Prefix,
    Code,
    OneOf(&'static [&'static str]),
    List(&'static Self),
    /// A list, or one item without the brackets.
    OneOrMany(&'static Self),
    /// A map whose keys are the user's.
    MapOf(&'static Self),
    Section(&'static Section),
}

impl Section {
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, about }
}

const NAMES: Shape = Shape::OneOrMany(&Shape::Text);
const ADDRESSES: Shape = Shape::OneOrMany(&Shape::Address);
const PREFIXES: Shape = Shape::OneOrMany(&Shape::Prefix);
const RECORDS: Shape = Shape::List(&Shape::Text);
const WORDS: Shape = Shape::List(&Shape::Text);
const FAMILY: Shape = Shape::OneOf(&["v4", "v6"]);

/// The whole file.
pub(super) static WORLD: Section = Section {
    name: "a world",
    about: "the whole file",
    keys: &[
        key(
            "version",
            Shape::Number { from: 1, to: 1 },
            "version of the format: 1",
        ),
        key(
            "name",
            Shape::Text,
            "name of the world; default: the file's name without `.yaml`",
        ),
        key(
            "summary",
            Shape::Text,
            "one line that says which fault of real life this is",
        ),
        key(
            "extends",
            Shape::Text,
            "a shipped world (`standard`) or the path of a file, relative to this one; everything in it holds here unless written again",
        ),
        key(
            "seed",
            Shape::Number {
                from: 0,
                to: u64::MAX,
            },
            "seed of everything random (loss, jitter); default 1",
        ),
        key(
            "needs",
            NAMES,
            "programs that must be installed for this world; most need none",
        ),
        key(
            "networks",
            Shape::MapOf(&Shape::Section(&NETWORK)),
            "the networks by name",
        ),
        key(
            "hosts",
            Shape::MapOf(&Shape::Section(&HOST)),
            "the hosts by name",
        ),
        key(
            "links",
            Shape::MapOf(&Shape::Section(&LINK)),
            "the line between a network's router and the core, by network",
        ),
        key(
            "filters",
            Shape::List(&Shape::Section(&FILTER)),
            "what the networks' routers do to packets; the first that matches decides",
        ),
        key(
            "zones",
            Shape::MapOf(&Shape::Section(&ZONE)),
            "the DNS zones by apex, with or without the final dot",
        ),
        key(
            "dns",
            Shape::List(&Shape::Section(&DNS_RULE)),
            "what name servers do to some questions; the first rule that matches decides",
        ),
        key(
            "check",
            Shape::Section(&CHECK),
            "how `twinstack check` is called in this world",
        ),
        key(
            "expect",
            Shape::OneOrMany(&Shape::Code),
            "exactly the codes that this check must find; default: none",
        ),
        key(
            "near-miss-of",
            Shape::OneOrMany(&Shape::Code),
            "codes that this world looks like but must not raise",
        ),
        key(
            "client",
            Shape::Text,
            "the host on which commands run; default: `client`",
        ),
        key(
            "fault",
            Shape::Section(&FAULT),
            "what is broken: the same sections again, laid over the rest; without it the world is healthy",
        ),
    ],
};

/// What a fault may change.
pub(super) static FAULT: Section = Section {
    name: "a fault",
    about: "what is broken, laid over the rest of the world: maps merge key by key, `~` removes a key, filters and DNS rules come before the others, other lists are replaced",
    keys: &[
        key(
            "networks",
            Shape::MapOf(&Shape::Section(&NETWORK)),
            "changes to networks",
        ),
        key(
            "hosts",
            Shape::MapOf(&Shape::Section(&HOST)),
            "changes to hosts",
        ),
        key(
            "links",
            Shape::MapOf(&Shape::Section(&LINK)),
            "changes to lines",
        ),
        key(
            "filters",
            Shape::List(&Shape::Section(&FILTER)),
            "filters tried before the others",
        ),
        key(
            "zones",
            Shape::MapOf(&Shape::Section(&ZONE)),
            "records added and removed",
        ),
        key(
            "dns",
            Shape::List(&Shape::Section(&DNS_RULE)),
            "rules tried before the others",
        ),
    ],
};

/// How check is called.
pub(super) static CHECK: Section = Section {
    name: "a check",
    about: "how `twinstack check` is called",
    keys: &[
        key("host", Shape::Text, "on which host; default: the client"),
        key("target", Shape::Text, "its target; default `www.lab.test`"),
        key(
            "arguments",
            WORDS,
            "further arguments; `{self}` is the path of `twinstack`",
        ),
    ],
};

/// All sections but the whole file, each once, in the order in which a reader meets them.
pub(super) fn shared() -> Vec<&'static Section> {
    vec![
        &NETWORK,
        &NAT64,
        &LINK,
        &DIRECTION,
        &FAMILY_LINK,
        &HOST,
        &INTERFACE,
        &SERVICE,
        &FACE,
        &PAGE,
        &FILTER,
        &ZONE,
        &DIFFERENCE,
        &DNS_RULE,
        &CHECK,
        &FAULT,
    ]
}
