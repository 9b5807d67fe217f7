use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// Plays the client's lines and compares the codes of all replies.
fn check(lines: &[&str], expected: &[u16]) -> Session {
    let mut session = Session::new("mail.lab.test");
    let mut codes = vec![];
    for line in lines {
        let replies = session.handle_bytes(format!("{line}\r\n").as_bytes());
        codes.extend(codes_of(&replies));
    }
    assert_eq!(codes, expected, "{lines:?}");
    session
}

fn codes_of(replies: &str) -> Vec<u16> {
    let last_lines = replies.lines().filter(|line| line.as_bytes()[3] == b' ');
    last_lines.map(|line| line[..3].parse().unwrap()).collect()
}

#[test]
fn delivery_is_accepted() {
    let lines = [
        "EHLO client.lab.test",
        "MAIL FROM:<> SIZE=100 BODY=8BITMIME",
        "RCPT TO:<postmaster@lab.test>",
        "rcpt to: <root@lab.test>",
        "DATA",
        "Subject: hello",
        "",
        "..",
        "QUIT",
        ".",
        "QUIT",
    ];
    let session = check(&lines, &[250, 250, 250, 250, 354, 250, 221]);
    assert!(session.is_over());
}

#[test]
fn banner_and_greeting_carry_the_name() {
    let mut session = Session::new("mail.lab.test");
    assert_eq!(session.banner(), "220 mail.lab.test ESMTP ready\r\n");
    let greeting = session.handle_bytes(b"EHLO x\r\n");
    assert_eq!(
        greeting,
        "250-mail.lab.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 1048576\r\n"
    );
    assert_eq!(session.handle_bytes(b"helo x\n"), "250 mail.lab.test\r\n");
}

#[test]
fn commands_out_of_order_are_refused() {
    check(&["MAIL FROM:<a@b>"], &[503]);
    check(&["EHLO x", "RCPT TO:<a@b>", "DATA"], &[250, 503, 503]);
    check(&["EHLO x", "MAIL FROM:<a@b>", "DATA"], &[250, 250, 503]);
    check(
        &["EHLO x", "MAIL FROM:<a@b>", "MAIL FROM:<a@b>"],
        &[250, 250, 503],
    );
    check(
        &["EHLO x", "MAIL FROM:<a@b>", "RSET", "RCPT TO:<a@b>"],
        &[250, 250, 250, 503],
    );
    check(&["RSET", "MAIL FROM:<a@b>"], &[250, 503]);
}

#[test]
fn bad_arguments_are_refused() {
    check(&["EHLO", "HELO "], &[501, 501]);
    check(
        &["EHLO x", "MAIL", "MAIL FROM", "MAIL FROM:a@b"],
        &[250, 501, 501, 501],
    );
    check(
        &["EHLO x", "MAIL TO:<a@b>", "MAIL FRÖ:<a@b>"],
        &[250, 501, 501],
    );
    check(&["EHLO x", "MAIL FROM:<a@b> X=1"], &[250, 555]);
    check(&["EHLO x", "MAIL FROM:<a@b> SIZE=1048577"], &[250, 552]);
    check(&["EHLO x", "MAIL FROM:<a@b> SIZE=many"], &[250, 552]);
    check(
        &["EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<>", "RCPT TO:<a@b> X"],
        &[250, 250, 501, 555],
    );
    check(&["", "STARTTLS", "GET / HTTP/1.1"], &[500, 502, 500]);
}

#[test]
fn other_commands_are_answered() {
    check(
        &["NOOP", "vrfy root", "HELP", "noop x"],
        &[250, 252, 214, 250],
    );
}

#[test]
fn too_many_recipients_and_too_large_messages_are_refused() {
    let mut session = check(&["EHLO x", "MAIL FROM:<a@b>"], &[250, 250]);
    for _ in 0..100 {
        assert_eq!(codes_of(&session.handle_bytes(b"RCPT TO:<a@b>\r\n")), [250]);
    }
    assert_eq!(codes_of(&session.handle_bytes(b"RCPT TO:<a@b>\r\n")), [452]);
    assert_eq!(codes_of(&session.handle_bytes(b"DATA\r\n")), [354]);
    let line = format!("{}\r\n", "x".repeat(LARGEST_MESSAGE - 2));
    assert_eq!(session.handle_bytes(line.as_bytes()), "");
    assert_eq!(codes_of(&session.handle_bytes(b".\r\n")), [250]);

    let mut session = check(
        &["EHLO x", "MAIL FROM:<a@b>", "RCPT TO:<a@b>", "DATA"],
        &[250, 250, 250, 354],
    );
    session.handle_bytes(line.as_bytes());
    assert_eq!(codes_of(&session.handle_bytes(b"x\r\n.\r\n")), [552]);
}

#[test]
fn endless_line_costs_no_memory_and_is_refused() {
    let mut session = Session::new("mail.lab.test");
    for _ in 0..1000 {
        assert_eq!(session.handle_bytes(&[b'A'; 1000]), "");
    }
    assert!(session.line.len() <= LONGEST_LINE);
    assert_eq!(codes_of(&session.handle_bytes(b"\r\nNOOP\r\n")), [500, 250]);
}

#[test]
fn conversation_ends_after_twenty_errors() {
    let mut session = Session::new("mail.lab.test");
    let replies = session.handle_bytes(&b"x\r\n".repeat(50));
    let codes = codes_of(&replies);
    assert_eq!(codes.len(), 21);
    assert_eq!(codes.last(), Some(&421));
    assert!(session.is_over());
    assert_eq!(session.handle_bytes(b"NOOP\r\n"), "");
}

proptest! {
    #[test]
    fn no_bytes_break_it_and_pieces_do_not_matter(
        bytes in vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b' '), Just(b':')], 0..400),
        cut in 0usize..400,
    ) {
        let mut whole = Session::new("m");
        let expected = whole.handle_bytes(&bytes);
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        let mut pieces = Session::new("m");
        let replies = pieces.handle_bytes(first) + &pieces.handle_bytes(second);
        prop_assert_eq!(replies, expected);
    }
}
