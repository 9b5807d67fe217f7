//! What a page is recognised by.

use crate::path::html;
use crate::path::link::Link;
use crate::path::observation::Page;
use crate::path::words::list;

/// What tells one site from another, apart from its body.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Identity {
    pub(super) status: u16,
    server: Option<String>,
    pub(super) title: Option<String>,
    /// Status and target of every redirect.
    redirects: Vec<(u16, String)>,
}

impl Identity {
    pub(super) fn of(page: &Page) -> Self {
        // Queries may hold a session; a path or a host does not change by itself.
        let target = |location: &str| {
            location
                .split(['?', '#'])
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        let mut redirects: Vec<(u16, String)> = page
            .hops
            .iter()
            .map(|(status, location)| (*status, target(location)))
            .collect();
        redirects.extend(
            page.location
                .as_deref()
                .map(|location| (page.status, target(location))),
        );
        Self {
            status: page.status,
            // Versions differ while an update rolls out.
            server: page.server.as_deref().map(product),
            title: title(page),
            redirects,
        }
    }

    /// In words, what differs from another.
    pub(super) fn differences(&self, other: &Self) -> String {
        let mut words = Vec::new();
        if self.status != other.status {
            words.push(format!(
                "status {} instead of {}",
                self.status, other.status
            ));
        }
        if self.redirects != other.redirects {
            let target = |identity: &Self| {
                identity.redirects.last().map_or_else(
                    || "no redirect".to_owned(),
                    |(_, to)| format!("a redirect to `{to}`"),
                )
            };
            words.push(format!("{} instead of {}", target(self), target(other)));
        }
        let text = |value: &Option<String>| {
            value
                .as_deref()
                .map_or_else(|| "none".to_owned(), |text| format!("`{text}`"))
        };
        if self.server != other.server {
            words.push(format!(
                "server {} instead of {}",
                text(&self.server),
                text(&other.server)
            ));
        }
        if self.title != other.title {
            words.push(format!(
                "title {} instead of {}",
                text(&self.title),
                text(&other.title)
            ));
        }
        list(words)
    }
}

/// `nginx/1.22.1 (Debian)` is `nginx`.
fn product(server: &str) -> String {
    server
        .split(['/', ' '])
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase()
}

/// The title with its numbers taken out: they count messages, or seconds.
fn title(page: &Page) -> Option<String> {
    if !page.is_html() {
        return None;
    }
    let base = Link {
        https: false,
        host: String::new(),
        port: 80,
        path: "/".to_owned(),
    };
    let title = html::scan(&base, &page.body).title?;
    Some(title.chars().filter(|c| !c.is_ascii_digit()).collect())
}
