//! How much two bodies have in common.
//!
//! The idea is internet.nl's (a ratio over the first 500,000 bytes, more than 10 % is a difference); the method is our own:
//! a multiset of tokens, weighted by length, after what changes with every request is taken out. Order does not
//! matter, so it costs linear time and a shuffled list of teasers is no difference.

use std::collections::BTreeMap;

/// A token counts with its length, but not more than this: one run of filler must not outweigh a page.
const HEAVIEST: usize = 24;

/// The common share of two bodies, 0 to 1.
pub(super) fn similarity(left: &[u8], right: &[u8]) -> f64 {
    if left == right {
        return 1.0;
    }
    let (left, right) = (tokens(left), tokens(right));
    let total = weight(&left) + weight(&right);
    if total == 0 {
        return 1.0;
    }
    let common: usize = left
        .iter()
        .filter_map(|(token, count)| Some(token.len().min(HEAVIEST) * count.min(right.get(token)?)))
        .sum();
    ratio(2 * common, total)
}

fn ratio(part: usize, whole: usize) -> f64 {
    let part = u32::try_from(part).unwrap_or(u32::MAX);
    let whole = u32::try_from(whole).unwrap_or(u32::MAX);
    f64::from(part) / f64::from(whole)
}

fn weight(tokens: &BTreeMap<String, usize>) -> usize {
    tokens
        .iter()
        .map(|(token, count)| token.len().min(HEAVIEST) * count)
        .sum()
}

/// Words and numbers of a body with their counts. Tokens that are made anew for every request are left out: nonces,
/// session and CSRF tokens, hashes, dates, times, counters.
fn tokens(body: &[u8]) -> BTreeMap<String, usize> {
    let text = without_comments(&String::from_utf8_lossy(body));
    let mut tokens = BTreeMap::new();
    for token in text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-')) {
        let token = token.trim_matches(['-', '_']);
        if !token.is_empty() && !is_transient(token) {
            *tokens.entry(token.to_lowercase()).or_insert(0) += 1;
        }
    }
    tokens
}

/// Comments are for nobody: build numbers, timings, padding.
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("<!--") {
        kept.push_str(before);
        rest = comment.split_once("-->").map_or("", |(_, behind)| behind);
    }
    kept.push_str(rest);
    kept
}

fn is_transient(token: &str) -> bool {
    let digits = token.chars().filter(char::is_ascii_digit).count();
    if digits == 0 {
        return is_random(token) || is_calendar_word(token);
    }
    let letters = token.chars().filter(|c| c.is_alphabetic()).count();
    // Numbers, dates and times; hexadecimal and base64 of some length.
    letters == 0
        || (letters <= 3 && digits >= letters)
        || (token.len() >= 8 && token.chars().all(|c| c.is_ascii_hexdigit() || c == '-'))
        || token.len() >= 16
}

/// Long words that change between capitals and small letters again and again are base64.
fn is_random(token: &str) -> bool {
    let letters: Vec<char> = token.chars().collect();
    let changes = letters
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if a.is_uppercase() != b.is_uppercase()))
        .count();
    letters.len() >= 20 && changes * 3 >= letters.len()
}

fn is_calendar_word(token: &str) -> bool {
    const WORDS: [&str; 21] = [
        "mon", "tue", "wed", "thu", "fri", "sat", "sun", "jan", "feb", "mar", "apr", "may", "jun",
        "jul", "aug", "sep", "oct", "nov", "dec", "gmt", "utc",
    ];
    WORDS.iter().any(|word| token.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(middle: &str) -> String {
        format!(
            "<html><h1>The shop of the laboratory</h1>{middle}<p>{}</p>",
            "many words of text ".repeat(20)
        )
    }

    #[test]
    fn equal_and_empty_bodies_are_alike() {
        assert!((similarity(b"same", b"same") - 1.0).abs() < 1e-9);
        assert!((similarity(b"", b"") - 1.0).abs() < 1e-9);
        assert!(similarity(b"", b"text") < 0.01);
    }

    #[test]
    fn what_every_request_makes_anew_is_no_difference() {
        let left = page(
            "<script nonce=\"r4Nd0mNonceAbCdEf12\"></script><input name=csrf value=9f86d081884c7d659a2f>\
             <i>Sat, 21 Nov 2026 08:00:01 GMT</i><!-- 17 ms, request 3f2a9c1e-0001 -->",
        );
        let right = page(
            "<script nonce=\"Zx8qPlMnBvCxZaQw99\"></script><input name=csrf value=60303ae22b998861bce3>\
             <i>Sun, 22 Nov 2026 09:11:59 GMT</i><!-- 23 ms, request 77aa0b2d-0002 -->",
        );
        let ratio = similarity(left.as_bytes(), right.as_bytes());
        assert!(ratio > 0.999, "{ratio}");
    }

    #[test]
    fn another_page_is_a_difference() {
        let ratio = similarity(
            page("").as_bytes(),
            b"<html><title>Welcome to nginx!</title><h1>It works</h1>",
        );
        assert!(ratio < 0.3, "{ratio}");
    }

    #[test]
    fn a_little_and_a_tenth_can_be_told_apart() {
        let words: Vec<String> = (0..1000)
            .map(|n| {
                format!(
                    "word{}",
                    char::from(b'a' + u8::try_from(n % 26).unwrap())
                        .to_string()
                        .repeat(n / 26 + 1)
                )
            })
            .collect();
        let all = words.join(" ");
        let check = |kept: usize, low: f64, high: f64| {
            let ratio = similarity(all.as_bytes(), words[..kept].join(" ").as_bytes());
            assert!((low..high).contains(&ratio), "{kept}: {ratio}");
        };
        check(995, 0.98, 1.0);
        check(700, 0.3, 0.9);
    }

    #[test]
    fn any_bytes_can_be_compared() {
        let ratio = similarity(&[0xff, 0xfe, 0, b'a'], &[0xc3, 0x28]);
        assert!((0.0..=1.0).contains(&ratio));
    }
}
