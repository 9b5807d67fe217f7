//! What a broken file is answered, to the letter: these texts are the interface.

use super::*;

/// The rendered error of a file whose first two lines are `version: 1` and `extends: standard`.
#[track_caller]
fn check(text: &str, expected: &str) {
    check_whole(&format!("version: 1\nextends: standard\n{text}"), expected);
}

#[track_caller]
fn check_whole(text: &str, expected: &str) {
    let error = World::parse_alone(text, "my.yaml").expect_err("the world is broken");
    assert_eq!(error.to_string().trim_end(), expected.trim_matches('\n'));
    let coloured = error.render(true);
    assert!(coloured.contains('\u{1b}'), "colour is asked for");
}

#[test]
fn unknown_key_gets_the_nearest_one() {
    check(
        "links:\n  office: { deley: 5ms }\n",
        r"
error: `deley` is no key of a link
 --> my.yaml:4:13
  |
4 |   office: { deley: 5ms }
  |             ^^^^^ did you mean `delay`?",
    );
    check(
        "near_miss_of: reach.fw-drop\n",
        r"
error: `near_miss_of` is no key of a world
 --> my.yaml:3:1
  |
3 | near_miss_of: reach.fw-drop
  | ^^^^^^^^^^^^ did you mean `near-miss-of`?",
    );
    check(
        "fault:\n  expect: reach.fw-drop\n",
        r"
error: `expect` is no key of a fault
 --> my.yaml:4:3
  |
4 |   expect: reach.fw-drop
  |   ^^^^^^ known keys: networks, hosts, links, filters, zones, dns",
    );
}

#[test]
fn every_problem_is_reported_in_the_order_of_the_file() {
    check(
        "links:\n  ofice: { delay: 5 }\n  service: { loss: 5, rate: fast }\n",
        r"
error: no network is called `ofice`
 --> my.yaml:4:3
  |
4 |   ofice: { delay: 5 }
  |   ^^^^^ did you mean `office`?

error: `5` is not a duration
 --> my.yaml:4:19
  |
4 |   ofice: { delay: 5 }
  |                   ^ write a number with `us`, `ms`, `s` or `m`, such as `20ms`

error: `5` is more than everything
 --> my.yaml:5:20
  |
5 |   service: { loss: 5, rate: fast }
  |                    ^ did you mean `5%`?

error: `fast` is not a rate
 --> my.yaml:5:29
  |
5 |   service: { loss: 5, rate: fast }
  |                             ^^^^ write a number with `bit`, `kbit`, `mbit` or `gbit`, such as `100mbit`",
    );
}

#[test]
fn wrong_types_name_what_belongs_there() {
    check(
        "links:\n  office: [5ms]\n",
        r"
error: this is a list, but a map belongs here
 --> my.yaml:4:11
  |
4 |   office: [5ms]
  |           ^",
    );
    check(
        "hosts:\n  www:\n    setup: true\n",
        r"
error: this is a single value, but a list belongs here
 --> my.yaml:5:12
  |
5 |     setup: true
  |            ^^^^",
    );
    check(
        "hosts:\n  mail:\n    services:\n      smtp: { disabled: maybe, port: 70000 }\n",
        r"
error: `maybe` is neither true nor false
 --> my.yaml:6:25
  |
6 |       smtp: { disabled: maybe, port: 70000 }
  |                         ^^^^^ write `true` or `false`

error: `port` is out of range
 --> my.yaml:6:38
  |
6 |       smtp: { disabled: maybe, port: 70000 }
  |                                      ^^^^^ between 1 and 65535",
    );
    check(
        "filters:\n  - { at: service, action: dropp }\n",
        r"
error: `dropp` is no `action`
 --> my.yaml:4:28
  |
4 |   - { at: service, action: dropp }
  |                            ^^^^^ did you mean `drop`?",
    );
}

#[test]
fn addresses_must_fit_their_network_and_belong_to_one_host() {
    check(
        "hosts:\n  www:\n    interfaces:\n      service:\n        addresses: [2e00:6::80, 198.51.100.255]\n",
        r"
error: `2e00:6::80` is no host address of the network `service`
 --> my.yaml:7:21
  |
7 |         addresses: [2e00:6::80, 198.51.100.255]
  |                     ^^^^^^^^^^ it must be inside `2e00:5::/64`

error: `198.51.100.255` is no host address of the network `service`
 --> my.yaml:7:33
  |
7 |         addresses: [2e00:6::80, 198.51.100.255]
  |                                 ^^^^^^^^^^^^^^ it must be inside `198.51.100.0/24`",
    );
    check(
        "hosts:\n  thief:\n    interfaces:\n      service: { addresses: [\"2e00:5::1\", \"2e00:5::80\"] }\n",
        r#"
error: `2e00:5::1` already belongs to the router of `service`
 --> my.yaml:6:30
  |
6 |       service: { addresses: ["2e00:5::1", "2e00:5::80"] }
  |                              ^^^^^^^^^^^

error: `2e00:5::80` already belongs to the host `www`
 --> my.yaml:6:43
  |
6 |       service: { addresses: ["2e00:5::1", "2e00:5::80"] }
  |                                           ^^^^^^^^^^^^"#,
    );
    check(
        "networks:\n  twin: { v6: \"2e00:5::/48\" }\n  blank: {}\n",
        r#"
error: its addresses overlap those of the network `service`
 --> my.yaml:4:3
  |
4 |   twin: { v6: "2e00:5::/48" }
  |   ^^^^

error: the network `blank` has no addresses
 --> my.yaml:5:3
  |
5 |   blank: {}
  |   ^^^^^ write `v6:`, `v4:` or both, each with a prefix"#,
    );
}

#[test]
fn missing_hosts_get_the_nearest_name() {
    check(
        "check: { host: wwww }\n",
        r"
error: no host is called `wwww`
 --> my.yaml:3:16
  |
3 | check: { host: wwww }
  |                ^^^^ did you mean `www`?",
    );
    check(
        "dns:\n  - { at: [ns1, nowhere], reply: drop }\n",
        r"
error: no host is called `nowhere`
 --> my.yaml:4:17
  |
4 |   - { at: [ns1, nowhere], reply: drop }
  |                 ^^^^^^^ there are client, mail, ns1, ns2, resolver, root, www",
    );
    check(
        "hosts:\n  client: ~\n",
        r"
error: no host is called `client`, so it is not known where commands run
 --> my.yaml:1:1
  |
1 | version: 1
  | ^ write `client:` and the name of a host",
    );
}

#[test]
fn bad_records_point_at_the_word() {
    check(
        "zones:\n  lab.test:\n    records:\n      - www 300 AAAA 2e00:5::xyz\n",
        r"
error: `2e00:5::xyz` is not an IPv6 address such as 2001:db8::1
 --> my.yaml:6:22
  |
6 |       - www 300 AAAA 2e00:5::xyz
  |                      ^^^^^^^^^^^ a record looks like `www 300 AAAA 2e00:5::80`",
    );
    check(
        "zones:\n  lab.test:\n    records:\n      - www.example. A 192.0.2.1\n      - www A 198.51.100.80\n",
        r"
error: `www.example` is not inside this zone
 --> my.yaml:6:9
  |
6 |       - www.example. A 192.0.2.1
  |         ^^^^^^^^^^^^^^^^^^^^^^^^ only names below `lab.test` are; those without a final dot lie there

error: this record is here already
 --> my.yaml:7:9
  |
7 |       - www A 198.51.100.80
  |         ^^^^^^^^^^^^^^^^^^^",
    );
}

#[test]
fn to_remove_nothing_is_an_error() {
    check(
        "fault:\n  zones:\n    lab.test:\n      remove: [www AAAA 2e00:5::82]\n",
        r"
error: no record of this zone is like this
 --> my.yaml:6:16
  |
6 |       remove: [www AAAA 2e00:5::82]
  |                ^^^^^^^^^^^^^^^^^^^ `www` has AAAA 2e00:5::80, AAAA 2e00:5::81",
    );
    check(
        "zones:\n  lab.test:\n    remove: [wwww AAAA]\n",
        r"
error: no record of this zone is like this
 --> my.yaml:5:14
  |
5 |     remove: [wwww AAAA]
  |              ^^^^^^^^^ `wwww.lab.test` has no records here; did you mean `www.lab.test`?",
    );
}

#[test]
fn keys_must_apply_to_the_kind_of_service() {
    check(
        "hosts:\n  mail:\n    services:\n      smtp: { alpn: [h2], v6: { pages: {} } }\n      web: { port: 80 }\n",
        r"
error: `alpn` does not apply to `smtp`, which is of the kind `smtp`
 --> my.yaml:6:15
  |
6 |       smtp: { alpn: [h2], v6: { pages: {} } }
  |               ^^^^ keys of that kind: dual-socket, stall, delay, banner

error: `pages` does not apply to `smtp`, which is of the kind `smtp`
 --> my.yaml:6:33
  |
6 |       smtp: { alpn: [h2], v6: { pages: {} } }
  |                                 ^^^^^ keys of that kind: dual-socket, stall, delay, banner

error: it is not said what kind of service this is
 --> my.yaml:7:7
  |
7 |       web: { port: 80 }
  |       ^^^ write `kind: https`, for example",
    );
    check(
        "hosts:\n  www:\n    services:\n      web2: { kind: http }\n",
        r"
error: `http` already listens on TCP port 80 of `198.51.100.80`
 --> my.yaml:6:7
  |
6 |       web2: { kind: http }
  |       ^^^^",
    );
}

#[test]
fn broken_yaml_is_shown_where_it_breaks() {
    check_whole(
        "version: 1\n\thosts:\n",
        "
error: a tab stands in the indentation
 --> my.yaml:2:1
  |
2 |     hosts:
  | ^^^^ YAML wants spaces here",
    );
    check_whole(
        "version: 1\nseed: 1\nseed: 2\n",
        r"
error: the key `seed` stands here twice
 --> my.yaml:3:1
  |
3 | seed: 2
  | ^^^^",
    );
    check_whole(
        "version: 1\nname: [a\n",
        r"
error: this is not YAML as a world has it: unclosed bracket '['
 --> my.yaml:2:7
  |
2 | name: [a
  |       ^",
    );
    check_whole(
        "version: 1\nname: *nobody\n",
        r"
error: no anchor (`&name`) before this has this name
 --> my.yaml:2:7
  |
2 | name: *nobody
  |       ^",
    );
    check_whole(
        "---\nversion: 1\n---\nversion: 1\n",
        r"
error: a second document begins here, and a world is one
 --> my.yaml:3:1
  |
3 | ---
  | ^^^",
    );
}

#[test]
fn what_is_no_world_says_how_one_starts() {
    check_whole(
        "",
        "
error: this file is empty
 --> my.yaml:1:1
  |
1 |
  | ^ a world starts with `version: 1`",
    );
    check_whole(
        "version: 2\nshape: round\n",
        r"
error: `version` is out of range
 --> my.yaml:1:10
  |
1 | version: 2
  |          ^ only 1",
    );
    check_whole(
        "version: 1\n",
        r"
error: this world has no hosts
 --> my.yaml:1:1
  |
1 | version: 1
  | ^ write `extends: standard` to start from the usual ones",
    );
}

#[test]
fn a_file_cannot_blow_up() {
    check_whole(
        "a: &a [x,x,x,x,x,x,x,x,x]\n\
         b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n\
         c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
         d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n\
         e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
        "
error: this file grows too big for a world by its aliases (`*name`)
 --> my.yaml:4:29
  |
4 | d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]
  |                             ^^",
    );
    check_whole(
        &format!("version: {}\n", "[".repeat(30)),
        "
error: this file is too deep for a world
 --> my.yaml:1:34
  |
1 | version: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
  |                                  ^",
    );
    let many = format!("version: 1\nexpect: [{}a.b]\n", "a.b, ".repeat(10_000));
    let error = World::parse_alone(&many, "my.yaml").expect_err("too many");
    let messages: Vec<_> = error
        .problems()
        .iter()
        .map(|p| p.message.as_str())
        .collect();
    assert_eq!(messages, ["this file is too big for a world"]);
    let long = format!("version: 1\nsummary: {}\n", "x".repeat(300_000));
    let error = World::parse_alone(&long, "my.yaml").expect_err("too long");
    assert_eq!(
        error.problems().first().map(|p| p.message.as_str()),
        Some("this file has 300021 bytes, a world has at most 262144")
    );
}

#[test]
fn worlds_cannot_extend_themselves_or_nothing() {
    check_whole(
        "version: 1\nextends: standart\n",
        r"
error: no shipped world is called `standart`
 --> my.yaml:2:10
  |
2 | extends: standart
  |          ^^^^^^^^ did you mean `standard`?",
    );
    check_whole(
        "version: 1\nextends: other.yaml\n",
        r"
error: `other.yaml` cannot be read here
 --> my.yaml:2:10
  |
2 | extends: other.yaml
  |          ^^^^^^^^^^ only shipped worlds can be extended by a text without a file",
    );
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(path("a.yaml"), "version: 1\nextends: ./b.yaml\n").unwrap();
    std::fs::write(path("b.yaml"), "version: 1\nextends: a.yaml\n").unwrap();
    let error = World::load(&path("a.yaml")).expect_err("a loop");
    let problem = error.problems().first().expect("one problem");
    assert_eq!(
        problem.message.replace(&path(""), ""),
        "a world cannot extend itself: a.yaml -> ./b.yaml -> a.yaml"
    );
    assert_eq!(problem.place.line, 2, "the line of `extends` in b.yaml");
    assert!(problem.place.file.ends_with("b.yaml"), "{}", problem.place);
}

#[test]
fn problems_in_an_extended_file_name_that_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    std::fs::write(
        path("base.yaml"),
        "version: 1\nextends: standard\nseed: none\n",
    )
    .unwrap();
    std::fs::write(path("mine.yaml"), "version: 1\nextends: base.yaml\n").unwrap();
    let error = World::load(&path("mine.yaml")).expect_err("broken base");
    let places: Vec<_> = error.places().map(ToString::to_string).collect();
    assert_eq!(places, [format!("{}:3:7", path("base.yaml"))]);
}

#[test]
fn unknown_and_unreadable_worlds_are_told_apart() {
    let error = World::load("v6-dorp").expect_err("misspelt");
    assert_eq!(
        error.to_string(),
        "no world is called `v6-dorp`: did you mean `v6-drop`?"
    );
    let error = World::load("./nowhere.yaml").expect_err("absent");
    assert!(
        matches!(&error, WorldError::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound),
        "{error}"
    );
    let error = World::load("/dev/zero.yaml/../zero").expect_err("no file");
    assert!(matches!(error, WorldError::Unreadable { .. }), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("latin.yaml");
    std::fs::write(&path, b"summary: caf\xe9\n").unwrap();
    let error = World::load(&path.display().to_string()).expect_err("not UTF-8");
    assert!(
        error.to_string().ends_with("not UTF-8 at byte 12"),
        "{error}"
    );
}

#[test]
fn control_characters_of_a_file_do_not_reach_the_terminal() {
    let error = World::parse_alone("version: 1\n\"\\e[31mred\": 1\n", "my.yaml").expect_err("key");
    assert!(!error.to_string().contains('\u{1b}'), "{error}");
}
