//! Reading nodes of a world file against the tables of keys: each wrong one is a problem, and reading goes on.

use super::diagnose::{At, Problems};
use super::file::{Entry, Node, Value};
use super::keys::{Section, Shape};
use super::model::Prefix;
use super::scalar::{self, Refusal};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;
use std::net::IpAddr;
use std::time::Duration;

/// A map of a world file whose keys were compared with its section's.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n> {
    node: Option<&'n Node>,
    section: &'static Section,
}

impl<'n> Fields<'n> {
    /// A section that is not there: every key is absent.
    pub(super) const fn none(section: &'static Section) -> Self {
        Self {
            node: None,
            section,
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        debug_assert!(
            self.section.key(key).is_some(),
            "`{key}` is in the table of {}",
            self.section.name
        );
        self.node.and_then(|node| node.get(key))
    }

    /// The entry under a key, null or not.
    pub(super) fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.node.and_then(|node| node.entry(key))
    }

    /// The entries with a value, in the order of the file.
    pub(super) fn entries(&self) -> impl Iterator<Item = &'n Entry> + use<'n> {
        entries_of(self.node)
    }
}

fn entries_of(node: Option<&Node>) -> impl Iterator<Item = &Entry> {
    let entries = match node.map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.as_slice(),
        _ => &[],
    };
    entries
        .iter()
        .filter(|entry| !matches!(entry.value.value, Value::Null))
}

/// Reads nodes and collects what is wrong with them.
pub(super) struct Reader<'p> {
    pub(super) problems: &'p mut Problems,
}

impl Reader<'_> {
    /// A map with the keys of a section; unknown keys are problems.
    pub(super) fn fields<'n>(&mut self, node: &'n Node, section: &'static Section) -> Fields<'n> {
        let Value::Map(entries) = &node.value else {
            self.wrong_kind(node, "a map");
            return Fields::none(section);
        };
        for entry in entries {
            if section.key(&entry.key).is_none() {
                let names = section.keys.iter().map(|key| key.name);
                let hint = scalar::nearest(&entry.key, names.clone()).map_or_else(
                    || format!("known keys: {}", names.collect::<Vec<_>>().join(", ")),
                    |key| format!("did you mean `{key}`?"),
                );
                self.problems.add_with_hint(
                    entry.key_at,
                    format!("`{}` is no key of {}", entry.key, section.name),
                    hint,
                );
            }
        }
        Fields {
            node: Some(node),
            section,
        }
    }

    /// A map whose keys were compared before, so that nothing is reported twice.
    #[expect(clippy::unused_self, reason = "stands beside `fields`")]
    pub(super) fn fields_again<'n>(&self, node: &'n Node, section: &'static Section) -> Fields<'n> {
        Fields {
            node: Some(node),
            section,
        }
    }

    /// The section under a key, or one without keys.
    pub(super) fn sub<'n>(
        &mut self,
        fields: &Fields<'n>,
        key: &str,
        section: &'static Section,
    ) -> Fields<'n> {
        fields
            .get(key)
            .map_or_else(|| Fields::none(section), |node| self.fields(node, section))
    }

    /// The entries of a map with the user's keys; null ones are left out.
    pub(super) fn entries<'n>(
        &mut self,
        node: Option<&'n Node>,
    ) -> impl Iterator<Item = &'n Entry> + use<'n> {
        if let Some(node) = node
            && !matches!(node.value, Value::Map(_))
        {
            self.wrong_kind(node, "a map");
        }
        entries_of(node)
    }

    /// The same with the null ones.
    pub(super) fn nullable_entries<'n>(&mut self, node: &'n Node) -> &'n [Entry] {
        match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => {
                self.wrong_kind(node, "a map");
                &[]
            }
        }
    }

    /// The items of a list.
    pub(super) fn list<'n>(&mut self, node: Option<&'n Node>) -> &'n [Node] {
        match node.map(|node| (node, &node.value)) {
            None => &[],
            Some((_, Value::List(items))) => items,
            Some((node, _)) => {
                self.wrong_kind(node, "a list");
                &[]
            }
        }
    }

    /// The items of a list, or the one item that stands there without brackets.
    pub(super) fn one_or_many<'n>(&mut self, node: Option<&'n Node>) -> &'n [Node] {
        match node.map(|node| (node, &node.value)) {
            None => &[],
            Some((_, Value::List(items))) => items,
            Some((node, Value::Text(_))) => std::slice::from_ref(node),
            Some((node, _)) => {
                self.wrong_kind(node, "a list or one of its items");
                &[]
            }
        }
    }

    /// A single value, as it was written.
    pub(super) fn text<'n>(&mut self, node: &'n Node) -> Option<&'n str> {
        if let Value::Text(text) = &node.value {
            return Some(text);
        }
        self.wrong_kind(node, "a single value");
        None
    }

    /// Texts of a list, or of one item.
    pub(super) fn texts(&mut self, node: Option<&Node>) -> Vec<String> {
        self.each(node, |reader, node| reader.text(node).map(str::to_owned))
    }

    /// Every item of a list, or the one item, read by `read`.
    pub(super) fn each<T>(
        &mut self,
        node: Option<&Node>,
        mut read: impl FnMut(&mut Self, &Node) -> Option<T>,
    ) -> Vec<T> {
        self.one_or_many(node)
            .iter()
            .filter_map(|item| read(self, item))
            .collect()
    }

    pub(super) fn flag(&mut self, node: Option<&Node>) -> Option<bool> {
        let node = node?;
        match self.text(node)? {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                self.problems.add_with_hint(
                    node.at,
                    format!("`{other}` is neither true nor false"),
                    "write `true` or `false`",
                );
                None
            }
        }
    }

    /// A number in the range that the key's section states.
    pub(super) fn number<T: TryFrom<u64>>(
        &mut self,
        fields: &Fields<'_>,
        key: &'static str,
    ) -> Option<T> {
        let node = fields.get(key)?;
        let (from, to) = match fields.section.key(key).map(|key| &key.shape) {
            Some(Shape::Number { from, to }) => (*from, *to),
            _ => (0, u64::MAX),
        };
        let text = self.text(node)?;
        let number = text
            .chars()
            .all(|c| c.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())
            .flatten();
        match number {
            Some(number) if (from..=to).contains(&number) => T::try_from(number).ok(),
            Some(_) => {
                let hint = if from == to {
                    format!("only {from}")
                } else {
                    format!("between {from} and {to}")
                };
                self.problems
                    .add_with_hint(node.at, format!("`{key}` is out of range"), hint);
                None
            }
            None => {
                self.problems.add_with_hint(
                    node.at,
                    format!("`{text}` is not a whole number"),
                    format!("between {from} and {to}"),
                );
                None
            }
        }
    }

    /// One of the words that the key's section lists; the type's own names for its variants are the same.
    pub(super) fn word<T: for<'de> Deserialize<'de>>(
        &mut self,
        fields: &Fields<'_>,
        key: &'static str,
    ) -> Option<T> {
        let node = fields.get(key)?;
        self.word_of(node, fields, key)
    }

    /// The same for each of a list.
    pub(super) fn words<T: for<'de> Deserialize<'de>>(
        &mut self,
        fields: &Fields<'_>,
        key: &'static str,
    ) -> Vec<T> {
        self.each(fields.get(key), |reader, node| {
            reader.word_of(node, fields, key)
        })
    }

    fn word_of<T: for<'de> Deserialize<'de>>(
        &mut self,
        node: &Node,
        fields: &Fields<'_>,
        key: &str,
    ) -> Option<T> {
        let allowed = match fields.section.key(key).map(|key| &key.shape) {
            Some(Shape::OneOf(words) | Shape::OneOrMany(Shape::OneOf(words))) => *words,
            _ => &[],
        };
        let text = self.text(node)?;
        let deserializer: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
        if allowed.contains(&text)
            && let Ok(value) = T::deserialize(deserializer)
        {
            return Some(value);
        }
        let hint = scalar::nearest(text, allowed.iter().copied()).map_or_else(
            || format!("one of {}", allowed.join(", ")),
            |word| format!("did you mean `{word}`?"),
        );
        self.problems
            .add_with_hint(node.at, format!("`{text}` is no `{key}`"), hint);
        None
    }

    pub(super) fn duration(&mut self, node: Option<&Node>) -> Option<Duration> {
        self.scalar(node?, scalar::duration)
    }

    pub(super) fn address(&mut self, node: &Node) -> Option<IpAddr> {
        self.scalar(node, scalar::address)
    }

    pub(super) fn addresses(&mut self, node: Option<&Node>) -> Vec<IpAddr> {
        self.each(node, Self::address)
    }

    pub(super) fn prefixes(&mut self, node: Option<&Node>) -> Vec<Prefix> {
        self.each(node, |reader, node| reader.scalar(node, scalar::prefix))
    }

    /// A single value in a form of its own.
    pub(super) fn scalar<T>(
        &mut self,
        node: &Node,
        parse: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let text = self.text(node)?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(refusal) => {
                self.refused(node.at, refusal);
                None
            }
        }
    }

    pub(super) fn refused(&mut self, at: At, refusal: Refusal) {
        self.problems
            .add_with_hint(at, refusal.message, refusal.hint);
    }

    fn wrong_kind(&mut self, node: &Node, wanted: &str) {
        self.problems.add(
            node.at,
            format!("this is {}, but {wanted} belongs here", node.kind()),
        );
    }
}
