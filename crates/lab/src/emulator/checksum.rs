//! The Internet checksum: whole (RFC 1071), by difference (RFC 1624), and finishing what a sender left undone.

use super::bytes::put_u16;
use super::frame::Frame;
use super::packet::{Headers, protocol};
use std::net::IpAddr;

/// A ones' complement sum not yet folded to 16 bits.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum(u64);

impl Sum {
    /// Adds bytes; an odd last one counts as if a zero followed.
    #[must_use]
    pub(crate) fn bytes(self, data: &[u8]) -> Self {
        // Four bytes at a time are the same sum modulo 2^16 - 1; 64 KB cannot overflow 64 bits.
        let (words, rest) = data.as_chunks::<4>();
        let mut sum = self.0;
        for word in words {
            sum += u64::from(u32::from_be_bytes(*word));
        }
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        Self(fold(sum + u64::from(u32::from_be_bytes(last))).into())
    }

    /// Adds one 16-bit word.
    #[must_use]
    pub(crate) fn word(self, word: u16) -> Self {
        Self(self.0 + u64::from(word))
    }

    /// Takes bytes away again.
    #[must_use]
    pub(crate) fn without(self, data: &[u8]) -> Self {
        self.word(!Self::default().bytes(data).fold())
    }

    /// Adds the pseudo header of TCP, UDP and ICMPv6 (RFC 9293 3.1, RFC 8200 8.1).
    #[must_use]
    pub(crate) fn pseudo_header(
        self,
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        length: usize,
    ) -> Self {
        let add = |sum: Self, address| match address {
            IpAddr::V4(address) => sum.bytes(&address.octets()),
            IpAddr::V6(address) => sum.bytes(&address.octets()),
        };
        let length = u64::try_from(length)
            .unwrap_or(u64::MAX)
            .min(u64::from(u32::MAX));
        Self(add(add(self, source), destination).0 + length).word(u16::from(protocol))
    }

    /// The sum as 16 bits, not complemented: what a partial checksum field holds.
    pub(crate) fn fold(self) -> u16 {
        fold(self.0)
    }

    /// The checksum: the complement of the sum.
    pub(crate) fn finish(self) -> u16 {
        !fold(self.0)
    }
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    // The loop ends only when nothing is left above 16 bits.
    u16::try_from(sum).unwrap_or(u16::MAX)
}

/// The checksum after `old` bytes that it covers became `new` (RFC 1624, equation 3).
pub(crate) fn adjust(checksum: u16, old: &[u8], new: &[u8]) -> u16 {
    Sum::default()
        .word(!checksum)
        .without(old)
        .bytes(new)
        .finish()
}

/// Finishes the transport checksum that the sender left to the hardware, where it did. Not for super-frames.
pub(crate) fn complete(frame: &mut Frame) -> Option<()> {
    let Some(partial) = frame.offload.checksum.take() else {
        return Some(());
    };
    let start = usize::from(partial.start);
    let field = start + usize::from(partial.offset);
    let sum = Sum::default().bytes(frame.data.get(start..)?).finish();
    // Zero would mean "no checksum" to UDP; both are the same number, and TCP does not mind.
    put_u16(&mut frame.data, field, if sum == 0 { 0xffff } else { sum })
}

/// Writes an IPv4 header's checksum.
pub(crate) fn write_v4_header(data: &mut [u8], at: usize, length: usize) -> Option<()> {
    put_u16(data, at + 10, 0)?;
    let sum = Sum::default().bytes(data.get(at..at + length)?).finish();
    put_u16(data, at + 10, sum)
}

/// Writes the whole transport checksum of an unfragmented TCP, UDP, ICMP or ICMPv6 packet.
pub(crate) fn write_transport(data: &mut [u8], headers: &Headers) -> Option<()> {
    let offset = match headers.protocol {
        protocol::TCP => 16,
        protocol::UDP => 6,
        protocol::ICMP | protocol::ICMPV6 => 2,
        _ => return Some(()),
    };
    put_u16(data, headers.transport + offset, 0)?;
    let payload = data.get(headers.transport..)?;
    let start = match headers.protocol {
        protocol::ICMP => Sum::default(),
        protocol => Sum::default().pseudo_header(
            headers.source,
            headers.destination,
            protocol,
            payload.len(),
        ),
    };
    let sum = match start.bytes(payload).finish() {
        0 if headers.protocol == protocol::UDP => 0xffff,
        sum => sum,
    };
    put_u16(data, headers.transport + offset, sum)
}

/// Whether the transport checksum of an unfragmented packet is right.
#[cfg(test)]
pub(crate) fn transport_is_valid(data: &[u8], headers: &Headers) -> bool {
    let Some(payload) = data.get(headers.transport..) else {
        return false;
    };
    let start = match headers.protocol {
        protocol::ICMP => Sum::default(),
        protocol => Sum::default().pseudo_header(
            headers.source,
            headers.destination,
            protocol,
            payload.len(),
        ),
    };
    if headers.protocol == protocol::UDP && super::bytes::u16_at(payload, 6) == Some(0) {
        return headers.source.is_ipv4();
    }
    start.bytes(payload).finish() == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1071() {
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().bytes(&data).fold(), 0xddf2);
    }

    proptest! {
        #[test]
        fn adjusting_equals_summing_anew(
            mut data in prop::collection::vec(any::<u8>(), 8..200),
            change in any::<[u8; 4]>(),
        ) {
            // An all-zero packet has two representations of its checksum; real ones have addresses.
            data[7] = 1;
            let before = Sum::default().bytes(&data).finish();
            let old = data[0..4].to_vec();
            data[0..4].copy_from_slice(&change);
            let after = Sum::default().bytes(&data).finish();
            prop_assert_eq!(adjust(before, &old, &change), after);
        }

        #[test]
        fn sums_of_even_pieces_are_the_sum_of_the_whole(data in prop::collection::vec(any::<u8>(), 0..200), cut in 0usize..100) {
            let cut = (cut * 2).min(data.len() & !1);
            let whole = Sum::default().bytes(&data).finish();
            prop_assert_eq!(Sum::default().bytes(&data[..cut]).bytes(&data[cut..]).finish(), whole);
        }
    }
}
