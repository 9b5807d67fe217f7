//! Other vantages: the same check on another machine, by `ssh HOST twinstack check`, and the reports as one.
//!
//! The other machine is asked for the JSON of its report, which is read with a bound and checked before it is believed.
//! A vantage that fails is a vantage that could not look; the others stand.

use crate::options::{Options, Profile};
use crate::report::{HERE, Report, SCHEMA, Verdict};
use futures_util::future::{join, join_all, try_join};
use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use twinstack_finding::Skipped;

/// The largest report that is read, in bytes. One with 16 addresses and 10 ports has some 200 kB.
const LARGEST: u64 = 8 * 1024 * 1024;
/// How much of what the other side says on stderr is kept.
const COMPLAINT: u64 = 4096;
/// How much of it is listened to.
const LONGEST_COMPLAINT: u64 = 1024 * 1024;

/// A machine to look from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// Its name in the report, and for ssh.
    pub host: String,
    /// The command that runs the check there: `{command}` stands for the whole command line as one word, quoted for a
    /// shell; `{arguments}` for `twinstack`'s arguments as words of their own.
    pub command: Vec<String>,
}

impl Via {
    /// By ssh, without asking for passwords.
    pub fn ssh(host: &str) -> Self {
        let command = [
            "ssh",
            "-oBatchMode=yes",
            "-oConnectTimeout=10",
            "--",
            host,
            "{command}",
        ];
        Self {
            host: host.to_owned(),
            command: command.map(str::to_owned).into(),
        }
    }
}

/// Checks from here and from every machine in `via` at the same time, and merges the reports.
///
/// With any `via`, `--local` is about those machines: it is passed on and not applied here. So the server looks for answers
/// that get lost while this machine connects to it.
pub async fn check_from(options: &Options, via: &[Via]) -> Report {
    if via.is_empty() {
        return crate::check(options).await;
    }
    let here = Options {
        local: false,
        ..options.clone()
    };
    let far = via.iter().map(|via| async move {
        let started = Instant::now();
        match look(options, via).await {
            Ok(report) => report,
            Err(error) => unseen(options, via, &error, started.elapsed()),
        }
    });
    let (near, far) = join(crate::check(&here), join_all(far)).await;
    let fallback = near.clone();
    let reports = std::iter::once(near).chain(far).collect();
    Report::merge(reports).unwrap_or(fallback)
}

/// Runs the check there and reads its report.
async fn look(options: &Options, via: &Via) -> Result<Report, ViaError> {
    if via.host.starts_with('-') || via.host.chars().any(char::is_whitespace) || via.host.is_empty()
    {
        return Err(ViaError::Host);
    }
    let argv = argv(&via.command, &arguments(options));
    let (program, rest) = argv.split_first().ok_or(ViaError::NoCommand)?;
    let mut child = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|cause| ViaError::Start {
            program: program.to_string_lossy().into_owned(),
            cause,
        })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let patience = patience(options);
    let finished = async {
        // Whichever has too much to say ends both; the program is killed when `child` goes.
        let (text, complaint) = try_join(report(stdout), complaint(stderr)).await?;
        Ok((text, complaint, child.wait().await))
    };
    let (text, complaint, status) = tokio::time::timeout(patience, finished)
        .await
        .map_err(|_| ViaError::Timeout { patience })??;
    parse(&text, via).map_err(|error| match status {
        // Without a report the complaint says more than the parser.
        Ok(status) if !status.success() || text.is_empty() => ViaError::Failed {
            status,
            complaint: last_line(&complaint),
        },
        _ => error,
    })
}

/// The other machine has to look up, connect and wait as we do, and ssh needs its time too.
fn patience(options: &Options) -> Duration {
    Duration::from_secs(30) + options.timeout * 6
}

/// Reads a report. One that is too large is not read to its end, which may never come.
async fn report(stream: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, ViaError> {
    let mut text = Vec::new();
    if let Some(stream) = stream {
        let mut bounded = stream.take(LARGEST + 1);
        bounded
            .read_to_end(&mut text)
            .await
            .map_err(ViaError::Read)?;
        if bounded.limit() == 0 {
            return Err(ViaError::TooLarge);
        }
    }
    Ok(text)
}

/// The beginning of what is said on stderr; the rest is thrown away so that the writer ends, up to a limit.
async fn complaint(stream: Option<impl AsyncRead + Unpin>) -> Result<Vec<u8>, ViaError> {
    let mut text = Vec::new();
    if let Some(mut stream) = stream {
        let kept = (&mut stream).take(COMPLAINT).read_to_end(&mut text).await;
        kept.map_err(ViaError::Read)?;
        let mut rest = stream.take(LONGEST_COMPLAINT);
        let thrown_away = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
        thrown_away.map_err(ViaError::Read)?;
        if rest.limit() == 0 {
            return Err(ViaError::Noise {
                complaint: last_line(&text),
            });
        }
    }
    Ok(text)
}

/// Believes a report only if it is one, of our version, about one place.
pub(crate) fn parse(text: &[u8], via: &Via) -> Result<Report, ViaError> {
    /// Enough to see whether the rest can be read at all.
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
    }
    let head: Head = serde_json::from_slice(text).map_err(ViaError::NoReport)?;
    if head.schema != SCHEMA {
        return Err(ViaError::Schema { found: head.schema });
    }
    let mut report: Report = serde_json::from_slice(text).map_err(ViaError::NoReport)?;
    let named = |vantage: &str| {
        if vantage == HERE {
            via.host.clone()
        } else {
            format!("{} via {}", vantage, via.host)
        }
    };
    report.vantages = report
        .vantages
        .iter()
        .map(|vantage| named(vantage))
        .collect();
    if report.vantages.is_empty() {
        report.vantages.push(via.host.clone());
    }
    for row in &mut report.table {
        row.vantage = named(&row.vantage);
    }
    for answer in &mut report.answers {
        answer.vantage = named(&answer.vantage);
    }
    Ok(report)
}

/// A vantage that could not look.
fn unseen(options: &Options, via: &Via, error: &ViaError, elapsed: Duration) -> Report {
    Report {
        schema: SCHEMA.to_owned(),
        target: options.target.text.clone(),
        vantages: vec![via.host.clone()],
        verdict: Verdict::Unknown,
        elapsed_seconds: elapsed.as_secs_f64(),
        answers: Vec::new(),
        table: Vec::new(),
        client: None,
        findings: Vec::new(),
        skipped: vec![Skipped {
            what: "all checks".to_owned(),
            why: error.to_string(),
        }],
        notes: Vec::new(),
    }
}

/// `twinstack`'s arguments for the same check there. The timed client stays here: it is this machine's program.
fn arguments(options: &Options) -> Vec<String> {
    let mut arguments = vec!["check".to_owned(), "--format=json".to_owned()];
    let mut add = |flag: &str, value: &dyn std::fmt::Display| {
        arguments.push(format!("--{flag}={value}"));
    };
    let profile = match options.profile {
        Profile::Web => "web",
        Profile::Mail => "mail",
        Profile::Tcp => "tcp",
    };
    add("profile", &profile);
    for port in &options.ports {
        add("port", port);
    }
    for address in &options.expect_v6 {
        add("expect-v6", address);
    }
    if let Some(name) = &options.expect_ptr {
        add("expect-ptr", name);
    }
    for resolver in &options.resolvers {
        add("dns", resolver);
    }
    for url in &options.doh {
        add("doh", url);
    }
    add(
        "timeout",
        &format_args!("{}ms", options.timeout.as_millis()),
    );
    add("max-ttl", &format_args!("{}s", options.max_ttl.as_secs()));
    if options.allow_v4_only {
        arguments.push("--allow-v4-only".to_owned());
    }
    if options.local {
        arguments.push("--local".to_owned());
    }
    arguments.push("--".to_owned());
    arguments.push(options.target.text.clone());
    arguments
}

fn argv(template: &[String], arguments: &[String]) -> Vec<OsString> {
    let mut argv: Vec<OsString> = Vec::new();
    for word in template {
        match word.as_str() {
            "{arguments}" => argv.extend(arguments.iter().map(OsString::from)),
            "{command}" => {
                let words =
                    std::iter::once("twinstack").chain(arguments.iter().map(String::as_str));
                let words: Vec<String> = words.map(quoted).collect();
                argv.push(words.join(" ").into());
            }
            _ => argv.push(word.into()),
        }
    }
    argv
}

/// A word that any Bourne shell reads back as it is.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The last line with something in it: ssh and shells say there what went wrong.
fn last_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it said nothing")
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}

/// Why a vantage could not look.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViaError {
    /// A host that ssh would take for an option.
    #[error("not a host name that ssh could use")]
    Host,
    /// An empty template.
    #[error("no command to run")]
    NoCommand,
    /// The program could not be started.
    #[error("cannot start `{program}`: {cause}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It did not end in time.
    #[error("no report within {} s", patience.as_secs())]
    Timeout {
        /// The limit.
        patience: Duration,
    },
    /// Its output could not be read.
    #[error("its output cannot be read: {0}")]
    Read(#[source] io::Error),
    /// It ended without a report.
    #[error("it ended with {status} and no report: {complaint}")]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The last line on its stderr.
        complaint: String,
    },
    /// More than the limit.
    #[error("its report is larger than {} MiB", LARGEST / 1024 / 1024)]
    TooLarge,
    /// Endless talk on stderr.
    #[error("it says more than {} MiB on standard error: {complaint}", LONGEST_COMPLAINT / 1024 / 1024)]
    Noise {
        /// A line of it.
        complaint: String,
    },
    /// Another version of the report.
    #[error(
        "its report is `{found}`, and `{SCHEMA}` is needed: is the same twinstack installed there?"
    )]
    Schema {
        /// What it says.
        found: String,
    },
    /// Not JSON, or not a report's.
    #[error("what it printed is no report: {0}")]
    NoReport(#[source] serde_json::Error),
}

#[cfg(test)]
mod tests;
