//! Telling synthesised AAAA (DNS64) from published ones, and mapping IPv4 addresses the same way.
//!
//! The prefix is found as hosts find it, by asking for `ipv4only.arpa.`
//! ([RFC 7050, section 3](https://www.rfc-editor.org/rfc/rfc7050#section-3)); how addresses are put into it is
//! [RFC 6052, section 2.2](https://www.rfc-editor.org/rfc/rfc6052#section-2.2).

use std::net::{Ipv4Addr, Ipv6Addr};

/// The name whose only addresses are [`WELL_KNOWN`]: an AAAA of it is synthesised.
pub(crate) const PROBE_NAME: &str = "ipv4only.arpa";

/// The addresses of [`PROBE_NAME`] (RFC 7050, section 8.1).
pub(crate) const WELL_KNOWN: [Ipv4Addr; 2] =
    [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// A prefix under which a network translates IPv6 to IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Nat64Prefix {
    prefix: Ipv6Addr,
    layout: Layout,
}

/// Where the four octets of the IPv4 address stand in the sixteen: octet 8 is skipped.
type Layout = [usize; 4];

/// The six prefix lengths of RFC 6052 and their layouts.
const LAYOUTS: [(u8, Layout); 6] = [
    (96, [12, 13, 14, 15]),
    (64, [9, 10, 11, 12]),
    (56, [7, 9, 10, 11]),
    (48, [6, 7, 9, 10]),
    (40, [5, 6, 7, 9]),
    (32, [4, 5, 6, 7]),
];

fn extract(address: Ipv6Addr, layout: Layout) -> Ipv4Addr {
    let octets = address.octets();
    Ipv4Addr::from(layout.map(|at| octets.get(at).copied().unwrap_or_default()))
}

impl Nat64Prefix {
    /// The first address of the prefix, if it is a /96.
    pub(crate) fn as_96(&self) -> Option<Ipv6Addr> {
        let [(_, layout), ..] = LAYOUTS;
        (self.layout == layout).then_some(self.prefix)
    }

    /// The prefix that an AAAA of [`PROBE_NAME`] was made with.
    ///
    /// A /96 is tried first: with the shorter ones the well-known address may also stand in the suffix by accident.
    pub(crate) fn of_probe(answer: Ipv6Addr) -> Option<Self> {
        let (length, layout) = LAYOUTS
            .into_iter()
            .find(|(_, layout)| WELL_KNOWN.contains(&extract(answer, *layout)))?;
        let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
        Some(Self {
            prefix: Ipv6Addr::from(u128::from(answer) & mask),
            layout,
        })
    }

    /// The IPv6 address that leads to an IPv4 address through the translator.
    pub(crate) fn map(&self, address: Ipv4Addr) -> Ipv6Addr {
        let mut octets = self.prefix.octets();
        for (at, octet) in self.layout.into_iter().zip(address.octets()) {
            if let Some(place) = octets.get_mut(at) {
                *place = octet;
            }
        }
        Ipv6Addr::from(octets)
    }

    /// The IPv4 address inside, if the address is one that the translator made (suffix zero).
    pub(crate) fn unmap(&self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let inside = extract(address, self.layout);
        (self.map(inside) == address).then_some(inside)
    }
}

impl std::fmt::Display for Nat64Prefix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let length = LAYOUTS
            .into_iter()
            .find(|(_, layout)| *layout == self.layout)
            .map_or(96, |(length, _)| length);
        write!(f, "{}/{length}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 6052, section 2.4, with the addresses of RFC 7050.
    fn check(answer: &str, prefix: &str, mapped: &str) {
        let found = Nat64Prefix::of_probe(answer.parse().unwrap()).unwrap();
        assert_eq!(found.to_string(), prefix);
        let mapped: Ipv6Addr = mapped.parse().unwrap();
        let inside = Ipv4Addr::new(192, 0, 2, 33);
        assert_eq!(found.map(inside), mapped);
        assert_eq!(found.unmap(mapped), Some(inside));
    }

    #[test]
    fn every_prefix_length_is_recognised() {
        check("2001:db8:c000:aa::", "2001:db8::/32", "2001:db8:c000:221::");
        check(
            "2001:db8:1c0:0:aa::",
            "2001:db8:100::/40",
            "2001:db8:1c0:2:21::",
        );
        check(
            "2001:db8:122:c000:0:aa00::",
            "2001:db8:122::/48",
            "2001:db8:122:c000:2:2100::",
        );
        check(
            "2001:db8:122:3c0:0:aa::",
            "2001:db8:122:300::/56",
            "2001:db8:122:3c0:0:221::",
        );
        check(
            "2001:db8:122:344:c0:0:aa00::",
            "2001:db8:122:344::/64",
            "2001:db8:122:344:c0:2:2100::",
        );
        check(
            "64:ff9b::192.0.0.171",
            "64:ff9b::/96",
            "64:ff9b::192.0.2.33",
        );
    }

    #[test]
    fn what_is_not_synthesised_is_not_recognised() {
        assert_eq!(Nat64Prefix::of_probe("2e00:5::80".parse().unwrap()), None);
        let prefix = Nat64Prefix::of_probe("64:ff9b::192.0.0.170".parse().unwrap()).unwrap();
        assert_eq!(prefix.unmap("2e00:5::80".parse().unwrap()), None);
    }
}
