//! Any text as a target of check.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    drop(twinstack_check::options::Target::parse(text));
});
