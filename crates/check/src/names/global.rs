//! Which IPv6 addresses the Internet cannot reach: the IANA IPv6 Special-Purpose Address Registry
//! ([RFC 6890](https://www.rfc-editor.org/rfc/rfc6890), registry as of 2026), plus what was given up since.
//!
//! Space that IANA has merely not handed out yet is not special: it may be tomorrow's.

use std::net::Ipv6Addr;

/// A block that must not stand in a public AAAA, and what it is.
struct Block {
    prefix: Ipv6Addr,
    length: u32,
    what: &'static str,
}

const fn block(segments: [u16; 8], length: u32, what: &'static str) -> Block {
    Block {
        prefix: Ipv6Addr::from_segments(segments),
        length,
        what,
    }
}

/// The registry's blocks that are not globally reachable, the more specific ones first.
///
/// Deviation: `64:ff9b::/96` and `2002::/16` are "globally reachable" or "N/A" in the registry. Published in an AAAA both
/// are wrong: the first is every network's own translator, the relays of the second are gone (RFC 7526).
const SPECIAL: &[Block] = &[
    block([0, 0, 0, 0, 0, 0, 0, 0], 128, "the unspecified address"),
    block([0, 0, 0, 0, 0, 0, 0, 1], 128, "the loopback address"),
    block([0, 0, 0, 0, 0, 0xffff, 0, 0], 96, "IPv4-mapped"),
    block(
        [0, 0, 0, 0, 0, 0, 0, 0],
        96,
        "IPv4-compatible, given up in 2006",
    ),
    block(
        [0x64, 0xff9b, 0, 0, 0, 0, 0, 0],
        96,
        "the well-known NAT64 prefix",
    ),
    block([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, "a local NAT64 prefix"),
    block([0x100, 0, 0, 0, 0, 0, 0, 0], 64, "discard-only"),
    block([0x100, 0, 0, 1, 0, 0, 0, 0], 64, "the dummy prefix"),
    block([0x2001, 0, 0, 0, 0, 0, 0, 0], 32, "Teredo"),
    block([0x2001, 2, 0, 0, 0, 0, 0, 0], 48, "benchmarking"),
    block(
        [0x2001, 0x10, 0, 0, 0, 0, 0, 0],
        28,
        "ORCHID, given up in 2014",
    ),
    block([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, "documentation"),
    block(
        [0x2001, 0, 0, 0, 0, 0, 0, 0],
        23,
        "set aside for IETF protocols",
    ),
    block([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, "6to4"),
    block([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, "documentation"),
    block(
        [0x5f00, 0, 0, 0, 0, 0, 0, 0],
        16,
        "segment routing identifiers",
    ),
    block([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, "unique local"),
    block([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, "link-local"),
    block(
        [0xfec0, 0, 0, 0, 0, 0, 0, 0],
        10,
        "site-local, given up in 2004",
    ),
    block([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, "multicast"),
];

/// What the registry lists inside 2001::/23 as globally reachable.
const REACHABLE: &[Block] = &[
    block([0x2001, 1, 0, 0, 0, 0, 0, 1], 128, "PCP anycast"),
    block([0x2001, 1, 0, 0, 0, 0, 0, 2], 128, "TURN anycast"),
    block([0x2001, 1, 0, 0, 0, 0, 0, 3], 128, "DNS-SD anycast"),
    block([0x2001, 3, 0, 0, 0, 0, 0, 0], 32, "AMT"),
    block([0x2001, 4, 0x112, 0, 0, 0, 0, 0], 48, "AS112"),
    block([0x2001, 0x20, 0, 0, 0, 0, 0, 0], 28, "ORCHIDv2"),
    block(
        [0x2001, 0x30, 0, 0, 0, 0, 0, 0],
        28,
        "drone remote identification",
    ),
];

impl Block {
    fn contains(&self, address: Ipv6Addr) -> bool {
        let mask = u128::MAX.checked_shl(128 - self.length).unwrap_or(0);
        u128::from(address) & mask == u128::from(self.prefix)
    }
}

/// What is special about an address that the Internet cannot reach; `None` for an ordinary global one.
pub(crate) fn special_purpose(address: Ipv6Addr) -> Option<&'static str> {
    if REACHABLE.iter().any(|block| block.contains(address)) {
        return None;
    }
    SPECIAL
        .iter()
        .find(|block| block.contains(address))
        .map(|block| block.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_blocks_are_named() {
        let check = |address: &str, what: &str| {
            let address: Ipv6Addr = address.parse().unwrap();
            assert_eq!(special_purpose(address), Some(what), "{address}");
        };
        check("::", "the unspecified address");
        check("::1", "the loopback address");
        check("::192.0.2.1", "IPv4-compatible, given up in 2006");
        check("::ffff:192.0.2.1", "IPv4-mapped");
        check("64:ff9b::c000:201", "the well-known NAT64 prefix");
        check("64:ff9b:1:2::1", "a local NAT64 prefix");
        check("100::1", "discard-only");
        check("2001::1", "Teredo");
        check("2001:db8::80", "documentation");
        check("2001:1::4", "set aside for IETF protocols");
        check("2002:c000:201::1", "6to4");
        check("3fff:fff::1", "documentation");
        check("fd00::80", "unique local");
        check("fe80::1", "link-local");
        check("ff02::1", "multicast");
    }

    #[test]
    fn ordinary_addresses_and_the_registrys_exceptions_are_fine() {
        for address in [
            "2e00:5::80",
            "2000::1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2001:1::1",
            "2001:20::1",
            "2003::1",
            "2a00::1",
            "3fff:1000::1",
            "64:ff9b:2::1",
        ] {
            assert_eq!(special_purpose(address.parse().unwrap()), None, "{address}");
        }
    }

    #[test]
    fn every_prefix_of_the_tables_has_its_host_bits_zero() {
        for block in SPECIAL.iter().chain(REACHABLE) {
            assert!(block.contains(block.prefix), "{}", block.prefix);
        }
    }
}
