//! The words of a line, each with its column.

use super::RecordError;

/// A word of the line.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    /// As written, without the quotes of a token that is quoted as a whole.
    pub(super) raw: &'a str,
    pub(super) quoted: bool,
    /// In characters, from 1.
    pub(super) column: usize,
}

/// Splits at blanks; quotes join, `;` ends the line, parentheses must balance and mean nothing else.
pub(super) fn tokens(line: &str) -> Result<Vec<Token<'_>>, RecordError> {
    let line = line.trim_end_matches(['\r', '\n']);
    let mut found = Vec::new();
    let mut open = Vec::new();
    let mut characters = line.char_indices().zip(1_usize..).peekable();
    while let Some(((start, character), column)) = characters.next() {
        match character {
            ' ' | '\t' => {}
            ';' => break,
            '\n' | '\r' => {
                return Err(RecordError::at(
                    column,
                    "a line break inside a record; write it on one line",
                ));
            }
            '(' => open.push(column),
            ')' => {
                open.pop()
                    .ok_or_else(|| RecordError::at(column, "`)` without `(`"))?;
            }
            _ => {
                let quoted = character == '"';
                let mut in_quotes = quoted;
                let mut escaped = character == '\\';
                let mut end = start.saturating_add(character.len_utf8());
                while let Some(((at, character), _)) = characters.peek().copied() {
                    let stops = match character {
                        _ if escaped => {
                            escaped = false;
                            false
                        }
                        '\n' | '\r' => true,
                        '\\' => {
                            escaped = true;
                            false
                        }
                        '"' if in_quotes => {
                            in_quotes = false;
                            quoted
                        }
                        // `key="value"` is one word (RFC 9460 section 2.1).
                        '"' => {
                            in_quotes = true;
                            false
                        }
                        ' ' | '\t' | ';' | '(' | ')' => !in_quotes,
                        _ => false,
                    };
                    let closes = quoted && character == '"' && stops;
                    if stops && !closes {
                        break;
                    }
                    characters.next();
                    end = at.saturating_add(character.len_utf8());
                    if closes {
                        break;
                    }
                }
                if in_quotes {
                    return Err(RecordError::at(column, "the closing quote is missing"));
                }
                let raw = line.get(start..end).unwrap_or_default();
                found.push(Token {
                    raw: if quoted { without_quotes(raw) } else { raw },
                    quoted,
                    column,
                });
            }
        }
    }
    match open.first() {
        Some(column) => Err(RecordError::at(*column, "`(` is never closed")),
        None => Ok(found),
    }
}

/// Without the quote at either end.
fn without_quotes(text: &str) -> &str {
    let inner = text.strip_prefix('"').unwrap_or(text);
    inner.strip_suffix('"').unwrap_or(inner)
}

impl Token<'_> {
    /// As it may stand in a line again.
    pub(super) fn quoted_again(&self) -> String {
        if self.quoted {
            format!("\"{}\"", self.raw)
        } else {
            self.raw.to_owned()
        }
    }
}

/// The octets of a character string: `\DDD` and `\X` undone, quotes inside a word left out.
pub(super) fn unescape(token: Token<'_>) -> Result<Vec<u8>, RecordError> {
    let mut octets = Vec::new();
    let mut characters = token.raw.chars();
    while let Some(character) = characters.next() {
        if character == '"' && !token.quoted {
            continue;
        }
        if character != '\\' {
            let mut buffer = [0; 4];
            octets.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
            continue;
        }
        let broken = || RecordError::at(token.column, "a broken escape; write `\\\\` or `\\032`");
        let first = characters.next().ok_or_else(broken)?;
        if !first.is_ascii_digit() {
            octets.push(u8::try_from(first).map_err(|_| broken())?);
            continue;
        }
        let digits: String = std::iter::once(first)
            .chain(characters.by_ref().take(2))
            .collect();
        if digits.len() != 3 {
            return Err(broken());
        }
        octets.push(digits.parse().map_err(|_| broken())?);
    }
    Ok(octets)
}
