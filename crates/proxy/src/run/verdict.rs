//! What to do with a `connect` that was handed over: the whole policy, as one pure function of what is known.

use super::memory::{Destination, Memory};
use super::names::Company;
use std::net::IpAddr;
use std::time::Duration;

/// How a destination may be used.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    /// How long an attempt may stay unanswered when there is something to fall back to.
    pub(crate) give_up: Duration,
    /// The names of the program's look-ups are known; without, every destination is taken to have alternatives.
    pub(crate) sees_names: bool,
    /// Prefixes that are watched besides IPv6: address and length.
    pub(crate) also: Vec<Prefix>,
}

/// `192.0.2.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not ours: the call goes through untouched.
    LetGo(LetGo),
    /// Known to be silent or slow, with something to fall back to: fails at once.
    Refuse,
    /// Is tried for this long.
    Watch(Duration),
}

/// Why a call goes through untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LetGo {
    /// Not an address that we watch.
    NotWatched,
    /// There is nothing to fall back to: waiting is all that the program can do.
    NothingElse,
}

/// An attempt whose alternatives are not known gets at least this long: one lost SYN (sent again after 1 s) must not
/// break a program that has nothing else.
pub(crate) const UNKNOWN_COMPANY: Duration = Duration::from_millis(1300);

impl Policy {
    /// Whether attempts to this address are our business.
    pub(crate) fn watches(&self, address: IpAddr) -> bool {
        if address.is_loopback() || address.is_unspecified() || address.is_multicast() {
            return false;
        }
        match address {
            // The same link-local address may be somebody else on every interface.
            IpAddr::V6(v6) if v6.is_unicast_link_local() => false,
            // Mapped addresses are IPv4 in the clothes of IPv6.
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_none() => true,
            _ => {
                let address = address.to_canonical();
                self.also.iter().any(|prefix| prefix.contains(address))
            }
        }
    }

    /// What to do with an attempt.
    pub(crate) fn verdict(
        &self,
        destination: Destination,
        company: &Company,
        memory: &mut Memory,
        now: Duration,
    ) -> Verdict {
        let address = destination.address.ip().to_canonical();
        if !self.watches(address) {
            return Verdict::LetGo(LetGo::NotWatched);
        }
        let mut usual = self.give_up;
        let mut is_better = false;
        match company {
            Company::Known(others) => {
                let beside = others.iter().map(|other| Destination {
                    address: (*other, destination.address.port()).into(),
                    ..destination
                });
                let beside: Vec<Destination> = beside.collect();
                if beside.iter().all(|other| memory.looks_silent(*other)) {
                    return Verdict::LetGo(LetGo::NothingElse);
                }
                is_better = beside.iter().any(|other| memory.looks_alive(*other));
            }
            Company::Unknown if self.sees_names => usual = usual.max(UNKNOWN_COMPANY),
            Company::Unknown => {}
        }
        if !memory.is_silent(destination, now) {
            return Verdict::Watch(usual);
        }
        match memory.patience(destination) {
            // Slow and alive, and nothing else is known to be better.
            Some(patience) if !is_better => Verdict::Watch(usual.max(patience)),
            _ => Verdict::Refuse,
        }
    }
}

impl Prefix {
    /// A prefix; `None` if the length is more than the address has bits.
    pub const fn new(address: IpAddr, length: u8) -> Option<Self> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        if length > bits {
            return None;
        }
        Some(Self { address, length })
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let differs = match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                let mask = u32::MAX
                    .checked_shl(32 - u32::from(self.length))
                    .unwrap_or(0);
                (ours.to_bits() ^ theirs.to_bits()) & mask != 0
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.length))
                    .unwrap_or(0);
                (ours.to_bits() ^ theirs.to_bits()) & mask != 0
            }
            _ => true,
        };
        !differs
    }
}

/// What is wrong with a text that should be a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPrefix {
    /// No address before the slash.
    #[error("not an address or a prefix such as `192.0.2.0/24`")]
    Address,
    /// No number behind it, or more than the address has bits.
    #[error("the length behind `/` is not from 0 to 32 for IPv4 or 128 for IPv6")]
    Length,
}

/// `192.0.2.0/24`, or an address alone.
impl std::str::FromStr for Prefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadPrefix::Address)?;
        let length = match length {
            Some(length) => length.parse().map_err(|_| BadPrefix::Length)?,
            None if address.is_ipv4() => 32,
            None => 128,
        };
        Self::new(address, length).ok_or(BadPrefix::Length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVE_UP: Duration = Duration::from_millis(250);
    const NOW: Duration = Duration::from_secs(7);

    fn policy() -> Policy {
        Policy {
            give_up: GIVE_UP,
            sees_names: true,
            also: Vec::new(),
        }
    }

    fn to(address: &str) -> Destination {
        Destination {
            network: 1,
            address: (address.parse::<IpAddr>().unwrap(), 80).into(),
        }
    }

    fn with(addresses: &[&str]) -> Company {
        Company::Known(addresses.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn verdict(destination: &str, company: &Company, memory: &mut Memory) -> Verdict {
        policy().verdict(to(destination), company, memory, NOW)
    }

    #[test]
    fn ipv6_is_given_up_when_there_is_something_else() {
        let memory = &mut Memory::new(GIVE_UP);
        let company = with(&["192.0.2.1"]);
        assert_eq!(
            verdict("2001:db8::1", &company, memory),
            Verdict::Watch(GIVE_UP)
        );
        let company = with(&["2001:db8::2"]);
        assert_eq!(
            verdict("2001:db8::1", &company, memory),
            Verdict::Watch(GIVE_UP),
            "another IPv6 address is something else"
        );
    }

    #[test]
    fn the_only_address_is_left_alone_even_if_it_is_silent() {
        let memory = &mut Memory::new(GIVE_UP);
        let nothing_else = Verdict::LetGo(LetGo::NothingElse);
        assert_eq!(verdict("2001:db8::1", &with(&[]), memory), nothing_else);
        memory.gave_up(to("2001:db8::1"), true, NOW);
        assert_eq!(verdict("2001:db8::1", &with(&[]), memory), nothing_else);
    }

    #[test]
    fn the_last_of_several_ipv6_addresses_is_left_alone() {
        let memory = &mut Memory::new(GIVE_UP);
        memory.gave_up(to("2001:db8::1"), true, NOW);
        assert_eq!(
            verdict("2001:db8::2", &with(&["2001:db8::1"]), memory),
            Verdict::LetGo(LetGo::NothingElse)
        );
        assert_eq!(
            verdict("2001:db8::1", &with(&["2001:db8::2"]), memory),
            Verdict::Refuse
        );
    }

    #[test]
    fn a_silent_one_is_refused_at_once() {
        let memory = &mut Memory::new(GIVE_UP);
        memory.gave_up(to("2001:db8::1"), true, NOW);
        assert_eq!(
            verdict("2001:db8::1", &with(&["192.0.2.1"]), memory),
            Verdict::Refuse
        );
        assert_eq!(
            verdict("2001:db8::1", &Company::Unknown, memory),
            Verdict::Refuse
        );
    }

    #[test]
    fn a_slow_one_gets_time_unless_another_is_known_to_be_better() {
        let memory = &mut Memory::new(GIVE_UP);
        let company = with(&["192.0.2.1"]);
        memory.answered(to("2001:db8::1"), Duration::from_millis(400), NOW);
        let patient = Verdict::Watch(Duration::from_millis(1200));
        assert_eq!(verdict("2001:db8::1", &company, memory), patient);
        assert_eq!(
            verdict("2001:db8::1", &Company::Unknown, memory),
            Verdict::Watch(UNKNOWN_COMPANY),
        );
        memory.answered(to("192.0.2.1"), Duration::from_millis(20), NOW);
        assert_eq!(verdict("2001:db8::1", &company, memory), Verdict::Refuse);
    }

    #[test]
    fn a_literal_survives_one_lost_syn() {
        let memory = &mut Memory::new(GIVE_UP);
        assert_eq!(
            verdict("2001:db8::1", &Company::Unknown, memory),
            Verdict::Watch(UNKNOWN_COMPANY)
        );
        let blind = Policy {
            sees_names: false,
            ..policy()
        };
        assert_eq!(
            blind.verdict(to("2001:db8::1"), &Company::Unknown, memory, NOW),
            Verdict::Watch(GIVE_UP),
            "whoever turned the look-ups off asked for this"
        );
    }

    #[test]
    fn ipv4_and_local_addresses_are_not_watched_unless_listed() {
        let memory = &mut Memory::new(GIVE_UP);
        let company = with(&["2001:db8::1"]);
        for address in [
            "192.0.2.1",
            "::ffff:192.0.2.1",
            "::1",
            "127.0.0.1",
            "::",
            "ff02::1",
            "fe80::1",
        ] {
            assert_eq!(
                verdict(address, &company, memory),
                Verdict::LetGo(LetGo::NotWatched),
                "{address}"
            );
        }
        let listed = Policy {
            also: vec!["192.0.2.0/24".parse().unwrap()],
            ..policy()
        };
        for address in ["192.0.2.1", "::ffff:192.0.2.1"] {
            assert!(matches!(
                listed.verdict(to(address), &company, memory, NOW),
                Verdict::Watch(_)
            ));
        }
        assert!(!listed.watches("198.51.100.1".parse().unwrap()));
    }

    #[test]
    fn prefixes_are_read_and_refused() {
        let contains = |prefix: &str, address: &str| {
            let prefix: Prefix = prefix.parse().unwrap();
            prefix.contains(address.parse().unwrap())
        };
        assert!(contains("0.0.0.0/0", "203.0.113.9") && contains("192.0.2.7", "192.0.2.7"));
        assert!(!contains("192.0.2.7", "192.0.2.8") && !contains("0.0.0.0/0", "2001:db8::1"));
        assert!(contains("::/0", "2001:db8::1"));
        assert_eq!("192.0.2.0/33".parse::<Prefix>(), Err(BadPrefix::Length));
        assert_eq!("x/3".parse::<Prefix>(), Err(BadPrefix::Address));
        assert_eq!("::/x".parse::<Prefix>(), Err(BadPrefix::Length));
    }
}
