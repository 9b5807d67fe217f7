//! Texts that users see, kept in `tests/snapshots`. `UPDATE_SNAPSHOTS=1` rewrites them; read the difference.

use std::path::Path;

/// Compares a text with its file. An escape character is written as `␛`.
pub(crate) fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots")
        .join(name);
    let text = text.replace('\x1b', "␛");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    if text == expected {
        return;
    }
    let place = text
        .lines()
        .zip(expected.lines())
        .take_while(|(one, other)| one == other)
        .count();
    let line = |of: &str| of.lines().nth(place).unwrap_or("(end)").to_owned();
    panic!(
        "{name} differs in line {}\nexpected: {}\n     got: {}\n(UPDATE_SNAPSHOTS=1 cargo test -p twinstack rewrites it)",
        place + 1,
        line(&expected),
        line(&text)
    );
}
