//! Text into HTML: what comes from the network never becomes markup.

use std::fmt::{self, Write as _};

/// Text with everything escaped that HTML and attributes care about.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(character)?,
                // Controls have no place in HTML, not even as references.
                other if other.is_control() => f.write_char(char::REPLACEMENT_CHARACTER)?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

/// The same, with what stands in backticks as code.
pub(crate) struct Quoting<'a>(pub(crate) &'a str);

impl fmt::Display for Quoting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticks = self.0.matches('`').count();
        for (number, part) in self.0.split('`').enumerate() {
            match (number % 2 == 1, number == ticks) {
                (true, false) => write!(f, "<code>{}</code>", Escaped(part))?,
                (true, true) => write!(f, "`{}", Escaped(part))?,
                (false, _) => Escaped(part).fmt(f)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let evil = "<script>alert('x')</script> & \"quotes\" \u{1b}[2J";
        let expected =
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &quot;quotes&quot; \u{fffd}[2J";
        assert_eq!(Escaped(evil).to_string(), expected);
        assert_eq!(
            Quoting("a `<b>` c").to_string(),
            "a <code>&lt;b&gt;</code> c"
        );
        assert_eq!(Quoting("a `b` c` d").to_string(), "a <code>b</code> c` d");
    }
}
