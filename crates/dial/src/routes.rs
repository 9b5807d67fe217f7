//! What the routing table says: which families go anywhere, and which source address belongs to a destination.
//!
//! Connecting a UDP socket sends nothing and makes the kernel choose route and source address, with everything that
//! counts for the connection itself: marks, devices, policy routing.

use crate::socket::SocketOptions;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use twinstack_race::nat64::Nat64;
use twinstack_race::rfc6724::Source;
use twinstack_race::{Host, Network, Routes};

/// Somewhere in the global Internet, to find the default route; nothing is ever sent there. Blocks that will stay
/// routed as long as anything is: root name servers.
const FAR_IPV4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 41, 0, 4));
const FAR_IPV6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0x503, 0xba3e, 0, 0, 0, 2, 0x30));

/// Any port; the kernel only wants one that is not 0.
const ANY_PORT: u16 = 443;

/// The routes of this host as sockets with these options see them.
pub(crate) struct SystemRoutes(pub(crate) Arc<SocketOptions>);

impl Routes for SystemRoutes {
    fn source(&self, destination: IpAddr) -> Option<Source> {
        source_for(&self.0, destination).map(Source::new)
    }
}

/// The source address for a destination; `None` without a route.
fn source_for(options: &SocketOptions, destination: IpAddr) -> Option<IpAddr> {
    let socket = options.udp(destination).ok()?;
    socket
        .connect(&SocketAddr::new(destination, ANY_PORT).into())
        .ok()?;
    socket.local_addr().ok()?.as_socket().map(|it| it.ip())
}

/// What is known of the network, looked up again when it is older than [`FRESH`].
#[derive(Default)]
pub(crate) struct NetworkWatch {
    last: Mutex<Option<(Instant, Network)>>,
    /// What a race has found out about NAT64 (N1), and in which network (N6).
    nat64: Mutex<Option<(Instant, u64, Nat64)>>,
}

/// Long enough for a burst of dials, short enough for nobody to notice a network that has come up.
const FRESH: Duration = Duration::from_millis(250);

/// How long a NAT64 prefix is taken to hold; `ipv4only.arpa` is usually given for longer.
const NAT64_FRESH: Duration = Duration::from_mins(5);

impl NetworkWatch {
    /// The network for a race to this host.
    ///
    /// `local`: the name is in the hosts file, so that the resolver needs no network to find its addresses.
    pub(crate) fn network(&self, options: &SocketOptions, host: &Host, local: bool) -> Network {
        let mut network = self.current(options);
        match host {
            Host::Address { address, .. } => match address {
                IpAddr::V6(_) => network.ipv6 = true,
                // N4: without a route it is for NAT64, if there is any IPv6.
                IpAddr::V4(_) => {
                    network.ipv4 = !network.ipv6 || source_for(options, *address).is_some();
                }
            },
            // A6 is about questions that lead nowhere; these are answered by a file, and loopback is always there.
            Host::Name(_) if local => (network.ipv4, network.ipv6) = (true, true),
            // Not even a network to be wrong about: ask for everything, and let the errors tell.
            Host::Name(_) if !network.ipv4 && !network.ipv6 => {
                (network.ipv4, network.ipv6) = (true, true);
            }
            Host::Name(_) => {}
        }
        network
    }

    /// Keeps what a race has learned of the network: the next one need not ask for the NAT64 prefix again.
    pub(crate) fn learn(&self, learned: &Network) {
        if let Some(nat64) = &learned.nat64
            && !learned.ipv4
        {
            let mut known = self.nat64.lock().unwrap_or_else(PoisonError::into_inner);
            if !matches!(&*known, Some((_, context, it)) if *context == learned.context && it == nat64)
            {
                *known = Some((Instant::now(), learned.context, nat64.clone()));
            }
        }
    }

    fn remembered(&self, context: u64) -> Option<Nat64> {
        let known = self.nat64.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, of, nat64) = known.as_ref()?;
        (*of == context && at.elapsed() < NAT64_FRESH).then(|| nat64.clone())
    }

    fn current(&self, options: &SocketOptions) -> Network {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, network)) = &*last
            && at.elapsed() < FRESH
        {
            return network.clone();
        }
        let mut network = look(options);
        if network.nat64.is_none() && !network.ipv4 {
            network.nat64 = self.remembered(network.context);
        }
        *last = Some((Instant::now(), network.clone()));
        network
    }
}

fn look(options: &SocketOptions) -> Network {
    let v4 = source_for(options, FAR_IPV4).filter(is_usable);
    let v6 = source_for(options, FAR_IPV6).filter(is_usable);
    let mut context = DefaultHasher::new();
    v4.hash(&mut context);
    // The interface part changes with privacy addresses (RFC 8981), the network's does not.
    v6.map(|it| prefix64(&it)).hash(&mut context);
    let (near_v4, near_v6) = match (v4, v6) {
        (Some(_), Some(_)) => (false, false),
        _ => on_link(),
    };
    Network {
        // A1, A2: a default route, or an address whose own link is more than link-local.
        ipv4: v4.is_some() || near_v4,
        ipv6: v6.is_some() || near_v6,
        nat64: v4.filter(is_clat).map(|_| Nat64::new([]).with_clat(true)),
        protected_dns: false,
        context: context.finish(),
    }
}

fn prefix64(address: &IpAddr) -> u128 {
    match address {
        IpAddr::V4(it) => u128::from(it.to_bits()),
        IpAddr::V6(it) => it.to_bits() >> 64,
    }
}

/// N7: an address that 464XLAT takes for the host's end of its translator (RFC 7335).
fn is_clat(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V4(it) if it.to_bits() & !7 == Ipv4Addr::new(192, 0, 0, 0).to_bits())
}

/// Neither loopback nor link-local.
fn is_usable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => !it.is_loopback() && !it.is_link_local() && !it.is_unspecified(),
        IpAddr::V6(it) => !it.is_loopback() && !it.is_unicast_link_local() && !it.is_unspecified(),
    }
}

/// Whether any interface has an address, by family, that its own link can be reached from.
fn on_link() -> (bool, bool) {
    let mut found = (false, false);
    for interface in nix::ifaddrs::getifaddrs().into_iter().flatten() {
        let up = interface
            .flags
            .contains(nix::net::if_::InterfaceFlags::IFF_UP);
        let Some(address) = interface.address.filter(|_| up) else {
            continue;
        };
        if let Some(v4) = address.as_sockaddr_in() {
            found.0 |= is_usable(&v4.ip().into());
        } else if let Some(v6) = address.as_sockaddr_in6() {
            found.1 |= is_usable(&v6.ip().into());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinstack_race::Name;

    #[test]
    fn loopback_is_reached_from_itself() {
        let options = SocketOptions::default();
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert_eq!(source_for(&options, loopback), Some(loopback));
    }

    #[test]
    fn the_source_is_the_bound_one() {
        let options = SocketOptions {
            source_ipv4: Some(Ipv4Addr::new(127, 0, 0, 7)),
            ..SocketOptions::default()
        };
        let source = source_for(&options, IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(source, Some(Ipv4Addr::new(127, 0, 0, 7).into()));
    }

    #[test]
    fn a_name_of_the_hosts_file_needs_no_network() {
        let watch = NetworkWatch::default();
        let host = Host::Name(Name::new("localhost").unwrap());
        let network = watch.network(&SocketOptions::default(), &host, true);
        assert!(network.ipv4 && network.ipv6);
    }

    #[test]
    fn a_literal_is_tried_whatever_the_network_seems_to_be() {
        let watch = NetworkWatch::default();
        let v6 = Host::from(IpAddr::V6(Ipv6Addr::LOCALHOST));
        assert!(watch.network(&SocketOptions::default(), &v6, false).ipv6);
        let v4 = Host::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert!(watch.network(&SocketOptions::default(), &v4, false).ipv4);
    }
}
