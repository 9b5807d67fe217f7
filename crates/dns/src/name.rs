//! Domain names.
//!
//! A [`Name`] is always absolute and always valid: labels of 1 to 63 octets, 255 octets on the wire at most
//! (RFC 1035 section 2.3.4). It keeps the case it was given and compares without it (RFC 4343). Any octet may stand
//! in a label; in text the awkward ones are written `\.` or `\032`.

use bytes::Bytes;
use domain::base::Name as WireName;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// An absolute domain name.
///
/// `Display` leaves the final dot out, as people write names; `{:#}` puts it in, as zone files need it. The order is
/// the canonical one of RFC 4034 section 6.1: by labels from the right, so that a zone is one run of names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(WireName<Bytes>);

/// The longest label, in octets.
pub const MAX_LABEL: usize = 63;

/// The longest name, in octets on the wire: every label with its length octet, and the root's zero octet.
pub const MAX_NAME: usize = 255;

impl Name {
    /// The root, `.`.
    pub fn root() -> Self {
        Self(WireName::root_bytes())
    }

    /// Reads a name; with or without a final dot it is taken as absolute.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        match Parsed::read(text)? {
            Parsed::Absolute(name) => Ok(name),
            Parsed::Relative(labels) => labels.below(&Self::root(), text),
        }
    }

    /// Reads a name as zone files write them: without a final dot it is below `origin`, and `@` is `origin` itself.
    pub fn parse_relative(text: &str, origin: &Self) -> Result<Self, NameError> {
        if text == "@" {
            return Ok(origin.clone());
        }
        match Parsed::read(text)? {
            Parsed::Absolute(name) => Ok(name),
            Parsed::Relative(labels) => labels.below(origin, text),
        }
    }

    /// Puts a name together from labels, the leftmost first.
    pub fn from_labels<L: AsRef<[u8]>>(
        labels: impl IntoIterator<Item = L>,
    ) -> Result<Self, NameError> {
        let mut built = Labels::default();
        for label in labels {
            built.push(label.as_ref())?;
        }
        let text = || Self::from_wire_lossy(&built.0);
        if built.0.len() >= MAX_NAME {
            return Err(NameError::LongName {
                text: text(),
                length: built.0.len().saturating_add(1),
            });
        }
        built.below(&Self::root(), "")
    }

    /// The labels, leftmost first, without the root's empty one.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0
            .iter()
            .map(domain::base::name::Label::as_slice)
            .filter(|label| !label.is_empty())
    }

    /// How many labels there are; the root has none.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_root()
    }

    /// The name without its leftmost label; the root has no parent.
    pub fn parent(&self) -> Option<Self> {
        self.0.parent().map(Self)
    }

    /// Itself, its parent and so on up to the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// Whether this is `other` or lies below it; everything lies below the root.
    pub fn is_subdomain_of(&self, other: &Self) -> bool {
        self.0.ends_with(&other.0)
    }

    /// This name with one more label on the left.
    pub fn child(&self, label: &str) -> Result<Self, NameError> {
        Self::from_labels(std::iter::once(label.as_bytes()).chain(self.labels()))
    }

    /// Whether the leftmost label is `*` (RFC 4592).
    pub fn is_wildcard(&self) -> bool {
        self.labels().next() == Some(b"*")
    }

    /// The same name in lower case.
    #[must_use]
    pub fn to_lowercase(&self) -> Self {
        // Length octets are at most 63 and so below `A`: lowering every octet leaves them alone.
        let lower = self.0.as_slice().to_ascii_lowercase();
        Self::from_wire(&lower).unwrap_or_else(|_| self.clone())
    }

    /// The name in text with its final dot: `www.lab.test.`.
    pub fn with_final_dot(&self) -> String {
        format!("{self:#}")
    }

    /// The uncompressed wire format, the root's zero octet included.
    pub fn as_wire(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Reads the uncompressed wire format of exactly one name.
    pub fn from_wire(octets: &[u8]) -> Result<Self, NameError> {
        WireName::from_octets(Bytes::copy_from_slice(octets))
            .map(Self)
            .map_err(|_| NameError::Wire)
    }

    /// For the codec.
    pub(crate) fn from_domain(name: &impl domain::base::ToName) -> Self {
        Self(name.to_bytes())
    }

    /// For the codec.
    pub(crate) const fn as_domain(&self) -> &WireName<Bytes> {
        &self.0
    }

    /// Labels in wire format without the root, as text, for messages about names that are too long to be one.
    fn from_wire_lossy(mut octets: &[u8]) -> String {
        let mut text = String::new();
        while let Some((length, rest)) = octets.split_first() {
            let (label, rest) = rest
                .split_at_checked(usize::from(*length))
                .unwrap_or((rest, &[]));
            text.push_str(&Escaped(label).to_string());
            text.push('.');
            octets = rest;
        }
        text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.pad(".");
        }
        let mut text = String::with_capacity(self.as_wire().len());
        for label in self.labels() {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&Escaped(label).to_string());
        }
        if f.alternate() {
            text.push('.');
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#}")
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.with_final_dot())
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// One label as text.
struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    // RFC 1035 section 5.1: `\X` for a character with a meaning in zone files, `\DDD` for what does not print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.0 {
            match octet {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    write!(f, "\\{}", char::from(*octet))?;
                }
                0x21..=0x7e => write!(f, "{}", char::from(*octet))?,
                _ => write!(f, "\\{octet:03}")?,
            }
        }
        Ok(())
    }
}

/// What a text turned out to be.
enum Parsed {
    Absolute(Name),
    Relative(Labels),
}

impl Parsed {
    fn read(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text == "." {
            return Ok(Self::Absolute(Name::root()));
        }
        let mut labels = Labels::default();
        let mut label = Vec::new();
        let mut ended = false;
        let mut characters = text.chars().enumerate();
        while let Some((at, character)) = characters.next() {
            let column = at.saturating_add(1);
            ended = false;
            match character {
                '.' if label.is_empty() => {
                    return Err(NameError::EmptyLabel {
                        text: text.to_owned(),
                        column,
                    });
                }
                '.' => {
                    labels.push(&label)?;
                    label.clear();
                    ended = true;
                }
                '\\' => {
                    let octet = read_escape(&mut characters).ok_or_else(|| NameError::Escape {
                        text: text.to_owned(),
                        column,
                    })?;
                    label.push(octet);
                }
                '!'..='~' => label.extend(u8::try_from(character)),
                _ => {
                    return Err(NameError::Character {
                        text: text.to_owned(),
                        character,
                        column,
                    });
                }
            }
        }
        if ended {
            return labels.below(&Name::root(), text).map(Self::Absolute);
        }
        labels.push(&label)?;
        Ok(Self::Relative(labels))
    }
}

/// The octet after a backslash: three decimal digits, or any other printable character for itself.
fn read_escape(characters: &mut impl Iterator<Item = (usize, char)>) -> Option<u8> {
    let (_, first) = characters.next()?;
    let Some(hundreds) = first.to_digit(10) else {
        return u8::try_from(first)
            .ok()
            .filter(|octet| (0x20..=0x7e).contains(octet));
    };
    let mut value = hundreds;
    for _ in 0..2 {
        let digit = characters.next()?.1.to_digit(10)?;
        value = value.checked_mul(10)?.checked_add(digit)?;
    }
    u8::try_from(value).ok()
}

/// Labels in wire format, without the root's.
#[derive(Default)]
struct Labels(Vec<u8>);

impl Labels {
    fn push(&mut self, label: &[u8]) -> Result<(), NameError> {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| usize::from(*length) <= MAX_LABEL)
            .ok_or_else(|| NameError::LongLabel {
                label: Escaped(label).to_string(),
                length: label.len(),
            })?;
        if label.is_empty() {
            return Err(NameError::EmptyLabel {
                text: Name::from_wire_lossy(&self.0),
                column: 1,
            });
        }
        self.0.push(length);
        self.0.extend_from_slice(label);
        Ok(())
    }

    fn below(mut self, origin: &Name, text: &str) -> Result<Name, NameError> {
        self.0.extend_from_slice(origin.as_wire());
        if self.0.len() > MAX_NAME {
            return Err(NameError::LongName {
                text: text.to_owned(),
                length: self.0.len(),
            });
        }
        Name::from_wire(&self.0)
    }
}

/// Why a text is not a domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing there.
    #[error("a domain name cannot be empty (the root is `.`)")]
    Empty,
    /// Two dots in a row, or one at the start.
    #[error("`{text}` has an empty label (a dot too many) at column {column}")]
    EmptyLabel {
        /// The text.
        text: String,
        /// The column of the dot, from 1.
        column: usize,
    },
    /// A label over 63 octets.
    #[error("the label `{label}` has {length} octets; 63 is the most")]
    LongLabel {
        /// The label.
        label: String,
        /// Its octets.
        length: usize,
    },
    /// A name over 255 octets.
    #[error("`{text}` takes {length} octets on the wire; 255 is the most")]
    LongName {
        /// The text.
        text: String,
        /// The octets it would take, its origin included.
        length: usize,
    },
    /// A backslash that neither three digits up to 255 nor a printable character follows.
    #[error("`{text}` has a broken escape at column {column}; write `\\.` or `\\032`")]
    Escape {
        /// The text.
        text: String,
        /// The column of the backslash, from 1.
        column: usize,
    },
    /// A blank, a control character, or one outside ASCII.
    #[error(
        "`{text}` has {character:?} at column {column}; {}",
        if character.is_ascii() { "escape it as `\\DDD` if it is meant" } else { "write internationalised names in their `xn--` form" }
    )]
    Character {
        /// The text.
        text: String,
        /// The character.
        character: char,
        /// Its column, from 1.
        column: usize,
    },
    /// Octets that are no uncompressed name.
    #[error("the octets are no uncompressed domain name")]
    Wire,
}

#[cfg(test)]
pub(crate) mod tests;
