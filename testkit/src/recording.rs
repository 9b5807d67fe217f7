//! Packets and recordings (pcapng) made by hand, just good enough to test those who read them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// The flags of a TCP segment that asks for a connection.
pub const SYN: u8 = 0x02;
/// The flags of the answer.
pub const SYN_ACK: u8 = 0x12;
/// The flags of a segment with data.
pub const PUSH: u8 = 0x18;

/// A block of a recording: its type, its length, `body`, and the length again.
pub fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let padding = body.len().next_multiple_of(4) - body.len();
    let length = narrow::<u32>(body.len() + padding + 12);
    let mut block = kind.to_le_bytes().to_vec();
    block.extend(length.to_le_bytes());
    block.extend(body);
    block.extend(vec![0; padding]);
    block.extend(length.to_le_bytes());
    block
}

/// The header with which a recording begins.
pub fn section() -> Vec<u8> {
    let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
    body.extend([1, 0, 0, 0]);
    body.extend([0xff; 8]);
    block(0x0a0d_0d0a, &body)
}

/// The description of an Ethernet interface that counts nanoseconds.
pub fn interface(name: &str) -> Vec<u8> {
    let mut body = vec![1, 0, 0, 0, 0, 0, 0, 0];
    body.extend(2_u16.to_le_bytes());
    body.extend(narrow::<u16>(name.len()).to_le_bytes());
    body.extend(name.as_bytes());
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend([9, 0, 1, 0, 9, 0, 0, 0]);
    body.extend([0; 4]);
    block(1, &body)
}

/// A frame, seen at the interface of this number at this time since 1970.
pub fn packet(interface: u32, at: Duration, frame: &[u8]) -> Vec<u8> {
    let ticks = narrow::<u64>(at.as_nanos());
    let length = narrow::<u32>(frame.len()).to_le_bytes();
    let mut body = interface.to_le_bytes().to_vec();
    body.extend(narrow::<u32>(ticks >> 32).to_le_bytes());
    body.extend(narrow::<u32>(ticks & 0xffff_ffff).to_le_bytes());
    body.extend(length);
    body.extend(length);
    body.extend(frame);
    block(6, &body)
}

/// An Ethernet frame with a TCP segment between two sockets of one family.
pub fn tcp(from: &str, to: &str, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = [0; 16];
    header[8] = 0x50;
    header[9] = flags;
    frame(6, from, to, &[&header, payload].concat())
}

/// An Ethernet frame with a UDP datagram between two sockets of one family.
pub fn udp(from: &str, to: &str, payload: &[u8]) -> Vec<u8> {
    let length = narrow::<u16>(payload.len() + 8).to_be_bytes();
    frame(17, from, to, &[&length, &[0, 0], payload].concat())
}

/// `rest` is what comes after the two ports.
fn frame(protocol: u8, from: &str, to: &str, rest: &[u8]) -> Vec<u8> {
    let [from, to] = [from, to].map(|socket| {
        socket
            .parse::<SocketAddr>()
            .expect("tests write sockets as `address:port`")
    });
    let mut frame = vec![2; 12];
    let length = narrow::<u16>(rest.len() + 4);
    match (from.ip(), to.ip()) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((length + 20).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
            frame.extend(from.octets());
            frame.extend(to.octets());
        }
        (from, to) => {
            let [from, to] = [from, to].map(|address| match address {
                IpAddr::V6(address) => address,
                IpAddr::V4(address) => address.to_ipv6_mapped(),
            });
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(length.to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend(from.octets());
            frame.extend(to.octets());
        }
    }
    frame.extend(from.port().to_be_bytes());
    frame.extend(to.port().to_be_bytes());
    frame.extend(rest);
    frame
}

fn narrow<To>(number: impl TryInto<To>) -> To {
    number
        .try_into()
        .unwrap_or_else(|_| unreachable!("what tests make up is small"))
}
