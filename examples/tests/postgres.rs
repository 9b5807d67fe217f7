//! tokio-postgres against a server that speaks just enough of the protocol to log in and to answer one row.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is the failure they report"
)]

#[path = "support/shared.rs"]
mod support;

use std::time::{Duration, Instant};
use support::{dialer, half_dead};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_postgres::{Config, SimpleQueryMessage};

/// A message of the server: its kind, its length, its content.
fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len() + 4).unwrap();
    [&[kind], &length.to_be_bytes()[..], content].concat()
}

async fn read_message(stream: &mut TcpStream, head: usize) -> std::io::Result<Vec<u8>> {
    let mut start = vec![0; head + 4];
    stream.read_exact(&mut start).await?;
    let length = u32::from_be_bytes(start[head..].try_into().unwrap());
    let mut content = vec![0; length as usize - 4];
    stream.read_exact(&mut content).await?;
    Ok(content)
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    read_message(&mut stream, 0).await?;
    let welcome = [message(b'R', &0_u32.to_be_bytes()), message(b'Z', b"I")].concat();
    stream.write_all(&welcome).await?;
    loop {
        let query = read_message(&mut stream, 1).await?;
        let value = &query[..query.len() - 1];
        let description = [
            &1_u16.to_be_bytes()[..],
            b"q\0",
            &[0; 6],
            &25_u32.to_be_bytes(),
            &[0; 8],
        ]
        .concat();
        let length = u32::try_from(value.len()).unwrap();
        let row = [&1_u16.to_be_bytes()[..], &length.to_be_bytes(), value].concat();
        let answer = [
            message(b'T', &description),
            message(b'D', &row),
            message(b'C', b"SELECT 1\0"),
            message(b'Z', b"I"),
        ];
        stream.write_all(&answer.concat()).await?;
    }
}

#[tokio::test]
async fn the_login_is_part_of_the_race() {
    let (_dead, listener, port) = half_dead().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    let mut config = Config::new();
    config.user("app").dbname("app");
    let start = Instant::now();
    let (client, connection) =
        twinstack_examples::postgres::connect(&dialer(), "db.test", port, &config)
            .await
            .unwrap();
    tokio::spawn(connection);
    let rows = client.simple_query("say this").await.unwrap();
    let SimpleQueryMessage::Row(row) = &rows[1] else {
        panic!("{rows:?}")
    };
    assert_eq!(row.get(0), Some("say this"));
    let took = start.elapsed();
    assert!(
        (Duration::from_millis(249)..Duration::from_secs(2)).contains(&took),
        "{took:?}"
    );
}
