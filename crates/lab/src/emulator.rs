//! The link emulator: moves frames between the hosts of a world as its lines and routers would.
//!
//! It reads and writes the hub ends of the hosts' veth pairs through AF_PACKET sockets with virtio headers, in one
//! thread of its own; it needs no `tc`, `nft`, TUN device, kernel module or root. Everything that decides is pure and
//! in `switchboard`; sockets, clock and threads are in `edge`; the recording of packets is in `trace`.
//!
//! What it is not: a switch that learns. Who has which address is what the world says; a host that takes another
//! address by itself is not reached through a router.

mod build;
mod bytes;
mod chance;
mod checksum;
mod edge;
mod filter;
mod fragment;
mod frame;
mod fuzz;
mod nat64;
mod neighbour;
mod packet;
mod pipe;
mod sample;
mod segment;
mod stats;
mod switchboard;
#[cfg(test)]
mod testing;
mod trace;

pub use edge::{Emulator, Port, open_port, start};
pub use fuzz::fuzz_frame;
pub use stats::Stats;

use crate::world::model::HostId;
use std::net::Ipv6Addr;

/// The Ethernet address of every network's router.
pub const GATEWAY_MAC: [u8; 6] = [0x02, 0x74, 0x73, 0xff, 0xff, 0xff];

/// The address under which hosts know their router.
const ROUTER_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The Ethernet address that a host's interface must have.
pub fn host_mac(host: HostId, interface: usize) -> [u8; 6] {
    let [.., high, low] = host.0.to_be_bytes();
    let [.., number] = interface.to_be_bytes();
    [0x02, 0x74, 0x73, high, low, number]
}
