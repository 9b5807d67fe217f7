use super::*;
use alloc::string::ToString;
use alloc::vec;
use proptest::prelude::*;

fn v4(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

fn v6(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn prefix(text: &str) -> Prefix64 {
    text.parse().unwrap()
}

fn nat64(prefixes: &[&str]) -> Nat64 {
    Nat64::new(prefixes.iter().map(|text| prefix(text)))
}

/// The two tables of RFC 6052, section 2.4.
const EXAMPLES: [(&str, &str); 7] = [
    ("2001:db8::/32", "2001:db8:c000:221::"),
    ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
    ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
    ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
    ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
    ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
    ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
];

#[test]
fn n4_synthesizes_with_all_six_lengths() {
    for (prefix64, address) in EXAMPLES {
        assert_eq!(
            prefix(prefix64).synthesize(v4("192.0.2.33")),
            v6(address),
            "{prefix64}"
        );
    }
}

#[test]
fn n3_extracts_with_all_six_lengths() {
    for (prefix64, address) in EXAMPLES {
        assert_eq!(
            prefix(prefix64).extract(v6(address)),
            Some(v4("192.0.2.33")),
            "{prefix64}"
        );
    }
}

#[test]
fn n3_extraction_ignores_the_suffix_but_not_the_reserved_bits() {
    let short = prefix("2001:db8::/32");
    assert_eq!(
        short.extract(v6("2001:db8:c000:221:0:1:2:3")),
        Some(v4("192.0.2.33"))
    );
    assert_eq!(
        short.extract(v6("2001:db8:c000:221:ff:ffff:ffff:ffff")),
        Some(v4("192.0.2.33"))
    );
    assert_eq!(short.extract(v6("2001:db8:c000:221:100::")), None);
    assert_eq!(short.extract(v6("2001:db9:c000:221::")), None);
    assert_eq!(
        prefix("2001:db8::/96").extract(v6("2001:db8::1:192.0.2.33")),
        None
    );
}

#[test]
fn n4_prefixes_have_one_of_six_lengths_and_zero_reserved_bits() {
    let refused = |text: &str| text.parse::<Prefix64>().unwrap_err().to_string();
    for length in 0..=u8::MAX {
        let allowed = Prefix64::new(Ipv6Addr::UNSPECIFIED, length).is_ok();
        assert_eq!(
            allowed,
            [32, 40, 48, 56, 64, 96].contains(&length),
            "{length}"
        );
    }
    assert_eq!(
        refused("64:ff9b::/95"),
        "a NAT64 prefix has 32, 40, 48, 56, 64 or 96 bits, not 95"
    );
    assert_eq!(
        refused("64:ff9b::1/96"),
        "`64:ff9b::1/96` has bits set beyond its length"
    );
    assert_eq!(
        refused("2001:db8:0:0:100::/96"),
        "bits 64 to 71 of the NAT64 prefix `2001:db8:0:0:100::` are not zero"
    );
    assert!("2001:db8:0:0:fe::/96".parse::<Prefix64>().is_ok());
    for text in [
        "64:ff9b::",
        "64:ff9b/96",
        "64:ff9b::/x",
        "64:ff9b::/300",
        "",
    ] {
        assert_eq!(
            refused(text),
            "a NAT64 prefix is written like `64:ff9b::/96`"
        );
    }
    assert_eq!(prefix("64:ff9b::/96"), Prefix64::WELL_KNOWN);
    assert_eq!(Prefix64::WELL_KNOWN.to_string(), "64:ff9b::/96");
    assert!(Prefix64::WELL_KNOWN.is_well_known());
    assert!(!prefix("64:ff9b::/64").is_well_known());
    assert!(!prefix("64:ff9b:1::/96").is_well_known());
    let odd = prefix("2001:db8:122::/48");
    assert_eq!((odd.network(), odd.length()), (v6("2001:db8:122::"), 48));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn n3_extraction_undoes_synthesis(
        network in any::<u128>(),
        place in 0_usize..6,
        address in any::<u32>(),
    ) {
        let length = Prefix64::LENGTHS[place];
        let network = network & !(u128::MAX >> length) & !(0xff << 56);
        let prefix = Prefix64::new(Ipv6Addr::from_bits(network), length).unwrap();
        let address = Ipv4Addr::from_bits(address);
        let inside = prefix.synthesize(address);
        prop_assert!(prefix.contains(inside));
        prop_assert_eq!(inside.to_bits() & (0xff << 56), 0);
        prop_assert_eq!(prefix.extract(inside), Some(address));
        prop_assert_eq!(prefix.to_string().parse::<Prefix64>(), Ok(prefix));
    }
}

// N1: discovery.

fn discovered(answers: &[&str]) -> Vec<alloc::string::String> {
    let answers: Vec<Ipv6Addr> = answers.iter().map(|text| v6(text)).collect();
    discover(&answers).iter().map(ToString::to_string).collect()
}

#[test]
fn n1_finds_the_prefix_at_every_length() {
    for (prefix64, _) in EXAMPLES {
        for address in WELL_KNOWN_ADDRESSES {
            let answer = prefix(prefix64).synthesize(address).to_string();
            assert_eq!(discovered(&[&answer]), [prefix64], "{answer}");
        }
    }
}

#[test]
fn n1_two_answers_of_one_prefix_are_one_prefix() {
    assert_eq!(
        discovered(&["64:ff9b::192.0.0.170", "64:ff9b::192.0.0.171"]),
        ["64:ff9b::/96"]
    );
}

#[test]
fn n1_several_prefixes_keep_the_order_of_the_answer() {
    let answers = [
        "2001:db8:1::192.0.0.171",
        "64:ff9b::192.0.0.170",
        "2001:db8:1::192.0.0.170",
        "2001:db8:c000:aa::",
    ];
    assert_eq!(
        discovered(&answers),
        ["2001:db8:1::/96", "64:ff9b::/96", "2001:db8::/32"]
    );
    let many: Vec<_> = (0..20)
        .map(|n| v6(&alloc::format!("2001:db8:{n}::192.0.0.170")))
        .collect();
    assert_eq!(discover(&many).len(), MAX_PREFIXES);
}

#[test]
fn n1_wrong_answers_yield_nothing() {
    for answer in [
        "2001:db8::1",
        "::1",
        "64:ff9b::192.0.0.172",
        "64:ff9b::192.0.2.170",
        // The address is there, but not in one of the six places.
        "2001:db8::c000:aa00:0",
        // It is, but the reserved bits are not zero.
        "2001:db8:c000:aa:100::",
        "::ffff:0:0",
    ] {
        assert_eq!(discovered(&[answer]), [""; 0], "{answer}");
    }
    assert_eq!(discovered(&[]), [""; 0]);
    // A wrong answer does not spoil a right one.
    assert_eq!(
        discovered(&["2001:db8::1", "64:ff9b::192.0.0.170"]),
        ["64:ff9b::/96"]
    );
}

#[test]
fn n1_octets_inside_the_prefix_do_not_confuse() {
    // They are at /32 too, but then something follows them, and nothing follows at /96.
    assert_eq!(
        discovered(&["2001:db8:c000:aa::192.0.0.170"]),
        ["2001:db8:c000:aa::/96"]
    );
}

#[test]
fn n1_reading_without_a_suffix_needs_nobody_else() {
    // The second record confirms a reading at /32, but the first one can be read with nothing behind it.
    let answers = ["2001:db8:c000:aa::192.0.0.170", "2001:db8:c000:ab::1"];
    assert_eq!(
        discovered(&answers),
        ["2001:db8:c000:aa::/96", "2001:db8::/32"]
    );
}

#[test]
fn n1_ambiguous_answer_needs_the_other_one() {
    // The four octets are at /32 and at /64, and both times something follows.
    let twice = "2001:db8:c000:aa:c0:0:aa00:1";
    assert_eq!(discovered(&[twice]), [""; 0]);
    assert_eq!(discovered(&[twice, twice]), [""; 0]);
    let other = "2001:db8:c000:aa:c0:0:ab00:1";
    let prefix64 = "2001:db8:c000:aa::/64";
    assert_eq!(discovered(&[twice, other]), [prefix64]);
    assert_eq!(discovered(&[other, twice]), [prefix64]);
    // The other way round: at /32 there is the other address.
    assert_eq!(
        discovered(&["2001:db8:c000:ab:c0:0:aa00:1", twice]),
        ["2001:db8::/32"]
    );
}

#[test]
fn n1_translator_with_a_suffix_of_its_own_is_found() {
    assert_eq!(discovered(&["2001:db8:c000:aa:0:1::"]), ["2001:db8::/32"]);
}

// N3.

#[test]
fn n3_turns_synthesized_answers_back() {
    let network = nat64(&["64:ff9b::/96", "2001:db8:122::/48"]);
    assert_eq!(
        network.canonical(v6("64:ff9b::192.0.2.33").into()),
        v4("192.0.2.33")
    );
    assert_eq!(
        network.canonical(v6("2001:db8:122:c000:2:2100::").into()),
        v4("192.0.2.33")
    );
    for native in ["2001:db8::1", "64:ff9b:1::192.0.2.33"] {
        assert_eq!(network.canonical(v6(native).into()), v6(native));
    }
    assert_eq!(network.canonical(v4("192.0.2.1").into()), v4("192.0.2.1"));
    // Without a prefix, nothing is known to be synthesized.
    assert_eq!(
        Nat64::default().canonical(v6("64:ff9b::1").into()),
        v6("64:ff9b::1")
    );
}

#[test]
fn n3_most_specific_prefix_decides() {
    for order in [
        ["2001:db8::/32", "2001:db8:1:2::/96"],
        ["2001:db8:1:2::/96", "2001:db8::/32"],
    ] {
        let network = nat64(&order);
        assert_eq!(
            network.desynthesize(v6("2001:db8:1:2::192.0.2.33")),
            Some(v4("192.0.2.33"))
        );
        assert_eq!(
            network.desynthesize(v6("2001:db8:c000:221::")),
            Some(v4("192.0.2.33"))
        );
    }
}

#[test]
fn n3_leaves_what_nobody_would_have_synthesized() {
    let network = nat64(&["64:ff9b::/96", "2001:db8::/96"]);
    assert_eq!(network.desynthesize(v6("64:ff9b::10.0.0.1")), None);
    assert_eq!(
        network.desynthesize(v6("2001:db8::10.0.0.1")),
        Some(v4("10.0.0.1"))
    );
    assert_eq!(network.desynthesize(v6("2001:db8::127.0.0.1")), None);
}

// N4, N5, N7.

#[test]
fn n4_connects_to_a_literal_without_ipv4() {
    let network = nat64(&["64:ff9b::/96"]);
    assert_eq!(
        network.connect_to(v4("192.0.2.7"), false),
        Ok(v6("64:ff9b::192.0.2.7").into())
    );
    assert_eq!(
        network.connect_to(v4("192.0.2.7"), true),
        Ok(v4("192.0.2.7").into())
    );
    assert_eq!(
        Nat64::default().connect_to(v4("192.0.2.7"), false),
        Err(Unreachable::NoPrefix)
    );
    assert_eq!(
        Unreachable::NoPrefix.to_string(),
        "no route for IPv4 and no NAT64 prefix"
    );
}

#[test]
fn n5_never_synthesizes_what_no_translator_can_forward() {
    let network = nat64(&["64:ff9b::/96", "2001:db8::/96"]);
    for (text, refused) in [
        ("0.0.0.0", true),
        ("0.255.255.255", true),
        ("1.0.0.0", false),
        ("126.255.255.255", false),
        ("127.0.0.0", true),
        ("127.255.255.255", true),
        ("128.0.0.0", false),
        ("169.253.255.255", false),
        ("169.254.0.0", true),
        ("169.254.255.255", true),
        ("169.255.0.0", false),
        ("223.255.255.255", false),
        ("224.0.0.1", true),
        ("239.255.255.255", true),
        ("255.255.255.254", false),
        ("255.255.255.255", true),
    ] {
        let address = v4(text);
        let got = network.connect_to(address, false);
        if refused {
            assert_eq!(got, Err(Unreachable::NeverForwarded { address }));
        } else {
            assert!(got.is_ok(), "{text}");
        }
        // With a route of its own, none of this is ours to judge.
        assert_eq!(network.connect_to(address, true), Ok(address.into()));
    }
    assert_eq!(
        network
            .connect_to(v4("127.0.0.1"), false)
            .unwrap_err()
            .to_string(),
        "`127.0.0.1` is not an address that NAT64 can forward to"
    );
}

#[test]
fn n5_private_addresses_never_go_through_the_well_known_prefix() {
    let well_known = nat64(&["64:ff9b::/96"]);
    let both = nat64(&["64:ff9b::/96", "2001:db8::/96"]);
    for (text, refused) in [
        ("9.255.255.255", false),
        ("10.0.0.0", true),
        ("10.255.255.255", true),
        ("100.63.255.255", false),
        ("100.64.0.0", true),
        ("100.127.255.255", true),
        ("100.128.0.0", false),
        ("101.64.0.0", false),
        ("172.15.255.255", false),
        ("172.16.0.0", true),
        ("172.31.255.255", true),
        ("172.32.0.0", false),
        ("192.168.0.0", true),
        ("192.169.0.0", false),
        ("192.0.2.1", false),
    ] {
        let address = v4(text);
        let got = well_known.connect_to(address, false);
        if refused {
            assert_eq!(got, Err(Unreachable::PrivateThroughWellKnown { address }));
            // Through a prefix of the network's own they do.
            let inside = prefix("2001:db8::/96").synthesize(address);
            assert_eq!(both.connect_to(address, false), Ok(inside.into()));
        } else {
            assert!(got.is_ok(), "{text}");
        }
    }
    assert_eq!(
        well_known
            .connect_to(v4("10.0.0.1"), false)
            .unwrap_err()
            .to_string(),
        "`10.0.0.1` is private, and 64:ff9b::/96 stands for public addresses only"
    );
}

#[test]
fn n6_one_network_knows_nothing_of_another() {
    let here = nat64(&["2001:db8::/96"]);
    let there = nat64(&["64:ff9b::/96"]);
    let answer = v6("2001:db8::192.0.2.33");
    assert_eq!(here.desynthesize(answer), Some(v4("192.0.2.33")));
    assert_eq!(there.desynthesize(answer), None);
    assert!(!Nat64::default().is_known() && there.is_known());
}

#[test]
fn n6_keeps_a_bounded_number_of_distinct_prefixes() {
    let network = nat64(&["64:ff9b::/96", "2001:db8::/96", "64:ff9b::/96"]);
    assert_eq!(
        network.prefixes(),
        vec![prefix("64:ff9b::/96"), prefix("2001:db8::/96")]
    );
    let many = (0..100).map(|n| prefix(&alloc::format!("2001:db8:{n}::/96")));
    assert_eq!(Nat64::new(many).prefixes().len(), MAX_PREFIXES);
}

#[test]
fn n7_host_with_a_clat_leaves_ipv4_alone() {
    let network = nat64(&["64:ff9b::/96"]).with_clat(true);
    for address in ["192.0.2.1", "10.0.0.1", "127.0.0.1"] {
        assert_eq!(
            network.connect_to(v4(address), false),
            Ok(v4(address).into())
        );
    }
    let gone = network.with_clat(false);
    assert_eq!(
        gone.connect_to(v4("192.0.2.1"), false),
        Ok(v6("64:ff9b::192.0.2.1").into())
    );
}
