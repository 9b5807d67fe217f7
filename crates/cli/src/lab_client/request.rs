//! The least of HTTP/1.1: one request, and the status of the response.

use super::ClientError;
use super::url::Url;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `HTTP/1.1 200` and no byte more.
const STATUS: usize = 12;

/// Asks for the page and reads the status.
pub(super) async fn status(mut stream: TcpStream, url: &Url) -> Result<u16, ClientError> {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: twinstack-lab\r\nConnection: close\r\n\r\n",
        url.path,
        url.authority()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut line = Vec::with_capacity(STATUS);
    while line.len() < STATUS {
        let missing = u64::try_from(STATUS.saturating_sub(line.len())).unwrap_or(1);
        if (&mut stream).take(missing).read_buf(&mut line).await? == 0 {
            break;
        }
    }
    parse(&line).ok_or(ClientError::NotHttp)
}

fn parse(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line).ok()?;
    let digits = line
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| line.strip_prefix("HTTP/1.0 "))?;
    digits
        .parse()
        .ok()
        .filter(|status| (100..1000).contains(status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_status_line_has_a_status() {
        let check = |line: &str, status| assert_eq!(parse(line.as_bytes()), status, "{line}");
        check("HTTP/1.1 200", Some(200));
        check("HTTP/1.0 404", Some(404));
        check("HTTP/1.1 000", None);
        check("HTTP/1.1 +20", None);
        check("HTTP/1.1", None);
        check("220 mail.lab", None);
        assert_eq!(parse(&[0xff; 12]), None);
    }
}
