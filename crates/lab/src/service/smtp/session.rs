//! One SMTP conversation (RFC 5321) as a machine: bytes in, bytes out.
//!
//! It accepts mail for anybody and throws it away. It is *not* a relay and *not* a mail store: what it is good for
//! is its banner, its answer to EHLO and the round trips of a delivery.

/// RFC 5321 section 4.5.3.1.6: a line of text is at most this long, with its end. Command lines may be shorter only.
const LONGEST_LINE: usize = 1000;

/// RFC 5321 section 4.5.3.1.8: at least this many recipients.
const MOST_RECIPIENTS: usize = 100;

/// RFC 5321 section 4.5.3.1.7 wants at least 64 KiB.
const LARGEST_MESSAGE: usize = 1024 * 1024;

/// Whoever errs this often is no mail client.
const MOST_ERRORS: usize = 20;

/// The server's side of a conversation.
#[derive(Debug)]
pub(crate) struct Session {
    name: String,
    state: State,
    /// The start of the line that is being received, without its end.
    line: Vec<u8>,
    /// How long that line really is.
    line_length: usize,
    errors: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connected,
    Greeted,
    Mail { recipients: usize },
    Data { size: usize },
    Over,
}

impl Session {
    /// A server that calls itself `name`.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            state: State::Connected,
            line: Vec::new(),
            line_length: 0,
            errors: 0,
        }
    }

    /// What the server says first.
    pub(crate) fn banner(&self) -> String {
        format!("220 {} ESMTP ready\r\n", self.name)
    }

    /// Ends the conversation with a client that has been quiet for too long.
    pub(crate) fn end(&mut self) -> String {
        self.state = State::Over;
        format!("421 {} closes the connection\r\n", self.name)
    }

    /// Whether the server wants to close.
    pub(crate) fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes what the client sent, in whatever pieces it came, and gives the replies that are due.
    pub(crate) fn handle_bytes(&mut self, bytes: &[u8]) -> String {
        let mut replies = String::new();
        for byte in bytes {
            if self.is_over() {
                break;
            }
            self.line_length = self.line_length.saturating_add(1);
            if *byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                let length = std::mem::take(&mut self.line_length);
                self.handle_line(&line, length, &mut replies);
            } else if self.line.len() < LONGEST_LINE {
                self.line.push(*byte);
            }
        }
        replies
    }

    fn handle_line(&mut self, line: &[u8], length: usize, replies: &mut String) {
        let too_long = length > LONGEST_LINE;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if let State::Data { size } = self.state {
            if line != b"." {
                self.state = State::Data {
                    size: size.saturating_add(length),
                };
                return;
            }
            self.state = State::Greeted;
            if size > LARGEST_MESSAGE {
                self.refuse(552, "message is too large", replies);
            } else {
                reply(250, "accepted and thrown away", replies);
            }
        } else if too_long {
            self.refuse(500, "line is too long", replies);
        } else {
            match std::str::from_utf8(line) {
                Ok(line) => self.handle_command(line.trim_end(), replies),
                Err(_) => self.refuse(500, "that is no command", replies),
            }
        }
    }

    fn handle_command(&mut self, line: &str, replies: &mut String) {
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        let argument = argument.trim();
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" if argument.is_empty() => {
                self.refuse(501, "say who you are", replies);
            }
            "EHLO" => {
                self.state = State::Greeted;
                let greeting = format!(
                    "250-{}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE {LARGEST_MESSAGE}\r\n",
                    self.name
                );
                replies.push_str(&greeting);
            }
            "HELO" => {
                self.state = State::Greeted;
                reply(250, &self.name, replies);
            }
            "MAIL" => self.handle_mail(argument, replies),
            "RCPT" => self.handle_recipient(argument, replies),
            "DATA" => match self.state {
                State::Mail { recipients: 1.. } => {
                    self.state = State::Data { size: 0 };
                    reply(354, "end with a line that is a dot", replies);
                }
                _ => self.refuse(503, "MAIL and RCPT come first", replies),
            },
            "RSET" => {
                if self.state != State::Connected {
                    self.state = State::Greeted;
                }
                reply(250, "forgotten", replies);
            }
            "NOOP" => reply(250, "nothing done", replies),
            "VRFY" => reply(252, "send mail and see", replies),
            "HELP" => reply(
                214,
                "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT",
                replies,
            ),
            "QUIT" => {
                self.state = State::Over;
                reply(
                    221,
                    &format!("{} closes the connection", self.name),
                    replies,
                );
            }
            "EXPN" | "TURN" | "STARTTLS" | "AUTH" | "BDAT" => {
                self.refuse(502, "not implemented", replies);
            }
            _ => self.refuse(500, "that is no command", replies),
        }
    }

    fn handle_mail(&mut self, argument: &str, replies: &mut String) {
        match self.state {
            State::Connected => return self.refuse(503, "EHLO comes first", replies),
            State::Mail { .. } => return self.refuse(503, "one MAIL at a time", replies),
            State::Greeted | State::Data { .. } | State::Over => {}
        }
        let Some((_, parameters)) = path_after("FROM:", argument) else {
            return self.refuse(501, "MAIL FROM:<address>", replies);
        };
        for parameter in parameters.split_ascii_whitespace() {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match key.to_ascii_uppercase().as_str() {
                // RFC 1870 section 6.1.
                "SIZE"
                    if value
                        .parse()
                        .is_ok_and(|size: usize| size <= LARGEST_MESSAGE) => {}
                "SIZE" => return self.refuse(552, "message is too large", replies),
                // RFC 6152 section 2.
                "BODY" => {}
                _ => return self.refuse(555, "unknown parameter", replies),
            }
        }
        self.state = State::Mail { recipients: 0 };
        reply(250, "go on", replies);
    }

    fn handle_recipient(&mut self, argument: &str, replies: &mut String) {
        let State::Mail { recipients } = self.state else {
            return self.refuse(503, "MAIL comes first", replies);
        };
        match path_after("TO:", argument) {
            None | Some(("", _)) => self.refuse(501, "RCPT TO:<address>", replies),
            Some((_, parameters)) if !parameters.trim().is_empty() => {
                self.refuse(555, "unknown parameter", replies);
            }
            Some(_) if recipients == MOST_RECIPIENTS => {
                self.refuse(452, "too many recipients", replies);
            }
            Some(_) => {
                self.state = State::Mail {
                    recipients: recipients + 1,
                };
                reply(250, "go on", replies);
            }
        }
    }

    fn refuse(&mut self, code: u16, text: &str, replies: &mut String) {
        reply(code, text, replies);
        self.errors += 1;
        if self.errors == MOST_ERRORS {
            replies.push_str(&self.end());
        }
    }
}

fn reply(code: u16, text: &str, replies: &mut String) {
    let line = format!("{code} {text}\r\n");
    replies.push_str(&line);
}

/// Splits `FROM:<path> parameters` into path and parameters. A blank after the colon is a common mistake of clients.
fn path_after<'a>(keyword: &str, argument: &'a str) -> Option<(&'a str, &'a str)> {
    let (start, rest) = argument.split_at_checked(keyword.len())?;
    let rest = rest.trim_start().strip_prefix('<')?;
    start
        .eq_ignore_ascii_case(keyword)
        .then(|| rest.split_once('>'))?
}

#[cfg(test)]
mod tests;
