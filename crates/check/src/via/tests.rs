//! The command line, the shell's quoting, and programs that answer well and badly.

use super::*;
use crate::options::Target;
use crate::report::{Phase, Row};

fn options() -> Options {
    Options {
        // No resolver that anything is sent to.
        resolvers: vec!["127.0.0.1:9".parse().unwrap()],
        timeout: Duration::from_millis(500),
        ..Options::new(Target::parse("https://www.lab.test/a?b=c&d").unwrap())
    }
}

fn program(script: &str) -> Via {
    Via {
        host: "eu1".to_owned(),
        command: ["sh", "-c", script, "sh", "{arguments}"]
            .map(str::to_owned)
            .into(),
    }
}

fn report() -> Report {
    Report {
        verdict: Verdict::Ready,
        vantages: vec![HERE.to_owned()],
        skipped: Vec::new(),
        table: vec![Row {
            vantage: HERE.to_owned(),
            address: "2e00:5::80".parse().unwrap(),
            port: 443,
            tcp: Phase::NotReached,
            tls: Phase::NotReached,
            http: Phase::NotReached,
            quic: Phase::NotApplicable,
        }],
        ..unseen(&options(), &program(""), &ViaError::Host, Duration::ZERO)
    }
}

#[test]
fn the_same_check_is_asked_for() {
    let options = Options {
        ports: vec![443, 8443],
        expect_v6: vec!["2e00:5::80".parse().unwrap()],
        expect_ptr: Some("www.lab.test".to_owned()),
        local: true,
        allow_v4_only: true,
        ..options()
    };
    assert_eq!(
        arguments(&options),
        [
            "check",
            "--format=json",
            "--profile=web",
            "--port=443",
            "--port=8443",
            "--expect-v6=2e00:5::80",
            "--expect-ptr=www.lab.test",
            "--dns=127.0.0.1:9",
            "--timeout=500ms",
            "--max-ttl=3600s",
            "--allow-v4-only",
            "--local",
            "--",
            "https://www.lab.test/a?b=c&d",
        ]
    );
}

#[test]
fn ssh_gets_one_word_that_its_shell_reads_back() {
    let argv = argv(&Via::ssh("eu1").command, &arguments(&options()));
    let last = argv.last().unwrap().to_str().unwrap();
    assert!(last.starts_with("twinstack check --format=json "), "{last}");
    assert!(
        last.ends_with("-- 'https://www.lab.test/a?b=c&d'"),
        "{last}"
    );
    assert_eq!(argv[argv.len() - 3..argv.len() - 1], ["--", "eu1"]);
    assert_eq!(quoted("it's $HOME"), "'it'\\''s $HOME'");
    assert_eq!(quoted(""), "''");
}

#[tokio::test]
async fn a_report_is_read_and_its_vantage_named() {
    let json = serde_json::to_string(&report()).unwrap();
    let seen = look(
        &options(),
        &program(&format!("cat <<'END'\n{json}\nEND\nexit 1")),
    )
    .await
    .unwrap();
    assert_eq!(seen.vantages, ["eu1"]);
    assert_eq!(seen.table[0].vantage, "eu1");
}

#[tokio::test]
async fn the_arguments_arrive_word_by_word() {
    let error = look(&options(), &program("printf '%s\\n' \"$@\" >&2; exit 3"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("https://www.lab.test/a?b=c&d"),
        "{error}"
    );
}

async fn fails(script: &str, message: &str) {
    let error = look(&options(), &program(script)).await.unwrap_err();
    assert!(error.to_string().contains(message), "{error}");
}

#[tokio::test]
async fn what_is_no_report_is_said() {
    fails(
        "echo 'ssh: connect to host eu1: timed out' >&2; exit 255",
        "timed out",
    )
    .await;
    fails("exit 0", "it said nothing").await;
    fails("echo hello", "no report").await;
    fails(
        "echo '{\"schema\": \"twinstack.check/9\"}'",
        "twinstack.check/9",
    )
    .await;
    fails("echo '{\"schema\": \"twinstack.check/1\"}'", "no report").await;
    fails("head -c 9000000 /dev/zero", "larger than 8 MiB").await;
}

#[tokio::test]
async fn a_program_that_never_stops_talking_is_stopped() {
    let started = Instant::now();
    fails("yes", "larger than 8 MiB").await;
    fails("yes >&2", "more than 1 MiB on standard error: y").await;
    fails("yes >&2 & yes", "").await;
    // By far less than the time that a report may take.
    assert!(started.elapsed() < patience(&options()) / 2);
}

#[tokio::test]
async fn a_host_that_looks_like_an_option_is_not_passed_on() {
    for host in ["-oProxyCommand=x", "", "a b"] {
        let error = look(&options(), &Via::ssh(host)).await.unwrap_err();
        assert!(matches!(error, ViaError::Host), "{error}");
    }
}

#[tokio::test]
async fn a_program_that_is_not_there_is_a_vantage_that_could_not_look() {
    let via = Via {
        host: "eu1".to_owned(),
        command: vec!["/nonexistent/ssh".to_owned()],
    };
    let report = check_from(&options(), &[via]).await;
    assert_eq!(report.vantages, [HERE, "eu1"]);
    assert_eq!(report.verdict, Verdict::Unknown);
    assert!(
        report
            .skipped
            .iter()
            .any(|skipped| skipped.what == "from eu1: all checks"),
        "{:?}",
        report.skipped
    );
}
