//! The codes that `check` raises itself. Those of the reverse join (`ptr.*`) are `twinstack_dns::join`'s own.
//!
//! A code never changes meaning. Its page stands in `docs/findings/` and is part of the binary, so that `explain`
//! works anywhere.

use twinstack_finding::{Code, CodeInfo, Evidence, Finding, Severity};

const fn code(
    code: &'static str,
    catalogue: Option<&'static str>,
    severity: Severity,
    title: &'static str,
    page: &'static str,
) -> CodeInfo {
    CodeInfo {
        code,
        catalogue,
        severity,
        title,
        page,
    }
}

/// Every code of this crate, sorted.
pub const CODES: &[CodeInfo] = &[
    code(
        "client.failed",
        None,
        Severity::Failure,
        "the client gets no answer, though the service gives one",
        include_str!("../../../docs/findings/client.failed.md"),
    ),
    code(
        "client.no-fallback",
        Some("C801"),
        Severity::Failure,
        "the client waits for IPv6 and never turns to IPv4 in time",
        include_str!("../../../docs/findings/client.no-fallback.md"),
    ),
    code(
        "client.slow-fallback",
        Some("C802"),
        Severity::Warning,
        "the client falls back to IPv4, but the user waits for it",
        include_str!("../../../docs/findings/client.slow-fallback.md"),
    ),
    code(
        "dns.a-missing",
        None,
        Severity::Warning,
        "the name has an AAAA but no A",
        include_str!("../../../docs/findings/dns.a-missing.md"),
    ),
    code(
        "dns.a-query-broken",
        Some("D114"),
        Severity::Failure,
        "the query for A fails, the one for AAAA is answered",
        include_str!("../../../docs/findings/dns.a-query-broken.md"),
    ),
    code(
        "dns.aaaa-inconsistent",
        Some("D104"),
        Severity::Failure,
        "servers disagree on the AAAA set",
        include_str!("../../../docs/findings/dns.aaaa-inconsistent.md"),
    ),
    code(
        "dns.aaaa-missing",
        Some("D101"),
        Severity::Failure,
        "the name has no AAAA, or lacks one that was planned",
        include_str!("../../../docs/findings/dns.aaaa-missing.md"),
    ),
    code(
        "dns.aaaa-not-global",
        Some("D102"),
        Severity::Failure,
        "the AAAA holds an address that the Internet cannot reach",
        include_str!("../../../docs/findings/dns.aaaa-not-global.md"),
    ),
    code(
        "dns.aaaa-query-broken",
        Some("D105"),
        Severity::Failure,
        "the query for AAAA fails, the one for A is answered",
        include_str!("../../../docs/findings/dns.aaaa-query-broken.md"),
    ),
    code(
        "dns.aaaa-slow",
        Some("D106"),
        Severity::Warning,
        "AAAA answers come later than A answers",
        include_str!("../../../docs/findings/dns.aaaa-slow.md"),
    ),
    code(
        "dns.aaaa-unexpected",
        Some("D103"),
        Severity::Warning,
        "an AAAA is published that nobody declared",
        include_str!("../../../docs/findings/dns.aaaa-unexpected.md"),
    ),
    code(
        "dns.glue-no-aaaa",
        Some("D109"),
        Severity::Warning,
        "the parent zone hands out no IPv6 glue",
        include_str!("../../../docs/findings/dns.glue-no-aaaa.md"),
    ),
    code(
        "dns.https-hint-mismatch",
        Some("D107"),
        Severity::Warning,
        "the HTTPS record names an address that A and AAAA do not",
        include_str!("../../../docs/findings/dns.https-hint-mismatch.md"),
    ),
    code(
        "dns.negative-ttl-too-long",
        Some("D113"),
        Severity::Warning,
        "\"there is no AAAA\" is remembered for too long",
        include_str!("../../../docs/findings/dns.negative-ttl-too-long.md"),
    ),
    code(
        "dns.ns-broken",
        None,
        Severity::Warning,
        "a name server of the zone does not answer for it",
        include_str!("../../../docs/findings/dns.ns-broken.md"),
    ),
    code(
        "dns.ns-no-aaaa",
        Some("D108"),
        Severity::Warning,
        "no name server of the zone has IPv6",
        include_str!("../../../docs/findings/dns.ns-no-aaaa.md"),
    ),
    code(
        "dns.ns-v6-dead",
        Some("D110"),
        Severity::Warning,
        "a name server has an AAAA but does not answer over IPv6",
        include_str!("../../../docs/findings/dns.ns-v6-dead.md"),
    ),
    code(
        "dns.ttl-too-long",
        Some("D112"),
        Severity::Warning,
        "the AAAA is cached for too long to take it back quickly",
        include_str!("../../../docs/findings/dns.ttl-too-long.md"),
    ),
    code(
        "host.dad-failed",
        Some("S709"),
        Severity::Failure,
        "the kernel found another holder of this IPv6 address",
        include_str!("../../../docs/findings/host.dad-failed.md"),
    ),
    code(
        "host.disable-ipv6-sysctl",
        Some("S708"),
        Severity::Failure,
        "IPv6 is switched off in the kernel of this host",
        include_str!("../../../docs/findings/host.disable-ipv6-sysctl.md"),
    ),
    code(
        "host.fw-rules-differ",
        Some("S704"),
        Severity::Warning,
        "a firewall rule exists for IPv4 and has no IPv6 twin",
        include_str!("../../../docs/findings/host.fw-rules-differ.md"),
    ),
    code(
        "host.mapped-address-acl",
        Some("S703"),
        Severity::Failure,
        "IPv4 clients are denied because they look like ::ffff:a.b.c.d",
        include_str!("../../../docs/findings/host.mapped-address-acl.md"),
    ),
    code(
        "host.nd-cache-full",
        Some("S706"),
        Severity::Warning,
        "the table of IPv6 neighbours is full, or nearly",
        include_str!("../../../docs/findings/host.nd-cache-full.md"),
    ),
    code(
        "host.not-listening-v6",
        Some("S701"),
        Severity::Failure,
        "the service listens on IPv4 only",
        include_str!("../../../docs/findings/host.not-listening-v6.md"),
    ),
    code(
        "host.v6only-surprise",
        Some("S702"),
        Severity::Failure,
        "the [::] listener does not take IPv4, and nothing else does",
        include_str!("../../../docs/findings/host.v6only-surprise.md"),
    ),
    code(
        "http.content-mismatch",
        Some("H402"),
        Severity::Warning,
        "the page differs between IPv6 and IPv4",
        include_str!("../../../docs/findings/http.content-mismatch.md"),
    ),
    code(
        "http.no-answer",
        None,
        Severity::Failure,
        "the request is taken, and no whole HTTP response comes",
        include_str!("../../../docs/findings/http.no-answer.md"),
    ),
    code(
        "http.partial-page",
        Some("H403"),
        Severity::Warning,
        "parts of the page are not reachable over IPv6",
        include_str!("../../../docs/findings/http.partial-page.md"),
    ),
    code(
        "http.server-error",
        None,
        Severity::Failure,
        "the service answers with an error of its own, whatever the family",
        include_str!("../../../docs/findings/http.server-error.md"),
    ),
    code(
        "http.v4-literal",
        Some("H404"),
        Severity::Warning,
        "the page hands out IPv4 addresses instead of names",
        include_str!("../../../docs/findings/http.v4-literal.md"),
    ),
    code(
        "http.vhost-mismatch",
        Some("H401"),
        Severity::Failure,
        "IPv6 lands on another web site than IPv4",
        include_str!("../../../docs/findings/http.vhost-mismatch.md"),
    ),
    code(
        "mail.helo-mismatch",
        Some("M602"),
        Severity::Warning,
        "the mail server introduces itself by a name that is not its own",
        include_str!("../../../docs/findings/mail.helo-mismatch.md"),
    ),
    code(
        "mail.mx-no-v6",
        Some("M603"),
        Severity::Warning,
        "no mail exchanger of the domain has IPv6",
        include_str!("../../../docs/findings/mail.mx-no-v6.md"),
    ),
    code(
        "mail.spf-no-v6",
        Some("M601"),
        Severity::Failure,
        "SPF allows the IPv4 address of the mail server and not the IPv6 one",
        include_str!("../../../docs/findings/mail.spf-no-v6.md"),
    ),
    code(
        "reach.closed",
        None,
        Severity::Failure,
        "nobody can connect, over neither family",
        include_str!("../../../docs/findings/reach.closed.md"),
    ),
    code(
        "reach.fragment-or-eh-drop",
        Some("R208"),
        Severity::Warning,
        "fragmented IPv6 packets do not get through",
        include_str!("../../../docs/findings/reach.fragment-or-eh-drop.md"),
    ),
    code(
        "reach.fw-drop",
        Some("R202"),
        Severity::Failure,
        "IPv6 packets to the service vanish",
        include_str!("../../../docs/findings/reach.fw-drop.md"),
    ),
    code(
        "reach.fw-reject",
        Some("R203"),
        Severity::Failure,
        "IPv6 connections to the service are refused",
        include_str!("../../../docs/findings/reach.fw-reject.md"),
    ),
    code(
        "reach.icmpv6-filtered",
        Some("R206"),
        Severity::Warning,
        "the IPv6 address answers TCP but no echo, IPv4 answers both",
        include_str!("../../../docs/findings/reach.icmpv6-filtered.md"),
    ),
    code(
        "reach.no-route",
        Some("R201"),
        Severity::Failure,
        "there is no route to the IPv6 address",
        include_str!("../../../docs/findings/reach.no-route.md"),
    ),
    code(
        "reach.path-gap",
        Some("R212"),
        Severity::Warning,
        "the IPv6 path is much slower or lossier than the IPv4 path",
        include_str!("../../../docs/findings/reach.path-gap.md"),
    ),
    code(
        "reach.pmtu-blackhole",
        Some("R205"),
        Severity::Failure,
        "IPv6 connects, then stalls with the first full-sized packet",
        include_str!("../../../docs/findings/reach.pmtu-blackhole.md"),
    ),
    code(
        "reach.port-asymmetry",
        Some("R204"),
        Severity::Failure,
        "a port is open on IPv4 and closed on IPv6 of the same name",
        include_str!("../../../docs/findings/reach.port-asymmetry.md"),
    ),
    code(
        "reach.quic-v6-blocked",
        Some("R209"),
        Severity::Warning,
        "QUIC works on IPv4 and not on IPv6",
        include_str!("../../../docs/findings/reach.quic-v6-blocked.md"),
    ),
    code(
        "reach.return-path-loss",
        Some("R207"),
        Severity::Failure,
        "the server answers over IPv6, and the answer does not arrive",
        include_str!("../../../docs/findings/reach.return-path-loss.md"),
    ),
    code(
        "reach.v4-unreachable",
        Some("R215"),
        Severity::Failure,
        "the IPv4 address is dead, and IPv6 hides it",
        include_str!("../../../docs/findings/reach.v4-unreachable.md"),
    ),
    code(
        "tls.alpn-or-version-gap",
        Some("T302"),
        Severity::Warning,
        "IPv6 and IPv4 speak different TLS or HTTP versions",
        include_str!("../../../docs/findings/tls.alpn-or-version-gap.md"),
    ),
    code(
        "tls.cert-invalid",
        None,
        Severity::Failure,
        "the certificate is good over no family: name, dates or issuer",
        include_str!("../../../docs/findings/tls.cert-invalid.md"),
    ),
    code(
        "tls.cert-mismatch",
        Some("T301"),
        Severity::Failure,
        "IPv6 shows another certificate than IPv4, or one for other names",
        include_str!("../../../docs/findings/tls.cert-mismatch.md"),
    ),
    code(
        "tls.no-handshake",
        None,
        Severity::Failure,
        "the port opens, and the TLS handshake fails",
        include_str!("../../../docs/findings/tls.no-handshake.md"),
    ),
    code(
        "tls.stall",
        Some("T303"),
        Severity::Failure,
        "the port opens, and the TLS handshake is never answered",
        include_str!("../../../docs/findings/tls.stall.md"),
    ),
];

/// The codes of this crate and of the reverse join, sorted.
pub fn all_codes() -> Vec<CodeInfo> {
    let mut codes: Vec<CodeInfo> = CODES
        .iter()
        .chain(twinstack_dns::join::CODES)
        .copied()
        .collect();
    codes.sort_unstable_by_key(|info| info.code);
    codes
}

/// The row of a code, whichever table it stands in.
pub fn code_info(code: &str) -> Option<CodeInfo> {
    all_codes().into_iter().find(|info| info.code == code)
}

/// A finding with the severity that the table gives its code.
pub(crate) fn finding(
    code: &'static str,
    subject: impl Into<String>,
    message: impl Into<String>,
    evidence: Vec<Evidence>,
    hint: impl Into<String>,
) -> Finding {
    let severity = CODES
        .iter()
        .find(|info| info.code == code)
        .map_or(Severity::Failure, |info| info.severity);
    Finding {
        code: Code::of(code),
        severity,
        subject: subject.into(),
        message: message.into(),
        evidence,
        hint: hint.into(),
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_is_legal_unique_and_in_order() {
        let codes: Vec<&str> = CODES.iter().map(|info| info.code).collect();
        let sorted: Vec<&str> = codes
            .iter()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        assert_eq!(codes, sorted);
        for info in all_codes() {
            assert!(Code::parse(info.code).is_ok(), "{}", info.code);
            assert!(info.title.len() <= 80, "{} has a long title", info.code);
        }
        let all: BTreeSet<&str> = all_codes().iter().map(|info| info.code).collect();
        assert_eq!(all.len(), all_codes().len(), "a code stands in both tables");
    }

    #[test]
    fn every_catalogue_number_belongs_to_one_code() {
        let numbers: Vec<&str> = all_codes()
            .iter()
            .filter_map(|info| info.catalogue)
            .collect();
        let unique: BTreeSet<&str> = numbers.iter().copied().collect();
        assert_eq!(unique.len(), numbers.len());
    }

    #[test]
    fn every_page_has_the_title_of_its_code_and_the_same_parts() {
        for info in CODES {
            let heading = format!("# {}: {}", info.code, info.title);
            assert_eq!(info.page.lines().next(), Some(heading.as_str()));
            for part in [
                "What it means",
                "How to prove it",
                "How to mend it",
                "What would overturn it",
            ] {
                assert!(
                    info.page.contains(&format!("\n## {part}\n")),
                    "{} lacks `{part}`",
                    info.code
                );
            }
        }
    }

    #[test]
    fn every_page_belongs_to_a_code() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/findings");
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if let Some(code) = name.strip_suffix(".md").filter(|code| *code != "README") {
                assert!(code_info(code).is_some(), "{name} is no code's page");
            }
        }
    }
}
