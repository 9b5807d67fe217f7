//! What the name servers of a world say: zones and rules, shared by all of them and replaceable while they run.

use super::rule::{Asked, Rule};
use super::zone::{BadRecord, ZoneData};
use crate::service::error::Problem;
use crate::world::model::{DnsRule, HostId, World, Zone};
use std::sync::{Arc, PoisonError, RwLock};
use twinstack_dns::Name;

/// Zones and rules; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct NameData(Arc<RwLock<Arc<Snapshot>>>);

/// Zones and rules at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    zones: Vec<Arc<ZoneData>>,
    rules: Arc<[Rule]>,
    /// Zones that hold something that is no record; they are not served.
    broken: Vec<(Vec<HostId>, BadRecord)>,
}

impl NameData {
    /// Those of a world.
    pub(crate) fn new(world: &World) -> Self {
        let names = Self(Arc::default());
        names.replace_zones(&world.zones);
        names.replace_rules(&world.dns_rules);
        names
    }

    /// From now on these zones; answers under way still come from the old ones.
    ///
    /// The world is not looked at: the zones name their servers themselves.
    pub(crate) fn replace_zones(&self, zones: &[Zone]) {
        let mut read = Vec::new();
        let mut broken = Vec::new();
        for zone in zones {
            match ZoneData::read(zone) {
                Ok(zone) => read.push(Arc::new(zone)),
                Err(error) => broken.push((zone.servers.clone(), error)),
            }
        }
        self.change(|snapshot| {
            snapshot.zones = read;
            snapshot.broken = broken;
        });
    }

    /// From now on these rules, first match first.
    pub(crate) fn replace_rules(&self, rules: &[DnsRule]) {
        let rules = rules.iter().filter_map(Rule::read).collect();
        self.change(|snapshot| snapshot.rules = rules);
    }

    /// Why a host cannot serve one of its zones.
    pub(super) fn broken_zone(&self, host: HostId) -> Option<Problem> {
        let snapshot = self.snapshot();
        let (_, error) = snapshot
            .broken
            .iter()
            .find(|(servers, _)| servers.contains(&host))?;
        Some(Problem::ZoneRecord {
            zone: error.zone.clone(),
            record: error.record.clone(),
            message: error.message.clone(),
        })
    }

    /// As things are now.
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Snapshot::clone(&current);
        change(&mut next);
        *current = Arc::new(next);
    }
}

impl Snapshot {
    /// The zones that a host serves.
    pub(super) fn zones_of(&self, host: HostId) -> Vec<&ZoneData> {
        self.zones
            .iter()
            .filter(|zone| zone.servers.contains(&host))
            .map(Arc::as_ref)
            .collect()
    }

    /// The closest zone around a name: one of the host's own if there is any, otherwise anybody's.
    pub(super) fn zone_around(&self, name: &Name, host: HostId) -> Option<&ZoneData> {
        let around = |zone: &&Arc<ZoneData>| name.is_subdomain_of(&zone.apex);
        self.zones
            .iter()
            .filter(around)
            .max_by_key(|zone| (zone.servers.contains(&host), zone.apex.label_count()))
            .map(Arc::as_ref)
    }

    /// The first rule that a question meets.
    pub(super) fn rule(&self, asked: &Asked<'_>) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.matches(asked))
    }
}
