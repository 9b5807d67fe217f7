//! The half of `check` that asks the name system: who answers A and AAAA how, and what is wrong with it.
//!
//! [`collect`] asks and returns plain data; the rules judge it without a clock or a socket. Nothing here connects to the
//! service itself.

mod ask;
mod collect;
#[cfg(test)]
mod fixture;
mod fresh;
mod global;
mod observation;
pub(crate) mod ptr;
pub(crate) mod rules;
mod synthesis;
mod view;
