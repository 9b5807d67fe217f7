//! QUIC handshakes with ALPN `h3` on UDP port 443.

use super::Plan;
use super::observation::{QuicFailure, Step};
use super::tls::Tls;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, ConnectionError, Endpoint, TransportConfig, VarInt};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The port that browsers try.
const PORT: u16 = 443;

/// When further handshakes start while nothing has come back: one lost packet must not look like a filter.
const STARTS: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(700),
    Duration::from_millis(1400),
    Duration::from_millis(2100),
    Duration::from_millis(2800),
];

/// Shakes hands with one address.
pub(super) async fn handshake(
    plan: &Plan,
    tls: &Tls,
    wire: IpAddr,
) -> Step<Result<(), QuicFailure>> {
    let at = plan.now();
    let outcome = timeout(plan.timeout, race(plan, tls, wire)).await;
    let outcome = outcome.unwrap_or(Err(QuicFailure::TimedOut));
    Step {
        at,
        took: plan.now().saturating_sub(at),
        outcome,
    }
}

async fn race(plan: &Plan, tls: &Tls, wire: IpAddr) -> Result<(), QuicFailure> {
    let other = |error: &dyn std::fmt::Display| QuicFailure::Other(error.to_string());
    let any: IpAddr = match wire {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let endpoint = Endpoint::client(SocketAddr::new(any, 0)).map_err(|error| other(&error))?;
    let crypto = QuicClientConfig::try_from(tls.quic()).map_err(|error| other(&error))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    let mut transport = TransportConfig::default();
    // The first retransmission after three times this; RFC 9002 recommends 333 ms, which would leave room for only three
    // packets within the time limit.
    transport.initial_rtt(Duration::from_millis(150));
    // No probes for larger packets: they would change what this machine knows of the path.
    transport.mtu_discovery_config(None);
    config.transport_config(Arc::new(transport));
    let mut running: FuturesUnordered<_> = STARTS
        .iter()
        .map(|start| {
            let (endpoint, config) = (&endpoint, config.clone());
            async move {
                sleep(*start).await;
                let connecting = endpoint
                    .connect_with(config, SocketAddr::new(wire, PORT), &plan.host)
                    .map_err(|error| QuicFailure::Other(error.to_string()))?;
                let connection = connecting.await.map_err(|error| match error {
                    ConnectionError::TimedOut => QuicFailure::TimedOut,
                    other => QuicFailure::Other(other.to_string()),
                })?;
                connection.close(VarInt::from_u32(0x100), b"");
                Ok(())
            }
        })
        .collect();
    let mut outcome = Err(QuicFailure::TimedOut);
    while let Some(result) = running.next().await {
        let answered = !matches!(result, Err(QuicFailure::TimedOut));
        outcome = result;
        if answered {
            break;
        }
    }
    drop(running);
    // Lets the closing packet leave; never long, and the outcome is settled.
    timeout(Duration::from_millis(50), endpoint.wait_idle())
        .await
        .ok();
    outcome
}
