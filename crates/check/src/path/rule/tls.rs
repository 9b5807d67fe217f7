//! Handshakes that end differently by family: `tls.cert-mismatch` and `tls.alpn-or-version-gap`.

use super::view::{AddressView, View};
use super::{Judgement, evidence};
use crate::codes::finding;
use crate::path::Family;
use crate::path::observation::{Leaf, TalkError, TlsSession, Trust};
use crate::path::words::{list, quoted};
use std::collections::BTreeSet;
use std::net::IpAddr;
use twinstack_finding::{Evidence, Severity};

pub(super) fn judge(view: &View<'_>, judgement: &mut Judgement) {
    for port in &view.plan.ports {
        let v6 = sessions(view, Family::V6, *port);
        let v4 = sessions(view, Family::V4, *port);
        certificates(view, *port, &v6, &v4, judgement);
        protocols(view, *port, &v6, &v4, judgement);
    }
}

type Session<'v, 'a> = (&'v AddressView<'a>, &'v TlsSession);

fn sessions<'v, 'a>(view: &'v View<'a>, family: Family, port: u16) -> Vec<Session<'v, 'a>> {
    let addresses = view.of(family).filter(|address| address.alive());
    addresses
        .filter_map(|address| Some((address, address.seen.port(port)?.tls()?)))
        .collect()
}

/// Whether a browser would accept it for the name that the user asked for; an address is no such name, and hardly any
/// certificate lists one.
fn good(view: &View<'_>, leaf: &Leaf) -> bool {
    let literal = view.plan.host.parse::<IpAddr>().is_ok();
    (leaf.covers || literal) && !matches!(leaf.trust, Trust::Distrusted(_))
}

fn certificates(
    view: &View<'_>,
    port: u16,
    v6: &[Session<'_, '_>],
    v4: &[Session<'_, '_>],
    judgement: &mut Judgement,
) {
    let known: BTreeSet<&str> = v4
        .iter()
        .map(|(_, session)| session.leaf.fingerprint.as_str())
        .collect();
    let v4_good = v4.iter().all(|(_, session)| good(view, &session.leaf));
    // With nothing to compare with, a bad certificate is what every user of the name sees over IPv6.
    let worse: Vec<_> = v6
        .iter()
        .filter(|(_, session)| !good(view, &session.leaf) && v4_good)
        .copied()
        .collect();
    // IPv4 users see the warning instead.
    let better = !v4_good && v6.iter().any(|(_, session)| good(view, &session.leaf));
    // Several leaves on IPv4 alone are servers that each have their own; then another one on IPv6 means nothing.
    let other: Vec<_> = v6
        .iter()
        .filter(|(_, session)| {
            known.len() == 1 && !known.contains(session.leaf.fingerprint.as_str())
        })
        .copied()
        .collect();
    let (subjects, severe) = match (worse.is_empty(), better, other.is_empty()) {
        (false, _, _) => (worse, true),
        (true, true, _) => (
            v4.iter()
                .filter(|(_, session)| !good(view, &session.leaf))
                .copied()
                .collect(),
            true,
        ),
        (true, false, false) => (other, false),
        (true, false, true) => return,
    };
    let addresses = || subjects.iter().map(|(address, _)| address.seen.address);
    let named = quoted(addresses());
    let host = &view.plan.host;
    let message = match subjects.first() {
        Some((_, session)) if !session.leaf.covers => {
            format!(
                "the certificate of {named} port {port} is not for `{host}` but for {}",
                shown_names(&session.leaf)
            )
        }
        Some((_, session)) if severe => {
            format!(
                "the certificate of {named} port {port} is {}, that of the other family is fine",
                session.leaf.trust
            )
        }
        _ => format!(
            "{named} port {port} shows another certificate than the other family, both valid for `{host}`"
        ),
    };
    let support = v6
        .iter()
        .chain(v4)
        .map(|session| shown(session, port))
        .collect();
    let hint = format!(
        "give both listeners the same certificate (nginx: `listen 443 ssl;` and `listen [::]:443 ssl;` in one server block) and see with `openssl s_client -connect [ADDRESS]:{port} -servername {host}`"
    );
    let mut found = finding(
        "tls.cert-mismatch",
        list(addresses()),
        message,
        support,
        hint,
    );
    if !severe {
        // Users see nothing of it yet; one of the two will expire first.
        found.severity = Severity::Warning;
    }
    judgement.findings.push(found);
}

fn shown_names(leaf: &Leaf) -> String {
    if leaf.names.is_empty() {
        return "no name at all".to_owned();
    }
    let mut names: Vec<String> = leaf
        .names
        .iter()
        .take(3)
        .map(|name| format!("`{name}`"))
        .collect();
    if leaf.names.len() > 3 {
        names.push(format!("{} more", leaf.names.len() - 3));
    }
    list(names)
}

fn shown(session: &Session<'_, '_>, port: u16) -> Evidence {
    let (address, session) = session;
    let leaf = &session.leaf;
    let covers = if leaf.covers {
        "for the name"
    } else {
        "not for the name"
    };
    let fingerprint = leaf.fingerprint.get(..16).unwrap_or_default();
    let at = address
        .seen
        .port(port)
        .and_then(|port| port.talk()?.tls.as_ref())
        .map_or_else(Default::default, |step| step.at);
    evidence(
        format!("TLS handshake with {} port {port}", address.seen.label()),
        format!(
            "certificate {fingerprint}... for {}, issued by {}: {covers}, {}",
            shown_names(leaf),
            if leaf.issuer.is_empty() {
                "nobody"
            } else {
                &leaf.issuer
            },
            leaf.trust
        ),
        at,
    )
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
    use crate::path::rule::fixture::{Scene, codes, healthy, talk_of};

    const V6: [&str; 2] = ["2e00:5::80", "2e00:5::81"];
    const ALL: [&str; 4] = ["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"];

    fn with(addresses: &[&str], change: impl Fn(&mut TlsSession)) -> Scene {
        let mut scene = healthy();
        for address in addresses {
            change(scene.session(address, 443));
        }
        scene
    }

    #[test]
    fn a_certificate_for_another_name_on_v6_is_a_mismatch() {
        let scene = with(&V6, |session| {
            session.leaf.fingerprint = "ff".repeat(32);
            session.leaf.names = vec!["other.lab.test".to_owned()];
            session.leaf.covers = false;
        });
        assert_eq!(codes(&scene), ["tls.cert-mismatch"]);
        assert_eq!(scene.findings()[0].severity, Severity::Failure);
        assert!(scene.findings()[0].message.contains("`other.lab.test`"));
    }

    #[test]
    fn an_address_as_target_needs_no_certificate_of_its_own() {
        let mut scene = with(&V6, |session| session.leaf.covers = false);
        scene.plan.host = "2e00:5::80".to_owned();
        assert!(codes(&scene).is_empty());
    }

    #[test]
    fn an_expired_certificate_on_v6_only_is_a_mismatch() {
        let scene = with(&V6[..1], |session| {
            session.leaf.trust = Trust::Distrusted("expired".to_owned());
        });
        assert_eq!(codes(&scene), ["tls.cert-mismatch"]);
    }

    #[test]
    fn another_valid_certificate_is_a_warning() {
        let scene = with(&V6, |session| session.leaf.fingerprint = "ff".repeat(32));
        assert_eq!(codes(&scene), ["tls.cert-mismatch"]);
        assert_eq!(scene.findings()[0].severity, Severity::Warning);
    }

    #[test]
    fn servers_with_a_certificate_each_are_no_mismatch() {
        let mut scene = healthy();
        for (index, address) in ALL.iter().enumerate() {
            scene.session(address, 443).leaf.fingerprint = format!("{index:064}");
        }
        assert_eq!(codes(&scene), [""; 0]);
    }

    #[test]
    fn a_private_authority_on_both_families_is_no_mismatch() {
        let scene = with(&ALL, |session| {
            session.leaf.trust = Trust::Distrusted("unknown issuer".to_owned());
        });
        assert_eq!(codes(&scene), [""; 0]);
    }

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
