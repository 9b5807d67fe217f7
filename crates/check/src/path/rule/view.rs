//! The observation, condensed once for all rules: which addresses live, and what silenced those that do not.

use crate::path::observation::{
    AddressObservation, ConnectFailure, PathObservation, PortObservation, Route, Talk,
};
use crate::path::{Family, Plan};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What findings about the host already explain, so that no other rule speaks of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Excuses {
    /// Ports that are closed for one family.
    pub(super) closed: BTreeSet<(Family, u16)>,
    /// Addresses that do not work.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// A whole family that does not work.
    pub(super) families: BTreeSet<Family>,
    /// Ports whose answers differ by family.
    pub(super) answers: BTreeSet<u16>,
    /// Families whose UDP port 443 is closed.
    pub(super) quic: BTreeSet<Family>,
}

impl Excuses {
    fn covers(&self, address: IpAddr, port: u16) -> bool {
        let family = Family::of(address);
        self.families.contains(&family)
            || self.addresses.contains(&address)
            || self.closed.contains(&(family, port))
    }
}

/// Whether an address can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// A port that matters is open.
    Alive,
    /// None is; [`AddressView::deaths`] says what became of each.
    Dead,
    /// A finding about the host explains it.
    Excused,
    /// This machine could not ask.
    Unjudged,
}

/// What a dead address does to connections to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Death {
    Dropped,
    Rejected,
    NoRoute,
}

impl Death {
    const fn of(kind: ConnectFailure) -> Option<Self> {
        match kind {
            ConnectFailure::TimedOut => Some(Self::Dropped),
            ConnectFailure::Refused | ConnectFailure::Prohibited => Some(Self::Rejected),
            ConnectFailure::NoRoute | ConnectFailure::HostUnreachable => Some(Self::NoRoute),
            ConnectFailure::Local(_) => None,
        }
    }
}

/// The ports of a dead address, by what it does to connections there.
pub(super) type Deaths = BTreeMap<Death, Vec<u16>>;

/// One address, condensed.
pub(super) struct AddressView<'a> {
    pub(super) seen: &'a AddressObservation,
    pub(super) family: Family,
    pub(super) state: State,
    /// Empty unless the address is dead.
    pub(super) deaths: Deaths,
    /// Silence at the system's segment size, an answer with small segments.
    pub(super) black_hole: bool,
}

impl AddressView<'_> {
    pub(super) fn alive(&self) -> bool {
        self.state == State::Alive
    }

    /// The ports that died one way, or any way.
    pub(super) fn dead_ports(&self, death: Option<Death>) -> impl Iterator<Item = u16> {
        let died = self
            .deaths
            .iter()
            .filter(move |(how, _)| death.is_none_or(|death| death == **how));
        died.flat_map(|(_, ports)| ports.iter().copied())
    }

    /// Alive and without a black hole: what else is seen there says something of its own.
    pub(super) fn sound(&self) -> bool {
        self.alive() && !self.black_hole
    }
}

/// Everything the rules read.
pub(super) struct View<'a> {
    pub(super) plan: &'a Plan,
    pub(super) seen: &'a PathObservation,
    pub(super) excuses: &'a Excuses,
    pub(super) addresses: Vec<AddressView<'a>>,
}

impl<'a> View<'a> {
    pub(super) fn new(plan: &'a Plan, seen: &'a PathObservation, excuses: &'a Excuses) -> Self {
        let open: BTreeSet<u16> = seen
            .addresses
            .iter()
            .flat_map(|address| &address.ports)
            .filter(|port| port.connect.outcome.is_ok())
            .map(|port| port.port)
            .collect();
        let addresses = seen.addresses.iter().map(|address| {
            let (state, deaths) = state(address, &open, excuses);
            AddressView {
                seen: address,
                family: address.family(),
                state,
                deaths,
                black_hole: address.ports.iter().any(black_hole),
            }
        });
        let mut view = Self {
            plan,
            seen,
            excuses,
            addresses: addresses.collect(),
        };
        view.distrust_private_sources();
        view
    }

    pub(super) fn of(&self, family: Family) -> impl Iterator<Item = &AddressView<'a>> {
        self.addresses
            .iter()
            .filter(move |address| address.family == family)
    }

    /// Addresses of the other family whose `port` is open.
    pub(super) fn open_elsewhere(
        &self,
        family: Family,
        port: u16,
    ) -> impl Iterator<Item = &AddressView<'a>> {
        self.addresses.iter().filter(move |address| {
            address.family != family
                && address
                    .seen
                    .port(port)
                    .is_some_and(|port| port.connect.outcome.is_ok())
        })
    }

    /// Whether all of IPv6 is silent while this machine has nothing but a unique local source address: then the silence
    /// most likely begins at home.
    pub(super) fn private_source(&self) -> bool {
        match self.seen.vantage.v6 {
            Route::Here {
                source: IpAddr::V6(source),
            } => source.is_unique_local() && self.of(Family::V6).all(|address| !address.alive()),
            _ => false,
        }
    }

    fn distrust_private_sources(&mut self) {
        if self.private_source() {
            for address in &mut self.addresses {
                if address.family == Family::V6 && address.state == State::Dead {
                    address.state = State::Unjudged;
                    address.deaths.clear();
                }
            }
        }
    }
}

/// `open` are the ports that any address has open: only they matter, unless there are none.
fn state(address: &AddressObservation, open: &BTreeSet<u16>, excuses: &Excuses) -> (State, Deaths) {
    let matters = |port: &&PortObservation| open.is_empty() || open.contains(&port.port);
    let (explained, judged): (Vec<&PortObservation>, Vec<&PortObservation>) = address
        .ports
        .iter()
        .filter(matters)
        .partition(|port| excuses.covers(address.address, port.port));
    if judged
        .iter()
        .chain(&explained)
        .any(|port| port.connect.outcome.is_ok())
    {
        return (State::Alive, Deaths::new());
    }
    if judged.is_empty() {
        return (State::Excused, Deaths::new());
    }
    let mut deaths = Deaths::new();
    for port in judged {
        let failure = port.connect.outcome.as_ref().err();
        if let Some(death) = failure.and_then(|error| Death::of(error.kind)) {
            deaths.entry(death).or_default().push(port.port);
        }
    }
    // Routes are for addresses, not for ports, and routers say only so often that there is none (RFC 4443, section 2.4 f).
    if deaths.contains_key(&Death::NoRoute)
        && let Some(silent) = deaths.remove(&Death::Dropped)
    {
        let ports = deaths.entry(Death::NoRoute).or_default();
        ports.extend(silent);
        ports.sort_unstable();
    }
    if deaths.is_empty() {
        (State::Unjudged, deaths)
    } else {
        (State::Dead, deaths)
    }
}

/// The pair that proves a path-MTU black hole, in either direction.
fn black_hole(port: &PortObservation) -> bool {
    let answers = pair_proves(&port.talks, &port.small_talks);
    // A large request says something only where an ordinary one gets through.
    let requests =
        port.talk().is_some_and(Talk::complete) && pair_proves(&port.large, &port.small_large);
    answers || requests
}

/// Every talk at the system's segment size fell silent, more than one was tried, and one with small segments got through.
fn pair_proves(ordinary: &[Talk], small: &[Talk]) -> bool {
    let silent = ordinary
        .iter()
        .filter(|talk| talk.stalled().is_some())
        .count();
    silent >= 2 && silent == ordinary.len() && small.iter().any(Talk::complete)
}
