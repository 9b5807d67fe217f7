//! DNS64 (RFC 6147): AAAA records for names that have only A, under the prefix of the network's NAT64.

use super::recursive::{Resolved, Resolver};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use twinstack_dns::{Data, Name, Question, Rcode, Record, RecordType, Ttl, reverse};

/// The addresses of `ipv4only.arpa.` (RFC 7050 section 2.2).
const WELL_KNOWN: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// What made-up records live when nothing else limits them (RFC 6147 section 5.1.7).
const USUAL_TTL: Ttl = Ttl::from_secs(600);

/// Translation under one /96.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dns64 {
    prefix: Ipv6Addr,
}

impl Dns64 {
    pub(super) const fn new(prefix: Ipv6Addr) -> Self {
        Self { prefix }
    }

    /// Resolves a question and translates the answer where that is called for.
    pub(super) async fn resolve(self, resolver: &Arc<Resolver>, question: &Question) -> Resolved {
        if is_ipv4only(&question.name) {
            return self.ipv4only(question);
        }
        if question.rtype == RecordType::PTR
            && let Some(alias) = self.reverse_alias(&question.name)
        {
            return follow(resolver, question, alias).await;
        }
        if question.rtype != RecordType::AAAA {
            return resolver.resolve(question).await;
        }
        let mut native = resolver.resolve(question).await;
        // RFC 6147 section 5.1.4: mapped addresses are no use to anybody.
        native.answer.retain(|record| match record.data {
            Data::Aaaa(address) => address.to_ipv4_mapped().is_none(),
            _ => true,
        });
        // Section 5.1.2: a name that does not exist has no A either; any other failure counts as an empty answer.
        if native.rcode == Rcode::NXDOMAIN
            || native.rcode == Rcode::NOERROR && !native.is_nodata(question)
        {
            return native;
        }
        let wanted = Question::new(question.name.clone(), RecordType::A);
        let v4 = resolver.resolve(&wanted).await;
        if v4.rcode != Rcode::NOERROR || v4.is_nodata(&wanted) {
            return native;
        }
        let most = native.soa.as_ref().map_or(USUAL_TTL, |soa| soa.ttl);
        Resolved {
            rcode: Rcode::NOERROR,
            answer: v4
                .answer
                .into_iter()
                .map(|record| self.translated(record, most))
                .collect(),
            soa: None,
        }
    }

    fn translated(self, record: Record, most: Ttl) -> Record {
        match record.data {
            Data::A(address) => Record {
                ttl: record.ttl.min(most),
                data: Data::Aaaa(self.address(address)),
                ..record
            },
            _ => record,
        }
    }

    /// RFC 6052 section 2.2: with a /96 the IPv4 address is the last 32 bits.
    fn address(self, v4: Ipv4Addr) -> Ipv6Addr {
        let prefix = u128::from(self.prefix) & !u128::from(u32::MAX);
        Ipv6Addr::from(prefix | u128::from(u32::from(v4)))
    }

    /// RFC 8880 section 7.1: answered here, whatever the servers above say, for clients learn the prefix from it.
    fn ipv4only(self, question: &Question) -> Resolved {
        let record = |data| Record {
            owner: question.name.clone(),
            ttl: USUAL_TTL,
            data,
        };
        let answer = match question.rtype {
            RecordType::A => WELL_KNOWN.map(|v4| record(Data::A(v4))).to_vec(),
            RecordType::AAAA => WELL_KNOWN
                .map(|v4| record(Data::Aaaa(self.address(v4))))
                .to_vec(),
            _ => Vec::new(),
        };
        Resolved {
            rcode: Rcode::NOERROR,
            answer,
            soa: None,
        }
    }

    /// Section 5.3.1: the reverse name of a made-up address is an alias of the IPv4 address's.
    fn reverse_alias(self, name: &Name) -> Option<Record> {
        let Ok(IpAddr::V6(address)) = reverse::address_of(name) else {
            return None;
        };
        let [.., a, b, c, d] = address.octets();
        let v4 = Ipv4Addr::new(a, b, c, d);
        (self.address(v4) == address).then(|| Record {
            owner: name.clone(),
            ttl: USUAL_TTL,
            data: Data::Cname(reverse::name_of(v4.into())),
        })
    }
}

fn is_ipv4only(name: &Name) -> bool {
    Name::parse("ipv4only.arpa").is_ok_and(|known| known == *name)
}

/// The alias, and what its target has.
async fn follow(resolver: &Arc<Resolver>, question: &Question, alias: Record) -> Resolved {
    let Data::Cname(target) = &alias.data else {
        return resolver.resolve(question).await;
    };
    let target = Question::new(target.clone(), question.rtype);
    let mut found = resolver.resolve(&target).await;
    found.answer.insert(0, alias);
    found
}
