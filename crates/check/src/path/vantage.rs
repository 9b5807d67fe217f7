//! What this machine can use at all: without a route of its own, nothing may be said about the target.

use super::observation::{Route, Vantage};
use super::{Family, Plan};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Looks up the routes of both families. Sends nothing: connecting a datagram socket only asks the routing table.
pub(super) fn look(plan: &Plan) -> Vantage {
    Vantage {
        v4: route(plan, Family::V4),
        v6: route(plan, Family::V6),
    }
}

fn route(plan: &Plan, family: Family) -> Route {
    let targets: Vec<IpAddr> = plan
        .addresses
        .iter()
        .copied()
        .filter(|address| Family::of(*address) == family)
        .collect();
    if targets.is_empty() {
        return Route::NotAsked;
    }
    let mut refusal = None;
    // The target's own addresses first; then any global one, because a target without a route of its own is a
    // finding about the target as long as the family as such leaves this machine.
    for address in targets.into_iter().chain([elsewhere(family)]) {
        match source_towards(address) {
            Ok(source) => return Route::Here { source },
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    if family == Family::V4
        && plan
            .nat64
            .is_some_and(|prefix| source_towards(prefix.into()).is_ok())
    {
        return Route::Translated;
    }
    Route::Missing {
        why: refusal.map_or_else(String::new, |error| reason(family, &error)),
    }
}

/// An address that any default route covers, and to which nothing is sent.
const fn elsewhere(family: Family) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(192, 88, 99, 1)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 1)),
    }
}

/// The source address that the kernel would use.
fn source_towards(address: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(SocketAddr::new(address, 9))?;
    let source = socket.local_addr()?.ip();
    if link_local(source) && !link_local(address) {
        // A default route with nothing but a link-local source: no answer could find its way back.
        return Err(io::Error::from_raw_os_error(libc::EADDRNOTAVAIL));
    }
    Ok(source)
}

const fn link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

fn reason(family: Family, error: &io::Error) -> String {
    let family = family.as_str();
    match error.raw_os_error() {
        Some(libc::EAFNOSUPPORT) => format!("this machine's kernel has no {family}"),
        Some(libc::EADDRNOTAVAIL) => format!("this machine has no global {family} address"),
        Some(libc::ENETUNREACH | libc::EHOSTUNREACH) => {
            format!("this machine has no {family} route: {}", plain(error))
        }
        _ => format!("this machine cannot send {family}: {}", plain(error)),
    }
}

/// The kernel's words without the number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or(&text)
        .to_lowercase()
}

/// RFC 6052, section 2.2, with a /96: the last 32 bits are the IPv4 address.
pub(super) fn translate(prefix: Ipv6Addr, address: Ipv4Addr) -> Ipv6Addr {
    let mut octets = prefix.octets();
    for (place, byte) in octets.iter_mut().skip(12).zip(address.octets()) {
        *place = byte;
    }
    octets.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nat64_address_carries_the_v4_address_in_its_last_bits() {
        assert_eq!(
            translate("64:ff9b::".parse().unwrap(), "192.0.2.33".parse().unwrap()),
            "64:ff9b::c000:221".parse::<Ipv6Addr>().unwrap()
        );
    }

    #[test]
    fn reasons_say_what_is_missing() {
        let check = |errno, text| {
            assert_eq!(
                reason(Family::V6, &io::Error::from_raw_os_error(errno)),
                text
            );
        };
        check(
            libc::ENETUNREACH,
            "this machine has no IPv6 route: network is unreachable",
        );
        check(libc::EAFNOSUPPORT, "this machine's kernel has no IPv6");
        check(
            libc::EADDRNOTAVAIL,
            "this machine has no global IPv6 address",
        );
        check(
            libc::EACCES,
            "this machine cannot send IPv6: permission denied",
        );
    }
}
