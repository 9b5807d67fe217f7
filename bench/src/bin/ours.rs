//! Dials with our own dialer and prints when each dial ended.
//!
//! usage: `ours dns|system HOST PORT [--tls] [--attempt-delay=MS] [--twice]`

use anyhow::{Context as _, Result, bail};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use twinstack_dial::{DialError, Dialer, DnsResolver, Resolver, Tls};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let usage = "usage: ours dns|system HOST PORT [--tls] [--attempt-delay=MS] [--twice]";
    let resolver = match words.next().context(usage)?.as_str() {
        "dns" => Resolver::dns(DnsResolver::system().context("reading the resolver's settings")?),
        "system" => Resolver::system(),
        _ => bail!(usage),
    };
    let host = words.next().context(usage)?;
    let port: u16 = words.next().context(usage)?.parse().context(usage)?;
    let (mut tls, mut dials) = (None, 1);
    let mut builder = Dialer::builder().resolver(resolver);
    for word in words {
        match word.split_once('=') {
            None if word == "--tls" => tls = Some(Tls::native()?),
            None if word == "--twice" => dials = 2,
            Some(("--attempt-delay", delay)) => {
                builder =
                    builder.attempt_delay(Duration::from_millis(delay.parse().context(usage)?));
            }
            _ => bail!(usage),
        }
    }
    let dialer = builder.build();
    for dial in 0..dials {
        if dial > 0 {
            // What the first dial has left behind (answers on their way) belongs to the first.
            tokio::time::sleep(Duration::from_millis(1200)).await;
        }
        let started = now();
        let result: Result<(), DialError> = match &tls {
            Some(tls) => dialer
                .connect_tls((host.as_str(), port), tls)
                .await
                .map(drop),
            None => dialer.connect((host.as_str(), port)).await.map(drop),
        };
        let line = match result {
            Ok(()) => serde_json::json!({ "ok": true, "at": now(), "started": started }),
            Err(error) => {
                serde_json::json!({ "ok": false, "at": now(), "started": started, "error": error.to_string() })
            }
        };
        println!("{line}");
    }
    Ok(())
}

fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64())
}
