//! Sends back what it gets, over TCP (RFC 862) and over UDP on the same port.

use super::datagram::Datagrams;
use super::error::ServiceError;
use super::{Context, Running, listen};
use crate::world::model::{HostId, Service};
use std::time::Duration;
use tokio::net::TcpStream;

/// The largest UDP payload there is.
const LARGEST_DATAGRAM: usize = 65_535;

/// After an error of the socket itself, which would otherwise repeat at once.
const REST_AFTER_ERROR: Duration = Duration::from_millis(50);

/// Starts the service.
pub(crate) fn start(
    context: &Context,
    host: HostId,
    service: &Service,
) -> Result<Running, ServiceError> {
    let listeners = listen::tcp(context, host, service)?;
    let sockets = listen::datagrams(context, host, service)?;
    let mut running = Running::tcp(&listeners);
    for socket in sockets {
        running.udp.push(socket.address());
        tokio::spawn(echo_datagrams(socket));
    }
    listen::accept(listeners, |_, stream| echo(stream));
    Ok(running)
}

async fn echo(mut stream: TcpStream) {
    let (mut from, mut to) = stream.split();
    // Until the peer has closed its side; that it may be gone before is its own business.
    match tokio::io::copy(&mut from, &mut to).await {
        Ok(_) | Err(_) => {}
    }
}

async fn echo_datagrams(socket: Datagrams) -> ! {
    let mut buffer = vec![0; LARGEST_DATAGRAM];
    loop {
        let Ok(envelope) = socket.receive(&mut buffer).await else {
            tokio::time::sleep(REST_AFTER_ERROR).await;
            continue;
        };
        // Two echo services would keep a forged datagram going for ever (CERT advisory CA-1996-01).
        if envelope.peer.port() == socket.address().port() {
            continue;
        }
        let Some(bytes) = buffer.get(..envelope.length) else {
            continue;
        };
        // No route back, a filter: the same as a datagram lost on its way.
        match socket.answer(&envelope, bytes).await {
            Ok(()) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::service::tests::{Lab, PATIENCE, SILENCE, on_loopback, service};
    use crate::world::model::ServiceKind;
    use std::net::Ipv4Addr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpStream, UdpSocket};
    use tokio::time::timeout;

    #[tokio::test]
    async fn stream_comes_back_and_ends_with_the_peers() {
        let lab = Lab::new();
        for address in lab.start(&on_loopback(ServiceKind::Echo)).await.tcp {
            let sent: Vec<u8> = (0..=255).cycle().take(1_000_000).collect();
            let (mut from, mut to) = TcpStream::connect(address).await.unwrap().into_split();
            let outgoing = sent.clone();
            tokio::spawn(async move {
                to.write_all(&outgoing).await.unwrap();
                to.shutdown().await.unwrap();
            });
            let mut received = vec![];
            timeout(PATIENCE, from.read_to_end(&mut received))
                .await
                .unwrap()
                .unwrap();
            assert!(received == sent);
        }
    }

    #[tokio::test]
    async fn datagram_comes_back_from_the_address_it_was_sent_to() {
        let lab = Lab::new();
        let mut service = service(ServiceKind::Echo);
        service.dual_socket = true;
        let port = lab.start(&service).await.udp[0].port();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client
            .connect((Ipv4Addr::new(127, 0, 0, 7), port))
            .await
            .unwrap();
        for sent in [vec![], vec![7; 60_000]] {
            client.send(&sent).await.unwrap();
            let mut buffer = vec![0; 65_535];
            let length = timeout(PATIENCE, client.recv(&mut buffer)).await;
            assert!(buffer[..length.unwrap().unwrap()] == sent);
        }
    }

    #[tokio::test]
    async fn two_echo_services_cannot_be_set_against_each_other() {
        let lab = Lab::new();
        let mut service = on_loopback(ServiceKind::Echo);
        service.listen.truncate(1);
        let address = lab.start(&service).await.udp[0];
        let other = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 7), address.port()));
        let other = other.await.unwrap();
        other.send_to(b"x", address).await.unwrap();
        assert!(timeout(SILENCE, other.recv(&mut [0; 9])).await.is_err());
    }
}
