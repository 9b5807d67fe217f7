//! Any bytes as the body of a response.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    twinstack_check::fuzz::page(bytes);
});
