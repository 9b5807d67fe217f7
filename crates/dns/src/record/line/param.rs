//! The parameters of SVCB and HTTPS records in text (RFC 9460 section 2.1 and appendix A).

use super::RecordError;
use super::token::{Token, unescape};
use crate::record::ServiceParam;
use crate::record::service::key_number;

/// One `key=value` of an SVCB or HTTPS record.
pub(super) fn param_of(token: Token<'_>) -> Result<ServiceParam, RecordError> {
    let wrong = |message: String| RecordError::at(token.column, message);
    let (name, value) = match token.raw.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (token.raw, None),
    };
    let key = key_number(name).ok_or_else(|| {
        wrong(format!(
            "`{name}` is no service parameter; some are `alpn`, `ipv6hint`, `port`, `key667`"
        ))
    })?;
    let value = unescape(Token {
        raw: value.unwrap_or_default(),
        quoted: false,
        ..token
    })?;
    if name.starts_with("key") {
        return Ok(ServiceParam::from_wire(key, &value));
    }
    let text = String::from_utf8_lossy(&value).into_owned();
    let items = || text.split(',').filter(|item| !item.is_empty());
    let param = match name {
        "mandatory" => items()
            .map(key_number)
            .collect::<Option<_>>()
            .map(ServiceParam::Mandatory),
        "alpn" => list_items(&value).map(ServiceParam::Alpn),
        "no-default-alpn" => value.is_empty().then_some(ServiceParam::NoDefaultAlpn),
        "port" => text.parse().ok().map(ServiceParam::Port),
        "ipv4hint" => items()
            .map(|item| item.parse().ok())
            .collect::<Option<_>>()
            .map(ServiceParam::Ipv4Hint),
        "ipv6hint" => items()
            .map(|item| item.parse().ok())
            .collect::<Option<_>>()
            .map(ServiceParam::Ipv6Hint),
        "ech" => base64(&value).map(|value| ServiceParam::Other { key, value }),
        _ => Some(ServiceParam::Other { key, value }),
    };
    let filled = |param: &ServiceParam| match param {
        ServiceParam::Mandatory(keys) => !keys.is_empty(),
        ServiceParam::Alpn(ids) => ids.iter().all(|id| (1..=255).contains(&id.len())),
        ServiceParam::Ipv4Hint(hints) => !hints.is_empty(),
        ServiceParam::Ipv6Hint(hints) => !hints.is_empty(),
        _ => true,
    };
    param
        .filter(filled)
        .ok_or_else(|| wrong(format!("`{text}` is no value for `{name}`")))
}

/// A comma-separated list in which `\,` and `\\` stand for themselves (RFC 9460 appendix A.1).
fn list_items(value: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut items = vec![Vec::new()];
    let mut octets = value.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b',' => items.push(Vec::new()),
            b'\\' => items.last_mut()?.push(*octets.next()?),
            _ => items.last_mut()?.push(*octet),
        }
    }
    Some(items)
}

fn base64(value: &[u8]) -> Option<Vec<u8>> {
    domain::utils::base64::decode(std::str::from_utf8(value).ok()?).ok()
}
