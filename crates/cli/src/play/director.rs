//! Makes the incident happen, act by act: builds the world, sends the clients, runs the checks, mends.

use super::audience::Audience;
use super::cast::{self, Cast, ClientKind};
use super::packets;
use super::stage::{GIVE_UP, Stage};
use super::story::{Check, Ipv6, Mend, MendKind, Network, Round, SCHEMA, Story};
use crate::recording::Recording;
use std::thread;
use std::time::{Duration, Instant};
use twinstack_lab::world::World;
use twinstack_lab::{Lab, LabOptions, Update};

/// How long resolvers remember the service. In life this is what an operator lowers to a minute before the change; a
/// replay has less time.
pub(super) const TTL_SECONDS: u32 = 2;

/// What is to be played.
pub(super) struct Script {
    pub(super) replay: String,
    pub(super) with_fault: bool,
    /// The world, with the hosts of the cast.
    pub(super) world: World,
    /// The same world after the mend.
    pub(super) mended: World,
    pub(super) cast: Cast,
}

/// Plays it all and returns what happened.
pub(super) fn play(
    script: &Script,
    recording: &Recording,
    audience: &mut Audience<'_, '_>,
) -> anyhow::Result<Story> {
    let started = Instant::now();
    audience.working("building the world");
    let networks = cast::networks(&script.world, &script.cast)?;
    let options = LabOptions {
        trace: Some(recording.path().to_owned()),
        program: None,
    };
    let lab = Lab::start(&script.world, &options)?;
    // Only now: where a lab is refused, there is no story.
    audience.opening(script.with_fault)?;
    let mut stage = Stage::new(script, &lab)?;
    stage.find_curl()?;

    let before = incident(&stage, &networks, audience)?;
    let mends = mend(&stage, script, &before, audience)?;
    let after = again(&stage, &networks, &before, audience)?;

    let (clients, not_run, url) = (stage.clients(), stage.not_run().to_vec(), stage.url());
    audience.working("reading the recording");
    lab.stop();
    let mut story = Story {
        schema: SCHEMA.to_owned(),
        replay: script.replay.clone(),
        with_fault: script.with_fault,
        seed: script.world.seed,
        url,
        give_up_seconds: GIVE_UP.as_secs_f64(),
        ttl_seconds: TTL_SECONDS,
        networks,
        clients,
        before,
        mends,
        after,
        not_run,
        trace: recording.kept(),
        elapsed_seconds: 0.0,
    };
    packets::fill(&mut story, &recording.read()?)?;
    audience.quiet();
    story.elapsed_seconds = started.elapsed().as_secs_f64();
    Ok(story)
}

/// Acts 1 to 3: what is published, what everybody experiences, what `check` finds.
fn incident(
    stage: &Stage<'_>,
    networks: &[Network],
    audience: &mut Audience<'_, '_>,
) -> anyhow::Result<Round> {
    audience.act(1, "An AAAA record is published")?;
    audience.working("asking the DNS");
    let (from_office, published) = stage.check(0, &[])?;
    audience.published(&published)?;

    audience.act(2, "Everybody visits the site")?;
    stage.warm_up()?;
    audience.cast(networks, &stage.clients())?;
    audience.space()?;
    let (runs, more) = stage.visits(false, &others_with_ipv6(networks), audience)?;
    let mut checks = vec![from_office];
    checks.extend(more);

    audience.act(3, "What `twinstack check` finds")?;
    audience.checks(&checks)?;
    let before = Round {
        published,
        runs,
        checks,
    };
    audience.vantages(&before)?;
    Ok(before)
}

/// Act 4: each change alone, measured where it hurt most.
fn mend(
    stage: &Stage<'_>,
    script: &Script,
    before: &Round,
    audience: &mut Audience<'_, '_>,
) -> anyhow::Result<Vec<Mend>> {
    audience.act(4, "The mend, one change at a time")?;
    let name = &before.published.name;
    let legacy = ClientKind::Legacy.name();
    let worst = before
        .runs
        .iter()
        .filter(|run| run.client == legacy)
        .max_by(|a, b| {
            a.measured
                .elapsed_seconds
                .total_cmp(&b.measured.elapsed_seconds)
        });
    let network = worst.map_or("", |run| &run.network);
    let mut mends = Vec::new();
    let mut show = |mend: Mend, audience: &mut Audience<'_, '_>| {
        let before = worst.filter(|_| mend.run.is_some());
        audience.quiet();
        if !mends.is_empty() {
            audience.space()?;
        }
        audience.mend(&mend, name, before)?;
        mends.push(mend);
        anyhow::Ok(())
    };

    audience.working("correcting the PTR records");
    stage.update(&Update {
        zones: Some(script.mended.zones.clone()),
        ..Update::default()
    })?;
    let (_, published) = stage.check(0, &[])?;
    let were_right = before
        .published
        .reverse
        .iter()
        .all(|reverse| reverse.says(name));
    let did = if were_right {
        "They were right all the time"
    } else {
        "The names in the reverse zone end with a dot now"
    };
    let mend = Mend {
        what: MendKind::Ptr,
        did: format!("{did}. The DNS says:"),
        reverse: published.reverse,
        run: None,
    };
    show(mend, audience)?;

    audience.working("trying the new client");
    let mend = Mend {
        what: MendKind::Fallback,
        did: "The same program with Happy Eyeballs (RFC 8305): the other family has its turn after 250 ms. \
              Nothing has changed in the network or in the AAAA records."
            .to_owned(),
        reverse: Vec::new(),
        run: Some(stage.visit(network, ClientKind::Legacy, true)?),
    };
    show(mend, audience)?;

    audience.working("limiting the AAAA");
    stage.update(&Update {
        dns_rules: Some(script.mended.dns_rules.clone()),
        ..Update::default()
    })?;
    // Resolvers that were asked a moment ago remember the AAAA that long, and a little for rounding.
    thread::sleep(Duration::from_secs(TTL_SECONDS.into()) + Duration::from_millis(200));
    let mend = Mend {
        what: MendKind::AaaaLimited,
        did: "To networks in which IPv6 is not known to work, the name servers answer AAAA with NODATA, and HTTPS \
              too, whose hints would bring the addresses back. This is the old client, without fallback, after the \
              resolvers forgot the AAAA:"
            .to_owned(),
        reverse: Vec::new(),
        run: Some(stage.visit(network, ClientKind::Legacy, false)?),
    };
    show(mend, audience)?;
    Ok(mends)
}

/// Act 5: everybody again.
fn again(
    stage: &Stage<'_>,
    networks: &[Network],
    before: &Round,
    audience: &mut Audience<'_, '_>,
) -> anyhow::Result<Round> {
    audience.act(5, "Everybody visits the site again")?;
    audience.working("visiting");
    stage.warm_up()?;
    let runs = stage.visits_unwatched(true)?;
    audience.working("checking again");
    // Where the AAAA is withheld on purpose, its absence is no fault.
    let limited = others_with_ipv6(networks)
        .into_iter()
        .map(|at| (at, vec!["--allow-v4-only"]));
    let plans: Vec<(usize, Vec<&str>)> = std::iter::once((0, Vec::new())).chain(limited).collect();
    let results = stage.checks(&plans)?;
    let published = results
        .first()
        .map(|(_, published)| published.clone())
        .unwrap_or_default();
    let checks: Vec<Check> = results.into_iter().map(|(check, _)| check).collect();
    let after = Round {
        published,
        runs,
        checks,
    };
    audience.quiet();
    audience.comparison(before, &after)?;
    audience.space()?;
    audience.checks(&after.checks)?;
    Ok(after)
}

/// Networks besides the first whose IPv6 is worth checking.
fn others_with_ipv6(networks: &[Network]) -> Vec<usize> {
    let has_ipv6 = |network: &Network| network.ipv6 != Ipv6::Absent;
    networks
        .iter()
        .enumerate()
        .skip(1)
        .filter(|(_, it)| has_ipv6(it))
        .map(|(at, _)| at)
        .collect()
}
