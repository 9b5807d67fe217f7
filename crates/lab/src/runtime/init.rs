//! The inner half of a lab: process 1 of its PID namespace, root of its user namespace.
//!
//! It builds the world, then carries out what the owner asks for, and ends when the owner does. Its end is the end of
//! every process, namespace, mount and device of the lab, so there is nothing to clean up and nothing to forget.

use super::host::{HostThread, Programs, Run, Shared};
use super::protocol::{Request, Response, receive, send};
use super::refusal::explain;
use super::spawn::{CONTROL, INIT_NAME, JOB, TRACE};
use super::{mounts, wire};
use crate::emulator::{self, Emulator, Port};
use crate::service::{Context, authority::CertificateAuthority, dns::NameData};
use crate::world::model::{HostId, World};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// What init gets to build.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) world: World,
    /// Whether there is a file for the packet trace.
    pub(crate) trace: bool,
}

/// Runs the lab's init if this process was started as one, and does nothing otherwise.
///
/// A program that starts labs calls this first thing in `main`: the lab starts that same program again, inside the new
/// namespaces, under a name of its own.
///
/// Returns the exit status of init, or `None` when this is an ordinary start.
pub fn enter_init() -> Option<ExitCode> {
    let called_so = std::env::args_os()
        .next()
        .is_some_and(|name| name == INIT_NAME);
    if !called_so || std::process::id() != 1 {
        return None;
    }
    let inherited = |number: RawFd| {
        #[expect(unsafe_code, reason = "descriptors arrive by number across exec")]
        // SAFETY: `spawn` has put our own descriptors at these numbers before exec, and nothing here has opened or
        // closed any since.
        unsafe {
            OwnedFd::from_raw_fd(number)
        }
    };
    let control = Arc::new(inherited(CONTROL));
    let job = File::from(inherited(JOB));
    let standing = Arc::new(AtomicBool::new(false));
    let built = serde_json::from_reader::<_, Job>(job)
        .map_err(|error| format!("the lab's init did not understand its job: {error}"))
        .and_then(|job| {
            let trace = job.trace.then(|| File::from(inherited(TRACE)));
            close_on_exec(&[CONTROL, TRACE]);
            watch(&control, &standing);
            build(job.world, trace, &control)
        });
    match built {
        Ok(lab) => {
            standing.store(true, Ordering::Release);
            send(control.as_raw_fd(), &Response::Ready, &[]).ok();
            lab.obey(&control);
            Some(ExitCode::SUCCESS)
        }
        Err(message) => {
            send(control.as_raw_fd(), &Response::Failed { message }, &[]).ok();
            Some(ExitCode::FAILURE)
        }
    }
}

/// Keeps our descriptors from the programs that we start.
fn close_on_exec(numbers: &[RawFd]) {
    for number in numbers {
        #[expect(
            unsafe_code,
            reason = "works on descriptors by number, whether open or not"
        )]
        // SAFETY: changes a flag of a descriptor; a number that is not open is an error without effect.
        unsafe {
            libc::fcntl(*number, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}

/// Ends the lab as soon as the owner is gone, even while the world is still being built.
fn watch(control: &Arc<OwnedFd>, standing: &Arc<AtomicBool>) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let (control, standing) = (Arc::clone(control), Arc::clone(standing));
    std::thread::spawn(move || {
        loop {
            // No event is asked for: a hang-up is always reported.
            let mut descriptors = [PollFd::new(control.as_fd(), PollFlags::empty())];
            if poll(&mut descriptors, PollTimeout::NONE).is_ok()
                && descriptors[0]
                    .revents()
                    .is_some_and(|events| events.contains(PollFlags::POLLHUP))
            {
                if standing.load(Ordering::Acquire) {
                    // `obey` sees the same and ends in good order, with the trace complete; this is for the case
                    // that it cannot.
                    std::thread::sleep(LAST_WORDS);
                }
                end_everything();
            }
        }
    });
}

/// How long the lab may take to write the end of its trace after the owner has gone.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Ends init and with it everything in its PID namespace.
#[expect(
    clippy::exit,
    reason = "the owner is gone: there is nobody to return to, and nothing to unwind for"
)]
fn end_everything() -> ! {
    std::process::exit(1)
}

/// A world that stands.
struct Standing {
    hosts: BTreeMap<String, HostThread>,
    emulator: Emulator,
    context: Arc<Context>,
    programs: Programs,
}

fn build(world: World, trace: Option<File>, control: &Arc<OwnedFd>) -> Result<Standing, String> {
    let say = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("{what}: {}", explain(&error))
    };
    mounts::set_up().map_err(say("preparing the lab's file systems"))?;
    let authority = CertificateAuthority::generate().map_err(|error| error.to_string())?;
    let bundle = mounts::trust(authority.bundle())
        .map_err(say("installing the lab's certificate authority"))?;
    let bundle = bundle.display().to_string();
    let directory = PathBuf::from(mounts::SCRATCH).join("services");
    std::fs::create_dir_all(&directory).map_err(say("preparing the services' directory"))?;
    let world = Arc::new(world);
    let names = NameData::new(&world);
    let context = Arc::new(Context {
        world: Arc::clone(&world),
        authority,
        names,
        directory,
    });
    let programs = Programs::default();
    let environment = [
        "SSL_CERT_FILE",
        "CURL_CA_BUNDLE",
        "REQUESTS_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
    ]
    .map(|name| (name.to_owned(), bundle.clone()))
    .into();
    let shared = Shared {
        context: Arc::clone(&context),
        control: Arc::clone(control),
        programs: Arc::clone(&programs),
        environment,
    };
    // First the namespaces, each by its own thread, then the lines between them.
    let mut threads = Vec::new();
    for (number, host) in world.hosts.iter().enumerate() {
        let thread = HostThread::start(HostId(number), host.clone(), shared.clone()).map_err(
            say(&format!("creating the namespaces of host `{}`", host.name)),
        )?;
        threads.push(thread);
    }
    wire::quiet_hub().map_err(say("preparing the hub"))?;
    let ports = wire_up(&world, &threads).map_err(say("wiring the hosts"))?;
    let emulator =
        emulator::start(&world, ports, trace).map_err(say("starting the link emulator"))?;
    for step in [HostThread::configure, HostThread::serve] {
        let running: Vec<_> = threads.iter().map(step).collect();
        for (done, host) in running.into_iter().zip(&world.hosts) {
            done.recv()
                .map_err(|_| format!("the thread of host `{}` ended", host.name))??;
        }
    }
    let hosts = world
        .hosts
        .iter()
        .map(|host| host.name.clone())
        .zip(threads)
        .collect();
    Ok(Standing {
        hosts,
        emulator,
        context,
        programs,
    })
}

/// Creates all veth pairs and opens the emulator's ports on their near ends.
fn wire_up(world: &World, threads: &[HostThread]) -> std::io::Result<Vec<Port>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let hub = wire::connect()?;
        let mut ports = Vec::new();
        for ((number, host), thread) in world.hosts.iter().enumerate().zip(threads) {
            for interface in 0..host.interfaces.len() {
                let id = HostId(number);
                let index =
                    wire::create_pair(&hub, id, interface, thread.namespace.as_fd()).await?;
                let index = i32::try_from(index).map_err(std::io::Error::other)?;
                ports.push(Port {
                    host: id,
                    interface,
                    socket: emulator::open_port(index)?,
                });
            }
        }
        Ok(ports)
    })
}

impl Standing {
    /// Carries out the owner's requests until the owner hangs up.
    fn obey(self, control: &Arc<OwnedFd>) {
        while let Ok(Some((request, descriptors))) = receive::<Request>(control.as_raw_fd()) {
            match request {
                Request::Run {
                    id,
                    host,
                    command,
                    environment,
                    directory,
                } => {
                    let streams = descriptors;
                    if let Some(host) = self.hosts.get(&host) {
                        host.run(Run {
                            id,
                            command: command.into_iter().map(OsString::from).collect(),
                            environment,
                            directory: OsString::from(directory).into(),
                            streams,
                        });
                    } else {
                        let outcome = super::Outcome::NoSuchHost;
                        send(control.as_raw_fd(), &Response::Ended { id, outcome }, &[]).ok();
                    }
                }
                Request::Signal { id, signal } => self.signal(id, signal),
                Request::Update { id, update } => {
                    if let Some(filters) = update.filters {
                        self.emulator.set_filters(filters);
                    }
                    if let Some(zones) = update.zones {
                        self.context.names.replace_zones(&zones);
                    }
                    if let Some(rules) = update.dns_rules {
                        self.context.names.replace_rules(&rules);
                    }
                    send(control.as_raw_fd(), &Response::Updated { id }, &[]).ok();
                }
            }
        }
        // The trace is complete only when the emulator has written its last block.
        self.emulator.stop().ok();
    }

    fn signal(&self, id: u64, signal: i32) {
        let programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(process) = programs.get(&id)
            && let Ok(signal) = nix::sys::signal::Signal::try_from(signal)
        {
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(*process), signal).ok();
        }
    }
}
