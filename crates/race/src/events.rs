//! The timeline of a race: what came in, what went out, and when.
//!
//! The timeline is complete: fed again, the inputs give the outputs. Reports, pictures and the text form are made of it.

use crate::input::Input;
use crate::output::Output;
use crate::time::Instant;

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The caller said so. Inputs that were [ignored](crate::Ignored) are not here.
    In(Input),
    /// The machine asked for it.
    Out(Output),
}
