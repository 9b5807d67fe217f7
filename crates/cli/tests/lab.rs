//! The lab as a user meets it: the real binary, real namespaces.

#[path = "support/shared.rs"]
mod support;

use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{text, twinstack};
use twinstack_testkit::{Need, can_run};

#[test]
fn the_exit_status_of_the_command_passes_through() {
    if !can_run(
        "the_exit_status_of_the_command_passes_through",
        &[Need::Namespaces],
    ) {
        return;
    }
    let check = |command: &[&str], expected: i32| {
        let output = lab("healthy", command).output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{command:?}: {}",
            text(&output.stderr)
        );
    };
    check(&["true"], 0);
    check(&["sh", "-c", "exit 7"], 7);
    check(&["sh", "-c", "kill -9 $$"], 137);
    check(&["no-such-program-anywhere"], 127);
    check(&["/etc/passwd"], 126);
}

#[test]
fn a_host_sees_its_own_names_and_servers_and_nothing_of_the_machine() {
    if !can_run(
        "a_host_sees_its_own_names_and_servers_and_nothing_of_the_machine",
        &[Need::Namespaces],
    ) {
        return;
    }
    let script =
        "cat /etc/hostname; cat /etc/resolv.conf; ls /run; ls /sys/class/net | tr '\\n' ' '";
    let output = lab("healthy", &["sh", "-c", script]).output().unwrap();
    let seen = text(&output.stdout);
    assert!(seen.starts_with("client\n"), "{seen}");
    assert!(
        seen.contains("nameserver 2e00:c::53") && seen.contains("nameserver 192.0.2.53"),
        "{seen}"
    );
    assert!(
        seen.contains("twinstack-lab") && !seen.contains("systemd"),
        "{seen}"
    );
    assert!(seen.trim_end().ends_with("eth0 lo"), "{seen}");
}

#[test]
fn both_families_reach_the_service_by_name_with_a_trusted_certificate() {
    let name = "both_families_reach_the_service_by_name_with_a_trusted_certificate";
    if !can_run(name, &[Need::Namespaces, Need::Program("curl")]) {
        return;
    }
    for family in ["-4", "-6"] {
        for url in ["http://www.lab.test/", "https://www.lab.test/"] {
            let wanted = "%{http_code} %{num_connects}";
            let curl = [
                "curl",
                "-sS",
                family,
                "-o",
                "/dev/null",
                "-w",
                wanted,
                "--max-time",
                "10",
                url,
            ];
            let output = lab("healthy", &curl).output().unwrap();
            assert_eq!(
                text(&output.stdout),
                "200 1",
                "{family} {url}: {}",
                text(&output.stderr)
            );
        }
    }
}

#[test]
fn an_ordinary_user_without_tun_has_the_same_lab() {
    let name = "an_ordinary_user_without_tun_has_the_same_lab";
    if !can_run(
        name,
        &[Need::Namespaces, Need::Root, Need::Program("setpriv")],
    ) {
        return;
    }
    let directory = readable_binary();
    let binary = directory.path().join("twinstack");
    let as_nobody = |command: &[&str]| {
        Command::new("setpriv")
            .args([
                "--reuid",
                "65534",
                "--regid",
                "65534",
                "--clear-groups",
                "--",
            ])
            .args(command)
            .current_dir("/")
            .output()
            .unwrap()
    };
    let tun = as_nobody(&["sh", "-c", "exec 3<>/dev/net/tun"]);
    assert!(
        !tun.status.success(),
        "this user may open /dev/net/tun, so the test proves nothing"
    );
    let binary = binary.to_str().unwrap();
    let output = as_nobody(&[
        binary,
        "lab",
        "run",
        "healthy",
        "--",
        binary,
        "check",
        "www.lab.test",
    ]);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    assert!(
        text(&output.stdout).contains("ready"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn nothing_is_left_when_the_lab_is_killed() {
    if !can_run(
        "nothing_is_left_when_the_lab_is_killed",
        &[Need::Namespaces],
    ) {
        return;
    }
    let marker = format!("{}.5", 400_000 + std::process::id());
    let mut owner = lab("healthy", &["sleep", &marker])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let sleeper = wait_for(Duration::from_secs(20), || process_with(&marker, "sleep"))
        .expect("the command runs within 20 s");
    let namespace = std::fs::read_link(format!("/proc/{sleeper}/ns/net")).unwrap();
    assert_ne!(namespace, std::fs::read_link("/proc/self/ns/net").unwrap());
    owner.kill().unwrap();
    owner.wait().unwrap();
    let gone = wait_for(Duration::from_secs(10), || {
        (process_with(&marker, "sleep").is_none() && holders(&namespace).is_empty()).then_some(())
    });
    assert!(gone.is_some(), "still there: {:?}", holders(&namespace));
}

#[test]
fn an_interrupt_ends_the_command_and_the_lab() {
    if !can_run(
        "an_interrupt_ends_the_command_and_the_lab",
        &[Need::Namespaces],
    ) {
        return;
    }
    let marker = format!("{}.25", 400_000 + std::process::id());
    let mut owner = lab("healthy", &["sleep", &marker])
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .unwrap();
    wait_for(Duration::from_secs(20), || process_with(&marker, "sleep")).expect("the command runs");
    // As a terminal does: to the whole foreground group.
    let group = format!("-{}", owner.id());
    assert!(
        Command::new("kill")
            .args(["-INT", "--", &group])
            .status()
            .unwrap()
            .success()
    );
    let status = owner.wait().unwrap();
    assert_eq!(
        (status.code(), status.signal()),
        (Some(130), None),
        "128 + SIGINT, as shells report it"
    );
    assert!(process_with(&marker, "sleep").is_none());
}

#[test]
fn two_labs_run_side_by_side() {
    if !can_run("two_labs_run_side_by_side", &[Need::Namespaces]) {
        return;
    }
    let start = |script: &str| {
        lab("healthy", &["sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let script = "ping -c 3 -i 0.2 www.lab.test >/dev/null && echo reached";
    let both = [start(script), start(script)];
    for one in both {
        assert_eq!(text(&one.wait_with_output().unwrap().stdout), "reached\n");
    }
}

#[test]
fn a_refused_namespace_is_named_with_what_to_change() {
    let name = "a_refused_namespace_is_named_with_what_to_change";
    if !can_run(name, &[Need::Namespaces, Need::Program("unshare")]) {
        return;
    }
    let check = |arguments: &str, expected: i32| {
        let script = format!(
            "echo 0 > /proc/sys/user/max_net_namespaces && exec {} {arguments}",
            env!("CARGO_BIN_EXE_twinstack")
        );
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "sh", "-c", &script])
            .output()
            .unwrap();
        let errors = text(&output.stderr);
        assert_eq!(
            output.status.code(),
            Some(expected),
            "{arguments}: {errors}"
        );
        assert!(
            errors.contains("user.max_net_namespaces"),
            "{arguments}: {errors}"
        );
    };
    check("lab run healthy -- true", 125);
    check("lab shell healthy", 2);
    check("lab play so-2017", 2);
}

#[test]
fn a_limit_that_was_reached_is_not_called_a_missing_permission() {
    let name = "a_limit_that_was_reached_is_not_called_a_missing_permission";
    if !can_run(
        name,
        &[
            Need::Namespaces,
            Need::Root,
            Need::Program("unshare"),
            Need::Program("prlimit"),
            Need::Program("setpriv"),
        ],
    ) {
        return;
    }
    let run = format!(
        "{} lab run healthy -- true",
        env!("CARGO_BIN_EXE_twinstack")
    );
    let check = |mut command: Command, expected: &str| {
        let output = command.output().unwrap();
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{errors}");
        assert!(
            errors.contains(expected) && errors.contains("this is a limit, not a permission"),
            "{errors}"
        );
        assert!(!errors.contains("seccomp"), "{errors}");
    };
    // One namespace is there already, of the lab's own init; there is none left for the first host.
    let mut namespaces = Command::new("unshare");
    let script = format!("echo 1 > /proc/sys/user/max_net_namespaces && exec {run}");
    namespaces.args(["--user", "--map-root-user", "sh", "-c", &script]);
    check(namespaces, "user.max_net_namespaces");
    // A user of its own, so that nobody else's processes count; root is exempt.
    let directory = readable_binary();
    let binary = directory.path().join("twinstack");
    let mut processes = Command::new("setpriv");
    processes
        .args(["--reuid", "64011", "--regid", "64011", "--clear-groups"])
        .args(["prlimit", "--nproc=1", "--"])
        .arg(binary)
        .args(["lab", "run", "healthy", "--", "true"])
        .current_dir("/");
    check(processes, "RLIMIT_NPROC");
}

#[test]
fn arguments_that_are_no_text_arrive_as_they_were() {
    let name = "arguments_that_are_no_text_arrive_as_they_were";
    if !can_run(name, &[Need::Namespaces]) {
        return;
    }
    let odd = std::ffi::OsStr::from_bytes(b"a\xff\xfe b");
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().join(odd);
    std::fs::create_dir(&directory).unwrap();
    let script = r#"printf %s "$1" && pwd"#;
    let output = lab("healthy", &["sh", "-c", script, "sh"])
        .arg(odd)
        .current_dir(&directory)
        .output()
        .unwrap();
    let mut expected = [odd.as_bytes(), directory.as_os_str().as_bytes()].concat();
    expected.push(b'\n');
    assert_eq!(output.stdout, expected, "{}", text(&output.stderr));
}

#[test]
fn a_code_that_check_does_not_have_is_refused_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mine.yaml");
    std::fs::write(
        &path,
        "version: 1\nextends: standard\nexpect: reach.fw-drp\n",
    )
    .unwrap();
    let path = path.to_str().unwrap();
    let output = twinstack(&["lab", "run", path, "--", "true"])
        .output()
        .unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{errors}");
    assert!(
        errors.contains("mine.yaml:3:9") && errors.contains("did you mean `reach.fw-drop`?"),
        "{errors}"
    );
}

#[test]
fn a_broken_world_is_refused_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mine.yaml");
    std::fs::write(&path, "version: 1\nextends: standard\nfualt: {}\n").unwrap();
    let path = path.to_str().unwrap();
    let output = twinstack(&["lab", "run", path, "--", "true"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(125));
    let errors = text(&output.stderr);
    assert!(
        errors.contains("mine.yaml:3:1") && errors.contains("fault"),
        "{errors}"
    );
    let unknown = twinstack(&["lab", "run", "v6-drp", "--", "true"])
        .output()
        .unwrap();
    assert!(
        text(&unknown.stderr).contains("v6-drop"),
        "{}",
        text(&unknown.stderr)
    );
}

#[test]
fn curl_falls_back_after_its_200_ms_when_ipv6_is_dropped() {
    let name = "curl_falls_back_after_its_200_ms_when_ipv6_is_dropped";
    if !can_run(name, &[Need::Namespaces, Need::Program("curl")]) {
        return;
    }
    let (status, resolved, connected) = curl_times("v6-drop", 30);
    assert_eq!(status, "200");
    let fallback = connected - resolved;
    assert!(
        (0.15..1.0).contains(&fallback),
        "connected {fallback:.3} s after the name was resolved"
    );
}

#[test]
fn curl_waits_long_when_the_aaaa_answer_is_dropped() {
    let name = "curl_waits_long_when_the_aaaa_answer_is_dropped";
    if !can_run(name, &[Need::Namespaces, Need::Program("curl")]) {
        return;
    }
    let start = Instant::now();
    let (_, resolved, _) = curl_times("aaaa-dropped", 40);
    let waited = start.elapsed().as_secs_f64();
    assert!(
        resolved > 3.0 || waited > 3.0,
        "resolved after {resolved:.3} s, ended after {waited:.3} s"
    );
}

/// curl's status, time of the look-up and time of the connection, in seconds.
fn curl_times(world: &str, limit: u32) -> (String, f64, f64) {
    let wanted = "%{http_code} %{time_namelookup} %{time_connect}";
    let limit = limit.to_string();
    let curl = [
        "curl",
        "-sS",
        "-o",
        "/dev/null",
        "-w",
        wanted,
        "--max-time",
        &limit,
        "http://www.lab.test/",
    ];
    let output = lab(world, &curl).output().expect("the lab runs");
    let seen = text(&output.stdout);
    let words: Vec<&str> = seen.split(' ').collect();
    let [status, resolved, connected] = words.as_slice() else {
        unreachable!("curl said {seen:?}")
    };
    let number = |word: &str| {
        word.parse()
            .unwrap_or_else(|_| unreachable!("curl said {seen:?}"))
    };
    ((*status).to_owned(), number(resolved), number(connected))
}

#[test]
fn a_trace_of_every_packet_is_readable_by_tshark() {
    let name = "a_trace_of_every_packet_is_readable_by_tshark";
    if !can_run(
        name,
        &[
            Need::Namespaces,
            Need::Program("tshark"),
            Need::Program("curl"),
        ],
    ) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let trace = directory.path().join("trace.pcapng");
    let trace = trace.to_str().unwrap();
    let curl = [
        "curl",
        "-sS",
        "-6",
        "-o",
        "/dev/null",
        "http://www.lab.test/",
    ];
    let status = twinstack(&["lab", "run", "healthy", "--trace", trace, "--"])
        .args(curl)
        .status()
        .unwrap();
    assert!(status.success());
    // Every packet is there twice, at its sender and at its receiver: this is the client's view alone.
    let client = directory.path().join("client.pcapng");
    let client = client.to_str().unwrap();
    let tshark = |arguments: &[&str]| {
        let output = Command::new("tshark")
            .arg("-n")
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().count()
    };
    let view = "frame.interface_name == \"client:office\"";
    tshark(&["-r", trace, "-Y", view, "-w", client]);
    let count = |filter: &str| tshark(&["-r", client, "-Y", filter]);
    assert!(
        count("dns.qry.name == \"www.lab.test\" && dns.qry.type == 28 && dns.flags.response == 1")
            > 0
    );
    assert!(count("ipv6 && tcp.dstport == 80 && tcp.flags.syn == 1 && tcp.flags.ack == 0") > 0);
    assert!(count("http.response.code == 200") > 0);
    assert_eq!(count("_ws.malformed"), 0);
}

/// A folder with a copy of the binary that any user may execute: the binary itself may lie where others cannot read.
#[expect(
    clippy::unwrap_used,
    reason = "a helper of tests: a panic is the failure it reports"
)]
fn readable_binary() -> tempfile::TempDir {
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), mode).unwrap();
    let binary = directory.path().join("twinstack");
    std::fs::copy(env!("CARGO_BIN_EXE_twinstack"), binary).unwrap();
    directory
}

/// Polls until something is there or the time is over.
fn wait_for<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        match look() {
            None if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(20)),
            found => return found,
        }
    }
}

/// The process whose command line begins with this program and holds this word.
fn process_with(word: &str, program: &str) -> Option<u32> {
    for entry in std::fs::read_dir("/proc")
        .expect("/proc is there")
        .flatten()
    {
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        if words
            .first()
            .is_some_and(|first| first.ends_with(program.as_bytes()))
            && words.contains(&word.as_bytes())
        {
            return Some(pid);
        }
    }
    None
}

/// The processes that hold a network namespace.
fn holders(namespace: &Path) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .expect("/proc is there")
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            (std::fs::read_link(entry.path().join("ns/net")).ok()? == namespace).then_some(pid)
        })
        .collect()
}

/// A command on the client of a world.
fn lab(world: &str, command: &[&str]) -> Command {
    let mut lab = twinstack(&["lab", "run", world, "--"]);
    lab.args(command);
    lab
}
