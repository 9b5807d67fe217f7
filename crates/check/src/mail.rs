//! A mail domain: its exchangers, what its SPF record says of them, and by which name they introduce themselves.
//!
//! [`collect`] asks and connects; [`judge`] is pure and owns the `mail.*` codes. The names of the exchangers themselves
//! are judged by [`names`](crate::names), their ports by `path`.

mod collect;
pub(crate) mod smtp;
pub(crate) mod spf;

pub(crate) use collect::{Mail, banners, exchanges, policy};
pub(crate) use smtp::Banner;

use crate::codes::finding;
use crate::names::{Fresh, Judgement, Lookup, Server, evidence};
use spf::{Resolved, SpfResult};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use twinstack_dns::{Name, RecordType};
use twinstack_finding::{Evidence, Finding, Severity, Skipped};

/// What is known of a mail domain.
#[derive(Clone, Debug)]
pub(crate) struct MailObservation {
    pub(crate) domain: Name,
    pub(crate) exchanges: Exchanges,
    pub(crate) hosts: Vec<Host>,
    pub(crate) spf: Resolved,
    /// The question for the domain's TXT records.
    pub(crate) txt: Option<Lookup>,
    pub(crate) banners: Vec<Banner>,
    /// The addresses of the names in the banners.
    pub(crate) forward: Vec<(Name, Fresh)>,
}

/// Who takes mail for a domain.
#[derive(Clone, Debug)]
pub(crate) enum Exchanges {
    /// The hosts of its MX records, the preferred first.
    Mx {
        hosts: Vec<(u16, Name)>,
        lookup: Lookup,
    },
    /// No MX record: the domain itself ([RFC 5321, section 5.1](https://www.rfc-editor.org/rfc/rfc5321#section-5.1)).
    Implicit { lookup: Lookup },
    /// `0 .`: nobody ([RFC 7505](https://www.rfc-editor.org/rfc/rfc7505)).
    Null { lookup: Lookup },
    /// The domain does not exist.
    NoSuchName { lookup: Lookup },
    /// The question failed.
    Unknown { lookup: Option<Lookup> },
}

impl Exchanges {
    pub(crate) const fn lookup(&self) -> Option<&Lookup> {
        match self {
            Self::Mx { lookup, .. }
            | Self::Implicit { lookup }
            | Self::Null { lookup }
            | Self::NoSuchName { lookup } => Some(lookup),
            Self::Unknown { lookup } => lookup.as_ref(),
        }
    }
}

/// A mail exchanger and its addresses.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) name: Name,
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// Whether the question for its AAAA was answered properly by anybody.
    pub(crate) v6_known: bool,
    /// The questions for its AAAA, as evidence.
    pub(crate) asked: Vec<Evidence>,
}

impl Host {
    fn of_family(&self, v6: bool) -> impl Iterator<Item = IpAddr> {
        self.addresses
            .iter()
            .copied()
            .filter(move |address| address.is_ipv6() == v6)
    }
}

impl MailObservation {
    /// Every lookup, for the report.
    pub(crate) fn lookups(&self) -> Vec<Lookup> {
        let forward = self.forward.iter().flat_map(|(_, fresh)| fresh.lookups());
        self.exchanges
            .lookup()
            .into_iter()
            .chain(&self.txt)
            .chain(forward)
            .cloned()
            .collect()
    }
}

/// The `mail.*` codes.
pub(crate) fn judge(
    servers: &[Server],
    mail: &MailObservation,
    v4_only_is_fine: bool,
) -> Judgement {
    let mut judgement = Judgement::default();
    let domain = &mail.domain;
    match &mail.exchanges {
        Exchanges::Null { .. } => {
            judgement
                .notes
                .push(format!("`{domain}` says that it takes no mail (null MX)"));
            return judgement;
        }
        // The verdict says it, and there is nothing to judge.
        Exchanges::NoSuchName { .. } => return judgement,
        Exchanges::Implicit { .. } => judgement.notes.push(format!(
            "`{domain}` has no MX; its own addresses take the mail"
        )),
        Exchanges::Unknown { lookup } => {
            let why = lookup.as_ref().map_or_else(
                || "no resolver to ask".to_owned(),
                |lookup| format!("the question failed: {}", lookup.outcome_word()),
            );
            judgement.skipped.push(Skipped {
                what: format!("the mail exchangers of {domain}"),
                why,
            });
        }
        Exchanges::Mx { .. } => {}
    }
    if !v4_only_is_fine {
        no_v6(servers, mail, &mut judgement);
    }
    spf_covers_both(servers, mail, &mut judgement);
    introductions(servers, mail, &mut judgement);
    judgement
}

fn no_v6(servers: &[Server], mail: &MailObservation, judgement: &mut Judgement) {
    let with: Vec<&Host> = mail
        .hosts
        .iter()
        .filter(|host| host.of_family(true).next().is_some())
        .collect();
    let domain = &mail.domain;
    let Some(first) = mail.hosts.first() else {
        return;
    };
    if with.is_empty() {
        // One whose AAAA could not be asked for may have one.
        if mail.hosts.iter().any(|host| !host.v6_known) {
            return;
        }
        let mut supporting: Vec<Evidence> = mail
            .exchanges
            .lookup()
            .map(|lookup| evidence(servers, lookup))
            .into_iter()
            .collect();
        supporting.extend(
            mail.hosts
                .iter()
                .flat_map(|host| host.asked.iter().cloned()),
        );
        judgement.findings.push(finding(
            "mail.mx-no-v6",
            domain.to_string(),
            format!(
                "none of the {} mail exchangers of `{domain}` has an AAAA: senders without IPv4 cannot deliver",
                mail.hosts.len()
            ),
            supporting,
            format!(
                "once port 25 answers there: `{}. 300 IN AAAA 2001:db8::25` (with its address), its PTR, and `ip6:` in the SPF \
                 record",
                first.name
            ),
        ));
    } else {
        for host in &mail.hosts {
            if host.of_family(true).next().is_none() {
                judgement.notes.push(format!(
                    "the mail exchanger `{}` of `{domain}` has no AAAA, another one has",
                    host.name
                ));
            }
        }
    }
}

/// The same host passes over IPv4 and fails over IPv6.
fn spf_covers_both(servers: &[Server], mail: &MailObservation, judgement: &mut Judgement) {
    let domain = &mail.domain;
    match &mail.spf {
        Resolved::None => {
            judgement.notes.push(format!(
                "`{domain}` has no SPF record: the same for both families"
            ));
            return;
        }
        Resolved::Broken(error) => {
            judgement.notes.push(format!(
                "the SPF record of `{domain}` is unusable over either family: {error}"
            ));
            return;
        }
        Resolved::Unknown(why) => {
            judgement.skipped.push(Skipped {
                what: format!("the SPF record of {domain}"),
                why: why.clone(),
            });
            return;
        }
        Resolved::Policy(_) => {}
    }
    let mut uncovered: Vec<(IpAddr, IpAddr, spf::Outcome)> = Vec::new();
    for host in &mail.hosts {
        let Some(passing) = host
            .of_family(false)
            .find(|address| mail.spf.evaluate(*address).result == SpfResult::Pass)
        else {
            continue;
        };
        for address in host.of_family(true) {
            let outcome = mail.spf.evaluate(address);
            if !matches!(outcome.result, SpfResult::Fail | SpfResult::SoftFail) {
                continue;
            }
            if outcome.unknown.is_empty() {
                uncovered.push((address, passing, outcome));
            } else {
                judgement.skipped.push(Skipped {
                    what: format!("whether the SPF record of {domain} covers {address}"),
                    why: format!("it depends on {}", outcome.unknown.join(", ")),
                });
            }
        }
    }
    if !uncovered.is_empty() {
        judgement
            .findings
            .push(spf_no_v6(servers, mail, &uncovered));
    }
}

fn spf_no_v6(
    servers: &[Server],
    mail: &MailObservation,
    uncovered: &[(IpAddr, IpAddr, spf::Outcome)],
) -> Finding {
    let domain = &mail.domain;
    let mut supporting: Vec<Evidence> = mail
        .txt
        .iter()
        .map(|lookup| evidence(servers, lookup))
        .collect();
    let at = mail.txt.as_ref().map(|lookup| lookup.at);
    for (address, passing, outcome) in uncovered {
        let by = |outcome: &spf::Outcome| match outcome.by.as_str() {
            "" => String::new(),
            by => format!(" by `{by}`"),
        };
        let v4 = mail.spf.evaluate(*passing);
        supporting.push(Evidence {
            did: format!("evaluated the SPF record of {domain} for {passing} and for {address}"),
            saw: format!(
                "{}{} and {}{}",
                v4.result,
                by(&v4),
                outcome.result,
                by(outcome)
            ),
            at,
        });
    }
    let missing: Vec<String> = uncovered
        .iter()
        .map(|(address, ..)| format!("ip6:{address}"))
        .collect();
    let addresses: Vec<String> = uncovered
        .iter()
        .map(|(address, ..)| format!("`{address}`"))
        .collect();
    let mut found = finding(
        "mail.spf-no-v6",
        domain.to_string(),
        format!(
            "the SPF record of `{domain}` lets the mail server pass over IPv4, but not from {}",
            addresses.join(", ")
        ),
        supporting,
        format!(
            "add `{}` before the `all` of the SPF record of `{domain}`, or authorise the server by name with `mx` or `a:`",
            missing.join(" ")
        ),
    );
    // A soft failure is marked, not refused.
    if uncovered
        .iter()
        .all(|(_, _, outcome)| outcome.result == SpfResult::SoftFail)
    {
        found.severity = Severity::Warning;
    }
    found
}

/// The name in the greeting has to lead back to the address that it was spoken from
/// ([RFC 5321, section 4.1.1.1](https://www.rfc-editor.org/rfc/rfc5321#section-4.1.1.1)). It need not be the PTR's.
fn introductions(servers: &[Server], mail: &MailObservation, judgement: &mut Judgement) {
    let mut wrong: BTreeMap<String, Vec<(&Banner, Vec<Evidence>)>> = BTreeMap::new();
    for banner in &mail.banners {
        let Ok(introduction) = &banner.outcome else {
            continue;
        };
        let said = introduction.name().to_owned();
        let own = banner.evidence();
        match Name::parse(&said) {
            Ok(name) if name.label_count() >= 2 => {
                let rtype = if banner.address.is_ipv6() {
                    RecordType::AAAA
                } else {
                    RecordType::A
                };
                let Some(fresh) = mail
                    .forward
                    .iter()
                    .find(|(known, fresh)| *known == name && fresh.resolver.rtype == rtype)
                    .map(|(_, fresh)| fresh)
                else {
                    continue;
                };
                let lookup = fresh.best();
                let leads_back = |lookup: &Lookup| lookup.addresses().contains(&banner.address);
                if let Some(why) = crate::names::failure(lookup) {
                    judgement.skipped.push(Skipped {
                        what: format!("whether `{name}` leads back to {}", banner.address),
                        why: format!("the question failed: {why}"),
                    });
                } else if !fresh.said().iter().any(leads_back) {
                    wrong
                        .entry(said)
                        .or_default()
                        .push((banner, vec![own, evidence(servers, lookup)]));
                }
            }
            // `localhost`, an address literal, or nothing that is a name.
            _ => wrong.entry(said).or_default().push((banner, vec![own])),
        }
    }
    for (said, banners) in wrong {
        let addresses: Vec<String> = banners
            .iter()
            .map(|(banner, _)| format!("`{}`", banner.address))
            .collect();
        let host = banners
            .first()
            .map(|(banner, _)| banner.host.to_string())
            .unwrap_or_default();
        judgement.findings.push(finding(
            "mail.helo-mismatch",
            host.clone(),
            format!(
                "the mail server at {} introduces itself as `{said}`, which does not lead back there",
                addresses.join(", ")
            ),
            banners.into_iter().flat_map(|(_, evidence)| evidence).collect(),
            format!(
                "let it use its own name (Postfix: `postconf -e smtpd_banner='{host} ESMTP' myhostname={host}`), or give `{said}` \
                 the missing address"
            ),
        ));
    }
}

#[cfg(test)]
mod tests;
