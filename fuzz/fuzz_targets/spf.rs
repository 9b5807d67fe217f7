//! Any text as an SPF record.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    twinstack_check::fuzz::spf(text);
});
