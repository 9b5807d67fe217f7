//! reqwest 0.13: what is possible and what is not.
//!
//! reqwest has no way to put another connector into its client. `connector_layer` wraps the one inside: the layer's
//! request is opaque, cannot be cloned and cannot be made, and so can the connection that a layer has to return; a layer
//! may delay or refuse, and call the inner connector once. The inner connector is hyper-util's, which tries the addresses
//! of each family one after the other, without starting the next before the last has failed.
//!
//! Two ways lead around it:
//!
//! - [`send`]: reqwest's requests and responses, hyper-util's client with our connector in between. Everything of the dial
//!   is ours, its TLS too. What reqwest's own client adds is lost: redirects, cookies, proxies, timeouts, decompression.
//! - [`Racing`], a `dns_resolver`: it races to the host, closes the winner and hands reqwest that address alone. Everything of
//!   reqwest stays. It costs one more connection for each new one (not for each request: reqwest keeps them), and the
//!   port has to be told beforehand, as reqwest tells a resolver only the name.
//!
//! A third one needs no code: `twinstack proxy` and `reqwest::Proxy::all("socks5h://127.0.0.1:1080")`.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::io;
use std::iter;
use std::sync::Arc;
use twinstack_dial::{Connector, Dialer};

use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

type Failure = Box<dyn Error + Send + Sync>;

/// Sends a request of reqwest's through our connector, and makes reqwest's response of the answer.
///
/// A program makes the client once and keeps it: connections are reused.
pub async fn send(dialer: Dialer, request: reqwest::Request) -> Result<reqwest::Response, Failure> {
    let client: Client<Connector, reqwest::Body> =
        Client::builder(TokioExecutor::new()).build(Connector::new(dialer));
    let request = hyper::Request::<reqwest::Body>::try_from(request)?;
    let response = client.request(request).await?;
    Ok(reqwest::Response::from(response.map(reqwest::Body::wrap)))
}

/// A resolver that tells reqwest the one address that has just been connected to.
#[derive(Debug)]
pub struct Racing {
    dialer: Dialer,
    port: u16,
}

impl Racing {
    /// For a client that talks to servers on this port.
    pub const fn new(dialer: Dialer, port: u16) -> Self {
        Self { dialer, port }
    }
}

impl Resolve for Racing {
    fn resolve(&self, name: Name) -> Resolving {
        let (dialer, port) = (self.dialer.clone(), self.port);
        Box::pin(async move {
            let connection = dialer
                .connect((name.as_str(), port))
                .await
                .map_err(|error| Failure::from(io::Error::from(error)))?;
            let mut address = connection.stream.peer_addr()?;
            // 0 stands for the port of the URL.
            address.set_port(0);
            Ok(Box::new(iter::once(address)) as Addrs)
        })
    }
}

/// Fetches a page with a client that is reqwest's own in everything but the choice of the address.
pub async fn get(dialer: Dialer, url: &str) -> Result<String, Failure> {
    let port = reqwest::Url::parse(url)?
        .port_or_known_default()
        .unwrap_or(443);
    let client = reqwest::Client::builder()
        .dns_resolver(Arc::new(Racing::new(dialer, port)))
        .build()?;
    Ok(client.get(url).send().await?.text().await?)
}
