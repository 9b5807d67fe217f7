//! Happy Eyeballs v3 as a pure machine: answers and results in; queries, attempts and a deadline out.
//!
//! A [`Race`] connects to one [`Target`]. It opens no socket, asks no resolver and reads no clock: the caller does, and
//! tells it. The crate is `no_std` and has no dependency, so the compiler can vouch for that.
//!
//! ```text
//! race.input(Input::..., now)       whatever happened; tells when it changed nothing, and why
//! race.next(now) -> Option<Output>  what to do; ask until there is nothing more
//! race.deadline()                   when to ask again if nothing happens before
//! ```
//!
//! ```
//! use std::net::{IpAddr, Ipv6Addr};
//! use twinstack_race::{Answer, Config, Input, Instant, Name, Network, Outcome, Output, Race, Target};
//!
//! let target = Target::tcp(Name::new("example.com")?, 443);
//! let mut now = Instant::ZERO;
//! let mut race = Race::new(target, Config::default(), Network::dual_stack(), 1, now)?;
//!
//! // Two questions, AAAA first.
//! let Some(Output::Query { id: aaaa, .. }) = race.next(now) else { panic!() };
//! let Some(Output::Query { id: a, .. }) = race.next(now) else { panic!() };
//! assert_eq!(race.next(now), None);
//!
//! // AAAA is answered first: there is nothing better to wait for.
//! now += std::time::Duration::from_millis(20);
//! let address = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
//! race.input(Input::Answer { query: aaaa, answer: Answer::addresses([address]) }, now)?;
//! let Some(Output::Attempt { id, endpoint, .. }) = race.next(now) else { panic!() };
//! assert_eq!(endpoint.address, (address, 443).into());
//!
//! // It connects.
//! now += std::time::Duration::from_millis(20);
//! race.input(Input::Succeeded { attempt: id }, now)?;
//! assert_eq!(race.next(now), Some(Output::Finished(Outcome::Connected { attempt: id })));
//! # let _ = a;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The standard is draft-ietf-happy-happyeyeballs-v3, the editor's copy of 2026-07-30. Comments and tests name its
//! requirements by the ids of our checklist (`B3`, `D6`); where we depart from it, `DEVIATIONS.md` says why.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod answer;
mod chance;
mod config;
mod endpoint;
mod events;
pub mod history;
mod input;
mod knowledge;
mod name;
pub mod nat64;
mod network;
mod order;
mod output;
mod race;
mod resolve;
pub mod rfc6724;
mod target;
pub mod text;
mod time;

pub use answer::{
    Answer, AnswerData, Purpose, QueryError, QueryErrorKind, QueryId, QueryType, ServiceRecord,
};
pub use config::{
    ATTEMPT_DELAY, ATTEMPT_FLOOR, Config, ConfigError, EchUse, LINGER, MAXIMUM_ATTEMPT_DELAY,
    MINIMUM_ATTEMPT_DELAY, ProtocolOrder, RESOLUTION_DELAY,
};
pub use endpoint::{Alpn, Alpns, Ech, Endpoint, Protocol, alpns};
pub use events::{Event, What};
pub use input::{AttemptError, AttemptErrorKind, AttemptId, Ignored, Input};
pub use knowledge::Fact;
pub use name::{Name, NameError};
pub use network::{Family, Network, Routes};
pub use order::{Order, Place};
pub use output::{
    CancelReason, Cause, FailedAttempt, FailedQuery, Failure, FailureReason, Outcome, Output,
    QueryEnd,
};
pub use race::{Attempt, AttemptEnd, Race};
pub use target::{Host, Offer, Service, Target};
pub use time::Instant;
