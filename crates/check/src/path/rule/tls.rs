//! What handshakes show: `tls.cert-mismatch` and `tls.cert-invalid`, `tls.no-handshake`, `tls.alpn-or-version-gap`.

mod certificate;
mod handshake;

use super::view::{AddressView, View};
use super::{Judgement, evidence};
use crate::codes::finding;
use crate::path::Family;
use crate::path::observation::{TalkError, TlsSession};
use crate::path::words::list;
use std::collections::BTreeSet;
use twinstack_finding::Evidence;

pub(super) fn judge(view: &View<'_>, judgement: &mut Judgement) {
    for port in &view.plan.ports {
        let v6 = sessions(view, Family::V6, *port);
        let v4 = sessions(view, Family::V4, *port);
        certificate::judge(view, *port, &v6, &v4, judgement);
        protocols(view, *port, &v6, &v4, judgement);
    }
    handshake::judge(view, judgement);
}

type Session<'v, 'a> = (&'v AddressView<'a>, &'v TlsSession);

fn sessions<'v, 'a>(view: &'v View<'a>, family: Family, port: u16) -> Vec<Session<'v, 'a>> {
    let addresses = view.of(family).filter(|address| address.alive());
    addresses
        .filter_map(|address| Some((address, address.seen.port(port)?.tls()?)))
        .collect()
}

fn protocols(
    view: &View<'_>,
    port: u16,
    v6: &[Session<'_, '_>],
    v4: &[Session<'_, '_>],
    judgement: &mut Judgement,
) {
    let agreed = |sessions: &[Session<'_, '_>]| -> BTreeSet<(String, Option<String>)> {
        sessions
            .iter()
            .map(|(_, session)| (session.version.clone(), session.alpn.clone()))
            .collect()
    };
    let (on_v6, on_v4) = (agreed(v6), agreed(v4));
    let refused = refusals(view, port);
    let differ = !on_v6.is_empty() && !on_v4.is_empty() && on_v6.is_disjoint(&on_v4);
    if !differ && (refused.is_empty() || on_v4.is_empty()) {
        return;
    }
    let words = |set: &BTreeSet<(String, Option<String>)>| {
        list(set.iter().map(|(version, alpn)| {
            format!("{version} with {}", alpn.as_deref().unwrap_or("no ALPN"))
        }))
    };
    let six = if on_v6.is_empty() {
        "no handshake".to_owned()
    } else {
        words(&on_v6)
    };
    let support = v6.iter().chain(v4).map(|(address, session)| {
        let at = address
            .seen
            .port(port)
            .and_then(|port| port.talk()?.tls.as_ref())
            .map_or_else(Default::default, |step| step.at);
        evidence(
            format!(
                "TLS handshake with {} port {port}, offered h2 and http/1.1",
                address.seen.label()
            ),
            words(&BTreeSet::from([(
                session.version.clone(),
                session.alpn.clone(),
            )])),
            at,
        )
    });
    judgement.findings.push(finding(
        "tls.alpn-or-version-gap",
        format!("{} port {port}", view.plan.host),
        format!("TLS on port {port} agrees on {six} over IPv6 and on {} over IPv4", words(&on_v4)),
        refused.into_iter().chain(support).collect(),
        "give the IPv6 listener the same options as the IPv4 one (nginx: `http2 on;` and `ssl_protocols TLSv1.2 TLSv1.3;` in the same server block)",
    ));
}

/// Handshakes over IPv6 that the server itself refused.
fn refusals(view: &View<'_>, port: u16) -> Vec<Evidence> {
    let refused = view
        .of(Family::V6)
        .filter(|address| address.alive())
        .filter_map(|address| {
            let step = address.seen.port(port)?.talk()?.tls.as_ref()?;
            let Err(error @ TalkError::Alert(_)) = &step.outcome else {
                return None;
            };
            let did = format!(
                "TLS handshake with {} port {port}, offered h2 and http/1.1",
                address.seen.label()
            );
            Some(evidence(did, error.to_string(), step.at))
        });
    refused.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::rule::fixture::{codes, healthy, talk_of, with_sessions as with};

    const V6: [&str; 2] = ["2e00:5::80", "2e00:5::81"];
    const ALL: [&str; 4] = ["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"];

    #[test]
    fn no_http2_on_v6_is_a_gap() {
        let scene = with(&V6, |session| session.alpn = Some("http/1.1".to_owned()));
        assert_eq!(codes(&scene), ["tls.alpn-or-version-gap"]);
        let scene = with(&V6, |session| session.version = "TLS 1.2".to_owned());
        assert_eq!(codes(&scene), ["tls.alpn-or-version-gap"]);
    }

    #[test]
    fn a_handshake_refused_by_the_server_on_v6_is_a_gap() {
        let mut scene = healthy();
        for address in V6 {
            let alert = TalkError::Alert("protocol version".to_owned());
            scene.port(address, 443).talks = vec![talk_of(Some(Err(alert)), None)];
        }
        assert_eq!(codes(&scene), ["tls.alpn-or-version-gap"]);
    }

    #[test]
    fn old_protocols_on_both_families_are_no_gap() {
        let scene = with(&ALL, |session| {
            session.version = "TLS 1.2".to_owned();
            session.alpn = None;
        });
        assert_eq!(codes(&scene), [""; 0]);
    }
}
