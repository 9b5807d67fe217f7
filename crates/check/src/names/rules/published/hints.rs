//! Address hints in HTTPS records that A and AAAA do not know: `dns.https-hint-mismatch`.

use super::{Case, Judgement, evidence};
use crate::codes::finding;
use crate::names::observation::{Lookup, NamesObservation};
use crate::names::view::Told;
use std::collections::BTreeSet;
use std::net::IpAddr;
use twinstack_dns::{Data, Name, Record, RecordType};

/// A hint and the answer it stands in.
struct Hint<'a> {
    address: IpAddr,
    target: Name,
    lookup: &'a Lookup,
}

/// All hints for the name, those that have no address records of their own to compare with left out.
///
/// Alias mode carries none ([RFC 9460, section 2.4.2](https://www.rfc-editor.org/rfc/rfc9460#section-2.4.2)); a target of
/// `.` is the owner itself.
fn hints(names: &NamesObservation) -> Vec<Hint<'_>> {
    let mut found = Vec::new();
    let asked = names
        .lookups
        .iter()
        .filter(|lookup| lookup.rtype == RecordType::HTTPS);
    for lookup in asked {
        for record in lookup.records() {
            let Data::Https(binding) = &record.data else {
                continue;
            };
            if binding.priority == 0 {
                continue;
            }
            let target = target(record, &binding.target);
            let v6 = binding.params.ipv6hint().iter().copied().map(IpAddr::V6);
            let v4 = binding.params.ipv4hint().iter().copied().map(IpAddr::V4);
            found.extend(v6.chain(v4).map(|address| Hint {
                address,
                target: target.clone(),
                lookup,
            }));
        }
    }
    found
}

fn target(record: &Record, target: &Name) -> Name {
    if target.is_root() {
        record.owner.clone()
    } else {
        target.clone()
    }
}

/// Answers whose HTTPS record hints at IPv6.
pub(super) fn with_v6<'a>(case: &'a Case<'_>) -> Vec<&'a Lookup> {
    hints(case.names)
        .into_iter()
        .filter(|hint| hint.address.is_ipv6())
        .map(|hint| hint.lookup)
        .take(1)
        .collect()
}

pub(super) fn judge(case: &Case<'_>, v6_missing: bool, judgement: &mut Judgement) {
    let names = case.names;
    let mut wrong: BTreeSet<IpAddr> = BTreeSet::new();
    let mut supporting: Vec<&Lookup> = Vec::new();
    for hint in hints(names) {
        let Some(known) = known(case, &hint, v6_missing) else {
            continue;
        };
        if !known.contains(&hint.address) && wrong.insert(hint.address) {
            supporting.push(hint.lookup);
        }
    }
    let Some(first) = wrong.first().copied() else {
        return;
    };
    supporting.dedup_by(|a, b| std::ptr::eq(*a, *b));
    let mut supporting = evidence(case, supporting);
    let rtype = if first.is_ipv6() {
        RecordType::AAAA
    } else {
        RecordType::A
    };
    supporting.extend(
        names
            .lookups
            .iter()
            .find(|lookup| lookup.rtype == rtype && lookup.success().is_some())
            .map(|lookup| names.evidence(lookup)),
    );
    let list: Vec<String> = wrong.iter().map(|address| format!("`{address}`")).collect();
    judgement.findings.push(finding(
        "dns.https-hint-mismatch",
        names.name.to_string(),
        format!(
            "the HTTPS record of `{}` hints at {}, which is not among its A and AAAA",
            names.name,
            list.join(", ")
        ),
        supporting,
        format!(
            "take the address out of `ipv4hint=`/`ipv6hint=` of the HTTPS record of `{}`, or leave the hints out: they \
             save one round trip at best",
            names.name
        ),
    ));
}

/// The addresses that a hint may name; `None` when they are not known well enough to say "not among them".
fn known(case: &Case<'_>, hint: &Hint<'_>, v6_missing: bool) -> Option<BTreeSet<IpAddr>> {
    let names = case.names;
    let own = hint.target == names.name || hint.target == names.canonical;
    if !own {
        let rtype = if hint.address.is_ipv6() {
            RecordType::AAAA
        } else {
            RecordType::A
        };
        let mut answered = names
            .lookups
            .iter()
            .filter(|lookup| lookup.name == hint.target && lookup.rtype == rtype)
            .filter(|lookup| lookup.success().is_some())
            .peekable();
        answered.peek()?;
        return Some(answered.flat_map(Lookup::addresses).collect());
    }
    if hint.address.is_ipv6() {
        let answered = case.views.iter().any(|view| view.aaaa.is_fine());
        // A missing AAAA, or one that cannot be asked for, is the fault; a hint that outlived it is its evidence.
        let nothing_known =
            case.published.v6.is_empty() && !(v6_missing && case.expectation.v4_only_is_fine);
        (answered && !nothing_known)
            .then(|| case.published.v6.iter().copied().map(IpAddr::V6).collect())
    } else {
        let answered = case
            .views
            .iter()
            .any(|view| matches!(view.a, Told::Addresses(_)));
        answered.then(|| case.published.v4.iter().copied().map(IpAddr::V4).collect())
    }
}
