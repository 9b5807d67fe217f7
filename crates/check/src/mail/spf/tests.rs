//! The grammar of section 12 as people use it, and the results of sections 4 to 6.

use super::*;

fn read(text: &str) -> Record {
    Record::parse(text)
        .expect("an SPF record")
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn mechanism_of(term: &str) -> Mechanism {
    read(&format!("v=spf1 {term}"))
        .directives
        .remove(0)
        .mechanism
}

fn refused(term: &str) {
    assert!(
        Record::parse(&format!("v=spf1 {term}")).unwrap().is_err(),
        "{term}"
    );
}

fn net(text: &str, length: u8) -> Net {
    Net {
        address: text.parse().unwrap(),
        length,
    }
}

fn name(text: &str) -> DomainSpec {
    DomainSpec::Name(text.to_owned())
}

#[test]
fn other_txt_records_are_no_spf() {
    for text in [
        "",
        "v=spf10 -all",
        "v=spf2.0/pra",
        "google-site-verification=x",
        "spf1",
    ] {
        assert_eq!(Record::parse(text), None, "{text}");
    }
    assert_eq!(read("V=SPF1").directives, []);
}

#[test]
fn mechanisms_are_read() {
    assert_eq!(
        mechanism_of("ip4:192.0.2.0/24"),
        Mechanism::Net(net("192.0.2.0", 24))
    );
    assert_eq!(
        mechanism_of("IP4:192.0.2.1"),
        Mechanism::Net(net("192.0.2.1", 32))
    );
    assert_eq!(
        mechanism_of("ip6:2e00:5::/64"),
        Mechanism::Net(net("2e00:5::", 64))
    );
    assert_eq!(
        mechanism_of("ip6:2e00:5::25"),
        Mechanism::Net(net("2e00:5::25", 128))
    );
    assert_eq!(
        mechanism_of("include:_spf.lab.test."),
        Mechanism::Include(name("_spf.lab.test"))
    );
    assert_eq!(
        mechanism_of("a"),
        Mechanism::A {
            domain: None,
            lengths: Lengths::WHOLE
        }
    );
    assert_eq!(
        mechanism_of("a:mail.lab.test/24//64"),
        Mechanism::A {
            domain: Some(name("mail.lab.test")),
            lengths: Lengths { v4: 24, v6: 64 }
        }
    );
    assert_eq!(
        mechanism_of("mx//64"),
        Mechanism::Mx {
            domain: None,
            lengths: Lengths { v4: 32, v6: 64 }
        }
    );
    assert_eq!(
        mechanism_of("exists:%{i}._spf.lab.test"),
        Mechanism::Exists(DomainSpec::Macro("%{i}._spf.lab.test".to_owned()))
    );
    assert_eq!(mechanism_of("ptr:lab.test"), Mechanism::Ptr);
}

#[test]
fn qualifiers_and_modifiers_are_read() {
    let record =
        read("v=spf1  +a -mx ~ip4:192.0.2.1 ?all redirect=other.test exp=why.test x-new=1");
    let qualifiers: Vec<Qualifier> = record.directives.iter().map(|d| d.qualifier).collect();
    assert_eq!(
        qualifiers,
        [
            Qualifier::Pass,
            Qualifier::Fail,
            Qualifier::SoftFail,
            Qualifier::Neutral
        ]
    );
    assert_eq!(record.redirect, Some(name("other.test")));
}

#[test]
fn malformed_terms_are_refused() {
    for term in [
        "ip4:192.0.2.0/33",
        "ip4:2e00::1",
        "ip4",
        "ip4:",
        "ip6:192.0.2.1",
        "ip6:2e00::/129",
        "ip6:2e00::/+4",
        "ipv6:2e00::1",
        "all:x",
        "include",
        "include:",
        "a:",
        "a/33",
        "mx//129",
        "a/",
        "axx",
        "-",
        "redirect=a redirect=b",
    ] {
        refused(term);
    }
}

fn policy(text: &str) -> Resolved {
    let record = read(text);
    Resolved::Policy(Policy {
        domain: "lab.test".to_owned(),
        rules: record
            .directives
            .into_iter()
            .map(|directive| Rule {
                qualifier: directive.qualifier,
                matcher: match directive.mechanism {
                    Mechanism::All => Matcher::All,
                    Mechanism::Net(net) => Matcher::Net(net),
                    _ => Matcher::Unknown("not resolved".to_owned()),
                },
                text: directive.text,
            })
            .collect(),
        redirect: None,
    })
}

fn result(policy: &Resolved, sender: &str) -> SpfResult {
    policy.evaluate(sender.parse().unwrap()).result
}

#[test]
fn the_first_match_decides_for_each_family() {
    let policy = policy("v=spf1 ip4:198.51.100.25 ip6:2e00:5::/64 -all");
    assert_eq!(result(&policy, "198.51.100.25"), SpfResult::Pass);
    assert_eq!(result(&policy, "198.51.100.26"), SpfResult::Fail);
    assert_eq!(result(&policy, "2e00:5::25"), SpfResult::Pass);
    assert_eq!(result(&policy, "2e00:6::25"), SpfResult::Fail);
}

#[test]
fn without_all_the_result_is_neutral() {
    assert_eq!(
        result(&policy("v=spf1 ip4:198.51.100.25"), "2e00:5::25"),
        SpfResult::Neutral
    );
}

#[test]
fn an_unknown_term_is_named_beside_the_result() {
    let outcome =
        policy("v=spf1 exists:%{i}.lab.test -all").evaluate("2e00:5::25".parse().unwrap());
    assert_eq!(outcome.result, SpfResult::Fail);
    assert_eq!(outcome.unknown.len(), 1);
}

fn with(matcher: Matcher) -> Resolved {
    Resolved::Policy(Policy {
        domain: "lab.test".to_owned(),
        rules: vec![
            Rule {
                qualifier: Qualifier::Pass,
                matcher,
                text: "include:x".to_owned(),
            },
            Rule {
                qualifier: Qualifier::Fail,
                matcher: Matcher::All,
                text: "-all".to_owned(),
            },
        ],
        redirect: None,
    })
}

#[test]
fn include_matches_only_on_pass() {
    let included = |text: &str| with(Matcher::Include(Box::new(policy(text))));
    assert_eq!(
        result(&included("v=spf1 ip4:192.0.2.1 -all"), "192.0.2.1"),
        SpfResult::Pass
    );
    assert_eq!(
        result(&included("v=spf1 ip4:192.0.2.1 -all"), "192.0.2.2"),
        SpfResult::Fail
    );
    let none = with(Matcher::Include(Box::new(Resolved::None)));
    assert_eq!(result(&none, "192.0.2.1"), SpfResult::PermError);
}

#[test]
fn hosts_match_with_the_length_of_their_family() {
    let hosts = with(Matcher::Hosts {
        addresses: ["198.51.100.25", "2e00:5::25"]
            .map(|text| text.parse().unwrap())
            .into(),
        lengths: Lengths { v4: 24, v6: 128 },
    });
    assert_eq!(result(&hosts, "198.51.100.99"), SpfResult::Pass);
    assert_eq!(result(&hosts, "2e00:5::99"), SpfResult::Fail);
}

#[test]
fn redirect_takes_over_when_nothing_matches() {
    let redirected = |target: Resolved| {
        Resolved::Policy(Policy {
            domain: "lab.test".to_owned(),
            rules: Vec::new(),
            redirect: Some(Box::new(target)),
        })
    };
    assert_eq!(
        result(&redirected(policy("v=spf1 -all")), "192.0.2.1"),
        SpfResult::Fail
    );
    assert_eq!(
        result(&redirected(Resolved::None), "192.0.2.1"),
        SpfResult::PermError
    );
}
