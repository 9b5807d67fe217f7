//! How a race is run. Every default is the value that the draft recommends, or says why there is none.

use crate::network::Family;
use crate::rfc6724::PolicyTable;
use core::fmt;
use core::time::Duration;

/// B3: how long a positive address answer waits for the preferred family and for service records.
pub const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// D2: how long after one attempt the next one starts.
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// D4: the recommended least delay between attempts.
pub const MINIMUM_ATTEMPT_DELAY: Duration = Duration::from_millis(100);
/// D5: the recommended greatest delay between attempts.
pub const MAXIMUM_ATTEMPT_DELAY: Duration = Duration::from_secs(2);
/// D3: no two attempts of a race ever start closer to each other than this. Not configurable.
pub const ATTEMPT_FLOOR: Duration = Duration::from_millis(10);
/// B12: how long after success answers are still taken, to fill the resolver's cache.
pub const LINGER: Duration = Duration::from_secs(1);

/// How a race is run.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Config {
    /// B3: how long a positive address answer waits for the preferred family and for service records.
    pub resolution_delay: Duration,
    /// D2: how long after one attempt the next one starts, when nothing is known of the round-trip time.
    pub attempt_delay: Duration,
    /// D4: no computed delay is shorter. At least [`ATTEMPT_FLOOR`].
    pub minimum_attempt_delay: Duration,
    /// D5: no delay is longer, not even an extended one (D8).
    pub maximum_attempt_delay: Duration,
    /// D11: each delay is this many times the one before. 1 keeps them equal.
    pub delay_multiplier: f64,
    /// D2: derive the delay from the round-trip time that is remembered for the address just tried, when there is one.
    pub pace_by_round_trip: bool,
    /// D10: a new address may start before the delay is over (never under the minimum) while nothing makes progress.
    pub hurry_on_new_address: bool,
    /// B4: the family to wait for and to try first. `None`: IPv6 where there is IPv6, and RFC 6724 for the order.
    pub preferred_family: Option<Family>,
    /// C11: how many addresses of the first family are tried before one of the other.
    pub preferred_family_count: usize,
    /// C6, C14: the policy table of RFC 6724, or that of its update.
    pub policy: PolicyTable,
    /// C1, C2: whether protocols are interleaved or tried one after the other.
    pub protocols: ProtocolOrder,
    /// F1, C1: what ECH configurations are to the caller.
    pub ech: EchUse,
    /// F2, F3: on protected DNS, give up when the service records cannot be had.
    pub refuse_downgrade: bool,
    /// B11: use expired answers at once while they are being refreshed.
    pub optimistic_dns: bool,
    /// D12: how many attempts run at a time.
    pub parallel_attempts: usize,
    /// D12: with [`Config::parallel_attempts`] running, the oldest one is dropped for the next address once it has made
    /// no progress for this long.
    pub replace_after: Duration,
    /// How many attempts a race starts at most.
    pub total_attempts: usize,
    /// D12: how many names (the target's, those of service records, aliases) a race resolves at most.
    pub names: usize,
    /// How long a question may remain without an answer. `None`: as long as the race.
    pub query_deadline: Option<Duration>,
    /// D14: how long one attempt may take. Never divided by the number of addresses.
    pub attempt_deadline: Option<Duration>,
    /// D14: how long the race may take. Never divided by the number of addresses.
    pub overall_deadline: Option<Duration>,
    /// B12: how long after success answers are still taken.
    pub linger: Duration,
}

/// How the protocols of one service take turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProtocolOrder {
    /// C2: together; families and protocols alternate.
    #[default]
    Interleaved,
    /// C1: every address with the most wanted protocol first, then every address with the next.
    Grouped,
}

/// What ECH configurations are to the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EchUse {
    /// They are left out.
    #[default]
    Off,
    /// They are handed over when there are any; nothing waits for them.
    Opportunistic,
    /// F1, F4: on protected DNS nothing starts before the service records are there; endpoints with ECH go first.
    Rely,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            resolution_delay: RESOLUTION_DELAY,
            attempt_delay: ATTEMPT_DELAY,
            minimum_attempt_delay: MINIMUM_ATTEMPT_DELAY,
            maximum_attempt_delay: MAXIMUM_ATTEMPT_DELAY,
            delay_multiplier: 1.0,
            pace_by_round_trip: true,
            hurry_on_new_address: false,
            preferred_family: None,
            preferred_family_count: 1,
            policy: PolicyTable::rfc6724(),
            protocols: ProtocolOrder::Interleaved,
            ech: EchUse::Off,
            refuse_downgrade: true,
            optimistic_dns: true,
            // Two more than curl has, so that eight addresses with the recommended delay of 100 ms do not wait.
            parallel_attempts: 8,
            // TCP sends its first SYN again after one second: whoever is silent that long has most likely lost both.
            replace_after: Duration::from_secs(1),
            total_attempts: 64,
            names: 8,
            query_deadline: Some(Duration::from_secs(10)),
            attempt_deadline: Some(Duration::from_secs(20)),
            overall_deadline: Some(Duration::from_mins(1)),
            linger: LINGER,
        }
    }
}

impl Config {
    /// With another delay between attempts; the minimum and the maximum give way as far as they have to.
    #[must_use]
    pub fn with_attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay = delay.max(ATTEMPT_FLOOR);
        self.minimum_attempt_delay = self.minimum_attempt_delay.min(self.attempt_delay);
        self.maximum_attempt_delay = self.maximum_attempt_delay.max(self.attempt_delay);
        self
    }

    /// Whether the values fit together.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        if self.minimum_attempt_delay < ATTEMPT_FLOOR {
            return Err(ConfigError::BelowFloor(self.minimum_attempt_delay));
        }
        if !(self.minimum_attempt_delay..=self.maximum_attempt_delay).contains(&self.attempt_delay)
        {
            return Err(ConfigError::DelayOutsideBounds(self.attempt_delay));
        }
        if !self.delay_multiplier.is_finite() || self.delay_multiplier < 1.0 {
            return Err(ConfigError::Multiplier(self.delay_multiplier));
        }
        for (field, value) in [
            ("preferred_family_count", self.preferred_family_count),
            ("parallel_attempts", self.parallel_attempts),
            ("total_attempts", self.total_attempts),
            ("names", self.names),
        ] {
            if value == 0 {
                return Err(ConfigError::Zero { field });
            }
        }
        Ok(())
    }
}

/// Why a race cannot be run as asked.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// D3: the minimum delay is below [`ATTEMPT_FLOOR`].
    BelowFloor(Duration),
    /// The attempt delay is not between the minimum and the maximum.
    DelayOutsideBounds(Duration),
    /// The multiplier is below 1, or not a number.
    Multiplier(f64),
    /// A count is zero.
    Zero {
        /// The field of [`Config`].
        field: &'static str,
    },
    /// The target offers no protocol.
    NoProtocol,
    /// The name of the service records would be too long.
    ServiceName,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowFloor(delay) => write!(
                f,
                "a minimum attempt delay of {delay:?} is below {ATTEMPT_FLOOR:?}, which no race goes under"
            ),
            Self::DelayOutsideBounds(delay) => {
                write!(
                    f,
                    "an attempt delay of {delay:?} is not between the minimum and the maximum"
                )
            }
            Self::Multiplier(multiplier) => {
                write!(
                    f,
                    "a delay multiplier of {multiplier} is not a number of 1 or more"
                )
            }
            Self::Zero { field } => write!(f, "`{field}` is zero: nothing could ever start"),
            Self::NoProtocol => f.write_str("the target offers no protocol"),
            Self::ServiceName => f.write_str("the name of the service records is too long"),
        }
    }
}

impl core::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn b3_d2_d4_d5_defaults_are_those_of_the_draft() {
        let config = Config::default();
        assert_eq!(config.resolution_delay, millis(50));
        assert_eq!(config.attempt_delay, millis(250));
        assert_eq!(config.minimum_attempt_delay, millis(100));
        assert_eq!(config.maximum_attempt_delay, millis(2000));
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn d3_nothing_can_be_configured_below_the_floor() {
        let config = Config {
            minimum_attempt_delay: millis(9),
            ..Config::default()
        };
        assert_eq!(config.check(), Err(ConfigError::BelowFloor(millis(9))));
        let config = Config::default().with_attempt_delay(millis(1));
        assert_eq!(config.attempt_delay, ATTEMPT_FLOOR);
        assert_eq!(config.check(), Ok(()));
    }

    #[test]
    fn d4_d5_a_delay_outside_its_bounds_is_refused() {
        for delay in [millis(99), millis(2001)] {
            let config = Config {
                attempt_delay: delay,
                ..Config::default()
            };
            assert_eq!(config.check(), Err(ConfigError::DelayOutsideBounds(delay)));
            assert_eq!(Config::default().with_attempt_delay(delay).check(), Ok(()));
        }
    }

    #[test]
    fn d11_a_multiplier_must_be_a_number_of_one_or_more() {
        for multiplier in [0.5, f64::NAN, f64::INFINITY] {
            let config = Config {
                delay_multiplier: multiplier,
                ..Config::default()
            };
            assert!(
                matches!(config.check(), Err(ConfigError::Multiplier(_))),
                "{multiplier}"
            );
        }
    }

    #[test]
    fn counts_of_zero_are_refused_by_name() {
        let config = Config {
            parallel_attempts: 0,
            ..Config::default()
        };
        assert_eq!(
            config.check(),
            Err(ConfigError::Zero {
                field: "parallel_attempts"
            })
        );
    }
}
