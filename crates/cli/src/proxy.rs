//! `twinstack proxy`: Happy Eyeballs for every program that can be given a proxy or an address.

use crate::arguments::duration;
use crate::environment::Environment;
use anyhow::Context as _;
use clap::Args;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use twinstack_proxy::run::Prefix;
use twinstack_proxy::serve::{Access, Forward, Limits, Options, Role, ServeError, Server};

/// SOCKS5, HTTP CONNECT and plain forwards, dialled by name with Happy Eyeballs.
#[derive(Args, Debug)]
#[group(skip)]
#[command(after_help = "\
Examples:
  twinstack proxy --listen 127.0.0.1:1080
  curl --proxy socks5h://127.0.0.1:1080 https://www.example.com/
  twinstack proxy --forward 5432=db.example.com:5432 --metrics 127.0.0.1:9090

Exit status:
  0    stopped by SIGINT or SIGTERM
  2    could not listen
  64   wrong usage")]
pub(crate) struct ProxyArguments {
    /// Where to speak SOCKS5 and HTTP CONNECT; repeatable [default: 127.0.0.1:1080 without --forward]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Vec<SocketAddr>,
    /// A listener that leads to one destination; repeatable
    ///
    /// LPORT alone listens on 127.0.0.1; an address may stand before it: `[::1]:8443=www.example.com:443`.
    #[arg(long, value_name = "[ADDR:]LPORT=HOST:PORT", value_parser = forward)]
    forward: Vec<Forward>,
    /// Where to serve `/metrics` for Prometheus
    #[arg(long, value_name = "ADDR:PORT")]
    metrics: Option<SocketAddr>,
    /// A local prefix that may be connected to all the same; repeatable
    ///
    /// Loopback, link-local and multicast addresses and those of this host are refused, whatever name leads to them.
    #[arg(long, value_name = "PREFIX")]
    allow: Vec<Prefix>,
    /// Every address may be connected to
    #[arg(long, conflicts_with = "allow")]
    allow_all: bool,
    /// Delay between two attempts
    #[arg(long, value_name = "DURATION", default_value = "250ms", value_parser = duration)]
    attempt_delay: Duration,
    /// How many connections at a time; more wait in the kernel's queue
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = connections)]
    max_connections: usize,
    /// The longest request (SOCKS or HTTP head) in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 8192)]
    max_request: usize,
    /// How long a client may take to say where it wants to go
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    request_timeout: Duration,
    /// How long a dial may take
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    dial_timeout: Duration,
    /// Ends a connection on which nothing came from either side for this long; 0 for never
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = duration)]
    idle_timeout: Duration,
    /// Ends a connection after this long; 0 for never
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = duration)]
    total_timeout: Duration,
    /// How long open connections may go on after SIGTERM or SIGINT; a second signal ends them at once
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    grace: Duration,
    /// Appends each dial to this file, a line of JSON each (schema/proxy-1.json)
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one connection".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("a number of connections, such as 1000".to_owned()),
    }
}

/// `8080=www.example.com:80`.
fn forward(text: &str) -> Result<Forward, String> {
    let shape = "such as `8443=www.example.com:443` or `[::1]:8443=www.example.com:443`";
    let (listen, destination) = text
        .split_once('=')
        .ok_or_else(|| format!("no `=` in it; {shape}"))?;
    let listen = match listen.parse::<u16>() {
        Ok(port) => SocketAddr::from((IpAddr::from(Ipv4Addr::LOCALHOST), port)),
        Err(_) => listen.parse().map_err(|_| {
            format!("`{listen}` is neither a port nor an address with a port; {shape}")
        })?,
    };
    let (host, port) = destination
        .rsplit_once(':')
        .ok_or_else(|| format!("`{destination}` has no port; {shape}"))?;
    let port = match port.parse() {
        Ok(0) | Err(_) => return Err(format!("`{port}` is no port; {shape}")),
        Ok(port) => port,
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    if host.is_empty() || (bare.is_none() && host.contains(':')) {
        return Err(format!(
            "`{host}` is no host: IPv6 addresses go in brackets; {shape}"
        ));
    }
    Ok(Forward {
        listen,
        host: bare.unwrap_or(host).to_owned(),
        port,
    })
}

/// Could not listen.
const COULD_NOT: u8 = 2;

/// Runs `proxy` until it is told to stop, and returns its exit status.
pub(crate) fn run(
    arguments: ProxyArguments,
    environment: &mut Environment<'_>,
) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("starting the proxy's threads")?;
    runtime.block_on(serve(arguments, environment))
}

async fn serve(arguments: ProxyArguments, environment: &mut Environment<'_>) -> anyhow::Result<u8> {
    let options = options(arguments)?;
    let grace = options.limits.grace;
    let server = match Server::bind(options) {
        Ok(server) => server,
        Err(error @ ServeError::Listen { .. }) => {
            environment.stderr.print(&format!("error: {error}\n"))?;
            return Ok(COULD_NOT);
        }
        Err(error) => return Err(error.into()),
    };
    let mut stop = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    for (address, role) in server.addresses() {
        let line = match role {
            Role::Proxy => format!("SOCKS5 and HTTP CONNECT on {address}\n"),
            Role::Forward(host, port) if host.contains(':') => {
                format!("{address} leads to [{host}]:{port}\n")
            }
            Role::Forward(host, port) => format!("{address} leads to {host}:{port}\n"),
            Role::Metrics => format!("metrics on http://{address}/metrics\n"),
        };
        environment.stderr.print(&line)?;
        if !address.ip().is_loopback() && *role == Role::Proxy {
            environment.stderr.print(&format!(
                "warning: {address} can be reached by others, and the proxy asks nobody for a password\n"
            ))?;
        }
    }
    let (told, asked) = tokio::sync::oneshot::channel::<()>();
    let serving = server.run(async {
        // The sender is gone only if we are.
        drop(asked.await);
    });
    tokio::pin!(serving);
    tokio::select! {
        _ = stop.recv() => {}
        _ = interrupt.recv() => {}
        _ = &mut serving => return Ok(0),
    }
    environment.stderr.print(&format!(
        "stopping: open connections have {:.0} s to end\n",
        grace.as_secs_f64()
    ))?;
    drop(told);
    let cut = tokio::select! {
        stopped = &mut serving => stopped.cut,
        _ = stop.recv() => 0,
        _ = interrupt.recv() => 0,
    };
    if cut > 0 {
        environment
            .stderr
            .print(&format!("{cut} connections were cut off\n"))?;
    }
    Ok(0)
}

fn options(arguments: ProxyArguments) -> anyhow::Result<Options> {
    let report = arguments
        .report
        .map(|path| {
            File::options()
                .create(true)
                .append(true)
                .open(&path)
                .with_context(|| format!("opening the report `{}`", path.display()))
        })
        .transpose()?;
    let mut listen = arguments.listen;
    if listen.is_empty() && arguments.forward.is_empty() {
        listen.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 1080)));
    }
    let mut limits = Limits::default();
    limits.connections = arguments.max_connections;
    limits.request_bytes = arguments.max_request;
    limits.request_time = arguments.request_timeout;
    limits.dial_time = arguments.dial_timeout;
    limits.idle_time = Some(arguments.idle_timeout).filter(|time| !time.is_zero());
    limits.total_time = Some(arguments.total_timeout).filter(|time| !time.is_zero());
    limits.grace = arguments.grace;
    Ok(Options {
        listen,
        forwards: arguments.forward,
        metrics: arguments.metrics,
        limits,
        access: Access {
            allow: arguments.allow,
            allow_all: arguments.allow_all,
        },
        dialer: twinstack_dial::Dialer::builder().attempt_delay(arguments.attempt_delay),
        report,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_is_a_listener_and_a_destination() {
        let made = forward("8443=www.example.com:443").unwrap();
        let listen = "127.0.0.1:8443".parse().unwrap();
        assert_eq!(
            made,
            Forward {
                listen,
                host: "www.example.com".to_owned(),
                port: 443
            }
        );
        let made = forward("[::1]:80=[2001:db8::1]:8080").unwrap();
        let listen = "[::1]:80".parse().unwrap();
        assert_eq!(
            made,
            Forward {
                listen,
                host: "2001:db8::1".to_owned(),
                port: 8080
            }
        );
    }

    #[test]
    fn a_forward_that_is_none_says_what_is_wrong() {
        for (text, says) in [
            ("8443", "no `=`"),
            ("x=www.example.com:443", "neither a port nor an address"),
            ("8443=www.example.com", "has no port"),
            ("8443=www.example.com:0", "is no port"),
            ("8443=www.example.com:70000", "is no port"),
            ("8443=2001:db8::1:443", "brackets"),
            ("8443=:443", "is no host"),
        ] {
            let error = forward(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
