//! The dialer in broken networks: real kernel, real name servers, the C library's own resolver.
//!
//! The test program is three things: the tests, the lab's process 1 (the lab starts it again), and the client that runs
//! inside. Limits are wide, as the machine may be busy; `twinstack`'s benchmark measures against the goals.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test with a main function of its own"
)]

use std::process::ExitCode;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use twinstack_dial::{Dialer, DnsResolver, RaceReport, Resolver, Tls, Watchdog};
use twinstack_lab::world::World;
use twinstack_lab::{Lab, LabOptions, enter_init};
use twinstack_testkit::{Need, can_run};

fn main() -> ExitCode {
    if let Some(code) = enter_init() {
        return code;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [role, resolver, what] = &arguments[..]
        && role == "client"
    {
        return client(resolver, what);
    }
    let filter = arguments.iter().find(|it| !it.starts_with('-'));
    let tests: [(&str, fn()); 9] = [
        ("healthy_means_ipv6_at_once", healthy),
        ("ipv6_dropped_costs_the_attempt_delay_once", ipv6_dropped),
        (
            "aaaa_never_answered_costs_the_resolution_delay",
            aaaa_dropped,
        ),
        ("a_never_answered_costs_nothing", a_dropped),
        (
            "a_dead_first_address_of_the_same_family_costs_the_attempt_delay",
            first_dead,
        ),
        ("tls_silent_on_ipv6_costs_the_attempt_delay", tls_stall),
        ("a_hosts_file_overrides_both_families", hosts_file),
        ("without_ipv6_nobody_asks_for_aaaa", no_ipv6),
        (
            "a_path_that_swallows_large_packets_is_found_and_avoided",
            large_packets,
        ),
    ];
    for (name, test) in tests {
        if filter.is_some_and(|filter| !name.contains(filter.as_str())) {
            continue;
        }
        if can_run(name, &[Need::Namespaces]) {
            test();
            println!("test {name} ... ok");
        }
    }
    ExitCode::SUCCESS
}

/// What the client inside tells of one dial.
#[derive(Debug)]
struct Told {
    /// From the first usable answer to the connection, in milliseconds.
    took: f64,
    family: String,
    attempts: usize,
    silent: String,
    queries: String,
}

/// Runs the client in a world and reads what it tells, a line a dial.
fn run(world: &str, resolver: &str, what: &str) -> Vec<Told> {
    let world = if world.contains('\n') {
        World::parse(world, "test.yaml").unwrap()
    } else {
        World::load(world).unwrap()
    };
    let lab = Lab::start(&world, &LabOptions::default()).unwrap();
    let program = std::env::current_exe().unwrap();
    let command = [program.to_str().unwrap(), "client", resolver, what];
    let (_, output) = lab.command("client", command).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines: Vec<Told> = text
        .lines()
        .map(|line| {
            let mut cells = line.split('|');
            let mut next = || cells.next().unwrap().to_owned();
            Told {
                took: next().parse().unwrap(),
                family: next(),
                attempts: next().parse().unwrap(),
                silent: next(),
                queries: next(),
            }
        })
        .collect();
    println!("  {what} over {resolver}: {lines:?}");
    lines
}

fn within(told: &Told, family: &str, range: std::ops::Range<f64>) {
    assert_eq!(told.family, family, "{told:?}");
    assert!(
        range.contains(&told.took),
        "{told:?} is not within {range:?} ms"
    );
}

const RESOLVERS: [&str; 2] = ["system", "dns"];

fn healthy() {
    for resolver in RESOLVERS {
        let told = run("healthy", resolver, "twice");
        within(&told[0], "ipv6", 10.0..100.0);
        within(&told[1], "ipv6", 10.0..100.0);
        assert_eq!(told[0].silent, "-");
    }
}

fn ipv6_dropped() {
    for resolver in RESOLVERS {
        let told = run("v6-drop", resolver, "twice");
        within(&told[0], "ipv4", 250.0..400.0);
        assert_eq!(told[0].silent, "connect");
        within(&told[1], "ipv4", 10.0..150.0);
        assert_eq!(told[1].attempts, 1);
    }
}

fn aaaa_dropped() {
    for resolver in RESOLVERS {
        let told = run("aaaa-dropped", resolver, "once");
        within(&told[0], "ipv4", 50.0..200.0);
        assert_eq!(told[0].silent, "dns");
    }
}

fn a_dropped() {
    for resolver in RESOLVERS {
        let told = run("a-dropped", resolver, "once");
        within(&told[0], "ipv6", 10.0..100.0);
    }
}

/// IPv4 only, two addresses. The DNS answers them in turns, so both orders come up.
fn first_dead() {
    let world = "version: 1\nsummary: one of two addresses is dead\nextends: v4-only\nexpect: []\n\
         fault:\n  filters:\n    - { at: service, direction: in, to: 198.51.100.80, action: drop }\n";
    for resolver in RESOLVERS {
        let told = run(world, resolver, "once");
        let range = if told[0].attempts == 1 {
            10.0..150.0
        } else {
            250.0..400.0
        };
        within(&told[0], "ipv4", range);
    }
}

fn tls_stall() {
    for resolver in RESOLVERS {
        let told = run("tls-stall-v6", resolver, "tls");
        within(&told[0], "ipv4", 250.0..500.0);
        assert_eq!(told[0].silent, "handshake");
    }
}

/// The file knows an IPv4 address alone; the real IPv6 address in the DNS must not come back.
fn hosts_file() {
    for resolver in RESOLVERS {
        let told = run("healthy", resolver, "hosts");
        within(&told[0], "ipv4", 0.0..100.0);
        assert_eq!(told[0].attempts, 1);
    }
}

fn no_ipv6() {
    let told = run("healthy", "system", "no-ipv6");
    within(&told[0], "ipv4", 10.0..100.0);
    assert_eq!(told[0].queries, "A");
}

/// A tunnel before the service, and a firewall at the office that eats what it says about its MTU.
fn large_packets() {
    let world = "version: 1\nsummary: large packets to the service vanish\nextends: standard\nexpect: []\n\
         fault:\n  links:\n    service: { v6: { mtu: 1400 } }\n  filters:\n    \
         - { at: office, direction: in, family: v6, action: swallow-packet-too-big }\n";
    let told = run(world, "system", "upload");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(
        (told[0].family.as_str(), told[0].silent.as_str()),
        ("ipv6", "large")
    );
    // The next dial goes the other way.
    assert_eq!(told[1].family, "ipv4");
}

/// Inside the lab.
fn client(resolver: &str, what: &str) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let resolver = match resolver {
        "dns" => runtime.block_on(async { Resolver::dns(DnsResolver::system().unwrap()) }),
        _ => Resolver::system(),
    };
    let dialer = Dialer::builder()
        .resolver(resolver)
        .overall_deadline(Some(Duration::from_secs(20)))
        .build();
    runtime.block_on(async {
        match what {
            "twice" => {
                tell(
                    &dialer.connect("www.lab.test:80").await.unwrap().report,
                    None,
                );
                tell(
                    &dialer.connect("www.lab.test:80").await.unwrap().report,
                    None,
                );
            }
            "tls" => {
                let tls = Tls::native().unwrap().alpn(["h2"]);
                let connection = dialer.connect_tls("www.lab.test:443", &tls).await.unwrap();
                assert_eq!(connection.stream.alpn(), Some(&b"h2"[..]));
                tell(&connection.report, None);
            }
            "hosts" => {
                std::fs::write("/tmp/twinstack-dial-hosts", "198.51.100.80 www.lab.test\n")
                    .unwrap();
                nix::mount::mount(
                    Some("/tmp/twinstack-dial-hosts"),
                    "/etc/hosts",
                    None::<&str>,
                    nix::mount::MsFlags::MS_BIND,
                    None::<&str>,
                )
                .unwrap();
                tell(
                    &dialer.connect("www.lab.test:80").await.unwrap().report,
                    None,
                );
            }
            "no-ipv6" => {
                std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap();
                tell(
                    &dialer.connect("www.lab.test:80").await.unwrap().report,
                    None,
                );
            }
            "upload" => {
                let mut connection = dialer.connect("www.lab.test:80").await.unwrap();
                connection
                    .stream
                    .write_all(b"POST / HTTP/1.1\r\nHost: www.lab.test\r\n")
                    .await
                    .unwrap();
                tokio::time::sleep(Duration::from_millis(100)).await;
                let body = [&b"Content-Length: 100000\r\n\r\n"[..], &[b'x'; 15_000]].concat();
                connection.stream.write_all(&body).await.unwrap();
                let watchdog = Watchdog::default();
                let fault = watchdog.watch(&connection.stream);
                let fault = tokio::time::timeout(Duration::from_secs(10), fault)
                    .await
                    .unwrap()
                    .unwrap();
                eprintln!("{fault}");
                connection.path.mark_broken();
                let large = matches!(fault, twinstack_dial::PathFault::LargePacketsLost { .. });
                tell(
                    &connection.report,
                    Some(if large { "large" } else { "other" }),
                );
                tell(
                    &dialer.connect("www.lab.test:80").await.unwrap().report,
                    None,
                );
            }
            _ => tell(
                &dialer.connect("www.lab.test:80").await.unwrap().report,
                None,
            ),
        }
    });
    // A stuck look-up must not hold the process up.
    runtime.shutdown_background();
    ExitCode::SUCCESS
}

fn tell(report: &RaceReport, silent: Option<&str>) {
    let queries = report.queries();
    let addresses = queries
        .iter()
        .filter(|it| it.outcome == "records" && it.kind.starts_with('A'));
    let first = addresses
        .filter_map(|it| it.ended_seconds)
        .fold(f64::INFINITY, f64::min);
    let attempts = report.attempts();
    let won = attempts.iter().find(|it| it.outcome == "won").unwrap();
    let failure = report.silent_failure();
    let stage = silent
        .or_else(|| failure.as_ref().map(|it| it.stage))
        .unwrap_or("-");
    let kinds: Vec<&str> = queries.iter().map(|it| it.kind.as_str()).collect();
    let took = (won.ended_seconds.unwrap() - first) * 1000.0;
    println!(
        "{took:.1}|{}|{}|{stage}|{}",
        won.family,
        attempts.len(),
        kinds.join("+")
    );
}
