//! The table of what people write.

use super::*;

fn check(text: &str, host: &str, scheme: Option<&str>, port: Option<u16>, path: &str) {
    let target = Target::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(target.url_host(), host, "{text}");
    assert_eq!(target.scheme.as_deref(), scheme, "{text}");
    assert_eq!(target.port, port, "{text}");
    assert_eq!(target.path, path, "{text}");
}

fn refused(text: &str, message: &str) {
    match Target::parse(text) {
        Ok(target) => panic!("{text} was read as {target:?}"),
        Err(error) => {
            let said = error.to_string();
            assert!(said.contains(message), "{text}: {said}");
            assert!(!error.hint().is_empty(), "{text} has no hint");
        }
    }
}

#[test]
fn names_urls_and_addresses_are_read() {
    check("www.lab.test", "www.lab.test", None, None, "/");
    check("WWW.Lab.TEST.", "www.lab.test", None, None, "/");
    check("  www.lab.test\n", "www.lab.test", None, None, "/");
    check("localhost", "localhost", None, None, "/");
    check("_sip._tcp.lab.test", "_sip._tcp.lab.test", None, None, "/");
    check("xn--bcher-kva.test", "xn--bcher-kva.test", None, None, "/");
    check("1password.test", "1password.test", None, None, "/");
    check("www.lab.test:8443", "www.lab.test", None, Some(8443), "/");
    check("www.lab.test.:25", "www.lab.test", None, Some(25), "/");
    check(
        "https://www.lab.test",
        "www.lab.test",
        Some("https"),
        None,
        "/",
    );
    check(
        "HTTP://WWW.lab.test:8080/a?b=c#d",
        "www.lab.test",
        Some("http"),
        Some(8080),
        "/a?b=c",
    );
    check(
        "https://www.lab.test?q",
        "www.lab.test",
        Some("https"),
        None,
        "/?q",
    );
    check(
        "https://www.lab.test/ä|",
        "www.lab.test",
        Some("https"),
        None,
        "/%C3%A4%7C",
    );
    check(
        "https://www.lab.test/a@b:c",
        "www.lab.test",
        Some("https"),
        None,
        "/a@b:c",
    );
    check("192.0.2.1", "192.0.2.1", None, None, "/");
    check("192.0.2.1:53", "192.0.2.1", None, Some(53), "/");
    check("2e00:5::80", "[2e00:5::80]", None, None, "/");
    check("[2e00:5::80]", "[2e00:5::80]", None, None, "/");
    check("[2e00:5::80]:443", "[2e00:5::80]", None, Some(443), "/");
    check(
        "https://[2e00:5::80]:8443/x",
        "[2e00:5::80]",
        Some("https"),
        Some(8443),
        "/x",
    );
    check("::ffff:192.0.2.1", "[::ffff:192.0.2.1]", None, None, "/");
}

#[test]
fn what_cannot_be_a_target_says_what_to_write_instead() {
    refused("", "empty");
    refused(" \t", "empty");
    refused("https://", "no host");
    refused("https:///path", "no host");
    refused(":443", "no host");
    refused(".", "no host");
    refused("ftp://www.lab.test", "scheme `ftp`");
    refused("www.lab.test/path", "no scheme");
    refused("https://user:secret@www.lab.test/", "credentials");
    refused("root@www.lab.test", "credentials");
    refused("www.lab.test:0", "`0` is not a port");
    refused("www.lab.test:65536", "not a port");
    refused("www.lab.test:+80", "not a port");
    refused("www.lab.test:", "not a port");
    refused("www.lab.test:http", "not a port");
    refused("[2e00:5::80", "brackets");
    refused("[2e00:5::80]443", "brackets");
    refused("[www.lab.test]", "not an IPv6 address");
    refused("https://2e00:5::80/", "without brackets");
    refused("fe80::1%eth0", "interface `eth0`");
    refused("a:b:c", "not an IPv6 address");
    refused("192.0.2.256", "not an IPv4 address");
    refused("192.0.2", "not an IPv4 address");
    refused("1.2.3.4.5", "not an IPv4 address");
    refused("www..lab.test", "empty label");
    refused(".lab.test", "empty label");
    refused("www.lab.test..", "empty label");
    refused("bücher.test", "outside ASCII");
    refused("www lab.test", "' '");
    refused("www.lab.test,mail.lab.test", "','");
    refused("-www.lab.test", "hyphen");
    refused("www\0.lab.test", "'\\0'");
    refused(&format!("{}.test", "a".repeat(64)), "64 characters");
    refused(&["a".repeat(60).as_str(); 5].join("."), "253");
}

#[test]
fn credentials_are_not_repeated() {
    let error = Target::parse("https://user:secret@www.lab.test/").unwrap_err();
    assert!(!format!("{error} {}", error.hint()).contains("secret"));
}

#[test]
fn the_longest_name_is_253_characters() {
    let label = "a".repeat(61);
    let name = [label.as_str(); 4].join(".");
    let longest = format!("{name}.test"); // 61 * 4 + 3 + 5
    assert_eq!(longest.len(), 252);
    assert!(Target::parse(&longest).is_ok());
    assert!(Target::parse(&format!("b{longest}.")).is_ok());
    assert!(Target::parse(&format!("bb{longest}")).is_err());
}

#[test]
fn any_text_is_read_or_refused_without_panic() {
    for text in [
        "[", "]", "[]", "[]:", "::", ":::", "@", "://", "http://[", "http://@", "\u{0}", "é:1",
        "%", "[%]",
    ] {
        // Only that it returns.
        drop(Target::parse(text));
    }
}
