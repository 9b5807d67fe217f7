//! The thread and its system calls, with pairs of datagram sockets in the place of AF_PACKET ones: what is written to
//! them has the same form.

use super::*;
use crate::emulator::frame::VNET_HEADER;
use crate::emulator::sample;
use crate::emulator::testing::{self, CLIENT, Protocol, WWW, packet, super_frame};
use crate::world::model::{FilterAction, FilterDirection};
use std::os::unix::net::UnixDatagram;

/// The hosts' ends, and the emulator that joins them.
fn lab(world: &World, trace: Option<File>) -> (Vec<UnixDatagram>, Emulator) {
    let mut hosts = Vec::new();
    let mut ports = Vec::new();
    for (host, interface) in sample::INTERFACES {
        let (near, far) = UnixDatagram::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        far.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        hosts.push(far);
        ports.push(Port {
            host,
            interface,
            socket: near.into(),
        });
    }
    (hosts, start(world, ports, trace).unwrap())
}

fn question(payload: &[u8]) -> Vec<u8> {
    let mut data = vec![0; VNET_HEADER];
    data.extend(packet(
        "2e00:c::10",
        "2e00:5::80",
        Protocol::Udp,
        [40_000, 443],
        payload,
    ));
    data
}

fn receive(host: &UnixDatagram) -> Vec<u8> {
    let mut data = vec![0; 70_000];
    let length = host.recv(&mut data).unwrap();
    data.truncate(length);
    data
}

#[test]
fn frames_are_delivered_after_their_delay() {
    let mut world = sample::world();
    world.networks[0].uplink.up.v6.delay = Duration::from_millis(30);
    let (hosts, emulator) = lab(&world, None);
    let sent = Instant::now();
    hosts[CLIENT].send(&question(b"hello")).unwrap();
    let data = receive(&hosts[WWW]);
    assert!(sent.elapsed() >= Duration::from_millis(30));
    assert_eq!(data[data.len() - 5..], *b"hello");
    let stats = emulator.stop().unwrap();
    assert_eq!((stats.received, stats.delivered, stats.missed), (1, 1, 0));
}

#[test]
fn super_frames_keep_their_header() {
    let (hosts, emulator) = lab(&sample::world(), None);
    let data = packet(
        "2e00:c::10",
        "2e00:5::80",
        Protocol::Tcp,
        [40_000, 443],
        &vec![7; 30_000],
    );
    let whole = super_frame(&data, Some(1440));
    let mut sent = whole.frame.offload.to_wire(74).to_vec();
    sent.extend_from_slice(&whole.frame.data);
    hosts[CLIENT].send(&sent).unwrap();
    let got = receive(&hosts[WWW]);
    assert_eq!(got[..VNET_HEADER], sent[..VNET_HEADER]);
    assert_eq!(got.len(), sent.len());
    drop(emulator);
}

#[test]
fn new_filters_hold_when_the_call_returns() {
    let (hosts, emulator) = lab(&sample::world(), None);
    emulator.set_filters(vec![testing::filter(
        0,
        FilterDirection::Out,
        FilterAction::Prohibit,
    )]);
    hosts[CLIENT].send(&question(b"refused")).unwrap();
    assert!(receive(&hosts[CLIENT]).ends_with(b"refused"));
    emulator.set_filters(Vec::new());
    hosts[CLIENT].send(&question(b"arrives")).unwrap();
    assert!(receive(&hosts[WWW]).ends_with(b"arrives"));
    emulator.stop().unwrap();
}

#[test]
fn hundreds_of_frames_are_carried_in_order() {
    let mut world = sample::world();
    world.networks[0].uplink.up.v6.delay = Duration::from_millis(5);
    let (hosts, emulator) = lab(&world, None);
    let count = 600_u32;
    let [client, _, www, _] = hosts.try_into().unwrap();
    let sender = std::thread::spawn(move || {
        for number in 0..count {
            client.send(&question(&number.to_be_bytes())).unwrap();
        }
        client
    });
    for number in 0..count {
        assert!(receive(&www).ends_with(&number.to_be_bytes()));
    }
    sender.join().unwrap();
    assert_eq!(emulator.stop().unwrap().missed, 0);
}

#[test]
fn a_host_that_does_not_read_holds_up_nobody_else() {
    let (hosts, emulator) = lab(&sample::world(), None);
    for _ in 0..2000 {
        hosts[CLIENT].send(&question(&[7; 1000])).unwrap();
    }
    let mut data = vec![0; VNET_HEADER];
    data.extend(packet(
        "2e00:5::80",
        "2e00:c::10",
        Protocol::Udp,
        [443, 40_000],
        b"back",
    ));
    hosts[WWW].send(&data).unwrap();
    assert!(receive(&hosts[CLIENT]).ends_with(b"back"));
    emulator.stop().unwrap();
}

#[test]
fn the_trace_holds_what_was_sent_delivered_and_dropped() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut world = sample::world();
    world.networks[0].uplink.up.v6.delay = Duration::from_millis(1);
    let (hosts, emulator) = lab(&world, Some(file.reopen().unwrap()));
    hosts[CLIENT].send(&question(b"arrives")).unwrap();
    receive(&hosts[WWW]);
    let mut unreachable = vec![0; VNET_HEADER];
    unreachable.extend(packet(
        "2e00:c::10",
        "2e00:5::99",
        Protocol::Udp,
        [1, 2],
        b"astray",
    ));
    hosts[CLIENT].send(&unreachable).unwrap();
    receive(&hosts[CLIENT]);
    // A killed lab leaves what is older than 50 ms.
    std::thread::sleep(Duration::from_millis(200));
    let recorded = std::fs::read(file.path()).unwrap();
    emulator.stop().unwrap();
    assert_eq!(std::fs::read(file.path()).unwrap(), recorded);
    let count = |needle: &[u8]| {
        recorded
            .windows(needle.len())
            .filter(|found| *found == needle)
            .count()
    };
    assert_eq!(count(b"arrives"), 2);
    // Sent, quoted to the client, and on the interface of dropped packets.
    assert_eq!(count(b"astray"), 3);
    assert_eq!(
        count(b"dropped: no host has the destination, at the router of service"),
        1
    );
    assert_eq!(count(b"client:office"), 1);
    assert_eq!(count(b"lab:dropped"), 1);
}

#[test]
fn a_trace_that_cannot_be_written_is_an_error_at_the_end() {
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let interfaces: Vec<Port> = Vec::new();
    let error = start(&sample::world(), interfaces, Some(full)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}

#[test]
fn a_port_that_the_world_does_not_have_is_refused() {
    let (near, _far) = UnixDatagram::pair().unwrap();
    let port = Port {
        host: HostId(9),
        interface: 0,
        socket: near.into(),
    };
    let error = start(&sample::world(), vec![port], None).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}
