//! What must hold for any bytes from a server, a kernel or a firewall: each function panics if it does not.
#![expect(
    clippy::missing_panics_doc,
    reason = "to panic is what these functions are for"
)]

use super::client::sockets;
use super::html::{PARTS, scan, scan_text};
use super::link::Link;
use super::local::{self, Chance, Ruleset, Traffic};
use super::{Family, compare, tls, wire};

/// Scans any body as a page; what is found can be found again, and a body is like itself.
pub fn page(body: &[u8]) {
    let base = Link {
        https: true,
        host: "www.lab.test".to_owned(),
        port: 443,
        path: "/a/".to_owned(),
    };
    for scan in [scan(&base, body), scan_text(&base, body)] {
        assert!(scan.parts.len() <= PARTS && scan.v4_literals.len() <= PARTS);
        for part in &scan.parts {
            assert_eq!(base.join(&part.to_string()).as_ref(), Some(part));
        }
        for (url, address) in &scan.v4_literals {
            assert_eq!(
                base.join(url).and_then(|link| link.v4_literal()),
                Some(*address)
            );
        }
    }
    let (left, right) = body.split_at(body.len() / 2);
    let ratio = compare::similarity(left, right);
    assert!((0.0..=1.0).contains(&ratio), "{ratio}");
    assert!((ratio - compare::similarity(right, left)).abs() < 1e-9);
}

/// Reads any bytes as the output of `nft -j list ruleset` or `iptables-legacy-save` and follows connections through it.
pub fn firewall(printed: &[u8]) {
    let mut legacy = Ruleset::default();
    legacy.add_legacy(Family::V6, &String::from_utf8_lossy(printed));
    follow(&legacy);
    if let Some(ruleset) = Ruleset::parse(printed) {
        follow(&ruleset);
    }
}

fn follow(ruleset: &Ruleset) {
    for family in Family::BOTH {
        let outcome = ruleset.outcome(Traffic {
            family,
            udp: false,
            port: 443,
        });
        assert_eq!(outcome.chain.is_none(), outcome.chance == Chance::Accepted);
    }
}

/// Reads any bytes as what the kernel says: error queues, echo replies, netlink dumps, lines of `/proc`.
pub fn kernel(bytes: &[u8]) {
    if let Some(error) = wire::icmp_error(bytes) {
        assert!(error.to_string().contains("ICMP"));
    }
    for family in Family::BOTH {
        for with_ip_header in [false, true] {
            let token = b"no token";
            if wire::echo_reply(family, with_ip_header, bytes, *token).is_some() {
                assert!(bytes.windows(token.len()).any(|window| window == token));
            }
        }
    }
    local::fuzz(bytes);
    sockets::fuzz(&String::from_utf8_lossy(bytes));
}

/// Reads any bytes as a certificate.
pub fn certificate(der: &[u8]) {
    let (names, issuer) = tls::names_and_issuer(der);
    assert!(names.iter().map(String::len).sum::<usize>() <= der.len().saturating_mul(8));
    assert!(issuer.len() <= der.len().saturating_mul(64));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn what_a_fuzzer_found_stays_mended() {
        // A fuzzer that is guided by comparisons guesses the token of an echo reply.
        super::kernel(b"\0\xfd\0\0\x09\x0d\x0d\x0dno token\0\x09:1");
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_page(body: Vec<u8>) {
            super::page(&body);
        }

        #[test]
        fn what_looks_like_a_page_is_scanned_alike_again(
            pieces in proptest::collection::vec(
                r#"(<(img|script|link|a|base|title|style)( (src|href|rel|srcset)=["']?[a-zA-Z0-9:/?#.@\[\]%&;é -]{0,20}["']?)?>|</(script|style|title)>|<!--|-->|https?://[0-9.]{0,15}/)"#,
                0..12,
            )
        ) {
            super::page(pieces.concat().as_bytes());
        }

        #[test]
        fn any_bytes_are_rules_or_not(json: Vec<u8>) {
            super::firewall(&json);
        }

        #[test]
        fn what_looks_like_an_echo_reply_may_come_from_the_kernel(kind: u8, before: [u8; 7], after: Vec<u8>) {
            super::kernel(&[&[kind], &before[..], b"no token", &after].concat());
        }

        #[test]
        fn any_bytes_may_come_from_the_kernel(bytes: Vec<u8>) {
            super::kernel(&bytes);
        }

        #[test]
        fn any_bytes_may_be_a_certificate(der: Vec<u8>) {
            super::certificate(&der);
        }
    }
}
