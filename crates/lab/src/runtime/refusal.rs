//! Why the kernel would not give us namespaces, in words that say what to change.

use std::fmt;
use std::io;

/// The kernel refused a namespace; says which permission is missing.
#[derive(Debug)]
pub struct Refusal {
    /// What was being done.
    pub step: &'static str,
    /// What the kernel said.
    pub source: io::Error,
    /// What to change.
    pub advice: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} was refused: {}; {}",
            self.step, self.source, self.advice
        )
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// What this machine says about namespaces.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    /// `user.max_user_namespaces`.
    pub(crate) max_user_namespaces: Option<u64>,
    /// `user.max_net_namespaces`.
    pub(crate) max_net_namespaces: Option<u64>,
    /// `kernel.unprivileged_userns_clone` (Debian's switch).
    pub(crate) unprivileged_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns` (Ubuntu's switch).
    pub(crate) apparmor_restricts: Option<u64>,
    /// A seccomp filter is on us: most likely a container's.
    pub(crate) seccomp: bool,
    /// We are root.
    pub(crate) root: bool,
}

impl Switches {
    /// Reads them from `/proc`; what is not there stays `None`.
    pub(crate) fn read() -> Self {
        let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        Self {
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
            max_net_namespaces: number("/proc/sys/user/max_net_namespaces"),
            unprivileged_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restricts: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            seccomp: std::fs::read_to_string("/proc/self/status").is_ok_and(|status| {
                status
                    .lines()
                    .any(|line| line.starts_with("Seccomp:") && line.ends_with('2'))
            }),
            root: nix::unistd::geteuid().is_root(),
        }
    }

    /// Which permission is missing, and how to give it.
    pub(crate) fn advice(&self) -> String {
        let zero = |value: Option<u64>| value == Some(0);
        let answer = if zero(self.max_user_namespaces) {
            "user namespaces are switched off: `sysctl user.max_user_namespaces=15000` allows them"
        } else if zero(self.max_net_namespaces) {
            "network namespaces are switched off: `sysctl user.max_net_namespaces=15000` allows them"
        } else if zero(self.unprivileged_clone) && !self.root {
            "user namespaces are for root only here: `sysctl kernel.unprivileged_userns_clone=1` allows them, or run this as root"
        } else if self.apparmor_restricts.is_some_and(|value| value != 0) && !self.root {
            "AppArmor keeps user namespaces from ordinary programs: `sysctl kernel.apparmor_restrict_unprivileged_userns=0` allows them, or run this as root"
        } else if self.seccomp {
            "a seccomp filter is active, most likely a container's: start the container with `--security-opt seccomp=unconfined` (and `--cap-add SYS_ADMIN` as root)"
        } else if self.root {
            "CAP_SYS_ADMIN is missing: start the container with `--cap-add SYS_ADMIN`"
        } else {
            "the permission to create user namespaces (CLONE_NEWUSER) is missing; run this as root, or ask whoever set up this machine"
        };
        answer.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_switch_that_refuses() {
        let check = |switches: Switches, expected: &str| {
            let advice = switches.advice();
            assert!(advice.contains(expected), "{advice}");
        };
        check(
            Switches {
                max_user_namespaces: Some(0),
                ..Switches::default()
            },
            "user.max_user_namespaces",
        );
        check(
            Switches {
                max_net_namespaces: Some(0),
                ..Switches::default()
            },
            "user.max_net_namespaces",
        );
        check(
            Switches {
                unprivileged_clone: Some(0),
                ..Switches::default()
            },
            "unprivileged_userns_clone",
        );
        check(
            Switches {
                apparmor_restricts: Some(1),
                ..Switches::default()
            },
            "apparmor_restrict",
        );
        check(
            Switches {
                seccomp: true,
                ..Switches::default()
            },
            "seccomp=unconfined",
        );
        check(
            Switches {
                root: true,
                apparmor_restricts: Some(1),
                ..Switches::default()
            },
            "CAP_SYS_ADMIN",
        );
        check(Switches::default(), "CLONE_NEWUSER");
    }
}
