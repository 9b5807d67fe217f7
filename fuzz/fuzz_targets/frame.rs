//! Any bytes as frames from the lab's hosts: the emulated network never panics and delivers only whole packets.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| twinstack_lab::emulator::fuzz_frame(data));
