//! Opening TCP connections, with the reason when it does not work.

use super::observation::{ConnectError, ConnectFailure, IcmpError, Step};
use super::{Family, Plan, socket};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// When further attempts start while nothing has come back. One lost packet must not look like a filter: a
/// connection over a path that loses a third of all round trips opens within 5 s with certainty only if more than
/// the three or four SYNs of one attempt are sent. (Different source ports also take different paths.)
const STARTS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(600),
    Duration::from_millis(1200),
    Duration::from_millis(1800),
    Duration::from_millis(2400),
    Duration::from_secs(3),
];

/// The outcome of opening a connection with all its attempts.
pub(super) struct Opened {
    pub(super) step: Step<Result<TcpStream, ConnectError>>,
    pub(super) attempts: u32,
}

/// Opens a connection, starting again while there is silence, within the plan's time limit.
pub(super) async fn open(plan: &Plan, to: SocketAddr, segment: Option<u16>) -> Opened {
    let at = plan.now();
    let mut failure = None;
    let result = timeout(plan.timeout, race(to, segment, &mut failure)).await;
    let took = plan.now().saturating_sub(at);
    let outcome = result.unwrap_or_else(|_| Err(failure.unwrap_or_else(timed_out)));
    Opened {
        step: Step { at, took, outcome },
        attempts: started(took),
    }
}

/// How many attempts have begun after so much time.
fn started(elapsed: Duration) -> u32 {
    let begun = STARTS.iter().filter(|start| **start <= elapsed).count();
    begun.try_into().unwrap_or(1)
}

async fn race(
    to: SocketAddr,
    segment: Option<u16>,
    failure: &mut Option<ConnectError>,
) -> Result<TcpStream, ConnectError> {
    let mut running = FuturesUnordered::new();
    for start in STARTS {
        running.push(async move {
            sleep(start).await;
            connect(to, segment).await
        });
    }
    while let Some(result) = running.next().await {
        match result {
            Ok(stream) => return Ok(stream),
            // A reset is an answer. What ICMP says may be about one packet; it counts when it is said twice.
            Err(error) if error.is_final() || failure.is_some() => return Err(error),
            Err(error) => *failure = Some(error),
        }
    }
    Err(failure.take().unwrap_or_else(timed_out))
}

impl ConnectError {
    fn is_final(&self) -> bool {
        match self.kind {
            ConnectFailure::Refused => self.icmp.is_none(),
            ConnectFailure::Local(_) => true,
            _ => false,
        }
    }
}

const fn timed_out() -> ConnectError {
    ConnectError {
        kind: ConnectFailure::TimedOut,
        icmp: None,
    }
}

/// One connection attempt, as long as the kernel tries.
pub(super) async fn connect(
    to: SocketAddr,
    segment: Option<u16>,
) -> Result<TcpStream, ConnectError> {
    let local = |error: io::Error| classify(error.raw_os_error().unwrap_or(0), None, false);
    let socket = socket::tcp(to, segment).map_err(local)?;
    if let Err(error) = socket.connect(&to.into())
        && error.raw_os_error() != Some(libc::EINPROGRESS)
    {
        return Err(classify(error.raw_os_error().unwrap_or(0), None, false));
    }
    // Writable once the connection stands or has failed; the error queue then tells why.
    let stream = TcpStream::from_std(socket.into()).map_err(local)?;
    stream.writable().await.map_err(local)?;
    if let Some(error) = stream.take_error().map_err(local)? {
        let icmp = socket::take_icmp_error(stream.as_fd());
        return Err(classify(error.raw_os_error().unwrap_or(0), icmp, true));
    }
    socket::keep_icmp_errors(&stream, Family::of(to.ip()), false).map_err(local)?;
    Ok(stream)
}

/// What an errno means, with the ICMP message that caused it if there was one. `sent` tells whether the kernel had sent
/// anything when it failed.
fn classify(errno: i32, icmp: Option<IcmpError>, sent: bool) -> ConnectError {
    let by_icmp = icmp.and_then(|icmp| match (icmp.family, icmp.kind, icmp.code) {
        // RFC 4443, section 3.1.
        // Type 3 and 11 are hop limit exceeded: a routing loop.
        (Family::V6, 1, 0 | 2)
        | (Family::V6, 3, _)
        | (Family::V4, 3, 0 | 6 | 11)
        | (Family::V4, 11, _) => Some(ConnectFailure::NoRoute),
        (Family::V6, 1, 1 | 5 | 6) | (Family::V4, 3, 9 | 10 | 13) => {
            Some(ConnectFailure::Prohibited)
        }
        (Family::V6, 1, 3) | (Family::V4, 3, 1 | 7 | 12) => Some(ConnectFailure::HostUnreachable),
        (Family::V6, 1, 4) | (Family::V4, 3, 2 | 3) => Some(ConnectFailure::Refused),
        _ => None,
    });
    let kind = by_icmp.unwrap_or(match errno {
        libc::ECONNREFUSED | libc::ECONNRESET => ConnectFailure::Refused,
        libc::ENETUNREACH => ConnectFailure::NoRoute,
        libc::EHOSTUNREACH => ConnectFailure::HostUnreachable,
        libc::ETIMEDOUT => ConnectFailure::TimedOut,
        libc::EACCES if sent => ConnectFailure::Prohibited,
        other => ConnectFailure::Local(other),
    });
    ConnectError { kind, icmp }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    const fn icmp(family: Family, kind: u8, code: u8) -> IcmpError {
        IcmpError {
            family,
            kind,
            code,
            from: None,
        }
    }

    #[test]
    fn silence_until_the_end_counts_every_attempt_that_was_made() {
        let check = |millis, expected| assert_eq!(started(Duration::from_millis(millis)), expected);
        check(0, 1);
        check(599, 1);
        check(1000, 2);
        check(5000, 6);
    }

    #[test]
    fn icmp_decides_over_the_errno() {
        let check = |errno, message, expected| {
            assert_eq!(
                classify(errno, Some(message), true).kind,
                expected,
                "{message:?}"
            );
        };
        let (v4, v6) = (Family::V4, Family::V6);
        check(libc::ENETUNREACH, icmp(v6, 1, 0), ConnectFailure::NoRoute);
        check(libc::EACCES, icmp(v6, 1, 1), ConnectFailure::Prohibited);
        check(
            libc::EHOSTUNREACH,
            icmp(v6, 1, 3),
            ConnectFailure::HostUnreachable,
        );
        check(libc::ECONNREFUSED, icmp(v6, 1, 4), ConnectFailure::Refused);
        check(libc::EACCES, icmp(v6, 1, 5), ConnectFailure::Prohibited);
        check(libc::EHOSTUNREACH, icmp(v6, 3, 0), ConnectFailure::NoRoute);
        check(
            libc::EHOSTUNREACH,
            icmp(v4, 3, 13),
            ConnectFailure::Prohibited,
        );
        check(
            libc::EHOSTUNREACH,
            icmp(v4, 3, 1),
            ConnectFailure::HostUnreachable,
        );
        check(libc::ECONNREFUSED, icmp(v4, 3, 3), ConnectFailure::Refused);
        // Codes that RFC 4443 does not know leave the decision to the errno.
        check(libc::ENETUNREACH, icmp(v6, 1, 77), ConnectFailure::NoRoute);
    }

    #[test]
    fn errno_alone_is_understood() {
        let check = |errno, sent, expected| assert_eq!(classify(errno, None, sent).kind, expected);
        check(libc::ECONNREFUSED, true, ConnectFailure::Refused);
        check(libc::ENETUNREACH, false, ConnectFailure::NoRoute);
        check(libc::ETIMEDOUT, true, ConnectFailure::TimedOut);
        check(libc::EACCES, true, ConnectFailure::Prohibited);
        check(libc::EACCES, false, ConnectFailure::Local(libc::EACCES));
        check(libc::EPERM, false, ConnectFailure::Local(libc::EPERM));
    }

    #[tokio::test]
    async fn a_listener_is_reached_and_a_closed_port_refuses() {
        for any in [
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            (Ipv6Addr::LOCALHOST, 0).into(),
        ] {
            let listener = std::net::TcpListener::bind(any).unwrap();
            let to = listener.local_addr().unwrap();
            let stream = connect(to, None).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), to);
            drop(stream);
            drop(listener);
            let error = connect(to, None).await.unwrap_err();
            assert_eq!((error.kind, error.icmp), (ConnectFailure::Refused, None));
        }
    }

    #[tokio::test]
    async fn a_small_segment_size_reaches_the_socket() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let stream = connect(listener.local_addr().unwrap(), Some(1220))
            .await
            .unwrap();
        let mss = socket2::SockRef::from(&stream).tcp_mss().unwrap();
        assert!(mss <= 1220, "{mss}");
    }
}
