//! Why the kernel would not give us namespaces, in words that say what to change.

use std::fmt;
use std::io;

/// The kernel gave us no namespace or process; says which permission is missing or which limit was reached.
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
        let verb = match limit(&self.source) {
            Some(_) => "failed",
            None => "was refused",
        };
        write!(f, "{} {verb}: {}; {}", self.step, self.source, self.advice)
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

    /// Which limit was reached or which permission is missing, and how to give more.
    pub(crate) fn advice(&self, error: &io::Error) -> String {
        // A maximum of zero is how an administrator switches namespaces off; the kernel says the same as for others.
        let switched_off = [self.max_user_namespaces, self.max_net_namespaces].contains(&Some(0));
        match limit(error) {
            Some(limit) if !switched_off => limit,
            _ => self.permission(),
        }
    }

    fn permission(&self) -> String {
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

/// What to do about an error that says "no more of these", which is no matter of permission; `None` for others.
pub(crate) fn limit(error: &io::Error) -> Option<String> {
    match error.raw_os_error() {
        // clone(2): EAGAIN is about processes and threads.
        Some(libc::EAGAIN) => {
            let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
            let own = limits
                .lines()
                .find_map(|line| line.strip_prefix("Max processes")?.split_whitespace().next())
                .map(|soft| format!(", here {soft}"))
                .unwrap_or_default();
            Some(format!(
                "this is a limit, not a permission: no more processes are allowed, by RLIMIT_NPROC (`ulimit -u`{own}) or by the `pids` limit of a container or service; end some processes or raise it"
            ))
        }
        // clone(2) and unshare(2), since Linux 4.9: ENOSPC is about namespaces.
        Some(libc::ENOSPC) => Some(
            "this is a limit, not a permission: no more namespaces are allowed, by `user.max_user_namespaces`, `user.max_net_namespaces` or another `user.max_*_namespaces`; end other labs or raise it with `sysctl`"
                .to_owned(),
        ),
        _ => None,
    }
}

/// An error of a step inside the lab, with what to do if it met a limit.
pub(crate) fn explain(error: &io::Error) -> String {
    match limit(error) {
        Some(advice) => format!("{error}; {advice}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied() -> io::Error {
        io::Error::from_raw_os_error(libc::EPERM)
    }

    #[test]
    fn a_limit_is_no_missing_permission() {
        let check = |errno, switches: Switches, expected: &str| {
            let source = io::Error::from_raw_os_error(errno);
            let advice = switches.advice(&source);
            let said = Refusal {
                step: "creating namespaces",
                source,
                advice,
            }
            .to_string();
            assert!(
                said.contains(expected) && !said.contains("refused"),
                "{said}"
            );
        };
        let seccomp = || Switches {
            seccomp: true,
            max_user_namespaces: Some(100),
            ..Switches::default()
        };
        check(libc::EAGAIN, seccomp(), "RLIMIT_NPROC");
        check(libc::ENOSPC, seccomp(), "user.max_user_namespaces");
        let off = Switches {
            max_net_namespaces: Some(0),
            ..Switches::default()
        };
        check(libc::ENOSPC, off, "switched off");
        assert_eq!(limit(&denied()), None);
        assert_eq!(explain(&denied()), denied().to_string());
    }

    #[test]
    fn names_the_switch_that_refuses() {
        let check = |switches: Switches, expected: &str| {
            let advice = switches.advice(&denied());
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
