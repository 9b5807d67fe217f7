//! HTTP as far as a proxy for CONNECT needs it (RFC 9110 section 9.3.6), and for the metrics: heads in, answers out. Pure.

/// A request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// `CONNECT`, `GET`, ...
    pub(crate) method: String,
    /// `example.com:443`, `/metrics`, ...
    pub(crate) target: String,
}

/// What a part of the client's bytes amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// More is needed.
    Partial,
    /// A head, with the number of bytes that it took.
    Complete(Head, usize),
    /// No HTTP/1 head, and why.
    Bad(String),
}

/// More header lines than any client of a proxy sends.
const MOST_HEADERS: usize = 100;

/// Reads a request's head.
pub(crate) fn head(bytes: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) => Parsed::Partial,
        Ok(httparse::Status::Complete(length)) => {
            let method = request.method.unwrap_or_default().to_owned();
            let target = request.path.unwrap_or_default().to_owned();
            Parsed::Complete(Head { method, target }, length)
        }
        Err(httparse::Error::TooManyHeaders) => {
            Parsed::Bad(format!("more than {MOST_HEADERS} header lines"))
        }
        Err(error) => Parsed::Bad(error.to_string()),
    }
}

/// The answer to a CONNECT that worked: from here on the connection is the tunnel.
pub(crate) const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// An answer with a text, after which the connection is closed.
pub(crate) fn answer(status: u16, phrase: &str, kind: &str, extra: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} {phrase}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n{extra}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// An answer for people.
pub(crate) fn text(status: u16, phrase: &str, body: &str) -> Vec<u8> {
    let body = format!("twinstack proxy: {body}\n");
    let allow = if status == 405 {
        "Allow: CONNECT\r\n"
    } else {
        ""
    };
    answer(status, phrase, "text/plain; charset=utf-8", allow, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_with_its_empty_line() {
        let bytes = b"CONNECT www.example:443 HTTP/1.1\r\nHost: www.example:443\r\n\r\n\x16\x03";
        for length in 0..bytes.len() - 2 {
            assert_eq!(head(&bytes[..length]), Parsed::Partial, "{length} bytes");
        }
        let whole = Head {
            method: "CONNECT".to_owned(),
            target: "www.example:443".to_owned(),
        };
        assert_eq!(head(bytes), Parsed::Complete(whole, bytes.len() - 2));
    }

    #[test]
    fn what_is_no_head_is_said() {
        assert!(matches!(
            head(b"\x16\x03\x01\x00\xa5\x01\x00\x00"),
            Parsed::Bad(_)
        ));
        let many = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "a: b\r\n".repeat(MOST_HEADERS + 1)
        );
        assert_eq!(
            head(many.as_bytes()),
            Parsed::Bad("more than 100 header lines".to_owned())
        );
    }

    #[test]
    fn an_answer_says_how_long_it_is() {
        let answer = String::from_utf8(text(405, "Method Not Allowed", "only CONNECT")).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("Allow: CONNECT"));
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
    }
}
