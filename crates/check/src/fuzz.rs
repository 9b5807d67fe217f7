//! What must hold for any text and any bytes, for the fuzz targets and the property tests: each function panics if it
//! does not.

pub use crate::path::fuzz::{certificate, firewall, kernel, page};

use crate::mail::{smtp, spf};
use crate::options::Target;
use crate::report::Report;
use crate::via;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads any text as a target; what can be read is a host that reads the same again.
pub fn target(text: &str) {
    match Target::parse(text) {
        Ok(target) => {
            let again =
                Target::parse(&target.url_host()).expect("the host of a target is a target");
            assert_eq!(again.host, target.host);
            assert!(target.path.starts_with('/') && target.path.is_ascii());
            assert_ne!(target.port, Some(0));
        }
        Err(error) => assert!(!error.hint().is_empty()),
    }
}

/// Reads any text as an SPF record and asks it about both families.
pub fn spf(text: &str) {
    let Some(Ok(record)) = spf::Record::parse(text) else {
        return;
    };
    let rules = record.directives.into_iter().map(|directive| spf::Rule {
        qualifier: directive.qualifier,
        matcher: match directive.mechanism {
            spf::Mechanism::All => spf::Matcher::All,
            spf::Mechanism::Net(net) => spf::Matcher::Net(net),
            spf::Mechanism::A { lengths, .. } | spf::Mechanism::Mx { lengths, .. } => {
                spf::Matcher::Hosts {
                    addresses: [
                        IpAddr::V4(Ipv4Addr::BROADCAST),
                        IpAddr::V6(Ipv6Addr::LOCALHOST),
                    ]
                    .into(),
                    lengths,
                }
            }
            _ => spf::Matcher::Unknown(String::new()),
        },
        text: directive.text,
    });
    let policy = spf::Resolved::Policy(spf::Policy {
        domain: "lab.test".to_owned(),
        rules: rules.collect(),
        redirect: record.redirect.map(|_| Box::new(spf::Resolved::None)),
    });
    for sender in [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ] {
        assert_ne!(policy.evaluate(sender).result, spf::SpfResult::None);
    }
}

/// Reads any bytes as what a mail server says: a greeting and the answer to EHLO; what is kept of it is one visible line.
pub fn smtp(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers needs nothing of the machine");
    let mut stream = bytes;
    let mut reply = || runtime.block_on(smtp::reply(&mut stream));
    let (greeting, ehlo) = (reply(), reply());
    let Ok(greeting) = greeting else {
        return;
    };
    for line in [Ok(&greeting), ehlo.as_ref()].into_iter().flatten() {
        assert!(line.len() <= 512, "{} bytes were kept", line.len());
        assert!(line.chars().all(|c| c == ' ' || c.is_ascii_graphic()));
    }
    let introduction = smtp::Introduction {
        greeting,
        ehlo: ehlo.ok(),
    };
    assert!(!introduction.name().contains(char::is_whitespace));
}

/// Reads any bytes as the report of another machine; one that can be read can be merged.
pub fn report(bytes: &[u8]) {
    if let Ok(report) = via::parse(bytes, &via::Via::ssh("far")) {
        let vantages = report.vantages.len();
        let merged = Report::merge(vec![report.clone(), report]).expect("two reports merge to one");
        assert_eq!(merged.vantages.len(), vantages * 2);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_a_target_or_an_error(text in ".*") {
            super::target(&text);
        }

        #[test]
        fn what_looks_like_a_target_is_one_or_an_error(
            text in r"(https?://)?(\[?[0-9a-f:.]{0,12}\]?|[a-zA-Z0-9_.-]{0,20})(:[0-9]{0,6})?(/[ -~]{0,9})?"
        ) {
            super::target(&text);
        }

        #[test]
        fn any_text_is_an_spf_record_or_not(text in "v=spf1.*") {
            super::spf(&text);
        }

        #[test]
        fn what_looks_like_an_spf_record_is_one_or_an_error(
            terms in proptest::collection::vec(
                r"[+~?-]?(all|a|mx|ip4|ip6|include|exists|ptr|redirect)([:=]?[0-9a-f.:%{}]{0,12})?(/[0-9]{0,3}){0,3}",
                0..5,
            )
        ) {
            super::spf(&format!("v=spf1 {}", terms.join(" ")));
        }

        #[test]
        fn any_bytes_are_said_by_a_mail_server(bytes: Vec<u8>) {
            super::smtp(&bytes);
        }

        #[test]
        fn what_looks_like_a_reply_is_one(
            lines in proptest::collection::vec("(220|250|554)?[ -]?[ -~\u{e9}]{0,600}\r?\n?", 0..70)
        ) {
            super::smtp(lines.concat().as_bytes());
        }

        #[test]
        fn any_bytes_are_a_report_or_an_error(bytes: Vec<u8>) {
            super::report(&bytes);
        }
    }
}
