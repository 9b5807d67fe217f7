use super::*;
use crate::fuzz;
use crate::message::tests::any_record;
use proptest::prelude::*;

fn lab() -> Name {
    Name::parse("lab.test").unwrap()
}

fn parse(line: &str) -> Result<Record, RecordError> {
    parse_record_line(line, &lab(), Ttl::from_secs(300))
}

#[test]
fn lines_of_all_types_read() {
    let check = |line: &str, shown: &str| {
        let record = parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(record.to_string(), shown);
    };
    check(
        "www AAAA 2E00:5::0080",
        "www.lab.test. 300 IN AAAA 2e00:5::80",
    );
    check(
        "www.lab.test. 60 IN A 192.0.2.1",
        "www.lab.test. 60 IN A 192.0.2.1",
    );
    check("@ IN 60 NS ns1", "lab.test. 60 IN NS ns1.lab.test.");
    check(
        "a in 1h30m cname b.example.",
        "a.lab.test. 5400 IN CNAME b.example.",
    );
    check(
        "@ MX 10 mail ; the mail host",
        "lab.test. 300 IN MX 10 mail.lab.test.",
    );
    check(
        "0.8 PTR www.lab.test.",
        "0.8.lab.test. 300 IN PTR www.lab.test.",
    );
    check(
        r#"@ TXT "v=spf1 -all" plain "a;b\"c""#,
        r#"lab.test. 300 IN TXT "v=spf1 -all" "plain" "a;b\"c""#,
    );
    check(
        "@ SOA ns1 hostmaster ( 1 1h 10m 1d 300 )",
        "lab.test. 300 IN SOA ns1.lab.test. hostmaster.lab.test. 1 3600 600 86400 300",
    );
    check(
        "www HTTPS 1 . ipv6hint=2e00:5::80,2e00:5::81 alpn=h3,h2 ipv4hint=198.51.100.80",
        "www.lab.test. 300 IN HTTPS 1 . alpn=h3,h2 ipv4hint=198.51.100.80 ipv6hint=2e00:5::80,2e00:5::81",
    );
    check(
        r#"_dns SVCB 1 ns1 alpn="dot" port=853 key667="x y" no-default-alpn mandatory=alpn"#,
        r#"_dns.lab.test. 300 IN SVCB 1 ns1.lab.test. mandatory=alpn alpn=dot no-default-alpn port=853 key667="x y""#,
    );
    check(
        "_sip._tcp SRV 0 5 5060 sip",
        "_sip._tcp.lab.test. 300 IN SRV 0 5 5060 sip.lab.test.",
    );
    check(
        r#"@ CAA 0 issue "ca.example""#,
        r#"lab.test. 300 IN CAA 0 issue "ca.example""#,
    );
    check(
        "x TYPE65280 \\# 3 0a 0B0c",
        "x.lab.test. 300 IN TYPE65280 \\# 3 0A0B0C",
    );
    check(
        "x AAAA \\# 16 20010DB8000000000000000000000001",
        "x.lab.test. 300 IN AAAA 2001:db8::1",
    );
    check(
        "@ DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
        "lab.test. 300 IN DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118",
    );
}

#[test]
fn errors_point_at_the_word() {
    let check = |line: &str, expected: &str| {
        assert_eq!(parse(line).unwrap_err().to_string(), expected, "{line}");
    };
    check("", "column 1: the owner's name is missing");
    check("www", "column 4: a record type is missing");
    check(
        "www AAAA",
        "column 9: an IPv6 address such as 2001:db8::1 is missing",
    );
    check(
        "www 300 IN AAAA 192.0.2.1",
        "column 17: `192.0.2.1` is not an IPv6 address such as 2001:db8::1",
    );
    check(
        "www 300 IN AAAAA ::1",
        "column 12: `AAAAA` is no record type; one looks like `AAAA` or `TYPE65280`",
    );
    check(
        "www CH A 192.0.2.1",
        "column 5: class `CH` is not supported; only IN is",
    );
    check(
        "www A 192.0.2.1 192.0.2.2",
        "column 17: `192.0.2.2` is one value too many for A",
    );
    check(
        "a..b A 192.0.2.1",
        "column 1: `a..b` has an empty label (a dot too many) at column 3",
    );
    check(
        "www 99999999999 A 192.0.2.1",
        "column 5: `99999999999` is no time; write seconds up to 2147483647, or units as in `1h30m`",
    );
    check(
        "@ MX mail",
        "column 6: `mail` is no preference; it is a number from 0 to 65535",
    );
    check("@ TXT \"open", "column 7: the closing quote is missing");
    check("@ SOA a b ( 1 2 3 4 5", "column 11: `(` is never closed");
    check("@ A 192.0.2.1 )", "column 15: `)` without `(`");
    check(
        "www HTTPS 1 . ipv6hint=198.51.100.80",
        "column 15: `198.51.100.80` is no value for `ipv6hint`",
    );
    check(
        "www HTTPS 1 . ipv6=::1",
        "column 15: `ipv6` is no service parameter; some are `alpn`, `ipv6hint`, `port`, `key667`",
    );
    check(
        "www HTTPS 1 . port=1 port=2",
        "column 22: `port` comes twice",
    );
    check(
        " A 192.0.2.1",
        "column 1: the line begins with a blank, and there is no earlier owner to take over",
    );
    check(
        "$ORIGIN lab.test.",
        "column 1: `$ORIGIN` is a zone-file directive; one record is wanted here",
    );
    check(
        "a A 192.0.2.1\nb A 192.0.2.2",
        "column 14: a line break inside a record; write it on one line",
    );
    check(
        "x TYPE65280 0A",
        "column 13: these are no TYPE65280 data: unknown record type with concrete data",
    );
    check("x A \\# 3 0A0B0C", "column 5: these octets are no A data");
    check(
        "x A \\# 4 0A0B0C",
        "column 5: 4 octets are announced, 6 hex digits follow",
    );
    check(
        "é A 192.0.2.x",
        "column 1: `é` has 'é' at column 1; write internationalised names in their `xn--` form",
    );
}

#[test]
fn long_text_must_be_split() {
    let error = parse(&format!("@ TXT \"{}\"", "x".repeat(256))).unwrap_err();
    assert_eq!(
        error.message,
        "the string has 256 octets; 255 is the most, split it into several"
    );
}

proptest! {
    #[test]
    fn shown_record_reads_the_same(record in any_record()) {
        let shown = record.to_string();
        let again = parse_record_line(&shown, &Name::root(), Ttl::ZERO);
        prop_assert_eq!(again, Ok(record), "{}", shown);
    }

    #[test]
    fn any_line_is_read_or_refused(line in "\\PC{0,80}") {
        fuzz::record_line(&line);
    }

    #[test]
    fn any_line_of_known_words_is_read_or_refused(
        words in proptest::collection::vec(prop_oneof![
            Just("www".to_owned()), Just("@".to_owned()), Just("IN".to_owned()), Just("300".to_owned()),
            Just("(".to_owned()), Just(")".to_owned()), Just(";".to_owned()), Just("\\#".to_owned()), Just("4".to_owned()),
            "(A|AAAA|TXT|HTTPS|SRV|NAPTR|CAA|DS|DNSKEY|NSEC|NSEC3|RRSIG|TLSA|SSHFP|HINFO|MINFO|RP|IPSECKEY|LOC|TYPE[0-9]{1,5})",
            "[a-zA-Z0-9.=,:/+\\\\\"-]{1,12}",
            "\"[^\"]{0,12}\"",
        ], 0..10)
    ) {
        fuzz::record_line(&words.join(" "));
    }
}
