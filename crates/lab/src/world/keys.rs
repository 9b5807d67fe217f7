//! The keys of the format: the one source of the unknown-key check, of `schema/world-1.json` and of the reference in
//! `docs/worlds.md`. What the values mean is in [`resolve`](super::resolve).

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

/// A network.
pub(super) static NETWORK: Section = Section {
    name: "a network",
    about: "a segment with a router that joins it to the core",
    keys: &[
        key(
            "v4",
            Shape::Prefix,
            "IPv4 prefix; without it there is no IPv4 here",
        ),
        key(
            "v6",
            Shape::Prefix,
            "IPv6 prefix; without it there is no IPv6 here beyond link-local",
        ),
        key(
            "gateway-v4",
            Shape::Address,
            "the router's IPv4 address; default: the first of the prefix",
        ),
        key(
            "gateway-v6",
            Shape::Address,
            "the router's IPv6 address; default: the first of the prefix",
        ),
        key(
            "nat64",
            Shape::Section(&NAT64),
            "translates IPv6 to IPv4 at this router (RFC 6146)",
        ),
    ],
};

/// NAT64.
pub(super) static NAT64: Section = Section {
    name: "a nat64",
    about: "translation at a network's router",
    keys: &[
        key(
            "prefix",
            Shape::Prefix,
            "the /96 whose last 32 bits are the IPv4 destination, usually `64:ff9b::/96`",
        ),
        key(
            "address",
            Shape::Address,
            "the IPv4 address that translated packets come from; routed to this network",
        ),
    ],
};

/// A line.
pub(super) static LINK: Section = Section {
    name: "a link",
    about: "what a line does to packets: for both directions and families, or only for some; the narrower wins, and a direction wins over a family",
    keys: &[
        key("delay", Shape::Duration, "constant delay one way"),
        key(
            "jitter",
            Shape::Duration,
            "added to the delay, from 0 to this, evenly",
        ),
        key("loss", Shape::Ratio, "share of packets lost"),
        key(
            "duplicate",
            Shape::Ratio,
            "share of packets that arrive twice",
        ),
        key(
            "reorder",
            Shape::Ratio,
            "share of packets that skip the delay and so overtake others",
        ),
        key(
            "mtu",
            Shape::Number {
                from: 576,
                to: 1500,
            },
            "largest IP packet in bytes; default 1500",
        ),
        key(
            "rate",
            Shape::Rate,
            "bits a second of a direction, shared by both families; default: no limit",
        ),
        key("v4", Shape::Section(&FAMILY_LINK), "only IPv4"),
        key("v6", Shape::Section(&FAMILY_LINK), "only IPv6"),
        key(
            "up",
            Shape::Section(&DIRECTION),
            "only from the host to its network, or from the network to the core",
        ),
        key(
            "down",
            Shape::Section(&DIRECTION),
            "only towards the host, or from the core to the network",
        ),
    ],
};

/// One direction of a line.
pub(super) static DIRECTION: Section = Section {
    name: "one direction of a link",
    about: "one direction of a link",
    keys: &[
        key("delay", Shape::Duration, "constant delay"),
        key(
            "jitter",
            Shape::Duration,
            "added to the delay, from 0 to this, evenly",
        ),
        key("loss", Shape::Ratio, "share of packets lost"),
        key(
            "duplicate",
            Shape::Ratio,
            "share of packets that arrive twice",
        ),
        key(
            "reorder",
            Shape::Ratio,
            "share of packets that skip the delay",
        ),
        key(
            "mtu",
            Shape::Number {
                from: 576,
                to: 1500,
            },
            "largest IP packet in bytes",
        ),
        key(
            "rate",
            Shape::Rate,
            "bits a second, shared by both families",
        ),
        key("v4", Shape::Section(&FAMILY_LINK), "only IPv4"),
        key("v6", Shape::Section(&FAMILY_LINK), "only IPv6"),
    ],
};

/// One family on a line.
pub(super) static FAMILY_LINK: Section = Section {
    name: "one family of a link",
    about: "one family of a link or direction",
    keys: &[
        key("delay", Shape::Duration, "constant delay"),
        key(
            "jitter",
            Shape::Duration,
            "added to the delay, from 0 to this, evenly",
        ),
        key("loss", Shape::Ratio, "share of packets lost"),
        key(
            "duplicate",
            Shape::Ratio,
            "share of packets that arrive twice",
        ),
        key(
            "reorder",
            Shape::Ratio,
            "share of packets that skip the delay",
        ),
        key(
            "mtu",
            Shape::Number {
                from: 576,
                to: 1500,
            },
            "largest IP packet in bytes; at least 1280 for IPv6",
        ),
    ],
};

/// A host.
pub(super) static HOST: Section = Section {
    name: "a host",
    about: "a machine with its own network stack, `/etc/resolv.conf`, `/etc/hosts` and CA bundle",
    keys: &[
        key(
            "interfaces",
            Shape::MapOf(&Shape::Section(&INTERFACE)),
            "its place in each network, by network; the first has the default routes",
        ),
        key(
            "nameservers",
            ADDRESSES,
            "`nameserver` lines of `/etc/resolv.conf`",
        ),
        key("search", NAMES, "`search` domains of `/etc/resolv.conf`"),
        key(
            "hosts-file",
            Shape::MapOf(&NAMES),
            "further lines of `/etc/hosts`: address, then names",
        ),
        key(
            "sysctls",
            Shape::MapOf(&Shape::Text),
            "`net.` settings of the host's network stack, set after its addresses",
        ),
        key(
            "setup",
            Shape::List(&WORDS),
            "commands run as root of the host before its services start",
        ),
        key(
            "services",
            Shape::MapOf(&Shape::Section(&SERVICE)),
            "what runs on it, by name",
        ),
    ],
};

/// A host's place in a network.
pub(super) static INTERFACE: Section = Section {
    name: "an interface",
    about: "a host's place in a network",
    keys: &[
        key(
            "addresses",
            ADDRESSES,
            "its addresses, each inside a prefix of the network",
        ),
        key(
            "link",
            Shape::Section(&LINK),
            "the line between the host and the network",
        ),
        key(
            "dad-failed",
            ADDRESSES,
            "addresses for which duplicate address detection failed",
        ),
    ],
};

/// Every key that any kind of service may have; which kind may have which is in [`service_keys`].
pub(super) static SERVICE: Section = Section {
    name: "a service",
    about: "a service on a host; the keys of a face (marked ‡) may also stand under `v4` or `v6`, then they hold only for clients of that family",
    keys: &[
        key(
            "kind",
            Shape::OneOf(&[
                "http",
                "https",
                "quic",
                "echo",
                "silent",
                "smtp",
                "dns-authoritative",
                "dns-recursive",
                "exec",
            ]),
            "what it is",
        ),
        key("off", Shape::Flag, "does not run"),
        key(
            "port",
            Shape::Number { from: 1, to: 65535 },
            "its port; default: the usual one (`http` 80, `https` and `quic` 443, `smtp` 25, `dns-*` 53, `echo` 7)",
        ),
        key(
            "listen",
            ADDRESSES,
            "addresses to listen on; default: all of the host",
        ),
        key(
            "families",
            Shape::OneOrMany(&FAMILY),
            "families to listen on; default: both",
        ),
        key(
            "dual-socket",
            Shape::Flag,
            "one `[::]` socket takes IPv4 too, as mapped addresses; default: one socket a family",
        ),
        key(
            "pages",
            Shape::MapOf(&Shape::Section(&PAGE)),
            "‡ pages by path; default: a short one at `/`",
        ),
        key("server", Shape::Text, "‡ the `Server` header"),
        key(
            "headers",
            Shape::MapOf(&Shape::Text),
            "‡ further headers of every response",
        ),
        key(
            "certificate",
            NAMES,
            "‡ names in the certificate; default: www.lab.test, lab.test, static.lab.test",
        ),
        key(
            "alpn",
            WORDS,
            "‡ ALPN protocols; default: [h2, http/1.1], for `quic` [h3]",
        ),
        key(
            "tls-max",
            Shape::OneOf(&["1.2", "1.3"]),
            "‡ highest TLS version; default 1.3",
        ),
        key(
            "stall",
            Shape::OneOf(&["handshake", "response"]),
            "‡ falls silent after accepting, or after the request; default: never",
        ),
        key(
            "delay",
            Shape::Duration,
            "‡ waits before the first byte of each response",
        ),
        key(
            "deny-mapped",
            Shape::Flag,
            "‡ answers 403 to clients that it sees as `::ffff:a.b.c.d`",
        ),
        key(
            "banner",
            Shape::Text,
            "‡ name in the SMTP banner and in the answer to EHLO; default: the host's name",
        ),
        key(
            "v4",
            Shape::Section(&FACE),
            "how it behaves towards IPv4 clients, where that differs",
        ),
        key(
            "v6",
            Shape::Section(&FACE),
            "how it behaves towards IPv6 clients, where that differs",
        ),
        key(
            "command",
            WORDS,
            "`exec`: program and arguments; `{dir}` is a private directory with the files, `{cert}`, `{key}` and `{ca}` are files of a certificate",
        ),
        key(
            "files",
            Shape::MapOf(&Shape::Text),
            "`exec`: files in `{dir}`, by name; the placeholders hold inside too",
        ),
        key(
            "ready-port",
            Shape::Number { from: 1, to: 65535 },
            "`exec`: ready when this TCP port accepts; default: at once",
        ),
        key(
            "ready-within",
            Shape::Duration,
            "`exec`: give up waiting after this long; default 10s",
        ),
        key(
            "root",
            ADDRESSES,
            "`dns-recursive`: addresses of the root servers",
        ),
        key(
            "dns64",
            Shape::Prefix,
            "`dns-recursive`: makes AAAA under this /96 for names without (RFC 6147)",
        ),
        key(
            "cache",
            Shape::Flag,
            "`dns-recursive`: keeps answers for their TTL; default true",
        ),
        key(
            "doh",
            Shape::Text,
            "`dns-recursive`: also answers at `https://NAME/dns-query` on port 443",
        ),
    ],
};

/// How a service behaves towards one family.
pub(super) static FACE: Section = Section {
    name: "one family of a service",
    about: "what differs for the clients of one family",
    keys: &[
        key(
            "pages",
            Shape::MapOf(&Shape::Section(&PAGE)),
            "pages by path",
        ),
        key("server", Shape::Text, "the `Server` header"),
        key(
            "headers",
            Shape::MapOf(&Shape::Text),
            "further headers of every response",
        ),
        key("certificate", NAMES, "names in the certificate"),
        key("alpn", WORDS, "ALPN protocols"),
        key(
            "tls-max",
            Shape::OneOf(&["1.2", "1.3"]),
            "highest TLS version",
        ),
        key(
            "stall",
            Shape::OneOf(&["handshake", "response"]),
            "where it falls silent",
        ),
        key(
            "delay",
            Shape::Duration,
            "waits before the first byte of each response",
        ),
        key(
            "deny-mapped",
            Shape::Flag,
            "answers 403 to clients that it sees as `::ffff:a.b.c.d`",
        ),
        key("banner", Shape::Text, "name in the SMTP banner"),
    ],
};

/// A page.
pub(super) static PAGE: Section = Section {
    name: "a page",
    about: "what an HTTP service answers at a path",
    keys: &[
        key(
            "status",
            Shape::Number { from: 100, to: 599 },
            "HTTP status; default 200",
        ),
        key(
            "type",
            Shape::Text,
            "`Content-Type`; default `text/html; charset=utf-8`",
        ),
        key("body", Shape::Text, "the body"),
        key(
            "size",
            Shape::Number {
                from: 0,
                to: 16_777_216,
            },
            "pads the body with a comment up to this many bytes",
        ),
        key("location", Shape::Text, "`Location`, for redirects"),
    ],
};

/// A filter.
pub(super) static FILTER: Section = Section {
    name: "a filter",
    about: "what a network's router does to packets that meet all conditions",
    keys: &[
        key("at", Shape::Text, "the network whose router filters"),
        key(
            "direction",
            Shape::OneOf(&["in", "out", "both"]),
            "from the core into the network, the other way, or both; default both",
        ),
        key("family", FAMILY, "only this family"),
        key(
            "protocol",
            Shape::OneOf(&["tcp", "udp", "icmp", "echo"]),
            "only this protocol; `echo` is only echo request and reply, `icmp` all of ICMP or ICMPv6",
        ),
        key(
            "to-port",
            Shape::Number { from: 1, to: 65535 },
            "only TCP or UDP to this port",
        ),
        key(
            "from-port",
            Shape::Number { from: 1, to: 65535 },
            "only TCP or UDP from this port",
        ),
        key(
            "from",
            PREFIXES,
            "only from one of these addresses or prefixes",
        ),
        key("to", PREFIXES, "only to one of these addresses or prefixes"),
        key(
            "larger-than",
            Shape::Number { from: 0, to: 65535 },
            "only IP packets with more bytes, counted per real segment",
        ),
        key("fragments", Shape::Flag, "only fragments"),
        key(
            "action",
            Shape::OneOf(&[
                "accept",
                "drop",
                "reset",
                "prohibit",
                "no-route",
                "swallow-packet-too-big",
            ]),
            "what happens: `reset` answers TCP with RST and the rest with port unreachable, `prohibit` and `no-route` answer with that ICMP error",
        ),
    ],
};

/// A zone.
pub(super) static ZONE: Section = Section {
    name: "a zone",
    about: "a DNS zone",
    keys: &[
        key(
            "servers",
            NAMES,
            "hosts whose `dns-authoritative` service serves it",
        ),
        key(
            "ttl",
            Shape::Number {
                from: 0,
                to: 2_147_483_647,
            },
            "seconds, for records without a TTL; default 300",
        ),
        key(
            "records",
            RECORDS,
            "one master-file line each: `www 300 AAAA 2e00:5::80`, names relative to the apex; a file that extends another adds to its records",
        ),
        key(
            "remove",
            RECORDS,
            "records of the extended world or base to take out first: `www AAAA` or `www AAAA 2e00:5::81`; must match something",
        ),
        key(
            "differs",
            Shape::MapOf(&Shape::Section(&DIFFERENCE)),
            "what another copy of the zone says, by server",
        ),
    ],
};

/// How one server's copy differs.
pub(super) static DIFFERENCE: Section = Section {
    name: "one copy of a zone",
    about: "what one server's copy of the zone says instead",
    keys: &[
        key("records", RECORDS, "records only there"),
        key("remove", RECORDS, "records missing there"),
    ],
};

/// A DNS rule.
pub(super) static DNS_RULE: Section = Section {
    name: "a dns rule",
    about: "what name servers do to questions that meet all conditions",
    keys: &[
        key(
            "at",
            NAMES,
            "hosts; default: every built-in name server, resolvers too",
        ),
        key(
            "name",
            Shape::Text,
            "only this name; with a leading `*.` the names below",
        ),
        key("types", NAMES, "only these record types"),
        key(
            "transport",
            Shape::OneOf(&["udp", "tcp"]),
            "only over this transport",
        ),
        key(
            "family",
            FAMILY,
            "only questions that arrive over this family",
        ),
        key(
            "from",
            PREFIXES,
            "only questions from one of these addresses or prefixes",
        ),
        key("delay", Shape::Duration, "waits so long first"),
        key(
            "reply",
            Shape::OneOf(&[
                "answer", "drop", "servfail", "nxdomain", "refused", "nodata", "formerr",
                "truncate", "garbage",
            ]),
            "what it answers; default: `answer`, the usual answer",
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

/// The keys that a kind of service may have besides `kind`, `off`, `port`, `listen` and `families`.
pub(super) fn service_keys(kind: super::model::ServiceKind) -> &'static [&'static str] {
    use super::model::ServiceKind as Kind;
    match kind {
        Kind::Http => &[
            "dual-socket",
            "pages",
            "server",
            "headers",
            "stall",
            "delay",
            "deny-mapped",
        ],
        Kind::Https => &[
            "dual-socket",
            "pages",
            "server",
            "headers",
            "certificate",
            "alpn",
            "tls-max",
            "stall",
            "delay",
            "deny-mapped",
        ],
        Kind::Quic => &["certificate", "alpn", "stall", "delay"],
        Kind::Echo => &["dual-socket", "delay"],
        Kind::Silent => &["dual-socket"],
        Kind::DnsAuthoritative => &[],
        Kind::Smtp => &["dual-socket", "stall", "delay", "banner"],
        Kind::DnsRecursive => &["root", "dns64", "cache", "doh"],
        Kind::Exec => &[
            "command",
            "files",
            "certificate",
            "ready-port",
            "ready-within",
        ],
    }
}
