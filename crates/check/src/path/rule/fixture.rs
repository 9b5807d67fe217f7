//! Observations for the tests of the rules: a healthy target, and ways to break it.

use super::{judge, unjudged};
use crate::options::Profile;
use crate::path::observation::{
    AddressObservation, Answer, ConnectError, ConnectFailure, Leaf, Page, PathObservation,
    PortObservation, Route, Series, Step, Talk, TalkError, TlsSession, Trust, Vantage,
};
use crate::path::port::SMALL_SEGMENT;
use crate::path::{Family, Lookup, Pace, Plan, Speech};
use futures_util::FutureExt as _;
use std::time::{Duration, Instant};
use twinstack_finding::{Finding, Skipped};

/// What was planned and what was seen.
#[derive(Clone)]
pub(in crate::path) struct Scene {
    pub(in crate::path) plan: Plan,
    pub(in crate::path) seen: PathObservation,
}

/// A plan for a web site.
pub(in crate::path) fn plan(addresses: &[&str], ports: &[u16]) -> Plan {
    Plan {
        host: "www.lab.test".to_owned(),
        addresses: addresses
            .iter()
            .map(|address| address.parse().unwrap())
            .collect(),
        ports: ports.to_vec(),
        scheme: None,
        scheme_port: None,
        wanted: std::collections::BTreeSet::new(),
        path: "/".to_owned(),
        profile: Profile::Web,
        timeout: Duration::from_secs(5),
        client: None,
        local: false,
        allow_v4_only: false,
        h3_advertised: false,
        nat64: None,
        lookup: Lookup::new(|_, _| async { Ok(Vec::new()) }.boxed()),
        pace: Pace::AtOnce,
        started: Instant::now(),
    }
}

/// Two addresses of each family, ports 80 and 443.
pub(in crate::path) fn healthy() -> Scene {
    Scene::healthy(
        &["2e00:5::80", "2e00:5::81", "198.51.100.80", "198.51.100.81"],
        &[80, 443],
    )
}

/// The codes that a scene raises, sorted, each once.
pub(in crate::path) fn codes(scene: &Scene) -> Vec<String> {
    let codes: std::collections::BTreeSet<String> = scene
        .findings()
        .into_iter()
        .map(|finding| finding.code.to_string())
        .collect();
    codes.into_iter().collect()
}

impl Scene {
    pub(in crate::path) fn healthy(addresses: &[&str], ports: &[u16]) -> Self {
        let plan = plan(addresses, ports);
        let looked = plan.addresses.iter().map(|address| AddressObservation {
            address: *address,
            wire: *address,
            ports: ports.iter().map(|port| open_port(*port)).collect(),
            echo: Ok(series(24, 0, 14)),
            fragmented: Some(series(1, 0, 15)),
            connects: None,
            quic: Some(step(20, Ok(()))),
        });
        let here = |family| match plan
            .addresses
            .iter()
            .find(|address| Family::of(**address) == family)
        {
            Some(_) => Route::Here {
                source: match family {
                    Family::V4 => "192.0.2.10".parse().unwrap(),
                    Family::V6 => "2e00:c::10".parse().unwrap(),
                },
            },
            None => Route::NotAsked,
        };
        let vantage = Vantage {
            v4: here(Family::V4),
            v6: here(Family::V6),
        };
        let seen = PathObservation {
            vantage,
            addresses: looked.collect(),
            has_roots: true,
            ..PathObservation::default()
        };
        Self { plan, seen }
    }

    pub(in crate::path) fn findings(&self) -> Vec<Finding> {
        judge(&self.plan, &self.seen)
    }

    pub(in crate::path) fn skipped(&self) -> Vec<Skipped> {
        assert!(
            unjudged(&self.plan, &self.seen).len()
                <= crate::path::skipped(&self.plan, &self.seen).len()
        );
        crate::path::skipped(&self.plan, &self.seen)
    }

    pub(in crate::path) fn address(&mut self, address: &str) -> &mut AddressObservation {
        let address: std::net::IpAddr = address.parse().unwrap();
        self.seen
            .addresses
            .iter_mut()
            .find(|seen| seen.address == address)
            .unwrap()
    }

    pub(in crate::path) fn port(&mut self, address: &str, port: u16) -> &mut PortObservation {
        self.address(address)
            .ports
            .iter_mut()
            .find(|seen| seen.port == port)
            .unwrap()
    }

    pub(in crate::path) fn session(&mut self, address: &str, port: u16) -> &mut TlsSession {
        let talk = self.port(address, port).talks.last_mut().unwrap();
        talk.tls.as_mut().unwrap().outcome.as_mut().unwrap()
    }

    pub(in crate::path) fn page(&mut self, address: &str, port: u16) -> &mut Page {
        let talk = self.port(address, port).talks.last_mut().unwrap();
        match talk.answer.as_mut().unwrap().outcome.as_mut().unwrap() {
            Answer::Page(page) => page,
            Answer::Banner(line) => panic!("a banner: {line}"),
        }
    }

    /// Makes connections to a port fail.
    pub(in crate::path) fn connect(
        mut self,
        address: &str,
        port: u16,
        kind: ConnectFailure,
    ) -> Self {
        let port = self.port(address, port);
        port.connect = step(5000, Err(ConnectError { kind, icmp: None }));
        port.attempts = 6;
        port.talks.clear();
        port.large.clear();
        self
    }

    pub(in crate::path) fn all_v6(self, kind: ConnectFailure) -> Self {
        self.family(Family::V6, kind)
    }

    pub(in crate::path) fn all_v4(self, kind: ConnectFailure) -> Self {
        self.family(Family::V4, kind)
    }

    fn family(mut self, family: Family, kind: ConnectFailure) -> Self {
        let of = self
            .plan
            .addresses
            .iter()
            .filter(|address| Family::of(**address) == family);
        for address in of.map(ToString::to_string).collect::<Vec<_>>() {
            for port in self.plan.ports.clone() {
                self = self.connect(&address, port, kind);
            }
            let seen = self.address(&address);
            seen.echo = Ok(series(24, 24, 14));
            seen.fragmented = Some(series(24, 24, 14));
            seen.quic = Some(step(
                5000,
                Err(crate::path::observation::QuicFailure::TimedOut),
            ));
        }
        self
    }
}

fn step<T>(millis: u64, outcome: T) -> Step<T> {
    Step {
        at: Duration::from_millis(1),
        took: Duration::from_millis(millis),
        outcome,
    }
}

fn open_port(port: u16) -> PortObservation {
    let https = port == 443;
    let session = TlsSession {
        version: "TLS 1.3".to_owned(),
        alpn: Some("h2".to_owned()),
        leaf: Leaf {
            fingerprint: "ab".repeat(32),
            names: vec!["www.lab.test".to_owned()],
            issuer: "CN=Lab".to_owned(),
            trust: Trust::Trusted,
            covers: true,
        },
    };
    let page = Page {
        status: 200,
        server: Some("lab/1.0".to_owned()),
        content_type: Some("text/html".to_owned()),
        first_byte: Duration::from_millis(16),
        body: format!(
            "<html><title>Lab</title><h1>Laboratory</h1>{}",
            "some words of the page ".repeat(50)
        )
        .into_bytes(),
        ..Page::default()
    };
    let talk = talk_of(https.then_some(Ok(session)), Some(Ok(page)));
    PortObservation {
        port,
        speech: if https { Speech::Https } else { Speech::Http },
        connect: step(14, Ok(())),
        attempts: 1,
        talks: vec![talk.clone()],
        small_talks: Vec::new(),
        large: vec![talk],
        small_large: Vec::new(),
        second: None,
    }
}

/// A talk with these outcomes.
pub(in crate::path) fn talk_of(
    tls: Option<Result<TlsSession, TalkError>>,
    page: Option<Result<Page, TalkError>>,
) -> Talk {
    Talk {
        segment: None,
        at: Duration::from_millis(15),
        connect: None,
        tls: tls.map(|outcome| step(30, outcome)),
        answer: page.map(|outcome| step(17, outcome.map(|page| Answer::Page(Box::new(page))))),
    }
}

/// A request that is never answered.
pub(in crate::path) fn silent_body() -> Talk {
    talk_of(None, Some(Err(TalkError::Stalled { received: 0 })))
}

/// A handshake that is never answered.
pub(in crate::path) fn silent_handshake() -> Talk {
    talk_of(Some(Err(TalkError::Stalled { received: 0 })), None)
}

/// The port's good talk, held with small segments.
pub(in crate::path) fn small(port: &PortObservation) -> Talk {
    Talk {
        segment: Some(SMALL_SEGMENT),
        ..port.talks.last().unwrap().clone()
    }
}

/// A series of which some were lost.
pub(in crate::path) fn series(sent: u32, lost: u32, millis: u64) -> Series {
    let round_trips = (lost..sent)
        .map(|_| Duration::from_millis(millis))
        .collect();
    Series {
        at: Duration::from_millis(2),
        sent,
        round_trips,
    }
}

/// The healthy scene with other TLS sessions on port 443 of these addresses.
pub(in crate::path::rule) fn with_sessions(
    addresses: &[&str],
    change: impl Fn(&mut TlsSession),
) -> Scene {
    let mut scene = healthy();
    for address in addresses {
        change(scene.session(address, 443));
    }
    scene
}
