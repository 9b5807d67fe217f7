//! Records: an owner, a time to live and typed data. The class is always IN.

mod line;
mod service;
mod types;

pub use line::{RecordError, parse_record_line};
pub use service::{ServiceParam, ServiceParams};
pub use types::{RecordType, Ttl, UnknownType};

use crate::name::Name;
use domain::base::ParsedName;
use domain::base::rdata::ParseRecordData;
use domain::base::zonefile_fmt::{DisplayKind, ZonefileFmt};
use domain::dep::octseq::Parser;
use domain::rdata::ZoneRecordData;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A record of class IN.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// The owner.
    pub owner: Name,
    /// How long it may be kept.
    pub ttl: Ttl,
    /// Type and data.
    pub data: Data,
}

impl Record {
    /// The record's type.
    pub const fn rtype(&self) -> RecordType {
        self.data.rtype()
    }
}

/// One line of a zone file.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:#} {} IN {} {}",
            self.owner,
            self.ttl.as_secs(),
            self.rtype(),
            self.data
        )
    }
}

/// The data of a record. `Display` is the presentation format of zone files, names with their final dot.
///
/// Equality follows DNS: names compare without case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Data {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The name that this one is an alias of.
    Cname(Name),
    /// A name server of the zone.
    Ns(Name),
    /// The name of an address.
    Ptr(Name),
    /// A mail exchanger.
    Mx {
        /// Lower is preferred.
        preference: u16,
        /// The host, or the root for "no mail" (RFC 7505).
        exchange: Name,
    },
    /// Character strings of up to 255 octets each.
    Txt(Vec<Vec<u8>>),
    /// The start of authority.
    Soa(Soa),
    /// Service binding (RFC 9460).
    Svcb(ServiceBinding),
    /// Service binding for HTTP (RFC 9460 section 9).
    Https(ServiceBinding),
    /// Any other type.
    Other {
        /// The type; none of those above.
        rtype: RecordType,
        /// The data in wire format, names in it uncompressed.
        octets: Vec<u8>,
    },
}

/// The data of a SOA record (RFC 1035 section 3.3.13).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Soa {
    /// The primary name server.
    pub mname: Name,
    /// The mailbox of who is responsible, `@` written as a dot.
    pub rname: Name,
    /// The version of the zone.
    pub serial: u32,
    /// How often secondaries ask.
    pub refresh: Ttl,
    /// How soon they ask again after a failure.
    pub retry: Ttl,
    /// When they give up.
    pub expire: Ttl,
    /// Upper limit for keeping negative answers (RFC 2308 section 4).
    pub minimum: Ttl,
}

/// The data of SVCB and HTTPS records.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceBinding {
    /// 0 is alias mode, anything else service mode, lower preferred.
    pub priority: u16,
    /// The target; the root means the owner itself in service mode.
    pub target: Name,
    /// The parameters.
    pub params: ServiceParams,
}

impl Data {
    /// The type that this is the data of.
    pub const fn rtype(&self) -> RecordType {
        match self {
            Self::A(_) => RecordType::A,
            Self::Aaaa(_) => RecordType::AAAA,
            Self::Cname(_) => RecordType::CNAME,
            Self::Ns(_) => RecordType::NS,
            Self::Ptr(_) => RecordType::PTR,
            Self::Mx { .. } => RecordType::MX,
            Self::Txt(_) => RecordType::TXT,
            Self::Soa(_) => RecordType::SOA,
            Self::Svcb(_) => RecordType::SVCB,
            Self::Https(_) => RecordType::HTTPS,
            Self::Other { rtype, .. } => *rtype,
        }
    }

    /// The address of an A or AAAA record.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::A(address) => Some(IpAddr::V4(*address)),
            Self::Aaaa(address) => Some(IpAddr::V6(*address)),
            _ => None,
        }
    }

    /// The text of a TXT record with its strings joined, as SPF (RFC 7208 section 3.3) and others read it.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Txt(strings) => Some(String::from_utf8_lossy(&strings.concat()).into_owned()),
            _ => None,
        }
    }
}

impl From<IpAddr> for Data {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::A(address),
            IpAddr::V6(address) => Self::Aaaa(address),
        }
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => write!(f, "{address}"),
            Self::Aaaa(address) => write!(f, "{address}"),
            Self::Cname(name) | Self::Ns(name) | Self::Ptr(name) => write!(f, "{name:#}"),
            Self::Mx {
                preference,
                exchange,
            } => write!(f, "{preference} {exchange:#}"),
            Self::Txt(strings) => {
                for (index, string) in strings.iter().enumerate() {
                    let space = if index == 0 { "" } else { " " };
                    write!(f, "{space}\"{}\"", Quoted(string))?;
                }
                Ok(())
            }
            Self::Soa(soa) => write!(
                f,
                "{:#} {:#} {} {} {} {} {}",
                soa.mname,
                soa.rname,
                soa.serial,
                soa.refresh.as_secs(),
                soa.retry.as_secs(),
                soa.expire.as_secs(),
                soa.minimum.as_secs()
            ),
            Self::Svcb(binding) | Self::Https(binding) => {
                write!(f, "{} {:#}", binding.priority, binding.target)?;
                for param in binding.params.iter() {
                    write!(f, " {param}")?;
                }
                Ok(())
            }
            Self::Other { rtype, octets } => display_other(*rtype, octets, f),
        }
    }
}

/// The presentation format of a type that the codec knows, or that of RFC 3597 section 5.
fn display_other(rtype: RecordType, octets: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut parser = Parser::from_ref(octets);
    let known =
        ZoneRecordData::<&[u8], ParsedName<&[u8]>>::parse_rdata(rtype.as_domain(), &mut parser)
            .ok()
            .flatten()
            .filter(|_| parser.remaining() == 0);
    match known {
        Some(ZoneRecordData::Unknown(_)) | None => {
            write!(f, "\\# {}", octets.len())?;
            if !octets.is_empty() {
                f.write_str(" ")?;
            }
            octets.iter().try_for_each(|octet| write!(f, "{octet:02X}"))
        }
        Some(data) => write!(f, "{}", data.display_zonefile(DisplayKind::Simple)),
    }
}

/// A character string for between double quotes.
struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for octet in self.0 {
            match octet {
                b'"' | b'\\' => write!(f, "\\{}", char::from(*octet))?,
                0x20..=0x7e => write!(f, "{}", char::from(*octet))?,
                _ => write!(f, "\\{octet:03}")?,
            }
        }
        Ok(())
    }
}
