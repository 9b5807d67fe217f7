//! Any text as a world file: a world or a rendered error, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = twinstack_lab::world::World::parse_alone(text, "fuzz.yaml") {
        assert!(!error.render(false).is_empty());
    }
});
