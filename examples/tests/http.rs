//! hyper, reqwest and tonic against servers of hyper's.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a panic is the failure they report"
)]

#[path = "support/shared.rs"]
mod support;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use support::{dialer, half_dead};
use tokio::net::TcpListener;

/// Tells the path that was asked for.
fn serve_pages(listener: TcpListener) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(async |request: Request<Incoming>| {
                let page = format!("page {}", request.uri().path());
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(page))))
            });
            let serving = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move { serving.await.ok() });
        }
    });
}

/// Says every message again: a gRPC method with nothing around it.
fn serve_echo(listener: TcpListener) {
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(async |request: Request<Incoming>| {
                let message = request.into_body().collect().await?.to_bytes();
                let mut status = HeaderMap::new();
                status.insert("grpc-status", "0".parse().unwrap());
                let frames = [
                    Ok::<_, Infallible>(Frame::data(message)),
                    Ok(Frame::trailers(status)),
                ];
                let body = StreamBody::new(futures(frames));
                let response = Response::builder().header("content-type", "application/grpc");
                Ok::<_, hyper::Error>(response.body(body).unwrap())
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move { serving.await.ok() });
        }
    });
}

/// A stream of these.
fn futures<T>(items: impl IntoIterator<Item = T>) -> impl futures_util::Stream<Item = T> {
    futures_util::stream::iter(items)
}

/// After the attempt delay, and well before anything in a client that waits for the dead address.
fn near_the_attempt_delay(start: Instant) {
    let took = start.elapsed();
    assert!(
        (Duration::from_millis(249)..Duration::from_secs(2)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test]
async fn hyper_gets_past_a_dead_ipv6() {
    let (_dead, listener, port) = half_dead().await;
    serve_pages(listener);
    let start = Instant::now();
    let uri = format!("http://www.test:{port}/hyper").parse().unwrap();
    let page = twinstack_examples::hyper::get(dialer(), uri).await.unwrap();
    assert_eq!(page, "page /hyper");
    near_the_attempt_delay(start);
}

#[tokio::test]
async fn reqwest_requests_go_through_our_connector() {
    let (_dead, listener, port) = half_dead().await;
    serve_pages(listener);
    let start = Instant::now();
    let url = format!("http://www.test:{port}/request").parse().unwrap();
    let request = reqwest::Request::new(reqwest::Method::GET, url);
    let response = twinstack_examples::reqwest::send(dialer(), request)
        .await
        .unwrap();
    assert_eq!(response.text().await.unwrap(), "page /request");
    near_the_attempt_delay(start);
}

#[tokio::test]
async fn reqwest_itself_is_told_the_address_that_works() {
    let (_dead, listener, port) = half_dead().await;
    serve_pages(listener);
    let start = Instant::now();
    let page =
        twinstack_examples::reqwest::get(dialer(), &format!("http://www.test:{port}/all")).await;
    assert_eq!(page.unwrap(), "page /all");
    near_the_attempt_delay(start);
}

#[tokio::test]
async fn tonic_gets_past_a_dead_ipv6() {
    let (_dead, listener, port) = half_dead().await;
    serve_echo(listener);
    let start = Instant::now();
    let server = format!("http://grpc.test:{port}");
    let message = Bytes::from_static(b"hello");
    let answer = twinstack_examples::tonic::call(dialer(), server, "/test.Echo/Say", message).await;
    assert_eq!(answer.unwrap(), "hello");
    near_the_attempt_delay(start);
}
