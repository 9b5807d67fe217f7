//! Reading a recording: the blocks of pcapng that hold packets.
//!
//! Only what the lab writes and what tools such as `editcap` make of it: section headers of either byte order, interface
//! descriptions and enhanced packets (draft-ietf-opsawg-pcapng, sections 4.1 to 4.3). Other blocks are passed over. A
//! file that ends in the middle of a block was cut off by a lab that died: what stands before is good.
//!
//! Pure: no bytes make it panic.

#![warn(clippy::indexing_slicing, clippy::as_conversions)]
// The tests below may add numbers of their own.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

pub(crate) const SECTION: u32 = 0x0A0D_0D0A;
pub(crate) const INTERFACE: u32 = 1;
pub(crate) const ENHANCED_PACKET: u32 = 6;
pub(crate) const BYTE_ORDER: u32 = 0x1A2B_3C4D;
pub(crate) const OPTION_NAME: u16 = 2;
pub(crate) const OPTION_RESOLUTION: u16 = 9;

/// One recorded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Since 1970.
    pub at: Duration,
    /// The name of the interface, empty if it has none.
    pub interface: &'a str,
    /// What the interface's frames begin with: `LINKTYPE_ETHERNET` is 1, `LINKTYPE_RAW` 101.
    pub link_type: u16,
    /// The frame, perhaps cut off.
    pub bytes: &'a [u8],
}

/// Why a file is no recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotPcapng {
    /// It begins with something else.
    #[error("it does not begin with a pcapng section header")]
    Header,
    /// A block says that it is shorter than its own header, or of a length that is no multiple of four.
    #[error("the block at byte {0} has an impossible length")]
    Length(usize),
}

struct Interface<'a> {
    name: &'a str,
    link_type: u16,
    ticks_per_second: u64,
}

/// All frames of a recording, in the order of the file.
pub fn read(file: &[u8]) -> Result<Vec<Frame<'_>>, NotPcapng> {
    let mut frames = Vec::new();
    let mut interfaces = Vec::new();
    let mut big_endian = false;
    let mut position = 0_usize;
    while let Some(rest) = file.get(position..).filter(|rest| !rest.is_empty()) {
        let mut reader = Reader {
            bytes: rest,
            big_endian,
        };
        // A section header reads the same in both byte orders; its magic says which one holds from here on.
        let Some(kind) = reader.u32() else { break };
        if kind == SECTION {
            let Some(magic) = rest.get(8..12) else { break };
            big_endian = match (Reader {
                bytes: magic,
                big_endian: true,
            })
            .u32()
            {
                Some(BYTE_ORDER) => true,
                Some(other) if other.swap_bytes() == BYTE_ORDER => false,
                _ => return Err(NotPcapng::Header),
            };
            reader.big_endian = big_endian;
            interfaces.clear();
        } else if position == 0 {
            return Err(NotPcapng::Header);
        }
        let Some(length) = reader.u32().and_then(|length| usize::try_from(length).ok()) else {
            break;
        };
        if length < 12 || !length.is_multiple_of(4) {
            return Err(NotPcapng::Length(position));
        }
        // Type and length in front, the length again behind.
        let Some(body) = rest
            .get(8..length.saturating_sub(4))
            .filter(|_| rest.len() >= length)
        else {
            break;
        };
        let mut body = Reader {
            bytes: body,
            big_endian,
        };
        match kind {
            INTERFACE => interfaces.extend(interface(&mut body)),
            ENHANCED_PACKET => frames.extend(packet(&mut body, &interfaces)),
            _ => {}
        }
        position = position.saturating_add(length);
    }
    if position == 0 {
        return Err(NotPcapng::Header);
    }
    Ok(frames)
}

fn interface<'a>(body: &mut Reader<'a>) -> Option<Interface<'a>> {
    let link_type = body.u16()?;
    body.take(6)?;
    let mut interface = Interface {
        name: "",
        link_type,
        ticks_per_second: 1_000_000,
    };
    while let (Some(code), Some(length)) = (body.u16(), body.u16()) {
        let length = usize::from(length);
        let Some(value) = body.take(length) else {
            break;
        };
        body.take(length.next_multiple_of(4).saturating_sub(length));
        match code {
            0 => break,
            OPTION_NAME => interface.name = std::str::from_utf8(value).unwrap_or_default(),
            OPTION_RESOLUTION => {
                let exponent = value.first().copied().unwrap_or(6);
                let base: u64 = if exponent & 0x80 == 0 { 10 } else { 2 };
                // An exponent beyond 64 bits cannot be told from garbage; microseconds are the default.
                interface.ticks_per_second = base
                    .checked_pow(u32::from(exponent & 0x7f))
                    .unwrap_or(1_000_000);
            }
            _ => {}
        }
    }
    Some(interface)
}

fn packet<'a>(body: &mut Reader<'a>, interfaces: &[Interface<'a>]) -> Option<Frame<'a>> {
    let interface = interfaces.get(usize::try_from(body.u32()?).ok()?)?;
    let ticks = (u64::from(body.u32()?) << 32) | u64::from(body.u32()?);
    let captured = usize::try_from(body.u32()?).ok()?;
    body.u32()?;
    let bytes = body.take(captured)?;
    let per_second = interface.ticks_per_second;
    let seconds = ticks.checked_div(per_second)?;
    let rest = u128::from(ticks.checked_rem(per_second)?).saturating_mul(1_000_000_000);
    let nanoseconds = u32::try_from(rest.checked_div(u128::from(per_second))?).ok()?;
    Some(Frame {
        at: Duration::new(seconds, nanoseconds),
        interface: interface.name,
        link_type: interface.link_type,
        bytes,
    })
}

/// Takes values off the front.
struct Reader<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?.try_into().ok()?;
        Some(if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        })
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.take(4)?.try_into().ok()?;
        Some(if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinstack_testkit::recording::{block, interface, packet, section};

    fn recording() -> Vec<u8> {
        let mut file = section();
        file.extend(interface("cafe-legacy"));
        file.extend(block(5, &[0; 8]));
        file.extend(packet(
            0,
            Duration::new(1_700_000_000, 123_456_789),
            &[1, 2, 3],
        ));
        file
    }

    #[test]
    fn frames_have_their_time_interface_and_bytes() {
        let expected = Frame {
            at: Duration::new(1_700_000_000, 123_456_789),
            interface: "cafe-legacy",
            link_type: 1,
            bytes: &[1, 2, 3],
        };
        assert_eq!(read(&recording()), Ok(vec![expected]));
    }

    #[test]
    fn a_second_section_begins_with_new_interfaces() {
        let mut file = recording();
        file.extend(section());
        file.extend(packet(0, Duration::from_secs(1), &[9]));
        file.extend(interface("office-legacy"));
        file.extend(packet(0, Duration::from_secs(2), &[9]));
        let names: Vec<_> = read(&file)
            .unwrap()
            .iter()
            .map(|frame| frame.interface)
            .collect();
        assert_eq!(names, ["cafe-legacy", "office-legacy"]);
    }

    #[test]
    fn microseconds_are_the_default_and_binary_fractions_are_understood() {
        let check = |options: &[u8], ticks: u64, expected: Duration| {
            let mut body = vec![1, 0, 0, 0, 0, 0, 0, 0];
            body.extend(options);
            let mut file = section();
            file.extend(block(INTERFACE, &body));
            file.extend(packet(0, Duration::from_nanos(ticks), &[]));
            assert_eq!(read(&file).unwrap()[0].at, expected);
        };
        check(&[], 1_500_000, Duration::from_millis(1500));
        check(
            &[9, 0, 1, 0, 0x8a, 0, 0, 0],
            1536,
            Duration::from_millis(1500),
        );
        check(&[9, 0, 1, 0, 3, 0, 0, 0], 1500, Duration::from_millis(1500));
        check(
            &[9, 0, 1, 0, 0xff, 0, 0, 0],
            1_500_000,
            Duration::from_millis(1500),
        );
    }

    #[test]
    fn the_other_byte_order_is_read_too() {
        let mut file = SECTION.to_be_bytes().to_vec();
        file.extend(28_u32.to_be_bytes());
        file.extend(BYTE_ORDER.to_be_bytes());
        file.extend([0, 1, 0, 0]);
        file.extend([0xff; 8]);
        file.extend(28_u32.to_be_bytes());
        for word in [INTERFACE, 20, 0x0001_0000, 0, 20] {
            file.extend(word.to_be_bytes());
        }
        for word in [ENHANCED_PACKET, 36, 0, 0, 2_000_000, 4, 4, 0x0102_0304, 36] {
            file.extend(word.to_be_bytes());
        }
        let frames = read(&file).unwrap();
        assert_eq!(
            (frames[0].at, frames[0].bytes),
            (Duration::from_secs(2), &[1, 2, 3, 4][..])
        );
    }

    #[test]
    fn what_stands_before_the_cut_is_good() {
        let whole = recording();
        let mut longer = whole.clone();
        longer.extend(packet(0, Duration::from_secs(1), &[1; 40]));
        for cut in whole.len()..longer.len() {
            assert_eq!(read(&longer[..cut]).unwrap().len(), 1, "{cut}");
        }
    }

    #[test]
    fn no_cut_and_no_flipped_byte_panics() {
        let whole = recording();
        for cut in 0..whole.len() {
            drop(read(&whole[..cut]));
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut broken = whole.clone();
                broken[cut] = value;
                drop(read(&broken));
            }
        }
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(read(b""), Err(NotPcapng::Header));
        assert_eq!(
            read(b"\xd4\xc3\xb2\xa1 and so on, a classic pcap"),
            Err(NotPcapng::Header)
        );
        let mut short = section();
        short.extend([6, 0, 0, 0, 4, 0, 0, 0]);
        assert_eq!(read(&short), Err(NotPcapng::Length(28)));
    }
}
