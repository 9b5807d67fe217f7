//! What a resolver remembers: answers, that there is none, and where zones are cut. Time is an argument.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};
use twinstack_dns::{Name, Question, Rcode, Record, RecordType, Ttl};

/// Nothing is kept longer, whatever its TTL (RFC 8767 section 4 suggests a limit).
const LONGEST: Duration = Duration::from_hours(24);

/// "There is none" is kept for at most this long (RFC 2308 section 5).
const LONGEST_NEGATIVE: Duration = Duration::from_hours(3);

/// Entries of each kind; no world has as many names.
const MOST_ENTRIES: usize = 10_000;

/// A cache; without `keeping` it forgets everything at once.
#[derive(Debug)]
pub(super) struct Cache {
    keeping: bool,
    sets: BTreeMap<Question, Kept<Vec<Record>>>,
    negatives: BTreeMap<(Name, Option<RecordType>), Kept<Negative>>,
    cuts: BTreeMap<Name, Kept<Cut>>,
}

/// What is known about a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Records of the type asked for, or the alias that stands in their place; TTLs as they are now.
    Records(Vec<Record>),
    /// There is none.
    Negative(Negative),
}

/// "There is none", and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Negative {
    /// NOERROR: none of this type; NXDOMAIN: no such name.
    pub(super) rcode: Rcode,
    /// The zone's SOA, its TTL limited to how long this may be kept.
    pub(super) soa: Option<Record>,
}

/// Where a zone begins and who serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The zone's apex.
    pub(super) apex: Name,
    /// Addresses that came as glue.
    pub(super) glue: Vec<IpAddr>,
    /// All its name servers.
    pub(super) servers: Vec<Name>,
}

#[derive(Debug)]
struct Kept<T> {
    value: T,
    since: Instant,
    until: Instant,
}

impl Cache {
    pub(super) const fn new(keeping: bool) -> Self {
        Self {
            keeping,
            sets: BTreeMap::new(),
            negatives: BTreeMap::new(),
            cuts: BTreeMap::new(),
        }
    }

    /// Records of one owner and type.
    pub(super) fn keep_records(&mut self, question: &Question, records: &[Record], now: Instant) {
        let ttl = records.iter().map(|record| record.ttl).min();
        let Some(lifetime) = ttl
            .map(Duration::from)
            .filter(|ttl| self.worth_keeping(*ttl))
        else {
            return;
        };
        let kept = Kept {
            value: records.to_vec(),
            since: now,
            until: now + lifetime.min(LONGEST),
        };
        make_room(&mut self.sets, now);
        self.sets.insert(question.clone(), kept);
    }

    /// "There is none"; without a SOA it is not kept (RFC 2308 section 5).
    pub(super) fn keep_negative(&mut self, question: &Question, negative: &Negative, now: Instant) {
        let ttl = negative.soa.as_ref().map(|soa| Duration::from(soa.ttl));
        let Some(lifetime) = ttl.filter(|ttl| self.worth_keeping(*ttl)) else {
            return;
        };
        // NXDOMAIN is about the name, whatever the type.
        let rtype = (negative.rcode != Rcode::NXDOMAIN).then_some(question.rtype);
        let kept = Kept {
            value: negative.clone(),
            since: now,
            until: now + lifetime.min(LONGEST_NEGATIVE),
        };
        make_room(&mut self.negatives, now);
        self.negatives.insert((question.name.clone(), rtype), kept);
    }

    /// A delegation.
    pub(super) fn keep_cut(&mut self, cut: &Cut, ttl: Ttl, now: Instant) {
        let lifetime = Duration::from(ttl);
        if self.worth_keeping(lifetime) {
            let kept = Kept {
                value: cut.clone(),
                since: now,
                until: now + lifetime.min(LONGEST),
            };
            make_room(&mut self.cuts, now);
            self.cuts.insert(cut.apex.clone(), kept);
        }
    }

    /// What is known about a question; an alias in place of the type counts.
    pub(super) fn find(&self, question: &Question, now: Instant) -> Option<Known> {
        let alias = Question::new(question.name.clone(), RecordType::CNAME);
        for question in [question, &alias] {
            if let Some(kept) = fresh(self.sets.get(question), now) {
                return Some(Known::Records(
                    kept.value
                        .iter()
                        .map(|record| aged(record, kept, now))
                        .collect(),
                ));
            }
        }
        let name = || question.name.clone();
        [(name(), None), (name(), Some(question.rtype))]
            .iter()
            .find_map(|key| fresh(self.negatives.get(key), now))
            .map(|kept| {
                Known::Negative(Negative {
                    rcode: kept.value.rcode,
                    soa: kept.value.soa.as_ref().map(|soa| aged(soa, kept, now)),
                })
            })
    }

    /// The closest delegation above a name, or at it.
    pub(super) fn closest_cut(&self, name: &Name, now: Instant) -> Option<Cut> {
        name.ancestors()
            .find_map(|ancestor| fresh(self.cuts.get(&ancestor), now))
            .map(|kept| kept.value.clone())
    }

    /// Forgets a delegation whose servers turned out useless.
    pub(super) fn forget_cut(&mut self, apex: &Name) {
        self.cuts.remove(apex);
    }

    fn worth_keeping(&self, ttl: Duration) -> bool {
        self.keeping && !ttl.is_zero()
    }
}

fn fresh<T>(kept: Option<&Kept<T>>, now: Instant) -> Option<&Kept<T>> {
    kept.filter(|kept| now < kept.until)
}

fn aged<T>(record: &Record, kept: &Kept<T>, now: Instant) -> Record {
    Record {
        ttl: record.ttl.after(now.saturating_duration_since(kept.since)),
        ..record.clone()
    }
}

/// Drops what is over when there is too much, and everything if that is not enough.
fn make_room<K: Ord, T>(entries: &mut BTreeMap<K, Kept<T>>, now: Instant) {
    if entries.len() < MOST_ENTRIES {
        return;
    }
    entries.retain(|_, kept| now < kept.until);
    if entries.len() >= MOST_ENTRIES {
        entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinstack_dns::parse_record_line;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn question(text: &str, rtype: RecordType) -> Question {
        Question::new(name(text), rtype)
    }

    fn record(line: &str) -> Record {
        parse_record_line(line, &Name::root(), Ttl::ZERO).unwrap()
    }

    fn soa(ttl: u32) -> Record {
        record(&format!(
            "lab.test. {ttl} IN SOA ns1.lab.test. h.lab.test. 1 1 1 1 300"
        ))
    }

    #[test]
    fn time_to_live_runs_down_and_out() {
        let mut cache = Cache::new(true);
        let start = Instant::now();
        let asked = question("www.lab.test", RecordType::A);
        cache.keep_records(&asked, &[record("www.lab.test. 300 IN A 192.0.2.1")], start);
        let check = |seconds: u64, ttl: Option<u32>| {
            let found = cache.find(&asked, start + Duration::from_secs(seconds));
            let found = found.map(|known| match known {
                Known::Records(records) => records[0].ttl.as_secs(),
                Known::Negative(_) => 0,
            });
            assert_eq!(found, ttl, "after {seconds} s");
        };
        check(0, Some(300));
        check(100, Some(200));
        check(299, Some(1));
        check(300, None);
    }

    #[test]
    fn alias_stands_for_every_type() {
        let mut cache = Cache::new(true);
        let now = Instant::now();
        let alias = record("www.lab.test. 300 IN CNAME web.lab.test.");
        cache.keep_records(
            &question("www.lab.test", RecordType::CNAME),
            std::slice::from_ref(&alias),
            now,
        );
        assert_eq!(
            cache.find(&question("www.lab.test", RecordType::AAAA), now),
            Some(Known::Records(vec![alias]))
        );
    }

    #[test]
    fn no_such_name_is_about_all_types_and_no_data_about_one() {
        let now = Instant::now();
        let check = |rcode: Rcode, other_type: bool| {
            let mut cache = Cache::new(true);
            let negative = Negative {
                rcode,
                soa: Some(soa(60)),
            };
            cache.keep_negative(&question("x.lab.test", RecordType::AAAA), &negative, now);
            let found = |rtype, seconds| {
                let now = now + Duration::from_secs(seconds);
                cache.find(&question("x.lab.test", rtype), now).is_some()
            };
            assert!(found(RecordType::AAAA, 59) && !found(RecordType::AAAA, 60));
            assert_eq!(found(RecordType::A, 0), other_type);
        };
        check(Rcode::NXDOMAIN, true);
        check(Rcode::NOERROR, false);
    }

    #[test]
    fn nothing_without_a_time_to_live_is_kept() {
        let now = Instant::now();
        let asked = question("www.lab.test", RecordType::A);
        let mut cache = Cache::new(true);
        cache.keep_records(&asked, &[record("www.lab.test. 0 IN A 192.0.2.1")], now);
        let without_soa = Negative {
            rcode: Rcode::NXDOMAIN,
            soa: None,
        };
        cache.keep_negative(&asked, &without_soa, now);
        assert_eq!(cache.find(&asked, now), None);
        let mut forgetful = Cache::new(false);
        forgetful.keep_records(&asked, &[record("www.lab.test. 9 IN A 192.0.2.1")], now);
        assert_eq!(forgetful.find(&asked, now), None);
    }

    #[test]
    fn closest_cut_is_the_longest() {
        let mut cache = Cache::new(true);
        let now = Instant::now();
        for apex in ["test", "lab.test", "other.test"] {
            let cut = Cut {
                apex: name(apex),
                glue: vec![],
                servers: vec![],
            };
            cache.keep_cut(&cut, Ttl::from_secs(300), now);
        }
        let closest = |text: &str| cache.closest_cut(&name(text), now).map(|cut| cut.apex);
        assert_eq!(closest("www.lab.test"), Some(name("lab.test")));
        assert_eq!(closest("lab.test"), Some(name("lab.test")));
        assert_eq!(closest("x.test"), Some(name("test")));
        assert_eq!(closest("example"), None);
    }

    #[test]
    fn full_cache_makes_room() {
        let mut cache = Cache::new(true);
        let now = Instant::now();
        for number in 0..=MOST_ENTRIES {
            let asked = question(&format!("n{number}.lab.test"), RecordType::A);
            cache.keep_records(&asked, &[record("n. 300 IN A 192.0.2.1")], now);
        }
        assert!(cache.sets.len() <= MOST_ENTRIES);
    }
}
