//! Keys of services.

use super::{ADDRESSES, FAMILY, NAMES, Section, Shape, WORDS, key};

/// Every key that any kind of service may have; which kind may have which is in [`service_keys`].
pub(in crate::world) static SERVICE: Section = Section {
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
        key("disabled", Shape::Flag, "does not run"),
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
pub(in crate::world) static FACE: Section = Section {
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
pub(in crate::world) static PAGE: Section = Section {
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

/// The keys that a kind of service may have besides `kind`, `off`, `port`, `listen` and `families`.
pub(in crate::world) fn service_keys(
    kind: crate::world::model::ServiceKind,
) -> &'static [&'static str] {
    use crate::world::model::ServiceKind as Kind;
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
