//! What a page refers to, found without a parser of HTML: a scanner that knows tags, attributes, comments and raw
//! text, in one pass. It reads bytes from strangers, so it never panics and never takes more than linear time.

#![warn(clippy::indexing_slicing, clippy::as_conversions)]

use super::link::Link;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Sub-resources that are followed at most.
pub(super) const PARTS: usize = 30;

/// What the scanner found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Scan {
    pub(super) title: Option<String>,
    /// URLs that a browser loads without being asked, in order, each once, at most [`PARTS`].
    pub(super) parts: Vec<Link>,
    /// URLs whose host is an IPv4 literal: parts, links, forms, styles, scripts.
    pub(super) v4_literals: Vec<(String, Ipv4Addr)>,
}

/// Scans an HTML page.
pub(super) fn scan(page: &Link, body: &[u8]) -> Scan {
    let text = String::from_utf8_lossy(body);
    let mut found = Found {
        base: page.clone(),
        scan: Scan::default(),
        seen: BTreeSet::new(),
    };
    let mut rest: &str = &text;
    while let Some(start) = rest.find('<') {
        rest = rest.get(start..).unwrap_or_default();
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment
                .find("-->")
                .and_then(|end| comment.get(end + 3..))
                .unwrap_or_default();
            continue;
        }
        let Some((tag, behind)) = tag(rest) else {
            rest = rest.get(1..).unwrap_or_default();
            continue;
        };
        found.tag(&tag);
        rest = behind;
        // What stands between these tags is not HTML.
        if matches!(tag.name.as_str(), "script" | "style" | "title" | "textarea") {
            let end = find_ignoring_case(rest, &format!("</{}", tag.name)).unwrap_or(rest.len());
            let (inner, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
            match tag.name.as_str() {
                "title" if found.scan.title.is_none() => found.scan.title = Some(words(inner)),
                "script" | "style" => found.literals_in(inner),
                _ => {}
            }
            rest = behind;
        }
    }
    found.scan
}

/// The IPv4 literals in the URLs of a body that is not HTML (JSON, XML, scripts).
pub(super) fn scan_text(page: &Link, body: &[u8]) -> Scan {
    let mut found = Found {
        base: page.clone(),
        scan: Scan::default(),
        seen: BTreeSet::new(),
    };
    found.literals_in(&String::from_utf8_lossy(body));
    found.scan
}

struct Found {
    base: Link,
    scan: Scan,
    seen: BTreeSet<String>,
}

impl Found {
    fn tag(&mut self, tag: &Tag) {
        let attribute = |wanted: &str| {
            tag.attributes
                .iter()
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.as_str())
        };
        if tag.name == "base"
            && let Some(base) = attribute("href").and_then(|href| self.base.join(href))
        {
            self.base = base;
        }
        for (name, value) in &tag.attributes {
            match name.as_str() {
                "src" | "href" | "action" | "formaction" | "poster" | "data" | "background"
                | "cite" => {
                    self.literal(value);
                }
                "srcset" | "imagesrcset" => {
                    candidates(value).for_each(|url| self.literal(url));
                }
                "style" | "content" => self.literals_in(value),
                name if name.starts_with("on") || name.starts_with("data-") => {
                    self.literals_in(value);
                }
                _ => {}
            }
        }
        let loaded = match tag.name.as_str() {
            "script" | "img" | "iframe" | "frame" | "audio" | "video" | "source" | "track"
            | "embed" => {
                let lazy = attribute("src")
                    .or_else(|| attribute("srcset").and_then(|set| candidates(set).next()));
                // Scripts of other types are data.
                lazy.filter(|_| tag.name != "script" || attribute("type").is_none_or(is_script))
            }
            "input" if attribute("type").is_some_and(|kind| kind.eq_ignore_ascii_case("image")) => {
                attribute("src")
            }
            "object" => attribute("data"),
            "link" => attribute("href").filter(|_| {
                attribute("rel").is_some_and(|rel| {
                    rel.to_ascii_lowercase()
                        .split_ascii_whitespace()
                        .any(|word| {
                            matches!(
                                word,
                                "stylesheet"
                                    | "icon"
                                    | "preload"
                                    | "modulepreload"
                                    | "manifest"
                                    | "apple-touch-icon"
                            )
                        })
                })
            }),
            _ => None,
        };
        if let Some(link) = loaded
            .filter(|url| !url.trim().is_empty())
            .and_then(|url| self.base.join(url))
            && self.scan.parts.len() < PARTS
            && self.seen.insert(link.to_string())
        {
            self.scan.parts.push(link);
        }
    }

    fn literal(&mut self, url: &str) {
        let absolute = url.trim_start();
        if !absolute.contains("//") {
            return;
        }
        if let Some(link) = self.base.join(absolute)
            && let Some(address) = link.v4_literal()
            && self.scan.v4_literals.len() < PARTS
            && !self
                .scan
                .v4_literals
                .iter()
                .any(|(_, known)| *known == address)
        {
            self.scan.v4_literals.push((link.to_string(), address));
        }
    }

    /// URLs with a scheme inside scripts, styles and data. JSON may write `\/` for `/`.
    fn literals_in(&mut self, text: &str) {
        for scheme in ["http:", "https:", "ws:", "wss:", "url("] {
            let mut rest = text;
            while let Some(at) = rest.find(scheme) {
                let url = rest.get(at..).unwrap_or_default();
                rest = url.get(scheme.len()..).unwrap_or_default();
                let quoted = |c: char| {
                    c.is_ascii_whitespace()
                        || matches!(c, '"' | '\'' | '`' | '<' | '>' | ')' | ',' | ';')
                };
                let url = if scheme == "url(" {
                    rest.trim_start_matches(['"', '\''])
                } else {
                    url
                };
                // No URL is longer; without a bound a body of nothing but schemes would cost quadratic time.
                let end = url
                    .char_indices()
                    .take(2000)
                    .find(|(_, c)| quoted(*c))
                    .map_or(url.len(), |(at, _)| at);
                let url: String = url
                    .get(..end)
                    .unwrap_or_default()
                    .chars()
                    .take(2000)
                    .collect();
                let url = url.replace("\\/", "/");
                let url = url
                    .replacen("wss:", "https:", 1)
                    .replacen("ws:", "http:", 1);
                self.literal(&url);
            }
        }
    }
}

fn is_script(kind: &str) -> bool {
    let kind = kind.trim().to_ascii_lowercase();
    kind.is_empty()
        || kind == "module"
        || kind.contains("javascript")
        || kind.contains("ecmascript")
}

/// The URLs of a `srcset`.
fn candidates(set: &str) -> impl Iterator<Item = &str> {
    set.split(',')
        .filter_map(|candidate| candidate.split_ascii_whitespace().next())
}

#[derive(Debug)]
struct Tag {
    /// Lower case; empty for closing tags and declarations.
    name: String,
    attributes: Vec<(String, String)>,
}

/// Reads a tag at the start of the text, and gives what stands behind it. `None` if it is only a `<`.
fn tag(text: &str) -> Option<(Tag, &str)> {
    let rest = text.strip_prefix('<')?;
    if !rest.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')) {
        return None;
    }
    let end = rest
        .find(|c: char| c.is_ascii_whitespace() || c == '>')
        .unwrap_or(rest.len());
    let (name, mut rest) = rest.split_at_checked(end)?;
    let name = name.trim_end_matches('/').to_ascii_lowercase();
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() {
            break;
        }
        if let Some(behind) = rest.strip_prefix('>') {
            rest = behind;
            break;
        }
        let end = rest
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/'))
            .unwrap_or(rest.len())
            // A lone `=` is a name of one letter, so that every turn of the loop gets further.
            .max(1);
        let Some((attribute, behind)) = rest.split_at_checked(end) else {
            break;
        };
        let behind = behind.trim_start();
        let Some(value) = behind.strip_prefix('=') else {
            rest = behind;
            continue;
        };
        let value = value.trim_start();
        let quote = value
            .chars()
            .next()
            .filter(|first| matches!(first, '"' | '\''));
        let (value, behind) = if let Some(quote) = quote {
            let inner = value.get(1..).unwrap_or_default();
            inner.split_once(quote).unwrap_or((inner, ""))
        } else {
            let end = value.find(|c: char| c.is_ascii_whitespace() || c == '>');
            value
                .split_at_checked(end.unwrap_or(value.len()))
                .unwrap_or((value, ""))
        };
        // Further attributes than any page has are not kept, but still skipped over.
        if attributes.len() < 64 {
            attributes.push((attribute.to_ascii_lowercase(), unescape(value)));
        }
        rest = behind;
    }
    Some((Tag { name, attributes }, rest))
}

/// The only references that stand in URLs.
fn unescape(value: &str) -> String {
    if !value.contains('&') {
        return value.to_owned();
    }
    ["&amp;", "&#38;", "&#x26;"]
        .iter()
        .fold(value.to_owned(), |text, escape| text.replace(escape, "&"))
}

/// Text with runs of white space made one space.
fn words(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut words = words.join(" ");
    if let Some((end, _)) = words.char_indices().nth(200) {
        words.truncate(end);
    }
    words
}

fn find_ignoring_case(text: &str, wanted: &str) -> Option<usize> {
    text.as_bytes()
        .windows(wanted.len())
        .position(|part| part.eq_ignore_ascii_case(wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Link {
        Link {
            https: true,
            host: "www.lab.test".into(),
            port: 443,
            path: "/a/".into(),
        }
    }

    fn parts(body: &str) -> Vec<String> {
        scan(&page(), body.as_bytes())
            .parts
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn literals(body: &str) -> Vec<String> {
        scan(&page(), body.as_bytes())
            .v4_literals
            .into_iter()
            .map(|(url, _)| url)
            .collect()
    }

    #[test]
    fn title_is_read_once_and_tidied() {
        let scan = scan(
            &page(),
            b"<HTML><Title >\n Two\twords </TITLE><svg><title>no</title>",
        );
        assert_eq!(scan.title.as_deref(), Some("Two words"));
    }

    #[test]
    fn what_a_browser_loads_is_a_part() {
        let check = |body, expected: &str| assert_eq!(parts(body), [expected], "{body}");
        check(
            "<script src=/app.js></script>",
            "https://www.lab.test/app.js",
        );
        check(
            "<SCRIPT defer SRC='app.js' type=module>",
            "https://www.lab.test/a/app.js",
        );
        check(
            "<img alt='>' src=\"//static.lab.test/logo.svg?a=1&amp;b=2\"/>",
            "https://static.lab.test/logo.svg?a=1&b=2",
        );
        check(
            "<link rel=\"preload stylesheet\" href=s.css>",
            "https://www.lab.test/a/s.css",
        );
        check(
            "<img srcset='a.png 1x, b.png 2x'>",
            "https://www.lab.test/a/a.png",
        );
        check(
            "<base href=/b/><img src=x.png>",
            "https://www.lab.test/b/x.png",
        );
        check(
            "<iframe src=http://h.test/></iframe><iframe src=http://h.test/>",
            "http://h.test/",
        );
    }

    #[test]
    fn what_a_user_must_click_or_a_browser_ignores_is_no_part() {
        for body in [
            "<a href=/x>x</a>",
            "<link rel=canonical href=/x>",
            "<link rel=preconnect href=//cdn.test>",
            "<link rel=dns-prefetch href=//cdn.test>",
            "<!-- <img src=/x> -->",
            "<script>document.write('<img src=/x>')</script>",
            "<script type=application/json src=/x></script>",
            "<textarea><img src=/x></textarea>",
            "<img src=data:image/png;base64,AAAA>",
            "<img src=''>",
            "1 < 2 <img",
        ] {
            assert_eq!(parts(body), Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn literals_in_links_scripts_styles_and_attributes_count() {
        let check = |body, expected: &str| assert_eq!(literals(body), [expected], "{body}");
        check("<a href='http://192.0.2.80/x'>", "http://192.0.2.80/x");
        check(
            "<form action=//192.0.2.80:8080/>",
            "https://192.0.2.80:8080/",
        );
        check(
            "<script>var u = \"https:\\/\\/192.0.2.80\\/api\";</script>",
            "https://192.0.2.80/api",
        );
        check(
            "<style>a{background:url(//192.0.2.80/x.png)}</style>",
            "https://192.0.2.80/x.png",
        );
        check(
            "<meta http-equiv=refresh content='0; url=http://192.0.2.80/'>",
            "http://192.0.2.80/",
        );
        check(
            "<div data-api='wss://192.0.2.80/s'>",
            "https://192.0.2.80/s",
        );
    }

    #[test]
    fn text_comments_versions_and_loopback_are_no_literals() {
        for body in [
            "<p>http://192.0.2.80/ is our address</p>",
            "<!-- http://192.0.2.80/ -->",
            "<pre>curl http://192.0.2.80/</pre>",
            "<script>var version = '1.2.3.4'</script>",
            "<a href=http://127.0.0.1:8080/>",
            "<a href=http://[2e00:5::80]/>",
            "<a href=/192.0.2.80/>",
            "<a href=http://v192.0.2.80.h.test/>",
        ] {
            assert_eq!(literals(body), Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn json_is_scanned_for_urls() {
        let scan = scan_text(
            &page(),
            br#"{"next": "http:\/\/198.51.100.80/2", "ip": "192.0.2.1"}"#,
        );
        assert_eq!(scan.v4_literals.len(), 1);
        assert_eq!(scan.v4_literals[0].0, "http://198.51.100.80/2");
    }

    #[test]
    fn broken_pages_end_and_do_not_panic() {
        let pieces = [
            "<", ">", "\"", "'", "=", "/", "<!--", "-->", "<script", "<img src", "é", "\0", " ",
            "&amp;", "</",
        ];
        // Every sequence of three pieces, many times over: no loop may stand still.
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    scan(&page(), [a, b, c].concat().repeat(20).as_bytes());
                }
            }
        }
        scan(&page(), &[0xff; 1000]);
        assert_eq!(parts(&"<img src=/x ".repeat(5000)).len(), 1);
        assert_eq!(
            parts(&(0..99_u8).fold(String::new(), |page, n| page + &format!("<img src=/{n}>")))
                .len(),
            PARTS
        );
    }
}
