mod docs;
mod errors;
mod options;
mod reading;
mod shipped;

use super::*;

fn loaded(name: &str) -> World {
    World::load(name).unwrap_or_else(|error| panic!("{name}:\n{error}"))
}

fn loaded_with(name: &str, options: &LoadOptions) -> World {
    World::load_with(name, options).unwrap_or_else(|error| panic!("{name}:\n{error}"))
}

fn without_fault(name: &str) -> World {
    let options = LoadOptions {
        without_fault: true,
        ..LoadOptions::default()
    };
    loaded_with(name, &options)
}

/// A world from what stands behind `version` and `extends: standard`.
fn parsed(text: &str) -> World {
    let text = format!("version: 1\nextends: standard\n{text}");
    World::parse_alone(&text, "my.yaml").unwrap_or_else(|error| panic!("{error}"))
}
