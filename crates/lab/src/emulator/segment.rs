//! Cuts TCP and UDP super-frames into the packets that they stand for, as a network card would.
//!
//! The segments keep the unfinished checksum of the super-frame: its field gets the sum of the new pseudo header, and
//! whoever needs the real checksum completes it.

use super::bytes::{field, put, put_u16, put_u32, u8_at, u16_at, u32_at};
use super::checksum::{self, Sum};
use super::frame::{ETHERNET, Frame, Offload, Pool, SegmentKind};
use super::packet::{Headers, Packet};
use crate::world::model::Family;

/// TCP flags that only the last segment carries.
const FIN_PSH: u8 = 0x01 | 0x08;
/// The TCP flag that only the first segment carries (RFC 3168 6.1.2).
const CWR: u8 = 0x80;

/// Where in a super-frame the next cut is.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    done: usize,
    count: u16,
}

impl Cutter {
    /// The next segment of `whole`; always call with the same one. `None` at its end.
    pub(crate) fn next(&mut self, whole: &Packet, pool: &mut Pool) -> Option<Packet> {
        let segments = whole.frame.offload.segments?;
        let from = whole.headers.payload;
        let payload = whole.frame.data.get(from..)?.get(self.done..)?;
        if payload.is_empty() {
            return None;
        }
        let chunk = payload.get(..usize::from(segments.size)).unwrap_or(payload);
        let is_last = chunk.len() == payload.len();
        let mut data = pool.sized(from + chunk.len())?;
        put(&mut data, 0, whole.frame.data.get(..from)?)?;
        put(&mut data, from, chunk)?;
        let headers = Headers {
            size: data.len() - ETHERNET,
            last_size: data.len() - ETHERNET,
            ..whole.headers
        };
        write_lengths(&mut data, &headers, self.count)?;
        if segments.kind == SegmentKind::Udp {
            put_u16(&mut data, headers.transport + 4, field(8 + chunk.len()))?;
        } else {
            let at = headers.transport;
            let sequence = u32_at(&data, at + 4)?.wrapping_add(u32::try_from(self.done).ok()?);
            put_u32(&mut data, at + 4, sequence)?;
            let mut flags = u8_at(&data, at + 13)?;
            flags &= if is_last { !0 } else { !FIN_PSH };
            flags &= if self.done == 0 { !0 } else { !CWR };
            put(&mut data, at + 13, &[flags])?;
        }
        write_partial_checksum(&mut data, &headers, whole.frame.offload)?;
        self.done += chunk.len();
        self.count = self.count.wrapping_add(1);
        let offload = Offload {
            segments: None,
            ..whole.frame.offload
        };
        Some(Packet {
            frame: Frame { data, offload },
            headers,
        })
    }
}

/// Writes the IP length of the packet in `data`, and the IPv4 identification and checksum of its segment number `count`.
fn write_lengths(data: &mut [u8], headers: &Headers, count: u16) -> Option<()> {
    match headers.family {
        Family::V6 => put_u16(
            data,
            ETHERNET + 4,
            field(headers.size - super::packet::IPV6),
        ),
        Family::V4 => {
            put_u16(data, ETHERNET + 2, field(headers.size))?;
            let id = u16_at(data, ETHERNET + 4)?.wrapping_add(count);
            put_u16(data, ETHERNET + 4, id)?;
            checksum::write_v4_header(data, ETHERNET, headers.transport - ETHERNET)
        }
    }
}

/// Puts the pseudo header's sum where the finished checksum will go, if the checksum is unfinished.
pub(crate) fn write_partial_checksum(
    data: &mut [u8],
    headers: &Headers,
    offload: Offload,
) -> Option<()> {
    let Some(partial) = offload.checksum else {
        return Some(());
    };
    let length = data.len().checked_sub(headers.transport)?;
    let sum = Sum::default().pseudo_header(
        headers.source,
        headers.destination,
        headers.protocol,
        length,
    );
    put_u16(
        data,
        usize::from(partial.start) + usize::from(partial.offset),
        sum.fold(),
    )
}

#[cfg(test)]
mod tests;
