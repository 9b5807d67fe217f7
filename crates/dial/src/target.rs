//! Whom to connect to, in the forms that callers have.

use std::ffi::CString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use twinstack_race::{Host, NameError, Target};

/// What can be connected to: `("example.com", 443)`, `"example.com:443"`, `"[2001:db8::1]:443"`, a socket address, or
/// a [`Target`] with everything.
///
/// Unlike [`tokio::net::ToSocketAddrs`] nothing is resolved here.
pub trait ToTarget {
    /// The host, the port and, for a [`Target`], what to speak.
    fn to_target(&self) -> Result<Target, TargetError>;
}

impl ToTarget for Target {
    fn to_target(&self) -> Result<Target, TargetError> {
        Ok(self.clone())
    }
}

impl ToTarget for (&str, u16) {
    fn to_target(&self) -> Result<Target, TargetError> {
        Ok(Target::tcp(host(self.0)?, self.1))
    }
}

impl ToTarget for (String, u16) {
    fn to_target(&self) -> Result<Target, TargetError> {
        (self.0.as_str(), self.1).to_target()
    }
}

impl ToTarget for str {
    fn to_target(&self) -> Result<Target, TargetError> {
        if let Ok(address) = self.parse::<SocketAddr>() {
            return address.to_target();
        }
        let (name, port) = self
            .rsplit_once(':')
            .ok_or_else(|| TargetError::NoPort { text: self.into() })?;
        let port = port
            .parse()
            .map_err(|_| TargetError::Port { text: port.into() })?;
        // `2001:db8::1:443` could be either; only brackets tell.
        if name.contains(':') && !name.starts_with('[') {
            return Err(TargetError::NoBrackets { text: self.into() });
        }
        (name, port).to_target()
    }
}

impl ToTarget for String {
    fn to_target(&self) -> Result<Target, TargetError> {
        self.as_str().to_target()
    }
}

impl ToTarget for SocketAddr {
    fn to_target(&self) -> Result<Target, TargetError> {
        let scope = match self {
            Self::V4(_) => 0,
            Self::V6(address) => address.scope_id(),
        };
        let address = self.ip();
        Ok(Target::tcp(Host::Address { address, scope }, self.port()))
    }
}

impl ToTarget for SocketAddrV4 {
    fn to_target(&self) -> Result<Target, TargetError> {
        SocketAddr::V4(*self).to_target()
    }
}

impl ToTarget for SocketAddrV6 {
    fn to_target(&self) -> Result<Target, TargetError> {
        SocketAddr::V6(*self).to_target()
    }
}

impl ToTarget for (IpAddr, u16) {
    fn to_target(&self) -> Result<Target, TargetError> {
        SocketAddr::from(*self).to_target()
    }
}

impl ToTarget for (Ipv4Addr, u16) {
    fn to_target(&self) -> Result<Target, TargetError> {
        SocketAddr::from(*self).to_target()
    }
}

impl ToTarget for (Ipv6Addr, u16) {
    fn to_target(&self) -> Result<Target, TargetError> {
        SocketAddr::from(*self).to_target()
    }
}

impl<T: ToTarget + ?Sized> ToTarget for &T {
    fn to_target(&self) -> Result<Target, TargetError> {
        (**self).to_target()
    }
}

/// A name or an address; an IPv6 address may have brackets and a scope (`fe80::1%eth0`).
pub(crate) fn host(text: &str) -> Result<Host, TargetError> {
    let bare = text
        .strip_prefix('[')
        .and_then(|it| it.strip_suffix(']'))
        .unwrap_or(text);
    if let Some((address, scope)) = bare.split_once('%')
        && let Ok(address) = address.parse::<Ipv6Addr>()
    {
        let scope = scope_id(scope).ok_or_else(|| TargetError::Scope { text: scope.into() })?;
        let address = IpAddr::V6(address);
        return Ok(Host::Address { address, scope });
    }
    Host::parse(text).map_err(|cause| TargetError::Name {
        text: text.into(),
        cause,
    })
}

fn scope_id(text: &str) -> Option<u32> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    nix::net::if_::if_nametoindex(CString::new(text).ok()?.as_c_str()).ok()
}

/// Why a text is no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// There is no `:port`.
    #[error("`{text}` has no port")]
    NoPort {
        /// What was given.
        text: Box<str>,
    },
    /// The port is no number below 65536.
    #[error("`{text}` is no port")]
    Port {
        /// What stands in the port's place.
        text: Box<str>,
    },
    /// An IPv6 address with a port needs brackets.
    #[error("`{text}` needs brackets around the IPv6 address")]
    NoBrackets {
        /// What was given.
        text: Box<str>,
    },
    /// Neither a name nor an address.
    #[error("`{text}` is no host: {cause}")]
    Name {
        /// What was given.
        text: Box<str>,
        /// Why not.
        #[source]
        cause: NameError,
    },
    /// No interface has this name.
    #[error("there is no network interface `{text}`")]
    Scope {
        /// What stands behind the percent sign.
        text: Box<str>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match text.to_target() {
            Ok(target) => match target.host {
                Host::Name(name) => format!("{name} {}", target.port),
                Host::Address { address, scope } => format!("{address} %{scope} {}", target.port),
            },
            Err(error) => error.to_string(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn hosts_and_ports() {
        check("example.com:443", "example.com 443");
        check("192.0.2.1:80", "192.0.2.1 %0 80");
        check("[2001:db8::1]:80", "2001:db8::1 %0 80");
        check("[fe80::1%7]:80", "fe80::1 %7 80");
        check("[fe80::1%lo]:80", "fe80::1 %1 80");
    }

    #[test]
    fn what_is_wrong_is_said() {
        check("example.com", "`example.com` has no port");
        check("example.com:http", "`http` is no port");
        check("example.com:70000", "`70000` is no port");
        check(
            "2001:db8::1:80",
            "`2001:db8::1:80` needs brackets around the IPv6 address",
        );
        check(
            "[fe80::1%no-such-if]:80",
            "there is no network interface `no-such-if`",
        );
        assert!(":80".to_target().is_err());
    }
}
