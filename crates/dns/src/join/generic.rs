//! Whether a name is a template that a provider filled with the address.
//!
//! The address counts in any spelling that providers use: decimal octets in either order with `-`, `.`, `_` or `x`
//! between or zero-padded without, hexadecimal octets, nibbles or groups of IPv6 with or without separators. Words
//! such as `dyn` count only together with digits: `dhcp.example.com` may well be the DHCP server.

use crate::name::Name;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether `name` looks made from `address`.
pub(super) fn is_generic(address: IpAddr, name: &Name) -> bool {
    let text = name.to_string().to_ascii_lowercase();
    let embedded = match address {
        IpAddr::V4(address) => holds_v4(&text, address),
        IpAddr::V6(address) => holds_v6(&text, address),
    };
    embedded || has_pool_word_and_digits(&text, address)
}

fn holds_v4(text: &str, address: Ipv4Addr) -> bool {
    let octets = address.octets();
    let mut reversed = octets;
    reversed.reverse();
    let runs = digit_runs(text);
    let in_runs = |wanted: &[u8]| {
        runs.windows(wanted.len()).any(|window| {
            window
                .iter()
                .zip(wanted)
                .enumerate()
                .all(|(index, (run, octet))| {
                    // One character between numbers, as in 203-0-113-5; the first may follow anything.
                    (index == 0 || run.gap == 1) && run.text.parse() == Ok(*octet)
                })
        })
    };
    let padded = |octets: [u8; 4]| octets.map(|octet| format!("{octet:03}")).concat();
    let hex = |octets: [u8; 4]| octets.map(|octet| format!("{octet:02x}")).concat();
    in_runs(&octets)
        || in_runs(&reversed)
        || [padded(octets), padded(reversed)]
            .iter()
            .any(|wanted| runs.iter().any(|run| run.text == wanted))
        || [hex(octets), hex(reversed)]
            .iter()
            .any(|wanted| has_hex_word(text, wanted))
}

fn holds_v6(text: &str, address: Ipv6Addr) -> bool {
    let octets = address.octets();
    let nibbles: String = octets.map(|octet| format!("{octet:02x}")).concat();
    let reversed: String = nibbles.chars().rev().collect();
    let bare: String = text
        .chars()
        .filter(|character| !is_separator(*character))
        .collect();
    // The lower half alone is enough if it is not mostly zeros: many templates leave the provider's prefix out.
    let interface = nibbles.get(16..).unwrap_or_default();
    let telling = interface.trim_start_matches('0').len() >= 8;
    if bare.contains(&nibbles) || bare.contains(&reversed) || telling && bare.contains(interface) {
        return true;
    }
    // Groups, as people write addresses: all eight, or with `::`, which becomes `--` in a name.
    let dashed: String = text
        .chars()
        .map(|character| {
            if is_separator(character) {
                '-'
            } else {
                character
            }
        })
        .collect();
    let groups = address.segments().map(|group| format!("{group:x}"));
    let full = groups.join("-");
    let padded = address
        .segments()
        .map(|group| format!("{group:04x}"))
        .join("-");
    let short = address.to_string().replace(':', "-");
    let mut backwards = groups;
    backwards.reverse();
    [full, padded, backwards.join("-"), short]
        .iter()
        .any(|wanted| wanted.len() >= 7 && contains_word(&dashed, wanted))
}

/// Words that pools of customers' addresses carry.
const POOL_WORDS: [&str; 22] = [
    "adsl",
    "broadband",
    "cable",
    "client",
    "cpe",
    "cust",
    "customer",
    "dhcp",
    "dial",
    "dialin",
    "dialup",
    "dip",
    "dsl",
    "dyn",
    "dynamic",
    "dynip",
    "fttx",
    "pool",
    "ppp",
    "pppoe",
    "unassigned",
    "vdsl",
];

/// A pool word, and digits that come from the address or are too long for a host's number.
fn has_pool_word_and_digits(text: &str, address: IpAddr) -> bool {
    let words = text.split(|character: char| !character.is_ascii_alphabetic());
    if !words.into_iter().any(|word| POOL_WORDS.contains(&word)) {
        return false;
    }
    let last = match address {
        IpAddr::V4(address) => {
            let [.., third, fourth] = address.octets();
            vec![(third, fourth), (fourth, third)]
        }
        IpAddr::V6(_) => Vec::new(),
    };
    let runs = digit_runs(text);
    let from_address = runs.windows(2).any(|pair| match pair {
        [first, second] => last.iter().any(|(one, other)| {
            first.text.parse() == Ok(*one) && second.text.parse() == Ok(*other)
        }),
        _ => false,
    });
    // `pool-2001-db8-17` has hexadecimal groups of an IPv6 address.
    let groups = match address {
        IpAddr::V6(address) => address
            .segments()
            .map(|group| format!("{group:x}"))
            .to_vec(),
        IpAddr::V4(_) => Vec::new(),
    };
    let shared = text
        .split(|character: char| !character.is_ascii_hexdigit())
        .filter(|word| word.len() > 1 && groups.iter().any(|group| group == word))
        .count();
    from_address || shared >= 2 || runs.iter().any(|run| run.text.len() >= 4)
}

/// A run of decimal digits, and how many characters lie between it and the run before.
struct Run<'a> {
    text: &'a str,
    gap: usize,
}

fn digit_runs(text: &str) -> Vec<Run<'_>> {
    let mut runs = Vec::new();
    let mut gap = 0_usize;
    for piece in text.split_inclusive(|character: char| !character.is_ascii_digit()) {
        let digits = piece.trim_end_matches(|character: char| !character.is_ascii_digit());
        if !digits.is_empty() {
            runs.push(Run { text: digits, gap });
            gap = 0;
        }
        gap = gap.saturating_add(piece.len().saturating_sub(digits.len()));
    }
    runs
}

const fn is_separator(character: char) -> bool {
    matches!(character, '-' | '.' | '_' | ':')
}

/// Eight hex digits with no further hex digit on either side.
fn has_hex_word(text: &str, wanted: &str) -> bool {
    text.split(|character: char| !character.is_ascii_hexdigit())
        .any(|word| word == wanted)
}

/// Whether `wanted` stands in `text` with no hex digit directly before or behind.
fn contains_word(text: &str, wanted: &str) -> bool {
    text.match_indices(wanted).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let behind = text
            .get(at.saturating_add(wanted.len())..)
            .and_then(|text| text.chars().next());
        [before, behind]
            .into_iter()
            .flatten()
            .all(|neighbour| !neighbour.is_ascii_hexdigit())
    })
}
