use super::*;
use crate::fuzz;
use crate::name::tests::any_name;
use crate::record::{Data, Record, ServiceBinding, ServiceParam, ServiceParams, Soa, Ttl};
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn question(text: &str, rtype: RecordType) -> Question {
    Question::new(name(text), rtype)
}

fn record(owner: &str, data: Data) -> Record {
    Record {
        owner: name(owner),
        ttl: Ttl::from_secs(300),
        data,
    }
}

fn aaaa(owner: &str, address: &str) -> Record {
    record(owner, Data::Aaaa(address.parse().unwrap()))
}

fn answer(records: Vec<Record>) -> Response {
    let query = Query::new(7, question("www.lab.test", RecordType::AAAA));
    Response {
        authoritative: true,
        answer: records,
        ..Response::to_query(&query, Rcode::NOERROR)
    }
}

fn soa(ttl: u32, minimum: u32) -> Record {
    Record {
        owner: name("lab.test"),
        ttl: Ttl::from_secs(ttl),
        data: Data::Soa(Soa {
            mname: name("ns1.lab.test"),
            rname: name("hostmaster.lab.test"),
            serial: 1,
            refresh: Ttl::from_secs(3600),
            retry: Ttl::from_secs(600),
            expire: Ttl::from_secs(86_400),
            minimum: Ttl::from_secs(minimum),
        }),
    }
}

#[test]
fn query_is_what_other_programs_send() {
    let mut query = Query::new(0x1234, question("www.lab.test", RecordType::AAAA));
    query.edns = None;
    assert_eq!(
        query.to_bytes(),
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x03lab\x04test\x00\x00\x1c\x00\x01"
    );
    query.edns = Some(Edns {
        udp_size: 1232,
        dnssec_ok: true,
    });
    let octets = query.to_bytes();
    assert!(octets.ends_with(b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"));
    assert_eq!(Query::parse(&octets), Ok(query));
}

#[test]
fn response_repeats_id_question_and_edns() {
    let query = Query::new(99, question("WWW.lab.test", RecordType::A));
    let response = Response::parse(&Response::to_query(&query, Rcode::REFUSED).to_bytes()).unwrap();
    assert_eq!(response.id, 99);
    assert_eq!(response.question, Some(query.question));
    assert_eq!(
        response.question.unwrap().name.to_string(),
        "WWW.lab.test",
        "case is repeated"
    );
    assert!(response.recursion_desired && response.edns.is_some());
    assert_eq!(response.rcode, Rcode::REFUSED);
}

#[test]
fn extended_codes_take_an_opt_record() {
    let mut response = answer(vec![]);
    response.rcode = Rcode::BADVERS;
    response.edns = None;
    let again = Response::parse(&response.to_bytes()).unwrap();
    assert_eq!(again.rcode, Rcode::BADVERS);
    assert!(again.edns.is_some());
}

#[test]
fn what_does_not_fit_is_truncated_whole() {
    let big = answer(
        (0..40_u16)
            .map(|host| aaaa("www.lab.test", &format!("2e00:5::{host:x}")))
            .collect(),
    );
    assert!(big.to_bytes().len() > 512);
    let small = big.to_bytes_within(512);
    assert!(small.len() <= 512);
    let small = Response::parse(&small).unwrap();
    assert!(small.truncated && small.answer.is_empty());
    assert_eq!(small.question, big.question);
    assert!(
        !Response::parse(&big.to_bytes_within(1232))
            .unwrap()
            .truncated
    );
}

#[test]
fn only_additional_records_go_in_silence() {
    let mut response = answer(vec![aaaa("www.lab.test", "2e00:5::80")]);
    response.additional = (0..40_u16)
        .map(|host| aaaa("ns.lab.test", &format!("2e00:5::{host:x}")))
        .collect();
    let cut = Response::parse(&response.to_bytes_within(512)).unwrap();
    assert_eq!(
        (cut.truncated, cut.answer.len(), cut.additional.len()),
        (false, 1, 0)
    );

    let mut referral = answer(vec![]);
    referral.authoritative = false;
    referral.authority = vec![record("lab.test", Data::Ns(name("ns.lab.test")))];
    referral.additional = response.additional;
    let cut = Response::parse(&referral.to_bytes_within(512)).unwrap();
    assert!(cut.truncated, "glue must not vanish in silence");
}

#[test]
fn chain_of_aliases_is_followed() {
    let asked = question("www.lab.test", RecordType::AAAA);
    let response = answer(vec![
        record("www.lab.test", Data::Cname(name("a.lab.test"))),
        record("a.lab.test", Data::Cname(name("b.lab.test"))),
        aaaa("b.lab.test", "2e00:5::80"),
        aaaa("other.lab.test", "2e00:5::81"),
    ]);
    let (end, found) = response.answers_to(&asked);
    assert_eq!((end, found.len()), (name("b.lab.test"), 1));
    let (end, found) = response.answers_to(&question("www.lab.test", RecordType::CNAME));
    assert_eq!((end, found.len()), (name("www.lab.test"), 1));
}

#[test]
fn loop_of_aliases_ends() {
    let response = answer(vec![
        record("www.lab.test", Data::Cname(name("a.lab.test"))),
        record("a.lab.test", Data::Cname(name("www.lab.test"))),
    ]);
    let asked = question("www.lab.test", RecordType::AAAA);
    assert_eq!(response.answers_to(&asked).1.len(), 0);
}

#[test]
fn nodata_is_no_referral_no_error_and_no_alias_out_of_sight() {
    let asked = question("www.lab.test", RecordType::AAAA);
    let check = |change: &dyn Fn(&mut Response), expected: bool| {
        let mut response = answer(vec![]);
        change(&mut response);
        assert_eq!(response.is_nodata(&asked), expected, "{response:?}");
    };
    check(&|_| {}, true);
    check(&|r| r.authority = vec![soa(300, 300)], true);
    check(&|r| r.rcode = Rcode::NXDOMAIN, false);
    check(&|r| r.truncated = true, false);
    check(
        &|r| r.answer = vec![aaaa("www.lab.test", "2e00:5::80")],
        false,
    );
    check(
        &|r| r.answer = vec![record("www.lab.test", Data::Cname(name("x.test")))],
        false,
    );
    check(
        &|r| {
            r.answer = vec![record("www.lab.test", Data::Cname(name("x.lab.test")))];
            r.authority = vec![soa(300, 300)];
        },
        true,
    );
    check(
        &|r| {
            r.authoritative = false;
            r.authority = vec![record("lab.test", Data::Ns(name("ns.lab.test")))];
        },
        false,
    );
}

#[test]
fn negative_ttl_is_the_lesser_of_both() {
    let check = |ttl, minimum, expected| {
        let mut response = answer(vec![]);
        response.authority = vec![soa(ttl, minimum)];
        assert_eq!(response.negative_ttl(), Some(Ttl::from_secs(expected)));
    };
    check(300, 60, 60);
    check(60, 300, 60);
    assert_eq!(answer(vec![]).negative_ttl(), None);
}

#[test]
fn hostile_octets_give_typed_errors() {
    let check = |octets: &[u8], expected: MessageError| {
        assert_eq!(Response::parse(octets), Err(expected));
    };
    check(b"", MessageError::Short { length: 0 });
    check(b"garbage", MessageError::Short { length: 7 });
    let header = |counts: &[u8]| [b"\x00\x07\x80\x00".as_slice(), counts].concat();
    check(
        b"\0\x07\x01\0\0\x01\0\0\0\0\0\0",
        MessageError::NotAResponse,
    );
    check(
        &header(b"\0\x01\0\0\0\0\0\0"),
        MessageError::Malformed {
            section: "question",
        },
    );
    check(
        &header(b"\0\x02\0\0\0\0\0\0"),
        MessageError::Questions { count: 2 },
    );
    check(
        &header(b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        MessageError::Questions { count: 65_535 },
    );
    // A name that points at itself.
    check(
        &header(b"\0\0\0\x01\0\0\0\0\xc0\x0c\0\x01\0\x01\0\0\0\0\0\0"),
        MessageError::Malformed { section: "answer" },
    );
    // An A record of three octets.
    check(
        &header(b"\0\0\0\x01\0\0\0\0\0\0\x01\0\x01\0\0\0\0\0\x03abc"),
        MessageError::Malformed { section: "answer" },
    );
    check(
        &header(b"\0\0\0\x01\0\0\0\0\0\0\x01\0\x03\0\0\0\0\0\x04abcd"),
        MessageError::Class { class: 3 },
    );
    let opt = b"\0\0\x29\x04\xd0\0\0\0\0\0\0";
    check(
        &[header(b"\0\0\0\0\0\0\0\x02").as_slice(), opt, opt].concat(),
        MessageError::TwoOpt,
    );
    check(
        &[header(b"\0\0\0\x01\0\0\0\0").as_slice(), opt].concat(),
        MessageError::Malformed { section: "answer" },
    );
}

#[test]
fn server_says_what_is_wrong_with_a_query() {
    let check = |octets: &[u8], rcode: Option<Rcode>| {
        let bad = Query::parse(octets).unwrap_err();
        assert_eq!(bad.reply.as_ref().map(|reply| reply.rcode), rcode, "{bad}");
        if let Some(reply) = bad.reply {
            let reply = Response::parse(&reply.to_bytes()).unwrap();
            assert_eq!((reply.id, Some(reply.rcode)), (7, rcode));
        }
    };
    check(b"\0\x07", None);
    check(b"\0\x07\x80\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01", None);
    check(b"\0\x07\0\0\0\0\0\0\0\0\0\0", Some(Rcode::FORMERR));
    check(b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x05abc", Some(Rcode::FORMERR));
    check(
        b"\0\x07\x28\0\0\x01\0\0\0\0\0\0\0\0\x06\0\x01",
        Some(Rcode::NOTIMP),
    );
    check(
        b"\0\x07\0\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x03",
        Some(Rcode::REFUSED),
    );
    let version_1 = b"\0\x07\0\0\0\x01\0\0\0\0\0\x01\0\0\x01\0\x01\0\0\x29\x04\xd0\0\x01\0\0\0\0";
    check(version_1, Some(Rcode::BADVERS));
}

#[test]
fn udp_limit_is_at_least_512() {
    let check = |edns: Option<u16>, expected| {
        let mut query = Query::new(1, question("a", RecordType::A));
        query.edns = edns.map(|udp_size| Edns {
            udp_size,
            dnssec_ok: false,
        });
        assert_eq!(query.udp_limit(), expected);
    };
    check(None, 512);
    check(Some(0), 512);
    check(Some(1232), 1232);
    check(Some(65_535), 65_535);
}

#[test]
fn codes_have_names() {
    let check = |code: Rcode, text: &str| {
        assert_eq!(code.to_string(), text);
        assert_eq!(text.parse::<Rcode>().unwrap(), code);
    };
    check(Rcode::NXDOMAIN, "NXDOMAIN");
    check(Rcode::from_number(23), "RCODE23");
    assert!("NOSUCH".parse::<Rcode>().is_err());
}

/// Any data that a record can have.
pub(crate) fn any_data() -> impl Strategy<Value = Data> {
    let octets = |most| proptest::collection::vec(any::<u8>(), 0..most);
    let hints_v4 = proptest::collection::vec(any::<u32>().prop_map(Ipv4Addr::from), 1..4);
    let hints_v6 = proptest::collection::vec(any::<u128>().prop_map(Ipv6Addr::from), 1..4);
    let alpn = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..10), 1..4);
    let param = prop_oneof![
        proptest::collection::vec(any::<u16>(), 1..4).prop_map(ServiceParam::Mandatory),
        alpn.prop_map(ServiceParam::Alpn),
        Just(ServiceParam::NoDefaultAlpn),
        any::<u16>().prop_map(ServiceParam::Port),
        hints_v4.prop_map(ServiceParam::Ipv4Hint),
        hints_v6.prop_map(ServiceParam::Ipv6Hint),
        (5_u16..6, octets(40)).prop_map(|(key, value)| ServiceParam::Other { key, value }),
        (7_u16.., octets(40)).prop_map(|(key, value)| ServiceParam::Other { key, value }),
    ];
    let binding = (
        any::<u16>(),
        any_name(),
        proptest::collection::vec(param, 0..4),
    )
        .prop_map(|(priority, target, params)| ServiceBinding {
            priority,
            target,
            params: ServiceParams::new(params),
        })
        .boxed();
    let ttl = || any::<u32>().prop_map(Ttl::from_secs);
    let soa = (
        any_name(),
        any_name(),
        any::<u32>(),
        ttl(),
        ttl(),
        ttl(),
        ttl(),
    )
        .prop_map(|(mname, rname, serial, refresh, retry, expire, minimum)| {
            Data::Soa(Soa {
                mname,
                rname,
                serial,
                refresh,
                retry,
                expire,
                minimum,
            })
        });
    prop_oneof![
        any::<u32>().prop_map(|address| Data::A(address.into())),
        any::<u128>().prop_map(|address| Data::Aaaa(address.into())),
        any_name().prop_map(Data::Cname),
        any_name().prop_map(Data::Ns),
        any_name().prop_map(Data::Ptr),
        (any::<u16>(), any_name()).prop_map(|(preference, exchange)| Data::Mx {
            preference,
            exchange
        }),
        proptest::collection::vec(octets(255), 1..4).prop_map(Data::Txt),
        soa,
        binding.clone().prop_map(Data::Svcb),
        binding.prop_map(Data::Https),
        (65_280_u16..65_534, octets(40)).prop_map(|(rtype, octets)| Data::Other {
            rtype: RecordType::from_number(rtype),
            octets
        }),
    ]
}

pub(crate) fn any_record() -> impl Strategy<Value = Record> {
    (any_name(), 0..=Ttl::MAX.as_secs(), any_data()).prop_map(|(owner, ttl, data)| Record {
        owner,
        ttl: Ttl::from_secs(ttl),
        data,
    })
}

fn any_response() -> impl Strategy<Value = Response> {
    let records = || proptest::collection::vec(any_record(), 0..5);
    let edns = proptest::option::of((any::<u16>(), any::<bool>()).prop_map(
        |(udp_size, dnssec_ok)| Edns {
            udp_size,
            dnssec_ok,
        },
    ));
    let question = (any_name(), any::<u16>())
        .prop_map(|(name, rtype)| Question::new(name, RecordType::from_number(rtype)));
    let flags = any::<[bool; 6]>();
    (
        any::<u16>(),
        0_u16..16,
        flags,
        question,
        records(),
        records(),
        records(),
        edns,
    )
        .prop_map(
            |(
                id,
                rcode,
                [aa, tc, rd, ra, ad, cd],
                question,
                answer,
                authority,
                additional,
                edns,
            )| Response {
                id,
                rcode: Rcode::from_number(rcode),
                authoritative: aa,
                truncated: tc,
                recursion_desired: rd,
                recursion_available: ra,
                authentic_data: ad,
                checking_disabled: cd,
                question: Some(question),
                answer,
                authority,
                additional,
                edns,
            },
        )
}

proptest! {
    #[test]
    fn written_response_reads_the_same(response in any_response()) {
        let octets = response.to_bytes();
        prop_assert_eq!(Response::parse(&octets), Ok(response));
    }

    #[test]
    fn limit_holds(response in any_response(), limit in 512_usize..4000) {
        // A question and OPT can take 255 + 4 + 12 + 11 octets, so 512 always suffices.
        prop_assert!(response.to_bytes_within(limit).len() <= limit);
    }

    #[test]
    fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        fuzz::message(&octets);
    }

    #[test]
    fn damaged_messages_are_read_or_refused(
        response in any_response(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut octets = response.to_bytes();
        for (at, octet) in damage {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        fuzz::message(&octets);
        octets.truncate(cut.index(octets.len()));
        fuzz::message(&octets);
    }
}

#[test]
fn a_text_record_without_a_string_reads_as_one_empty_string() {
    // Found by a fuzzer: it was written as that, and then read as something else.
    let mut octets = vec![0, 0, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    octets.extend([0, 0, 16, 0, 1, 0, 0, 0, 0, 0, 0]);
    fuzz::message(&octets);
    let response = Response::parse(&octets).unwrap();
    assert_eq!(response.answer[0].data, Data::Txt(vec![vec![]]));
}
