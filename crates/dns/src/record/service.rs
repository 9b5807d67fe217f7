//! The parameters of SVCB and HTTPS records (RFC 9460 section 2.2 and 7).

use super::Quoted;
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The parameters, by key: each key at most once, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceParams(BTreeMap<u16, ServiceParam>);

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ServiceParam {
    /// Keys that a client must understand.
    Mandatory(Vec<u16>),
    /// Application protocols: `h3`, `h2`.
    Alpn(Vec<Vec<u8>>),
    /// The scheme's default protocol is not supported.
    NoDefaultAlpn,
    /// A port other than the scheme's.
    Port(u16),
    /// IPv4 addresses to try before A has arrived.
    Ipv4Hint(Vec<Ipv4Addr>),
    /// IPv6 addresses to try before AAAA has arrived.
    Ipv6Hint(Vec<Ipv6Addr>),
    /// Any other key, or a known key whose value is not what its specification says, so that nothing is lost.
    Other {
        /// The key.
        key: u16,
        /// The value as on the wire.
        value: Vec<u8>,
    },
}

const MANDATORY: u16 = 0;
const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT: u16 = 3;
const IPV4HINT: u16 = 4;
const ECH: u16 = 5;
const IPV6HINT: u16 = 6;
const DOHPATH: u16 = 7;
const OHTTP: u16 = 8;

const NAMES: [(u16, &str); 9] = [
    (MANDATORY, "mandatory"),
    (ALPN, "alpn"),
    (NO_DEFAULT_ALPN, "no-default-alpn"),
    (PORT, "port"),
    (IPV4HINT, "ipv4hint"),
    (ECH, "ech"),
    (IPV6HINT, "ipv6hint"),
    (DOHPATH, "dohpath"),
    (OHTTP, "ohttp"),
];

impl ServiceParams {
    /// From single parameters; a key that comes twice keeps its last value.
    pub fn new(params: impl IntoIterator<Item = ServiceParam>) -> Self {
        Self(
            params
                .into_iter()
                .map(|param| (param.key(), param))
                .collect(),
        )
    }

    /// The parameters in ascending order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &ServiceParam> {
        self.0.values()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Application protocols.
    pub fn alpn(&self) -> Vec<String> {
        match self.0.get(&ALPN) {
            Some(ServiceParam::Alpn(ids)) => ids
                .iter()
                .map(|id| String::from_utf8_lossy(id).into_owned())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the scheme's default protocol is excluded.
    pub fn no_default_alpn(&self) -> bool {
        self.0.contains_key(&NO_DEFAULT_ALPN)
    }

    /// The port, if it is not the scheme's.
    pub fn port(&self) -> Option<u16> {
        match self.0.get(&PORT) {
            Some(ServiceParam::Port(port)) => Some(*port),
            _ => None,
        }
    }

    /// IPv4 hints.
    pub fn ipv4hint(&self) -> &[Ipv4Addr] {
        match self.0.get(&IPV4HINT) {
            Some(ServiceParam::Ipv4Hint(addresses)) => addresses,
            _ => &[],
        }
    }

    /// IPv6 hints.
    pub fn ipv6hint(&self) -> &[Ipv6Addr] {
        match self.0.get(&IPV6HINT) {
            Some(ServiceParam::Ipv6Hint(addresses)) => addresses,
            _ => &[],
        }
    }

    /// The wire format: key, length and value of each, ascending.
    pub(crate) fn to_wire(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        for (key, param) in &self.0 {
            let value = param.value();
            let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
            octets.extend_from_slice(&key.to_be_bytes());
            octets.extend_from_slice(&length.to_be_bytes());
            octets.extend(value.into_iter().take(usize::from(length)));
        }
        octets
    }

    /// Adds what was read; `false` if the key is there already.
    pub(super) fn insert(&mut self, param: ServiceParam) -> bool {
        self.0.insert(param.key(), param).is_none()
    }
}

impl ServiceParam {
    /// The key's number.
    pub const fn key(&self) -> u16 {
        match self {
            Self::Mandatory(_) => MANDATORY,
            Self::Alpn(_) => ALPN,
            Self::NoDefaultAlpn => NO_DEFAULT_ALPN,
            Self::Port(_) => PORT,
            Self::Ipv4Hint(_) => IPV4HINT,
            Self::Ipv6Hint(_) => IPV6HINT,
            Self::Other { key, .. } => *key,
        }
    }

    /// Reads one value from the wire; what does not fit its key stays as octets.
    pub(crate) fn from_wire(key: u16, value: &[u8]) -> Self {
        let known = match key {
            MANDATORY => chunks::<2>(value)
                .map(|keys| Self::Mandatory(keys.into_iter().map(u16::from_be_bytes).collect())),
            ALPN => alpn_ids(value).map(Self::Alpn),
            NO_DEFAULT_ALPN if value.is_empty() => Some(Self::NoDefaultAlpn),
            PORT => value
                .try_into()
                .ok()
                .map(|port| Self::Port(u16::from_be_bytes(port))),
            IPV4HINT => chunks::<4>(value)
                .map(|hints| Self::Ipv4Hint(hints.into_iter().map(Ipv4Addr::from).collect())),
            IPV6HINT => chunks::<16>(value)
                .map(|hints| Self::Ipv6Hint(hints.into_iter().map(Ipv6Addr::from).collect())),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other {
            key,
            value: value.to_vec(),
        })
    }

    fn value(&self) -> Vec<u8> {
        match self {
            Self::Mandatory(keys) => keys.iter().flat_map(|key| key.to_be_bytes()).collect(),
            Self::Alpn(ids) => ids
                .iter()
                .flat_map(|id| {
                    let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
                    std::iter::once(length).chain(id.iter().take(usize::from(length)).copied())
                })
                .collect(),
            Self::NoDefaultAlpn => Vec::new(),
            Self::Port(port) => port.to_be_bytes().to_vec(),
            Self::Ipv4Hint(hints) => hints.iter().flat_map(Ipv4Addr::octets).collect(),
            Self::Ipv6Hint(hints) => hints.iter().flat_map(Ipv6Addr::octets).collect(),
            Self::Other { value, .. } => value.clone(),
        }
    }
}

/// The name of a key, `key667` for one without.
pub(super) fn key_name(key: u16) -> String {
    NAMES
        .iter()
        .find(|(number, _)| *number == key)
        .map_or_else(|| format!("key{key}"), |(_, name)| (*name).to_owned())
}

/// The number of a key.
pub(super) fn key_number(name: &str) -> Option<u16> {
    if let Some((number, _)) = NAMES.iter().find(|(_, known)| *known == name) {
        return Some(*number);
    }
    let digits = name.strip_prefix("key")?;
    digits
        .parse()
        .ok()
        .filter(|number: &u16| number.to_string() == digits)
}

/// `alpn=h3,h2`.
impl fmt::Display for ServiceParam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = key_name(self.key());
        match self {
            Self::Mandatory(keys) => {
                let keys: Vec<String> = keys.iter().copied().map(key_name).collect();
                write!(f, "{name}={}", keys.join(","))
            }
            Self::Alpn(ids) => {
                let plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"-._/".contains(octet);
                if ids.iter().all(|id| id.iter().all(plain)) {
                    let ids: Vec<_> = ids.iter().map(|id| String::from_utf8_lossy(id)).collect();
                    return write!(f, "{name}={}", ids.join(","));
                }
                // RFC 9460 appendix A.1: a comma or backslash inside an id is escaped once for the list and, as
                // everything, once more for the character string.
                let list: Vec<Vec<u8>> = ids.iter().map(|id| escape_list_item(id)).collect();
                write!(f, "{name}=\"{}\"", Quoted(&list.join(&b',')))
            }
            Self::NoDefaultAlpn => f.write_str(&name),
            Self::Port(port) => write!(f, "{name}={port}"),
            Self::Ipv4Hint(hints) => {
                let hints: Vec<String> = hints.iter().map(Ipv4Addr::to_string).collect();
                write!(f, "{name}={}", hints.join(","))
            }
            Self::Ipv6Hint(hints) => {
                let hints: Vec<String> = hints.iter().map(Ipv6Addr::to_string).collect();
                write!(f, "{name}={}", hints.join(","))
            }
            // Deviation: values of `ech` and of known keys that do not fit would need the key's own syntax; the
            // generic `keyN` spelling holds any octets (RFC 9460 section 2.1) and reads back the same.
            Self::Other { key, value } if value.is_empty() => write!(f, "key{key}"),
            Self::Other { key, value } => write!(f, "key{key}=\"{}\"", Quoted(value)),
        }
    }
}

fn escape_list_item(item: &[u8]) -> Vec<u8> {
    item.iter()
        .flat_map(|octet| {
            let escape = matches!(octet, b',' | b'\\').then_some(b'\\');
            escape.into_iter().chain(std::iter::once(*octet))
        })
        .collect()
}

/// All of it in pieces of `N`, at least one.
fn chunks<const N: usize>(value: &[u8]) -> Option<Vec<[u8; N]>> {
    let (pieces, rest) = value.as_chunks::<N>();
    (rest.is_empty() && !pieces.is_empty()).then(|| pieces.to_vec())
}

/// Length-prefixed, non-empty ids, at least one (RFC 9460 section 7.1.1).
fn alpn_ids(mut value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut ids = Vec::new();
    while let Some((length, rest)) = value.split_first() {
        let (id, rest) = rest.split_at_checked(usize::from(*length))?;
        if id.is_empty() {
            return None;
        }
        ids.push(id.to_vec());
        value = rest;
    }
    (!ids.is_empty()).then_some(ids)
}
