//! Finds what claims to prove a line of the checklist: test functions in Rust sources, and vectors.

use super::is_id;
use crate::tests_run::Ended;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Something that proves lines of the checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proof {
    /// The function's name, or the vector's.
    pub(super) name: String,
    /// Which lines.
    pub(super) ids: Vec<String>,
    /// A vector is run by the tests whose names contain this word.
    run_by: Option<&'static str>,
}

/// A word in the name of every test that runs vectors, whole or a single one.
const VECTORS: &str = "vector";

impl Proof {
    /// The test function of that name.
    pub(super) fn test(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ids: ids_of(name),
            run_by: None,
        }
    }

    /// How the tests that stand behind it ended.
    pub(super) fn ended(&self, all: &BTreeMap<String, Ended>) -> Vec<Ended> {
        all.iter()
            .filter(|(full, _)| {
                let short = full.rsplit("::").next().unwrap_or(full);
                self.run_by
                    .map_or(short == self.name, |word| short.contains(word))
            })
            .map(|(_, end)| *end)
            .collect()
    }
}

/// Everything under `folder` that proves something.
pub(super) fn proofs(folder: &Path) -> Result<Vec<Proof>> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("reading {}", file.display()))?;
        if file.extension().is_some_and(|extension| extension == "rs") {
            found.extend(
                tests_in(&text)
                    .into_iter()
                    .filter(|proof| !proof.ids.is_empty()),
            );
        } else {
            found.extend(vectors(&text));
        }
    }
    Ok(found)
}

/// Rust files, and text files in folders called `vectors`.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
            continue;
        }
        let extension = path.extension().and_then(|extension| extension.to_str());
        let in_vectors = folder.file_name().is_some_and(|name| name == "vectors");
        if extension == Some("rs") || (extension == Some("txt") && in_vectors) {
            files.push(path);
        }
    }
    Ok(())
}

/// The test functions of a Rust source. Ignored ones prove nothing.
fn tests_in(text: &str) -> Vec<Proof> {
    let mut found = Vec::new();
    let (mut is_test, mut ignored) = (false, false);
    for line in text.lines().map(str::trim) {
        if let Some(attribute) = line.strip_prefix("#[") {
            // `#[test]`, `#[tokio::test]`, `#[tokio::test(flavor = ...)]`.
            let path = attribute.split(['(', ']']).next().unwrap_or_default();
            is_test |= path.rsplit("::").next() == Some("test");
            ignored |= path.split('=').next().unwrap_or_default().trim() == "ignore";
        } else if let Some(name) = function_name(line) {
            if is_test && !ignored {
                found.push(Proof::test(name));
            }
            (is_test, ignored) = (false, false);
        } else if !line.is_empty() && !line.starts_with("//") && line.ends_with(['}', ';']) {
            (is_test, ignored) = (false, false);
        }
    }
    found
}

/// `async fn name(` and the like.
fn function_name(line: &str) -> Option<&str> {
    let mut words = line;
    for word in ["pub ", "pub(crate) ", "async "] {
        words = words.strip_prefix(word).unwrap_or(words);
    }
    let name = words.strip_prefix("fn ")?;
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))?;
    name.get(..end)
}

/// The ids at the front of a name: `b3_d10_moves_on` has B3 and D10.
fn ids_of(name: &str) -> Vec<String> {
    name.split('_')
        .map(str::to_ascii_uppercase)
        .take_while(|word| is_id(word))
        .collect()
}

/// The vectors of a file. The heading of each says what it proves, in brackets: `== DR1 (B1, B2) both at 30`.
fn vectors(text: &str) -> impl Iterator<Item = Proof> {
    text.lines().filter_map(|line| {
        let title = line.strip_prefix("== ")?;
        let brackets = title
            .split('(')
            .skip(1)
            .filter_map(|rest| rest.split_once(')'));
        let mut lists = brackets.map(|(list, _)| list.split(',').map(str::trim));
        let ids = lists
            .find(|list| list.clone().all(is_id))?
            .map(str::to_owned)
            .collect();
        let name = title
            .split([':', '('])
            .next()
            .unwrap_or(title)
            .trim()
            .to_owned();
        Some(Proof {
            name,
            ids,
            run_by: Some(VECTORS),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_tests_of_every_kind_and_no_others() {
        let source = "
#[test]
fn b3_one() {}
#[tokio::test(start_paused = true)]
async fn d6_two() {
    let nested = 1;
}
proptest! {
    /// Said of it.
    #[test]
    fn c6_three(a in any::<u8>()) {}
}
#[test]
#[ignore = \"needs the lab\"]
fn a1_ignored() {}
fn a2_helper() {}
#[cfg(test)]
mod a3_module {}
#[test]
#[should_panic(expected = \"x\")]
fn a4_a5_panics() {}
#[test]
fn behaves_well() {}
const A: u8 = 1;
fn a6_helper() {}
";
        let found = tests_in(source);
        let names: Vec<&str> = found.iter().map(|proof| proof.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "b3_one",
                "d6_two",
                "c6_three",
                "a4_a5_panics",
                "behaves_well"
            ]
        );
    }

    #[test]
    fn ids_stand_at_the_front_of_a_name() {
        assert_eq!(ids_of("b3_moves_on"), ["B3"]);
        assert_eq!(ids_of("c8_c9_nothing_crosses"), ["C8", "C9"]);
        assert_eq!(ids_of("moves_on_b3"), [""; 0]);
        assert_eq!(ids_of("ipv4_b3"), [""; 0]);
    }

    #[test]
    fn vectors_say_what_they_prove() {
        let text =
            "# about\n== DR1 (B2, C11) both at 30\ntarget x\n== curl 1: one (good) case\n== x (B)";
        let found: Vec<Proof> = vectors(text).collect();
        let [proof] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(
            (proof.name.as_str(), &proof.ids[..]),
            ("DR1", &["B2".into(), "C11".into()][..])
        );
        let ended = |name: &str, end| BTreeMap::from([(name.to_owned(), end)]);
        assert_eq!(
            proof.ended(&ended("vectors::every_vector_holds", Ended::Failed)),
            [Ended::Failed]
        );
        assert_eq!(proof.ended(&ended("b2_other", Ended::Passed)), []);
    }

    #[test]
    fn a_test_is_known_by_the_last_part_of_its_name() {
        let all = BTreeMap::from([("a::tests::b3_one".to_owned(), Ended::Passed)]);
        assert_eq!(Proof::test("b3_one").ended(&all), [Ended::Passed]);
        assert_eq!(Proof::test("b3_on").ended(&all), []);
    }
}
