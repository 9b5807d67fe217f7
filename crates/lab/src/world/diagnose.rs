//! Problems in world files: collected while reading, shown with the line they are in.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use std::fmt;
use twinstack_finding::{LineIndex, Place, Span};

/// Index into [`Problems`]' sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SourceId(usize);

/// Some bytes of one of the files that make up a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub(super) source: SourceId,
    pub(super) span: Span,
}

impl At {
    /// The start of the first file.
    pub(super) const fn nowhere() -> Self {
        Self {
            source: SourceId(0),
            span: Span { start: 0, end: 0 },
        }
    }
}

/// What is wrong with a world file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What: lower case, no full stop, objects in backticks.
    pub message: String,
    /// What to write instead; empty if that is plain from the message.
    pub hint: String,
    /// The text around it, as shown on a terminal without colour.
    rendered: String,
    /// The same in colour.
    coloured: String,
}

impl Problem {
    /// The problem with its line underlined, several lines long, without a final line break.
    pub fn render(&self, colour: bool) -> &str {
        if colour {
            &self.coloured
        } else {
            &self.rendered
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered)
    }
}

/// The files read so far and the problems found in them.
#[derive(Debug, Default)]
pub(super) struct Problems {
    sources: Vec<Source>,
    found: Vec<Found>,
}

#[derive(Debug)]
struct Source {
    name: String,
    text: String,
}

#[derive(Debug)]
struct Found {
    at: At,
    message: String,
    hint: String,
}

/// So many problems are shown; a file with more has one cause that makes them all.
const MOST_SHOWN: usize = 20;

impl Problems {
    /// A file, so that problems can point into it.
    pub(super) fn source(&mut self, name: &str, text: &str) -> SourceId {
        self.sources.push(Source {
            name: name.to_owned(),
            text: text.to_owned(),
        });
        SourceId(self.sources.len().saturating_sub(1))
    }

    /// The name of a file.
    pub(super) fn source_name(&self, source: SourceId) -> &str {
        self.sources
            .get(source.0)
            .map_or("", |source| source.name.as_str())
    }

    /// The word that begins at a column (from 1) of a value, if the file has the value as it is; else all of it.
    pub(super) fn inside(&self, at: At, value: &str, column: usize) -> At {
        let word = || {
            let source = self.sources.get(at.source.0)?;
            let written = source.text.get(at.span.start..at.span.end)?;
            let value_start = at.span.start.checked_add(written.find(value)?)?;
            let (offset, _) = value.char_indices().nth(column.checked_sub(1)?)?;
            let length = value.get(offset..)?.split_whitespace().next()?.len();
            let start = value_start.checked_add(offset)?;
            Some(Span {
                start,
                end: start.checked_add(length)?,
            })
        };
        At {
            span: word().unwrap_or(at.span),
            ..at
        }
    }

    /// A problem without advice.
    pub(super) fn add(&mut self, at: At, message: impl Into<String>) {
        self.add_with_hint(at, message, String::new());
    }

    /// A problem and what to write instead.
    pub(super) fn add_with_hint(
        &mut self,
        at: At,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.found.push(Found {
            at,
            message: message.into(),
            hint: hint.into(),
        });
    }

    /// Whether nothing is wrong so far.
    pub(super) const fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The problems in the order of the files, the first ones of many.
    pub(super) fn into_problems(mut self) -> Vec<Problem> {
        self.found
            .sort_by_key(|found| (found.at.source.0, found.at.span.start));
        // What stands behind an alias is read once for each use.
        self.found
            .dedup_by(|a, b| a.at == b.at && a.message == b.message);
        let sources = self.sources;
        self.found
            .into_iter()
            .take(MOST_SHOWN)
            .filter_map(|found| {
                let source = sources.get(found.at.source.0)?;
                Some(problem(found, source))
            })
            .collect()
    }
}

fn problem(found: Found, source: &Source) -> Problem {
    let span = visible(found.at.span, &source.text);
    let place = LineIndex::new(&source.text).place(&source.name, span);
    let mut annotation = AnnotationKind::Primary.span(span.start..span.end);
    if !found.hint.is_empty() {
        annotation = annotation.label(printable(&found.hint));
    }
    let report = |renderer: Renderer| {
        let snippet = Snippet::source(&source.text)
            .path(&source.name)
            .annotation(annotation.clone());
        let group: Group<'_> = Level::ERROR
            .primary_title(printable(&found.message))
            .element(snippet);
        renderer.render(&[group])
    };
    Problem {
        rendered: report(Renderer::plain()),
        coloured: report(Renderer::styled()),
        place,
        message: found.message,
        hint: found.hint,
    }
}

/// A user's text may hold anything, a terminal should not obey it.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// What can be underlined: at least one character, at most to the end of its line.
fn visible(span: Span, text: &str) -> Span {
    let start = span.start.min(text.len());
    let rest = text.get(start..).unwrap_or_default();
    let line = rest.split(['\n', '\r']).next().unwrap_or_default();
    let length = span.end.saturating_sub(span.start).min(line.len());
    let length = match line.chars().next() {
        Some(first) => length.max(first.len_utf8()),
        None => 0,
    };
    Span {
        start,
        end: start.saturating_add(length),
    }
}
