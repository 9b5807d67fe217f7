//! Where a name's addresses come from: the DNS, unless this machine knows better.
//!
//! A check looks where the programs of this machine would go, and says so whenever that is not what the DNS says. Three
//! things come before the DNS: names that always mean this machine (RFC 6761), the hosts file, and for short names the
//! search list of `resolv.conf`.

use crate::names::{Asker, ServerId, fresh};
use crate::options::Options;
use futures_util::future::join_all;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use twinstack_dns::hosts::HostsFile;
use twinstack_dns::resolv_conf::ResolvConf;
use twinstack_dns::{Name, Rcode, RecordType};
use twinstack_finding::Skipped;

/// The one of this machine.
pub(crate) const HOSTS_FILE: &str = "/etc/hosts";

/// libcs try so many search domains.
const SEARCH: usize = 6;

/// Where to get the addresses from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From the DNS.
    Dns,
    /// Not from the DNS: these.
    Known(Vec<IpAddr>),
}

/// An origin and what has to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) origin: Origin,
    pub(crate) notes: Vec<String>,
}

/// Decides for one name.
pub(crate) fn settle(name: &Name, options: &Options, hosts: &HostsFile) -> Settled {
    let known = |addresses: Vec<IpAddr>, note: String| Settled {
        origin: Origin::Known(addresses),
        notes: vec![note],
    };
    if is_localhost(name) {
        let addresses = vec![
            IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V4(Ipv4Addr::LOCALHOST),
        ];
        let note = format!("`{name}` is this machine (RFC 6761); the DNS was not asked");
        return known(addresses, note);
    }
    let mut settled = Settled {
        origin: Origin::Dns,
        notes: Vec::new(),
    };
    let addresses = hosts.addresses(name);
    if addresses.is_empty() {
        return settled;
    }
    let list: Vec<String> = addresses.iter().map(|it| format!("`{it}`")).collect();
    let list = list.join(", ");
    // Many distributions write a machine's own full name beside 127.0.1.1; that is no word about the service.
    let own_name = name.label_count() > 1 && addresses.iter().all(IpAddr::is_loopback);
    let asked_for_dns = !options.resolvers.is_empty() || !options.doh.is_empty();
    let why = if options.local {
        "with `--local` what others are told counts"
    } else if asked_for_dns {
        "resolvers were named"
    } else if own_name {
        "that is only this machine's name for itself"
    } else {
        let note = format!(
            "the addresses of `{name}` are from the hosts file (`{HOSTS_FILE}`), not DNS: {list}; nothing was asked about \
             them in the DNS, which `--dns SERVER` does"
        );
        return known(addresses, note);
    };
    settled.notes.push(format!(
        "`{HOSTS_FILE}` has {list} for `{name}`, so programs here go there; the DNS was asked all the same, because {why}"
    ));
    settled
}

/// `localhost` and all names below it ([RFC 6761, section 6.3](https://www.rfc-editor.org/rfc/rfc6761#section-6.3)).
fn is_localhost(name: &Name) -> bool {
    name.labels()
        .next_back()
        .is_some_and(|last| last.eq_ignore_ascii_case(b"localhost"))
}

/// This machine's hosts file. One that is not there is an empty one.
pub(crate) fn hosts_file(skipped: &mut Vec<Skipped>) -> HostsFile {
    match std::fs::read(HOSTS_FILE) {
        Ok(octets) => HostsFile::parse(&String::from_utf8_lossy(&octets)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => HostsFile::default(),
        Err(error) => {
            skipped.push(Skipped {
                what: format!("the hosts file `{HOSTS_FILE}`"),
                why: error.to_string(),
            });
            HostsFile::default()
        }
    }
}

/// The name that the search list makes of a short one, and a note; `None` if it is to be asked for as it is.
///
/// As in every libc, a name with fewer dots than `ndots` is tried below each domain of the list first, and a final dot
/// switches that off.
pub(crate) async fn complete(
    asker: &Asker,
    resolvers: &[ServerId],
    conf: &ResolvConf,
    name: &Name,
    written: &str,
) -> Option<(Name, String)> {
    let dots = name.label_count().saturating_sub(1);
    if dots >= usize::from(conf.ndots) || is_absolute(written, name) {
        return None;
    }
    let candidates: Vec<Name> = conf
        .search
        .iter()
        .take(SEARCH)
        .filter(|domain| !domain.is_root())
        .filter_map(|domain| Name::parse(&format!("{name}.{domain}")).ok())
        .collect();
    let found = join_all(candidates.into_iter().map(|candidate| async move {
        let lookup = fresh::first(asker, resolvers, &candidate, RecordType::A).await?;
        let exists = lookup.reply()?.rcode == Rcode::NOERROR;
        exists.then_some(candidate)
    }))
    .await;
    let found = found.into_iter().flatten().next()?;
    let note = format!(
        "`{name}` is short: the search list of `/etc/resolv.conf` makes `{found}` of it, and that is what the DNS was asked"
    );
    Some((found, note))
}

/// Whether the user wrote the final dot.
fn is_absolute(written: &str, name: &Name) -> bool {
    let written = written.split_once("://").map_or(written, |(_, rest)| rest);
    written
        .to_ascii_lowercase()
        .split_once(&name.to_string().to_ascii_lowercase())
        .is_some_and(|(_, rest)| rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Target;

    const FILE: &str =
        "127.0.0.1 localhost\n127.0.1.1 box.lab.test box\n2e00:5::80 www.lab.test www\n";

    fn check(target: &str, change: impl FnOnce(&mut Options), expected: &[&str], note: &str) {
        let target = Target::parse(target).unwrap();
        let name = Name::parse(target.host.name().unwrap()).unwrap();
        let mut options = Options::new(target);
        change(&mut options);
        let settled = settle(&name, &options, &HostsFile::parse(FILE));
        let expected: Vec<IpAddr> = expected.iter().map(|text| text.parse().unwrap()).collect();
        let found = match settled.origin {
            Origin::Dns => Vec::new(),
            Origin::Known(addresses) => addresses,
        };
        assert_eq!(found, expected, "{name}");
        let notes = settled.notes.join("\n");
        assert!(notes.contains(note), "{notes}");
        assert_eq!(settled.notes.is_empty(), note.is_empty(), "{notes}");
    }

    #[test]
    fn localhost_is_this_machine_whatever_anybody_says() {
        let dns = |options: &mut Options| options.resolvers.push("127.0.0.1:9".parse().unwrap());
        for name in ["localhost", "LOCALHOST.", "app.localhost:3000"] {
            check(name, |_| {}, &["::1", "127.0.0.1"], "RFC 6761");
            check(name, dns, &["::1", "127.0.0.1"], "RFC 6761");
        }
        check("localhost.lab.test", |_| {}, &[], "");
    }

    #[test]
    fn the_hosts_file_comes_before_the_dns_and_is_named() {
        let said = "from the hosts file (`/etc/hosts`), not DNS";
        check("www.lab.test", |_| {}, &["2e00:5::80"], said);
        check("https://WWW/", |_| {}, &["2e00:5::80"], said);
        check("other.lab.test", |_| {}, &[], "");
    }

    #[test]
    fn whoever_names_resolvers_or_looks_at_a_server_wants_the_dns() {
        let resolver = |options: &mut Options| {
            options.resolvers.push("192.0.2.53:53".parse().unwrap());
        };
        let doh = |options: &mut Options| options.doh.push("https://dns.test/".to_owned());
        let local = |options: &mut Options| options.local = true;
        check("www.lab.test", resolver, &[], "resolvers were named");
        check("www.lab.test", doh, &[], "resolvers were named");
        check("www.lab.test", local, &[], "--local");
    }

    #[test]
    fn a_machines_name_for_itself_is_no_service() {
        check(
            "box.lab.test",
            |_| {},
            &[],
            "this machine's name for itself",
        );
        check("box", |_| {}, &["127.0.1.1"], "not DNS");
    }

    #[test]
    fn a_final_dot_is_seen_in_every_way_to_write_a_target() {
        let name = Name::parse("www").unwrap();
        for (written, expected) in [
            ("www", false),
            ("www.", true),
            ("WWW.:443", true),
            ("https://www./a.b", true),
            ("https://www/a.b", false),
            ("https://www/www.b", false),
            ("www:443", false),
        ] {
            assert_eq!(is_absolute(written, &name), expected, "{written}");
        }
    }
}
