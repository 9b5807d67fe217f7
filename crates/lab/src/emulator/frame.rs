//! Frames and the pool that their memory comes from.
//!
//! A frame is what an AF_PACKET socket with `PACKET_VNET_HDR` hands over: Ethernet bytes, and beside them what the
//! sender left for the hardware to do ([`Offload`]): finish a checksum, cut a 64 KB super-frame into segments.

use super::bytes::{array_at, put};
use std::ops::{Deref, DerefMut};

/// Length of `struct virtio_net_hdr` in front of each frame on the socket.
pub(crate) const VNET_HEADER: usize = 10;
/// Length of an Ethernet header.
pub(crate) const ETHERNET: usize = 14;
/// Bytes kept free in front of the data: NAT64 lengthens the IP header in place (20 bytes, or 28 with a fragment header).
const HEADROOM: usize = 64;
/// Room for one ordinary packet, and for what translation adds.
const SMALL: usize = 2048;
/// Room for the largest super-frame: 64 KB of IP, Ethernet, and some for translation.
const LARGE: usize = 65_536 + 256;
/// How many idle buffers of each size are kept.
const KEPT: [usize; 2] = [8192, 512];

/// Work that the sender left to the receiver: `struct virtio_net_hdr` as values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offload {
    /// The transport checksum holds only the pseudo header's sum so far.
    pub checksum: Option<PartialChecksum>,
    /// The frame stands for several packets.
    pub segments: Option<Segments>,
}

/// Where the checksum of a frame with an unfinished one starts and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartialChecksum {
    /// First summed byte, from the start of the frame.
    pub start: u16,
    /// Where the result goes, from `start`.
    pub offset: u16,
}

/// How a super-frame divides into packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segments {
    /// What is inside.
    pub kind: SegmentKind,
    /// The first segment alone carries CWR.
    pub ecn: bool,
    /// Payload bytes of each segment but the last; not zero.
    pub size: u16,
}

/// Kinds of super-frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SegmentKind {
    /// TCP over IPv4.
    TcpV4,
    /// TCP over IPv6.
    TcpV6,
    /// UDP datagrams of one size, either family.
    Udp,
}

const NEEDS_CSUM: u8 = 1;
const GSO_ECN: u8 = 0x80;

impl Offload {
    /// Reads the header as the kernel wrote it (native byte order); `None` for kinds that we cannot cut up.
    pub(crate) fn from_wire(header: &[u8; VNET_HEADER]) -> Option<Self> {
        let word = |at| array_at(header, at).map(u16::from_ne_bytes);
        let [flags, kind, ..] = *header;
        let checksum = if flags & NEEDS_CSUM == 0 {
            None
        } else {
            Some(PartialChecksum {
                start: word(6)?,
                offset: word(8)?,
            })
        };
        let segments = match kind & !GSO_ECN {
            0 => None,
            kind => Some(Segments {
                kind: match kind {
                    1 => SegmentKind::TcpV4,
                    4 => SegmentKind::TcpV6,
                    5 => SegmentKind::Udp,
                    _ => return None,
                },
                ecn: header[1] & GSO_ECN != 0,
                size: word(4).filter(|size| *size > 0)?,
            }),
        };
        Some(Self { checksum, segments })
    }

    /// The header as the kernel reads it. `headers` is the length of Ethernet, IP and transport header together.
    pub(crate) fn to_wire(self, headers: u16) -> [u8; VNET_HEADER] {
        let mut wire = [0; VNET_HEADER];
        if let Some(checksum) = self.checksum {
            wire[0] = NEEDS_CSUM;
            wire[6..8].copy_from_slice(&checksum.start.to_ne_bytes());
            wire[8..10].copy_from_slice(&checksum.offset.to_ne_bytes());
        }
        if let Some(segments) = self.segments {
            wire[1] = match segments.kind {
                SegmentKind::TcpV4 => 1,
                SegmentKind::TcpV6 => 4,
                SegmentKind::Udp => 5,
            } | if segments.ecn { GSO_ECN } else { 0 };
            wire[2..4].copy_from_slice(&headers.to_ne_bytes());
            wire[4..6].copy_from_slice(&segments.size.to_ne_bytes());
        }
        wire
    }
}

/// Bytes with room in front of them.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new(capacity: usize) -> Self {
        Self {
            bytes: vec![0; HEADROOM + capacity].into_boxed_slice(),
            start: HEADROOM,
            end: HEADROOM,
        }
    }

    /// Room for a virtio header and all data that fit behind it, for a socket to write into;
    /// [`set_len`](Self::set_len) then says how much data it was.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        self.bytes
            .get_mut(HEADROOM - VNET_HEADER..)
            .unwrap_or_default()
    }

    /// The virtio header that a socket wrote into [`space`](Self::space).
    pub(crate) fn header(&self) -> [u8; VNET_HEADER] {
        array_at(&self.bytes, HEADROOM - VNET_HEADER).unwrap_or_default()
    }

    /// The data with this virtio header in front, for a socket to read.
    pub(crate) fn with_header(&mut self, header: [u8; VNET_HEADER]) -> &mut [u8] {
        let space = self
            .bytes
            .get_mut(self.start.saturating_sub(VNET_HEADER)..self.end);
        let space = space.unwrap_or_default();
        // Translation lengthens frames by 28 bytes at most, so that there is room for the header.
        _ = put(space, 0, &header);
        space
    }

    /// The data are the first `length` bytes behind the header in [`space`](Self::space).
    pub(crate) fn set_len(&mut self, length: usize) {
        self.start = HEADROOM.min(self.bytes.len());
        self.end = (HEADROOM + length).min(self.bytes.len());
    }

    /// Forgets all bytes behind the first `length`.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.end = self.end.min(self.start + length);
    }

    /// Adds `count` bytes in front, of whatever value; `None` when there is no room.
    pub(crate) fn grow_front(&mut self, count: usize) -> Option<()> {
        self.start = self.start.checked_sub(count)?;
        Some(())
    }

    /// Takes `count` bytes off the front; `None` when there are fewer.
    pub(crate) fn shrink_front(&mut self, count: usize) -> Option<()> {
        self.start = self
            .start
            .checked_add(count)
            .filter(|start| *start <= self.end)?;
        Some(())
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }
}

impl DerefMut for Buffer {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.end).unwrap_or_default()
    }
}

/// Ethernet bytes and the work left to do on them.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// The bytes, from the destination address on.
    pub data: Buffer,
    /// What the sender left to do.
    pub offload: Offload,
}

/// Buffers of two sizes, used again and again.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    small: Vec<Buffer>,
    large: Vec<Buffer>,
}

impl Pool {
    /// An empty buffer for at least `length` bytes; `None` when that is more than any frame has.
    pub(crate) fn buffer(&mut self, length: usize) -> Option<Buffer> {
        if length <= SMALL {
            Some(self.small.pop().unwrap_or_else(|| Buffer::new(SMALL)))
        } else if length <= LARGE {
            Some(self.large())
        } else {
            None
        }
    }

    /// An empty buffer that takes any frame.
    pub(crate) fn large(&mut self) -> Buffer {
        self.large.pop().unwrap_or_else(|| Buffer::new(LARGE))
    }

    /// A copy of `data` in a buffer of fitting size.
    pub(crate) fn copy(&mut self, data: &[u8]) -> Option<Buffer> {
        let mut buffer = self.sized(data.len())?;
        buffer.copy_from_slice(data);
        Some(buffer)
    }

    /// A buffer of `length` bytes of whatever value; the caller writes them all.
    pub(crate) fn sized(&mut self, length: usize) -> Option<Buffer> {
        let mut buffer = self.buffer(length)?;
        buffer.set_len(length);
        Some(buffer)
    }

    /// Takes a buffer back.
    pub(crate) fn recycle(&mut self, mut buffer: Buffer) {
        buffer.set_len(0);
        let (kept, limit) = match buffer.bytes.len() {
            0 => return,
            length if length <= HEADROOM + SMALL => (&mut self.small, KEPT[0]),
            _ => (&mut self.large, KEPT[1]),
        };
        if kept.len() < limit {
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_virtio_header_survives_both_ways() {
        let offload = Offload {
            checksum: Some(PartialChecksum {
                start: 54,
                offset: 16,
            }),
            segments: Some(Segments {
                kind: SegmentKind::TcpV6,
                ecn: true,
                size: 1440,
            }),
        };
        let wire = offload.to_wire(86);
        assert_eq!(wire[0..2], [1, 0x84]);
        assert_eq!(Offload::from_wire(&wire), Some(offload));
        assert_eq!(
            Offload::from_wire(&Offload::default().to_wire(0)),
            Some(Offload::default())
        );
    }

    #[test]
    fn an_unknown_kind_or_a_segment_size_of_zero_is_refused() {
        assert_eq!(Offload::from_wire(&[0, 3, 0, 0, 1, 1, 0, 0, 0, 0]), None);
        assert_eq!(Offload::from_wire(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn a_buffer_grows_and_shrinks_at_the_front() {
        let mut pool = Pool::default();
        let mut buffer = pool.copy(b"abcdef").unwrap();
        assert_eq!(buffer.shrink_front(2), Some(()));
        assert_eq!(&*buffer, b"cdef");
        assert_eq!(buffer.grow_front(4), Some(()));
        assert_eq!(buffer.len(), 8);
        assert_eq!(buffer.grow_front(HEADROOM), None);
        assert_eq!(buffer.shrink_front(9), None);
        buffer.truncate(3);
        assert_eq!(buffer.len(), 3);
    }

    #[test]
    fn a_virtio_header_has_its_place_before_the_data() {
        let mut buffer = Pool::default().large();
        buffer.space()[..13].copy_from_slice(b"0123456789abc");
        buffer.set_len(3);
        assert_eq!(buffer.header(), *b"0123456789");
        assert_eq!(&*buffer, b"abc");
        buffer.grow_front(1).unwrap();
        buffer[0] = b'z';
        assert_eq!(buffer.with_header(*b"9876543210"), b"9876543210zabc");
    }

    #[test]
    fn the_pool_hands_out_what_came_back() {
        let mut pool = Pool::default();
        let buffer = pool.copy(&[7; 60]).unwrap();
        let address = buffer.bytes.as_ptr();
        pool.recycle(buffer);
        let again = pool.copy(b"x").unwrap();
        assert_eq!(again.bytes.as_ptr(), address);
        assert_eq!(&*again, b"x");
        assert!(pool.copy(&vec![0; LARGE + 1]).is_none());
    }
}
