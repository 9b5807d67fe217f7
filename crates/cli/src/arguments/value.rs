//! Single values of the command line, and the file of targets.

use super::CommandLine;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use twinstack_check::options::{Target, TargetHost};

/// The longest timeout that makes sense; beyond it is a typing error.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(10);

pub(super) fn target(text: &str) -> Result<Target, String> {
    Target::parse(text).map_err(|error| error.to_string())
}

/// A duration: a number with `ms`, `s`, `m`, `h` or `d`; seconds without.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let malformed =
        || format!("`{text}` is not a duration; write `5s`, `800ms`, `2m`, or plain seconds");
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let factor = match unit.trim() {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(malformed()),
    };
    let number: f64 = number.parse().map_err(|_| malformed())?;
    Duration::try_from_secs_f64(number * factor).map_err(|_| malformed())
}

pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = duration(text)?;
    if timeout < Duration::from_millis(1) {
        return Err("an attempt needs at least a millisecond".to_owned());
    }
    if timeout > LONGEST_TIMEOUT {
        return Err(format!(
            "more than {} s for one attempt",
            LONGEST_TIMEOUT.as_secs()
        ));
    }
    Ok(timeout)
}

/// An address, with a port if it is not 53.
pub(crate) fn dns_server(text: &str) -> Result<SocketAddr, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 53));
    }
    match text.parse::<SocketAddr>() {
        Ok(server) if server.port() != 0 => Ok(server),
        Ok(_) => Err("port 0 cannot be asked".to_owned()),
        Err(_) => Err(format!(
            "`{text}` is not an address; write `192.0.2.53`, `192.0.2.53:5353`, `2001:db8::53` or `[2001:db8::53]:5353`"
        )),
    }
}

pub(super) fn doh_url(text: &str) -> Result<String, String> {
    let target = Target::parse(text).map_err(|error| error.to_string())?;
    if target.scheme.as_deref() == Some("https") {
        Ok(target.text)
    } else {
        Err("a DNS-over-HTTPS resolver is a URL such as `https://dns.example/dns-query`".to_owned())
    }
}

pub(super) fn name(text: &str) -> Result<String, String> {
    match Target::parse(text) {
        Ok(Target {
            host: TargetHost::Name(name),
            scheme: None,
            port: None,
            ..
        }) => Ok(name),
        Ok(_) => Err(format!("`{text}` is not a plain host name")),
        Err(error) => Err(error.to_string()),
    }
}

/// What `ssh` may take as its destination. A leading `-` would be an option to it.
pub(super) fn ssh_host(text: &str) -> Result<String, String> {
    if text.starts_with('-') || text.is_empty() || text.contains(char::is_whitespace) {
        Err(format!(
            "`{text}` is not a host for ssh; write `host`, `user@host` or a name of your ssh configuration"
        ))
    } else {
        Ok(text.to_owned())
    }
}

/// Splits as a shell would, and runs none.
pub(super) fn command_line(text: &str) -> Result<CommandLine, String> {
    match shlex::split(text) {
        Some(words) if !words.is_empty() => Ok(CommandLine(words)),
        Some(_) => Err("the command is empty".to_owned()),
        None => Err("a quotation mark or backslash is not closed".to_owned()),
    }
}

/// A command that passes ours on.
pub(super) fn via_command(text: &str) -> Result<CommandLine, String> {
    let command = command_line(text)?;
    let passes = |word: &String| word == "{command}" || word == "{arguments}";
    if command.0.iter().any(passes) {
        Ok(command)
    } else {
        Err("the command needs the word `{command}` or `{arguments}` in it".to_owned())
    }
}

/// The targets of a file: one a line, `#` at the beginning of a word begins a comment.
///
/// Errors are those of all lines, each with file and line.
pub(crate) fn targets_in_file(file: &str, text: &str) -> Result<Vec<Target>, Vec<String>> {
    let mut targets = Vec::new();
    let mut errors = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.lines().enumerate() {
        let line = without_comment(line);
        if line.is_empty() {
            continue;
        }
        match Target::parse(line) {
            Ok(target) => targets.push(target),
            Err(error) => errors.push(format!("{file}:{}: {error}", number + 1)),
        }
    }
    if targets.is_empty() && errors.is_empty() {
        errors.push(format!("{file}: no target in this file"));
    }
    if errors.is_empty() {
        Ok(targets)
    } else {
        Err(errors)
    }
}

/// A URL may hold a `#` too: only one behind a space, or at the beginning, begins a comment.
fn without_comment(line: &str) -> &str {
    let mut before = ' ';
    for (place, character) in line.char_indices() {
        if character == '#' && before.is_whitespace() {
            return line.get(..place).unwrap_or(line).trim();
        }
        before = character;
    }
    line.trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_numbers_with_a_unit_or_seconds() {
        let check = |text: &str, millis: u64| {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        };
        check("5s", 5000);
        check("800ms", 800);
        check("1.5", 1500);
        check("2m", 120_000);
        check("4h", 14_400_000);
        check("0", 0);
        for bad in [
            "",
            "s",
            "5x",
            "-5s",
            "1e3",
            "..",
            "5 s s",
            "nan",
            "99999999999999999999d",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn timeouts_are_neither_nothing_nor_for_ever() {
        assert!(timeout("0").is_err() && timeout("1h").is_err() && timeout("0.5ms").is_err());
        assert_eq!(timeout("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn dns_servers_are_addresses_with_or_without_a_port() {
        let check = |text: &str, expected: &str| {
            assert_eq!(dns_server(text).unwrap().to_string(), expected, "{text}");
        };
        check("192.0.2.53", "192.0.2.53:53");
        check("192.0.2.53:5353", "192.0.2.53:5353");
        check("2001:db8::53", "[2001:db8::53]:53");
        check("[2001:db8::53]", "[2001:db8::53]:53");
        check("[2001:db8::53]:5353", "[2001:db8::53]:5353");
        for bad in [
            "",
            "dns.example",
            "192.0.2.53:0",
            "192.0.2.53:70000",
            "[2001:db8::53",
            "1.2.3",
        ] {
            assert!(dns_server(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn doh_needs_an_encrypted_url() {
        assert_eq!(
            doh_url("https://dns.example/dns-query").unwrap(),
            "https://dns.example/dns-query"
        );
        assert!(doh_url("http://dns.example/dns-query").is_err());
        assert!(doh_url("dns.example").is_err());
    }

    #[test]
    fn ssh_never_gets_an_option() {
        assert!(
            ssh_host("-oProxyCommand=x").is_err()
                && ssh_host("").is_err()
                && ssh_host("a b").is_err()
        );
        assert_eq!(ssh_host("root@2001:db8::1").unwrap(), "root@2001:db8::1");
    }

    #[test]
    fn client_commands_are_split_without_a_shell() {
        let words = command_line(r#"curl -H 'A: b c' "{url}" $HOME"#).unwrap().0;
        assert_eq!(words, ["curl", "-H", "A: b c", "{url}", "$HOME"]);
        assert!(command_line("curl 'x").is_err());
        assert!(command_line("  ").is_err());
    }

    #[test]
    fn expected_names_are_plain_names() {
        assert_eq!(name("WWW.Lab.test."), Ok("www.lab.test".to_owned()));
        assert!(name("192.0.2.1").is_err() && name("https://x/").is_err() && name("x:80").is_err());
    }

    #[test]
    fn target_files_have_comments_and_empty_lines() {
        let text = "\u{feff}# all of ours\n\nwww.lab.test  # the site\r\nhttps://lab.test/#top\n[2001:db8::1]:443\n";
        let targets = targets_in_file("t", text).unwrap();
        let texts: Vec<&str> = targets.iter().map(|target| target.text.as_str()).collect();
        assert_eq!(
            texts,
            ["www.lab.test", "https://lab.test/#top", "[2001:db8::1]:443"]
        );
    }

    #[test]
    fn every_bad_line_of_a_target_file_is_named() {
        let errors = targets_in_file("t.txt", "good.test\nftp://x/\nok.test\n[::1\n").unwrap_err();
        assert_eq!(errors.len(), 2);
        assert!(errors[0].starts_with("t.txt:2: "), "{errors:?}");
        assert!(errors[1].starts_with("t.txt:4: "), "{errors:?}");
        assert_eq!(
            targets_in_file("t.txt", "# none\n").unwrap_err(),
            ["t.txt: no target in this file"]
        );
    }
}
