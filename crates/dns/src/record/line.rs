//! One line of a zone file: owner, TTL, class, type, data.
//!
//! Tokens carry their column, so that a message can point at the very word. The common types are read here; for the
//! rest the codec reads the data, and the column is that of the data as a whole. Not a zone-file reader: no `$`
//! directives, no records over several lines, no owner taken from the line before.

mod param;
mod token;

use super::service::key_name;
use super::{Data, Record, RecordType, ServiceBinding, ServiceParams, Soa, Ttl};
use crate::codec::{data_from_octets, octets_of};
use crate::name::Name;
use domain::base::iana::Class;
use domain::zonefile::inplace::{Entry, Zonefile};
use param::param_of;
use token::{Token, tokens, unescape};

/// Reads a record such as `www 300 IN AAAA 2001:db8::1`.
///
/// Names without a final dot are below `origin`, `@` is `origin`. TTL and class may be missing or swapped; the class
/// is IN. A TTL may have units (`1h30m`). Comments and parentheses are allowed within the line.
pub fn parse_record_line(
    line: &str,
    origin: &Name,
    default_ttl: Ttl,
) -> Result<Record, RecordError> {
    let tokens = tokens(line)?;
    let end = line.chars().count().saturating_add(1);
    let mut reader = Reader {
        tokens: &tokens,
        origin,
        end,
    };
    let owner = reader.next("the owner's name")?;
    if owner.column > 1 {
        return Err(RecordError::at(
            1,
            "the line begins with a blank, and there is no earlier owner to take over",
        ));
    }
    if owner.raw.starts_with('$') {
        return Err(RecordError::at(
            1,
            format!(
                "`{}` is a zone-file directive; one record is wanted here",
                owner.raw
            ),
        ));
    }
    let owner = reader.name_of(owner)?;
    let mut ttl = None;
    let mut class_seen = false;
    let rtype = loop {
        let token = reader.next("a record type")?;
        if !class_seen && let Ok(class) = token.raw.parse::<Class>() {
            if class != Class::IN {
                return Err(RecordError::at(
                    token.column,
                    format!("class `{}` is not supported; only IN is", token.raw),
                ));
            }
            class_seen = true;
        } else if ttl.is_none() && token.raw.starts_with(|c: char| c.is_ascii_digit()) {
            ttl = Some(time_of(token, Ttl::MAX)?);
        } else {
            break token
                .raw
                .parse::<RecordType>()
                .map_err(|error| RecordError::at(token.column, error.to_string()))?;
        }
    };
    let data = reader.data(rtype)?;
    if let Some(extra) = reader.tokens.first() {
        return Err(RecordError::at(
            extra.column,
            format!("`{}` is one value too many for {rtype}", extra.raw),
        ));
    }
    Ok(Record {
        owner,
        ttl: ttl.unwrap_or(default_ttl),
        data,
    })
}

/// Why a line is not a record, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct RecordError {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// The column in characters, from 1.
    pub column: usize,
}

impl RecordError {
    fn at(column: usize, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            column,
        }
    }
}

/// Takes tokens from the front.
struct Reader<'a> {
    tokens: &'a [Token<'a>],
    origin: &'a Name,
    /// The column behind the line.
    end: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self, what: &str) -> Result<Token<'a>, RecordError> {
        let (token, rest) = self
            .tokens
            .split_first()
            .ok_or_else(|| RecordError::at(self.end, format!("{what} is missing")))?;
        self.tokens = rest;
        Ok(*token)
    }

    fn name_of(&self, token: Token<'_>) -> Result<Name, RecordError> {
        Name::parse_relative(token.raw, self.origin)
            .map_err(|error| RecordError::at(token.column, error.to_string()))
    }

    fn name(&mut self, what: &str) -> Result<Name, RecordError> {
        let token = self.next(what)?;
        self.name_of(token)
    }

    fn number<N: std::str::FromStr>(&mut self, what: &str, range: &str) -> Result<N, RecordError> {
        let token = self.next(what)?;
        token.raw.parse().map_err(|_| {
            RecordError::at(
                token.column,
                format!("`{}` is no {what}; it is a number {range}", token.raw),
            )
        })
    }

    fn data(&mut self, rtype: RecordType) -> Result<Data, RecordError> {
        if let Some(first) = self.tokens.first()
            && first.raw == "\\#"
            && !first.quoted
        {
            return self.generic(rtype);
        }
        Ok(match rtype {
            RecordType::A => Data::A(self.parsed("an IPv4 address such as 192.0.2.1")?),
            RecordType::AAAA => Data::Aaaa(self.parsed("an IPv6 address such as 2001:db8::1")?),
            RecordType::CNAME => Data::Cname(self.name("the target")?),
            RecordType::NS => Data::Ns(self.name("the name server")?),
            RecordType::PTR => Data::Ptr(self.name("the target")?),
            RecordType::MX => Data::Mx {
                preference: self.number("preference", "from 0 to 65535")?,
                exchange: self.name("the mail host")?,
            },
            RecordType::TXT => self.text()?,
            RecordType::SOA => Data::Soa(Soa {
                mname: self.name("the primary server")?,
                rname: self.name("the mailbox")?,
                serial: self.number("serial", "from 0 to 4294967295")?,
                refresh: self.time("the refresh time")?,
                retry: self.time("the retry time")?,
                expire: self.time("the expire time")?,
                minimum: self.time("the minimum TTL")?,
            }),
            RecordType::SVCB => Data::Svcb(self.binding()?),
            RecordType::HTTPS => Data::Https(self.binding()?),
            _ => self.by_codec(rtype)?,
        })
    }

    fn parsed<T: std::str::FromStr>(&mut self, what: &str) -> Result<T, RecordError> {
        let token = self.next(what)?;
        token
            .raw
            .parse()
            .map_err(|_| RecordError::at(token.column, format!("`{}` is not {what}", token.raw)))
    }

    fn time(&mut self, what: &str) -> Result<Ttl, RecordError> {
        // Servers hold any 32 bits here; only the TTL itself is limited by RFC 2181.
        time_of(self.next(what)?, Ttl::from_secs(u32::MAX))
    }

    fn text(&mut self) -> Result<Data, RecordError> {
        let mut strings = Vec::new();
        self.tokens
            .first()
            .ok_or_else(|| RecordError::at(self.end, "the text is missing"))?;
        for token in std::mem::take(&mut self.tokens) {
            let string = unescape(*token)?;
            if string.len() > usize::from(u8::MAX) {
                return Err(RecordError::at(
                    token.column,
                    format!(
                        "the string has {} octets; 255 is the most, split it into several",
                        string.len()
                    ),
                ));
            }
            strings.push(string);
        }
        Ok(Data::Txt(strings))
    }

    fn binding(&mut self) -> Result<ServiceBinding, RecordError> {
        let priority = self.number("priority", "from 0 to 65535")?;
        let target = self.name("the target")?;
        let mut params = ServiceParams::default();
        for token in std::mem::take(&mut self.tokens) {
            let param = param_of(*token)?;
            let key = param.key();
            if !params.insert(param) {
                return Err(RecordError::at(
                    token.column,
                    format!("`{}` comes twice", key_name(key)),
                ));
            }
        }
        Ok(ServiceBinding {
            priority,
            target,
            params,
        })
    }

    /// `\# length hex` (RFC 3597 section 5).
    fn generic(&mut self, rtype: RecordType) -> Result<Data, RecordError> {
        let marker = self.next("`\\#`")?;
        let length: u16 = self.number("length", "from 0 to 65535")?;
        let mut digits = Vec::new();
        for token in std::mem::take(&mut self.tokens) {
            for digit in token.raw.chars() {
                digits.push(digit.to_digit(16).ok_or_else(|| {
                    RecordError::at(token.column, format!("`{}` is not hexadecimal", token.raw))
                })?);
            }
        }
        let octets: Vec<u8> = digits
            .as_chunks::<2>()
            .0
            .iter()
            .filter_map(|[high, low]| u8::try_from(high << 4 | low).ok())
            .collect();
        if octets.len() != usize::from(length) || digits.len() % 2 != 0 {
            return Err(RecordError::at(
                marker.column,
                format!(
                    "{length} octets are announced, {} hex digits follow",
                    digits.len()
                ),
            ));
        }
        data_from_octets(rtype, &octets).ok_or_else(|| {
            RecordError::at(marker.column, format!("these octets are no {rtype} data"))
        })
    }

    /// The codec reads the data of the rarer types.
    fn by_codec(&mut self, rtype: RecordType) -> Result<Data, RecordError> {
        let Some(first) = self.tokens.first() else {
            return Err(RecordError::at(
                self.end,
                format!("the data of {rtype} are missing"),
            ));
        };
        let data: Vec<String> = self.tokens.iter().map(Token::quoted_again).collect();
        self.tokens = &[];
        let mut zone = Zonefile::from(format!(". 0 IN {rtype} {}\n", data.join(" ")).as_str());
        zone.set_origin(self.origin.as_domain().clone());
        let octets = match zone.next_entry() {
            Ok(Some(Entry::Record(record))) => octets_of(record.data()),
            Ok(_) => return Err(RecordError::at(first.column, format!("no {rtype} data"))),
            Err(error) => {
                // The codec's own line and column count inside the text made up above.
                let text = error.to_string();
                let message = text
                    .splitn(3, ':')
                    .last()
                    .unwrap_or(&text)
                    .trim()
                    .to_owned();
                return Err(RecordError::at(
                    first.column,
                    format!("these are no {rtype} data: {message}"),
                ));
            }
        };
        data_from_octets(rtype, &octets)
            .ok_or_else(|| RecordError::at(first.column, format!("these are no {rtype} data")))
    }
}

/// Seconds, or numbers with the units of BIND: `1w2d3h4m5s`.
fn time_of(token: Token<'_>, most: Ttl) -> Result<Ttl, RecordError> {
    let wrong = || {
        RecordError::at(
            token.column,
            format!(
                "`{}` is no time; write seconds up to {}, or units as in `1h30m`",
                token.raw,
                most.as_secs()
            ),
        )
    };
    let mut total = 0_u32;
    let mut digits = String::new();
    for character in token.raw.chars() {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let unit = match character.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return Err(wrong()),
        };
        let part = digits
            .parse::<u32>()
            .ok()
            .and_then(|count| count.checked_mul(unit));
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(wrong)?;
        digits.clear();
    }
    if !digits.is_empty() {
        // A bare number is seconds; behind a unit it would be a guess.
        if digits.len() != token.raw.len() {
            return Err(wrong());
        }
        total = digits.parse().map_err(|_| wrong())?;
    }
    Some(Ttl::from_secs(total))
        .filter(|ttl| *ttl <= most && !token.raw.is_empty())
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests;
