//! The lab: broken networks on one machine, without root.
//!
//! A [`World`](world::World) says which hosts, networks, links, filters, name servers and services there are and what is
//! broken about them. [`Lab::start`] builds it out of namespaces, as an ordinary user, and runs programs in it; when the
//! [`Lab`] is dropped, or its owner dies in whatever way, nothing is left.
//!
//! ```no_run
//! use twinstack_lab::{Lab, LabOptions, enter_init, world::World};
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     // First thing in `main`: the lab starts this same program again, as process 1 of its namespaces.
//!     if enter_init().is_some() {
//!         return Ok(());
//!     }
//!     let world = World::load("v6-drop")?;
//!     let lab = Lab::start(&world, &LabOptions::default())?;
//!     let (outcome, output) = lab.command("client", ["curl", "-s", "http://www.lab.test/"]).output()?;
//!     println!("{outcome:?}: {} bytes", output.stdout.len());
//!     Ok(())
//! }
//! ```

pub mod emulator;
mod runtime;
pub mod score;
mod service;
pub mod trace;
pub mod world;

pub use runtime::{
    Lab, LabCommand, LabError, LabOptions, Outcome, Refusal, Running, Update, enter_init,
};
