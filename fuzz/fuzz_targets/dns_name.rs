//! Any text as a name.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    twinstack_dns::fuzz::name(text);
});
