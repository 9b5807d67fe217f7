//! `twinstack run` as a user meets it: the real binary, real programs, in broken networks.
//!
//! Margins are wide: what is asked is whether a program waits for a quarter of a second or for two minutes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests: a panic is the failure they report"
)]

#[path = "support/shared.rs"]
mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::{text, twinstack};
use twinstack_testkit::{Need, can_run};

const BINARY: &str = env!("CARGO_BIN_EXE_twinstack");

/// Prints, for each of several look-ups and connects in turn, `ADDRESSES LOOK-UP-MS CONNECT-MS PEER`.
const CONNECT_THREE_TIMES: &str = r"
import socket, sys, time
timeout = float(sys.argv[1]) if len(sys.argv) > 1 else None
for _ in range(3):
    start = time.time()
    found = socket.getaddrinfo('www.lab.test', 80, type=socket.SOCK_STREAM)
    looked_up = time.time()
    peer = socket.create_connection(('www.lab.test', 80), timeout=timeout).getpeername()[0]
    done = time.time()
    print(len(found), round((looked_up - start) * 1000), round((done - looked_up) * 1000), peer, flush=True)
";

/// One line of [`CONNECT_THREE_TIMES`].
struct Connected {
    addresses: usize,
    look_up: Duration,
    connect: Duration,
    peer: String,
}

impl Connected {
    fn all(output: &Output) -> Vec<Self> {
        let printed = text(&output.stdout);
        let lines: Vec<Self> = printed
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let milliseconds =
                    |index: usize| Duration::from_millis(words[index].parse().unwrap());
                Self {
                    addresses: words[0].parse().unwrap(),
                    look_up: milliseconds(1),
                    connect: milliseconds(2),
                    peer: words[3].to_owned(),
                }
            })
            .collect();
        assert_eq!(lines.len(), 3, "{printed}{}", text(&output.stderr));
        lines
    }
}

/// Runs a command under `twinstack run` in a world.
fn run_in(world: &str, options: &[&str], command: &[&str]) -> Output {
    let mut all = vec!["lab", "run", world, "--", BINARY, "run"];
    all.extend(options);
    all.push("--");
    all.extend(command);
    twinstack(&all).stdin(Stdio::null()).output().unwrap()
}

fn run(options: &[&str], command: &[&str]) -> Command {
    let mut run = Command::new(BINARY);
    run.arg("run").args(options).arg("--").args(command);
    run
}

/// How long the command itself took, whatever it said.
fn timed(world: &str, command: &[&str]) -> (Duration, Output) {
    // The time is taken inside the lab: building a lab takes its own.
    let mut inside = vec![
        "sh",
        "-c",
        "s=$(date +%s%3N); \"$@\"; r=$?; echo \"took $(($(date +%s%3N) - s))\" >&2; exit $r",
        "sh",
    ];
    inside.extend([BINARY, "run", "--"]);
    inside.extend(command);
    let mut all = vec!["lab", "run", world, "--"];
    all.extend(inside);
    let output = twinstack(&all).stdin(Stdio::null()).output().unwrap();
    let errors = text(&output.stderr);
    let took = errors
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("took "));
    let took = took.unwrap_or_else(|| panic!("{errors}")).parse().unwrap();
    (Duration::from_millis(took), output)
}

fn between(duration: Duration, least: u64, most: u64) -> bool {
    (Duration::from_millis(least)..Duration::from_millis(most)).contains(&duration)
}

#[test]
fn a_sequential_program_falls_back_in_a_quarter_of_a_second_and_then_at_once() {
    let name = "a_sequential_program_falls_back_in_a_quarter_of_a_second_and_then_at_once";
    if !can_run(name, &[Need::Namespaces, Need::Program("python3")]) {
        return;
    }
    // Without a timeout Python's sockets block, with one they do not.
    for timeout in [None, Some("15")] {
        let mut command = vec!["python3", "-c", CONNECT_THREE_TIMES];
        command.extend(timeout);
        let lines = Connected::all(&run_in("v6-drop", &[], &command));
        assert!(lines.iter().all(|it| it.peer.starts_with("198.51.100.")));
        assert!(
            between(lines[0].connect, 240, 600),
            "two IPv6 addresses are given up together: {:?}",
            lines[0].connect
        );
        for line in &lines[1..] {
            assert!(
                line.connect < Duration::from_millis(150),
                "{:?}",
                line.connect
            );
        }
    }
}

#[test]
fn a_healthy_connection_stays_on_ipv6() {
    let name = "a_healthy_connection_stays_on_ipv6";
    if !can_run(name, &[Need::Namespaces, Need::Program("python3")]) {
        return;
    }
    let lines = Connected::all(&run_in(
        "healthy",
        &[],
        &["python3", "-c", CONNECT_THREE_TIMES],
    ));
    for line in lines {
        assert_eq!((line.addresses, line.peer.as_str()), (4, "2e00:5::80"));
        assert!(
            line.connect < Duration::from_millis(150),
            "{:?}",
            line.connect
        );
    }
}

#[test]
fn a_missing_answer_of_one_family_costs_60_ms() {
    let name = "a_missing_answer_of_one_family_costs_60_ms";
    if !can_run(name, &[Need::Namespaces, Need::Program("python3")]) {
        return;
    }
    for (world, peer) in [
        ("aaaa-dropped", "198.51.100.80"),
        ("a-dropped", "2e00:5::80"),
    ] {
        let lines = Connected::all(&run_in(world, &[], &["python3", "-c", CONNECT_THREE_TIMES]));
        for line in lines {
            assert_eq!((line.addresses, line.peer.as_str()), (2, peer), "{world}");
            assert!(
                between(line.look_up, 55, 700),
                "{world}: {:?}",
                line.look_up
            );
        }
    }
}

/// Asks for A and AAAA in every way that resolvers know, and prints how, from where and what was answered.
const ASK: &str = r"
import select, socket, struct
def question(number, rtype):
    head = struct.pack('!HHHHHH', number, 0x100, 1, 0, 0, 0)
    return head + b'\3www\3lab\4test\0' + struct.pack('!HH', rtype, 1)
both = [question(1, 1), question(2, 28)]
def answers(receive, expected):
    found = {}
    for _ in both:
        answer, source = receive()
        assert source is None or source[:2] == expected, source
        found[answer[1]] = answer[7]
    return found
for server in ['192.0.2.53', '2e00:c::53']:
    family = socket.AF_INET6 if ':' in server else socket.AF_INET
    new = lambda: socket.socket(family, socket.SOCK_DGRAM)
    s = new()
    s.settimeout(3)
    for one in both: s.sendto(one, (server, 53))
    print('unconnected', answers(lambda: s.recvfrom(4096), (server, 53)))
    s = new()
    s.settimeout(3)
    s.connect((server, 53))
    for one in both: s.send(one)
    print('connected', answers(lambda: s.recvfrom(4096), (server, 53)))
    s = new()
    poll = select.epoll()
    poll.register(s, select.EPOLLIN)
    s.connect((server, 53))
    for one in both: s.send(one)
    def polled():
        assert poll.poll(3)
        return s.recv(4096), None
    print('polled', answers(polled, None))
    s = socket.create_connection((server, 53))
    s.settimeout(3)
    for one in both: s.sendall(struct.pack('!H', len(one)) + one)
    stream = s.makefile('rb')
    print('stream', answers(lambda: (stream.read(struct.unpack('!H', stream.read(2))[0]), None), None))
";

#[test]
fn every_way_to_ask_a_name_server_leads_to_the_stub() {
    let name = "every_way_to_ask_a_name_server_leads_to_the_stub";
    if !can_run(name, &[Need::Namespaces, Need::Program("python3")]) {
        return;
    }
    let output = run_in("aaaa-dropped", &[], &["python3", "-c", ASK]);
    let each = ["unconnected", "connected", "polled", "stream"];
    let lines = [each, each]
        .concat()
        .iter()
        .map(|way| format!("{way} {{1: 2, 2: 0}}"))
        .collect::<Vec<_>>();
    let expected = lines.join("\n") + "\n";
    let errors = text(&output.stderr);
    assert_eq!(text(&output.stdout), expected, "{errors}");
    assert_eq!(errors, "", "nothing passes by");
}

#[test]
fn look_ups_can_be_left_alone() {
    let name = "look_ups_can_be_left_alone";
    if !can_run(name, &[Need::Namespaces, Need::Program("python3")]) {
        return;
    }
    let script = "import socket, time; s = time.time(); socket.getaddrinfo('www.lab.test', 80); print(time.time() - s > 2)";
    let output = run_in("aaaa-dropped", &["--no-dns"], &["python3", "-c", script]);
    assert_eq!(
        text(&output.stdout),
        "True\n",
        "glibc waits for seconds: {}",
        text(&output.stderr)
    );
    let script = "import socket, time; s = time.time(); socket.create_connection(('www.lab.test', 80)); print(time.time() - s < 1.5)";
    let output = run_in("v6-drop", &["--no-dns"], &["python3", "-c", script]);
    assert_eq!(text(&output.stdout), "True\n", "{}", text(&output.stderr));
}

#[test]
fn a_slow_host_that_is_the_only_one_is_not_lost() {
    let name = "a_slow_host_that_is_the_only_one_is_not_lost";
    if !can_run(name, &[Need::Namespaces, Need::Program("python3")]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let world = |file: &str, fault: &str| {
        let path = directory.path().join(file);
        let text = format!(
            "version: 1\nsummary: slow\nextends: standard\nfault:\n  hosts:\n    www:\n      interfaces:\n        service:\n          link: {{ v6: {{ delay: 250ms }} }}\n{fault}"
        );
        std::fs::write(&path, text).unwrap();
        path
    };
    let script =
        "import socket; print(socket.create_connection(('www.lab.test', 80)).getpeername()[0])";
    let check = |world: &Path| {
        let output = run_in(world.to_str().unwrap(), &[], &["python3", "-c", script]);
        assert_eq!(
            text(&output.stdout),
            "2e00:5::80\n",
            "{}",
            text(&output.stderr)
        );
    };
    // The name has no other family.
    check(&world(
        "only.yaml",
        "  zones:\n    lab.test:\n      remove: [lab.test. A, www A, www HTTPS, static A]\n",
    ));
    // It has one, and that is dead.
    check(&world(
        "dead.yaml",
        "  filters:\n    - { at: service, direction: in, to: [198.51.100.80, 198.51.100.81], action: drop }\n",
    ));
}

#[test]
fn real_programs_fall_back() {
    let name = "real_programs_fall_back";
    if !can_run(name, &[Need::Namespaces]) {
        return;
    }
    let check = |test: &str, program: &'static str, command: &[&str], proof: &str| {
        if !can_run(test, &[Need::Program(program)]) {
            return;
        }
        for world in ["v6-drop", "aaaa-dropped"] {
            let (took, output) = timed(world, command);
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(said.contains(proof), "{program} in {world}: {said}");
            assert!(
                took < Duration::from_secs(5),
                "{program} in {world}: {took:?}"
            );
        }
    };
    // The site has no repository: what counts is that its answer came.
    check(
        "real_programs_fall_back: git",
        "git",
        &["git", "ls-remote", "http://www.lab.test/x.git"],
        "not found",
    );
    check(
        "real_programs_fall_back: curl",
        "curl",
        &[
            "curl",
            "-sS",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code} %{remote_ip}",
            "http://www.lab.test/",
        ],
        "200 198.51.100.80",
    );
    let requests =
        "import requests; print(requests.get('http://www.lab.test/', timeout=30).status_code)";
    let of_debian = "/usr/lib/python3/dist-packages/requests/__init__.py";
    if can_run(
        "real_programs_fall_back: requests",
        &[Need::File(of_debian)],
    ) {
        check(
            "real_programs_fall_back: requests",
            "python3",
            &["/usr/bin/python3", "-c", requests],
            "200",
        );
    }
    let urllib =
        "import urllib.request; print(urllib.request.urlopen('http://www.lab.test/').status)";
    check(
        "real_programs_fall_back: urllib",
        "python3",
        &["python3", "-c", urllib],
        "200",
    );
}

/// A world whose `www` answers on 22 and 5432 as these services begin: a banner, and PostgreSQL's words that it has no
/// such user.
const SERVICES: &str = r#"
hosts:
  www:
    services:
      talk:
        kind: exec
        command: [python3, "{dir}/talk.py"]
        ready-port: 5432
        files:
          talk.py: |
            import socket, threading
            def serve(port, talk):
                s = socket.create_server(('::', port), family=socket.AF_INET6, dualstack_ipv6=True)
                while True:
                    threading.Thread(target=talk, args=(s.accept()[0],), daemon=True).start()
            def ssh(c):
                c.sendall(b'SSH-2.0-Lab\r\n')
                c.recv(1000)
                c.close()
            def postgres(c):
                while (start := c.recv(1000)) and start[4:8] != b'\0\3\0\0':
                    c.sendall(b'N')
                said = b'SFATAL\0C28000\0Mthe lab has no users\0\0'
                c.sendall(b'E' + (len(said) + 4).to_bytes(4, 'big') + said)
                c.close()
            threading.Thread(target=serve, args=(22, ssh), daemon=True).start()
            serve(5432, postgres)
"#;

const V6_DROP: &str = r#"
fault:
  filters:
    - { at: service, direction: in, to: ["2e00:5::80", "2e00:5::81"], action: drop }
"#;

const AAAA_DROPPED: &str = r"
fault:
  dns:
    - { name: www.lab.test, types: AAAA, reply: drop }
";

#[test]
fn ssh_and_psql_fall_back() {
    let name = "ssh_and_psql_fall_back";
    if !can_run(name, &[Need::Namespaces, Need::Program("python3")]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let worlds = [("v6-drop", V6_DROP), ("aaaa-dropped", AAAA_DROPPED)].map(|(world, fault)| {
        let path = directory.path().join(format!("{world}.yaml"));
        let head = "version: 1\nsummary: services that ssh and psql talk to\nextends: standard\n";
        std::fs::write(&path, format!("{head}{SERVICES}{fault}")).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let check = |program: &'static str, command: &[&str], proof: &str| {
        if !can_run(&format!("{name}: {program}"), &[Need::Program(program)]) {
            return;
        }
        for world in &worlds {
            let (took, output) = timed(world, command);
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(said.contains(proof), "{program} in {world}: {said}");
            assert!(
                took < Duration::from_secs(5),
                "{program} in {world}: {took:?}"
            );
        }
    };
    check(
        "ssh",
        &[
            "ssh",
            "-v",
            "-o",
            "BatchMode=yes",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "www.lab.test",
            "true",
        ],
        "remote software version Lab",
    );
    check(
        "psql",
        &[
            "psql",
            "-h",
            "www.lab.test",
            "-U",
            "nobody",
            "-c",
            "select 1",
        ],
        "the lab has no users",
    );
}

#[test]
fn a_static_go_program_falls_back() {
    let name = "a_static_go_program_falls_back";
    if !can_run(name, &[Need::Namespaces, Need::Program("go")]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let source = r#"
package main

import (
	"fmt"
	"net"
	"time"
)

func main() {
	for try := 0; try < 2; try++ {
		start := time.Now()
		addresses, err := net.LookupIP("www.lab.test")
		if err != nil {
			panic(err)
		}
		dial(addresses, true)
		fmt.Println(time.Since(start).Milliseconds())
	}
}

// IPv6 first, one after the other.
func dial(addresses []net.IP, six bool) {
	for _, address := range addresses {
		if (address.To4() == nil) != six {
			continue
		}
		if connection, err := net.Dial("tcp", net.JoinHostPort(address.String(), "80")); err == nil {
			fmt.Print(connection.RemoteAddr().String(), " ")
			connection.Close()
			return
		}
	}
	if six {
		dial(addresses, false)
	}
}
"#;
    let program = compile(directory.path(), "main.go", source, |source, program| {
        let mut go = Command::new("go");
        go.env("CGO_ENABLED", "0")
            .args(["build", "-o"])
            .args([program, source]);
        go
    });
    falls_back_twice(program.to_str().unwrap(), &[]);
}

#[test]
fn a_static_musl_program_falls_back() {
    let name = "a_static_musl_program_falls_back";
    if !can_run(name, &[Need::Namespaces, Need::Program("musl-gcc")]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let source = r#"
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

int main(void) {
    for (int try = 0; try < 2; try++) {
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found, *one;
        long start = now();
        if (getaddrinfo("www.lab.test", "80", &hints, &found)) return 1;
        for (one = found; one; one = one->ai_next) {
            char text[64];
            int fd = socket(one->ai_family, SOCK_STREAM, 0);
            int failed = connect(fd, one->ai_addr, one->ai_addrlen);
            close(fd);
            if (failed) continue;
            getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof text, 0, 0, NI_NUMERICHOST);
            printf("%s:80 %ld\n", text, now() - start);
            break;
        }
        freeaddrinfo(found);
    }
    return 0;
}
"#;
    let program = compile(directory.path(), "main.c", source, |source, program| {
        let mut compiler = Command::new("musl-gcc");
        compiler.args(["-static", "-o"]).args([program, source]);
        compiler
    });
    falls_back_twice(program.to_str().unwrap(), &[]);
}

#[test]
fn a_java_program_falls_back() {
    let name = "a_java_program_falls_back";
    let needs = [
        Need::Namespaces,
        Need::Program("javac"),
        Need::Program("java"),
    ];
    if !can_run(name, &needs) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let source = r#"
import java.net.*;

public class Main {
    public static void main(String[] arguments) throws Exception {
        for (int again = 0; again < 2; again++) {
            long start = System.nanoTime();
            InetAddress[] all = InetAddress.getAllByName("www.lab.test");
            if (!dial(all, true)) dial(all, false);
            System.out.println(" " + (System.nanoTime() - start) / 1000000);
        }
    }

    static boolean dial(InetAddress[] all, boolean six) {
        for (InetAddress address : all) {
            if ((address instanceof Inet6Address) != six) continue;
            try (Socket socket = new Socket(address, 80)) {
                System.out.print(address.getHostAddress() + ":80");
                return true;
            } catch (java.io.IOException next) {
            }
        }
        return false;
    }
}
"#;
    compile(directory.path(), "Main.java", source, |source, _| {
        let mut compiler = Command::new("javac");
        compiler.arg(source);
        compiler
    });
    falls_back_twice("java", &["-cp", directory.path().to_str().unwrap(), "Main"]);
}

/// Compiles a program; the directory must be readable by everybody.
fn compile(
    directory: &Path,
    file: &str,
    source: &str,
    command: impl FnOnce(&Path, &Path) -> Command,
) -> PathBuf {
    let (path, program) = (directory.join(file), directory.join("program"));
    std::fs::write(&path, source).unwrap();
    let output = command(&path, &program)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    program
}

/// A program that prints `ADDRESS:80 MS` twice: look-up, and connects in turn.
fn falls_back_twice(program: &str, arguments: &[&str]) {
    let mut command = vec![program];
    command.extend(arguments);
    for (world, first, second) in [("v6-drop", 240, 0), ("aaaa-dropped", 55, 0)] {
        let output = run_in(world, &[], &command);
        let printed = text(&output.stdout);
        let lines: Vec<(&str, u64)> = printed
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(peer, took)| (peer, took.trim().parse().unwrap()))
            .collect();
        let [(peer, took), (peer_again, took_again)] = lines[..] else {
            panic!("{program} in {world}: {printed}{}", text(&output.stderr));
        };
        assert_eq!(
            (peer, peer_again),
            ("198.51.100.80:80", "198.51.100.80:80"),
            "{world}"
        );
        assert!(
            (first..1500).contains(&took),
            "{program} in {world}: {took} ms"
        );
        assert!(
            (second..400).contains(&took_again),
            "{program} in {world}: {took_again} ms"
        );
    }
}

/// Talks to the C library directly: Python's own socket calls begin again after a signal.
const RAW: &str = r"
import ctypes, errno, os, select, signal, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
mode = sys.argv[1]
socket.getaddrinfo('www.lab.test', 80)
address = struct.pack('=H', socket.AF_INET6) + struct.pack('!HI', 80, 0) + socket.inet_pton(socket.AF_INET6, '2e00:5::80') + bytes(4)
s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
signals = []
signal.signal(signal.SIGALRM, lambda *_: signals.append(1))
if mode == 'send-timeout':
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack('ll', 0, 100000))
else:
    signal.siginterrupt(signal.SIGALRM, mode == 'interrupt')
    signal.setitimer(signal.ITIMER_REAL, 0.1)
start = time.time()
def say(what):
    print(what, round((time.time() - start) * 1000), flush=True)
failed = libc.connect(s.fileno(), address, len(address))
say(errno.errorcode[ctypes.get_errno()] if failed else 'connected')
if failed and ctypes.get_errno() != errno.ETIMEDOUT:
    poll = select.poll()
    poll.register(s, select.POLLOUT)
    poll.poll(5000)
    error = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    say(errno.errorcode[error] if error else 'connected')
";

#[test]
fn signals_and_timeouts_of_the_program_mean_what_they_mean_without_us() {
    let name = "signals_and_timeouts_of_the_program_mean_what_they_mean_without_us";
    if !can_run(name, &[Need::Namespaces, Need::Program("python3")]) {
        return;
    }
    let check = |mode: &str, expected: &[(&str, u64, u64)]| {
        let output = run_in("v6-drop", &[], &["python3", "-c", RAW, mode]);
        let printed = text(&output.stdout);
        let lines: Vec<(&str, u64)> = printed
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(what, when)| (what, when.parse().unwrap()))
            .collect();
        assert_eq!(
            lines.len(),
            expected.len(),
            "{mode}: {printed}{}",
            text(&output.stderr)
        );
        for ((what, when), (wanted, least, most)) in lines.iter().zip(expected) {
            assert_eq!(what, wanted, "{mode}: {printed}");
            assert!((*least..*most).contains(when), "{mode}: {printed}");
        }
    };
    check("interrupt", &[("EINTR", 95, 220), ("ECONNRESET", 240, 700)]);
    check("restart", &[("ETIMEDOUT", 240, 700)]);
    check(
        "send-timeout",
        &[("EINPROGRESS", 95, 220), ("ECONNRESET", 240, 700)],
    );
}

#[test]
fn a_hundred_threads_fall_back_at_the_same_time() {
    let name = "a_hundred_threads_fall_back_at_the_same_time";
    if !can_run(name, &[Need::Namespaces, Need::Program("python3")]) {
        return;
    }
    let script = r"
import socket, threading, time
found = socket.getaddrinfo('www.lab.test', 80, type=socket.SOCK_STREAM)
done = []
def dial():
    for family, kind, protocol, _, address in found:
        try:
            s = socket.socket(family, kind, protocol)
            s.connect(address)
            done.append(s.getpeername()[0])
            return
        except OSError:
            pass
threads = [threading.Thread(target=dial) for _ in range(100)]
start = time.time()
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(done), set(done), time.time() - start < 2)
";
    let output = run_in("v6-drop", &[], &["python3", "-c", script]);
    assert_eq!(
        text(&output.stdout),
        "100 {'198.51.100.80'} True\n",
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn children_that_outlive_the_program_are_still_helped() {
    let name = "children_that_outlive_the_program_are_still_helped";
    if !can_run(name, &[Need::Namespaces, Need::Program("python3")]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("child");
    let script = r#"
import os, socket, sys, time
if os.fork(): os._exit(3)
os.setsid()
time.sleep(0.5)
start = time.time()
peer = socket.create_connection(("www.lab.test", 80)).getpeername()[0]
with open(sys.argv[1] + ".new", "w") as out: print(peer, time.time() - start < 2, file=out)
os.rename(sys.argv[1] + ".new", sys.argv[1])
"#;
    let shell = format!(
        "'{BINARY}' run -- python3 -c '{script}' '{file}'; echo \"status $?\"; test -e '{file}' && echo early; \
         for i in $(seq 100); do test -e '{file}' && break; sleep 0.1; done; cat '{file}'",
        file = file.display()
    );
    let output = Command::new(BINARY)
        .args(["lab", "run", "v6-drop", "--", "sh", "-c", &shell])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(
        text(&output.stdout),
        "status 3\n198.51.100.80 True\n",
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn exit_status_signals_and_streams_pass_through() {
    let status = |command: &[&str]| run(&[], command).stdin(Stdio::null()).output().unwrap();
    let check = |command: &[&str], expected: i32, said: &str| {
        let output = status(command);
        assert_eq!(output.status.code(), Some(expected), "{command:?}");
        let errors = text(&output.stderr);
        assert!(
            errors.contains(said) && (!said.is_empty() || errors.is_empty()),
            "{errors}"
        );
    };
    check(&["true"], 0, "");
    check(&["sh", "-c", "exit 7"], 7, "");
    check(&["sh", "-c", "kill -9 $$"], 137, "");
    check(&["sh", "-c", "exec env sh -c 'exit 4'"], 4, "");
    check(
        &["no-such-program-anywhere"],
        127,
        "`no-such-program-anywhere` was not found",
    );
    check(&["/etc/passwd"], 126, "`/etc/passwd` cannot be executed");
    check(
        &[BINARY, "run", "--", "true"],
        125,
        "supervised by seccomp already",
    );
    let unwritable = run(&["--report", "/no/such/directory/x"], &["true"])
        .output()
        .unwrap();
    assert_eq!(unwritable.status.code(), Some(125));
    assert_eq!(
        run(&["--give-up", "1ms"], &["true"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(64)
    );

    // A child that keeps running must not keep the pipe open any longer than it would without us.
    let start = Instant::now();
    let output = status(&[
        "sh",
        "-c",
        "sleep 5 >/dev/null 2>&1 & echo out; echo err >&2",
    ]);
    assert_eq!(
        (text(&output.stdout).as_str(), text(&output.stderr).as_str()),
        ("out\n", "err\n")
    );
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );

    let script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut program = run(&[], &["sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = [0; 6];
    std::io::Read::read_exact(program.stdout.as_mut().unwrap(), &mut ready).unwrap();
    let sent = Command::new("kill")
        .args(["-TERM", &program.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    assert_eq!(
        program.wait().unwrap().code(),
        Some(5),
        "the signal reached the program"
    );
}

#[test]
fn a_program_whose_front_is_killed_is_killed_too() {
    let script = "echo $$; while :; do sleep 0.05; done";
    let mut front = run(&[], &["sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = std::io::BufReader::new(front.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    let program = PathBuf::from(format!("/proc/{}", line.trim()));
    assert!(program.exists());
    front.kill().unwrap();
    front.wait().unwrap();
    let start = Instant::now();
    let is_alive = || {
        let state = std::fs::read_to_string(program.join("stat")).unwrap_or_default();
        state
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    while is_alive() {
        assert!(start.elapsed() < Duration::from_secs(10), "{line} goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn an_ordinary_user_is_helped_and_told_what_loses_its_privileges() {
    let name = "an_ordinary_user_is_helped_and_told_what_loses_its_privileges";
    let needs = [Need::Root, Need::Program("setpriv"), Need::Program("su")];
    if !can_run(name, &needs) {
        return;
    }
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), mode).unwrap();
    let binary = directory.path().join("twinstack");
    std::fs::copy(BINARY, &binary).unwrap();
    let output = Command::new("setpriv")
        .args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--",
        ])
        .arg(&binary)
        .args(["run", "--", "sh", "-c", "su -c true; exit 3"])
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(
        errors.contains("note: `su` is marked to run with more privileges"),
        "{errors}"
    );
}

#[test]
fn what_passes_by_is_said() {
    let name = "what_passes_by_is_said";
    if !can_run(name, &[Need::Program("python3")]) {
        return;
    }
    let script = "
import ctypes, os
ring = ctypes.CDLL(None, use_errno=True).syscall(425, 8, ctypes.create_string_buffer(256))
print('ring' if ring >= 0 else os.strerror(ctypes.get_errno()))";
    let counted = run(&[], &["python3", "-c", script]).output().unwrap();
    let errors = text(&counted.stderr);
    assert!(
        errors.contains("note: `python3` set up io_uring (once)"),
        "{errors}"
    );
    let refused = run(&["--no-io-uring"], &["python3", "-c", script])
        .output()
        .unwrap();
    assert_eq!(text(&refused.stdout), "Function not implemented\n");
    assert_eq!(text(&refused.stderr), "");
    let script = "
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
try: s.sendto(b'x', 0x20000000, ('2001:db8::1', 9))
except OSError as error: print(error.strerror)
try: s.sendmsg([b'x'], [], 0x20000000, ('2001:db8::1', 9))
except OSError as error: print(error.strerror)";
    let output = run(&[], &["python3", "-c", script]).output().unwrap();
    assert_eq!(
        text(&output.stdout),
        "Operation not supported\nOperation not supported\n",
        "programs then connect"
    );
}

#[test]
fn every_race_is_a_line_of_the_report() {
    let name = "every_race_is_a_line_of_the_report";
    if !can_run(name, &[Need::Namespaces, Need::Program("python3")]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("report.jsonl");
    let lines = |world: &str| -> Vec<Value> {
        let options = ["--report", file.to_str().unwrap()];
        run_in(world, &options, &["python3", "-c", CONNECT_THREE_TIMES]);
        let report = std::fs::read_to_string(&file).unwrap();
        report
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let report = lines("v6-drop");
    assert!(
        report
            .iter()
            .all(|line| line["schema"] == "twinstack.run/1"),
        "{report:#?}"
    );
    let races: Vec<&Value> = report
        .iter()
        .filter(|line| line["kind"] == "race")
        .collect();
    assert_eq!(races.len(), 3, "{report:#?}");
    let outcomes = |race: &Value| -> Vec<String> {
        let attempts = race["attempts"].as_array().unwrap();
        attempts
            .iter()
            .map(|it| it["outcome"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(outcomes(races[0]), ["given-up", "remembered", "passed-on"]);
    assert_eq!(
        outcomes(races[1]),
        ["remembered", "remembered", "passed-on"]
    );
    assert_eq!(races[0]["name"], "www.lab.test");
    let elapsed = |race: &Value| race["elapsed_seconds"].as_f64().unwrap();
    assert!((0.24..0.6).contains(&elapsed(races[0])), "{report:#?}");
    assert!(elapsed(races[1]) < 0.1, "{report:#?}");
    let end = report.last().unwrap();
    assert_eq!((&end["kind"], &end["status"]), (&"end".into(), &0.into()));

    let report = lines("aaaa-dropped");
    let made_up = report.iter().filter(|line| line["kind"] == "look-up");
    let types: Vec<&Value> = made_up.map(|line| &line["type"]).collect();
    assert!(
        types.len() >= 3 && types.iter().all(|it| **it == "AAAA"),
        "{report:#?}"
    );
}
