//! The only place that turns our data into the codec's and back.

use crate::name::Name;
use crate::record::{Data, RecordType, ServiceBinding, ServiceParam, ServiceParams, Soa, Ttl};
use bytes::Bytes;
use domain::base::iana::Rtype;
use domain::base::rdata::{ComposeRecordData, ParseRecordData, UnknownRecordData};
use domain::base::{Name as WireName, ParsedName, Serial, Ttl as WireTtl};
use domain::dep::octseq::Parser;
use domain::rdata::{A, Aaaa, AllRecordData, Cname, Mx, Ns, Ptr, Soa as WireSoa, ZoneRecordData};

/// The codec's data, as it is read from a message.
pub(crate) type ParsedData<'a> = AllRecordData<&'a [u8], ParsedName<&'a [u8]>>;

/// The codec's data, as it is written into a message.
pub(crate) type WireData = ZoneRecordData<Vec<u8>, WireName<Bytes>>;

/// Data from a message; `None` for types that are no records (OPT, TSIG).
pub(crate) fn data_of(rtype: Rtype, parsed: &ParsedData<'_>) -> Option<Data> {
    Some(match parsed {
        AllRecordData::A(a) => Data::A(a.addr()),
        AllRecordData::Aaaa(aaaa) => Data::Aaaa(aaaa.addr()),
        AllRecordData::Cname(cname) => Data::Cname(Name::from_domain(cname.cname())),
        AllRecordData::Ns(ns) => Data::Ns(Name::from_domain(ns.nsdname())),
        AllRecordData::Ptr(ptr) => Data::Ptr(Name::from_domain(ptr.ptrdname())),
        AllRecordData::Mx(mx) => Data::Mx {
            preference: mx.preference(),
            exchange: Name::from_domain(mx.exchange()),
        },
        AllRecordData::Txt(txt) => {
            let mut strings: Vec<Vec<u8>> = txt
                .iter_charstrs()
                .map(|string| string.as_slice().to_vec())
                .collect();
            // There has to be one (RFC 1035 3.3.14); who sends none means nothing else than an empty one.
            if strings.is_empty() {
                strings.push(Vec::new());
            }
            Data::Txt(strings)
        }
        AllRecordData::Soa(soa) => Data::Soa(Soa {
            mname: Name::from_domain(soa.mname()),
            rname: Name::from_domain(soa.rname()),
            serial: soa.serial().into_int(),
            refresh: Ttl::from_secs(soa.refresh().as_secs()),
            retry: Ttl::from_secs(soa.retry().as_secs()),
            expire: Ttl::from_secs(soa.expire().as_secs()),
            minimum: Ttl::from_secs(soa.minimum().as_secs()),
        }),
        AllRecordData::Svcb(svcb) => Data::Svcb(ServiceBinding {
            priority: svcb.priority(),
            target: Name::from_domain(svcb.target()),
            params: params_of(svcb.params().as_slice()),
        }),
        AllRecordData::Https(https) => Data::Https(ServiceBinding {
            priority: https.priority(),
            target: Name::from_domain(https.target()),
            params: params_of(https.params().as_slice()),
        }),
        AllRecordData::Opt(_) | AllRecordData::Tsig(_) => return None,
        other => Data::Other {
            rtype: RecordType::from_domain(rtype),
            octets: octets_of(other),
        },
    })
}

/// Data from its own octets, names in it uncompressed; `None` if they are not what the type says.
pub(crate) fn data_from_octets(rtype: RecordType, octets: &[u8]) -> Option<Data> {
    let mut parser = Parser::from_ref(octets);
    let parsed = ParsedData::parse_rdata(rtype.as_domain(), &mut parser).ok()??;
    if parser.remaining() > 0 {
        return None;
    }
    data_of(rtype.as_domain(), &parsed)
}

/// The octets of data, names in it uncompressed.
pub(crate) fn octets_of(data: &impl ComposeRecordData) -> Vec<u8> {
    let mut octets = Vec::new();
    // A vector grows: composing into it has no error to give.
    match data.compose_rdata(&mut octets) {
        Ok(()) => octets,
        Err(error) => match error {},
    }
}

/// Data for a message; names of the types that allow it (RFC 3597 section 4) get compressed there.
pub(crate) fn wire_data(data: &Data) -> Option<WireData> {
    let name = |name: &Name| name.as_domain().clone();
    let ttl = |ttl: Ttl| WireTtl::from_secs(ttl.as_secs());
    Some(match data {
        Data::A(address) => A::new(*address).into(),
        Data::Aaaa(address) => Aaaa::new(*address).into(),
        Data::Cname(target) => Cname::new(name(target)).into(),
        Data::Ns(target) => Ns::new(name(target)).into(),
        Data::Ptr(target) => Ptr::new(name(target)).into(),
        Data::Mx {
            preference,
            exchange,
        } => Mx::new(*preference, name(exchange)).into(),
        Data::Soa(soa) => WireSoa::new(
            name(&soa.mname),
            name(&soa.rname),
            Serial(soa.serial),
            ttl(soa.refresh),
            ttl(soa.retry),
            ttl(soa.expire),
            ttl(soa.minimum),
        )
        .into(),
        Data::Txt(strings) => unknown(data.rtype(), text_octets(strings))?,
        Data::Svcb(binding) | Data::Https(binding) => {
            let mut octets = binding.priority.to_be_bytes().to_vec();
            octets.extend_from_slice(binding.target.as_wire());
            octets.extend(binding.params.to_wire());
            unknown(data.rtype(), octets)?
        }
        Data::Other { rtype, octets } => unknown(*rtype, octets.clone())?,
    })
}

/// `None` when the octets are more than a record can hold.
fn unknown(rtype: RecordType, octets: Vec<u8>) -> Option<WireData> {
    UnknownRecordData::from_octets(rtype.as_domain(), octets)
        .ok()
        .map(ZoneRecordData::Unknown)
}

/// Length-prefixed strings; longer ones are cut into pieces, none at all is one empty string (RFC 1035 3.3.14).
fn text_octets(strings: &[Vec<u8>]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut push = |piece: &[u8]| {
        octets.push(u8::try_from(piece.len()).unwrap_or(u8::MAX));
        octets.extend_from_slice(piece);
    };
    for string in strings {
        if string.is_empty() {
            push(&[]);
        }
        string.chunks(usize::from(u8::MAX)).for_each(&mut push);
    }
    if strings.is_empty() {
        push(&[]);
    }
    octets
}

/// Parameters from octets that the codec has checked: ascending keys, each with its length.
fn params_of(mut octets: &[u8]) -> ServiceParams {
    let mut params = Vec::new();
    while let Some((head, rest)) = octets.split_first_chunk::<4>() {
        let [key_high, key_low, length_high, length_low] = *head;
        let length = usize::from(u16::from_be_bytes([length_high, length_low]));
        let Some((value, rest)) = rest.split_at_checked(length) else {
            break;
        };
        let key = u16::from_be_bytes([key_high, key_low]);
        params.push(ServiceParam::from_wire(key, value));
        octets = rest;
    }
    ServiceParams::new(params)
}
