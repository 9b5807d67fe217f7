//! A small world for tests and fuzzing: two ordinary networks and one that has only IPv6 and a NAT64.

use crate::world::model::{
    CheckPlan, Host, HostId, Interface, Link, Nat64, Network, NetworkId, Prefix, World,
};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The host interfaces of [`world`], in the order of its ports.
pub(crate) const INTERFACES: [(HostId, usize); 4] = [
    (HostId(0), 0),
    (HostId(1), 0),
    (HostId(2), 0),
    (HostId(3), 0),
];

/// `client` and `colleague` in `office`, `www` in `service`, `phone` in `mobile`.
pub(crate) fn world() -> World {
    let v6 = |network, last| Ipv6Addr::new(0x2e00, network, 0, 0, 0, 0, 0, last);
    let network = |name: &str, v4: Option<[u8; 3]>, number| Network {
        name: name.to_owned(),
        v4: v4.map(|[a, b, c]| Prefix {
            address: Ipv4Addr::new(a, b, c, 0).into(),
            length: 24,
        }),
        v6: Some(Prefix {
            address: v6(number, 0).into(),
            length: 64,
        }),
        gateway_v4: v4.map(|[a, b, c]| Ipv4Addr::new(a, b, c, 1)),
        gateway_v6: Some(v6(number, 1)),
        uplink: Link::default(),
        nat64: None,
    };
    let host = |name: &str, network, addresses: Vec<IpAddr>| Host {
        name: name.to_owned(),
        interfaces: vec![Interface {
            network: NetworkId(network),
            addresses,
            link: Link::default(),
            dad_failed: Vec::new(),
        }],
        nameservers: Vec::new(),
        search: Vec::new(),
        hosts_file: Vec::new(),
        sysctls: BTreeMap::new(),
        setup: Vec::new(),
        services: Vec::new(),
    };
    let mut mobile = network("mobile", None, 0xd);
    mobile.nat64 = Some(Nat64 {
        prefix: Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0),
        address: Ipv4Addr::new(203, 0, 113, 64),
    });
    World {
        name: "sample".to_owned(),
        summary: String::new(),
        seed: 1,
        networks: vec![
            network("office", Some([192, 0, 2]), 0xc),
            network("service", Some([198, 51, 100]), 0x5),
            mobile,
        ],
        hosts: vec![
            host(
                "client",
                0,
                vec![v6(0xc, 0x10).into(), Ipv4Addr::new(192, 0, 2, 10).into()],
            ),
            host(
                "colleague",
                0,
                vec![v6(0xc, 0x11).into(), Ipv4Addr::new(192, 0, 2, 11).into()],
            ),
            host(
                "www",
                1,
                vec![v6(0x5, 0x80).into(), Ipv4Addr::new(198, 51, 100, 80).into()],
            ),
            host("phone", 2, vec![v6(0xd, 0x20).into()]),
        ],
        filters: Vec::new(),
        zones: Vec::new(),
        dns_rules: Vec::new(),
        check: CheckPlan {
            host: HostId(0),
            target: String::new(),
            arguments: Vec::new(),
        },
        expect: Vec::new(),
        near_miss_of: Vec::new(),
        needs: Vec::new(),
        client: HostId(0),
    }
}
