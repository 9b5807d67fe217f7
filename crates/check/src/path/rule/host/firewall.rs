//! `host.fw-rules-differ`: the host's own firewall treats a port differently by family.

use super::Host;
use crate::codes::finding;
use crate::options::Profile;
use crate::path::Family;
use crate::path::local::{Chance, Outcome, Ruleset, Traffic};
use crate::path::observation::FirewallRefusal;
use crate::path::rule::Judgement;
use crate::path::rule::view::Excuses;
use crate::path::words::list;
use twinstack_finding::{Evidence, Skipped};

pub(super) fn judge(host: &Host<'_>, judgement: &mut Judgement, excuses: &mut Excuses) {
    let ruleset = match &host.local.firewall {
        Ok(ruleset) => ruleset,
        Err(refusal) => {
            judgement.skipped.push(Skipped {
                what: "the firewall rules of the host".to_owned(),
                why: refusal.to_string(),
            });
            return;
        }
    };
    judgement
        .skipped
        .extend(ruleset.unseen().iter().map(|why| Skipped {
            what: "some firewall rules of the host".to_owned(),
            why: why.clone(),
        }));
    if !host.wants_v6() || !host.has(Family::V4) {
        return;
    }
    let differences: Vec<Difference> = traffic(host)
        .into_iter()
        .filter_map(|(udp, port)| Difference::find(ruleset, udp, port))
        .collect();
    let Some(first) = differences.first() else {
        return;
    };
    let names = list(
        differences
            .iter()
            .map(|difference| format!("{} port {}", difference.protocol(), difference.port)),
    );
    let verb = match first.denied {
        Family::V6 => "accepts it on IPv4 and not on IPv6",
        Family::V4 => "accepts it on IPv6 and not on IPv4",
    };
    let support: Vec<Evidence> = differences
        .iter()
        .flat_map(|difference| difference.lines(host))
        .collect();
    let hint = format!(
        "`{}`; better one table `inet` for both families",
        first.remedy()
    );
    for difference in &differences {
        if difference.udp {
            excuses.quic.insert(difference.denied);
        } else {
            excuses.closed.insert((difference.denied, difference.port));
        }
    }
    judgement.findings.push(finding(
        "host.fw-rules-differ",
        names.clone(),
        format!("the firewall of this host treats {names} differently by family: it {verb}"),
        support,
        hint,
    ));
}

/// What the service needs: protocol (UDP or not) and port.
fn traffic(host: &Host<'_>) -> Vec<(bool, u16)> {
    let quic = host.plan.profile == Profile::Web && host.plan.ports.contains(&443);
    host.plan
        .ports
        .iter()
        .map(|port| (false, *port))
        .chain(quic.then_some((true, 443)))
        .collect()
}

struct Difference {
    udp: bool,
    port: u16,
    denied: Family,
    v4: Outcome,
    v6: Outcome,
}

impl Difference {
    /// A port that one family may use, under some condition at least, and the other never.
    fn find(ruleset: &Ruleset, udp: bool, port: u16) -> Option<Self> {
        let outcome = |family| ruleset.outcome(Traffic { family, udp, port });
        let (v4, v6) = (outcome(Family::V4), outcome(Family::V6));
        let denied = match (v4.chance, v6.chance) {
            (Chance::Denied, Chance::Denied) => return None,
            (_, Chance::Denied) => Family::V6,
            (Chance::Denied, _) => Family::V4,
            _ => return None,
        };
        Some(Self {
            udp,
            port,
            denied,
            v4,
            v6,
        })
    }

    const fn protocol(&self) -> &'static str {
        if self.udp { "udp" } else { "tcp" }
    }

    /// The rule to add, in front of the one that denies.
    fn remedy(&self) -> String {
        let denying = match self.denied {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        };
        denying.remedy(self.protocol(), self.port)
    }

    fn lines(&self, host: &Host<'_>) -> [Evidence; 2] {
        [(Family::V4, &self.v4), (Family::V6, &self.v6)].map(|(family, outcome)| {
            let chance = match outcome.chance {
                Chance::Accepted => "accepted",
                Chance::Conditional => "accepted under a condition",
                Chance::Denied => "denied",
            };
            let chain = outcome
                .chain
                .as_ref()
                .map_or_else(String::new, |chain| format!(" in chain `{chain}`"));
            let did = format!(
                "followed a new {} connection to {} port {} through the firewall's rules",
                family.as_str(),
                self.protocol(),
                self.port
            );
            host.line(&did, format!("{chance}{chain}"))
        })
    }
}

impl std::fmt::Display for FirewallRefusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotInstalled => f.write_str("the program `nft` is not installed"),
            Self::NotAllowed => {
                f.write_str("no permission to run `nft list ruleset` (CAP_NET_ADMIN)")
            }
            Self::Failed(why) => write!(f, "`nft -j list ruleset` failed: {why}"),
        }
    }
}
