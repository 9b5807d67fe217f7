use super::*;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

fn inner(kind: Kind, host: u16, port: u16) -> Inner {
    Inner {
        kind,
        address: Ipv6Addr::new(0x2e00, 0xd, 0, 0, 0, 0, 0, host),
        port,
    }
}

/// A binding of port 40000 and what was sent through it: out (`>`) or in (`<`), and what it meant.
fn after(kind: Kind, packets: &[(char, Sign)]) -> Bindings {
    let mut bindings = Bindings::default();
    let inner = inner(kind, 1, 40_000);
    for (way, sign) in packets {
        if *way == '>' {
            assert_eq!(bindings.outward(inner, *sign, minutes(0)), Some(40_000));
        } else {
            let outer = Outer { kind, port: 40_000 };
            assert_eq!(bindings.inward(outer, *sign, minutes(0)), Some(inner));
        }
    }
    bindings
}

#[test]
fn a_binding_lives_as_long_as_its_kind_and_its_connection_allow() {
    use Sign::{Closing, Opening, Other};
    let check = |kind, packets: &[(char, Sign)], lifetime: Duration| {
        let outer = Outer { kind, port: 40_000 };
        let moment = Duration::from_millis(1);
        let mut alive = after(kind, packets);
        assert!(
            alive
                .host_behind(outer, lifetime.saturating_sub(moment))
                .is_some(),
            "{kind:?} {packets:?}"
        );
        assert!(
            alive
                .inward(outer, Other, lifetime.saturating_sub(moment))
                .is_some(),
            "{kind:?} {packets:?}"
        );
        let mut over = after(kind, packets);
        assert_eq!(
            over.port_of(inner(kind, 1, 40_000), lifetime),
            None,
            "{kind:?} {packets:?}"
        );
        assert_eq!(
            over.inward(outer, Other, lifetime),
            None,
            "{kind:?} {packets:?}"
        );
        assert!(
            over.ports.is_empty() && over.hosts.is_empty(),
            "nothing is left of it"
        );
    };
    check(Kind::Udp, &[('>', Other)], minutes(5));
    check(Kind::Udp, &[('>', Other), ('<', Other)], minutes(5));
    check(Kind::Echo, &[('>', Other)], minutes(1));
    let (syn, syn_ack, data) = (('>', Opening), ('<', Opening), ('>', Other));
    check(Kind::Tcp, &[syn], minutes(4));
    check(Kind::Tcp, &[syn, syn], minutes(4));
    check(Kind::Tcp, &[syn, syn_ack], minutes(124));
    check(Kind::Tcp, &[syn, syn_ack, data, ('<', Other)], minutes(124));
    check(Kind::Tcp, &[syn, ('<', Closing)], minutes(4));
    // The last ACK of a close has no sign of its own.
    check(
        Kind::Tcp,
        &[syn, syn_ack, ('>', Closing), ('<', Closing), data],
        minutes(4),
    );
    check(
        Kind::Tcp,
        &[syn, syn_ack, ('<', Closing), syn, syn_ack],
        minutes(124),
    );
    // A second connection from the same port does not make the first one shorter.
    check(Kind::Tcp, &[syn, syn_ack, syn], minutes(124));
}

#[test]
fn every_packet_of_either_side_keeps_a_binding_and_an_error_about_one_does_not() {
    let mut bindings = after(Kind::Udp, &[('>', Sign::Other)]);
    let outer = Outer {
        kind: Kind::Udp,
        port: 40_000,
    };
    let host = inner(Kind::Udp, 1, 40_000);
    assert_eq!(bindings.inward(outer, Sign::Other, minutes(4)), Some(host));
    assert_eq!(
        bindings.outward(host, Sign::Other, minutes(8)),
        Some(40_000)
    );
    assert_eq!(bindings.host_behind(outer, minutes(12)), Some(host));
    assert_eq!(bindings.host_behind(outer, minutes(13)), None);
}

#[test]
fn a_port_whose_binding_is_over_is_free_again() {
    let mut bindings = after(Kind::Udp, &[('>', Sign::Other)]);
    let other = inner(Kind::Udp, 2, 40_000);
    assert_eq!(
        bindings.outward(other, Sign::Other, minutes(4)),
        Some(40_001)
    );
    let third = inner(Kind::Udp, 3, 40_000);
    assert_eq!(
        bindings.outward(third, Sign::Other, minutes(5)),
        Some(40_000)
    );
    // The first host comes back, and somebody else has its port.
    let first = inner(Kind::Udp, 1, 40_000);
    assert_eq!(
        bindings.outward(first, Sign::Other, minutes(5)),
        Some(40_002)
    );
    assert_eq!(bindings.ports.len(), bindings.hosts.len());
}

#[test]
fn when_all_ports_are_taken_the_least_used_goes() {
    let mut bindings = Bindings::default();
    for port in FIRST_PORT..=u16::MAX {
        let at = Duration::from_secs(if port == 5000 { 1 } else { 2 });
        let bound = bindings.outward(inner(Kind::Udp, 1, port), Sign::Other, at);
        assert_eq!(bound, Some(port));
    }
    let bound = bindings.outward(
        inner(Kind::Udp, 2, 7000),
        Sign::Other,
        Duration::from_secs(3),
    );
    assert_eq!(bound, Some(5000));
    assert_eq!(bindings.ports.get(&inner(Kind::Udp, 1, 5000)), None);
    assert_eq!(bindings.ports.len(), bindings.hosts.len());
}
