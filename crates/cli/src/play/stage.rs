//! Programs in a running lab, several at a time: threads wait for them, and only the caller speaks to the audience.

use super::audience::Audience;
use super::cast::{self, ClientKind};
use super::director::Script;
use super::packets::Watched;
use super::programs::{self, Errand};
use super::story::{Check, Client, Published, Run};
use anyhow::{Context as _, anyhow, bail};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use twinstack_finding::Skipped;
use twinstack_lab::{Lab, Outcome, Update};

/// How long clients wait before they give up: what a patient person does. The kernel alone would try for more than two
/// minutes.
pub(super) const GIVE_UP: Duration = Duration::from_secs(20);

/// Whoever has not answered after this long is worth watching.
const QUICK: Duration = Duration::from_millis(1500);

/// Watched at this pace.
const TICK: Duration = Duration::from_millis(100);

/// Visits begin this far apart: at once they would measure how busy this machine is.
const APART: Duration = Duration::from_millis(60);

/// The service speaks plain HTTP to the clients, so that the first byte can be seen in the packets.
const PORT: u16 = 80;

/// A lab with a cast.
pub(super) struct Stage<'a> {
    script: &'a Script,
    lab: &'a Lab,
    twinstack: String,
    clients: Vec<ClientKind>,
    curl: Option<String>,
    not_run: Vec<Skipped>,
}

impl<'a> Stage<'a> {
    pub(super) fn new(script: &'a Script, lab: &'a Lab) -> anyhow::Result<Self> {
        let twinstack = std::env::current_exe().context("finding this program's own file")?;
        let twinstack = twinstack
            .into_os_string()
            .into_string()
            .map_err(|path| anyhow!("the path of this program is not UTF-8: {}", path.display()))?;
        Ok(Self {
            script,
            lab,
            twinstack,
            clients: script.cast.clients.clone(),
            curl: None,
            not_run: Vec::new(),
        })
    }

    /// Sees whether curl is here; without it, it is said to be missing and left out.
    pub(super) fn find_curl(&mut self) -> anyhow::Result<()> {
        let (network, _) = self.network(0)?;
        let host = cast::host_name(network, ClientKind::Curl);
        let (outcome, output) = self
            .lab
            .command(&host, ["curl", "-q", "--version"])
            .output()?;
        self.curl =
            programs::curl_version(&output.stdout).filter(|_| outcome == Outcome::Exited(0));
        if self.curl.is_none() {
            self.clients.retain(|client| *client != ClientKind::Curl);
            self.not_run.push(Skipped {
                what: "the client curl".to_owned(),
                why: "`curl` is not installed here".to_owned(),
            });
        }
        Ok(())
    }

    /// What did not run, and why.
    pub(super) fn not_run(&self) -> &[Skipped] {
        &self.not_run
    }

    /// The clients in words.
    pub(super) fn clients(&self) -> Vec<Client> {
        self.clients
            .iter()
            .map(|client| Client {
                name: client.name().to_owned(),
                about: match client {
                    ClientKind::Legacy => format!(
                        "tries one address after another, as in 2017; its user gives up after {} s",
                        GIVE_UP.as_secs()
                    ),
                    ClientKind::Modern => {
                        "tries the other family after 250 ms (RFC 8305)".to_owned()
                    }
                    ClientKind::Curl => {
                        format!(
                            "{}, as installed here",
                            self.curl.as_deref().unwrap_or("curl")
                        )
                    }
                },
            })
            .collect()
    }

    /// What the clients ask for.
    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.name())
    }

    fn name(&self) -> &str {
        self.script.world.check.target.as_str()
    }

    /// A network of the cast, and the host that was copied for the clients.
    fn network(&self, at: usize) -> anyhow::Result<(&str, &str)> {
        let networks = &self.script.cast.networks;
        let (name, host) = networks.get(at).with_context(|| {
            let world = &self.script.world.name;
            format!(
                "the world `{world}` has only {} networks with clients",
                networks.len()
            )
        })?;
        Ok((name, host))
    }

    /// Changes the running world.
    pub(super) fn update(&self, update: &Update) -> anyhow::Result<()> {
        Ok(self.lab.update(update)?)
    }

    /// Runs `check` in a network and says what it found and what it was told of the DNS.
    pub(super) fn check(
        &self,
        network: usize,
        arguments: &[&str],
    ) -> anyhow::Result<(Check, Published)> {
        let (name, host) = self.network(network)?;
        let typed = [&["check", self.name()], arguments].concat();
        let command = [
            &[self.twinstack.as_str()],
            typed.as_slice(),
            &["--format", "json"],
        ]
        .concat();
        let (outcome, output) = self.lab.command(host, command).output()?;
        // 2 is "could not look": that too is a report, and the verdict says it.
        if !matches!(outcome, Outcome::Exited(0..=2)) {
            let errors = String::from_utf8_lossy(&output.stderr);
            bail!(
                "`twinstack check` on `{host}` ended with {outcome:?}: {}",
                errors.trim()
            );
        }
        let report = programs::report(&output.stdout, &output.stderr)?;
        let published = programs::published(&report, self.name());
        let check = Check {
            network: name.to_owned(),
            command: format!("twinstack {}", typed.join(" ")),
            verdict: report.verdict,
            elapsed_seconds: report.elapsed_seconds,
            findings: report.findings,
        };
        Ok((check, published))
    }

    /// Several checks at once.
    pub(super) fn checks(
        &self,
        plans: &[(usize, Vec<&str>)],
    ) -> anyhow::Result<Vec<(Check, Published)>> {
        thread::scope(|scope| {
            let running: Vec<_> = plans
                .iter()
                .map(|(network, arguments)| scope.spawn(|| self.check(*network, arguments)))
                .collect();
            running
                .into_iter()
                .map(|check| check.join().unwrap_or_else(panicked))
                .collect()
        })
    }

    /// One client in one network.
    pub(super) fn visit(
        &self,
        network: &str,
        client: ClientKind,
        mended: bool,
    ) -> anyhow::Result<Run> {
        let url = self.url();
        let errand = Errand {
            twinstack: &self.twinstack,
            url: &url,
            give_up: GIVE_UP,
            mended,
        };
        let host = cast::host_name(network, client);
        let from = since_1970();
        let (outcome, output) = self
            .lab
            .command(&host, programs::command(client, &errand))
            .output()?;
        let until = since_1970();
        let measured = programs::measured(client, &output.stdout).with_context(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            format!(
                "the client `{}` on `{host}` ended with {outcome:?}: {}",
                client.name(),
                errors.trim()
            )
        })?;
        let interfaces = &cast::host(&self.script.world, &host)?.interfaces;
        Ok(Run {
            network: network.to_owned(),
            client: client.name().to_owned(),
            strategy: programs::strategy(client, mended)
                .map_or("its own", |it| it.as_str())
                .to_owned(),
            measured,
            from_packets: None,
            watched: Some(Watched {
                interface: format!("{host}:{network}"),
                addresses: interfaces
                    .iter()
                    .flat_map(|it| it.addresses.iter().copied())
                    .collect(),
                port: PORT,
                during: (from, until),
            }),
            host,
        })
    }

    /// Everybody in all networks, in the order of the table.
    fn everybody(&self) -> Vec<(&str, ClientKind)> {
        let networks = self.script.cast.networks.iter();
        networks
            .flat_map(|(name, _)| self.clients.iter().map(|client| (name.as_str(), *client)))
            .collect()
    }

    /// Lets somebody in every network ask for the name, so that all visits of a round find resolvers that know it.
    pub(super) fn warm_up(&self) -> anyhow::Result<()> {
        let networks = self.script.cast.networks.iter();
        let somebody = networks
            .map(|(name, _)| (name.as_str(), ClientKind::Modern))
            .collect();
        self.all(somebody, true).map(drop)
    }

    /// Everybody at once, in the order of the table, with nobody watching.
    pub(super) fn visits_unwatched(&self, mended: bool) -> anyhow::Result<Vec<Run>> {
        self.all(self.everybody(), mended)
    }

    fn all(&self, visits: Vec<(&str, ClientKind)>, mended: bool) -> anyhow::Result<Vec<Run>> {
        thread::scope(|scope| {
            let running: Vec<_> = visits
                .into_iter()
                .enumerate()
                .map(|(row, (network, client))| {
                    scope.spawn(move || {
                        thread::sleep(turn(row));
                        self.visit(network, client, mended)
                    })
                })
                .collect();
            running
                .into_iter()
                .map(|visit| visit.join().unwrap_or_else(panicked))
                .collect()
        })
    }

    /// Everybody at once. Who has not answered soon is watched, and meanwhile `check` runs in some networks; apart from
    /// the quick visits, so that it does not disturb what they measure.
    pub(super) fn visits(
        &self,
        mended: bool,
        check_in: &[usize],
        audience: &mut Audience<'_, '_>,
    ) -> anyhow::Result<(Vec<Run>, Vec<Check>)> {
        let everybody = self.everybody();
        let rows: Vec<(String, String)> = everybody
            .iter()
            .map(|(network, client)| ((*network).to_owned(), client.name().to_owned()))
            .collect();
        audience.working("visiting");
        thread::scope(|scope| {
            let (ended, wait) = mpsc::channel();
            for (row, (network, client)) in everybody.iter().copied().enumerate() {
                let ended = ended.clone();
                scope.spawn(move || {
                    thread::sleep(turn(row));
                    // Nobody listens any more after an error; then the result is of no interest.
                    drop(ended.send((row, self.visit(network, client, mended))));
                });
            }
            drop(ended);
            let started = Instant::now();
            let mut runs: Vec<Option<Run>> = vec![None; rows.len()];
            let mut missing = rows.len();
            while missing > 0 {
                match wait.recv_timeout(QUICK.saturating_sub(started.elapsed())) {
                    Ok((row, run)) => {
                        put(&mut runs, row, run?);
                        missing -= 1;
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => bail!("a visit ended without a result"),
                }
            }
            audience.quiet();
            audience.table_head(&rows)?;
            for run in runs.iter().flatten() {
                audience.table_row(run, &rows)?;
            }
            let plans: Vec<(usize, Vec<&str>)> =
                check_in.iter().map(|at| (*at, Vec::new())).collect();
            let checking = scope.spawn(move || self.checks(&plans));
            if missing > 0 {
                let late = rows.iter().zip(&runs).find(|(_, run)| run.is_none());
                let who = late.map_or_else(String::new, |((network, client), _)| {
                    format!("{network}, {client}")
                });
                audience.waiting(&who, GIVE_UP);
            }
            while missing > 0 {
                match wait.recv_timeout(TICK) {
                    Ok((row, run)) => {
                        let run = run?;
                        audience.table_row(&run, &rows)?;
                        put(&mut runs, row, run);
                        missing -= 1;
                    }
                    Err(RecvTimeoutError::Timeout) => audience.waited(started.elapsed()),
                    Err(RecvTimeoutError::Disconnected) => bail!("a visit ended without a result"),
                }
            }
            audience.working("checking");
            let checks = checking.join().unwrap_or_else(panicked)?;
            audience.quiet();
            Ok((
                runs.into_iter().flatten().collect(),
                checks.into_iter().map(|(check, _)| check).collect(),
            ))
        })
    }
}

/// When the visit of a row of the table begins.
fn turn(row: usize) -> Duration {
    APART * u32::try_from(row).unwrap_or(0)
}

fn put(runs: &mut [Option<Run>], row: usize, run: Run) {
    if let Some(place) = runs.get_mut(row) {
        *place = Some(run);
    }
}

fn panicked<T>(_: Box<dyn std::any::Any + Send>) -> anyhow::Result<T> {
    bail!("a thread of the replay panicked")
}

/// The recording counts so too.
fn since_1970() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
