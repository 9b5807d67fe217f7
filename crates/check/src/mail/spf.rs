//! SPF records: the text of one, and what it says about an address once its names are resolved.
//!
//! [RFC 7208](https://www.rfc-editor.org/rfc/rfc7208). Pure: names are resolved elsewhere and come in as a [`Policy`].
//! Macros are read, not expanded: a term with one is unknown, and unknown is neither pass nor fail.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A record, term by term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) directives: Vec<Directive>,
    /// `redirect=`, used when no directive matches.
    pub(crate) redirect: Option<DomainSpec>,
}

/// `-ip4:192.0.2.0/24`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directive {
    pub(crate) qualifier: Qualifier,
    pub(crate) mechanism: Mechanism,
    /// As written.
    pub(crate) text: String,
}

/// What a match means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Qualifier {
    Pass,
    Fail,
    SoftFail,
    Neutral,
}

/// What to compare the address with (section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mechanism {
    All,
    Net(Net),
    A {
        domain: Option<DomainSpec>,
        lengths: Lengths,
    },
    Mx {
        domain: Option<DomainSpec>,
        lengths: Lengths,
    },
    Include(DomainSpec),
    Exists(DomainSpec),
    Ptr,
}

/// A name, or a text with macros that makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DomainSpec {
    Name(String),
    Macro(String),
}

/// An address prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Net {
    pub(crate) address: IpAddr,
    pub(crate) length: u8,
}

impl Net {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.length.min(32)))
                    .unwrap_or(0);
                u32::from(net) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.length.min(128)))
                    .unwrap_or(0);
                u128::from(net) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }
}

/// The prefix lengths behind `a` and `mx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths {
    pub(crate) v4: u8,
    pub(crate) v6: u8,
}

impl Lengths {
    const WHOLE: Self = Self { v4: 32, v6: 128 };
}

impl Record {
    /// Reads a record, from `v=spf1` on. `None` when the text is another kind of TXT record.
    pub(crate) fn parse(text: &str) -> Option<Result<Self, SpfError>> {
        let mut terms = text.split(' ').filter(|term| !term.is_empty());
        if !terms.next()?.eq_ignore_ascii_case("v=spf1") {
            return None;
        }
        let mut record = Self {
            directives: Vec::new(),
            redirect: None,
        };
        for term in terms {
            if let Err(error) = record.add(term) {
                return Some(Err(error));
            }
        }
        Some(Ok(record))
    }

    fn add(&mut self, term: &str) -> Result<(), SpfError> {
        // A modifier has `=` before any of the characters that a mechanism may have (section 4.6.1).
        if let Some((name, value)) = term.split_once('=')
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        {
            if name.eq_ignore_ascii_case("redirect") {
                if self.redirect.is_some() {
                    return Err(SpfError::TwoRedirects);
                }
                self.redirect = Some(domain_spec(value, term)?);
            }
            // `exp=` and modifiers that nobody has defined change nothing (section 6).
            return Ok(());
        }
        let (qualifier, rest) = match term.chars().next() {
            Some('+') => (Qualifier::Pass, &term[1..]),
            Some('-') => (Qualifier::Fail, &term[1..]),
            Some('~') => (Qualifier::SoftFail, &term[1..]),
            Some('?') => (Qualifier::Neutral, &term[1..]),
            _ => (Qualifier::Pass, term),
        };
        self.directives.push(Directive {
            qualifier,
            mechanism: mechanism(rest, term)?,
            text: term.to_owned(),
        });
        Ok(())
    }
}

fn mechanism(text: &str, term: &str) -> Result<Mechanism, SpfError> {
    let end = text.find([':', '/']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let malformed = || SpfError::Malformed {
        term: term.to_owned(),
    };
    let argument = rest.strip_prefix(':');
    let alone = |mechanism| {
        if rest.is_empty() {
            Ok(mechanism)
        } else {
            Err(malformed())
        }
    };
    match name.to_ascii_lowercase().as_str() {
        "all" => alone(Mechanism::All),
        "ptr" => Ok(Mechanism::Ptr),
        "include" => Ok(Mechanism::Include(domain_spec(
            argument.ok_or_else(malformed)?,
            term,
        )?)),
        "exists" => Ok(Mechanism::Exists(domain_spec(
            argument.ok_or_else(malformed)?,
            term,
        )?)),
        "ip4" => {
            let (address, length) = net_parts::<Ipv4Addr>(argument, 32).ok_or_else(malformed)?;
            Ok(Mechanism::Net(Net {
                address: IpAddr::V4(address),
                length,
            }))
        }
        "ip6" => {
            let (address, length) = net_parts::<Ipv6Addr>(argument, 128).ok_or_else(malformed)?;
            Ok(Mechanism::Net(Net {
                address: IpAddr::V6(address),
                length,
            }))
        }
        kind @ ("a" | "mx") => {
            let body = argument.unwrap_or(rest);
            // The lengths stand behind the first slash that no macro encloses.
            let slash = body
                .find('/')
                .filter(|_| !body.contains("%{"))
                .unwrap_or(body.len());
            let (domain, lengths) = body.split_at(slash);
            let domain = match argument {
                Some(_) => Some(domain_spec(domain, term)?),
                None if domain.is_empty() => None,
                None => return Err(malformed()),
            };
            let lengths = lengths_of(lengths).ok_or_else(malformed)?;
            Ok(if kind == "a" {
                Mechanism::A { domain, lengths }
            } else {
                Mechanism::Mx { domain, lengths }
            })
        }
        _ => Err(SpfError::UnknownMechanism {
            term: term.to_owned(),
        }),
    }
}

fn net_parts<A: std::str::FromStr>(text: Option<&str>, longest: u8) -> Option<(A, u8)> {
    let text = text?;
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, prefix_length(length, longest)?),
        None => (text, longest),
    };
    Some((address.parse().ok()?, length))
}

/// `/24`, `//64` or `/24//64` (section 5.6).
fn lengths_of(text: &str) -> Option<Lengths> {
    let mut lengths = Lengths::WHOLE;
    if text.is_empty() {
        return Some(lengths);
    }
    let (v4, v6) = match text.split_once("//") {
        Some((v4, v6)) => (v4, Some(v6)),
        None => (text, None),
    };
    if !v4.is_empty() {
        lengths.v4 = prefix_length(v4.strip_prefix('/')?, 32)?;
    }
    if let Some(v6) = v6 {
        lengths.v6 = prefix_length(v6, 128)?;
    }
    Some(lengths)
}

fn prefix_length(text: &str, longest: u8) -> Option<u8> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u8>()
        .ok()
        .filter(|length| digits && *length <= longest)
}

fn domain_spec(text: &str, term: &str) -> Result<DomainSpec, SpfError> {
    if text.contains('%') {
        return Ok(DomainSpec::Macro(text.to_owned()));
    }
    match twinstack_dns::Name::parse(text) {
        Ok(name) if !name.is_root() => Ok(DomainSpec::Name(name.to_string())),
        _ => Err(SpfError::Malformed {
            term: term.to_owned(),
        }),
    }
}

/// Why a record cannot be used: receivers compute "permerror".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum SpfError {
    /// A mechanism that does not exist.
    #[error("`{term}` is no SPF mechanism")]
    UnknownMechanism { term: String },
    /// A mechanism with a wrong argument.
    #[error("`{term}` is malformed")]
    Malformed { term: String },
    /// `redirect=` stands twice.
    #[error("`redirect=` stands twice")]
    TwoRedirects,
    /// More than one record for one domain (section 4.5).
    #[error("{count} SPF records stand at one name, and one is allowed")]
    Several { count: usize },
    /// More than ten terms that need a look-up (section 4.6.4).
    #[error("more than {limit} terms need a DNS look-up")]
    TooManyLookups { limit: usize },
    /// An included domain without a record (section 5.2).
    #[error("`{domain}` has no SPF record")]
    IncludedNone { domain: String },
}

/// A record with its names resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    pub(crate) domain: String,
    pub(crate) rules: Vec<Rule>,
    pub(crate) redirect: Option<Box<Resolved>>,
}

/// A directive with its names resolved.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rule {
    pub(crate) qualifier: Qualifier,
    pub(crate) matcher: Matcher,
    /// As written.
    pub(crate) text: String,
}

/// What an address is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Matcher {
    All,
    Net(Net),
    /// The addresses of `a` or `mx`, and how many bits of them count.
    Hosts {
        addresses: BTreeSet<IpAddr>,
        lengths: Lengths,
    },
    Include(Box<Resolved>),
    /// Cannot be told: a macro, `ptr`, `exists`, or a look-up that failed; the reason.
    Unknown(String),
}

/// What became of a domain's policy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resolved {
    /// It has one.
    Policy(Policy),
    /// It has none.
    None,
    /// It has one that receivers cannot use.
    Broken(SpfError),
    /// The look-up failed; the reason.
    Unknown(String),
}

/// The result for one address.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) result: SpfResult,
    /// The term that decided, as written; empty when none did.
    pub(crate) by: String,
    /// Terms on the way that could not be told: with any, a result other than pass is not certain.
    pub(crate) unknown: Vec<String>,
}

/// The results of RFC 7208, section 2.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpfResult {
    Pass,
    Fail,
    SoftFail,
    Neutral,
    None,
    PermError,
    /// Depends on something that could not be looked at.
    Unknown,
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::SoftFail => "softfail",
            Self::Neutral => "neutral",
            Self::None => "none",
            Self::PermError => "permerror",
            Self::Unknown => "unknown",
        })
    }
}

impl From<Qualifier> for SpfResult {
    fn from(qualifier: Qualifier) -> Self {
        match qualifier {
            Qualifier::Pass => Self::Pass,
            Qualifier::Fail => Self::Fail,
            Qualifier::SoftFail => Self::SoftFail,
            Qualifier::Neutral => Self::Neutral,
        }
    }
}

impl Resolved {
    /// The result for one sender.
    pub(crate) fn evaluate(&self, sender: IpAddr) -> Outcome {
        let plain = |result, by: &str| Outcome {
            result,
            by: by.to_owned(),
            unknown: Vec::new(),
        };
        match self {
            Self::Policy(policy) => policy.evaluate(sender),
            Self::None => plain(SpfResult::None, ""),
            Self::Broken(error) => plain(SpfResult::PermError, &error.to_string()),
            Self::Unknown(why) => Outcome {
                result: SpfResult::Unknown,
                by: String::new(),
                unknown: vec![why.clone()],
            },
        }
    }
}

impl Policy {
    fn evaluate(&self, sender: IpAddr) -> Outcome {
        let mut unknown = Vec::new();
        for rule in &self.rules {
            let matches = match &rule.matcher {
                Matcher::All => true,
                Matcher::Net(net) => net.contains(sender),
                Matcher::Hosts { addresses, lengths } => addresses.iter().any(|address| {
                    let length = if address.is_ipv4() {
                        lengths.v4
                    } else {
                        lengths.v6
                    };
                    Net {
                        address: *address,
                        length,
                    }
                    .contains(sender)
                }),
                Matcher::Include(inner) => {
                    // Section 5.2: pass matches; none and permerror are a permerror here; the rest does not match.
                    let outcome = inner.evaluate(sender);
                    unknown.extend(outcome.unknown);
                    match outcome.result {
                        SpfResult::Pass => true,
                        SpfResult::None | SpfResult::PermError => {
                            return Outcome {
                                result: SpfResult::PermError,
                                by: rule.text.clone(),
                                unknown,
                            };
                        }
                        _ => false,
                    }
                }
                Matcher::Unknown(why) => {
                    unknown.push(format!("`{}`: {why}", rule.text));
                    false
                }
            };
            if matches {
                return Outcome {
                    result: rule.qualifier.into(),
                    by: rule.text.clone(),
                    unknown,
                };
            }
        }
        match &self.redirect {
            Some(target) => {
                let mut outcome = target.evaluate(sender);
                // Section 6.1: a redirect to nothing is an error.
                if outcome.result == SpfResult::None {
                    outcome.result = SpfResult::PermError;
                }
                unknown.append(&mut outcome.unknown);
                Outcome { unknown, ..outcome }
            }
            None => Outcome {
                result: SpfResult::Neutral,
                by: String::new(),
                unknown,
            },
        }
    }
}

#[cfg(test)]
mod tests;
