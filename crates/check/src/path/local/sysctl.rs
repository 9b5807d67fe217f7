//! The kernel's switches for IPv6, from `/proc/sys`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// What the switches say. A switch that cannot be read is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::path) struct Switches {
    /// The kernel has IPv6 at all (`ipv6.disable=1` takes it away).
    pub(in crate::path) present: bool,
    /// `disable_ipv6` by interface, with `all` and `default`.
    pub(in crate::path) disabled: BTreeMap<String, bool>,
    /// `bindv6only`: the default of every listener.
    pub(in crate::path) bind_v6_only: Option<bool>,
}

/// Reads the switches of this network namespace.
pub(super) fn read() -> Switches {
    read_from(Path::new("/proc/sys/net/ipv6"))
}

fn read_from(base: &Path) -> Switches {
    let mut switches = Switches {
        present: base.join("conf").is_dir(),
        bind_v6_only: switch(&base.join("bindv6only")),
        ..Switches::default()
    };
    for entry in fs::read_dir(base.join("conf"))
        .into_iter()
        .flatten()
        .flatten()
    {
        if let Some(disabled) = switch(&entry.path().join("disable_ipv6")) {
            switches
                .disabled
                .insert(entry.file_name().to_string_lossy().into_owned(), disabled);
        }
    }
    switches
}

fn switch(path: &Path) -> Option<bool> {
    let text = fs::read_to_string(path).ok()?;
    text.trim().parse::<i32>().ok().map(|value| value != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_a_switch_for_each_interface() {
        let switches = read();
        assert_eq!(switches.present, switches.disabled.contains_key("all"));
    }

    #[test]
    fn a_kernel_without_ipv6_has_no_switches() {
        assert_eq!(read_from(Path::new("/nonexistent")), Switches::default());
    }
}
