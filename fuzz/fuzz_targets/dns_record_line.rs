//! Any text as a line of a zone file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    twinstack_dns::fuzz::record_line(text);
});
