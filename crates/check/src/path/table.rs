//! The observation as the report's table, its client line, and what was not looked at.

use super::observation::{
    AddressObservation, Answer, ClientOutcome, EchoRefusal, PathObservation, PortObservation,
    QuicFailure, Route, Series, TlsSession, Trust,
};
use super::words::span;
use super::{Family, Plan, Speech, rule};
use crate::report::{ClientTiming, Phase, Row};
use std::time::Duration;
use twinstack_finding::Skipped;

/// The vantage of every row made here.
const HERE: &str = "here";

/// Address x port x phase; port 0 is the echo.
pub(crate) fn rows(plan: &Plan, seen: &PathObservation) -> Vec<Row> {
    let mut rows = Vec::new();
    for address in &plan.addresses {
        match seen.addresses.iter().find(|seen| seen.address == *address) {
            Some(looked) => {
                rows.push(echo_row(looked));
                rows.extend(looked.ports.iter().map(|port| port_row(looked, port)));
            }
            None => rows.extend(plan.ports.iter().map(|port| Row {
                vantage: HERE.to_owned(),
                address: *address,
                port: *port,
                tcp: Phase::Skipped {
                    detail: missing_route(seen, Family::of(*address)),
                },
                tls: Phase::NotReached,
                http: Phase::NotReached,
                quic: Phase::NotApplicable,
            })),
        }
    }
    rows
}

/// The fallback step.
pub(crate) fn client_timing(plan: &Plan, seen: &PathObservation) -> Option<ClientTiming> {
    let client = seen.client.as_ref()?;
    // A command that ends well may still have talked to nobody: only what was seen is claimed.
    let seen_talking = plan.client.is_none() || client.was_seen();
    let done = matches!(client.outcome, ClientOutcome::Done { .. });
    let outcome = if done && !seen_talking {
        format!(
            "{}, without a connection that could be seen",
            client.outcome
        )
    } else {
        client.outcome.to_string()
    };
    Some(ClientTiming {
        client: rule::named(plan, client),
        elapsed_seconds: (done && seen_talking).then_some(client.took.as_secs_f64()),
        family: rule::family(client),
        fallback_exercised: rule::exercised(seen),
        outcome,
    })
}

/// What was not looked at, and why.
pub(crate) fn skipped(plan: &Plan, seen: &PathObservation) -> Vec<Skipped> {
    let mut skipped = Vec::new();
    for family in Family::BOTH {
        if let Route::Missing { why } = seen.vantage.route(family) {
            skipped.push(Skipped {
                what: format!("{} addresses of the target", family.as_str()),
                why: why.clone(),
            });
        }
    }
    let refused = |wanted: &EchoRefusal| {
        seen.addresses
            .iter()
            .any(|address| address.echo.as_ref().err() == Some(wanted))
    };
    if refused(&EchoRefusal::NotAllowed) {
        skipped.push(Skipped {
            what: "ICMP and ICMPv6 echo (reachability, fragments)".to_owned(),
            why: "no permission for ICMP sockets: put the group into `net.ipv4.ping_group_range` or give CAP_NET_RAW; where both families answer, round trips and loss come from TCP".to_owned(),
        });
    }
    for address in &seen.addresses {
        if let Err(EchoRefusal::Other(why)) = &address.echo {
            skipped.push(Skipped {
                what: format!("echo to {}", address.label()),
                why: why.clone(),
            });
        }
    }
    let uses_tls = plan
        .ports
        .iter()
        .any(|port| plan.speech(*port) == Speech::Https);
    if uses_tls && !seen.has_roots && !seen.addresses.is_empty() {
        skipped.push(Skipped {
            what: "whether certificates are trusted".to_owned(),
            why: "this machine has no root certificates (`SSL_CERT_FILE` names others)".to_owned(),
        });
    }
    for part in &seen.parts {
        if let super::observation::PartSide::Unknown(why) = &part.v6
            && !matches!(seen.vantage.v6, Route::Missing { .. })
        {
            skipped.push(Skipped {
                what: format!("`{}` over IPv6", part.url),
                why: why.clone(),
            });
        }
    }
    skipped.extend(rule::unjudged(plan, seen));
    skipped
}

fn missing_route(seen: &PathObservation, family: Family) -> String {
    match seen.vantage.route(family) {
        Route::Missing { why } => why.clone(),
        _ => "not looked at".to_owned(),
    }
}

fn echo_row(address: &AddressObservation) -> Row {
    let tcp = match &address.echo {
        Err(EchoRefusal::NotAllowed) => Phase::Skipped {
            detail: "no permission for ICMP sockets".to_owned(),
        },
        Err(EchoRefusal::Other(why)) => Phase::Skipped {
            detail: why.clone(),
        },
        Ok(series) => echo_phase(series, address),
    };
    Row {
        vantage: HERE.to_owned(),
        address: address.address,
        port: 0,
        tcp,
        tls: Phase::NotApplicable,
        http: Phase::NotApplicable,
        quic: Phase::NotApplicable,
    }
}

fn echo_phase(series: &Series, address: &AddressObservation) -> Phase {
    match series.median() {
        Some(median) => {
            let mut detail = format!("{} of {} answered", series.answered(), series.sent);
            if address.wire != address.address {
                detail.push_str(", through NAT64");
            }
            ok(median, detail)
        }
        None => failed(Duration::ZERO, "no answer"),
    }
}

fn port_row(address: &AddressObservation, port: &PortObservation) -> Row {
    let through = if address.wire == address.address {
        String::new()
    } else {
        format!("through {}", address.wire)
    };
    let tcp = match &port.connect.outcome {
        Ok(()) => ok(port.connect.took, through),
        Err(error) => failed(port.connect.took, &error.kind.to_string()),
    };
    let reached = |phase: Option<Phase>| phase.unwrap_or(Phase::NotReached);
    let talk = port.talk();
    let tls = match port.speech {
        Speech::Https => {
            reached(
                talk.and_then(|talk| talk.tls.as_ref())
                    .map(|step| match &step.outcome {
                        Ok(session) => ok(step.took, session_words(session)),
                        Err(error) => failed(step.took, &error.to_string()),
                    }),
            )
        }
        _ => Phase::NotApplicable,
    };
    let http = match port.speech {
        Speech::Nothing => Phase::NotApplicable,
        _ => reached(
            talk.and_then(|talk| talk.answer.as_ref())
                .map(|step| match &step.outcome {
                    Ok(Answer::Banner(line)) => ok(step.took, line.clone()),
                    Ok(Answer::Page(page)) => match &page.end {
                        super::observation::BodyEnd::Broken(error) => {
                            failed(step.took, &format!("{}, then {error}", page.status))
                        }
                        _ => ok(page.first_byte, page.status.to_string()),
                    },
                    Err(error) => failed(step.took, &error.to_string()),
                }),
        ),
    };
    Row {
        vantage: HERE.to_owned(),
        address: address.address,
        port: port.port,
        tcp,
        tls,
        http,
        quic: if port.port == 443 {
            quic_phase(address)
        } else {
            Phase::NotApplicable
        },
    }
}

fn session_words(session: &TlsSession) -> String {
    let mut words = session.version.clone();
    if let Some(alpn) = &session.alpn {
        words = format!("{words} {alpn}");
    }
    if !session.leaf.covers {
        words.push_str(", certificate for another name");
    }
    if let Trust::Distrusted(why) = &session.leaf.trust {
        words = format!("{words}, certificate {why}");
    }
    words
}

fn quic_phase(address: &AddressObservation) -> Phase {
    match address.quic.as_ref().map(|step| (step.took, &step.outcome)) {
        None => Phase::NotApplicable,
        Some((took, Ok(()))) => ok(took, "h3".to_owned()),
        Some((took, Err(QuicFailure::GivenUp))) => Phase::Skipped {
            detail: format!("no answer within {}, not waited for longer", span(took)),
        },
        Some((took, Err(error))) => failed(took, &error.to_string()),
    }
}

fn ok(took: Duration, detail: String) -> Phase {
    Phase::Ok {
        elapsed_seconds: took.as_secs_f64(),
        detail,
    }
}

fn failed(took: Duration, detail: &str) -> Phase {
    Phase::Failed {
        elapsed_seconds: took.as_secs_f64(),
        detail: detail.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::observation::ConnectFailure;
    use crate::path::rule::fixture::healthy;

    #[test]
    fn every_address_has_an_echo_row_and_one_row_a_port() {
        let scene = healthy();
        let rows = rows(&scene.plan, &scene.seen);
        assert_eq!(rows.len(), 12);
        let row = rows.iter().find(|row| row.port == 443).unwrap();
        let words = |phase: &Phase| match phase {
            Phase::Ok { detail, .. } => detail.clone(),
            other => format!("{other:?}"),
        };
        assert_eq!(
            [words(&row.tls), words(&row.http), words(&row.quic)],
            ["TLS 1.3 h2", "200", "h3"]
        );
    }

    #[test]
    fn phases_behind_a_closed_port_are_not_reached() {
        let scene = healthy().connect("2e00:5::80", 443, ConnectFailure::Refused);
        let rows = rows(&scene.plan, &scene.seen);
        let row = rows
            .iter()
            .find(|row| row.port == 443 && row.address.is_ipv6())
            .unwrap();
        assert_eq!(
            (&row.tls, &row.http),
            (&Phase::NotReached, &Phase::NotReached)
        );
        assert!(matches!(&row.tcp, Phase::Failed { detail, .. } if detail == "refused"));
    }

    #[test]
    fn a_family_without_route_is_shown_and_skipped() {
        let mut scene = healthy();
        scene
            .seen
            .addresses
            .retain(|address| address.family() == Family::V4);
        scene.seen.vantage.v6 = Route::Missing {
            why: "this machine has no IPv6 route".to_owned(),
        };
        let rows = rows(&scene.plan, &scene.seen);
        let skipped = rows
            .iter()
            .filter(|row| matches!(row.tcp, Phase::Skipped { .. }))
            .count();
        assert_eq!(skipped, 4);
        assert_eq!(scene.skipped()[0].why, "this machine has no IPv6 route");
        assert!(scene.findings().is_empty());
    }
}
