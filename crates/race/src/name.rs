//! Host names, as a resolver takes them.

use alloc::sync::Arc;
use core::fmt;
use core::hash::{Hash, Hasher};

/// A host name: letters, digits, hyphens and underscores, in lower case. Cheap to clone.
///
/// A trailing dot (which tells a resolver not to use its search list) is kept in [`Name::as_str`] and means nothing
/// when names are compared.
#[derive(Clone)]
pub struct Name(Arc<str>);

/// The longest name that DNS can carry, without its last dot.
const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

impl Name {
    /// Takes `text` as a host name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let bare = text.strip_suffix('.').unwrap_or(text);
        if bare.is_empty() {
            return Err(NameError::Empty);
        }
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if let Some(at) = text.bytes().position(|byte| !known(byte)) {
            return Err(NameError::Character { at });
        }
        if bare.len() > LONGEST {
            return Err(NameError::TooLong { length: bare.len() });
        }
        for label in bare.split('.') {
            if label.is_empty() {
                return Err(NameError::EmptyLabel);
            }
            if label.len() > LONGEST_LABEL {
                return Err(NameError::LabelTooLong {
                    length: label.len(),
                });
            }
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }

    /// The name in lower case, with its trailing dot if it was given one.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without a trailing dot: what is compared.
    pub fn bare(&self) -> &str {
        self.0.strip_suffix('.').unwrap_or(&self.0)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.bare() == other.bare()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bare().hash(state);
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// Why a text is not a host name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// There is nothing in it, or only a dot.
    Empty,
    /// Two dots in a row, or one at the start.
    EmptyLabel,
    /// Something else than letters, digits, hyphens and underscores of ASCII (give the `xn--` form).
    Character {
        /// Byte offset into the text.
        at: usize,
    },
    /// More than 253 bytes.
    TooLong {
        /// How many there are.
        length: usize,
    },
    /// A label of more than 63 bytes.
    LabelTooLong {
        /// How many there are.
        length: usize,
    },
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the host name is empty"),
            Self::EmptyLabel => f.write_str("the host name has an empty label"),
            Self::Character { at } => write!(
                f,
                "the host name has a character at byte {at} that is no letter, digit, `-`, `_` or `.`"
            ),
            Self::TooLong { length } => {
                write!(f, "the host name has {length} bytes, more than {LONGEST}")
            }
            Self::LabelTooLong { length } => {
                write!(
                    f,
                    "the host name has a label of {length} bytes, more than {LONGEST_LABEL}"
                )
            }
        }
    }
}

impl core::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailing_dot_is_kept_and_not_compared() {
        let absolute = Name::new("WWW.Example.com.").unwrap();
        assert_eq!(absolute.as_str(), "www.example.com.");
        assert_eq!(absolute, Name::new("www.example.com").unwrap());
    }

    #[test]
    fn what_no_resolver_takes_is_refused_with_the_place() {
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("."), Err(NameError::Empty));
        assert_eq!(Name::new("a..b"), Err(NameError::EmptyLabel));
        assert_eq!(Name::new("a b"), Err(NameError::Character { at: 1 }));
        assert_eq!(
            Name::new("b\u{fc}cher.example"),
            Err(NameError::Character { at: 1 })
        );
        let label = "a".repeat(64);
        assert_eq!(
            Name::new(&label),
            Err(NameError::LabelTooLong { length: 64 })
        );
        let long = "a.".repeat(127) + "a";
        assert_eq!(Name::new(&long), Err(NameError::TooLong { length: 255 }));
    }
}
