use super::*;
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use proptest::prelude::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn from(source: &str) -> Source {
    Source::new(ip(source))
}

fn rank_in(policy: &PolicyTable, destination: &str, source: Source) -> Rank {
    Rank::new(ip(destination), Some(&source), Memory::default(), policy)
}

fn rank(destination: &str, source: Source) -> Rank {
    rank_in(&PolicyTable::rfc6724(), destination, source)
}

fn remembered(destination: &str, memory: Memory) -> Rank {
    let policy = PolicyTable::rfc6724();
    Rank::new(
        ip(destination),
        Some(&from("2001:db8::99")),
        memory,
        &policy,
    )
}

/// `first` goes before `second`, from either side, and the reason is `text`.
#[track_caller]
fn check(first: Rank, second: Rank, text: &str) {
    assert_eq!(first.compare(&second), Ordering::Less);
    assert_eq!(second.compare(&first), Ordering::Greater);
    for reason in [first.explain(&second), second.explain(&first)] {
        assert_eq!(reason.to_string(), text);
        assert_eq!(reason.first(), first.destination());
        assert_eq!(reason.second(), second.destination());
    }
}

// The examples of RFC 6724, section 10.2, in its order. Which source goes with a destination is section 5's affair, and
// given here as the RFC gives it.

#[test]
fn c6_example_1_matching_scope() {
    check(
        rank("2001:db8:1::1", from("2001:db8:1::2")),
        rank("198.51.100.121", from("169.254.13.78")),
        "rule 2: the scope of 198.51.100.121 is not that of its source",
    );
}

#[test]
fn c6_example_2_matching_scope_for_ipv4() {
    check(
        rank("198.51.100.121", from("198.51.100.117")),
        rank("2001:db8:1::1", from("fe80::1")),
        "rule 2: the scope of 2001:db8:1::1 is not that of its source",
    );
}

#[test]
fn c6_example_3_higher_precedence() {
    check(
        rank("2001:db8:1::1", from("2001:db8:1::2")),
        rank("10.1.2.3", from("10.1.2.4")),
        "rule 6: precedence 40 > 35",
    );
}

#[test]
fn c6_example_4_smaller_scope() {
    check(
        rank("fe80::1", from("fe80::2")),
        rank("2001:db8:1::1", from("2001:db8:1::2")),
        "rule 8: scope 2 < 14",
    );
}

#[test]
fn c6_example_5_home_address() {
    let home = Source {
        mobility: Mobility::Home,
        ..from("2001:db8:3::1")
    };
    let care_of = Source {
        mobility: Mobility::CareOf,
        ..from("fe80::2")
    };
    check(
        rank("2001:db8:1::1", home),
        rank("fe80::1", care_of),
        "rule 4: a home address before a care-of address",
    );
}

#[test]
fn c6_example_6_deprecated() {
    let old = Source {
        deprecated: true,
        ..from("fe80::2")
    };
    check(
        rank("2001:db8:1::1", from("2001:db8:1::2")),
        rank("fe80::1", old),
        "rule 3: the source for fe80::1 is deprecated",
    );
}

#[test]
fn c6_example_7_longest_matching_prefix() {
    check(
        rank("2001:db8:1::1", from("2001:db8:1::2")),
        rank("2001:db8:3ffe::1", from("2001:db8:3f44::2")),
        "rule 9: 64 bits in common with the source > 40",
    );
}

#[test]
fn c6_example_8_matching_label() {
    check(
        rank("2002:c633:6401::1", from("2002:c633:6401::2")),
        rank("2001:db8:1::1", from("2002:c633:6401::2")),
        "rule 5: the label of 2001:db8:1::1 is not that of its source",
    );
}

#[test]
fn c6_example_9_higher_precedence_than_6to4() {
    check(
        rank("2001:db8:1::1", from("2001:db8:1::2")),
        rank("2002:c633:6401::1", from("2002:c633:6401::2")),
        "rule 6: precedence 40 > 30",
    );
}

/// Section 10.3: an administrator who wants IPv4 first gives it the higher precedence.
#[test]
fn c6_table_of_the_caller_can_prefer_ipv4() {
    let mut rows = PolicyTable::rfc6724().rows().to_vec();
    for row in &mut rows {
        if row.length == 96 && row.label == 4 {
            row.precedence = 100;
        }
    }
    let policy = PolicyTable::new(rows).unwrap();
    check(
        rank_in(&policy, "10.1.2.3", from("10.1.2.4")),
        rank_in(&policy, "2001:db8:1::1", from("2001:db8:1::2")),
        "rule 6: precedence 100 > 40",
    );
}

#[test]
fn c6_destination_without_a_source_goes_last() {
    let none = Rank::new(
        ip("2001:db8::1"),
        None,
        Memory::default(),
        &PolicyTable::rfc6724(),
    );
    check(
        rank("169.254.1.1", from("198.51.100.117")),
        none,
        "rule 1: no source address or route for 2001:db8::1",
    );
    // Not even a path that went silent goes behind it.
    check(
        remembered(
            "2001:db8::2",
            Memory {
                silent: true,
                ..Memory::default()
            },
        ),
        none,
        "rule 1: no source address or route for 2001:db8::1",
    );
}

#[test]
fn c6_destination_that_went_silent_goes_behind_the_other_family() {
    check(
        rank("198.51.100.121", from("198.51.100.117")),
        remembered(
            "2001:db8::1",
            Memory {
                silent: true,
                ..Memory::default()
            },
        ),
        "rule 1: 2001:db8::1 did not answer lately",
    );
}

#[test]
fn c6_native_transport_before_a_tunnel() {
    let tunnel = Source {
        interface: Interface::Encapsulated,
        ..from("2001:db8:1::2")
    };
    check(
        rank("2001:db8:2::1", from("2001:db8:1::2")),
        rank("2001:db8:1::1", tunnel),
        "rule 7: 2001:db8:1::1 is reached through a tunnel",
    );
}

#[test]
fn c6_mobility_is_an_order_of_three_steps() {
    let with = |mobility| {
        rank(
            "2001:db8::1",
            Source {
                mobility,
                ..from("2001:db8::2")
            },
        )
    };
    let [home, none, both, care_of] = [
        Mobility::Home,
        Mobility::None,
        Mobility::HomeAndCareOf,
        Mobility::CareOf,
    ]
    .map(with);
    check(
        both,
        home,
        "rule 4: a source address at home before a home address",
    );
    check(
        both,
        none,
        "rule 4: a source address at home before an ordinary source address",
    );
    check(
        none,
        care_of,
        "rule 4: an ordinary source address before a care-of address",
    );
    assert_eq!(home.compare(&none), Ordering::Equal);
    assert_eq!(
        home.explain(&none).to_string(),
        "rule 10: nothing tells them apart, they stay as they came"
    );
    assert_eq!(home.explain(&none).rule(), Rule::LeaveUnchanged);
}

#[test]
fn c7_lower_round_trip_goes_before_the_longer_prefix() {
    let after = |millis| Memory {
        round_trip: Some(Duration::from_millis(millis)),
        used: true,
        ..Memory::default()
    };
    check(
        remembered("2001:db9::1", after(19)),
        remembered("2001:db8::1", after(20)),
        "rule 8a: round trip 19 ms < 20 ms",
    );
    // Less than a millisecond is noise.
    let noise = Memory {
        round_trip: Some(Duration::from_micros(20_900)),
        ..after(20)
    };
    assert_eq!(
        remembered("2001:db8::1", noise).compare(&remembered("2001:db8::1", after(20))),
        Ordering::Equal
    );
    check(
        remembered("2001:db9::1", after(300)),
        remembered("2001:db8::1", Memory::default()),
        "rule 8a: the round trip to 2001:db8::1 is not known",
    );
}

#[test]
fn c7_round_trip_does_not_beat_precedence() {
    let quick = Memory {
        round_trip: Some(Duration::from_millis(1)),
        used: true,
        silent: false,
    };
    let policy = PolicyTable::rfc6724();
    check(
        remembered("2001:db8::1", Memory::default()),
        Rank::new(ip("192.0.2.1"), Some(&from("192.0.2.2")), quick, &policy),
        "rule 6: precedence 40 > 35",
    );
}

#[test]
fn c7_used_before_goes_before_the_longer_prefix() {
    check(
        remembered(
            "2001:db9::1",
            Memory {
                used: true,
                ..Memory::default()
            },
        ),
        remembered("2001:db8::1", Memory::default()),
        "rule 8b: 2001:db8::1 was not used before",
    );
}

#[test]
fn c6_families_of_equal_precedence_are_not_compared_by_prefix() {
    let row = Policy {
        prefix: Ipv6Addr::UNSPECIFIED,
        length: 0,
        precedence: 40,
        label: 1,
    };
    let policy = PolicyTable::new(vec![row]).unwrap();
    let far = rank_in(&policy, "2620::1", from("2001:db8::2"));
    let near = rank_in(&policy, "192.0.2.1", from("192.0.2.2"));
    assert!(near.common_prefix > far.common_prefix);
    check(far, near, "rule 8c: IPv6 before IPv4");
}

#[test]
fn c6_rules_are_asked_in_their_order() {
    let mut rules = vec![
        Rule::AvoidUnusable,
        Rule::MatchingScope,
        Rule::AvoidDeprecated,
        Rule::HomeAddress,
        Rule::MatchingLabel,
        Rule::HigherPrecedence,
        Rule::NativeTransport,
        Rule::SmallerScope,
        Rule::LowerRoundTrip,
        Rule::UsedBefore,
        Rule::SameFamily,
        Rule::LongestPrefix,
        Rule::LeaveUnchanged,
    ];
    assert!(rules.is_sorted());
    let numbers: Vec<_> = rules.iter().map(|rule| rule.number()).collect();
    assert_eq!(numbers.join(" "), "1 2 3 4 5 6 7 8 8a 8b 8c 9 10");
    rules.dedup();
    assert_eq!(rules.len(), 13);
}

#[test]
fn c6_common_prefix_stops_at_the_prefix_of_the_source() {
    let wide = Source {
        prefix_length: 48,
        ..from("2001:db8:0:1::2")
    };
    assert_eq!(rank("2001:db8:0:1::1", wide).common_prefix, 48);
    assert_eq!(
        rank("2001:db8:0:1::1", from("2001:db8:0:1::2")).common_prefix,
        64
    );
    assert_eq!(rank("192.0.2.1", from("192.0.2.2")).common_prefix, 24);
    assert_eq!(rank("192.0.0.1", from("192.0.2.2")).common_prefix, 22);
    assert_eq!(rank("192.0.0.1", from("2001:db8::1")).common_prefix, 0);
}

#[test]
fn c6_ipv4_mapped_addresses_are_ipv4() {
    let mapped = rank("::ffff:192.0.2.1", from("::ffff:192.0.2.2"));
    assert_eq!(
        mapped,
        rank("192.0.2.1", from("192.0.2.2")).with_prefix_of(&mapped)
    );
    assert_eq!(mapped.destination(), ip("192.0.2.1"));
}

impl Rank {
    /// The default prefix length differs between a mapped source and the IPv4 one; nothing else may.
    fn with_prefix_of(self, other: &Self) -> Self {
        Self {
            common_prefix: other.common_prefix,
            ..self
        }
    }
}

#[test]
fn c6_scopes() {
    for (address, scope) in [
        ("::1", Scope::LINK_LOCAL),
        ("fe80::1", Scope::LINK_LOCAL),
        ("febf::1", Scope::LINK_LOCAL),
        ("fec0::1", Scope::SITE_LOCAL),
        ("feff::1", Scope::SITE_LOCAL),
        ("fe7f::1", Scope::GLOBAL),
        ("fd00::1", Scope::GLOBAL),
        ("2001:db8::1", Scope::GLOBAL),
        ("::", Scope::GLOBAL),
        ("ff02::1", Scope::LINK_LOCAL),
        ("ff05::2", Scope::SITE_LOCAL),
        ("ff3e::1", Scope::GLOBAL),
        ("127.0.0.1", Scope::LINK_LOCAL),
        ("169.254.0.1", Scope::LINK_LOCAL),
        ("10.0.0.1", Scope::GLOBAL),
        ("100.64.0.1", Scope::GLOBAL),
        ("192.0.2.1", Scope::GLOBAL),
    ] {
        assert_eq!(Scope::of(ip(address)), scope, "{address}");
    }
    assert_eq!(Scope::of(ip("ff11::1")).number(), 1);
}

#[test]
fn c6_default_policy_table() {
    let policy = PolicyTable::default();
    for (address, precedence, label) in [
        ("::1", 50, 0),
        ("2001:db8::1", 40, 1),
        ("192.0.2.1", 35, 4),
        ("::ffff:192.0.2.1", 35, 4),
        ("2002::1", 30, 2),
        ("2001:0:1::1", 5, 5),
        ("2001:1::1", 40, 1),
        ("fd00::1", 3, 13),
        ("fc00::1", 3, 13),
        ("::192.0.2.1", 1, 3),
        ("::2", 1, 3),
        ("fec0::1", 1, 11),
        ("3ffe::1", 1, 12),
        ("fe80::1", 40, 1),
    ] {
        assert_eq!(policy.lookup(ip(address)), (precedence, label), "{address}");
    }
}

#[test]
fn c14_updated_table_prefers_local_ipv6_to_ipv4() {
    let policy = PolicyTable::updated();
    for (address, precedence, label) in [
        ("::1", 50, 0),
        ("2001:db8::1", 40, 1),
        ("fd00::1", 30, 13),
        ("192.0.2.1", 20, 4),
        ("2002::1", 5, 2),
        ("2001:0:1::1", 5, 5),
        ("::192.0.2.1", 1, 3),
        ("fec0::1", 1, 11),
        ("3ffe::1", 1, 12),
    ] {
        assert_eq!(policy.lookup(ip(address)), (precedence, label), "{address}");
    }
    check(
        rank_in(&policy, "fd00:1::1", from("fd00:1::2")),
        rank_in(&policy, "192.0.2.1", from("192.0.2.2")),
        "rule 6: precedence 30 > 20",
    );
    check(
        rank("192.0.2.1", from("192.0.2.2")),
        rank("fd00:1::1", from("fd00:1::2")),
        "rule 6: precedence 35 > 3",
    );
}

#[test]
fn c14_known_local_prefix_goes_before_global_addresses() {
    let mut policy = PolicyTable::updated();
    policy
        .add_known_local("fd00:1::".parse().unwrap(), 48)
        .unwrap();
    assert_eq!(policy.lookup(ip("fd00:1:0:ffff::1")), (45, 14));
    assert_eq!(policy.lookup(ip("fd00:1:1::1")), (30, 13));
    check(
        rank_in(&policy, "fd00:1::1", from("fd00:1::2")),
        rank_in(&policy, "2001:db8::1", from("2001:db8::2")),
        "rule 6: precedence 45 > 40",
    );
    // A foreign unique local address does not go with our source: its label differs.
    check(
        rank_in(&policy, "192.0.2.1", from("192.0.2.2")),
        rank_in(&policy, "fd00:2::1", from("fd00:1::2")),
        "rule 5: the label of fd00:2::1 is not that of its source",
    );
}

#[test]
fn c14_known_local_prefixes_are_of_fd00_and_not_short() {
    let mut policy = PolicyTable::updated();
    for (text, length) in [
        ("fc00:1::", 48),
        ("fd00::", 40),
        ("fd00::", 47),
        ("2001:db8::", 48),
    ] {
        let prefix = text.parse().unwrap();
        assert_eq!(
            policy.add_known_local(prefix, length),
            Err(PolicyError::NotKnownLocal { prefix, length })
        );
    }
    let prefix = "fd00:1::".parse().unwrap();
    assert_eq!(
        policy.add_known_local(prefix, 129).unwrap_err().to_string(),
        "`fd00:1::/129` is not a prefix of fd00::/8 of at least 48 bits"
    );
    policy.add_known_local(prefix, 64).unwrap();
    policy.add_known_local(prefix, 128).unwrap();
    assert_eq!(
        policy.add_known_local(prefix, 64).unwrap_err().to_string(),
        "`fd00:1::/64` is in the policy table already"
    );
}

#[test]
fn c6_policy_table_refuses_what_cannot_be_a_row() {
    let row = |prefix: &str, length| Policy {
        prefix: prefix.parse().unwrap(),
        length,
        precedence: 1,
        label: 1,
    };
    let refused = |rows| PolicyTable::new(rows).unwrap_err().to_string();
    assert_eq!(
        refused(vec![row("::", 129)]),
        "`::/129` is longer than the 128 bits of an address"
    );
    assert_eq!(
        refused(vec![row("2001:db8::1", 64)]),
        "`2001:db8::1/64` has bits set beyond its length"
    );
    assert_eq!(
        refused(vec![
            row("::1", 128),
            row("2001:db8::", 32),
            row("::1", 128)
        ]),
        "`::1/128` is in the policy table already"
    );
    assert_eq!(
        refused(vec![row("::1", 127)]),
        "`::1/127` has bits set beyond its length"
    );
}

#[test]
fn c6_longest_row_wins_in_whatever_order_they_are_given() {
    let row = |prefix: &str, length, precedence| Policy {
        prefix: prefix.parse().unwrap(),
        length,
        precedence,
        label: 7,
    };
    let policy = PolicyTable::new(vec![
        row("2001:db8::", 32, 2),
        row("2001:db8:1::", 48, 3),
        row("2001::", 16, 1),
    ])
    .unwrap();
    assert_eq!(policy.lookup(ip("2001:db8:1::1")), (3, 7));
    assert_eq!(policy.lookup(ip("2001:db8:2::1")), (2, 7));
    assert_eq!(policy.lookup(ip("2001:1::1")), (1, 7));
    assert_eq!(policy.lookup(ip("::1")), (40, 1));
    assert!(policy.rows().is_sorted_by_key(|row| Reverse(row.length)));
}

/// Few values each, so that ties are frequent.
fn any_rank() -> impl Strategy<Value = Rank> {
    let destination = prop::sample::select(vec![
        "2001:db8::1",
        "2001:db8:1::1",
        "2002:c633::1",
        "fe80::1",
        "fd00:1::1",
        "fec0::1",
        "::1",
        "192.0.2.1",
        "10.0.0.1",
        "169.254.1.1",
        "::ffff:192.0.2.9",
    ]);
    let source = prop::option::of((
        prop::sample::select(vec![
            "2001:db8::2",
            "fe80::2",
            "fd00:1::2",
            "2002:c633::2",
            "192.0.2.2",
            "169.254.1.2",
        ]),
        prop::sample::select(vec![0_u8, 24, 64, 128]),
        any::<bool>(),
        prop::sample::select(vec![
            Mobility::None,
            Mobility::Home,
            Mobility::CareOf,
            Mobility::HomeAndCareOf,
        ]),
        any::<bool>(),
    ));
    let memory = (any::<bool>(), prop::option::of(0_u64..3), any::<bool>());
    let flat = any::<bool>();
    (destination, source, memory, flat).prop_map(|(destination, source, memory, flat)| {
        let source = source.map(
            |(address, prefix_length, deprecated, mobility, tunnel)| Source {
                address: ip(address),
                prefix_length,
                deprecated,
                mobility,
                interface: if tunnel {
                    Interface::Encapsulated
                } else {
                    Interface::Native
                },
            },
        );
        let memory = Memory {
            silent: memory.0,
            round_trip: memory.1.map(Duration::from_millis),
            used: memory.2,
        };
        // A flat table lets the rules behind rule 6 decide between the families too.
        let row = Policy {
            prefix: Ipv6Addr::UNSPECIFIED,
            length: 0,
            precedence: 9,
            label: 9,
        };
        let policy = if flat {
            PolicyTable::new(vec![row]).unwrap()
        } else {
            PolicyTable::rfc6724()
        };
        Rank::new(ip(destination), source.as_ref(), memory, &policy)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn c6_order_is_a_total_preorder(a in any_rank(), b in any_rank(), c in any_rank()) {
        prop_assert_eq!(a.compare(&a), Ordering::Equal);
        prop_assert_eq!(a.compare(&b), b.compare(&a).reverse());
        if a.compare(&b).is_le() && b.compare(&c).is_le() {
            prop_assert!(a.compare(&c).is_le(), "{:?} {:?} {:?}", a, b, c);
        }
        if a.compare(&b).is_eq() && b.compare(&c).is_eq() {
            prop_assert!(a.compare(&c).is_eq(), "{:?} {:?} {:?}", a, b, c);
        }
    }

    #[test]
    fn c6_every_decision_has_a_reason(a in any_rank(), b in any_rank()) {
        let reason = a.explain(&b);
        let text = format!("{reason}");
        let number = format!("rule {}: ", reason.rule().number());
        prop_assert!(text.starts_with(&number) && text.len() > number.len(), "{}", text);
        prop_assert_eq!(a.compare(&b).is_eq(), reason.rule() == Rule::LeaveUnchanged);
        // The same pair has one reason, whichever way it is asked for.
        if a.compare(&b).is_ne() {
            prop_assert_eq!(b.explain(&a), reason);
        }
    }

    #[test]
    fn c6_sort_is_stable_and_loses_nothing(ranks in prop::collection::vec(any_rank(), 0..40)) {
        let order = order(&ranks);
        let mut all = order.clone();
        all.sort_unstable();
        prop_assert_eq!(all, (0..ranks.len()).collect::<Vec<_>>());
        for pair in order.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let ordering = ranks[a].compare(&ranks[b]);
            prop_assert!(ordering.is_lt() || (ordering.is_eq() && a < b));
        }
        let mut items: Vec<(usize, Rank)> = ranks.into_iter().enumerate().collect();
        sort_by_rank(&mut items, |item| &item.1);
        prop_assert_eq!(items.into_iter().map(|item| item.0).collect::<Vec<_>>(), order);
    }
}
