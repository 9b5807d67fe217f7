//! Asking for MX and SPF, and reading the greetings.

use super::Exchanges;
use super::smtp::{self, Banner};
use super::spf::{
    DomainSpec, Lengths, Matcher, Mechanism, Policy, Record, Resolved, Rule, SpfError,
};
use crate::names::{Asker, Fresh, Lookup, ServerId, failure, fresh};
use futures_util::future::{BoxFuture, join_all};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use twinstack_dns::{Data, Name, Rcode, RecordType};

/// Exchangers looked at, the preferred first.
const HOSTS: usize = 5;
/// Addresses whose greeting is read.
const GREETINGS: usize = 16;
/// Terms of an SPF record that may need a look-up
/// ([RFC 7208, section 4.6.4](https://www.rfc-editor.org/rfc/rfc7208#section-4.6.4)).
const SPF_LOOKUPS: usize = 10;

/// Whom to ask about a domain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mail<'a> {
    pub(crate) asker: &'a Asker,
    pub(crate) resolvers: &'a [ServerId],
}

/// Who takes the domain's mail.
pub(crate) async fn exchanges(mail: Mail<'_>, domain: &Name) -> Exchanges {
    let any = |_: &_| true;
    let asked = fresh::ask(mail.asker, mail.resolvers, domain, RecordType::MX, any).await;
    let Some(fresh) = asked else {
        return Exchanges::Unknown { lookup: None };
    };
    let lookup = fresh.best().clone();
    if failure(&lookup).is_some() {
        return Exchanges::Unknown {
            lookup: Some(lookup),
        };
    }
    if lookup
        .reply()
        .is_some_and(|reply| reply.rcode == Rcode::NXDOMAIN)
    {
        return Exchanges::NoSuchName { lookup };
    }
    let mut hosts: Vec<(u16, Name)> = lookup
        .records()
        .filter_map(|record| match &record.data {
            Data::Mx {
                preference,
                exchange,
            } => Some((*preference, exchange.clone())),
            _ => None,
        })
        .collect();
    hosts.sort();
    if hosts.is_empty() {
        return Exchanges::Implicit { lookup };
    }
    if hosts.iter().all(|(_, exchange)| exchange.is_root()) {
        return Exchanges::Null { lookup };
    }
    hosts.retain(|(_, exchange)| !exchange.is_root());
    hosts.truncate(HOSTS);
    Exchanges::Mx { hosts, lookup }
}

/// The greetings of all addresses, and the addresses of the names in them.
pub(crate) async fn banners(
    mail: Mail<'_>,
    hosts: &[(Name, Vec<IpAddr>)],
    port: u16,
    patience: Duration,
) -> (Vec<Banner>, Vec<(Name, Fresh)>) {
    let all = hosts
        .iter()
        .flat_map(|(host, addresses)| addresses.iter().map(move |address| (host, *address)))
        .take(GREETINGS);
    let banners: Vec<Banner> =
        join_all(all.map(|(host, address)| smtp::read(mail.asker, host, address, port, patience)))
            .await;
    let mut names: BTreeMap<(Name, bool), BTreeSet<IpAddr>> = BTreeMap::new();
    for banner in &banners {
        let said = banner.outcome.as_ref().ok().map(smtp::Introduction::name);
        let name = said.and_then(|said| Name::parse(said).ok());
        if let Some(name) = name.filter(|name| name.label_count() >= 2) {
            let addresses = names.entry((name, banner.address.is_ipv6()));
            addresses.or_default().insert(banner.address);
        }
    }
    let forward = join_all(names.into_iter().map(|((name, v6), addresses)| async move {
        let rtype = if v6 { RecordType::AAAA } else { RecordType::A };
        let leads_back = |lookup: &Lookup| addresses.is_subset(&lookup.addresses());
        let fresh = fresh::ask(mail.asker, mail.resolvers, &name, rtype, leads_back).await?;
        Some((name, fresh))
    }))
    .await;
    (banners, forward.into_iter().flatten().collect())
}

/// The domain's SPF policy with every name in it resolved, and the question that brought it.
pub(crate) async fn policy(mail: Mail<'_>, domain: &Name) -> (Resolved, Option<Lookup>) {
    let budget = AtomicUsize::new(SPF_LOOKUPS);
    let lookup = fresh::first(mail.asker, mail.resolvers, domain, RecordType::TXT).await;
    let resolved = match &lookup {
        Some(lookup) => resolve(mail, domain, lookup, &budget).await,
        None => Resolved::Unknown("no resolver to ask".to_owned()),
    };
    (resolved, lookup)
}

/// From the TXT records of a domain to its policy.
async fn resolve(mail: Mail<'_>, domain: &Name, txt: &Lookup, budget: &AtomicUsize) -> Resolved {
    if let Some(why) = failure(txt) {
        return Resolved::Unknown(format!("the question for {domain} TXT failed: {why}"));
    }
    let texts: Vec<String> = txt
        .records()
        .filter_map(|record| record.data.text())
        .collect();
    let mut records: Vec<Result<Record, SpfError>> = texts
        .iter()
        .filter_map(|text| Record::parse(text))
        .collect();
    let record = match (records.pop(), records.len()) {
        (None, _) => return Resolved::None,
        (Some(Ok(record)), 0) => record,
        (Some(Err(error)), 0) => return Resolved::Broken(error),
        (Some(_), others) => return Resolved::Broken(SpfError::Several { count: others + 1 }),
    };
    let mut policy = Policy {
        domain: domain.to_string(),
        rules: Vec::new(),
        redirect: None,
    };
    for directive in record.directives {
        match matcher(mail, domain, &directive.mechanism, budget).await {
            Ok(matcher) => policy.rules.push(Rule {
                qualifier: directive.qualifier,
                matcher,
                text: directive.text,
            }),
            Err(error) => return Resolved::Broken(error),
        }
    }
    if let Some(target) = record.redirect {
        policy.redirect = match included(mail, &target, budget).await {
            Ok(resolved) => Some(Box::new(resolved)),
            Err(error) => return Resolved::Broken(error),
        };
    }
    Resolved::Policy(policy)
}

async fn matcher(
    mail: Mail<'_>,
    domain: &Name,
    mechanism: &Mechanism,
    budget: &AtomicUsize,
) -> Result<Matcher, SpfError> {
    Ok(match mechanism {
        Mechanism::All => Matcher::All,
        Mechanism::Net(net) => Matcher::Net(*net),
        Mechanism::Include(target) => {
            Matcher::Include(Box::new(included(mail, target, budget).await?))
        }
        Mechanism::A {
            domain: spec,
            lengths,
        } => {
            spend(budget)?;
            match name_of(spec.as_ref(), domain) {
                Ok(name) => hosts(mail, &[name], *lengths).await,
                Err(why) => Matcher::Unknown(why),
            }
        }
        Mechanism::Mx {
            domain: spec,
            lengths,
        } => {
            spend(budget)?;
            match name_of(spec.as_ref(), domain) {
                Ok(name) => exchangers(mail, &name, *lengths).await,
                Err(why) => Matcher::Unknown(why),
            }
        }
        Mechanism::Exists(_) | Mechanism::Ptr => {
            spend(budget)?;
            Matcher::Unknown("depends on each sender's address".to_owned())
        }
    })
}

/// A loop of includes ends when the budget is spent, as at receivers.
fn included<'a>(
    mail: Mail<'a>,
    target: &'a DomainSpec,
    budget: &'a AtomicUsize,
) -> BoxFuture<'a, Result<Resolved, SpfError>> {
    Box::pin(async move {
        spend(budget)?;
        let name = match target {
            DomainSpec::Name(text) => {
                Name::parse(text).map_err(|_| SpfError::Malformed { term: text.clone() })?
            }
            DomainSpec::Macro(text) => {
                return Ok(Resolved::Unknown(format!(
                    "the macro `{text}` is not expanded"
                )));
            }
        };
        let Some(txt) = fresh::first(mail.asker, mail.resolvers, &name, RecordType::TXT).await
        else {
            return Ok(Resolved::Unknown("no resolver to ask".to_owned()));
        };
        match resolve(mail, &name, &txt, budget).await {
            // One budget for the whole tree: exceeding it below is exceeding it here.
            Resolved::Broken(error @ SpfError::TooManyLookups { .. }) => Err(error),
            Resolved::None => Err(SpfError::IncludedNone {
                domain: name.to_string(),
            }),
            resolved => Ok(resolved),
        }
    })
}

fn spend(budget: &AtomicUsize) -> Result<(), SpfError> {
    budget
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        })
        .map(|_| ())
        .map_err(|_| SpfError::TooManyLookups { limit: SPF_LOOKUPS })
}

fn name_of(spec: Option<&DomainSpec>, domain: &Name) -> Result<Name, String> {
    match spec {
        None => Ok(domain.clone()),
        Some(DomainSpec::Name(text)) => Name::parse(text).map_err(|error| error.to_string()),
        Some(DomainSpec::Macro(text)) => Err(format!("the macro `{text}` is not expanded")),
    }
}

async fn exchangers(mail: Mail<'_>, domain: &Name, lengths: Lengths) -> Matcher {
    let Some(lookup) = fresh::first(mail.asker, mail.resolvers, domain, RecordType::MX).await
    else {
        return Matcher::Unknown("no resolver to ask".to_owned());
    };
    if let Some(why) = failure(&lookup) {
        return Matcher::Unknown(format!("{domain} MX: {why}"));
    }
    let names: Vec<Name> = lookup
        .records()
        .filter_map(|record| match &record.data {
            Data::Mx { exchange, .. } if !exchange.is_root() => Some(exchange.clone()),
            _ => None,
        })
        .take(SPF_LOOKUPS)
        .collect();
    hosts(mail, &names, lengths).await
}

async fn hosts(mail: Mail<'_>, names: &[Name], lengths: Lengths) -> Matcher {
    let questions = names
        .iter()
        .flat_map(|name| [(name, RecordType::A), (name, RecordType::AAAA)]);
    let answers = join_all(
        questions.map(|(name, rtype)| fresh::first(mail.asker, mail.resolvers, name, rtype)),
    )
    .await;
    let mut addresses: BTreeSet<IpAddr> = BTreeSet::new();
    for lookup in answers.into_iter().flatten() {
        if let Some(why) = failure(&lookup) {
            return Matcher::Unknown(format!("{} {}: {why}", lookup.name, lookup.rtype));
        }
        addresses.extend(lookup.addresses());
    }
    Matcher::Hosts { addresses, lengths }
}
