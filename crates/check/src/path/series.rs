//! TCP connections in a series: round trips and loss where echoes are not allowed or not answered, and a second
//! opinion on the same path where echoes were lost (echoes may be rate limited, connections are what users need).

use super::observation::Series;
use super::{Plan, tcp};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// A lost SYN is sent again after 1 s (RFC 6298); a connection that is not there this long after one round trip has
/// lost a packet.
const RETRANSMISSION: Duration = Duration::from_millis(900);

/// How many connections for round trips alone, and how many to judge loss by: 80 show 10 % loss each way (19 % of
/// the round trips) on at least one of two addresses practically always, and at 0.5 % each way practically never
/// lose as many as the rule wants.
pub(super) const FEW: u16 = 24;
pub(super) const MANY: u16 = 80;

const SPACING: Duration = Duration::from_millis(12);

/// Opens and closes connections, and counts those that needed a retransmission as lost.
pub(super) async fn connects(
    plan: &Plan,
    to: SocketAddr,
    count: u16,
    round_trip: Duration,
) -> Series {
    let at = plan.now();
    let limit = round_trip + RETRANSMISSION;
    let mut running: FuturesUnordered<_> = (0..count)
        .map(|index| async move {
            sleep(SPACING * u32::from(index)).await;
            let begun = Instant::now();
            let opened = timeout(limit, tcp::connect(to, None)).await;
            matches!(opened, Ok(Ok(_))).then(|| begun.elapsed())
        })
        .collect();
    let mut round_trips = Vec::new();
    while let Some(result) = running.next().await {
        round_trips.extend(result);
    }
    Series {
        at,
        sent: u32::from(count),
        round_trips,
    }
}
