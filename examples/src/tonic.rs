//! tonic: `connect_with_connector` takes the same connector as hyper.

use bytes::{Buf as _, BufMut as _, Bytes};
use hyper::http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::Endpoint;
use tonic::{Request, Status};
use twinstack_dial::{Connector, Dialer};

/// Calls a method and gives back what it answers.
///
/// Messages are plain bytes here, so that the example needs no generated code; with it, the channel goes into the
/// generated client.
pub async fn call(
    dialer: Dialer,
    server: String,
    method: &'static str,
    message: Bytes,
) -> Result<Bytes, Status> {
    let channel = Endpoint::from_shared(server)
        .map_err(|error| Status::invalid_argument(error.to_string()))?
        .connect_with_connector(Connector::new(dialer))
        .await
        .map_err(|error| Status::unavailable(format!("{error:?}")))?;
    let mut client = Grpc::new(channel);
    client
        .ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(method);
    Ok(client
        .unary(Request::new(message), path, Plain)
        .await?
        .into_inner())
}

/// Messages as they are.
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length)))
    }
}
