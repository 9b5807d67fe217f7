//! Queries, as a client writes and as a server reads them.

use super::response::{Opt, read_question, read_section};
use super::{Edns, MessageError, Question, Rcode, Response};
use domain::base::iana::Opcode;
use domain::base::{Message, MessageBuilder};

/// A query with one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Chosen by the client; the response repeats it.
    pub id: u16,
    /// What is asked.
    pub question: Question,
    /// RD: resolve it for me.
    pub recursion_desired: bool,
    /// CD: do not validate it for me.
    pub checking_disabled: bool,
    /// What the OPT record says, if there is to be one.
    pub edns: Option<Edns>,
}

impl Query {
    /// A query as stub resolvers send it: RD set, EDNS with the usual size.
    pub fn new(id: u16, question: Question) -> Self {
        Self {
            id,
            question,
            recursion_desired: true,
            checking_disabled: false,
            edns: Some(Edns::default()),
        }
    }

    /// The octets.
    #[expect(
        clippy::missing_panics_doc,
        reason = "composing into a vector has no way to fail"
    )]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut builder = MessageBuilder::new_vec();
        let header = builder.header_mut();
        header.set_id(self.id);
        header.set_rd(self.recursion_desired);
        header.set_cd(self.checking_disabled);
        let mut builder = builder.question();
        let question = (
            self.question.name.as_domain(),
            self.question.rtype.as_domain(),
        );
        builder
            .push(question)
            .expect("header and one question fit into a vector");
        let mut builder = builder.additional();
        if let Some(edns) = self.edns {
            builder
                .opt(|opt| {
                    opt.set_udp_payload_size(edns.udp_size);
                    opt.set_dnssec_ok(edns.dnssec_ok);
                    Ok(())
                })
                .expect("an OPT record without options fits into a vector");
        }
        builder.finish()
    }

    /// Reads a query, as a server has to.
    pub fn parse(octets: &[u8]) -> Result<Self, BadQuery> {
        let message = Message::from_octets(octets).map_err(|_| BadQuery {
            cause: MessageError::Short {
                length: octets.len(),
            },
            reply: None,
        })?;
        let header = message.header();
        if header.qr() {
            // Answering a response would make two servers talk to each other for ever.
            return Err(BadQuery {
                cause: MessageError::NotAResponse,
                reply: None,
            });
        }
        let refuse = |cause, rcode, question| BadQuery {
            cause,
            reply: Some(Box::new(Response {
                id: header.id(),
                rcode,
                authoritative: false,
                truncated: false,
                recursion_desired: header.rd(),
                recursion_available: false,
                authentic_data: false,
                checking_disabled: header.cd(),
                question,
                answer: Vec::new(),
                authority: Vec::new(),
                additional: Vec::new(),
                edns: None,
            })),
        };
        let malformed = |section| MessageError::Malformed { section };
        if header.opcode() != Opcode::QUERY {
            return Err(refuse(malformed("header"), Rcode::NOTIMP, None));
        }
        let question = match read_question(&message) {
            Ok(Some(question)) => question,
            Ok(None) => {
                return Err(refuse(
                    MessageError::Questions { count: 0 },
                    Rcode::FORMERR,
                    None,
                ));
            }
            Err(cause @ MessageError::Class { .. }) => {
                return Err(refuse(cause, Rcode::REFUSED, None));
            }
            Err(cause) => return Err(refuse(cause, Rcode::FORMERR, None)),
        };
        let mut opt: Option<Opt> = None;
        let additional = message.additional().map_err(|_| malformed("additional"));
        additional
            .and_then(|section| read_section(section, "additional", Some(&mut opt)))
            .map_err(|cause| refuse(cause, Rcode::FORMERR, Some(question.clone())))?;
        if opt.is_some_and(|opt| opt.version > 0) {
            // RFC 6891 section 6.1.3.
            return Err(refuse(
                malformed("OPT version"),
                Rcode::BADVERS,
                Some(question),
            ));
        }
        Ok(Self {
            id: header.id(),
            question,
            recursion_desired: header.rd(),
            checking_disabled: header.cd(),
            edns: opt.map(|opt| opt.edns),
        })
    }

    /// How many octets a UDP response may have: what EDNS says, 512 without, and never less (RFC 6891 section 6.2.5).
    pub fn udp_limit(&self) -> usize {
        let size = self.edns.map_or(Edns::MINIMUM, |edns| edns.udp_size);
        usize::from(size.max(Edns::MINIMUM))
    }
}

/// Octets that are no query we can answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct BadQuery {
    /// What is wrong.
    pub cause: MessageError,
    /// What a server should send back; `None` when it should stay silent.
    pub reply: Option<Box<Response>>,
}
