//! A smoothed round-trip time and the retransmission time that follows from it (RFC 6298, section 2).

use core::time::Duration;

/// What handshakes have told of the time to an address and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTrip {
    smoothed: Duration,
    variation: Duration,
}

/// The clock's grain, RFC 6298's `G`.
const GRAIN: Duration = Duration::from_millis(1);

impl RoundTrip {
    /// After the first measurement.
    pub fn new(measured: Duration) -> Self {
        Self {
            smoothed: measured,
            variation: measured / 2,
        }
    }

    /// After one more.
    #[must_use]
    pub fn with(self, measured: Duration) -> Self {
        let off = self.smoothed.abs_diff(measured);
        Self {
            // One eighth and one quarter of the new value, by RFC 6298; divided first, so that nothing overflows.
            smoothed: (self.smoothed / 8 * 7).saturating_add(measured / 8),
            variation: (self.variation / 4 * 3).saturating_add(off / 4),
        }
    }

    /// The smoothed time.
    pub const fn smoothed(&self) -> Duration {
        self.smoothed
    }

    /// When a handshake of one round trip is so late that a sender would repeat its first packet (D2).
    pub fn retransmit_after(&self) -> Duration {
        self.smoothed
            .saturating_add(self.variation.saturating_mul(4).max(GRAIN))
    }
}
