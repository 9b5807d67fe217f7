//! Lookups as the report shows them: who said what, and whether it came from a cache.

use super::observation::{Lookup, Server};
use crate::report::{Answer, HERE};
use std::collections::{BTreeMap, BTreeSet};
use twinstack_dns::{Name, RecordType};

/// One answer for each server, transport, question and outcome; repetitions for timing are left out.
pub(crate) fn answers(servers: &[Server], lookups: &[Lookup]) -> Vec<Answer> {
    let full = authoritative_ttls(servers, lookups);
    let mut shown = BTreeSet::new();
    lookups
        .iter()
        .filter_map(|lookup| {
            let server = servers.get(lookup.server.0)?;
            let answer = Answer {
                vantage: HERE.to_owned(),
                server: server.to_string(),
                authoritative: server.is_authoritative()
                    && lookup.reply().is_some_and(|reply| reply.authoritative),
                cached: cached(server, lookup, &full),
                transport: lookup.transport.to_string(),
                question: format!("{} {}", lookup.name, lookup.rtype),
                outcome: lookup.outcome_word(),
                data: lookup
                    .records()
                    .map(|record| record.data.to_string())
                    .collect(),
                ttl_seconds: lookup.ttl(),
                elapsed_seconds: lookup.elapsed,
            };
            // Servers rotate the order of the same records.
            let mut data = answer.data.clone();
            data.sort();
            let key = (
                answer.server.clone(),
                answer.transport.clone(),
                answer.question.clone(),
                answer.outcome.clone(),
                data,
            );
            shown.insert(key).then_some(answer)
        })
        .collect()
}

/// The TTL that the zone's own servers give to a record set, by its owner and type.
fn authoritative_ttls(servers: &[Server], lookups: &[Lookup]) -> BTreeMap<(Name, RecordType), u32> {
    lookups
        .iter()
        .filter(|lookup| {
            servers
                .get(lookup.server.0)
                .is_some_and(Server::is_authoritative)
                && lookup.reply().is_some_and(|reply| reply.authoritative)
        })
        .filter_map(|lookup| {
            let record = lookup.records().next()?;
            Some(((record.owner.clone(), lookup.rtype), lookup.ttl()?))
        })
        .collect()
}

/// A TTL that has begun to count down shows a cache; one that is still whole does not show the opposite beyond doubt, but
/// it was fetched within the last second.
fn cached(
    server: &Server,
    lookup: &Lookup,
    full: &BTreeMap<(Name, RecordType), u32>,
) -> Option<bool> {
    let reply = lookup.reply()?;
    if reply.authoritative {
        return Some(false);
    }
    if !server.is_resolver() {
        return None;
    }
    let record = lookup.records().next()?;
    let full = *full.get(&(record.owner.clone(), lookup.rtype))?;
    match lookup.ttl()? {
        ttl if ttl < full => Some(true),
        ttl if ttl == full => Some(false),
        _ => None,
    }
}

/// A sentence for each server that answered from its cache.
pub(crate) fn cache_notes(answers: &[Answer]) -> Vec<String> {
    let mut by_server: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    // How the zone was found is of no interest.
    let data =
        |answer: &&Answer| !answer.question.ends_with(" SOA") && !answer.question.ends_with(" NS");
    for answer in answers
        .iter()
        .filter(|answer| answer.cached == Some(true))
        .filter(data)
    {
        by_server
            .entry(&answer.server)
            .or_default()
            .insert(&answer.question);
    }
    by_server
        .into_iter()
        .map(|(server, questions)| {
            let questions: Vec<&str> = questions.into_iter().collect();
            format!("{server} answered from its cache: {}", questions.join(", "))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::fixture::{AAAA, NS1_V4, RESOLVER, answered, healthy, servers};

    fn resolver_says(ttl: u32) -> Vec<Answer> {
        let line = format!("www.lab.test. {ttl} AAAA 2e00:5::80");
        let lookups = [
            answered(NS1_V4, "www.lab.test", RecordType::AAAA, AAAA),
            answered(RESOLVER, "www.lab.test", RecordType::AAAA, &[&line]),
        ];
        answers(&servers(), &lookups)
    }

    #[test]
    fn a_ttl_that_counts_down_shows_a_cache() {
        assert_eq!(resolver_says(299)[1].cached, Some(true));
        assert_eq!(resolver_says(300)[1].cached, Some(false));
        assert_eq!(resolver_says(3600)[1].cached, None);
        assert_eq!(
            cache_notes(&resolver_says(12)),
            ["resolver 192.0.2.53 answered from its cache: www.lab.test AAAA"]
        );
        assert!(cache_notes(&resolver_says(300)).is_empty());
    }

    #[test]
    fn an_authoritative_answer_is_no_cache() {
        let answer = &resolver_says(300)[0];
        assert!(answer.authoritative);
        assert_eq!(answer.cached, Some(false));
        assert_eq!(answer.server, "ns1.lab.test 198.51.100.53");
        assert_eq!(answer.data, ["2e00:5::80", "2e00:5::81"]);
    }

    #[test]
    fn without_an_authoritative_answer_nothing_is_said() {
        let lookups = [answered(RESOLVER, "www.lab.test", RecordType::AAAA, AAAA)];
        assert_eq!(answers(&servers(), &lookups)[0].cached, None);
    }

    #[test]
    fn repetitions_are_shown_once() {
        let names = healthy();
        let once = answers(&names.servers, &names.lookups);
        let twice: Vec<Lookup> = names
            .lookups
            .iter()
            .chain(&names.lookups)
            .cloned()
            .collect();
        assert_eq!(answers(&names.servers, &twice), once);
    }
}
