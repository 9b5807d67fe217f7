use super::*;
use crate::world::model::{HostId, Zone, ZoneRecord};
use twinstack_dns::Question;

fn zone(apex: &str, lines: &[&str]) -> ZoneData {
    let records = lines
        .iter()
        .map(|line| {
            let mut words = line.splitn(4, ' ').map(str::to_owned);
            let mut word = || words.next().unwrap();
            ZoneRecord {
                owner: word(),
                ttl: word().parse().unwrap(),
                rtype: word(),
                rdata: word(),
            }
        })
        .collect();
    ZoneData::read(&Zone {
        apex: apex.to_owned(),
        servers: vec![HostId(0)],
        records,
    })
    .unwrap()
}

fn zones() -> Vec<ZoneData> {
    vec![
        zone(
            "lab.test.",
            &[
                "lab.test. 3600 SOA ns1.lab.test. hostmaster.lab.test. 1 3600 600 86400 300",
                "lab.test. 300 NS ns1.lab.test.",
                "lab.test. 300 MX 10 mail.lab.test.",
                "ns1.lab.test. 300 A 198.51.100.53",
                "ns1.lab.test. 300 AAAA 2e00:5::53",
                "mail.lab.test. 300 AAAA 2e00:5::25",
                "www.lab.test. 300 A 198.51.100.80",
                "www.lab.test. 300 A 198.51.100.81",
                "www.lab.test. 300 AAAA 2e00:5::80",
                "web.lab.test. 300 CNAME www.lab.test.",
                "away.lab.test. 300 CNAME www.example.",
                "loop.lab.test. 300 CNAME pool.lab.test.",
                "pool.lab.test. 300 CNAME loop.lab.test.",
                "gone.lab.test. 300 CNAME nowhere.lab.test.",
                "into.lab.test. 300 CNAME x.sub.lab.test.",
                "a.deep.lab.test. 300 A 192.0.2.1",
                "*.wild.lab.test. 300 TXT \"any\"",
                "*.alias.lab.test. 300 CNAME www.lab.test.",
                "host.wild.lab.test. 300 A 192.0.2.2",
                "sub.lab.test. 300 NS ns.sub.lab.test.",
                "sub.lab.test. 300 NS ns.elsewhere.example.",
                "sub.lab.test. 300 DS 1 13 2 00",
                "ns.sub.lab.test. 300 AAAA 2e00:5::99",
            ],
        ),
        zone(
            "child.lab.test.",
            &[
                "child.lab.test. 60 SOA ns1.lab.test. hostmaster.lab.test. 1 3600 600 86400 900",
                "www.child.lab.test. 300 CNAME www.lab.test.",
            ],
        ),
    ]
}

/// Code, AA, and the sections in short: `owner type data`.
fn ask(name: &str, rtype: RecordType) -> (Rcode, bool, [Vec<String>; 3]) {
    let zones = zones();
    let zones: Vec<&ZoneData> = zones.iter().collect();
    let question = Question::new(Name::parse(name).unwrap(), rtype);
    let response = answer(&zones, &Query::new(1, question));
    let short = |records: &[Record]| {
        records
            .iter()
            .map(|record| format!("{} {} {}", record.owner, record.rtype(), record.data))
            .collect()
    };
    (
        response.rcode,
        response.authoritative,
        [
            short(&response.answer),
            short(&response.authority),
            short(&response.additional),
        ],
    )
}

#[track_caller]
fn check(
    name: &str,
    rtype: RecordType,
    rcode: Rcode,
    aa: bool,
    answer: &[&str],
) -> [Vec<String>; 3] {
    let (found, authoritative, sections) = ask(name, rtype);
    assert_eq!(
        (found, authoritative),
        (rcode, aa),
        "{name} {rtype} {sections:?}"
    );
    assert_eq!(sections[0], answer, "{name} {rtype}");
    sections
}

const SOA: &str = "lab.test SOA ns1.lab.test. hostmaster.lab.test. 1 3600 600 86400 300";

#[test]
fn records_of_the_type_are_the_answer() {
    let sections = check(
        "WWW.lab.test",
        RecordType::A,
        Rcode::NOERROR,
        true,
        &[
            "www.lab.test A 198.51.100.80",
            "www.lab.test A 198.51.100.81",
        ],
    );
    assert!(sections[1].is_empty());
}

#[test]
fn hosts_named_in_the_answer_bring_their_addresses() {
    let sections = check(
        "lab.test",
        RecordType::MX,
        Rcode::NOERROR,
        true,
        &["lab.test MX 10 mail.lab.test."],
    );
    assert_eq!(sections[2], ["mail.lab.test AAAA 2e00:5::25"]);
}

#[test]
fn negative_answers_carry_the_soa() {
    let sections = check("www.lab.test", RecordType::MX, Rcode::NOERROR, true, &[]);
    assert_eq!(sections[1], [SOA]);
    let sections = check(
        "nowhere.lab.test",
        RecordType::A,
        Rcode::NXDOMAIN,
        true,
        &[],
    );
    assert_eq!(sections[1], [SOA]);
    let sections = check("deep.lab.test", RecordType::A, Rcode::NOERROR, true, &[]);
    assert_eq!(sections[1], [SOA], "a name with names below exists");
}

#[test]
fn soa_lives_as_long_as_the_negative_answer_may() {
    let ttls: Vec<u32> = zones()
        .iter()
        .map(|zone| zone.negative_soa().unwrap().ttl.as_secs())
        .collect();
    assert_eq!(ttls, [300, 60]);
}

#[test]
fn aliases_are_followed_as_far_as_our_zones_reach() {
    let www = "www.lab.test AAAA 2e00:5::80";
    check(
        "web.lab.test",
        RecordType::AAAA,
        Rcode::NOERROR,
        true,
        &["web.lab.test CNAME www.lab.test.", www],
    );
    check(
        "web.lab.test",
        RecordType::CNAME,
        Rcode::NOERROR,
        true,
        &["web.lab.test CNAME www.lab.test."],
    );
    check(
        "away.lab.test",
        RecordType::AAAA,
        Rcode::NOERROR,
        true,
        &["away.lab.test CNAME www.example."],
    );
    check(
        "www.child.lab.test",
        RecordType::AAAA,
        Rcode::NOERROR,
        true,
        &["www.child.lab.test CNAME www.lab.test.", www],
    );
    check(
        "gone.lab.test",
        RecordType::AAAA,
        Rcode::NXDOMAIN,
        true,
        &["gone.lab.test CNAME nowhere.lab.test."],
    );
    let sections = check(
        "into.lab.test",
        RecordType::A,
        Rcode::NOERROR,
        true,
        &["into.lab.test CNAME x.sub.lab.test."],
    );
    assert_eq!(sections[1].len(), 2, "the delegation");
}

#[test]
fn loop_of_aliases_ends() {
    let (rcode, _, [answer, ..]) = ask("loop.lab.test", RecordType::A);
    assert_eq!((rcode, answer.len()), (Rcode::NOERROR, MOST_ALIASES));
}

#[test]
fn names_below_a_cut_are_referred_with_glue() {
    for name in ["sub.lab.test", "x.y.sub.lab.test", "ns.sub.lab.test"] {
        let sections = check(name, RecordType::AAAA, Rcode::NOERROR, false, &[]);
        assert_eq!(
            sections[1],
            [
                "sub.lab.test NS ns.sub.lab.test.",
                "sub.lab.test NS ns.elsewhere.example."
            ]
        );
        assert_eq!(sections[2], ["ns.sub.lab.test AAAA 2e00:5::99"]);
    }
    check(
        "sub.lab.test",
        RecordType::DS,
        Rcode::NOERROR,
        true,
        &["sub.lab.test DS 1 13 2 00"],
    );
}

#[test]
fn wildcards_stand_for_names_that_do_not_exist() {
    check(
        "x.wild.lab.test",
        RecordType::TXT,
        Rcode::NOERROR,
        true,
        &["x.wild.lab.test TXT \"any\""],
    );
    check(
        "x.y.wild.lab.test",
        RecordType::TXT,
        Rcode::NOERROR,
        true,
        &["x.y.wild.lab.test TXT \"any\""],
    );
    check("x.wild.lab.test", RecordType::A, Rcode::NOERROR, true, &[]);
    check(
        "host.wild.lab.test",
        RecordType::TXT,
        Rcode::NOERROR,
        true,
        &[],
    );
    check(
        "x.host.wild.lab.test",
        RecordType::TXT,
        Rcode::NXDOMAIN,
        true,
        &[],
    );
    check("wild.lab.test", RecordType::TXT, Rcode::NOERROR, true, &[]);
    check(
        "x.alias.lab.test",
        RecordType::AAAA,
        Rcode::NOERROR,
        true,
        &[
            "x.alias.lab.test CNAME www.lab.test.",
            "www.lab.test AAAA 2e00:5::80",
        ],
    );
}

#[test]
fn other_names_and_transfers_are_refused() {
    check("www.example", RecordType::A, Rcode::REFUSED, false, &[]);
    check("xlab.test", RecordType::A, Rcode::REFUSED, false, &[]);
    check(".", RecordType::NS, Rcode::REFUSED, false, &[]);
    check("lab.test", RecordType::AXFR, Rcode::REFUSED, false, &[]);
}

#[test]
fn any_is_one_set() {
    check(
        "www.lab.test",
        RecordType::ANY,
        Rcode::NOERROR,
        true,
        &[
            "www.lab.test A 198.51.100.80",
            "www.lab.test A 198.51.100.81",
        ],
    );
}

#[test]
fn zone_with_something_else_in_it_is_refused() {
    let zone = Zone {
        apex: "lab.test.".to_owned(),
        servers: vec![],
        records: vec![ZoneRecord {
            owner: "www.lab.test.".to_owned(),
            ttl: 300,
            rtype: "AAAA".to_owned(),
            rdata: "192.0.2.1".to_owned(),
        }],
    };
    let error = ZoneData::read(&zone).unwrap_err();
    assert!(
        error.message.contains("is not an IPv6 address"),
        "{error:?}"
    );
}
