//! Any text as a target of check.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    twinstack_check::fuzz::target(text);
});
