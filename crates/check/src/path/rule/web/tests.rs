use super::*;
use crate::path::observation::{Answer, PartObservation, PartSide, TalkError};
use crate::path::rule::fixture::{Scene, codes, healthy, silent_body};
use std::time::Duration;

const V6: [&str; 2] = ["2e00:5::80", "2e00:5::81"];
const ALL: [&str; 4] = ["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"];

fn with(addresses: &[&str], change: impl Fn(&mut Page)) -> Scene {
    let mut scene = healthy();
    for address in addresses {
        change(scene.page(address, 443));
    }
    scene
}

#[test]
fn another_status_title_server_or_redirect_on_v6_is_another_site() {
    let check = |change: &dyn Fn(&mut Page)| {
        assert_eq!(codes(&with(&V6, change)), ["http.vhost-mismatch"]);
    };
    check(&|page| page.status = 404);
    check(&|page| page.server = Some("Apache/2.4".to_owned()));
    check(&|page| page.body = b"<html><title>Welcome to nginx!</title>".to_vec());
    check(&|page| {
        page.status = 302;
        page.location = Some("https://elsewhere.test/".to_owned());
    });
    check(&|page| page.hops = vec![(301, "/login".to_owned())]);
}

#[test]
fn one_strange_address_is_enough() {
    assert_eq!(
        codes(&with(&V6[1..], |page| page.status = 404)),
        ["http.vhost-mismatch"]
    );
}

#[test]
fn another_version_of_the_server_is_no_other_site() {
    assert_eq!(
        codes(&with(&V6, |page| page.server =
            Some("lab/2.0 (Debian)".to_owned()))),
        [""; 0]
    );
}

#[test]
fn a_difference_that_a_second_look_does_not_confirm_is_none() {
    let mut scene = with(&V6, |page| page.status = 503);
    for address in V6 {
        let mut second = scene.port(address, 443).talks[0].clone();
        if let Some(Ok(Answer::Page(page))) = second.answer.as_mut().map(|step| &mut step.outcome) {
            page.status = 200;
        }
        scene.port(address, 443).second = Some(second);
    }
    assert_eq!(codes(&scene), [""; 0]);
}

#[test]
fn another_body_under_the_same_identity_is_another_content() {
    let scene = with(&V6, |page| {
        page.body = format!(
            "<html><title>Lab</title>{}",
            "entirely different prose ".repeat(50)
        )
        .into_bytes();
    });
    assert_eq!(codes(&scene), ["http.content-mismatch"]);
}

#[test]
fn a_little_other_text_is_the_same_content() {
    let scene = with(&V6, |page| {
        page.body.extend_from_slice(b"<p>one line more</p>");
    });
    assert_eq!(codes(&scene), [""; 0]);
}

#[test]
fn a_page_that_is_never_the_same_is_not_compared() {
    let mut scene = healthy();
    for (index, address) in ALL.iter().enumerate() {
        let word = ["alpha ", "beta ", "gamma ", "delta "][index];
        scene.page(address, 443).body =
            format!("<title>Lab</title>{}", word.repeat(200)).into_bytes();
    }
    assert_eq!(codes(&scene), [""; 0]);
}

fn asked(wire: &str, outcome: Result<u16, String>) -> PartSide {
    PartSide::Asked {
        addresses: vec![wire.parse().unwrap()],
        at: Duration::ZERO,
        took: Duration::from_millis(20),
        outcome,
    }
}

fn part(v4: PartSide, v6: PartSide) -> Scene {
    let mut scene = healthy();
    let host = "static.lab.test".to_owned();
    scene.seen.parts = vec![PartObservation {
        url: format!("https://{host}/logo.svg"),
        host,
        port: 443,
        v4,
        v6,
    }];
    scene
}

#[test]
fn a_part_without_aaaa_or_failing_on_v6_makes_the_page_partial() {
    let fine = || asked("203.0.113.9", Ok(200));
    assert_eq!(
        codes(&part(fine(), PartSide::NoAddress)),
        ["http.partial-page"]
    );
    assert_eq!(
        codes(&part(fine(), asked("2e00:9::1", Err("timeout".to_owned())))),
        ["http.partial-page"]
    );
    assert_eq!(
        codes(&part(fine(), asked("2e00:5::80", Ok(404)))),
        ["http.partial-page"]
    );
}

#[test]
fn a_part_that_is_broken_anyway_or_unknown_is_no_partial_page() {
    assert_eq!(
        codes(&part(
            asked("203.0.113.9", Ok(404)),
            asked("2e00:9::1", Ok(404))
        )),
        [""; 0]
    );
    let failed = || Err("refused".to_owned());
    assert_eq!(
        codes(&part(
            asked("203.0.113.9", failed()),
            asked("2e00:9::1", failed())
        )),
        [""; 0]
    );
    let unknown = PartSide::Unknown("no answer".to_owned());
    assert_eq!(
        codes(&part(asked("203.0.113.9", Ok(200)), unknown)),
        [""; 0]
    );
}

#[test]
fn a_part_on_an_address_that_is_broken_already_is_explained() {
    let mut scene = part(
        asked("198.51.100.80", Ok(200)),
        asked("2e00:5::80", Err("timeout".to_owned())),
    );
    scene = scene.connect(
        "2e00:5::80",
        443,
        crate::path::observation::ConnectFailure::TimedOut,
    );
    assert_eq!(codes(&scene), ["reach.port-asymmetry"]);
    let mut scene = part(
        asked("198.51.100.80", Ok(200)),
        asked("2e00:5::80", Ok(404)),
    );
    scene.page("2e00:5::80", 443).status = 404;
    assert_eq!(codes(&scene), ["http.vhost-mismatch"]);
}

#[test]
fn an_address_in_a_link_or_redirect_is_a_literal() {
    let scene = with(&ALL, |page| {
        page.body
            .extend_from_slice(b"<img src=http://192.0.2.80/x.png>");
    });
    assert_eq!(codes(&scene), ["http.v4-literal"]);
    let scene = with(&ALL, |page| {
        page.status = 302;
        page.location = Some("http://192.0.2.80/".to_owned());
    });
    assert_eq!(codes(&scene), ["http.v4-literal"]);
}

#[test]
fn an_address_in_text_is_no_literal() {
    let scene = with(&ALL, |page| {
        page.body
            .extend_from_slice(b"<p>See http://192.0.2.80/ <!-- http://192.0.2.1/ -->");
    });
    assert_eq!(codes(&scene), [""; 0]);
}

#[test]
fn a_stall_inside_tls_is_not_also_another_site() {
    let mut scene = healthy();
    for address in V6 {
        let stalled = TalkError::Stalled { received: 0 };
        let silent = crate::path::rule::fixture::talk_of(Some(Err(stalled)), None);
        scene.port(address, 443).talks = vec![silent.clone(), silent];
        scene.port(address, 80).talks = vec![silent_body(), silent_body()];
    }
    assert_eq!(codes(&scene), ["tls.stall"]);
}
