//! Building a world out of namespaces, and running programs in it.
//!
//! A [`Lab`] is owned by the process that started it and is gone with it: Ctrl-C, `kill -9` and a panicking test all
//! leave no namespace, process, mount or device behind. Nothing needs root, `tc`, `nft`, a kernel module or
//! `/dev/net/tun`; user, network, mount and PID namespaces are enough.

mod host;
mod init;
mod mounts;
mod protocol;
mod refusal;
mod spawn;
mod wire;

pub use init::enter_init;
pub use protocol::{Outcome, Update};
pub use refusal::Refusal;

use crate::world::model::World;
use protocol::{Request, Response, Word, raw, receive, send};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::process::Output;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

/// How a lab is started.
#[derive(Clone, Debug, Default)]
pub struct LabOptions {
    /// Records every packet into this file (pcapng).
    pub trace: Option<PathBuf>,
    /// The program that becomes the lab's init: it must call [`enter_init`] first thing in `main`. `None` is this
    /// very program; tests, whose `main` is not theirs, name the `twinstack` binary here.
    pub program: Option<PathBuf>,
}

/// Why a lab did not start or a program in it did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// The machine does not allow namespaces.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The world could not be built; the text says which part and why.
    #[error("building world `{world}`: {message}")]
    NotBuilt {
        /// The world.
        world: String,
        /// What init said.
        message: String,
    },
    /// The trace file could not be created.
    #[error("creating the trace file `{path}`: {source}")]
    Trace {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The lab's init ended unexpectedly.
    #[error("the lab's init ended before the lab did{0}")]
    InitDied(String),
    /// A call to the system failed.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn system(doing: &'static str) -> impl FnOnce(io::Error) -> LabError {
    move |source| LabError::System { doing, source }
}

/// What the owner waits for, by request.
enum Awaited {
    Program(mpsc::Sender<Outcome>),
    Update(mpsc::Sender<()>),
}

type Waiting = Arc<Mutex<HashMap<u64, Awaited>>>;

/// A running lab; dropping it ends everything inside.
#[derive(Debug)]
pub struct Lab {
    world: World,
    init: nix::unistd::Pid,
    control: Arc<OwnedFd>,
    waiting: WaitingRoom,
    next: AtomicU64,
}

/// The waiting owners, without their channels in debug output.
struct WaitingRoom(Waiting);

impl std::fmt::Debug for WaitingRoom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WaitingRoom")
    }
}

impl Lab {
    /// Builds a world and returns when every service in it answers.
    pub fn start(world: &World, options: &LabOptions) -> Result<Self, LabError> {
        let program = match &options.program {
            Some(program) => program.clone(),
            // Still the right program when the file has been replaced since.
            None => PathBuf::from("/proc/self/exe")
                .canonicalize()
                .unwrap_or_else(|_| PathBuf::from("/proc/self/exe")),
        };
        let trace = options
            .trace
            .as_ref()
            .map(|path| {
                File::create(path)
                    .map(OwnedFd::from)
                    .map_err(|source| LabError::Trace {
                        path: path.clone(),
                        source,
                    })
            })
            .transpose()?;
        let (control, theirs) = protocol::pair().map_err(system("creating the control socket"))?;
        let job = init::Job {
            world: world.clone(),
            trace: trace.is_some(),
        };
        let job =
            serde_json::to_vec(&job).map_err(|error| system("writing the job")(error.into()))?;
        let job = spawn::memory_file(&job).map_err(system("writing the job"))?;
        let descriptors = spawn::Descriptors {
            control: &theirs,
            job: &job,
            trace: trace.as_ref(),
        };
        let init = spawn::spawn(&program, &descriptors)?;
        drop(theirs);
        let mut lab = Self {
            world: world.clone(),
            init,
            control: Arc::new(control),
            waiting: WaitingRoom(Waiting::default()),
            next: AtomicU64::new(1),
        };
        lab.wait_until_ready()?;
        lab.listen();
        Ok(lab)
    }

    fn wait_until_ready(&mut self) -> Result<(), LabError> {
        match receive::<Response>(raw(&self.control)).map_err(system("waiting for the lab"))? {
            Some((Response::Ready, _)) => Ok(()),
            Some((Response::Failed { message }, _)) => Err(LabError::NotBuilt {
                world: self.world.name.clone(),
                message,
            }),
            Some(_) => Err(LabError::InitDied(" (it spoke out of turn)".to_owned())),
            None => {
                let status = nix::sys::wait::waitpid(self.init, None)
                    .map_or_else(|_| String::new(), |status| format!(" ({status:?})"));
                Err(LabError::InitDied(status))
            }
        }
    }

    /// Passes init's answers to those who wait for them.
    fn listen(&self) {
        let control = Arc::clone(&self.control);
        let waiting = Arc::clone(&self.waiting.0);
        std::thread::spawn(move || {
            let lock = || waiting.lock().unwrap_or_else(PoisonError::into_inner);
            while let Ok(Some((response, _))) = receive::<Response>(control.as_raw_fd()) {
                match response {
                    Response::Ended { id, outcome } => {
                        if let Some(Awaited::Program(waiter)) = lock().remove(&id) {
                            waiter.send(outcome).ok();
                        }
                    }
                    Response::Updated { id } => {
                        if let Some(Awaited::Update(waiter)) = lock().remove(&id) {
                            waiter.send(()).ok();
                        }
                    }
                    Response::Ready | Response::Failed { .. } => {}
                }
            }
            // Dropping the senders tells everybody who still waits that the lab has ended.
            lock().clear();
        });
    }

    /// The world that this lab was built from.
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// A program to run on a host.
    pub fn command<I, S>(&self, host: &str, command: I) -> LabCommand<'_>
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        LabCommand {
            lab: self,
            host: host.to_owned(),
            command: command.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
        }
    }

    /// Replaces parts of the running world; returns when they are in effect.
    pub fn update(&self, update: &Update) -> Result<(), LabError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (done, wait) = mpsc::channel();
        self.expect(id, Awaited::Update(done));
        let request = Request::Update {
            id,
            update: update.clone(),
        };
        send(raw(&self.control), &request, &[]).map_err(system("changing the running world"))?;
        wait.recv().map_err(|_| LabError::InitDied(String::new()))
    }

    fn expect(&self, id: u64, awaited: Awaited) {
        self.waiting
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, awaited);
    }

    /// Ends the lab and waits until the kernel has taken everything down.
    pub fn stop(self) {}
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Hanging up is what ends init; the reader thread holds a copy of the socket, so it has to be shut down.
        nix::sys::socket::shutdown(raw(&self.control), nix::sys::socket::Shutdown::Both).ok();
        nix::sys::wait::waitpid(self.init, None).ok();
    }
}

/// A program to run on a host of a lab.
#[derive(Debug)]
#[must_use = "nothing runs before `status`, `output` or `spawn`"]
pub struct LabCommand<'a> {
    lab: &'a Lab,
    host: String,
    command: Vec<OsString>,
    environment: Vec<(String, String)>,
}

/// A program that runs in a lab.
#[derive(Debug)]
pub struct Running<'a> {
    lab: &'a Lab,
    id: u64,
    ended: mpsc::Receiver<Outcome>,
}

impl<'a> LabCommand<'a> {
    /// Adds an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs it with this process's own standard streams and waits for its end.
    pub fn status(self) -> Result<Outcome, LabError> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let streams = [
            stdin.as_fd().as_raw_fd(),
            stdout.as_fd().as_raw_fd(),
            stderr.as_fd().as_raw_fd(),
        ];
        let running = self.start(streams)?;
        Ok(running.wait())
    }

    /// Runs it without input, captures what it writes, and waits for its end.
    pub fn output(self) -> Result<(Outcome, Output), LabError> {
        let null = File::open("/dev/null").map_err(system("opening /dev/null"))?;
        let pipe = || io::pipe().map_err(system("creating a pipe"));
        let (mut out_read, out_write) = pipe()?;
        let (mut err_read, err_write) = pipe()?;
        let running = self.start([
            null.as_raw_fd(),
            out_write.as_raw_fd(),
            err_write.as_raw_fd(),
        ])?;
        drop((out_write, err_write));
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            err_read.read_to_end(&mut text).map(|_| text)
        });
        let mut stdout = Vec::new();
        out_read
            .read_to_end(&mut stdout)
            .map_err(system("reading the program's output"))?;
        let stderr = errors
            .join()
            .unwrap_or_else(|_| Ok(Vec::new()))
            .map_err(system("reading the program's errors"))?;
        let outcome = running.wait();
        let status =
            std::os::unix::process::ExitStatusExt::from_raw(i32::from(outcome.exit_status()) << 8);
        Ok((
            outcome,
            Output {
                status,
                stdout,
                stderr,
            },
        ))
    }

    /// Starts it with these descriptors as standard input, output and error.
    pub fn start(self, streams: [std::os::fd::RawFd; 3]) -> Result<Running<'a>, LabError> {
        let lab = self.lab;
        let id = lab.next.fetch_add(1, Ordering::Relaxed);
        let (ended, wait) = mpsc::channel();
        lab.expect(id, Awaited::Program(ended));
        let directory =
            std::env::current_dir().map_or_else(|_| "/".into(), PathBuf::into_os_string);
        let request = Request::Run {
            id,
            host: self.host,
            command: self.command.into_iter().map(Word::from).collect(),
            environment: self.environment,
            directory: directory.into(),
        };
        send(raw(&lab.control), &request, &streams)
            .map_err(system("starting a program in the lab"))?;
        Ok(Running {
            lab,
            id,
            ended: wait,
        })
    }
}

impl Running<'_> {
    /// Waits for its end.
    pub fn wait(self) -> Outcome {
        self.ended.recv().unwrap_or(Outcome::LabEnded)
    }

    /// Waits for its end, but no longer than this; `None` while it still runs.
    pub fn wait_at_most(&self, limit: std::time::Duration) -> Option<Outcome> {
        match self.ended.recv_timeout(limit) {
            Ok(outcome) => Some(outcome),
            Err(mpsc::RecvTimeoutError::Timeout) => None,
            Err(mpsc::RecvTimeoutError::Disconnected) => Some(Outcome::LabEnded),
        }
    }

    /// Sends it a signal, such as 15 (SIGTERM) or 9 (SIGKILL).
    pub fn signal(&self, signal: i32) -> Result<(), LabError> {
        let request = Request::Signal {
            id: self.id,
            signal,
        };
        send(raw(&self.lab.control), &request, &[])
            .map_err(system("signalling a program in the lab"))
    }
}
