//! Visits as they happen, for the tests of the renderers.

use super::*;
use crate::lab_client::AttemptOutcome;

fn v6() -> IpAddr {
    IpAddr::from([0x2e00, 5, 0, 0, 0, 0, 0, 0x80])
}

fn v4() -> IpAddr {
    IpAddr::from([198, 51, 100, 80])
}

fn attempt(
    address: IpAddr,
    started_seconds: f64,
    ended_seconds: f64,
    outcome: AttemptOutcome,
) -> Attempt {
    Attempt {
        address,
        family: Family::of(address),
        started_seconds,
        ended_seconds,
        outcome,
    }
}

fn handshake(address: IpAddr, syn_seconds: &[f64], answered_seconds: Option<f64>) -> Handshake {
    Handshake {
        address,
        family: Family::of(address),
        syn_seconds: syn_seconds.to_vec(),
        answered_seconds,
        reset_seconds: None,
    }
}

fn run(network: &str, client: &str, measured: Measured, from_packets: FromPackets) -> Run {
    Run {
        network: network.into(),
        client: client.into(),
        host: format!("{network}-{client}"),
        strategy: if client == "legacy" {
            "sequential"
        } else {
            "happy-eyeballs"
        }
        .into(),
        measured,
        from_packets: Some(from_packets),
        watched: None,
    }
}

/// 31 ms, the whole of it undisturbed.
pub(crate) fn quick(network: &str, client: &str, family: Family) -> Run {
    let address = if family == Family::V6 { v6() } else { v4() };
    let measured = Measured {
        ending: Ending::Answered,
        elapsed_seconds: 0.031,
        dns_seconds: Some(0.002),
        attempts: vec![attempt(address, 0.002, 0.0165, AttemptOutcome::Connected)],
        family: Some(family),
        status: Some(200),
        error: None,
    };
    let packets = FromPackets {
        elapsed_seconds: Some(0.030),
        dns_seconds: Some(0.0015),
        family: Some(family),
        attempts: vec![handshake(address, &[0.002], Some(0.016))],
    };
    run(network, client, measured, packets)
}

/// IPv6 stays silent, IPv4 wins.
pub(crate) fn fallback(network: &str, client: &str) -> Run {
    let measured = Measured {
        ending: Ending::Answered,
        elapsed_seconds: 0.281,
        dns_seconds: Some(0.002),
        attempts: vec![
            attempt(v6(), 0.002, 0.2665, AttemptOutcome::Abandoned),
            attempt(v4(), 0.252, 0.2665, AttemptOutcome::Connected),
        ],
        family: Some(Family::V4),
        status: Some(200),
        error: None,
    };
    let packets = FromPackets {
        elapsed_seconds: Some(0.280),
        dns_seconds: Some(0.0015),
        family: Some(Family::V4),
        attempts: vec![
            handshake(v6(), &[0.002], None),
            handshake(v4(), &[0.252], Some(0.266)),
        ],
    };
    run(network, client, measured, packets)
}

/// IPv6 stays silent, and there is no second try.
pub(crate) fn hanging(network: &str, client: &str) -> Run {
    let measured = Measured {
        ending: Ending::GaveUp,
        elapsed_seconds: 20.0,
        dns_seconds: Some(0.002),
        attempts: vec![attempt(v6(), 0.002, 20.0, AttemptOutcome::Abandoned)],
        family: None,
        status: None,
        error: Some("gave up after 20 s".into()),
    };
    let packets = FromPackets {
        elapsed_seconds: None,
        dns_seconds: Some(0.0015),
        family: None,
        attempts: vec![handshake(v6(), &[0.002, 1.01, 3.03, 7.2, 15.3], None)],
    };
    run(network, client, measured, packets)
}

fn reverse(name: &str) -> Vec<Reverse> {
    [v6(), v4()]
        .map(|address| Reverse {
            address,
            names: vec![name.into()],
        })
        .to_vec()
}

fn round(name: &str, runs: Vec<Run>, checks: Vec<Check>) -> Round {
    let published = Published {
        name: "www.lab.test".into(),
        addresses: vec![v6(), v4()],
        reverse: reverse(name),
    };
    Round {
        published,
        runs,
        checks,
    }
}

fn check(network: &str, verdict: Verdict, findings: Vec<Finding>) -> Check {
    Check {
        network: network.into(),
        command: "twinstack check www.lab.test".into(),
        verdict,
        elapsed_seconds: 1.25,
        findings,
    }
}

fn finding(code: &'static str, message: &str) -> Finding {
    Finding {
        code: twinstack_finding::Code::of(code),
        severity: twinstack_finding::Severity::Failure,
        subject: "2e00:5::80".into(),
        message: message.into(),
        evidence: vec![twinstack_finding::Evidence {
            did: "asked for the PTR of `2e00:5::80`".into(),
            saw: "www.lab.test.0.0.0.0.0.0.0.0.5.0.0.0.0.0.e.2.ip6.arpa.".into(),
            at: Some(0.014),
        }],
        hint: "end the target of the PTR record with a dot".into(),
        place: None,
    }
}

/// The whole replay.
pub(crate) fn story() -> Story {
    let malformed = || {
        finding(
            "ptr.malformed",
            "the PTR of `2e00:5::80` points to a name inside the reverse zone",
        )
    };
    let dropped = finding(
        "reach.fw-drop",
        "packets to `2e00:5::80` vanish: no answer on ports 80 and 443, while IPv4 answers",
    );
    let visits = |cafe_legacy: Run, cafe_modern: Run| {
        vec![
            quick("office", "legacy", Family::V6),
            quick("office", "modern", Family::V6),
            cafe_legacy,
            cafe_modern,
            quick("legacy-isp", "legacy", Family::V4),
            quick("legacy-isp", "modern", Family::V4),
        ]
    };
    let network = |name: &str, ipv6| Network {
        name: name.into(),
        ipv6,
    };
    let client = |name: &str, about: &str| Client {
        name: name.into(),
        about: about.into(),
    };
    Story {
        schema: SCHEMA.into(),
        replay: "so-2017".into(),
        with_fault: true,
        seed: 1,
        url: "http://www.lab.test/".into(),
        give_up_seconds: 20.0,
        ttl_seconds: 2,
        networks: vec![
            network("office", Ipv6::Works),
            network("cafe", Ipv6::Dropped),
            network("legacy-isp", Ipv6::Absent),
        ],
        clients: vec![
            client(
                "legacy",
                "tries one address after another and gives up after 20 s",
            ),
            client(
                "modern",
                "Happy Eyeballs (RFC 8305): tries the other family after 250 ms",
            ),
        ],
        before: round(
            "www.lab.test.0.0.0.0.0.0.0.0.5.0.0.0.0.0.e.2.ip6.arpa.",
            visits(hanging("cafe", "legacy"), fallback("cafe", "modern")),
            vec![
                check("office", Verdict::NotReady, vec![malformed()]),
                check("cafe", Verdict::NotReady, vec![dropped, malformed()]),
            ],
        ),
        mends: vec![
            Mend {
                what: MendKind::Ptr,
                did: "The names in the reverse zone end with a dot now.".into(),
                reverse: reverse("www.lab.test."),
                run: None,
            },
            Mend {
                what: MendKind::Fallback,
                did: "The same program, rebuilt with Happy Eyeballs.".into(),
                reverse: Vec::new(),
                run: Some(fallback("cafe", "legacy")),
            },
            Mend {
                what: MendKind::AaaaLimited,
                did: "The name servers answer AAAA questions from the cafe with NODATA.".into(),
                reverse: Vec::new(),
                run: Some(quick("cafe", "legacy", Family::V4)),
            },
        ],
        after: round(
            "www.lab.test.",
            visits(
                quick("cafe", "legacy", Family::V4),
                quick("cafe", "modern", Family::V4),
            ),
            vec![
                check("office", Verdict::Ready, Vec::new()),
                check("cafe", Verdict::Ready, Vec::new()),
            ],
        ),
        not_run: vec![Skipped {
            what: "curl".into(),
            why: "`curl` is not installed".into(),
        }],
        trace: None,
        elapsed_seconds: 27.5,
    }
}
