//! The text form: what it reads, what it refuses and where, and that a recorded race runs again.

use crate::support::plays;
use twinstack_race::text::{Clock, ParseError, Problem, ReplayError, parse, print};

fn refused(text: &str) -> (usize, usize, String) {
    let ParseError {
        line,
        column,
        problem,
    } = parse(text).unwrap_err();
    (line, column, problem.to_string())
}

const HEAD: &str = "target example.com 80 tcp\n";

#[test]
fn errors_name_line_and_column() {
    let lines = |text: &str| refused(&format!("{HEAD}{text}"));
    assert_eq!(
        lines("+x query 1 A"),
        (2, 2, "`x` is not a number of milliseconds".into())
    );
    assert_eq!(
        lines("+0 fly 1"),
        (2, 4, "`fly` is not something that happens in a race".into())
    );
    assert_eq!(
        lines("+0 failed one refused"),
        (2, 11, "`one` is not the number of an attempt".into())
    );
    assert_eq!(
        lines("+0 failed 1 broken"),
        (
            2,
            13,
            "`broken` is not a kind of failure of an attempt".into()
        )
    );
    assert_eq!(
        lines("+0 answer 1 A"),
        (
            2,
            14,
            "records, `empty`, `nodata` or `nxdomain` is missing".into()
        )
    );
    assert_eq!(
        lines("+0 answer 1 A 192.0.2.1 ttl=x"),
        (2, 29, "`x` is not a number of seconds".into())
    );
    assert_eq!(
        lines("+0 answer 1 HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1,2001:db8::1"),
        (2, 50, "`2001:db8::1` is not an IPv4 address".into())
    );
    assert_eq!(
        lines("+5 query 1 A\n+4 query 2 A"),
        (3, 1, "this happens before the line above".into())
    );
    assert_eq!(
        lines("+0 query 1 A\n+1 answer 1 AAAA nodata"),
        (3, 13, "the question asks for another type".into())
    );
    assert_eq!(
        lines("+0 failed 1 refused not quoted"),
        (
            2,
            21,
            "a text has to stand in quotes, alone at the end of the line".into()
        )
    );
    assert_eq!(
        lines("config attempt-delay"),
        (
            2,
            8,
            "`attempt-delay` is not a setting with its value".into()
        )
    );
    assert_eq!(
        lines("config speed=3"),
        (2, 8, "`speed=3` is not a setting".into())
    );
    assert_eq!(lines("network ipv6 nat64=64:ff9b::/97").0, 2);
    assert_eq!(
        lines("+0 query 1 A\nseed 3"),
        (3, 1, "this belongs before the first event".into())
    );
    assert_eq!(
        refused("target b\u{fc}cher.example 80 tcp").2,
        "the host name has a character at byte 1 that is no letter, digit, `-`, `_` or `.`"
    );
    assert_eq!(
        refused("seed 1"),
        (1, 1, "the recording has no `target` line".into())
    );
    assert_eq!(
        refused("target example.com 80"),
        (1, 22, "`tcp`, `tls`, `quic` or `https` is missing".into())
    );
}

#[test]
fn columns_count_characters_and_not_bytes() {
    let (_, column, _) = refused(&format!("{HEAD}+0 failed 1 refused \"\u{e9}\u{e9}\" x"));
    assert_eq!(column, 21);
}

#[test]
fn a_failing_replay_names_the_line_and_both_sides() {
    let run = |text: &str| {
        let error = parse(text).unwrap()[0].replay(Clock::Exact).unwrap_err();
        error.to_string()
    };
    let asks = "+0 query 1 AAAA example.com\n+0 query 2 A example.com\n";
    assert_eq!(
        run(&format!("{HEAD}{asks}+3 attempt 1")),
        "4: wanted `attempt 1`, got nothing"
    );
    assert_eq!(
        run(&format!("{HEAD}+0 query 1 A")),
        "2: wanted `query 1 A`, got `+0 query 1 AAAA example.com`"
    );
    assert_eq!(
        run(&format!(
            "{HEAD}{asks}+0 answer 2 192.0.2.1\n+90 succeeded 1"
        )),
        "5: wanted nothing before this line, got `+50 attempt 1 192.0.2.1:80 tcp name=example.com because \
         resolution delay: the only one`"
    );
    assert_eq!(
        run(&format!("{HEAD}{asks}+0 progress 7")),
        "4: ignored: attempt 7 was never started"
    );
    assert_eq!(
        run(&format!("{HEAD}config minimum-attempt-delay=5\n{asks}")),
        "a minimum attempt delay of 5ms is below 10ms, which no race goes under"
    );
    // A prefix of a word is not the word.
    let error = run(&format!("{HEAD}+0 query 1 AAAA example.co"));
    assert!(error.starts_with("2: wanted"), "{error}");
}

#[test]
fn everything_that_can_be_said_is_read_back() {
    let text = "\
target example.com 443 quic:h3? tls:h2,http/1.1 service=https
config resolution-delay=25.5 attempt-delay=60 minimum-attempt-delay=20 maximum-attempt-delay=900 replace-after=700 linger=100 query-deadline=none attempt-deadline=4000 overall-deadline=none preferred-family-count=2 parallel-attempts=5 total-attempts=9 names=3 pace-by-round-trip=false hurry-on-new-address=true refuse-downgrade=false optimistic-dns=false delay-multiplier=1.5 preferred-family=ipv4 protocols=grouped ech=rely
policy ::1/128 50 0
policy ::/0 40 1
network ipv6 ipv4 nat64=64:ff9b::/96,2001:db8:64::/64 clat protected context=7
seed 42
fact 2001:db8::1 source=2001:db8::c/64 deprecated mobility=care-of encapsulated silent used round-trip=12.5 attempt-delay=40
fact 192.0.2.9
+0 query 1 HTTPS example.com
+0 query 2 AAAA example.com
+0 query 3 A example.com
+1 answer 1 HTTPS 1 . alpn=h3,h\\x2c2 no-default-alpn port=8443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1 ech=fe0d mandatory=1,4 | ttl=300 protected
+1 attempt 1 192.0.2.1:8443 quic alpn=h3 ech=fe0d name=example.com because first
+2 answer 2 AAAA 2001:db8::1 2001:db8::2 ttl=0.5
";
    let [recording] = &parse(text).unwrap()[..] else {
        panic!()
    };
    let race = recording
        .replay(Clock::AsRecorded)
        .unwrap_or_else(|error| panic!("{error}"));
    let printed = print(&race);
    let head: Vec<&str> = text
        .lines()
        .take_while(|line| !line.starts_with("fact"))
        .collect();
    let printed_head: Vec<&str> = printed
        .lines()
        .take_while(|line| !line.starts_with("fact"))
        .collect();
    assert_eq!(printed_head, head);
    for line in text.lines().filter(|line| line.contains("answer")) {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    for line in text.lines().filter(|line| line.starts_with("fact")) {
        assert!(printed.contains(line), "{line}\n{printed}");
    }
    assert_eq!(
        print(
            &parse(&printed).unwrap()[0]
                .replay(Clock::AsRecorded)
                .unwrap()
        ),
        printed
    );
}

#[test]
fn texts_of_errors_survive_quotes_and_line_breaks() {
    let race = plays(
        "target example.com 80 tcp\n+0 query 1 AAAA example.com\n+0 query 2 A example.com\n\
         +0 answer 1 AAAA 2001:db8::1\n+0 attempt 1\n+1 failed 1 other \"a \\\"quoted\\\" \\\\ word\\nand a line\"",
    );
    let end = race.attempts()[0].end.clone().unwrap().1;
    let twinstack_race::AttemptEnd::Failed(error) = end else {
        panic!()
    };
    assert_eq!(&*error.text, "a \"quoted\" \\ word\nand a line");
    let printed = print(&race);
    let again = parse(&printed).unwrap()[0]
        .replay(Clock::AsRecorded)
        .unwrap();
    assert_eq!(again.events(), race.events());
}

#[test]
fn a_caller_that_is_late_is_recorded_as_it_was() {
    use twinstack_race::{Config, Instant, Name, Network, Race, Target};
    let target = Target::tcp(Name::new("example.com").unwrap(), 80);
    let began = Instant::from_millis(1_000_000);
    let mut race = Race::new(target, Config::default(), Network::dual_stack(), 3, began).unwrap();
    let mut now = began;
    while race.next(now).is_some() {}
    let answer = twinstack_race::Answer::addresses(
        ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap()),
    );
    race.input(
        twinstack_race::Input::Answer {
            query: twinstack_race::QueryId(1),
            answer,
        },
        now,
    )
    .unwrap();
    while race.next(now).is_some() {}
    // 251.3 ms instead of 250.
    now += std::time::Duration::from_micros(251_300);
    while race.next(now).is_some() {}
    let text = print(&race);
    assert!(text.contains("+251.3 attempt 2 [2001:db8::2]:80"), "{text}");
    let [recording] = &parse(&text).unwrap()[..] else {
        panic!()
    };
    assert!(matches!(
        recording.replay(Clock::Exact),
        Err(ReplayError::Mismatch(_))
    ));
    let again = recording.replay(Clock::AsRecorded).unwrap();
    assert_eq!(print(&again), text);
}

#[test]
fn several_recordings_have_names_and_lines() {
    let text = format!("# two\n\n== one\n{HEAD}== the other one\n{HEAD}");
    let recordings = parse(&text).unwrap();
    let names: Vec<_> = recordings.iter().map(|r| (&*r.name, r.line)).collect();
    assert_eq!(names, [("one", 3), ("the other one", 5)]);
    assert_eq!(parse("").unwrap().len(), 0);
    assert!(matches!(
        parse("==\n").unwrap_err().problem,
        Problem::NoTarget
    ));
}
