//! `twinstack explain`: the page of a finding, or the list of all.

use crate::arguments::{ExplainArguments, Format};
use crate::environment::Environment;
use crate::nearest::nearest;
use crate::render::markdown;
use crate::render::text::{Line, Style, paint};
use serde_json::{Value, json};
use twinstack_check::codes::all_codes;
use twinstack_finding::{CodeInfo, Severity};

/// The version of the JSON; `schema/explain-1.json` describes it.
const SCHEMA: &str = "twinstack.explain/1";

/// Runs the command and returns its exit status: 1 for a code that does not exist.
pub(crate) fn run(
    arguments: &ExplainArguments,
    environment: &mut Environment<'_>,
) -> anyhow::Result<u8> {
    let codes = all_codes();
    let text = match (&arguments.code, arguments.format) {
        (None, Format::Human) => paint(
            &list(&codes, environment.text_width()),
            environment.stdout.colour,
        ),
        (None, Format::Json) => pretty(&json!({
            "schema": SCHEMA,
            "codes": codes.iter().map(entry).collect::<Vec<_>>(),
        }))?,
        (Some(wanted), format) => {
            let Some(info) = find(wanted, &codes) else {
                return unknown(wanted, &codes, environment);
            };
            match format {
                Format::Human => {
                    let page = markdown::lines(info.page, environment.text_width());
                    paint(&page, environment.stdout.colour)
                }
                Format::Json => pretty(&json!({ "schema": SCHEMA, "codes": [entry(info)] }))?,
            }
        }
    };
    environment.stdout.print(&text)?;
    Ok(0)
}

/// By its code, its slug alone, or its number in the catalogue.
fn find<'a>(wanted: &str, codes: &'a [CodeInfo]) -> Option<&'a CodeInfo> {
    let slug = |info: &CodeInfo| {
        info.code
            .split_once('.')
            .is_some_and(|(_, slug)| slug == wanted)
    };
    let number = |info: &CodeInfo| {
        info.catalogue
            .is_some_and(|it| it.eq_ignore_ascii_case(wanted))
    };
    let by = |matches: &dyn Fn(&CodeInfo) -> bool| codes.iter().find(|info| matches(info));
    by(&|info| info.code == wanted)
        .or_else(|| by(&slug))
        .or_else(|| by(&number))
}

fn unknown(
    wanted: &str,
    codes: &[CodeInfo],
    environment: &mut Environment<'_>,
) -> anyhow::Result<u8> {
    let hint = match nearest(wanted, codes.iter().map(|info| info.code)) {
        Some(code) => format!("did you mean `{code}`?"),
        None => "`twinstack explain` lists all codes".to_owned(),
    };
    let line = Line::plain(format!(
        "error: there is no finding code `{wanted}`; {hint}"
    ));
    environment.stderr.print(&paint(&[line], false))?;
    Ok(1)
}

fn list(codes: &[CodeInfo], width: usize) -> Vec<Line> {
    let widest = codes.iter().map(|info| info.code.len()).max().unwrap_or(0);
    let side_by_side = width >= widest + 2 + 7 + 2 + 30;
    let mut lines = Vec::new();
    for info in codes {
        let style = match info.severity {
            Severity::Failure => Style::Bad,
            Severity::Warning => Style::Caution,
            Severity::Info => Style::Plain,
        };
        let mut line = Line::styled(Style::Strong, info.code);
        if side_by_side {
            line.pad_to(widest + 2);
            line.push(style, info.severity.as_str());
            line.pad_to(widest + 2 + 9);
            line.append(Line::quoting(Style::Plain, info.title));
            lines.extend(line.wrap(width, widest + 2 + 9));
        } else {
            lines.push(
                line.with(Style::Plain, " ")
                    .with(style, info.severity.as_str()),
            );
            let mut title = Line::plain("  ");
            title.append(Line::quoting(Style::Plain, info.title));
            lines.extend(title.wrap(width, 2));
        }
    }
    lines
}

fn entry(info: &CodeInfo) -> Value {
    json!({
        "code": info.code,
        "severity": info.severity,
        "catalogue": info.catalogue,
        "title": info.title,
        "page": info.page,
    })
}

fn pretty(value: &Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(value)? + "\n")
}
