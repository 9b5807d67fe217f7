//! Packets through the whole emulated network; the parts have tests of their own.

use super::*;
use crate::emulator::bytes::{u16_at, u32_at};
use crate::emulator::packet::{address_frame, read};
use crate::emulator::testing::{
    CLIENT, COLLEAGUE, Net, PHONE, Protocol, WWW, address, filter, is_sound, packet, payload,
    super_frame, whole, with_dont_fragment,
};
use crate::world::model::Family;
use crate::world::model::FilterAction::{
    self, Drop, NoRoute, Prohibit, Reset, SwallowPacketTooBig,
};
use crate::world::model::FilterDirection::{Both, In, Out};

const MS: Duration = Duration::from_millis(1);
const V4: (&str, &str) = ("192.0.2.10", "198.51.100.80");
const V6: (&str, &str) = ("2e00:c::10", "2e00:5::80");

fn udp((source, destination): (&str, &str), length: usize) -> Vec<u8> {
    packet(
        source,
        destination,
        Protocol::Udp,
        [40_000, 443],
        &vec![7; length],
    )
}

fn tcp((source, destination): (&str, &str), length: usize) -> Vec<u8> {
    packet(
        source,
        destination,
        Protocol::Tcp,
        [40_000, 443],
        &vec![7; length],
    )
}

fn with_hops(mut data: Vec<u8>, hops: u8) -> Vec<u8> {
    if data[12] == 0x86 {
        data[21] = hops;
    } else {
        data[22] = hops;
        crate::emulator::checksum::write_v4_header(&mut data, 14, 20).unwrap();
    }
    data
}

/// Checks that a host gets this ICMP error and nobody gets anything else.
fn check_error(net: &mut Net, host: usize, data: &[u8], from: &str, icmp: (u8, u8)) -> Packet {
    let mut answer = net.exchange(host, data);
    assert!(is_sound(&mut answer.packet));
    assert_eq!(
        (answer.host, answer.packet.headers.icmp),
        (host, Some(icmp))
    );
    assert_eq!(answer.packet.headers.source, address(from));
    answer.packet
}

mod forwarding {
    use super::*;

    #[test]
    fn a_packet_crosses_two_routers() {
        for ends in [V4, V6] {
            let mut arrival = Net::new(|_| {}).exchange(CLIENT, &udp(ends, 100));
            assert_eq!((arrival.at, arrival.host), (Duration::ZERO, WWW));
            assert_eq!(arrival.packet.hops(), 62);
            assert_eq!(arrival.packet.frame.data[0..6], host_mac(HostId(2), 0));
            assert_eq!(arrival.packet.frame.data[6..12], GATEWAY_MAC);
            assert!(is_sound(&mut arrival.packet));
            assert_eq!(payload(&arrival.packet), [7; 100]);
        }
    }

    #[test]
    fn delays_of_all_lines_add_up() {
        let mut net = Net::new(|world| {
            world.hosts[0].interfaces[0].link.up.v6.delay = MS;
            world.networks[0].uplink.up.v6.delay = 5 * MS;
            world.networks[1].uplink.down.v6.delay = 2 * MS;
            world.hosts[2].interfaces[0].link.down.v6.delay = 12 * MS;
            // The way back is another.
            world.networks[1].uplink.up.v6.delay = 100 * MS;
        });
        assert_eq!(net.exchange(CLIENT, &udp(V6, 10)).at, 20 * MS);
        net.now = Duration::ZERO;
        assert_eq!(net.exchange(CLIENT, &udp(V4, 10)).at, Duration::ZERO);
    }

    #[test]
    fn being_called_late_delays_nothing_further() {
        let mut net = Net::new(|world| {
            world.networks[0].uplink.up.v6.delay = 5 * MS;
            world.networks[1].uplink.down.v6.delay = 5 * MS;
        });
        net.send(CLIENT, &udp(V6, 10));
        net.board.handle_time(9 * MS);
        assert_eq!(net.board.next_deadline(), Some(10 * MS));
    }

    #[test]
    fn hosts_of_one_network_talk_past_the_router() {
        let mut data = udp(("2e00:c::10", "2e00:c::11"), 10);
        address_frame(&mut data, host_mac(HostId(0), 0), host_mac(HostId(1), 0));
        let mut net = Net::new(|world| {
            world.hosts[0].interfaces[0].link.up.v6.delay = MS;
            world.hosts[1].interfaces[0].link.down.v6.delay = 2 * MS;
            world.filters.push(filter(0, Both, Drop));
        });
        let arrival = net.exchange(CLIENT, &data);
        assert_eq!(
            (arrival.at, arrival.host, arrival.packet.hops()),
            (3 * MS, COLLEAGUE, 64)
        );
    }

    #[test]
    fn through_the_router_of_their_own_network_too() {
        let arrival = Net::new(|_| {}).exchange(CLIENT, &udp(("2e00:c::10", "2e00:c::11"), 10));
        assert_eq!((arrival.host, arrival.packet.hops()), (COLLEAGUE, 63));
    }

    #[test]
    fn group_frames_reach_all_others_of_the_network() {
        let mut data = udp(("2e00:c::10", "ff02::fb"), 10);
        address_frame(
            &mut data,
            host_mac(HostId(0), 0),
            [0x33, 0x33, 0, 0, 0, 0xfb],
        );
        let arrival = Net::new(|_| {}).exchange(CLIENT, &data);
        assert_eq!(arrival.host, COLLEAGUE);
    }

    #[test]
    fn a_frame_to_oneself_or_of_an_unknown_type_to_the_router_goes_nowhere() {
        let mut net = Net::new(|_| {});
        let mut data = udp(V6, 10);
        address_frame(&mut data, GATEWAY_MAC, host_mac(HostId(0), 0));
        net.send(CLIENT, &data);
        let mut frame = whole(&udp(V6, 10)).frame;
        frame.data[12..14].copy_from_slice(&[0x88, 0xcc]);
        net.board.handle_frame(PortId(CLIENT), frame, net.now);
        assert!(net.arrivals().is_empty());
    }

    #[test]
    fn what_has_no_business_beyond_its_link_stays_there() {
        let mut net = Net::new(|_| {});
        for ends in [
            ("fe80::9", "2e00:5::80"),
            ("::", "2e00:5::80"),
            ("::1", "2e00:5::80"),
            ("2e00:c::10", "ff05::1"),
            ("2e00:c::10", "fe80::9"),
            ("0.0.0.0", "198.51.100.80"),
            ("192.0.2.10", "255.255.255.255"),
            ("192.0.2.10", "127.0.0.1"),
        ] {
            net.send(CLIENT, &udp(ends, 10));
        }
        assert!(net.arrivals().is_empty());
        assert_eq!(net.board.stats().undeliverable, 8);
    }
}

mod neighbours {
    use super::*;

    /// A neighbour solicitation as a host sends it.
    fn solicitation(source: &str, target: &str) -> Vec<u8> {
        let mut data = packet(source, "ff02::1:ff00:1", Protocol::Echo, [0, 0], &[0; 24]);
        data[21] = 255;
        data[54] = 135;
        let IpAddr::V6(target) = address(target) else {
            panic!()
        };
        data[62..78].copy_from_slice(&target.octets());
        address_frame(
            &mut data,
            host_mac(HostId(0), 0),
            [0x33, 0x33, 0xff, 0, 0, 1],
        );
        let mut frame = Frame {
            data: Pool::default().copy(&data).unwrap(),
            ..Frame::default()
        };
        let headers = read(&mut frame).unwrap();
        crate::emulator::checksum::write_transport(&mut frame.data, &headers).unwrap();
        frame.data.to_vec()
    }

    #[test]
    fn the_emulator_knows_who_is_where() {
        let check = |target, mac: Mac| {
            let mut net =
                Net::new(|world| world.hosts[0].interfaces[0].link.down.v6.delay = 5 * MS);
            let answer = net.exchange(CLIENT, &solicitation("2e00:c::10", target));
            assert_eq!((answer.at, answer.host), (Duration::ZERO, CLIENT));
            assert_eq!(answer.packet.headers.icmp, Some((136, 0)));
            assert_eq!(answer.packet.frame.data[80..86], mac);
        };
        check("fe80::1", GATEWAY_MAC);
        check("2e00:c::1", GATEWAY_MAC);
        check("2e00:c::11", host_mac(HostId(1), 0));
    }

    #[test]
    fn questions_about_strangers_go_to_everybody() {
        let arrival = Net::new(|_| {}).exchange(CLIENT, &solicitation("2e00:c::10", "fe80::77"));
        assert_eq!(
            (arrival.host, arrival.packet.headers.icmp),
            (COLLEAGUE, Some((135, 0)))
        );
    }

    #[test]
    fn nobody_else_has_an_address_unless_the_world_says_so() {
        let mut net = Net::new(|_| {});
        for target in ["2e00:c::10", "2e00:c::11", "fe80::77"] {
            net.send(CLIENT, &solicitation("::", target));
        }
        assert!(net.arrivals().is_empty());
        let mut net = Net::new(|world| {
            world.hosts[0].interfaces[0]
                .dad_failed
                .push("2e00:c::10".parse().unwrap());
        });
        let conflict = net.exchange(CLIENT, &solicitation("::", "2e00:c::10"));
        assert_eq!(conflict.packet.headers.destination, address("ff02::1"));
        assert_eq!(conflict.packet.headers.icmp, Some((136, 0)));
        // The address is nobody's then.
        let data = udp(("2e00:5::80", "2e00:c::10"), 10);
        check_error(&mut net, WWW, &data, "2e00:c::1", (1, 3));
    }

    #[test]
    fn arp_is_answered_for_hosts_and_the_router() {
        let ask = |target: [u8; 4]| {
            let mut data = vec![0xff; 6];
            data.extend(host_mac(HostId(0), 0));
            data.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
            data.extend(host_mac(HostId(0), 0));
            data.extend([192, 0, 2, 10, 0, 0, 0, 0, 0, 0]);
            data.extend(target);
            let mut net = Net::new(|_| {});
            let frame = Frame {
                data: net.board.pool().copy(&data).unwrap(),
                ..Frame::default()
            };
            net.board.handle_frame(PortId(CLIENT), frame, net.now);
            let (_, host, frame) = net.frames().remove(0);
            (host, frame.data[22..28].to_vec())
        };
        assert_eq!(ask([192, 0, 2, 1]), (CLIENT, GATEWAY_MAC.to_vec()));
        assert_eq!(
            ask([192, 0, 2, 11]),
            (CLIENT, host_mac(HostId(1), 0).to_vec())
        );
        // The question itself, passed on.
        assert_eq!(
            ask([192, 0, 2, 99]),
            (COLLEAGUE, host_mac(HostId(0), 0).to_vec())
        );
    }
}

mod routers {
    use super::*;

    #[test]
    fn the_path_can_be_traced() {
        for (ends, first, second, icmp) in [
            (V4, "192.0.2.1", "198.51.100.1", (11, 0)),
            (V6, "2e00:c::1", "2e00:5::1", (3, 0)),
        ] {
            let mut net = Net::new(|_| {});
            check_error(&mut net, CLIENT, &with_hops(udp(ends, 10), 1), first, icmp);
            check_error(&mut net, CLIENT, &with_hops(udp(ends, 10), 2), second, icmp);
            assert_eq!(net.exchange(CLIENT, &with_hops(udp(ends, 10), 3)).host, WWW);
        }
    }

    #[test]
    fn missing_hosts_and_networks_are_reported() {
        let mut net = Net::new(|_| {});
        check_error(
            &mut net,
            CLIENT,
            &udp(("192.0.2.10", "198.51.100.99"), 9),
            "198.51.100.1",
            (3, 1),
        );
        check_error(
            &mut net,
            CLIENT,
            &udp(("2e00:c::10", "2e00:5::99"), 9),
            "2e00:5::1",
            (1, 3),
        );
        check_error(
            &mut net,
            CLIENT,
            &udp(("192.0.2.10", "8.8.8.8"), 9),
            "192.0.2.1",
            (3, 0),
        );
        check_error(
            &mut net,
            CLIENT,
            &udp(("2e00:c::10", "2e00:99::1"), 9),
            "2e00:c::1",
            (1, 0),
        );
    }

    #[test]
    fn errors_travel_back_through_the_same_lines() {
        let mut net = Net::new(|world| {
            world.networks[0].uplink.up.v6.delay = 5 * MS;
            world.networks[0].uplink.down.v6.delay = 7 * MS;
            world.networks[1].uplink.down.v6.delay = 2 * MS;
            world.networks[1].uplink.up.v6.delay = 4 * MS;
        });
        let answer = net.exchange(CLIENT, &udp(("2e00:c::10", "2e00:5::99"), 9));
        assert_eq!(answer.at, 18 * MS);
    }

    #[test]
    fn routers_answer_echoes_and_refuse_everything_else() {
        for (host, gateway, far) in [
            ("192.0.2.10", "192.0.2.1", "198.51.100.1"),
            ("2e00:c::10", "2e00:c::1", "2e00:5::1"),
            ("2e00:c::10", "fe80::1", "2e00:5::1"),
        ] {
            for router in [gateway, far] {
                let ends = (host, router);
                let mut net = Net::new(|_| {});
                let mut reply = net.exchange(
                    CLIENT,
                    &packet(host, router, Protocol::Echo, [5, 0], b"hello"),
                );
                assert!(is_sound(&mut reply.packet));
                assert_eq!(reply.ends(), (router.to_owned(), host.to_owned()));
                assert_eq!(reply.packet.headers.echo_id, Some(5));
                let refused =
                    net.exchange(CLIENT, &packet(host, router, Protocol::Syn, [5, 80], b""));
                assert_eq!(
                    refused.packet.frame.data[refused.packet.headers.transport + 13],
                    0x14
                );
                if router != "fe80::1" {
                    let icmp = if host.contains(':') { (1, 4) } else { (3, 3) };
                    check_error(&mut net, CLIENT, &udp(ends, 9), router, icmp);
                }
            }
        }
    }

    #[test]
    fn nobody_complains_about_complaints() {
        let mut error = packet("2e00:c::10", "2e00:5::99", Protocol::Echo, [0, 0], &[0; 48]);
        error[54] = 1;
        let mut net = Net::new(|_| {});
        net.send(CLIENT, &error);
        net.send(CLIENT, &with_hops(error, 1));
        assert!(net.arrivals().is_empty());
    }
}

mod filters {
    use super::*;

    fn net(at: usize, direction: FilterDirection, action: FilterAction) -> Net {
        Net::new(|world| world.filters.push(filter(at, direction, action)))
    }
    use crate::world::model::FilterDirection;

    #[test]
    fn a_drop_is_silent_on_its_way_only() {
        for (at, way) in [(0, Out), (0, Both), (1, In), (1, Both)] {
            let mut net = net(at, way, Drop);
            net.send(CLIENT, &udp(V6, 10));
            assert!(net.arrivals().is_empty());
            assert_eq!(net.board.stats().filtered, 1);
        }
        for (at, way) in [(0, In), (1, Out), (2, Both)] {
            assert_eq!(net(at, way, Drop).exchange(CLIENT, &udp(V6, 10)).host, WWW);
        }
    }

    #[test]
    fn refusals_say_what_they_are() {
        for (action, v4, v6) in [
            (Prohibit, (3, 13), (1, 1)),
            (NoRoute, (3, 0), (1, 0)),
            (Reset, (3, 3), (1, 4)),
        ] {
            for (at, way, names) in [
                (0, Out, ["192.0.2.1", "2e00:c::1"]),
                (1, In, ["198.51.100.1", "2e00:5::1"]),
            ] {
                let mut net = net(at, way, action);
                check_error(&mut net, CLIENT, &udp(V4, 10), names[0], v4);
                check_error(&mut net, CLIENT, &udp(V6, 10), names[1], v6);
            }
        }
    }

    #[test]
    fn a_reset_comes_in_the_destinations_name() {
        for ends in [V4, V6] {
            let mut answer = net(1, In, Reset).exchange(
                CLIENT,
                &packet(ends.0, ends.1, Protocol::Syn, [40_000, 443], b""),
            );
            assert!(is_sound(&mut answer.packet));
            assert_eq!(answer.ends(), (ends.1.to_owned(), ends.0.to_owned()));
            assert_eq!(answer.packet.headers.ports, Some((443, 40_000)));
            let at = answer.packet.headers.transport;
            assert_eq!(u32_at(&answer.packet.frame.data, at + 8), Some(1001));
        }
    }

    #[test]
    fn answers_to_what_a_filter_refuses_pass_other_routers_filters() {
        let mut net = net(1, In, Prohibit);
        net.board
            .set_filters(&[filter(1, In, Prohibit), filter(0, In, Drop)]);
        net.send(CLIENT, &udp(V6, 10));
        assert!(net.arrivals().is_empty());
        assert_eq!(net.board.stats().filtered, 2);
    }

    #[test]
    fn new_filters_hold_for_packets_on_their_way() {
        let mut net = Net::new(|world| world.networks[0].uplink.up.v6.delay = 5 * MS);
        net.send(CLIENT, &udp(V6, 10));
        net.board.set_filters(&[filter(1, In, Drop)]);
        assert!(net.arrivals().is_empty());
    }

    #[test]
    fn only_the_segments_that_match_are_taken() {
        let mut net = Net::new(|world| {
            let mut filter = filter(0, Out, Drop);
            filter.larger_than = Some(1000);
            world.filters.push(filter);
        });
        net.send_packet(CLIENT, super_frame(&tcp(V6, 3000), Some(1440)));
        let rest = net.arrival();
        assert_eq!(
            (rest.packet.headers.size, payload(&rest.packet).len()),
            (180, 120)
        );
        assert_eq!(net.board.stats().filtered, 2);
    }

    #[test]
    fn each_segment_of_a_super_frame_is_refused() {
        let mut net = net(0, Out, Reset);
        net.send_packet(CLIENT, super_frame(&tcp(V6, 3000), Some(1440)));
        assert_eq!(net.arrivals().len(), 3);
    }
}

mod sizes {
    use super::*;

    type Change = fn(&mut World);

    #[test]
    fn too_big_comes_from_the_router_at_the_narrow_line() {
        for (ends, icmp, near, far) in [
            (V4, (3, 4), "192.0.2.1", "198.51.100.1"),
            (V6, (2, 0), "2e00:c::1", "2e00:5::1"),
        ] {
            let data = with_big_dont_fragment(ends);
            let places: [(&str, Change); 4] = [
                (near, |world| {
                    narrow(&mut world.hosts[0].interfaces[0].link.up);
                }),
                (near, |world| narrow(&mut world.networks[0].uplink.up)),
                (far, |world| narrow(&mut world.networks[1].uplink.down)),
                (far, |world| {
                    narrow(&mut world.hosts[2].interfaces[0].link.down);
                }),
            ];
            for (from, change) in places {
                let error = check_error(&mut Net::new(change), CLIENT, &data, from, icmp);
                assert_eq!(
                    u32_at(&error.frame.data, error.headers.transport + 4),
                    Some(1300)
                );
                assert_eq!(&payload(&error)[0..2], &data[14..16]);
            }
        }
    }

    fn narrow(direction: &mut crate::world::model::Direction) {
        direction.v4.mtu = Some(1300);
        direction.v6.mtu = Some(1300);
    }

    /// 1400 bytes that no router may cut.
    fn with_big_dont_fragment(ends: (&str, &str)) -> Vec<u8> {
        if ends == V6 {
            udp(ends, 1352)
        } else {
            with_dont_fragment(udp(ends, 1372), true)
        }
    }

    #[test]
    fn what_fits_passes() {
        let mut net = Net::new(|world| narrow(&mut world.networks[0].uplink.up));
        assert_eq!(
            net.exchange(CLIENT, &udp(V6, 1252)).packet.headers.size,
            1300
        );
        check_error(&mut net, CLIENT, &udp(V6, 1253), "2e00:c::1", (2, 0));
    }

    #[test]
    fn ipv4_without_dont_fragment_is_fragmented() {
        let mut net = Net::new(|world| narrow(&mut world.networks[0].uplink.up));
        net.send(CLIENT, &with_dont_fragment(udp(V4, 1400), false));
        let mut arrivals = net.arrivals();
        let sizes: Vec<_> = arrivals
            .iter()
            .map(|arrival| arrival.packet.headers.size)
            .collect();
        assert_eq!(sizes, [1300, 148]);
        assert!(
            arrivals
                .iter_mut()
                .all(|arrival| is_sound(&mut arrival.packet))
        );
    }

    #[test]
    fn super_frames_are_judged_by_their_segments() {
        let mut net = Net::new(|world| narrow(&mut world.networks[0].uplink.up));
        net.send_packet(CLIENT, super_frame(&tcp(V6, 50_000), Some(1240)));
        let arrival = net.arrival();
        assert_eq!(arrival.packet.frame.data.len(), 50_074);
        assert!(arrival.packet.is_super_frame());
        net.send_packet(CLIENT, super_frame(&tcp(V6, 2900), Some(1440)));
        let arrivals = net.arrivals();
        let hosts: Vec<_> = arrivals.iter().map(|arrival| arrival.host).collect();
        // Two segments too big; the last one fits.
        assert_eq!(hosts, [CLIENT, CLIENT, WWW]);
        assert_eq!(arrivals[0].packet.headers.icmp, Some((2, 0)));
        assert_eq!(u16_at(payload(&arrivals[0].packet), 4), Some(1460));
    }

    #[test]
    fn packet_too_big_is_swallowed_wherever_it_was_made() {
        // At the server's own router, for a line on either side of it, and at the client's for one beyond.
        let places: [Change; 3] = [
            |world| narrow(&mut world.networks[1].uplink.up),
            |world| narrow(&mut world.networks[0].uplink.down),
            |world| narrow(&mut world.hosts[0].interfaces[0].link.down),
        ];
        for change in places {
            for (swallows, expected) in [(true, 0), (false, 1)] {
                let mut net = Net::new(|world| {
                    change(world);
                    if swallows {
                        world.filters.push(filter(1, In, SwallowPacketTooBig));
                    }
                });
                net.send(WWW, &udp(("2e00:5::80", "2e00:c::10"), 1400));
                assert_eq!(net.arrivals().len(), expected);
            }
        }
    }
}

mod impairments {
    use super::*;

    #[test]
    fn untouched_super_frames_stay_whole() {
        let mut net = Net::new(|world| {
            world.networks[0].uplink.up.v6.delay = 5 * MS;
            world.networks[0].uplink.up.v6.jitter = MS;
            world.networks[0].uplink.up.v4.loss = 0.5;
        });
        let packet = super_frame(&tcp(V6, 30_000), Some(1440));
        let offload = packet.frame.offload;
        net.send_packet(CLIENT, packet);
        let arrival = net.arrival();
        assert_eq!(arrival.packet.frame.offload, offload);
        assert_eq!(payload(&arrival.packet).len(), 30_000);
    }

    #[test]
    fn losses_hit_single_segments() {
        let mut net = Net::new(|world| world.networks[0].uplink.up.v6.loss = 0.5);
        net.send_packet(CLIENT, super_frame(&tcp(V6, 60_000), Some(600)));
        let arrived = net.arrivals().len();
        assert!((30..70).contains(&arrived), "{arrived}");
        assert_eq!(
            net.board.stats().lost,
            100 - u64::try_from(arrived).unwrap()
        );
    }

    #[test]
    fn duplicates_arrive_twice() {
        let mut net = Net::new(|world| world.networks[1].uplink.down.v6.duplicate = 1.0);
        net.send_packet(CLIENT, super_frame(&tcp(V6, 3000), Some(1000)));
        assert_eq!(net.arrivals().len(), 6);
        net.send(CLIENT, &udp(V4, 10));
        assert_eq!(net.arrivals().len(), 1);
    }

    #[test]
    fn a_rate_spreads_the_segments() {
        let mut net = Net::new(|world| world.networks[0].uplink.up.rate = Some(8_000_000));
        // Frames of 1074 bytes: 1.074 ms each.
        net.send_packet(CLIENT, super_frame(&tcp(V6, 4000), Some(1000)));
        let times: Vec<_> = net.arrivals().iter().map(|arrival| arrival.at).collect();
        let step = Duration::from_micros(1074);
        assert_eq!(times, [step, 2 * step, 3 * step, 4 * step]);
    }

    #[test]
    fn some_packets_overtake() {
        let mut net = Net::new(|world| {
            world.networks[0].uplink.up.v6.delay = 20 * MS;
            world.networks[0].uplink.up.v6.reorder = 0.5;
        });
        for port in 0..100 {
            net.send(CLIENT, &packet(V6.0, V6.1, Protocol::Udp, [port, 443], b""));
        }
        let arrivals = net.arrivals();
        let early = arrivals
            .iter()
            .filter(|arrival| arrival.at.is_zero())
            .count();
        assert!((30..70).contains(&early), "{early}");
        assert_eq!(arrivals.len(), 100);
        assert!(
            arrivals
                .iter()
                .all(|arrival| arrival.at.is_zero() || arrival.at == 20 * MS)
        );
    }

    #[test]
    fn the_same_seed_loses_the_same_packets() {
        let survivors = |seed| {
            let mut net = Net::new(|world| {
                world.seed = seed;
                world.networks[0].uplink.up.v6.loss = 0.3;
            });
            for port in 0..100 {
                net.send(CLIENT, &packet(V6.0, V6.1, Protocol::Udp, [port, 443], b""));
                // Traffic of the other family changes nothing.
                if seed == 1 && port % 3 == 0 {
                    net.send(CLIENT, &udp(V4, 10));
                }
            }
            let v6 = net
                .arrivals()
                .into_iter()
                .filter(|arrival| arrival.packet.headers.family == Family::V6);
            v6.map(|arrival| arrival.packet.headers.ports)
                .collect::<Vec<_>>()
        };
        assert_eq!(survivors(1), survivors(1));
        assert_ne!(survivors(1), survivors(2));
    }
}

#[test]
fn dropped_packets_say_why_and_where() {
    use crate::emulator::stats::describe;

    let world = {
        let mut world = crate::emulator::sample::world();
        world.filters.push(filter(1, In, Drop));
        world
    };
    let mut board = Switchboard::new(&world, &crate::emulator::sample::INTERFACES).unwrap();
    board.keep_dropped();
    board.handle_frame(PortId(CLIENT), whole(&udp(V6, 10)).frame, MS);
    let dropped = board.poll_dropped().unwrap();
    let text = describe(
        dropped.reason,
        dropped.place,
        &world.networks,
        &world.filters,
        |_| String::new(),
    );
    assert_eq!(text, "dropped: filter 1 (Drop), at the router of service");
    assert_eq!(
        whole(&dropped.frame.data).headers.ports,
        Some((40_000, 443))
    );
    assert!(board.poll_dropped().is_none());
}

#[test]
fn a_port_nobody_has_is_ignored() {
    let mut net = Net::new(|_| {});
    net.send(PHONE + 1, &udp(V6, 10));
    assert!(net.arrivals().is_empty());
}
