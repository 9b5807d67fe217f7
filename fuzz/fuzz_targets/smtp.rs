//! Any bytes as what a mail server says.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    twinstack_check::fuzz::smtp(bytes);
});
