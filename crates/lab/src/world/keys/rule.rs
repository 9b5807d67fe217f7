//! Keys of what routers do to packets, and of what the DNS says.

use super::{FAMILY, NAMES, PREFIXES, RECORDS, Section, Shape, key};

/// A filter.
pub(in crate::world) static FILTER: Section = Section {
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
pub(in crate::world) static ZONE: Section = Section {
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
pub(in crate::world) static DIFFERENCE: Section = Section {
    name: "one copy of a zone",
    about: "what one server's copy of the zone says instead",
    keys: &[
        key("records", RECORDS, "records only there"),
        key("remove", RECORDS, "records missing there"),
    ],
};

/// A DNS rule.
pub(in crate::world) static DNS_RULE: Section = Section {
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
