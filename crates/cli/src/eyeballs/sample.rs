//! A quick sweep of a client that waits 250 ms and takes addresses one after another, without a lab.

use super::report::Report;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use twinstack_dns::RecordType;
use twinstack_lab::score::{
    self, Ending, Fate, Flow, Packet, Plan, Run, Scenario, Step, Transport, Visit, What,
};
use twinstack_lab::world::model::Family;

const START: Duration = Duration::from_secs(1_700_000_000);
const ROUND_TRIP: Duration = Duration::from_millis(14);

pub(super) fn report() -> Report {
    let plan = Plan {
        quick: true,
        limit: Duration::from_secs(5),
        port: 443,
    };
    let runs: Vec<Run> = plan.scenarios().iter().flat_map(runs).collect();
    Report {
        command: ["curl", "-s", "https://{host}/", "a word"]
            .map(str::to_owned)
            .into(),
        port: plan.port,
        seed: 7,
        quick: plan.quick,
        limit_seconds: 5.0,
        elapsed_seconds: 12.5,
        complaint: None,
        trace: None,
        score: score::score(&runs),
        runs,
    }
}

fn runs(scenario: &Scenario) -> Vec<Run> {
    let (packets, ended) = packets(scenario);
    let run = Run {
        scenario: scenario.clone(),
        visit: Visit::of(&packets, START + ended.unwrap_or(scenario.limit)),
        ending: ended.map_or(Ending::Limit, |_| Ending::Exited(0)),
    };
    vec![run; scenario.runs]
}

fn packets(scenario: &Scenario) -> (Vec<Packet>, Option<Duration>) {
    let mut packets = Vec::new();
    let mut put = |at: Duration, what| {
        packets.push(Packet {
            at: START + at,
            what,
        });
    };
    for (rtype, family, delay) in [
        (RecordType::AAAA, Family::V6, scenario.aaaa.delay),
        (RecordType::A, Family::V4, scenario.a.delay),
    ] {
        put(Duration::ZERO, What::Asked { rtype });
        let addresses = scenario.of(family).collect();
        put(ROUND_TRIP + delay, What::Answered { rtype, addresses });
    }
    let mut now = ROUND_TRIP + scenario.aaaa.delay.max(scenario.a.delay);
    let mut ended = None;
    for (number, (address, fate)) in scenario.addresses.iter().enumerate() {
        let mut step = |at: Duration, step| {
            let flow = flow(*address, number);
            put(at, What::Connection { flow, step });
        };
        step(now, Step::Requested);
        match fate {
            Fate::Works => {
                step(now + ROUND_TRIP, Step::Granted);
                step(now + ROUND_TRIP, Step::Sent);
                step(now + 2 * ROUND_TRIP, Step::Received);
                ended = Some(now + 2 * ROUND_TRIP);
                break;
            }
            Fate::Refuses => {
                step(now + Duration::from_millis(1), Step::Refused);
                now += Duration::from_millis(12);
            }
            Fate::Silent => {
                step(now + ROUND_TRIP, Step::Granted);
                step(now + ROUND_TRIP, Step::Sent);
                now += Duration::from_millis(250);
            }
            Fate::Dead | Fate::Slow => {
                step(now + Duration::from_secs(1), Step::Requested);
                now += Duration::from_millis(250);
            }
        }
    }
    packets.sort_by_key(|packet| packet.at);
    (packets, ended)
}

fn flow(address: IpAddr, number: usize) -> Flow {
    let client: IpAddr = match address {
        IpAddr::V4(_) => "192.0.2.10".parse().unwrap(),
        IpAddr::V6(_) => "2e00:c::10".parse().unwrap(),
    };
    Flow {
        transport: Transport::Tcp,
        client: SocketAddr::new(client, 40_000 + u16::try_from(number).unwrap()),
        server: SocketAddr::new(address, 443),
    }
}
