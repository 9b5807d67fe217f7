//! What a resolver does besides resolving: DNS64 and DNS over HTTPS.

use super::*;

#[tokio::test]
async fn translation_makes_addresses_only_where_there_are_none() {
    let chain = Chain::with(|settings| settings.dns64 = Some("64:ff9b::".parse().unwrap()));
    let aaaa = RecordType::AAAA;
    chain
        .check("www.lab.test", aaaa, Rcode::NOERROR, &["2e00:5::80"])
        .await;
    let made = chain
        .check(
            "v4only.lab.test",
            aaaa,
            Rcode::NOERROR,
            &["64:ff9b::c000:204"],
        )
        .await;
    assert!(
        made.answer_ttl().unwrap().as_secs() <= 60,
        "no longer than the NODATA"
    );
    chain
        .check(
            "mapped.lab.test",
            aaaa,
            Rcode::NOERROR,
            &["64:ff9b::c000:205"],
        )
        .await;
    chain
        .check(
            "far.lab.test",
            aaaa,
            Rcode::NOERROR,
            &["www.glueless.test.", "64:ff9b::c000:263"],
        )
        .await;
    chain
        .check("nowhere.lab.test", aaaa, Rcode::NXDOMAIN, &[])
        .await;
    chain.check("lab.test", aaaa, Rcode::NOERROR, &[]).await;
    chain
        .check(
            "v4only.lab.test",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.2.4"],
        )
        .await;
    let well_known = ["64:ff9b::c000:aa", "64:ff9b::c000:ab"];
    chain
        .check("ipv4only.arpa", aaaa, Rcode::NOERROR, &well_known)
        .await;
    chain
        .check(
            "ipv4only.arpa",
            RecordType::A,
            Rcode::NOERROR,
            &["192.0.0.170", "192.0.0.171"],
        )
        .await;
    chain
        .check("ipv4only.arpa", RecordType::MX, Rcode::NOERROR, &[])
        .await;
    let made: IpAddr = "64:ff9b::192.0.2.80".parse().unwrap();
    let name = twinstack_dns::reverse::name_of(made).to_string();
    let answer = ["80.2.0.192.in-addr.arpa.", "www.lab.test."];
    chain
        .check(&name, RecordType::PTR, Rcode::NOERROR, &answer)
        .await;
}

#[tokio::test]
async fn translation_helps_against_servers_that_fail_on_aaaa() {
    let chain = Chain::with(|settings| settings.dns64 = Some("64:ff9b::".parse().unwrap()));
    chain.rules(&[DnsRule {
        types: vec!["AAAA".to_owned()],
        ..at(&[NS1, NS2], DnsReply::Servfail)
    }]);
    chain
        .check(
            "www.lab.test",
            RecordType::AAAA,
            Rcode::NOERROR,
            &["64:ff9b::c000:250"],
        )
        .await;
}

#[tokio::test]
async fn https_gives_the_same_answers() {
    let chain = Chain::with(|settings| settings.doh = Some("dns.lab.test".to_owned()));
    let address = chain.https.unwrap();
    let roots = Roots::Pem(chain.lab.context.authority.bundle().to_owned());
    let url = format!("https://dns.lab.test:{}/dns-query", address.port());
    let client = Client::https(&url, &[address.ip()], &roots).unwrap();
    for rtype in [RecordType::A, RecordType::AAAA] {
        let exchange = client
            .ask(&question("www.lab.test", rtype), &options())
            .await;
        assert_eq!(exchange.outcome.unwrap().answer[0].rtype(), rtype);
    }
    chain.rules(&[at(&[RESOLVER], DnsReply::Drop)]);
    let exchange = client
        .ask(&question("www.lab.test", RecordType::A), &hasty())
        .await;
    assert!(
        matches!(exchange.outcome, Err(AskError::Timeout)),
        "{exchange:?}"
    );
}

#[tokio::test]
async fn https_gives_a_status_to_what_is_no_query() {
    let chain = Chain::with(|settings| settings.doh = Some("dns.lab.test".to_owned()));
    let address = chain.https.unwrap();
    let status = async |method: &str, path: &str, http2: bool| {
        let alpn = if http2 { "h2" } else { "http/1.1" };
        let stream = chain
            .lab
            .tls(address, "dns.lab.test", &[alpn])
            .await
            .unwrap();
        let url = if http2 {
            format!("https://dns.lab.test{path}")
        } else {
            path.to_owned()
        };
        let reply = crate::service::tests::ask(stream, method, &url, http2).await;
        reply.map(|reply| reply.status)
    };
    for http2 in [true, false] {
        assert_eq!(status("GET", "/", http2).await.unwrap(), 404);
        assert_eq!(status("GET", "/dns-query", http2).await.unwrap(), 400);
        assert_eq!(
            status("GET", "/dns-query?dns=%%%", http2).await.unwrap(),
            400
        );
        assert_eq!(status("POST", "/dns-query", http2).await.unwrap(), 415);
        assert_eq!(status("PUT", "/dns-query", http2).await.unwrap(), 405);
    }
}

#[tokio::test]
async fn dig_agrees_over_https_get() {
    let chain = Chain::with(|settings| settings.doh = Some("dns.lab.test".to_owned()));
    let bundle = chain.lab.directory.path().join("ca.pem");
    std::fs::write(&bundle, chain.lab.context.authority.bundle()).unwrap();
    let address = chain.https.unwrap();
    let output = tokio::process::Command::new("dig")
        .args([
            "-p",
            &address.port().to_string(),
            "+https-get",
            "+short",
            "+time=5",
            "+tries=1",
        ])
        .arg(format!("+tls-ca={}", bundle.display()))
        .arg("+tls-hostname=dns.lab.test")
        .arg(format!("@{}", address.ip()))
        .args(["www.lab.test", "AAAA"])
        .output()
        .await
        .expect("the test command installs `dig` (bind9-dnsutils)");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().trim(),
        "2e00:5::80"
    );
}
