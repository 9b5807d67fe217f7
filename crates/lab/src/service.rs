//! The lab's built-in services: what runs on the hosts of a world.
//!
//! Each runs inside its host's thread, which has entered the host's namespaces before, so that plain sockets and
//! plain files are the host's. A service that has started answers; afterwards nothing that a peer sends can end it.
//! The built-in ones live as long as the host's runtime, a program as long as its [`Running`].

pub(crate) mod authority;
pub(crate) mod datagram;
pub(crate) mod dns;
mod echo;
pub(crate) mod error;
mod exec;
mod http;
mod https;
pub(crate) mod listen;
mod quic;
mod silent;
mod smtp;
pub(crate) mod tls;

use crate::world::model::{Face, Family, HostId, Service, ServiceKind, World};
use authority::CertificateAuthority;
use error::{Problem, ServiceError};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What all services of a lab share.
pub(crate) struct Context {
    /// The world that is being built.
    pub(crate) world: Arc<World>,
    /// Signs every certificate in it.
    pub(crate) authority: CertificateAuthority,
    /// What its name servers say.
    pub(crate) names: dns::NameData,
    /// Private to this lab, and gone with it.
    pub(crate) directory: PathBuf,
}

/// A service that answers.
#[derive(Debug, Default)]
#[must_use = "a program ends when this is dropped"]
pub(crate) struct Running {
    /// The program of an `exec` service.
    #[cfg_attr(not(test), expect(dead_code, reason = "kept to be dropped"))]
    pub(crate) child: Option<exec::Session>,
    /// Where it listens on TCP, with the real port where the world says 0.
    pub(crate) tcp: Vec<SocketAddr>,
    /// Where it listens on UDP.
    pub(crate) udp: Vec<SocketAddr>,
}

impl Running {
    fn tcp(listeners: &[TcpListener]) -> Self {
        let addresses = listeners.iter().filter_map(|l| l.local_addr().ok());
        Self {
            tcp: addresses.collect(),
            ..Self::default()
        }
    }
}

/// Starts a service; when it returns, the service answers.
pub(crate) async fn start(
    context: &Arc<Context>,
    host: HostId,
    service: &Service,
) -> Result<Running, ServiceError> {
    match service.kind {
        ServiceKind::Http => http::start(context, host, service),
        ServiceKind::Https => https::start(context, host, service),
        ServiceKind::Echo => echo::start(context, host, service),
        ServiceKind::Silent => silent::start(context, host, service),
        ServiceKind::Smtp => smtp::start(context, host, service),
        ServiceKind::Quic => quic::start(context, host, service),
        ServiceKind::Exec => exec::start(context, host, service).await,
        ServiceKind::DnsAuthoritative => dns::start_authoritative(context, host, service),
        ServiceKind::DnsRecursive => dns::start_recursive(context, host, service),
    }
}

/// How a service behaves towards a family.
fn face(service: &Service, family: Family) -> &Face {
    match family {
        Family::V4 => &service.v4,
        Family::V6 => &service.v6,
    }
}

/// An error that says whose it is.
pub(crate) fn problem(
    context: &Context,
    host: HostId,
    service: &Service,
    problem: Problem,
) -> ServiceError {
    let host = context.world.hosts.get(host.0);
    ServiceError {
        host: host.map_or_else(|| "?".to_owned(), |host| host.name.clone()),
        service: service.name.clone(),
        problem: Box::new(problem),
    }
}

#[cfg(test)]
mod tests;
