//! How a program's questions come to the stub: its sockets are exchanged or connected.

use super::super::super::kernel::{self, Kind, Notification, Reply};
use super::super::super::procfs;
use super::super::super::report::PassedBy;
use super::super::{Shared, fd_argument, take_socket};
use super::datagram::{self, Way};
use super::{CAPACITY, LookUps, Origin};
use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use twinstack_dns::Query;
use twinstack_dns::resolv_conf::ResolvConf;

/// The socket of systemd-resolved. Whoever cannot reach it asks the servers of resolv.conf instead, which we see; that
/// names resolved's own DNS server first, so nothing is lost.
const RESOLVED: &str = "/run/systemd/resolve/io.systemd.Resolve";

impl LookUps {
    /// A connect to port 53.
    pub(in super::super) fn steer_connect(
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
    pub(in super::super) fn steer_send(
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
    pub(in super::super) fn stands_in_for(&mut self, path: &OsStr) -> bool {
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
