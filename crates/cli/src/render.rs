//! One report, three renderers; and what they stand on.

pub(crate) mod human;
pub(crate) mod json;
pub(crate) mod junit;
pub(crate) mod markdown;
pub(crate) mod text;
pub(crate) mod words;

use std::time::Duration;

/// A time as people read it: `0.4 ms`, `14 ms`, `1.24 s`.
pub(crate) fn time(seconds: f64) -> String {
    let seconds = if seconds.is_finite() { seconds } else { 0.0 };
    let milliseconds = seconds * 1000.0;
    if milliseconds.abs() < 0.95 {
        format!("{milliseconds:.1} ms")
    } else if milliseconds.abs() < 999.5 {
        format!("{milliseconds:.0} ms")
    } else if seconds.abs() < 59.95 {
        format!("{} s", format!("{seconds:.2}").trim_end_matches(".00"))
    } else {
        let whole = Duration::from_secs_f64(seconds.abs()).as_secs();
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

/// `1 warning`, `2 warnings`.
fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_reads_best() {
        let check = |seconds, expected: &str| assert_eq!(time(seconds), expected);
        check(0.0, "0.0 ms");
        check(0.000_43, "0.4 ms");
        check(0.014_2, "14 ms");
        check(0.999_4, "999 ms");
        check(0.999_6, "1 s");
        check(5.0, "5 s");
        check(10.3, "10.30 s");
        check(61.0, "1 min 1 s");
        check(f64::NAN, "0.0 ms");
    }
}
