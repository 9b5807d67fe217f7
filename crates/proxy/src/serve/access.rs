//! Where the proxy does not go: to its own machine and what is only near it, unless allowed.
//!
//! Names are judged by what they resolve to, address by address, right before the attempt: a name that points to
//! `127.0.0.1` opens nothing. Addresses that carry an IPv4 address inside are judged by both.

use crate::run::Prefix;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Which destinations are allowed.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Prefixes that are allowed although they are local.
    pub allow: Vec<Prefix>,
    /// Everything is allowed.
    pub allow_all: bool,
}

/// Why an address is not connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Local {
    Unspecified,
    Loopback,
    Link,
    Multicast,
    Broadcast,
    OwnAddress,
}

impl Local {
    const fn words(self) -> &'static str {
        match self {
            Self::Unspecified => "the unspecified address, which means this host",
            Self::Loopback => "a loopback address",
            Self::Link => "a link-local address",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::OwnAddress => "an address of the proxy's own host",
        }
    }
}

impl Access {
    /// Whether an address may be connected to; the error says why not, and how to allow it.
    pub fn permits(&self, address: IpAddr) -> Result<(), String> {
        self.judge(address, is_own)
    }

    fn judge(&self, address: IpAddr, is_own: impl Fn(IpAddr) -> bool) -> Result<(), String> {
        if self.allow_all
            || self
                .allow
                .iter()
                .any(|prefix| prefix.contains(address.to_canonical()))
        {
            return Ok(());
        }
        let carried = carried(address);
        let local = std::iter::once(address).chain(carried).find_map(|address| {
            kind(address).or_else(|| is_own(address).then_some(Local::OwnAddress))
        });
        match local {
            None => Ok(()),
            Some(local) => Err(format!(
                "{address} is {}, and the proxy does not go there (`--allow {}/{}` permits it)",
                local.words(),
                address.to_canonical(),
                if address.to_canonical().is_ipv4() {
                    32
                } else {
                    128
                },
            )),
        }
    }
}

fn kind(address: IpAddr) -> Option<Local> {
    match address {
        // 0.0.0.0/8 is "this host on this network" (RFC 1122); Linux connects 0.0.0.0 to itself.
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some(Local::Unspecified),
        IpAddr::V6(v6) if v6.is_unspecified() => Some(Local::Unspecified),
        _ if address.is_loopback() => Some(Local::Loopback),
        IpAddr::V4(v4) if v4.is_link_local() => Some(Local::Link),
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some(Local::Link),
        IpAddr::V4(v4) if v4.is_broadcast() => Some(Local::Broadcast),
        _ if address.is_multicast() => Some(Local::Multicast),
        _ => None,
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, behind the well-known NAT64 prefix, 6to4.
fn carried(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address else { return None };
    let last =
        Ipv4Addr::from_bits(u32::try_from(v6.to_bits() & u128::from(u32::MAX)).unwrap_or_default());
    match v6.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(last.into()),
        // `::1` and `::` are themselves.
        [0, 0, 0, 0, 0, 0, ..] if v6 != Ipv6Addr::LOCALHOST && !v6.is_unspecified() => {
            Some(last.into())
        }
        [0x2002, high, low, ..] => {
            Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)).into())
        }
        _ => None,
    }
}

/// Whether the kernel takes the address for one of this host's: it lets nobody bind any other.
fn is_own(address: IpAddr) -> bool {
    // With `net.ipv4.ip_nonlocal_bind` (or IPv6's) everything can be bound; then a documentation address can, too.
    let elsewhere: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 2, 255).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0xffff, 0, 0, 0, 0xfffe).into(),
    };
    let binds = |address| UdpSocket::bind((address, 0)).is_ok();
    if !binds(address) {
        return false;
    }
    if !binds(elsewhere) {
        return true;
    }
    nix::ifaddrs::getifaddrs().is_ok_and(|mut interfaces| {
        interfaces.any(|interface| {
            interface.address.is_some_and(|own| {
                own.as_sockaddr_in().map(|own| IpAddr::V4(own.ip())) == Some(address)
                    || own.as_sockaddr_in6().map(|own| IpAddr::V6(own.ip())) == Some(address)
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn refused(text: &str) -> bool {
        Access::default()
            .judge(address(text), |it| it == address("198.51.100.7"))
            .is_err()
    }

    #[test]
    fn what_is_local_is_refused_in_all_its_clothes() {
        for local in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "169.254.169.254",
            "fe80::1",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::1",
            "198.51.100.7",
            "::ffff:198.51.100.7",
            "64:ff9b::198.51.100.7",
        ] {
            assert!(refused(local), "{local}");
        }
    }

    #[test]
    fn what_is_elsewhere_is_not() {
        for elsewhere in [
            "192.0.2.1",
            "10.0.0.1",
            "2001:db8::1",
            "fd00::1",
            "64:ff9b::192.0.2.1",
            "2002:c000:201::1",
        ] {
            assert!(!refused(elsewhere), "{elsewhere}");
        }
    }

    #[test]
    fn what_is_allowed_is_allowed_in_its_prefix_only() {
        let access = Access {
            allow: vec!["127.0.0.0/8".parse().unwrap()],
            allow_all: false,
        };
        assert!(access.judge(address("127.0.0.1"), |_| false).is_ok());
        assert!(access.judge(address("::ffff:127.0.0.1"), |_| false).is_ok());
        assert!(access.judge(address("::1"), |_| false).is_err());
        let all = Access {
            allow: Vec::new(),
            allow_all: true,
        };
        assert!(all.judge(address("::1"), |_| true).is_ok());
    }

    #[test]
    fn a_refusal_says_how_to_allow_it() {
        let error = Access::default()
            .judge(address("::ffff:127.0.0.1"), |_| false)
            .unwrap_err();
        assert!(error.contains("--allow 127.0.0.1/32"), "{error}");
    }

    #[test]
    fn the_kernel_knows_its_own_addresses() {
        assert!(is_own(address("127.0.0.1")));
        assert!(!is_own(address("192.0.2.1")));
    }
}
