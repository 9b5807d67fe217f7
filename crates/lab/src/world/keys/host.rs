//! Keys of hosts.

use super::network::LINK;
use super::service::SERVICE;
use super::{ADDRESSES, NAMES, Section, Shape, WORDS, key};

/// A host.
pub(in crate::world) static HOST: Section = Section {
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
pub(in crate::world) static INTERFACE: Section = Section {
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
