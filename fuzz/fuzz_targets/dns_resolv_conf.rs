//! Any text as /etc/resolv.conf.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    twinstack_dns::fuzz::resolv_conf(text);
});
