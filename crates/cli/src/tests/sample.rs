//! Reports as `check` gives them, made by hand: what the renderers have to cope with.

use std::net::IpAddr;
use twinstack_check::Report;
use twinstack_check::report::{Answer, ClientTiming, Phase, Row, SCHEMA, Verdict};
use twinstack_finding::{Code, Evidence, Finding, Place, Severity, Skipped};

fn base(target: &str, verdict: Verdict) -> Report {
    Report {
        schema: SCHEMA.to_owned(),
        target: target.to_owned(),
        vantages: vec!["here".to_owned()],
        verdict,
        elapsed_seconds: 0.742,
        answers: Vec::new(),
        table: Vec::new(),
        client: None,
        findings: Vec::new(),
        skipped: Vec::new(),
        notes: Vec::new(),
    }
}

fn answer(server: &str, question: &str, outcome: &str, data: &[&str], milliseconds: f64) -> Answer {
    let authoritative = server.starts_with("ns");
    let found = outcome == "NOERROR";
    Answer {
        vantage: "here".to_owned(),
        server: server.to_owned(),
        authoritative,
        cached: (!authoritative && found).then_some(true),
        transport: "udp".to_owned(),
        question: question.to_owned(),
        outcome: outcome.to_owned(),
        data: data.iter().map(|it| (*it).to_owned()).collect(),
        ttl_seconds: found.then_some(if authoritative { 300 } else { 271 }),
        elapsed_seconds: seconds(milliseconds),
    }
}

/// Whole microseconds, so that the decimal text reads back as the same number.
fn seconds(milliseconds: f64) -> f64 {
    (milliseconds * 1000.0).round() / 1e6
}

fn ok(milliseconds: f64, detail: &str) -> Phase {
    Phase::Ok {
        elapsed_seconds: seconds(milliseconds),
        detail: detail.to_owned(),
    }
}

fn failed(seconds: f64, detail: &str) -> Phase {
    Phase::Failed {
        elapsed_seconds: seconds,
        detail: detail.to_owned(),
    }
}

fn row(address: &str, port: u16, phases: [Phase; 4]) -> Row {
    let [tcp, tls, http, quic] = phases;
    let address: IpAddr = address.parse().unwrap();
    Row {
        vantage: "here".to_owned(),
        address,
        port,
        tcp,
        tls,
        http,
        quic,
    }
}

const NONE: Phase = Phase::NotApplicable;

/// Echo, 80 and 443 of one address, all well.
fn well(address: &str) -> Vec<Row> {
    vec![
        row(
            address,
            0,
            [ok(14.1, "24 of 24 answered"), NONE, NONE, NONE],
        ),
        row(address, 80, [ok(14.2, ""), NONE, ok(14.9, "200"), NONE]),
        row(
            address,
            443,
            [
                ok(14.3, ""),
                ok(16.0, "TLS 1.3 h2"),
                ok(15.4, "200"),
                ok(29.7, "h3"),
            ],
        ),
    ]
}

fn www_answers() -> Vec<Answer> {
    let mut answers = Vec::new();
    for (question, data) in [
        ("www.lab.test AAAA", ["2e00:5::80", "2e00:5::81"].as_slice()),
        ("www.lab.test A", &["198.51.100.80", "198.51.100.81"]),
        (
            "www.lab.test HTTPS",
            &["1 . alpn=h3,h2 ipv4hint=198.51.100.80 ipv6hint=2e00:5::80"],
        ),
    ] {
        answers.push(answer(
            "resolver 192.0.2.53",
            question,
            "NOERROR",
            data,
            0.4,
        ));
        for server in [
            "ns1.lab.test 2e00:5::53",
            "ns1.lab.test 198.51.100.53",
            "ns2.lab.test 2e00:f::53",
        ] {
            answers.push(answer(server, question, "NOERROR", data, 14.2));
        }
    }
    answers.push(answer(
        "ns1.lab.test 2e00:5::53",
        "lab.test NS",
        "NOERROR",
        &["ns1.lab.test.", "ns2.lab.test."],
        14.0,
    ));
    let reverse = "0.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.5.0.0.0.0.0.e.2.ip6.arpa PTR";
    answers.push(answer(
        "resolver 192.0.2.53",
        reverse,
        "NOERROR",
        &["www.lab.test."],
        31.0,
    ));
    answers
}

fn built_in(milliseconds: f64, family: &str, exercised: bool) -> ClientTiming {
    ClientTiming {
        client: "built-in".to_owned(),
        elapsed_seconds: Some(seconds(milliseconds)),
        family: Some(family.to_owned()),
        fallback_exercised: exercised,
        outcome: "status 200".to_owned(),
    }
}

/// Two addresses of each family, nothing wrong.
pub(super) fn healthy() -> Report {
    Report {
        answers: www_answers(),
        table: ["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"]
            .into_iter()
            .flat_map(well)
            .collect(),
        client: Some(built_in(48.0, "ipv6", false)),
        notes: vec![
            "1 of 5 answers came from a cache; TTLs are those of the authoritative servers"
                .to_owned(),
        ],
        ..base("www.lab.test", Verdict::Ready)
    }
}

/// IPv6 answers nothing, one PTR is a template.
pub(super) fn black_hole() -> Report {
    let dead = |address: &str| {
        vec![
            row(
                address,
                0,
                [
                    Phase::Skipped {
                        detail: "no permission for ICMP sockets".to_owned(),
                    },
                    NONE,
                    NONE,
                    NONE,
                ],
            ),
            row(
                address,
                80,
                [failed(5.0, "timeout"), NONE, Phase::NotReached, NONE],
            ),
            row(
                address,
                443,
                [
                    failed(5.0, "timeout"),
                    Phase::NotReached,
                    Phase::NotReached,
                    Phase::NotReached,
                ],
            ),
        ]
    };
    let mut table = dead("2e00:5::80");
    table.extend(well("198.51.100.80"));
    let evidence = |did: &str, saw: &str, at: f64| Evidence {
        did: did.to_owned(),
        saw: saw.to_owned(),
        at: Some(at),
    };
    let mut answers = www_answers();
    for answer in &mut answers {
        answer.data.retain(|data| !data.ends_with("81"));
    }
    answers.push(answer(
        "ns2.lab.test 203.0.113.53",
        "www.lab.test AAAA",
        "timeout",
        &[],
        2000.0,
    ));
    Report {
        elapsed_seconds: 6.314,
        answers,
        table,
        client: Some(built_in(268.0, "ipv4", true)),
        findings: vec![
            Finding {
                code: Code::of("ptr.generic"),
                severity: Severity::Warning,
                subject: "198.51.100.80".to_owned(),
                message: "the PTR `host-198-51-100-80.pool.test` is made from the address".to_owned(),
                evidence: vec![Evidence {
                    did: "asked resolver 192.0.2.53 for the PTR of 198.51.100.80".to_owned(),
                    saw: "host-198-51-100-80.pool.test.".to_owned(),
                    at: None,
                }],
                hint: "`80.100.51.198.in-addr.arpa. 300 IN PTR www.lab.test.`".to_owned(),
                place: Some(Place {
                    file: "db.198.51.100".to_owned(),
                    line: 7,
                    column: 1,
                    end_line: 7,
                    end_column: 40,
                }),
            },
            Finding {
                code: Code::of("reach.fw-drop"),
                severity: Severity::Failure,
                subject: "2e00:5::80".to_owned(),
                message: "nothing answers on any tested port of `2e00:5::80`, while IPv4 is open; from here a filter \
                          that drops looks the same as answers that are lost on their way back"
                    .to_owned(),
                evidence: vec![
                    evidence("sent a SYN to [2e00:5::80]:80", "no answer within 5.0 s", 1.02),
                    evidence("sent a SYN to [2e00:5::80]:443", "no answer within 5.0 s", 1.02),
                    evidence("sent a SYN to 198.51.100.80:80", "SYN-ACK after 14 ms", 1.02),
                ],
                hint: "on the server: `nft add rule inet filter input tcp dport { 80, 443 } accept`".to_owned(),
                place: None,
            },
        ],
        skipped: vec![Skipped {
            what: "ICMPv6 echo".to_owned(),
            why: "no permission for ICMP sockets (`net.ipv4.ping_group_range`)".to_owned(),
        }],
        ..base("www.lab.test", Verdict::NotReady)
    }
}

/// An address instead of a name, on a path so long that nothing fits.
pub(super) fn address_only() -> Report {
    let address = "2e00:1234:5678:9abc:def0:1234:5678:9abc";
    Report {
        table: well(address),
        ..base(address, Verdict::Ready)
    }
}

/// The same target from two machines that do not agree.
pub(super) fn two_vantages() -> Report {
    let mut report = black_hole();
    report.vantages = vec!["here".to_owned(), "far.example".to_owned()];
    for mut row in ["2e00:5::80", "198.51.100.80"].into_iter().flat_map(well) {
        "far.example".clone_into(&mut row.vantage);
        report.table.push(row);
    }
    report
}

/// The name does not exist.
pub(super) fn no_such_name() -> Report {
    Report {
        answers: vec![
            answer(
                "resolver 192.0.2.53",
                "ww.lab.test AAAA",
                "NXDOMAIN",
                &[],
                15.0,
            ),
            answer(
                "resolver 192.0.2.53",
                "ww.lab.test A",
                "NXDOMAIN",
                &[],
                15.0,
            ),
        ],
        notes: vec!["`ww.lab.test` does not exist".to_owned()],
        ..base("ww.lab.test", Verdict::NoSuchName)
    }
}

/// No resolver answered.
pub(super) fn unknown() -> Report {
    Report {
        elapsed_seconds: 10.02,
        answers: vec![answer(
            "resolver 192.0.2.53",
            "off.lab.test AAAA",
            "timeout",
            &[],
            5000.0,
        )],
        skipped: vec![Skipped {
            what: "all of `off.lab.test`".to_owned(),
            why: "no resolver answered; name one with `--dns`".to_owned(),
        }],
        ..base("off.lab.test", Verdict::Unknown)
    }
}

/// What a hostile server may have put into its answers.
pub(super) fn hostile() -> Report {
    let mut report = base("evil.lab.test", Verdict::ReadyWithWarnings);
    report.answers.push(answer(
        "ns1.lab.test 2e00:5::53",
        "evil.lab.test TXT",
        "NOERROR",
        &["\x1b]0;owned\x07\x1b[2J<&\">]]>"],
        1.0,
    ));
    report.findings.push(Finding {
        code: Code::of("mail.helo-mismatch"),
        severity: Severity::Warning,
        subject: "<script>\u{202e}".to_owned(),
        message: "the banner is `\x1b[31m<b>&amp;`".to_owned(),
        evidence: (0..12)
            .map(|number| Evidence {
                did: format!("asked {number}"),
                saw: "\u{0}\r\n".to_owned(),
                at: None,
            })
            .collect(),
        hint: "]]>".to_owned(),
        place: None,
    });
    report
}
