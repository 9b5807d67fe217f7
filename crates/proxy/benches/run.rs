//! What `twinstack run` costs on a connection that needs no help: `cargo bench -p twinstack-proxy --bench run`.
//!
//! A program connects a few thousand times to a server beside it, in a network namespace of its own (needs `unshare` and
//! `ip`), once as it is and once under `run`. Counted is the processor time, from `/proc/PID/schedstat`, of the program and,
//! under `run`, of the supervisor: what the difference costs each connect. The server is not counted.

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::Linger;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use twinstack_proxy::run::{Options, run};

/// Connects for each line of the table.
const CONNECTS: u32 = 5000;
/// Documentation addresses, put on the loopback interface of the namespace: `run` leaves `::1` alone.
const WATCHED: &str = "2001:db8::1";
const UNWATCHED: &str = "192.0.2.1";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [_, "serve", address] => serve(address),
        [_, "connect", how, address] => connect(how, address),
        [_, "inside"] => table(),
        _ => outside(words[0]),
    }
}

/// Begins again in a network of our own.
fn outside(own: &str) -> ExitCode {
    let script = format!(
        "ip link set lo up && ip addr add {WATCHED}/128 dev lo && ip addr add {UNWATCHED}/32 dev lo && exec \"$0\" inside"
    );
    let status = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "sh",
            "-c",
            &script,
            own,
        ])
        .status();
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        other => {
            say(&format!(
                "the benchmark needs `unshare` with user namespaces, and `ip`: {other:?}"
            ));
            ExitCode::FAILURE
        }
    }
}

fn table() -> ExitCode {
    say(&format!(
        "{CONNECTS} connects a line; microseconds a connect; processor time, and the median time that a connect takes longer"
    ));
    say(&format!(
        "{:<34} {:>9} {:>9} {:>11} {:>9} {:>9}",
        "", "CPU as is", "CPU run", "supervisor", "overhead", "median +"
    ));
    let directory = std::env::temp_dir().join(format!("twinstack-bench-{}", std::process::id()));
    let cases = [
        ("watched, blocking", "blocking", WATCHED.to_owned()),
        ("watched, non-blocking", "polling", WATCHED.to_owned()),
        ("unwatched (IPv4)", "blocking", UNWATCHED.to_owned()),
        (
            "unwatched (Unix socket)",
            "unix",
            directory.display().to_string(),
        ),
    ];
    for (name, how, address) in cases {
        let (mut server, address) = start_server(how, &address);
        let plain = measure(how, &address, false);
        let under = measure(how, &address, true);
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(CONNECTS);
        let (plain_cpu, own, supervisor) =
            (each(plain.own), each(under.own), each(under.supervisor));
        say(&format!(
            "{name:<34} {plain_cpu:>9.1} {:>9.1} {supervisor:>11.1} {:>9.1} {:>9.1}",
            own + supervisor,
            own + supervisor - plain_cpu,
            (under.wall.as_secs_f64() - plain.wall.as_secs_f64()) * 1e6,
        ));
        server.kill().expect("the server is ours and runs");
        server.wait().expect("the server was killed");
    }
    // It is there only if the last case was run.
    drop(std::fs::remove_file(&directory));
    ExitCode::SUCCESS
}

struct Cost {
    own: Duration,
    supervisor: Duration,
    wall: Duration,
}

fn measure(how: &str, address: &str, under_run: bool) -> Cost {
    let own = std::env::current_exe().expect("this program has a path");
    let output = std::env::temp_dir().join(format!("twinstack-bench-out-{}", std::process::id()));
    let script = "exec \"$0\" connect \"$1\" \"$2\" > \"$3\"";
    let command: Vec<OsString> = vec![
        "sh".into(),
        "-c".into(),
        script.into(),
        own.into(),
        how.into(),
        address.into(),
        output.clone().into(),
    ];
    if under_run {
        let ended = run(Options::default(), &command).expect("the program runs");
        assert_eq!((ended.status, ended.notes), (0, Vec::new()));
    } else {
        let status = Command::new(&command[0]).args(&command[1..]).status();
        assert!(status.expect("the program runs").success());
    }
    let text = std::fs::read_to_string(&output).expect("the program has written its times");
    std::fs::remove_file(&output).expect("the file is ours");
    let mut numbers = text
        .split_whitespace()
        .map(|word| Duration::from_nanos(word.parse().expect("a number")));
    let mut next = || numbers.next().expect("three numbers");
    let (own, parent, wall) = (next(), next(), next());
    Cost {
        own,
        supervisor: if under_run { parent } else { Duration::ZERO },
        wall,
    }
}

/// Connects, and prints the processor time of this process, that of its parent, and the median time of a connect.
fn connect(how: &str, address: &str) -> ExitCode {
    let once = || {
        if how == "unix" {
            drop(UnixStream::connect(address).expect("the server accepts"));
            return;
        }
        let address: SocketAddr = address.parse().expect("an address");
        let stream = if how == "polling" {
            TcpStream::connect_timeout(&address, Duration::from_secs(5))
        } else {
            TcpStream::connect(address)
        };
        let stream = stream.expect("the server accepts");
        // Reset instead of closed: nothing is left behind that takes a port away.
        let reset = libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&stream, Linger, &reset).expect("a TCP socket can be reset");
    };
    for _ in 0..100 {
        once();
    }
    let parent = std::os::unix::process::parent_id();
    let (own_before, parent_before) = (on_processor("self"), on_processor(&parent.to_string()));
    let mut each = Vec::new();
    for _ in 0..CONNECTS {
        let start = Instant::now();
        once();
        each.push(start.elapsed());
    }
    // The median: on a busy machine the sum says more about the others.
    each.sort_unstable();
    let wall = each.get(each.len() / 2).copied().unwrap_or_default();
    let (own, parent) = (
        on_processor("self").saturating_sub(own_before),
        on_processor(&parent.to_string()).saturating_sub(parent_before),
    );
    say(&format!(
        "{} {} {}",
        own.as_nanos(),
        parent.as_nanos(),
        wall.as_nanos()
    ));
    ExitCode::SUCCESS
}

fn on_processor(process: &str) -> Duration {
    let text =
        std::fs::read_to_string(format!("/proc/{process}/schedstat")).expect("Linux says how long");
    let nanoseconds = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first number"))
}

fn start_server(how: &str, address: &str) -> (Child, String) {
    let own = std::env::current_exe().expect("this program has a path");
    let address = match how {
        "unix" => address.to_owned(),
        _ if address.contains(':') => format!("[{address}]:0"),
        _ => format!("{address}:0"),
    };
    let mut server = Command::new(own)
        .args(["serve", &address])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the server starts");
    let mut line = String::new();
    let said = server.stdout.as_mut().expect("its output is a pipe");
    BufReader::new(said)
        .read_line(&mut line)
        .expect("it says where it listens");
    (server, line.trim().to_owned())
}

fn serve(address: &str) -> ExitCode {
    if let Ok(address) = address.parse::<SocketAddr>() {
        let listener = TcpListener::bind(address).expect("the address is ours");
        say(&listener.local_addr().expect("it is bound").to_string());
        listener.incoming().for_each(drop);
    } else {
        let listener = UnixListener::bind(address).expect("nobody else has this path");
        say(address);
        listener.incoming().for_each(drop);
    }
    ExitCode::SUCCESS
}

fn say(line: &str) {
    let mut output = std::io::stdout();
    writeln!(output, "{line}").expect("somebody reads the results");
}
