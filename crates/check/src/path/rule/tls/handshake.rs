//! Handshakes that end without a session, and not in silence: `tls.no-handshake`.

use crate::codes::finding;
use crate::path::Family;
use crate::path::observation::TalkError;
use crate::path::rule::Judgement;
use crate::path::rule::silence::{handshakes, unfinished};
use crate::path::rule::view::{AddressView, View};
use crate::path::words::{list, quoted};
use std::collections::BTreeMap;

pub(super) fn judge(view: &View<'_>, judgement: &mut Judgement) {
    for port in &view.plan.ports {
        let mut alike: BTreeMap<String, Vec<&AddressView<'_>>> = BTreeMap::new();
        for address in view.addresses.iter().filter(|address| address.sound()) {
            let error = address.seen.port(*port).and_then(unfinished);
            if let Some(error) = error.filter(|error| counts(view, address, *port, error)) {
                alike.entry(error.to_string()).or_default().push(address);
            }
        }
        let failed = || alike.values().flatten();
        if alike.is_empty() {
            continue;
        }
        let parts = alike.iter().map(|(error, addresses)| {
            let addresses = addresses.iter().map(|address| address.seen.address);
            format!("{} ({error})", quoted(addresses))
        });
        let support = failed().flat_map(|address| {
            let seen = address.seen.port(*port).into_iter();
            seen.flat_map(|seen| handshakes(address, seen))
        });
        judgement.findings.push(finding(
            "tls.no-handshake",
            list(failed().map(|address| address.seen.address)),
            format!(
                "port {port} opens, but no TLS handshake can be finished with {}",
                list(parts)
            ),
            support.collect(),
            format!(
                "see whether the port speaks TLS at all, and what it says (`openssl s_client -connect {0}:{port} -servername {0}`); nginx: `listen {port} ssl;` with `ssl_certificate` and `ssl_protocols TLSv1.2 TLSv1.3;` in the server block of `{0}`, then its error log",
                view.plan.host
            ),
        ));
    }
}

fn counts(view: &View<'_>, address: &AddressView<'_>, port: u16, error: &TalkError) -> bool {
    match error {
        // `tls.stall`, or nothing that was asked.
        TalkError::Stalled { .. } | TalkError::Unsent(_) => false,
        // Refused over IPv6 and not over IPv4: another version or protocol there, `tls.alpn-or-version-gap`.
        TalkError::Alert(_) => {
            address.family == Family::V4
                || !view.of(Family::V4).any(|other| {
                    let seen = other.seen.port(port).filter(|_| other.alive());
                    seen.is_some_and(|seen| seen.tls().is_some())
                })
        }
        TalkError::Reset | TalkError::Closed | TalkError::Garbled(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::rule::fixture::{Scene, codes, healthy, silent_handshake, talk_of};

    const ALL: [&str; 4] = ["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"];

    fn with(addresses: &[&str], error: &TalkError) -> Scene {
        let mut scene = healthy();
        for address in addresses {
            scene.port(address, 443).talks = vec![talk_of(Some(Err(error.clone())), None); 2];
        }
        scene
    }

    fn garbled() -> TalkError {
        TalkError::Garbled("received corrupt message".to_owned())
    }

    #[test]
    fn a_port_that_speaks_no_tls_over_either_family_is_found() {
        let alert = TalkError::Alert("handshake failure".to_owned());
        for error in [garbled(), TalkError::Closed, TalkError::Reset, alert] {
            let scene = with(&ALL, &error);
            assert_eq!(codes(&scene), ["tls.no-handshake"]);
            let message = &scene.findings()[0].message;
            assert!(message.contains(&error.to_string()), "{message}");
            assert!(message.contains("198.51.100.81"), "{message}");
        }
    }

    #[test]
    fn over_one_family_it_is_found_as_well() {
        assert_eq!(codes(&with(&ALL[..2], &garbled())), ["tls.no-handshake"]);
        assert_eq!(codes(&with(&ALL[2..], &garbled())), ["tls.no-handshake"]);
        let alert = TalkError::Alert("protocol version".to_owned());
        assert_eq!(codes(&with(&ALL[2..], &alert)), ["tls.no-handshake"]);
    }

    #[test]
    fn silence_and_what_cannot_be_asked_are_other_matters() {
        let unsent = TalkError::Unsent("`a..b` cannot be a TLS server name".to_owned());
        assert_eq!(codes(&with(&ALL, &unsent)), [""; 0]);
        let mut scene = healthy();
        for address in ALL {
            scene.port(address, 443).talks = vec![silent_handshake(); 2];
        }
        assert_eq!(codes(&scene), ["tls.stall"]);
    }
}
