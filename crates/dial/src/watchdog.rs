//! After the connection is up: whether the path carries data at all (P1).
//!
//! TCP connects with small packets. A path that loses large ones (a broken path MTU) or everything in one direction
//! shows only later: what was sent is never acknowledged, or what the peer sends arrives with a hole in it that is never
//! filled. The kernel knows; [`Watchdog`] asks it from time to time.

use crate::sys;
use std::fmt;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

/// How to watch a connection.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tokio::io::AsyncReadExt;
/// use twinstack_dial::Watchdog;
///
/// let dialer = twinstack_dial::Dialer::new();
/// let mut connection = dialer.connect("www.example.com:80").await?;
/// // ... send a request ...
/// let watchdog = Watchdog::default();
/// let mut answer = Vec::new();
/// connection.stream.readable().await?;
/// if let Some(fault) = watchdog.check(&connection.stream)? {
///     eprintln!("{fault}");
///     connection.path.mark_broken();
///     // The next dial tries the other addresses first.
///     connection = dialer.connect("www.example.com:80").await?;
/// }
/// connection.stream.read_to_end(&mut answer).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watchdog {
    /// How long data may wait for an acknowledgement, or a hole for what belongs into it.
    pub patience: Duration,
    /// How often the kernel must have sent the same data again in that time.
    pub retransmits: u8,
    /// How much may have come through before: later stalls are somebody else's business.
    pub opening: u64,
    /// How often to look.
    pub interval: Duration,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self {
            // Two retransmissions with the least timer of Linux: 200 ms, 400 ms.
            patience: Duration::from_millis(600),
            retransmits: 2,
            // Ten segments are the first flight (RFC 6928); a path that carried more of them than that is not broken.
            opening: 64 * 1024,
            interval: Duration::from_millis(100),
        }
    }
}

/// What is wrong with a path that a connection came up on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathFault {
    /// Full-sized packets to the peer are not acknowledged, smaller ones were: a path MTU that nobody reports.
    LargePacketsLost {
        /// The segment size that does not come through.
        segment: u32,
        /// How long nothing was acknowledged.
        stalled: Duration,
    },
    /// Not even small packets to the peer are acknowledged.
    NothingAcknowledged {
        /// How long.
        stalled: Duration,
    },
    /// Of what the peer sends, later parts arrive and earlier ones do not: its full-sized packets are lost.
    HoleNeverFilled {
        /// How long nothing arrived that fits.
        stalled: Duration,
    },
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LargePacketsLost { segment, stalled } => write!(
                f,
                "packets with {segment} bytes do not arrive while smaller ones did (for {:.1} s): the path MTU is \
                 smaller and nobody says so",
                stalled.as_secs_f64()
            ),
            Self::NothingAcknowledged { stalled } => write!(
                f,
                "nothing that was sent for {:.1} s is acknowledged: packets are lost in one direction",
                stalled.as_secs_f64()
            ),
            Self::HoleNeverFilled { stalled } => write!(
                f,
                "for {:.1} s the peer's packets arrive with a hole that is not filled: its large packets are lost",
                stalled.as_secs_f64()
            ),
        }
    }
}

impl std::error::Error for PathFault {}

impl Watchdog {
    /// Looks once. `None`: nothing is wrong, or it is too early to tell.
    pub fn check(&self, stream: &TcpStream) -> io::Result<Option<PathFault>> {
        let mut state = State::of(&sys::tcp_info(stream)?);
        state.behind_a_hole = sys::bytes_behind_a_hole(stream)?.unwrap_or(0);
        Ok(self.judge(&state))
    }

    /// Looks until something is wrong; never ends on a healthy path.
    ///
    /// For `tokio::select!` beside reading and writing. Ends with an error when the socket cannot be asked.
    pub async fn watch(&self, stream: &TcpStream) -> io::Result<PathFault> {
        loop {
            tokio::time::sleep(self.interval).await;
            if let Some(fault) = self.check(stream)? {
                return Ok(fault);
            }
        }
    }

    fn judge(&self, state: &State) -> Option<PathFault> {
        let sent = state.unacked > 0
            && state.acked <= self.opening
            && state.retransmits >= self.retransmits
            && state.since_progress >= self.patience;
        if sent {
            let stalled = state.since_progress;
            // Small packets before it, or the short end of it, came through.
            let small_ones_arrive = state.acked > 0 || state.sacked > 0;
            let large = state.outstanding >= u64::from(state.segment) && small_ones_arrive;
            return Some(if large {
                PathFault::LargePacketsLost {
                    segment: state.segment,
                    stalled,
                }
            } else {
                PathFault::NothingAcknowledged { stalled }
            });
        }
        let hole = state.behind_a_hole > 0
            && state.received <= self.opening
            && state.since_received >= self.patience;
        hole.then_some(PathFault::HoleNeverFilled {
            stalled: state.since_received,
        })
    }
}

/// What the kernel knows, as far as it matters.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// Segments sent and not acknowledged.
    unacked: u32,
    /// Segments that arrived behind a hole.
    sacked: u32,
    /// How often the oldest of them was sent again, in a row.
    retransmits: u8,
    /// Bytes that the peer has acknowledged.
    acked: u64,
    /// Bytes sent or waiting, and not acknowledged.
    outstanding: u64,
    /// The size of a full segment.
    segment: u32,
    /// How long the peer has been silent.
    since_progress: Duration,
    /// Memory for data that came before its time and still waits for what belongs before it.
    behind_a_hole: u32,
    /// Bytes received in order.
    received: u64,
    /// How long ago the last data came.
    since_received: Duration,
}

impl State {
    fn of(info: &libc::tcp_info) -> Self {
        let milliseconds = |value: u32| Duration::from_millis(u64::from(value));
        // The SYN counts as one byte acknowledged.
        let acked = info.tcpi_bytes_acked.saturating_sub(1);
        let sent = info.tcpi_bytes_sent.saturating_sub(info.tcpi_bytes_retrans);
        Self {
            unacked: info.tcpi_unacked,
            sacked: info.tcpi_sacked,
            retransmits: info.tcpi_retransmits,
            acked,
            outstanding: sent.saturating_sub(acked) + u64::from(info.tcpi_notsent_bytes),
            segment: info.tcpi_snd_mss,
            since_progress: milliseconds(info.tcpi_last_ack_recv),
            behind_a_hole: 0,
            received: info.tcpi_bytes_received,
            since_received: milliseconds(info.tcpi_last_data_recv),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn stuck() -> State {
        State {
            unacked: 3,
            retransmits: 2,
            acked: 517,
            outstanding: 4_000,
            segment: 1_428,
            since_progress: SECOND,
            ..State::default()
        }
    }

    #[test]
    fn large_segments_unacknowledged_after_small_ones_were_are_a_path_mtu() {
        let fault = Watchdog::default().judge(&stuck());
        assert_eq!(
            fault,
            Some(PathFault::LargePacketsLost {
                segment: 1_428,
                stalled: SECOND
            })
        );
    }

    #[test]
    fn a_small_request_unacknowledged_is_one_direction_lost() {
        let fault = Watchdog::default().judge(&State {
            outstanding: 80,
            ..stuck()
        });
        assert_eq!(
            fault,
            Some(PathFault::NothingAcknowledged { stalled: SECOND })
        );
    }

    #[test]
    fn a_hole_that_stays_is_the_peers_large_packets_lost() {
        let state = State {
            behind_a_hole: 1,
            received: 200,
            since_received: SECOND,
            ..State::default()
        };
        assert_eq!(
            Watchdog::default().judge(&state),
            Some(PathFault::HoleNeverFilled { stalled: SECOND })
        );
    }

    #[test]
    fn what_is_young_or_late_or_healthy_is_left_alone() {
        let watchdog = Watchdog::default();
        for state in [
            State::default(),
            State {
                unacked: 0,
                ..stuck()
            },
            State {
                retransmits: 1,
                ..stuck()
            },
            State {
                since_progress: Duration::from_millis(599),
                ..stuck()
            },
            State {
                acked: 1 << 20,
                ..stuck()
            },
            State {
                behind_a_hole: 1,
                since_received: Duration::from_millis(10),
                ..State::default()
            },
        ] {
            assert_eq!(watchdog.judge(&state), None, "{state:?}");
        }
    }
}
