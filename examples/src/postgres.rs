//! tokio-postgres: `connect_raw` takes any stream, and the login can be part of the race.

use std::io;
use tokio::net::TcpStream;
use tokio_postgres::{Client, Config, Connection, NoTls};
use twinstack_dial::{DialError, Dialer};

/// Logs in. The first address that a login succeeds at wins: one that accepts connections and then stays silent does not.
///
/// The caller drives the connection, as always with tokio-postgres: `tokio::spawn(connection)`.
pub async fn connect(
    dialer: &Dialer,
    host: &str,
    port: u16,
    config: &Config,
) -> Result<
    (
        Client,
        Connection<TcpStream, tokio_postgres::tls::NoTlsStream>,
    ),
    DialError,
> {
    let connection = dialer
        .connect_with((host, port), async |stream, _| {
            config
                .connect_raw(stream, NoTls)
                .await
                .map_err(io::Error::other)
        })
        .await?;
    Ok(connection.stream)
}
