use super::*;

fn lab_world() -> World {
    let addresses = ["127.0.0.1", "127.0.0.9", "::1"];
    let mut world = world(addresses.map(|address| address.parse().unwrap()).to_vec());
    let mut lines = vec![
        "lab.test. 300 SOA ns1.lab.test. hostmaster.lab.test. 7 3600 600 86400 300".to_owned(),
        "lab.test. 300 NS ns1.lab.test.".to_owned(),
        "ns1.lab.test. 300 A 198.51.100.53".to_owned(),
        "www.lab.test. 300 A 198.51.100.80".to_owned(),
        "www.lab.test. 300 AAAA 2e00:5::80".to_owned(),
        "www.lab.test. 300 HTTPS 1 . alpn=h3,h2 ipv6hint=2e00:5::80".to_owned(),
        "web.lab.test. 300 CNAME www.lab.test.".to_owned(),
        "sub.lab.test. 300 NS ns.sub.lab.test.".to_owned(),
        "ns.sub.lab.test. 300 AAAA 2e00:5::99".to_owned(),
    ];
    lines.extend((0..60).map(|host| format!("big.lab.test. 300 AAAA 2e00:5::{host:x}")));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    world.zones = vec![
        zone("lab.test.", &[HOST], &lines),
        zone(
            "other.test.",
            &[HostId(7)],
            &["other.test. 300 SOA a. b. 1 1 1 1 1"],
        ),
    ];
    world
}

async fn start() -> (Lab, Running) {
    let lab = Lab::of(lab_world());
    let running = lab.start(&service(ServiceKind::DnsAuthoritative)).await;
    (lab, running)
}

/// The server at one of its addresses; all have the same port.
fn at(running: &Running, address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), running.udp[0].port())
}

#[tokio::test]
async fn every_address_answers_from_itself_over_both_transports() {
    let (_lab, running) = start().await;
    for address in ["127.0.0.1", "127.0.0.9", "::1"] {
        for transport in [TransportChoice::Udp, TransportChoice::Tcp] {
            let options = AskOptions {
                transport,
                ..options()
            };
            // The client's socket takes answers from nowhere else.
            let exchange = Client::new(at(&running, address))
                .ask(&question("www.lab.test", RecordType::AAAA), &options)
                .await;
            let response = exchange.outcome.unwrap();
            assert!(response.authoritative && !response.recursion_available);
            assert_eq!(data(&response), ["2e00:5::80"]);
        }
    }
}

#[tokio::test]
async fn answers_are_cut_to_what_the_client_takes() {
    let (_lab, running) = start().await;
    let server = at(&running, "::1");
    let sized = |udp_size| {
        Some(Edns {
            udp_size,
            dnssec_ok: false,
        })
    };
    assert!(
        udp_with(server, "big.lab.test", RecordType::AAAA, None)
            .await
            .truncated
    );
    assert!(
        udp_with(server, "big.lab.test", RecordType::AAAA, sized(1232))
            .await
            .truncated
    );
    let whole = udp_with(server, "big.lab.test", RecordType::AAAA, sized(4096)).await;
    assert_eq!((whole.truncated, whole.answer.len()), (false, 60));
    assert!(whole.edns.is_some());

    let exchange = ask(server, "big.lab.test", RecordType::AAAA).await;
    assert_eq!(exchange.transport, Transport::Tcp);
    assert_eq!(exchange.outcome.unwrap().answer.len(), 60);
}

#[tokio::test]
async fn zones_of_other_hosts_are_refused() {
    let (_lab, running) = start().await;
    let exchange = ask(at(&running, "127.0.0.1"), "other.test", RecordType::SOA).await;
    assert_eq!(exchange.outcome.unwrap().rcode, Rcode::REFUSED);
}

#[tokio::test]
async fn garbage_changes_nothing() {
    let (_lab, running) = start().await;
    survives_garbage(at(&running, "127.0.0.1"), "www.lab.test").await;
}

#[tokio::test]
async fn many_queries_share_a_connection_and_slow_ones_wait_alone() {
    let (lab, running) = start().await;
    let slow = DnsRule {
        types: vec!["AAAA".to_owned()],
        delay: Duration::from_millis(300),
        ..rule(DnsReply::Answer)
    };
    lab.context.names.replace_rules(&[slow]);
    let mut stream = TcpStream::connect(at(&running, "127.0.0.1")).await.unwrap();
    let mut octets = Vec::new();
    for (id, rtype) in [
        (1, RecordType::AAAA),
        (2, RecordType::A),
        (3, RecordType::A),
    ] {
        let message = Query::new(id, question("www.lab.test", rtype)).to_bytes();
        octets.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
        octets.extend(message);
    }
    stream.write_all(&octets).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let length = stream.read_u16().await.unwrap();
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await.unwrap();
        ids.push(Response::parse(&message).unwrap().id);
    }
    assert_eq!(ids[2], 1, "the slow one comes last: {ids:?}");
}

#[tokio::test]
async fn every_reply_of_the_rules() {
    let (lab, running) = start().await;
    let server = at(&running, "::1");
    let asked = question("www.lab.test", RecordType::AAAA);
    let exchange = async |reply: DnsReply, options: AskOptions| {
        lab.context.names.replace_rules(&[rule(reply)]);
        Client::new(server).ask(&asked, &options).await
    };
    let tcp = |options: AskOptions| AskOptions {
        transport: TransportChoice::Tcp,
        ..options
    };
    for (reply, rcode) in [
        (DnsReply::Servfail, Rcode::SERVFAIL),
        (DnsReply::Refused, Rcode::REFUSED),
        (DnsReply::Formerr, Rcode::FORMERR),
        (DnsReply::Nxdomain, Rcode::NXDOMAIN),
        (DnsReply::Nodata, Rcode::NOERROR),
    ] {
        for options in [options(), tcp(options())] {
            let response = exchange(reply, options).await.outcome.unwrap();
            assert_eq!(response.rcode, rcode);
            assert!(response.answer.is_empty());
            let negative = [DnsReply::Nxdomain, DnsReply::Nodata].contains(&reply);
            assert_eq!(response.authoritative, negative);
            assert_eq!(response.negative_ttl().is_some(), negative);
            assert_eq!(response.is_nodata(&asked), reply == DnsReply::Nodata);
        }
    }
    for options in [hasty(), tcp(hasty())] {
        let outcome = exchange(DnsReply::Drop, options.clone()).await.outcome;
        assert!(matches!(outcome, Err(AskError::Timeout)), "{outcome:?}");
        let outcome = exchange(DnsReply::Garbage, options).await.outcome;
        assert!(
            matches!(outcome, Err(AskError::Malformed(_))),
            "{outcome:?}"
        );
    }
    let truncated = exchange(DnsReply::Truncate, options()).await;
    assert_eq!(truncated.transport, Transport::Tcp);
    assert_eq!(data(&truncated.outcome.unwrap()), ["2e00:5::80"]);
    let answered = exchange(DnsReply::Answer, options()).await;
    assert_eq!(data(&answered.outcome.unwrap()), ["2e00:5::80"]);
}

#[tokio::test]
async fn rules_mean_their_family_transport_type_and_place() {
    let (lab, running) = start().await;
    let conditions: [fn(&mut DnsRule); 5] = [
        |rule| rule.family = Some(Family::V6),
        |rule| rule.transport = Some(DnsTransport::Tcp),
        |rule| rule.types = vec!["A".to_owned()],
        |rule| rule.at = vec![HostId(1)],
        |rule| rule.name = Some("*.www.lab.test.".to_owned()),
    ];
    for condition in conditions {
        let mut rule = rule(DnsReply::Refused);
        condition(&mut rule);
        lab.context.names.replace_rules(&[rule.clone()]);
        let response = ask(at(&running, "127.0.0.1"), "www.lab.test", RecordType::AAAA).await;
        assert_eq!(response.outcome.unwrap().rcode, Rcode::NOERROR, "{rule:?}");
    }
    lab.context.names.replace_rules(&[DnsRule {
        family: Some(Family::V6),
        ..rule(DnsReply::Refused)
    }]);
    let response = ask(at(&running, "::1"), "www.lab.test", RecordType::AAAA).await;
    assert_eq!(response.outcome.unwrap().rcode, Rcode::REFUSED);
}

#[tokio::test]
async fn delay_holds_back_only_what_it_means() {
    let (lab, running) = start().await;
    let delay = Duration::from_millis(200);
    lab.context.names.replace_rules(&[DnsRule {
        types: vec!["AAAA".to_owned()],
        delay,
        ..rule(DnsReply::Answer)
    }]);
    let server = at(&running, "127.0.0.1");
    let slow = ask(server, "www.lab.test", RecordType::AAAA).await;
    let quick = ask(server, "www.lab.test", RecordType::A).await;
    assert!(
        slow.elapsed >= delay && quick.elapsed < delay,
        "{slow:?} {quick:?}"
    );
}

#[tokio::test]
async fn zones_change_under_way() {
    let (lab, running) = start().await;
    let server = at(&running, "127.0.0.1");
    let lines = [
        "lab.test. 300 SOA a. b. 8 1 1 1 1",
        "www.lab.test. 300 AAAA 2e00:5::81",
    ];
    let zones = [zone("lab.test.", &[HOST], &lines)];
    lab.context.names.replace_zones(&zones);
    let response = ask(server, "www.lab.test", RecordType::AAAA)
        .await
        .outcome
        .unwrap();
    assert_eq!(data(&response), ["2e00:5::81"]);
}

#[tokio::test]
async fn zone_that_is_none_stops_the_service() {
    let mut world = lab_world();
    world.zones = vec![zone(
        "lab.test.",
        &[HOST],
        &["www.lab.test. 300 AAAA 192.0.2.1"],
    )];
    let error = Lab::of(world)
        .refuses(&service(ServiceKind::DnsAuthoritative))
        .await;
    assert!(error.to_string().contains("192.0.2.1"), "{error}");
    assert!(error.hint().is_some());
}

/// What `dig` makes of our octets, so that not only our own reader has seen them.
#[tokio::test]
async fn dig_agrees() {
    let (_lab, running) = start().await;
    let port = running.udp[0].port().to_string();
    let dig = async |arguments: &[&str]| {
        let output = tokio::process::Command::new("dig")
            .args(["-p", &port, "+time=5", "+tries=1"])
            .args(arguments)
            .output()
            .await
            .expect("the test command installs `dig` (bind9-dnsutils)");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = dig(&["@::1", "www.lab.test", "HTTPS"]).await;
    assert!(
        text.contains("status: NOERROR") && text.contains("flags: qr aa rd;"),
        "{text}"
    );
    assert!(
        text.contains("1 . alpn=\"h3,h2\" ipv6hint=2e00:5::80"),
        "{text}"
    );
    assert!(!text.contains("Warning: Message parser"), "{text}");

    let text = dig(&["@127.0.0.9", "+noall", "+answer", "web.lab.test", "AAAA"]).await;
    let lines: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        lines,
        [
            ["web.lab.test.", "300", "IN", "CNAME", "www.lab.test."],
            ["www.lab.test.", "300", "IN", "AAAA", "2e00:5::80"],
        ]
    );

    let text = dig(&["@::1", "x.sub.lab.test", "AAAA"]).await;
    assert!(
        text.contains("AUTHORITY: 1, ADDITIONAL: 2") && !text.contains(" aa "),
        "{text}"
    );
    assert!(text.contains("2e00:5::99"), "{text}");

    let text = dig(&["@::1", "+bufsize=512", "+ignore", "big.lab.test", "AAAA"]).await;
    assert!(text.contains("flags: qr aa tc rd;"), "{text}");
    let text = dig(&["@::1", "+tcp", "+short", "big.lab.test", "AAAA"]).await;
    assert_eq!(text.lines().count(), 60);
    let text = dig(&[
        "@::1",
        "+ednsopt=nsid",
        "+subnet=192.0.2.0/24",
        "+edns=1",
        "+noednsneg",
        "lab.test",
        "SOA",
    ])
    .await;
    assert!(text.contains("status: BADVERS"), "{text}");
    let text = dig(&["@::1", "+cookie", "+nsid", "lab.test", "SOA"]).await;
    assert!(text.contains("status: NOERROR"), "{text}");
    let text = dig(&["@::1", "lab.test", "CH", "TXT"]).await;
    assert!(text.contains("status: REFUSED"), "{text}");
}
