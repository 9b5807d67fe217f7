//! Styled text that knows its width: the ground under all human output.
//!
//! Layout works on plain characters; colour is put on at the very end, so that it can never change an alignment.
//! What comes from the network is cleaned here: no byte of a DNS answer or a banner reaches the terminal as a control.

use std::fmt::Write as _;
use unicode_width::UnicodeWidthChar as _;

/// What a piece of text is, not which colour it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    /// Nothing special.
    #[default]
    Plain,
    /// A heading or the subject.
    Strong,
    /// Of secondary interest.
    Faint,
    /// Broken.
    Bad,
    /// Suspicious.
    Caution,
    /// Works.
    Good,
    /// Something to type, or a name.
    Quote,
}

impl Style {
    const fn escape(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("1"),
            Self::Faint => Some("2"),
            Self::Bad => Some("1;31"),
            Self::Caution => Some("33"),
            Self::Good => Some("32"),
            Self::Quote => Some("36"),
        }
    }
}

/// One line of styled text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Line(Vec<(Style, String)>);

impl Line {
    /// A plain line.
    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self::default().with(Style::Plain, text)
    }

    /// A line in one style.
    pub(crate) fn styled(style: Style, text: impl AsRef<str>) -> Self {
        Self::default().with(style, text)
    }

    /// A line whose parts in backticks are quotes.
    pub(crate) fn quoting(style: Style, text: &str) -> Self {
        let mut line = Self::default();
        for (number, part) in text.split('`').enumerate() {
            let inside = number % 2 == 1;
            let last = text.matches('`').count() == number;
            line = match (inside, last) {
                (true, false) => line.with(Style::Quote, format!("`{part}`")),
                (true, true) => line.with(style, format!("`{part}")),
                (false, _) => line.with(style, part),
            };
        }
        line
    }

    /// Adds text; what could move a terminal's cursor becomes a replacement character.
    pub(crate) fn with(mut self, style: Style, text: impl AsRef<str>) -> Self {
        self.push(style, text);
        self
    }

    /// Adds text; see [`Self::with`].
    pub(crate) fn push(&mut self, style: Style, text: impl AsRef<str>) {
        let text: String = text.as_ref().chars().map(visible).collect();
        if text.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some((last, before)) if *last == style => before.push_str(&text),
            _ => self.0.push((style, text)),
        }
    }

    /// Adds another line behind this one.
    pub(crate) fn append(&mut self, other: Self) {
        for (style, text) in other.0 {
            self.push(style, text);
        }
    }

    /// Fills up with spaces to a column; a longer line stays as it is.
    pub(crate) fn pad_to(&mut self, column: usize) {
        let missing = column.saturating_sub(self.width());
        self.push(Style::Plain, " ".repeat(missing));
    }

    /// Columns on the terminal.
    pub(crate) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| width(text)).sum()
    }

    /// Nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Breaks at spaces into lines of at most `width` columns, the later ones indented.
    ///
    /// A word that is longer than a line is broken where the line ends.
    pub(crate) fn wrap(&self, width: usize, indent: usize) -> Vec<Self> {
        let mut lines = Vec::new();
        let mut line = Self::default();
        let mut gap = Self::default();
        for word in self.words_within(width.saturating_sub(indent)) {
            if word
                .0
                .first()
                .is_some_and(|(_, text)| text.starts_with(' '))
            {
                gap = word;
                continue;
            }
            let fits = line.width() + gap.width() + word.width() <= width;
            if fits || line.is_empty() || line.width() == indent && !lines.is_empty() {
                line.append(std::mem::take(&mut gap));
            } else {
                gap = Self::default();
                lines.push(std::mem::replace(
                    &mut line,
                    Self::plain(" ".repeat(indent)),
                ));
            }
            for (style, character) in word.characters() {
                if line.width() + character.width().unwrap_or(0) > width && line.width() > indent {
                    lines.push(std::mem::replace(
                        &mut line,
                        Self::plain(" ".repeat(indent)),
                    ));
                }
                line.push(style, character.encode_utf8(&mut [0; 4]));
            }
        }
        lines.push(line);
        lines
    }

    fn characters(&self) -> impl Iterator<Item = (Style, char)> {
        self.0
            .iter()
            .flat_map(|(style, text)| text.chars().map(|character| (*style, character)))
    }

    /// Words and the spaces between them; a word wider than a line comes in parts that end with a comma.
    fn words_within(&self, width: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        for word in self.words() {
            if word.width() <= width {
                parts.push(word);
                continue;
            }
            let mut part = Self::default();
            for (style, character) in word.characters() {
                part.push(style, character.encode_utf8(&mut [0; 4]));
                if character == ',' {
                    parts.push(std::mem::take(&mut part));
                }
            }
            if !part.is_empty() {
                parts.push(part);
            }
        }
        parts
    }

    /// Runs of spaces and runs of other characters, in turn.
    fn words(&self) -> Vec<Self> {
        let mut words: Vec<Self> = Vec::new();
        let mut in_space = None;
        for (style, character) in self.characters() {
            let space = character == ' ';
            if in_space != Some(space) {
                words.push(Self::default());
                in_space = Some(space);
            }
            if let Some(word) = words.last_mut() {
                word.push(style, character.encode_utf8(&mut [0; 4]));
            }
        }
        words
    }

    /// The text, with colour or without, and without spaces at its end.
    pub(crate) fn paint(&self, colour: bool) -> String {
        let mut painted = String::new();
        let count = self
            .0
            .iter()
            .rposition(|(_, text)| !text.trim_end().is_empty());
        let Some(last) = count else { return painted };
        for (number, (style, text)) in self.0.iter().take(last + 1).enumerate() {
            let text = if number == last {
                text.trim_end()
            } else {
                text
            };
            let text = text.replace(HELD, " ");
            match style.escape().filter(|_| colour) {
                Some(escape) => write!(painted, "\x1b[{escape}m{text}\x1b[0m"),
                None => write!(painted, "{text}"),
            }
            .expect("writing to a string does not fail");
        }
        painted
    }
}

/// Lines as one text.
pub(crate) fn paint(lines: &[Line], colour: bool) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        text.push_str(&line.paint(colour));
        text.push('\n');
        text
    })
}

/// A space that no line breaks at; it is printed as an ordinary one.
pub(crate) const HELD: char = '\u{a0}';

/// A text that stays on one line, such as a number and its unit.
pub(crate) fn held(text: impl AsRef<str>) -> String {
    text.as_ref().replace(' ', "\u{a0}")
}

/// Columns of a text on the terminal.
pub(crate) fn width(text: &str) -> usize {
    text.chars()
        .map(|character| character.width().unwrap_or(0))
        .sum()
}

/// A character that cannot steer the terminal, nor turn the direction of writing.
fn visible(character: char) -> char {
    let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if character == '\t' {
        ' '
    } else if character.is_control() || turns {
        char::REPLACEMENT_CHARACTER
    } else {
        character
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(lines: &[Line]) -> Vec<String> {
        lines.iter().map(|line| line.paint(false)).collect()
    }

    #[test]
    fn breaks_at_spaces_and_indents_what_follows() {
        let line = Line::plain("one two three four");
        assert_eq!(plain(&line.wrap(9, 2)), ["one two", "  three", "  four"]);
        assert_eq!(plain(&Line::plain("").wrap(9, 2)), [""]);
    }

    #[test]
    fn breaks_a_word_that_is_longer_than_the_line() {
        let line = Line::plain("to 2001:db8:1:2:3:4:5:6 now");
        assert_eq!(
            plain(&line.wrap(12, 2)),
            ["to", "  2001:db8:1", "  :2:3:4:5:6", "  now"]
        );
    }

    #[test]
    fn a_long_list_is_broken_behind_a_comma() {
        let line = Line::plain("hint=192.0.2.1,192.0.2.2,192.0.2.3");
        assert_eq!(
            plain(&line.wrap(17, 2)),
            ["hint=192.0.2.1,", "  192.0.2.2,", "  192.0.2.3"]
        );
    }

    #[test]
    fn a_word_keeps_together_across_styles() {
        let line = Line::quoting(Style::Plain, "open `port 80`, then `443`.");
        assert_eq!(plain(&line.wrap(16, 0)), ["open `port 80`,", "then `443`."]);
    }

    #[test]
    fn held_text_is_not_broken_and_is_printed_with_spaces() {
        let line = Line::plain(format!("after {}", held("14 ms")));
        assert_eq!(plain(&line.wrap(9, 0)), ["after", "14 ms"]);
    }

    #[test]
    fn an_odd_backtick_is_only_a_character() {
        assert_eq!(
            Line::quoting(Style::Plain, "a `b` c` d").paint(false),
            "a `b` c` d"
        );
        assert_eq!(Line::quoting(Style::Plain, "`").paint(false), "`");
    }

    #[test]
    fn colour_wraps_styled_parts_only_and_can_be_left_out() {
        let line = Line::styled(Style::Bad, "no").with(Style::Plain, " answer  ");
        assert_eq!(line.paint(true), "\x1b[1;31mno\x1b[0m answer");
        assert_eq!(line.paint(false), "no answer");
    }

    #[test]
    fn what_could_steer_a_terminal_does_not_reach_it() {
        let line = Line::plain("a\x1b[2Jb\u{202e}c\td\u{9b}");
        assert_eq!(line.paint(true), "a\u{fffd}[2Jb\u{fffd}c d\u{fffd}");
    }
}
