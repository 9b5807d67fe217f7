//! Why one destination goes before another, in words.

use super::{Interface, Mobility, Rank, Reach};
use core::fmt;
use core::net::IpAddr;

/// The rules, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// 1: avoid unusable destinations.
    AvoidUnusable,
    /// 2: prefer matching scope.
    MatchingScope,
    /// 3: avoid deprecated source addresses.
    AvoidDeprecated,
    /// 4: prefer home addresses.
    HomeAddress,
    /// 5: prefer matching label.
    MatchingLabel,
    /// 6: prefer higher precedence.
    HigherPrecedence,
    /// 7: prefer native transport.
    NativeTransport,
    /// 8: prefer smaller scope.
    SmallerScope,
    /// C7, first addition between 8 and 9: prefer the lower round-trip time.
    LowerRoundTrip,
    /// C7, second addition between 8 and 9: prefer an address that was used before.
    UsedBefore,
    /// Ours, before 9, which compares addresses of one family only. "Other pairs are equal" is not transitive, so IPv6
    /// goes first. It decides only under a policy table that gives both families the same precedence.
    SameFamily,
    /// 9: use the longest matching prefix.
    LongestPrefix,
    /// 10: otherwise, leave the order unchanged.
    LeaveUnchanged,
}

impl Rule {
    /// The number as RFC 6724 and the checklist write it.
    pub const fn number(self) -> &'static str {
        match self {
            Self::AvoidUnusable => "1",
            Self::MatchingScope => "2",
            Self::AvoidDeprecated => "3",
            Self::HomeAddress => "4",
            Self::MatchingLabel => "5",
            Self::HigherPrecedence => "6",
            Self::NativeTransport => "7",
            Self::SmallerScope => "8",
            Self::LowerRoundTrip => "8a",
            Self::UsedBefore => "8b",
            Self::SameFamily => "8c",
            Self::LongestPrefix => "9",
            Self::LeaveUnchanged => "10",
        }
    }
}

/// Why one destination goes before another. It prints as `rule 6: precedence 40 > 35`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    rule: Rule,
    first: Rank,
    second: Rank,
}

impl Reason {
    pub(super) const fn new(rule: Rule, first: Rank, second: Rank) -> Self {
        Self {
            rule,
            first,
            second,
        }
    }

    /// The rule that decided.
    pub const fn rule(&self) -> Rule {
        self.rule
    }

    /// The destination that goes first.
    pub const fn first(&self) -> IpAddr {
        self.first.destination()
    }

    /// The destination that goes second.
    pub const fn second(&self) -> IpAddr {
        self.second.destination()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = (&self.first, &self.second);
        let loser = second.destination;
        write!(f, "rule {}: ", self.rule.number())?;
        match self.rule {
            Rule::AvoidUnusable if second.reach == Reach::NoSource => {
                write!(f, "no source address or route for {loser}")
            }
            Rule::AvoidUnusable => write!(f, "{loser} did not answer lately"),
            Rule::MatchingScope => write!(f, "the scope of {loser} is not that of its source"),
            Rule::AvoidDeprecated => write!(f, "the source for {loser} is deprecated"),
            Rule::HomeAddress => {
                let (one, other) = (word(first.mobility), word(second.mobility));
                write!(f, "{one} before {other}")
            }
            Rule::MatchingLabel => write!(f, "the label of {loser} is not that of its source"),
            Rule::HigherPrecedence => {
                write!(f, "precedence {} > {}", first.precedence, second.precedence)
            }
            Rule::NativeTransport => match second.interface {
                Interface::Encapsulated => write!(f, "{loser} is reached through a tunnel"),
                Interface::Native => f.write_str("native transport"),
            },
            Rule::SmallerScope => {
                let (one, other) = (first.scope.number(), second.scope.number());
                write!(f, "scope {one} < {other}")
            }
            Rule::LowerRoundTrip => match (first.round_trip, second.round_trip) {
                (Some(one), Some(other)) => write!(f, "round trip {one} ms < {other} ms"),
                _ => write!(f, "the round trip to {loser} is not known"),
            },
            Rule::UsedBefore => write!(f, "{loser} was not used before"),
            Rule::SameFamily => f.write_str("IPv6 before IPv4"),
            Rule::LongestPrefix => {
                let (one, other) = (first.common_prefix, second.common_prefix);
                write!(f, "{one} bits in common with the source > {other}")
            }
            Rule::LeaveUnchanged => f.write_str("nothing tells them apart, they stay as they came"),
        }
    }
}

const fn word(mobility: Mobility) -> &'static str {
    match mobility {
        Mobility::None => "an ordinary source address",
        Mobility::Home => "a home address",
        Mobility::CareOf => "a care-of address",
        Mobility::HomeAndCareOf => "a source address at home",
    }
}
