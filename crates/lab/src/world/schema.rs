//! The JSON schema of world files, made from the table of keys, so that editors complete and explain them.
//!
//! It judges less than the reader does: it knows shapes, not names, prefixes or what fits together.

use super::keys::{self, Section, Shape};
use serde_json::{Map, Value, json};

/// The text of `schema/world-1.json`.
pub fn schema() -> String {
    let mut schema = section(&keys::WORLD);
    let sections: Map<String, Value> = keys::shared()
        .into_iter()
        .map(|part| (id(part), section(part)))
        .collect();
    if let Value::Object(root) = &mut schema {
        root.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        root.insert("title".to_owned(), json!("Twinstack lab world, version 1"));
        root.insert("required".to_owned(), json!(["version"]));
        root.insert("$defs".to_owned(), Value::Object(sections));
    }
    // A map of JSON values, all of them made above, has a text.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

fn section(section: &Section) -> Value {
    let properties: Map<String, Value> = section
        .keys
        .iter()
        .map(|key| {
            let mut property = shape(&key.shape);
            if let Value::Object(property) = &mut property {
                property.insert("description".to_owned(), json!(key.about));
            }
            (key.name.to_owned(), property)
        })
        .collect();
    json!({
        "description": section.about,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

/// Every value may be `null`, which takes away what the extended world has.
fn shape(of: &Shape) -> Value {
    match of {
        Shape::Text => json!({ "type": ["string", "number", "boolean", "null"] }),
        Shape::Flag => json!({ "type": ["boolean", "null"] }),
        Shape::Number { from, to } => {
            json!({ "type": ["integer", "null"], "minimum": from, "maximum": to })
        }
        Shape::Duration => pattern(r"^([0-9.]+ ?(us|ms|s|m)|0)$"),
        Shape::Ratio => json!({
            "type": ["number", "string", "null"],
            "minimum": 0,
            "maximum": 1,
            "pattern": r"^[0-9.]+( ?%)?$",
        }),
        Shape::Rate => pattern(r"^[0-9.]+ ?[kmg]?bit$"),
        Shape::Address => pattern(r"^[0-9A-Fa-f:.]+$"),
        Shape::Prefix => pattern(r"^[0-9A-Fa-f:.]+(/[0-9]+)?$"),
        Shape::Code => pattern(r"^[a-z][a-z0-9-]*\.[a-z][a-z0-9-]*$"),
        Shape::OneOf(words) => {
            let mut words: Vec<_> = words.iter().map(|word| json!(word)).collect();
            words.push(Value::Null);
            json!({ "enum": words })
        }
        Shape::List(item) => json!({ "type": ["array", "null"], "items": shape(item) }),
        Shape::OneOrMany(item) => json!({
            "anyOf": [shape(item), { "type": "array", "items": shape(item) }],
        }),
        Shape::MapOf(value) => {
            json!({ "type": ["object", "null"], "additionalProperties": shape(value) })
        }
        Shape::Section(section) => {
            let reference = format!("#/$defs/{}", id(section));
            json!({ "anyOf": [{ "$ref": reference }, { "type": "null" }] })
        }
    }
}

fn pattern(pattern: &str) -> Value {
    json!({ "type": ["string", "number", "null"], "pattern": pattern })
}

/// The name of a section among the shared ones.
fn id(section: &Section) -> String {
    let name = section.name;
    let name = ["a ", "an ", "one "]
        .iter()
        .find_map(|article| name.strip_prefix(article))
        .unwrap_or(name);
    name.replace(' ', "-")
}
