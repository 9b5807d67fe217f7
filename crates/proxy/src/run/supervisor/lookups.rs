//! Look-ups: the program's questions come to the stub, the stub's questions go to the real servers.
//!
//! Two ways lead to the stub. A UDP socket that nobody polls yet is exchanged for one in the [`Annex`], where the stub is
//! every server: glibc, musl and c-ares look at where an answer comes from, and there it comes from the right place. A
//! socket that is in somebody's epoll already cannot be exchanged unnoticed. It is connected to the stub on the loopback
//! interface; event loops leave it to the kernel to check a connected socket's peer. TCP never needs an exchange.

use super::super::annex::Annex;
use super::super::kernel::{self, Kind, Notification, Reply};
use super::super::procfs;
use super::super::report::PassedBy;
use super::super::stub::{Action, Asked, Client, Stub, Transport, Upstream};
use super::{Shared, fd_argument, take_socket, token};
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, SystemTime};
use twinstack_dns::Query;
use twinstack_dns::resolv_conf::ResolvConf;

mod datagram;
mod stream;

use datagram::{Datagrams, Way};
use stream::{Role, Stream};

/// Where name servers listen.
pub(super) const PORT: u16 = 53;
/// The socket of systemd-resolved. Whoever cannot reach it asks the servers of resolv.conf instead, which we see; that
/// names resolved's own DNS server first, so nothing is lost.
const RESOLVED: &str = "/run/systemd/resolve/io.systemd.Resolve";
/// No more program sockets, connections and questions under way than these.
const CAPACITY: usize = 1024;

/// Addresses that a program was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Learned {
    pub(super) name: String,
    pub(super) is_v6: bool,
    pub(super) addresses: Vec<IpAddr>,
}

/// The edge around [`Stub`].
pub(super) struct LookUps {
    stub: Stub,
    datagrams: Datagrams,
    annex: Option<Annex>,
    listeners: Vec<(u64, TcpListener)>,
    /// The network that we are in.
    network: u64,
    /// Who is behind a local address that was connected to one of our sockets.
    origins: BTreeMap<(Way, SocketAddr), Origin>,
    clients: Clients,
    next_number: u64,
    streams: BTreeMap<u64, Stream>,
    questions: BTreeMap<Upstream, Question>,
    by_token: BTreeMap<u64, Upstream>,
    learned: VecDeque<Learned>,
    servers: Vec<IpAddr>,
    servers_read: Option<SystemTime>,
}

/// Whose socket it is and whom it meant to ask.
#[derive(Clone, Copy, Debug)]
struct Origin {
    process: u32,
    server: SocketAddr,
    at: u64,
}

/// The way back to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Return {
    Datagram(datagram::From),
    Stream(u64),
}

/// A question under way.
enum Question {
    Udp { socket: UdpSocket, token: u64 },
    Tcp { token: u64 },
}

impl LookUps {
    pub(super) fn new(shared: &mut Shared) -> io::Result<Self> {
        let network = kernel::network(&kernel::stream_socket(false)?).unwrap_or(0);
        let annex = Annex::build().ok();
        let datagrams = Datagrams::new(annex.as_ref())?;
        for (number, socket) in (token::STUB..).zip(datagrams.iter()) {
            shared.poller.add_reader(socket, number)?;
        }
        let mut listeners = Vec::new();
        for address in [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            Ipv6Addr::LOCALHOST.into(),
        ] {
            // Without IPv6 on the loopback interface nobody can mean to ask a server there.
            let Ok(listener) = TcpListener::bind((address, 0)) else {
                continue;
            };
            listener.set_nonblocking(true)?;
            let number = shared.token();
            shared.poller.add_reader(listener.as_fd(), number)?;
            listeners.push((number, listener));
        }
        Ok(Self {
            stub: Stub::default(),
            datagrams,
            annex,
            listeners,
            network,
            origins: BTreeMap::new(),
            clients: Clients::default(),
            next_number: 0,
            streams: BTreeMap::new(),
            questions: BTreeMap::new(),
            by_token: BTreeMap::new(),
            learned: VecDeque::new(),
            servers: Vec::new(),
            servers_read: None,
        })
    }

    /// A connect to port 53.
    pub(super) fn steer_connect(
        &mut self,
        call: &Notification,
        server: SocketAddr,
        shared: &mut Shared,
    ) -> Reply {
        let Ok(socket) = take_socket(call) else {
            return shared.cannot_look(call, PassedBy::Unreadable);
        };
        if !self.is_ours(&socket) || !shared.listener.is_valid(call.id) {
            return Reply::Continue;
        }
        let server = SocketAddr::new(server.ip().to_canonical(), server.port());
        let process = procfs::process_of(call.thread).unwrap_or(call.thread);
        match kernel::kind_of(&socket) {
            Kind::Stream => {
                let reply = self.connect_stream(&socket, process, server);
                reply.unwrap_or(Reply::Continue)
            }
            Kind::Datagram => match procfs::stands_alone(process, fd_argument(call)) {
                Some(true) if self.exchange(call, process, &socket, server, shared) => {
                    Reply::Continue
                }
                // Only one that is in an epoll: those who are not may look at where answers come from.
                Some(false) if self.connect_datagram(&socket, process, server) => Reply::Success,
                _ => {
                    shared.passes_by(call.thread, PassedBy::LookUp);
                    Reply::Continue
                }
            },
            Kind::Other => Reply::Continue,
        }
    }

    /// A datagram to port 53 from a socket that is not connected.
    pub(super) fn steer_send(
        &mut self,
        call: &Notification,
        server: SocketAddr,
        shared: &mut Shared,
    ) -> Reply {
        let server = SocketAddr::new(server.ip().to_canonical(), server.port());
        // Such a socket may have other uses. So it must be a question, to a server of ours.
        if !self.is_server(server.ip()) || !is_question(call) {
            return Reply::Continue;
        }
        let Ok(socket) = take_socket(call) else {
            return shared.cannot_look(call, PassedBy::Unreadable);
        };
        if !self.is_ours(&socket)
            || kernel::kind_of(&socket) != Kind::Datagram
            || !shared.listener.is_valid(call.id)
        {
            return Reply::Continue;
        }
        let process = procfs::process_of(call.thread).unwrap_or(call.thread);
        let alone = procfs::stands_alone(process, fd_argument(call)) == Some(true);
        if !alone || !self.exchange(call, process, &socket, server, shared) {
            shared.passes_by(call.thread, PassedBy::LookUp);
        }
        Reply::Continue
    }

    /// Whether a socket is in our network: elsewhere (also in the annex, where it has been exchanged already) nothing is done.
    /// Nor with one that is tied to an interface or marked for a route: our own questions would go another way.
    fn is_ours(&self, socket: &OwnedFd) -> bool {
        const SO_BINDTOIFINDEX: i32 = 62;
        let is_free = |name| kernel::flag(socket, libc::SOL_SOCKET, name).is_none_or(|it| it == 0);
        kernel::network(socket).unwrap_or(0) == self.network
            && is_free(SO_BINDTOIFINDEX)
            && is_free(libc::SO_MARK)
    }

    /// Whether somebody who cannot reach this socket asks the servers of resolv.conf instead, where we see it.
    pub(super) fn stands_in_for(&mut self, path: &OsStr) -> bool {
        path == RESOLVED && {
            self.read_servers();
            !self.servers.is_empty()
        }
    }

    /// Puts a socket of the annex in the place of the program's, which must stand alone.
    fn exchange(
        &mut self,
        call: &Notification,
        process: u32,
        socket: &OwnedFd,
        server: SocketAddr,
        shared: &Shared,
    ) -> bool {
        let number = fd_argument(call);
        let Some(annex) = &self.annex else {
            return false;
        };
        // A link-local server is on an interface that the annex does not have.
        let is_link_local = matches!(server, SocketAddr::V6(it) if it.ip().is_unicast_link_local());
        // Whoever chose an address or a low port of its own wants to keep it.
        let has_own = kernel::local_address(socket).is_some_and(|it| {
            !it.ip().to_canonical().is_unspecified() || (1..1024).contains(&it.port())
        });
        if is_link_local || has_own {
            return false;
        }
        let is_v6 = kernel::is_v6(socket);
        let Ok((new, port)) = annex.socket(is_v6) else {
            return false;
        };
        let mut options = vec![(libc::IPPROTO_IP, libc::IP_RECVERR)];
        if is_v6 {
            options.push((libc::IPPROTO_IPV6, libc::IPV6_RECVERR));
        }
        for (level, name) in options {
            if let Some(value) = kernel::flag(socket, level, name) {
                let _only_a_wish = kernel::set_flag(&new, level, name, value);
            }
        }
        kernel::set_non_blocking(&new, kernel::is_non_blocking(socket));
        let close_on_exec = procfs::is_closed_on_exec(call.thread, number);
        if shared
            .listener
            .replace(call.id, new.as_fd(), number, close_on_exec)
            .is_err()
        {
            return false;
        }
        self.remember(datagram::in_annex(port), process, server);
        true
    }

    /// Connects a UDP socket to the stub.
    fn connect_datagram(&mut self, socket: &OwnedFd, process: u32, server: SocketAddr) -> bool {
        let bound = kernel::local_address(socket);
        if bound
            .is_some_and(|it| !it.ip().to_canonical().is_unspecified() && !it.ip().is_loopback())
        {
            return false;
        }
        let stub = if server.is_ipv4() {
            self.datagrams.loopback_v4
        } else {
            self.datagrams.loopback_v6
        };
        stub.and_then(|stub| self.connect_to(socket, stub, Way::Loopback, process, server))
            == Some(Reply::Success)
    }

    fn connect_stream(
        &mut self,
        socket: &OwnedFd,
        process: u32,
        server: SocketAddr,
    ) -> Option<Reply> {
        let mut stubs = self
            .listeners
            .iter()
            .filter_map(|(_, it)| it.local_addr().ok());
        let stub = stubs.find(|stub| stub.is_ipv4() == server.is_ipv4())?;
        self.connect_to(socket, stub, Way::Stream, process, server)
    }

    fn connect_to(
        &mut self,
        socket: &OwnedFd,
        stub: SocketAddr,
        way: Way,
        process: u32,
        server: SocketAddr,
    ) -> Option<Reply> {
        let stub = match stub {
            SocketAddr::V4(stub) if kernel::is_v6(socket) => {
                (stub.ip().to_ipv6_mapped(), stub.port()).into()
            }
            stub => stub,
        };
        let polls = kernel::is_non_blocking(socket);
        let reply = match kernel::connect_to(socket, stub) {
            Ok(()) => Reply::Success,
            Err(libc::EINPROGRESS) if polls => Reply::Error(libc::EINPROGRESS),
            // On the loopback interface a connection is up by the time that the call is back.
            Err(libc::EINPROGRESS) if kernel::connect_to(socket, stub).is_ok() => Reply::Success,
            Err(_) => return None,
        };
        let local = kernel::local_address(socket)?;
        let local = SocketAddr::new(local.ip().to_canonical(), local.port());
        self.remember((way, local), process, server);
        Some(reply)
    }

    fn remember(&mut self, key: (Way, SocketAddr), process: u32, server: SocketAddr) {
        self.next_number += 1;
        let at = self.next_number;
        let origin = Origin {
            process,
            server,
            at,
        };
        self.origins.insert(key, origin);
        if self.origins.len() > CAPACITY {
            let oldest = self.origins.iter().min_by_key(|(_, origin)| origin.at);
            if let Some(key) = oldest.map(|(key, _)| *key) {
                self.origins.remove(&key);
            }
        }
    }

    /// A socket is ready: one of the stub's, a connection, or one that waits for an answer.
    pub(super) fn handle_ready(&mut self, number: u64, shared: &mut Shared) {
        if number < token::FIRST_FREE {
            self.receive_datagrams(number, shared);
        } else if let Some((_, listener)) =
            self.listeners.iter().find(|(token, _)| *token == number)
        {
            while let Ok((stream, peer)) = listener.accept() {
                let key = (Way::Stream, peer);
                // Whoever we did not send here has no business here.
                if let Some(origin) = self.origins.remove(&key) {
                    let role = Role::Program {
                        process: origin.process,
                        server: origin.server,
                    };
                    let token = shared.token();
                    if let Ok(stream) = Stream::new(stream, token, role, &shared.poller) {
                        self.streams.insert(token, stream);
                    }
                }
            }
            if self.streams.len() > CAPACITY {
                self.streams.pop_first();
            }
        } else if self.streams.contains_key(&number) {
            self.handle_stream(number, shared);
        } else if let Some(upstream) = self.by_token.get(&number).copied() {
            self.receive_answer(upstream, shared);
        }
        self.act(shared);
    }

    fn receive_datagrams(&mut self, number: u64, shared: &Shared) {
        // Bounded: a program that never stops asking must not keep us from everything else.
        const AT_ONCE: usize = 64;
        let index = usize::try_from(number.saturating_sub(token::STUB)).unwrap_or(usize::MAX);
        for _ in 0..AT_ONCE {
            let Some((from, octets)) = self.datagrams.receive(index) else {
                return;
            };
            let Some(origin) = self
                .datagrams
                .origin(from)
                .and_then(|key| self.origins.get(&key).copied())
            else {
                continue;
            };
            let server = from
                .asked()
                .map_or(origin.server, |asked| (asked, PORT).into());
            let client = self.client(Return::Datagram(from));
            let asked = Asked {
                client,
                process: origin.process,
                server,
                transport: Transport::Udp,
                octets: &octets,
            };
            self.stub.handle_query(asked, shared.now());
        }
    }

    fn client(&mut self, way_back: Return) -> Client {
        if let Some(client) = self.clients.get_by_return(way_back) {
            return client;
        }
        self.next_number += 1;
        let client = Client(self.next_number);
        self.clients.insert(client, way_back);
        client
    }

    fn handle_stream(&mut self, number: u64, shared: &mut Shared) {
        let Some(stream) = self.streams.get_mut(&number) else {
            return;
        };
        let role = stream.role;
        let messages = stream.handle_ready(&shared.poller);
        let upstream = self.by_token.get(&number).copied();
        match (messages, role) {
            (Ok(messages), Role::Program { process, server }) => {
                for octets in messages {
                    let client = self.client(Return::Stream(number));
                    let asked = Asked {
                        client,
                        process,
                        server,
                        transport: Transport::Tcp,
                        octets: &octets,
                    };
                    self.stub.handle_query(asked, shared.now());
                }
            }
            (Ok(messages), Role::Server) => {
                for octets in messages {
                    if let Some(upstream) = upstream {
                        self.stub.handle_response(upstream, &octets, shared.now());
                    }
                }
            }
            (Err(_), Role::Program { .. }) => {
                self.streams.remove(&number);
                if let Some(client) = self.clients.get_by_return(Return::Stream(number)) {
                    self.clients.remove(client);
                    self.stub.handle_gone(client);
                }
            }
            (Err(_), Role::Server) => {
                self.streams.remove(&number);
                if let Some(upstream) = upstream {
                    self.stub.handle_refusal(upstream);
                }
            }
        }
    }

    fn receive_answer(&mut self, upstream: Upstream, shared: &Shared) {
        let mut octets = vec![0; 65_535];
        while let Some(Question::Udp { socket, .. }) = self.questions.get(&upstream) {
            match socket.recv(&mut octets) {
                Ok(length) => {
                    let message = octets.get(..length).unwrap_or_default();
                    self.stub.handle_response(upstream, message, shared.now());
                    self.forget_answered(upstream);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.stub.handle_refusal(upstream);
                    return;
                }
            }
        }
    }

    /// Time has passed.
    pub(super) fn handle_time(&mut self, shared: &mut Shared) {
        self.stub.handle_timeout(shared.now());
        self.act(shared);
    }

    /// When [`Self::handle_time`] has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.stub.deadline()
    }

    /// What programs were told since the last call.
    pub(super) fn learned(&mut self) -> impl Iterator<Item = Learned> + use<> {
        std::mem::take(&mut self.learned).into_iter()
    }

    fn act(&mut self, shared: &mut Shared) {
        while let Some(action) = self.stub.poll_action() {
            match action {
                Action::Ask {
                    upstream,
                    server,
                    transport,
                    octets,
                } => {
                    if self
                        .ask(upstream, server, transport, &octets, shared)
                        .is_err()
                    {
                        self.stub.handle_refusal(upstream);
                    }
                }
                Action::Answer { client, octets } => match self.clients.get(client) {
                    // What cannot be sent is asked again.
                    Some(Return::Datagram(to)) => drop(self.datagrams.send(to, &octets)),
                    Some(Return::Stream(number)) => {
                        if let Some(stream) = self.streams.get_mut(&number)
                            && stream.send(&octets, &shared.poller).is_err()
                        {
                            self.streams.remove(&number);
                        }
                    }
                    None => {}
                },
                Action::Drop(upstream) => self.forget(upstream),
                Action::Learned {
                    name,
                    is_v6,
                    addresses,
                } => self.learned.push_back(Learned {
                    name,
                    is_v6,
                    addresses,
                }),
                Action::MadeUp {
                    process,
                    question,
                    waited,
                } => {
                    let (name, rtype) = (question.name.to_string(), question.rtype.to_string());
                    let program = procfs::name_of(process);
                    let name = name.strip_suffix('.').unwrap_or(&name);
                    shared
                        .report
                        .look_up(process, &program, name, &rtype, waited);
                }
            }
        }
    }

    fn ask(
        &mut self,
        upstream: Upstream,
        server: SocketAddr,
        transport: Transport,
        octets: &[u8],
        shared: &mut Shared,
    ) -> io::Result<()> {
        if let Some(question) = self.questions.get(&upstream) {
            if let Question::Udp { socket, .. } = question {
                socket.send(octets)?;
            }
            return Ok(());
        }
        let number = shared.token();
        let question = match transport {
            Transport::Udp => {
                let any: IpAddr = if server.is_ipv4() {
                    Ipv4Addr::UNSPECIFIED.into()
                } else {
                    Ipv6Addr::UNSPECIFIED.into()
                };
                // A socket for each question: its port, chosen by the kernel, is as hard to guess as the program's own.
                let socket = UdpSocket::bind((any, 0))?;
                socket.set_nonblocking(true)?;
                socket.connect(server)?;
                socket.send(octets)?;
                shared.poller.add_reader(socket.as_fd(), number)?;
                Question::Udp {
                    socket,
                    token: number,
                }
            }
            Transport::Tcp => {
                let socket = kernel::stream_socket(server.is_ipv6())?;
                match kernel::connect_to(&socket, server) {
                    Ok(()) | Err(libc::EINPROGRESS) => {}
                    Err(errno) => return Err(io::Error::from_raw_os_error(errno)),
                }
                let mut stream = Stream::new(
                    TcpStream::from(socket),
                    number,
                    Role::Server,
                    &shared.poller,
                )?;
                stream.send(octets, &shared.poller)?;
                self.streams.insert(number, stream);
                Question::Tcp { token: number }
            }
        };
        self.questions.insert(upstream, question);
        self.by_token.insert(number, upstream);
        Ok(())
    }

    /// Carries out what the stub has decided about this question, so that its socket is not read any further.
    fn forget_answered(&mut self, upstream: Upstream) {
        if !self.stub.is_waiting(upstream) {
            self.forget(upstream);
        }
    }

    fn forget(&mut self, upstream: Upstream) {
        match self.questions.remove(&upstream) {
            Some(Question::Udp { token, .. } | Question::Tcp { token }) => {
                self.by_token.remove(&token);
                self.streams.remove(&token);
            }
            None => {}
        }
    }

    /// Whether this is one of the servers in resolv.conf.
    fn is_server(&mut self, address: IpAddr) -> bool {
        self.read_servers();
        self.servers.contains(&address)
    }

    /// Reads resolv.conf again if it has changed. Without the file there are no servers.
    fn read_servers(&mut self) {
        const RESOLV_CONF: &str = "/etc/resolv.conf";
        let changed = std::fs::metadata(RESOLV_CONF)
            .and_then(|it| it.modified())
            .ok();
        if changed != self.servers_read {
            self.servers_read = changed;
            self.servers = std::fs::read_to_string(RESOLV_CONF).map_or_else(
                |_| Vec::new(),
                |text| {
                    let servers = ResolvConf::parse(&text).nameservers;
                    servers.into_iter().map(|server| server.address).collect()
                },
            );
        }
    }
}

/// Whether what is sent is a DNS question.
fn is_question(call: &Notification) -> bool {
    let [_, address, length, ..] = call.arguments;
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(512);
    let mut octets = vec![0; length];
    let read = kernel::read_memory(call.thread, address, &mut octets).unwrap_or(0);
    octets
        .get(..read)
        .is_some_and(|octets| Query::parse(octets).is_ok())
}

/// Clients and the ways back to them; the oldest is forgotten when there are too many.
#[derive(Debug, Default)]
struct Clients {
    by_number: BTreeMap<Client, Return>,
    by_return: BTreeMap<Return, Client>,
}

impl Clients {
    fn get(&self, client: Client) -> Option<Return> {
        self.by_number.get(&client).copied()
    }

    fn get_by_return(&self, way_back: Return) -> Option<Client> {
        self.by_return.get(&way_back).copied()
    }

    fn insert(&mut self, client: Client, way_back: Return) {
        self.by_number.insert(client, way_back);
        self.by_return.insert(way_back, client);
        if self.by_number.len() > CAPACITY
            && let Some((_, oldest)) = self.by_number.pop_first()
        {
            self.by_return.remove(&oldest);
        }
    }

    fn remove(&mut self, client: Client) {
        if let Some(way_back) = self.by_number.remove(&client) {
            self.by_return.remove(&way_back);
        }
    }
}
