//! Certificates: another one over IPv6 (`tls.cert-mismatch`), and one that is good over no family (`tls.cert-invalid`).

use super::Session;
use crate::codes::finding;
use crate::path::observation::{Leaf, Trust};
use crate::path::rule::view::View;
use crate::path::rule::{Judgement, evidence};
use crate::path::words::{list, quoted};
use std::collections::BTreeSet;
use std::net::IpAddr;
use twinstack_finding::{Evidence, Severity};

pub(super) fn judge(
    view: &View<'_>,
    port: u16,
    v6: &[Session<'_, '_>],
    v4: &[Session<'_, '_>],
    judgement: &mut Judgement,
) {
    let (bad_v6, bad_v4) = (bad(view, v6), bad(view, v4));
    let alone = v6.is_empty() || v4.is_empty();
    if alone || !(bad_v6.is_empty() || bad_v4.is_empty()) {
        let worse: Vec<_> = bad_v6.into_iter().chain(bad_v4).collect();
        invalid(view, port, &worse, judgement);
        let other = others(v6, v4);
        let all = || v6.iter().chain(v4);
        if !other.is_empty() {
            let fine = all().all(|(_, session)| good(view, &session.leaf));
            let all: Vec<_> = all().copied().collect();
            judgement
                .findings
                .push(another(view, port, &other, &all, fine));
        }
        return;
    }
    let worse = if bad_v6.is_empty() { bad_v4 } else { bad_v6 };
    let all: Vec<_> = v6.iter().chain(v4).copied().collect();
    if worse.is_empty() {
        let other = others(v6, v4);
        if !other.is_empty() {
            judgement
                .findings
                .push(another(view, port, &other, &all, true));
        }
        return;
    }
    judgement.findings.push(finding(
        "tls.cert-mismatch",
        list(addresses(&worse)),
        format!(
            "{}, that of the other family is fine",
            fault(view, port, &worse)
        ),
        all.iter().map(|session| shown(session, port)).collect(),
        same_for_both(view, port),
    ));
}

/// Whether a browser would accept it for the name that the user asked for; an address is no such name, and hardly any
/// certificate lists one.
fn good(view: &View<'_>, leaf: &Leaf) -> bool {
    !(misses(view, leaf) || matches!(leaf.trust, Trust::Distrusted(_)))
}

fn misses(view: &View<'_>, leaf: &Leaf) -> bool {
    !leaf.covers && view.plan.host.parse::<IpAddr>().is_err()
}

fn bad<'v, 'a>(view: &View<'_>, sessions: &[Session<'v, 'a>]) -> Vec<Session<'v, 'a>> {
    let bad = |(_, session): &&Session<'_, '_>| !good(view, &session.leaf);
    sessions.iter().filter(bad).copied().collect()
}

/// IPv6 addresses with another certificate than IPv4 has. Several on IPv4 alone are servers that each have their own;
/// then another one on IPv6 means nothing.
fn others<'v, 'a>(v6: &[Session<'v, 'a>], v4: &[Session<'_, '_>]) -> Vec<Session<'v, 'a>> {
    let known: BTreeSet<&str> = v4
        .iter()
        .map(|(_, session)| session.leaf.fingerprint.as_str())
        .collect();
    let other = |(_, session): &&Session<'_, '_>| {
        known.len() == 1 && !known.contains(session.leaf.fingerprint.as_str())
    };
    v6.iter().filter(other).copied().collect()
}

fn addresses(sessions: &[Session<'_, '_>]) -> impl Iterator<Item = IpAddr> {
    sessions.iter().map(|(address, _)| address.seen.address)
}

/// What is wrong with them, in words: the first is described.
fn fault(view: &View<'_>, port: u16, bad: &[Session<'_, '_>]) -> String {
    let whose = format!("the certificate of {} port {port}", quoted(addresses(bad)));
    match bad.first() {
        Some((_, session)) if misses(view, &session.leaf) => format!(
            "{whose} is not for `{}` but for {}",
            view.plan.host,
            shown_names(&session.leaf)
        ),
        Some((_, session)) => format!("{whose} is {}", session.leaf.trust),
        None => whose,
    }
}

fn invalid(view: &View<'_>, port: u16, bad: &[Session<'_, '_>], judgement: &mut Judgement) {
    let Some((_, first)) = bad.first() else {
        return;
    };
    let host = &view.plan.host;
    let hint = match &first.leaf.trust {
        _ if misses(view, &first.leaf) => format!(
            "issue one that lists the name (`certbot certonly -d {host}`) and let the server block of `{host}` show it; see with `openssl s_client -connect {host}:{port} -servername {host}`"
        ),
        Trust::Distrusted(why) if why == "expired" => format!(
            "renew it and load it (`certbot renew && systemctl reload nginx`), then see why it was not renewed in time: `echo | openssl s_client -connect {host}:{port} -servername {host} | openssl x509 -noout -dates`"
        ),
        _ => "send the whole chain (nginx: `ssl_certificate fullchain.pem;`); if the authority is a private one, give this machine its root (`SSL_CERT_FILE=root.pem`)".to_owned(),
    };
    judgement.findings.push(finding(
        "tls.cert-invalid",
        list(addresses(bad)),
        format!(
            "{}: browsers warn, whatever the family",
            fault(view, port, bad)
        ),
        bad.iter().map(|session| shown(session, port)).collect(),
        hint,
    ));
}

/// A difference that users see nothing of yet; one of the two will expire first.
fn another(
    view: &View<'_>,
    port: u16,
    other: &[Session<'_, '_>],
    all: &[Session<'_, '_>],
    fine: bool,
) -> twinstack_finding::Finding {
    let both = if fine {
        format!(", both valid for `{}`", view.plan.host)
    } else {
        String::new()
    };
    let mut found = finding(
        "tls.cert-mismatch",
        list(addresses(other)),
        format!(
            "{} port {port} shows another certificate than the other family{both}",
            quoted(addresses(other))
        ),
        all.iter().map(|session| shown(session, port)).collect(),
        same_for_both(view, port),
    );
    found.severity = Severity::Warning;
    found
}

fn same_for_both(view: &View<'_>, port: u16) -> String {
    format!(
        "give both listeners the same certificate (nginx: `listen {port} ssl;` and `listen [::]:{port} ssl;` in one server block) and see with `openssl s_client -connect [ADDRESS]:{port} -servername {}`",
        view.plan.host
    )
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::rule::fixture::{Scene, codes, healthy, with_sessions as with};

    const V6: [&str; 2] = ["2e00:5::80", "2e00:5::81"];
    const ALL: [&str; 4] = ["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"];

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
    fn a_bad_certificate_over_both_families_is_invalid_and_no_mismatch() {
        let check = |change: fn(&mut Leaf), words: &str| {
            let scene = with(&ALL, |session| change(&mut session.leaf));
            assert_eq!(codes(&scene), ["tls.cert-invalid"]);
            let found = &scene.findings()[0];
            assert!(found.message.contains(words), "{}", found.message);
            assert!(found.message.contains("198.51.100.80"), "{}", found.message);
        };
        check(|leaf| leaf.covers = false, "not for `www.lab.test`");
        check(
            |leaf| leaf.trust = Trust::Distrusted("expired".to_owned()),
            "not trusted: expired",
        );
        check(
            |leaf| leaf.trust = Trust::Distrusted("unknown issuer".to_owned()),
            "not trusted: unknown issuer",
        );
    }

    #[test]
    fn with_nothing_to_compare_a_bad_certificate_is_invalid() {
        for addresses in [&ALL[..2], &ALL[2..]] {
            let mut scene = Scene::healthy(addresses, &[80, 443]);
            assert_eq!(codes(&scene), [""; 0]);
            for address in addresses {
                scene.session(address, 443).leaf.covers = false;
            }
            assert_eq!(codes(&scene), ["tls.cert-invalid"]);
        }
    }

    #[test]
    fn without_roots_an_issuer_is_not_judged() {
        let scene = with(&ALL, |session| session.leaf.trust = Trust::Unknown);
        assert_eq!(codes(&scene), [""; 0]);
    }

    #[test]
    fn another_certificate_on_v6_is_found_even_if_both_are_bad() {
        let mut scene = with(&ALL, |session| session.leaf.covers = false);
        for address in V6 {
            scene.session(address, 443).leaf.fingerprint = "ff".repeat(32);
        }
        assert_eq!(codes(&scene), ["tls.cert-invalid", "tls.cert-mismatch"]);
        assert!(!scene.findings()[1].message.contains("valid for"));
    }
}
