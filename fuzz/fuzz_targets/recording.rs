//! Any bytes as a recording: frames or an error, and whatever a frame holds, its segment is inside it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use twinstack_lab::trace;

fuzz_target!(|bytes: &[u8]| {
    let Ok(frames) = trace::read(bytes) else {
        return;
    };
    for frame in frames {
        assert!(frame.bytes.len() <= bytes.len());
        if let Some(segment) = trace::segment(frame.link_type, frame.bytes) {
            assert_eq!(segment.from.is_ipv4(), segment.to.is_ipv4());
            if let trace::Content::Udp { payload } = segment.content {
                assert!(payload.len() < frame.bytes.len());
            }
        }
    }
});
