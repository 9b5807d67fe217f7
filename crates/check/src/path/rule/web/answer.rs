//! Requests that nobody serves, over one family or both: `http.no-answer` and `http.server-error`.

use super::response;
use crate::codes::finding;
use crate::path::observation::{Answer, BodyEnd, PortObservation, TalkError};
use crate::path::rule::silence::mute;
use crate::path::rule::view::{AddressView, View};
use crate::path::rule::{Judgement, evidence};
use crate::path::words::{list, ports, quoted, span};
use crate::path::{Family, Speech};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use twinstack_finding::Evidence;

/// Requests that were taken, without a whole HTTP response to them.
pub(super) fn missing(view: &View<'_>, judgement: &mut Judgement) {
    let mut alike: BTreeMap<String, Places<'_, '_>> = BTreeMap::new();
    let mut support = Vec::new();
    let mut strange_bytes = false;
    let mut answered = None;
    for address in view.addresses.iter().filter(|address| address.sound()) {
        // A backend that says nothing inside TLS says nothing elsewhere either: one fault, found as `tls.stall`.
        if address.seen.ports.iter().any(mute) {
            continue;
        }
        let web = address
            .seen
            .ports
            .iter()
            .filter(|seen| seen.speech.is_web());
        for seen in web {
            match failure(seen) {
                Some(error) => {
                    strange_bytes |= matches!(error.error, TalkError::Garbled(_));
                    support.push(unanswered(view, address, seen, &error));
                    alike.entry(error.words()).or_default().add(address, seen);
                }
                None => answered = answered.or_else(|| Some((address, seen, seen.page()?))),
            }
        }
    }
    if alike.is_empty() {
        return;
    }
    support.extend(answered.map(|(address, seen, page)| response(address, seen, page)));
    let parts = alike
        .iter()
        .map(|(words, places)| format!("{} {words}", places.named()));
    let all = || alike.values().flat_map(|places| &places.addresses);
    let families: BTreeSet<Family> = all().map(|address| Family::of(*address)).collect();
    let message = format!(
        "the request is taken, and no whole HTTP response comes{}: {}",
        if families.len() == 2 {
            ", over IPv6 and IPv4 alike"
        } else {
            ""
        },
        parts.collect::<Vec<_>>().join("; ")
    );
    let host = &view.plan.host;
    let port = alike
        .values()
        .find_map(|places| places.ports.first())
        .copied()
        .unwrap_or(80);
    let hint = if strange_bytes {
        format!(
            "see what speaks on port {port} (`curl -v --http0.9 telnet://{host}:{port}`): if it is TLS, check `https://{host}:{port}`; if it is no web server, check it with `--profile tcp`"
        )
    } else {
        format!(
            "look for the dead or hanging backend behind the listener (nginx: `proxy_pass` and its error log; `ss -ltn 'sport = :{port}'` shows a full accept queue); if it is only slow, allow it more with `--timeout`"
        )
    };
    let subjects: BTreeSet<&IpAddr> = all().collect();
    judgement.findings.push(finding(
        "http.no-answer",
        list(subjects),
        message,
        support,
        hint,
    ));
}

/// What came instead of a whole response.
struct Failure<'a> {
    error: &'a TalkError,
    /// The status, where at least the head came.
    status: Option<u16>,
}

impl Failure<'_> {
    fn words(&self) -> String {
        let what = match self.error {
            TalkError::Stalled { .. } => "fell silent".to_owned(),
            TalkError::Reset => "reset the connection".to_owned(),
            TalkError::Closed => "closed the connection".to_owned(),
            TalkError::Garbled(_) => "sent something else than HTTP".to_owned(),
            TalkError::Alert(_) | TalkError::Unsent(_) => format!("ended ({})", self.error),
        };
        match self.status {
            Some(status) => format!("{what} in the middle of a response with status {status}"),
            None => what,
        }
    }
}

fn failure(seen: &PortObservation) -> Option<Failure<'_>> {
    let failure = match &seen.talk()?.answer.as_ref()?.outcome {
        Err(error) => Failure {
            error,
            status: None,
        },
        Ok(Answer::Page(page)) => match &page.end {
            BodyEnd::Broken(error) => Failure {
                error,
                status: Some(page.status),
            },
            BodyEnd::Complete | BodyEnd::Cut => return None,
        },
        Ok(Answer::Banner(_)) => return None,
    };
    (!matches!(failure.error, TalkError::Unsent(_))).then_some(failure)
}

fn unanswered(
    view: &View<'_>,
    address: &AddressView<'_>,
    seen: &PortObservation,
    failure: &Failure<'_>,
) -> Evidence {
    let (at, took) = seen
        .talk()
        .and_then(|talk| talk.answer.as_ref())
        .map_or((seen.connect.at, seen.connect.took), |step| {
            (step.at, step.took)
        });
    let saw = match failure.status {
        Some(status) => format!(
            "status {status}, then {} after {}",
            failure.error,
            span(took)
        ),
        None => format!("{} after {}", failure.error, span(took)),
    };
    let did = format!(
        "requested `{}` over {} from {} port {}",
        view.plan.path,
        scheme(seen),
        address.seen.label(),
        seen.port
    );
    evidence(did, saw, at)
}

const fn scheme(seen: &PortObservation) -> &'static str {
    match seen.speech {
        Speech::Https => "https",
        _ => "http",
    }
}

/// Pages that say themselves that the service fails.
///
/// `strange` are the IPv6 addresses and ports that were found to show another site: where one family alone fails, that
/// says it.
pub(super) fn errors(
    view: &View<'_>,
    strange: &BTreeSet<(IpAddr, u16)>,
    judgement: &mut Judgement,
) {
    let mut alike: BTreeMap<u16, Places<'_, '_>> = BTreeMap::new();
    let mut support = Vec::new();
    for port in &view.plan.ports {
        let failing: Vec<_> = view
            .addresses
            .iter()
            .filter(|address| address.sound())
            .filter_map(|address| Some((address, address.seen.port(*port)?)))
            .filter(|(_, seen)| {
                seen.page().is_some() && seen.pages().all(|page| page.status >= 500)
            })
            .collect();
        let families: BTreeSet<Family> =
            failing.iter().map(|(address, _)| address.family).collect();
        if families.len() == 1 && strange.iter().any(|(_, there)| there == port) {
            continue;
        }
        for (address, seen) in failing {
            let Some(page) = seen.page() else { continue };
            alike.entry(page.status).or_default().add(address, seen);
            support.push(response(address, seen, page));
        }
    }
    if alike.is_empty() {
        return;
    }
    let parts = alike
        .iter()
        .map(|(status, places)| format!("{} with status {status}", places.named()));
    let subjects: BTreeSet<&IpAddr> = alike
        .values()
        .flat_map(|places| &places.addresses)
        .collect();
    judgement.findings.push(finding(
        "http.server-error",
        list(subjects),
        format!(
            "the service answers `{}` with an error of its own: {}",
            view.plan.path,
            list(parts)
        ),
        support,
        "look into the error log of the web server (`journalctl -u nginx`, `/var/log/nginx/error.log`) and at the program behind it; 502, 503 and 504 come from a proxy that cannot reach it",
    ));
}

/// Addresses and their ports with the same fault.
#[derive(Default)]
struct Places<'v, 'a> {
    seen: Vec<&'v AddressView<'a>>,
    addresses: BTreeSet<IpAddr>,
    ports: BTreeSet<u16>,
}

impl<'v, 'a> Places<'v, 'a> {
    fn add(&mut self, address: &'v AddressView<'a>, seen: &PortObservation) {
        self.seen.push(address);
        self.addresses.insert(address.seen.address);
        self.ports.insert(seen.port);
    }

    fn named(&self) -> String {
        // In the order in which they were looked at, each once.
        let mut named: Vec<IpAddr> = Vec::new();
        for address in &self.seen {
            if !named.contains(&address.seen.address) {
                named.push(address.seen.address);
            }
        }
        format!("{} on {}", quoted(named), ports(&self.ports))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::observation::Talk;
    use crate::path::rule::fixture::{Scene, codes, healthy, silent_body, talk_of};

    const V6: [&str; 2] = ["2e00:5::80", "2e00:5::81"];
    const V4: [&str; 2] = ["198.51.100.80", "198.51.100.81"];
    const ALL: [&str; 4] = ["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"];

    fn with(addresses: &[&str], talk: &Talk) -> Scene {
        let mut scene = healthy();
        for address in addresses {
            scene.port(address, 80).talks = vec![talk.clone(); 2];
        }
        scene
    }

    fn status(addresses: &[&str], status: u16) -> Scene {
        let mut scene = healthy();
        for address in addresses {
            for port in [80, 443] {
                scene.page(address, port).status = status;
            }
        }
        scene
    }

    #[test]
    fn no_response_over_one_family_or_both_is_no_other_site() {
        for addresses in [&V6[..], &V4, &ALL] {
            let scene = with(addresses, &silent_body());
            assert_eq!(codes(&scene), ["http.no-answer"]);
            let found = &scene.findings()[0];
            assert!(!found.hint.contains("listen [::]"), "{}", found.hint);
            let both = found.message.contains("IPv6 and IPv4 alike");
            assert_eq!(both, addresses.len() == 4, "{}", found.message);
        }
    }

    #[test]
    fn what_came_instead_is_named() {
        let check = |error: TalkError, words: &str| {
            let scene = with(&ALL, &talk_of(None, Some(Err(error))));
            assert_eq!(codes(&scene), ["http.no-answer"]);
            let message = &scene.findings()[0].message;
            assert!(message.contains(words), "{message}");
        };
        check(TalkError::Closed, "closed the connection");
        check(TalkError::Reset, "reset the connection");
        check(
            TalkError::Garbled("invalid HTTP version parsed".to_owned()),
            "something else than HTTP",
        );
    }

    #[test]
    fn a_response_that_breaks_off_is_no_whole_one() {
        let mut scene = healthy();
        for address in ALL {
            scene.page(address, 443).end = BodyEnd::Broken(TalkError::Stalled { received: 99 });
        }
        assert_eq!(codes(&scene), ["http.no-answer"]);
        let found = &scene.findings()[0];
        assert!(found.message.contains("status 200"), "{}", found.message);
        assert!(found.evidence[0].saw.contains("stalled after 99 bytes"));
    }

    #[test]
    fn a_response_that_was_cut_because_it_is_long_is_whole() {
        let mut scene = healthy();
        for address in ALL {
            scene.page(address, 443).end = BodyEnd::Cut;
        }
        assert_eq!(codes(&scene), [""; 0]);
    }

    #[test]
    fn an_error_of_the_server_over_both_families_is_found() {
        let scene = status(&ALL, 503);
        assert_eq!(codes(&scene), ["http.server-error"]);
        let message = &scene.findings()[0].message;
        assert!(message.contains("status 503"), "{message}");
        assert_eq!(codes(&status(&ALL, 404)), [""; 0]);
        assert_eq!(codes(&status(&ALL, 499)), [""; 0]);
    }

    #[test]
    fn one_failing_server_of_each_family_is_an_error_and_no_other_site() {
        let scene = status(&[V6[0], V4[0]], 502);
        assert_eq!(codes(&scene), ["http.server-error"]);
        let message = &scene.findings()[0].message;
        assert!(
            !message.contains(V6[1]) && !message.contains(V4[1]),
            "{message}"
        );
        assert_eq!(codes(&status(&V4[..1], 502)), ["http.server-error"]);
    }

    #[test]
    fn an_error_over_one_family_alone_is_another_site() {
        assert_eq!(codes(&status(&V6, 503)), ["http.vhost-mismatch"]);
        assert_eq!(codes(&status(&V4, 503)), ["http.vhost-mismatch"]);
    }
}
