//! The host itself (`--local`).

use super::Plan;
use super::observation::LocalObservation;

/// Looks at the host, if the plan says that we are on it.
pub(super) async fn collect(plan: &Plan) -> Option<LocalObservation> {
    if !plan.local {
        return None;
    }
    Some(LocalObservation { at: plan.now() })
}
