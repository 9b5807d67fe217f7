//! The half of `check` that looks at addresses: reach, TLS, HTTP, QUIC, the client's fallback, and the host itself.
//!
//! [`collect()`] touches the network and returns plain data; [`judge`] turns that data into findings without a clock,
//! a socket or a file, and keeps the rule that every fault raises exactly one code. [`rows`], [`client_timing`] and
//! [`skipped`] render the same data for the report.
//!
//! Nothing here resolves the target: the addresses come with the [`Plan`]. The only names looked up are those of a
//! page's sub-resources, through [`Plan::lookup`].

mod client;
mod collect;
mod compare;
mod echo;
pub(crate) mod fuzz;
mod html;
mod http;
mod link;
mod local;
mod lookup;
mod observation;
mod part;
mod port;
mod quic;
mod rule;
mod series;
mod socket;
mod table;
mod tcp;
mod tls;
mod vantage;
mod wire;
mod words;

pub(crate) use collect::collect;
pub(crate) use lookup::Lookup;
pub(crate) use observation::PathObservation;
pub(crate) use rule::judge;
pub(crate) use table::{client_timing, rows, skipped};

use crate::options::Profile;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// What to look at, settled before the first packet.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The name, lower case without the final dot, or the text of the address that the user gave: it becomes the
    /// TLS server name and the `Host` of every request.
    pub(crate) host: String,
    /// What to probe; without duplicates and without addresses that cannot be global.
    pub(crate) addresses: Vec<IpAddr>,
    /// The TCP ports; never empty.
    pub(crate) ports: Vec<u16>,
    /// `https` or `http` if the target said so; otherwise the port decides.
    pub(crate) scheme: Option<String>,
    /// The ports that the user asked for or an HTTPS record promises. One that is only usual may be closed on both families, and nothing is wrong.
    pub(crate) wanted: BTreeSet<u16>,
    /// The port that the target itself named, as in `https://host:80`: there `scheme` rules, whatever is usual on that
    /// number.
    pub(crate) scheme_port: Option<u16>,
    /// Path and query of every request, beginning with `/`.
    pub(crate) path: String,
    /// What kind of service it is: what is said after the connection opens.
    pub(crate) profile: Profile,
    /// The longest that one attempt (a connect, a handshake, a response) may take.
    pub(crate) timeout: Duration,
    /// The client to time instead of the built-in one.
    pub(crate) client: Option<Vec<String>>,
    /// We are on the server itself.
    pub(crate) local: bool,
    /// A name without AAAA is as meant.
    pub(crate) allow_v4_only: bool,
    /// An HTTPS record offers `h3`.
    pub(crate) h3_advertised: bool,
    /// The /96 through which IPv4 addresses are reached when this machine has no IPv4 route.
    pub(crate) nat64: Option<Ipv6Addr>,
    /// How the names of sub-resources are resolved.
    pub(crate) lookup: Lookup,
    /// How much is looked at at the same time.
    pub(crate) pace: Pace,
    /// When the run began: all times in the evidence count from here.
    pub(crate) started: Instant,
}

impl Plan {
    /// Time since the run began.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn one_by_one(&self) -> bool {
        self.pace == Pace::OneByOne
    }

    /// What is spoken on a port once it is open.
    fn speech(&self, port: u16) -> Speech {
        match self.profile {
            Profile::Tcp => Speech::Nothing,
            Profile::Mail => match port {
                25 | 587 => Speech::Banner,
                _ => Speech::Nothing,
            },
            Profile::Web => match (port, self.scheme.as_deref()) {
                // `https://host:80` says it; elsewhere numbers are better than the scheme of another port.
                (_, Some("https")) if self.scheme_port == Some(port) => Speech::Https,
                (_, Some("http")) if self.scheme_port == Some(port) => Speech::Http,
                (80 | 8080, _) => Speech::Http,
                (443 | 8443, _) | (_, Some("https")) => Speech::Https,
                _ => Speech::Http,
            },
        }
    }

    /// The port that a client of this target would use first.
    fn client_port(&self) -> Option<u16> {
        if let Some(port) = self.scheme_port.filter(|port| self.ports.contains(port)) {
            return Some(port);
        }
        let wanted = match self.scheme.as_deref() {
            Some("http") => Speech::Http,
            _ => Speech::Https,
        };
        let first = |speech| {
            self.ports
                .iter()
                .copied()
                .find(|port| self.speech(*port) == speech)
        };
        first(wanted).or_else(|| self.ports.first().copied())
    }
}

/// How much is looked at at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// All addresses and ports of both families.
    AtOnce,
    /// One thing after another: with everything at once, this machine's line was found to be too slow.
    OneByOne,
}

/// What is said on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Speech {
    /// Opening it is all.
    Nothing,
    /// The server speaks first (SMTP).
    Banner,
    /// A request in the clear.
    Http,
    /// A request inside TLS.
    Https,
}

impl Speech {
    const fn is_web(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::V6, Self::V4];

    pub(crate) const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(scheme: Option<&str>, scheme_port: Option<u16>, ports: &[u16]) -> Plan {
        Plan {
            scheme: scheme.map(str::to_owned),
            scheme_port,
            ..rule::fixture::plan(&["2e00:5::80"], ports)
        }
    }

    #[test]
    fn the_scheme_of_a_url_decides_on_the_port_of_that_url() {
        let check = |scheme, scheme_port, port, expected| {
            let plan = plan(scheme, scheme_port, &[port]);
            assert_eq!(
                plan.speech(port),
                expected,
                "{scheme:?} {scheme_port:?} {port}"
            );
        };
        check(Some("https"), Some(80), 80, Speech::Https);
        check(Some("http"), Some(443), 443, Speech::Http);
        check(Some("http"), Some(8443), 8443, Speech::Http);
        check(Some("https"), Some(9000), 9000, Speech::Https);
        // Without a port in the URL, or on another one, what is usual there.
        check(Some("https"), None, 80, Speech::Http);
        check(Some("http"), None, 443, Speech::Https);
        check(Some("https"), Some(80), 8080, Speech::Http);
        check(Some("https"), None, 9000, Speech::Https);
        check(None, Some(443), 443, Speech::Https);
        check(None, Some(80), 80, Speech::Http);
    }

    #[test]
    fn a_client_goes_to_the_port_that_the_user_named() {
        let check = |scheme, scheme_port, expected| {
            let plan = plan(scheme, scheme_port, &[80, 443, 8443]);
            assert_eq!(plan.client_port(), Some(expected));
        };
        check(None, None, 443);
        check(Some("http"), None, 80);
        check(Some("https"), Some(80), 80);
        check(None, Some(8443), 8443);
    }
}
