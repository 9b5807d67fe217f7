//! What a race was started with, written down.

use super::words::{List, Millis};
use crate::config::{Config, EchUse, ProtocolOrder};
use crate::knowledge::Fact;
use crate::network::{Family, Network};
use crate::rfc6724::{Interface, Mobility, PolicyTable, Source};
use crate::target::{Host, Service, Target};
use alloc::string::String;
use core::fmt::{self, Write};

pub(super) fn write_target(out: &mut String, target: &Target) -> fmt::Result {
    write!(out, "target ")?;
    match &target.host {
        Host::Name(name) => write!(out, "{name}")?,
        Host::Address { address, scope: 0 } => write!(out, "{address}")?,
        Host::Address { address, scope } => write!(out, "{address}%{scope}")?,
    }
    write!(out, " {}", target.port)?;
    for offer in &target.offers {
        write!(out, " {}", offer.protocol)?;
        if !offer.alpn.is_empty() {
            write!(out, ":{}", List(&offer.alpn))?;
        }
        if offer.needs_record {
            write!(out, "?")?;
        }
    }
    match &target.service {
        Service::None => {}
        Service::Https => write!(out, " service=https")?,
        Service::Svcb {
            scheme,
            default_port,
            default_alpn,
        } => {
            write!(out, " service=svcb:{scheme}:{default_port}")?;
            if !default_alpn.is_empty() {
                write!(out, ":{}", List(default_alpn))?;
            }
        }
    }
    writeln!(out)
}

/// Only what is not as it is by default.
pub(super) fn write_config(out: &mut String, config: &Config) -> fmt::Result {
    let usual = Config::default();
    let mut line = String::new();
    for (key, value, default) in [
        (
            "resolution-delay",
            config.resolution_delay,
            usual.resolution_delay,
        ),
        ("attempt-delay", config.attempt_delay, usual.attempt_delay),
        (
            "minimum-attempt-delay",
            config.minimum_attempt_delay,
            usual.minimum_attempt_delay,
        ),
        (
            "maximum-attempt-delay",
            config.maximum_attempt_delay,
            usual.maximum_attempt_delay,
        ),
        ("replace-after", config.replace_after, usual.replace_after),
        ("linger", config.linger, usual.linger),
    ] {
        if value != default {
            write!(line, " {key}={}", Millis(value))?;
        }
    }
    for (key, value, default) in [
        (
            "query-deadline",
            config.query_deadline,
            usual.query_deadline,
        ),
        (
            "attempt-deadline",
            config.attempt_deadline,
            usual.attempt_deadline,
        ),
        (
            "overall-deadline",
            config.overall_deadline,
            usual.overall_deadline,
        ),
    ] {
        match value {
            _ if value == default => {}
            Some(value) => write!(line, " {key}={}", Millis(value))?,
            None => write!(line, " {key}=none")?,
        }
    }
    for (key, value, default) in [
        (
            "preferred-family-count",
            config.preferred_family_count,
            usual.preferred_family_count,
        ),
        (
            "parallel-attempts",
            config.parallel_attempts,
            usual.parallel_attempts,
        ),
        (
            "total-attempts",
            config.total_attempts,
            usual.total_attempts,
        ),
        ("names", config.names, usual.names),
    ] {
        if value != default {
            write!(line, " {key}={value}")?;
        }
    }
    for (key, value, default) in [
        (
            "pace-by-round-trip",
            config.pace_by_round_trip,
            usual.pace_by_round_trip,
        ),
        (
            "hurry-on-new-address",
            config.hurry_on_new_address,
            usual.hurry_on_new_address,
        ),
        (
            "refuse-downgrade",
            config.refuse_downgrade,
            usual.refuse_downgrade,
        ),
        (
            "optimistic-dns",
            config.optimistic_dns,
            usual.optimistic_dns,
        ),
    ] {
        if value != default {
            write!(line, " {key}={value}")?;
        }
    }
    if config.delay_multiplier.to_bits() != usual.delay_multiplier.to_bits() {
        write!(line, " delay-multiplier={}", config.delay_multiplier)?;
    }
    if let Some(family) = config.preferred_family {
        write!(line, " preferred-family={family}")?;
    }
    if config.protocols == ProtocolOrder::Grouped {
        write!(line, " protocols=grouped")?;
    }
    match config.ech {
        EchUse::Off => {}
        EchUse::Opportunistic => write!(line, " ech=opportunistic")?,
        EchUse::Rely => write!(line, " ech=rely")?,
    }
    if !line.is_empty() {
        writeln!(out, "config{line}")?;
    }
    write_policy(out, &config.policy)
}

fn write_policy(out: &mut String, policy: &PolicyTable) -> fmt::Result {
    if *policy == PolicyTable::rfc6724() {
        return Ok(());
    }
    for row in policy.rows() {
        let (precedence, label) = (row.precedence, row.label);
        writeln!(
            out,
            "policy {}/{} {precedence} {label}",
            row.prefix, row.length
        )?;
    }
    Ok(())
}

pub(super) fn write_network(out: &mut String, network: &Network) -> fmt::Result {
    for family in [Family::V6, Family::V4] {
        if network.has(family) {
            write!(out, " {family}")?;
        }
    }
    if let Some(nat64) = &network.nat64 {
        if nat64.prefixes().is_empty() {
            write!(out, " nat64=none")?;
        } else {
            write!(out, " nat64={}", List(nat64.prefixes()))?;
        }
        if nat64.has_clat() {
            write!(out, " clat")?;
        }
    }
    if network.protected_dns {
        write!(out, " protected")?;
    }
    if network.context != 0 {
        write!(out, " context={}", network.context)?;
    }
    Ok(())
}

pub(super) fn write_fact(out: &mut String, fact: &Fact) -> fmt::Result {
    write!(out, "fact {}", fact.address)?;
    if let Some(source) = &fact.source {
        write_source(out, source)?;
    }
    if fact.memory.silent {
        write!(out, " silent")?;
    }
    if fact.memory.used {
        write!(out, " used")?;
    }
    if let Some(time) = fact.memory.round_trip {
        write!(out, " round-trip={}", Millis(time))?;
    }
    if let Some(delay) = fact.attempt_delay {
        write!(out, " attempt-delay={}", Millis(delay))?;
    }
    if fact.network != 0 {
        write!(out, " network={}", fact.network)?;
    }
    writeln!(out)
}

fn write_source(out: &mut String, source: &Source) -> fmt::Result {
    write!(out, " source={}/{}", source.address, source.prefix_length)?;
    if source.deprecated {
        write!(out, " deprecated")?;
    }
    match source.mobility {
        Mobility::None => {}
        Mobility::Home => write!(out, " mobility=home")?,
        Mobility::CareOf => write!(out, " mobility=care-of")?,
        Mobility::HomeAndCareOf => write!(out, " mobility=both")?,
    }
    if source.interface == Interface::Encapsulated {
        write!(out, " encapsulated")?;
    }
    Ok(())
}
