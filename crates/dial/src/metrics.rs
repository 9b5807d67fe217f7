//! What an operator wants to count.

use crate::report::RaceReport;
use std::sync::Arc;
use twinstack_race::Endpoint;

/// Is told what dials do. Every method is called on the dialling task and must not block.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use twinstack_dial::{Dialer, Metrics, RaceReport};
///
/// #[derive(Default)]
/// struct Fallbacks(AtomicU64);
///
/// impl Metrics for Fallbacks {
///     fn dial_ended(&self, report: &RaceReport) {
///         if report.silent_failure().is_some() {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let fallbacks = Arc::new(Fallbacks::default());
/// let dialer = Dialer::builder().metrics(Arc::clone(&fallbacks)).build();
/// # let _ = dialer;
/// assert_eq!(fallbacks.0.load(Ordering::Relaxed), 0);
/// ```
pub trait Metrics: Send + Sync {
    /// An attempt starts.
    fn attempt_started(&self, endpoint: &Endpoint) {
        let _ = endpoint;
    }

    /// A dial has ended, well or not. Dials whose future was dropped are not told.
    fn dial_ended(&self, report: &RaceReport) {
        let _ = report;
    }
}

/// The caller keeps the other end.
impl<M: Metrics + ?Sized> Metrics for Arc<M> {
    fn attempt_started(&self, endpoint: &Endpoint) {
        (**self).attempt_started(endpoint);
    }

    fn dial_ended(&self, report: &RaceReport) {
        (**self).dial_ended(report);
    }
}
