//! Reverse names: the name below `ip6.arpa.` or `in-addr.arpa.` that belongs to an address, and the way back.
//!
//! RFC 3596 section 2.5 (32 nibbles, the last one first) and RFC 1035 section 3.5 (four octets, the last one first).
//! [`near_misses`] knows the places where people put a PTR record that nobody will ever find.

use crate::name::Name;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The reverse name of an address.
pub fn name_of(address: IpAddr) -> Name {
    match address {
        IpAddr::V4(address) => below(
            address.octets().iter().rev().map(u8::to_string),
            &["in-addr", "arpa"],
        ),
        IpAddr::V6(address) => below(nibbles(address).into_iter().rev(), &["ip6", "arpa"]),
    }
}

/// The address that a reverse name belongs to.
pub fn address_of(name: &Name) -> Result<IpAddr, NotReverse> {
    let labels: Vec<String> = name
        .labels()
        .rev()
        .map(|label| String::from_utf8_lossy(label).to_ascii_lowercase())
        .collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    match labels.as_slice() {
        ["arpa", "ip6", digits @ ..] => address_v6(digits).map(IpAddr::V6),
        ["arpa", "in-addr", octets @ ..] => address_v4(octets).map(IpAddr::V4),
        ["int", "ip6", ..] => Err(NotReverse::Ip6Int),
        _ => Err(NotReverse::Elsewhere),
    }
}

/// Whether a name is below (or is) one of the two reverse trees.
pub fn is_in_reverse_tree(name: &Name) -> bool {
    let mut labels = name.labels().rev();
    let (last, before) = (labels.next(), labels.next());
    last.is_some_and(|label| label.eq_ignore_ascii_case(b"arpa"))
        && before.is_some_and(|label| {
            label.eq_ignore_ascii_case(b"ip6") || label.eq_ignore_ascii_case(b"in-addr")
        })
}

/// A mistake in an owner name that hides a PTR record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NearMiss {
    /// The digits in reading order instead of last one first.
    NotReversed,
    /// Groups of four hex digits as labels instead of single ones.
    Groups,
    /// Leading zeros left out, so fewer than 32 labels.
    Shortened,
    /// An IPv6 address below `in-addr.arpa.`.
    UnderInAddr,
    /// An IPv4 address below `ip6.arpa.`, as `::ffff:a.b.c.d`.
    UnderIp6,
    /// Below `ip6.int.`, which was given up in 2005 (RFC 4159).
    Ip6Int,
}

impl fmt::Display for NearMiss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReversed => "the digits are not reversed",
            Self::Groups => "groups of hex digits instead of single ones",
            Self::Shortened => "leading zeros are missing",
            Self::UnderInAddr => "an IPv6 address below in-addr.arpa",
            Self::UnderIp6 => "an IPv4 address below ip6.arpa",
            Self::Ip6Int => "below ip6.int instead of ip6.arpa",
        })
    }
}

/// The owner names that somebody may have given the PTR record of this address by mistake.
///
/// Each differs from [`name_of`] and from the others.
pub fn near_misses(address: IpAddr) -> Vec<(NearMiss, Name)> {
    let candidates = match address {
        IpAddr::V4(v4) => vec![
            (
                NearMiss::NotReversed,
                below(v4.octets().iter().map(u8::to_string), &["in-addr", "arpa"]),
            ),
            (NearMiss::UnderIp6, name_of(IpAddr::V6(v4.to_ipv6_mapped()))),
        ],
        IpAddr::V6(v6) => {
            let nibbles = nibbles(v6);
            let short: Vec<String> = v6
                .segments()
                .iter()
                .flat_map(|group| {
                    format!("{group:x}")
                        .chars()
                        .map(String::from)
                        .collect::<Vec<_>>()
                })
                .collect();
            let groups = v6.segments().map(|group| format!("{group:x}"));
            vec![
                (
                    NearMiss::NotReversed,
                    below(nibbles.iter(), &["ip6", "arpa"]),
                ),
                (
                    NearMiss::Groups,
                    below(groups.iter().rev(), &["ip6", "arpa"]),
                ),
                (
                    NearMiss::Shortened,
                    below(short.iter().rev(), &["ip6", "arpa"]),
                ),
                (
                    NearMiss::UnderInAddr,
                    below(nibbles.iter().rev(), &["in-addr", "arpa"]),
                ),
                (
                    NearMiss::Ip6Int,
                    below(nibbles.iter().rev(), &["ip6", "int"]),
                ),
            ]
        }
    };
    let mut names = vec![name_of(address)];
    let mut found = Vec::new();
    for (miss, name) in candidates {
        if !names.contains(&name) {
            names.push(name.clone());
            found.push((miss, name));
        }
    }
    found
}

/// Why a name is no reverse name of one address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotReverse {
    /// Neither below `ip6.arpa.` nor below `in-addr.arpa.`.
    #[error("the name is below neither ip6.arpa nor in-addr.arpa")]
    Elsewhere,
    /// Below `ip6.int.`.
    #[error("the name is below ip6.int, which nobody asks any more; use ip6.arpa")]
    Ip6Int,
    /// Not 32 nibbles.
    #[error("the name has {found} labels before ip6.arpa; an address has 32")]
    Nibbles {
        /// How many labels there are.
        found: usize,
    },
    /// A label that is no nibble.
    #[error("the label `{label}` is not one hex digit")]
    NotNibble {
        /// The label.
        label: String,
    },
    /// Not four octets.
    #[error("the name has {found} labels before in-addr.arpa; an address has 4")]
    Octets {
        /// How many labels there are.
        found: usize,
    },
    /// A label that is no octet.
    #[error("the label `{label}` is not a number from 0 to 255 without leading zeros")]
    NotOctet {
        /// The label.
        label: String,
    },
}

/// The highest nibble first, as in the address.
fn nibbles(address: Ipv6Addr) -> Vec<String> {
    let bits = u128::from(address);
    (0..32_u32)
        .map(|index| {
            let shift = 124_u32.saturating_sub(index.saturating_mul(4));
            format!("{:x}", bits.checked_shr(shift).unwrap_or(0) & 0xf)
        })
        .collect()
}

fn below<L: AsRef<[u8]>>(labels: impl IntoIterator<Item = L>, tree: &[&str]) -> Name {
    let labels: Vec<Vec<u8>> = labels
        .into_iter()
        .map(|label| label.as_ref().to_vec())
        .chain(tree.iter().map(|label| label.as_bytes().to_vec()))
        .collect();
    Name::from_labels(labels).expect("at most 32 labels of at most 4 octets fit into a name")
}

fn address_v6(digits: &[&str]) -> Result<Ipv6Addr, NotReverse> {
    let mut bits = 0_u128;
    for label in digits {
        let nibble = match label.as_bytes() {
            [digit] => char::from(*digit).to_digit(16),
            _ => None,
        };
        let nibble = nibble.ok_or_else(|| NotReverse::NotNibble {
            label: (*label).to_owned(),
        })?;
        bits = bits << 4 | u128::from(nibble);
    }
    if digits.len() == 32 {
        Ok(Ipv6Addr::from(bits))
    } else {
        Err(NotReverse::Nibbles {
            found: digits.len(),
        })
    }
}

fn address_v4(labels: &[&str]) -> Result<Ipv4Addr, NotReverse> {
    let mut octets = Vec::new();
    for label in labels {
        let octet = label
            .parse::<u8>()
            .ok()
            // `007` and `+7` are other names than `7`.
            .filter(|octet| octet.to_string() == *label);
        octets.push(octet.ok_or_else(|| NotReverse::NotOctet {
            label: (*label).to_owned(),
        })?);
    }
    <[u8; 4]>::try_from(octets)
        .map(Ipv4Addr::from)
        .map_err(|octets| NotReverse::Octets {
            found: octets.len(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(address: &str, name: &str) {
        let address: IpAddr = address.parse().unwrap();
        let name = Name::parse(name).unwrap();
        assert_eq!(name_of(address), name);
        assert_eq!(address_of(&name), Ok(address));
    }

    #[test]
    fn names_of_addresses() {
        check("192.0.2.80", "80.2.0.192.in-addr.arpa.");
        check(
            "2e00:5::80",
            "0.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.5.0.0.0.0.0.e.2.ip6.arpa.",
        );
        check(
            "2001:DB8::F",
            "F.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.IP6.ARPA.",
        );
    }

    #[test]
    fn other_names_say_why_not() {
        let check = |name: &str, expected: NotReverse| {
            assert_eq!(
                address_of(&Name::parse(name).unwrap()),
                Err(expected),
                "{name}"
            );
        };
        check("www.lab.test", NotReverse::Elsewhere);
        check("1.2.ip6.int", NotReverse::Ip6Int);
        check("1.2.ip6.arpa", NotReverse::Nibbles { found: 2 });
        check(
            "10.2.ip6.arpa",
            NotReverse::NotNibble {
                label: "10".to_owned(),
            },
        );
        check("2.0.192.in-addr.arpa", NotReverse::Octets { found: 3 });
        check(
            "080.2.0.192.in-addr.arpa",
            NotReverse::NotOctet {
                label: "080".to_owned(),
            },
        );
        check(
            "256.2.0.192.in-addr.arpa",
            NotReverse::NotOctet {
                label: "256".to_owned(),
            },
        );
    }

    #[test]
    fn near_misses_are_where_people_put_records() {
        let misses = |address: &str| -> Vec<String> {
            near_misses(address.parse().unwrap())
                .into_iter()
                .map(|(miss, name)| format!("{miss:?} {name}"))
                .collect()
        };
        assert_eq!(misses("192.0.2.1")[0], "NotReversed 192.0.2.1.in-addr.arpa");
        let v6 = misses("2e00:5::80");
        assert!(
            v6.contains(&"Groups 80.0.0.0.0.0.5.2e00.ip6.arpa".to_owned()),
            "{v6:?}"
        );
        assert!(
            v6.contains(&"Shortened 0.8.0.0.0.0.0.5.0.0.e.2.ip6.arpa".to_owned()),
            "{v6:?}"
        );
    }

    #[test]
    fn a_palindrome_has_no_reversed_near_miss() {
        assert!(
            near_misses("1.2.2.1".parse().unwrap())
                .iter()
                .all(|(miss, _)| *miss != NearMiss::NotReversed)
        );
    }

    proptest! {
        #[test]
        fn every_address_comes_back(v6: u128, v4: u32) {
            for address in [IpAddr::V6(v6.into()), IpAddr::V4(v4.into())] {
                let name = name_of(address);
                prop_assert_eq!(address_of(&name), Ok(address));
                prop_assert!(is_in_reverse_tree(&name));
                for (_, miss) in near_misses(address) {
                    prop_assert_ne!(address_of(&miss), Ok(address));
                }
            }
        }

        #[test]
        fn any_name_is_an_address_or_an_error(name in crate::name::tests::any_name()) {
            if let Ok(address) = address_of(&name) {
                prop_assert_eq!(name_of(address), name);
            }
        }
    }
}
