//! Interfaces, addresses and routes, over rtnetlink.
//!
//! Each host interface is one end of a veth pair; the other end stays in init's own network namespace (the hub), has no
//! address and no protocol, and is read and written by the emulator alone.

use crate::emulator;
use crate::world::model::{Host, HostId, Interface, Network, World};
use futures_util::TryStreamExt;
use rtnetlink::packet_route::address::AddressHeaderFlags;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

/// The router's link-local address on every network.
const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// Says which step of the wiring failed.
fn at(what: String) -> impl FnOnce(rtnetlink::Error) -> io::Error {
    move |error| match error {
        rtnetlink::Error::NetlinkError(message) => {
            let error = message.to_io();
            io::Error::new(error.kind(), format!("{what}: {error}"))
        }
        other => io::Error::other(format!("{what}: {other}")),
    }
}

/// Opens a netlink connection in the calling thread's network namespace; needs a tokio runtime.
pub(crate) fn connect() -> io::Result<Handle> {
    let (connection, handle, _messages) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    Ok(handle)
}

/// The hub end's name, and the host end's until it arrives.
fn names(host: HostId, interface: usize) -> (String, String) {
    (
        format!("h{}i{interface}", host.0),
        format!("p{}i{interface}", host.0),
    )
}

/// Keeps the kernel's own IPv6 off the hub's ends: they belong to the emulator.
pub(crate) fn quiet_hub() -> io::Result<()> {
    set("net.ipv6.conf.default.disable_ipv6", "1")?;
    set("net.ipv6.conf.all.disable_ipv6", "1")
}

/// Creates one veth pair, sends its far end into the host's namespace and returns the hub end's index.
pub(crate) async fn create_pair(
    hub: &Handle,
    host: HostId,
    interface: usize,
    namespace: BorrowedFd<'_>,
) -> io::Result<u32> {
    let (near, far) = names(host, interface);
    hub.link()
        .add(LinkVeth::new(&near, &far).build())
        .execute()
        .await
        .map_err(at(format!("creating the veth pair {near}")))?;
    let index = index_of(hub, &near).await?;
    hub.link()
        .set(LinkUnspec::new_with_index(index).up().build())
        .execute()
        .await
        .map_err(at(format!("setting {near} up")))?;
    hub.link()
        .set(
            LinkUnspec::new_with_name(&far)
                .setns_by_fd(namespace.as_raw_fd())
                .build(),
        )
        .execute()
        .await
        .map_err(at(format!("moving {far} into its host")))?;
    Ok(index)
}

async fn index_of(handle: &Handle, name: &str) -> io::Result<u32> {
    let mut links = handle.link().get().match_name(name).execute();
    match links
        .try_next()
        .await
        .map_err(at(format!("looking for {name}")))?
    {
        Some(link) => Ok(link.header.index),
        None => Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("no interface {name}"),
        )),
    }
}

/// Sets one `net.*` sysctl of the calling thread's network namespace.
pub(crate) fn set(name: &str, value: &str) -> io::Result<()> {
    let path = format!("/proc/sys/{}", name.replace('.', "/"));
    std::fs::write(&path, value).map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("setting the sysctl {name} to {value}: {error}"),
        )
    })
}

/// Sets what an interface inherits when it arrives; call on the host's own thread, before any interface does.
pub(crate) fn prepare(host: &Host) -> io::Result<()> {
    // Addresses are usable at once; a lab has no address that is not meant.
    for name in ["all", "default"] {
        set(&format!("net.ipv6.conf.{name}.accept_dad"), "0")?;
        set(&format!("net.ipv6.conf.{name}.router_solicitations"), "0")?;
    }
    set("net.ipv4.ping_group_range", "0 0")?;
    host.sysctls
        .iter()
        .filter(|(name, _)| !of_an_interface(name))
        .try_for_each(|(name, value)| set(name, value))
}

/// Whether a sysctl belongs to one interface, which has to be there first.
fn of_an_interface(name: &str) -> bool {
    [".conf.", ".neigh."].into_iter().any(|part| {
        name.split_once(part)
            .is_some_and(|(_, rest)| !rest.starts_with("all.") && !rest.starts_with("default."))
    })
}

/// Configures everything in a host's namespace; call on the host's own thread.
pub(crate) async fn configure(world: &World, id: HostId, host: &Host) -> io::Result<()> {
    let handle = connect()?;
    handle
        .link()
        .set(LinkUnspec::new_with_name("lo").up().build())
        .execute()
        .await
        .map_err(at("setting lo up".to_owned()))?;
    for (number, interface) in host.interfaces.iter().enumerate() {
        let Some(network) = world.networks.get(interface.network.0) else {
            continue;
        };
        let (_, arrived) = names(id, number);
        let name = format!("eth{number}");
        let index = index_of(&handle, &arrived).await?;
        handle
            .link()
            .set(
                LinkUnspec::new_with_index(index)
                    .name(name.clone())
                    .address(emulator::host_mac(id, number).to_vec())
                    .build(),
            )
            .execute()
            .await
            .map_err(at(format!("naming {name} of {}", host.name)))?;
        handle
            .link()
            .set(LinkUnspec::new_with_index(index).up().build())
            .execute()
            .await
            .map_err(at(format!("setting {name} of {} up", host.name)))?;
        for (key, value) in host.sysctls.iter().filter(|(key, _)| of_an_interface(key)) {
            if key.contains(&format!(".{name}.")) {
                set(key, value)?;
            }
        }
        address(&handle, host, network, interface, index).await?;
        if number == 0 {
            default_routes(&handle, host, network, interface, index).await?;
        }
        duplicate_addresses(&handle, host, interface, index, &name).await?;
    }
    Ok(())
}

async fn address(
    handle: &Handle,
    host: &Host,
    network: &Network,
    interface: &Interface,
    index: u32,
) -> io::Result<()> {
    for address in &interface.addresses {
        if matches!(address, IpAddr::V6(v6) if interface.dad_failed.contains(v6)) {
            continue;
        }
        let prefix = match address {
            IpAddr::V4(_) => network.v4,
            IpAddr::V6(_) => network.v6,
        };
        let length = match (prefix, address) {
            (Some(prefix), address) if prefix.contains(*address) => prefix.length,
            (_, IpAddr::V4(_)) => 32,
            (_, IpAddr::V6(_)) => 128,
        };
        let mut request = handle.address().add(index, *address, length);
        if address.is_ipv6() {
            // Without this flag even a host that detects no duplicates cannot bind the address for a moment.
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        }
        let added = request.execute().await;
        match added {
            // A host whose IPv6 is switched off by sysctl keeps its IPv6 addresses only on paper.
            Err(_) if address.is_ipv6() && ipv6_disabled(host) => {}
            other => other.map_err(at(format!("giving {} the address {address}", host.name)))?,
        }
    }
    Ok(())
}

fn ipv6_disabled(host: &Host) -> bool {
    host.sysctls
        .iter()
        .any(|(name, value)| name.ends_with(".disable_ipv6") && value.trim() != "0")
}

async fn default_routes(
    handle: &Handle,
    host: &Host,
    network: &Network,
    interface: &Interface,
    index: u32,
) -> io::Result<()> {
    if let Some(gateway) = network.gateway_v4
        && interface.addresses.iter().any(IpAddr::is_ipv4)
    {
        let route: RouteMessage = RouteMessageBuilder::<Ipv4Addr>::new()
            .gateway(gateway)
            .output_interface(index)
            .build();
        let added = handle.route().add(route).execute().await;
        added.map_err(at(format!("giving {} its IPv4 default route", host.name)))?;
    }
    if network.v6.is_some()
        && interface.addresses.iter().any(IpAddr::is_ipv6)
        && !ipv6_disabled(host)
    {
        let route: RouteMessage = RouteMessageBuilder::<Ipv6Addr>::new()
            .gateway(ROUTER)
            .output_interface(index)
            .build();
        let added = handle.route().add(route).execute().await;
        added.map_err(at(format!("giving {} its IPv6 default route", host.name)))?;
    }
    Ok(())
}

/// Adds the addresses that duplicate address detection is to refuse, and waits until it has.
async fn duplicate_addresses(
    handle: &Handle,
    host: &Host,
    interface: &Interface,
    index: u32,
    name: &str,
) -> io::Result<()> {
    if interface.dad_failed.is_empty() {
        return Ok(());
    }
    set(&format!("net.ipv6.conf.{name}.accept_dad"), "1")?;
    for address in &interface.dad_failed {
        let added = handle
            .address()
            .add(index, IpAddr::V6(*address), 64)
            .execute()
            .await;
        added.map_err(at(format!(
            "giving {} the duplicate address {address}",
            host.name
        )))?;
    }
    // Detection starts after a random delay of up to one second and takes another.
    for _ in 0..60 {
        // Not `/proc/net`, which shows the namespace of the process's first thread.
        let table = std::fs::read_to_string("/proc/thread-self/net/if_inet6")?;
        if interface
            .dad_failed
            .iter()
            .all(|address| has_failed(&table, *address))
        {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        format!(
            "duplicate address detection on {} did not refuse the addresses meant for it",
            host.name
        ),
    ))
}

/// Whether `/proc/net/if_inet6` marks the address as refused (IFA_F_DADFAILED, 0x08).
fn has_failed(table: &str, address: Ipv6Addr) -> bool {
    let hex = format!("{:032x}", u128::from(address));
    table
        .lines()
        .filter(|line| line.starts_with(&hex))
        .any(|line| {
            let flags = line
                .split_whitespace()
                .nth(4)
                .and_then(|flags| u32::from_str_radix(flags, 16).ok());
            flags.is_some_and(|flags| flags & 0x08 != 0)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctls_of_an_interface_wait_for_it() {
        assert!(of_an_interface("net.ipv6.conf.eth0.disable_ipv6"));
        assert!(!of_an_interface("net.ipv6.conf.all.disable_ipv6"));
        assert!(!of_an_interface("net.ipv6.neigh.default.gc_thresh3"));
        assert!(!of_an_interface("net.ipv4.tcp_mtu_probing"));
    }

    #[test]
    fn failed_detection_is_read_from_the_flags() {
        let table = "2e000005000000000000000000000080 02 40 00 88     eth0\n\
                     2e000005000000000000000000000081 02 40 00 80     eth0\n";
        assert!(has_failed(table, "2e00:5::80".parse().unwrap()));
        assert!(!has_failed(table, "2e00:5::81".parse().unwrap()));
        assert!(!has_failed(table, "2e00:5::82".parse().unwrap()));
    }
}
