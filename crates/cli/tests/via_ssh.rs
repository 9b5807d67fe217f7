//! `check --via HOST` with OpenSSH's own client and server, as Debian ships them.
//!
//! A lab has one user id, and a server that runs as root wants a second one to separate its privileges. So the server runs
//! as an ordinary user, who is the lab's root under another number in a namespace of his own, and then it
//! separates nothing and lets in nobody but himself.

#![expect(
    clippy::panic,
    reason = "helpers of tests: a panic is the failure they report"
)]

#[path = "support/shared.rs"]
mod support;

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};
use support::text;
use tempfile::TempDir;
use twinstack_check::Report;
use twinstack_check::report::{Phase, Verdict};
use twinstack_testkit::{Need, can_run, find};

const NEEDS: &[Need] = &[
    Need::Namespaces,
    Need::Program("sshd"),
    Need::Program("ssh"),
    Need::Program("ssh-keygen"),
    Need::Program("unshare"),
];

/// A machine elsewhere that can be reached by ssh as `far`, and an office whose IPv6 to the service is dropped.
struct Elsewhere {
    directory: TempDir,
}

impl Elsewhere {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let it = Self { directory };
        for key in ["host_key", "user_key", "other_key"] {
            it.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key]);
        }
        let at = it.path().display().to_string();
        let public = |key: &str| {
            let text = std::fs::read_to_string(it.path().join(key)).expect("a public key");
            let words: Vec<&str> = text.split_whitespace().take(2).collect();
            words.join(" ")
        };
        it.write("authorized_keys", &public("user_key.pub"));
        let host_key = public("host_key.pub");
        it.write("known_hosts", &format!("[203.0.113.77]:2222 {host_key}\n"));
        it.write(
            "passwd",
            &format!("root:x:0:0::/root:/bin/sh\nvantage:x:1000:1000::{at}:/bin/sh\n"),
        );
        it.write(
            "sshd_config",
            &format!(
                "Port 2222\nHostKey {at}/host_key\nAuthorizedKeysFile {at}/authorized_keys\nPidFile none\n\
                 PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n\
                 SetEnv PATH={at}/far:/usr/bin:/bin\n"
            ),
        );
        let host = |name: &str, key: &str| {
            format!(
                "Host {name}\nHostName 203.0.113.77\nPort 2222\nUser vantage\nIdentityFile {at}/{key}\n\
                 IdentitiesOnly yes\nUserKnownHostsFile {at}/known_hosts\nStrictHostKeyChecking yes\n"
            )
        };
        it.write(
            "ssh_config",
            &[host("far", "user_key"), host("locked", "other_key")].concat(),
        );
        // What users write into ~/.ssh/config; root's home is not the test's to write to.
        std::fs::create_dir(it.path().join("here")).expect("a new directory");
        let ssh = find("ssh").expect("the gate has seen it");
        it.write(
            "here/ssh",
            &format!(
                "#!/bin/sh\nexec {} -F {at}/ssh_config \"$@\"\n",
                ssh.display()
            ),
        );
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(it.path().join("here/ssh"), executable).expect("our own file");
        std::fs::create_dir(it.path().join("far")).expect("a new directory");
        let far = it.path().join("far/twinstack");
        symlink(env!("CARGO_BIN_EXE_twinstack"), far).expect("a new link");
        let sshd = find("sshd").expect("the gate has seen it");
        it.write("world.yaml", &world(&at, &sshd));
        it
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, name: &str, contents: &str) {
        std::fs::write(self.path().join(name), contents).expect("a file of our own");
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let mut command = Command::new(program);
        let output = command.args(arguments).current_dir(self.path()).output();
        let output = output.expect("the gate has seen it");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }

    /// Runs the check on the client of the world.
    fn check(&self, arguments: &[&str]) -> (Report, Output) {
        let own = env!("CARGO_BIN_EXE_twinstack");
        let world = self.path().join("world.yaml");
        let path = std::env::var("PATH").unwrap_or_default();
        let output = support::twinstack(&["lab", "run"])
            .arg(world)
            .args(["--", own, "check", "www.lab.test", "--format", "json"])
            .args(arguments)
            .env("PATH", format!("{}/here:{path}", self.path().display()))
            .output()
            .expect("our own program starts");
        let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{error}: {}{}", text(&output.stdout), text(&output.stderr))
        });
        (report, output)
    }
}

fn world(at: &str, sshd: &Path) -> String {
    format!(
        "version: 1
summary: IPv6 from the office to the service is dropped; a machine elsewhere runs OpenSSH
extends: standard
hosts:
  far:
    interfaces:
      infra: {{ addresses: ['2e00:f::77', 203.0.113.77] }}
    nameservers: [192.0.2.53]
    setup:
      - [mount, --bind, '{at}/passwd', /etc/passwd]
    services:
      sshd:
        kind: exec
        command: [unshare, --user, --map-user=1000, --map-group=1000, --,
                  '{sshd}', -D, -e, -f, '{at}/sshd_config']
        ready-port: 2222
filters:
  - {{ at: office, direction: out, to: ['2e00:5::80', '2e00:5::81'], action: drop }}
",
        sshd = sshd.display()
    )
}

/// What each vantage saw of TCP over IPv6.
fn over_ipv6<'a>(report: &'a Report, vantage: &str) -> Vec<&'a Phase> {
    report
        .table
        .iter()
        .filter(|row| row.vantage == vantage && row.address.is_ipv6() && row.port != 0)
        .map(|row| &row.tcp)
        .collect()
}

#[test]
fn the_reports_of_two_machines_are_merged() {
    let name = "the_reports_of_two_machines_are_merged";
    if !can_run(name, NEEDS) {
        return;
    }
    let (report, output) = Elsewhere::new().check(&["--via", "far"]);
    assert_eq!(report.vantages, ["here", "far"], "{}", text(&output.stderr));
    assert_eq!(report.verdict, Verdict::NotReady);
    assert_eq!(output.status.code(), Some(1));
    let (near, far) = (over_ipv6(&report, "here"), over_ipv6(&report, "far"));
    assert_eq!((near.len(), far.len()), (4, 4), "{:#?}", report.table);
    assert!(near.iter().all(|tcp| matches!(tcp, Phase::Failed { .. })));
    assert!(far.iter().all(|tcp| matches!(tcp, Phase::Ok { .. })));
    let findings: Vec<&str> = report.findings.iter().map(|it| it.code.as_str()).collect();
    assert_eq!(findings, ["reach.fw-drop"]);
    for finding in &report.findings {
        assert!(finding.message.starts_with("from here: "), "{finding:#?}");
        assert!(
            finding.message.contains("from far it accepts"),
            "{finding:#?}"
        );
    }
    assert!(
        report.answers.iter().any(|answer| answer.vantage == "far"),
        "the far machine asks the DNS itself"
    );
}

#[test]
fn a_machine_that_lets_nobody_in_is_said_in_the_words_of_ssh() {
    let name = "a_machine_that_lets_nobody_in_is_said_in_the_words_of_ssh";
    if !can_run(name, NEEDS) {
        return;
    }
    let (report, _) = Elsewhere::new().check(&["--via", "locked", "--allow-v4-only"]);
    let locked = report
        .skipped
        .iter()
        .find(|skipped| skipped.what == "from locked: all checks");
    let why = &locked.expect("the other machine could not look").why;
    assert!(why.contains("Permission denied"), "{why}");
    assert!(over_ipv6(&report, "locked").is_empty());
}
