//! What the user asked for.

mod target;

pub use target::{Target, TargetError, TargetHost};

use serde::{Deserialize, Serialize};
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

/// One target and how to look at it.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to check.
    pub target: Target,
    /// Ports to connect to; empty means the ports of the profile (web: 80 and 443; mail: 25; tcp: the URL's).
    pub ports: Vec<u16>,
    /// What kind of service it is.
    pub profile: Profile,
    /// The AAAA set that the name is meant to have; empty means "any, but at least one".
    pub expect_v6: Vec<Ipv6Addr>,
    /// The name that every PTR should point to; `None` means "any that resolves back".
    pub expect_ptr: Option<String>,
    /// Resolvers to ask instead of the system's; every one of them is asked and the answers compared.
    pub resolvers: Vec<SocketAddr>,
    /// DNS-over-HTTPS resolvers, asked beside the system's or those in `resolvers`.
    pub doh: Vec<String>,
    /// A name without AAAA is as meant.
    pub allow_v4_only: bool,
    /// We are on the server itself: look at listeners, sysctls, firewall and neighbours too.
    pub local: bool,
    /// A client command to time instead of the built-in one; `{url}`, `{host}` and `{port}` are replaced.
    pub client: Option<Vec<String>>,
    /// The longest that one attempt (a query, a connect, a handshake, a response) may take.
    pub timeout: Duration,
    /// Longest AAAA TTL and negative TTL that still allow a quick way back.
    pub max_ttl: Duration,
}

impl Options {
    /// The defaults for a target: web, the system's resolvers, 5 s an attempt, TTLs of up to an hour.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            ports: Vec::new(),
            profile: Profile::default(),
            expect_v6: Vec::new(),
            expect_ptr: None,
            resolvers: Vec::new(),
            doh: Vec::new(),
            allow_v4_only: false,
            local: false,
            client: None,
            timeout: Duration::from_secs(5),
            max_ttl: Duration::from_hours(1),
        }
    }

    /// The ports to connect to: those given, else that of the target, else those of the profile. Empty only for the
    /// profile `tcp`, which has none of its own.
    pub fn effective_ports(&self) -> Vec<u16> {
        let mut ports = self.ports.clone();
        if ports.is_empty() {
            ports = match (self.target.port, self.profile) {
                (Some(port), _) => vec![port],
                (None, Profile::Web) => vec![80, 443],
                (None, Profile::Mail) => vec![25],
                (None, Profile::Tcp) => match self.target.scheme.as_deref() {
                    Some("http") => vec![80],
                    Some(_) => vec![443],
                    None => Vec::new(),
                },
            };
        } else if let Some(port) = self.target.port
            && !ports.contains(&port)
        {
            ports.insert(0, port);
        }
        let mut seen = std::collections::BTreeSet::new();
        ports.retain(|port| seen.insert(*port));
        ports
    }
}

/// What kind of service a target is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// HTTP on 80, HTTPS and QUIC on 443.
    #[default]
    Web,
    /// A mail domain: MX, SPF, SMTP on 25.
    Mail,
    /// Only TCP on the given ports.
    Tcp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(target: &str, profile: Profile, ports: &[u16], expected: &[u16]) {
        let options = Options {
            ports: ports.to_vec(),
            profile,
            ..Options::new(Target::parse(target).unwrap())
        };
        assert_eq!(options.effective_ports(), expected, "{target}");
    }

    #[test]
    fn ports_come_from_the_user_the_target_or_the_profile() {
        check("www.lab.test", Profile::Web, &[], &[80, 443]);
        check("http://www.lab.test", Profile::Web, &[], &[80, 443]);
        check("https://www.lab.test:8443", Profile::Web, &[], &[8443]);
        check(
            "www.lab.test",
            Profile::Web,
            &[443, 8080, 443],
            &[443, 8080],
        );
        check("www.lab.test:22", Profile::Tcp, &[], &[22]);
        check("www.lab.test:22", Profile::Tcp, &[23], &[22, 23]);
        check("https://www.lab.test", Profile::Tcp, &[], &[443]);
        check("www.lab.test", Profile::Tcp, &[], &[]);
        check("lab.test", Profile::Mail, &[], &[25]);
    }
}
