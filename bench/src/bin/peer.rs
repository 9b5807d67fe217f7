//! Dials once with one of Rust's HTTP clients and prints when the dial ended.
//!
//! usage: `peer hyper-util|reqwest HOST PORT`

use std::time::{SystemTime, UNIX_EPOCH};

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [client, host, port] = words.as_slice() else {
        eprintln!("usage: peer hyper-util|reqwest HOST PORT");
        return std::process::ExitCode::from(64);
    };
    let url = format!("http://{host}:{port}/");
    let done = match client.as_str() {
        "hyper-util" => by_hyper_util(&url).await,
        "reqwest" => by_reqwest(&url).await,
        other => Err(anyhow::anyhow!("`{other}` is no client of this program")),
    };
    let at = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64());
    match done {
        Ok(peer) => {
            println!(
                "{}",
                serde_json::json!({ "ok": true, "at": at, "peer": peer })
            );
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            println!(
                "{}",
                serde_json::json!({ "ok": false, "at": at, "error": format!("{error:#}") })
            );
            std::process::ExitCode::FAILURE
        }
    }
}

async fn by_hyper_util(url: &str) -> anyhow::Result<String> {
    use tower_service::Service as _;
    let mut connector = hyper_util::client::legacy::connect::HttpConnector::new();
    let stream = connector.call(url.parse()?).await?;
    Ok(stream.inner().peer_addr()?.to_string())
}

async fn by_reqwest(url: &str) -> anyhow::Result<String> {
    let response = reqwest::Client::new().get(url).send().await?;
    Ok(response
        .remote_addr()
        .map_or_else(String::new, |address| address.to_string()))
}
