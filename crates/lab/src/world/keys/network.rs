//! Keys of networks and lines.

use super::{Section, Shape, key};

/// A network.
pub(in crate::world) static NETWORK: Section = Section {
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
pub(in crate::world) static NAT64: Section = Section {
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
pub(in crate::world) static LINK: Section = Section {
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
pub(in crate::world) static DIRECTION: Section = Section {
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
pub(in crate::world) static FAMILY_LINK: Section = Section {
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
