//! What the proxy counts, in OpenMetrics.

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use twinstack_dial::RaceReport;

/// How a connection came to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Socks5,
    Connect,
    Forward,
}

impl By {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Socks5 => "socks5",
            Self::Connect => "connect",
            Self::Forward => "forward",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Dial {
    /// `ipv6`, `ipv4`, or `none` when nothing connected.
    family: &'static str,
    /// `connected`, `failed`, `denied`, `abandoned`, `bad_request`.
    outcome: &'static str,
    by: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Silent {
    /// The family that was silent.
    family: &'static str,
    /// `dns`, `connect`, `handshake`.
    stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    /// `done`, `broken`, `idle`, `too_long`, `stopped`.
    cause: &'static str,
}

/// All counters.
pub(crate) struct Metrics {
    registry: Registry,
    dials: Family<Dial, Counter>,
    fallbacks: Family<Silent, Counter>,
    fallback_delay: Histogram,
    dial_time: Histogram,
    open: Gauge,
    bytes: Family<Direction, Counter>,
    ended: Family<Ended, Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let dials = Family::default();
        let fallbacks = Family::default();
        let steps = [
            0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.3, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
        ];
        let fallback_delay = Histogram::new(steps);
        let dial_time = Histogram::new(steps);
        let open = Gauge::default();
        let bytes = Family::default();
        let ended = Family::default();
        let mut registry = Registry::with_prefix("twinstack_proxy");
        registry.register(
            "connections",
            "Connections by the family that won, the outcome and how they came",
            dials.clone(),
        );
        registry.register(
            "fallbacks",
            "Dials in which the preferred family was silent and the other one won",
            fallbacks.clone(),
        );
        registry.register_with_unit(
            "fallback_delay",
            "How long the silent family was waited for",
            Unit::Seconds,
            fallback_delay.clone(),
        );
        registry.register_with_unit(
            "dial",
            "From the request to the connection",
            Unit::Seconds,
            dial_time.clone(),
        );
        registry.register(
            "open_connections",
            "Connections that are open now",
            open.clone(),
        );
        registry.register_with_unit("relayed", "What was carried", Unit::Bytes, bytes.clone());
        registry.register("ended", "Relays by the cause of their end", ended.clone());
        Self {
            registry,
            dials,
            fallbacks,
            fallback_delay,
            dial_time,
            open,
            bytes,
            ended,
        }
    }

    /// A dial ended.
    pub(crate) fn dialled(&self, by: By, outcome: &'static str, report: Option<&RaceReport>) {
        let family = report
            .and_then(RaceReport::winner)
            .map_or("none", |winner| winner.family);
        self.dials
            .get_or_create(&Dial {
                family,
                outcome,
                by: by.word(),
            })
            .inc();
        let Some(report) = report else { return };
        if outcome == "connected" {
            self.dial_time.observe(report.elapsed().as_secs_f64());
        }
        if let Some(silent) = report.silent_failure() {
            self.fallbacks
                .get_or_create(&Silent {
                    family: silent.family,
                    stage: silent.stage,
                })
                .inc();
            self.fallback_delay.observe(silent.waited_seconds);
        }
    }

    /// A connection was accepted (1) or is gone (-1).
    pub(crate) fn open(&self, change: i64) {
        self.open.inc_by(change);
    }

    /// A relay ended.
    pub(crate) fn relayed(&self, cause: &'static str, up: u64, down: u64) {
        self.ended.get_or_create(&Ended { cause }).inc();
        self.bytes
            .get_or_create(&Direction { direction: "up" })
            .inc_by(up);
        self.bytes
            .get_or_create(&Direction { direction: "down" })
            .inc_by(down);
    }

    /// All of it as text.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _never = encode(&mut text, &self.registry);
        text
    }
}

/// The media type of [`Metrics::text`].
pub(crate) const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
