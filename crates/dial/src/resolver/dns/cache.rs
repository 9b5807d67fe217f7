//! Answers, for as long as they hold, and a while longer for those who take stale ones (B11).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use twinstack_race::{Answer, Name, QueryType};

/// Enough for the names that one program talks to.
const MOST: usize = 1024;

/// How long after its time an answer may still be used, marked as stale (RFC 8767 recommends a day at most).
const STALE: Duration = Duration::from_hours(1);

/// No answer is kept for longer, whatever its TTL.
const LONGEST: Duration = Duration::from_hours(24);

#[derive(Default)]
pub(super) struct Cache {
    /// By the name as it was given: with a final dot it is not searched for, and means something else.
    entries: Mutex<HashMap<(Box<str>, QueryType), Entry>>,
}

struct Entry {
    answer: Answer,
    expires: Instant,
}

impl Cache {
    /// What is known; its time to live is what is left of it.
    pub(super) fn get(&self, name: &Name, kind: QueryType) -> Option<Answer> {
        let now = Instant::now();
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(&(name.as_str().into(), kind))?;
        let answer = entry.answer.clone();
        match entry.expires.checked_duration_since(now) {
            Some(left) if !left.is_zero() => Some(answer.with_ttl(left)),
            _ if now < entry.expires + STALE => Some(answer.stale()),
            _ => None,
        }
    }

    /// Answers without a time to live are not kept.
    pub(super) fn put(&self, name: &Name, kind: QueryType, answer: &Answer) {
        let Some(ttl) = answer.ttl.filter(|ttl| !ttl.is_zero()) else {
            return;
        };
        let now = Instant::now();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MOST {
            entries.retain(|_, entry| entry.expires > now);
        }
        if entries.len() >= MOST {
            let soonest = entries.iter().min_by_key(|(_, entry)| entry.expires);
            if let Some(key) = soonest.map(|(key, _)| key.clone()) {
                entries.remove(&key);
            }
        }
        let expires = now + ttl.min(LONGEST);
        entries.insert(
            (name.as_str().into(), kind),
            Entry {
                answer: answer.clone(),
                expires,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn answers_grow_old_then_stale_then_go() {
        let cache = Cache::default();
        let answer =
            Answer::addresses([Ipv4Addr::LOCALHOST.into()]).with_ttl(Duration::from_secs(10));
        cache.put(&name("a.test"), QueryType::A, &answer);
        tokio::time::advance(Duration::from_secs(4)).await;
        let found = cache.get(&name("a.test"), QueryType::A).unwrap();
        assert_eq!(
            (found.ttl, found.stale),
            (Some(Duration::from_secs(6)), false)
        );
        assert_eq!(cache.get(&name("a.test"), QueryType::Aaaa), None);
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(cache.get(&name("a.test"), QueryType::A).unwrap().stale);
        tokio::time::advance(STALE).await;
        assert_eq!(cache.get(&name("a.test"), QueryType::A), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_answers_is_bounded() {
        let cache = Cache::default();
        for number in 0..MOST + 10 {
            let answer = Answer::no_data().with_ttl(Duration::from_secs(60 + number as u64));
            cache.put(&name(&format!("n{number}.test")), QueryType::A, &answer);
        }
        assert_eq!(cache.entries.lock().unwrap().len(), MOST);
        assert!(cache.get(&name("n0.test"), QueryType::A).is_none());
        assert!(
            cache
                .get(&name(&format!("n{}.test", MOST + 9)), QueryType::A)
                .is_some()
        );
    }
}
