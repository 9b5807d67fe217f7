//! The report as JSON: `schema/check-1.json`, and `schema/check-list-1.json` for several targets.

use serde::Serialize;
use twinstack_check::Report;

/// The version of the list.
pub(crate) const LIST_SCHEMA: &str = "twinstack.check-list/1";

#[derive(Serialize)]
struct List<'a> {
    schema: &'static str,
    reports: &'a [Report],
}

/// One report as an object, or any number of them as a list.
pub(crate) fn reports(reports: &[Report], list: bool) -> anyhow::Result<String> {
    let text = match reports {
        [one] if !list => serde_json::to_string_pretty(one),
        _ => serde_json::to_string_pretty(&List {
            schema: LIST_SCHEMA,
            reports,
        }),
    };
    Ok(text? + "\n")
}
