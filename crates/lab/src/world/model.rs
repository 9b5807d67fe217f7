//! A world after reading, merging and checking: plain values, nothing left to look up.
//!
//! [`World::load`] turns YAML into this; the emulator, the services and the runtime only ever see this. It is
//! serialisable because the lab's init process receives it whole.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use twinstack_finding::Code;

/// Index into [`World::networks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NetworkId(pub usize);

/// Index into [`World::hosts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HostId(pub usize);

/// A world: networks around one core, hosts in them, what the links and routers do to packets, what the DNS says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct World {
    /// Its name, as in `lab run NAME`.
    pub name: String,
    /// One line for `lab worlds`.
    pub summary: String,
    /// Seed of everything random in it (loss, jitter); printed with every failure.
    pub seed: u64,
    /// Programs that must be installed for it, such as `nft`; most worlds need none.
    pub needs: Vec<String>,
    /// The networks; each has a router that joins it to the core.
    pub networks: Vec<Network>,
    /// The hosts.
    pub hosts: Vec<Host>,
    /// Filters at the networks' routers, first match decides.
    pub filters: Vec<Filter>,
    /// The DNS zones and who serves them.
    pub zones: Vec<Zone>,
    /// What name servers do to particular questions; first match decides.
    pub dns_rules: Vec<DnsRule>,
    /// How `check` is to be called in this world.
    pub check: CheckPlan,
    /// Exactly the findings that `check`, called so, must raise: no more and no fewer.
    pub expect: Vec<Code>,
    /// The codes that this world looks like but must not raise.
    pub near_miss_of: Vec<Code>,
    /// The host on which a command runs when none is named.
    pub client: HostId,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

/// An address with the length of its network's prefix, or a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prefix {
    /// The address; for a prefix with the host bits zero.
    pub address: IpAddr,
    /// How many leading bits are the network's.
    pub length: u8,
}

impl Prefix {
    /// Whether an address lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(address)) => {
                let mask = u32::MAX
                    .checked_shl(32_u32.saturating_sub(self.length.into()))
                    .unwrap_or(0);
                u32::from(net) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(address)) => {
                let mask = u128::MAX
                    .checked_shl(128_u32.saturating_sub(self.length.into()))
                    .unwrap_or(0);
                u128::from(net) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }
}

/// A layer-2 segment with a router; hosts of one network reach each other without the router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// Its name in the world file.
    pub name: String,
    /// The IPv4 prefix, or none: then hosts here have no IPv4.
    pub v4: Option<Prefix>,
    /// The IPv6 prefix, or none: then hosts here have no IPv6 beyond link-local.
    pub v6: Option<Prefix>,
    /// The router's IPv4 address inside the prefix (the hosts' default gateway).
    pub gateway_v4: Option<Ipv4Addr>,
    /// The router's IPv6 address inside the prefix. Hosts route to `fe80::1`; errors come from this address.
    pub gateway_v6: Option<Ipv6Addr>,
    /// The line between this network's router and the core.
    pub uplink: Link,
    /// Translation of IPv6 to IPv4 at this network's router.
    pub nat64: Option<Nat64>,
}

/// Stateful NAT64 (RFC 6146) at a network's router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nat64 {
    /// The /96 whose last 32 bits are the IPv4 destination.
    pub prefix: Ipv6Addr,
    /// The IPv4 address that translated packets come from; routed to this network.
    pub address: Ipv4Addr,
}

/// What a line does, for each direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// From the host towards its network, or from the network towards the core.
    pub up: Direction,
    /// Towards the host, or from the core towards the network.
    pub down: Direction,
}

/// One direction of a line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Direction {
    /// Bits a second shared by both families; `None` is no limit.
    pub rate: Option<u64>,
    /// What happens to IPv4 packets.
    pub v4: Impairment,
    /// What happens to IPv6 packets.
    pub v6: Impairment,
}

/// What one direction of a line does to the packets of one family.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Impairment {
    /// Constant one-way delay.
    pub delay: Duration,
    /// Uniformly distributed on top of the delay, 0 to this; does not reorder by itself.
    pub jitter: Duration,
    /// Share of packets lost, 0..1.
    pub loss: f64,
    /// Share of packets that arrive twice, 0..1.
    pub duplicate: f64,
    /// Share of packets that skip the delay and so overtake others, 0..1.
    pub reorder: f64,
    /// Largest IP packet in bytes; a larger one causes Packet Too Big / Fragmentation Needed. `None`: 1500.
    pub mtu: Option<u16>,
}

/// A host: a network namespace and a mount namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Its name in the world file, also its host name.
    pub name: String,
    /// One interface for each network it is in; the first one carries the default routes.
    pub interfaces: Vec<Interface>,
    /// What `/etc/resolv.conf` lists as `nameserver`.
    pub nameservers: Vec<IpAddr>,
    /// `search` domains of `/etc/resolv.conf`.
    pub search: Vec<String>,
    /// Further lines for `/etc/hosts`: address and names.
    pub hosts_file: Vec<(IpAddr, Vec<String>)>,
    /// `net.*` sysctls set inside the namespace, such as `net.ipv6.conf.all.disable_ipv6: 1`.
    pub sysctls: BTreeMap<String, String>,
    /// Commands run inside the host before its services start, as root of the namespace; each must exit 0.
    pub setup: Vec<Vec<String>>,
    /// The services, by name.
    pub services: Vec<Service>,
}

/// A host's place in a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    /// The network.
    pub network: NetworkId,
    /// Its addresses there, each inside one of the network's prefixes.
    pub addresses: Vec<IpAddr>,
    /// The line between host and network.
    pub link: Link,
    /// Addresses left in the state "duplicate address detection failed".
    pub dad_failed: Vec<Ipv6Addr>,
}

/// A filter at a network's router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filter {
    /// At which network's router.
    pub at: NetworkId,
    /// Which way the packet goes.
    pub direction: FilterDirection,
    /// Only this family.
    pub family: Option<Family>,
    /// Only this protocol.
    pub protocol: Option<Protocol>,
    /// Only TCP or UDP packets *to* this port.
    pub to_port: Option<u16>,
    /// Only TCP or UDP packets *from* this port (replies of a service).
    pub from_port: Option<u16>,
    /// Only from one of these; empty is any.
    pub from: Vec<Prefix>,
    /// Only to one of these; empty is any.
    pub to: Vec<Prefix>,
    /// Only packets larger than this many bytes of IP packet, counted per real segment.
    pub larger_than: Option<u16>,
    /// Only fragments.
    pub fragments: bool,
    /// What happens to the packet.
    pub action: FilterAction,
}

/// Which way a filter looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilterDirection {
    /// From the core into the network.
    In,
    /// From the network to the core.
    Out,
    /// Either.
    Both,
}

/// A protocol that filters know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP or ICMPv6, all types.
    Icmp,
    /// Only echo request and echo reply of ICMP or ICMPv6.
    Echo,
}

/// What a filter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilterAction {
    /// Let it through (an exception before a wider rule).
    Accept,
    /// Nothing comes back.
    Drop,
    /// A TCP reset in the destination's name; other protocols get port unreachable.
    Reset,
    /// ICMP communication administratively prohibited (ICMPv6 1/1, ICMP 3/13).
    Prohibit,
    /// ICMP no route to destination (ICMPv6 1/0, ICMP 3/0).
    NoRoute,
    /// Drops Packet Too Big and Fragmentation Needed, whatever the other conditions say of ports.
    SwallowPacketTooBig,
}

/// A DNS zone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Zone {
    /// The apex, lower case with the final dot: `lab.test.`.
    pub apex: String,
    /// Hosts whose built-in authoritative service serves it; may be empty when an `exec:` server does.
    pub servers: Vec<HostId>,
    /// Its records, in order.
    pub records: Vec<ZoneRecord>,
}

/// One record of a zone, in presentation format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneRecord {
    /// Absolute owner with the final dot, lower case.
    pub owner: String,
    /// Seconds.
    pub ttl: u32,
    /// `AAAA`, `HTTPS`, ...
    pub rtype: String,
    /// The rest, in master-file syntax, names absolute.
    pub rdata: String,
}

/// What a name server does to some questions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DnsRule {
    /// On which hosts; empty is every built-in name server.
    pub at: Vec<HostId>,
    /// Only this name (lower case, final dot) or, with a leading `*.`, the names below.
    pub name: Option<String>,
    /// Only these types; empty is every type.
    pub types: Vec<String>,
    /// Only over this transport.
    pub transport: Option<DnsTransport>,
    /// Only questions that arrive over this family.
    pub family: Option<Family>,
    /// Only questions from one of these; empty is any.
    pub from: Vec<Prefix>,
    /// Waits this long before it does what `reply` says.
    pub delay: Duration,
    /// What it answers.
    pub reply: DnsReply,
}

/// Transports that a DNS rule can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DnsTransport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
}

/// What a name server answers to a question that a rule matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DnsReply {
    /// The usual answer (a rule with only a delay).
    Answer,
    /// Silence.
    Drop,
    /// SERVFAIL.
    Servfail,
    /// NXDOMAIN with the zone's SOA.
    Nxdomain,
    /// REFUSED.
    Refused,
    /// NOERROR without answers, with the zone's SOA.
    Nodata,
    /// FORMERR.
    Formerr,
    /// The usual answer cut to nothing with TC set; over TCP the usual answer.
    Truncate,
    /// Bytes that are no DNS message.
    Garbage,
}

/// A service on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its name in the world file.
    pub name: String,
    /// What it is.
    pub kind: ServiceKind,
    /// Addresses to listen on; empty is all of the host's addresses, with one socket a family.
    pub listen: Vec<IpAddr>,
    /// One `[::]` socket takes IPv4 too (as mapped addresses); otherwise one socket a family.
    pub dual_socket: bool,
    /// Families it listens on.
    pub families: Vec<Family>,
    /// The port.
    pub port: u16,
    /// How it behaves towards IPv4 clients.
    pub v4: Face,
    /// How it behaves towards IPv6 clients.
    pub v6: Face,
    /// `exec:` only.
    pub exec: Option<Exec>,
    /// `dns-recursive` only.
    pub recursive: Option<Recursive>,
}

/// The built-in services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceKind {
    /// HTTP/1.1.
    Http,
    /// HTTP/1.1 and HTTP/2 over TLS with a certificate of the lab's CA.
    Https,
    /// A QUIC endpoint with ALPN `h3` that completes handshakes.
    Quic,
    /// Sends back what it gets.
    Echo,
    /// Accepts TCP and then says nothing.
    Silent,
    /// A mail server's banner and EHLO.
    Smtp,
    /// The zones of the world.
    DnsAuthoritative,
    /// A caching resolver that asks from the root down.
    DnsRecursive,
    /// Any program.
    Exec,
}

/// How a service behaves towards the clients of one family.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Face {
    /// The pages by path.
    pub pages: BTreeMap<String, Page>,
    /// The `Server` header.
    pub server: String,
    /// Other headers of every response (`Alt-Svc`).
    pub headers: BTreeMap<String, String>,
    /// Names in the certificate; empty is the names of the world's `www` service.
    pub certificate: Vec<String>,
    /// ALPN protocols offered.
    pub alpn: Vec<String>,
    /// Highest TLS version: 1.2 or 1.3.
    pub tls_max: TlsVersion,
    /// Where it falls silent.
    pub stall: Option<Stall>,
    /// How long it waits before the first byte of each response.
    pub delay: Duration,
    /// Answers 403 to clients whose address it sees as `::ffff:a.b.c.d`: an ACL that knows only plain IPv4.
    pub deny_mapped: bool,
    /// The name in the SMTP banner and in the answer to EHLO.
    pub banner: String,
}

/// TLS versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V13,
}

/// Where a service falls silent after accepting a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stall {
    /// At once: not even a TLS ServerHello or an SMTP banner.
    Handshake,
    /// After the request.
    Response,
}

/// A page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// The body.
    pub body: String,
    /// Pads the body with an HTML comment up to this many bytes; 0 is no padding.
    pub size: usize,
    /// `Location`, for redirects.
    pub location: Option<String>,
}

/// A program as a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exec {
    /// Program and arguments; `{dir}` is a private directory that holds `files` and vanishes with the lab,
    /// `{cert}`, `{key}` and `{ca}` are files of a certificate of the lab's CA for `certificate`.
    pub command: Vec<String>,
    /// Files written into `{dir}`; the same placeholders hold inside.
    pub files: BTreeMap<String, String>,
    /// Names in the certificate.
    pub certificate: Vec<String>,
    /// Ready when a TCP connection to this port of each listening address succeeds; `None`: at once.
    pub ready_port: Option<u16>,
    /// Give up waiting after this long.
    pub ready_within: Duration,
}

/// A recursive resolver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recursive {
    /// Addresses of root servers; a resolver without IPv4 skips those of IPv4, and so on.
    pub root: Vec<IpAddr>,
    /// Synthesises AAAA under this /96 for names that have only A (RFC 6147).
    pub dns64: Option<Ipv6Addr>,
    /// Keeps answers for their TTL.
    pub cache: bool,
    /// Also answers DNS over HTTPS at `https://<first name>/dns-query` on port 443.
    pub doh: Option<String>,
}

/// How `check` is called in a world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckPlan {
    /// On which host.
    pub host: HostId,
    /// The target, `www.lab.test` in most worlds.
    pub target: String,
    /// Further arguments. `{self}` stands for the path of the `twinstack` binary.
    pub arguments: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_contains_only_its_own_family_and_range() {
        let check = |prefix: &str, length, address: &str, expected| {
            let prefix = Prefix {
                address: prefix.parse().unwrap(),
                length,
            };
            assert_eq!(
                prefix.contains(address.parse().unwrap()),
                expected,
                "{prefix:?} {address}"
            );
        };
        check("192.0.2.0", 24, "192.0.2.255", true);
        check("192.0.2.0", 24, "192.0.3.0", false);
        check("0.0.0.0", 0, "203.0.113.9", true);
        check("::", 0, "203.0.113.9", false);
        check("::", 0, "2e00::1", true);
        check("2e00:5::", 64, "2e00:5:0:1::", false);
        check("2e00:5::80", 128, "2e00:5::80", true);
    }
}
