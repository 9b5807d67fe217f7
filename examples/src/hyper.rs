//! hyper-util's client: give it the connector, and it dials through it.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::error::Error;
use twinstack_dial::{Connector, Dialer};

/// Fetches a page.
pub async fn get(dialer: Dialer, uri: Uri) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
    let client: Client<_, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build(Connector::new(dialer));
    let response = client.get(uri).await?;
    Ok(response.into_body().collect().await?.to_bytes())
}
