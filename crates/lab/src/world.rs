//! Worlds: what a lab is built from.

pub mod model;
