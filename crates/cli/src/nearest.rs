//! The word that was probably meant.

/// The candidate that takes the fewest changes to reach, if that is at most a third of its length.
pub(crate) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().div_ceil(3))
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (number, here) in one.chars().enumerate() {
        let mut diagonal = number;
        let mut left = number + 1;
        for (cell, there) in row.iter_mut().skip(1).zip(&other) {
            let best = (diagonal + usize::from(here != *there))
                .min(left + 1)
                .min(*cell + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = number + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_insertions_deletions_and_replacements() {
        let check = |one, other, expected| {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        };
        check("", "", 0);
        check("", "abc", 3);
        check("kitten", "sitting", 3);
        check("reach.fw-dorp", "reach.fw-drop", 2);
    }

    #[test]
    fn suggests_the_near_and_not_the_far() {
        let codes = ["dns.aaaa-missing", "dns.a-missing", "reach.fw-drop"];
        assert_eq!(nearest("dns.aaa-missing", codes), Some("dns.aaaa-missing"));
        assert_eq!(nearest("http.something-else", codes), None);
        assert_eq!(nearest("x", []), None);
    }
}
