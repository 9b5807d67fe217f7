//! The lab: broken networks on one machine, without root.

pub mod emulator;
mod service;
pub mod world;
