//! `/etc/resolv.conf`, as glibc reads it (resolv.conf(5)).
//!
//! Reading never fails: a line that nobody understands is passed over, as every libc does, and named in
//! [`ResolvConf::problems`].

use crate::name::Name;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

/// What the file says, with glibc's defaults for what it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers in order. glibc and musl use the first three; `127.0.0.1` when the file names none.
    pub nameservers: Vec<Nameserver>,
    /// Domains to try names in.
    pub search: Vec<Name>,
    /// Names with at least so many dots are tried as they are first; 0 to 15.
    pub ndots: u8,
    /// How long to wait for one answer; 1 to 30 s.
    pub timeout: Duration,
    /// How often to go through the servers; 1 to 5.
    pub attempts: u8,
    /// TCP from the start (`use-vc`).
    pub use_tcp: bool,
    /// Lines that were not understood.
    pub problems: Vec<ResolvProblem>,
}

/// A server of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nameserver {
    /// Its address.
    pub address: IpAddr,
    /// The interface behind `%`, by name or number; link-local addresses need one.
    pub scope: Option<String>,
}

/// A line that was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ResolvProblem {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self {
            nameservers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            use_tcp: false,
            problems: Vec::new(),
        }
    }
}

impl ResolvConf {
    /// Reads the text of the file.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for (line, number) in text.lines().zip(1_usize..) {
            // Comments begin in the first column only for glibc; musl and BIND cut them anywhere.
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(keyword) = words.next() else {
                continue;
            };
            let mut problem = |message: String| {
                conf.problems.push(ResolvProblem {
                    line: number,
                    message,
                });
            };
            match keyword {
                "nameserver" => match words.next().map(Nameserver::parse) {
                    Some(Some(server)) => conf.nameservers.push(server),
                    _ => problem(format!("`{}` names no server address", line.trim())),
                },
                // The last of `domain` and `search` wins.
                "domain" | "search" => {
                    let mut search = Vec::new();
                    for word in words {
                        match Name::parse(word) {
                            Ok(name) => search.push(name),
                            Err(error) => problem(error.to_string()),
                        }
                    }
                    conf.search = search;
                }
                "options" => words.for_each(|word| conf.option(word, number)),
                "sortlist" | "lookup" | "family" => {}
                _ => problem(format!("`{keyword}` is no keyword of resolv.conf")),
            }
        }
        if conf.nameservers.is_empty() {
            conf.nameservers.push(Nameserver {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                scope: None,
            });
        }
        conf
    }

    fn option(&mut self, word: &str, line: usize) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let number = value.parse::<u8>().ok();
        match (name, number) {
            ("ndots", Some(ndots)) => self.ndots = ndots.min(15),
            ("timeout", Some(seconds)) => {
                self.timeout = Duration::from_secs(u64::from(seconds.clamp(1, 30)));
            }
            ("attempts", Some(attempts)) => self.attempts = attempts.clamp(1, 5),
            ("use-vc", None) => self.use_tcp = true,
            ("ndots" | "timeout" | "attempts", None) => self.problems.push(ResolvProblem {
                line,
                message: format!("`{word}` has no number from 0 to 255"),
            }),
            // There are some twenty more, such as `rotate` and `trust-ad`; they change nothing that we use.
            _ => {}
        }
    }
}

impl Nameserver {
    /// `192.0.2.53`, `2001:db8::53` or `fe80::1%eth0`.
    fn parse(text: &str) -> Option<Self> {
        let (address, scope) = match text.split_once('%') {
            Some((address, scope)) if !scope.is_empty() => (address, Some(scope.to_owned())),
            Some(_) => return None,
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        (address.is_ipv6() || scope.is_none()).then_some(Self { address, scope })
    }

    /// Where to send, given a way to turn an interface's name into its number; `None` if that finds none.
    pub fn socket_address(&self, index_of: impl FnOnce(&str) -> Option<u32>) -> Option<SocketAddr> {
        let scope = match &self.scope {
            Some(scope) => scope.parse().ok().or_else(|| index_of(scope))?,
            None => 0,
        };
        Some(match self.address {
            IpAddr::V4(address) => SocketAddr::from((address, 53)),
            IpAddr::V6(address) => SocketAddrV6::new(address, 53, 0, scope).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    #[test]
    fn reads_servers_search_and_options() {
        let conf = ResolvConf::parse(
            "# made by hand\n\
             nameserver 192.0.2.53\n\
             nameserver fe80::1%eth0 ; the router\n\
             search lab.test example.org\n\
             options ndots:3 timeout:1 attempts:4 rotate\n",
        );
        assert_eq!(conf.nameservers.len(), 2);
        assert_eq!(conf.nameservers[1].scope.as_deref(), Some("eth0"));
        assert_eq!(conf.search, [name("lab.test"), name("example.org")]);
        assert_eq!(
            (conf.ndots, conf.timeout, conf.attempts),
            (3, Duration::from_secs(1), 4)
        );
        assert_eq!(conf.problems, []);
    }

    #[test]
    fn an_empty_file_means_this_host() {
        let conf = ResolvConf::parse("");
        assert_eq!(conf.nameservers[0].address, IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!((conf.ndots, conf.attempts), (1, 2));
    }

    #[test]
    fn values_are_bounded_as_in_glibc() {
        let conf = ResolvConf::parse("options ndots:99 timeout:0 attempts:200 use-vc");
        assert_eq!(
            (conf.ndots, conf.timeout, conf.attempts, conf.use_tcp),
            (15, Duration::from_secs(1), 5, true)
        );
    }

    #[test]
    fn the_last_search_wins() {
        let conf = ResolvConf::parse("search a.test\ndomain b.test\n");
        assert_eq!(conf.search, [name("b.test")]);
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        let conf = ResolvConf::parse(
            "nameserver\nnameserver 1.2.3\nfoo bar\noptions ndots:x\nnameserver fe80::1%\n",
        );
        let problems: Vec<String> = conf.problems.iter().map(ResolvProblem::to_string).collect();
        assert_eq!(
            problems,
            [
                "line 1: `nameserver` names no server address",
                "line 2: `nameserver 1.2.3` names no server address",
                "line 3: `foo` is no keyword of resolv.conf",
                "line 4: `ndots:x` has no number from 0 to 255",
                "line 5: `nameserver fe80::1%` names no server address",
            ]
        );
    }

    #[test]
    fn a_scope_becomes_an_interface_number() {
        let conf = ResolvConf::parse(
            "nameserver fe80::1%eth0\nnameserver fe80::1%7\nnameserver 192.0.2.53\n",
        );
        let address = |index: usize| {
            conf.nameservers[index].socket_address(|scope| (scope == "eth0").then_some(3))
        };
        assert_eq!(address(0).unwrap().to_string(), "[fe80::1%3]:53");
        assert_eq!(address(1).unwrap().to_string(), "[fe80::1%7]:53");
        assert_eq!(address(2).unwrap().to_string(), "192.0.2.53:53");
        assert_eq!(conf.nameservers[0].socket_address(|_| None), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "(nameserver|search|options|[a-z:%#; 0-9.\n]){0,40}") {
            prop_assert!(!ResolvConf::parse(&text).nameservers.is_empty());
        }
    }
}
