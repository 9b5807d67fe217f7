//! What the link emulator carries, on real sockets in real network namespaces of its own; needs no root.
//!
//! `cargo bench -p twinstack-lab --bench emulator`; add `-- --check` to fail when a goal is missed, and a word (`delay`,
//! `bulk`, `small`) to measure only that. The emulator with the writer of its trace gets one processor, hosts the rest.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

mod load;
mod space;

use load::Small;
use space::{Lab, Settings};
use std::io;
use std::process::ExitCode;
use std::time::Duration;

/// Bulk TCP over a 20 ms line, in bits a second.
const BULK_GOAL: f64 = 3e9;
/// Small packets a second on one core, with delay, filter and trace on.
const SMALL_GOAL: f64 = 150_000.0;
/// A 20 ms line measures 20 ms give or take this much, at the median.
const DELAY_GOAL: Duration = Duration::from_millis(2);
/// A rate counts as carried when no more than this share is missing.
const LOSS_ALLOWED: f64 = 0.001;

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wants = |name: &str| {
        let mut words = arguments
            .iter()
            .filter(|word| !word.starts_with('-'))
            .peekable();
        words.peek().is_none() || words.any(|word| word == name)
    };
    // `cargo test --benches` only wants to know that it works.
    let seconds = if arguments.iter().any(|word| word == "--bench") {
        5.0
    } else {
        0.5
    };
    space::enter_user_namespace()?;
    warn_of_small_buffers();
    let mut met = true;
    if wants("delay") {
        met &= measure_delay()?;
    }
    if wants("bulk") {
        met &= measure_bulk(Duration::from_secs_f64(seconds))?;
    }
    if wants("small") {
        met &= measure_small(Duration::from_secs_f64(seconds))?;
    }
    let fails = !met && arguments.iter().any(|word| word == "--check");
    Ok(if fails {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// What the kernel may hold for a socket decides how long the emulator may be kept off its core before frames are lost.
fn warn_of_small_buffers() {
    const ENOUGH: u64 = 4 << 20;
    let text = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap_or_default();
    if let Ok(bytes) = text.trim().parse::<u64>()
        && bytes < ENOUGH
    {
        println!(
            "net.core.rmem_max is {bytes}: with less than {ENOUGH} bulk transfers lose frames"
        );
    }
}

fn verdict(met: bool) -> &'static str {
    if met { " (goal met)" } else { " (GOAL MISSED)" }
}

fn measure_delay() -> io::Result<bool> {
    let delay = Duration::from_millis(20);
    let mut all = true;
    for (name, up, busy) in [
        ("no delay", Duration::ZERO, false),
        ("20 ms", delay, false),
        ("20 ms beside 50,000 packets/s", delay, true),
    ] {
        let settings = Settings {
            up,
            filters: true,
            trace: true,
            ..Settings::default()
        };
        let lab = Lab::start(&settings)?;
        let load = busy.then(|| Small::start(&lab, 50_000, Duration::from_secs(5)));
        let times = load::round_trips(&lab, 200)?;
        if let Some(load) = load {
            load.finish()?;
        }
        let report = lab.stop()?;
        let at = |share: usize| {
            times
                .get(times.len() * share / 100)
                .copied()
                .unwrap_or_default()
        };
        let met = at(50).abs_diff(up) <= DELAY_GOAL;
        // Beside other traffic the hosts' own processor is what one measures.
        all &= met || busy;
        println!(
            "round trip, {name}: 5 % {:.3?}, median {:.3?}, 95 % {:.3?}{}; {report}",
            at(5),
            at(50),
            at(95),
            if busy { "" } else { verdict(met) }
        );
    }
    Ok(all)
}

fn measure_bulk(time: Duration) -> io::Result<bool> {
    let mut all = true;
    let half = Duration::from_millis(10);
    for (name, delay, connections, records, has_goal) in [
        ("no delay, one connection", Duration::ZERO, 1, false, false),
        ("20 ms round trip, one connection", half, 1, false, false),
        ("20 ms round trip, four connections", half, 4, false, true),
        (
            "20 ms round trip, four connections, filter and trace",
            half,
            4,
            true,
            true,
        ),
        ("20 ms each way, four connections", 2 * half, 4, false, true),
    ] {
        let settings = Settings {
            up: delay,
            down: delay,
            trace: records,
            filters: records,
        };
        let lab = Lab::start(&settings)?;
        let rate = load::bulk(&lab, connections, time)? * 8.0;
        let report = lab.stop()?;
        let met = rate >= BULK_GOAL;
        all &= met || !has_goal;
        let verdict = if has_goal { verdict(met) } else { "" };
        println!(
            "bulk TCP, {name}: {:.2} Gbit/s{verdict}; {report}",
            rate / 1e9
        );
    }
    Ok(all)
}

fn measure_small(time: Duration) -> io::Result<bool> {
    let mut best = 0.0_f64;
    for offered in [
        100_000, 150_000, 170_000, 190_000, 210_000, 230_000, 260_000, 300_000,
    ] {
        let half = Duration::from_millis(10);
        let lab = Lab::start(&Settings {
            up: half,
            down: half,
            filters: true,
            trace: true,
        })?;
        let (sent, arrived, seconds) = Small::start(&lab, offered, time).finish()?;
        let report = lab.stop()?;
        let missing = (sent - arrived) / sent.max(1.0);
        println!(
            "small packets: sent {:.0}/s, arrived {:.0}/s, {:.2} us of processor time each; {report}",
            sent / seconds,
            arrived / seconds,
            report.busy.as_secs_f64() * 1e6 / arrived.max(1.0),
        );
        if missing > LOSS_ALLOWED {
            break;
        }
        best = best.max(arrived / seconds);
    }
    let met = best >= SMALL_GOAL;
    println!(
        "small packets, highest rate carried whole: {best:.0}/s{}",
        verdict(met)
    );
    Ok(met)
}
