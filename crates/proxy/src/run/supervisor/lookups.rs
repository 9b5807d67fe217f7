//! Look-ups: the program's questions come to the stub, the stub's questions go to the real servers.
//!
//! Two ways lead to the stub. A UDP socket that nobody polls yet is exchanged for one in the [`Annex`], where the stub is
//! every server: glibc, musl and c-ares look at where an answer comes from, and there it comes from the right place. A
//! socket that is in somebody's epoll already cannot be exchanged unnoticed. It is connected to the stub on the loopback
//! interface; event loops leave it to the kernel to check a connected socket's peer. TCP never needs an exchange.

use super::super::annex::Annex;
use super::super::kernel;
use super::super::procfs;
use super::super::stub::{Action, Asked, Client, Stub, Transport, Upstream};
use super::{Shared, token};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd as _;
use std::time::{Duration, SystemTime};

mod clients;
mod datagram;
mod steer;
mod stream;

use clients::Clients;
use datagram::{Datagrams, Way};
use stream::{Role, Stream};

/// Where name servers listen.
pub(super) const PORT: u16 = 53;
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
}
