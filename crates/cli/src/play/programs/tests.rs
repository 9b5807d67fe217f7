use super::*;
use twinstack_check::report::{Answer, Verdict};

fn errand(mended: bool) -> Errand<'static> {
    Errand {
        twinstack: "/bin/twinstack",
        url: "http://www.lab.test/",
        give_up: Duration::from_secs(20),
        mended,
    }
}

#[test]
fn only_the_unmended_legacy_client_is_sequential() {
    let check = |client, mended, sequential| {
        let words = command(client, &errand(mended));
        assert_eq!(
            words.contains(&"--sequential".to_owned()),
            sequential,
            "{words:?}"
        );
        assert_eq!(
            words.last().map(String::as_str),
            Some("http://www.lab.test/")
        );
    };
    check(ClientKind::Legacy, false, true);
    check(ClientKind::Legacy, true, false);
    check(ClientKind::Modern, false, false);
    check(ClientKind::Curl, false, false);
}

#[test]
fn curls_report_is_read_and_000_is_no_success() {
    let json = |code: u16, exit: i32| {
        format!(
            "{{\"http_code\":{code},\"remote_ip\":\"2e00:5::80\",\"time_namelookup\":0.002,\
             \"time_starttransfer\":0.031,\"time_total\":20.001,\"exitcode\":{exit},\"errormsg\":null,\
             \"urlnum\":0}}"
        )
    };
    let good = measured(ClientKind::Curl, json(200, 0).as_bytes()).unwrap();
    assert_eq!(
        (good.ending, good.elapsed_seconds),
        (Ending::Answered, 0.031)
    );
    assert_eq!((good.family, good.status), (Some(Family::V6), Some(200)));
    let late = measured(ClientKind::Curl, json(0, 28).as_bytes()).unwrap();
    assert_eq!(
        (late.ending, late.elapsed_seconds),
        (Ending::GaveUp, 20.001)
    );
    assert_eq!((late.family, late.status), (None, None));
    let refused = measured(ClientKind::Curl, json(0, 7).as_bytes()).unwrap();
    assert_eq!(refused.ending, Ending::Failed);
}

#[test]
fn the_version_of_curl_is_its_second_word() {
    assert_eq!(
        curl_version(b"curl 7.88.1 (x86_64) libcurl\nRelease"),
        Some("curl 7.88.1".into())
    );
    assert_eq!(curl_version(b"something else"), None);
    assert_eq!(curl_version(b""), None);
}

fn answer(question: &str, authoritative: bool, data: &[&str]) -> Answer {
    Answer {
        vantage: "here".to_owned(),
        server: String::new(),
        authoritative,
        cached: None,
        transport: "udp".into(),
        question: question.into(),
        outcome: "NOERROR".into(),
        data: data.iter().map(|text| (*text).to_owned()).collect(),
        ttl_seconds: None,
        elapsed_seconds: 0.0,
    }
}

#[test]
fn what_is_published_comes_from_the_servers_of_the_zone_first() {
    let ptr = format!(
        "{:#} PTR",
        reverse::name_of("198.51.100.80".parse().unwrap())
    );
    let report = twinstack_check::Report {
        schema: String::new(),
        target: String::new(),
        vantages: Vec::new(),
        verdict: Verdict::Ready,
        elapsed_seconds: 0.0,
        answers: vec![
            answer("www.lab.test A", false, &["198.51.100.80"]),
            answer("www.lab.test. AAAA", true, &["2e00:5::80"]),
            answer("www.lab.test A", true, &["198.51.100.80"]),
            answer(&ptr, false, &["old.lab.test."]),
            answer(&ptr, true, &["www.lab.test."]),
            answer("other.lab.test A", true, &["192.0.2.1"]),
        ],
        table: Vec::new(),
        client: None,
        findings: Vec::new(),
        skipped: Vec::new(),
        notes: Vec::new(),
    };
    let published = published(&report, "www.lab.test");
    let addresses: Vec<String> = published
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(addresses, ["2e00:5::80", "198.51.100.80"]);
    assert_eq!(published.reverse[0].names, Vec::<String>::new());
    assert_eq!(published.reverse[1].names, ["www.lab.test."]);
}
