//! Responses, as a client reads and as a server writes them.

use super::{Edns, MessageError, Query, Question, Rcode};
use crate::codec::{ParsedData, data_of, wire_data};
use crate::name::Name;
use crate::record::{Data, Record, RecordType, Ttl};
use domain::base::iana::{Class, Rtype};
use domain::base::message::RecordSection;
use domain::base::message_builder::{PushError, TreeCompressor};
use domain::base::{Message, MessageBuilder};

/// A response.
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the header's flags, each with a meaning of its own"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The query's id.
    pub id: u16,
    /// How it went.
    pub rcode: Rcode,
    /// AA: the server is authoritative for the name.
    pub authoritative: bool,
    /// TC: there is more than fitted; ask over TCP.
    pub truncated: bool,
    /// RD, copied from the query.
    pub recursion_desired: bool,
    /// RA: the server would recurse.
    pub recursion_available: bool,
    /// AD: the resolver has validated it.
    pub authentic_data: bool,
    /// CD, copied from the query.
    pub checking_disabled: bool,
    /// The question; some error responses have none.
    pub question: Option<Question>,
    /// The answer section.
    pub answer: Vec<Record>,
    /// The authority section.
    pub authority: Vec<Record>,
    /// The additional section without OPT.
    pub additional: Vec<Record>,
    /// What the OPT record says, if there is one.
    pub edns: Option<Edns>,
}

impl Response {
    /// An empty response to a query: id, question and RD copied, EDNS answered with EDNS.
    pub fn to_query(query: &Query, rcode: Rcode) -> Self {
        Self {
            id: query.id,
            rcode,
            authoritative: false,
            truncated: false,
            recursion_desired: query.recursion_desired,
            recursion_available: false,
            authentic_data: false,
            checking_disabled: query.checking_disabled,
            question: Some(query.question.clone()),
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            edns: query.edns.map(|edns| Edns {
                udp_size: Edns::USUAL,
                dnssec_ok: edns.dnssec_ok,
            }),
        }
    }

    /// Reads a response.
    pub fn parse(octets: &[u8]) -> Result<Self, MessageError> {
        let message = Message::from_octets(octets).map_err(|_| MessageError::Short {
            length: octets.len(),
        })?;
        let header = message.header();
        if !header.qr() {
            return Err(MessageError::NotAResponse);
        }
        let malformed = |section| move |_| MessageError::Malformed { section };
        let question = read_question(&message)?;
        let answer = message.answer().map_err(malformed("answer"))?;
        let authority = message.authority().map_err(malformed("authority"))?;
        let additional = message.additional().map_err(malformed("additional"))?;
        let mut opt = None;
        let answer = read_section(answer, "answer", None)?;
        let authority = read_section(authority, "authority", None)?;
        let additional = read_section(additional, "additional", Some(&mut opt))?;
        let extended = opt.map_or(0, |opt: Opt| u16::from(opt.rcode)) << 4;
        Ok(Self {
            id: header.id(),
            rcode: Rcode::from_number(extended | u16::from(header.rcode().to_int())),
            authoritative: header.aa(),
            truncated: header.tc(),
            recursion_desired: header.rd(),
            recursion_available: header.ra(),
            authentic_data: header.ad(),
            checking_disabled: header.cd(),
            question,
            answer,
            authority,
            additional,
            edns: opt.map(|opt| opt.edns),
        })
    }

    /// The octets, for TCP and HTTPS: up to 65,535.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes_within(usize::from(u16::MAX))
    }

    /// The octets for UDP, at most this many.
    ///
    /// What does not fit is left out whole: first the additional section, unless the response is a referral, whose
    /// glue must not vanish in silence (RFC 9471 section 3); then everything, with TC set (RFC 2181 section 9).
    #[expect(clippy::missing_panics_doc, reason = "the smallest form always fits")]
    pub fn to_bytes_within(&self, limit: usize) -> Vec<u8> {
        let limit = limit.min(usize::from(u16::MAX));
        if let Ok(octets) = self.build(limit, Parts::All) {
            return octets;
        }
        let referral = self.answer.is_empty() && !self.additional.is_empty();
        if !referral && let Ok(octets) = self.build(limit, Parts::NoAdditional) {
            return octets;
        }
        self.build(limit, Parts::Truncated)
            .or_else(|_| self.build(usize::from(u16::MAX), Parts::Truncated))
            .expect("header, one question and OPT always fit into 65,535 octets")
    }

    fn build(&self, limit: usize, parts: Parts) -> Result<Vec<u8>, PushError> {
        let mut builder = MessageBuilder::from_target(TreeCompressor::new(Vec::new()))
            .map_err(|_| PushError::ShortBuf)?;
        builder.set_push_limit(limit);
        let header = builder.header_mut();
        header.set_id(self.id);
        header.set_qr(true);
        header.set_aa(self.authoritative);
        header.set_tc(self.truncated || parts == Parts::Truncated);
        header.set_rd(self.recursion_desired);
        header.set_ra(self.recursion_available);
        header.set_ad(self.authentic_data);
        header.set_cd(self.checking_disabled);
        header.set_rcode(self.rcode.as_domain().rcode());
        let mut builder = builder.question();
        if let Some(question) = &self.question {
            builder.push((question.name.as_domain(), question.rtype.as_domain()))?;
        }
        let all = parts != Parts::Truncated;
        let mut builder = builder.answer();
        for record in self.answer.iter().filter(|_| all) {
            builder.push(composed(record)?)?;
        }
        let mut builder = builder.authority();
        for record in self.authority.iter().filter(|_| all) {
            builder.push(composed(record)?)?;
        }
        let mut builder = builder.additional();
        for record in self.additional.iter().filter(|_| parts == Parts::All) {
            builder.push(composed(record)?)?;
        }
        let edns = self
            .edns
            .or_else(|| self.rcode.is_extended().then(Edns::default));
        if let Some(edns) = edns {
            builder.opt(|opt| {
                opt.set_udp_payload_size(edns.udp_size);
                opt.set_dnssec_ok(edns.dnssec_ok);
                opt.set_rcode(self.rcode.as_domain());
                Ok(())
            })?;
        }
        Ok(builder.finish().into_target())
    }

    /// The records that answer a question, CNAMEs followed inside the answer section.
    ///
    /// The name is where the chain ends: the question's own, or the target of the last CNAME. A question for CNAME
    /// itself follows nothing.
    pub fn answers_to(&self, question: &Question) -> (Name, Vec<&Record>) {
        let mut name = question.name.clone();
        // Each step takes another record, so a loop of CNAMEs ends too.
        for _ in 0..=self.answer.len() {
            let found: Vec<&Record> = self
                .answer
                .iter()
                .filter(|record| record.owner == name && record.rtype() == question.rtype)
                .collect();
            if !found.is_empty() {
                return (name, found);
            }
            let alias = self.answer.iter().find_map(|record| match &record.data {
                Data::Cname(target) if record.owner == name => Some(target.clone()),
                _ => None,
            });
            match alias {
                Some(target) => name = target,
                None => break,
            }
        }
        (name, Vec::new())
    }

    /// NOERROR without an answer to the question (RFC 2308 section 2.2): no referral, and no CNAME that leads out of
    /// what the server knows.
    pub fn is_nodata(&self, question: &Question) -> bool {
        let (end, found) = self.answers_to(question);
        let whole_chain = end == question.name || self.negative_ttl().is_some();
        self.rcode == Rcode::NOERROR
            && !self.truncated
            && found.is_empty()
            && whole_chain
            && !self.is_referral()
    }

    /// Points to other servers instead of answering.
    pub fn is_referral(&self) -> bool {
        let has = |rtype| self.authority.iter().any(|record| record.rtype() == rtype);
        self.rcode == Rcode::NOERROR
            && !self.authoritative
            && self.answer.is_empty()
            && has(RecordType::NS)
            && !has(RecordType::SOA)
    }

    /// How long a negative answer may be kept: the lesser of the SOA's TTL and its minimum (RFC 2308 section 5);
    /// `None` without a SOA.
    pub fn negative_ttl(&self) -> Option<Ttl> {
        self.authority.iter().find_map(|record| match &record.data {
            Data::Soa(soa) => Some(record.ttl.min(soa.minimum)),
            _ => None,
        })
    }

    /// The lowest TTL of the answer section; `None` if that is empty.
    pub fn answer_ttl(&self) -> Option<Ttl> {
        self.answer.iter().map(|record| record.ttl).min()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    All,
    NoAdditional,
    Truncated,
}

type Composed<'a> = (
    &'a domain::base::Name<bytes::Bytes>,
    Class,
    u32,
    crate::codec::WireData,
);

fn composed(record: &Record) -> Result<Composed<'_>, PushError> {
    let data = wire_data(&record.data).ok_or(PushError::ShortBuf)?;
    Ok((
        record.owner.as_domain(),
        Class::IN,
        record.ttl.as_secs(),
        data,
    ))
}

/// What an OPT record holds.
#[derive(Clone, Copy)]
pub(super) struct Opt {
    /// The upper eight bits of the response code.
    pub(super) rcode: u8,
    pub(super) version: u8,
    pub(super) edns: Edns,
}

/// The question, at most one and of class IN.
pub(super) fn read_question(message: &Message<&[u8]>) -> Result<Option<Question>, MessageError> {
    let count = message.header_counts().qdcount();
    if count > 1 {
        return Err(MessageError::Questions { count });
    }
    let Some(question) = message.question().next() else {
        return Ok(None);
    };
    let question = question.map_err(|_| MessageError::Malformed {
        section: "question",
    })?;
    if question.qclass() != Class::IN {
        return Err(MessageError::Class {
            class: question.qclass().to_int(),
        });
    }
    Ok(Some(Question {
        name: Name::from_domain(question.qname()),
        rtype: RecordType::from_domain(question.qtype()),
    }))
}

/// All records of a section; OPT goes to `opt` where it may stand, TSIG is passed over.
pub(super) fn read_section(
    section: RecordSection<'_, &[u8]>,
    name: &'static str,
    mut opt: Option<&mut Option<Opt>>,
) -> Result<Vec<Record>, MessageError> {
    let malformed = || MessageError::Malformed { section: name };
    let mut records = Vec::new();
    for record in section {
        let record = record.map_err(|_| malformed())?;
        if record.rtype() == Rtype::OPT {
            let slot = opt.as_deref_mut().ok_or_else(malformed)?;
            let [rcode, version, flags, _] = record.ttl().as_secs().to_be_bytes();
            let read = Opt {
                rcode,
                version,
                edns: Edns {
                    udp_size: record.class().to_int(),
                    dnssec_ok: flags & 0x80 != 0,
                },
            };
            if slot.replace(read).is_some() {
                return Err(MessageError::TwoOpt);
            }
            continue;
        }
        let class = record.class();
        if class != Class::IN {
            // A signature's class is ANY (RFC 8945 section 4.2); it says nothing about the zone.
            if record.rtype() == Rtype::TSIG {
                continue;
            }
            return Err(MessageError::Class {
                class: class.to_int(),
            });
        }
        let parsed = record
            .to_any_record::<ParsedData<'_>>()
            .map_err(|_| malformed())?;
        let Some(data) = data_of(record.rtype(), parsed.data()) else {
            continue;
        };
        let seconds = record.ttl().as_secs();
        records.push(Record {
            owner: Name::from_domain(&record.owner()),
            // RFC 2181 section 8: with the highest bit set it counts as zero.
            ttl: if seconds > Ttl::MAX.as_secs() {
                Ttl::ZERO
            } else {
                Ttl::from_secs(seconds)
            },
            data,
        });
    }
    Ok(records)
}
