//! What the page hands out: `http.v4-literal`.

use super::response;
use crate::codes::finding;
use crate::path::observation::{Answer, Page};
use crate::path::rule::Judgement;
use crate::path::rule::view::View;
use crate::path::{Speech, html, link::Link};
use std::collections::BTreeMap;
use twinstack_finding::Evidence;

pub(super) fn judge(view: &View<'_>, judgement: &mut Judgement) {
    let mut found: BTreeMap<String, Evidence> = BTreeMap::new();
    for address in view.addresses.iter().filter(|address| address.alive()) {
        for seen in address
            .seen
            .ports
            .iter()
            .filter(|port| port.speech.is_web())
        {
            let Some(Ok(Answer::Page(page))) = seen
                .talk()
                .and_then(|talk| talk.answer.as_ref())
                .map(|step| &step.outcome)
            else {
                continue;
            };
            let base = Link {
                https: seen.speech == Speech::Https,
                host: view.plan.host.clone(),
                port: seen.port,
                path: view.plan.path.clone(),
            };
            for (url, place) in literal_urls(&base, page) {
                if base
                    .join(&url)
                    .is_some_and(|link| link.host == view.plan.host)
                {
                    continue;
                }
                found.entry(url).or_insert_with_key(|url| {
                    let mut line = response(address, seen, page);
                    line.saw = format!("`{url}` in {place}");
                    line
                });
            }
        }
    }
    let Some(first) = found.keys().next().cloned() else {
        return;
    };
    let more = match found.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    judgement.findings.push(finding(
        "http.v4-literal",
        view.plan.host.clone(),
        format!("the page hands out the IPv4 address in `{first}`{more}: a client without IPv4 cannot follow, not even through DNS64"),
        found.into_values().collect(),
        "write the name instead of the address (search templates and configuration: `grep -rnE 'https?://[0-9]+(\\.[0-9]+){3}'`), or a path without a host",
    ));
}

fn literal_urls(base: &Link, page: &Page) -> Vec<(String, &'static str)> {
    let kind = page
        .content_type
        .as_deref()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let scan = if page.is_html() {
        html::scan(base, &page.body)
    } else if ["json", "xml", "javascript", "css"]
        .iter()
        .any(|word| kind.contains(word))
    {
        html::scan_text(base, &page.body)
    } else {
        html::Scan::default()
    };
    let body = scan
        .v4_literals
        .into_iter()
        .map(|(url, _)| (url, "the body"));
    let headers = page.locations().filter_map(|location| {
        let link = base.join(location)?;
        link.v4_literal()?;
        Some((link.to_string(), "the Location header"))
    });
    body.chain(headers).collect()
}
