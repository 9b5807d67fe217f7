//! Recordings of a lab (`--trace`), read again: frames with their times, and what each of them carries.
//!
//! This is for whoever wants to measure a program by its packets alone. The writer is part of the emulator.

pub(crate) mod pcapng;
mod segment;

pub use pcapng::{Frame, NotPcapng, read};
pub use segment::{Content, Segment, segment};
