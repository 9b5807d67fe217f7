//! Any bytes as a certificate.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    twinstack_check::fuzz::certificate(bytes);
});
