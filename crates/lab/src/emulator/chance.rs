//! Seeded chance: SplitMix64 (Steele, Lea, Flood 2014), one stream for each direction of a line and family.
//!
//! Not for secrets. A stream of its own for each direction keeps the losses of one line the same whatever another does.

use std::time::Duration;

/// A stream of numbers that look random and are always the same.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// The stream number `stream` of a seed.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut chance = Self(seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93));
        // The first output separates streams whose states differ in few bits.
        Self(chance.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// True in this share of calls. A share of 0 draws nothing.
    pub(crate) fn happens(&mut self, share: f64) -> bool {
        if share <= 0.0 {
            return false;
        }
        // The top 32 bits are exact in f64, and finer shares than 2^-32 mean nothing here.
        let draw = f64::from(u32::try_from(self.next() >> 32).unwrap_or(u32::MAX));
        draw < share * 4_294_967_296.0
    }

    /// Uniform from zero to `most`. A `most` of zero draws nothing.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        if most.is_zero() {
            return Duration::ZERO;
        }
        let scaled = (u128::from(self.next()) * (most.as_nanos() + 1)) >> 64;
        Duration::from_nanos(u64::try_from(scaled).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_stream_give_the_same_draws_and_others_do_not() {
        let draws = |seed, stream| {
            let mut chance = Chance::new(seed, stream);
            (0..64).map(|_| chance.happens(0.5)).collect::<Vec<_>>()
        };
        assert_eq!(draws(1, 2), draws(1, 2));
        assert_ne!(draws(1, 2), draws(1, 3));
        assert_ne!(draws(1, 2), draws(2, 2));
    }

    #[test]
    fn shares_are_kept() {
        let mut chance = Chance::new(7, 0);
        let hits = (0..100_000).filter(|_| chance.happens(0.05)).count();
        assert!((4_700..5_300).contains(&hits), "{hits}");
        assert!(!(0..1000).any(|_| chance.happens(0.0)));
        assert!((0..1000).all(|_| chance.happens(1.0)));
    }

    #[test]
    fn jitter_fills_its_range() {
        let mut chance = Chance::new(7, 0);
        let most = Duration::from_millis(10);
        let draws: Vec<_> = (0..10_000).map(|_| chance.up_to(most)).collect();
        assert!(draws.iter().all(|draw| *draw <= most));
        let sum: Duration = draws.iter().sum();
        let mean = sum / 10_000;
        assert!(
            mean.abs_diff(most / 2) < Duration::from_micros(200),
            "{mean:?}"
        );
        assert_eq!(chance.up_to(Duration::ZERO), Duration::ZERO);
    }
}
