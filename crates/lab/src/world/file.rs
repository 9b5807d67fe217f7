//! A world file as a tree of nodes that remember where they were written.
//!
//! Everything later works on this tree: merging is a walk over two trees, and reading collects every problem of a
//! file instead of stopping at the first, which serde's derived types cannot do. Nothing here knows a key of the
//! format ([`keys`](super::keys) does). Bounded: a file that is too long, too deep or that grows by aliases is
//! refused, so any bytes can be given to it.

use super::diagnose::{At, Problems, SourceId};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{
    DuplicateKeyPolicy, MessageFormatter, NonFiniteFloatPolicy, Spanned, UserMessageFormatter,
};
use std::fmt;
use twinstack_finding::Span;

/// The longest world file; the shipped ones have less than 10 KiB.
pub(super) const LONGEST_FILE: usize = 256 * 1024;

/// The deepest nesting; the format itself needs eight levels.
const DEEPEST: usize = 24;

/// The most values in a file, and again as many behind its aliases; `standard` has about 400. Some checks compare
/// each record with each, which stays cheap up to here.
const MOST_NODES: usize = 8_000;

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: At,
    pub(super) value: Value,
}

/// What a node holds. Numbers and truth values stay text: the reader knows what it wants.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key, where it was written, and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_at: At,
    pub(super) value: Node,
}

impl Entry {
    /// Whether the value was taken away with `~`.
    pub(super) const fn is_null(&self) -> bool {
        matches!(self.value.value, Value::Null)
    }
}

impl Node {
    /// The value under a key of a map; an explicit null counts as absent.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key)
            .map(|entry| &entry.value)
            .filter(|node| !matches!(node.value, Value::Null))
    }

    /// The entry under a key of a map, null or not.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// Takes the entry under a key out of a map.
    pub(super) fn take(&mut self, key: &str) -> Option<Entry> {
        match &mut self.value {
            Value::Map(entries) => {
                let at = entries.iter().position(|entry| entry.key == key)?;
                Some(entries.remove(at))
            }
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(super) const fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Text(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Reads one YAML document; problems go to `problems`.
pub(super) fn read(text: &str, source: SourceId, problems: &mut Problems) -> Option<Node> {
    let whole = Span { start: 0, end: 0 };
    if text.len() > LONGEST_FILE {
        problems.add(
            At {
                source,
                span: whole,
            },
            format!(
                "this file has {} bytes, a world has at most {LONGEST_FILE}",
                text.len()
            ),
        );
        return None;
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEEPEST,
            flow_nesting_limit: DEEPEST,
            max_events: 20_000,
            max_nodes: MOST_NODES,
            max_aliases: 200,
            max_anchors: 100,
            max_recorded_anchor_events: 20_000,
            max_recorded_anchor_bytes: 4 * LONGEST_FILE,
            max_total_scalar_bytes: 4 * LONGEST_FILE,
            max_documents: 1,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MOST_NODES,
            max_replay_stack_depth: 8,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options) {
        Ok(raw) => Some(raw_to_node(raw, text, source)),
        Err(error) => {
            let span = error
                .location()
                .map_or(whole, |location| span_of(location, text));
            if let Some(tab) = tab_near(text, span.start) {
                problems.add_with_hint(
                    At { source, span: tab },
                    "a tab stands in the indentation",
                    "YAML wants spaces here",
                );
            } else {
                problems.add(At { source, span }, message_of(&error));
            }
            None
        }
    }
}

/// The parser's message in the words of this house.
fn message_of(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    use serde_saphyr::budget::BudgetBreach;
    match error {
        Error::AliasError { error, .. } => message_of(error),
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("the key `{key}` stands here twice")
        }
        Error::UnknownAnchor { .. } => "no anchor (`&name`) before this has this name".to_owned(),
        Error::MultipleDocuments { .. }
        | Error::Budget {
            breach: BudgetBreach::Documents { .. },
            ..
        } => "a second document begins here, and a world is one".to_owned(),
        Error::Budget {
            breach: BudgetBreach::Depth { .. },
            ..
        } => TOO_DEEP.to_owned(),
        Error::Budget { .. } => "this file is too big for a world".to_owned(),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            "this file grows too big for a world by its aliases (`*name`)".to_owned()
        }
        other => match UserMessageFormatter.format_message(other) {
            // The scanner's own limit comes as a text.
            text if text.contains("recursion limit") => TOO_DEEP.to_owned(),
            text => format!("this is not YAML as a world has it: {text}"),
        },
    }
}

const TOO_DEEP: &str = "this file is too deep for a world";

/// A tab in the indentation of the line of an error or of the one behind it: the parser names other symptoms.
fn tab_near(text: &str, error: usize) -> Option<Span> {
    let line_start = text
        .get(..error)?
        .rfind('\n')
        .map_or(0, |at| at.saturating_add(1));
    let mut start = line_start;
    for line in text.get(line_start..)?.split('\n').take(2) {
        let blank = line
            .find(|c: char| c != ' ' && c != '\t')
            .and_then(|end| line.get(..end))
            .unwrap_or_default();
        if let Some(tab) = blank.find('\t') {
            let at = start.saturating_add(tab);
            return Some(Span {
                start: at,
                end: at.saturating_add(1),
            });
        }
        start = start.saturating_add(line.len()).saturating_add(1);
    }
    None
}

/// A node as serde sees it: the spans come from `Spanned`, the source's number is added afterwards.
enum Raw {
    Null,
    Text(String),
    /// A number or truth value; its text is in the source.
    Typed(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a map")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Typed(value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

fn raw_to_node(raw: Spanned<Raw>, text: &str, source: SourceId) -> Node {
    // Behind an alias the definition is what has to change, so errors point there.
    let span = span_of(raw.defined, text);
    let value = match raw.value {
        Raw::Null => Value::Null,
        Raw::Text(value) => Value::Text(value),
        Raw::Typed(value) => Value::Text(as_written(text, span).unwrap_or(value)),
        Raw::List(items) => Value::List(
            items
                .into_iter()
                .map(|item| raw_to_node(item, text, source))
                .collect(),
        ),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, value)| Entry {
                    key_at: At {
                        source,
                        span: span_of(key.defined, text),
                    },
                    key: key.value,
                    value: raw_to_node(value, text, source),
                })
                .collect(),
        ),
    };
    Node {
        at: At { source, span },
        value,
    }
}

/// `1.20` stays `1.20` and `0x10` stays `0x10`: what a number means is the reader's business.
fn as_written(text: &str, span: Span) -> Option<String> {
    let written = text.get(span.start..span.end)?.trim();
    (!written.is_empty() && !written.starts_with(['!', '&', '*'])).then(|| written.to_owned())
}

/// The bytes of a location: the parser knows them for nodes, and for syntax errors only line and column.
fn span_of(location: serde_saphyr::Location, text: &str) -> Span {
    let number = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok());
    let span = location.span();
    let (start, length) = match (number(span.byte_offset()), number(span.byte_len())) {
        (Some(start), Some(length)) => (start, length),
        _ => (offset_of(location, text), 1),
    };
    let start = floor(text, start);
    let end = floor(text, start.saturating_add(length)).max(start);
    Span { start, end }
}

fn offset_of(location: serde_saphyr::Location, text: &str) -> usize {
    let from_one = |value: u64| usize::try_from(value.saturating_sub(1)).unwrap_or(usize::MAX);
    let lines = text.split_inclusive('\n');
    let before: usize = lines
        .clone()
        .take(from_one(location.line()))
        .map(str::len)
        .sum();
    let line = lines
        .into_iter()
        .nth(from_one(location.line()))
        .unwrap_or_default();
    let column = line.char_indices().nth(from_one(location.column()));
    before.saturating_add(column.map_or(line.len(), |(at, _)| at))
}

/// The last character boundary at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset = offset.saturating_sub(1);
    }
    offset
}
