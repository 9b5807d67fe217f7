//! Any bytes as a DNS message: what can be read can be written and reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    twinstack_dns::fuzz::message(data);
});
