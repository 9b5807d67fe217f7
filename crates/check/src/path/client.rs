//! The fallback step: how long a client takes to get an answer while IPv6 may be broken.
//!
//! The built-in client stands in for the real dialer: staggered connection attempts over addresses that alternate between
//! the families (RFC 8305, sections 4 and 5), then one request. [`built_in`] is the seam: it takes addresses in the
//! order of preference and gives back who won.
//!
//! A user's client is started without a shell. While it runs, its own sockets are looked at, so that the time between its first
//! IPv6 and its first IPv4 attempt is measured, and not the time that its interpreter takes to start.

pub(super) mod sockets;

use super::http::{Ask, talk};
use super::observation::{Answer, ClientObservation, ClientOutcome, TalkError};
use super::tls::Tls;
use super::{Family, Plan, Speech, port, tcp};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::net::{IpAddr, SocketAddr};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::process::{ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

/// RFC 8305, section 5: recommended Connection Attempt Delay.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How long a client may take before it is stopped: the legacy clients of the first incident gave up at 20 s.
const BOUND: Duration = Duration::from_secs(20);

/// What curl prints as `%{http_code}` when there was no response.
const NO_STATUS: u16 = 0;

/// So much of the end of a command's output is kept.
const LAST_WORDS: usize = 256;

/// How often a running client's sockets are looked at.
const WATCH: Duration = Duration::from_millis(5);

/// Times the plan's client. `wires` are the addresses as used on the wire.
pub(super) async fn run(plan: &Plan, tls: &Tls, wires: &[IpAddr]) -> Option<ClientObservation> {
    let port = plan.client_port()?;
    match &plan.client {
        Some(command) => Some(external(plan, command, port).await),
        None if wires.is_empty() => None,
        None => Some(built_in(plan, tls, wires, port).await),
    }
}

/// The stand-in for the dialer.
async fn built_in(plan: &Plan, tls: &Tls, wires: &[IpAddr], port: u16) -> ClientObservation {
    let at = plan.now();
    let mut seen = ClientObservation {
        client: "built-in".to_owned(),
        port,
        at,
        took: Duration::ZERO,
        outcome: ClientOutcome::Failed {
            detail: "no address answered".to_owned(),
        },
        family: None,
        first_v4: None,
        first_v6: None,
        status: None,
    };
    let order = alternate(wires);
    let begun = Instant::now();
    // The attempts are staggered, so that the last one may start a little later than the first.
    let bound = plan.timeout + ATTEMPT_DELAY * u32::try_from(order.len()).unwrap_or(4);
    let won = timeout(bound, race(&order, port, &mut seen, begun)).await;
    if let Ok(Some((stream, family))) = won {
        seen.family = Some(family);
        seen.outcome = ask(plan, tls, port, stream).await;
    }
    seen.took = plan.now().saturating_sub(at);
    seen
}

/// The request on the connection that won. Only an answer counts as success.
async fn ask(plan: &Plan, tls: &Tls, port: u16, stream: TcpStream) -> ClientOutcome {
    let ask = Ask {
        body: false,
        ..port::ask(plan, port)
    };
    if ask.speech == Speech::Nothing {
        return ClientOutcome::Done {
            detail: "connected".to_owned(),
        };
    }
    let talk = talk(plan, tls, &ask, stream, None).await;
    let failed = |error: &TalkError| ClientOutcome::Failed {
        detail: error.to_string(),
    };
    if let Some(Err(error)) = talk.tls.as_ref().map(|step| &step.outcome) {
        return failed(error);
    }
    match talk.answer.map(|step| step.outcome) {
        Some(Ok(Answer::Page(page))) => ClientOutcome::Done {
            detail: format!("status {}", page.status),
        },
        Some(Ok(Answer::Banner(line))) => ClientOutcome::Done { detail: line },
        Some(Err(error)) => failed(&error),
        None => ClientOutcome::Failed {
            detail: "no answer".to_owned(),
        },
    }
}

/// RFC 8305, section 4: IPv6 first, then one of each family in turn.
fn alternate(wires: &[IpAddr]) -> Vec<IpAddr> {
    let (mut v6, mut v4): (Vec<IpAddr>, Vec<IpAddr>) =
        wires.iter().partition(|wire| wire.is_ipv6());
    v6.reverse();
    v4.reverse();
    let mut order = Vec::new();
    while !v6.is_empty() || !v4.is_empty() {
        order.extend(v6.pop());
        order.extend(v4.pop());
    }
    order
}

/// RFC 8305, section 5: the next attempt starts when the delay is over or the running ones have failed.
async fn race(
    order: &[IpAddr],
    port: u16,
    seen: &mut ClientObservation,
    begun: Instant,
) -> Option<(TcpStream, Family)> {
    let mut waiting = order.iter().copied();
    let mut running = FuturesUnordered::new();
    let mut next_start = begun;
    loop {
        tokio::select! {
            biased;
            Some((family, result)) = running.next() => match result {
                Ok(stream) => return Some((stream, family)),
                Err(_) => next_start = Instant::now(),
            },
            () = sleep(next_start.saturating_duration_since(Instant::now())), if waiting.len() > 0 => {
                let Some(wire) = waiting.next() else { continue };
                let family = Family::of(wire);
                let first = match family {
                    Family::V4 => &mut seen.first_v4,
                    Family::V6 => &mut seen.first_v6,
                };
                first.get_or_insert(begun.elapsed());
                running.push(async move { (family, tcp::connect(SocketAddr::new(wire, port), None).await) });
                next_start = Instant::now() + ATTEMPT_DELAY;
            }
            else => return None,
        }
    }
}

/// The user's command.
async fn external(plan: &Plan, command: &[String], port: u16) -> ClientObservation {
    let at = plan.now();
    let ask = port::ask(plan, port);
    let fill = |word: &String| {
        word.replace("{url}", &ask.link.to_string())
            .replace("{host}", &plan.host)
            .replace("{port}", &port.to_string())
    };
    let words: Vec<String> = command.iter().map(fill).collect();
    let mut seen = ClientObservation {
        client: command.join(" "),
        port,
        at,
        took: Duration::ZERO,
        outcome: ClientOutcome::NotStarted {
            why: "the command is empty".to_owned(),
        },
        family: None,
        first_v4: None,
        first_v6: None,
        status: None,
    };
    let Some((program, arguments)) = words.split_first() else {
        return seen;
    };
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A group of its own: what the command starts is found, and stopped, with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            seen.outcome = ClientOutcome::NotStarted {
                why: error.to_string(),
            };
            return seen;
        }
    };
    let group = child.id();
    let printed = child
        .stdout
        .take()
        .map(|stdout| tokio::spawn(last_words(stdout)));
    let begun = Instant::now();
    let watching = async {
        let Some(group) = group else {
            return std::future::pending().await;
        };
        loop {
            let look = Instant::now();
            sockets::look(group, port, begun.elapsed(), &mut seen);
            // On a machine with many processes a look costs milliseconds; it must not take the client's processor.
            sleep(WATCH.max(look.elapsed() * 4)).await;
        }
    };
    let ended = tokio::select! {
        status = child.wait() => status.ok(),
        () = sleep(BOUND) => None,
        () = watching => None,
    };
    seen.took = plan.now().saturating_sub(at);
    let printed = printed_status(&said(printed).await);
    seen.status = printed.filter(|status| *status != NO_STATUS);
    seen.outcome = match ended {
        // What curl prints when no response came; a script behind it may have thrown its exit status away.
        Some(status) if status.success() && printed == Some(NO_STATUS) => ClientOutcome::Failed {
            detail: "no HTTP status (`000`), though exit status 0".to_owned(),
        },
        Some(status) if status.success() => ClientOutcome::Done {
            detail: seen.status.map_or_else(
                || "exit status 0".to_owned(),
                |status| format!("exit status 0, status {status}"),
            ),
        },
        Some(status) => ClientOutcome::Failed {
            detail: ending(status),
        },
        None => {
            if let Some(group) = group {
                sockets::stop(group);
            }
            child.wait().await.ok();
            ClientOutcome::Stopped
        }
    };
    seen
}

/// The end of what a command prints; all of it is read, so that it never waits for us.
async fn last_words(mut stdout: ChildStdout) -> Vec<u8> {
    let mut end = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length) = stdout.read(&mut buffer).await {
        if length == 0 {
            break;
        }
        end.extend_from_slice(buffer.get(..length).unwrap_or_default());
        let surplus = end.len().saturating_sub(LAST_WORDS);
        end.drain(..surplus);
    }
    end
}

/// What was printed. Something that the command left running may keep its output open; it is not waited for.
async fn said(reader: Option<JoinHandle<Vec<u8>>>) -> Vec<u8> {
    let Some(mut reader) = reader else {
        return Vec::new();
    };
    if let Ok(printed) = timeout(Duration::from_millis(200), &mut reader).await {
        printed.unwrap_or_default()
    } else {
        reader.abort();
        Vec::new()
    }
}

/// The HTTP status at the end of a command's output: a word of three digits. `000` is [`NO_STATUS`].
fn printed_status(output: &[u8]) -> Option<u16> {
    let word = output
        .split(u8::is_ascii_whitespace)
        .rfind(|word| !word.is_empty())?;
    let digits = word.len() == 3 && word.iter().all(u8::is_ascii_digit);
    let status = std::str::from_utf8(word).ok()?.parse().ok()?;
    (digits && (status == NO_STATUS || (100..600).contains(&status))).then_some(status)
}

fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_alternate_beginning_with_v6() {
        let addresses = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| text.parse().unwrap())
                .collect::<Vec<IpAddr>>()
        };
        assert_eq!(
            alternate(&addresses(&[
                "192.0.2.1",
                "192.0.2.2",
                "2e00::1",
                "2e00::2",
                "2e00::3"
            ])),
            addresses(&["2e00::1", "192.0.2.1", "2e00::2", "192.0.2.2", "2e00::3"])
        );
    }
    #[test]
    fn a_status_is_the_last_word_if_it_looks_like_one() {
        let check = |output: &str, expected| {
            assert_eq!(printed_status(output.as_bytes()), expected, "{output:?}");
        };
        check("200", Some(200));
        check("<html>...</html>\n503\n", Some(503));
        check("000", Some(NO_STATUS));
        check("", None);
        check("done", None);
        check("1200", None);
        check("099", None);
        check("+20", None);
        check("600", None);
    }
}
