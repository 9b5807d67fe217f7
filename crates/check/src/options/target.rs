//! A target as people write it: a name, `host:port`, a URL, an IPv4 or IPv6 address.
//!
//! Nothing is looked up here and nothing is guessed: what could mean two things is refused, with what to write
//! instead. Text is treated as the user's, so no input panics.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What to check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The text as the user wrote it.
    pub text: String,
    /// Name or address.
    pub host: TargetHost,
    /// `https` or `http` if a URL said so.
    pub scheme: Option<String>,
    /// The port if the target named one.
    pub port: Option<u16>,
    /// Path and query for HTTP; `/` unless a URL said otherwise.
    pub path: String,
}

/// A name to look up or an address to go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetHost {
    /// Lower case, without the final dot.
    Name(String),
    /// IPv4 literal.
    V4(Ipv4Addr),
    /// IPv6 literal (in URLs and with ports, in brackets).
    V6(Ipv6Addr),
}

impl TargetHost {
    /// The address, if it is one.
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// The name, if it is one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            Self::V4(_) | Self::V6(_) => None,
        }
    }
}

impl Target {
    /// Reads what a user wrote.
    ///
    /// An IPv6 address may stand alone without brackets; with a port or in a URL it needs them. A URL's fragment is
    /// dropped, since it never travels.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(TargetError::Empty);
        }
        if let Some(found) = trimmed
            .chars()
            .find(|c| c.is_whitespace() || c.is_control())
        {
            return Err(TargetError::Character {
                text: trimmed.to_owned(),
                character: found,
            });
        }
        let (scheme, authority, path) = if let Some((scheme, rest)) = trimmed.split_once("://") {
            let scheme = scheme.to_ascii_lowercase();
            if scheme != "http" && scheme != "https" {
                return Err(TargetError::Scheme { scheme });
            }
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            (Some(scheme), authority, request_path(path))
        } else if let Some((host, path)) = trimmed.split_once('/') {
            return Err(TargetError::PathWithoutScheme {
                host: host.to_owned(),
                path: path.to_owned(),
            });
        } else {
            (None, trimmed, "/".to_owned())
        };
        if let Some((_, host)) = authority.rsplit_once('@') {
            return Err(TargetError::Credentials {
                host: host.to_owned(),
            });
        }
        let (host, port) = host_and_port(authority, scheme.is_some())?;
        Ok(Self {
            text: trimmed.to_owned(),
            host,
            scheme,
            port,
            path,
        })
    }

    /// The host as it stands in a URL: IPv6 in brackets.
    pub fn url_host(&self) -> String {
        match &self.host {
            TargetHost::Name(name) => name.clone(),
            TargetHost::V4(address) => address.to_string(),
            TargetHost::V6(address) => format!("[{address}]"),
        }
    }
}

/// The path and query of a request: never empty, without fragment, other than visible ASCII percent-encoded.
fn request_path(text: &str) -> String {
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    let mut path = String::with_capacity(text.len() + 1);
    if !text.starts_with('/') {
        path.push('/');
    }
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push('%');
            path.extend([byte >> 4, byte & 0xf].map(hex_digit));
        }
    }
    path
}

fn hex_digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16)
        .unwrap_or('0')
        .to_ascii_uppercase()
}

fn host_and_port(authority: &str, in_url: bool) -> Result<(TargetHost, Option<u16>), TargetError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let Some((literal, after)) = rest.split_once(']') else {
            return Err(TargetError::Bracket {
                text: authority.to_owned(),
            });
        };
        let address = v6(literal)?;
        let port = match after.strip_prefix(':') {
            Some(port) => Some(port_number(port)?),
            None if after.is_empty() => None,
            None => {
                return Err(TargetError::Bracket {
                    text: authority.to_owned(),
                });
            }
        };
        return Ok((TargetHost::V6(address), port));
    }
    if authority.matches(':').count() > 1 {
        let address = v6(authority)?;
        if in_url {
            return Err(TargetError::BareV6InUrl { address });
        }
        return Ok((TargetHost::V6(address), None));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, Some(port_number(port)?)),
        None => (authority, None),
    };
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return Ok((TargetHost::V4(address), port));
    }
    Ok((TargetHost::Name(name(host)?), port))
}

fn v6(literal: &str) -> Result<Ipv6Addr, TargetError> {
    if let Some((address, zone)) = literal.split_once('%') {
        return Err(TargetError::Zone {
            address: address.to_owned(),
            zone: zone.to_owned(),
        });
    }
    literal.parse().map_err(|_| TargetError::MalformedV6 {
        text: literal.to_owned(),
    })
}

fn port_number(text: &str) -> Result<u16, TargetError> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(TargetError::Port {
            text: text.to_owned(),
        }),
    }
}

/// Lower case, without the final dot; at most 253 characters and 63 a label
/// ([RFC 1035, section 2.3.4](https://www.rfc-editor.org/rfc/rfc1035#section-2.3.4)).
fn name(text: &str) -> Result<String, TargetError> {
    let absolute = text.strip_suffix('.').unwrap_or(text);
    if absolute.is_empty() {
        return Err(TargetError::NoHost);
    }
    if !absolute.is_ascii() {
        return Err(TargetError::NotAscii {
            name: absolute.to_owned(),
        });
    }
    if absolute.len() > 253 {
        return Err(TargetError::NameTooLong {
            length: absolute.len(),
        });
    }
    for label in absolute.split('.') {
        if label.is_empty() {
            return Err(TargetError::EmptyLabel {
                name: text.to_owned(),
            });
        }
        if label.len() > 63 {
            return Err(TargetError::LabelTooLong {
                label: label.to_owned(),
            });
        }
        // An underscore is not a host name's, but service labels (`_sip._tcp`) and real zones have it.
        if let Some(character) = label
            .chars()
            .find(|c| !c.is_ascii_alphanumeric() && *c != '-' && *c != '_')
        {
            return Err(TargetError::Character {
                text: absolute.to_owned(),
                character,
            });
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(TargetError::Hyphen {
                label: label.to_owned(),
            });
        }
    }
    // No top-level domain is a number, so this was meant as an IPv4 address (RFC 3696, section 2).
    let last = absolute.rsplit_once('.').map_or(absolute, |(_, last)| last);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TargetError::MalformedV4 {
            text: absolute.to_owned(),
        });
    }
    Ok(absolute.to_ascii_lowercase())
}

/// Why a text is not a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// Nothing was written.
    #[error("the target is empty")]
    Empty,
    /// A URL or `:port` without a host.
    #[error("the target has no host")]
    NoHost,
    /// Neither http nor https.
    #[error("the scheme `{scheme}` is not one that can be checked")]
    Scheme {
        /// What stood before `://`.
        scheme: String,
    },
    /// `host/path`: could be a URL whose scheme is missing.
    #[error("`{host}/{path}` has a path, but no scheme")]
    PathWithoutScheme {
        /// Before the slash.
        host: String,
        /// Behind the slash.
        path: String,
    },
    /// `user:pass@host`. The message does not repeat the credentials.
    #[error("the target carries credentials before `@{host}`")]
    Credentials {
        /// Behind the `@`.
        host: String,
    },
    /// Brackets that do not enclose an IPv6 address, or something odd behind them.
    #[error("`{text}` is not an IPv6 address in brackets")]
    Bracket {
        /// Host and port.
        text: String,
    },
    /// Several colons, but no IPv6 address.
    #[error("`{text}` is not an IPv6 address")]
    MalformedV6 {
        /// The text.
        text: String,
    },
    /// An IPv6 address in a URL without its brackets.
    #[error("the IPv6 address `{address}` stands in a URL without brackets")]
    BareV6InUrl {
        /// The address.
        address: Ipv6Addr,
    },
    /// `fe80::1%eth0`.
    #[error("`{address}%{zone}` is an address that only the interface `{zone}` knows")]
    Zone {
        /// The address.
        address: String,
        /// The interface.
        zone: String,
    },
    /// A number where a name or an address is expected.
    #[error("`{text}` is not an IPv4 address")]
    MalformedV4 {
        /// The text.
        text: String,
    },
    /// Not a number from 1 to 65535.
    #[error("`{text}` is not a port")]
    Port {
        /// The text.
        text: String,
    },
    /// Letters outside ASCII.
    #[error("the name `{name}` has letters outside ASCII")]
    NotAscii {
        /// The name.
        name: String,
    },
    /// Longer than 253 characters.
    #[error("the name has {length} characters, and 253 is the longest that DNS can carry")]
    NameTooLong {
        /// Its length.
        length: usize,
    },
    /// A label longer than 63 characters.
    #[error("the label `{label}` has {} characters, and 63 is the longest", .label.len())]
    LabelTooLong {
        /// The label.
        label: String,
    },
    /// Two dots in a row, or one at the start.
    #[error("`{name}` has an empty label")]
    EmptyLabel {
        /// The name.
        name: String,
    },
    /// A character that no name has.
    #[error("`{text}` has the character {character:?}, which no host name has")]
    Character {
        /// The text around it.
        text: String,
        /// The character.
        character: char,
    },
    /// A label with a hyphen at an end.
    #[error("the label `{label}` begins or ends with a hyphen")]
    Hyphen {
        /// The label.
        label: String,
    },
}

impl TargetError {
    /// What to write instead.
    pub fn hint(&self) -> String {
        match self {
            Self::Empty | Self::NoHost => {
                "write a name, `name:port`, a URL or an address, such as `www.example.com`".to_owned()
            }
            Self::Scheme { .. } => {
                "write `http://` or `https://`, or `name:port` with `--profile tcp` for other protocols"
                    .to_owned()
            }
            Self::PathWithoutScheme { host, path } => format!("write `https://{host}/{path}`"),
            Self::Credentials { host } => format!("leave them out: `{host}`"),
            Self::Bracket { .. } => {
                "write `[2001:db8::1]` or, with a port, `[2001:db8::1]:443`".to_owned()
            }
            Self::MalformedV6 { .. } => {
                "an IPv6 address looks like `2001:db8::1`; with a port, `[2001:db8::1]:443`".to_owned()
            }
            Self::BareV6InUrl { address } => format!("write `[{address}]`"),
            Self::Zone { .. } => {
                "check an address that others can reach; link-local ones are never published".to_owned()
            }
            Self::MalformedV4 { .. } => {
                "an IPv4 address has four numbers from 0 to 255, such as `192.0.2.1`; a name ends in a word"
                    .to_owned()
            }
            Self::Port { .. } => "a port is a number from 1 to 65535".to_owned(),
            Self::NotAscii { name } => {
                format!("write its ASCII form, which begins with `xn--`; `idn2 {name}` prints it")
            }
            Self::NameTooLong { .. } | Self::LabelTooLong { .. } => {
                "check the spelling; was more than one target meant?".to_owned()
            }
            Self::EmptyLabel { .. } => "leave out the extra dot; one final dot is fine".to_owned(),
            Self::Character { .. } => {
                "a name has letters, digits, hyphens and dots; separate several targets by spaces \
                 outside quotes"
                    .to_owned()
            }
            Self::Hyphen { .. } => "leave out the hyphen".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
