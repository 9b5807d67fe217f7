//! One host: a thread that has left for its own network, mount and UTS namespace, and what it is told to do there.
//!
//! Namespaces belong to threads in Linux. Every socket that this thread opens and every program that it starts is
//! therefore the host's, without any further call.

use super::protocol::{Outcome, Response, send};
use super::{mounts, wire};
use crate::service::{self, Context, Running};
use crate::world::model::{Host, HostId};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A program to run in the foreground of somebody's attention.
pub(crate) struct Run {
    pub(crate) id: u64,
    pub(crate) command: Vec<OsString>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) directory: PathBuf,
    /// Standard input, output and error.
    pub(crate) streams: Vec<OwnedFd>,
}

/// What a host can be told.
enum Order {
    /// Interfaces, addresses, routes, the commands of `setup`.
    Configure(mpsc::Sender<Result<(), String>>),
    /// Start all services.
    Serve(mpsc::Sender<Result<(), String>>),
    /// Run a program.
    Run(Run),
}

/// A running host.
pub(crate) struct HostThread {
    orders: UnboundedSender<Order>,
    /// Its network namespace.
    pub(crate) namespace: OwnedFd,
}

/// Process ids, inside the lab, of the programs that run for the owner.
pub(crate) type Programs = Arc<Mutex<BTreeMap<u64, i32>>>;

/// What all hosts share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) context: Arc<Context>,
    pub(crate) control: Arc<OwnedFd>,
    pub(crate) programs: Programs,
    /// Set for every program: where the lab's CA bundle lies.
    pub(crate) environment: Vec<(String, String)>,
}

impl HostThread {
    /// Starts the thread and waits until it is in its namespaces.
    pub(crate) fn start(id: HostId, host: Host, shared: Shared) -> io::Result<Self> {
        let (orders, incoming) = unbounded_channel();
        let (ready, entered) = mpsc::channel();
        std::thread::Builder::new()
            .name(host.name.clone())
            .spawn(move || {
                let namespace = enter(&host);
                let failed = namespace.is_err();
                if ready.send(namespace).is_ok() && !failed {
                    live(id, &host, &shared, incoming);
                }
            })?;
        let namespace = entered.recv().map_err(io::Error::other)??;
        Ok(Self { orders, namespace })
    }

    /// Configures interfaces and runs the host's `setup`; the receiver yields when done.
    pub(crate) fn configure(&self) -> mpsc::Receiver<Result<(), String>> {
        let (reply, done) = mpsc::channel();
        self.orders.send(Order::Configure(reply)).ok();
        done
    }

    /// Starts the host's services; the receiver yields when all answer.
    pub(crate) fn serve(&self) -> mpsc::Receiver<Result<(), String>> {
        let (reply, done) = mpsc::channel();
        self.orders.send(Order::Serve(reply)).ok();
        done
    }

    /// Runs a program; its end is reported to the owner of the lab.
    pub(crate) fn run(&self, run: Run) {
        self.orders.send(Order::Run(run)).ok();
    }
}

/// Leaves for the host's own namespaces and lets `/etc` show the host's files.
fn enter(host: &Host) -> io::Result<OwnedFd> {
    use nix::sched::{CloneFlags, unshare};
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS)?;
    nix::unistd::sethostname(&host.name)?;
    wire::prepare(host)?;
    mounts::mount_sys();
    let directory = Path::new(mounts::SCRATCH).join("hosts").join(&host.name);
    std::fs::create_dir_all(&directory)?;
    for (name, content) in [
        ("resolv.conf", resolv_conf(host)),
        ("hosts", hosts_file(host)),
        ("hostname", format!("{}\n", host.name)),
    ] {
        let path = directory.join(name);
        std::fs::write(&path, content)?;
        mounts::cover(&Path::new("/etc").join(name), &path)?;
    }
    std::fs::File::open("/proc/thread-self/ns/net").map(OwnedFd::from)
}

fn resolv_conf(host: &Host) -> String {
    let search = (!host.search.is_empty()).then(|| format!("search {}\n", host.search.join(" ")));
    let servers = host
        .nameservers
        .iter()
        .map(|server| format!("nameserver {server}\n"));
    search.into_iter().chain(servers).collect()
}

fn hosts_file(host: &Host) -> String {
    let own = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n".to_owned();
    let more = host
        .hosts_file
        .iter()
        .map(|(address, names)| format!("{address} {}\n", names.join(" ")));
    std::iter::once(own).chain(more).collect()
}

/// Carries out orders until the lab ends.
fn live(id: HostId, host: &Host, shared: &Shared, mut orders: UnboundedReceiver<Order>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    else {
        return;
    };
    runtime.block_on(async {
        // A service lives as long as what its start returned.
        let mut services: Vec<Running> = Vec::new();
        while let Some(order) = orders.recv().await {
            match order {
                Order::Configure(reply) => drop(reply.send(configure(id, host, shared).await)),
                Order::Serve(reply) => {
                    let started = serve(id, host, shared, &mut services).await;
                    reply.send(started).ok();
                }
                Order::Run(run) => {
                    let shared = shared.clone();
                    tokio::spawn(async move {
                        let id = run.id;
                        let outcome = execute(run, &shared).await;
                        let ended = Response::Ended { id, outcome };
                        // The owner may be gone; then so are we, at once.
                        send(shared.control.as_raw_fd(), &ended, &[]).ok();
                    });
                }
            }
        }
    });
}

async fn configure(id: HostId, host: &Host, shared: &Shared) -> Result<(), String> {
    let world = &shared.context.world;
    wire::configure(world, id, host)
        .await
        .map_err(|error| format!("host `{}` of world `{}`: {error}", host.name, world.name))?;
    for command in &host.setup {
        let complain = |what: String| {
            format!(
                "host `{}` of world `{}`: setup command `{}` {what}",
                host.name,
                world.name,
                command.join(" ")
            )
        };
        let Some((program, arguments)) = command.split_first() else {
            continue;
        };
        let output = tokio::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .await
            .map_err(|error| {
                complain(format!("did not start: {error}; is `{program}` installed?"))
            })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(complain(format!(
                "failed ({}): {}",
                output.status,
                said.trim()
            )));
        }
    }
    Ok(())
}

async fn serve(
    id: HostId,
    host: &Host,
    shared: &Shared,
    services: &mut Vec<Running>,
) -> Result<(), String> {
    for service in &host.services {
        match service::start(&shared.context, id, service).await {
            Ok(running) => services.push(running),
            Err(error) => {
                let hint = error
                    .hint()
                    .map(|hint| format!("; {hint}"))
                    .unwrap_or_default();
                return Err(format!("{error}{hint}"));
            }
        }
    }
    Ok(())
}

/// Starts a program with the owner's streams and waits for its end.
async fn execute(run: Run, shared: &Shared) -> Outcome {
    use std::os::unix::process::ExitStatusExt;
    let Some((program, arguments)) = run.command.split_first() else {
        return Outcome::NotFound;
    };
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .envs(shared.environment.iter().cloned())
        .envs(run.environment);
    if run.directory.is_dir() {
        command.current_dir(&run.directory);
    }
    let mut streams = run.streams.into_iter();
    command.stdin(streams.next().map_or_else(Stdio::null, Stdio::from));
    command.stdout(streams.next().map_or_else(Stdio::null, Stdio::from));
    command.stderr(streams.next().map_or_else(Stdio::null, Stdio::from));
    let spawned = command.spawn();
    // The command keeps copies of the streams; a reader at their other end must see the program's end.
    drop(command);
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Outcome::NotFound,
        Err(error) => return Outcome::NotExecutable(error.to_string()),
    };
    let lock = || {
        shared
            .programs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    };
    if let Some(process) = child.id().and_then(|process| i32::try_from(process).ok()) {
        lock().insert(run.id, process);
    }
    let status = child.wait().await;
    lock().remove(&run.id);
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Outcome::Exited(code),
            (None, Some(signal)) => Outcome::Signaled(signal),
            (None, None) => Outcome::LabEnded,
        },
        Err(_) => Outcome::LabEnded,
    }
}
