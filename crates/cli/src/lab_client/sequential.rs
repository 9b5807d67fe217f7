//! The client of 2017: `getaddrinfo`, and then one address after another, each for as long as the kernel tries. On
//! Linux that is more than two minutes an address, so it is the user who gives up.

use super::ClientError;
use super::journal::Journal;
use super::url::Url;
use tokio::net::TcpStream;

pub(super) async fn connect(url: &Url, journal: &Journal) -> Result<TcpStream, ClientError> {
    let addresses = tokio::net::lookup_host((url.host.as_str(), url.port))
        .await
        .map_err(|cause| ClientError::Lookup {
            host: url.host.clone(),
            cause,
        })?;
    let mut any = false;
    for address in addresses {
        any = true;
        journal.resolved();
        journal.began(address.ip());
        let result = TcpStream::connect(address).await;
        journal.ended(address.ip(), &result);
        if let Ok(stream) = result {
            return Ok(stream);
        }
    }
    Err(if any {
        ClientError::NotConnected(url.host.clone())
    } else {
        ClientError::NoAddress(url.host.clone())
    })
}
