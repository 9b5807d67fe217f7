//! The half of `check` that asks the name system: who answers A and AAAA how, and what is wrong with it.
//!
//! An [`Inquiry`] asks and returns plain data; the rules judge it without a clock or a socket. Nothing here connects to the
//! service itself.

mod answers;
mod ask;
mod collect;
#[cfg(test)]
pub(crate) mod fixture;
pub(crate) mod fresh;
mod global;
mod observation;
pub(crate) mod ptr;
mod rules;
mod synthesis;
mod view;

pub(crate) use answers::{answers, cache_notes};
pub(crate) use ask::{Asker, has_route};
pub(crate) use collect::Inquiry;
pub(crate) use fresh::{Fresh, failure};
pub(crate) use observation::{Lookup, NamesObservation, Role, Server, ServerId, evidence};
pub(crate) use rules::{
    Existence, Expectation, Judgement, existence, judge, judge_plan, judge_zone, probeable,
};
pub(crate) use synthesis::{Nat64Prefix, PROBE_NAME};
