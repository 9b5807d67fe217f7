//! From the packets at a client's interface to the number in the table.

use crate::cases::{Case, Counts, ROUND_TRIP};
use std::collections::BTreeSet;
use std::time::Duration;
use twinstack_lab::trace::{Content, Frame, segment};

const DNS: u16 = 53;

/// A dial as the driver saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// When the client, or its second dial, began; since 1970.
    pub(crate) from: Duration,
    /// When it ended.
    pub(crate) until: Duration,
    /// When the client said that it was done; `None` if it failed.
    pub(crate) done: Option<Duration>,
}

/// What the packets of a dial say, since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The first answer with an address.
    pub(crate) usable_answer: Option<Duration>,
    /// The first SYN of each connection.
    pub(crate) starts: Vec<Duration>,
    /// The first connection that was granted.
    pub(crate) connected: Option<Duration>,
}

/// Reads a dial's packets.
pub(crate) fn see(frames: &[Frame<'_>], interface: &str, window: Window) -> Seen {
    let mut seen = Seen::default();
    let mut opened = BTreeSet::new();
    let mut at_client: Vec<&Frame<'_>> = frames
        .iter()
        .filter(|frame| frame.interface == interface)
        .filter(|frame| (window.from..=window.until).contains(&frame.at))
        .collect();
    at_client.sort_by_key(|frame| frame.at);
    for frame in at_client {
        let Some(segment) = segment(frame.link_type, frame.bytes) else {
            continue;
        };
        match segment.content {
            Content::Udp { payload } if segment.from.port() == DNS => {
                if has_address(payload) {
                    seen.usable_answer.get_or_insert(frame.at);
                }
            }
            Content::Tcp {
                syn: true,
                ack: false,
                ..
            } => {
                if opened.insert((segment.from, segment.to)) {
                    seen.starts.push(frame.at);
                }
            }
            Content::Tcp {
                syn: true,
                ack: true,
                ..
            } if opened.contains(&(segment.to, segment.from)) => {
                seen.connected.get_or_insert(frame.at);
            }
            Content::Udp { .. } | Content::Tcp { .. } => {}
        }
    }
    seen
}

/// Whether a DNS message carries an address.
fn has_address(message: &[u8]) -> bool {
    use twinstack_dns::Data;
    twinstack_dns::Response::parse(message).is_ok_and(|response| {
        response
            .answer
            .iter()
            .any(|record| matches!(record.data, Data::A(_) | Data::Aaaa(_)))
    })
}

/// What the row counts; `None` is never.
pub(crate) fn figure(case: &Case, seen: &Seen, window: Window) -> Option<Duration> {
    // Who remembers the answer asks nobody: its dial begins with the answer.
    let answered = seen.usable_answer.unwrap_or(window.from);
    match case.counts {
        Counts::Connected => seen.connected?.checked_sub(answered),
        Counts::ConnectedWithoutRoundTrip => Some(
            seen.connected?
                .checked_sub(answered)?
                .saturating_sub(ROUND_TRIP),
        ),
        Counts::Gap => match seen.starts.as_slice() {
            [first, second, ..] => second.checked_sub(*first),
            _ => None,
        },
        Counts::Secured => Some(
            window
                .done?
                .checked_sub(answered)?
                .saturating_sub(ROUND_TRIP * 2),
        ),
    }
}
