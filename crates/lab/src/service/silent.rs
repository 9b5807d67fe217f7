//! A TCP service that accepts and then says nothing: what a hung server looks like.

use super::error::ServiceError;
use super::{Context, Running, listen};
use crate::world::model::{HostId, Service};

/// Starts the service.
pub(crate) fn start(
    context: &Context,
    host: HostId,
    service: &Service,
) -> Result<Running, ServiceError> {
    let listeners = listen::tcp(context, host, service)?;
    let running = Running::tcp(&listeners);
    listen::accept(listeners, |_, stream| listen::stay_silent(stream));
    Ok(running)
}

#[cfg(test)]
mod tests {
    use crate::service::tests::{Lab, PATIENCE, SILENCE, on_loopback};
    use crate::world::model::ServiceKind;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    #[tokio::test]
    async fn accepts_and_says_nothing_until_the_peer_closes() {
        let lab = Lab::new();
        for address in lab.start(&on_loopback(ServiceKind::Silent)).await.tcp {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&[0x16; 10_000]).await.unwrap();
            let answer = timeout(SILENCE, stream.read_u8()).await;
            assert!(answer.is_err(), "{answer:?}");
            stream.shutdown().await.unwrap();
            let end = timeout(PATIENCE, stream.read_u8()).await.unwrap();
            assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
        }
    }
}
