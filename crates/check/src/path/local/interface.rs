//! Addresses with their flags, and the neighbour table, from the kernel's routing netlink.

#![warn(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::arithmetic_side_effects
)]

use super::netlink::{self, attribute, attributes};
use crate::path::wire::array;
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `NETLINK_ROUTE` and the requests of `linux/rtnetlink.h`.
const PROTOCOL: i32 = 0;
const GET_LINK: u16 = 18;
const GET_ADDRESS: u16 = 22;
const GET_NEIGHBOUR: u16 = 30;
const GET_NEIGHBOUR_TABLE: u16 = 66;

/// Flags of `linux/if_addr.h`.
const OPTIMISTIC: u32 = 0x04;
const DAD_FAILED: u32 = 0x08;
const TENTATIVE: u32 = 0x40;

/// `NUD_NOARP`: multicast and loopback, which need no neighbour.
const NO_ARP: u16 = 0x40;
/// `NTF_EXT_LEARNED`: entries that a control plane installs and that the kernel's limit does not count.
const LEARNED: u8 = 0x10;

/// An address of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::path) struct HostAddress {
    pub(in crate::path) address: IpAddr,
    pub(in crate::path) interface: String,
    /// Duplicate address detection found another holder.
    pub(in crate::path) dad_failed: bool,
    /// Duplicate address detection is not finished, and the address not usable before.
    pub(in crate::path) tentative: bool,
}

/// How full the IPv6 neighbour table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::path) struct Neighbours {
    pub(in crate::path) entries: usize,
    /// `gc_thresh3`: no further entry beyond this.
    pub(in crate::path) limit: usize,
}

/// Every address of every interface.
pub(super) fn addresses() -> io::Result<Vec<HostAddress>> {
    let links = netlink::dump(PROTOCOL, GET_LINK, &[0; 16])?;
    let names: BTreeMap<u32, String> = links
        .iter()
        .filter_map(|(_, payload)| link(payload))
        .collect();
    let answers = netlink::dump(PROTOCOL, GET_ADDRESS, &[0; 8])?;
    Ok(answers
        .iter()
        .filter_map(|(_, payload)| address(payload, &names))
        .collect())
}

/// The IPv6 neighbour table of this network namespace.
pub(super) fn neighbours() -> io::Result<Neighbours> {
    let v6 = u8::try_from(libc::AF_INET6).unwrap_or(10);
    let answers = netlink::dump(
        PROTOCOL,
        GET_NEIGHBOUR,
        &[v6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    )?;
    let entries = answers
        .iter()
        .filter(|(_, payload)| is_counted(payload))
        .count();
    let tables = netlink::dump(PROTOCOL, GET_NEIGHBOUR_TABLE, &[v6, 0, 0, 0])?;
    let limit = tables.iter().find_map(|(_, payload)| limit(payload));
    let limit = limit.ok_or_else(|| io::Error::other("the kernel names no limit"))?;
    Ok(Neighbours { entries, limit })
}

/// `struct ifinfomsg`: the index, and `IFLA_IFNAME`.
fn link(payload: &[u8]) -> Option<(u32, String)> {
    let index = u32::from_ne_bytes(array(payload, 4)?);
    let attributes = attributes(payload.get(16..)?);
    Some((index, text(attribute(&attributes, 3)?)))
}

/// `struct ifaddrmsg`, `IFA_ADDRESS` or `IFA_LOCAL`, `IFA_FLAGS`.
fn address(payload: &[u8], names: &BTreeMap<u32, String>) -> Option<HostAddress> {
    let attributes = attributes(payload.get(8..)?);
    // On point-to-point links `IFA_ADDRESS` is the other end.
    let value = attribute(&attributes, 2).or_else(|| attribute(&attributes, 1))?;
    let address = match i32::from(*payload.first()?) {
        libc::AF_INET => Ipv4Addr::from(array::<4>(value, 0)?).into(),
        libc::AF_INET6 => Ipv6Addr::from(array::<16>(value, 0)?).into(),
        _ => return None,
    };
    let short = payload.get(2).copied().map(u32::from);
    let flags = attribute(&attributes, 8)
        .and_then(|value| array(value, 0))
        .map(u32::from_ne_bytes)
        .or(short)?;
    let index = u32::from_ne_bytes(array(payload, 4)?);
    Some(HostAddress {
        address,
        interface: names
            .get(&index)
            .cloned()
            .unwrap_or_else(|| format!("interface {index}")),
        dad_failed: flags & DAD_FAILED != 0,
        tentative: flags & TENTATIVE != 0 && flags & OPTIMISTIC == 0,
    })
}

/// `struct ndmsg`: whether the entry takes a place in the table.
///
/// Deviation: the kernel's limit leaves out permanent entries too. Whoever fills the table by hand has the same trouble at the
/// next hand-made step, and a table of a thousand permanent entries is worth a look.
fn is_counted(payload: &[u8]) -> bool {
    let state = array(payload, 8).map(u16::from_ne_bytes);
    let flags = payload.get(10);
    state.is_some_and(|state| state & NO_ARP == 0)
        && flags.is_some_and(|flags| flags & LEARNED == 0)
}

/// `NDTA_THRESH3` of the table `ndisc_cache`.
fn limit(payload: &[u8]) -> Option<usize> {
    let attributes = attributes(payload.get(4..)?);
    if text(attribute(&attributes, 1)?) != "ndisc_cache" {
        return None;
    }
    usize::try_from(u32::from_ne_bytes(array(attribute(&attributes, 4)?, 0)?)).ok()
}

fn text(value: &[u8]) -> String {
    let end = value
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(value.len());
    String::from_utf8_lossy(value.get(..end).unwrap_or_default()).into_owned()
}

/// Reads any bytes as each of the answers.
pub(super) fn fuzz(payload: &[u8]) {
    if let Some((index, name)) = link(payload) {
        let names = BTreeMap::from([(index, name)]);
        assert!(address(payload, &names).is_none_or(|address| !address.interface.contains('\0')));
    }
    let short = payload.len() < 12;
    assert!(!(short && is_counted(payload)) || payload.len() == 11);
    assert!(limit(payload).is_none_or(|limit| limit <= 0xffff_ffff));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attribute_bytes(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = u16::try_from(value.len().saturating_add(4))
            .unwrap()
            .to_ne_bytes()
            .to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn v6_address(flags: u32) -> Vec<u8> {
        let octets = "2e00:5::80".parse::<Ipv6Addr>().unwrap().octets();
        let mut payload = vec![10, 64, 0, 0];
        payload.extend(2_u32.to_ne_bytes());
        payload.extend(attribute_bytes(1, &octets));
        payload.extend(attribute_bytes(8, &flags.to_ne_bytes()));
        payload
    }

    #[test]
    fn flags_of_an_address_are_told_apart() {
        let names = BTreeMap::from([(2, "eth0".to_owned())]);
        let check = |flags, dad_failed, tentative| {
            let found = address(&v6_address(flags), &names).unwrap();
            assert_eq!(
                (found.interface.as_str(), found.dad_failed, found.tentative),
                ("eth0", dad_failed, tentative)
            );
        };
        check(0x80, false, false);
        check(TENTATIVE, false, true);
        check(TENTATIVE | DAD_FAILED, true, true);
        check(TENTATIVE | OPTIMISTIC, false, false);
    }

    #[test]
    fn the_loopback_is_among_the_own_addresses() {
        let found = addresses().unwrap();
        let loopback = found
            .iter()
            .find(|found| found.address == IpAddr::from(Ipv4Addr::LOCALHOST));
        assert_eq!(loopback.map(|found| found.interface.as_str()), Some("lo"));
    }

    #[test]
    fn the_kernel_names_the_limit_of_its_table() {
        let found = neighbours().unwrap();
        assert!(
            found.limit >= 128 && found.entries <= found.limit * 10,
            "{found:?}"
        );
    }

    #[test]
    fn entries_that_need_no_neighbour_do_not_count() {
        let entry = |state: u16, flags: u8| {
            let mut payload = vec![10, 0, 0, 0, 2, 0, 0, 0];
            payload.extend(state.to_ne_bytes());
            payload.extend([flags, 1]);
            is_counted(&payload)
        };
        assert!(entry(0x02, 0) && entry(0x80, 0));
        assert!(!entry(NO_ARP, 0) && !entry(0x02, LEARNED));
        assert!(!is_counted(&[10, 0]));
    }

    #[test]
    fn cut_messages_are_nothing() {
        let whole = v6_address(0);
        for length in 0..whole.len() - 8 {
            assert_eq!(address(&whole[..length], &BTreeMap::new()), None);
        }
        assert_eq!(link(&[0; 20]), None);
        assert_eq!(limit(&[0; 3]), None);
    }
}
