//! Findings: what was found out about somebody's setup.
//!
//! A finding is a value. The same value is rendered as text, JSON and JUnit, and turned into evidence for a
//! rollout. This crate is the leaf that every other one may depend on; it holds no table of codes: each crate owns
//! the table of its own ([`CodeInfo`]).
//!
//! A finding is *not* an error: looking and failing to look are different results. What could not be looked at is a
//! [`Skipped`].

mod place;

pub use place::{LineIndex, Place, Span};

use serde::{Deserialize, Serialize};
use std::fmt;

/// A stable code such as `dns.aaaa-missing`: area, dot, slug. It never changes meaning.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(std::borrow::Cow<'static, str>);

impl Code {
    /// A code of a crate's own table.
    pub const fn of(code: &'static str) -> Self {
        Self(std::borrow::Cow::Borrowed(code))
    }

    /// A code that a user wrote, in a world's `expect:` for example; lower case letters, digits and `-`, one dot.
    pub fn parse(text: &str) -> Result<Self, MalformedCode> {
        let legal = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        match text.split_once('.') {
            Some((area, slug)) if legal(area) && legal(slug) => Ok(Self(text.to_owned().into())),
            _ => Err(MalformedCode(text.to_owned())),
        }
    }

    /// The whole code, `dns.aaaa-missing`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the dot: `dns`, `reach`, `tls`, `http`, `ptr`, `mail`, `host`, `client`.
    pub fn area(&self) -> &str {
        self.0.split_once('.').map_or(&*self.0, |(area, _)| area)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text that is not a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalformedCode(pub String);

impl fmt::Display for MalformedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a finding code; one looks like `dns.aaaa-missing`",
            self.0
        )
    }
}

impl std::error::Error for MalformedCode {}

/// How bad a finding is. The order is the order of badness: `Info < Warning < Failure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing has to change.
    Info,
    /// Users do not see it yet (fallback hides it), or only some of them do.
    Warning,
    /// Visible to users on its own.
    Failure,
}

impl Severity {
    /// The word of the JSON, of JUnit and of the terminal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Failure => "failure",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One row of a crate's table of codes.
#[derive(Clone, Copy, Debug)]
pub struct CodeInfo {
    /// The code itself.
    pub code: &'static str,
    /// The number in the failure catalogue, such as `D101`; `None` for codes that the catalogue does not list.
    pub catalogue: Option<&'static str>,
    /// The severity that a finding with this code has unless the rule says otherwise.
    pub severity: Severity,
    /// What it means in one line, lower case, no full stop.
    pub title: &'static str,
    /// The page, in Markdown, as `twinstack explain CODE` prints it.
    pub page: &'static str,
}

/// One observation that supports a finding: what was sent, what came back, when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// What was done: ``asked ns1.lab.test [2e00:5::53]:53 over UDP for www.lab.test AAAA``.
    pub did: String,
    /// What came back: `no answer within 2.0 s`.
    pub saw: String,
    /// When, in seconds since the start of the run; `None` where no clock was involved (files).
    #[serde(rename = "at_seconds")]
    pub at: Option<f64>,
}

/// Something wrong, or worth knowing, about somebody's setup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which kind of fault.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// What it is about: a name, an address, `address port`, a file.
    pub subject: String,
    /// What is wrong in one sentence: lower case, no full stop, objects in backticks.
    pub message: String,
    /// What supports it.
    pub evidence: Vec<Evidence>,
    /// The command or line to change; never part of the message.
    pub hint: String,
    /// Where in a user's file, if in a file at all.
    pub place: Option<Place>,
}

/// Something that was not looked at, and why: never passed over in silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// What was not looked at: `ICMPv6 echo`.
    pub what: String,
    /// Why, and what would allow it: `no permission for ICMP sockets (net.ipv4.ping_group_range)`.
    pub why: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_has_one_area_and_one_slug() {
        assert_eq!(Code::parse("dns.aaaa-missing").unwrap().area(), "dns");
        for bad in [
            "",
            "dns",
            "dns.",
            ".x",
            "Dns.x",
            "dns.aaaa missing",
            "dns.a.b",
            "dns.-x",
        ] {
            assert_eq!(
                Code::parse(bad),
                Err(MalformedCode(bad.to_owned())),
                "{bad}"
            );
        }
    }

    #[test]
    fn severities_are_ordered_by_badness() {
        assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Failure);
    }
}
