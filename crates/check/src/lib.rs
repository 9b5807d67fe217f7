//! Is this service ready for dual stack?
//!
//! **collect -> decide -> render**: the collecting modules touch the network and return plain observations;
//! the rules turn observations into findings without a clock or a socket, and hold most of the tests; `cli` renders
//! the [`Report`].
//!
//! This crate never prints, never decides an exit status and never builds a lab.

pub mod codes;
#[doc(hidden)]
pub mod fuzz;
mod mail;
mod names;
pub mod options;
mod origin;
mod path;
pub mod report;
mod run;
pub mod via;

pub use options::Options;
pub use report::Report;
pub use run::check;
pub use via::check_from;
