//! Outcomes in words: short ones for the table, longer ones for evidence.

use super::observation::{
    ClientOutcome, ConnectError, ConnectFailure, IcmpError, QuicFailure, TalkError,
};
use super::{Family, observation::Trust};
use std::fmt;
use std::io;
use std::time::Duration;

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("refused"),
            Self::Prohibited => f.write_str("prohibited"),
            Self::NoRoute => f.write_str("no route"),
            Self::HostUnreachable => f.write_str("host unreachable"),
            Self::TimedOut => f.write_str("timeout"),
            Self::Local(errno) => {
                let text = io::Error::from_raw_os_error(*errno).to_string();
                let text = text
                    .split(" (os error")
                    .next()
                    .unwrap_or_default()
                    .to_lowercase();
                write!(f, "not sent: {text}")
            }
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.icmp) {
            (ConnectFailure::TimedOut, None) => f.write_str("no answer"),
            (ConnectFailure::Refused, None) => f.write_str("refused with a TCP reset"),
            (kind, None) => kind.fmt(f),
            (_, Some(icmp)) => icmp.fmt(f),
        }
    }
}

impl fmt::Display for IcmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (protocol, meaning) = match (self.family, self.kind, self.code) {
            (Family::V6, 1, code) => (
                "ICMPv6",
                match code {
                    0 => "no route to destination",
                    1 => "administratively prohibited",
                    2 => "beyond scope of source address",
                    3 => "address unreachable",
                    4 => "port unreachable",
                    5 => "source address failed policy",
                    6 => "reject route to destination",
                    _ => "destination unreachable",
                },
            ),
            (Family::V6, 3, _) => ("ICMPv6", "hop limit exceeded"),
            (Family::V6, _, _) => ("ICMPv6", "error"),
            (Family::V4, 3, code) => (
                "ICMP",
                match code {
                    0 | 6 | 11 => "network unreachable",
                    1 | 7 | 12 => "host unreachable",
                    2 => "protocol unreachable",
                    3 => "port unreachable",
                    9 | 10 | 13 => "administratively prohibited",
                    _ => "destination unreachable",
                },
            ),
            (Family::V4, 11, _) => ("ICMP", "time to live exceeded"),
            (Family::V4, _, _) => ("ICMP", "error"),
        };
        write!(f, "{protocol} {}/{} ({meaning})", self.kind, self.code)?;
        match self.from {
            Some(from) => write!(f, " from {from}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stalled { received: 0 } => f.write_str("stalled"),
            Self::Stalled { received } => write!(f, "stalled after {received} bytes"),
            Self::Reset => f.write_str("reset"),
            Self::Closed => f.write_str("closed"),
            Self::Alert(alert) => write!(f, "TLS alert: {alert}"),
            Self::Garbled(what) => write!(f, "unexpected: {what}"),
            Self::Unsent(why) => write!(f, "not sent: {why}"),
        }
    }
}

impl fmt::Display for QuicFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("timeout"),
            Self::GivenUp => f.write_str("no answer, not waited for"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trusted => f.write_str("trusted"),
            Self::Distrusted(why) => write!(f, "not trusted: {why}"),
            Self::Unknown => f.write_str("not compared with any roots"),
        }
    }
}

impl fmt::Display for ClientOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done { detail } | Self::Failed { detail } => f.write_str(detail),
            Self::Stopped => f.write_str("stopped: no result within 20 s"),
            Self::NotStarted { why } => write!(f, "could not be started: {why}"),
        }
    }
}

/// `4.9 s`, `13 ms`, `0.4 ms`.
pub(super) fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds >= 0.9995 {
        format!("{seconds:.1} s")
    } else if seconds >= 0.01 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{:.1} ms", seconds * 1e3)
    }
}

/// `36 %`, `0.5 %`.
pub(super) fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.01 {
        format!("{:.1} %", share * 1e2)
    } else {
        format!("{:.0} %", share * 1e2)
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match texts.pop() {
        None => String::new(),
        Some(last) if texts.is_empty() => last,
        Some(last) => format!("{} and {last}", texts.join(", ")),
    }
}

/// The same with each item in backticks.
pub(super) fn quoted<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    list(items.into_iter().map(|item| format!("`{item}`")))
}

/// `port 80`, `ports 80 and 443`.
pub(super) fn ports<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    let word = if texts.len() == 1 { "port" } else { "ports" };
    format!("{word} {}", list(texts))
}

/// `1 attempt`, `6 attempts`.
pub(super) fn count(number: impl Into<u64>, what: &str) -> String {
    match number.into() {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_few_digits() {
        let check = |micros, text: &str| assert_eq!(span(Duration::from_micros(micros)), text);
        check(4_980_000, "5.0 s");
        check(999_600, "1.0 s");
        check(14_300, "14 ms");
        check(412, "0.4 ms");
    }

    #[test]
    fn lists_read_like_sentences() {
        assert_eq!(list(["a"; 0]), "");
        assert_eq!(list(["a"]), "a");
        assert_eq!(list(["a", "b", "c"]), "a, b and c");
        assert_eq!(quoted(["a", "b"]), "`a` and `b`");
        assert_eq!(
            (count(1_u32, "attempt"), count(0_u32, "attempt")),
            ("1 attempt".to_owned(), "0 attempts".to_owned())
        );
        assert_eq!(
            (ports([80]), ports([80, 443])),
            ("port 80".to_owned(), "ports 80 and 443".to_owned())
        );
    }

    #[test]
    fn icmp_errors_name_type_code_meaning_and_sender() {
        let icmp = IcmpError {
            family: Family::V6,
            kind: 1,
            code: 1,
            from: Some("2e00:5::1".parse().unwrap()),
        };
        let error = ConnectError {
            kind: ConnectFailure::Prohibited,
            icmp: Some(icmp),
        };
        assert_eq!(
            error.to_string(),
            "ICMPv6 1/1 (administratively prohibited) from 2e00:5::1"
        );
        assert_eq!(error.kind.to_string(), "prohibited");
    }
}
