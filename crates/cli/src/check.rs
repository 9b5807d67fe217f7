//! `twinstack check`: several targets at once, one report each, one exit status.

use crate::arguments::{CheckArguments, ReportFormat, targets_in_file};
use crate::environment::Environment;
use crate::render;
use anyhow::Context as _;
use futures_util::stream::{self, StreamExt as _};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::Duration;
use twinstack_check::options::Target;
use twinstack_check::report::Verdict;
use twinstack_check::via::Via;
use twinstack_check::{Options, Report};

/// Targets looked at in the same moment. Each of them opens some dozens of sockets at once.
const AT_ONCE: usize = 8;

/// Wrong usage.
const USAGE: u8 = 64;

/// Runs the command and returns its exit status.
pub(crate) fn run(
    arguments: &CheckArguments,
    environment: &mut Environment<'_>,
) -> anyhow::Result<u8> {
    let Some(targets) = targets(arguments, environment)? else {
        return Ok(USAGE);
    };
    // A file says "a list" even when it holds one line: what reads the output must not depend on the count.
    let list = targets.len() > 1 || arguments.targets.is_some();
    let options: Vec<Options> = targets
        .into_iter()
        .map(|target| options(target, arguments))
        .collect();
    let reports = look(&options, &via(arguments), environment)?;
    let text = match arguments.format {
        ReportFormat::Human => {
            let lines = render::human::reports(&reports, environment.text_width());
            render::text::paint(&lines, environment.stdout.colour)
        }
        ReportFormat::Json => render::json::reports(&reports, list)?,
        ReportFormat::Junit => render::junit::reports(&reports),
    };
    environment.stdout.print(&text)?;
    Ok(reports
        .iter()
        .map(|report| exit_status(report.verdict))
        .min_by_key(|it| weight(*it))
        .unwrap_or(2))
}

/// Everything to look at, or `None` after the errors were printed.
fn targets(
    arguments: &CheckArguments,
    environment: &mut Environment<'_>,
) -> anyhow::Result<Option<Vec<Target>>> {
    let mut targets = arguments.target.clone();
    if let Some(path) = &arguments.targets {
        let file = if path.as_os_str() == "-" {
            "standard input".to_owned()
        } else {
            path.display().to_string()
        };
        let read = if path.as_os_str() == "-" {
            std::io::read_to_string(&mut *environment.stdin)
        } else {
            std::fs::read_to_string(path)
        };
        let text = read.with_context(|| format!("cannot read the targets in `{file}`"))?;
        match targets_in_file(&file, &text) {
            Ok(more) => targets.extend(more),
            Err(errors) => {
                for error in errors {
                    environment.stderr.print(&format!("error: {error}\n"))?;
                }
                return Ok(None);
            }
        }
    }
    Ok(Some(targets))
}

fn options(target: Target, arguments: &CheckArguments) -> Options {
    Options {
        ports: arguments.port.clone(),
        profile: arguments.profile.into(),
        expect_v6: arguments.expect_v6.clone(),
        expect_ptr: arguments.expect_ptr.clone(),
        resolvers: arguments.dns.clone(),
        doh: arguments.doh.clone(),
        allow_v4_only: arguments.allow_v4_only,
        local: arguments.local,
        client: arguments.client.as_ref().map(|client| client.0.clone()),
        timeout: arguments.timeout,
        max_ttl: arguments.max_ttl,
        ..Options::new(target)
    }
}

/// The other machines, each with the command that reaches it.
fn via(arguments: &CheckArguments) -> Vec<Via> {
    let with = |host: &String| match &arguments.via_command {
        None => Via::ssh(host),
        Some(command) => Via {
            host: host.clone(),
            command: command
                .0
                .iter()
                .map(|word| word.replace("{host}", host))
                .collect(),
        },
    };
    arguments.via.iter().map(with).collect()
}

/// Looks at all targets, a few at once, and keeps their order.
fn look(
    options: &[Options],
    via: &[Via],
    environment: &mut Environment<'_>,
) -> anyhow::Result<Vec<Report>> {
    let progress = progress(options, environment.stderr.is_terminal);
    let checker = environment.checker;
    let looking = async {
        let mut reports: Vec<(usize, Report)> = stream::iter(options.iter().enumerate())
            .map(|(place, options)| async move { (place, checker.check(options, via).await) })
            .buffer_unordered(AT_ONCE)
            .inspect(|(_, report)| {
                progress.inc(1);
                progress.set_message(report.target.clone());
            })
            .collect()
            .await;
        reports.sort_by_key(|(place, _)| *place);
        reports.into_iter().map(|(_, report)| report).collect()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    let reports = runtime.block_on(looking);
    progress.finish_and_clear();
    Ok(reports)
}

/// A bar over several targets, a spinner for one; nothing unless somebody watches.
fn progress(options: &[Options], watched: bool) -> ProgressBar {
    if !watched {
        return ProgressBar::hidden();
    }
    let count = u64::try_from(options.len()).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(count), ProgressDrawTarget::stderr());
    let template = match options {
        [_] => "{spinner} {msg} {elapsed}",
        _ => "{bar:30} {pos} of {len}  {elapsed}  {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    if let [one] = options {
        bar.set_message(format!("looking at {}", one.target.text));
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// 0 fine, 1 problems found, 2 could not look.
const fn exit_status(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Ready => 0,
        Verdict::ReadyWithWarnings | Verdict::NotReady | Verdict::NoSuchName => 1,
        Verdict::Unknown => 2,
    }
}

/// Of several targets a known problem counts most, then a target that could not be looked at.
const fn weight(status: u8) -> u8 {
    match status {
        1 => 0,
        2 => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_problem_counts_more_than_an_unknown() {
        let check = |verdicts: &[Verdict], expected| {
            let worst = verdicts
                .iter()
                .map(|it| exit_status(*it))
                .min_by_key(|it| weight(*it));
            assert_eq!(worst, Some(expected), "{verdicts:?}");
        };
        check(&[Verdict::Ready], 0);
        check(&[Verdict::Ready, Verdict::Unknown], 2);
        check(
            &[Verdict::Unknown, Verdict::ReadyWithWarnings, Verdict::Ready],
            1,
        );
        check(&[Verdict::NoSuchName], 1);
    }
}
