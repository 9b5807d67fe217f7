//! What a healthy dial costs in CPU time, beside hyper-util's connector, in one run.
//!
//! `cargo bench -p twinstack-dial --features dns,hyper --bench cpu [-- DIALS]`
//!
//! It starts itself in a network and mount namespace of its own (no privilege needed), where /etc/resolv.conf names a DNS
//! server on loopback, so that all resolve the same names over the same wire. DNS and TCP servers are a process apart:
//! what is counted is the client, all its threads, user and system time.

#![expect(clippy::print_stdout, reason = "a benchmark prints")]

use hyper_util::client::legacy::connect::HttpConnector;
use std::io::{self, Read as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;
use tower_service::Service as _;
use twinstack_dial::{Dialer, DnsResolver, Resolver};
use twinstack_dns::{Data, Query, Rcode, Record, RecordType, Response, Ttl};

const PORT: u16 = 8080;
const INSIDE: &str = "TWINSTACK_BENCH_INSIDE";

/// Loopback with addresses and default routes, as a host with both families has; DNS on loopback.
const SETUP: &str = "
set -e
ip link set lo up
ip address add 192.0.2.1/24 dev lo
ip -6 address add 2001:db8::1/64 dev lo nodad
ip route add default dev lo
ip -6 route add default dev lo
mount -t tmpfs none /mnt
echo 'nameserver 127.0.0.1' > /mnt/resolv.conf
echo 'hosts: files dns' > /mnt/nsswitch.conf
mount --bind /mnt/resolv.conf \"$(readlink -f /etc/resolv.conf)\"
mount --bind /mnt/nsswitch.conf /etc/nsswitch.conf
exec \"$@\"
";

fn main() -> io::Result<()> {
    let dials = std::env::args()
        .skip(1)
        .find_map(|it| it.parse().ok())
        .unwrap_or(3_000);
    if std::env::args().any(|it| it == "serve") {
        return serve();
    }
    if std::env::var_os(INSIDE).is_some() {
        return measure(dials);
    }
    let status = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "--mount",
            "sh",
            "-c",
            SETUP,
            "sh",
        ])
        .arg(std::env::current_exe()?)
        .arg(dials.to_string())
        .env(INSIDE, "1")
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other("the namespace could not be set up"))
    }
}

fn measure(dials: u32) -> io::Result<()> {
    let mut servers = Command::new(std::env::current_exe()?)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut ready = [0];
    servers
        .stdout
        .take()
        .expect("it is piped")
        .read_exact(&mut ready)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(compare(dials));
    servers.kill()?;
    servers.wait()?;
    outcome
}

async fn compare(dials: u32) -> io::Result<()> {
    let dns = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
    let system = Dialer::new();
    let resolver = DnsResolver::servers([dns]).map_err(io::Error::other)?;
    let records = Dialer::builder().resolver(Resolver::dns(resolver)).build();
    let mut connector = HttpConnector::new();
    let mut best = [Duration::MAX; 3];
    // Rounds take turns, so that a change of the machine's mood hits all; the best of each counts.
    for round in 0..5 {
        let name = |kind: char, dial: u32| format!("{kind}{round}-{dial}.bench.test");
        let start = cpu_time();
        for dial in 0..dials / 5 {
            let uri = format!("http://{}:{PORT}/", name('h', dial))
                .parse()
                .map_err(io::Error::other)?;
            connector.call(uri).await.map_err(io::Error::other)?;
        }
        let hyper = cpu_time();
        for dial in 0..dials / 5 {
            system.connect((name('s', dial), PORT)).await?;
        }
        let ours = cpu_time();
        for dial in 0..dials / 5 {
            records.connect((name('d', dial), PORT)).await?;
        }
        let end = cpu_time();
        for (best, spent) in best.iter_mut().zip([
            hyper.saturating_sub(start),
            ours.saturating_sub(hyper),
            end.saturating_sub(ours),
        ]) {
            *best = (*best).min(spent / (dials / 5));
        }
    }
    let [hyper, system, records] = best;
    let row = |what: &str, spent: Duration, goal: &str| {
        let ratio = spent.as_secs_f64() / hyper.as_secs_f64();
        println!(
            "{what:<44} {:>8.1} us  {ratio:>5.2}x  {goal}",
            spent.as_secs_f64() * 1e6
        );
    };
    println!("CPU time per dial, {dials} dials each");
    row("hyper-util's connector", hyper, "");
    row("twinstack-dial, system resolver", system, "goal 1.6x");
    row("twinstack-dial, DNS record by record", records, "goal 1.2x");
    Ok(())
}

/// User and system time of all threads.
fn cpu_time() -> Duration {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF)
        .expect("the kernel knows its own processes");
    let total = usage.user_time() + usage.system_time();
    Duration::from_micros(u64::try_from(total.tv_sec() * 1_000_000 + total.tv_usec()).unwrap_or(0))
}

/// DNS on port 53, with an address of each family for every name, and TCP on both.
fn serve() -> io::Result<()> {
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 53))?;
    let tcp = std::net::TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT))?;
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            drop(stream);
        }
    });
    print!("!");
    io::Write::flush(&mut io::stdout())?;
    let mut buffer = [0; 4096];
    loop {
        let (length, peer) = udp.recv_from(&mut buffer)?;
        let Ok(query) = Query::parse(&buffer[..length]) else {
            continue;
        };
        let data = match query.question.rtype {
            RecordType::A => Some(Data::A(Ipv4Addr::LOCALHOST)),
            RecordType::AAAA => Some(Data::Aaaa(Ipv6Addr::LOCALHOST)),
            _ => None,
        };
        let owner = query.question.name.clone();
        let answer = data.map(|data| Record {
            owner,
            ttl: Ttl::from_secs(1),
            data,
        });
        let response = Response {
            answer: answer.into_iter().collect(),
            ..Response::to_query(&query, Rcode::NOERROR)
        };
        udp.send_to(&response.to_bytes(), peer)?;
    }
}
