//! Learning the prefix of a network from its answer for `ipv4only.arpa` (RFC 7050, N1).

use super::{MAX_PREFIXES, Prefix64};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

/// The name whose AAAA records a network with DNS64 makes up; asked with the root label, so that no search list applies.
pub const DISCOVERY_NAME: &str = "ipv4only.arpa.";

/// Its two A records.
pub const WELL_KNOWN_ADDRESSES: [Ipv4Addr; 2] =
    [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// The prefixes behind the AAAA records of [`DISCOVERY_NAME`], in the order of the answer.
///
/// A record that has neither of the two addresses in any of the six places is a wrong answer (a resolver that rewrites
/// NXDOMAIN, a captive portal) and yields nothing. So does a record that can be read in two ways, unless the record for
/// the other address settles which one is meant: a prefix may contain the four octets by chance.
pub fn discover(answers: &[Ipv6Addr]) -> Vec<Prefix64> {
    let mut found: Vec<Prefix64> = Vec::new();
    for &answer in answers {
        // Some translators have a suffix of their own, but whoever has none is not to be doubted for it.
        let prefix = only_reading(answer, answers, Suffix::Zero);
        let Some(prefix) = prefix.or_else(|| only_reading(answer, answers, Suffix::Any)) else {
            continue;
        };
        if found.len() == MAX_PREFIXES {
            break;
        }
        if !found.contains(&prefix) {
            found.push(prefix);
        }
    }
    found
}

/// What may follow the IPv4 address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Suffix {
    Zero,
    Any,
}

/// The one way to read `answer`: the only one there is, or the only one that the record for the other address confirms.
fn only_reading(answer: Ipv6Addr, answers: &[Ipv6Addr], suffix: Suffix) -> Option<Prefix64> {
    let mut all = readings(answer, suffix);
    let (first, _) = all.next()?;
    if all.next().is_none() {
        return Some(first);
    }
    let [one, two] = WELL_KNOWN_ADDRESSES;
    let mut confirmed = readings(answer, suffix).filter(|&(prefix, inside)| {
        let other = if inside == one { two } else { one };
        answers
            .iter()
            .any(|&answer| prefix.extract(answer) == Some(other))
    });
    let (only, _) = confirmed.next()?;
    confirmed.next().is_none().then_some(only)
}

/// Every way to read an address as a well-known one behind a prefix.
fn readings(answer: Ipv6Addr, suffix: Suffix) -> impl Iterator<Item = (Prefix64, Ipv4Addr)> {
    Prefix64::LENGTHS.into_iter().filter_map(move |length| {
        let prefix = Prefix64::of(answer, length).ok()?;
        let inside = prefix.extract(answer)?;
        let fits = suffix == Suffix::Any || prefix.synthesize(inside) == answer;
        (fits && WELL_KNOWN_ADDRESSES.contains(&inside)).then_some((prefix, inside))
    })
}
