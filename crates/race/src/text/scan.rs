//! Words of a line, with their columns.

use crate::name::NameError;
use crate::nat64::Prefix64Error;
use crate::rfc6724::PolicyError;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// A word and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word<'t> {
    pub(super) text: &'t str,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl<'t> Word<'t> {
    pub(super) fn error(&self, problem: Problem) -> ParseError {
        ParseError {
            line: self.line,
            column: self.column,
            problem,
        }
    }

    /// Not one of those that are known here.
    pub(super) fn unknown(&self, wanted: &'static str) -> ParseError {
        self.error(Problem::Unknown {
            wanted,
            word: self.text.into(),
        })
    }

    pub(super) fn parse<T: FromStr>(&self, wanted: &'static str) -> Result<T, ParseError> {
        self.text.parse().map_err(|_| self.unknown(wanted))
    }

    /// Milliseconds, with up to six decimals.
    pub(super) fn millis(&self) -> Result<Duration, ParseError> {
        let wanted = "a number of milliseconds";
        let (whole, fraction) = self.text.split_once('.').unwrap_or((self.text, ""));
        if fraction.len() > 6 || (fraction.is_empty() && self.text.ends_with('.')) {
            return Err(self.unknown(wanted));
        }
        let digits = |text: &str| -> Option<u64> {
            let only_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            if only_digits { text.parse().ok() } else { None }
        };
        let whole = digits(whole).ok_or_else(|| self.unknown(wanted))?;
        let nanos = if fraction.is_empty() {
            0
        } else {
            let value = digits(fraction).ok_or_else(|| self.unknown(wanted))?;
            value * 10_u64.pow(6 - u32::try_from(fraction.len()).unwrap_or(6))
        };
        let nanos = whole
            .checked_mul(1_000_000)
            .and_then(|whole| whole.checked_add(nanos));
        nanos
            .map(Duration::from_nanos)
            .ok_or_else(|| self.unknown(wanted))
    }

    /// `key=value`, or `key` alone.
    pub(super) fn key(&self) -> (&'t str, Option<Self>) {
        match self.text.split_once('=') {
            None => (self.text, None),
            Some((key, value)) => {
                let column = self.column + key.chars().count() + 1;
                (
                    key,
                    Some(Self {
                        text: value,
                        line: self.line,
                        column,
                    }),
                )
            }
        }
    }

    /// The parts between commas.
    pub(super) fn list(&self) -> impl Iterator<Item = Self> + use<'t> {
        let (line, mut column) = (self.line, self.column);
        self.text.split(',').map(move |text| {
            let word = Word { text, line, column };
            column += text.chars().count() + 1;
            word
        })
    }

    /// Letters as they are, other bytes as `\xNN`.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, ParseError> {
        let mut bytes = Vec::new();
        let mut rest = self.text.as_bytes();
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte != b'\\' {
                bytes.push(byte);
                continue;
            }
            let hex = rest
                .strip_prefix(b"x")
                .and_then(|rest| rest.split_at_checked(2));
            let value = hex.and_then(|(digits, _)| {
                let text = core::str::from_utf8(digits).ok()?;
                u8::from_str_radix(text, 16).ok()
            });
            let (Some((_, after)), Some(value)) = (hex, value) else {
                return Err(self.error(Problem::Escape));
            };
            bytes.push(value);
            rest = after;
        }
        Ok(bytes)
    }

    /// Pairs of hexadecimal digits.
    pub(super) fn hex(&self) -> Result<Vec<u8>, ParseError> {
        let wanted = "pairs of hexadecimal digits";
        let digits = self.text.as_bytes();
        if !digits.len().is_multiple_of(2) {
            return Err(self.unknown(wanted));
        }
        let mut bytes = Vec::with_capacity(digits.len() / 2);
        for pair in digits.chunks_exact(2) {
            let text = core::str::from_utf8(pair).map_err(|_| self.unknown(wanted))?;
            let value = u8::from_str_radix(text, 16).map_err(|_| self.unknown(wanted))?;
            bytes.push(value);
        }
        Ok(bytes)
    }
}

/// A line that is read word by word.
pub(super) struct Scan<'t> {
    line: usize,
    text: &'t str,
    /// Byte offset of what was not read.
    at: usize,
}

impl<'t> Scan<'t> {
    pub(super) const fn new(line: usize, text: &'t str) -> Self {
        Self { line, text, at: 0 }
    }

    pub(super) const fn line(&self) -> usize {
        self.line
    }

    fn column(&self, at: usize) -> usize {
        self.text
            .get(..at)
            .map_or(at, |before| before.chars().count())
            + 1
    }

    /// The next word, without taking it.
    pub(super) fn peek(&self) -> Option<Word<'t>> {
        let rest = self.text.get(self.at..)?;
        let start = self.at + rest.len() - rest.trim_start().len();
        let word = self.text.get(start..)?.split_whitespace().next()?;
        Some(Word {
            text: word,
            line: self.line,
            column: self.column(start),
        })
    }

    /// The next word, if there is one.
    pub(super) fn next(&mut self) -> Option<Word<'t>> {
        let word = self.peek()?;
        let rest = self.text.get(self.at..)?;
        self.at += rest.len() - rest.trim_start().len() + word.text.len();
        Some(word)
    }

    /// The next word, which has to be there.
    pub(super) fn word(&mut self, wanted: &'static str) -> Result<Word<'t>, ParseError> {
        let end = self.column(self.text.trim_end().len());
        self.next().ok_or(ParseError {
            line: self.line,
            column: end,
            problem: Problem::Missing(wanted),
        })
    }

    /// Everything that was not read.
    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), ParseError> {
        match self.peek() {
            None => Ok(()),
            Some(word) => Err(word.error(Problem::Unexpected(word.text.into()))),
        }
    }

    /// A text in quotes that takes the rest of the line; empty if there is none.
    pub(super) fn quoted(&mut self) -> Result<String, ParseError> {
        let Some(word) = self.peek() else {
            return Ok(String::new());
        };
        let text = self.rest().trim();
        self.at = self.text.len();
        let inner = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .ok_or_else(|| word.error(Problem::Quotes))?;
        let mut unescaped = String::new();
        let mut letters = inner.chars();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' => match letters.next() {
                    Some('n') => unescaped.push('\n'),
                    Some('r') => unescaped.push('\r'),
                    Some('t') => unescaped.push('\t'),
                    Some(quoted @ ('\\' | '"')) => unescaped.push(quoted),
                    _ => return Err(word.error(Problem::Escape)),
                },
                '"' => return Err(word.error(Problem::Quotes)),
                _ => unescaped.push(letter),
            }
        }
        Ok(unescaped)
    }
}

/// Why a text is not a recording, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The line stops where something has to follow.
    Missing(&'static str),
    /// Something else has to be here.
    Unknown {
        /// What has to be here.
        wanted: &'static str,
        /// What is here.
        word: Box<str>,
    },
    /// The line goes on where it has to stop.
    Unexpected(Box<str>),
    /// Quotes are missing or in the wrong place.
    Quotes,
    /// A backslash is followed by something that it does not escape.
    Escape,
    /// A host name that is none.
    Name(NameError),
    /// A NAT64 prefix that is none.
    Prefix(Prefix64Error),
    /// A policy table that is none.
    Policy(PolicyError),
    /// This happens before the line above.
    TimeGoesBack,
    /// The question has another type.
    OtherType,
    /// A line of the head after the first event.
    Late,
    /// There is no `target` line.
    NoTarget,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(wanted) => write!(f, "{wanted} is missing"),
            Self::Unknown { wanted, word } => write!(f, "`{word}` is not {wanted}"),
            Self::Unexpected(word) => write!(f, "nothing may follow here, but `{word}` does"),
            Self::Quotes => {
                f.write_str("a text has to stand in quotes, alone at the end of the line")
            }
            Self::Escape => {
                f.write_str("a backslash is followed by something that it does not escape")
            }
            Self::Name(error) => error.fmt(f),
            Self::Prefix(error) => error.fmt(f),
            Self::Policy(error) => error.fmt(f),
            Self::TimeGoesBack => f.write_str("this happens before the line above"),
            Self::OtherType => f.write_str("the question asks for another type"),
            Self::Late => f.write_str("this belongs before the first event"),
            Self::NoTarget => f.write_str("the recording has no `target` line"),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.problem)
    }
}

impl core::error::Error for ParseError {}
