//! Any program as a service: a real BIND or nginx, or whatever a user wants to see in a broken network.
//!
//! The program runs in its own session and in a directory of its own, with everything it writes in `output.log`
//! there. It dies with the host's thread; that a daemon's own children die too is the lab's PID namespace's work.

mod files;
mod program;

use super::error::{Problem, ServiceError};
use super::{Context, Running, problem};
use crate::world::model::{Exec, Family, HostId, Service};
use files::Directory;
use program::Program;
pub(crate) use program::Session;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// How often a program that is not ready is asked again.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// A connection on the host itself takes microseconds; one that takes this long is not answered.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

/// Starts the program; returns when it accepts connections, or at once when nobody said where it will.
pub(crate) async fn start(
    context: &Context,
    host: HostId,
    service: &Service,
) -> Result<Running, ServiceError> {
    run(context, host, service)
        .await
        .map_err(|p| problem(context, host, service, p))
}

async fn run(context: &Context, host: HostId, service: &Service) -> Result<Running, Problem> {
    let exec = service.exec.as_ref().ok_or(Problem::NoExec)?;
    let own = addresses(context, host);
    let directory = Directory::write(context, host, service, exec, &own)?;
    let mut program = Program::start(&directory, exec)?;
    if let Some(port) = exec.ready_port {
        let waiting = listening(service, &own, port);
        if waiting.is_empty() {
            return Err(Problem::ListensNowhere);
        }
        wait(&mut program, exec, &waiting).await?;
    }
    Ok(Running {
        child: Some(program.into_session()),
        ..Running::default()
    })
}

/// The addresses that the host can be reached at.
fn addresses(context: &Context, host: HostId) -> Vec<IpAddr> {
    let Some(host) = context.world.hosts.get(host.0) else {
        return vec![];
    };
    let usable = host.interfaces.iter().flat_map(|interface| {
        let failed = |address: &IpAddr| match address {
            IpAddr::V4(_) => false,
            IpAddr::V6(address) => interface.dad_failed.contains(address),
        };
        interface.addresses.iter().filter(move |a| !failed(a))
    });
    usable.copied().collect()
}

/// Where the program must answer before it counts as ready.
fn listening(service: &Service, own: &[IpAddr], port: u16) -> Vec<SocketAddr> {
    let listed = if service.listen.is_empty() {
        own
    } else {
        &service.listen
    };
    listed
        .iter()
        .filter(|address| service.families.contains(&Family::of(**address)))
        .map(|address| SocketAddr::new(*address, port))
        .collect()
}

async fn wait(program: &mut Program, exec: &Exec, waiting: &[SocketAddr]) -> Result<(), Problem> {
    let deadline = Instant::now() + exec.ready_within;
    for address in waiting {
        while !answers(*address).await {
            runs(program)?;
            if Instant::now() >= deadline {
                return Err(Problem::ProgramNotReady {
                    program: program.name().to_owned(),
                    address: *address,
                    within: exec.ready_within,
                    log: program.log(),
                });
            }
            sleep(ASK_EVERY).await;
        }
    }
    // Somebody answers, but if ours has ended it is somebody else, on whose port ours failed.
    runs(program)
}

fn runs(program: &mut Program) -> Result<(), Problem> {
    match program.ended()? {
        None => Ok(()),
        Some(status) => Err(Problem::ProgramEnded {
            program: program.name().to_owned(),
            status,
            log: program.log(),
        }),
    }
}

async fn answers(address: SocketAddr) -> bool {
    let connected = timeout(CONNECT_WITHIN, TcpStream::connect(address)).await;
    matches!(connected, Ok(Ok(_)))
}

#[cfg(test)]
mod tests;
