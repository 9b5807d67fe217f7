//! Settings of a dialer.

use super::{Dialer, Permit, Shared};
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::resolver::Resolver;
use crate::routes::NetworkWatch;
use crate::socket::SocketOptions;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use twinstack_race::history::Settings;
use twinstack_race::{Config, Family};

/// Settings of a [`Dialer`]; made by [`Dialer::builder`].
#[derive(Clone)]
#[must_use]
pub struct Builder {
    config: Config,
    resolver: Resolver,
    options: SocketOptions,
    history: Option<Settings>,
    partition: u64,
    metrics: Option<Arc<dyn Metrics>>,
    permit: Option<Permit>,
}

impl Builder {
    /// Everything about the race itself. Values that do not fit together are reported by the first dial.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// How long after one attempt the next one starts, when nothing is known of the host: 250 ms by default, 10 ms at
    /// the least.
    pub fn attempt_delay(mut self, delay: Duration) -> Self {
        self.config = self.config.with_attempt_delay(delay);
        self
    }

    /// How long the first addresses wait for the preferred family's: 50 ms by default.
    pub fn resolution_delay(mut self, delay: Duration) -> Self {
        self.config.resolution_delay = delay;
        self
    }

    /// How long a dial may take; `None` for as long as anything is left to try. Never divided by the number of
    /// addresses. 60 s by default.
    pub fn overall_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.config.overall_deadline = deadline;
        self
    }

    /// How long one attempt may take. Never divided by the number of addresses. 20 s by default.
    pub fn attempt_deadline(mut self, deadline: Option<Duration>) -> Self {
        self.config.attempt_deadline = deadline;
        self
    }

    /// The family to try first, whatever RFC 6724 says.
    pub fn prefer(mut self, family: Family) -> Self {
        self.config.preferred_family = Some(family);
        self
    }

    /// Where addresses come from; the system's resolver by default.
    pub fn resolver(mut self, resolver: Resolver) -> Self {
        self.resolver = resolver;
        self
    }

    /// What is set on every socket.
    pub fn socket_options(mut self, options: SocketOptions) -> Self {
        self.options = options;
        self
    }

    /// Bounds and times of the memory of earlier dials.
    pub fn history(mut self, settings: Settings) -> Self {
        self.history = Some(settings);
        self
    }

    /// No memory: every dial is the first.
    pub fn without_history(mut self) -> Self {
        self.history = None;
        self
    }

    /// The privacy partition that this dialer's memory belongs to, as for cookies (C8): nothing that is learned in one
    /// partition shows in another. For a whole program's own connections one is enough.
    pub fn partition(mut self, partition: u64) -> Self {
        self.partition = partition;
        self
    }

    /// Who is told of attempts and outcomes.
    pub fn metrics(mut self, metrics: impl Metrics + 'static) -> Self {
        self.metrics = Some(Arc::new(metrics));
        self
    }

    /// Which addresses may be connected to, asked of every address before its attempt; the error says why not.
    ///
    /// For whoever dials names that others choose, such as a proxy: what a name resolves to is known only here.
    pub fn permit<F>(mut self, permit: F) -> Self
    where
        F: Fn(IpAddr) -> Result<(), String> + Send + Sync + 'static,
    {
        self.permit = Some(Arc::new(permit));
        self
    }

    /// The dialer.
    pub fn build(self) -> Dialer {
        let seed = RandomState::new().hash_one(1_u8);
        Dialer {
            shared: Arc::new(Shared {
                config: self.config,
                resolver: self.resolver,
                options: Arc::new(self.options),
                network: NetworkWatch::default(),
                memory: self.history.map(|settings| Memory::new(settings, seed)),
                partition: self.partition,
                metrics: self.metrics,
                permit: self.permit,
                #[cfg(feature = "quic")]
                quic: crate::quic::QuicSockets::default(),
            }),
        }
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            config: Config::default(),
            resolver: Resolver::system(),
            options: SocketOptions::default(),
            history: Some(Settings::default()),
            partition: 0,
            metrics: None,
            permit: None,
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("resolver", &self.resolver)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
