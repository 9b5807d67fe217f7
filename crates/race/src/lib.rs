//! Happy Eyeballs v3 as a pure machine: answers and results in; queries, attempts and a deadline out.
#![no_std]
#![forbid(unsafe_code)]
extern crate alloc;

pub mod nat64;
pub mod rfc6724;
