//! The lab's name servers: authoritative ones for the world's zones, and a resolver that asks from the root down.
//!
//! Both answer over UDP and TCP, from the address that was asked, and both obey the world's DNS rules before they do
//! anything else. They are as correct as a healthy server has to be, and as wrong as the rules say; what a rule does
//! not touch must never look odd to a checker.
//!
//! Not here: DNSSEC, zone transfer, updates.

mod answer;
mod cache;
mod doh;
mod names;
mod recursive;
mod rule;
mod server;
mod translate;
mod zone;

pub(crate) use names::NameData;

use super::datagram::Datagrams;
use super::error::{Problem, ServiceError};
use super::{Context, Running, listen, problem};
use crate::world::model::{HostId, Service};
use recursive::Resolver;
use server::{Responder, Server};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use tokio::net::TcpListener;

/// Where name servers listen, and so where a resolver asks.
const PORT: u16 = 53;

/// Where DNS over HTTPS listens.
const HTTPS_PORT: u16 = 443;

/// Starts an authoritative server for the zones whose `servers` list this host.
pub(crate) fn start_authoritative(
    context: &Arc<Context>,
    host: HostId,
    service: &Service,
) -> Result<Running, ServiceError> {
    if let Some(broken) = context.names.broken_zone(host) {
        return Err(problem(context, host, service, broken));
    }
    let server = Server {
        host,
        names: context.names.clone(),
        responder: Responder::Authoritative,
    };
    let (sockets, service) = open(context, host, service)?;
    drop(service);
    Ok(sockets.serve(&Arc::new(server)))
}

/// Starts a resolver, and DNS over HTTPS beside it if the world asks for it.
pub(crate) fn start_recursive(
    context: &Arc<Context>,
    host: HostId,
    service: &Service,
) -> Result<Running, ServiceError> {
    start_recursive_at(context, host, service, PORT)
}

/// `upstream` is the port that the servers of the world listen on: 53 but in tests, which may not use that.
fn start_recursive_at(
    context: &Arc<Context>,
    host: HostId,
    service: &Service,
    upstream: u16,
) -> Result<Running, ServiceError> {
    let Some(recursive) = &service.recursive else {
        return Err(problem(context, host, service, Problem::NoRecursive));
    };
    let resolver = Resolver::new(recursive, families(context, host), upstream);
    let server = Arc::new(Server {
        host,
        names: context.names.clone(),
        responder: Responder::Recursive(Arc::new(resolver)),
    });
    let (sockets, opened) = open(context, host, service)?;
    let mut running = sockets.serve(&server);
    if let Some(name) = &recursive.doh {
        let mut https = opened;
        https.port = if service.port == 0 { 0 } else { HTTPS_PORT };
        let started = doh::start(context, host, &https, name, &server)?;
        running.tcp.extend(started.tcp);
    }
    Ok(running)
}

/// Which families the host can send with.
fn families(context: &Context, host: HostId) -> (bool, bool) {
    let host = context.world.hosts.get(host.0);
    let mut addresses = host
        .into_iter()
        .flat_map(|host| &host.interfaces)
        .flat_map(|interface| &interface.addresses);
    let v4 = addresses.clone().any(std::net::IpAddr::is_ipv4);
    let v6 = addresses.any(std::net::IpAddr::is_ipv6);
    (v4, v6)
}

/// UDP and TCP on the same port.
struct Sockets {
    udp: Vec<Datagrams>,
    tcp: Vec<TcpListener>,
}

/// Opens all sockets, and gives the service with the port that they have.
fn open(
    context: &Context,
    host: HostId,
    service: &Service,
) -> Result<(Sockets, Service), ServiceError> {
    let on = |service: Service| {
        let udp = listen::datagrams(context, host, &service)?;
        let tcp = listen::tcp(context, host, &service)?;
        Ok((Sockets { udp, tcp }, service))
    };
    if service.port != 0 {
        return on(service.clone());
    }
    // Port 0 is any port, but the same one for all sockets: another may be faster, so a few are tried.
    let mut opened = on(with_free_port(service));
    for _ in 0..20 {
        if opened.is_ok() {
            break;
        }
        opened = on(with_free_port(service));
    }
    opened
}

fn with_free_port(service: &Service) -> Service {
    let any = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
        .or_else(|_| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)));
    let port = any.and_then(|socket| socket.local_addr());
    Service {
        port: port.map_or(0, |address: SocketAddr| address.port()),
        ..service.clone()
    }
}

impl Sockets {
    fn serve(self, server: &Arc<Server>) -> Running {
        let mut running = Running::tcp(&self.tcp);
        running.udp = self.udp.iter().map(Datagrams::address).collect();
        for socket in self.udp {
            tokio::spawn(server::over_udp(Arc::clone(server), Arc::new(socket)));
        }
        let server = Arc::clone(server);
        listen::accept(self.tcp, move |peer, stream| {
            server::over_tcp(Arc::clone(&server), peer, stream)
        });
        running
    }
}

#[cfg(test)]
mod tests;
