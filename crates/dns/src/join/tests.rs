use super::*;

const V6: &str = "2e00:5::80";
const V4: &str = "198.51.100.80";

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn addresses(list: &[&str]) -> AddressOutcome {
    AddressOutcome::Addresses(
        list.iter()
            .map(|address| address.parse().unwrap())
            .collect(),
    )
}

fn view(address: &str, targets: &[(&str, AddressOutcome)]) -> ReverseView {
    let forward: Vec<(Name, AddressOutcome)> = targets
        .iter()
        .map(|(target, outcome)| (name(target), outcome.clone()))
        .collect();
    ReverseView {
        address: address.parse().unwrap(),
        ptr: if forward.is_empty() {
            PtrOutcome::Missing
        } else {
            PtrOutcome::Targets(forward.iter().map(|(target, _)| target.clone()).collect())
        },
        misplaced: vec![],
        forward,
    }
}

fn check(view: &ReverseView, expected_ptr: Option<&str>, code: Option<&str>) -> Judgement {
    let judgement = judge(view, expected_ptr.map(name).as_ref());
    let found = judgement.code();
    assert_eq!(found.as_ref().map(Code::as_str), code, "{judgement:?}");
    let finding = judgement.finding();
    assert_eq!(finding.is_some(), code.is_some());
    if let Some(finding) = finding {
        assert!(!finding.hint.is_empty() && !finding.evidence.is_empty());
        assert!(!finding.message.ends_with('.'), "{}", finding.message);
    }
    judgement
}

#[test]
fn name_that_leads_back_is_fine() {
    check(
        &view(V6, &[("www.lab.test", addresses(&[V6, "2e00:5::81"]))]),
        None,
        None,
    );
    check(
        &view(V4, &[("www.lab.test", addresses(&[V4]))]),
        Some("WWW.lab.test"),
        None,
    );
}

#[test]
fn nothing_there_is_missing() {
    check(&view(V6, &[]), None, Some("ptr.missing"));
    check(&view(V6, &[]), Some("www.lab.test"), Some("ptr.missing"));
}

#[test]
fn name_without_the_address_is_not_confirmed() {
    let code = Some("ptr.not-forward-confirmed");
    check(&view(V6, &[("old.lab.test", addresses(&[]))]), None, code);
    check(
        &view(V6, &[("old.lab.test", addresses(&["2e00:5::99"]))]),
        None,
        code,
    );
    check(
        &view(V6, &[("old.lab.test", AddressOutcome::NoSuchName)]),
        None,
        code,
    );
    check(
        &view(V6, &[("old.lab.test", addresses(&[]))]),
        Some("old.lab.test"),
        code,
    );
}

#[test]
fn other_name_than_expected_is_a_mismatch_only_if_it_leads_back() {
    let other = view(V6, &[("other.lab.test", addresses(&[V6]))]);
    check(&other, Some("www.lab.test"), Some("ptr.mismatch"));
    check(&other, None, None);
}

#[test]
fn one_name_that_leads_back_is_enough() {
    let both = view(
        V6,
        &[
            ("old.lab.test", addresses(&[])),
            ("www.lab.test", addresses(&[V6])),
        ],
    );
    let judgement = check(&both, None, None);
    assert_eq!(judgement.extras(), [&name("old.lab.test")]);
    check(&both, Some("www.lab.test"), None);
    check(&both, Some("old.lab.test"), Some("ptr.mismatch"));
}

#[test]
fn failing_servers_prove_nothing() {
    let unknown = AddressOutcome::Unknown("SERVFAIL".to_owned());
    check(&view(V6, &[("www.lab.test", unknown.clone())]), None, None);
    check(
        &view(
            V6,
            &[("old.lab.test", addresses(&[])), ("www.lab.test", unknown)],
        ),
        None,
        None,
    );
    let mut asked = view(V6, &[]);
    asked.ptr = PtrOutcome::Unknown("timeout".to_owned());
    let judgement = check(&asked, Some("www.lab.test"), None);
    assert_eq!(judgement.verdict, Verdict::Unknown("timeout".to_owned()));
}

#[test]
fn malformed_targets_supersede_the_missing_way_back() {
    let check = |target: &str, expected: fn(Name) -> Malformed| {
        let judgement = check(
            &view(V6, &[(target, AddressOutcome::NoSuchName)]),
            None,
            Some("ptr.malformed"),
        );
        assert_eq!(
            judgement.verdict,
            Verdict::Malformed(expected(name(target)))
        );
    };
    check(
        "www.lab.test.0.0.0.0.0.0.0.0.5.0.0.0.0.0.e.2.ip6.arpa",
        Malformed::RelativeTarget,
    );
    check(
        "www.lab.test.100.51.198.IN-ADDR.arpa",
        Malformed::RelativeTarget,
    );
    check("2e00:5::80", Malformed::AddressLiteral);
    check("198.51.100.80", Malformed::AddressLiteral);
    check("[2e00:5::80]", Malformed::AddressLiteral);
    check("www", Malformed::SingleLabel);
    check(".", Malformed::SingleLabel);
    check("https://www.lab.test", Malformed::NotAHostName);
    check(r"www\032lab.test", Malformed::NotAHostName);
}

#[test]
fn odd_names_that_lead_back_are_fine() {
    check(
        &view("127.0.0.1", &[("localhost", addresses(&["127.0.0.1"]))]),
        None,
        None,
    );
    check(
        &view(V6, &[("my_host.lab.test", addresses(&[V6]))]),
        None,
        None,
    );
}

#[test]
fn final_dot_hint_keeps_the_whole_name() {
    let finding = |target: &str| {
        let view = view(V6, &[(target, AddressOutcome::NoSuchName)]);
        judge(&view, None).finding().unwrap().hint
    };
    let hint = finding("mail.de.0.0.0.0.0.0.0.0.5.0.0.0.0.0.e.2.ip6.arpa");
    assert!(hint.ends_with(".ip6.arpa. PTR mail.de."), "{hint}");
    let hint = finding("www.lab.test.100.51.198.in-addr.arpa");
    assert!(hint.ends_with(" PTR www.lab.test."), "{hint}");
}

#[test]
fn record_at_a_wrong_owner_is_malformed_and_not_missing() {
    let mut misplaced = view(V6, &[]);
    let (miss, owner) = reverse::near_misses(V6.parse().unwrap()).remove(0);
    misplaced.misplaced = vec![Misplaced {
        owner,
        miss,
        targets: vec![name("www.lab.test")],
    }];
    check(&misplaced, None, Some("ptr.malformed"));
}

#[test]
fn templates_are_generic() {
    let check = |address: &str, target: &str| {
        check(
            &view(address, &[(target, addresses(&[address]))]),
            None,
            Some("ptr.generic"),
        );
    };
    for target in [
        "203-0-113-5.isp.example",
        "ip203.0.113.5.isp.example",
        "host-5.113.0.203.isp.example",
        "ip_203_0_113_5.isp.example",
        "pc203x0x113x5.isp.example",
        "203000113005.isp.example",
        "host-cb007105.isp.example",
        "p5dcb0071-05.dyn-113-5.isp.example",
        "dhcp-113-5.isp.example",
        "pool104523.isp.example",
        "pool-104523.isp.example",
    ] {
        if target != "pool104523.isp.example" {
            check("203.0.113.5", target);
        }
    }
    for target in [
        "2001-db8-17--1.isp.example",
        "2001-db8-17--1.static.provider.example",
        "20010db8001700000000000000000001.isp.example",
        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.7.1.0.0.8.b.d.0.1.0.0.2.isp.example",
        "2001-0db8-0017-0000-0000-0000-0000-0001.isp.example",
        "2001-db8-17-0-0-0-0-1.isp.example",
        "dyn-2001-db8-17.isp.example",
    ] {
        check("2001:db8:17::1", target);
    }
    check(
        "2001:db8::a1b2:c3d4:e5f6:789",
        "h-a1b2c3d4e5f60789.isp.example",
    );
}

#[test]
fn chosen_names_are_not_generic() {
    let check = |address: &str, target: &str| {
        check(
            &view(address, &[(target, addresses(&[address]))]),
            None,
            None,
        );
    };
    for target in [
        "web5.lab.test",
        "www113.lab.test",
        "dhcp.lab.test",
        "dhcp1.lab.test",
        "pool.ntp.example",
        "mail-pool-01.lab.test",
        "3-203-0-1135.lab.test",
        "dynamo5.lab.test",
        "r2-s0-u113.dc5.lab.test",
    ] {
        check("203.0.113.5", target);
    }
    for target in [
        "www.lab.test",
        "dyn.lab.test",
        "n80.lab.test",
        "mail-5.lab.test",
        "db8.lab.test",
        "dns-2e00.lab.test",
    ] {
        check(V6, target);
    }
}

#[test]
fn expected_name_may_look_like_a_template() {
    let target = "2e00-5--80.lab.test";
    check(&view(V6, &[(target, addresses(&[V6]))]), Some(target), None);
    check(
        &view(
            V6,
            &[
                (target, addresses(&[V6])),
                ("www.lab.test", addresses(&[V6])),
            ],
        ),
        None,
        None,
    );
}

#[test]
fn pages_begin_with_code_and_title() {
    for info in CODES {
        let first = info.page.lines().next().unwrap_or_default();
        assert_eq!(first, format!("# {}: {}", info.code, info.title));
        assert_eq!(Code::parse(info.code).unwrap().area(), "ptr");
    }
}

/// The target as two servers know it.
fn at_two_servers(one: AddressOutcome, other: AddressOutcome) -> ReverseView {
    let mut view = view(V6, &[("www.lab.test", one)]);
    view.forward.push((name("www.lab.test"), other));
    view
}

#[test]
fn servers_that_disagree_about_a_name_are_no_fault_of_its_ptr() {
    for (one, other) in [
        (addresses(&[V6]), addresses(&["2e00:5::81"])),
        (addresses(&[]), addresses(&[V6])),
        (AddressOutcome::NoSuchName, addresses(&[V6])),
    ] {
        check(&at_two_servers(one, other), Some("www.lab.test"), None);
    }
}

#[test]
fn a_server_that_fails_leaves_the_word_to_the_others() {
    let unknown = AddressOutcome::Unknown("SERVFAIL".to_owned());
    check(
        &at_two_servers(unknown.clone(), addresses(&[V6])),
        None,
        None,
    );
    check(
        &at_two_servers(unknown, addresses(&[])),
        None,
        Some("ptr.not-forward-confirmed"),
    );
}

#[test]
fn an_address_that_no_server_knows_is_not_confirmed() {
    let judgement = check(
        &at_two_servers(addresses(&["2e00:5::81"]), addresses(&["2e00:5::82"])),
        None,
        Some("ptr.not-forward-confirmed"),
    );
    let elsewhere = ["2e00:5::81", "2e00:5::82"].map(|text| text.parse().unwrap());
    assert_eq!(
        judgement.targets[0].1,
        TargetVerdict::Elsewhere(elsewhere.into())
    );
}
