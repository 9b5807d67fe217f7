//! From messages to answers.

use std::net::IpAddr;
use std::time::Duration;
use twinstack_dns::client::AskError;
use twinstack_dns::record::{ServiceBinding, ServiceParam};
use twinstack_dns::{Data, Rcode, Record, Response, Ttl};
use twinstack_race::{
    Alpn, Answer, AnswerData, Ech, Name, QueryError, QueryErrorKind, QueryType, ServiceRecord,
};

/// The key of `ech` (RFC 9848).
const ECH: u16 = 5;

/// What a response says about the type asked for. Aliases in it (CNAME) were followed by the server.
pub(super) fn answer_of(response: &Response, kind: QueryType) -> Result<Answer, QueryError> {
    match response.rcode {
        Rcode::NOERROR | Rcode::NXDOMAIN => {}
        Rcode::SERVFAIL => return Err(failure(QueryErrorKind::ServerFailure, response.rcode)),
        Rcode::REFUSED => return Err(failure(QueryErrorKind::Refused, response.rcode)),
        other => return Err(failure(QueryErrorKind::Other, other)),
    }
    let ttl = |least: Option<Ttl>| least.map(|ttl| Duration::from_secs(u64::from(ttl.as_secs())));
    let (data, least) = match kind {
        QueryType::A | QueryType::Aaaa => addresses(&response.answer, kind),
        QueryType::Https | QueryType::Svcb => services(&response.answer, kind),
    };
    if least.is_some() {
        return Ok(Answer {
            ttl: ttl(least),
            ..Answer::new(data)
        });
    }
    let negative = match response.rcode {
        Rcode::NXDOMAIN => Answer::nx_domain(),
        _ => Answer::no_data(),
    };
    Ok(Answer {
        ttl: ttl(negative_ttl(response)),
        ..negative
    })
}

pub(super) fn error_of(error: &AskError) -> QueryError {
    let kind = match error {
        AskError::Timeout => QueryErrorKind::TimedOut,
        AskError::Malformed(_) | AskError::Mismatched => QueryErrorKind::Malformed,
        _ => QueryErrorKind::Resolver,
    };
    let text = match error {
        AskError::Timeout => "no name server answered".to_owned(),
        other => format!("name server: {other}"),
    };
    QueryError::new(kind, &text)
}

fn failure(kind: QueryErrorKind, rcode: Rcode) -> QueryError {
    QueryError::new(kind, &format!("the name server answered {rcode}"))
}

fn addresses(records: &[Record], kind: QueryType) -> (AnswerData, Option<Ttl>) {
    let wanted = |address: &IpAddr| address.is_ipv6() == (kind == QueryType::Aaaa);
    let found = records
        .iter()
        .filter(|it| it.data.address().as_ref().is_some_and(wanted));
    let least = found.clone().map(|it| it.ttl).min();
    (
        AnswerData::Addresses(found.filter_map(|it| it.data.address()).collect()),
        least,
    )
}

fn services(records: &[Record], kind: QueryType) -> (AnswerData, Option<Ttl>) {
    let mut found = Vec::new();
    let mut least = None;
    for record in records {
        let ((Data::Https(binding), QueryType::Https) | (Data::Svcb(binding), QueryType::Svcb)) =
            (&record.data, kind)
        else {
            continue;
        };
        // A target that is no host name cannot be connected to.
        let Some(service) = service(record, binding) else {
            continue;
        };
        found.push(service);
        least = Some(least.map_or(record.ttl, |least: Ttl| least.min(record.ttl)));
    }
    (AnswerData::Services(found.into()), least)
}

fn service(record: &Record, binding: &ServiceBinding) -> Option<ServiceRecord> {
    let target = if binding.target.is_root() {
        // RFC 9460 section 2.5.2: the owner itself, which behind an alias is not the name that was asked for.
        (binding.priority != 0)
            .then(|| Name::new(&record.owner.to_string()).ok())
            .flatten()
    } else {
        Some(Name::new(&binding.target.to_string()).ok()?)
    };
    let mut service = ServiceRecord::new(binding.priority, target);
    for param in binding.params.iter() {
        match param {
            ServiceParam::Mandatory(keys) => service.mandatory.clone_from(keys),
            ServiceParam::Alpn(ids) => {
                service.alpn = Some(ids.iter().map(|id| Alpn::new(id)).collect());
            }
            ServiceParam::NoDefaultAlpn => service.no_default_alpn = true,
            ServiceParam::Port(port) => service.port = Some(*port),
            ServiceParam::Ipv4Hint(hints) => service.ipv4_hints.clone_from(hints),
            ServiceParam::Ipv6Hint(hints) => service.ipv6_hints.clone_from(hints),
            ServiceParam::Other { key: ECH, value } => service.ech = Some(Ech::new(value)),
            _ => {}
        }
    }
    Some(service)
}

/// RFC 2308 section 5: the lesser of the SOA's own TTL and its last field.
fn negative_ttl(response: &Response) -> Option<Ttl> {
    response
        .authority
        .iter()
        .find_map(|record| match &record.data {
            Data::Soa(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinstack_dns::{Query, Question, RecordType, parse_record_line};

    fn response(rcode: Rcode, answer: &[&str], authority: &[&str]) -> Response {
        let root = twinstack_dns::Name::root();
        let record = |line: &&str| parse_record_line(line, &root, Ttl::from_secs(60)).unwrap();
        let query = Query {
            id: 1,
            question: Question::new(root.clone(), RecordType::A),
            recursion_desired: true,
            checking_disabled: false,
            edns: None,
        };
        Response {
            answer: answer.iter().map(record).collect(),
            authority: authority.iter().map(record).collect(),
            ..Response::to_query(&query, rcode)
        }
    }

    #[test]
    fn addresses_behind_an_alias_with_the_least_ttl() {
        let lines = [
            "w.test. 5 IN CNAME x.test.",
            "x.test. 300 IN A 192.0.2.1",
            "x.test. 200 IN A 192.0.2.2",
        ];
        let answer = answer_of(&response(Rcode::NOERROR, &lines, &[]), QueryType::A).unwrap();
        let AnswerData::Addresses(addresses) = &answer.data else {
            panic!("{answer:?}")
        };
        assert_eq!(
            (addresses.len(), answer.ttl),
            (2, Some(Duration::from_secs(200)))
        );
        let other = answer_of(&response(Rcode::NOERROR, &lines, &[]), QueryType::Aaaa).unwrap();
        assert_eq!(other.data, AnswerData::NoData);
    }

    #[test]
    fn negative_answers_hold_as_long_as_the_soa_says() {
        let soa = ["test. 100 IN SOA ns.test. h.test. 1 2 3 4 30"];
        let answer = answer_of(&response(Rcode::NXDOMAIN, &[], &soa), QueryType::A).unwrap();
        assert_eq!(
            (answer.data, answer.ttl),
            (AnswerData::NxDomain, Some(Duration::from_secs(30)))
        );
        let error = answer_of(&response(Rcode::SERVFAIL, &[], &[]), QueryType::A).unwrap_err();
        assert_eq!(error.kind, QueryErrorKind::ServerFailure);
        assert_eq!(error.to_string(), "the name server answered SERVFAIL");
    }

    #[test]
    fn https_records_with_everything() {
        let lines = [
            "w.test. 60 IN HTTPS 0 alias.test.",
            "w.test. 60 IN HTTPS 1 . alpn=h3,h2 port=8443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1 mandatory=port key5=\"abc\"",
            "w.test. 50 IN HTTPS 2 other.test. alpn=h2 no-default-alpn",
        ];
        let answer = answer_of(&response(Rcode::NOERROR, &lines, &[]), QueryType::Https).unwrap();
        assert_eq!(answer.ttl, Some(Duration::from_secs(50)));
        let AnswerData::Services(records) = answer.data else {
            panic!("{:?}", answer.data)
        };
        assert!(records[0].is_alias());
        assert_eq!(records[0].target, Some(Name::new("alias.test").unwrap()));
        let first = &records[1];
        assert_eq!(first.target, Some(Name::new("w.test").unwrap()));
        assert_eq!(first.alpn.as_ref().unwrap().len(), 2);
        assert_eq!((first.port, &first.mandatory[..]), (Some(8443), &[3][..]));
        assert_eq!((first.ipv4_hints.len(), first.ipv6_hints.len()), (1, 1));
        assert_eq!(first.ech.as_ref().unwrap().as_bytes(), b"abc");
        assert!(records[2].no_default_alpn);
    }
}
