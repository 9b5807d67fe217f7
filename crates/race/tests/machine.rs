//! The machine, item by item of the checklist: the name of a test begins with the ids that it proves.

#![expect(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::panic,
    clippy::format_push_string,
    reason = "helpers of tests fail the test, and write what is easy to read"
)]

#[path = "machine/changes.rs"]
mod changes;
#[path = "machine/ending.rs"]
mod ending;
#[path = "machine/misuse.rs"]
mod misuse;
#[path = "machine/nat64.rs"]
mod nat64;
#[path = "machine/order.rs"]
mod order;
#[path = "machine/protected.rs"]
mod protected;
#[path = "machine/racing.rs"]
mod racing;
#[path = "machine/random_inputs.rs"]
mod random_inputs;
#[path = "machine/random_worlds.rs"]
mod random_worlds;
#[path = "machine/resolution.rs"]
mod resolution;
#[path = "machine/support.rs"]
mod support;
#[path = "machine/text.rs"]
mod text;
#[path = "machine/world.rs"]
mod world;
