//! Which port of the translator stands for which port of a host inside, and for how long.
//!
//! A binding ends when nothing was sent through it for the time that RFC 6146 section 4 gives it; it ends earlier, the
//! one that was used least recently first, when all ports are taken.
//!
//! Deviation: the RFC keeps a session for each pair of ends and lets the binding live as long as any of them. Here the
//! binding itself has the state of its last connection: a host that uses one port for two connections, closes one and
//! leaves the other silent for four minutes, loses it.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

/// The first port (or echo identifier) that a binding may get.
const FIRST_PORT: u16 = 1024;
/// UDP_DEFAULT.
const UDP: Duration = Duration::from_mins(5);
/// ICMP_DEFAULT.
const ECHO: Duration = Duration::from_mins(1);
/// TCP_TRANS.
const TCP_TRANSITORY: Duration = Duration::from_mins(4);
/// TCP_EST.
const TCP_ESTABLISHED: Duration = Duration::from_mins(2 * 60 + 4);

/// What has ports, or identifiers in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Tcp,
    Udp,
    Echo,
}

/// A host's side of a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Inner {
    pub(super) kind: Kind,
    pub(super) address: Ipv6Addr,
    pub(super) port: u16,
}

/// The other side of a binding: a port of the translator's IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Outer {
    pub(super) kind: Kind,
    pub(super) port: u16,
}

/// What a packet means for how long its binding lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// A connection begins.
    Opening,
    /// It ends: FIN or RST.
    Closing,
    /// Anything else.
    Other,
}

/// How far a TCP connection is, as far as a translator needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has come back yet.
    Opening,
    Established,
    Closing,
}

#[derive(Clone, Copy, Debug)]
struct Binding {
    inner: Inner,
    /// When a packet last went through it.
    used: Duration,
    phase: Phase,
}

impl Binding {
    fn is_over(&self, now: Duration) -> bool {
        let lifetime = match (self.inner.kind, self.phase) {
            (Kind::Udp, _) => UDP,
            (Kind::Echo, _) => ECHO,
            (Kind::Tcp, Phase::Established) => TCP_ESTABLISHED,
            (Kind::Tcp, Phase::Opening | Phase::Closing) => TCP_TRANSITORY,
        };
        now.saturating_sub(self.used) >= lifetime
    }
}

/// All bindings of a translator. Endpoint-independent: whoever knows a binding's port may send to it.
#[derive(Debug, Default)]
pub(super) struct Bindings {
    ports: BTreeMap<Inner, u16>,
    hosts: BTreeMap<Outer, Binding>,
}

impl Bindings {
    /// The port that stands for a host's port from now on, for a packet from this host.
    pub(super) fn outward(&mut self, inner: Inner, sign: Sign, now: Duration) -> Option<u16> {
        let kind = inner.kind;
        let known = self.ports.get(&inner).copied();
        if let Some(port) = known
            && let Some(binding) = self.hosts.get_mut(&Outer { kind, port })
            && !binding.is_over(now)
        {
            binding.used = now;
            binding.phase = match (binding.phase, sign) {
                (_, Sign::Closing) => Phase::Closing,
                (Phase::Closing, Sign::Opening) => Phase::Opening,
                (phase, Sign::Opening | Sign::Other) => phase,
            };
            return Some(port);
        }
        if let Some(port) = known {
            self.remove(Outer { kind, port });
        }
        let port = self.free_port(inner, now)?;
        let binding = Binding {
            inner,
            used: now,
            phase: Phase::Opening,
        };
        self.ports.insert(inner, port);
        self.hosts.insert(Outer { kind, port }, binding);
        Some(port)
    }

    /// The host's port that a port stands for, for a packet to it.
    pub(super) fn inward(&mut self, outer: Outer, sign: Sign, now: Duration) -> Option<Inner> {
        let binding = self.hosts.get_mut(&outer)?;
        if binding.is_over(now) {
            self.remove(outer);
            return None;
        }
        binding.used = now;
        binding.phase = match (binding.phase, sign) {
            (_, Sign::Closing) | (Phase::Closing, Sign::Other) => Phase::Closing,
            (_, Sign::Opening | Sign::Other) => Phase::Established,
        };
        Some(binding.inner)
    }

    /// The same for an error about a packet: it does not keep the binding alive, as RFC 5508 REQ-6 asks of NATs.
    pub(super) fn host_behind(&self, outer: Outer, now: Duration) -> Option<Inner> {
        let binding = self.hosts.get(&outer)?;
        (!binding.is_over(now)).then_some(binding.inner)
    }

    /// The port of a host's port, for an error about a packet.
    pub(super) fn port_of(&self, inner: Inner, now: Duration) -> Option<u16> {
        let port = *self.ports.get(&inner)?;
        let kind = inner.kind;
        self.host_behind(Outer { kind, port }, now).map(|_| port)
    }

    fn remove(&mut self, outer: Outer) {
        if let Some(binding) = self.hosts.remove(&outer) {
            self.ports.remove(&binding.inner);
        }
    }

    /// A port for a new binding: the host's own if nobody has it, the next one if somebody has, or the one that was
    /// used least recently.
    fn free_port(&mut self, inner: Inner, now: Duration) -> Option<u16> {
        let kind = inner.kind;
        let wanted = inner.port.max(FIRST_PORT);
        let candidates = (wanted..=u16::MAX).chain(FIRST_PORT..wanted);
        let mut oldest: Option<(Duration, u16)> = None;
        for port in candidates {
            match self.hosts.get(&Outer { kind, port }) {
                None => return Some(port),
                Some(binding) if binding.is_over(now) => {
                    oldest = Some((binding.used, port));
                    break;
                }
                Some(binding) if oldest.is_none_or(|(than, _)| binding.used < than) => {
                    oldest = Some((binding.used, port));
                }
                Some(_) => {}
            }
        }
        let (_, port) = oldest?;
        self.remove(Outer { kind, port });
        Some(port)
    }
}

#[cfg(test)]
mod tests;
