//! The rows of the table: a name with one fault, what is counted, and the goal.

use std::time::Duration;

/// There and back to the service, and to the name server, in `worlds/dialers.yaml`.
pub(crate) const ROUND_TRIP: Duration = Duration::from_millis(20);

/// What a row counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    /// From the first usable DNS answer to the connection, as the packets show it.
    Connected,
    /// The same without the one round trip that every connection costs.
    ConnectedWithoutRoundTrip,
    /// From the first attempt's start to the second's.
    Gap,
    /// From the first usable DNS answer to the end of the TLS handshake, by the client's own clock, without the
    /// handshake's two round trips.
    Secured,
}

/// Which of our dialer's settings a row needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    /// As it comes.
    Defaults,
    /// With this delay between attempts.
    AttemptDelay(Duration),
    /// The second dial of a process, which remembers the first.
    WithHistory,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    /// What it is about.
    pub(crate) title: &'static str,
    /// The first label of the name that is dialled.
    pub(crate) name: &'static str,
    /// What is counted.
    pub(crate) counts: Counts,
    /// How ours is set.
    pub(crate) ours: Ours,
    /// Not less than this ...
    pub(crate) at_least: Duration,
    /// ... and not more.
    pub(crate) at_most: Duration,
}

impl Case {
    /// Whether peers have something to show here, or the row is about a setting that only ours has.
    pub(crate) fn has_peers(&self) -> bool {
        self.ours == Ours::Defaults
    }

    /// The port that is dialled.
    pub(crate) fn port(&self) -> u16 {
        if self.tls() { 443 } else { 80 }
    }

    /// Whether the dial goes on until TLS is up.
    pub(crate) fn tls(&self) -> bool {
        self.counts == Counts::Secured
    }
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn case(title: &'static str, name: &'static str, counts: Counts, at_most: Duration) -> Case {
    Case {
        title,
        name,
        counts,
        ours: Ours::Defaults,
        at_least: Duration::ZERO,
        at_most,
    }
}

/// All rows.
pub(crate) const CASES: [Case; 12] = [
    case("healthy", "healthy", Counts::Connected, ms(20 + 1)),
    Case {
        at_least: ms(10),
        ..case("first address refused: gap", "refused", Counts::Gap, ms(15))
    },
    case(
        "v6 dropped, first time",
        "dropped",
        Counts::ConnectedWithoutRoundTrip,
        ms(250 + 10),
    ),
    Case {
        ours: Ours::WithHistory,
        ..case(
            "v6 dropped, with history",
            "dropped",
            Counts::Connected,
            ms(20 + 10),
        )
    },
    case(
        "AAAA answer 1 s late",
        "aaaa-late",
        Counts::ConnectedWithoutRoundTrip,
        ms(60),
    ),
    case(
        "AAAA never answered",
        "aaaa-never",
        Counts::ConnectedWithoutRoundTrip,
        ms(60),
    ),
    case(
        "A never answered, v6 healthy",
        "a-never",
        Counts::Connected,
        ms(10 + 20),
    ),
    case(
        "dead first address, same family",
        "dead-first",
        Counts::ConnectedWithoutRoundTrip,
        ms(260),
    ),
    case(
        "7 dead, 8th works",
        "dead-seven",
        Counts::ConnectedWithoutRoundTrip,
        ms(1760),
    ),
    Case {
        ours: Ours::AttemptDelay(ms(100)),
        ..case(
            "7 dead, delay set to 100 ms",
            "dead-seven",
            Counts::ConnectedWithoutRoundTrip,
            ms(800),
        )
    },
    Case {
        ours: Ours::WithHistory,
        ..case(
            "7 dead, with history",
            "dead-seven",
            Counts::Connected,
            ms(20 + 10),
        )
    },
    case("TLS silent on v6", "silent", Counts::Secured, ms(250 + 20)),
];
