//! Judgements as findings: message, evidence, hint.

use super::{CODES, Judgement, Malformed, TargetVerdict, Verdict};
use crate::name::Name;
use crate::record::RecordType;
use crate::reverse;
use std::net::IpAddr;
use twinstack_finding::{Evidence, Finding};

impl Judgement {
    /// The finding, if something is wrong; its evidence has no times, which the caller may add.
    pub fn finding(&self) -> Option<Finding> {
        let code = self.code()?;
        let info = CODES.iter().find(|info| info.code == code.as_str())?;
        let owner = reverse::name_of(self.address);
        let forward = match self.address {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::AAAA,
        };
        Some(Finding {
            severity: info.severity,
            subject: self.address.to_string(),
            message: self.message(forward)?,
            evidence: self.evidence(&owner, forward),
            hint: self.hint(&owner, forward)?,
            place: None,
            code,
        })
    }

    fn message(&self, forward: RecordType) -> Option<String> {
        let address = self.address;
        Some(match &self.verdict {
            Verdict::Confirmed(_) | Verdict::Unknown(_) => return None,
            Verdict::Missing => format!("`{address}` has no PTR record"),
            Verdict::NotForwardConfirmed => {
                let names: Vec<String> = self
                    .targets
                    .iter()
                    .map(|(name, _)| format!("`{name}`"))
                    .collect();
                format!(
                    "the PTR of `{address}` says {}, which has no {forward} record with that address",
                    names.join(" and ")
                )
            }
            Verdict::Mismatch { found, expected } => {
                format!("the PTR of `{address}` says `{found}`, not `{expected}`")
            }
            Verdict::Generic(name) => {
                format!("the PTR of `{address}` says `{name}`, a template with the address in it")
            }
            Verdict::Malformed(how) => match how {
                Malformed::RelativeTarget(name) => format!(
                    "the PTR of `{address}` says `{name}`: the final dot is missing in the zone file"
                ),
                Malformed::AddressLiteral(name) => {
                    format!("the PTR of `{address}` says `{name}`, an address where a name belongs")
                }
                Malformed::SingleLabel(name) => {
                    format!("the PTR of `{address}` says `{name}`, which is no full host name")
                }
                Malformed::NotAHostName(name) => {
                    format!("the PTR of `{address}` says `{name}`, which no host name can be")
                }
                Malformed::Misplaced(found) => format!(
                    "the PTR record of `{address}` is at `{}`, where nobody looks: {}",
                    found.owner, found.miss
                ),
            },
        })
    }

    fn hint(&self, owner: &Name, forward: RecordType) -> Option<String> {
        let address = self.address;
        Some(match &self.verdict {
            Verdict::Confirmed(_) | Verdict::Unknown(_) => return None,
            Verdict::Missing => format!("add to the reverse zone: {owner:#} PTR <host name>."),
            Verdict::NotForwardConfirmed => match self.targets.first() {
                Some((name, _)) => format!(
                    "either add `{name:#} {forward} {address}`, or point `{owner:#} PTR` to the name that has the address"
                ),
                None => return None,
            },
            Verdict::Mismatch { expected, .. } => {
                format!("change it to: {owner:#} PTR {expected:#}")
            }
            Verdict::Generic(_) => format!(
                "ask the provider of the address to set `{owner:#} PTR` to the service's name"
            ),
            Verdict::Malformed(Malformed::RelativeTarget(name)) => {
                format!(
                    "end the target with a dot: {owner:#} PTR {:#}",
                    without_reverse_tree(name)
                )
            }
            Verdict::Malformed(Malformed::Misplaced(found)) => {
                let target = found.targets.first().map(Name::with_final_dot);
                format!(
                    "move the record to: {owner:#} PTR {}",
                    target.unwrap_or_else(|| "<host name>.".to_owned())
                )
            }
            Verdict::Malformed(_) => {
                format!("write the host's full name: {owner:#} PTR <host name>.")
            }
        })
    }

    fn evidence(&self, owner: &Name, forward: RecordType) -> Vec<Evidence> {
        let evidence = |did: String, saw: String| Evidence { did, saw, at: None };
        let asked = format!("asked for {owner} PTR");
        let mut all = vec![if self.targets.is_empty() {
            evidence(asked, "no record".to_owned())
        } else {
            let names: Vec<String> = self
                .targets
                .iter()
                .map(|(name, _)| name.with_final_dot())
                .collect();
            evidence(asked, names.join(", "))
        }];
        if let Verdict::Malformed(Malformed::Misplaced(found)) = &self.verdict {
            let names: Vec<String> = found.targets.iter().map(Name::with_final_dot).collect();
            all.push(evidence(
                format!("asked for {} PTR", found.owner),
                names.join(", "),
            ));
        }
        for (name, verdict) in &self.targets {
            let saw = match verdict {
                TargetVerdict::Confirms => self.address.to_string(),
                TargetVerdict::Elsewhere(addresses) if addresses.is_empty() => {
                    "no record".to_owned()
                }
                TargetVerdict::Elsewhere(addresses) => {
                    let addresses: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
                    addresses.join(", ")
                }
                TargetVerdict::NoSuchName => "NXDOMAIN".to_owned(),
                TargetVerdict::Unknown(why) => why.clone(),
                TargetVerdict::Malformed(_) => continue,
            };
            all.push(evidence(format!("asked for {name} {forward}"), saw));
        }
        all
    }
}

/// What was probably meant before the zone's name was appended.
fn without_reverse_tree(name: &Name) -> Name {
    let mut labels: Vec<&[u8]> = name.labels().collect();
    labels.truncate(labels.len().saturating_sub(2));
    while let Some(last) = labels.last() {
        let nibble = last.len() == 1 && last.iter().all(u8::is_ascii_hexdigit);
        let octet = last.len() <= 3 && last.iter().all(u8::is_ascii_digit);
        if !(nibble || octet) || labels.len() == 1 {
            break;
        }
        labels.pop();
    }
    Name::from_labels(labels).unwrap_or_else(|_| name.clone())
}
