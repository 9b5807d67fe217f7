//! Where the emulator touches the world: one thread that waits, reads, lets the switchboard decide, and writes.

mod socket;

pub use socket::open_port;

use super::frame::Offload;
use super::stats::{Stats, describe};
use super::switchboard::{Delivery, PortId, Switchboard};
use super::trace::recorder::Recorder;
use super::trace::{self, Record, Way};
use crate::world::model::{Filter, HostId, World};
use socket::{BATCH, Batch, Bell, Receiver, Sender, wait};
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// More frames than this never wait for one host: it is not reading.
const LONGEST_BACKLOG: usize = 8192;

/// Frames are read for at most this long before others are sent.
const LONGEST_READING: Duration = Duration::from_millis(1);

/// One host interface's hub end.
#[derive(Debug)]
pub struct Port {
    /// Whose.
    pub host: HostId,
    /// Index into the host's interfaces.
    pub interface: usize,
    /// From [`open_port`].
    pub socket: OwnedFd,
}

/// The running emulator. Dropping it stops it.
#[derive(Debug)]
pub struct Emulator {
    orders: mpsc::Sender<Order>,
    bell: Arc<Bell>,
    thread: Option<JoinHandle<io::Result<Stats>>>,
}

/// What the owner of an emulator wants of it.
#[derive(Debug)]
enum Order {
    /// New filters, and whom to tell when they hold.
    Filters(Vec<Filter>, mpsc::Sender<()>),
    Stop,
}

/// Starts the emulator for a world on its own thread. `trace` is overwritten with a pcapng recording.
pub fn start(world: &World, ports: Vec<Port>, trace: Option<File>) -> io::Result<Emulator> {
    let bell = Arc::new(Bell::new()?);
    let (orders, inbox) = mpsc::channel();
    let names: Vec<String> = ports.iter().map(|port| name(world, port)).collect();
    let recorder = match trace {
        None => None,
        Some(file) => {
            let mut start = Vec::new();
            trace::write_start(
                &mut start,
                names.iter().map(String::as_str).chain([trace::DROPPED]),
            );
            Some(Recorder::start(file, &start)?)
        }
    };
    let interfaces: Vec<_> = ports
        .iter()
        .map(|port| (port.host, port.interface))
        .collect();
    let Some(mut board) = Switchboard::new(world, &interfaces) else {
        let message = "a port of the emulator belongs to no interface of the world";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    };
    if recorder.is_some() {
        board.keep_dropped();
    }
    let edge = Edge {
        board,
        backlogs: ports.iter().map(|_| VecDeque::new()).collect(),
        sockets: ports.into_iter().map(|port| port.socket).collect(),
        recorder,
        filters: world.filters.clone(),
        world: world.clone(),
        names,
        missed: 0,
        started: Instant::now(),
        started_at: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default(),
    };
    let ear = Arc::clone(&bell);
    let thread = std::thread::Builder::new()
        .name("lab-emulator".to_owned())
        .spawn(move || edge.run(&inbox, &ear))?;
    Ok(Emulator {
        orders,
        bell,
        thread: Some(thread),
    })
}

impl Emulator {
    /// Replaces all filters; when this returns, every packet meets the new ones.
    pub fn set_filters(&self, filters: Vec<Filter>) {
        let (done, wait) = mpsc::channel();
        // An emulator that has ended answers by dropping `done`; `stop` says why it did.
        if self.orders.send(Order::Filters(filters, done)).is_ok() {
            self.bell.ring();
            _ = wait.recv();
        }
    }

    /// Ends the emulator, after the trace is complete.
    pub fn stop(mut self) -> io::Result<Stats> {
        self.end()
    }

    fn end(&mut self) -> io::Result<Stats> {
        let Some(thread) = self.thread.take() else {
            return Ok(Stats::default());
        };
        _ = self.orders.send(Order::Stop);
        self.bell.ring();
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the emulator's thread panicked")))
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Whoever wants to know calls `stop`.
        _ = self.end();
    }
}

/// `host:network`.
fn name(world: &World, port: &Port) -> String {
    let host = world.hosts.get(port.host.0);
    let network = host
        .and_then(|host| host.interfaces.get(port.interface))
        .and_then(|interface| world.networks.get(interface.network.0));
    format!(
        "{}:{}",
        host.map_or("?", |host| host.name.as_str()),
        network.map_or("?", |network| network.name.as_str())
    )
}

/// What the emulator's thread owns.
struct Edge {
    board: Switchboard,
    sockets: Vec<OwnedFd>,
    /// Frames for each port that are not yet sent.
    backlogs: Vec<VecDeque<Delivery>>,
    recorder: Option<Recorder>,
    /// The filters that hold now, for the trace.
    filters: Vec<Filter>,
    world: World,
    names: Vec<String>,
    missed: u64,
    started: Instant,
    started_at: Duration,
}

impl Edge {
    fn run(mut self, inbox: &mpsc::Receiver<Order>, bell: &Bell) -> io::Result<Stats> {
        socket::ask_for_short_slices();
        let mut receiver = Receiver::new(self.board.pool());
        let mut sender = Sender::new();
        let (mut polled, mut ready) = (Vec::new(), Vec::new());
        let outcome = loop {
            let now = self.started.elapsed();
            self.board.handle_time(now);
            self.hand_out(&mut sender);
            let timeout = self.handle_trace();
            let waiting = self.backlogs.iter().map(|backlog| !backlog.is_empty());
            match wait(
                bell,
                self.sockets.iter().zip(waiting),
                timeout,
                &mut polled,
                &mut ready,
            ) {
                Ok(false) => {}
                Ok(true) => {
                    if self.obey(inbox) {
                        break Ok(());
                    }
                }
                Err(error) => break Err(error),
            }
            // Reading comes first: what the kernel cannot hold is lost, what we hold is only late.
            let enough = self.started.elapsed() + LONGEST_READING;
            while !ready.is_empty() && self.started.elapsed() < enough {
                ready.retain(|port| self.take_in(PortId(*port), &mut receiver));
            }
            ready.clear();
        };
        let mut stats = self.board.stats();
        let unseen: u64 = self.sockets.iter().map(socket::missed).sum();
        stats.missed = self.missed + unseen;
        if let Some(recorder) = self.recorder {
            stats.unrecorded = recorder.finish()?;
        }
        outcome.map(|()| stats)
    }

    /// True when the emulator is to end.
    fn obey(&mut self, inbox: &mpsc::Receiver<Order>) -> bool {
        for order in inbox.try_iter() {
            match order {
                Order::Stop => return true,
                Order::Filters(filters, done) => {
                    self.board.set_filters(&filters);
                    self.filters = filters;
                    // Nobody listens any more: fine.
                    _ = done.send(());
                }
            }
        }
        false
    }

    /// Reads one batch of frames from a host; true if there may be more.
    fn take_in(&mut self, port: PortId, receiver: &mut Receiver) -> bool {
        let Some(socket) = self.sockets.get(port.0) else {
            return false;
        };
        let count = match receiver.receive(socket) {
            Batch::Frames(count) => count,
            Batch::Unreadable => {
                self.missed += 1;
                return true;
            }
        };
        let now = self.started.elapsed();
        for index in 0..count {
            let Some((header, data)) = receiver.frame(index, self.board.pool()) else {
                self.missed += 1;
                continue;
            };
            if let Some(recorder) = &mut self.recorder {
                let record = Record {
                    interface: port.0,
                    time: nanoseconds(self.started_at + now),
                    way: Way::Outbound,
                    data: &data,
                    keep: usize::MAX,
                    comment: None,
                };
                recorder.record(record, now);
            }
            match Offload::from_wire(&header) {
                Some(offload) => {
                    let frame = super::frame::Frame { data, offload };
                    self.board.handle_frame(port, frame, now);
                }
                None => self.missed += 1,
            }
        }
        count == BATCH
    }

    /// Sends what the switchboard has for the hosts.
    fn hand_out(&mut self, sender: &mut Sender) {
        let mut now = None;
        while let Some(delivery) = self.board.poll_delivery() {
            if let Some(recorder) = &mut self.recorder {
                let now = *now.get_or_insert_with(|| self.started.elapsed());
                let record = Record {
                    interface: delivery.port.0,
                    time: nanoseconds(self.started_at + now),
                    way: Way::Inbound,
                    data: &delivery.frame.data,
                    keep: usize::MAX,
                    comment: None,
                };
                recorder.record(record, now);
            }
            match self.backlogs.get_mut(delivery.port.0) {
                Some(backlog) if backlog.len() < LONGEST_BACKLOG => backlog.push_back(delivery),
                _ => {
                    self.missed += 1;
                    self.board.pool().recycle(delivery.frame.data);
                }
            }
        }
        for (backlog, socket) in self.backlogs.iter_mut().zip(&self.sockets) {
            if !backlog.is_empty() {
                self.missed += sender.send(socket, backlog, self.board.pool());
            }
        }
    }

    /// Records what was dropped, writes what is due, and says how long the thread may sleep.
    fn handle_trace(&mut self) -> Option<Duration> {
        let now = self.started.elapsed();
        let mut deadline = self.board.next_deadline();
        if let Some(recorder) = &mut self.recorder {
            while let Some(dropped) = self.board.poll_dropped() {
                let names = &self.names;
                let port_name = |port: PortId| names.get(port.0).cloned().unwrap_or_default();
                let comment = describe(
                    dropped.reason,
                    dropped.place,
                    &self.world.networks,
                    &self.filters,
                    port_name,
                );
                let record = Record {
                    interface: self.names.len(),
                    time: nanoseconds(self.started_at + now),
                    way: Way::Unknown,
                    data: &dropped.frame.data,
                    keep: usize::MAX,
                    comment: Some(&comment),
                };
                recorder.record(record, now);
                self.board.pool().recycle(dropped.frame.data);
            }
            recorder.handle_time(now);
            deadline = [deadline, recorder.next_deadline()]
                .into_iter()
                .flatten()
                .min();
        }
        deadline.map(|deadline| deadline.saturating_sub(now))
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
