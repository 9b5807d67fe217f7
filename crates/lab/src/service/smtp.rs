//! A mail server: its banner, its greeting, and a delivery that goes nowhere.

mod session;

use super::error::ServiceError;
use super::listen::{self, Peer};
use super::{Context, Running, face};
use crate::world::model::{Face, Family, HostId, Service, Stall};
use session::Session;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};

/// RFC 5321 section 4.5.3.2.7: a server waits at least this long for the next command.
const COMMAND_WITHIN: Duration = Duration::from_mins(5);

/// A peer that asks and does not read the answers.
const READ_WITHIN: Duration = Duration::from_mins(1);

/// Starts the service.
pub(crate) fn start(
    context: &Context,
    host: HostId,
    service: &Service,
) -> Result<Running, ServiceError> {
    let listeners = listen::tcp(context, host, service)?;
    let running = Running::tcp(&listeners);
    let manners = |family| Arc::new(Manners::of(face(service, family)));
    let (v4, v6) = (manners(Family::V4), manners(Family::V6));
    listen::accept(listeners, move |peer, stream| {
        connection(
            Arc::clone(match peer.family() {
                Family::V4 => &v4,
                Family::V6 => &v6,
            }),
            peer,
            stream,
        )
    });
    Ok(running)
}

/// What of a face matters to mail.
#[derive(Debug)]
struct Manners {
    name: String,
    delay: Duration,
    stall: Option<Stall>,
    deny_mapped: bool,
}

impl Manners {
    fn of(face: &Face) -> Self {
        Self {
            name: face.banner.clone(),
            delay: face.delay,
            stall: face.stall,
            deny_mapped: face.deny_mapped,
        }
    }
}

async fn connection<T>(manners: Arc<Manners>, peer: Peer, mut stream: T)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let mut session = Session::new(&manners.name);
    if manners.stall != Some(Stall::Handshake) {
        // RFC 5321 section 3.1: 554 in place of the banner turns a client away.
        let denied = manners.deny_mapped && peer.is_mapped();
        let opening = if denied {
            format!("554 {} does not serve your address\r\n", manners.name)
        } else {
            session.banner()
        };
        if say(&manners, &mut stream, &opening).await.is_err() || denied {
            return;
        }
    }
    if manners.stall.is_some() {
        return listen::stay_silent(stream).await;
    }
    let mut buffer = [0; 4096];
    while !session.is_over() {
        let replies = match timeout(COMMAND_WITHIN, stream.read(&mut buffer)).await {
            Ok(Ok(length @ 1..)) => session.handle_bytes(buffer.get(..length).unwrap_or_default()),
            Ok(Ok(0) | Err(_)) => return,
            Err(_) => session.end(),
        };
        if say(&manners, &mut stream, &replies).await.is_err() {
            return;
        }
    }
}

async fn say<T>(manners: &Manners, stream: &mut T, text: &str) -> io::Result<()>
where
    T: AsyncWrite + Unpin,
{
    if text.is_empty() {
        return Ok(());
    }
    if !manners.delay.is_zero() {
        sleep(manners.delay).await;
    }
    timeout(READ_WITHIN, stream.write_all(text.as_bytes())).await?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::{Lab, PATIENCE, SILENCE, on_loopback, service};
    use crate::world::model::ServiceKind;
    use std::net::{Ipv4Addr, SocketAddr};
    use tokio::io::duplex;
    use tokio::net::TcpStream;
    use tokio::time::Instant;

    /// Says something, closes its side and returns everything that the server says.
    async fn talk(address: SocketAddr, text: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        timeout(PATIENCE, stream.read_to_string(&mut answer))
            .await
            .unwrap()
            .unwrap();
        answer
    }

    #[tokio::test]
    async fn each_family_hears_its_own_name() {
        let lab = Lab::new();
        let mut service = on_loopback(ServiceKind::Smtp);
        service.v6.banner = "six.lab.test".to_owned();
        let running = lab.start(&service).await;
        let check = async |address, name: &str| {
            let expected = format!(
                "220 {name} ESMTP ready\r\n250 {name}\r\n221 {name} closes the connection\r\n"
            );
            assert_eq!(talk(address, "HELO x\r\nQUIT\r\n").await, expected);
        };
        check(running.tcp[0], "mail.lab.test").await;
        check(running.tcp[1], "six.lab.test").await;
    }

    #[tokio::test]
    async fn stalls_before_or_after_the_banner() {
        let lab = Lab::new();
        for (stall, heard) in [
            (Stall::Handshake, ""),
            (Stall::Response, "220 mail.lab.test ESMTP ready\r\n"),
        ] {
            let mut service = on_loopback(ServiceKind::Smtp);
            service.v4.stall = Some(stall);
            let address = lab.start(&service).await.tcp[0];
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"EHLO x\r\n").await.unwrap();
            let mut answer = vec![0; heard.len()];
            timeout(PATIENCE, stream.read_exact(&mut answer))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(answer, heard.as_bytes());
            assert!(timeout(SILENCE, stream.read_u8()).await.is_err());
        }
    }

    #[tokio::test]
    async fn access_list_turns_mapped_clients_away() {
        let lab = Lab::new();
        let mut service = service(ServiceKind::Smtp);
        service.dual_socket = true;
        service.v4.deny_mapped = true;
        let port = lab.start(&service).await.tcp[0].port();
        let answer = talk((Ipv4Addr::LOCALHOST, port).into(), "").await;
        assert!(answer.starts_with("554 "), "{answer}");
        let answer = talk(SocketAddr::new("::1".parse().unwrap(), port), "").await;
        assert!(answer.starts_with("220 "), "{answer}");
    }

    #[tokio::test]
    async fn delay_holds_back_the_banner() {
        let lab = Lab::new();
        let mut service = on_loopback(ServiceKind::Smtp);
        service.v4.delay = Duration::from_millis(150);
        let address = lab.start(&service).await.tcp[0];
        let begun = std::time::Instant::now();
        assert!(talk(address, "").await.starts_with("220 "));
        assert!(begun.elapsed() >= service.v4.delay);
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_client_is_told_goodbye_after_five_minutes() {
        let manners = Manners::of(&service(ServiceKind::Smtp).v4);
        let peer = Peer {
            address: "192.0.2.10:40000".parse().unwrap(),
        };
        let (mut client, server) = duplex(1000);
        let begun = Instant::now();
        tokio::spawn(connection(Arc::new(manners), peer, server));
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        assert_eq!(
            heard,
            "220 mail.lab.test ESMTP ready\r\n421 mail.lab.test closes the connection\r\n"
        );
        assert_eq!(begun.elapsed(), Duration::from_mins(5));
    }

    #[tokio::test(start_paused = true)]
    async fn client_that_does_not_read_is_given_up() {
        let manners = Manners::of(&service(ServiceKind::Smtp).v4);
        let peer = Peer {
            address: "192.0.2.10:40000".parse().unwrap(),
        };
        let (_client, server) = duplex(10);
        let begun = Instant::now();
        connection(Arc::new(manners), peer, server).await;
        assert_eq!(begun.elapsed(), READ_WITHIN);
    }
}
