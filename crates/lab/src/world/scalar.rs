//! Single values of a world file: durations, rates, shares, addresses, prefixes, names.

use super::model::Prefix;
use std::net::IpAddr;
use std::time::Duration;

/// Why a text is not the value that was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// What is wrong, starting with the text itself.
    pub(super) message: String,
    /// What would be right.
    pub(super) hint: String,
}

fn refuse<T>(message: String, hint: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal {
        message,
        hint: hint.into(),
    })
}

/// The longest duration: longer is a typing error, and sums of several stay far from overflow.
const LONGEST: Duration = Duration::from_hours(1);

/// `20ms`, `1.5s`, `250us`, `2m`.
pub(super) fn duration(text: &str) -> Result<Duration, Refusal> {
    const HINT: &str = "write a number with `us`, `ms`, `s` or `m`, such as `20ms`";
    let (number, unit) = split_unit(text);
    let scale = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "" if number == "0" => 1.0,
        _ => return refuse(format!("`{text}` is not a duration"), HINT),
    };
    let Some(number) = decimal(number) else {
        return refuse(format!("`{text}` is not a duration"), HINT);
    };
    match Duration::try_from_secs_f64(number * scale) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        _ => refuse(format!("`{text}` is too long"), "at most `60m`"),
    }
}

/// `100mbit`, `1.5gbit`, `64kbit`: bits a second.
pub(super) fn rate(text: &str) -> Result<u64, Refusal> {
    const HINT: &str = "write a number with `bit`, `kbit`, `mbit` or `gbit`, such as `100mbit`";
    let (number, unit) = split_unit(text);
    let scale: u64 = match unit {
        "bit" => 1,
        "kbit" => 1_000,
        "mbit" => 1_000_000,
        "gbit" => 1_000_000_000,
        _ => return refuse(format!("`{text}` is not a rate"), HINT),
    };
    // Thousandths keep `1.5gbit` exact without floating point.
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 3 {
        return refuse(format!("`{text}` is not a rate"), HINT);
    }
    let thousandths = format!("{whole}{part:0<3}").parse::<u64>().ok();
    match thousandths.and_then(|number| number.checked_mul(scale)) {
        Some(rate) if (1_000_000..=1_000_000_000_000_000).contains(&rate) => Ok(rate / 1000),
        _ => refuse(
            format!("`{text}` is out of range"),
            "between `1kbit` and `1000gbit`",
        ),
    }
}

/// `5%` or `0.05`.
pub(super) fn ratio(text: &str) -> Result<f64, Refusal> {
    const HINT: &str = "write `5%` or `0.05`";
    let (number, scale) = text
        .strip_suffix('%')
        .map_or((text, 1.0), |number| (number.trim_end(), 100.0));
    let Some(number) = decimal(number) else {
        return refuse(format!("`{text}` is not a share"), HINT);
    };
    if number <= scale {
        Ok(number / scale)
    } else if scale < 2.0 && number <= 100.0 {
        refuse(
            format!("`{text}` is more than everything"),
            format!("did you mean `{text}%`?"),
        )
    } else {
        refuse(
            format!("`{text}` is more than everything"),
            "at most `100%`",
        )
    }
}

/// `2e00:5::80` or `198.51.100.80`.
pub(super) fn address(text: &str) -> Result<IpAddr, Refusal> {
    text.parse().or_else(|_| {
        refuse(
            format!("`{text}` is not an address"),
            "write one such as `2e00:5::80` or `198.51.100.80`",
        )
    })
}

/// `2e00:5::/64`, `198.51.100.0/24`, or one address for itself.
pub(super) fn prefix(text: &str) -> Result<Prefix, Refusal> {
    const HINT: &str = "write one such as `2e00:5::/64` or `198.51.100.0/24`";
    let malformed = || Refusal {
        message: format!("`{text}` is not a prefix"),
        hint: HINT.to_owned(),
    };
    let (network, length) = text
        .split_once('/')
        .map_or((text, None), |(network, length)| (network, Some(length)));
    let address: IpAddr = network.parse().map_err(|_| malformed())?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let length = match length {
        None => longest,
        Some(length) if length.starts_with('+') => return Err(malformed()),
        Some(length) => length.parse().map_err(|_| malformed())?,
    };
    if length > longest {
        return refuse(
            format!("`{text}` has a length of more than {longest} bits"),
            HINT,
        );
    }
    let first = first_of(address, length);
    if first == address {
        Ok(Prefix { address, length })
    } else {
        refuse(
            format!("`{text}` has bits set behind its first {length}"),
            format!("the prefix is `{first}/{length}`"),
        )
    }
}

/// The address with everything behind the first bits zero.
fn first_of(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX
                .checked_shl(32u32.saturating_sub(length.into()))
                .unwrap_or(0);
            IpAddr::V4((u32::from(address) & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX
                .checked_shl(128u32.saturating_sub(length.into()))
                .unwrap_or(0);
            IpAddr::V6((u128::from(address) & mask).into())
        }
    }
}

/// The name of a network, host or service: it becomes a host name and part of file names.
pub(super) fn label(text: &str) -> Result<(), Refusal> {
    let legal = (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if legal {
        Ok(())
    } else {
        refuse(
            format!("`{text}` is not a name"),
            "names have 1 to 32 lower case letters, digits and `-`, no `-` first",
        )
    }
}

/// The candidate that looks most like what was written, if any does.
pub(super) fn nearest<'a>(
    written: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Comparing is quadratic in the length, and nobody mistypes something that long.
    if written.len() > 64 {
        return None;
    }
    let written = written.to_ascii_lowercase().replace('_', "-");
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&written, candidate), candidate))
        .filter(|(distance, candidate)| {
            *distance <= (candidate.len() / 4).saturating_add(1) || candidate.starts_with(&written)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn split_unit(text: &str) -> (&str, &str) {
    let at = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    (number, unit.trim_start())
}

/// A plain decimal number: no sign, exponent, `inf` or `nan`.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.starts_with(|c: char| c.is_ascii_digit())
        && text.len() <= 20
        && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let check = |text, expected: Option<u64>| {
            let micros = duration(text).ok().map(|d| d.as_micros());
            assert_eq!(micros, expected.map(u128::from), "{text}");
        };
        check("20ms", Some(20_000));
        check("1.5s", Some(1_500_000));
        check("3 s", Some(3_000_000));
        check("250us", Some(250));
        check("2m", Some(120_000_000));
        check("0", Some(0));
        for bad in [
            "20", "ms", "-1s", "1e3s", "20MS", "1.2.3s", "nan s", "", "61m", "1h",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn rates_are_bits_a_second() {
        assert_eq!(rate("100mbit"), Ok(100_000_000));
        assert_eq!(rate("1.5gbit"), Ok(1_500_000_000));
        assert_eq!(rate("64kbit"), Ok(64_000));
        for bad in [
            "100",
            "100MB",
            "0mbit",
            ".5gbit",
            "1.2345gbit",
            "9999gbit",
            "-1kbit",
        ] {
            assert!(rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_are_percent_or_at_most_one() {
        assert_eq!(ratio("5%"), Ok(0.05));
        assert_eq!(ratio("0.05"), Ok(0.05));
        assert_eq!(ratio("100 %"), Ok(1.0));
        assert_eq!(ratio("5").unwrap_err().hint, "did you mean `5%`?");
        assert_eq!(ratio("101%").unwrap_err().hint, "at most `100%`");
        for bad in ["", "%", "five", "-1%", "inf", "1e-3"] {
            assert!(ratio(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn prefixes_have_no_host_bits() {
        let check = |text, length: Option<u8>| {
            assert_eq!(prefix(text).ok().map(|p| p.length), length, "{text}");
        };
        check("2e00:5::/64", Some(64));
        check("2e00:5::80", Some(128));
        check("0.0.0.0/0", Some(0));
        check("198.51.100.80", Some(32));
        assert_eq!(
            prefix("2e00:5::80/64").unwrap_err().hint,
            "the prefix is `2e00:5::/64`"
        );
        for bad in [
            "",
            "/",
            "1.2.3.4/",
            "1.2.3.4/33",
            "::/129",
            "::/+4",
            "::/-1",
            "x/64",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn nearest_is_near() {
        assert_eq!(nearest("deley", ["delay", "loss"]), Some("delay"));
        assert_eq!(
            nearest("near_miss_of", ["near-miss-of"]),
            Some("near-miss-of")
        );
        assert_eq!(nearest("address", ["addresses"]), Some("addresses"));
        assert_eq!(nearest("volume", ["delay", "loss"]), None);
    }
}
