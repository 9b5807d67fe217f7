//! Any bytes as what the kernel says: error queues, echo replies, netlink dumps, lines of `/proc`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    twinstack_check::fuzz::kernel(bytes);
});
