//! `twinstack check`, from its arguments to its last line.

use super::{Setup, run, sample, snapshot};
use std::time::Duration;
use twinstack_check::Report;
use twinstack_check::options::Profile;
use twinstack_check::via::Via;

/// The text of a report at a width, coloured as on a terminal or not.
fn text(report: &Report, width: usize, terminal: bool) -> String {
    let setup = Setup {
        width,
        terminal,
        reports: vec![report.clone()],
        ..Setup::default()
    };
    setup.run(&["check", &report.target]).stdout
}

#[test]
fn reports_read_well_at_every_width_with_and_without_colour() {
    let samples = [
        ("healthy", sample::healthy()),
        ("black-hole", sample::black_hole()),
        ("address-only", sample::address_only()),
        ("two-vantages", sample::two_vantages()),
        ("no-such-name", sample::no_such_name()),
        ("unknown", sample::unknown()),
        ("hostile", sample::hostile()),
    ];
    for (name, report) in &samples {
        for width in [40, 80, 100] {
            snapshot::check(
                &format!("check-{name}-{width}.txt"),
                &text(report, width, false),
            );
            snapshot::check(
                &format!("check-{name}-{width}-colour.txt"),
                &text(report, width, true),
            );
        }
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for report in [
        sample::healthy(),
        sample::black_hole(),
        sample::two_vantages(),
        sample::hostile(),
    ] {
        for width in 40..=120 {
            for line in text(&report, width, false).lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn colour_never_changes_what_is_said() {
    for report in [sample::healthy(), sample::black_hole(), sample::hostile()] {
        let coloured = text(&report, 80, true);
        let mut plain = String::new();
        for (number, part) in coloured.split('\x1b').enumerate() {
            plain.push_str(if number == 0 {
                part
            } else {
                part.split_once('m').unwrap().1
            });
        }
        assert_eq!(plain, text(&report, 80, false));
    }
}

#[test]
fn the_last_line_is_the_verdict() {
    let check = |report: Report, expected: &str, status: u8| {
        let setup = Setup {
            reports: vec![report.clone()],
            ..Setup::default()
        };
        let outcome = setup.run(&["check", &report.target]);
        assert_eq!(outcome.stdout.lines().last(), Some(expected));
        assert_eq!(outcome.status, status, "{expected}");
        assert_eq!(outcome.stderr, "");
    };
    check(sample::healthy(), "ready", 0);
    check(sample::hostile(), "ready with warnings", 1);
    check(sample::black_hole(), "not ready", 1);
    check(sample::no_such_name(), "not ready", 1);
    check(sample::unknown(), "could not look", 2);
}

#[test]
fn several_targets_have_a_report_each_and_one_summary() {
    let reports = vec![sample::healthy(), sample::unknown(), sample::no_such_name()];
    let setup = Setup {
        width: 80,
        reports,
        ..Setup::default()
    };
    let outcome = setup.run(&["check", "off.lab.test", "www.lab.test", "ww.lab.test"]);
    assert_eq!(outcome.status, 1);
    snapshot::check("check-several-80.txt", &outcome.stdout);
}

#[test]
fn one_target_gives_an_object_and_several_or_a_file_give_a_list() {
    let reports = vec![sample::healthy(), sample::black_hole(), sample::unknown()];
    let setup = Setup {
        reports,
        stdin: "www.lab.test\n",
        ..Setup::default()
    };
    let schema = |arguments: &[&str]| {
        let outcome = setup.run(&[&["check", "--format", "json"], arguments].concat());
        let json: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        json["schema"].as_str().unwrap().to_owned()
    };
    assert_eq!(schema(&["www.lab.test"]), "twinstack.check/1");
    assert_eq!(
        schema(&["www.lab.test", "off.lab.test"]),
        "twinstack.check-list/1"
    );
    assert_eq!(schema(&["--targets", "-"]), "twinstack.check-list/1");
}

#[test]
fn json_and_junit_have_snapshots() {
    for (name, report) in [
        ("black-hole", sample::black_hole()),
        ("hostile", sample::hostile()),
    ] {
        let setup = Setup {
            terminal: true,
            reports: vec![report.clone()],
            ..Setup::default()
        };
        let json = setup
            .run(&["check", &report.target, "--format", "json"])
            .stdout;
        assert_eq!(
            serde_json::from_str::<Report>(&json).unwrap(),
            report,
            "JSON loses nothing"
        );
        snapshot::check(&format!("check-{name}.json"), &json);
        let junit = setup
            .run(&["check", &report.target, "--format", "junit"])
            .stdout;
        snapshot::check(&format!("check-{name}.xml"), &junit);
    }
}

#[test]
fn a_ready_target_has_no_failed_test_case() {
    let mut report = sample::healthy();
    for row in report.table.iter_mut().filter(|row| row.port == 80) {
        row.tcp = twinstack_check::report::Phase::Failed {
            elapsed_seconds: 0.014,
            detail: "refused".to_owned(),
        };
    }
    let setup = Setup {
        reports: vec![report],
        ..Setup::default()
    };
    let junit = setup
        .run(&["check", "www.lab.test", "--format", "junit"])
        .stdout;
    assert!(junit.contains("failures=\"0\" errors=\"0\""), "{junit}");
    assert!(
        junit.contains("<skipped message=\"refused, and no finding\"/>"),
        "{junit}"
    );
}

#[test]
fn arguments_reach_the_checker() {
    let setup = Setup {
        reports: vec![sample::healthy()],
        ..Setup::default()
    };
    let outcome = setup.run(&[
        "check",
        "www.lab.test",
        "--port",
        "443",
        "--port",
        "8443",
        "--profile",
        "tcp",
        "--expect-v6",
        "2e00:5::80",
        "--expect-ptr",
        "WWW.lab.test.",
        "--dns",
        "[2e00:c::53]:5353",
        "--doh",
        "https://dns.test/dns-query",
        "--via",
        "far.example",
        "--local",
        "--client",
        "curl -s '{url}'",
        "--timeout",
        "800ms",
        "--max-ttl",
        "300",
    ]);
    assert_eq!(outcome.stderr, "");
    let (options, via) = &outcome.asked[0];
    assert_eq!(options.ports, [443, 8443]);
    assert_eq!(options.profile, Profile::Tcp);
    assert_eq!(
        options.expect_v6,
        ["2e00:5::80".parse::<std::net::Ipv6Addr>().unwrap()]
    );
    assert_eq!(options.expect_ptr.as_deref(), Some("www.lab.test"));
    assert_eq!(options.resolvers, ["[2e00:c::53]:5353".parse().unwrap()]);
    assert_eq!(options.doh, ["https://dns.test/dns-query"]);
    assert_eq!(options.client.as_deref().unwrap(), ["curl", "-s", "{url}"]);
    assert_eq!(options.timeout, Duration::from_millis(800));
    assert_eq!(options.max_ttl, Duration::from_mins(5));
    assert!(options.local && !options.allow_v4_only);
    assert_eq!(via, &[Via::ssh("far.example")]);
    let outcome = setup.run(&[
        "check",
        "www.lab.test",
        "--via=pod",
        "--via-command=kubectl exec {host} -- twinstack {arguments}",
    ]);
    let words = ["kubectl", "exec", "pod", "--", "twinstack", "{arguments}"];
    assert_eq!(outcome.asked[0].1[0].command, words);
}

#[test]
fn targets_come_from_a_file_or_standard_input_too() {
    let reports = vec![sample::healthy(), sample::unknown()];
    let setup = Setup {
        reports,
        stdin: "# ours\nwww.lab.test\n",
        ..Setup::default()
    };
    let outcome = setup.run(&[
        "check",
        "off.lab.test",
        "--targets",
        "-",
        "--format",
        "json",
    ]);
    let order: Vec<&str> = outcome
        .asked
        .iter()
        .map(|(it, _)| it.target.text.as_str())
        .collect();
    assert_eq!(order, ["off.lab.test", "www.lab.test"]);

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("targets.txt");
    std::fs::write(&file, "www.lab.test\nhttp://[::1/\nftp://x/\n").unwrap();
    let outcome = setup.run(&["check", "--targets", file.to_str().unwrap()]);
    assert_eq!(outcome.status, 64);
    assert!(
        outcome.asked.is_empty(),
        "nothing is looked at when a line is wrong"
    );
    let errors: Vec<&str> = outcome.stderr.lines().collect();
    assert!(
        errors[0].contains("targets.txt:2: ") && errors[1].contains("targets.txt:3: "),
        "{errors:?}"
    );

    let missing = run(&["check", "--targets", "/nowhere/targets.txt"]);
    assert_eq!(missing.status, 2);
    assert!(
        missing
            .stderr
            .starts_with("error: cannot read the targets in `/nowhere/targets.txt`: ")
    );
}
