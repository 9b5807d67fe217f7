//! Two hosts in network namespaces, joined by the emulator.

use rtnetlink::packet_route::link::LinkAttribute;
use rtnetlink::{Handle, LinkUnspec, LinkVeth, RouteMessageBuilder};
use std::fmt;
use std::fs::{self, File};
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use twinstack_lab::emulator::{self, Emulator, Port, Stats};
use twinstack_lab::world::model::{
    Direction, Family, Filter, FilterAction, FilterDirection, Host, HostId, Impairment, Interface,
    Link, Network, NetworkId, Prefix, Protocol, World,
};

/// What a lab does to packets.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) up: Duration,
    pub(crate) down: Duration,
    pub(crate) filters: bool,
    pub(crate) trace: bool,
}

/// How many veth pairs there were.
static PAIRS: AtomicU32 = AtomicU32::new(0);

/// Two running hosts, each in a network of its own.
pub(crate) struct Lab {
    pub(crate) client: Space,
    pub(crate) server: Space,
    emulator: Emulator,
    threads: Vec<i32>,
    started: Instant,
    before: [Duration; 2],
    trace: Option<tempfile::NamedTempFile>,
}

/// What the emulator says at the end.
pub(crate) struct Report {
    /// Processor time that the emulator's threads used.
    pub(crate) busy: Duration,
    /// How long they waited for a processor that others used.
    waited: Duration,
    elapsed: Duration,
    stats: Stats,
    trace: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |part: Duration| part.as_secs_f64() / self.elapsed.as_secs_f64() * 100.0;
        write!(out, "emulator on its core {:.0} %", share(self.busy))?;
        if share(self.waited) >= 1.0 {
            write!(out, ", kept off it by others {:.0} %", share(self.waited))?;
        }
        write!(out, ", {} frames missed", self.stats.missed)?;
        if self.trace > 0 {
            write!(out, ", trace {} MB", self.trace / 1_000_000)?;
        }
        if self.stats.unrecorded > 0 {
            write!(out, ", {} not recorded", self.stats.unrecorded)?;
        }
        Ok(())
    }
}

/// The server's address of a family.
pub(crate) const SERVER: Ipv6Addr = Ipv6Addr::new(0x2e00, 5, 0, 0, 0, 0, 0, 0x80);

impl Lab {
    pub(crate) fn start(settings: &Settings) -> io::Result<Self> {
        let world = world(settings);
        let client = Space::new()?;
        let server = Space::new()?;
        let hub = runtime()?;
        let mut ports = Vec::new();
        for (index, space) in [&client, &server].into_iter().enumerate() {
            // The pairs of the lab before may still be on their way out.
            let near = format!("h{}", PAIRS.fetch_add(1, Ordering::Relaxed));
            let number = hub.block_on(create_pair(&near, space))?;
            let socket = emulator::open_port(number)?;
            ports.push(Port {
                host: HostId(index),
                interface: 0,
                socket,
            });
        }
        let trace = if settings.trace {
            Some(tempfile::NamedTempFile::new()?)
        } else {
            None
        };
        let file = match &trace {
            None => None,
            Some(trace) => Some(trace.reopen()?),
        };
        let before = threads()?;
        run_on(&[0])?;
        let emulator = emulator::start(&world, ports, file)?;
        run_on(&others())?;
        let threads: Vec<i32> = threads()?
            .into_iter()
            .filter(|thread| !before.contains(thread))
            .collect();
        for (index, space) in [&client, &server].into_iter().enumerate() {
            let host = world.hosts[index].clone();
            let network = world.networks[host.interfaces[0].network.0].clone();
            space.run(move || configure(HostId(index), &host, &network))??;
        }
        let before = busy(&threads);
        Ok(Self {
            client,
            server,
            emulator,
            threads,
            started: Instant::now(),
            before,
            trace,
        })
    }

    pub(crate) fn stop(self) -> io::Result<Report> {
        let [busy, waited] = busy(&self.threads);
        let elapsed = self.started.elapsed();
        let stats = self.emulator.stop()?;
        let trace = match &self.trace {
            None => 0,
            Some(trace) => trace.as_file().metadata()?.len(),
        };
        Ok(Report {
            busy: busy.saturating_sub(self.before[0]),
            waited: waited.saturating_sub(self.before[1]),
            elapsed,
            stats,
            trace,
        })
    }
}

fn world(settings: &Settings) -> World {
    let side = |delay| Direction {
        v4: Impairment {
            delay,
            ..Impairment::default()
        },
        v6: Impairment {
            delay,
            ..Impairment::default()
        },
        rate: None,
    };
    let network = |name: &str, number: u16, uplink| {
        let v6 = |last| Ipv6Addr::new(0x2e00, number, 0, 0, 0, 0, 0, last);
        let [_, byte] = number.to_be_bytes();
        Network {
            name: name.to_owned(),
            v4: Some(Prefix {
                address: Ipv4Addr::new(198, 51, byte, 0).into(),
                length: 24,
            }),
            v6: Some(Prefix {
                address: v6(0).into(),
                length: 64,
            }),
            gateway_v4: Some(Ipv4Addr::new(198, 51, byte, 1)),
            gateway_v6: Some(v6(1)),
            uplink,
            nat64: None,
        }
    };
    let host = |name: &str, network: usize, addresses: Vec<IpAddr>| Host {
        name: name.to_owned(),
        interfaces: vec![Interface {
            network: NetworkId(network),
            addresses,
            link: Link::default(),
            dad_failed: Vec::new(),
        }],
        nameservers: Vec::new(),
        search: Vec::new(),
        hosts_file: Vec::new(),
        sysctls: std::collections::BTreeMap::new(),
        setup: Vec::new(),
        services: Vec::new(),
    };
    let filter = |port| Filter {
        at: NetworkId(0),
        direction: FilterDirection::Both,
        family: Some(Family::V6),
        protocol: Some(Protocol::Tcp),
        to_port: Some(port),
        from_port: None,
        from: Vec::new(),
        to: Vec::new(),
        larger_than: None,
        fragments: false,
        action: FilterAction::Drop,
    };
    World {
        name: "benchmark".to_owned(),
        summary: String::new(),
        seed: 1,
        networks: vec![
            network(
                "office",
                12,
                Link {
                    up: side(settings.up),
                    down: side(settings.down),
                },
            ),
            network("service", 5, Link::default()),
        ],
        hosts: vec![
            host(
                "client",
                0,
                vec![Ipv6Addr::new(0x2e00, 12, 0, 0, 0, 0, 0, 0x10).into()],
            ),
            host("www", 1, vec![SERVER.into()]),
        ],
        filters: if settings.filters {
            [25, 443].map(filter).to_vec()
        } else {
            Vec::new()
        },
        zones: Vec::new(),
        dns_rules: Vec::new(),
        check: twinstack_lab::world::model::CheckPlan {
            host: HostId(0),
            target: String::new(),
            arguments: Vec::new(),
        },
        expect: Vec::new(),
        near_miss_of: Vec::new(),
        needs: Vec::new(),
        client: HostId(0),
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// A thread in a network namespace of its own, which ends with it.
pub(crate) struct Space {
    jobs: mpsc::Sender<Job>,
    namespace: OwnedFd,
}

impl Space {
    fn new() -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Job>();
        let (ready, waiting) = mpsc::channel();
        std::thread::spawn(move || {
            let made =
                unshare(libc::CLONE_NEWNET).and_then(|()| File::open("/proc/thread-self/ns/net"));
            if ready.send(made.map(OwnedFd::from)).is_ok() {
                for job in inbox {
                    job();
                }
            }
        });
        let namespace = waiting.recv().map_err(io::Error::other)??;
        Ok(Self { jobs, namespace })
    }

    /// Runs something inside and waits for its result.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        self.begin(job).recv().map_err(io::Error::other)
    }

    /// Starts something inside.
    pub(crate) fn begin<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> mpsc::Receiver<T> {
        let (done, result) = mpsc::channel();
        let job = move || {
            // Whoever does not wait does not care.
            _ = done.send(job());
        };
        // A thread that is gone shows as a result that never comes.
        _ = self.jobs.send(Box::new(job));
        result
    }
}

fn unshare(flags: libc::c_int) -> io::Result<()> {
    #[expect(unsafe_code, reason = "a system call")]
    // SAFETY: no pointers.
    let result = unsafe { libc::unshare(flags) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Makes the process root of a user namespace and a network namespace of its own; call before any thread starts.
pub(crate) fn enter_user_namespace() -> io::Result<()> {
    #[expect(unsafe_code, reason = "system calls")]
    // SAFETY: no pointers.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// All processors but the emulator's, or that one if there is no other.
fn others() -> Vec<usize> {
    let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    // After `run_on` the count is of those allowed; ask the kernel for all.
    let all = fs::read_to_string("/proc/cpuinfo")
        .map_or(count, |text| text.matches("processor\t").count());
    if all > 1 { (1..all).collect() } else { vec![0] }
}

/// Keeps the calling thread, and those that it starts from now on, on some processors.
pub(crate) fn run_on(processors: &[usize]) -> io::Result<()> {
    #[expect(unsafe_code, reason = "a C structure and a system call")]
    // SAFETY: zeros are an empty set; the kernel reads a set of the size given.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        for processor in processors {
            libc::CPU_SET(*processor, &mut set);
        }
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// The threads of this process.
fn threads() -> io::Result<Vec<i32>> {
    let entries = fs::read_dir("/proc/self/task")?;
    Ok(entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

/// Processor time that some threads have used, and how long they waited for it.
fn busy(threads: &[i32]) -> [Duration; 2] {
    let of = |thread: &i32| {
        let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
        let mut words = text.split(' ').map_while(|word| word.parse().ok());
        Some([words.next()?, words.next()?].map(Duration::from_nanos))
    };
    let times: Vec<_> = threads.iter().filter_map(of).collect();
    [0, 1].map(|which| times.iter().map(|time| time[which]).sum())
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

async fn netlink<T>(
    work: impl AsyncFnOnce(Handle) -> Result<T, rtnetlink::Error>,
) -> io::Result<T> {
    let (connection, handle, _messages) = rtnetlink::new_connection()?;
    tokio::spawn(connection);
    work(handle).await.map_err(io::Error::other)
}

/// Makes a veth pair with one end in a host; returns the index of the other.
fn create_pair(near: &str, space: &Space) -> impl Future<Output = io::Result<i32>> {
    let far = space.namespace.as_raw_fd();
    netlink(async move |handle: Handle| {
        handle
            .link()
            .add(LinkVeth::new(near, "far").build())
            .execute()
            .await?;
        handle
            .link()
            .set(LinkUnspec::new_with_name("far").setns_by_fd(far).build())
            .execute()
            .await?;
        handle
            .link()
            .set(LinkUnspec::new_with_name(near).up().build())
            .execute()
            .await?;
        index_of(&handle, near).await
    })
}

async fn index_of(handle: &Handle, name: &str) -> Result<i32, rtnetlink::Error> {
    use futures_util::TryStreamExt as _;
    let mut links = handle.link().get().match_name(name.to_owned()).execute();
    while let Some(link) = links.try_next().await? {
        let is_it = |attribute: &LinkAttribute| matches!(attribute, LinkAttribute::IfName(found) if found == name);
        if link.attributes.iter().any(is_it) {
            return Ok(link.header.index.cast_signed());
        }
    }
    Err(rtnetlink::Error::RequestFailed)
}

/// Gives a host its address and routes; runs in its namespace.
fn configure(id: HostId, host: &Host, network: &Network) -> io::Result<()> {
    for (name, value) in [
        ("ipv6/conf/default/accept_dad", "0"),
        ("ipv6/conf/far/accept_dad", "0"),
        // A 20 ms line at 10 Gbit/s has 25 MB on its way each round trip; the usual limits are for the Internet.
        ("ipv4/tcp_rmem", "4096 1048576 134217728"),
        ("ipv4/tcp_wmem", "4096 1048576 134217728"),
    ] {
        fs::write(format!("/proc/sys/net/{name}"), value)?;
    }
    let addresses = host.interfaces[0].addresses.clone();
    let ours = addresses.clone();
    let length = network.v6.map_or(64, |prefix| prefix.length);
    runtime()?.block_on(netlink(async move |handle: Handle| {
        handle
            .link()
            .set(LinkUnspec::new_with_name("lo").up().build())
            .execute()
            .await?;
        let mac = emulator::host_mac(id, 0).to_vec();
        handle
            .link()
            .set(LinkUnspec::new_with_name("far").address(mac).build())
            .execute()
            .await?;
        handle
            .link()
            .set(LinkUnspec::new_with_name("far").up().build())
            .execute()
            .await?;
        let index = index_of(&handle, "far").await?;
        for address in addresses {
            handle
                .address()
                .add(index.cast_unsigned(), address, length)
                .execute()
                .await?;
        }
        let router = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        let route = RouteMessageBuilder::<Ipv6Addr>::new()
            .gateway(router)
            .output_interface(index.cast_unsigned())
            .build();
        handle.route().add(route).execute().await
    }))?;
    // An address is tentative for a moment even when nobody looks for duplicates.
    while ours
        .iter()
        .any(|address| std::net::UdpSocket::bind((*address, 0)).is_err())
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
