//! Any bytes as the output of `nft -j list ruleset`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    twinstack_check::fuzz::firewall(bytes);
});
