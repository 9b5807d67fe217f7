//! The seam between the `check` command and the world: tests put a checker with prepared reports here.

use std::pin::Pin;
use twinstack_check::via::Via;
use twinstack_check::{Options, Report};

/// The answer of a [`Checker`], on its way.
pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = Report> + 'a>>;

/// Looks at targets.
pub(crate) trait Checker {
    /// Looks at one target from here and from each of the other machines.
    fn check<'a>(&'a self, options: &'a Options, via: &'a [Via]) -> Answer<'a>;
}

/// The real network.
pub(crate) struct Network;

impl Checker for Network {
    fn check<'a>(&'a self, options: &'a Options, via: &'a [Via]) -> Answer<'a> {
        Box::pin(twinstack_check::check_from(options, via))
    }
}
