//! `twinstack connect`: one race, drawn.

mod picture;

use crate::arguments::Format;
use crate::environment::Environment;
use crate::render::text::{Line, Style, paint};
use anyhow::Context as _;
use clap::Args;
use picture::{attempts, draw, questions};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use twinstack_dial::{DialError, Dialer, DnsResolver, Family, RaceReport, Resolver, Tls};

/// What `connect` can be told.
#[derive(Args, Debug)]
#[group(skip)]
#[command(after_help = "\
Exit status:
  0    connected
  1    the name does not exist, or no attempt connected
  2    could not look: no network, no name server answered
  64   wrong usage")]
pub(crate) struct ConnectArguments {
    /// A name or an address
    #[arg(required_unless_present = "replay")]
    host: Option<String>,
    /// A port
    #[arg(required_unless_present = "replay", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// A connection counts once its TLS handshake is done
    #[arg(long)]
    tls: bool,
    /// ALPN protocols to offer, most wanted first
    #[arg(long, value_name = "ID", value_delimiter = ',', requires = "tls")]
    alpn: Vec<String>,
    /// Ask these servers record by record, instead of the system's resolver; repeatable
    ///
    /// Without a value those of /etc/resolv.conf. HTTPS records are asked for with `--tls`.
    #[arg(long, value_name = "SERVER[:PORT]", num_args = 0..=1, default_missing_value = "system",
        value_parser = server)]
    dns: Vec<Server>,
    /// Delay between two attempts: `250ms`
    #[arg(long, value_name = "DURATION", default_value = "250ms", value_parser = crate::arguments::duration)]
    attempt_delay: Duration,
    /// How long the first addresses wait for the preferred family's
    #[arg(long, value_name = "DURATION", default_value = "50ms", value_parser = crate::arguments::duration)]
    resolution_delay: Duration,
    /// The family to try first, whatever RFC 6724 says
    #[arg(long, value_enum)]
    prefer: Option<FamilyName>,
    /// How long the dial may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = crate::arguments::duration)]
    timeout: Duration,
    /// Writes the race as text into this file, to be replayed
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Draws a race that was recorded, and connects to nobody
    ///
    /// The machine is given the same answers and results at the same times again; what it decides otherwise than it did
    /// then is an error.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["host", "port", "tls", "dns", "prefer", "record"])]
    replay: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// A family in the words of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FamilyName {
    /// IPv6 first
    V6,
    /// IPv4 first
    V4,
}

/// A DNS server, or those of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    System,
    Address(SocketAddr),
}

fn server(text: &str) -> Result<Server, String> {
    if text == "system" {
        return Ok(Server::System);
    }
    crate::arguments::dns_server(text).map(Server::Address)
}

const CONNECTED: u8 = 0;
const NOT_CONNECTED: u8 = 1;
const COULD_NOT: u8 = 2;

/// Runs `connect` and returns its exit status.
pub(crate) fn run(
    arguments: &ConnectArguments,
    environment: &mut Environment<'_>,
) -> anyhow::Result<u8> {
    if let Some(path) = &arguments.replay {
        let recorded = std::fs::read_to_string(path)
            .with_context(|| format!("reading the race `{}`", path.display()))?;
        let report = RaceReport::replay(&recorded)
            .with_context(|| format!("replaying the race `{}`", path.display()))?;
        show(&report, arguments.format, environment)?;
        let connected = report.winner().is_some();
        return Ok(if connected { CONNECTED } else { NOT_CONNECTED });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the connection")?;
    let result = runtime.block_on(race(arguments))?;
    // Look-ups that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    let (report, status, error) = match result {
        Ok(report) => (report, CONNECTED, None),
        Err(error) => {
            let status = status_of(&error);
            match error.report() {
                Some(report) => (report.clone(), status, Some(error)),
                None => return Err(error).context("connecting"),
            }
        }
    };
    if let Some(path) = &arguments.record {
        std::fs::write(path, report.record())
            .with_context(|| format!("writing the race to `{}`", path.display()))?;
    }
    show(&report, arguments.format, environment)?;
    if let Some(error) = error {
        environment.stderr.print(&format!("error: {error}\n"))?;
    }
    Ok(status)
}

fn show(
    report: &RaceReport,
    format: Format,
    environment: &mut Environment<'_>,
) -> anyhow::Result<()> {
    let text = match format {
        Format::Json => {
            serde_json::to_string_pretty(report).context("writing the report as JSON")? + "\n"
        }
        Format::Human => paint(&human(report, environment.width), environment.stdout.colour),
    };
    environment.stdout.print(&text)
}

async fn race(arguments: &ConnectArguments) -> anyhow::Result<Result<RaceReport, DialError>> {
    let mut builder = Dialer::builder()
        .attempt_delay(arguments.attempt_delay)
        .resolution_delay(arguments.resolution_delay)
        .overall_deadline(Some(arguments.timeout))
        .resolver(resolver(&arguments.dns)?);
    if let Some(family) = arguments.prefer {
        builder = builder.prefer(match family {
            FamilyName::V6 => Family::V6,
            FamilyName::V4 => Family::V4,
        });
    }
    let dialer = builder.build();
    let (Some(host), Some(port)) = (&arguments.host, arguments.port) else {
        anyhow::bail!("a host and a port are needed");
    };
    let target = (host.as_str(), port);
    if !arguments.tls {
        return Ok(dialer
            .connect(target)
            .await
            .map(|connection| connection.report));
    }
    let tls = Tls::native()
        .context("reading whom this machine trusts")?
        .alpn(arguments.alpn.iter().map(String::as_str));
    Ok(dialer
        .connect_tls(target, &tls)
        .await
        .map(|connection| connection.report))
}

fn resolver(servers: &[Server]) -> anyhow::Result<Resolver> {
    let addresses: Vec<SocketAddr> = servers
        .iter()
        .filter_map(|server| match server {
            Server::Address(address) => Some(*address),
            Server::System => None,
        })
        .collect();
    Ok(match (servers.is_empty(), addresses.is_empty()) {
        (true, _) => Resolver::system(),
        (false, true) => Resolver::dns(DnsResolver::system().context("reading /etc/resolv.conf")?),
        (false, false) => {
            Resolver::dns(DnsResolver::servers(addresses).context("asking the named servers")?)
        }
    })
}

fn status_of(error: &DialError) -> u8 {
    match error.kind() {
        std::io::ErrorKind::NetworkUnreachable => COULD_NOT,
        _ if nobody_answered(error) => COULD_NOT,
        _ => NOT_CONNECTED,
    }
}

/// Nothing was tried because no name server said anything: the service may be all right.
fn nobody_answered(error: &DialError) -> bool {
    error.report().is_some_and(|report| {
        report.attempts().is_empty()
            && report
                .queries()
                .iter()
                .all(|query| matches!(query.outcome, "failed" | "pending"))
    })
}

/// The race for people.
fn human(report: &RaceReport, columns: usize) -> Vec<Line> {
    let elapsed = report.elapsed().as_secs_f64();
    let asked = report.queries();
    let tried = report.attempts();
    let mut lanes = questions(&asked);
    lanes.extend(attempts(&tried));
    let mut text = vec![
        Line::styled(Style::Strong, report.target()),
        Line::default(),
    ];
    text.extend(draw(&lanes, elapsed, columns));
    text.push(Line::default());
    for attempt in &tried {
        let words = format!("{}  {}; {}", attempt.id, attempt.cause, attempt.order);
        text.extend(Line::plain(format!("  {words}")).wrap(columns, 5));
    }
    if !tried.is_empty() {
        text.push(Line::default());
    }
    if let Some(silent) = report.silent_failure() {
        let words = format!(
            "{} was silent ({}) and was waited for {:.0} ms: whoever does not fall back hangs here",
            family(silent.family),
            stage(silent.stage),
            silent.waited_seconds * 1000.0
        );
        text.extend(Line::styled(Style::Caution, words).wrap(columns, 0));
    }
    text.push(match report.winner() {
        Some(_) => Line::styled(Style::Good, report.to_string()),
        None => Line::styled(Style::Bad, report.to_string()),
    });
    text
}

fn family(word: &str) -> &str {
    match word {
        "ipv6" => "IPv6",
        "ipv4" => "IPv4",
        other => other,
    }
}

fn stage(word: &str) -> &str {
    match word {
        "dns" => "its question was not answered",
        "connect" => "no reply at all",
        "handshake" => "TCP connected, and then nothing",
        other => other,
    }
}
