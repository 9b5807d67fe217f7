//! The world's DNS rules: which questions they mean.

use crate::world::model::{DnsReply, DnsRule, DnsTransport, Family, HostId, Prefix};
use std::net::IpAddr;
use std::time::Duration;
use twinstack_dns::{Name, Question, RecordType};

/// A rule, ready to match.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    at: Vec<HostId>,
    name: Pattern,
    types: Vec<RecordType>,
    transport: Option<DnsTransport>,
    family: Option<Family>,
    from: Vec<Prefix>,
    pub(super) delay: Duration,
    pub(super) reply: DnsReply,
}

#[derive(Clone, Debug)]
enum Pattern {
    Any,
    Exactly(Name),
    Below(Name),
}

/// A question and how it arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    pub(super) host: HostId,
    pub(super) question: &'a Question,
    pub(super) transport: DnsTransport,
    /// The client, IPv4 as IPv4 whatever the socket shows.
    pub(super) from: IpAddr,
}

impl Rule {
    /// `None` for a rule whose name or types are none: the world's reader refuses those.
    pub(super) fn read(rule: &DnsRule) -> Option<Self> {
        let name = match &rule.name {
            None => Pattern::Any,
            Some(text) => match text.strip_prefix("*.") {
                // `*.` alone is everything below the root.
                Some("") => Pattern::Below(Name::root()),
                Some(rest) => Pattern::Below(Name::parse(rest).ok()?),
                None => Pattern::Exactly(Name::parse(text).ok()?),
            },
        };
        let types: Option<Vec<RecordType>> =
            rule.types.iter().map(|text| text.parse().ok()).collect();
        Some(Self {
            at: rule.at.clone(),
            name,
            types: types?,
            transport: rule.transport,
            family: rule.family,
            from: rule.from.clone(),
            delay: rule.delay,
            reply: rule.reply,
        })
    }

    pub(super) fn matches(&self, asked: &Asked<'_>) -> bool {
        let any_or = |list_is_empty: bool, found: bool| list_is_empty || found;
        let name = &asked.question.name;
        let named = match &self.name {
            Pattern::Any => true,
            Pattern::Exactly(wanted) => wanted == name,
            Pattern::Below(above) => name != above && name.is_subdomain_of(above),
        };
        named
            && any_or(self.at.is_empty(), self.at.contains(&asked.host))
            && any_or(
                self.types.is_empty(),
                self.types.contains(&asked.question.rtype),
            )
            && self
                .transport
                .is_none_or(|wanted| wanted == asked.transport)
            && self
                .family
                .is_none_or(|wanted| wanted == Family::of(asked.from))
            && any_or(
                self.from.is_empty(),
                self.from.iter().any(|prefix| prefix.contains(asked.from)),
            )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> DnsRule {
        DnsRule {
            at: vec![],
            name: None,
            types: vec![],
            transport: None,
            family: None,
            from: vec![],
            delay: Duration::ZERO,
            reply: DnsReply::Drop,
        }
    }

    fn check(change: impl Fn(&mut DnsRule), expected: bool) {
        let mut rule = everything();
        change(&mut rule);
        let question = Question::new(Name::parse("www.lab.test").unwrap(), RecordType::AAAA);
        let asked = Asked {
            host: HostId(3),
            question: &question,
            transport: DnsTransport::Udp,
            from: "2e00:c::10".parse().unwrap(),
        };
        assert_eq!(
            Rule::read(&rule).unwrap().matches(&asked),
            expected,
            "{rule:?}"
        );
    }

    #[test]
    fn every_condition_must_hold() {
        check(|_| {}, true);
        check(|rule| rule.at = vec![HostId(2), HostId(3)], true);
        check(|rule| rule.at = vec![HostId(2)], false);
        check(|rule| rule.name = Some("WWW.lab.test.".to_owned()), true);
        check(|rule| rule.name = Some("lab.test.".to_owned()), false);
        check(
            |rule| rule.types = vec!["A".to_owned(), "AAAA".to_owned()],
            true,
        );
        check(|rule| rule.types = vec!["A".to_owned()], false);
        check(|rule| rule.transport = Some(DnsTransport::Udp), true);
        check(|rule| rule.transport = Some(DnsTransport::Tcp), false);
        check(|rule| rule.family = Some(Family::V6), true);
        check(|rule| rule.family = Some(Family::V4), false);
        let prefix = |address: &str, length| Prefix {
            address: address.parse().unwrap(),
            length,
        };
        check(
            |rule| rule.from = vec![prefix("192.0.2.0", 24), prefix("2e00:c::", 64)],
            true,
        );
        check(|rule| rule.from = vec![prefix("192.0.2.0", 24)], false);
    }

    #[test]
    fn star_means_the_names_below() {
        check(|rule| rule.name = Some("*.lab.test.".to_owned()), true);
        check(|rule| rule.name = Some("*.test.".to_owned()), true);
        check(|rule| rule.name = Some("*.".to_owned()), true);
        check(|rule| rule.name = Some("*.www.lab.test.".to_owned()), false);
    }
}
