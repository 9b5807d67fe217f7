use super::*;
use proptest::prelude::*;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

#[test]
fn shows_with_and_without_the_final_dot() {
    assert_eq!(name("www.Lab.test.").to_string(), "www.Lab.test");
    assert_eq!(name("www.Lab.test").with_final_dot(), "www.Lab.test.");
    assert_eq!(
        (Name::root().to_string(), Name::root().with_final_dot()),
        (".".to_owned(), ".".to_owned())
    );
}

#[test]
fn case_is_kept_and_does_not_count() {
    assert_eq!(name("WWW.lab.test"), name("www.LAB.test."));
    assert_eq!(
        name("WWW.lab.test").to_lowercase().to_string(),
        "www.lab.test"
    );
}

#[test]
fn parents_lead_to_the_root() {
    let ancestors: Vec<String> = name("a.b.c")
        .ancestors()
        .map(|name| name.with_final_dot())
        .collect();
    assert_eq!(ancestors, ["a.b.c.", "b.c.", "c.", "."]);
    assert_eq!(Name::root().parent(), None);
}

#[test]
fn subdomains_end_at_label_boundaries() {
    assert!(name("www.lab.test").is_subdomain_of(&name("LAB.test")));
    assert!(name("lab.test").is_subdomain_of(&name("lab.test")));
    assert!(name("lab.test").is_subdomain_of(&Name::root()));
    assert!(!name("xlab.test").is_subdomain_of(&name("lab.test")));
    assert!(!name("test").is_subdomain_of(&name("lab.test")));
}

#[test]
fn relative_names_are_below_the_origin() {
    let origin = name("lab.test");
    let check = |text: &str, expected: &str| {
        assert_eq!(
            Name::parse_relative(text, &origin).unwrap(),
            name(expected),
            "{text}"
        );
    };
    check("www", "www.lab.test");
    check("www.", "www");
    check("@", "lab.test");
    check("*.x", "*.x.lab.test");
}

#[test]
fn escapes_are_read_and_written() {
    let check = |text: &str, labels: &[&[u8]], shown: &str| {
        let name = name(text);
        assert_eq!(name.labels().collect::<Vec<_>>(), labels, "{text}");
        assert_eq!(name.to_string(), shown);
    };
    check(r"a\.b.c", &[b"a.b", b"c"], r"a\.b.c");
    check(r"a\032b", &[b"a b"], r"a\032b");
    check(r"\255\000", &[b"\xff\x00"], r"\255\000");
    check(r"0/25.2", &[b"0/25", b"2"], "0/25.2");
    check("_443._tcp", &[b"_443", b"_tcp"], "_443._tcp");
}

#[test]
fn errors_say_what_is_wrong() {
    let check = |text: &str, expected: &str| {
        assert_eq!(Name::parse(text).unwrap_err().to_string(), expected);
    };
    check("", "a domain name cannot be empty (the root is `.`)");
    check(
        "a..b",
        "`a..b` has an empty label (a dot too many) at column 3",
    );
    check(".a", "`.a` has an empty label (a dot too many) at column 1");
    check(
        "a b",
        "`a b` has ' ' at column 2; escape it as `\\DDD` if it is meant",
    );
    check(
        "bücher.de",
        "`bücher.de` has 'ü' at column 2; write internationalised names in their `xn--` form",
    );
    check(
        r"a\25",
        "`a\\25` has a broken escape at column 2; write `\\.` or `\\032`",
    );
    check(
        r"a\256",
        "`a\\256` has a broken escape at column 2; write `\\.` or `\\032`",
    );
    let long = "x".repeat(64);
    check(
        &long,
        &format!("the label `{long}` has 64 octets; 63 is the most"),
    );
}

#[test]
fn limits_are_63_and_255_octets() {
    assert!(Name::parse(&"x".repeat(63)).is_ok());
    let label = "x".repeat(63);
    // 3 * 64 + 62 + 1 = 255 octets.
    let longest = format!("{label}.{label}.{label}.{}", "x".repeat(61));
    assert_eq!(Name::parse(&longest).unwrap().as_wire().len(), 255);
    let too_long = format!("{label}.{label}.{label}.{}", "x".repeat(62));
    assert!(matches!(
        Name::parse(&too_long),
        Err(NameError::LongName { length: 256, .. })
    ));
    assert!(matches!(
        name(&longest).child("a"),
        Err(NameError::LongName { length: 257, .. })
    ));
    assert!(matches!(
        Name::parse_relative(&"x".repeat(60), &name(&longest)),
        Err(NameError::LongName { .. })
    ));
}

#[test]
fn serialises_as_text() {
    let json = serde_json::to_string(&name("www.lab.test")).unwrap();
    assert_eq!(json, "\"www.lab.test.\"");
    assert_eq!(
        serde_json::from_str::<Name>(&json).unwrap(),
        name("www.lab.test")
    );
}

/// Any name: one to six labels of any octets.
pub(crate) fn any_name() -> impl Strategy<Value = Name> {
    let label = prop_oneof![
        4 => "[a-zA-Z0-9_-]{1,20}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 1..=63),
    ];
    proptest::collection::vec(label, 0..=6)
        .prop_filter_map("within 255 octets", |labels| Name::from_labels(labels).ok())
}

proptest! {
    #[test]
    fn text_and_wire_round_trip(name in any_name()) {
        let text = name.to_string();
        let again = Name::parse(&text).unwrap();
        prop_assert_eq!(again.as_wire(), name.as_wire());
        let again = Name::parse(&name.with_final_dot()).unwrap();
        prop_assert_eq!(again.as_wire(), name.as_wire());
        let again = Name::from_wire(name.as_wire()).unwrap();
        prop_assert_eq!(again.as_wire(), name.as_wire());
    }

    #[test]
    fn any_text_is_a_name_or_an_error(text in ".{0,300}") {
        if let Ok(name) = Name::parse(&text) {
            prop_assert!(name.as_wire().len() <= MAX_NAME);
            prop_assert!(name.labels().all(|label| (1..=MAX_LABEL).contains(&label.len())));
        }
    }

    #[test]
    fn any_octets_are_a_name_or_an_error(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(name) = Name::from_wire(&octets) {
            prop_assert_eq!(name.as_wire(), &octets[..]);
        }
    }
}
