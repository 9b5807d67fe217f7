//! Which addresses belong together, learned from the DNS answers that programs got and from the hosts file.
//!
//! An attempt is worth giving up only when there is something to fall back to. A program that looked a name up and got
//! addresses of both families will try them in turn; one whose name has a single address has nothing else, and its
//! attempt is left alone. Pure: text and records in, answers out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// How long an answer counts: programs keep addresses for longer than their TTL.
const KEEP: Duration = Duration::from_hours(1);
/// No more names than these; the one learned longest ago goes first.
const CAPACITY: usize = 2048;
/// No more addresses a name and family than these; what an answer has beyond them is not needed to fall back.
const ADDRESSES: usize = 64;

/// What an address has beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Company {
    /// It came from an answer, and these came with it under the same names; perhaps none.
    Known(BTreeSet<IpAddr>),
    /// Nobody looked up a name with it where we could see it: a literal, or another source.
    Unknown,
}

/// Names and their addresses.
#[derive(Debug, Default)]
pub(crate) struct Names {
    learned: BTreeMap<String, Learned>,
    hosts: BTreeMap<String, BTreeSet<IpAddr>>,
    by_address: BTreeMap<IpAddr, BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Learned {
    v6: BTreeSet<IpAddr>,
    v4: BTreeSet<IpAddr>,
    at: Duration,
}

impl Names {
    /// An answer to a question for addresses of one family; an empty one takes back what was known of that family.
    pub(crate) fn learn(&mut self, name: &str, is_v6: bool, found: &[IpAddr], now: Duration) {
        let name = canonical(name);
        let entry = self.learned.entry(name.clone()).or_default();
        entry.at = now;
        let family = if is_v6 { &mut entry.v6 } else { &mut entry.v4 };
        let before = std::mem::take(family);
        family.extend(found.iter().copied().take(ADDRESSES));
        let after = family.clone();
        for gone in before.difference(&after) {
            self.forget(*gone, &name);
        }
        for address in after {
            self.by_address
                .entry(address)
                .or_default()
                .insert(name.clone());
        }
        if self.learned.len() > CAPACITY {
            self.drop_oldest();
        }
    }

    /// The text of the hosts file, instead of what was read before.
    pub(crate) fn read_hosts(&mut self, text: &str) {
        self.hosts.clear();
        for line in text.lines() {
            let mut words = line
                .split('#')
                .next()
                .unwrap_or_default()
                .split_whitespace();
            let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else {
                continue;
            };
            for name in words {
                self.hosts
                    .entry(canonical(name))
                    .or_default()
                    .insert(address);
            }
        }
    }

    /// What an address has beside it.
    pub(crate) fn company(&self, address: IpAddr, now: Duration) -> Company {
        let mut known = false;
        let mut others = BTreeSet::new();
        for name in self.by_address.get(&address).into_iter().flatten() {
            if let Some(learned) = self.learned.get(name)
                && now.saturating_sub(learned.at) < KEEP
            {
                known = true;
                others.extend(learned.v6.iter().chain(&learned.v4));
            }
        }
        for addresses in self.hosts.values() {
            if addresses.contains(&address) {
                known = true;
                others.extend(addresses);
            }
        }
        others.remove(&address);
        if known {
            Company::Known(others)
        } else {
            Company::Unknown
        }
    }

    /// A name with this address, for reports: the one learned last.
    pub(crate) fn name_of(&self, address: IpAddr) -> Option<&str> {
        let learned = self.by_address.get(&address).into_iter().flatten();
        learned
            .max_by_key(|name| self.learned.get(*name).map(|learned| learned.at))
            .or_else(|| {
                let mut hosts = self.hosts.iter();
                hosts
                    .find(|(_, addresses)| addresses.contains(&address))
                    .map(|(name, _)| name)
            })
            .map(String::as_str)
    }

    fn forget(&mut self, address: IpAddr, name: &str) {
        if let Some(names) = self.by_address.get_mut(&address) {
            names.remove(name);
            if names.is_empty() {
                self.by_address.remove(&address);
            }
        }
    }

    fn drop_oldest(&mut self) {
        let oldest = self.learned.iter().min_by_key(|(_, learned)| learned.at);
        let Some(name) = oldest.map(|(name, _)| name.clone()) else {
            return;
        };
        if let Some(learned) = self.learned.remove(&name) {
            for address in learned.v6.iter().chain(&learned.v4) {
                self.forget(*address, &name);
            }
        }
    }
}

/// Lower case, no final dot.
fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn known(addresses: &[&str]) -> Company {
        Company::Known(addresses.iter().map(|text| ip(text)).collect())
    }

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn addresses_of_one_name_are_company() {
        let mut names = Names::default();
        names.learn(
            "www.lab.test.",
            true,
            &[ip("2001:db8::1"), ip("2001:db8::2")],
            NOW,
        );
        assert_eq!(
            names.company(ip("2001:db8::1"), NOW),
            known(&["2001:db8::2"])
        );
        names.learn("WWW.lab.test", false, &[ip("192.0.2.1")], NOW);
        assert_eq!(
            names.company(ip("2001:db8::1"), NOW),
            known(&["2001:db8::2", "192.0.2.1"])
        );
        assert_eq!(names.name_of(ip("192.0.2.1")), Some("www.lab.test"));
    }

    #[test]
    fn a_name_with_one_address_has_none_and_a_literal_is_unknown() {
        let mut names = Names::default();
        names.learn("six.lab.test.", true, &[ip("2001:db8::6")], NOW);
        names.learn("six.lab.test.", false, &[], NOW);
        assert_eq!(names.company(ip("2001:db8::6"), NOW), known(&[]));
        assert_eq!(names.company(ip("2001:db8::7"), NOW), Company::Unknown);
    }

    #[test]
    fn an_address_that_left_the_answer_is_no_company() {
        let mut names = Names::default();
        names.learn("x.test.", true, &[ip("2001:db8::1")], NOW);
        names.learn("x.test.", false, &[ip("192.0.2.1")], NOW);
        names.learn("x.test.", false, &[], NOW);
        assert_eq!(names.company(ip("2001:db8::1"), NOW), known(&[]));
        assert_eq!(names.company(ip("192.0.2.1"), NOW), Company::Unknown);
    }

    #[test]
    fn answers_grow_old() {
        let mut names = Names::default();
        names.learn("x.test.", true, &[ip("2001:db8::1")], NOW);
        assert_eq!(
            names.company(ip("2001:db8::1"), NOW + KEEP),
            Company::Unknown
        );
    }

    #[test]
    fn the_hosts_file_counts() {
        let mut names = Names::default();
        names.read_hosts(
            "# mine\n2001:db8::9 db db.lab.test\n192.0.2.9 db # old\nrubbish\n::1 localhost\n",
        );
        assert_eq!(names.company(ip("2001:db8::9"), NOW), known(&["192.0.2.9"]));
        assert_eq!(names.name_of(ip("2001:db8::9")), Some("db"));
        names.read_hosts("");
        assert_eq!(names.company(ip("2001:db8::9"), NOW), Company::Unknown);
    }

    #[test]
    fn what_is_learned_is_bounded() {
        let mut names = Names::default();
        for number in 0..u32::try_from(CAPACITY).unwrap() + 10 {
            let address = IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + number));
            let now = Duration::from_millis(number.into());
            names.learn(&format!("n{number}.test."), false, &[address], now);
        }
        assert_eq!(names.learned.len(), CAPACITY);
        assert_eq!(names.by_address.len(), CAPACITY);
    }
}
