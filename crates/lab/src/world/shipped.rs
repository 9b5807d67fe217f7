//! The worlds that come with the lab.

use super::scalar;

/// A world that comes with the lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    name: &'static str,
    text: &'static str,
    near_miss: bool,
}

impl Shipped {
    /// All of them: the faults in the order of the list below, then the near misses.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        WORLDS.iter().chain(NEAR_MISSES)
    }

    /// The world of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        Self::all().find(|world| world.name == name)
    }

    /// The name that a user most probably meant.
    pub(super) fn nearest(name: &str) -> Option<&'static str> {
        scalar::nearest(name, Self::all().map(|world| world.name))
    }

    /// Its name, as in `lab run NAME`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it reproduces, in one line.
    pub fn summary(&self) -> &'static str {
        // Reading ninety files to list them would take longer than the list itself; a test compares this with the
        // summary that the file really has.
        self.text
            .lines()
            .find_map(|line| line.strip_prefix("summary: "))
            .unwrap_or_default()
            .trim_matches('\'')
    }

    /// Whether it only looks like a fault: `check` must find nothing, or something else.
    pub const fn is_near_miss(&self) -> bool {
        self.near_miss
    }

    /// The file, to start an own world from.
    pub const fn text(&self) -> &'static str {
        self.text
    }
}

macro_rules! worlds {
    ($($name:literal),* $(,)?) => {
        &[$(Shipped {
            name: $name,
            text: include_str!(concat!("../../worlds/", $name, ".yaml")),
            near_miss: false,
        }),*]
    };
}

macro_rules! near_misses {
    ($($name:literal),* $(,)?) => {
        &[$(Shipped {
            name: $name,
            text: include_str!(concat!("../../worlds/near/", $name, ".yaml")),
            near_miss: true,
        }),*]
    };
}

static WORLDS: &[Shipped] = worlds![
    "standard",
    "healthy",
    "v4-only",
    "v4-only-unintended",
    "v6-only",
    "v6-drop",
    "v6-reject",
    "v6-reset",
    "v6-no-route",
    "one-of-two-v6-dead",
    "port-asymmetry",
    "pmtu-blackhole",
    "v6-lossy",
    "v6-slow",
    "return-path-loss",
    "return-path-loss-local",
    "icmpv6-filtered",
    "fragment-drop",
    "quic-v6-blocked",
    "v4-unreachable",
    "service-down",
    "https-record-closed",
    "aaaa-missing",
    "aaaa-planned-missing",
    "aaaa-slow",
    "aaaa-dropped",
    "aaaa-nxdomain",
    "aaaa-servfail",
    "a-dropped",
    "aaaa-unexpected",
    "ula-published",
    "servers-disagree",
    "https-hint-mismatch",
    "ns-v6-dead",
    "ns-broken",
    "ns-down",
    "ns-refuses-v6",
    "ns-no-aaaa",
    "glue-no-aaaa",
    "ttl-too-long",
    "negative-ttl-too-long",
    "not-listening-v6",
    "not-listening-v6-local",
    "tls-cert-mismatch-v6",
    "tls-cert-invalid",
    "tls-stall-v6",
    "tls-no-handshake",
    "alpn-gap-v6",
    "http-no-answer",
    "http-server-error",
    "vhost-mismatch-v6",
    "content-mismatch-v6",
    "partial-page",
    "v4-literal",
    "ptr-missing",
    "ptr-mismatch",
    "ptr-malformed",
    "ptr-not-forward-confirmed",
    "ptr-generic",
    "spf-no-v6",
    "helo-mismatch",
    "mx-no-v6",
    "client-no-fallback",
    "client-slow-fallback",
    "client-failed",
    "v6only-surprise",
    "mapped-address-acl",
    "fw-rules-differ",
    "nd-cache-full",
    "disable-ipv6-sysctl",
    "dad-failed",
    "v6-only-nat64",
    "so-2017",
    "so-2017-mended",
    "bind-nginx",
    "bind-nginx-incident",
];

static NEAR_MISSES: &[Shipped] = near_misses![
    "aaaa-behind-cname",
    "name-in-hosts-file",
    "short-name",
    "dns64-answer",
    "aaaa-as-planned-other-spelling",
    "record-order-differs",
    "aaaa-truncated",
    "aaaa-late-40ms",
    "both-types-slow",
    "a-answers-after-500ms",
    "hint-names-one-address",
    "one-ns-without-aaaa",
    "glue-of-one-ns-without-aaaa",
    "ns-v6-without-tcp",
    "ns-v6-slow",
    "ns-answers-after-3s",
    "long-a-ttl-only",
    "soa-minimum-long-ttl-short",
    "echo-answered-no-route",
    "v6-answers-after-3s",
    "v6-opens-after-2s",
    "slow-line",
    "login-on-both",
    "unused-ports-rejected",
    "port-80-closed-on-both",
    "http-only",
    "small-mtu-with-packet-too-big",
    "both-families-filter-echo",
    "slow-visitor",
    "both-families-drop-fragments",
    "no-quic-at-all",
    "v6-30ms-slower",
    "both-families-slow",
    "v4-without-echo",
    "wildcard-certificate",
    "old-tls-on-both",
    "redirect-on-both",
    "page-differs-slightly",
    "link-to-v4-only-site",
    "version-number-like-an-address",
    "ptr-by-cname",
    "ptr-other-name-confirmed",
    "ptr-with-digits",
    "ptr-in-upper-case",
    "spf-by-include",
    "helo-in-upper-case",
    "second-mx-without-v6",
    "client-falls-back",
    "dual-socket",
    "fw-rules-alike",
    "nd-cache-busy",
    "ipv6-settings-changed",
];
