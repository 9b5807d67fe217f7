//! Relays between real sockets of the loopback.

use super::*;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const PATIENT: Bounds = Bounds {
    idle: Some(Duration::from_secs(30)),
    total: None,
};

/// A client's end, a service's end, and the relay between them.
async fn between(
    early: &'static [u8],
    bounds: Bounds,
) -> (TcpStream, TcpStream, JoinHandle<Carried>) {
    let (client, near) = pair().await;
    let (far, service) = pair().await;
    let relay = tokio::spawn(async move { relay(near, far, early, bounds).await });
    (client, service, relay)
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (one, other) = tokio::join!(TcpStream::connect(address), listener.accept());
    (one.unwrap(), other.unwrap().0)
}

/// Bytes that differ from their neighbours, so that nothing can go missing or change places unseen.
fn pattern(length: usize) -> Vec<u8> {
    (0..length)
        .map(|index| u8::try_from((index ^ (index >> 8)) & 0xff).unwrap())
        .collect()
}

#[tokio::test]
async fn early_bytes_go_first() {
    let (mut client, mut service, relay) = between(b"before ", PATIENT).await;
    client.write_all(b"after").await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = String::new();
    service.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "before after");
    drop(service);
    assert_eq!(
        relay.await.unwrap(),
        Carried {
            end: End::Done,
            up: 12,
            down: 0
        }
    );
}

#[tokio::test]
async fn a_side_that_is_done_still_hears_the_other() {
    let (mut client, mut service, relay) = between(b"", PATIENT).await;
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut question = String::new();
    service.read_to_string(&mut question).await.unwrap();
    assert_eq!(question, "question");
    service.write_all(b"answer").await.unwrap();
    service.shutdown().await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "answer");
    assert_eq!(
        relay.await.unwrap(),
        Carried {
            end: End::Done,
            up: 8,
            down: 6
        }
    );
}

#[tokio::test]
async fn large_amounts_arrive_whole_both_ways_at_once() {
    let (client, service, relay) = between(b"", PATIENT).await;
    let sent = pattern(7_654_321);
    let ends = [client, service].map(|stream| {
        let (sent, length) = (sent.clone(), sent.len());
        tokio::spawn(async move {
            let (mut reads, mut writes) = stream.into_split();
            let writing = tokio::spawn(async move {
                writes.write_all(&sent).await.unwrap();
                writes.shutdown().await.unwrap();
            });
            let mut heard = Vec::with_capacity(length);
            reads.read_to_end(&mut heard).await.unwrap();
            writing.await.unwrap();
            heard
        })
    });
    for end in ends {
        assert!(end.await.unwrap() == sent, "what arrives is what was sent");
    }
    let length = count(sent.len());
    assert_eq!(
        relay.await.unwrap(),
        Carried {
            end: End::Done,
            up: length,
            down: length
        }
    );
}

#[tokio::test]
async fn a_reset_is_handed_on() {
    let (mut client, service, relay) = between(b"", PATIENT).await;
    socket2::SockRef::from(&service)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(service);
    assert_eq!(relay.await.unwrap().end, End::Broken);
    let error = client.read(&mut [0; 1]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn silence_ends_a_relay_and_talk_does_not() {
    let bounds = Bounds {
        idle: Some(Duration::from_millis(400)),
        total: None,
    };
    let (mut client, mut service, relay) = between(b"", bounds).await;
    let talk = Instant::now();
    while talk.elapsed() < Duration::from_secs(1) {
        client.write_all(b".").await.unwrap();
        service.read_exact(&mut [0; 1]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!relay.is_finished(), "bytes moved all the time");
    assert_eq!(relay.await.unwrap().end, End::Idle);
}

#[tokio::test]
async fn a_relay_that_lasts_too_long_is_ended_though_bytes_move() {
    let bounds = Bounds {
        idle: Some(Duration::from_secs(30)),
        total: Some(Duration::from_millis(300)),
    };
    let (mut client, mut service, relay) = between(b"", bounds).await;
    while !relay.is_finished() {
        let _ended = client.write_all(b".").await;
        let _ended = service.read(&mut [0; 64]).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(relay.await.unwrap().end, End::TooLong);
}
