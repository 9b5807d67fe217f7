//! The JSON that we print is the JSON that `schema/` describes.
//!
//! The validator knows the keywords that our schemas use, and fails at any other: a keyword that nobody checks would
//! be a promise that nobody keeps.

use super::{Setup, run, sample};
use serde_json::Value;
use std::path::Path;

fn load(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../schema")
        .join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Checks a value against a schema; errors are paths into the value.
fn validate(schema: &Value, root: &Value, value: &Value, at: &str, errors: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let mut wrong = |what: String| errors.push(format!("{at}: {what}"));
        match keyword.as_str() {
            "$ref" => match rule.as_str().unwrap().split_once('#') {
                Some(("", pointer)) => {
                    validate(root.pointer(pointer).unwrap(), root, value, at, errors);
                }
                Some((file, pointer)) => {
                    let other = load(file);
                    validate(other.pointer(pointer).unwrap(), &other, value, at, errors);
                }
                None => {
                    let other = load(rule.as_str().unwrap());
                    validate(&other, &other, value, at, errors);
                }
            },
            "type" => {
                let is = |name: &Value| match name.as_str().unwrap() {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "number" => value.is_number(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "boolean" => value.is_boolean(),
                    "null" => value.is_null(),
                    other => panic!("unknown type {other}"),
                };
                let fits = rule
                    .as_array()
                    .map_or_else(|| is(rule), |names| names.iter().any(is));
                if !fits {
                    wrong(format!("{value} is no {rule}"));
                }
            }
            "const" if value != rule => wrong(format!("{value} is not {rule}")),
            "enum" if !rule.as_array().unwrap().contains(value) => {
                wrong(format!("{value} is not of {rule}"));
            }
            "minimum" if value.as_f64().is_some_and(|it| it < rule.as_f64().unwrap()) => {
                wrong(format!("{value} is below {rule}"));
            }
            "maximum" if value.as_f64().is_some_and(|it| it > rule.as_f64().unwrap()) => {
                wrong(format!("{value} is above {rule}"));
            }
            "required" => {
                for name in rule.as_array().unwrap() {
                    if value
                        .as_object()
                        .is_some_and(|it| !it.contains_key(name.as_str().unwrap()))
                    {
                        wrong(format!("{name} is missing"));
                    }
                }
            }
            "properties" => {
                for (name, inner) in value.as_object().into_iter().flatten() {
                    match rule.get(name) {
                        Some(schema) => {
                            validate(schema, root, inner, &format!("{at}/{name}"), errors);
                        }
                        None => errors.push(format!("{at}: {name} is not in the schema")),
                    }
                }
            }
            "additionalProperties" => assert_eq!(rule, &Value::Bool(false)),
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    validate(rule, root, item, &format!("{at}/{place}"), errors);
                }
            }
            "oneOf" => {
                let fitting = rule.as_array().unwrap().iter().filter(|schema| {
                    let mut inner = Vec::new();
                    validate(schema, root, value, at, &mut inner);
                    inner.is_empty()
                });
                let count = fitting.count();
                if count != 1 {
                    wrong(format!("{value} fits {count} of the alternatives"));
                }
            }
            // Rules that hold, and words for people.
            "const" | "enum" | "minimum" | "maximum" | "$schema" | "$id" | "$defs" | "title"
            | "description" | "examples" => {}
            other => panic!("the validator does not know `{other}`"),
        }
    }
}

pub(crate) fn check(file: &str, text: &str) {
    let schema = load(file);
    let value = serde_json::from_str(text).unwrap();
    let mut errors = Vec::new();
    validate(&schema, &schema, &value, "", &mut errors);
    assert!(errors.is_empty(), "{file}: {errors:#?}");
}

#[test]
fn reports_match_their_schema() {
    for report in [
        sample::healthy(),
        sample::black_hole(),
        sample::address_only(),
        sample::two_vantages(),
        sample::no_such_name(),
        sample::unknown(),
        sample::hostile(),
    ] {
        let setup = Setup {
            reports: vec![report.clone()],
            ..Setup::default()
        };
        check(
            "check-1.json",
            &setup
                .run(&["check", &report.target, "--format", "json"])
                .stdout,
        );
    }
}

/// The example is what `crates/proxy` is tested to write.
#[test]
fn lines_of_a_run_match_their_schema() {
    let lines = include_str!("../../../proxy/src/run/report/example.jsonl");
    for line in lines.lines() {
        check("run-1.json", line);
    }
    assert!(lines.lines().count() > 4);
}

#[test]
fn lists_of_reports_match_their_schema() {
    let setup = Setup {
        reports: vec![sample::healthy(), sample::unknown()],
        ..Setup::default()
    };
    let arguments = ["check", "www.lab.test", "off.lab.test", "--format", "json"];
    check("check-list-1.json", &setup.run(&arguments).stdout);
}

#[test]
fn explanations_match_their_schema() {
    check(
        "explain-1.json",
        &run(&["explain", "--format", "json"]).stdout,
    );
    check(
        "explain-1.json",
        &run(&["explain", "tls.stall", "--format", "json"]).stdout,
    );
}

/// Whoever loads a schema from its file resolves what it refers to against its `$id`.
#[test]
fn schemas_that_refer_to_others_say_where_they_are() {
    let id = |file: &str| load(file)["$id"].as_str().unwrap_or_default().to_owned();
    for file in [
        "check-1.json",
        "check-list-1.json",
        "explain-1.json",
        "play-1.json",
    ] {
        let id = id(file);
        assert!(
            id.starts_with("https://") && id.ends_with(&format!("/{file}")),
            "{id}"
        );
    }
    let folder = |file: &str| id(file).trim_end_matches(file).to_owned();
    assert_eq!(folder("play-1.json"), folder("check-1.json"));
    assert_eq!(folder("check-list-1.json"), folder("check-1.json"));
}

#[test]
fn the_validator_refuses_what_does_not_fit() {
    let schema = load("check-1.json");
    let good: Value = serde_json::to_value(sample::black_hole()).unwrap();
    let refuses = |change: &dyn Fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        let mut errors = Vec::new();
        validate(&schema, &schema, &bad, "", &mut errors);
        assert!(!errors.is_empty(), "{bad}");
    };
    refuses(&|it| it["schema"] = "twinstack.check/2".into());
    refuses(&|it| it["verdict"] = "fine".into());
    refuses(&|it| it["surprise"] = 1.into());
    refuses(&|it| it["table"][0]["port"] = 70_000.into());
    refuses(&|it| it["table"][0]["tcp"]["state"] = "great".into());
    refuses(&|it| it["findings"][0]["severity"] = "fatal".into());
    refuses(&|it| drop(it.as_object_mut().unwrap().remove("findings")));
}
