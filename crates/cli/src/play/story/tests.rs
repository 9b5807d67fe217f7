use super::*;

#[test]
fn the_json_is_what_the_schema_describes_and_reads_back() {
    let story = samples::story();
    let text = serde_json::to_string(&story).unwrap();
    crate::tests::schema::check("play-1.json", &text);
    assert_eq!(serde_json::from_str::<Story>(&text).unwrap(), story);
}

#[test]
fn the_worst_is_who_waited_longest_before() {
    let story = samples::story();
    let (before, after) = story.worst().unwrap();
    assert_eq!(
        (before.network.as_str(), before.client.as_str()),
        ("cafe", "legacy")
    );
    assert!(!before.answered() && after.answered());
}

#[test]
fn a_ptr_is_right_if_it_says_the_name_and_nothing_else() {
    let check = |names: &[&str], expected| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let reverse = Reverse {
            address: IpAddr::from([198, 51, 100, 80]),
            names,
        };
        assert_eq!(reverse.says("www.lab.test"), expected, "{reverse:?}");
    };
    check(&["www.lab.test."], true);
    check(&["WWW.lab.test"], true);
    check(&["www.lab.test.", "mail.lab.test."], false);
    check(&["www.lab.test.5.0.0.0.0.0.e.2.ip6.arpa."], false);
    check(&[], false);
}
