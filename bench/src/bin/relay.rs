//! `cargo xtask bench relay`: bytes a second through `twinstack proxy --forward` and through HAProxy in TCP mode with
//! splice, alternating, in one run on the loopback; with the CPU time that a gibibyte costs each.
//!
//! usage: `relay TWINSTACK [ROUNDS]`

use anyhow::{Context as _, Result, bail};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// What a round moves.
const BYTES: u64 = 6 << 30;
/// Connections at a time.
const CONNECTIONS: u64 = 4;
/// The goal: not less than this share of HAProxy's throughput.
const GOAL: f64 = 0.9;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let Some(twinstack) = words.next() else {
        eprintln!("usage: relay TWINSTACK [ROUNDS]");
        return ExitCode::from(64);
    };
    let rounds = words.next().and_then(|word| word.parse().ok()).unwrap_or(7);
    match run(&twinstack, rounds) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("relay: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// One of the two.
struct Relay {
    title: &'static str,
    child: Child,
    address: SocketAddr,
    gbit: Vec<f64>,
    cpu: Vec<f64>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

fn run(twinstack: &str, rounds: usize) -> Result<bool> {
    let sink = sink()?;
    let mut relays = [ours(twinstack, sink)?, haproxy(sink)?];
    for relay in &relays {
        ready(relay.address)?;
    }
    for round in 0..=rounds {
        // Turn about, so that a slow moment of the machine does not always meet the same one.
        for index in 0..relays.len() {
            let turn = (index + round) % relays.len();
            let relay = &mut relays[turn];
            let before = cpu_seconds(relay.child.id())?;
            let began = Instant::now();
            push(relay.address)?;
            let took = began.elapsed().as_secs_f64();
            // The first round warms up.
            if round > 0 {
                relay.gbit.push(BYTES as f64 * 8.0 / 1e9 / took);
                relay.cpu.push(
                    (cpu_seconds(relay.child.id())? - before)
                        / (BYTES as f64 / (1_u64 << 30) as f64),
                );
            }
        }
    }
    println!(
        "{rounds} rounds of {} GiB over {CONNECTIONS} connections, medians",
        BYTES >> 30
    );
    for relay in &relays {
        println!(
            "{:<12} {:>6.1} Gbit/s   {:>5.3} s of CPU a GiB",
            relay.title,
            median(&relay.gbit),
            median(&relay.cpu)
        );
    }
    let [ours, peer] = &relays;
    let ratios: Vec<f64> = ours
        .gbit
        .iter()
        .zip(&peer.gbit)
        .map(|(ours, peer)| ours / peer)
        .collect();
    let ratio = median(&ratios);
    let holds = ratio >= GOAL;
    println!(
        "throughput: {ratio:.2} of HAProxy's (goal: at least {GOAL}){}; CPU: {:.2} of HAProxy's",
        if holds { "" } else { " MISSED" },
        median(&ours.cpu) / median(&peer.cpu)
    );
    Ok(holds)
}

fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")
        .context("finding a free port")?
        .local_addr()?)
}

fn ours(twinstack: &str, sink: SocketAddr) -> Result<Relay> {
    let address = free_port()?;
    let child = Command::new(twinstack)
        .args([
            "proxy",
            "--allow",
            "127.0.0.0/8",
            "--forward",
            &format!("{address}={sink}"),
        ])
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {twinstack}"))?;
    Ok(Relay {
        title: "twinstack",
        child,
        address,
        gbit: Vec::new(),
        cpu: Vec::new(),
    })
}

fn haproxy(sink: SocketAddr) -> Result<Relay> {
    let address = free_port()?;
    let directory = tempfile::tempdir()?.keep();
    let file = directory.join("haproxy.cfg");
    let config = format!(
        "global\n  maxconn 1000\ndefaults\n  mode tcp\n  option splice-auto\n  option splice-request\n  option splice-response\n  timeout connect 5s\n  timeout client 1m\n  timeout server 1m\nlisten relay\n  bind {address}\n  server sink {sink}\n"
    );
    std::fs::write(&file, config)?;
    let child = Command::new("haproxy")
        .args(["-db", "-q", "-f"])
        .arg(&file)
        .spawn()
        .context("starting haproxy (Debian: haproxy)")?;
    Ok(Relay {
        title: "HAProxy",
        child,
        address,
        gbit: Vec::new(),
        cpu: Vec::new(),
    })
}

fn ready(address: SocketAddr) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(10) {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("nothing listens on {address} after 10 s");
}

/// Reads everything, and says one byte when it has all of a connection's.
fn sink() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("opening the sink")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut buffer = vec![0; 1 << 20];
                while stream.read(&mut buffer).is_ok_and(|length| length > 0) {}
                let _gone = stream.write_all(b".");
            });
        }
    });
    Ok(address)
}

/// Pushes a round's bytes through and waits until they have arrived.
fn push(address: SocketAddr) -> Result<()> {
    std::thread::scope(|scope| {
        let pushes: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(move || -> Result<()> {
                    let mut stream = TcpStream::connect(address)?;
                    let chunk = vec![0x5a; 1 << 20];
                    for _ in 0..(BYTES / CONNECTIONS) >> 20 {
                        stream.write_all(&chunk)?;
                    }
                    stream.shutdown(std::net::Shutdown::Write)?;
                    let mut done = [0];
                    stream.read_exact(&mut done)?;
                    Ok(())
                })
            })
            .collect();
        for push in pushes {
            push.join()
                .map_err(|_| anyhow::anyhow!("a push panicked"))?
                .context("pushing")?;
        }
        Ok(())
    })
}

/// User and system time of a process so far.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = text
        .rsplit_once(')')
        .context("reading the process's times")?
        .1;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks =
        |index: usize| -> Result<f64> { Ok(fields.get(index).context("too few fields")?.parse()?) };
    // USER_HZ is 100 on every Linux.
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}
