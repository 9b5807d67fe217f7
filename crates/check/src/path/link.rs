//! URLs as far as pages need them: taken apart, and joined with what a page refers to (RFC 3986, section 5).
//!
//! Only `http` and `https`; anything else is no link for us. Pure, never panics.

use std::net::{Ipv4Addr, Ipv6Addr};

/// An absolute `http` or `https` URL without fragment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Link {
    pub(super) https: bool,
    /// Lower case; IPv6 literals without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query, beginning with `/`.
    pub(super) path: String,
}

impl Link {
    /// What `reference` means on the page `self`; `None` for what is not HTTP or cannot be read.
    pub(super) fn join(&self, reference: &str) -> Option<Self> {
        let reference = reference.trim_matches(|c: char| c.is_ascii_whitespace() || c.is_control());
        let reference = reference.split('#').next().unwrap_or_default();
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::from_authority(self.https, rest);
        }
        if let Some((scheme, rest)) = scheme(reference) {
            let rest = rest.strip_prefix("//")?;
            return match scheme.to_ascii_lowercase().as_str() {
                "http" => Self::from_authority(false, rest),
                "https" => Self::from_authority(true, rest),
                _ => None,
            };
        }
        let own_path = self.path.split('?').next().unwrap_or("/");
        let path = if reference.is_empty() {
            self.path.clone()
        } else if reference.starts_with('/') {
            tidy(reference)
        } else if let Some(query) = reference.strip_prefix('?') {
            tidy(&format!("{own_path}?{query}"))
        } else {
            let folder = own_path.rsplit_once('/').map_or("", |(folder, _)| folder);
            tidy(&format!("{folder}/{reference}"))
        };
        Some(Self {
            path,
            ..self.clone()
        })
    }

    fn from_authority(https: bool, rest: &str) -> Option<Self> {
        let end = rest.find(['/', '?', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let authority = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
            let (host, port) = bracketed.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':').unwrap_or_default())
        } else {
            authority.split_once(':').unwrap_or((authority, ""))
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        if host.is_empty() || !host.chars().all(legal) {
            return None;
        }
        let port = match port {
            "" if https => 443,
            "" => 80,
            text => text.parse().ok().filter(|port| *port != 0)?,
        };
        let path = match path.chars().next() {
            None => "/".to_owned(),
            Some('?') => format!("/{path}"),
            Some(_) => tidy(path),
        };
        Some(Self {
            https,
            host,
            port,
            path,
        })
    }

    /// The host if it is an IPv4 literal that means another machine.
    pub(super) fn v4_literal(&self) -> Option<Ipv4Addr> {
        let address: Ipv4Addr = self.host.parse().ok()?;
        (!address.is_loopback() && !address.is_unspecified()).then_some(address)
    }

    /// The text of a `Host` header or of `:authority`.
    pub(super) fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match (self.https, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

/// Splits off a scheme; a single letter is a drive, not a scheme.
fn scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let is_scheme =
        scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(legal);
    is_scheme.then_some((scheme, rest))
}

/// Removes `.` and `..` (RFC 3986, section 5.2.4), escapes what may not stand in a request line.
fn tidy(path: &str) -> String {
    let (path, query) = path
        .split_once('?')
        .map_or((path, None), |(path, query)| (path, Some(query)));
    let mut kept: Vec<&str> = Vec::new();
    let mut parts = path.split(['/', '\\']).skip(1).peekable();
    while let Some(part) = parts.next() {
        let last = parts.peek().is_none();
        match part {
            "." | ".." => {
                if part == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            part => kept.push(part),
        }
    }
    let mut text = String::new();
    for part in kept {
        text.push('/');
        escape(part, &mut text);
    }
    if text.is_empty() {
        text.push('/');
    }
    if let Some(query) = query {
        text.push('?');
        escape(query, &mut text);
    }
    text
}

fn escape(part: &str, text: &mut String) {
    for byte in part.bytes() {
        if byte.is_ascii_graphic()
            && !matches!(byte, b'"' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^')
        {
            text.push(char::from(byte));
        } else {
            text.push('%');
            for nibble in [byte >> 4, byte & 0xf] {
                text.extend(char::from_digit(nibble.into(), 16).map(|c| c.to_ascii_uppercase()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Link {
        Link {
            https: true,
            host: "www.lab.test".into(),
            port: 443,
            path: "/a/b?x=1".into(),
        }
    }

    #[test]
    fn references_are_joined_as_browsers_do() {
        let check = |reference: &str, expected: &str| {
            assert_eq!(
                page()
                    .join(reference)
                    .map(|link| link.to_string())
                    .as_deref(),
                Some(expected),
                "{reference}"
            );
        };
        check("/app.js", "https://www.lab.test/app.js");
        check("app.js", "https://www.lab.test/a/app.js");
        check("../x/./y", "https://www.lab.test/x/y");
        check("../../../..", "https://www.lab.test/");
        check("?y=2", "https://www.lab.test/a/b?y=2");
        check("?é", "https://www.lab.test/a/b?%C3%A9");
        check("", "https://www.lab.test/a/b?x=1");
        check("#top", "https://www.lab.test/a/b?x=1");
        check(
            "//Static.Lab.Test./logo.svg",
            "https://static.lab.test/logo.svg",
        );
        check("http://192.0.2.80/", "http://192.0.2.80/");
        check(
            "HTTPS://user:secret@h.test:8443?q",
            "https://h.test:8443/?q",
        );
        check("http://[2e00:5::80]:8080/x#y", "http://[2e00:5::80]:8080/x");
        check(" /with space\n", "https://www.lab.test/with%20space");
    }

    #[test]
    fn what_is_not_http_is_no_link() {
        for reference in [
            "mailto:a@b",
            "javascript:void(0)",
            "data:image/png;base64,AA",
            "https:",
            "http://",
            "http://[::1",
            "http://h:99999/",
            "http://h:0/",
            "http://./",
            "http://bücher.test/",
            "http://a b/",
            "ftp://h/",
        ] {
            assert_eq!(page().join(reference), None, "{reference}");
        }
    }

    #[test]
    fn only_literals_of_other_machines_count() {
        let literal = |url: &str| page().join(url).unwrap().v4_literal();
        assert_eq!(
            literal("http://192.0.2.80:8080/x"),
            Some(Ipv4Addr::new(192, 0, 2, 80))
        );
        for other in [
            "http://127.0.0.1/",
            "http://0.0.0.0/",
            "http://1.2.3/",
            "http://h192.0.2.1/",
            "/192.0.2.1",
        ] {
            assert_eq!(literal(other), None, "{other}");
        }
    }
}
