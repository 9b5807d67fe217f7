use super::*;
use crate::emulator::bytes::array_at;

fn word(data: &[u8], at: usize) -> u32 {
    array_at(data, at).map(u32::from_ne_bytes).unwrap()
}

/// Types and bodies of all blocks, with both lengths checked.
fn blocks(mut data: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut blocks = Vec::new();
    while !data.is_empty() {
        let length = usize::try_from(word(data, 4)).unwrap();
        assert_eq!(length % 4, 0);
        assert_eq!(word(data, length - 4), word(data, 4));
        blocks.push((word(data, 0), data[8..length - 4].to_vec()));
        data = &data[length..];
    }
    blocks
}

fn record<'a>(data: &'a [u8], comment: Option<&'a str>) -> Record<'a> {
    Record {
        interface: 1,
        time: 0x0102_0304_0506_0708,
        way: Way::Inbound,
        data,
        keep: usize::MAX,
        comment,
    }
}

#[test]
fn a_file_starts_with_a_section_and_its_interfaces() {
    let mut out = Vec::new();
    write_start(&mut out, ["client:office", DROPPED]);
    let blocks = blocks(&out);
    let kinds: Vec<_> = blocks.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [SECTION, INTERFACE, INTERFACE]);
    assert_eq!(word(&blocks[0].1, 0), 0x1a2b_3c4d);
    let interface = &blocks[1].1;
    assert_eq!(interface[0..2], ETHERNET_LINK.to_ne_bytes());
    assert_eq!(interface[12..25], *b"client:office");
    // Padded to four, then the resolution: option 9, one byte, 9.
    assert_eq!(
        interface[28..33],
        [&9_u16.to_ne_bytes()[..], &1_u16.to_ne_bytes(), &[9]].concat()
    );
}

#[test]
fn a_packet_has_its_time_way_and_comment() {
    let mut out = Vec::new();
    write_packet(&mut out, &record(b"frame", Some("dropped")));
    let (kind, body) = blocks(&out).remove(0);
    assert_eq!(kind, ENHANCED_PACKET);
    assert_eq!(
        (0..5).map(|at| word(&body, at * 4)).collect::<Vec<_>>(),
        [1, 0x0102_0304, 0x0506_0708, 5, 5]
    );
    assert_eq!(body[20..28], *b"frame\0\0\0");
    assert_eq!(word(&body, 32), 1);
    assert_eq!(body[40..47], *b"dropped");
}

#[test]
fn a_shortened_packet_tells_its_real_length() {
    let mut out = Vec::new();
    write_packet(
        &mut out,
        &Record {
            keep: 6,
            ..record(&[7; 1000], None)
        },
    );
    let (_, body) = blocks(&out).remove(0);
    assert_eq!((word(&body, 12), word(&body, 16)), (6, 1000));
}

#[test]
fn a_recording_is_in_the_file_soon_and_whole_at_the_end() {
    use super::recorder::Recorder;
    use std::time::Duration;

    let file = tempfile::NamedTempFile::new().unwrap();
    let mut start = Vec::new();
    write_start(&mut start, ["a:b"]);
    let mut recorder = Recorder::start(file.reopen().unwrap(), &start).unwrap();
    let now = Duration::from_secs(1);
    assert_eq!(recorder.next_deadline(), None);
    recorder.record(record(b"one", None), now);
    let deadline = recorder.next_deadline().unwrap();
    assert!(deadline <= now + Duration::from_millis(50));
    recorder.handle_time(deadline);
    assert_eq!(recorder.next_deadline(), None);
    recorder.record(record(b"two", None), deadline);
    assert_eq!(recorder.finish().unwrap(), 0);
    let kinds: Vec<_> = blocks(&std::fs::read(file.path()).unwrap())
        .iter()
        .map(|(kind, _)| *kind)
        .collect();
    assert_eq!(
        kinds,
        [SECTION, INTERFACE, ENHANCED_PACKET, ENHANCED_PACKET]
    );
}

#[test]
fn a_full_disk_is_reported_at_the_end() {
    use super::recorder::Recorder;
    use std::time::Duration;

    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let mut recorder = Recorder::start(full, &[]).unwrap();
    recorder.record(record(b"one", None), Duration::ZERO);
    assert_eq!(
        recorder.finish().unwrap_err().kind(),
        std::io::ErrorKind::StorageFull
    );
}
