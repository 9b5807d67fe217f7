//! Connects: those that are tried for a program, and those that we try to find out what is alive.
//!
//! An attempt whose name has other addresses is given up only when one of these has accepted a connection of ours: a
//! destination that is slow and the only one that works must not be lost. So the others are tried, in the background, as soon
//! as an attempt has been silent for a while.

use super::super::kernel::{self, Handshake, Kind, Notification, Reply};
use super::super::memory::{Destination, Memory};
use super::super::names::{Company, Names};
use super::super::procfs;
use super::super::races::{Outcome, Place, Races};
use super::super::report::PassedBy;
use super::super::verdict::{Policy, Verdict};
use super::lookups::Learned;
use super::{Shared, take_socket};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, SystemTime};

mod probes;

/// How long a try of our own may take: SYNs go out at 0, 1, 3 and 7 s.
const PROBE: Duration = Duration::from_secs(8);
/// No more tries of our own than these at once.
const PROBES: usize = 256;
/// No more other addresses of one family than these are tried for one attempt.
const OTHERS: usize = 4;
/// Results that could not be told, because a signal came in between; the program asks again.
const UNTOLD: usize = 256;

/// Attempts under way and what is known from earlier ones.
pub(super) struct Attempts {
    policy: Policy,
    memory: Memory,
    names: Names,
    races: Races,
    /// The network that we are in: in others we cannot try anything.
    network: u64,
    under_way: BTreeMap<u64, Attempt>,
    probes: BTreeMap<u64, Probe>,
    /// Sockets by the kernel's cookie.
    sockets: BTreeMap<u64, u64>,
    untold: BTreeMap<u64, Reply>,
    hosts_read: Option<SystemTime>,
}

/// A socket that is being connected for a program.
struct Attempt {
    socket: OwnedFd,
    cookie: u64,
    destination: Destination,
    /// The address as the program wrote it.
    octets: Vec<u8>,
    waits: Waits,
    started: Duration,
    /// When to give up; `None` once that time is over and nothing better has shown up.
    give_up_at: Option<Duration>,
    /// When nothing better will show up any more.
    release_at: Duration,
    /// The name's other addresses.
    others: Vec<Destination>,
    /// When the program itself wants to stop waiting (SO_SNDTIMEO).
    send_timeout_at: Option<Duration>,
    /// When to look whether the others are any better.
    others_at: Option<Duration>,
    place: Place,
}

/// Who waits for an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// A thread stands in its call until we answer.
    Blocked(u64),
    /// The program was told that it is in progress, and polls.
    Polls,
    /// It should have been told so, but a signal came in between; it will ask again.
    ShouldPoll,
}

/// A connection of our own, only to see whether there is an answer.
struct Probe {
    socket: OwnedFd,
    destination: Destination,
    started: Duration,
}

impl Attempts {
    pub(super) fn new(policy: Policy) -> io::Result<Self> {
        let network = kernel::network(&kernel::stream_socket(false)?).unwrap_or(0);
        Ok(Self {
            memory: Memory::new(policy.give_up),
            policy,
            names: Names::default(),
            races: Races::default(),
            network,
            under_way: BTreeMap::new(),
            probes: BTreeMap::new(),
            sockets: BTreeMap::new(),
            untold: BTreeMap::new(),
            hosts_read: None,
        })
    }

    /// A program was told addresses.
    pub(super) fn learn(&mut self, learned: &Learned, now: Duration) {
        self.names
            .learn(&learned.name, learned.is_v6, &learned.addresses, now);
    }

    /// Whether connects to this address are ours to judge.
    pub(super) fn watches(&self, address: IpAddr) -> bool {
        self.policy.watches(address.to_canonical())
    }

    /// A connect to an internet address. What to answer, or nothing yet.
    pub(super) fn connect(
        &mut self,
        call: &Notification,
        address: SocketAddr,
        octets: Vec<u8>,
        shared: &mut Shared,
    ) -> Option<Reply> {
        let now = shared.now();
        if !self.policy.watches(address.ip().to_canonical()) {
            self.note_fallback(call, address, now);
            return Some(Reply::Continue);
        }
        let Ok(socket) = take_socket(call) else {
            return Some(shared.cannot_look(call, PassedBy::Unreadable));
        };
        // From here on address and socket are copies: what the program does to its own changes nothing.
        let (Ok(cookie), true) = (kernel::cookie(&socket), shared.listener.is_valid(call.id))
        else {
            return Some(Reply::Continue);
        };
        if kernel::kind_of(&socket) != Kind::Stream {
            return Some(Reply::Continue);
        }
        if let Some(reply) = self.untold.remove(&cookie) {
            return Some(reply);
        }
        if let Some(token) = self.sockets.get(&cookie) {
            return self.asked_again(*token, call.id, &socket, shared);
        }
        if kernel::handshake(&socket) != Handshake::Failed {
            // Connected or connecting already, not by us: the kernel knows what to say.
            return Some(Reply::Continue);
        }
        let destination = Destination {
            network: kernel::network(&socket).unwrap_or(0),
            address: (address.ip().to_canonical(), address.port()).into(),
        };
        let company = self.company(destination.address.ip(), now);
        let verdict = self
            .policy
            .verdict(destination, &company, &mut self.memory, now);
        let limit = match verdict {
            Verdict::LetGo(_) => return Some(Reply::Continue),
            Verdict::Refuse => {
                let place = self.begin(call.thread, destination.address, now);
                self.races.end(place, Outcome::Remembered, now);
                return Some(Reply::Error(libc::ETIMEDOUT));
            }
            Verdict::Watch(limit) => limit,
        };
        let place = self.begin(call.thread, destination.address, now);
        let polls = kernel::is_non_blocking(&socket);
        match kernel::connect_at_once(&socket, &octets) {
            Err(libc::EINPROGRESS) => {}
            outcome => {
                let (outcome, reply) = match outcome {
                    Ok(()) => (Outcome::Connected, Reply::Success),
                    Err(errno) => (Outcome::Failed(errno), Reply::Error(errno)),
                };
                self.races.end(place, outcome, now);
                return Some(reply);
            }
        }
        let token = shared.token();
        if shared.poller.add_connecting(socket.as_fd(), token).is_err() {
            // Out of memory for watching: then it is not watched.
            self.races.end(place, Outcome::PassedOn, now);
            return Some(Reply::Continue);
        }
        let others = self.others(destination, &company);
        let silent_since = self.probe_of(destination).map(|probe| probe.started);
        let mut attempt = Attempt {
            cookie,
            destination,
            octets,
            waits: Waits::Polls,
            started: now,
            // A try of our own that has been silent so far counts.
            give_up_at: Some((silent_since.unwrap_or(now) + limit).max(now)),
            release_at: now + limit + PROBE,
            send_timeout_at: None,
            others_at: (!others.is_empty()).then(|| now + self.policy.give_up * 2 / 5),
            others,
            place,
            socket,
        };
        if polls {
            // Here and not by our caller: whether it has heard matters.
            if !shared
                .listener
                .reply(call.id, Reply::Error(libc::EINPROGRESS))
            {
                attempt.waits = Waits::ShouldPoll;
            }
        } else {
            attempt.waits = Waits::Blocked(call.id);
            attempt.send_timeout_at = kernel::send_timeout(&attempt.socket).map(|it| now + it);
        }
        self.sockets.insert(cookie, token);
        self.under_way.insert(token, attempt);
        None
    }

    /// A call for a socket that is being connected by us already.
    fn asked_again(
        &mut self,
        token: u64,
        id: u64,
        socket: &OwnedFd,
        shared: &Shared,
    ) -> Option<Reply> {
        let attempt = self.under_way.get_mut(&token)?;
        match attempt.waits {
            Waits::ShouldPoll => {
                attempt.waits = Waits::Polls;
                Some(Reply::Error(libc::EINPROGRESS))
            }
            // A signal interrupted the caller, and the call was begun again: the old time limits go on.
            Waits::Blocked(earlier)
                if !shared.listener.is_valid(earlier) && !kernel::is_non_blocking(socket) =>
            {
                attempt.waits = Waits::Blocked(id);
                None
            }
            // A second thread, or a program that asks how it goes: the kernel knows what to say.
            Waits::Blocked(_) | Waits::Polls => Some(Reply::Continue),
        }
    }

    /// A call that we do not watch may be what the program fell back to.
    fn note_fallback(&mut self, call: &Notification, address: SocketAddr, now: Duration) {
        if self.races.is_empty() || address.ip().to_canonical().is_loopback() {
            return;
        }
        // Programs ask for their own address by connecting UDP sockets: that is no attempt.
        let is_stream =
            take_socket(call).is_ok_and(|socket| kernel::kind_of(&socket) == Kind::Stream);
        if !is_stream {
            return;
        }
        let process = procfs::process_of(call.thread).unwrap_or(call.thread);
        let address = SocketAddr::from((address.ip().to_canonical(), address.port()));
        let name = self.names.name_of(address.ip());
        self.races.passed_on(process, name, address, now);
    }

    fn begin(&mut self, thread: u32, address: SocketAddr, now: Duration) -> Place {
        let process = procfs::process_of(thread).unwrap_or(thread);
        let name = self.names.name_of(address.ip());
        self.races.begin(process, name, address, now)
    }

    /// What an address has beside it; the hosts file is read when it has changed and nothing else is known.
    fn company(&mut self, address: IpAddr, now: Duration) -> Company {
        const HOSTS: &str = "/etc/hosts";
        let company = self.names.company(address, now);
        if company != Company::Unknown || !self.policy.sees_names {
            return company;
        }
        let changed = std::fs::metadata(HOSTS)
            .and_then(|metadata| metadata.modified())
            .ok();
        if changed == self.hosts_read {
            return company;
        }
        self.hosts_read = changed;
        self.names
            .read_hosts(&std::fs::read_to_string(HOSTS).unwrap_or_default());
        self.names.company(address, now)
    }

    /// A socket is ready; `false` if it is none of ours.
    pub(super) fn handle_ready(&mut self, token: u64, shared: &mut Shared) -> bool {
        if self.probes.contains_key(&token) {
            self.probe_is_ready(token, shared);
            return true;
        }
        let Some(attempt) = self.under_way.get(&token) else {
            return false;
        };
        match kernel::handshake(&attempt.socket) {
            Handshake::Waiting => {
                let _still_there = shared.poller.again(attempt.socket.as_fd(), token);
            }
            state => self.came_back(token, state, shared),
        }
        true
    }

    /// Something came back: a connection, or an error.
    fn came_back(&mut self, token: u64, state: Handshake, shared: &Shared) {
        let Some(attempt) = self.remove(token, shared) else {
            return;
        };
        let now = shared.now();
        let mut outcome = if state == Handshake::Done {
            let took = now.saturating_sub(attempt.started);
            self.memory.answered(attempt.destination, took, now);
            Outcome::Connected
        } else {
            self.memory.forget(attempt.destination);
            Outcome::Failed(0)
        };
        if let Waits::Blocked(id) = attempt.waits {
            if !shared.listener.is_valid(id) {
                // Killed, or interrupted: a program that asks again finds the socket as the kernel left it.
                self.races.end(attempt.place, Outcome::Abandoned, now);
                return;
            }
            // The second connect fetches the result, and leaves the socket as a blocking one would.
            let reply = match kernel::connect_at_once(&attempt.socket, &attempt.octets) {
                Ok(()) | Err(libc::EISCONN) => Reply::Success,
                Err(errno) => {
                    outcome = Outcome::Failed(errno);
                    Reply::Error(errno)
                }
            };
            self.tell(&attempt, id, reply, shared);
        }
        self.races.end(attempt.place, outcome, now);
    }

    fn tell(&mut self, attempt: &Attempt, id: u64, reply: Reply, shared: &Shared) {
        if !shared.listener.reply(id, reply) {
            self.untold.insert(attempt.cookie, reply);
            if self.untold.len() > UNTOLD {
                self.untold.pop_first();
            }
        }
    }

    fn remove(&mut self, token: u64, shared: &Shared) -> Option<Attempt> {
        let attempt = self.under_way.remove(&token)?;
        self.sockets.remove(&attempt.cookie);
        shared.poller.remove(attempt.socket.as_fd());
        Some(attempt)
    }

    /// When [`Self::handle_time`] has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let attempts = self.under_way.values().map(Attempt::deadline);
        let probes = self.probes.values().map(|probe| probe.started + PROBE);
        let others = [self.memory.deadline(), self.races.deadline()];
        attempts
            .chain(probes)
            .chain(others.into_iter().flatten())
            .min()
    }

    /// Time has passed.
    pub(super) fn handle_time(&mut self, shared: &mut Shared) {
        let now = shared.now();
        let due: Vec<u64> = self
            .under_way
            .iter()
            .filter(|(_, attempt)| attempt.deadline() <= now)
            .map(|(token, _)| *token)
            .collect();
        for token in due {
            self.attempt_is_due(token, shared, now);
        }
        let silent: Vec<u64> = self
            .probes
            .iter()
            .filter(|(_, probe)| probe.started + PROBE <= now)
            .map(|(token, _)| *token)
            .collect();
        for token in silent {
            if let Some(probe) = self.probes.remove(&token) {
                self.memory.probe_was_silent(probe.destination, now);
            }
        }
        while let Some(destination) = self.memory.poll_probe(now) {
            if destination.network != self.network {
                self.memory.forget(destination);
            } else if !self.probe(destination, shared, now) {
                self.memory.probe_was_silent(destination, now);
            }
        }
        self.races.close(now, false);
        self.write_races(shared);
    }

    /// Everything ends: what is known of races goes into the report.
    pub(super) fn finish(&mut self, shared: &mut Shared) {
        self.races.close(shared.now(), true);
        self.write_races(shared);
    }

    fn write_races(&mut self, shared: &mut Shared) {
        while let Some(race) = self.races.poll_over() {
            if shared.report.descriptor().is_some() {
                shared.report.race(&race, &procfs::name_of(race.process));
            }
        }
    }

    fn attempt_is_due(&mut self, token: u64, shared: &mut Shared, now: Duration) {
        let Some(attempt) = self.under_way.get_mut(&token) else {
            return;
        };
        if attempt.give_up_at.is_some_and(|at| at <= now) {
            attempt.give_up_at = None;
            self.give_up_for_better(token, shared, now);
            return;
        }
        if attempt.release_at <= now {
            self.release(token, shared, now);
            return;
        }
        if attempt.send_timeout_at.is_some_and(|at| at <= now) {
            attempt.send_timeout_at = None;
            if let Waits::Blocked(id) = attempt.waits {
                // What connect(2) says of a socket with SO_SNDTIMEO; the attempt itself goes on.
                attempt.waits = Waits::Polls;
                shared.listener.reply(id, Reply::Error(libc::EINPROGRESS));
            }
        }
        if attempt.others_at.is_some_and(|at| at <= now) {
            if self.probes.len() + attempt.others.len() > PROBES {
                // Too many at once: a little later, then.
                attempt.others_at = Some(now + self.policy.give_up * 2 / 5);
                return;
            }
            attempt.others_at = None;
            for other in attempt.others.clone() {
                if !self.memory.looks_alive(other) && !self.memory.looks_silent(other) {
                    self.probe(other, shared, now);
                }
            }
        }
    }

    /// Nothing better has shown up, and nothing will: what goes on is between program and kernel. As long as we have a
    /// duplicate of the socket, the program's own close would not end it.
    fn release(&mut self, token: u64, shared: &Shared, now: Duration) {
        let Some(attempt) = self.under_way.get_mut(&token) else {
            return;
        };
        let outcome = match attempt.waits {
            // This one has to hear from us how it ends.
            Waits::Blocked(id) if shared.listener.is_valid(id) => {
                attempt.release_at = now + Duration::from_secs(1);
                return;
            }
            Waits::Blocked(_) => Outcome::Abandoned,
            Waits::Polls | Waits::ShouldPoll => Outcome::PassedOn,
        };
        if let Some(attempt) = self.remove(token, shared) {
            self.races.end(attempt.place, outcome, now);
        }
    }

    fn give_up(&mut self, token: u64, shared: &Shared, now: Duration) {
        let Some(attempt) = self.remove(token, shared) else {
            return;
        };
        match attempt.waits {
            Waits::Blocked(id) if shared.listener.is_valid(id) => {
                kernel::give_up(&attempt.socket);
                // The error that this leaves is for those who poll. This caller gets its error from the call.
                kernel::take_error(&attempt.socket);
                self.tell(&attempt, id, Reply::Error(libc::ETIMEDOUT), shared);
            }
            // Interrupted and not begun again, or polling: ECONNRESET at the next poll.
            _ => kernel::give_up(&attempt.socket),
        }
        let destination = attempt.destination;
        let can_probe = destination.network == self.network;
        self.memory.gave_up(destination, can_probe, now);
        self.races.end(attempt.place, Outcome::GivenUp, now);
        // Others that have been silent all the while would only cost the program the same again.
        for other in attempt
            .others
            .iter()
            .filter(|it| self.policy.watches(it.address.ip()))
        {
            let tried = self
                .probe_of(*other)
                .map(|probe| now.saturating_sub(probe.started));
            if tried.is_some_and(|tried| tried >= self.policy.give_up / 2) {
                self.memory.suspect(*other, now);
            }
        }
    }
}

impl Attempt {
    fn deadline(&self) -> Duration {
        let times = [self.give_up_at, self.send_timeout_at, self.others_at];
        times
            .into_iter()
            .flatten()
            .fold(self.release_at, Duration::min)
    }
}
