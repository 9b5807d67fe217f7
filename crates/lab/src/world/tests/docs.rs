//! `docs/worlds.md` and `schema/world-1.json` are kept in step with what they describe.

use super::*;
use crate::world::keys::{self, Section, Shape};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

/// Compares a file with what it should be, or with `UPDATE=1` makes it so.
#[track_caller]
fn check_file(path: &str, wanted: &dyn Fn(&str) -> String) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path);
    let written = fs::read_to_string(&path).unwrap_or_default();
    let wanted = wanted(&written);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, wanted).unwrap();
    } else {
        let path = path.display();
        assert!(
            written == wanted,
            "{path}: run UPDATE=1 cargo test -p twinstack-lab docs"
        );
    }
}

#[test]
fn the_schema_is_that_of_the_table() {
    check_file("schema/world-1.json", &|_| schema());
}

#[test]
fn the_page_lists_all_keys_and_worlds() {
    check_file("docs/worlds.md", &|written| {
        let page = with_part(written, "keys", &all_keys());
        let page = with_part(&page, "worlds", &table(false));
        with_part(&page, "near", &table(true))
    });
}

#[test]
fn the_example_of_the_page_is_a_world() {
    let page = include_str!("../../../../../docs/worlds.md");
    let example = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("an example");
    let world = World::parse_alone(example, "my.yaml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(world.expect.len(), 2);
    assert_eq!(world.filters.len(), 1);
}

/// Replaces what stands between the marks of a part.
fn with_part(page: &str, part: &str, text: &str) -> String {
    let open = page.find(&format!("<!-- {part}:")).expect(part);
    let start = open + page[open..].find("-->").expect("the mark ends") + 3;
    let end = page
        .find(&format!("<!-- /{part} -->"))
        .expect("closing mark");
    format!("{}\n\n{}\n{}", &page[..start], text.trim(), &page[end..])
}

fn all_keys() -> String {
    let mut text = String::new();
    for section in std::iter::once(&keys::WORLD).chain(keys::shared()) {
        writeln!(
            text,
            "### {}\n\n{}\n",
            title(section),
            sentence(section.about)
        )
        .unwrap();
        text.push_str("| key | value | |\n| --- | --- | --- |\n");
        for key in section.keys {
            let about = key.about.replace('|', "\\|");
            writeln!(text, "| `{}` | {} | {about} |", key.name, shape(&key.shape)).unwrap();
        }
        text.push('\n');
    }
    text
}

fn title(section: &Section) -> String {
    let (_, name) = section.name.split_once(' ').expect("an article and a name");
    sentence(name).trim_end_matches('.').to_owned()
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

fn shape(of: &Shape) -> String {
    match of {
        Shape::Text => "text".to_owned(),
        Shape::Flag => "true or false".to_owned(),
        Shape::Number { from, to } if from == to => format!("{from}"),
        Shape::Number { from, to: u64::MAX } => format!("number from {from}"),
        Shape::Number { from, to } => format!("{from} to {to}"),
        Shape::Duration => "duration".to_owned(),
        Shape::Ratio => "share".to_owned(),
        Shape::Rate => "rate".to_owned(),
        Shape::Address => "address".to_owned(),
        Shape::Prefix => "prefix".to_owned(),
        Shape::Code => "code".to_owned(),
        Shape::OneOf(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
            words.join(", ")
        }
        Shape::List(item) => format!("list of {}", shape(item)),
        Shape::OneOrMany(item) => format!("{}, or a list", shape(item)),
        Shape::MapOf(value) => format!("map of {}", shape(value)),
        Shape::Section(section) => {
            let title = title(section);
            let anchor = title.to_lowercase().replace(' ', "-");
            format!("[{}](#{anchor})", title.to_lowercase())
        }
    }
}

fn table(near: bool) -> String {
    let (first, second) = if near {
        ("must not raise", "raises")
    } else {
        ("`check` finds", "and is called with")
    };
    let mut text =
        format!("| world | what it is | {first} | {second} |\n| --- | --- | --- | --- |\n");
    for shipped in World::shipped().filter(|world| world.is_near_miss() == near) {
        let world = loaded(shipped.name());
        let codes = |codes: &[twinstack_finding::Code]| {
            let codes: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
            if codes.is_empty() {
                "nothing".to_owned()
            } else {
                codes.join(", ")
            }
        };
        let (first, second) = if near {
            (codes(&world.near_miss_of), codes(&world.expect))
        } else {
            (codes(&world.expect), called(&world))
        };
        let summary = shipped.summary().replace('|', "\\|");
        writeln!(
            text,
            "| `{}` | {summary} | {first} | {second} |",
            shipped.name()
        )
        .unwrap();
    }
    text
}

/// What is special about the call of check.
fn called(world: &World) -> String {
    let plan = &world.check;
    let mut parts = Vec::new();
    if plan.host != world.client {
        parts.push(format!("on `{}`", world.hosts[plan.host.0].name));
    }
    if plan.target != "www.lab.test" {
        parts.push(format!("`{}`", plan.target));
    }
    if !plan.arguments.is_empty() {
        let words = plan.arguments.iter().map(|word| {
            if word.contains(' ') {
                format!("'{word}'")
            } else {
                word.clone()
            }
        });
        parts.push(format!("`{}`", words.collect::<Vec<_>>().join(" ")));
    }
    parts.join(" ")
}
