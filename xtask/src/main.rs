//! The work that developers repeat: `cargo xtask test`, and what it is made of.

mod bench;
mod conformance;
mod tests_run;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test         formatting, lints, unit, documentation and lab tests, conformance; ends with a count
  conformance  which tests prove which line of crates/race/CHECKLIST.md; fails when a MUST or a SHOULD has none
  bench        the lab's benchmarks (calibration, throughput, packet rate), then what `check` takes, beside the goals
  bench race   what a step of the dialer's machine costs, beside the goals
  bench dialers  our dialer beside its peers in the lab (installs Python packages and a Go program under bench/target)
  bench relay  `twinstack proxy` beside HAProxy
  fuzz SECS    every fuzz target for SECS seconds (needs a nightly toolchain and cargo-fuzz)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test"] => tests_run::all(),
        ["conformance"] => tests_run::root().and_then(|root| conformance::run(&root)),
        ["bench", "race"] => tests_run::cargo(&[
            "bench",
            "--locked",
            "-p",
            "twinstack-race",
            "--bench",
            "step",
        ]),
        ["bench", "dialers"] => tests_run::dialers(),
        ["bench", "relay"] => tests_run::relay(),
        ["bench"] => bench::all(),
        ["fuzz", seconds] => tests_run::fuzz(seconds),
        _ => {
            say(USAGE);
            return ExitCode::from(64);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("xtask: {error:#}"));
            ExitCode::from(2)
        }
    }
}

#[expect(clippy::print_stdout, reason = "this program is a renderer")]
fn say(text: &str) {
    println!("{text}");
}
