//! The lab: broken networks on one machine, without root.

pub mod world;
