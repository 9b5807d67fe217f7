//! Who listens on what: `host.not-listening-v6`, `v6only-surprise`, `mapped-address-acl`.

use super::Host;
use crate::codes::finding;
use crate::path::Family;
use crate::path::local::Listener;
use crate::path::observation::PortObservation;
use crate::path::rule::view::Excuses;
use crate::path::rule::{Judgement, evidence};
use crate::path::words::{list, ports};
use std::net::IpAddr;
use twinstack_finding::{Evidence, Skipped};

pub(super) fn judge(host: &Host<'_>, judgement: &mut Judgement, excuses: &mut Excuses) {
    let listeners = match &host.local.listeners {
        Ok(listeners) => listeners,
        Err(why) => {
            judgement.skipped.push(Skipped {
                what: "the host's listeners".to_owned(),
                why: why.clone(),
            });
            return;
        }
    };
    let here = |port: u16| Here {
        port,
        listeners: listeners
            .iter()
            .filter(|listener| listener.port == port && !listener.address.is_loopback())
            .collect(),
    };
    let among: Vec<Here<'_>> = host.plan.ports.iter().copied().map(here).collect();
    not_on_v6(host, &among, judgement, excuses);
    only_on_v6(host, &among, judgement, excuses);
    mapped(host, &among, judgement, excuses);
}

/// The listeners of one port.
struct Here<'a> {
    port: u16,
    listeners: Vec<&'a Listener>,
}

impl Here<'_> {
    /// A socket of both families.
    fn dual(&self) -> Option<&Listener> {
        let mut any = self.listeners.iter().copied();
        any.find(|listener| {
            listener.address.is_ipv6() && listener.address.is_unspecified() && !listener.v6_only
        })
    }

    fn v4_socket(&self) -> bool {
        self.listeners
            .iter()
            .any(|listener| listener.address.is_ipv4())
    }

    fn serves_v4(&self) -> bool {
        self.v4_socket() || self.dual().is_some()
    }

    /// Which of the target's IPv6 addresses nobody listens on.
    fn missing_v6(&self, own: &[IpAddr]) -> bool {
        let v6 = || {
            self.listeners
                .iter()
                .filter(|listener| listener.address.is_ipv6())
        };
        if v6().any(|listener| listener.address.is_unspecified()) {
            return false;
        }
        // Where the host does not hold the target's addresses, somebody in front translates them.
        if own.is_empty() {
            v6().next().is_none()
        } else {
            own.iter()
                .any(|own| !v6().any(|listener| listener.address == *own))
        }
    }

    fn words(&self) -> String {
        let show = |listener: &&Listener| {
            let port = self.port;
            let v6_only = if listener.v6_only { " (v6only)" } else { "" };
            match listener.address {
                IpAddr::V4(address) => format!("{address}:{port}"),
                IpAddr::V6(address) => format!("[{address}]:{port}{v6_only}"),
            }
        };
        let words = list(self.listeners.iter().map(show));
        if words.is_empty() {
            format!("nothing on port {}", self.port)
        } else {
            words
        }
    }

    fn line(&self, host: &Host<'_>) -> Evidence {
        host.line(
            &format!("listed the listeners of port {}", self.port),
            self.words(),
        )
    }
}

fn not_on_v6(
    host: &Host<'_>,
    among: &[Here<'_>],
    judgement: &mut Judgement,
    excuses: &mut Excuses,
) {
    if !host.wants_v6() || excuses.families.contains(&Family::V6) {
        return;
    }
    let own = host.own(Family::V6);
    let missing: Vec<&Here<'_>> = among
        .iter()
        .filter(|here| here.serves_v4() && here.missing_v6(&own))
        .collect();
    if missing.is_empty() {
        return;
    }
    let names = ports(missing.iter().map(|here| here.port));
    let have = if missing.len() == 1 { "has" } else { "have" };
    excuses
        .closed
        .extend(missing.iter().map(|here| (Family::V6, here.port)));
    judgement.findings.push(finding(
        "host.not-listening-v6",
        names.clone(),
        format!("{names} {have} a listener on IPv4 and none on the IPv6 address: every IPv6 client is refused"),
        missing.iter().map(|here| here.line(host)).collect(),
        format!("let the service listen on `[::]:{}` as well (nginx: `listen [::]:{0};` in every server block) and see with `ss -ltn`", missing.first().map_or(443, |here| here.port)),
    ));
}

fn only_on_v6(
    host: &Host<'_>,
    among: &[Here<'_>],
    judgement: &mut Judgement,
    excuses: &mut Excuses,
) {
    let surprised: Vec<&Here<'_>> = among
        .iter()
        .filter(|here| {
            let any = |listener: &&&Listener| {
                listener.address.is_ipv6() && listener.address.is_unspecified()
            };
            !here.serves_v4() && here.listeners.iter().any(|listener| any(&listener))
        })
        .collect();
    if surprised.is_empty() || !host.has(Family::V4) {
        return;
    }
    let names = ports(surprised.iter().map(|here| here.port));
    excuses
        .closed
        .extend(surprised.iter().map(|here| (Family::V4, here.port)));
    let mut support: Vec<Evidence> = surprised.iter().map(|here| here.line(host)).collect();
    if let Some(bind) = host.local.switches.bind_v6_only {
        support.push(host.line("read net.ipv6.bindv6only", u8::from(bind).to_string()));
    }
    judgement.findings.push(finding(
        "host.v6only-surprise",
        names.clone(),
        format!("the listener of {names} is on `[::]` with IPV6_V6ONLY, nothing listens on IPv4, and an A record sends IPv4 clients here"),
        support,
        format!("listen on both families by name (nginx: `listen {0};` beside `listen [::]:{0};`), or set `sysctl -w net.ipv6.bindv6only=0` and restart the service", surprised.first().map_or(443, |here| here.port)),
    ));
}

/// The same request over both families, through one socket.
fn mapped(host: &Host<'_>, among: &[Here<'_>], judgement: &mut Judgement, excuses: &mut Excuses) {
    let statuses = |family: Family, port: u16| -> Vec<(IpAddr, u16, Evidence)> {
        let of = host
            .seen
            .addresses
            .iter()
            .filter(|address| address.family() == family);
        of.filter_map(|address| {
            let seen: &PortObservation = address.port(port)?;
            let status = seen.page()?.status;
            let did = format!(
                "requested `{}` from {} port {port}",
                host.plan.path,
                address.label()
            );
            Some((
                address.address,
                status,
                evidence(did, format!("status {status}"), seen.connect.at),
            ))
        })
        .collect()
    };
    let mut denied = Vec::new();
    let mut support = Vec::new();
    for here in among
        .iter()
        .filter(|here| here.dual().is_some() && !here.v4_socket())
    {
        let (v4, v6) = (
            statuses(Family::V4, here.port),
            statuses(Family::V6, here.port),
        );
        let refused = |status: u16| matches!(status, 401 | 403);
        let all_refused = !v4.is_empty() && v4.iter().all(|(_, status, _)| refused(*status));
        let all_served =
            !v6.is_empty() && v6.iter().all(|(_, status, _)| (200..400).contains(status));
        if all_refused && all_served {
            denied.push(here.port);
            support.push(here.line(host));
            support.extend(v4.into_iter().chain(v6).map(|(_, _, line)| line));
        }
    }
    let Some(first) = denied.first() else { return };
    excuses.answers.extend(denied.iter().copied());
    judgement.findings.push(finding(
        "host.mapped-address-acl",
        ports(&denied),
        format!("the `[::]` socket of {} shows IPv4 clients as `::ffff:a.b.c.d`, and an access list that does not know that form denies them", ports(&denied)),
        support,
        format!("use one socket a family (nginx: `listen {first};` and `listen [::]:{first} ipv6only=on;`), or write the list with `::ffff:0:0/96` in it"),
    ));
}
