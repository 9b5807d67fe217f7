//! The facts of one host, and what follows from the end of a dial.

use super::recollection::{Era, Known, Last, Recollection};
use super::{Boundary, Ending, Outcome, RoundTrip, Settings};
use crate::chance::mix;
use crate::network::Family;
use crate::rfc6724::{Memory, mapped};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct Host {
    context: u64,
    port: u16,
    name: Box<str>,
    born: Instant,
    /// Learned of longest ago first.
    paths: Vec<Path>,
}

/// One address of a host.
#[derive(Clone, Copy, Debug)]
struct Path {
    address: IpAddr,
    round_trip: Option<RoundTrip>,
    used: bool,
    last: Last,
    silent: Option<Silent>,
}

#[derive(Clone, Copy, Debug)]
struct Silent {
    /// How often in a row.
    times: u32,
    probe_at: Instant,
}

/// The dice of one host: the same for the same host, seed and face, whatever was rolled in between.
#[derive(Clone, Copy)]
pub(super) struct Chance<'a> {
    pub(super) seed: u64,
    pub(super) inside: Boundary,
    pub(super) host: &'a str,
    pub(super) port: u16,
}

impl Chance<'_> {
    /// Between `least` and twice that.
    fn spread(&self, least: Duration, address: IpAddr, now: Instant) -> Duration {
        let mut state = mix(self.seed ^ self.inside.partition);
        state = mix(state ^ self.inside.context);
        state = mix(state ^ u64::from(self.port));
        for byte in self.host.bytes() {
            state = mix(state ^ u64::from(byte.to_ascii_lowercase()));
        }
        let bits = mapped(address).to_bits();
        #[expect(clippy::cast_possible_truncation, reason = "both halves are mixed in")]
        for half in [(bits >> 64) as u64, bits as u64, now.as_nanos()] {
            state = mix(state ^ half);
        }
        let share = u32::try_from(state >> 40).unwrap_or(0);
        least.saturating_add(least / (1 << 24) * share)
    }
}

impl Host {
    pub(super) fn new(context: u64, name: &str, port: u16, now: Instant) -> Self {
        Self {
            context,
            port,
            name: name.into(),
            born: now,
            paths: Vec::new(),
        }
    }

    pub(super) const fn era(&self) -> Era {
        Era(Some(self.born))
    }

    pub(super) const fn is_of(&self, context: u64) -> bool {
        self.context == context
    }

    pub(super) fn is(&self, context: u64, name: &str, port: u16) -> bool {
        self.context == context && self.port == port && self.name.eq_ignore_ascii_case(name)
    }

    pub(super) fn expired(&self, now: Instant, lifetime: Duration) -> bool {
        now.since(self.born) >= lifetime
    }

    pub(super) fn recall(
        &mut self,
        settings: &Settings,
        chance: Chance<'_>,
        now: Instant,
    ) -> Recollection {
        let mut probed = None;
        for path in &mut self.paths {
            let Some(silent) = &mut path.silent else {
                continue;
            };
            if probed.is_none() && now >= silent.probe_at {
                // This dial finds out. If it does not (cancelled, say), a later one does.
                silent.probe_at = next_probe(silent.times, settings, chance, path.address, now);
                probed = Some(path.address);
            }
        }
        let known = self.paths.iter().map(|path| Known {
            address: path.address,
            memory: Memory {
                silent: path.silent.is_some() && probed != Some(path.address),
                // A probe ignores what speaks for the others, or the path under suspicion would not come first.
                round_trip: match probed {
                    Some(_) => None,
                    None => path.round_trip.map(|time| time.smoothed()),
                },
                used: path.used && probed.is_none(),
            },
            round_trip: path.round_trip,
            last: path.last,
        });
        let silent_family = match probed {
            Some(_) => None,
            None => self.silent_family(),
        };
        Recollection::new(self.era(), known.collect(), probed, silent_family)
    }

    /// The family of which every address that was tried went silent, while the other family connects.
    fn silent_family(&self) -> Option<Family> {
        [Family::V6, Family::V4].into_iter().find(|&family| {
            let mut of_it = self
                .paths
                .iter()
                .filter(|path| Family::of(path.address) == family);
            let mut of_other = self
                .paths
                .iter()
                .filter(|path| Family::of(path.address) != family);
            of_it.clone().next().is_some()
                && of_it.all(|path| path.silent.is_some())
                && of_other.any(|path| path.used && path.silent.is_none())
        })
    }

    pub(super) fn learn(
        &mut self,
        endings: &[Ending],
        settings: &Settings,
        chance: Chance<'_>,
        now: Instant,
    ) {
        let winner = endings.iter().find_map(|ending| match ending.outcome {
            Outcome::Connected { round_trip } => Some(round_trip.unwrap_or_default()),
            _ => None,
        });
        // Long enough to have heard from a path as quick as the winner's, its first packet lost once or not.
        let enough = winner.map(|time| settings.silence.max(time.saturating_mul(2)));
        for ending in endings {
            // QUIC may be silent where TCP is not: then UDP is blocked, and the path is fine.
            let answered = |other: &Ending| {
                other.address == ending.address
                    && matches!(other.outcome, Outcome::Connected { .. } | Outcome::Failed)
            };
            if matches!(ending.outcome, Outcome::Silent { .. }) && endings.iter().any(answered) {
                continue;
            }
            let Some(path) = self.path(ending.address, settings.addresses, now) else {
                return;
            };
            path.last = Last {
                at: now,
                outcome: ending.outcome,
            };
            match ending.outcome {
                Outcome::Connected { round_trip } => {
                    path.used = true;
                    path.silent = None;
                    path.round_trip = match (path.round_trip, round_trip) {
                        (Some(known), Some(measured)) => Some(known.with(measured)),
                        (None, Some(measured)) => Some(RoundTrip::new(measured)),
                        (known, None) => known,
                    };
                }
                Outcome::Failed => path.silent = None,
                Outcome::Silent { waited } if enough.is_some_and(|enough| waited >= enough) => {
                    path.go_silent(settings, chance, now);
                }
                Outcome::Silent { .. } => {}
                Outcome::Stalled => path.go_silent(settings, chance, now),
            }
        }
    }

    /// The path to `address`, made if need be; `None` when no path is kept at all.
    fn path(&mut self, address: IpAddr, most: usize, now: Instant) -> Option<&mut Path> {
        if let Some(place) = self.paths.iter().position(|path| path.address == address) {
            self.paths.get_mut(place..)?.rotate_left(1);
        } else {
            if most == 0 {
                return None;
            }
            if self.paths.len() >= most {
                self.paths.remove(0);
            }
            self.paths.push(Path {
                address,
                round_trip: None,
                used: false,
                last: Last {
                    at: now,
                    outcome: Outcome::Failed,
                },
                silent: None,
            });
        }
        self.paths.last_mut()
    }
}

impl Path {
    fn go_silent(&mut self, settings: &Settings, chance: Chance<'_>, now: Instant) {
        let times = self
            .silent
            .map_or(0, |silent| silent.times)
            .saturating_add(1);
        self.round_trip = None;
        self.silent = Some(Silent {
            times,
            probe_at: next_probe(times, settings, chance, self.address, now),
        });
    }
}

/// When a path that went silent `times` times in a row is tried again.
fn next_probe(
    times: u32,
    settings: &Settings,
    chance: Chance<'_>,
    address: IpAddr,
    now: Instant,
) -> Instant {
    let doubled = 1_u32
        .checked_shl(times.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let least = settings
        .probe_after
        .saturating_mul(doubled)
        .min(settings.lifetime);
    now + chance.spread(least, address, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chance() -> Chance<'static> {
        let inside = Boundary {
            partition: 0x1234_5678,
            context: 0x9abc,
        };
        Chance {
            seed: 0xfeed,
            inside,
            host: "www.example",
            port: 443,
        }
    }

    fn spread(chance: Chance<'_>, address: &str, millis: u64) -> Duration {
        let now = Instant::from_millis(millis);
        chance.spread(Duration::from_mins(1), address.parse().unwrap(), now)
    }

    #[test]
    fn c10_dice_are_the_same_on_every_machine() {
        // Figures of this implementation: recorded races have to replay.
        assert_eq!(
            spread(chance(), "2001:db8::1", 5),
            Duration::from_nanos(84_415_869_504)
        );
        assert_eq!(
            spread(chance(), "192.0.2.1", 5),
            Duration::from_nanos(90_878_999_592)
        );
    }

    #[test]
    fn c10_dice_depend_on_everything_that_they_are_for() {
        let rolls = [
            spread(chance(), "2001:db8::1", 5),
            spread(chance(), "2001:db8::2", 5),
            spread(chance(), "2001:db9::1", 5),
            spread(chance(), "2001:db8::1", 6),
            spread(
                Chance {
                    seed: 1,
                    ..chance()
                },
                "2001:db8::1",
                5,
            ),
            spread(
                Chance {
                    port: 80,
                    ..chance()
                },
                "2001:db8::1",
                5,
            ),
            spread(
                Chance {
                    host: "www.example.net",
                    ..chance()
                },
                "2001:db8::1",
                5,
            ),
            spread(
                Chance {
                    inside: Boundary {
                        partition: 1,
                        context: 0x9abc,
                    },
                    ..chance()
                },
                "2001:db8::1",
                5,
            ),
            spread(
                Chance {
                    inside: Boundary {
                        partition: 0x1234_5678,
                        context: 1,
                    },
                    ..chance()
                },
                "2001:db8::1",
                5,
            ),
        ];
        for (index, roll) in rolls.iter().enumerate() {
            assert!(!rolls[..index].contains(roll), "{rolls:?}");
            assert!((Duration::from_mins(1)..Duration::from_mins(2)).contains(roll));
        }
        let shouted = Chance {
            host: "WWW.example",
            ..chance()
        };
        assert_eq!(spread(shouted, "2001:db8::1", 5), rolls[0]);
    }
}
