//! Cuts packets into IP fragments: IPv4 routers do (RFC 791), and a NAT64 does towards IPv6 (RFC 7915 4).

use super::bytes::{field, put, put_u16, put_u32, u8_at, u16_at};
use super::checksum;
use super::frame::{ETHERNET, Frame, Offload, Pool};
use super::packet::{IPV6, Packet, protocol};
use crate::world::model::Family;

/// Length of an IPv6 fragment header.
pub(crate) const FRAGMENT_HEADER: usize = 8;

/// Where in a packet the next cut is.
#[derive(Debug)]
pub(crate) struct Fragmenter {
    /// The largest fragment.
    mtu: usize,
    /// Identification of the IPv6 fragments.
    id: u32,
    done: usize,
}

impl Fragmenter {
    /// Fragments of at most `mtu` bytes. The packet's checksum must be complete. IPv6 packets must have no extension
    /// headers but a fragment header; `id` marks their fragments unless they have one.
    pub(crate) fn new(mtu: u16, id: u32) -> Self {
        Self {
            mtu: mtu.into(),
            id,
            done: 0,
        }
    }

    /// The next fragment of `whole`; always call with the same one. `None` at its end, or when nothing fits the MTU.
    pub(crate) fn next(&mut self, whole: &Packet, pool: &mut Pool) -> Option<Packet> {
        let frame = &whole.frame.data;
        // The part that each fragment repeats, and the part that they share out.
        let (repeated, start) = match whole.headers.family {
            Family::V4 => {
                let length = usize::from(u8_at(frame, ETHERNET)? & 15) * 4;
                (length, ETHERNET + length)
            }
            Family::V6 if whole.headers.fragment.is_some() => {
                (IPV6 + FRAGMENT_HEADER, ETHERNET + IPV6 + FRAGMENT_HEADER)
            }
            Family::V6 => (IPV6 + FRAGMENT_HEADER, ETHERNET + IPV6),
        };
        let rest = frame.get(start..)?.get(self.done..)?;
        if rest.is_empty() {
            return None;
        }
        let room = self.mtu.checked_sub(repeated)?;
        let chunk = match rest.get(..room & !7) {
            Some([]) => return None,
            Some(chunk) if rest.len() > room => chunk,
            _ => rest,
        };
        let outer = whole.headers.fragment;
        let offset = field(usize::from(outer.map_or(0, |outer| outer.offset)) + self.done);
        let more = chunk.len() < rest.len() || outer.is_some_and(|outer| outer.more);
        let mut data = pool.sized(ETHERNET + repeated + chunk.len())?;
        put(&mut data, ETHERNET + repeated, chunk)?;
        match whole.headers.family {
            Family::V4 => {
                put(&mut data, 0, frame.get(..start)?)?;
                put_u16(&mut data, ETHERNET + 2, field(repeated + chunk.len()))?;
                let flags = u16_at(frame, ETHERNET + 6)? & 0xc000 | if more { 0x2000 } else { 0 };
                put_u16(&mut data, ETHERNET + 6, flags | (offset / 8))?;
                checksum::write_v4_header(&mut data, ETHERNET, repeated)?;
            }
            Family::V6 => {
                put(&mut data, 0, frame.get(..ETHERNET + IPV6)?)?;
                put_u16(
                    &mut data,
                    ETHERNET + 4,
                    field(FRAGMENT_HEADER + chunk.len()),
                )?;
                put(&mut data, ETHERNET + 6, &[protocol::FRAGMENT])?;
                let at = ETHERNET + IPV6;
                put(&mut data, at, &[whole.headers.protocol, 0])?;
                put_u16(&mut data, at + 2, (offset & !7) | u16::from(more))?;
                put_u32(&mut data, at + 4, outer.map_or(self.id, |outer| outer.id))?;
            }
        }
        self.done += chunk.len();
        Packet::new(Frame {
            data,
            offload: Offload::default(),
        })
        .ok()
    }
}

#[cfg(test)]
mod tests;
