//! What must hold for any bytes and any text, for the fuzz targets and the property tests: each function panics if it
//! does not.

use crate::join;
use crate::message::{Query, Response};
use crate::name::Name;
use crate::record::{Record, Ttl, parse_record_line};
use crate::resolv_conf::ResolvConf;
use crate::reverse;

/// Reads any octets as a response and as a query; what can be read can be written, and then reads the same.
pub fn message(octets: &[u8]) {
    if let Ok(response) = Response::parse(octets) {
        let written = response.to_bytes();
        let again = Response::parse(&written).expect("what we write, we can read");
        // Uncompressed data may outgrow a message; then only the truncated form is left.
        if again.truncated == response.truncated {
            assert_eq!(again, response);
        }
        assert!(response.to_bytes_within(512).len() <= 512.max(written.len()));
        let mut shown = String::new();
        for record in [&response.answer, &response.authority, &response.additional]
            .into_iter()
            .flatten()
        {
            shown.push_str(&record.to_string());
        }
        if let Some(question) = &response.question {
            let found = response.answers_to(question).1.len();
            assert!(found <= response.answer.len());
            let _nodata = response.is_nodata(question);
        }
    }
    match Query::parse(octets) {
        Ok(query) => {
            let again = Query::parse(&query.to_bytes()).expect("what we write, we can read");
            assert_eq!(again, query);
        }
        Err(bad) => {
            if let Some(reply) = bad.reply {
                let octets = reply.to_bytes();
                Response::parse(&octets).expect("what we write, we can read");
            }
        }
    }
}

/// Reads any text as a line of a zone file; what can be read can be shown, and then reads the same.
pub fn record_line(line: &str) {
    let origin = Name::parse("lab.test").expect("a valid name");
    match parse_record_line(line, &origin, Ttl::from_secs(300)) {
        Ok(record) => {
            let shown = record.to_string();
            let again = parse_record_line(&shown, &Name::root(), Ttl::ZERO)
                .unwrap_or_else(|error| unreachable_record(&record, &shown, &error.to_string()));
            assert_eq!(again, record, "{shown}");
        }
        Err(error) => {
            let columns = line.chars().count().saturating_add(1);
            assert!((1..=columns).contains(&error.column), "{error}");
        }
    }
}

#[expect(clippy::panic, reason = "panicking is how this module reports")]
fn unreachable_record(record: &Record, shown: &str, error: &str) -> ! {
    panic!("{record:?} shows as `{shown}`, which does not read: {error}")
}

/// Reads any text as `resolv.conf`.
pub fn resolv_conf(text: &str) {
    let conf = ResolvConf::parse(text);
    assert!(!conf.nameservers.is_empty());
    for server in &conf.nameservers {
        let _address = server.socket_address(|_| None);
    }
}

/// Reads any text as a name and as a reverse name.
pub fn name(text: &str) {
    if let Ok(name) = Name::parse(text) {
        let again = Name::parse(&name.to_string()).expect("what we show, we can read");
        assert_eq!(again.as_wire(), name.as_wire());
        if let Ok(address) = reverse::address_of(&name) {
            assert_eq!(reverse::name_of(address), name);
        }
        let _malformed = join::malformed_target(&name);
    }
}
