//! One check from start to end: what is asked when, and how the pieces become one report.
//!
//! The path to the service is looked at as soon as its addresses are known, while the rest of the name system is still
//! being asked. No decision is taken here but the order of the work.

mod resolvers;
mod verdict;

use crate::mail::{self, Exchanges, Host, Mail, MailObservation};
use crate::names::{
    self, Asker, Existence, Inquiry, Lookup, NamesObservation, Nat64Prefix, Role, Server, ServerId,
    ptr,
};
use crate::options::{Options, Profile, TargetHost};
use crate::origin::{self, Origin};
use crate::path;
use crate::report::Report;
use futures_util::FutureExt;
use futures_util::future::{join, join_all, join3};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use twinstack_dns::record::ServiceBinding;
use twinstack_dns::resolv_conf::ResolvConf;
use twinstack_dns::{Data, Name, RecordType};
use twinstack_finding::Skipped;

/// Checks one target from here. Never fails: what cannot be looked at is in the report.
pub async fn check(options: &Options) -> Report {
    let run = Run::new(options);
    let seen = match (&options.target.host, options.profile) {
        (TargetHost::Name(name), profile) => match Name::parse(name) {
            Ok(name) => run.settled(name, profile).await,
            // `Target::parse` lets no such name through; options may be built without it.
            Err(error) => Seen::skipped(Skipped {
                what: format!("everything about {name}"),
                why: error.to_string(),
            }),
        },
        (TargetHost::V4(address), _) => run.address(IpAddr::V4(*address)).await,
        (TargetHost::V6(address), _) => run.address(IpAddr::V6(*address)).await,
    };
    run.report(seen)
}

/// What all steps share.
struct Run<'a> {
    options: &'a Options,
    started: Instant,
    asker: Arc<Asker>,
    resolvers: Arc<[ServerId]>,
    /// Of this machine, unless other resolvers were named.
    resolv_conf: Option<ResolvConf>,
    /// Resolvers that could not be used at all.
    skipped: Vec<Skipped>,
}

/// Everything that was seen, before it is judged.
#[derive(Default)]
struct Seen {
    /// The target's names: one, or for mail one for each exchanger.
    names: Vec<NamesObservation>,
    /// The mail domain itself, of which only the zone counts.
    domain: Option<NamesObservation>,
    mail: Option<MailObservation>,
    path: Option<(path::Plan, path::PathObservation)>,
    ptr: ptr::PtrObservation,
    /// Questions that belong to none of the above.
    lookups: Vec<Lookup>,
    skipped: Vec<Skipped>,
    notes: Vec<String>,
}

impl Seen {
    fn skipped(skipped: Skipped) -> Self {
        Self {
            skipped: vec![skipped],
            ..Self::default()
        }
    }
}

impl<'a> Run<'a> {
    fn new(options: &'a Options) -> Self {
        let started = Instant::now();
        // A server that needs 3 s is slow, not silent; with the usual 5 s an attempt, questions are listened for 4 s.
        let asker = Asker::new(started, options.timeout * 4 / 5);
        let mut skipped = Vec::new();
        let (endpoints, resolv_conf) = resolvers::endpoints(options, &mut skipped);
        let resolvers = endpoints
            .into_iter()
            .filter_map(|endpoint| {
                let what = format!("the resolver {endpoint}");
                let server = Server {
                    role: Role::Resolver,
                    endpoint,
                };
                asker
                    .server(server)
                    .map_err(|error| {
                        skipped.push(Skipped {
                            what,
                            why: error.to_string(),
                        });
                    })
                    .ok()
            })
            .collect();
        if options.effective_ports().is_empty() {
            skipped.push(Skipped {
                what: "connections".to_owned(),
                why: "no port was given, and the profile `tcp` has none of its own: add `--port`"
                    .to_owned(),
            });
        }
        Self {
            options,
            started,
            asker: Arc::new(asker),
            resolvers,
            resolv_conf,
            skipped,
        }
    }

    /// A name, wherever its addresses come from.
    async fn settled(&self, name: Name, profile: Profile) -> Seen {
        let mut skipped = Vec::new();
        let hosts = origin::hosts_file(&mut skipped);
        let settled = origin::settle(&name, self.options, &hosts);
        let mut notes = settled.notes;
        let mut seen = match (settled.origin, profile) {
            (Origin::Known(addresses), _) => self.known(name.to_string(), addresses).await,
            (Origin::Dns, Profile::Mail) => self.mail(name).await,
            (Origin::Dns, Profile::Web | Profile::Tcp) => {
                let completed = self.complete(&name).await;
                notes.extend(completed.iter().map(|(_, note)| note.clone()));
                let short = completed.is_none() && name.label_count() == 1;
                let asked = completed.map_or_else(|| name.clone(), |(found, _)| found);
                let seen = self.name(asked, name.to_string()).await;
                let nobody = |names| names::existence(names) == Existence::NoSuchName;
                if short && seen.names.iter().any(nobody) {
                    notes.push(format!(
                        "`{name}` is one word, and neither the hosts file nor the search list makes more of it: was a \
                         full name meant?"
                    ));
                }
                seen
            }
        };
        seen.skipped.extend(skipped);
        notes.append(&mut seen.notes);
        seen.notes = notes;
        seen
    }

    async fn complete(&self, name: &Name) -> Option<(Name, String)> {
        let conf = self.resolv_conf.as_ref()?;
        let written = &self.options.target.text;
        origin::complete(&self.asker, &self.resolvers, conf, name, written).await
    }

    /// Addresses that need no look-up.
    async fn known(&self, host: String, addresses: Vec<IpAddr>) -> Seen {
        let plan = self.plan(host, addresses.clone(), Vec::new(), Advertised::default());
        let (path, ptr) = join(
            self.walk(plan),
            ptr::collect(&self.asker, &self.resolvers, &addresses),
        )
        .await;
        Seen {
            path,
            ptr,
            ..Seen::default()
        }
    }

    fn inquiry(&self, name: Name, web: bool) -> Inquiry<'_> {
        Inquiry::new(&self.asker, &self.resolvers, name, web)
    }

    fn ask_of(&self) -> Mail<'_> {
        Mail {
            asker: &self.asker,
            resolvers: &self.resolvers,
        }
    }

    /// `host` is what clients call it, who know nothing of what the search list makes of it.
    async fn name(&self, name: Name, host: String) -> Seen {
        let inquiry = self.inquiry(name, self.options.profile == Profile::Web);
        let rest = async {
            let known = inquiry.addresses().await;
            self.probe(std::slice::from_ref(&known), host).await
        };
        let (names, (path, ptr)) = join(inquiry.run(), rest).await;
        Seen {
            names: vec![names],
            path,
            ptr,
            ..Seen::default()
        }
    }

    async fn address(&self, address: IpAddr) -> Seen {
        // Only here is the translator needed before the addresses: there is no name whose answers would show it.
        let probe = if address.is_ipv4() && !names::has_route(address) {
            match Name::parse(names::PROBE_NAME) {
                Ok(probe) => {
                    names::fresh::first(&self.asker, &self.resolvers, &probe, RecordType::AAAA)
                        .await
                }
                Err(_) => None,
            }
        } else {
            None
        };
        let prefixes =
            probe
                .iter()
                .flat_map(Lookup::addresses)
                .filter_map(|address| match address {
                    IpAddr::V6(address) => Nat64Prefix::of_probe(address),
                    IpAddr::V4(_) => None,
                });
        let plan = self.plan(
            address.to_string(),
            vec![address],
            prefixes.collect(),
            Advertised::default(),
        );
        let addresses = [address];
        let (path, ptr) = join(
            self.walk(plan),
            ptr::collect(&self.asker, &self.resolvers, &addresses),
        )
        .await;
        Seen {
            path,
            ptr,
            lookups: probe.into_iter().collect(),
            ..Seen::default()
        }
    }

    async fn mail(&self, domain: Name) -> Seen {
        let exchanges = mail::exchanges(self.ask_of(), &domain).await;
        let hosts: Vec<Name> = match &exchanges {
            Exchanges::Mx { hosts, .. } => hosts.iter().map(|(_, host)| host.clone()).collect(),
            // For a domain that does not exist this shows whether everybody says so.
            Exchanges::Implicit { .. } | Exchanges::NoSuchName { .. } => vec![domain.clone()],
            Exchanges::Null { .. } | Exchanges::Unknown { .. } => Vec::new(),
        };
        let mut seen = BTreeSet::new();
        let hosts: Vec<Name> = hosts
            .into_iter()
            .filter(|host| seen.insert(host.clone()))
            .collect();
        let inquiries: Vec<Inquiry<'_>> = hosts
            .iter()
            .map(|host| self.inquiry(host.clone(), false))
            .collect();
        let own = (!hosts.contains(&domain)).then(|| self.inquiry(domain.clone(), false));
        let names = join_all(inquiries.iter().map(Inquiry::run));
        let own_zone = async {
            match &own {
                Some(inquiry) => Some(inquiry.run().await),
                None => None,
            }
        };
        let port = self
            .options
            .effective_ports()
            .first()
            .copied()
            .unwrap_or(25);
        let rest = async {
            let known = join_all(inquiries.iter().map(Inquiry::addresses)).await;
            let greeted: Vec<(Name, Vec<IpAddr>)> = known
                .iter()
                .map(|names| (names.name.clone(), names::probeable(names)))
                .collect();
            let host = known.first().map(|names| names.name.to_string());
            join(
                self.probe(&known, host.unwrap_or_default()),
                mail::banners(self.ask_of(), &greeted, port, self.options.timeout),
            )
            .await
        };
        let policy = mail::policy(self.ask_of(), &domain);
        let ((names, own_zone), (spf, txt), ((path, ptr), (banners, forward))) =
            Box::pin(join3(join(names, own_zone), policy, rest)).await;
        let mail = MailObservation {
            domain,
            hosts: names.iter().map(mail_host).collect(),
            exchanges,
            spf,
            txt,
            banners,
            forward,
        };
        Seen {
            lookups: mail.lookups(),
            names,
            domain: own_zone,
            mail: Some(mail),
            path,
            ptr,
            ..Seen::default()
        }
    }

    /// The path to the addresses, and their way back through the reverse tree.
    async fn probe(
        &self,
        known: &[NamesObservation],
        host: String,
    ) -> (
        Option<(path::Plan, path::PathObservation)>,
        ptr::PtrObservation,
    ) {
        let addresses: BTreeSet<IpAddr> = known.iter().flat_map(names::probeable).collect();
        let addresses: Vec<IpAddr> = addresses.into_iter().collect();
        // With `--local` the host itself has something to say, even about a name without addresses.
        if addresses.is_empty() && !self.options.local {
            return (None, ptr::PtrObservation::default());
        }
        let prefixes: BTreeSet<Nat64Prefix> = known
            .iter()
            .flat_map(|names| names.synthesis.clone())
            .collect();
        let plan = self.plan(
            host,
            addresses.clone(),
            prefixes.into_iter().collect(),
            Advertised {
                https: known.iter().any(has_https_record),
                h3: known.iter().any(offers_h3),
            },
        );
        join(
            self.walk(plan),
            ptr::collect(&self.asker, &self.resolvers, &addresses),
        )
        .await
    }

    /// Looks at the path, if there is any port to connect to or a host to look at.
    async fn walk(&self, plan: path::Plan) -> Option<(path::Plan, path::PathObservation)> {
        if plan.ports.is_empty() && !plan.local {
            return None;
        }
        let seen = Box::pin(path::collect(&plan)).await;
        Some((plan, seen))
    }

    fn plan(
        &self,
        host: String,
        addresses: Vec<IpAddr>,
        prefixes: Vec<Nat64Prefix>,
        advertised: Advertised,
    ) -> path::Plan {
        let options = self.options;
        let usual = match options.target.scheme.as_deref() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        };
        path::Plan {
            host,
            addresses,
            ports: options.effective_ports(),
            scheme: options.target.scheme.clone(),
            wanted: (options.ports.iter().copied())
                .chain(options.target.port.or(usual))
                // Browsers that see an HTTPS record go to 443, and nowhere else (RFC 9460 section 9.5).
                .chain((advertised.https && options.profile == Profile::Web).then_some(443))
                .collect(),
            scheme_port: options.target.port,
            path: options.target.path.clone(),
            profile: options.profile,
            timeout: options.timeout,
            client: options.client.clone(),
            local: options.local,
            allow_v4_only: options.allow_v4_only,
            h3_advertised: advertised.h3,
            nat64: prefixes.iter().find_map(Nat64Prefix::as_96),
            lookup: self.lookup(prefixes),
            pace: path::Pace::AtOnce,
            started: self.started,
        }
    }

    /// How the path's half resolves the names of sub-resources: by the same resolvers, and without what they make up.
    fn lookup(&self, prefixes: Vec<Nat64Prefix>) -> path::Lookup {
        let (asker, resolvers) = (Arc::clone(&self.asker), Arc::clone(&self.resolvers));
        let prefixes: Arc<[Nat64Prefix]> = prefixes.into();
        path::Lookup::new(move |name, family| {
            let (asker, resolvers, prefixes) = (
                Arc::clone(&asker),
                Arc::clone(&resolvers),
                Arc::clone(&prefixes),
            );
            async move {
                let name = Name::parse(&name).map_err(|error| error.to_string())?;
                let rtype = match family {
                    path::Family::V4 => RecordType::A,
                    path::Family::V6 => RecordType::AAAA,
                };
                let lookup = names::fresh::first(&asker, &resolvers, &name, rtype)
                    .await
                    .ok_or_else(|| "no resolver to ask".to_owned())?;
                if let Some(why) = names::failure(&lookup) {
                    return Err(why);
                }
                let made_up = |address: &IpAddr| match address {
                    IpAddr::V6(address) => prefixes
                        .iter()
                        .any(|prefix| prefix.unmap(*address).is_some()),
                    IpAddr::V4(_) => false,
                };
                Ok(lookup
                    .addresses()
                    .into_iter()
                    .filter(|address| !made_up(address))
                    .collect())
            }
            .boxed()
        })
    }
}

/// What the records promise.
#[derive(Clone, Copy, Debug, Default)]
struct Advertised {
    /// There is an HTTPS record: the service is on 443.
    https: bool,
    /// It names HTTP/3.
    h3: bool,
}

/// Whether a service record of the name itself puts it on the usual port.
fn has_https_record(names: &NamesObservation) -> bool {
    let own = |lookup: &&Lookup| lookup.name == names.name || lookup.name == names.canonical;
    https_records(names.lookups.iter().filter(own)).any(|binding| {
        binding.priority != 0 && binding.params.port().is_none_or(|port| port == 443)
    })
}

fn offers_h3(names: &NamesObservation) -> bool {
    https_records(names.lookups.iter()).any(|binding| {
        binding
            .params
            .alpn()
            .iter()
            .any(|protocol| protocol == "h3")
    })
}

fn https_records<'a>(
    lookups: impl Iterator<Item = &'a Lookup>,
) -> impl Iterator<Item = &'a ServiceBinding> {
    lookups
        .flat_map(Lookup::records)
        .filter_map(|record| match &record.data {
            Data::Https(binding) => Some(binding),
            _ => None,
        })
}

fn mail_host(names: &NamesObservation) -> Host {
    let asked: Vec<&Lookup> = names
        .lookups
        .iter()
        .filter(|lookup| lookup.rtype == RecordType::AAAA)
        .filter(|lookup| lookup.name == names.name || lookup.name == names.canonical)
        .filter(|lookup| lookup.success().is_some())
        .collect();
    Host {
        name: names.name.clone(),
        addresses: names::probeable(names).into_iter().collect(),
        v6_known: !asked.is_empty(),
        asked: asked
            .into_iter()
            .map(|lookup| names.evidence(lookup))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Verdict;

    #[tokio::test]
    async fn without_any_port_the_report_says_so() {
        let target = crate::options::Target::parse("127.0.0.1").unwrap();
        let options = Options {
            profile: Profile::Tcp,
            resolvers: vec!["127.0.0.1:9".parse().unwrap()],
            ..Options::new(target)
        };
        let report = check(&options).await;
        assert_eq!(report.verdict, Verdict::Unknown);
        assert!(
            report.skipped[0].why.contains("--port"),
            "{:?}",
            report.skipped
        );
    }

    #[tokio::test]
    async fn a_resolver_that_cannot_be_used_is_named() {
        let target = crate::options::Target::parse("www.lab.test").unwrap();
        let options = Options {
            resolvers: vec!["127.0.0.1:9".parse().unwrap()],
            doh: vec!["http://not-https.test/".to_owned()],
            ..Options::new(target)
        };
        let report = check(&options).await;
        assert_eq!(report.verdict, Verdict::Unknown);
        assert!(
            report.skipped[0].what.contains("not-https.test"),
            "{:?}",
            report.skipped
        );
        assert!(report.findings.is_empty());
    }
}
