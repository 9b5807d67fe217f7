//! The `mail.*` codes and what looks like them.

use super::smtp::Introduction;
use super::spf::{Matcher, Net, Policy, Qualifier, Rule};
use super::*;
use crate::names::fixture::{RESOLVER, answered, asked, failed, name, servers, silenced};
use twinstack_dns::Rcode;

const V4: &str = "198.51.100.25";
const V6: &str = "2e00:5::25";

fn policy(terms: &[(&str, Matcher, Qualifier)]) -> Resolved {
    Resolved::Policy(Policy {
        domain: "lab.test".to_owned(),
        rules: terms
            .iter()
            .map(|(text, matcher, qualifier)| Rule {
                qualifier: *qualifier,
                matcher: matcher.clone(),
                text: (*text).to_owned(),
            })
            .collect(),
        redirect: None,
    })
}

fn net(address: &str) -> Matcher {
    let address: IpAddr = address.parse().unwrap();
    Matcher::Net(Net {
        address,
        length: if address.is_ipv4() { 32 } else { 128 },
    })
}

fn both() -> Resolved {
    policy(&[
        ("ip4:198.51.100.25", net(V4), Qualifier::Pass),
        ("ip6:2e00:5::25", net(V6), Qualifier::Pass),
        ("-all", Matcher::All, Qualifier::Fail),
    ])
}

fn v4_only(all: Qualifier) -> Resolved {
    policy(&[
        ("ip4:198.51.100.25", net(V4), Qualifier::Pass),
        ("all", Matcher::All, all),
    ])
}

fn banner(address: &str, greeting: &str) -> Banner {
    Banner {
        host: name("mail.lab.test"),
        address: address.parse().unwrap(),
        port: 25,
        at: 0.2,
        elapsed: 0.03,
        outcome: Ok(Introduction {
            greeting: greeting.to_owned(),
            ehlo: None,
        }),
    }
}

fn forward(owner: &str, rtype: RecordType, address: &str) -> (Name, Fresh) {
    let line = format!("{owner}. 300 {rtype} {address}");
    let lookup = if address.is_empty() {
        answered(RESOLVER, owner, rtype, &[])
    } else {
        answered(RESOLVER, owner, rtype, &[&line])
    };
    (
        name(owner),
        Fresh {
            resolver: lookup,
            authoritative: Vec::new(),
        },
    )
}

fn host(owner: &str, addresses: &[&str]) -> Host {
    Host {
        name: name(owner),
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        v6_known: true,
        asked: Vec::new(),
    }
}

fn healthy() -> MailObservation {
    let mx = answered(
        RESOLVER,
        "lab.test",
        RecordType::MX,
        &["lab.test. 300 MX 10 mail.lab.test."],
    );
    MailObservation {
        domain: name("lab.test"),
        exchanges: Exchanges::Mx {
            hosts: vec![(10, name("mail.lab.test"))],
            lookup: mx,
        },
        hosts: vec![host("mail.lab.test", &[V4, V6])],
        spf: both(),
        txt: Some(answered(
            RESOLVER,
            "lab.test",
            RecordType::TXT,
            &["lab.test. 300 TXT \"v=spf1 -all\""],
        )),
        banners: vec![
            banner(V4, "220 mail.lab.test ESMTP"),
            banner(V6, "220 mail.lab.test ESMTP"),
        ],
        forward: vec![
            forward("mail.lab.test", RecordType::A, V4),
            forward("mail.lab.test", RecordType::AAAA, V6),
        ],
    }
}

fn check(mail: &MailObservation, codes: &[&str]) -> Judgement {
    let judgement = judge(&servers(), mail, false);
    let found: Vec<&str> = judgement
        .findings
        .iter()
        .map(|finding| finding.code.as_str())
        .collect();
    assert_eq!(found, codes, "{judgement:#?}");
    assert!(
        judgement
            .findings
            .iter()
            .all(|finding| !finding.evidence.is_empty())
    );
    judgement
}

#[test]
fn a_healthy_domain_raises_nothing() {
    let judgement = check(&healthy(), &[]);
    assert!(judgement.notes.is_empty() && judgement.skipped.is_empty());
}

#[test]
fn no_exchanger_has_ipv6() {
    let mut mail = healthy();
    mail.hosts = vec![host("mail.lab.test", &[V4])];
    check(&mail, &["mail.mx-no-v6"]);
    assert!(
        judge(&servers(), &mail, true).findings.is_empty(),
        "as meant"
    );
}

#[test]
fn one_exchanger_with_ipv6_is_enough() {
    let mut mail = healthy();
    mail.hosts.push(host("backup.lab.test", &["198.51.100.26"]));
    assert_eq!(check(&mail, &[]).notes.len(), 1);
}

#[test]
fn an_exchanger_whose_aaaa_could_not_be_asked_for() {
    let mut mail = healthy();
    mail.hosts = vec![Host {
        v6_known: false,
        ..host("mail.lab.test", &[V4])
    }];
    check(&mail, &[]);
}

#[test]
fn a_domain_that_takes_no_mail() {
    let mut mail = healthy();
    let lookup = answered(
        RESOLVER,
        "lab.test",
        RecordType::MX,
        &["lab.test. 300 MX 0 ."],
    );
    mail.exchanges = Exchanges::Null { lookup };
    mail.hosts.clear();
    check(&mail, &[]);
}

#[test]
fn a_domain_without_mx_stands_for_itself() {
    let mut mail = healthy();
    let lookup = answered(RESOLVER, "lab.test", RecordType::MX, &[]);
    mail.exchanges = Exchanges::Implicit { lookup };
    mail.hosts = vec![host("lab.test", &[V4])];
    check(&mail, &["mail.mx-no-v6"]);
}

#[test]
fn a_domain_that_does_not_exist_takes_no_mail_and_nothing_is_said_of_its_records() {
    let mut mail = healthy();
    let mut lookup = asked(RESOLVER, "lab.test", RecordType::MX);
    failed(&mut lookup, Rcode::NXDOMAIN);
    mail.exchanges = Exchanges::NoSuchName { lookup };
    mail.hosts = vec![host("lab.test", &[])];
    mail.spf = Resolved::None;
    mail.banners.clear();
    let judgement = check(&mail, &[]);
    assert_eq!(judgement.notes, Vec::<String>::new());
    assert_eq!(judgement.skipped, []);
}

#[test]
fn spf_knows_the_ipv4_address_alone() {
    let mut mail = healthy();
    mail.spf = v4_only(Qualifier::Fail);
    let judgement = check(&mail, &["mail.spf-no-v6"]);
    let finding = &judgement.findings[0];
    assert!(finding.hint.contains("ip6:2e00:5::25"), "{}", finding.hint);
    assert_eq!(finding.severity, Severity::Failure);
    mail.spf = v4_only(Qualifier::SoftFail);
    assert_eq!(
        check(&mail, &["mail.spf-no-v6"]).findings[0].severity,
        Severity::Warning
    );
}

#[test]
fn spf_that_never_fails_is_no_difference() {
    let mut mail = healthy();
    for all in [Qualifier::Neutral, Qualifier::Pass] {
        mail.spf = v4_only(all);
        check(&mail, &[]);
    }
}

#[test]
fn spf_by_name_covers_both_families() {
    let mut mail = healthy();
    mail.spf = policy(&[
        (
            "mx",
            Matcher::Hosts {
                addresses: [V4, V6].map(|text| text.parse().unwrap()).into(),
                lengths: spf::Lengths { v4: 32, v6: 128 },
            },
            Qualifier::Pass,
        ),
        ("-all", Matcher::All, Qualifier::Fail),
    ]);
    check(&mail, &[]);
}

#[test]
fn spf_of_a_domain_whose_exchangers_only_receive() {
    let mut mail = healthy();
    mail.spf = policy(&[
        ("ip4:203.0.113.9", net("203.0.113.9"), Qualifier::Pass),
        ("-all", Matcher::All, Qualifier::Fail),
    ]);
    check(&mail, &[]);
}

#[test]
fn spf_with_a_term_that_cannot_be_told_is_skipped() {
    let mut mail = healthy();
    mail.spf = policy(&[
        ("ip4:198.51.100.25", net(V4), Qualifier::Pass),
        (
            "exists:%{i}.lab.test",
            Matcher::Unknown("depends on each sender's address".to_owned()),
            Qualifier::Pass,
        ),
        ("-all", Matcher::All, Qualifier::Fail),
    ]);
    assert_eq!(check(&mail, &[]).skipped.len(), 1);
}

#[test]
fn no_spf_and_broken_spf_are_the_same_for_both_families() {
    let mut mail = healthy();
    for spf in [
        Resolved::None,
        Resolved::Broken(spf::SpfError::Several { count: 2 }),
    ] {
        mail.spf = spf;
        assert_eq!(check(&mail, &[]).notes.len(), 1);
    }
}

#[test]
fn a_greeting_by_another_name() {
    let mut mail = healthy();
    for banner in &mut mail.banners {
        banner.outcome = Ok(Introduction {
            greeting: "220 other.test ESMTP".to_owned(),
            ehlo: None,
        });
    }
    mail.forward = vec![
        forward("other.test", RecordType::A, "192.0.2.9"),
        forward("other.test", RecordType::AAAA, ""),
    ];
    let judgement = check(&mail, &["mail.helo-mismatch"]);
    let message = &judgement.findings[0].message;
    assert!(message.contains(V4) && message.contains(V6), "{message}");
}

#[test]
fn a_name_that_leads_back_over_ipv4_alone() {
    let mut mail = healthy();
    mail.forward[1] = forward("mail.lab.test", RecordType::AAAA, "");
    let judgement = check(&mail, &["mail.helo-mismatch"]);
    assert!(!judgement.findings[0].message.contains(V4));
}

#[test]
fn any_name_that_leads_back_is_fine() {
    let mut mail = healthy();
    for banner in &mut mail.banners {
        banner.outcome = Ok(Introduction {
            greeting: "220 smtp-out-7.lab.test".to_owned(),
            ehlo: None,
        });
    }
    mail.forward = vec![
        forward("smtp-out-7.lab.test", RecordType::A, V4),
        forward("smtp-out-7.lab.test", RecordType::AAAA, V6),
    ];
    check(&mail, &[]);
}

#[test]
fn a_greeting_without_a_name() {
    let mut mail = healthy();
    mail.banners = vec![banner(V6, "220 localhost ESMTP")];
    check(&mail, &["mail.helo-mismatch"]);
}

#[test]
fn a_forward_look_up_that_fails_is_skipped() {
    let mut mail = healthy();
    let mut lookup = asked(RESOLVER, "mail.lab.test", RecordType::AAAA);
    silenced(&mut lookup);
    mail.forward[1].1.resolver = lookup;
    assert_eq!(check(&mail, &[]).skipped.len(), 1);
}
