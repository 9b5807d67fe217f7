//! Reading and writing big-endian numbers at offsets, never beyond the end.
//!
//! Everything that looks into a frame goes through these, so that no length field of a foreign packet can panic us.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The `N` bytes at `offset`.
#[inline]
pub(crate) fn array_at<const N: usize>(data: &[u8], offset: usize) -> Option<[u8; N]> {
    data.get(offset..)?.first_chunk::<N>().copied()
}

#[inline]
pub(crate) fn u8_at(data: &[u8], offset: usize) -> Option<u8> {
    data.get(offset).copied()
}

#[inline]
pub(crate) fn u16_at(data: &[u8], offset: usize) -> Option<u16> {
    array_at(data, offset).map(u16::from_be_bytes)
}

#[inline]
pub(crate) fn u32_at(data: &[u8], offset: usize) -> Option<u32> {
    array_at(data, offset).map(u32::from_be_bytes)
}

#[inline]
pub(crate) fn v4_at(data: &[u8], offset: usize) -> Option<Ipv4Addr> {
    array_at::<4>(data, offset).map(Ipv4Addr::from)
}

#[inline]
pub(crate) fn v6_at(data: &[u8], offset: usize) -> Option<Ipv6Addr> {
    array_at::<16>(data, offset).map(Ipv6Addr::from)
}

/// Writes `value` at `offset`; `None` (and nothing written) when it does not fit.
#[inline]
pub(crate) fn put(data: &mut [u8], offset: usize, value: &[u8]) -> Option<()> {
    data.get_mut(offset..)?
        .get_mut(..value.len())?
        .copy_from_slice(value);
    Some(())
}

#[inline]
pub(crate) fn put_u16(data: &mut [u8], offset: usize, value: u16) -> Option<()> {
    put(data, offset, &value.to_be_bytes())
}

#[inline]
pub(crate) fn put_u32(data: &mut [u8], offset: usize, value: u32) -> Option<()> {
    put(data, offset, &value.to_be_bytes())
}

/// A length as a 16-bit field; longer than any field can say becomes the largest.
#[inline]
pub(crate) fn field(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_or_written_beyond_the_end() {
        let mut data = [1, 2, 3];
        assert_eq!(u16_at(&data, 1), Some(0x0203));
        assert_eq!(u16_at(&data, 2), None);
        assert_eq!(u32_at(&data, usize::MAX), None);
        assert_eq!(put_u16(&mut data, 2, 7), None);
        assert_eq!(put_u16(&mut data, usize::MAX, 7), None);
        assert_eq!(data, [1, 2, 3]);
        assert_eq!(put_u16(&mut data, 0, 0x0405), Some(()));
        assert_eq!(data, [4, 5, 3]);
    }
}
