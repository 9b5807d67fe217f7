//! `cargo xtask bench dialers`: our dialer beside its peers, in one run, in the lab.
//!
//! Every number is taken from the packets at the client's interface (TLS excepted: the client says when it is done), so
//! that starting a Python interpreter costs nobody anything. `never` means: not within 20 seconds.

mod cases;
mod clients;
mod measure;
mod table;

use anyhow::{Context as _, Result};
use cases::{CASES, Case};
use clients::{Client, Programs};
use measure::{Window, figure, see};
use serde::Deserialize;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use twinstack_lab::world::World;
use twinstack_lab::{Lab, LabOptions, enter_init, trace};

/// A client that has not connected after this long never does.
const LIMIT: Duration = Duration::from_secs(20);
/// A client that hangs this long goes on in the background while the next one starts.
const PATIENCE: Duration = Duration::from_secs(2);

const USAGE: &str =
    "usage: twinstack-bench [--runs N] [--ours] [--twinstack FILE] [--format human|json]";

fn main() -> ExitCode {
    if let Some(status) = enter_init() {
        return status;
    }
    match run(std::env::args().skip(1)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(mut words: impl Iterator<Item = String>) -> Result<bool> {
    let (mut runs, mut ours_only, mut json, mut twinstack) = (3_usize, false, false, None);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--runs" => runs = words.next().context(USAGE)?.parse().context(USAGE)?,
            "--ours" => ours_only = true,
            "--twinstack" => twinstack = Some(words.next().context(USAGE)?),
            "--format" => json = words.next().context(USAGE)? == "json",
            _ => anyhow::bail!(USAGE),
        }
    }
    eprintln!("setting up the peers");
    let programs = Programs::set_up()?;
    let twinstack = match twinstack {
        Some(file) => file,
        None => programs.twinstack()?.display().to_string(),
    };
    let clients: Vec<Client> = Client::ALL
        .into_iter()
        .filter(|client| client.is_ours() || !ours_only)
        .collect();
    let mut table = table::Table::new(clients.clone());
    for run in 1..=runs {
        eprintln!("run {run} of {runs}");
        dial_all(&clients, &programs, &mut table)?;
        under_run(&twinstack, &programs, &mut table)?;
    }
    if json {
        println!("{}", table.json());
    } else {
        print!("{}", table.human());
    }
    Ok(table.holds())
}

/// What a client prints when a dial has ended.
#[derive(Debug, Deserialize)]
struct Line {
    ok: bool,
    #[serde(default)]
    at: Option<f64>,
    #[serde(default)]
    started: Option<f64>,
    #[serde(default)]
    resolved: Option<f64>,
    #[serde(default)]
    total: Option<f64>,
    #[serde(default)]
    secured: Option<f64>,
}

/// The base world with a host for each client.
fn world(clients: &[Client]) -> Result<World> {
    let hosts: String = clients
        .iter()
        .zip(0x10_u8..)
        .map(|(client, number)| {
            format!(
                "  {}:\n    interfaces:\n      office: {{ addresses: [\"2e00:c::{number:x}\", 192.0.2.{number}] }}\n    nameservers: 203.0.113.53\n",
                client.host()
            )
        })
        .collect();
    let first = clients.first().context("no client takes part")?.host();
    let text = include_str!("../worlds/dialers.yaml").replace("  # CLIENTS\n", &hosts)
        + &format!("\nclient: {first}\n");
    World::parse(&text, "dialers.yaml").map_err(|error| anyhow::anyhow!("{}", error.render(false)))
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Every client dials every case; the figures come from one recording.
fn dial_all(clients: &[Client], programs: &Programs, table: &mut table::Table) -> Result<()> {
    let directory = tempfile::tempdir().context("making a directory for the recording")?;
    let file = directory.path().join("dialers.pcapng");
    let lab = Lab::start(
        &world(clients)?,
        &LabOptions {
            trace: Some(file.clone()),
            ..LabOptions::default()
        },
    )?;
    let mut windows: Vec<(usize, Client, Option<Window>)> = Vec::new();
    for (row, case) in CASES.iter().enumerate() {
        eprintln!("  {}", case.title);
        std::thread::scope(|scope| -> Result<()> {
            let mut dials = Vec::new();
            for &client in clients {
                let Some(command) = client.command(case, programs) else {
                    continue;
                };
                let lab = &lab;
                let dial = scope.spawn(move || dial(lab, client, case, &command));
                let began = Instant::now();
                while !dial.is_finished() && began.elapsed() < PATIENCE {
                    std::thread::sleep(Duration::from_millis(5));
                }
                dials.push((client, dial));
            }
            for (client, dial) in dials {
                let window = dial
                    .join()
                    .map_err(|_| anyhow::anyhow!("a dial panicked"))??;
                windows.push((row, client, window));
            }
            Ok(())
        })?;
    }
    drop(lab);
    let bytes = std::fs::read(&file).context("reading the recording")?;
    let frames = trace::read(&bytes).context("reading the recording")?;
    for (row, client, window) in windows {
        let case = &CASES[row];
        let figure = window.and_then(|window| {
            let seen = see(&frames, &format!("{}:office", client.host()), window);
            figure(case, &seen, window)
        });
        table.add(row, client, figure);
    }
    Ok(())
}

/// Runs one client on its host; `None` if it said nothing in time.
fn dial(lab: &Lab, client: Client, case: &Case, command: &[String]) -> Result<Option<Window>> {
    let from = now();
    let mut limited = vec![
        "timeout".to_owned(),
        "-s".to_owned(),
        "KILL".to_owned(),
        LIMIT.as_secs().to_string(),
    ];
    limited.extend(command.iter().cloned());
    let (_, output) = lab.command(&client.host(), &limited).output()?;
    let until = now();
    let text = String::from_utf8_lossy(&output.stdout);
    // The second dial is the one that counts where there are two.
    let Some(line) = text.lines().last() else {
        if client.is_ours() {
            anyhow::bail!(
                "{command:?} said nothing: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        return Ok(Some(Window {
            from,
            until,
            done: None,
        }));
    };
    let line: Line = serde_json::from_str(line)
        .with_context(|| format!("{} said `{line}` for `{}`", client.title(), case.title))?;
    let done = match (line.at, line.total, line.secured) {
        (Some(at), ..) => Some(Duration::from_secs_f64(at)),
        (None, Some(total), Some(secured)) => {
            Some(until.saturating_sub(Duration::from_secs_f64((total - secured).max(0.0))))
        }
        _ => None,
    };
    Ok(Some(Window {
        from: line.started.map_or(from, Duration::from_secs_f64),
        until,
        done: done.filter(|_| line.ok),
    }))
}

/// A sequential client that knows nothing of all this, under `twinstack run`: first and second connect.
fn under_run(twinstack: &str, programs: &Programs, table: &mut table::Table) -> Result<()> {
    eprintln!("  sequential client under `twinstack run`");
    let script = programs.here().join("peers/dial.py").display().to_string();
    let python = programs.python().display().to_string();
    let lab = Lab::start(&world(&[Client::OursSystem])?, &LabOptions::default())?;
    let command = [
        twinstack,
        "run",
        "--",
        &python,
        &script,
        "sequential",
        "dropped.bench.test",
        "80",
    ];
    let (outcome, output) = lab.command(&Client::OursSystem.host(), command).output()?;
    let lines: Vec<Line> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| format!("reading what {command:?} printed ({outcome:?})"))?;
    let took = |line: Option<&Line>| {
        let line = line.filter(|line| line.ok)?;
        let took = Duration::try_from_secs_f64(line.at? - line.resolved?).ok()?;
        Some(took.saturating_sub(cases::ROUND_TRIP))
    };
    table.add_run(took(lines.first()), took(lines.get(1)));
    Ok(())
}
