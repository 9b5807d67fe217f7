//! DNS for the rest of the house: names, reverse names, records, messages, the forward-confirmed reverse join, and
//! (feature `client`) asking a server.
//!
//! The wire codec is NLnet Labs' `domain`, and nothing of it shows: no type of it is in a public signature, so its
//! versions are not ours. Everything here but [`client`] is pure: no clock, no socket, no file, no chance.
//!
//! Bytes from the network and text from users never panic and never cost more than their length allows; what is
//! wrong with them comes back as a typed error.
//!
//! This crate never decides *whom* to ask (no resolver, no cache) and holds no zone.

#![warn(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects
)]

#[cfg(feature = "client")]
pub mod client;
mod codec;
#[doc(hidden)]
pub mod fuzz;
pub mod hosts;
pub mod join;
pub mod message;
pub mod name;
pub mod record;
pub mod resolv_conf;
pub mod reverse;

#[cfg(feature = "client")]
pub use client::{AskError, AskOptions, Client, Exchange};
pub use message::{Edns, MessageError, Query, Question, Rcode, Response};
pub use name::{Name, NameError};
pub use record::{Data, Record, RecordError, RecordType, ServiceParams, Ttl, parse_record_line};
