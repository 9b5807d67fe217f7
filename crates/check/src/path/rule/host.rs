//! What the host itself shows: the `host.*` codes, and `reach.return-path-loss`.

use super::Judgement;
use super::view::Excuses;
use crate::path::Plan;
use crate::path::observation::PathObservation;

/// Judges the host, and says what its findings explain.
pub(super) fn judge(_plan: &Plan, _seen: &PathObservation, _judgement: &mut Judgement) -> Excuses {
    Excuses::default()
}
