//! Writes pcapng (draft-ietf-opsawg-pcapng-02), as much of it as a recording of the lab needs.
//!
//! One interface for each host interface, named `host:network`, and a last one named `lab:dropped` on which packets
//! that go no further appear once more, with the reason as a comment. Times are nanoseconds since 1970.

pub(crate) mod recorder;

use super::bytes::field;
use crate::trace::pcapng::{
    BYTE_ORDER, ENHANCED_PACKET, INTERFACE, OPTION_NAME, OPTION_RESOLUTION, SECTION,
};

/// The name of the interface of dropped packets.
pub(crate) const DROPPED: &str = "lab:dropped";

/// Which way a packet went, as its host sees it (`epb_flags` bits 0 and 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It was delivered to the host.
    Inbound,
    /// The host sent it.
    Outbound,
    /// Neither: it was dropped on its way.
    Unknown,
}

/// A packet to record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// Index of the interface, in the order of [`write_start`].
    pub interface: usize,
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Which way it went.
    pub way: Way,
    /// The frame.
    pub data: &'a [u8],
    /// At most so many bytes of it are kept.
    pub keep: usize,
    /// What to say about it.
    pub comment: Option<&'a str>,
}

const ETHERNET_LINK: u16 = 1;
const OPTION_COMMENT: u16 = 1;
const OPTION_FLAGS: u16 = 2;
const OPTION_APPLICATION: u16 = 4;

/// Writes the section header and the descriptions of the interfaces.
pub(crate) fn write_start<'a>(out: &mut Vec<u8>, interfaces: impl IntoIterator<Item = &'a str>) {
    block(out, SECTION, |out| {
        out.extend(BYTE_ORDER.to_ne_bytes());
        out.extend(1_u16.to_ne_bytes());
        out.extend(0_u16.to_ne_bytes());
        // The section's length is not known: it ends with the file.
        out.extend(u64::MAX.to_ne_bytes());
        option(out, OPTION_APPLICATION, b"twinstack lab");
        option(out, 0, &[]);
    });
    for name in interfaces {
        block(out, INTERFACE, |out| {
            out.extend(ETHERNET_LINK.to_ne_bytes());
            out.extend(0_u16.to_ne_bytes());
            // No limit to the length of a packet.
            out.extend(0_u32.to_ne_bytes());
            option(out, OPTION_NAME, name.as_bytes());
            option(out, OPTION_RESOLUTION, &[9]);
            option(out, 0, &[]);
        });
    }
}

/// Writes one packet.
pub(crate) fn write_packet(out: &mut Vec<u8>, record: &Record<'_>) {
    let length = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let kept = record.data.get(..record.keep).unwrap_or(record.data);
    let [high, low] =
        [record.time >> 32, record.time & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or(0));
    block(out, ENHANCED_PACKET, |out| {
        let mut fixed = [0; 20];
        let words = [
            length(record.interface),
            high,
            low,
            length(kept.len()),
            length(record.data.len()),
        ];
        for (place, word) in fixed.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_ne_bytes();
        }
        out.extend_from_slice(&fixed);
        out.extend_from_slice(kept);
        pad(out, kept.len());
        let way: u32 = match record.way {
            Way::Unknown => 0,
            Way::Inbound => 1,
            Way::Outbound => 2,
        };
        option(out, OPTION_FLAGS, &way.to_ne_bytes());
        if let Some(comment) = record.comment {
            option(out, OPTION_COMMENT, comment.as_bytes());
        }
        option(out, 0, &[]);
    });
}

/// Writes a block: type, length, what `body` writes, and the length again.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&kind.to_ne_bytes());
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len() - start + 4)
        .unwrap_or(u32::MAX)
        .to_ne_bytes();
    out.extend_from_slice(&length);
    if let Some(place) = out.get_mut(start + 4..start + 8) {
        place.copy_from_slice(&length);
    }
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..usize::from(u16::MAX)).unwrap_or(value);
    out.extend_from_slice(&code.to_ne_bytes());
    out.extend_from_slice(&field(value.len()).to_ne_bytes());
    out.extend_from_slice(value);
    pad(out, value.len());
}

/// Fills up to a multiple of four bytes.
fn pad(out: &mut Vec<u8>, length: usize) {
    let missing = length.wrapping_neg() % 4;
    out.extend_from_slice(&[0; 3][..missing]);
}

#[cfg(test)]
mod tests;
