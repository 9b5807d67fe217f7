//! The lab: broken networks on one machine, without root.

mod service;
pub mod world;
