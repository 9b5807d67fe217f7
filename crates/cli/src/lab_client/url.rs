//! What the client is told to fetch and for how long it waits.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// `http://HOST[:PORT][/PATH]`, and nothing more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// A name, or an address without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Begins with `/`.
    pub(crate) path: String,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let rest = text
            .strip_prefix("http://")
            .ok_or("this client speaks plain HTTP: `http://HOST[:PORT][/PATH]`")?;
        let (authority, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let (host, port) = match authority
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            Some((host, "")) => (host, None),
            Some((host, port)) => (
                host,
                Some(port.strip_prefix(':').ok_or("expected a port behind `]`")?),
            ),
            None => match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            },
        };
        let port = match port {
            None => 80,
            Some(port) => match port.parse() {
                Ok(port @ 1..) => port,
                _ => return Err(format!("`{port}` is not a port: 1 to 65535")),
            },
        };
        if host.is_empty() || path.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err(format!("`{text}` is not a URL"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }

    /// The address, if the host is written as one.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// What stands in the `Host` header.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if self.port == 80 {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.path)
    }
}

/// `20s`, `1.5s` or `500ms`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or_default(), 1.0),
    };
    number
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| format!("`{text}` is not a time: `20s`, `500ms`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_port_and_path_are_read_and_written() {
        let check = |text: &str, host: &str, port, path: &str, written: &str| {
            let url = Url::parse(text).unwrap();
            assert_eq!(
                (url.host.as_str(), url.port, url.path.as_str()),
                (host, port, path)
            );
            assert_eq!(url.to_string(), written);
        };
        check(
            "http://www.lab.test",
            "www.lab.test",
            80,
            "/",
            "http://www.lab.test/",
        );
        check(
            "http://www.lab.test:8080/a?b",
            "www.lab.test",
            8080,
            "/a?b",
            "http://www.lab.test:8080/a?b",
        );
        check(
            "http://[2e00:5::80]/",
            "2e00:5::80",
            80,
            "/",
            "http://[2e00:5::80]/",
        );
        check("http://[::1]:81", "::1", 81, "/", "http://[::1]:81/");
    }

    #[test]
    fn what_is_no_plain_http_url_is_refused() {
        for text in [
            "",
            "www.lab.test",
            "https://www.lab.test/",
            "http://",
            "http:///x",
            "http://a:0/",
            "http://a:65536/",
            "http://a:x/",
            "http://[::1]x/",
            "http://a/b c",
            "http://a/\r\nX: y",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_a_unit() {
        assert_eq!(duration("20s"), Ok(Duration::from_secs(20)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for text in ["", "20", "-1s", "0s", "s", "1e400s", "ms", "NaNs"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
