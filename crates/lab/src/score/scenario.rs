//! The worlds of the sweep, as plain values: which addresses a name has, what becomes of packets to them, and when the
//! resolver answers what.
//!
//! Every scenario has addresses and names of its own, so that one lab holds all of them and no packet of one run can
//! be taken for one of another.

use crate::world::model::Family;
use serde::Serialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// One world of the sweep and how often it is visited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Also the label in its names: `late-aaaa-500`.
    pub id: String,
    /// What it is for.
    pub kind: Kind,
    /// What is the matter in it, as a sentence without its full stop.
    pub about: String,
    /// The addresses of the name, as the DNS lists them.
    pub addresses: Vec<(IpAddr, Fate)>,
    /// How AAAA is answered.
    pub aaaa: Reply,
    /// How A is answered.
    pub a: Reply,
    /// Whether there is an HTTPS record with hints of all addresses.
    pub hints: bool,
    /// Which client it is visited by.
    pub host: ClientHost,
    /// How often.
    pub runs: usize,
    /// When a run is ended.
    pub limit: Duration,
}

/// What a scenario is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Everything works.
    Healthy,
    /// One address of each family; packets to that of IPv6 vanish.
    DroppedIpv6,
    /// Both addresses work; the AAAA comes late.
    LateAaaa,
    /// Both addresses work; the A comes late.
    LateA,
    /// Both addresses work; the AAAA never comes.
    LostAaaa,
    /// Both addresses work; the A never comes.
    LostA,
    /// The name has no AAAA, and the resolver says so at once.
    NoAaaa,
    /// Two addresses of one family, the first of them dead.
    DeadFirst,
    /// Four addresses of each family; only the last one works.
    SevenDead,
    /// Ten dead addresses of each family.
    AllDead,
    /// The IPv6 address refuses at once, the IPv4 address works.
    Refused,
    /// Four addresses of each family, all of which refuse at once.
    AllRefused,
    /// The IPv6 address answers after [`SLOW`], the IPv4 address never.
    Slow,
    /// Over IPv6 the connection opens and then nothing is said; IPv4 works.
    Silent,
    /// An HTTPS record with hints comes at once, A and AAAA late.
    Hints,
    /// The DNS lists a 6to4 address before a native one, and both before IPv4.
    Unsorted,
    /// Four dead IPv6 addresses at once, and a working IPv4 address that the DNS tells of later.
    LateAInRace,
    /// An address instead of a name.
    Literal,
    /// A client without IPv6.
    OnlyIpv4,
    /// A client without IPv4.
    OnlyIpv6,
}

/// What becomes of packets to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// They are answered.
    Works,
    /// They vanish.
    Dead,
    /// They are answered with a reset, within a millisecond.
    Refuses,
    /// They are answered after [`SLOW`].
    Slow,
    /// The handshake of TCP is answered, and nothing after it.
    Silent,
}

/// How the resolver answers one type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// How much later than usual.
    pub delay: Duration,
    /// Whether at all.
    pub lost: bool,
}

impl Reply {
    const AT_ONCE: Self = Self {
        delay: Duration::ZERO,
        lost: false,
    };
    const NEVER: Self = Self {
        delay: Duration::ZERO,
        lost: true,
    };

    const fn after(delay: Duration) -> Self {
        Self { delay, lost: false }
    }
}

/// The kinds of client hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientHost {
    /// With both families.
    Dual,
    /// With one of them.
    Only(Family),
}

/// What a sweep is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Only the essential worlds.
    pub quick: bool,
    /// When a run is ended.
    pub limit: Duration,
    /// The port of the service; TLS is spoken on [`TLS_PORT`].
    pub port: u16,
}

/// The port with TLS and QUIC.
pub const TLS_PORT: u16 = 443;

/// How long the slow address takes, there and back.
pub const SLOW: Duration = Duration::from_millis(600);

/// Twenty attempts 250 ms apart take 5 s, and the kernel's repetitions, one second apart, show which of them live.
const ALL_DEAD_LIMIT: Duration = Duration::from_secs(8);

/// Scenarios number their addresses from 1 on; this many fit.
pub(super) const MOST_SCENARIOS: usize = 99;

impl Plan {
    /// The scenarios in the order in which they are run: those that measure milliseconds first.
    pub fn scenarios(&self) -> Vec<Scenario> {
        let millis = Duration::from_millis;
        let mut plan = Builder {
            limit: self.limit,
            scenarios: Vec::new(),
        };
        let runs = |full, quick| if self.quick { quick } else { full };
        plan.add(Kind::Healthy, "healthy", "both families work", runs(3, 1))
            .works();
        plan.add(
            Kind::DroppedIpv6,
            "dropped-v6",
            "packets to the IPv6 address vanish",
            runs(5, 3),
        )
        .has(Family::V6, &[Fate::Dead])
        .has(Family::V4, &[Fate::Works]);
        plan.add(
            Kind::Refused,
            "refused-v6",
            "the IPv6 address refuses at once",
            runs(3, 1),
        )
        .has(Family::V6, &[Fate::Refuses])
        .has(Family::V4, &[Fate::Works]);
        plan.add(
            Kind::AllRefused,
            "all-refused",
            "four addresses of each family, all of which refuse at once",
            runs(2, 1),
        )
        .has(Family::V6, &[Fate::Refuses; 4])
        .has(Family::V4, &[Fate::Refuses; 4]);
        for delay in runs_of(
            self.quick,
            &[25, 50, 75, 100, 150, 200, 300, 500, 1000, 2000],
            &[100, 500, 2000],
        ) {
            plan.add(
                Kind::LateAaaa,
                &format!("late-aaaa-{delay}"),
                &format!("the AAAA comes {delay} ms after the A"),
                1,
            )
            .works()
            .aaaa(Reply::after(millis(*delay)));
        }
        for delay in runs_of(self.quick, &[50, 100, 300, 1000, 2000], &[1000]) {
            plan.add(
                Kind::LateA,
                &format!("late-a-{delay}"),
                &format!("the A comes {delay} ms after the AAAA"),
                1,
            )
            .works()
            .a(Reply::after(millis(*delay)));
        }
        plan.add(
            Kind::AllDead,
            "all-dead",
            "ten addresses of each family, all dead",
            1,
        )
        .has(Family::V6, &[Fate::Dead; 10])
        .has(Family::V4, &[Fate::Dead; 10])
        .limit(ALL_DEAD_LIMIT.max(self.limit));
        if self.port == TLS_PORT {
            plan.add(
                Kind::Silent,
                "silent-v6",
                "over IPv6 the connection opens, and TLS is never answered",
                1,
            )
            .has(Family::V6, &[Fate::Silent])
            .has(Family::V4, &[Fate::Works]);
        }
        if !self.quick {
            plan.thorough();
        }
        plan.scenarios
    }
}

fn runs_of<'a>(quick: bool, full: &'a [u64], essential: &'a [u64]) -> &'a [u64] {
    if quick { essential } else { full }
}

struct Builder {
    limit: Duration,
    scenarios: Vec<Scenario>,
}

/// The scenario that is being described.
struct Draft<'a> {
    /// The last of these.
    scenarios: &'a mut [Scenario],
    number: u8,
}

impl Builder {
    fn add(&mut self, kind: Kind, id: &str, about: &str, runs: usize) -> Draft<'_> {
        let number = u8::try_from(self.scenarios.len() + 1).unwrap_or(u8::MAX);
        debug_assert!(usize::from(number) <= MOST_SCENARIOS, "addresses run out");
        self.scenarios.push(Scenario {
            id: id.to_owned(),
            kind,
            about: about.to_owned(),
            addresses: Vec::new(),
            aaaa: Reply::AT_ONCE,
            a: Reply::AT_ONCE,
            hints: false,
            host: ClientHost::Dual,
            runs,
            limit: self.limit,
        });
        Draft {
            scenarios: &mut self.scenarios,
            number,
        }
    }

    /// What the essential worlds leave out.
    fn thorough(&mut self) {
        use Fate::{Dead, Slow, Works};
        self.add(
            Kind::LostAaaa,
            "lost-aaaa",
            "the AAAA question is never answered, the A at once",
            1,
        )
        .works()
        .aaaa(Reply::NEVER);
        self.add(
            Kind::LostA,
            "lost-a",
            "the A question is never answered, the AAAA at once",
            1,
        )
        .works()
        .a(Reply::NEVER);
        self.add(Kind::NoAaaa, "no-aaaa", "the name has no AAAA", 2)
            .has(Family::V4, &[Works]);
        self.add(
            Kind::DeadFirst,
            "dead-first-v6",
            "two IPv6 addresses, the first of them dead; no IPv4",
            1,
        )
        .has(Family::V6, &[Dead, Works]);
        self.add(
            Kind::DeadFirst,
            "dead-first-v4",
            "two IPv4 addresses, the first of them dead; no IPv6",
            1,
        )
        .has(Family::V4, &[Dead, Works]);
        self.add(
            Kind::SevenDead,
            "seven-dead",
            "four addresses of each family; only the last IPv4 address works",
            1,
        )
        .has(Family::V6, &[Dead; 4])
        .has(Family::V4, &[Dead, Dead, Dead, Works]);
        self.add(
            Kind::Slow,
            "slow-v6",
            "the IPv6 address answers after 600 ms, the IPv4 address never",
            1,
        )
        .has(Family::V6, &[Slow])
        .has(Family::V4, &[Dead]);
        self.add(
            Kind::Hints,
            "hints",
            "the HTTPS record with address hints comes at once, A and AAAA one second later",
            1,
        )
        .works()
        .hints()
        .aaaa(Reply::after(Duration::from_secs(1)))
        .a(Reply::after(Duration::from_secs(1)));
        let six_to_four = Ipv6Addr::new(0x2002, 0xc612, 0x0fff, 0, 0, 0, 0, 1);
        self.add(
            Kind::Unsorted,
            "unsorted",
            "the DNS lists a 6to4 address before a native one; all are dead",
            1,
        )
        .is(six_to_four.into(), Dead)
        .has(Family::V6, &[Dead])
        .has(Family::V4, &[Dead]);
        self.add(
            Kind::LateAInRace,
            "late-a-in-race",
            "four dead IPv6 addresses at once, a working IPv4 address 600 ms later",
            1,
        )
        .has(Family::V6, &[Dead; 4])
        .has(Family::V4, &[Works])
        .a(Reply::after(Duration::from_millis(600)));
        self.add(
            Kind::Literal,
            "literal",
            "an IPv4 address instead of a name",
            1,
        )
        .has(Family::V4, &[Works]);
        self.add(
            Kind::OnlyIpv4,
            "client-without-v6",
            "the client has no IPv6",
            1,
        )
        .works()
        .on(ClientHost::Only(Family::V4));
        self.add(
            Kind::OnlyIpv6,
            "client-without-v4",
            "the client has no IPv4",
            1,
        )
        .works()
        .on(ClientHost::Only(Family::V6));
    }
}

impl Draft<'_> {
    fn with(self, change: impl FnOnce(&mut Scenario)) -> Self {
        if let Some(scenario) = self.scenarios.last_mut() {
            change(scenario);
        }
        self
    }

    fn is(self, address: IpAddr, fate: Fate) -> Self {
        self.with(|scenario| scenario.addresses.push((address, fate)))
    }

    /// Addresses of one family with these fates.
    fn has(self, family: Family, fates: &[Fate]) -> Self {
        let number = self.number;
        self.with(|scenario| {
            for fate in fates {
                let place = u8::try_from(scenario.addresses.len() + 1).unwrap_or(u8::MAX);
                let address = address(family, *fate, number, place);
                scenario.addresses.push((address, *fate));
            }
        })
    }

    /// One working address of each family.
    fn works(self) -> Self {
        self.has(Family::V6, &[Fate::Works])
            .has(Family::V4, &[Fate::Works])
    }

    fn aaaa(self, reply: Reply) -> Self {
        self.with(|scenario| scenario.aaaa = reply)
    }

    fn a(self, reply: Reply) -> Self {
        self.with(|scenario| scenario.a = reply)
    }

    fn hints(self) -> Self {
        self.with(|scenario| scenario.hints = true)
    }

    fn on(self, host: ClientHost) -> Self {
        self.with(|scenario| scenario.host = host)
    }

    fn limit(self, limit: Duration) -> Self {
        self.with(|scenario| scenario.limit = limit)
    }
}

/// All IPv6 addresses are inside 2e00:e::/32, all IPv4 addresses inside 198.18.0.0/15, and those of one fate share a
/// prefix. Seen from the clients, all of one family have equally long common prefixes (RFC 6724 rule 9), so that their
/// order is the one of the DNS.
fn address(family: Family, fate: Fate, scenario: u8, place: u8) -> IpAddr {
    match family {
        Family::V6 => {
            let group = match fate {
                Fate::Works => 1,
                Fate::Slow => 2,
                Fate::Silent => 3,
                Fate::Dead => DEAD_GROUP,
                Fate::Refuses => REFUSING_GROUP,
            };
            Ipv6Addr::new(
                0x2e00,
                0xe,
                group,
                scenario.into(),
                0,
                0,
                0,
                u16::from(place),
            )
            .into()
        }
        Family::V4 => {
            let (second, third, fourth) = match fate {
                Fate::Works => (18, scenario, place),
                Fate::Slow => (18, scenario, 64 | place),
                Fate::Silent => (18, scenario, 128 | place),
                Fate::Dead => (19, scenario, place),
                Fate::Refuses => (19, 128 | scenario, place),
            };
            Ipv4Addr::new(198, second, third, fourth).into()
        }
    }
}

const DEAD_GROUP: u16 = 0xdead;
const REFUSING_GROUP: u16 = 0xbad;

/// Everything inside is dead, 6to4 included.
pub(super) const DEAD: [&str; 3] = ["2e00:e:dead::/48", "198.19.0.0/17", "2002::/16"];
/// Everything inside refuses.
pub(super) const REFUSING: [&str; 2] = ["2e00:e:bad::/48", "198.19.128.0/17"];

impl Scenario {
    /// The name that a run asks for; no two runs share one, so that no cache knows it.
    pub fn name(&self, nonce: &str) -> String {
        format!("{nonce}.{}.{ZONE}", self.id)
    }

    /// What takes the place of `{host}` in a run.
    pub fn target(&self, nonce: &str) -> String {
        match (self.kind, self.addresses.first()) {
            (Kind::Literal, Some((address, _))) => address.to_string(),
            _ => self.name(nonce),
        }
    }

    /// Its addresses of one family, as the DNS lists them.
    pub fn of(&self, family: Family) -> impl Iterator<Item = IpAddr> {
        self.addresses
            .iter()
            .map(|(address, _)| *address)
            .filter(move |address| Family::of(*address) == family)
    }

    /// What becomes of packets to one of its addresses.
    pub fn fate(&self, address: IpAddr) -> Option<Fate> {
        let (_, fate) = self.addresses.iter().find(|(known, _)| *known == address)?;
        Some(*fate)
    }
}

/// The zone of the names, without the final dot.
pub(super) const ZONE: &str = "lab.test";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn plan(quick: bool, port: u16) -> Vec<Scenario> {
        Plan {
            quick,
            limit: Duration::from_secs(5),
            port,
        }
        .scenarios()
    }

    #[test]
    fn no_two_scenarios_share_a_name_or_an_address() {
        let scenarios = plan(false, TLS_PORT);
        let mut ids = BTreeSet::new();
        let mut addresses = BTreeSet::new();
        for scenario in &scenarios {
            assert!(ids.insert(&scenario.id), "{}", scenario.id);
            for (address, _) in &scenario.addresses {
                assert!(addresses.insert(address), "{address}");
            }
        }
        assert!(scenarios.len() <= MOST_SCENARIOS);
    }

    #[test]
    fn the_quick_sweep_is_part_of_the_whole_one() {
        let whole: Vec<String> = plan(false, TLS_PORT).into_iter().map(|it| it.id).collect();
        for quick in plan(true, TLS_PORT) {
            assert!(whole.contains(&quick.id), "{}", quick.id);
        }
    }

    #[test]
    fn silence_of_tls_is_only_tried_where_tls_is_spoken() {
        let silent = |port| {
            plan(false, port)
                .iter()
                .any(|scenario| scenario.kind == Kind::Silent)
        };
        assert!(silent(TLS_PORT) && !silent(80));
    }

    #[test]
    fn a_literal_is_an_address_and_everything_else_a_fresh_name() {
        for scenario in plan(false, 80) {
            let is_address = scenario.target("x").parse::<IpAddr>().is_ok();
            assert_eq!(
                is_address,
                scenario.kind == Kind::Literal,
                "{}",
                scenario.id
            );
            assert_ne!(scenario.name("one"), scenario.name("two"));
        }
    }
}
