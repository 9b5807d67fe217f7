//! What the house's pages share: the head with the style, timelines, and text that never becomes markup.
//!
//! A page has no script and takes nothing from elsewhere; it is good on a phone and in the dark.

pub(crate) mod lane;
pub(crate) mod markup;
#[cfg(test)]
pub(crate) mod proof;
pub(crate) mod timeline;

use markup::Escaped;

/// Everything up to the first heading; `</main></body></html>` is left to the page.
pub(crate) fn head(title: &str, eyebrow: &str) -> String {
    format!(
        concat!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
            "<meta name=\"generator\" content=\"twinstack ",
            env!("CARGO_PKG_VERSION"),
            "\">\n<title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n",
            // Hatching for attempts that came to nothing. Not `display: none`: patterns in there do not draw.
            "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>",
            "<pattern id=\"lost-v6\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" ",
            "patternTransform=\"rotate(45)\"><line class=\"h6\" y2=\"6\" stroke-width=\"4\"/></pattern>",
            "<pattern id=\"lost-v4\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" ",
            "patternTransform=\"rotate(45)\"><line class=\"h4\" y2=\"6\" stroke-width=\"4\"/></pattern>",
            "<pattern id=\"lost-dns\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" ",
            "patternTransform=\"rotate(45)\"><line class=\"hd\" y2=\"6\" stroke-width=\"4\"/></pattern>",
            "</defs></svg>\n<main>\n<p class=\"eyebrow\">{eyebrow}</p>\n",
        ),
        title = Escaped(title),
        style = include_str!("page/style.css"),
        eyebrow = Escaped(eyebrow),
    )
}

/// What a legend can explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// A lookup.
    Dns,
    /// An attempt over IPv6.
    Ipv6,
    /// An attempt over IPv4.
    Ipv4,
    /// A connection in use.
    Open,
    /// An attempt that nobody answered.
    Unanswered,
    /// A SYN that the kernel repeated.
    Repeated,
    /// The end of an attempt.
    GivenUp,
    /// The first byte.
    FirstByte,
}

/// The signs of a figure, explained.
pub(crate) fn legend(signs: &[Sign]) -> String {
    let items: String = signs.iter().map(|sign| sign.explained()).collect();
    format!("<ul class=\"legend\">{items}</ul>\n")
}

impl Sign {
    fn explained(self) -> String {
        let rect = |class: &str| format!("<rect class=\"{class}\" width=\"22\" height=\"12\"/>");
        let (inside, text) = match self {
            Self::Dns => (rect("dns"), "DNS"),
            Self::Ipv6 => (rect("v6"), "connecting over IPv6"),
            Self::Ipv4 => (rect("v4"), "over IPv4"),
            Self::Open => (rect("v6 open"), "request and answer"),
            Self::Unanswered => (rect("v6 lost"), "no answer"),
            Self::Repeated => (
                "<g class=\"repeat\"><path d=\"M7 2H15L11 9Z\"/></g>".to_owned(),
                "SYN sent again",
            ),
            Self::GivenUp => (
                "<g class=\"stop\"><path d=\"M7 2L15 10M7 10L15 2\"/></g>".to_owned(),
                "given up",
            ),
            Self::FirstByte => (
                "<g class=\"byte\"><line x1=\"11\" x2=\"11\" y2=\"12\"/><path d=\"M6 0H16L11 7Z\"/></g>"
                    .to_owned(),
                "first byte of the page",
            ),
        };
        format!(
            "<li><svg width=\"22\" height=\"12\" aria-hidden=\"true\">{inside}</svg>{text}</li>"
        )
    }
}
